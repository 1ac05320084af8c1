"""The command line, as others script it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nat_plugin import __version__
from nat_plugin.cli import SUBCOMMANDS
from tests.command_line import Nat


def test_version_help_and_module() -> None:
    done = subprocess.run([sys.executable, "-m", "nat_plugin", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"nat, version {__version__}\n"


def test_help_lists_every_subcommand(nat: Nat) -> None:
    said = nat("--help")
    assert said.status == 0
    assert all(name in said.out for name in SUBCOMMANDS)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_help(nat: Nat, name: str) -> None:
    assert nat(name, "--help").out.startswith(f"Usage: nat {name}")


@pytest.mark.parametrize(
    ("source", "params", "macs"),
    [("DARTS_V2", 3.349, 528), ("NAT_DARTS", 2.682, 424), ("ENAS", 3.860, 606), ("NATv2_DARTS", 2.476, 394)],
)
def test_show_counts_the_published_cells(nat: Nat, source: str, params: float, macs: float) -> None:
    size = ("--channels", "36", "--cells", "20", "--input", "32", "--classes", "10")
    shown = json.loads(nat("show", source, *size, "--json").out)
    assert round(shown["params"] / 1e6, 3) == params
    assert round(shown["macs"] / 1e6) == macs
    assert shown["format"] == "darts"
    edges = [edge for cell in shown["cells"].values() for edge in cell["edges"]]
    assert sum(edge["params"] for edge in edges) < shown["params"]
    assert all({"source", "target", "op", "params", "macs"} <= set(edge) for edge in edges)


def test_show_reads_one_per_line(nat: Nat) -> None:
    said = nat("show", "-", "--json", stdin="DARTS_V1\n\nDARTS_V2\n")
    assert [json.loads(line)["source"] for line in said.out.splitlines()] == ["DARTS_V1", "DARTS_V2"]


def test_show_draws(nat: Nat) -> None:
    said = nat("show", "DARTS_V2")
    assert "3.349M parameters, 528M MACs" in said.out
    assert "2 = sep_conv_3x3(in0) + sep_conv_3x3(in1)" in said.out


def test_convert_there_and_back(nat: Nat, tmp_path: Path) -> None:
    genotype = nat("convert", "DARTS_V2", "--from", "darts", "--to", "darts").out
    assert nat("convert", "DARTS_V2", "--from", "darts", "--to", "network", "-o", str(tmp_path / "n.json")).status == 0
    assert nat("convert", str(tmp_path / "n.json"), "--from", "network", "--to", "darts").out == genotype


def test_convert_between_formats_of_another_usual_size(nat: Nat, tmp_path: Path) -> None:
    published = nat("convert", "ENAS_micro", "--from", "enas-micro", "--to", "enas-micro").out
    assert nat("convert", "ENAS_micro", "--from", "enas-micro", "--to", "darts", "-o", str(tmp_path / "g")).status == 0
    assert (tmp_path / "g").read_text().startswith("Genotype(normal=[('avg_pool_3x3', 0), ")
    back = nat("convert", str(tmp_path / "g"), "--from", "darts", "--to", "enas-micro").out
    assert back.split() == published.split()


@pytest.mark.parametrize("name", ["adapters", "strategies", "evaluators", "datasets", "recipes"])
def test_listings(nat: Nat, name: str) -> None:
    rows = json.loads(nat(name, "--json").out)[name]
    assert rows
    assert all(row["name"] and row["summary"] for row in rows)
    text = nat(name).out
    assert all(f"{row['name']} " in text and row["summary"] in text for row in rows)
    assert all("\n" not in row["summary"] for row in rows)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nat", "graph-network policy.*REINFORCE.*surrogate"),
        ("random", "^Uniform random search"),
        ("hill_climb", "^Local search"),
        ("evolution", "^Regularised evolution"),
        ("surrogate", "^Bayesian optimisation.*Gaussian process.*expected improvement"),
        ("greedy", "^Greedy pruning"),
        ("exhaustive", "^Exhaustive search"),
        ("rule", "^Fixed rule"),
        ("identity", "^No search"),
    ],
)
def test_strategies_are_described_in_the_words_of_the_field(nat: Nat, name: str, words: str) -> None:
    rows = {row["name"]: row["summary"] for row in json.loads(nat("strategies", "--json").out)["strategies"]}
    assert re.search(words, rows[name])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "DARTS_V9"), "nat: 'DARTS_V9' is neither a file, nor a published name"),
        (("show", "DARTS_V2", "--adapter", "keras"), "nat: unknown adapter 'keras'; allowed: "),
        (("convert", "DARTS_V2", "--from", "darts", "--to", "onnx"), "nat: unknown adapter 'onnx'; allowed: "),
        (("convert", "DARTS_V2", "--from", "darts", "--to", "enas-macro"), "nat: "),
        (("resume", "no-such-folder"), "nat: no-such-folder: there is no such folder"),
        (("resume", "no-such-folder", "--moved", "a"), "nat: --moved 'a': write OLD=NEW"),
        (("run", "no-such-recipe"), "nat: 'no-such-recipe' is neither a file nor a recipe that ships"),
        (("run", "quickstart", "--set", "search.rouns=3"), "nat: search.rouns: unknown key; did you mean 'rounds'?"),
        (("transform", "DARTS_V2", "--policy", "no-such-policy"), "nat: "),
        (("transform", "DARTS_V2", "--policy", "x", "--budget", "macs"), "nat: --budget 'macs': write METRIC=LIMIT"),
        (("transform", "DARTS_V2", "--policy", "x", "--rules", "all"), "nat: unknown rules 'all'; allowed: nat, nat++"),
    ],
)
def test_mistakes_end_in_one_line_and_status_2(nat: Nat, arguments: tuple[str, ...], message: str) -> None:
    said = nat(*arguments)
    assert said.status == 2
    assert said.out == ""
    assert said.err.startswith(message)
    assert len(said.err.splitlines()) == 1


SHORT = ("search={warmup: 0, rounds: 1, proposals: 2, steps: 1}", "evaluator.data.limit=200", "final.candidates=1")
QUICK = [part for each in SHORT for part in ("--set", each)]


def test_a_run_ends_by_naming_where_everything_lies(nat: Nat, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    said = nat("run", "quickstart", *QUICK, "--set", "final.schedule.epochs=1", "--out", str(folder))
    assert said.status == 0
    places = dict(line.split(maxsplit=1) for line in said.out.splitlines()[-7:])
    result = json.loads((folder / "result.json").read_text())
    weights = folder / "weights" / f"{result['result']['key']}-seed0.safetensors"
    assert {name: Path(place) for name, place in places.items()} == {
        "folder": folder,
        "architecture": folder / "architecture.txt",
        "weights": weights,
        "policy": folder / "policy.safetensors",
        "report": folder / "report.html",
        "summary": folder / "report.md",
        "figures": folder / "result.json",
    }
    assert all(Path(place).exists() for place in places.values())
    said = nat("run", "quickstart", *QUICK, "--set", "final=null", "-o", str(tmp_path / "none"))
    assert "weights       none: nothing was trained by itself" in said.out
    assert "None: no network was trained by itself" in (tmp_path / "none" / "report.md").read_text()


def test_nothing_but_progress_is_on_standard_error(tmp_path: Path) -> None:
    """torch speaks of CUDA as soon as its compiler of extensions is imported, which nothing here needs."""
    command = [sys.executable, "-m", "nat_plugin", "run", "quickstart", *QUICK, "--set", "final=null"]
    environment = {**os.environ, "CUDA_HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "run")], capture_output=True, text=True, check=True, env=environment
    )
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["search", "search", "selection", "selection"]


def test_all_mistakes_of_a_recipe_come_at_once(nat: Nat) -> None:
    said = nat("run", "quickstart", "--set", "search.rounds=no", "--set", "strategy.lr=-1", "--set", "seed=x")
    assert said.status == 2
    places = [line.split(":")[1].strip() for line in said.err.splitlines()]
    assert sorted(places) == ["search.rounds", "seed", "strategy.lr"]


def test_a_mistake_on_standard_input_names_its_line(nat: Nat) -> None:
    said = nat("show", "-", "--json", stdin="DARTS_V1\nrubbish\n")
    assert said.status == 2
    assert said.err.startswith("nat: standard input, line 2: 'rubbish' is neither")


DISCONNECTED = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"


def test_a_stream_of_cells_goes_on_where_one_is_disconnected(nat: Nat) -> None:
    lines = f"{DISCONNECTED}\n{DISCONNECTED.replace('|none~0|+', '|nor_conv_3x3~0|+', 1)}\n"
    said = nat("transform", "-", "--adapter", "nasbench201", "--json", stdin=lines)
    assert said.status == 0
    results = json.loads(said.out)["results"]
    assert [each["source_params"] for each in results] == [None, None]
    assert all(each["changed"] and each["params"] > 0 for each in results)


def test_a_limit_relative_to_nothing_names_its_line(nat: Nat) -> None:
    lines = f"NB201_ResNet\n{DISCONNECTED}\n"
    common = ("-", "--adapter", "nasbench201", "--budget", "macs=0.9x")
    said = nat("transform", *common, stdin=lines)
    assert said.status == 2
    assert said.err.startswith("nat: standard input, line 2: ")


def test_usage_errors_have_status_2(nat: Nat) -> None:
    assert nat("show").status == 2
    assert nat("show", "DARTS_V2", "--channels", "0").status == 2
    assert nat("fly").status == 2
