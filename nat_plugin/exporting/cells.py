"""The module that the core builds of a network as Python source: functions for its ops, a class for every cell."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from nat_plugin.exporting.families import WIDTH, ConstructorCall, Family, fresh, made
from nat_plugin.exporting.text import module_text
from nat_plugin.ir import layout
from nat_plugin.nets import blocks
from nat_plugin.nets.fixed import CellNetwork
from nat_plugin.nets.steps import NodeStep, cell_steps

_IMPORTS = {"import torch", "from torch import Tensor, nn"}
_CELL = """class {name}(nn.Module):
    def __init__(self, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, {inputs}):
{lines}
        return {output}
"""
_MODEL = '''class Model(nn.Module):
    """Images (N, {channels}, {height}, {width}) to logits (N, {classes})."""

    def __init__(self):
        super().__init__()
        self.stem = nn.ModuleList([
{stem}
        ])
        self.cells = nn.ModuleList([
{cells}
        ])
        self.features = {features}
        self.classifier = {classifier}

    def forward(self, x):
{lines}
        return self.classifier(self.features({last}).mean((2, 3)))
'''


@dataclass(frozen=True)
class _Program:
    """What a cell computes: its steps with what each runs, and its output."""

    inputs: int
    steps: tuple[tuple[NodeStep, str], ...]
    output: tuple[int, ...]


def cells_source(net: CellNetwork, title: str) -> str:
    """The text of a module with a class ``Model``, and ``load``: with the names that ``net`` gives its weights."""
    network = net.network
    programs = []
    for placed in layout(network).placed:
        cell = placed.cell
        steps = cell_steps(cell, lambda _: "projection", lambda _, edge: str(edge.op), lambda _: "norm",
                           range(cell.inputs))  # fmt: skip
        programs.append(_Program(cell.inputs, tuple(steps), cell.output))
    parts = [[made(part) for part in cell.get_submodule("parts").children()] for cell in net.cells]
    families = _families(
        (label, part) for program, own in zip(programs, parts, strict=True)
        for (_, label), part in zip(program.steps, own, strict=True)
    )  # fmt: skip
    others = [made(each) for each in (*net.stem, net.features, net.classifier)]
    used = {name for each in [*others, *(part for own in parts for part in own)] for name in each.names()}
    copied = [kind for name, kind in vars(blocks).items() if name in used]
    names: dict[_Program, str] = {}
    taken = {"Model", "load", "Tensor", *used, *(family.name for family in families.values())}
    for program, placement in zip(programs, network.placements, strict=True):
        if program not in names:
            title_ = "".join(word[:1].upper() + word[1:] for word in placement.cell.replace(".", "_").split("_"))
            names[program] = fresh(title_ if title_.endswith("Cell") else f"{title_}Cell", [*taken, *names.values()])
    lines, last = _forward(net)
    *stem, features, classifier = others
    model = _MODEL.format(
        channels=network.input[0], height=network.input[1], width=network.input[2], classes=network.head.classes,
        stem="\n".join(f"            {each.text(12)}," for each in stem),
        cells="\n".join(
            _wrapped(names[program], [_call(families, part) for part in own])
            for program, own in zip(programs, parts, strict=True)
        ),
        features=features.text(8), classifier=classifier.text(), lines=lines, last=last,
    )  # fmt: skip
    body = [
        *(inspect.getsource(kind).rstrip() for kind in copied),
        *(family.function() for family in families.values()),
        *(_cell(name, program).rstrip() for program, name in names.items()),
        model,
    ]
    text = "\n\n\n".join(body)
    imports = _IMPORTS | ({"import torch.nn.functional as F"} if re.search(r"\bF\.", text) else set())
    return module_text(title, imports, text)


def _families(parts: Iterable[tuple[str, ConstructorCall]]) -> dict[ConstructorCall, Family]:
    """The function for every part that consists of several layers, by the part's shape."""
    members: dict[ConstructorCall, dict[ConstructorCall, None]] = {}
    labels: dict[ConstructorCall, str] = {}
    for label, part in parts:
        if part.inside:
            members.setdefault(part.shape, {})[part] = None
            labels.setdefault(part.shape, label)
    found: dict[ConstructorCall, Family] = {}
    for shape, label in labels.items():
        name = fresh(label, {"nn", "torch", "F", *(family.name for family in found.values())})
        found[shape] = Family(name, tuple(members[shape]))
    return found


def _call(families: dict[ConstructorCall, Family], part: ConstructorCall) -> str:
    family = families.get(part.shape)
    return part.text() if family is None else family.call(part)


def _cell(name: str, program: _Program) -> str:
    nodes = [f"in{number}" for number in range(program.inputs)]
    nodes += [
        f"n{number}" for number in range(program.inputs, 1 + max((s.target for s, _ in program.steps), default=0))
    ]
    lines: list[str] = []
    sums: dict[int, list[tuple[str, str]]] = {}
    for number, (step, label) in enumerate(program.steps):
        term = (f"self.parts[{number}]({nodes[step.source]})", label)
        if step.adds:
            sums[step.target].append(term)
            continue
        lines += _sums(nodes, sums)
        sums = {step.target: [term]}
    lines += _sums(nodes, sums)
    found = [nodes[node] for node in program.output]
    output = found[0] if len(found) == 1 else f"torch.cat([{', '.join(found)}], 1)"
    return _CELL.format(name=name, inputs=", ".join(nodes[: program.inputs]), lines="\n".join(lines), output=output)


def _sums(nodes: list[str], sums: dict[int, list[tuple[str, str]]]) -> list[str]:
    lines = []
    for target, terms in sums.items():
        line = f"{nodes[target]} = {' + '.join(term for term, _ in terms)}  # {', '.join(label for _, label in terms)}"
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        first, *others = (f"{term}  # {label}" for term, label in terms)
        lines += [f"{nodes[target]} = (", f"    {first}", *(f"    + {each}" for each in others), ")"]
    return [f"        {line}" for line in lines]


def _forward(net: CellNetwork) -> tuple[str, str]:
    """The lines that run stem and cells, and the name of the last tensor. A tensor that is not read any more leaves its
    name, and with it its memory, to the next."""
    lines, names = [], {}
    before = "x"
    for number in range(len(net.stem)):
        names[number] = f"x{number}"
        lines.append(f"x{number} = self.stem[{number}]({before})")
        before = f"x{number}"
    for place, sources in enumerate(net.sources):
        read = ", ".join(names[source] for source in sources)
        for source in net.expired[place]:
            del names[source]
        free = (f"x{number}" for number in range(len(names) + 1))
        name = next(each for each in free if each not in names.values())
        names[len(net.stem) + place] = before = name
        lines.append(f"{name} = self.cells[{place}]({read})")
    return "\n".join(f"        {line}" for line in lines), before


def _wrapped(name: str, arguments: list[str]) -> str:
    """A call inside a list, over as many lines as it needs."""
    line = f"            {name}({', '.join(arguments)}),"
    if len(line) <= WIDTH:
        return line
    lines, row = [f"            {name}("], "               "
    for argument in arguments:
        if len(row) + len(argument) + 2 > WIDTH:
            lines.append(row)
            row = "               "
        row += f" {argument},"
    return "\n".join([*lines, row, "            ),"])
