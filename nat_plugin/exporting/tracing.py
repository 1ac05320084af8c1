"""The computation of a frozen model as a graph over layers of ``torch.nn``: nothing else is left as a module.

``torch.fx`` follows the model with values that stand for tensors. Here an example goes along with each, so that a model
may also branch on shapes (the cells of NAS-Bench-101 do): such a decision is taken as for the example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import fx, nn

from nat_plugin.errors import NATError

Example: TypeAlias = tuple[torch.Tensor, ...]
"""What the model is called with."""

_LAYERS = "torch.nn.modules."
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def layer_class(module: nn.Module) -> type[nn.Module] | None:
    """The class of ``torch.nn`` whose computation a module is, also where it is a subclass that does not change it
    (NNI's own layers); None for a container and for anything with a ``forward`` of its own."""
    if isinstance(module, CONTAINERS):
        return None
    order = type(module).__mro__
    computing = next(each for each in order if "forward" in vars(each))
    if computing is nn.Module or not computing.__module__.startswith(_LAYERS):
        return None
    return next(each for each in order if each.__module__.startswith(_LAYERS))


class _LayerTracer(fx.Tracer):
    """Layers are leaves. ``values`` has what each node is for the example."""

    def __init__(self, example: Example) -> None:
        super().__init__()
        self.example = list(example)
        self.values: dict[fx.Node, Any] = {}
        self._evaluating = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        del module_qualified_name
        return layer_class(m) is not None

    def create_arg(self, a: Any) -> Any:
        return super().create_arg(a.item() if isinstance(a, np.generic) else a)

    def create_proxy(self, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(*args, **kwargs)
        self._evaluating = True
        try:
            self.values[proxy.node] = self._value(proxy.node)
        finally:
            self._evaluating = False
        return proxy

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        return attr_val if self._evaluating else super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self._evaluating else super().call_module(m, forward, args, kwargs)

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(self.values[obj.node])

    def _known(self, node: fx.Node) -> Any:
        """What a node is for the example; buffers come into a graph without notice."""
        return self.values[node] if node in self.values else _attribute(self.root, str(node.target))

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self.example.pop(0) if self.example else (node.args[0] if node.args else None)
        args, kwargs = fx.map_arg((node.args, node.kwargs), self._known)
        if node.op == "get_attr":
            return _attribute(self.root, str(node.target))
        if node.op == "call_module":
            return self.root.get_submodule(str(node.target)).forward(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        function = node.target
        return function(*args, **kwargs) if callable(function) else args[0]


def trace(model: nn.Module, example: Example) -> fx.Graph:
    """The graph of a model in the mode (training or evaluation) that it is in. Running statistics of the model move,
    and random numbers are drawn, so give a copy. NATError for a model that cannot be followed."""
    tracer = _LayerTracer(example)
    try:
        with torch.no_grad():
            graph = tracer.trace(model)
    except Exception as error:
        raise NATError(
            f"the computation of {type(model).__name__} cannot be traced ({type(error).__name__}: "
            f"{_one_line(error)}); its forward may branch on shapes, not turn tensors into numbers"
        ) from error
    graph.lint()
    return graph


def _attribute(root: nn.Module, path: str) -> Any:
    found: Any = root
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
