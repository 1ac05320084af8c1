"""Fingerprints tell files and folders apart by what is in them, and paths hold from any folder."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from nat_plugin.errors import NATError
from nat_plugin.fingerprints import Outside, OutsideName, OutsidePath, fingerprint, fingerprints


def test_a_file_has_its_checksum_as_other_tools_print_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"some" * 1_000_000)
    assert fingerprint(Outside.all_of(tmp_path / "a")) == sha256(b"some" * 1_000_000).hexdigest()


def test_of_a_folder_every_name_and_byte_counts_and_its_place_does_not(tmp_path: Path) -> None:
    def made(name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return fingerprint(Outside.all_of(tmp_path / name))

    first = made("1", {"a": "x", "b/c": "y"})
    assert first == made("2", {"b/c": "y", "a": "x"})
    assert first.startswith("2 files, ")
    others = [{"a": "x", "b/d": "y"}, {"a": "x", "b/c": "z"}, {"a": "y", "b/c": "x"}, {"a": "x"}, {"a": "x", "b": "y"}]
    found = {made(f"other{number}", files) for number, files in enumerate(others)}
    assert len(found | {first}) == len(others) + 1


def test_files_beside_those_that_were_read_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    before = fingerprint(Outside(tmp_path, (tmp_path / "a",)))
    (tmp_path / "b").write_text("y")
    assert fingerprint(Outside(tmp_path / "b", (tmp_path / "a",))).startswith("1 files, ")  # a link led there, say
    assert fingerprint(Outside(tmp_path, (tmp_path / "a",))) == before


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(NATError, match="No such file"):
        fingerprints([Outside.all_of(tmp_path / "none")])


def test_paths_are_written_out_and_names_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "there").touch()
    path, name = TypeAdapter(OutsidePath), TypeAdapter(OutsideName)
    assert path.validate_python("some/../a") == path.validate_python("~/a") == tmp_path / "a"
    assert name.validate_python("there") == str(tmp_path / "there")
    assert name.validate_python("nasbench201") == "nasbench201"
