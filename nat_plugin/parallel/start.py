"""From what a recipe says of devices to the processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from nat_plugin.errors import NATError
from nat_plugin.parallel.ranks import ALONE, Ranks
from nat_plugin.parallel.settings import FabricSettings


@contextmanager
def ranks_of(settings: FabricSettings, device: str) -> Iterator[Ranks]:
    """This process among those that train on so many devices of a kind (``cpu``, ``cuda``). NATError where they cannot
    be started or connected."""
    if settings.count(device) == 1:
        yield ALONE
        return
    if ":" in device:
        raise NATError(
            f"device '{device}' is a single one, but fabric asks for several: use cuda, and set fabric.devices"
        )
    if multiprocessing.parent_process() is not None:
        raise NATError("fabric: a worker of an executor cannot start others; give it one device")
    from nat_plugin.parallel.fabric import started

    with started(settings, device) as ranks:
        yield ranks
