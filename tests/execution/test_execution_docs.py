"""Every command of docs/how-to/scale-out.md runs on this machine, word for word, and what the page says of it is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.command_line import Nat, Outcome
from tests.execution.engines import ENGINES
from tests.execution.scale_out import MANY, NODES, PAGE, SAME, commands, section

RESULTS = {"compare": "comparison.json", "run": "result.json"}
"""By the command, the file that is the same on all engines."""
REFUSED = "slurm"
"""Where the command writes that is refused."""


def engine_of(line: str) -> str:
    """Which executor a command names, if any."""
    found = re.search(r"(?:executor\.name=|--executor (?:name=)?)(\w+)", line)
    return found[1] if found else ""


def out_of(line: str) -> Path:
    return Path(line.partition("--out ")[2])


def ran(line: str, nat: Nat) -> Outcome:
    """In the folder at hand, with its files as standard input and output."""
    words, files = shlex.split(line), dict[str, Path]()
    for sign in ("<", ">"):
        if sign in words:
            at = words.index(sign)
            files[sign] = Path(words[at + 1])
            del words[at : at + 2]
    assert words[0] == "nat"
    done = nat(*words[1:], stdin=files["<"].read_text() if "<" in files else "")
    if ">" in files:
        files[">"].write_text(done.out)
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one engine wrote is there for the next."""
    return tmp_path_factory.mktemp("page")


def test_no_command_of_the_page_is_left_out() -> None:
    parts = [commands(section(heading)) for heading in (SAME, MANY, NODES)]
    assert commands(PAGE) == [line for part in parts for line in part]
    assert [len(part) for part in parts] == [7, 3, 4]


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_a_comparison_and_a_run_end_with_the_same_file_as_on_this_machine_alone(
    engine: dict[str, str], folder: Path, nat: Nat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    lines = [line for line in commands(section(SAME)) if str(out_of(line)) != REFUSED]
    for name, file in RESULTS.items():
        by_engine = {engine_of(line) or "local": line for line in lines if line.startswith(f"nat {name} ")}
        alone, other = by_engine["local"], by_engine[engine["name"]]
        for line in dict.fromkeys([alone, other]):
            if not out_of(line).exists():
                done = ran(line, nat)
                assert done.status == 0, done.err
        assert (out_of(other) / file).read_bytes() == (out_of(alone) / file).read_bytes()


def test_without_slurm_its_executor_is_refused_before_any_search(
    tmp_path: Path, nat: Nat, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # as where there is none
    (line,) = (line for line in commands(section(SAME)) if str(out_of(line)) == REFUSED)
    done = ran(line, nat)
    assert done.status == 2
    assert done.err.splitlines()[-1].startswith("nat: executor: submitit refuses this: "), done.err
    assert not list(out_of(line).glob("searches/*"))


@pytest.mark.parametrize("engine", [ENGINES[0], ENGINES[2]])
def test_a_stream_is_answered_alike_with_and_without_an_executor(
    engine: dict[str, str], tmp_path: Path, nat: Nat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("architectures.txt").write_text("DARTS_V2\nrubbish\nDARTS_V1\n")
    lines = [line for line in commands(section(MANY)) if engine_of(line) in ("", engine["name"])]
    assert len(lines) == 2
    found = []
    for line in lines:
        done = ran(line, nat)
        assert done.status == 2
        assert done.err.startswith("nat: standard input, line 2: ")
        found.append(Path("leaner.txt").read_text())
    assert found[0] == found[1]
    assert len(found[0].splitlines()) == 2
