"""A trained policy on architectures, measuring nothing: ``transform``, and what ``nat transform`` begins with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nat_plugin.api.architectures import Readable, read
from nat_plugin.api.policies import LoadedPolicy, load_policy
from nat_plugin.api.transformed import Transformed, TransformSettings
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, find_rule
from nat_plugin.ir.budget import METRICS
from nat_plugin.measuring.tables import table_metrics
from nat_plugin.plugins import plugins
from nat_plugin.policy.finding import check_policy_file, current_name, shipped_policies
from nat_plugin.runs.checking import checked_settings

if TYPE_CHECKING:
    from nat_plugin.api.applying import Transformation


def transform(  # noqa: PLR0913 - keywords that a user types
    architecture: Readable,
    budget: Mapping[str, object] | None = None,
    *,
    policy: str | os.PathLike[str] | LoadedPolicy = "general",
    rules: str = "nat",
    costs: Mapping[str, str | os.PathLike[str]] | None = None,
    samples: int = 0,
    proxies: bool = False,
    seed: int = 0,
    device: str = "auto",
    extended: bool = False,
) -> Transformed:
    """Make an architecture leaner or better by a trained policy, in its own format, without measuring anything.

    ``architecture``: whatever ``read`` takes. ``budget``: limits by metric, as in a recipe: ``0.9x`` of the input,
    ``60%``, ``2.5M``; the result never exceeds one. ``policy``: one that ships, a file, the folder of a run or a
    training, or what ``load_policy`` gave. ``rules``: allowed replacements. ``costs``: tables of ``nat measure``, or
    your own, by metric, which ``budget`` can then limit. ``samples``: also this many samples of the policy are
    candidates. ``proxies``: score finalists by training-free proxies, for a critic trained with them. ``extended``:
    allow null where the format cannot represent it; the result is network JSON then. NATError of one line for a
    mistake, or if nothing legal fits the budget.

    >>> import nat_plugin as nat
    >>> lean = nat.transform("DARTS_V2", {"macs": "0.9x"})
    >>> lean.changed, lean.macs <= 0.9 * lean.input.macs, 0 < lean.confidence < 1
    (True, True, True)
    >>> "->" in lean.diff
    True
    """
    given = {"rules": rules, "samples": samples, "proxies": proxies, "seed": seed, "extended": extended}
    asked = prepare(policy, {} if budget is None else budget, {} if costs is None else costs, given, device)

    from nat_plugin.device import one_thread
    from nat_plugin.policy.trained_on import say_where_trained

    found = read(architecture)
    say_where_trained(asked.policy.name, [found.network])
    with one_thread():  # a policy is small, and threads would wait for each other
        (result,) = asked.of([found])
    if isinstance(result, NATError):
        raise result
    return result


def prepare(
    policy: str | os.PathLike[str] | LoadedPolicy,
    budget: Mapping[str, object],
    costs: Mapping[str, str | os.PathLike[str]],
    settings: Mapping[str, Any],
    device: str,
) -> Transformation:
    """What is to be done to architectures. NATError for anything that is wrong with it: before torch is imported, which
    takes seconds, as far as that can be."""
    plugins()  # tables name ops of adapters, and some rules are theirs
    chosen = checked_settings(TransformSettings, settings, "transform")
    if not isinstance(costs, Mapping) or not all(isinstance(each, str | os.PathLike) for each in costs.values()):
        raise NATError(f"costs: must be a mapping such as {{'energy': 'energy.json'}}, not {costs!r:.60}")
    tables = table_metrics({name: Path(path) for name, path in costs.items()})
    rule, limits = find_rule(chosen.rules), Budget.parse(budget, {**METRICS, **tables})
    if not isinstance(policy, LoadedPolicy):
        if isinstance(policy, str | os.PathLike):
            policy = current_name(os.fspath(policy))
            check_policy_file(policy)
        policy = _shipped(policy, device) if policy in shipped_policies() else load_policy(policy, device)
    if chosen.proxies and (policy.critic is None or not policy.critic.config.proxies):
        raise NATError(
            f"proxies: policy '{policy.name[:80]}' has no critic that was trained with proxies "
            "(docs/how-to/own-policy.md)"
        )

    from nat_plugin.api.applying import Transformation

    return Transformation(rule, limits, tuple(tables.values()), policy, chosen)


_shipped = lru_cache(maxsize=8)(load_policy)
"""Files that ship are read once."""
