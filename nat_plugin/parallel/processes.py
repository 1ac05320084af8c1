"""The other processes of this machine: the same command again, watched while the run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, NoReturn

from nat_plugin.errors import NATError

STARTED_BY = "NAT_STARTED_BY"
"""The number of the process that started this one as another rank."""
EVERY, GRACE = 0.2, 5.0
"""Seconds between two looks at the others, and those in which the main thread may see by itself that one is gone."""
TO_END = 60.0
"""Seconds in which the others have to end, once the run has."""
_OURS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE", "OMP_NUM_THREADS")


@contextmanager
def environment() -> Iterator[None]:
    """What is said in the environment to connect processes is gone afterwards."""
    before = {name: os.environ.get(name) for name in _OURS}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class OtherProcesses:
    """Those that this one has started. Where one of them dies, this one cannot go on; where this one ends, however, so
    do they."""

    def __init__(self) -> None:
        self._processes: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []
        self._over = threading.Event()
        self.hint = ""
        """What is said where one of them is lost, behind why."""

    def __enter__(self) -> OtherProcesses:
        parent = os.environ.get(STARTED_BY)
        if parent is not None:
            self._in_thread(self._end_with, int(parent))
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for process, said in self._processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            said.close()

    def start(self, devices: int, nodes: int, port: int) -> None:
        """The same command for all other devices of this node. NATError where there is no command to give again."""
        if nodes > 1 and not {"MASTER_ADDR", "MASTER_PORT", "NODE_RANK"} <= os.environ.keys():
            raise NATError(
                f"fabric.nodes is {nodes}: start the same command on each node by torchrun or srun, or with "
                "MASTER_ADDR, MASTER_PORT and NODE_RANK in the environment"
            )
        if hasattr(sys, "ps1"):
            raise NATError("several devices need a command or a script that can be started again: not a notebook")
        os.environ.update(LOCAL_RANK="0", WORLD_SIZE=str(devices * nodes), MASTER_PORT=str(port))
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("NODE_RANK", "0")
        command = [sys.executable, *sys.orig_argv[1:]]
        for number in range(1, devices):
            said = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
            own = {**os.environ, "LOCAL_RANK": str(number), STARTED_BY: str(os.getpid())}
            process = subprocess.Popen(
                command, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
            )
            self._processes.append((process, said))
        self._in_thread(self._watch)

    def dead(self) -> str:
        """Which of them ended too early, and how; empty for none."""
        for number, (process, said) in enumerate(self._processes, start=1):
            status = process.poll()
            if status:
                which = f"the process of device {number} (number {process.pid})"
                if status < 0:
                    return f"{which} was ended by signal {-status} ({signal.Signals(-status).name})"
                said.seek(0)
                last = said.read().decode(errors="replace").strip().splitlines()[-1:] or [f"status {status}"]
                return f"{which} ended: {last[0].removeprefix('nat: ')[:500]}"
        return ""

    def why_lost(self) -> str:
        """Why this process is no longer connected to the others, as far as it can know."""
        until = time.monotonic() + GRACE / 2
        while self._processes and not self.dead() and time.monotonic() < until:
            time.sleep(EVERY / 4)
        why = self.dead() or "the process of another device ended, and this one cannot go on without it"
        return why + self.hint

    def wait(self) -> None:
        """Until they have ended, as they have been told; whoever has not heard it is ended soon."""
        self._over.set()
        last = time.monotonic() + TO_END
        for process, _ in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, last - time.monotonic()))

    def _in_thread(self, function: object, *arguments: object) -> None:
        threading.Thread(target=function, args=arguments, daemon=True).start()  # type: ignore[arg-type]

    def _watch(self) -> None:
        """Collectives on GPUs wait for a dead process for ever: then this one is ended from here."""
        while not self._over.wait(EVERY):
            if why := self.dead():
                if not self._over.wait(GRACE):
                    print(f"nat: {why}{self.hint}", file=sys.stderr, flush=True)
                    self._end(2)
                return

    def _end_with(self, parent: int) -> None:
        while not self._over.wait(EVERY):
            if os.getppid() != parent:
                self._end(1)

    def _end(self, status: int) -> NoReturn:
        for process, _ in self._processes:
            process.kill()
        os._exit(status)
