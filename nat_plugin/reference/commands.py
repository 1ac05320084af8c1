"""The reference of the command line, made of what click knows of it."""

from __future__ import annotations

import click

from nat_plugin.cli import nat
from nat_plugin.plugins import Plugins

_HEAD = """# The command line

`nat COMMAND --help` says the same as this page, which is made of it: `python -m nat_plugin.reference docs/reference`.

SOURCE is an architecture: a literal, a file, `file.py:NAME`, a published name (`nat adapters` lists them), the folder
of a model or a run, or `-` for a line each on standard input. Results go to standard output, all else to standard
error.

| exit status | |
|---|---|
| 0 | done |
| 2 | a mistake in what was given: a line each on standard error, which says what, where and what to do |
| 130 | stopped by Ctrl-C; the line says how to go on |

`NAT_DEBUG=1` in the environment shows where an error comes from."""

_TYPES = {"integer": "whole number", "integer range": "whole number", "float": "number", "float range": "number"}


def commands_page(found: Plugins) -> str:
    """The page; ``found`` adds nothing to it, since plugins have no commands."""
    del found
    context = click.Context(nat, info_name="nat")
    lines = [_HEAD]
    for name in nat.list_commands(context):
        command = nat.get_command(context, name)
        assert command is not None
        lines += _section(command, click.Context(command, info_name=f"nat {name}"))
    return "\n".join(lines) + "\n"


def _section(command: click.Command, context: click.Context) -> list[str]:
    shown = [each for each in command.get_params(context) if isinstance(each, click.Option) and not each.hidden]
    options = [each for each in shown if "--help" not in each.opts]
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    usage = " ".join([context.info_name or "", *pieces, *(["[OPTIONS]"] if options else [])])
    lines = ["", f"## {context.info_name}", "", f"    {usage}", "", _prose(command.help or "")]
    if options:
        lines += ["", "| option | value | default | meaning |", "|---|---|---|---|", *map(_row, options)]
    return lines


def _row(option: click.Option) -> str:
    cells = [
        ", ".join(f"`{name}`" for name in option.opts),
        _value(option),
        _default(option),
        _prose(option.help or ""),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return ", ".join(map(str, option.type.choices))
    kind = option.metavar or _TYPES.get(option.type.name, option.type.name)
    if isinstance(option.type, click.IntRange | click.FloatRange):
        low, high = ("<" if option.type.min_open else "≤"), ("<" if option.type.max_open else "≤")
        kind += f", {option.type.min:g} {low} it {high} {option.type.max:g}"
    return kind + (", several" if option.multiple else "")


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    if isinstance(option.show_default, str):
        return option.show_default
    return str(option.default) if option.show_default and not option.is_flag else ""


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))
