"""What is said on standard error about an architecture before it is transformed."""

from __future__ import annotations

from nat_plugin.errors import NATError
from nat_plugin.policy.trained_on import say_where_trained
from nat_plugin.sources import Source, size_of


class Remarks:
    """Of the first architecture in every format: whether the policy was trained on something else."""

    def __init__(self, policy: str, *sizes: int | None) -> None:
        self._policy, self._sizes = policy, sizes
        self._formats: set[str] = set()

    def of(self, found: Source) -> Source:
        """The architecture itself, after what there is to say of it."""
        if found.adapter.name not in self._formats:
            self._formats.add(found.adapter.name)
            try:
                network = found.adapter.read(found.text, size_of(found, *self._sizes))
            except NATError:  # said where it is transformed
                return found
            say_where_trained(self._policy, [network])
        return found
