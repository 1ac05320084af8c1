"""A Ray cluster as its users see it: how many tasks it has room for, whether its head is there, which one to join."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nat_plugin.errors import NATError
from nat_plugin.files import ReadError, read_text

EVERY, GONE, GRACE = 2.0, 20.0, 10.0
"""Seconds between two looks at the head of a cluster; after which it counts as lost, where Ray ends the process after
60; and in which the process may end by itself then."""
LOOK, TO_GROW = 5.0, 600.0
"""Seconds between two looks at the nodes of a cluster; and in which one that can grow has to have a node for a task."""
ADDRESS = "RAY_ADDRESS"
"""The environment variable that says which cluster to join."""
_MAX_ADDRESS = 4096
"""Bytes of a file with an address."""


class ClusterRoom:
    """How many tasks can be at work in a cluster at a time."""

    def __init__(self, nodes: Callable[[], list[dict[str, Any]]], needs: dict[str, float], patience: float) -> None:
        """``nodes``: as Ray lists them; ``needs``: what a task takes; ``patience``: seconds until there has to be a
        node that has it for the first time. One that was there may come back."""
        self._nodes, self._needs = nodes, {name: value for name, value in needs.items() if value}
        self._last, self._places = -LOOK, 0
        self._until = time.monotonic() + patience

    def places(self) -> int:
        """NATError where no node can take a task, and has not for too long."""
        if time.monotonic() - self._last >= LOOK:
            self._places = sum(self._on(each["Resources"]) for each in self._nodes() if each["Alive"])
            self._last = time.monotonic()
            if self._places:
                self._until = self._last + TO_GROW
        if not self._places and time.monotonic() >= self._until:
            wanted = " and ".join(f"{value:g} {name}" for name, value in self._needs.items())
            raise NATError(f"executor: no node of the Ray cluster has {wanted}: lower executor.cpus or executor.gpus")
        return self._places

    def _on(self, node: dict[str, float]) -> int:
        return min(int(node.get(name, 0) / value) for name, value in self._needs.items())


class ClusterHead:
    """The process of Ray that knows all machines of a cluster, watched from a thread."""

    def __init__(self, address: str, lose: Callable[[NATError], None]) -> None:
        host, _, port = address.rpartition(":")
        self._address, self._lose = (host.strip("[]"), int(port)), lose
        self._left = threading.Event()
        self.lost: NATError | None = None
        """What is said once it no longer answers."""
        threading.Thread(target=self._watch, daemon=True).start()

    def leave(self) -> None:
        """It may end from now on."""
        self._left.set()

    def _watch(self) -> None:
        heard = time.monotonic()
        while not self._left.wait(EVERY):
            try:
                socket.create_connection(self._address, timeout=EVERY).close()
                heard = time.monotonic()
            except OSError as error:
                if time.monotonic() - heard < GONE:
                    continue
                where = ":".join(map(str, self._address))
                self.lost = NATError(
                    f"executor: the head of Ray at {where} has not answered for {GONE:g} seconds ({error}): start it "
                    "again, then use nat resume"
                )
                self._lose(self.lost)
                if not self._left.wait(GRACE):  # this process waits within Ray, which would end it without a word
                    print(f"nat: {self.lost}", file=sys.stderr, flush=True)
                    os._exit(2)
                return


@contextmanager
def node_awaited(until: float) -> Iterator[None]:
    """Ray looks for half a minute, which nothing sets, whether a node that it begins is there; then it gives up, and
    leaves what it began. On busy cores that is too short: within this each look lasts until the node is there, or
    until that time."""
    from ray._private import services

    look: Callable[..., Any] | None = getattr(services, "get_node", None)
    if look is None:  # a Ray that looks in another way
        yield
        return

    def look_on(*given: Any) -> Any:
        while True:
            try:
                return look(*given)
            except RuntimeError:  # not yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    services.get_node = look_on
    try:
        yield
    finally:
        services.get_node = look


def begun_by_the_user() -> str | None:
    """The address of a cluster that is there to stay. Ray's own ``auto`` takes any that it finds, also the one that
    another command began for itself and that ends with it."""
    if found := os.environ.get(ADDRESS):
        return found
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    with suppress(ReadError):
        return read_text(noted, _MAX_ADDRESS, "an address").strip() or None
    return None
