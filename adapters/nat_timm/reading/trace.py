"""A model as a graph: traced by torch.fx with timm's leaf rules, run once on the meta device for shapes and MACs."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from nat_plugin import NATError
from nat_plugin.ir import Shape
from nat_plugin.nets import MACCounter
from nat_timm.framework import said, timm

_OPENED = frozenset(
    [
        "ConvNormAct",
        "ConvNormActAa",
        "SeparableConvNormAct",
        "SeparableConvBnAct",
        "Mlp",
        "ConvMlp",
        "GlobalResponseNormMlp",
        "ClassifierHead",
        "NormMlpClassifierHead",
        "ClNormMlpClassifierHead",
    ]
)
"""Modules of ``timm.layers`` that are looked into: their convolutions are choices."""
Step: TypeAlias = fx.Node


class _TimmTracer(fx.Tracer):
    def __init__(self, whole: tuple[type[nn.Module], ...], buffers: bool = False) -> None:
        """``buffers``: what is computed from them is steps, too."""
        layers = timm().layers
        self.proxy_buffer_attributes = buffers
        super().__init__(autowrap_functions=tuple(layers.get_notrace_functions()))
        self._leaves = (*layers.get_notrace_modules(), *whole)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        kind = type(m)
        if kind.__name__ == "NormFreeBlock":  # timm's reason not to trace it matters only for graphs that are run
            return False
        if isinstance(m, self._leaves) or kind.__name__ == "SqueezeExcite":
            return True
        if kind.__module__.startswith("timm.layers"):
            return kind.__name__ not in _OPENED
        return super().is_leaf_module(m, module_qualified_name)


class _Runner(fx.Interpreter):
    """Notes shape and MACs at every step."""

    def __init__(self, module: fx.GraphModule, counter: MACCounter) -> None:
        super().__init__(module)
        self._counter = counter

    def run_node(self, n: fx.Node) -> Any:
        before = self._counter.macs
        if n.op == "call_module" and isinstance(self.fetch_attr(n.target), SHAPELESS):  # type: ignore[arg-type]
            result = self.fetch_args_kwargs_from_env(n)[0][0]
        else:
            result = super().run_node(n)
        n.meta["macs"] = self._counter.macs - before
        n.meta["shape"] = tuple(result.shape) if isinstance(result, torch.Tensor) else None
        return result


def _traced(model: nn.Module, whole: tuple[type[nn.Module], ...]) -> fx.Graph:
    """The graph, whose values all follow from the model where that can be: what torch.fx took for a constant has no
    value on the meta device."""
    graph = _TimmTracer(whole).trace(model)
    if any(step.op == "get_attr" and str(step.target).startswith(_CONSTANT) for step in graph.nodes):
        with suppress(Exception):  # control flow may depend on a buffer
            return _TimmTracer(whole, buffers=True).trace(model)
    return graph


_CONSTANT = "_tensor_constant"
"""What torch.fx calls tensors that it keeps."""
SHAPELESS = (nn.modules.batchnorm._BatchNorm, nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Identity)
"""What computes no products and gives the shape that it gets need not be run: half of the time goes there."""


def positions(module: nn.Module, shape: tuple[int, ...]) -> int:
    """How often the weights of a convolution or linear layer are used for one image with an output of ``shape``."""
    sizes = shape[2:] if isinstance(module, nn.Conv2d) else shape[1:-1]
    count = 1
    for size in sizes:
        count *= size
    return count


@dataclass(frozen=True, eq=False)
class Trace:
    """The steps of a model in order; each has ``meta["shape"]`` (with a batch of one; None: no tensor) and
    ``meta["macs"]``. ``model`` is on the meta device and has the paths and shapes of the original."""

    model: nn.Module
    steps: tuple[Step, ...]
    input: Shape

    @cached_property
    def order(self) -> dict[Step, int]:
        return {step: number for number, step in enumerate(self.steps)}

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        return dict(self.model.named_modules())

    @cached_property
    def params(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())

    @cached_property
    def macs(self) -> int:
        return sum(step.meta["macs"] for step in self.steps)

    @cached_property
    def calls(self) -> dict[str, int]:
        """How often each module is called."""
        found: dict[str, int] = {}
        for step in self.steps:
            if step.op == "call_module":
                found[str(step.target)] = found.get(str(step.target), 0) + 1
        return found

    def module(self, step: Step) -> nn.Module | None:
        return self.modules[str(step.target)] if step.op == "call_module" else None

    @staticmethod
    def owners(step: Step) -> tuple[str, ...]:
        """The paths of the modules in whose forward a step happens, from the outermost, the called one last."""
        return tuple(path for path, _ in (step.meta.get("nn_module_stack") or {}).values())


def to_meta(model: nn.Module) -> nn.Module:
    """A copy without weights, on the meta device."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(torch.empty_like(parameter, device="meta"), parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(model, memo)


def trace(model: nn.Module, input: Shape, name: str, whole: tuple[type[nn.Module], ...] = ()) -> Trace:
    """``model`` has to be on the meta device (``to_meta``). ``whole``: kinds of modules that are one step. NATError
    where torch.fx cannot follow its control flow, or where it does not take images of ``input``."""
    model.eval()
    try:
        graph = _traced(model, whole)
        module = fx.GraphModule(model, graph)
    except Exception as error:
        raise NATError(f"{name}: torch.fx cannot trace this model: {said(error)}") from error
    try:
        with torch.no_grad(), MACCounter() as counter:
            _Runner(module, counter).run(torch.empty(1, *input, device="meta"))
    except Exception as error:
        raise NATError(
            f"{name}: the model does not run on images of {'x'.join(map(str, input))}: {said(error)}"
        ) from error
    return Trace(model, tuple(graph.nodes), input)
