"""The command line: ``nat``. One small file per subcommand."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

import click

from nat_plugin import __version__
from nat_plugin.errors import NATError, debugging, traced

SUBCOMMANDS = {
    "run": "run",
    "train": "train",
    "resume": "resume",
    "compare": "compare",
    "report": "report",
    "show": "show",
    "convert": "convert",
    "transform": "transform",
    "export": "export",
    "advise": "advise",
    "measure": "measure",
    "adapters": "listings",
    "strategies": "listings",
    "evaluators": "listings",
    "executors": "listings",
    "datasets": "listings",
    "recipes": "listings",
}
"""Subcommand to the module that has it, imported only when it is asked for."""


class Stopped(Exception):
    """Ctrl-C, with what there is to say about it."""


@contextmanager
def stoppable(hint: Callable[[], str]) -> Iterator[None]:
    """Ctrl-C within is answered with how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(hint()) from None


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

    def invoke(self, ctx: click.Context) -> Any:
        with stoppable(lambda: "stopped"):  # before click makes "Aborted!" of it
            return super().invoke(ctx)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Errors are one line each; NAT_DEBUG=1 in the environment shows where they come from.",
)
@click.version_option(__version__, prog_name="nat")
def nat() -> None:
    """Take an architecture that you have, get a better or leaner one back, in the same format."""


USER, INTERRUPTED = 2, 130
"""Exit statuses: what the user can mend, and Ctrl-C as shells have it."""
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def main() -> None:
    """Run the command line. What the user can mend ends in a line each and exit status 2; a bug shows its traceback."""
    warnings.filterwarnings("ignore", "`torch.jit", FutureWarning)  # said while torch_geometric is imported
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    try:
        status = nat.main(prog_name="nat", standalone_mode=False)
        sys.stdout.flush()
    except NATError as error:
        _end(USER, *str(error).splitlines(), trace=traced(error) if debugging() else "")
    except Stopped as error:
        _end(INTERRUPTED, str(error))
    except click.Abort:
        _end(INTERRUPTED, "stopped")
    except click.ClickException as error:
        with suppress(OSError):
            error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still holds, and would fail to write at its end
        _end(USER, f"standard output: cannot write: {error.strerror}", trace=traced(error) if debugging() else "")
    sys.exit(status if isinstance(status, int) else 0)


def _open_closed_streams() -> None:
    """A standard stream that was closed is as an empty one: the next file to be opened would be taken for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - open as long as the process


def _end(status: int, *lines: str, trace: str = "") -> NoReturn:
    with suppress(OSError):
        print(trace, end="", file=sys.stderr)
        for line in lines:
            print(f"nat: {line}", file=sys.stderr)
    sys.exit(status)
