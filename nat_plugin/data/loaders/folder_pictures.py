"""Pictures in a folder for each class that stay in their files: the layout of ``image_folder``."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import numpy as np

from nat_plugin.data.loaders.files import given_folder, no_download, reading
from nat_plugin.data.loaders.image_folder import WHAT, ClassFolders, find_parts, open_image
from nat_plugin.data.settings import DataSettings
from nat_plugin.data.stored import PictureForm, StoredPictures, StoredSource
from nat_plugin.fingerprints import Outside

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class FolderPictures(StoredPictures):
    """Of one part. Names are bytes in one array: those of a million files take little memory in each process."""

    def __init__(self, part: ClassFolders) -> None:
        self.folder, self.labels = part.folder, part.labels()
        self._names = np.array([os.fsencode(name) for name in part.names()])

    def read(self, number: int) -> Picture:
        return open_image(self.folder / os.fsdecode(self._names[number]))

    def sizes(self) -> bytes:
        """The SHA-256 of all names and sizes."""
        total = hashlib.sha256()
        for name in self._names:
            size = os.stat(self.folder / os.fsdecode(name)).st_size
            total.update(b"%s\0%d\n" % (name, size))
        return total.digest()


def folder_source(settings: DataSettings, form: PictureForm) -> StoredSource:
    """Pictures in a folder for each class, which stay there. NATError where the folder has no such layout."""
    no_download(settings)
    root = given_folder(settings, WHAT)
    found = find_parts(root)
    parts = {name: FolderPictures(part) for name, part in found.items()}
    with reading(root):
        listed = [each.sizes() for each in parts.values()]
    return StoredSource(
        parts["train"],
        tuple(found["train"].classes),
        form,
        (Outside.listed(root, sum(len(each.labels) for each in parts.values()), *listed),),
        parts.get("test"),
        parts.get("val"),
    )
