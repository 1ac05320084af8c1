"""A state that many calls need, as the weights that trainings begin with: workers have it once, no call carries it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from nat_plugin.errors import NATError
from nat_plugin.files import file_errors
from nat_plugin.fingerprints import Outside, fingerprint
from nat_plugin.settings import State

FOLDER = "shared"


class SharedState(Protocol):
    """What a call gets in the place of a state."""

    def get(self) -> State:
        """In a worker: the state, which is there after the first call. Nobody may change it."""


@dataclass(frozen=True)
class StateHere:
    """For calls of the process that has it."""

    state: State

    def get(self) -> State:
        return self.state


@dataclass(frozen=True)
class StateFile:
    """In the folder of the results, as memory-mapped tensors: workers of one machine share the memory, too."""

    path: Path
    digest: str

    @staticmethod
    def of(folder: Path, state: State) -> StateFile:
        from nat_plugin.runs.state import save_state  # imports torch, which takes seconds

        path = folder.absolute() / FOLDER / "state.safetensors"
        with file_errors(path):
            path.parent.mkdir(exist_ok=True)
        save_state(path, state)
        return StateFile(path, fingerprint(Outside.all_of(path)))

    def get(self) -> State:
        return _read(self)

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink()
            self.path.parent.rmdir()


@lru_cache(maxsize=1)
def _read(file: StateFile) -> State:
    from nat_plugin.runs.state import load_state

    if fingerprint(Outside.all_of(file.path)) != file.digest:
        raise NATError(f"{file.path}: changed since workers were given it; resume with the command that wrote it")
    return load_state(file.path)
