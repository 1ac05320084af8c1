"""The evaluator ``proxies``: scores networks without training, in less than a second each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field, field_validator, model_validator
from torch import nn

from nat_plugin.data import eval_batches, take
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import Assessment, Evaluator, EvaluatorContext, Split
from nat_plugin.evaluators.proxies.cache import with_ops_of
from nat_plugin.evaluators.proxies.combining import Features, ProxyCombination, combination_of
from nat_plugin.evaluators.proxies.features import (
    explained,
    in_order,
    measured_features,
    size_features,
    values,
)
from nat_plugin.evaluators.proxies.initial import ImageBatch, synthetic_batches
from nat_plugin.evaluators.proxies.names import PROXIES, check_names
from nat_plugin.evaluators.scale import Scale
from nat_plugin.evaluators.trial import Trial
from nat_plugin.ir import Moves, Network, NetworkSize, key
from nat_plugin.nets import build
from nat_plugin.search.base import Measurement, Proposal
from nat_plugin.settings import AnySettings, State
from nat_plugin.training.seeds import derive_seed, generator, seeded

DEFAULT = ("naswot", "trainability", "zico", "jacobian", "macs")
"""What ranked best in the mean over three tables (docs/explanation/proxies.md)."""

WORST = -1e9
"""Of a network that cannot be scored, where a number is needed; files hold no infinities."""


class ProxiesSettings(AnySettings):
    """Settings of the ``proxies`` evaluator."""

    proxies: dict[str, Annotated[float, Field(ge=-1e6, le=1e6)]] = Field(
        default=dict.fromkeys(DEFAULT, 1.0),
        description="proxies to use: names, or a mapping of names to weights (below 0: less is better); "
        f"there are {', '.join(PROXIES)}",
    )
    batch: int = Field(default=16, ge=2, le=4096, description="batch size; batch norm uses its statistics")
    batches: int = Field(default=2, ge=1, le=64, description="number of batches; `zico` needs at least 2")
    initialisations: int = Field(default=1, ge=1, le=64, description="draws of the weights, whose mean is used")
    references: int = Field(
        default=16, ge=2, le=10_000, description="random moves of the input, whose spread is the unit of each proxy"
    )
    channels: int | None = Field(
        default=8,
        ge=1,
        le=4096,
        description="channels of the first cells for scoring, if the format leaves that open; null: as in `network`",
    )
    cells: int | None = Field(
        default=6,
        ge=1,
        le=1000,
        description="number of cells for scoring, if the format leaves that open; null: as in `network`",
    )
    resolution: int = Field(
        default=32, ge=2, le=2048, description="height and width of synthetic images, used without `data`"
    )
    colours: int = Field(default=3, ge=1, le=64, description="channels of synthetic images, used without `data`")
    classes: int = Field(default=10, ge=2, le=100_000, description="number of classes, used without `data`")

    @field_validator("proxies", mode="before")
    @classmethod
    def _names_alone(cls, value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return dict.fromkeys(value, 1.0)
        return value

    @field_validator("proxies")
    @classmethod
    def _known(cls, value: dict[str, float]) -> dict[str, float]:
        try:
            check_names(value)
        except NATError as error:
            raise ValueError(str(error)) from None
        if not all(math.isfinite(weight) and weight for weight in value.values()):
            raise ValueError("a weight is a number other than 0")
        return value

    @model_validator(mode="after")
    def _batches_to_compare(self) -> ProxiesSettings:
        if "zico" in self.proxies and self.batches < 2:
            raise ValueError("zico compares the gradients of batches: it needs batches: 2 or more")
        return self


class ProxiesEvaluator(Evaluator):
    """Scores networks at initialisation, without training, on images or on synthetic ones: quick, but not an accuracy.

    The score of the input is 0; ``ProxyCombination`` says what a score is.
    """

    Settings = ProxiesSettings
    settings: ProxiesSettings
    needs_images = False
    untrained = True
    how = (
        "scored without training, by proxies, which are no accuracies: they tell broken networks from sound ones far "
        "better than good ones from each other (docs/explanation/proxies.md)"
    )

    @classmethod
    def network_size(cls, settings: AnySettings) -> NetworkSize:
        assert isinstance(settings, ProxiesSettings)
        return NetworkSize(input=(settings.colours, settings.resolution, settings.resolution), classes=settings.classes)

    @classmethod
    def scale(cls, settings: AnySettings) -> Scale:  # noqa: ARG003 - one for all settings
        return Scale("score by training-free proxies", percent=False)

    def __init__(self, context: EvaluatorContext, settings: ProxiesSettings) -> None:
        super().__init__(context, settings)
        if not context.inputs:
            raise NATError("proxies need an input architecture to compare with")
        self._home = context.inputs[0]
        self._small = self._resized()
        self._batches = [each.to(context.compute.device, context.compute.memory_format) for each in self._images()]
        self._combination: ProxyCombination | None = None
        self._known: dict[str, float | None] = {}  # by key: the score, None where it failed
        self._failed = ""

    def trials(self, proposals: Sequence[Proposal]) -> list[Trial]:
        """Proxies of every distinct network. What a score is made of is learned here, at first."""
        self._prepare()
        networks = {key(each): each for proposal in proposals for each in (proposal.source, proposal.network)}
        return [Trial(each) for name, each in networks.items() if name not in self._known]

    def carry_out(self, trial: Trial) -> State:
        (found,) = self.features([trial.network])
        return {"features": dict(found)}

    def take(self, trial: Trial, found: State | None) -> None:
        if found is None:
            self._known[key(trial.network)] = None
        else:
            self._keep(key(trial.network), found["features"])

    def measure(self, proposals: Sequence[Proposal]) -> list[Measurement | None]:
        """Every distinct network once; what was measured is fetched from the device together."""
        self._learn(network for each in proposals for network in (each.source, each.network))
        return [self._compare(self._known[key(each.source)], self._known[key(each.network)]) for each in proposals]

    def assess(self, network: Network, split: Split) -> Assessment:  # noqa: ARG002 - one score, whatever the split
        self._learn([network])
        found = self._known[key(network)]
        return Assessment(WORST if found is None else found, 0)

    def summary(self) -> dict[str, Any]:
        """With what a score is made of."""
        settings = self.settings
        if self.context.data is not None:
            about = self.context.images.summary()
        else:
            network_size = self.network_size(settings)
            about = {"name": "synthetic images (noise; the recipe names no data)", "shape": list(network_size.input)}
            about |= {
                "classes": network_size.classes,
                "splits": {"synthetic": sum(len(each.y) for each in self._batches)},
            }
        about |= {"proxies": settings.proxies}
        return about | {"failed": sum(each is None for each in self._known.values()), "last_failure": self._failed}

    def state(self) -> State:
        how = self._combination
        parts = None if how is None else [dict(how.centre), dict(how.spreads), dict(how.weights)]
        return {"combination": parts, "known": dict(self._known), "failed": self._failed}

    def restore(self, state: State) -> None:
        self._combination = None if state["combination"] is None else ProxyCombination(*state["combination"])
        self._known, self._failed = dict(state["known"]), str(state["failed"])

    def _learn(self, networks: Iterable[Network]) -> None:
        """Score those that are not known yet. The first time, also what a score is made of."""
        self._prepare()
        wanted = {key(each): each for each in networks}
        wanted = {name: each for name, each in wanted.items() if name not in self._known}
        for name, found in zip(wanted, self.features(list(wanted.values())), strict=True):
            self._keep(name, found)

    def _keep(self, name: str, found: Features) -> None:
        """The score of a network."""
        broken = [proxy for proxy, value in found.items() if not math.isfinite(value)]
        if broken:
            self._failed = f"{', '.join(broken)}: not a finite number, of network {name}"
            self.report(f"failed: {self._failed}")
        self._known[name] = None if broken else self._prepare().score(found)

    def _prepare(self) -> ProxyCombination:
        """What a score is made of."""
        if self._combination is None:
            self._combination = self._learn_combination()
        return self._combination

    def _learn_combination(self) -> ProxyCombination:
        """From the input and random moves of it, as far as these can be scored."""
        moves, rng = (
            Moves(self._home, self.context.rule),
            np.random.default_rng(derive_seed(self.context.seed, "references")),
        )
        drawn = (moves.apply(moves.sample(rng)) for _ in range(self.settings.references))
        others = {key(each): each for each in drawn}
        others.pop(key(self._home), None)
        (own,) = self.features([self._home])
        for proxy, value in own.items():
            if not math.isfinite(value):
                raise NATError(
                    f"proxy '{proxy}' of the input is not a finite number; leave it out of evaluator.proxies"
                )
        found = [each for each in self.features(list(others.values())) if all(map(math.isfinite, each.values()))]
        return combination_of(own, found, self.settings.proxies)

    def features(self, networks: Sequence[Network]) -> list[Features]:
        """The proxies of each, the mean over the initialisations."""
        names, count = tuple(self.settings.proxies), self.settings.initialisations
        sizes, measured = [], []
        for number, network in enumerate(networks, start=1):
            scored, images = self._at_size(network), self._batches
            sizes.append(size_features(scored, scored.input, names))
            with explained(scored.input, self.settings.batch, "evaluator.batch"):
                for draw in range(count):
                    module = self._module(scored)
                    measured.append(
                        measured_features(module, images, derive_seed(self.context.seed, "proxies", draw), names)
                    )
            if len(networks) > 1:
                self.report(f"network {number} of {len(networks)}")
        rows = values(measured)
        found: list[Features] = []
        for number, size in enumerate(sizes):
            draws = rows[number * count : (number + 1) * count]
            mean = {name: sum(each[name] for each in draws) / count for name in draws[0]}
            found.append(in_order(size | mean, names))
        return found

    def _module(self, network: Network) -> nn.Module:
        """With weights of no matter what: they are drawn anew."""
        compute = self.context.compute
        with seeded(compute.device, self.context.seed), compute.device:
            module = self.context.module(network) or build(network)
        placed: nn.Module = module.to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
        return placed

    def _images(self) -> Iterable[ImageBatch]:
        """From the reward split, or synthetic ones."""
        settings, seed, data = self.settings, self.context.seed, self.context.data
        if data is None:
            return synthetic_batches(self._small.input, settings.batch, settings.batches, seed)
        size = min(settings.batch, len(data.reward) // settings.batches)
        if size < 2:
            raise NATError(f"{len(data.reward)} images of the reward split are too few for {settings.batches} batches")
        drawn = take(data.reward, size * settings.batches, generator(seed, "proxies"))
        return [ImageBatch(x, y) for x, y in eval_batches(data, drawn, size)]

    def _resized(self) -> Network:
        """The input at the size at which networks are scored: the first that its format can have."""
        channels, cells, resized = self.settings.channels, self.settings.cells, self.context.resized
        if resized is None or (channels is None and cells is None) or len(self.context.inputs) > 1:
            return self._home
        for size in ((channels, cells), (channels, None), (None, cells)):
            try:
                return resized(*size)
            except NATError:
                continue
        return self._home

    def _at_size(self, network: Network) -> Network:
        if self._small is self._home:
            return network
        return self._small.with_cells(network.cells) if self.context.wirings else with_ops_of(self._small, network)

    @staticmethod
    def _compare(source: float | None, network: float | None) -> Measurement | None:
        return None if source is None or network is None else Measurement(network, source)
