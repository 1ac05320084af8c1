"""The command line: ``nat``. One small file per subcommand."""

from __future__ import annotations

import importlib
import sys
import warnings

import click

from nat_plugin import __version__
from nat_plugin.errors import NATError, debugging, traced

SUBCOMMANDS = {
    "run": "run",
    "resume": "resume",
    "compare": "compare",
    "show": "show",
    "convert": "convert",
    "transform": "transform",
    "export": "export",
    "adapters": "listings",
    "strategies": "listings",
    "evaluators": "listings",
    "datasets": "listings",
    "recipes": "listings",
}
"""Subcommand to the module that has it, imported only when it is asked for."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in SUBCOMMANDS:
            return None
        module = importlib.import_module(f"nat_plugin.cli.{SUBCOMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Errors are one line each; NAT_DEBUG=1 in the environment shows where they come from.",
)
@click.version_option(__version__, prog_name="nat")
def nat() -> None:
    """Take an architecture that you have, get a better or leaner one back, in the same format."""


def main() -> None:
    """Run the command line. What the user can mend ends in a line each and exit status 2; a bug shows its traceback."""
    warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # said while torch_geometric is imported
    try:
        nat(prog_name="nat")
    except NATError as error:
        if debugging():
            print(traced(error), end="", file=sys.stderr)
        for line in str(error).splitlines():
            print(f"nat: {line}", file=sys.stderr)
        sys.exit(2)
