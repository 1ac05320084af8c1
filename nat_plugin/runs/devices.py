"""A run in several processes: the first does what one alone would do, the others what it has called of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from nat_plugin.errors import NATError
from nat_plugin.execution.choosing import USUAL
from nat_plugin.parallel.ranks import ALONE, Ranks
from nat_plugin.parallel.settings import FabricSettings, check_installed
from nat_plugin.parallel.start import ranks_of
from nat_plugin.plugins import Plugins
from nat_plugin.runs.checking import checked_settings
from nat_plugin.runs.finalists import FinalTraining
from nat_plugin.runs.recipe import RunPlan
from nat_plugin.runs.recipe import plan as plan_of
from nat_plugin.runs.record import RunRecord, RunSource
from nat_plugin.runs.setup import Setup, set_up

LED = ("train", "measure", "assess", "restore")
"""The methods of an evaluator within which weights may learn, or become others."""


def check_devices(plan: RunPlan) -> None:
    """NATError for a number of devices on which a run could not train: said before any process is started."""
    recipe = plan.recipe
    count = 1 if recipe.fabric is None else recipe.fabric.count(recipe.device)
    if count == 1:
        return
    check_installed()
    if recipe.executor_name != USUAL or (plan.executor.workers or 1) > 1 or plan.executor.timeout:
        raise NATError("fabric: with several devices networks are trained one after another; leave out the executor")
    own = {f"evaluator.{name}": getattr(plan.evaluator, name, None) for name in ("schedule", "train")}
    groups = {"evaluator": plan.evaluator, **own, "final.schedule": recipe.final and recipe.final.schedule}
    for name, group in groups.items():
        batch = getattr(group, "batch", count)
        if batch % count:
            raise NATError(
                f"{name}.batch: {batch} images cannot be divided among {count} devices: choose a multiple of {count}"
            )
        if getattr(group, "compile", False):
            raise NATError(
                f"{name}.compile: not with several devices, whose batch norms a compiled network cannot synchronise"
            )


def set_up_together(plan: RunPlan, origin: RunSource, plugins: Plugins, ranks: Ranks) -> Setup:
    """The parts of a run, in the first of its processes: all others have the same afterwards."""
    ranks.tell((plan.resolved(), origin))
    setup = set_up(plan, origin, plugins, ranks=ranks)
    ranks.lead("evaluator", setup.evaluator, *LED)
    return setup


@contextmanager
def on_its_devices(plan: RunPlan | None, plugins: Plugins) -> Iterator[Ranks]:
    """The processes of a run, of which only the first comes back. ``plan``: None for one device."""
    if plan is None or plan.recipe.fabric is None:
        yield ALONE
        return
    check_devices(plan)
    with ranks_of(plan.recipe.fabric, plan.recipe.device) as ranks:
        if ranks.number:
            follow(plugins, ranks)
        yield ranks


def plan_of_record(record: RunRecord, fabric: Mapping[str, Any] | None, plugins: Plugins) -> RunPlan | None:
    """On what devices a run goes on: what its recipe says, but for these keys of ``fabric``; None for one. NATError for
    keys on which its results depend."""
    for name in (fabric or {}).keys() - {"devices", "nodes"}:
        raise NATError(f"fabric.{name} cannot change when a run is resumed; only devices and nodes can")
    values = {**(record.recipe.get("fabric") or {}), **(fabric or {})}
    if not values:
        return None
    settings, plan = checked_settings(FabricSettings, values, "fabric"), plan_of(record.recipe, plugins)
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"fabric": settings})})


def follow(plugins: Plugins, ranks: Ranks) -> NoReturn:
    """What a process does that is not the first, to the end of the run, with which it ends."""
    told = ranks.tell(None)
    if told is not None:
        recipe, origin = told
        setup = set_up(plan_of(recipe, plugins), origin, plugins, ranks=ranks)
        ranks.follow({"evaluator": setup.evaluator, "final": FinalTraining(setup)})
    raise SystemExit(0)
