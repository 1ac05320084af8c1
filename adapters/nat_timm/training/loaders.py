"""Images of a user's own loaders: batches (x, y) of normalised images (N, C, H, W) and class numbers (N,)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.data import VALIDATION_NAMES
from nat_plugin.device import Compute
from nat_plugin.evaluators import Batches, Feed
from nat_plugin.extending import State
from nat_plugin.ir import Shape
from nat_plugin.training import generator
from nat_timm.framework import timm
from nat_timm.training.tuning import NO_BATCH

Loader: TypeAlias = Iterable[Any]
MOST_PASSES = 6
"""Over a loader, for views of its pictures."""


def timm_loaders(
    model: nn.Module, train: str, val: str | None = None, *, batch: int = 64, workers: int = 2, **create: Any
) -> tuple[Loader, Loader]:
    """Loaders of timm for two folders of images (a folder for each class), with the transforms that the model's
    ``pretrained_cfg`` asks for. Without ``val`` the first is a folder that holds both, as ``train`` and ``val``.
    ``create``: further arguments of ``timm.data.create_loader`` for training. NATError for a folder without such
    images, and for classes that are not alike or not as many as the model's."""
    data = timm().data
    config = data.resolve_data_config({}, model=model)
    sets = [_images_in(folder) for folder in ((train, val) if val is not None else _parts_of(train))]
    _check_classes([set(each.reader.class_to_idx) for each in sets], model)
    names = ("input_size", "interpolation", "mean", "std", "crop_pct")
    same = {name: config[name] for name in names}
    common = {"batch_size": batch, "num_workers": workers, "use_prefetcher": False, "persistent_workers": workers > 0}
    first = data.create_loader(sets[0], is_training=True, **{**common, **same, **create})
    return first, data.create_loader(sets[1], is_training=False, **common, **same)


def _parts_of(folder: str) -> tuple[str, str]:
    root = Path(folder)
    found = [name for name in VALIDATION_NAMES if (root / name).is_dir()]
    if not (root / "train").is_dir() or len(found) != 1:
        raise NATError(
            f"{folder}: has to hold the folders train and one of {', '.join(VALIDATION_NAMES)}; or give both folders"
        )
    return str(root / "train"), str(root / found[0])


def _check_classes(found: Sequence[set[str]], model: nn.Module) -> None:
    for name in sorted(found[0] ^ found[1]):
        raise NATError(f"class '{name}' is in only one of the two folders: their labels would not be the same")
    classes = getattr(model, "num_classes", len(found[0]))
    if classes != len(found[0]):
        raise NATError(
            f"the folders hold {len(found[0])} classes, the model has {classes}: make it with "
            f"num_classes={len(found[0])}, or give it that head by model.reset_classifier({len(found[0])})"
        )


def _images_in(folder: str) -> Any:
    try:
        return timm().data.create_dataset("", folder, search_split=False)
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise NATError(
            f"{folder}: no images in a folder for each class: {' '.join(str(error).split())[:160]}"
        ) from None


def batches(loader: Loader, compute: Compute, shape: Shape, classes: int, what: str) -> Batches:
    """One pass, on the device. NATError for anything that is no batch of such images."""
    for number, found in enumerate(loader):
        if not isinstance(found, (tuple, list)) or len(found) != 2 or not all(isinstance(e, Tensor) for e in found):
            raise NATError(f"{what}: batch {number} is not a pair of tensors, images and labels")
        x, y = found
        if x.ndim != 4 or tuple(x.shape[1:]) != shape or not x.is_floating_point():
            raise NATError(f"{what}: batch {number} is {x.dtype} of {tuple(x.shape)}; {shape} of floats are expected")
        if not torch.isfinite(x).all():
            raise NATError(f"{what}: batch {number} has values that are infinite or NaN")
        if y.shape != x.shape[:1] or y.is_floating_point() or not ((y >= 0) & (y < classes)).all():
            raise NATError(
                f"{what}: batch {number} has other labels than one whole number for each image, from 0 to {classes - 1}"
            )
        x = x.to(compute.device, torch.float32, memory_format=compute.memory_format, non_blocking=True)
        yield x, y.to(compute.device, torch.int64, non_blocking=True)


@dataclass(frozen=True, eq=False)
class Loaders:
    """Two loaders, and the images (C, H, W) in so many classes that they are to give."""

    train: Loader
    val: Loader
    shape: Shape
    classes: int


class LoaderFeed(Feed):
    """Trains on what one loader gives, over and over, and measures on images of another: ``images`` drawn of it by the
    seed and kept, or all. What the loaders draw is theirs, and no state of ours."""

    name = "the loaders"

    def __init__(
        self,
        loaders: Loaders,
        compute: Compute,
        seed: int,
        *,
        images: int | None,
        batch: int,
    ) -> None:
        self.shape, self.classes = loaders.shape, loaders.classes
        self._train, self._val, self._compute, self._batch = loaders.train, loaders.val, compute, batch
        self._stream = self._endless()
        x, y, self.validation_images = _drawn(self.validation(), images, generator(seed, "reward"))
        self._reward = [(x[at : at + batch], y[at : at + batch]) for at in range(0, len(y), batch)]

    def next(self) -> tuple[Tensor, Tensor]:
        return next(self._stream)

    def training(self) -> Batches:
        """One pass over the training images."""
        return batches(self._train, self._compute, self.shape, self.classes, "train_loader")

    def validation(self) -> Batches:
        return batches(self._val, self._compute, self.shape, self.classes, "val_loader")

    def reward(self, number: int, steps: int) -> Batches:
        del number, steps
        return iter(self._reward)

    def batches(self, split: str) -> tuple[Batches, Tensor]:
        """In the batches of the loader, which are to be of many classes each where batch norms use their statistics."""
        if split != "selection":
            raise NATError(f"'{split}': there are images of train_loader and val_loader only")
        return self.validation(), torch.arange(self.validation_images)

    def calibration_batches(self, count: int) -> Batches:
        seen = 0
        for x, y in self.training():
            yield x, y
            seen += len(y)
            if seen >= count:
                return

    def views(self, count: int) -> Batches:
        """See ``other_views``."""
        return other_views(self.training, count)

    def __getstate__(self) -> dict[str, Any]:
        """As a worker gets it: it begins a pass of its own, and measures no rewards."""
        return {**vars(self), "_stream": None, "_reward": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._stream = self._endless()

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        del state

    def _endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            given = False
            for batch in self.training():
                if len(batch[1]) > 1:
                    given = True
                    yield batch
            if not given:
                raise NATError(NO_BATCH)


def other_views(begin: Callable[[], Batches], count: int) -> Batches:
    """About so many images, no two of them alike, of up to ``MOST_PASSES`` over a loader: one that augments has other
    views of its pictures each time. It ends with a pass that has nothing new."""
    given, looked_at = set[bytes](), 0
    for _ in range(MOST_PASSES):
        before = len(given)
        for x, y in begin():
            keys = [blake2b(image.cpu().contiguous().numpy(), digest_size=16).digest() for image in x]
            new = [place for place, key in enumerate(keys) if key not in given]
            given.update(keys)
            if new:
                yield (x, y) if len(new) == len(keys) else (x[new], y[new])
            looked_at += len(keys)
            if len(given) >= count or looked_at >= MOST_PASSES * count:  # a pass of some loaders has no end
                return
        if len(given) == before:
            return


def _drawn(found: Batches, images: int | None, random: torch.Generator) -> tuple[Tensor, Tensor, int]:
    """So many images of a stream, each as likely as any other (reservoir sampling), in random order (None: all), and
    how many there are."""
    kept: list[tuple[Tensor, Tensor]] = []
    seen = 0
    for x, y in found:
        for image, label in zip(x, y, strict=True):
            seen += 1
            if images is None or len(kept) < images:
                kept.append((image.clone(), label))
                continue
            place = int(torch.randint(seen, (), generator=random))
            if place < images:
                kept[place] = image.clone(), label
    if len(kept) < 2:
        raise NATError(f"val_loader: it gives {len(kept)} images; two or more are needed")
    order = torch.randperm(len(kept), generator=random).tolist()
    x = torch.stack([kept[place][0] for place in order])
    return x.contiguous(memory_format=torch.channels_last), torch.stack([kept[place][1] for place in order]), seen
