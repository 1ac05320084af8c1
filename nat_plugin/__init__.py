"""NAT: make an architecture that you already have better and leaner, in its own format.

    >>> import nat_plugin as nat
    >>> arch = nat.read("DARTS_V2")
    >>> arch.format, arch.params
    ('darts', 3349342)
    >>> lean = nat.transform(arch, budget={"macs": "0.9x"})
    >>> lean.format, lean.macs <= 0.9 * arch.macs
    ('darts', True)

What is in ``__all__`` is promised (docs/reference/stability.md); everything is imported when it is first used.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Adapter",
    "Architecture",
    "ComparisonResult",
    "Evaluator",
    "LoadedPolicy",
    "NATError",
    "Report",
    "RunResult",
    "Strategy",
    "TrainingResult",
    "Transformed",
    "__version__",
    "compare",
    "cost",
    "hookimpl",
    "load_policy",
    "nni",
    "read",
    "resume",
    "run",
    "timm",
    "train",
    "transform",
]

if TYPE_CHECKING:  # at run time plugins are found through their entry points (api/adapters.py)
    import nat_nni as nni
    import nat_timm as timm

    from nat_plugin.adapter import Adapter
    from nat_plugin.api.architectures import Architecture, cost, read
    from nat_plugin.api.policies import LoadedPolicy, load_policy
    from nat_plugin.api.recipes import compare, resume, run, train
    from nat_plugin.api.results import ComparisonResult, Report, RunResult, TrainingResult
    from nat_plugin.api.transformed import Transformed
    from nat_plugin.api.transforming import transform
    from nat_plugin.errors import NATError
    from nat_plugin.evaluators.base import Evaluator
    from nat_plugin.hookspecs import hookimpl
    from nat_plugin.search.base import Strategy
else:
    from nat_plugin.lazy import lazy_names
    from nat_plugin.moved import find_moved

    _PLACES = {
        "Adapter": "nat_plugin.adapter",
        "Architecture": "nat_plugin.api.architectures",
        "ComparisonResult": "nat_plugin.api.results",
        "Evaluator": "nat_plugin.evaluators.base",
        "LoadedPolicy": "nat_plugin.api.policies",
        "NATError": "nat_plugin.errors",
        "Report": "nat_plugin.api.results",
        "RunResult": "nat_plugin.api.results",
        "Strategy": "nat_plugin.search.base",
        "TrainingResult": "nat_plugin.api.results",
        "Transformed": "nat_plugin.api.transformed",
        "compare": "nat_plugin.api.recipes",
        "cost": "nat_plugin.api.architectures",
        "hookimpl": "nat_plugin.hookspecs",
        "load_policy": "nat_plugin.api.policies",
        "nni": "nat_plugin.api.adapters",
        "read": "nat_plugin.api.architectures",
        "resume": "nat_plugin.api.recipes",
        "run": "nat_plugin.api.recipes",
        "timm": "nat_plugin.api.adapters",
        "train": "nat_plugin.api.recipes",
        "transform": "nat_plugin.api.transforming",
    }
    __getattr__, __dir__ = lazy_names(__name__, _PLACES)
    find_moved()
