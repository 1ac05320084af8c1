"""A command that is killed again and again, each time soon after it wrote a file, and then gone on with to its end.

``python -m tests.killing COUNT PAUSE FOLDER COMMAND…`` runs ``nat COMMAND…``, which writes into FOLDER. Every process
of it is a fork of this one, which has imported what it needs: that takes longer than what is killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path


def killed(folder: Path, command: tuple[str, ...], count: int, pause: float) -> int:
    """Carry a command through that is killed up to ``count`` times, at most so many seconds after a file was written;
    how often it was."""
    call = [sys.executable, "-m", "tests.killing", str(count), str(pause), str(folder), *command]
    done = subprocess.run(call, cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])


def _begun(*command: str) -> int:
    """The number of a process that runs a command."""
    from nat_plugin.cli import main

    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["nat", *command]
        main()
    return child


def _newest(folder: Path) -> int:
    return max((path.stat().st_mtime_ns for path in folder.glob("[!.]*") if path.is_file()), default=0)


def _is_killed(child: int, folder: Path, pause: float) -> bool:
    """Kill a process so long after it has written; whether it had not ended by itself."""
    before = _newest(folder)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if _newest(folder) != before:
            time.sleep(pause)
            os.kill(child, signal.SIGKILL)
            return os.WIFSIGNALED(os.waitpid(child, 0)[1])
        time.sleep(0.002)
    return False


def _import_all() -> None:
    import torch._dynamo  # noqa: F401 - what the first optimizer imports
    import torch_geometric.nn  # noqa: F401 - what the first policy imports

    import nat_plugin.policy.training.train
    import nat_plugin.runs.run  # noqa: F401
    from nat_plugin.plugins import plugins

    for what in ("adapters", "strategies", "evaluators", "datasets"):
        getattr(plugins(), what)


def _main(count: int, pause: float, folder: Path, *command: str) -> None:
    _import_all()
    moments, times = random.Random(0), 0
    while times < count and _is_killed(_begun(*command), folder, moments.uniform(0, pause)):
        times, command = times + 1, ("resume", str(folder))
    status = os.waitpid(_begun("resume", str(folder)), 0)[1]
    print(times)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    _main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
