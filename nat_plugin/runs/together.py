"""A run in several processes: the first does what one alone would do, the others what it has called of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from nat_plugin.errors import NATError
from nat_plugin.execution.choosing import USUAL
from nat_plugin.parallel.ranks import Ranks
from nat_plugin.parallel.settings import FabricSettings
from nat_plugin.plugins import Plugins
from nat_plugin.runs.checking import checked
from nat_plugin.runs.finalists import FinalTraining
from nat_plugin.runs.recipe import RunPlan
from nat_plugin.runs.recipe import plan as plan_of
from nat_plugin.runs.record import RunSource
from nat_plugin.runs.setup import Setup, set_up

LED = ("train", "measure", "assess", "restore")
"""The methods of an evaluator within which weights may learn, or become others."""


def set_up_together(plan: RunPlan, origin: RunSource, plugins: Plugins, ranks: Ranks) -> Setup:
    """The parts of a run, in the first of its processes: all others have the same afterwards. NATError where the recipe
    wants an executor beside."""
    if ranks.count > 1 and (
        plan.recipe.executor_name != USUAL or (plan.executor.workers or 1) > 1 or plan.executor.timeout
    ):
        raise NATError("fabric: several devices train one network after the other; leave out the executor")
    ranks.tell((plan.resolved(), origin))
    setup = set_up(plan, origin, plugins, ranks=ranks)
    ranks.lead("evaluator", setup.evaluator, *LED)
    return setup


def devices_of(recipe: Mapping[str, Any], others: Mapping[str, Any]) -> tuple[FabricSettings | None, str]:
    """On what a run goes on whose recipe is known: what it says, but for these keys of ``fabric``; and their kind."""
    values = {**(recipe.get("fabric") or {}), **others}
    return checked(FabricSettings, values, "fabric") if values else None, str(recipe["device"])


def follow(plugins: Plugins, ranks: Ranks) -> NoReturn:
    """What a process does that is not the first, to the end of the run, with which it ends."""
    told = ranks.tell(None)
    if told is not None:
        recipe, origin = told
        setup = set_up(plan_of(recipe, plugins), origin, plugins, ranks=ranks)
        ranks.follow({"evaluator": setup.evaluator, "final": FinalTraining(setup)})
    raise SystemExit(0)
