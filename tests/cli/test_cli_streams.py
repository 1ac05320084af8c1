"""``SOURCE -``: every line is answered as soon as it can be, and one that is wrong loses none before it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

import pytest

from tests.command_line import Nat
from tests.processes import left_of, workers_of

NAMES = ("nor_conv_3x3", "nor_conv_1x1", "skip_connect", "avg_pool_3x3")
TRANSFORM = ("transform", "-", "--adapter", "nasbench201", "--device", "cpu")


def cells(count: int) -> list[str]:
    return [
        f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|" for a, b, c, d, e, f in islice(product(NAMES, repeat=6), count)
    ]


@pytest.fixture
def process(request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    """``nat transform -``, with more options as a parameter, waiting for lines."""
    started = subprocess.Popen(
        [sys.executable, "-m", "nat_plugin", *TRANSFORM, *getattr(request, "param", [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    yield started
    if started.poll() is None:
        os.killpg(started.pid, signal.SIGKILL)
    started.communicate()


def give(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("".join(line + "\n" for line in lines))
    process.stdin.flush()


def answers(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline() for _ in range(count)]


def test_a_line_is_answered_before_the_next_is_there(process: subprocess.Popen[str]) -> None:
    for line in cells(8):  # the last by other processes
        give(process, [line])
        assert answers(process, 1)[0].startswith("|")
    give(process, cells(700))
    assert all(line.startswith("|") for line in answers(process, 700))


@pytest.mark.parametrize("process", [["--json"]], indirect=True)
def test_a_row_is_there_before_the_next_line_is_given(process: subprocess.Popen[str], nat: Nat) -> None:
    """One document when it is done; until then a row on each line, behind a comma but for the first."""
    assert answers(process, 1) == ['{"results": [\n']
    rows = []
    for line in cells(3):
        give(process, [line])
        rows += answers(process, 1)
        assert json.loads(rows[-1].removeprefix(","))["architecture"].startswith("|")
    rest, _ = process.communicate("\n".join(cells(5)[3:]), timeout=60)
    document = json.loads('{"results": [' + "".join(rows) + rest)
    plain = nat(*TRANSFORM, stdin="\n".join(cells(5)))
    assert [row["architecture"] for row in document["results"]] == plain.out.splitlines()


@pytest.mark.parametrize("process", [["--json"]], indirect=True)
def test_a_document_without_any_row_is_one_too(process: subprocess.Popen[str]) -> None:
    assert json.loads(process.communicate("", timeout=60)[0]) == {"results": []}


def test_what_comes_of_a_line_does_not_depend_on_when_and_where_it_comes(nat: Nat) -> None:
    lines = cells(120)
    together = nat(*TRANSFORM, "--samples", "2", stdin="\n".join(lines)).out.splitlines()
    assert together[77] == nat(*TRANSFORM, "--samples", "2", stdin=lines[77]).out.strip()
    assert nat(*TRANSFORM, "--samples", "2", stdin="\n".join(lines[50:])).out.splitlines() == together[50:]


def test_one_bad_line_loses_none_before_it(nat: Nat) -> None:
    lines = cells(40)
    lines[25] = "rubbish"
    said = nat(*TRANSFORM, stdin="\n".join(lines))
    assert said.status == 2
    assert said.err.startswith("nat: standard input, line 26: ")
    assert len(said.err.splitlines()) == 1
    assert len(said.out.splitlines()) == 25
    rows = nat(*TRANSFORM, "--json", stdin="\n".join(lines))
    assert rows.status == 2
    assert [row["architecture"] for row in json.loads(rows.out)["results"]] == said.out.splitlines()


@pytest.mark.parametrize(
    "command", [TRANSFORM, ("show", "-", "--json"), ("convert", "-", "--from", "nasbench201", "--to", "network")]
)
def test_with_keep_going_all_others_are_answered(nat: Nat, command: tuple[str, ...]) -> None:
    lines = cells(40)
    lines[25], lines[30] = "rubbish", "|none~0|+|none~0|none~9|+|none~0|none~1|none~2|"
    said = nat(*command, "--keep-going", stdin="\n".join(lines))
    assert said.status == 2
    assert len(said.out.splitlines()) == 38
    first, second, last = said.err.splitlines()
    assert first.startswith("nat: standard input, line 26: ")
    assert second.startswith("nat: standard input, line 31: ")
    assert last == "nat: lines of standard input that were skipped: 2"
    others = "\n".join(line for number, line in enumerate(lines) if number not in (25, 30))
    assert nat(*command, stdin=others).out == said.out


def test_an_executor_answers_the_same_lines_in_the_same_order(
    nat: Nat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = cells(70)
    lines[25] = "rubbish"
    by = ("--executor", "local", "--executor", "workers=1")
    for given in ((), ("--json", "--budget", "macs=0.9x")):
        said = nat(*TRANSFORM, *given, *by, "--keep-going", stdin="\n".join(lines))
        assert said == nat(*TRANSFORM, *given, "--keep-going", stdin="\n".join(lines))
        assert said.status == 2
        assert said.err.startswith("nat: standard input, line 26: ")
    assert list(tmp_path.iterdir()) == []
    others = lines[:25] + lines[26:]
    assert nat(*TRANSFORM, *by, stdin="\n".join(others)).status == 0
    ended = nat(*TRANSFORM, *by, stdin="\n".join(lines))
    assert (ended.status, len(ended.err.splitlines()), len(ended.out.splitlines())) == (2, 1, 25)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("-", "--executor", "rya"), "executor.name: 'rya' is not known (did you mean 'ray'?); allowed: local, ray, "),
        (("-", "--executor", "worker=2"), "executor.worker: unknown key; did you mean 'workers'?"),
        (("-", "--executor", "workers=[1"), "--executor workers: "),
        (("DARTS_V2", "--executor", "local"), "--executor works only with SOURCE -"),
    ],
)
def test_what_is_wrong_with_an_executor_is_one_line(nat: Nat, command: tuple[str, ...], message: str) -> None:
    said = nat("transform", *command, stdin="")
    assert said.status == 2
    assert said.err.startswith(f"nat: {message}")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("command", [TRANSFORM, ("show", "-"), ("convert", "-", "--from", "darts", "--to", "network")])
def test_bytes_that_are_no_text(command: tuple[str, ...]) -> None:
    call = [sys.executable, "-m", "nat_plugin", *command]
    done = subprocess.run(call, input=b"\n\xff\xfe\n", capture_output=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"nat: standard input, line 2: this is not text in UTF-8\n"


two_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core needs no processes"
)


@two_cores
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_is_left_behind(process: subprocess.Popen[str], number: signal.Signals) -> None:
    for line in cells(6):
        give(process, [line])
        answers(process, 1)
    workers = workers_of(process)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    err = process.communicate(timeout=60)[1]
    assert left_of(workers) == []
    assert err == ("nat: stopped\n" if number == signal.SIGINT else "")


@two_cores
def test_a_worker_that_is_killed_is_said_in_one_line(process: subprocess.Popen[str]) -> None:
    for line in cells(6):
        give(process, [line])
        answers(process, 1)
    workers = workers_of(process)
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate("\n".join(cells(700)), timeout=60)
    assert process.returncode == 2
    assert err.startswith("nat: a worker process was killed (out of memory?); ")
    assert len(err.splitlines()) == 1
    assert left_of(workers) == []
