"""What all methods of this experiment are given: a limit, a model with its pictures, and how long to search."""

from __future__ import annotations

import copy
import re
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from nat_timm.compacting.result import Tuned
from nat_timm.compacting.session import CompactionSession
from nat_timm.compacting.settings import SessionSettings
from nat_timm.compacting.tuner import OWN, views_fitted_on
from nat_timm.fitting.reference import Reference
from nat_timm.training.loaders import other_views
from nat_timm.training.tuning import Tuning
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.experiments.timm.pretrained.restoring import parted
from benchmarks.experiments.timm.pretrained.subjects import Split, Subject
from nat_plugin.advising.advice import Advice
from nat_plugin.device import memory_kept
from nat_plugin.errors import NATError
from nat_plugin.ir import Network


@dataclass(frozen=True)
class Limit:
    """``latency=0.8x@32`` is a limit on a pass of 32 pictures, as a multiple of what the model takes."""

    text: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"macs=0\.\d+x|latency=0\.\d+x@[1-9]\d*", self.text):
            raise NATError(
                f"--limits {self.text[:40]!r}: write macs=0.8x, or latency=0.8x@32 for passes of 32 pictures"
            )

    @property
    def metric(self) -> str:
        return self.text.partition("=")[0]

    @property
    def share(self) -> float:
        return float(self.text.partition("=")[2].partition("x")[0])

    @property
    def batch(self) -> int:
        return int(self.text.partition("@")[2] or 1)

    @property
    def budget(self) -> dict[str, object]:
        return {self.metric: f"{self.share:g}x"}


@dataclass(frozen=True)
class Lengths:
    """Measurements of a search, pictures that each is of, and finalists that are fitted, tuned and chosen from."""

    evaluations: int
    pictures: int
    candidates: int


class Bench:
    """A model with its pictures, and what of it all methods share: what one has found out, no other finds out again."""

    def __init__(self, subject: Subject, model: nn.Module, split: Split, seed: int, lengths: Lengths) -> None:
        self.subject, self.model, self.split, self.seed, self.lengths = subject, model, split, seed, lengths
        self._sessions: dict[int, CompactionSession] = {}
        self._limit, self._tuned = "", dict[tuple[Network, str], Tuned]()
        self._folder = tempfile.TemporaryDirectory()
        self.scores = Path(self._folder.name) / "scores.pt"
        """What FastNAS finds out of every width."""

    @property
    def advice(self) -> Advice:
        """What every single move saves and changes: measured once, for all strategies and limits."""
        return self._session(1).advice

    def best(self, network: Network, limit: Limit, tuning: Tuning) -> Tuned:
        """What becomes of a network; of those of another limit none is kept."""
        if self._limit != limit.text:
            self._limit, self._tuned = limit.text, {}
        key = network, str(tuning)
        if key not in self._tuned:
            self._tuned[key] = self.session(limit).best(network, tuning, [OWN])
        return self._tuned[key]

    @cached_property
    def reference(self) -> Reference:
        """What a peer's result is fitted to, as ours are."""
        torch.manual_seed(self.seed)
        views = views_fitted_on(self.subject.shape)
        return Reference(self.model, [x for x, _ in other_views(lambda: iter(self.split.work), views)], self.seed)

    @cached_property
    def parted(self) -> Reference:
        """The same with norms parted from activations."""
        return Reference(parted(copy.deepcopy(self.model)), self.reference.batches, self.seed)

    @cached_property
    @memory_kept()
    def gradients(self) -> list[Tensor]:
        """Of the loss over all pictures to work with, by parameter."""
        torch.manual_seed(self.seed)
        model = copy.deepcopy(self.model)
        for x, y in self.split.work:
            torch.autograd.backward(functional.cross_entropy(model(x), y, reduction="sum"))
        return [torch.zeros_like(each) if each.grad is None else each.grad for each in model.parameters()]

    def session(self, limit: Limit) -> CompactionSession:
        """One for each size of the batch that is timed, so that each op is timed once."""
        return self._session(limit.batch)

    def _session(self, batch: int) -> CompactionSession:
        if batch not in self._sessions:
            self._sessions[batch] = CompactionSession(
                self.model,
                self.split.work,
                self.split.choice,
                SessionSettings(
                    input=self.subject.shape,
                    seed=self.seed,
                    device="cpu",
                    fits=True,
                    evaluator={"reward_images": self.lengths.pictures, "reward_batch": self.lengths.pictures},
                    latency={"batch": batch},
                ),
            )
        return self._sessions[batch]
