"""Any model as Python source that needs nothing but torch: its layers by their paths, and its computation as it was
followed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from nat_plugin.errors import NATError
from nat_plugin.exporting.constructors import constructor
from nat_plugin.exporting.text import module_text
from nat_plugin.exporting.tracing import layer_class

_BODY = '''def _put(root, path, value):
    """Set a layer, parameter or buffer where it stands in the model, ``stages.0.1``."""
    *above, name = path.split(".")
    for each in above:
        if not hasattr(root, each):
            root.add_module(each, nn.Module())
        root = getattr(root, each)
    if isinstance(value, nn.Module):
        root.add_module(name, value)
    elif isinstance(value, nn.Parameter):
        root.register_parameter(name, value)
    else:
        root.register_buffer(name, value)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
{layers}

{methods}
'''
_IMPORTS = {"device": "from torch import device", "inf": "from math import inf", "nan": "from math import nan"}
_PLAIN = {"torch", "math", "operator", "_operator", "builtins"}
"""What generated code may import from."""
_TWO_MODES = """    def forward(self, *args):
        return self._training(*args) if self.training else self._evaluation(*args)
"""


def traced_source(model: nn.Module, evaluation: fx.Graph, training: fx.Graph, title: str) -> str:
    """The text of a module with a class ``Model``, and ``load``. ``evaluation`` and ``training``: what it computes in
    each mode. NATError for a layer or a function that torch alone cannot make."""
    layers = "\n".join(f"        _put(self, {path!r}, {code})" for path, code in _parts(model))
    imports = {"import torch", "from torch import nn"}
    codes = [_method(graph, imports) for graph in (evaluation, training)]
    if codes[0] == codes[1]:
        methods = codes[0]
    else:
        names = ("_evaluation", "_training")
        bodies = [code.replace("def forward(", f"def {name}(", 1) for name, code in zip(names, codes, strict=True)]
        methods = "\n".join([_TWO_MODES, *bodies])
    return module_text(title, imports, _BODY.format(layers=layers, methods=methods.rstrip()))


def _parts(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Paths and constructors of all layers, and of parameters and buffers outside of them, in the order of the
    model."""
    inside: list[str] = []
    for path, module in model.named_modules(remove_duplicate=False):
        if any(path.startswith(each) for each in inside):
            continue
        kind = layer_class(module) if path else None
        if kind is not None:
            inside.append(f"{path}.")
            yield path, constructor(path, module, kind)
            continue
        dot = f"{path}." if path else ""
        for name, parameter in module.named_parameters(recurse=False):
            yield f"{dot}{name}", f"nn.Parameter({_empty(parameter)}, requires_grad={parameter.requires_grad})"
        for name, buffer in module.named_buffers(recurse=False):
            if name in module._non_persistent_buffers_set:
                raise NATError(f"buffer '{dot}{name}' is not in the weights of the model, and cannot be exported")
            yield f"{dot}{name}", _empty(buffer)


def _empty(tensor: torch.Tensor) -> str:
    return f"torch.zeros({tuple(tensor.shape)}, dtype={tensor.dtype})"


def _method(graph: fx.Graph, imports: set[str]) -> str:
    """The source of ``forward``. What it needs besides torch is added to ``imports``."""
    code = graph.python_code("self")
    text = "\n".join(line for line in code.src.strip().splitlines() if line.strip())
    text = re.sub(r"def forward\(self,? ?(.*?)\)(?: ->.*)?:", _signature, text, count=1)
    tree = ast.parse(text)
    known = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    known |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for name in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} - known - {"torch"}:
        if name in _IMPORTS:
            imports.add(_IMPORTS[name])
        elif name in code.globals:
            imports.add(_import(name, code.globals[name]))
    return "\n".join(f"    {line}" for line in text.splitlines()) + "\n"


def _signature(match: re.Match[str]) -> str:
    """Without types, which may name what is not imported."""
    names = re.sub(r":\s*[^,=]+", "", match[1])
    return f"def forward(self, {names.strip()}):"


def _import(name: str, value: Any) -> str:
    module, inner = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not module or module.partition(".")[0] not in _PLAIN or not inner or "." in inner:
        raise NATError(f"the model calls {module}.{inner}, which is not part of torch; it cannot be exported")
    return f"from {module} import {inner} as {name}" if inner != name else f"from {module} import {name}"
