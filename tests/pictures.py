"""Pictures in files: a folder for each class, and the same in shards as WebDataset writes them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def write_tree(root: Path, counts: Mapping[str, int], classes: Sequence[str] = ("cat", "dog"), size: int = 40) -> Path:
    """So many pictures of each class in each part: noise around a brightness of the class."""
    from PIL import Image

    random = np.random.RandomState(0)
    for part, count in counts.items():
        for label, name in enumerate(classes):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                shape = (size + number % 3, size + 8, 3)
                pixels = random.normal(80 + 90 * label, 40, shape).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number:03}.jpg")
    return root


def write_shards(folder: Path, tree: Path, each: int = 7) -> Path:
    """The pictures of a tree, so many in a shard, in the order of their names."""
    folder.mkdir()
    for part in sorted(path for path in tree.iterdir() if path.is_dir()):
        labels = {path.name: number for number, path in enumerate(sorted(part.iterdir()))}
        paths = sorted(part.rglob("*.jpg"))
        for number, start in enumerate(range(0, len(paths), each)):
            samples = {
                f"{path.parent.name}_{path.stem}": {"jpg": path.read_bytes(), "cls": b"%d" % labels[path.parent.name]}
                for path in paths[start : start + each]
            }
            write_shard(folder / f"{part.name}-{number:04}.tar", samples)
    return folder


def write_shard(path: Path, samples: Mapping[str, Mapping[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for key, files in samples.items():
            for suffix, content in files.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return path
