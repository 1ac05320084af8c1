"""What a plugin needs beside ``nat_plugin`` (``Adapter``, ``Strategy``, ``Evaluator``, ``hookimpl``, ``NATError``) and
``nat_plugin.ir``: the parts that adapters, strategies, evaluators, data sets and tables are made of.

Everything is imported when it is first used, so an adapter that needs no torch imports none. docs/how-to/adapter.md and
docs/reference/python.md say what is promised of it.
"""

from typing import TYPE_CHECKING

__all__ = [
    "MAX_CHARS",
    "MEAN",
    "AdapterSettings",
    "Additive",
    "Advice",
    "AdviceSettings",
    "Assessment",
    "Call",
    "CharSpan",
    "DataSet",
    "DataSettings",
    "EvaluatorContext",
    "Executor",
    "ExecutorSettings",
    "ImageSource",
    "Latency",
    "LatencySettings",
    "Literal",
    "LiteralPath",
    "Loader",
    "LookupTable",
    "Measurement",
    "Metric",
    "NATErrors",
    "Outside",
    "OutsideName",
    "OutsidePath",
    "Patches",
    "Proposal",
    "Published",
    "Results",
    "Saved",
    "Scale",
    "Settings",
    "Split",
    "State",
    "StoredSource",
    "TableLayout",
    "TableReader",
    "TableSettings",
    "Task",
    "Trained",
    "Trial",
    "Unit",
    "assigned_names",
    "closing",
    "fingerprints",
    "is_json",
    "is_network",
    "lazy_names",
    "moved_modules",
    "parse_literal",
    "parse_value",
    "plugins",
    "read_count",
    "read_name",
    "read_path",
    "read_shape",
    "read_text",
    "refusal",
    "seal",
    "strict_json",
    "unseal",
]

if TYPE_CHECKING:
    from nat_plugin.adapter import AdapterSettings, Published, refusal
    from nat_plugin.advising.advice import Advice
    from nat_plugin.advising.settings import AdviceSettings
    from nat_plugin.arguments import read_count, read_name, read_path, read_shape
    from nat_plugin.data.dataset import DataSet
    from nat_plugin.data.settings import DataSettings
    from nat_plugin.data.source import ImageSource, Loader
    from nat_plugin.data.stored import StoredSource
    from nat_plugin.errors import NATErrors
    from nat_plugin.evaluators.base import Assessment, EvaluatorContext, Saved, Split
    from nat_plugin.evaluators.scale import Scale
    from nat_plugin.evaluators.table import (
        MEAN,
        LookupTable,
        Results,
        TableLayout,
        TableReader,
        TableSettings,
        Trained,
        Unit,
    )
    from nat_plugin.evaluators.trial import Trial
    from nat_plugin.execution.base import Executor, ExecutorSettings
    from nat_plugin.fingerprints import Outside, OutsideName, OutsidePath, fingerprints
    from nat_plugin.ir.budget import Additive, Metric
    from nat_plugin.ir.serial import strict_json
    from nat_plugin.json_checksums import seal, unseal
    from nat_plugin.lazy import lazy_names
    from nat_plugin.literals import (
        MAX_CHARS,
        Call,
        CharSpan,
        Literal,
        LiteralPath,
        assigned_names,
        is_json,
        parse_literal,
        parse_value,
    )
    from nat_plugin.measuring.latency import Latency
    from nat_plugin.measuring.settings import LatencySettings
    from nat_plugin.moved import moved_modules
    from nat_plugin.network_json import is_network
    from nat_plugin.patches import Patches, closing
    from nat_plugin.plugins import plugins
    from nat_plugin.search.base import Measurement, Proposal, Task
    from nat_plugin.settings import Settings, State
    from nat_plugin.sources import read_text
else:
    from nat_plugin.lazy import lazy_names

    _IN = {
        "nat_plugin.json_checksums": (
            "seal",
            "unseal",
        ),
        "nat_plugin.plugins": ("plugins",),
        "nat_plugin.moved": ("moved_modules",),
        "nat_plugin.lazy": ("lazy_names",),
        "nat_plugin.arguments": (
            "read_count",
            "read_name",
            "read_path",
            "read_shape",
        ),
        "nat_plugin.adapter": ("AdapterSettings", "Published", "refusal"),
        "nat_plugin.advising.advice": ("Advice",),
        "nat_plugin.advising.settings": ("AdviceSettings",),
        "nat_plugin.data.dataset": ("DataSet",),
        "nat_plugin.data.settings": ("DataSettings",),
        "nat_plugin.data.source": ("ImageSource", "Loader"),
        "nat_plugin.data.stored": ("StoredSource",),
        "nat_plugin.errors": ("NATErrors",),
        "nat_plugin.evaluators.base": ("Assessment", "EvaluatorContext", "Saved", "Split"),
        "nat_plugin.evaluators.scale": ("Scale",),
        "nat_plugin.evaluators.table": (
            "MEAN",
            "LookupTable",
            "Results",
            "TableLayout",
            "TableReader",
            "TableSettings",
            "Trained",
            "Unit",
        ),
        "nat_plugin.evaluators.trial": ("Trial",),
        "nat_plugin.execution.base": ("Executor", "ExecutorSettings"),
        "nat_plugin.ir.budget": ("Additive", "Metric"),
        "nat_plugin.ir.serial": ("strict_json",),
        "nat_plugin.literals": (
            "MAX_CHARS",
            "Call",
            "CharSpan",
            "Literal",
            "LiteralPath",
            "assigned_names",
            "is_json",
            "parse_literal",
            "parse_value",
        ),
        "nat_plugin.measuring.latency": ("Latency",),
        "nat_plugin.measuring.settings": ("LatencySettings",),
        "nat_plugin.network_json": ("is_network",),
        "nat_plugin.fingerprints": ("Outside", "OutsideName", "OutsidePath", "fingerprints"),
        "nat_plugin.patches": ("Patches", "closing"),
        "nat_plugin.search.base": ("Measurement", "Proposal", "Task"),
        "nat_plugin.settings": ("Settings", "State"),
        "nat_plugin.sources": ("read_text",),
    }
    _PLACES = {name: module for module, names in _IN.items() for name in names}
    __getattr__, __dir__ = lazy_names(__name__, _PLACES, {"Bench": "nat_plugin.extending:EvaluatorContext"})
