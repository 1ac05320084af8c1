"""Whether a model and what is wanted of it fit: found out before anything is built or trained."""

from __future__ import annotations

from nat_plugin import NATError
from nat_timm.training.loaders import Loader


def batches_of(loader: Loader) -> int:
    """How many batches a loader has. NATError where that cannot be told, or there is none."""
    try:
        found = len(loader)  # type: ignore[arg-type]
    except TypeError:
        raise NATError("train_loader has no len(), the number of its batches, which a schedule needs") from None
    if not found:
        raise NATError("train_loader has no batch: no images, or with drop_last fewer than a batch")
    return found
