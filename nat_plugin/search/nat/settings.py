"""Settings of the strategy ``nat``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nat_plugin.fingerprints import OutsideName
from nat_plugin.search.nat.inputs import Mix
from nat_plugin.settings import Settings

SHIPPED = "general"
NONE = "none"
"""In the place of a policy: there is none."""
_NEW = ("encoder", "hidden", "rounds", "refine")
"""Settings of a policy that is to learn from what is measured alone."""


class NATSettings(Settings):
    """Settings of ``nat``.

    Those that need ``refine`` are about REINFORCE alone, in batches of ``sources`` x ``samples`` evaluations, with all
    that falls over a number of evaluations that is planned. Without it nothing depends on what is planned."""

    encoder: Literal["graph", "blind", "paper"] = "graph"
    """``paper`` is the two-layer graph convolution of the paper, ``blind`` does not see the wiring."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the policy's layers."""
    rounds: Annotated[int, Field(ge=0, le=64)] = 3
    """Rounds of message passing between nodes and edges: how far an edge sees."""
    policy: OutsideName | None = SHIPPED
    """A policy to start from, a file or the name of one that ships; if it has a critic, that is the prior of the
    Gaussian process. ``none``: no such policy, which is the default if encoder, hidden or rounds (settings of an
    untrained policy) or ``refine`` are set."""
    evaluations: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """Needs ``refine``: number of evaluations that the schedules run over; left out: those of the run, or 2000. Entropy
    and learning rate fall over them, and the last ``refine`` of them are local search."""
    sources: Annotated[int, Field(ge=1, le=4096)] = 4
    """Inputs β per update. If the same input is drawn twice, it counts as one with twice the samples."""
    samples: Annotated[int, Field(ge=2, le=4096)] = 8
    """Transformations α per input; the baseline of each is the mean gain of the others."""
    mix: Mix = Mix()
    """Where the inputs of batches, and of the warm-up of shared weights, come from."""
    lr: Annotated[float, Field(gt=0, le=1)] = 2e-3
    """Initial learning rate of Adam; with ``refine`` it falls linearly to nearly 0 over the evaluations."""
    steps: Annotated[int, Field(ge=1, le=100)] = 5
    """Updates of the weights per batch, held near the policy that sampled it by ``clip``. 1 is plain REINFORCE."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """How far the probability of a transformation may move per batch."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """First-moment decay of Adam (the paper: 0.5)."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Second-moment decay of Adam (the paper: 0.999)."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Weight decay of Adam (the paper: 5e-4)."""
    entropy: Annotated[float, Field(ge=0, le=1)] = 0.6
    """Needs ``refine``: share of the entropy of uniform choice to hold at the start; falls linearly to 0. The weight of
    the bonus is adjusted automatically (``nat_plugin.policy.reinforce.Temperature``)."""
    entropy_weight: Annotated[float, Field(ge=0, le=100)] | None = None
    """A constant weight of the entropy bonus (the paper: 0.003), in place of ``entropy``."""
    normalise: Literal["source", "batch", "none"] = "source"
    """Advantages are divided by the spread among the transformations of an input, of all of a batch, or not at all."""
    gradient: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Largest norm of the gradient."""
    candidates: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Samples of the policy among the finalists (n in the paper)."""
    refine: Annotated[float, Field(ge=0, le=1)] | None = None
    """Left out: a Gaussian process and the policy take turns, and the policy learns from measurements and from what the
    process expects. A number: REINFORCE alone at first, then that share of the evaluations for local search by the
    process alone, from each of the user's inputs; 0: REINFORCE throughout."""
    trust: Annotated[float, Field(ge=0, le=10)] = 0.5
    """Weight of ``policy`` as a prior of the process."""
    proxies: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Number of the most promising transformations of an input for which the critic of ``policy`` gets training-free
    proxies; each takes a fraction of a second, and the critic must have been trained with proxies."""
    pool: Annotated[int, Field(ge=1, le=100_000)] = 200
    """Networks to choose each proposal of the process from."""
    largest: Annotated[int, Field(ge=10, le=5_000)] = 250
    """Maximum number of measurements that the process learns from: first the latest of the input itself, then the
    latest of others."""

    @model_validator(mode="before")
    @classmethod
    def _of_its_own(cls, values: Any) -> Any:
        if isinstance(values, dict) and any(values.get(name) is not None for name in _NEW):
            return {"policy": None, **values}
        return values

    @field_validator("policy", mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return None if value == NONE else value

    @property
    def without_effect(self) -> list[str]:
        """What was set, and counts only with ``refine``."""
        if self.refine is not None:
            return []
        fields = NATSettings.model_fields
        named = [name for name in ("evaluations", "entropy") if getattr(self, name) != fields[name].default]
        return [*named, *(["mix.random"] if self.mix.random else [])]
