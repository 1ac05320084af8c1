"""A module made to run as it will be deployed: by torch as it is, compiled, or by onnxruntime."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.measuring.settings import COMPILE, EAGER, ONNX, LatencySettings
from nat_plugin.timing import Run

_COMPILED = 100_000
"""So many modules of one class may be compiled: each is another program, whatever torch takes for too many."""


def place(module: nn.Module, compute: Compute) -> nn.Module:
    """The module on the device and in the memory format that all is computed in, in evaluation mode."""
    found: nn.Module = module.eval().to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    return found


def runner(module: nn.Module, images: Tensor, settings: LatencySettings) -> Run:
    """A pass of a placed module, which has run once. NATError where a runtime is missing or cannot run the module."""
    run = _MAKERS[settings.runtime](module, images, settings)
    run()
    return run


def check_runtime(settings: LatencySettings) -> None:
    """NATError where a runtime is not installed: said before anything is built."""
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None] if settings.runtime == ONNX else []
    if missing:
        raise NATError(
            f"runtime 'onnxruntime' needs {' and '.join(missing)}, not installed here: pip install 'nat-plugin[onnx]'"
        )


def _eager(module: Callable[[Tensor], Any], images: Tensor, settings: LatencySettings) -> Run:
    compute = settings.compute

    def run() -> Any:
        with torch.no_grad(), compute.precision():
            return module(images)

    return run


def _compiled(module: nn.Module, images: Tensor, settings: LatencySettings) -> Run:
    import torch._dynamo

    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    eager = _eager(torch.compile(module, dynamic=False), images, settings)
    limits: dict[str, Any] = {
        name: _COMPILED
        for name in ("recompile_limit", "accumulated_recompile_limit", "cache_size_limit")
        if hasattr(torch._dynamo.config, name)
    }

    def run() -> Any:
        with torch._dynamo.config.patch(limits):
            return eager()

    try:
        run()
    except Exception as error:
        raise NATError(f"{type(module).__name__}: torch.compile cannot run it: {_line(error)}") from error
    return eager


def _onnx(module: nn.Module, images: Tensor, settings: LatencySettings) -> Run:
    check_runtime(settings)
    import onnxruntime

    file: Any = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (images,), file, input_names=["images"], dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = settings.threads or torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
        given = {each.name: images.contiguous().numpy() for each in session.get_inputs()}
    except Exception as error:
        raise NATError(f"{type(module).__name__}: onnxruntime cannot run it: {_line(error)}") from error
    return lambda: session.run(None, given)


_MAKERS: dict[str, Callable[[nn.Module, Tensor, LatencySettings], Run]] = {
    EAGER: _eager,
    COMPILE: _compiled,
    ONNX: _onnx,
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
