"""Which image goes into which split: disjoint, every class alike, the same for the same seed everywhere."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nat_plugin.data.settings import DEFAULT_TEST, DataSettings, SplitSettings
from nat_plugin.errors import NATError

Index = NDArray[np.int64]


def divide(
    labels: Index,
    class_names: Sequence[str],
    data: DataSettings,
    *,
    own: Collection[str],
    where: str,
) -> dict[str, Index]:
    """Positions of images for weights and reward and, as far as they are no part of the source's ``own``, for selection
    and test.

    What a part of the source's own takes the place of, the others share: shares of weights and reward grow alike.

    Raises:
        NATError: there are not enough images, in all or of a class, or a split is set although there is a part for it.
    """
    # numpy promises that RandomState's stream never changes, which it does not for the newer generators: a split
    # that differs between machines would let one's training images be another's test images.
    settings = data.splits
    rng = np.random.RandomState(settings.seed)
    kept = balanced_order(labels, rng)[: data.limit] if data.limit is not None else np.arange(len(labels))
    wanted = {"weights": settings.weights, "reward": settings.reward, "selection": settings.selection}
    if "selection" in own:
        if settings.selection != SplitSettings().selection:
            raise NATError(f"{where}: has a val part of its own, used whole: remove splits.selection")
        del wanted["selection"]
        shares = sum(share for share in wanted.values() if isinstance(share, float))
        growth = (shares + settings.selection) / shares if shares else 1.0
        wanted = {name: share * growth if isinstance(share, float) else share for name, share in wanted.items()}
    sizes: dict[str, int] = {}
    if "test" in own:
        if settings.test is not None:
            raise NATError(f"{where}: has a test part of its own, used whole: remove splits.test, {settings.test!r}")
    else:
        # The test split is drawn first, so that it stays the same whatever the others are set to.
        sizes = split_sizes(len(kept), {"test": DEFAULT_TEST if settings.test is None else settings.test}, where)
    sizes |= split_sizes(len(kept) - sum(sizes.values()), wanted, where)
    parts = stratified(labels[kept], class_names, sizes, rng, where)
    return {name: kept[part] for name, part in parts.items()}


def split_sizes(total: int, wanted: Mapping[str, int | float], where: str) -> dict[str, int]:
    """Images in each split out of `total`; shares that add up to 1 use every image, and a count is exact.

    Raises:
        NATError: more is wanted than there is, or a split would be empty.
    """
    text = ", ".join(f"{name} {value!r}" for name, value in wanted.items())
    ends = [0]
    reached = 0.0
    for value in wanted.values():
        reached += value if isinstance(value, int) else value * total
        ends.append(math.floor(reached + 0.5))
    if ends[-1] > total:
        raise NATError(f"{where}: splits ({text}) ask for {ends[-1]} images of {total}: ask for less or add images")
    sizes = {name: end - start for name, (start, end) in zip(wanted, pairwise(ends), strict=True)}
    for name, size in sizes.items():
        if size == 0:
            raise NATError(f"{where}: splits ({text}) leave no image of {total} for {name}: use more images")
    return sizes


def stratified(
    labels: Index, class_names: Sequence[str], sizes: Mapping[str, int], rng: np.random.RandomState, where: str
) -> dict[str, Index]:
    """Disjoint random positions for each split, exactly `sizes` many, in random order.

    Each split in turn takes every class by its share of what is left, rounded to a neighbouring whole number.

    Raises:
        NATError: a split would have no image of some class.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    order = np.argsort(labels, kind="stable")
    members = [rng.permutation(of_class) for of_class in np.split(order, np.cumsum(counts)[:-1])]
    taken = np.zeros_like(counts)
    parts: dict[str, Index] = {}
    for name, size in sizes.items():
        left = counts - taken
        take, remainder = np.divmod(size * left, left.sum())
        largest = np.lexsort((rng.permutation(len(counts)), -remainder))
        take[largest[: size - take.sum()]] += 1
        if not take.all():
            absent = int(np.argmin(take))
            raise NATError(
                f"{where}: class {class_names[absent]!r} has {counts[absent]} of {len(labels)} images, too few for one "
                f"in each split ({name} gets none of it): add images, raise limit, or use larger splits"
            )
        chosen = [member[start : start + n] for member, start, n in zip(members, taken, take, strict=True)]
        parts[name] = rng.permutation(np.concatenate(chosen)).astype(np.int64)
        taken += take
    return parts


def balanced_order(labels: Index, rng: np.random.RandomState) -> Index:
    """All positions in a random order whose every beginning has as many of each class, while they last."""
    shuffled = rng.permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    order: Index = by_class[np.lexsort((rng.permutation(len(labels)), rank))].astype(np.int64)
    return order
