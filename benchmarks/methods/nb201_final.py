"""A final stage of real training, looked up in NAS-Bench-201: what ``nat run`` does with ``final:`` in its recipe.

The input and a few candidates are each trained, for 12 epochs (a schedule of its own in the table) or in full, and the
best of them by validation is kept. What it is worth is its test accuracy after 200 epochs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from benchmarks.spaces.nb201 import CELLS, Space


def trainings(space: Space) -> dict[str, np.ndarray]:
    """Validation accuracy on CIFAR-10 of all cells, (CELLS,), by how they are trained."""
    return {"12 epochs": space.early["CIFAR-10"], "200 epochs": space.validation["CIFAR-10"]}


def different(space: Space, cell: int, order: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` cells of an order that compute neither the same as the input nor as one another."""
    kinds = space.kinds[order]
    _, first = np.unique(kinds, return_index=True)
    first = np.sort(first[kinds[first] != space.kinds[cell]])
    found: np.ndarray = order[first][:count]
    return found


def best_trained(space: Space, accuracy: np.ndarray, candidates: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """What inputs become, (CELLS,), of pairs of an input and others: the most accurate, the input where none is more
    accurate than it."""
    found = np.arange(CELLS)
    for cell, others in candidates:
        values = np.append(accuracy[cell], accuracy[space.written[others]])
        found[cell] = np.append(cell, others)[np.argmax(values)]
    return found
