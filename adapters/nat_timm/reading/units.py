"""Which parts of a model are its blocks: the modules that become cells, and single layers outside of any block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from nat_timm.reading.branches import ADDS
from nat_timm.reading.trace import Step, Trace

BLOCKS = {
    "InvertedResidual": "mbconv",
    "InvertedResidualV3": "mbconv",
    "LinearBottleneck": "mbconv",
    "DepthwiseSeparableConv": "dsconv",
    "EdgeResidual": "edge",
    "UniversalInvertedResidual": "uib",
    "ConvBnAct": "conv",
    "BasicBlock": "basic",
    "DlaBasic": "basic",
    "Bottleneck": "bottleneck",
    "DlaBottleneck": "bottleneck",
    "Bottle2neck": "bottle2neck",
    "ResNestBottleneck": "resnest",
    "PreActBasic": "preact",
    "PreActBottleneck": "preact",
    "BottleneckBlock": "bottleneck",
    "DarkBlock": "dark",
    "EdgeBlock": "edge",
    "SelectiveKernelBasic": "basic",
    "SelectiveKernelBottleneck": "bottleneck",
    "ConvNeXtBlock": "convnext",
    "GhostBottleneck": "ghost",
    "RepVggBlock": "repvgg",
    "MobileOneBlock": "mobileone",
    "DenseLayer": "dense",
    "SepConvBlock": "sepconv",
    "MetaNeXtBlock": "metanext",
    "MetaFormerBlock": "metaformer",
    "StarBlock": "star",
    "FasterBlock": "faster",
    "OSABlock": "osa",
    "RepViTBlock": "repvit",
    "NormFreeBlock": "nf",
    "LightConvBnAct": "light",
}
"""Class names that are taken as blocks whole, and what their ops are called."""

ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.LeakyReLU, nn.ELU, nn.Mish, nn.Hardsigmoid, nn.Sigmoid,
    nn.Tanh,
)  # fmt: skip
_GATES = frozenset(["Sigmoid", "Hardsigmoid", "HardSigmoid", "HardSigmoidJit", "HardSigmoidMe", "Tanh"])
FUNCTIONS = {functional.relu: "relu", torch.relu: "relu", functional.silu: "silu", functional.gelu: "gelu"}


@dataclass(frozen=True, eq=False)
class ResidualForm:
    """The input of a block is added to what its branch computes, perhaps with an activation after: its path in the
    block, or the name of a function."""

    post: str | None


@dataclass(frozen=True, eq=False)
class ModelUnit:
    """A block (``path`` of a module), or a layer outside of any block (its ``path``, with norm and activation).

    ``input``: the one step outside that it reads (None: several); shapes are (C, H, W).
    """

    path: str
    label: str
    steps: tuple[Step, ...]
    input: Step | None
    reads: tuple[Step, ...]
    output: Step
    is_block: bool
    residual: ResidualForm | None = None


def is_activation(module: nn.Module | None) -> bool:
    return isinstance(module, ACTIVATIONS) or (
        module is not None
        and type(module).__module__.startswith(("timm.layers.activations", "torch.nn.modules.activation"))
    )


def is_gate(module: nn.Module | None) -> bool:
    """Whether an activation has bounded values, as what scales other values has: those need it, whatever it stands
    behind."""
    return type(module).__name__ in _GATES


def is_map(step: Step | None) -> bool:
    """Whether the value of a step is one feature map."""
    return step is not None and step.meta["shape"] is not None and len(step.meta["shape"]) == 4


def units(trace: Trace) -> tuple[ModelUnit, ...]:
    """The blocks and loose layers in order of execution."""
    inside: dict[str, list[Step]] = {}
    for step in trace.steps:
        for path in trace.owners(step):
            inside.setdefault(path, []).append(step)
    blocks = list(_blocks(trace, inside))
    taken = {step for unit in blocks for step in unit.steps}
    loose = list(_loose(trace, taken))
    return tuple(sorted([*blocks, *loose], key=lambda unit: trace.order[unit.steps[0]]))


def _blocks(trace: Trace, inside: dict[str, list[Step]]) -> Iterator[ModelUnit]:
    """A module of a known class is a block; another one is if it adds a shortcut and no module in it is a block."""
    candidates = [path for path in inside if path and type(trace.modules[path]).__name__ in BLOCKS]
    adding = {
        trace.owners(step)[-1]
        for step in trace.steps
        if step.target in ADDS and trace.owners(step) and is_map(step) and len(step.all_input_nodes) == 2
    }
    found: dict[str, ModelUnit] = {}
    for path in candidates:
        if not _within(path, found) and (unit := _block(trace, path, inside[path])) is not None:
            found[path] = unit
    inner = [path for path in sorted(adding, key=lambda path: -path.count(".")) if path and not _within(path, found)]
    for path in inner:
        if any(other.startswith(path + ".") for other in found) or _within(path, found):
            continue
        unit = _block(trace, path, inside[path])
        if unit is not None:
            found[path] = unit
    return iter(found.values())


def _within(path: str, found: dict[str, ModelUnit]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:end]) in found for end in range(1, len(parts) + 1))


def _block(trace: Trace, path: str, steps: list[Step]) -> ModelUnit | None:
    """A module as a unit: None unless it has one output that is a feature map, and weights of its own."""
    module = trace.modules[path]
    members = set(steps)
    outputs = [step for step in steps if any(user not in members for user in step.users)]
    reads = list(dict.fromkeys(each for step in steps for each in step.all_input_nodes if each not in members))
    if len(outputs) != 1 or not is_map(outputs[0]) or not any(True for _ in module.parameters()):
        return None
    single = reads[0] if len(reads) == 1 and is_map(reads[0]) else None
    label = BLOCKS.get(type(module).__name__, "block")
    residual = None if single is None else _residual(trace, path, outputs[0], single, members)
    return ModelUnit(path, label, tuple(steps), single, tuple(reads), outputs[0], True, residual)


def _residual(trace: Trace, path: str, output: Step, source: Step, members: set[Step]) -> ResidualForm | None:
    """How a block adds its input to its output, if it does: add, then at most an activation."""
    step, post = output, None
    while True:
        module = trace.module(step)
        if step.target in ADDS and len(step.all_input_nodes) == 2:
            break
        if isinstance(module, nn.Identity | nn.Dropout):
            pass
        elif (
            module is not None and is_activation(module) and post is None and not any(True for _ in module.parameters())
        ):
            post = str(step.target).removeprefix(path + ".")
            if not str(step.target).startswith(path + "."):
                return None
        elif step.target in FUNCTIONS and post is None:
            post = FUNCTIONS[step.target]
        else:
            return None
        if len(step.all_input_nodes) != 1 or step.all_input_nodes[0] not in members:
            return None
        step = step.all_input_nodes[0]
    if output.meta["shape"] != source.meta["shape"]:
        return None
    if any(_is_passed(trace, each, source) for each in step.all_input_nodes):
        return ResidualForm(post)
    return None


def _is_passed(trace: Trace, step: Step, source: Step) -> bool:
    """Whether a step gives the value of ``source`` as it is."""
    while step is not source:
        if not isinstance(trace.module(step), nn.Identity) or len(step.all_input_nodes) != 1:
            return False
        step = step.all_input_nodes[0]
    return True


def _loose(trace: Trace, taken: set[Step]) -> Iterator[ModelUnit]:
    """Convolutions and pools that stand in no block, with the norm and the activation that follow."""
    for step in trace.steps:
        module = trace.module(step)
        if step in taken or not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) or not is_map(step):
            continue
        if any(type(trace.modules[path]).__name__.endswith("ClassifierHead") for path in trace.owners(step)):
            continue  # a classifier that is a convolution belongs to the head
        if len(step.all_input_nodes) != 1 or not is_map(step.all_input_nodes[0]):
            continue
        steps = group(trace, step) if isinstance(module, nn.Conv2d) else (step,)
        label = "conv" if isinstance(module, nn.Conv2d) else "pool"
        read = step.all_input_nodes[0]
        yield ModelUnit(str(step.target), label, steps, read, (read,), steps[-1], False)


def group(trace: Trace, step: Step) -> tuple[Step, ...]:
    """A convolution with the norm and the activation that alone read it, each a module that is called once."""
    steps = [step]
    for kind in (is_norm, is_activation):
        users = list(steps[-1].users)
        module = trace.module(users[0]) if len(users) == 1 else None
        if module is not None and kind(module) and not is_gate(module) and trace.calls[str(users[0].target)] == 1:
            steps.append(users[0])
    return tuple(steps)


def is_norm(module: nn.Module | None) -> bool:
    """A norm, perhaps with its activation, over channels in dimension 1."""
    if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm):
        return True
    return (
        module is not None
        and "Norm" in type(module).__name__
        and any(hasattr(module, name) for name in ("num_features", "normalized_shape", "num_channels"))
    )
