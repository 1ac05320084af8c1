"""What processes that train the same weights do together. One process alone does nothing of it, and imports nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nat_plugin.errors import NATError

if TYPE_CHECKING:
    from nat_plugin.execution.tally import WorkDone


class Ranks:
    """One process, alone. Where there are several, each makes the same calls in the same order."""

    number: int = 0
    count: int = 1

    def part(self, start: int, stop: int) -> slice:
        """Which images this process takes of those from ``start`` to ``stop`` of an epoch. They alternate, so that a
        batch that is cut into consecutive parts is cut alike everywhere."""
        return slice(start + self.number, stop, self.count)

    def batch(self, wanted: int, there: int) -> int:
        """Images of a step, of all together: ``wanted``, or as many as there are. NATError where they cannot be divided
        into equal parts."""
        if wanted % self.count:
            raise NATError(
                f"a batch of {wanted} images cannot be divided among {self.count} devices: choose a multiple of "
                f"{self.count}"
            )
        size = min(wanted, there)
        size -= size % self.count
        if there and not size:
            raise NATError(f"{there} images are too few for {self.count} devices, which train on one each at least")
        return size

    def add(self, tensors: Sequence[Tensor]) -> None:
        """In the place of each tensor, its sum over all processes."""

    def same(self, tensors: Iterable[Tensor]) -> None:
        """In the place of each tensor, what the first process has there."""

    def gather(self, tensor: Tensor) -> Tensor:
        """What each process has, in the order of their numbers: (count, …)."""
        return tensor[None]

    def learning(self) -> AbstractContextManager[object]:
        """Within, batch norms in training use the statistics of what all processes have at hand."""
        return nullcontext()

    def tell(self, what: Any) -> Any:
        """What the first process says, for all."""
        return what

    def lead(self, name: str, thing: object, *methods: str) -> None:
        """From now on what this process, the first, has called of these methods all others call too, of what goes by
        that name with them."""

    def follow(self, things: Mapping[str, object]) -> None:
        """Call what the first process has called of these, by their names, until its work is done."""

    def work(self) -> dict[str, WorkDone]:
        """What each process did of what the first has called, by their names; nothing of one alone."""
        return {}

    def advise(self, hint: str) -> None:
        """What a user can do where the run ends because a process is lost."""

    def device(self, wanted: torch.device) -> torch.device:
        """That of this process, among those of a kind."""
        return wanted


ALONE = Ranks()
