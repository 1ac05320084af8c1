"""What a forward pass shows of a network of any make: the inputs of its activations, and the outputs of its blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

FEWEST_BLOCKS = 6
"""A network of fewer blocks has its largest ones opened: a chain of layers may be one module."""

_aten = torch.ops.aten
ACTIVATIONS = {
    _aten.relu, _aten.relu_, _aten.hardtanh, _aten.hardtanh_, _aten.leaky_relu, _aten.leaky_relu_,
    _aten.hardswish, _aten.hardswish_, _aten.silu, _aten.silu_, _aten.gelu, _aten.gelu_, _aten.mish, _aten.mish_,
    _aten.elu, _aten.elu_,
}  # fmt: skip
"""Half on, half off: what can be said of them by the sign of their input."""

See: TypeAlias = Callable[[Tensor], None]


class ActivationWatch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within, ``see`` gets the input (N, ...) of every activation, whoever calls it: a module or a function."""

    def __init__(self, see: See) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._see = see

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        if func.overloadpacket in ACTIVATIONS:
            self._see(args[0])
        return func(*args, **(kwargs or {}))


class BlockWatch:
    """Within, notes the last map (N, C, H, W) that every module gives."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._maps: dict[nn.Module, Tensor] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> BlockWatch:
        self._hooks = [each.register_forward_hook(self._note) for each in self._module.modules()]
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def _note(self, module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            self._maps.pop(module, None)  # so that the order is that of the last calls
            self._maps[module] = output

    def maps(self) -> list[Tensor]:
        """The outputs of the blocks, in the order of computation.

        Blocks are the outermost modules that are more than a norm, an activation or a pool, of which containers are
        opened, and the largest ones until there are ``FEWEST_BLOCKS``.
        """
        blocks = self._opened(self._module)
        while len(blocks) < FEWEST_BLOCKS:
            inner = {each: self._opened(each) for each in blocks}
            largest = max((each for each in blocks if len(inner[each]) > 1), key=_weights, default=None)
            if largest is None:
                break
            blocks = [each for block in blocks for each in (inner[block] if block is largest else [block])]
        chosen = set(blocks)
        return [output for module, output in self._maps.items() if module in chosen]

    def _opened(self, module: nn.Module) -> list[nn.Module]:
        found: list[nn.Module] = []
        for child in module.children():
            if not any(True for _ in child.children()) and not _weights(child):
                continue  # a norm, an activation, a pool
            if type(child).forward is nn.Sequential.forward or child not in self._maps:
                found += self._opened(child)
            else:
                found.append(child)
        return found


def _weights(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters() if each.ndim > 1)
