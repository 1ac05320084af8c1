"""A file that cannot be made again to the bit counts by what its source settles of it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from safetensors.numpy import save

from benchmarks.common.files import MOBILENETV2, PICTURES
from benchmarks.data.__main__ import main
from benchmarks.data.parts import listed_pictures, quantised_weights
from benchmarks.data.sources import SOURCES, content, matches_in_part

CODES = np.arange(24, dtype=np.int64).reshape(2, 12) % 7


def weights(scale: float, norm: float, codes: np.ndarray = CODES) -> bytes:
    return save({"conv.weight": (scale * codes).astype(np.float32), "norm.weight": np.full(2, norm, np.float32)})


def pictures(names: tuple[str, ...] = ("1/a.jpg", "2/b.jpg"), content: bytes = b"x", licence: str = "by") -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
        archive.writestr("images.csv", "file,licence\r\n" + "".join(f"{name},{licence}\r\n" for name in names))
    return file.getvalue()


def test_weights_count_by_which_of_their_values_they_are() -> None:
    own = quantised_weights(weights(0.1, 1.0))
    assert quantised_weights(weights(0.3, 2.0)) == own
    changed = CODES.copy()
    changed[0, 0] = 6
    assert quantised_weights(weights(0.1, 1.0, changed)) != own


def test_pictures_count_by_their_names_and_what_is_said_of_them() -> None:
    own = listed_pictures(pictures())
    assert listed_pictures(pictures(("2/b.jpg", "1/a.jpg"), b"y")) == own
    assert listed_pictures(pictures(("1/a.jpg",))) != own
    assert listed_pictures(pictures(licence="by-nc")) != own


@pytest.mark.parametrize("found", [b"", b"PK", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_something_else_is_no_part(found: bytes) -> None:
    for name in (MOBILENETV2, PICTURES):
        assert not matches_in_part(name, found)


def test_a_file_that_is_right_in_part_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = SOURCES[PICTURES].part
    assert part is not None
    (tmp_path / PICTURES).write_bytes(pictures())
    assert main([PICTURES, "--folder", str(tmp_path)]) == 2
    assert "holds something else" in capsys.readouterr().err
    known = replace(part, sha256=listed_pictures(pictures(content=b"other")))
    monkeypatch.setitem(SOURCES, PICTURES, replace(SOURCES[PICTURES], part=known))
    assert main([PICTURES, "--folder", str(tmp_path)]) == 0
    assert "right in part (the same pictures" in capsys.readouterr().out


def test_the_files_beside_the_checkout_have_these_parts(shared_data: Path) -> None:
    for name in (MOBILENETV2, PICTURES):
        assert matches_in_part(name, content(shared_data / name))
