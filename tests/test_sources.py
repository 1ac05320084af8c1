"""What a user may write for an architecture."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from nat_timm import framework

from nat_plugin.errors import NATError
from nat_plugin.ir import NetworkSize, key
from nat_plugin.plugins import plugins
from nat_plugin.sources import find_adapter, find_source

SIZE = NetworkSize(8, 5)


def network_key(source: str, adapter: str | None = None) -> str:
    found = find_source(source, adapter, plugins())
    return key(found.adapter.read(found.text, SIZE))


def text_of(name: str) -> str:
    return find_source(name, None, plugins()).text


def test_a_name_a_literal_and_files_give_the_same_network(tmp_path: Path) -> None:
    text = text_of("DARTS_V2")
    (tmp_path / "g.txt").write_text(text)
    (tmp_path / "genotypes.py").write_text(f"import os\nA = 1\nDARTS_V2 = {text}\nDARTS = DARTS_V2\n")
    wanted = network_key("DARTS_V2")
    assert network_key(text) == wanted
    assert network_key(str(tmp_path / "g.txt")) == wanted
    assert network_key(f"{tmp_path}/genotypes.py:DARTS_V2") == wanted
    assert network_key(f"{tmp_path}/genotypes.py:DARTS") == wanted


def test_a_python_file_is_never_executed(tmp_path: Path) -> None:
    (tmp_path / "g.py").write_text(f"open({str(tmp_path / 'made')!r}, 'w')\nX = {text_of('DARTS_V2')}\n")
    assert network_key(f"{tmp_path}/g.py:X") == network_key("DARTS_V2")
    assert not (tmp_path / "made").exists()


def test_a_python_file_without_a_name_lists_its_names(tmp_path: Path) -> None:
    (tmp_path / "g.py").write_text(f"X = {text_of('DARTS_V2')}\n")
    with pytest.raises(NATError, match=r"choose an architecture, as .*g\.py:NAME; names: X"):
        find_source(str(tmp_path / "g.py"), None, plugins())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the architecture is empty"),
        ("DARTS_V9", r"neither a file, nor a published name \(like DARTS_V2, DARTS_V1, "),
        ("mobilenetv2_10", "timm: timm .* has no model 'mobilenetv2_10'; near: .*mobilenetv2_100"),
        ("qqqqq", "neither a file, nor a published name .'nat adapters' lists them."),
        ("no/such/file.json", "neither a file"),
        ("no/such.py:NAME", "No such file"),
        ("x\0y", "neither a file"),
        ("x" * 100_000, "neither a file"),
    ],
)
def test_what_cannot_be_found_ends_in_one_line(source: str, message: str) -> None:
    with pytest.raises(NATError, match=message) as caught:
        find_source(source, None, plugins())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["mobilenetv2_100", "resnet18.a1_in1k"])
def test_a_model_that_a_framework_has_needs_no_adapter(name: str, tmp_path: Path) -> None:
    path = tmp_path / "name.txt"
    path.write_text(f"{name}\n")
    for source in (name, str(path)):
        found = find_source(source, None, plugins())
        assert (found.adapter.name, found.text) == ("timm", name)


def test_a_model_that_two_frameworks_have_is_asked_about() -> None:
    found = plugins()
    timm = found.find("adapters", "timm")
    found.adapters["other"] = type("Other", (type(timm),), {"name": "other"})()
    with pytest.raises(NATError, match="'resnet18' could be timm or other: say which with --adapter"):
        find_source("resnet18", None, found)


def test_without_its_framework_a_model_is_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    framework.timm.cache_clear()
    with pytest.raises(NATError, match="'mobilenetv2_100' is neither a file"):
        find_source("mobilenetv2_100", None, plugins())


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("|nor_conv_3x3~0|+|warp~0|none~1|+|none~0|none~1|none~2|\n", ["nasbench201: node 2: 'warp' is not known"]),
        (
            "(4, 0, 3, 1, 4, 7)",
            ["nasbench201: edge 2->3: there is no op", "enas-macro: layer 1: a skip connection is 0 or 1"],
        ),
        (
            "0 2 0 0 0",
            ["enas-micro: 5 integers are not a micro string", "enas-macro: layer 2 has 2 integers instead of 3"],
        ),
        ('fixed_arc="0 9"\n', ["enas-micro: 2 integers", "enas-macro: layer 1 has 1 integers instead of 2"]),
        ("[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)]", ["darts: expected Genotype(...) or an object with its fields"]),
        (
            "Cell(normal=[('sep_conv_3x3', 0)], normal_concat=[2])",
            ["darts: expected Genotype(...), not a call of 'Cell'"],
        ),
        ("best genotype: see below", ["darts: no Genotype(normal=[(op, source), …], …) and no object"]),
        ("[('conv3x3-bn-relu', 'maxpool3x3')]", ["nasbench101: a cell of NAS-Bench-101 is ModelSpec("]),
        ("1234567", ["nasbench-macro: a NAS-Bench-Macro string has 8 digits", "enas-micro: line 1"]),
        ('{"first_conv": 3}', ["ofa: expected a net.config with first_conv, blocks and classifier"]),
        ("(((0, 1), (1, 2)), ((0, 1),), 3.5)", ["darts-compact: the compact form of DARTS cells is"]),
    ],
)
def test_a_file_that_no_adapter_takes_is_said_to_be_that_with_the_reasons(
    text: str, reasons: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "arch.txt"
    path.write_text(text)
    with pytest.raises(NATError) as caught:
        find_source(str(path), None, plugins())
    message = str(caught.value)
    assert message.startswith(f"{path}: no adapter can read this; ")
    assert all(reason in message for reason in reasons)
    assert "published" not in message
    assert "\n" not in message
    for adapter in plugins().adapters.values():
        assert not adapter.recognises(text)


@pytest.mark.parametrize("text", ["hello", "", '{"a": 1}', "import os\n", "\x00", "x" * 3_000_000, "(" * 100_000])
def test_a_file_that_is_like_no_format_is_said_to_be_there(text: str, tmp_path: Path) -> None:
    path = tmp_path / "arch.txt"
    path.write_text(text)
    with pytest.raises(
        NATError, match="the file is there, but its text is in no format that an adapter knows"
    ) as caught:
        find_source(str(path), None, plugins())
    assert "published" not in str(caught.value)
    assert "DARTS_V2" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_the_last_line_of_a_file_is_ended_by_who_prints_it(end: str, tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text(f"# found\nX = {text_of('DARTS_V2')}{end}", newline="")
    found = find_source(str(tmp_path / "g.txt"), None, plugins())
    printed = found.adapter.write(found.adapter.read(found.text, SIZE)) + "\n"
    assert printed == (tmp_path / "g.txt").read_bytes().decode() + ("" if end else "\n")


def test_a_literal_that_comes_near_is_told_why_it_is_none() -> None:
    with pytest.raises(NATError, match=r"^0 2 9: no adapter can read this; enas-micro: 3 integers"):
        find_source("0 2 9", None, plugins())


def test_no_adapter_comes_near_to_what_another_one_reads() -> None:
    """What is read needs no reasons; asked for all the same, they are one line."""
    for adapter in plugins().adapters.values():
        for published in adapter.published().values():
            for other in plugins().adapters.values():
                assert "\n" not in (other.near(published.text) or "")


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(NATError, match="not a text file"):
        find_source(str(tmp_path / "b"), None, plugins())
    with pytest.raises(NATError, match="Is a directory"):
        find_source(str(tmp_path), None, plugins())
    with open(tmp_path / "large", "wb") as file:
        file.truncate(2**30)
    with pytest.raises(NATError, match="more than 16,777,216 bytes, too large for an architecture"):
        find_source(str(tmp_path / "large"), None, plugins())


def test_an_unknown_adapter_lists_the_allowed_ones() -> None:
    with pytest.raises(NATError, match="unknown adapter 'keras'; allowed: "):
        find_source("DARTS_V2", "keras", plugins())


def test_an_adapter_is_found_with_its_settings() -> None:
    plain = find_adapter("nni", plugins())
    small = find_adapter({"name": "nni", "space": "DARTS", "arguments": {"width": 4, "num_cells": 3}}, plugins())
    text = plain.published()["darts-v2"].text.replace('"num_cells": 20, "width": 36', "")
    assert len(plain.read(text, NetworkSize()).placements) == 20
    assert len(small.read(text, NetworkSize()).placements) == 3
    assert len(find_adapter("nni", plugins()).read(text, NetworkSize()).placements) == 20, "the registered one stays"


def test_settings_that_an_adapter_does_not_have_are_named() -> None:
    with pytest.raises(NATError, match="adapter 'darts': dialect: Extra inputs are not permitted"):
        find_source("DARTS_V2", {"name": "darts", "dialect": "nat"}, plugins())
    with pytest.raises(NATError, match="unknown adapter 'None'"):
        find_adapter({"space": "DARTS"}, plugins())


@pytest.mark.parametrize("file", ["genotypes.py", "notes.txt", "log"])
def test_a_name_in_any_file_of_assignments(file: str, tmp_path: Path) -> None:
    text = plugins().adapters["darts"].published()["DARTS_V2"].text
    (tmp_path / file).write_text(f"OTHER = 1\nMINE = {text}\n")
    found = find_source(f"{tmp_path / file}:MINE", None, plugins())
    assert found.text == text
    with pytest.raises(NATError, match="YOURS"):
        find_source(f"{tmp_path / file}:YOURS", None, plugins())
