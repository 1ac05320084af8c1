"""What all methods of this experiment are given: a limit, a model with its pictures, and how long to search."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import nat_timm
import torch
from nat_timm.compacting.session import ADVISED_ON, CompactionSession
from torch import nn

from benchmarks.experiments.timm.pretrained.subjects import Split, Subject
from nat_plugin.advising.advice import Advice
from nat_plugin.errors import NATError


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
    """A model with its pictures, and what of it all methods share."""

    def __init__(self, subject: Subject, model: nn.Module, split: Split, seed: int, lengths: Lengths) -> None:
        self.subject, self.model, self.split, self.seed, self.lengths = subject, model, split, seed, lengths
        self._sessions: dict[int, CompactionSession] = {}

    @cached_property
    def advice(self) -> Advice:
        """What every single move saves and changes: measured once, for all strategies and limits."""
        torch.manual_seed(self.seed)
        pictures = torch.cat([x for x, _ in self.split.work])[:ADVISED_ON]
        return nat_timm.advise(self.model, pictures, combinations=False, device="cpu", seed=self.seed)

    def session(self, limit: Limit) -> CompactionSession:
        """One for each size of the batch that is timed, so that each op is timed once."""
        if limit.batch not in self._sessions:
            self._sessions[limit.batch] = CompactionSession(
                self.model,
                self.split.work,
                self.split.choice,
                input=self.subject.shape,
                seed=self.seed,
                device="cpu",
                fits=True,
                evaluator={"reward_images": self.lengths.pictures, "reward_batch": self.lengths.pictures},
                latency={"batch": limit.batch},
            )
        return self._sessions[limit.batch]
