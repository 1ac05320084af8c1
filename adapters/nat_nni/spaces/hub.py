"""The spaces of NNI's hub by name. Cell spaces and NasBench201 are known without NNI, the others are built by it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from nat_nni.framework import load
from nat_nni.samples.described import Described
from nat_nni.spaces.colour import InColour
from nat_nni.spaces.nasbench101 import NB101Space
from nat_nni.spaces.nasbench201 import NB201Space
from nat_nni.spaces.nds import CELLS, WIDTH, NDSSpace
from nat_plugin import NATError

DARTS = (
    *("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5"),
    *("dil_conv_3x3", "dil_conv_5x5"),
)
ENAS = ("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "avg_pool_3x3", "max_pool_3x3")
AMOEBA = (
    *("skip_connect", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "avg_pool_3x3", "max_pool_3x3"),
    *("dil_sep_conv_3x3", "conv_7x1_1x7"),
)
NASNET = (
    *("skip_connect", "conv_3x1_1x3", "conv_7x1_1x7", "dil_conv_3x3", "avg_pool_3x3", "max_pool_3x3", "max_pool_5x5"),
    *("max_pool_7x7", "conv_1x1", "conv_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7"),
)
PNAS = (
    *("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "conv_7x1_1x7", "skip_connect", "avg_pool_3x3"),
    *("max_pool_3x3", "dil_conv_3x3"),
)
_STOCK = (
    NDSSpace("DARTS", DARTS, False, 4),
    NDSSpace("ENAS", ENAS, True, 5),
    NDSSpace("AmoebaNet", AMOEBA, True, 5),
    NDSSpace("NASNet", NASNET, True, 5),
    NDSSpace("PNAS", PNAS, False, 5),
)
SUFFIX = "WithNone"
CELL_SPACES: Mapping[str, NDSSpace] = {
    **{each.title: each for each in _STOCK},
    **{
        each.title + SUFFIX: replace(each, title=each.title + SUFFIX, ops=("none", *each.ops), drops_dead=True)
        for each in _STOCK
    },
}
"""The cell spaces of the hub, and those of ``nat_nni.spaces``."""
BUILT = ("NasBench101", "MobileNetV3Space", "ProxylessNAS", "ShuffleNetSpace")
NAMES = (*CELL_SPACES, "NasBench201", *BUILT)
EVALUATION_WIDTH, EVALUATION_CELLS = 36, 20
"""Of a cell space where neither arguments nor sample say: the evaluation network of DARTS."""
_OF_TRAINING = ("auxiliary_loss", "drop_path_prob")
"""Arguments that change nothing here."""


def find_space(name: str, arguments: Mapping[str, Any], labels: Mapping[str, Any], classes: int) -> Described:
    """A space by name and arguments. ``labels``: of the sample; one with ``width`` or ``depth`` is of a space that
    chooses those. ``classes``: where the arguments do not say. NATError for unknown names and arguments."""
    if name in CELL_SPACES:
        return _cell_space(CELL_SPACES[name], arguments, labels)
    if name == "NasBench201":
        known = {"stem_out_channels": 16, "num_modules_per_stack": 5, "num_labels": classes}
        _check_names(name, arguments, known)
        channels, modules, classes = (_count(name, each, arguments.get(each, own)) for each, own in known.items())
        return NB201Space(channels, modules, classes)
    if name in BUILT:
        return _built(name, json.dumps(dict(arguments), sort_keys=True), classes)
    raise NATError(f"unknown NNI space '{name[:60]}'; allowed: {', '.join(NAMES)}")


def _cell_space(space: NDSSpace, arguments: Mapping[str, Any], labels: Mapping[str, Any]) -> NDSSpace:
    _check_names(space.title, arguments, ("width", "num_cells", "dataset", *_OF_TRAINING))
    dataset = arguments.get("dataset", "cifar")
    if dataset not in ("cifar", "imagenet"):
        raise NATError(f"{space.title}: dataset {dataset!r:.40} is not known; allowed: cifar, imagenet")
    width = arguments.get("width", WIDTH if "width" in labels else EVALUATION_WIDTH)
    cells = arguments.get("num_cells", CELLS if "depth" in labels else EVALUATION_CELLS)
    sizes = (_sizes(space.title, "width", width), _sizes(space.title, "num_cells", cells))
    return replace(space, width=sizes[0], cells=sizes[1], dataset=dataset)


def _sizes(title: str, name: str, value: Any) -> int | tuple[int, ...]:
    if isinstance(value, list | tuple) and value:
        return tuple(_count(title, name, each) for each in value)
    return _count(title, name, value)


def _count(title: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 100_000:
        raise NATError(f"{title}: {name} is {value!r:.40}; it takes a whole number from 1 to 100000")
    return value


def _check_names(title: str, arguments: Mapping[str, Any], known: Any) -> None:
    for each in arguments:
        if each not in known:
            raise NATError(f"{title} has no argument '{str(each)[:60]}'; it has {', '.join(known)}")


@lru_cache(maxsize=32)
def _built(name: str, arguments: str, classes: int) -> Described:
    """A space that NNI builds, without weights."""
    given = {each: _tuples(value) for each, value in json.loads(arguments).items()}
    import torch

    kind = getattr(load("nni.nas.hub.pytorch"), name)
    known = inspect.signature(getattr(kind, "_init_wrapped", kind.__init__)).parameters
    _check_names(name, given, [each for each in known if each != "self"])
    try:
        with torch.device("meta"):
            space = kind(**{"num_labels": classes, **given})
    except (TypeError, ValueError, AssertionError, RuntimeError, IndexError) as error:
        raise NATError(f"{name} cannot be built with {arguments[:200]}: {str(error)[:200]}") from None
    return InColour(NB101Space(space) if name == "NasBench101" else load("nat_nni.generic.space").GenericSpace(space))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(each) for each in value) if isinstance(value, list) else value
