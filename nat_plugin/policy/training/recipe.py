"""Recipes of trainings: what a policy and its critic learn from and how, as YAML held to a schema. All mistakes are
reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from nat_plugin.data import DataSettings
from nat_plugin.errors import NATError, NATErrors
from nat_plugin.evaluators.base import Evaluator
from nat_plugin.evaluators.proxies.names import PROXIES, check_names
from nat_plugin.evaluators.table.settings import TableSettings
from nat_plugin.execution.choosing import check_executor
from nat_plugin.fingerprints import OutsidePath
from nat_plugin.ir import find_rule
from nat_plugin.plugins import Plugins
from nat_plugin.runs.checking import check_adapter, check_data, check_part, mapping, validate
from nat_plugin.runs.reading import read_values
from nat_plugin.runs.recipe import Executed, NetworkSettings
from nat_plugin.settings import Settings

KINDS = ("table", "runs", "evaluator")
"""The keys of a source, of which it has one: where its scores are from."""


class SourceSettings(Settings):
    """Networks of one task and where their scores are from: give one of table, runs, evaluator."""

    table: dict[str, Any] | None = Field(
        default=None,
        description="settings of the evaluator `table`: path, dataset, …; every network of the table is a score",
    )
    runs: list[OutsidePath] | None = Field(
        default=None, min_length=1, description="folders of runs: what they measured is read from their journals"
    )
    evaluator: dict[str, Any] | None = Field(
        default=None,
        description="an evaluator, its data, its settings; it scores the networks (`proxies`, for example)",
    )
    networks: list[str] | OutsidePath | None = Field(
        default=None, description="with evaluator: architectures, or a text file with one in each line"
    )
    moves: int = Field(
        default=0, ge=0, le=10**6, description="with evaluator: add this many random legal moves of them"
    )
    adapter: str | dict[str, Any] | None = Field(
        default=None, description="with evaluator: format of the networks; left out: guessed if only one fits"
    )
    network: NetworkSettings = Field(
        default=NetworkSettings(), description="with evaluator: size of the network around the cells"
    )
    weight: float = Field(default=1.0, gt=0, le=1e6, description="weight of its networks among the inputs")
    held_out: float = Field(
        default=0.2, ge=0, lt=1, description="share of the networks that training never reads, and on which it reports"
    )
    evaluations: int | None = Field(
        default=None,
        ge=2,
        le=10**9,
        description="maximum number of scores to read; left out: all that are not held out",
    )

    @model_validator(mode="after")
    def _one_kind(self) -> SourceSettings:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(KINDS)}, not {' and '.join(given) or 'none'}")
        if self.evaluator is not None and not self.networks:
            raise ValueError("an evaluator needs networks to score: a list of architectures, or a file")
        if self.evaluator is None:
            for name in ("networks", "moves", "adapter"):
                if getattr(self, name):
                    raise ValueError(f"{name} goes with evaluator; leave it out")
        return self

    @property
    def kind(self) -> str:
        return next(name for name in KINDS if getattr(self, name) is not None)


class LimitSettings(Settings):
    """Shares of the inputs that are under a limit, drawn between ``tightest`` and 1.0 of what they cost themselves."""

    macs: float = Field(default=0.3, ge=0, le=1, description="share of the inputs under a limit on MACs")
    params: float = Field(default=0.0, ge=0, le=1, description="share of the inputs under a limit on parameters")
    latency: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the inputs under a limit on latency, each of another synthetic device",
    )
    tightest: float = Field(default=0.5, gt=0, le=1, description="the lowest limit, as a share of the input's cost")
    devices: int = Field(default=40, ge=1, le=10_000, description="synthetic devices for each search space")

    @model_validator(mode="after")
    def _shares(self) -> LimitSettings:
        if self.macs + self.params + self.latency > 1 + 1e-9:
            raise ValueError("the shares macs, params and latency add up to 1 at most")
        return self


ONLY = {
    "ensemble": ("epochs", "least_steps"),
    "tasks": ("width", "steps", "tasks", "doubt_steps", "proxies", "favourites"),
}
"""Keys of a critic that only one kind has."""


class CriticSettings(Settings):
    """The critic that is fitted to all scores read so far."""

    kind: Literal["tasks", "ensemble"] = Field(
        default="tasks",
        description="tasks: one network for all tasks with a linear head for each, and an uncertainty for a task "
        "without measurements; ensemble: one score for all tasks together, whose uncertainty is the "
        "disagreement of its members",
    )
    members: int = Field(default=2, ge=1, le=64, description="networks of the ensemble")
    hidden: int = Field(default=48, ge=1, le=4096, description="hidden width of each network")
    rounds: int = Field(default=2, ge=0, le=64, description="rounds of message passing in each network")
    batch: int = Field(default=128, ge=2, le=100_000, description="networks per step; for kind tasks, of each task")
    lr: float | None = Field(
        default=None, gt=0, le=10, description="peak learning rate of AdamW; left out: 0.005 (tasks), 0.01 (ensemble)"
    )
    weight_decay: float = Field(default=1e-3, ge=0, le=10, description="weight decay of AdamW")
    epochs: int | None = Field(
        default=None, ge=1, le=100_000, description="ensemble: passes over the scores, at least; left out: 40"
    )
    least_steps: int | None = Field(
        default=None, ge=1, le=10**7, description="ensemble: optimizer steps, at least; left out: 300"
    )
    width: int | None = Field(
        default=None, ge=1, le=1024, description="tasks: number of features of a network; left out: 24"
    )
    steps: int | None = Field(default=None, ge=1, le=10**7, description="tasks: optimizer steps; left out: 1500")
    tasks: int | None = Field(
        default=None, ge=1, le=10**4, description="tasks: number of tasks drawn for one step; left out: 2"
    )
    favourites: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="tasks: in a step on a large task, share of the networks that are drawn from the tenth that the "
        "critic rates best; left out: 0.5",
    )
    doubt_steps: int | None = Field(
        default=None,
        ge=0,
        le=10**7,
        description="tasks: training steps of critics that leave one search space out, from which the factor for "
        "unknown spaces is determined (critics that leave one task out are trained as long as the critic "
        "itself); left out or 0: it is not determined, and the critic counts as knowing little of other spaces",
    )
    proxies: list[str] | None = Field(
        default=None,
        min_length=1,
        description=f"tasks: training-free proxies that the critic sees as features; known are {', '.join(PROXIES)}",
    )

    @field_validator("proxies")
    @classmethod
    def _known_proxies(cls, value: list[str] | None) -> list[str] | None:
        try:
            check_names(value or tuple(PROXIES))
        except NATError as error:
            raise ValueError(str(error)) from None
        return value

    @model_validator(mode="after")
    def _of_its_kind(self) -> CriticSettings:
        for kind, names in ONLY.items():
            given = [name for name in names if getattr(self, name) is not None]
            if kind != self.kind and given:
                raise ValueError(f"{given[0]} goes with kind {kind}; leave it out")
        return self

    def given(self, *names: str) -> dict[str, Any]:
        """The values of these keys, without those that are left out."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class ProxySettings(Settings):
    """Training-free proxies of the networks of all sources, for critics that are told of them."""

    networks: int = Field(default=1500, ge=2, le=10**6, description="networks of each source to compute them for")
    file: OutsidePath | None = Field(
        default=None,
        description="file that keeps the proxies for the next training; left out: a file in the folder of the training",
    )


_Temperature = Annotated[float, Field(gt=0, le=100)]


class StageSettings(Settings):
    """A critic is fitted, then the policy learns from what it says; what a later stage reads the policy proposes."""

    evaluations: float = Field(
        default=1.0, gt=0, le=1, description="share of each source's evaluations that has been read in this stage"
    )
    updates: int = Field(default=500, ge=0, le=10**7, description="gradient steps of the policy")
    critic: CriticSettings = Field(default=CriticSettings(), description="the critic of this stage")
    entropy: float = Field(
        default=1.0, ge=0, le=100, description="objectives sampled and critic: weight of the entropy bonus, falls to 0"
    )
    temperature: tuple[_Temperature, _Temperature] = Field(
        default=(0.4, 0.01),
        description="objective exact: weight of the entropy at the start and at the end, in units of the critic",
    )


class PolicySettings(Settings):
    """The policy and how it learns."""

    encoder: Literal["graph", "blind", "paper"] = Field(
        default="graph",
        description="graph: message passing; blind: without messages; paper: the graph convolution of the paper",
    )
    hidden: int = Field(default=32, ge=1, le=4096, description="hidden width of the policy network")
    rounds: int = Field(default=3, ge=0, le=64, description="exchanges of messages")
    headroom: bool = Field(
        default=True,
        description="whether the policy sees which share of the headroom under a limit each candidate takes",
    )
    objective: Literal["sampled", "exact", "critic"] = Field(
        default="sampled",
        description="sampled: expected gain over candidates from the policy, from the policy flattened, uniform ones "
        "and descents; exact: over all that an input may become, if that can be enumerated; critic: "
        "REINFORCE on the policy's own samples",
    )
    inputs: int = Field(default=4000, ge=1, le=10**6, description="number of networks that it learns to transform")
    batch: int = Field(default=128, ge=1, le=100_000, description="inputs in an update")
    samples: int = Field(default=8, ge=2, le=10_000, description="candidates drawn for each input in each way")
    enumerate: int = Field(
        default=20_000, ge=1, le=10**6, description="objective exact: maximum number of candidates to enumerate"
    )
    most: int = Field(
        default=1500, ge=2, le=10**6, description="objective exact: maximum number of candidates in one update"
    )
    lr: float = Field(default=4e-3, gt=0, le=10, description="peak learning rate of Adam, falls linearly")
    warmup: int = Field(default=30, ge=1, le=10**6, description="updates in which the learning rate rises")
    caution: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="how many of the critic's standard deviations are subtracted from every expected gain",
    )
    proposals: int = Field(
        default=24,
        ge=1,
        le=100_000,
        description="samples for each input, from which later stages choose what they read",
    )


class TrainingRecipe(Executed):
    """A whole training."""

    name: str = Field(min_length=1, max_length=100, description="name of the policy")
    sources: dict[str, SourceSettings] = Field(min_length=1, description="by the name of the task")
    rules: list[str] = Field(
        default=["nat", "nat++"],
        min_length=1,
        description="rules that inputs are transformed by; each input has one of them",
    )
    limits: LimitSettings = Field(default=LimitSettings(), description="inputs under a limit")
    stages: list[StageSettings] = Field(
        default=[StageSettings(evaluations=0.4, updates=150), StageSettings()],
        min_length=1,
        description="the stages, in order; `evaluations` must not decrease",
    )
    policy: PolicySettings = Field(default=PolicySettings(), description="the policy network and how it learns")
    proxies: ProxySettings = Field(default=ProxySettings(), description="for stages whose critic has `proxies`")
    report: int = Field(default=500, ge=1, le=10**6, description="held-out networks of each task in the report")
    checkpoint: int = Field(default=50, ge=1, le=10**6, description="updates between checkpoints")
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of all random numbers except the split")
    split: int = Field(default=201, ge=0, lt=2**31, description="seed for choosing the held-out networks")
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="CPU threads; left out: torch's number when the training starts"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")

    @model_validator(mode="after")
    def _whole(self) -> TrainingRecipe:
        for rule in self.rules:
            try:
                find_rule(rule)
            except NATError as error:
                raise ValueError(f"rules: {error}") from None
        shares = [stage.evaluations for stage in self.stages]
        if shares != sorted(shares):
            raise ValueError("stages: evaluations count all that is read so far, and must not decrease")
        return self


class SourcePlan(Settings):
    """The checked parts of a source: settings of its evaluator (or table), and of the images."""

    evaluator: Any = None
    data: DataSettings | None = None


class TrainingPlan(Settings):
    """A recipe with the settings of all parts checked and filled in. ``parts``: by source."""

    recipe: TrainingRecipe
    parts: dict[str, SourcePlan]
    executor: Any

    def resolved(self) -> dict[str, Any]:
        """The recipe with every default spelled out, as plain values."""
        out = self.recipe.model_dump(mode="json")
        out["executor"] = {"name": self.recipe.executor_name, **self.executor.model_dump(mode="json")}
        for name, part in self.parts.items():
            source = self.recipe.sources[name]
            if source.table is not None:
                out["sources"][name]["table"] = part.evaluator.model_dump(mode="json")
            elif source.evaluator is not None:
                data = {} if part.data is None else {"data": part.data.model_dump(mode="json")}
                settings = {"name": source.evaluator["name"], **data, **part.evaluator.model_dump(mode="json")}
                out["sources"][name]["evaluator"] = settings
        return out


def load_training(name: str, overrides: Iterable[str], plugins: Plugins) -> TrainingPlan:
    """A recipe file, or one that ships, with ``key=value`` overrides. NATErrors lists everything that is wrong."""
    return plan_of_file(name, read_values(name, overrides, plugins), plugins)


def plan_of_file(name: str, values: Mapping[str, Any], plugins: Plugins) -> TrainingPlan:
    """The plan that the values of a recipe file stand for, see ``load_training``."""
    other = "strategies" if "strategies" in values else "source" if "source" in values else None
    if other is not None and "sources" not in values:
        raise NATError(f"{name}: this recipe is of a run (it has '{other}'): use `nat run {name}`")
    if "strategies" in values:
        raise NATError(f"{name}: this recipe is of a comparison (it has 'strategies'): use `nat compare {name}`")
    return plan_training(values, plugins)


def plan_training(values: Mapping[str, Any], plugins: Plugins) -> TrainingPlan:
    """Check plain values against the schema, and the parts against the plugins that they name."""
    mistakes: list[str] = []
    recipe = validate(TrainingRecipe, values, "", mistakes)
    parts = {
        str(name): _part(f"sources.{name}", given, plugins, mistakes)
        for name, given in mapping(values, "sources").items()
        if isinstance(given, dict)
    }
    executor = check_executor(values.get("executor", {}), plugins, mistakes)
    if mistakes or recipe is None:
        raise NATErrors(mistakes)
    return TrainingPlan(recipe=recipe, parts=parts, executor=executor)


def _part(label: str, given: Mapping[str, Any], plugins: Plugins, mistakes: list[str]) -> SourcePlan:
    """The parts of a source; those of another form the schema reports."""
    if isinstance(given.get("table"), dict):
        return SourcePlan(evaluator=validate(TableSettings, given["table"], f"{label}.table", mistakes))
    if not isinstance(given.get("evaluator"), dict):
        return SourcePlan()
    check_adapter(given.get("adapter"), plugins, mistakes)
    values = dict(given["evaluator"])
    kind = plugins.evaluators.get(str(values.get("name")))
    own: list[str] = []
    data = check_data(kind, values.pop("data", None), plugins, own)
    settings = check_part("evaluators", "evaluator", values, plugins, own)
    if kind is not None and kind.train is not Evaluator.train:
        own.append(
            f"evaluator.name: '{given['evaluator']['name']}' learns its weights in a run; "
            "train on what such a run measured: runs: [its folder]"
        )
    mistakes += [f"{label}.{each}" for each in own]
    return SourcePlan(evaluator=settings, data=data)
