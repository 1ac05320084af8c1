"""timm: convolutional models as networks, leaner ones back as models that timm loads.

``import nat_timm`` makes the entrypoint ``nat_edited`` known to timm, so that ``timm.create_model("local-dir:…")``
loads what was saved here. timm itself is imported only when it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nat_plugin import Adapter, hookimpl
from nat_plugin.extending import lazy_names, moved_modules
from nat_plugin.ir import OpKind, register_op
from nat_timm.adapter import TimmAdapter
from nat_timm.building.registering import register_with_timm
from nat_timm.moves.ops import TIMM

if TYPE_CHECKING:
    from nat_plugin.data import Loader
    from nat_plugin.evaluators import Evaluator
    from nat_timm.advising.advise import advise
    from nat_timm.compacting.compact import compact
    from nat_timm.fitting.fit import fit
    from nat_timm.models import inherit, linearised, to_network
    from nat_timm.narrowing.thinning import thinned
    from nat_timm.narrowing.widths import narrowed, widths
    from nat_timm.saving.exporting import export_onnx, export_program
    from nat_timm.saving.folders import load, save
    from nat_timm.training.loaders import timm_loaders

# In which module each name is, so that torch and timm are imported only where one of them is used.
_LAZY = {
    "advise": "nat_timm.advising.advise",
    "compact": "nat_timm.compacting.compact",
    "fit": "nat_timm.fitting.fit",
    "timm_loaders": "nat_timm.training.loaders",
    "inherit": "nat_timm.models",
    "linearised": "nat_timm.models",
    "to_network": "nat_timm.models",
    "narrowed": "nat_timm.narrowing.widths",
    "thinned": "nat_timm.narrowing.thinning",
    "widths": "nat_timm.narrowing.widths",
    "load": "nat_timm.saving.folders",
    "save": "nat_timm.saving.folders",
    "export_onnx": "nat_timm.saving.exporting",
    "export_program": "nat_timm.saving.exporting",
}
__all__ = [
    "TimmAdapter",
    "advise",
    "compact",
    "export_onnx",
    "export_program",
    "fit",
    "inherit",
    "linearised",
    "load",
    "narrowed",
    "register_adapters",
    "register_datasets",
    "register_evaluators",
    "register_ops",
    "save",
    "thinned",
    "timm_loaders",
    "to_network",
    "widths",
]

__getattr__, __dir__ = lazy_names(__name__, _LAZY)

_SUBPACKAGES = {
    "building": ("comparing", "entrypoint", "features", "registering"),
    "compacting": ("checking", "magnitude", "result"),
    "documents": ("document", "edits"),
    "measuring": ("latency", "statistics"),
    "moves": ("chains", "naming", "ops", "variants"),
    "reading": ("branches", "parts", "trace", "units"),
    "saving": ("exporting", "stock", "weights"),
    "surgery": ("fusing", "hidden"),
    "training": ("evaluator", "loaders", "supernet", "tuning"),
}
"""Modules of earlier versions that lay flat, by the package that they are in now."""
_RENAMED = {
    "nat_timm.fitting.alone": "nat_timm.fitting.single_blocks",
    "nat_timm.standins": "nat_timm.surgery.replacements",
    "nat_timm.surgery.standins": "nat_timm.surgery.replacements",
}

register_op(TIMM)
register_with_timm()
moved_modules(
    {f"nat_timm.{old}": f"nat_timm.{place}.{old}" for place, names in _SUBPACKAGES.items() for old in names} | _RENAMED
)


@hookimpl
def register_adapters(register: Callable[[Adapter], None]) -> None:
    register(TimmAdapter())


@hookimpl
def register_ops(register: Callable[[OpKind], None]) -> None:
    register(TIMM)


@hookimpl
def register_evaluators(register: Callable[[str, type[Evaluator]], None]) -> None:
    from nat_timm.training.evaluator import TimmEvaluator

    register("timm", TimmEvaluator)


@hookimpl
def register_datasets(register: Callable[[str, Loader], None]) -> None:
    from nat_timm.data.stored import load_large_image_folder, load_webdataset

    register("large_image_folder", load_large_image_folder)
    register("webdataset", load_webdataset)
