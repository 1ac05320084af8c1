"""What a policy was trained on: said once, on standard error, where one that ships is applied to something else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from multiprocessing import parent_process

from nat_plugin.ir import Cell, Network
from nat_plugin.policy.files import load_policy
from nat_plugin.policy.finding import policy_path, shipped_policies

CELLS = "cells"
"""The fact of a policy that has ``cells_of`` of all its inputs."""
_said: set[str] = set()


def cells_of(network: Network) -> str:
    """Wiring and ops of the cells that can be edited, the same for all inputs of one search space."""
    return "; ".join(sorted({_described(cell) for _, cell in network.cells if any(e.editable for e in cell.edges)}))


def _described(cell: Cell) -> str:
    edges = " ".join(f"{edge.source}->{edge.target}" for edge in cell.edges)
    return f"{edges} of {' '.join(sorted({str(op) for edge in cell.edges for op in edge.choices}))}"


def say_where_trained(name: str, networks: Iterable[Network]) -> None:
    """Where a policy that ships was trained on another search space than that of any of these networks: a line on
    standard error, once in a process and not in its workers."""
    if name in _said or name not in shipped_policies() or parent_process() is not None:
        return
    facts = load_policy(policy_path(name))[1]
    if any(cells_of(network) != facts[CELLS] for network in networks):
        _said.add(name)
        print(
            f"policy '{name}' was trained on {facts['space']} ({facts['trained_on']}), and is applied to something "
            "else: its first proposals may be wrong; measure them, or train one with `nat run`",
            file=sys.stderr,
        )
