"""The models of this experiment and their pictures, split into those to work with and those to report on."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import timm
import torch
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.documents.document import parse
from nat_timm.training.tuning import Tuning, TuningImages, fine_tune
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.common.files import CIFAR10, MOBILENETV2, PICTURES, find_file
from benchmarks.experiments.timm.pretrained.lite0 import efficientnet_lite0
from nat_plugin.device import Compute

SIDE = 224
BATCH = 50
CIFAR_EPOCHS = 12


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures as bytes (N, C, H, W) with class numbers (N,), in batches of floats in [-1, 1]."""

    x: Tensor
    y: Tensor
    shuffled: bool = False
    """Every pass in another order, half of the pictures mirrored, by the generator of torch."""
    side: int | None = None
    """The middle of each picture, or where they are shuffled any part (None: all of it)."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.y)) if self.shuffled else torch.arange(len(self.y))
        for chosen in torch.split(order, BATCH):
            x = self._parts(chosen).float().div(127.5).sub(1)
            if self.shuffled:
                mirrored = torch.rand(len(chosen)) < 0.5
                x[mirrored] = x[mirrored].flip(3)
            yield x.contiguous(memory_format=torch.channels_last), self.y[chosen]

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.x.shape[1:]
        return channels, self.side or height, self.side or width

    def _parts(self, chosen: Tensor) -> Tensor:
        x, side = self.x[chosen], self.side
        if side is None:
            return x
        room = torch.tensor([extent - side for extent in x.shape[2:]])
        places = (torch.rand(len(x), 2) * (room + 1)).long() if self.shuffled else (room // 2).expand(len(x), 2)
        found = zip(x, places.tolist(), strict=True)
        return torch.stack([each[:, top : top + side, left : left + side] for each, (top, left) in found])

    def __len__(self) -> int:
        return -(-len(self.y) // BATCH)

    def part(self, start: int, end: int, shuffled: bool = False) -> Pictures:
        return Pictures(self.x[start:end], self.y[start:end], shuffled, self.side)


@dataclass(frozen=True, eq=False)
class Split:
    """``work``: to fit and tune on, ``choice``: to search and choose on, ``test``: to report on; each picture once."""

    work: Pictures
    choice: Pictures
    test: Pictures

    @staticmethod
    def of(drawn: Pictures, work: int, choice: int) -> Split:
        middle = work + choice
        return Split(drawn.part(0, work, True), drawn.part(work, middle), drawn.part(middle, len(drawn.y)))


@dataclass(frozen=True)
class Files:
    """Where weights and pictures lie; ``out`` keeps what was trained here."""

    data: Path
    out: Path


@dataclass(frozen=True)
class Subject:
    """``make`` gives the model with its weights for a seed, ``split`` its pictures, of ``shape``."""

    make: Callable[[Files, int], nn.Module]
    split: Callable[[Files, int], Split]
    shape: tuple[int, int, int]
    stock: Mapping[str, float] = field(default_factory=dict)
    """The model itself, and smaller ones that timm has weights of, with their top-1 on ImageNet by timm's table
    (results/results-imagenet.csv of pytorch-image-models)."""


def _imagenet(files: Files, seed: int) -> Split:
    """600 pictures to work with, of which 100 to choose on, and 400 to report on."""
    with zipfile.ZipFile(find_file(files.data, PICTURES)) as archive:
        names = sorted(name for name in archive.namelist() if re.fullmatch(r"\d+/\w+\.jpg", name))
        chosen = [names[at] for at in np.random.default_rng(seed).permutation(len(names))]
        found = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen]
    x, y = np.stack(found).transpose(0, 3, 1, 2), [int(name.partition("/")[0]) for name in chosen]
    return Split.of(Pictures(torch.tensor(x), torch.tensor(y), side=SIDE), 500, 100)


def _mobilenetv2(files: Files, seed: int) -> nn.Module:
    del seed
    model = timm.create_model("mobilenetv2_100", pad_type="same")
    model.load_state_dict(load_file(find_file(files.data, MOBILENETV2)))
    return _placed(model)


def _lite0(files: Files, seed: int) -> nn.Module:
    del files, seed
    return _placed(efficientnet_lite0())


def _cifar(files: Files, seed: int) -> tuple[Pictures, Pictures]:
    """5,000 training pictures, and 4,500 others."""
    with np.load(find_file(files.data, CIFAR10)) as found:
        x, y = (np.concatenate([found[f"{name}_train"], found[f"{name}_test"]]) for name in "xy")
        start = len(found["y_train"])
    order = np.random.default_rng(seed).permutation(start)
    chosen = np.concatenate([order[:7500], np.arange(start, len(y))])
    drawn = Pictures(torch.tensor(x[chosen].transpose(0, 3, 1, 2)), torch.tensor(y[chosen].astype(np.int64)))
    return drawn.part(0, 5000, True), drawn.part(5000, len(chosen))


def _cifar_split(files: Files, seed: int) -> Split:
    """The training pictures to work with, 500 to choose on, 4,000 to report on."""
    train, others = _cifar(files, seed)
    return Split(train, others.part(0, 500), others.part(500, len(others.y)))


def _trained(name: str, strides: tuple[str, ...]) -> Callable[[Files, int], nn.Module]:
    """A model of timm with layers whose stride is 1, trained on the pictures of a seed; the weights are kept."""

    def make(files: Files, seed: int) -> nn.Module:
        edits = [{"op": "stride", "at": at, "value": 1} for at in strides]
        found = parse(f'{{"architecture": "{name}", "edits": {edits}}}'.replace("'", '"'))
        torch.manual_seed(seed)
        model = build(found, (3, 32, 32), 10)
        path = files.out / f"{name}-{seed}.safetensors"
        if not path.exists():
            train, _ = _cifar(files, seed)
            nn.init.zeros_(model.get_classifier().weight)  # type: ignore[operator]
            schedule = Tuning(epochs=CIFAR_EPOCHS, lr=0.1, weight_decay=5e-4, distil=0)
            fine_tune(
                _placed(model), TuningImages(lambda: iter(train), len(train)), schedule, Compute(torch.device("cpu"))
            )
            save_file({key: each.contiguous() for key, each in model.state_dict().items()}, path)
        model.load_state_dict(load_file(path))
        attach(model, found)
        return _placed(model)

    return make


def _tiny(files: Files, seed: int) -> nn.Module:
    del files
    torch.manual_seed(seed)
    return _placed(timm.create_model("test_efficientnet", num_classes=10))


def _noise(files: Files, seed: int) -> Split:
    del files
    random = torch.Generator().manual_seed(seed)
    x = torch.randint(256, (96, 3, 32, 32), generator=random, dtype=torch.uint8)
    return Split.of(Pictures(x, torch.randint(10, (96,), generator=random)), 48, 16)


def _placed(model: nn.Module) -> nn.Module:
    made: nn.Module = model.eval().to(memory_format=torch.channels_last)
    return made


_SMALLER = {"mobilenetv2_050": 65.950, "semnasnet_075": 72.992, "lcnet_100": 72.096, "mnasnet_small": 66.196}
QUICK = "quick"
SUBJECTS: Mapping[str, Subject] = {
    "mobilenetv2_100": Subject(_mobilenetv2, _imagenet, (3, SIDE, SIDE), {"mobilenetv2_100": 72.976} | _SMALLER),
    "tf_efficientnet_lite0": Subject(_lite0, _imagenet, (3, SIDE, SIDE), {"tf_efficientnet_lite0": 74.830} | _SMALLER),
    "mnasnet_050": Subject(_trained("mnasnet_050", ("conv_stem",)), _cifar_split, (3, 32, 32)),
    "resnet18": Subject(_trained("resnet18", ()), _cifar_split, (3, 32, 32)),
    QUICK: Subject(_tiny, _noise, (3, 32, 32)),
}
