"""What the loaders share: paths from settings, and files whose every trouble is one line."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from nat_plugin.data.settings import DataSettings
from nat_plugin.errors import NATError

MAX_BYTES = 8 * 2**30  # of arrays in memory; more is a mistake, or made to hurt


def given_path(settings: DataSettings, what: str) -> Path:
    """The path of the settings; `what` says in an error what belongs there.

    Raises:
        NATError: there is none.
    """
    if settings.path is None:
        raise NATError(f"data set {settings.name!r} needs a path: {what}")
    try:
        return settings.path.expanduser()
    except RuntimeError as error:  # Python's word on a home folder that it cannot find
        raise NATError(f"{settings.path}: there is no such home folder: write the path out") from error


def given_folder(settings: DataSettings, what: str) -> Path:
    """Like `given_path`, and it must be a folder unless the data set is still to be downloaded."""
    path = given_path(settings, what)
    with reading(path):
        if path.exists() and not path.is_dir():
            raise NATError(f"{path}: is a file, but data set {settings.name!r} needs a folder: {what}")
        if not path.exists() and not settings.download:
            raise NATError(f"{path}: there is no such folder: give {what}")
    return path


def no_download(settings: DataSettings) -> None:
    """Refuse `download` for a data set that cannot be fetched."""
    if settings.download:
        raise NATError(f"data set {settings.name!r} cannot be downloaded: remove download: true")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read or unpacked into a NATError that names it."""
    try:
        yield
    except FileNotFoundError as error:
        raise NATError(f"{path}: there is no such file: check the path") from error
    except PermissionError as error:
        raise NATError(f"{path}: may not be read: give yourself the permission") from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NATError(f"{path}: cannot be read ({reason}): it may be damaged, get it again") from error


def need_file(path: Path, what: str) -> None:
    """Raise a NATError unless `path` is a regular file (no folder, and nothing that could be read without end)."""
    with reading(path):
        if not path.exists():
            raise NATError(f"{path}: there is no such file: give {what}")
        if not path.is_file():
            raise NATError(f"{path}: is not a file: give {what}")


def vision() -> ModuleType:
    """The module torchvision.datasets, imported only when it is needed.

    Raises:
        NATError: it is missing or does not fit the torch that is installed.
    """
    try:
        import torchvision.datasets
    except (ImportError, RuntimeError) as error:
        raise NATError(f"torchvision cannot be imported ({error}): pip install 'nat-plugin[vision]'") from error
    module: ModuleType = torchvision.datasets
    return module
