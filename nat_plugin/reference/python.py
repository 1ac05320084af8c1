"""The reference of the Python API, made of signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from types import GenericAlias, ModuleType
from typing import Any

import nat_plugin
from nat_plugin import hookspecs
from nat_plugin.plugins import Plugins

_HEAD = """# Python, name by name

How these names go together: [the Python API](python.md); what is promised of them: [stability](stability.md). This page
is made of signatures and docstrings: `python -m nat_plugin.reference docs/reference`. `nat.nni` is explained in
[NNI](formats/nni.md)."""
PROMISED = {
    "nat_plugin.ir": "Networks, ops and their layers, moves, budgets, costs; explained in [the cell IR](ir.md).",
    "nat_plugin.ir.vertices": "Cells with their operations at the vertices, for adapters of such formats.",
    "nat_plugin.extending": "What most plugins need; explained in [an adapter of your own](../how-to/adapter.md).",
    "nat_plugin.advising": "Advice on networks with weights: what each change saves and changes.",
    "nat_plugin.data": "Data sets: where images come from, splits, batches.",
    "nat_plugin.device": "Where and in which precision is computed.",
    "nat_plugin.evaluators": "What measures networks, and the images that it does so on.",
    "nat_plugin.execution": "Calls carried out side by side; explained in [scale out](../how-to/scale-out.md).",
    "nat_plugin.exporting": "Networks and modules as source that needs nothing but torch.",
    "nat_plugin.files": "Files read up to a limit, and written whole or not at all.",
    "nat_plugin.fitting": "Weights of convolutions by ridge regression on what goes in and what is to come out.",
    "nat_plugin.measuring": "Latency and tables of costs; explained in [latency](../how-to/latency.md).",
    "nat_plugin.nets": "Networks as torch modules, fixed or sharing weights, and their costs counted.",
    "nat_plugin.reporting": "The report of a folder.",
    "nat_plugin.runs": "Parts of a run: settings that are checked, folder, journal, search, workers, progress.",
    "nat_plugin.search": "What strategies are made of.",
    "nat_plugin.tensors": "Safetensors files read up to a limit.",
    "nat_plugin.timing": "How long things take, compared in turns.",
    "nat_plugin.training": "Training by steps and epochs, random numbers by seed, accuracies with intervals.",
}
"""Modules beside ``nat_plugin`` whose ``__all__`` is promised, and what each is for."""
_VALUES = {"nat.hookimpl": "Marks the functions by which a plugin registers what it adds (a marker of pluggy)."}
_HOOK = "register_"


def python_page(found: Plugins) -> str:
    """The page; ``found`` adds nothing to it, since plugins have documentation of their own."""
    del found
    lines = [_HEAD]
    for short, module in (("nat", nat_plugin), ("nat.timm", nat_plugin.timm)):
        lines += ["", f"## {short}"]
        for public in _public(module):
            lines += _entry(f"{short}.{public}", getattr(module, public))
    for name, about in PROMISED.items():
        module = import_module(name)
        lines += ["", f"## {name}", "", about, "", "| name | |", "|---|---|"]
        lines += [f"| `{each}` | {_first(getattr(module, each))} |" for each in _public(module)]
    return "\n".join(lines) + "\n"


def _public(module: ModuleType) -> list[str]:
    """Names that are promised, functions before classes; not those that pluggy calls."""
    things = {name: getattr(module, name) for name in module.__all__}
    names = [
        name for name, thing in things.items() if not name.startswith((_HOOK, "__")) and not inspect.ismodule(thing)
    ]
    return sorted(names, key=lambda name: (_is_class(things[name]), name))


def _is_class(thing: Any) -> bool:
    """Not of ``tuple[int, ...]``, which Python 3.10 takes for a class."""
    return inspect.isclass(thing) and not isinstance(thing, GenericAlias)


def _entry(name: str, thing: Any) -> Iterator[str]:
    yield from ("", f"### {name}", "")
    if _is_class(thing):
        yield _prose(_doc(thing))
        members = [f"- {line}" for line in _members(thing)]
        yield from ["", *members] if members else []
    elif inspect.isroutine(thing):
        yield from ("```python", _signature(name, thing, broken=True), "```", "", _prose(_doc(thing)))
    else:
        yield _VALUES[name]
        yield from ("", _prose(_doc(hookspecs).partition("\n\n")[2]))


def _members(thing: type) -> Iterator[str]:
    if is_dataclass(thing):
        yield from (f"`{each.name}: {_type(each.type)}`" for each in fields(thing) if not each.name.startswith("_"))
    for name, member in vars(thing).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"`{name}`: {_first(member)}".rstrip(": ")
        elif isinstance(member, staticmethod | classmethod) or inspect.isfunction(member):
            called = getattr(thing, name)
            yield f"`{_signature(name, called)}`: {_first(called)}".rstrip(": ")


def _signature(name: str, thing: Any, broken: bool = False) -> str:
    """As it would be written; ``broken``: a line for each of more than four parameters."""
    found = inspect.signature(thing)
    parts: list[str] = []
    for each in found.parameters.values():
        if each.name in ("self", "cls"):
            continue
        if each.kind is each.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(_parameter(each))
    result = f" -> {_type(found.return_annotation)}" if found.return_annotation is not found.empty else ""
    if broken and len(parts) > 4:
        return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"
    return f"{name}({', '.join(parts)}){result}"


def _parameter(each: inspect.Parameter) -> str:
    star = "*" if each.kind is each.VAR_POSITIONAL else "**" if each.kind is each.VAR_KEYWORD else ""
    kind = f": {_type(each.annotation)}" if each.annotation is not each.empty else ""
    value = "..." if inspect.isroutine(each.default) else repr(each.default)
    return f"{star}{each.name}{kind}" + (f" = {value}" if each.default is not each.empty else "")


def _type(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _doc(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").strip()


def _first(thing: Any) -> str:
    """The first sentence of a docstring; values have none of their own."""
    if not (_is_class(thing) or inspect.isroutine(thing) or isinstance(thing, property)):
        return ""
    sentence = re.split(r"(?<=\.)\s|\n\n", _doc(thing))[0]
    return " ".join(sentence.replace("``", "`").split()).replace("|", "\\|")


def _prose(text: str) -> str:
    """Paragraphs as they are, examples as code."""
    blocks = text.split("\n\n")
    return "\n\n".join(
        f"```pycon\n{block}\n```" if block.startswith(">>>") else block.replace("``", "`") for block in blocks
    )
