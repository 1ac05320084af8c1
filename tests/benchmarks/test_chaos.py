"""A run whose workers are killed, and the command once, ends as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.common.results import add_result, read_results
from benchmarks.experiments.speed import noted
from benchmarks.experiments.speed.chaos import kept_runs, tables_of
from benchmarks.running import run
from nat_plugin.evaluators.trial import Trial
from tests.networks import genotype_network


def test_killed_at_random_moments_with_its_workers_a_run_ends_with_the_same_bytes(tmp_path: Path) -> None:
    words = ["--save", str(tmp_path / "kept.json")]
    run("chaos", [*words, "--quick"])
    found = read_results(tmp_path / "kept.json")
    (disturbed,) = found["local"]["runs"]
    assert disturbed["commands"] + disturbed["workers"] > 0
    assert [disturbed[name] for name in ("said", "differs", "measured_twice", "left")] == ["", [], 0, 0]
    assert tables_of(found)["chaos"].endswith(f"| 0 | 0 | 0 | {disturbed['lost_results']} | 0 |")


def test_what_is_trained_again_is_seen_though_the_journal_has_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(noted.RUN, str(tmp_path / "run"))
    one, other = (Trial(genotype_network(name), 0) for name in ("DARTS_V1", "DARTS_V2"))
    for trial, what in [(one, "begin"), (one, "begin"), (one, "end"), (other, "begin"), (other, "end"), (one, "end")]:
        noted._note(trial, what)
    assert noted.again(tmp_path / "run") == (1, 0)
    (tmp_path / "run" / "trials").mkdir(parents=True)
    (tmp_path / "run" / "trials" / f"{one.name}.safetensors").touch()
    noted._note(one, "begin")
    assert noted.again(tmp_path / "run") == (1, 1)


def test_an_experiment_that_was_interrupted_goes_on_with_the_next_run_and_with_none_of_another(tmp_path: Path) -> None:
    kept, setting = tmp_path / "kept.json", {"proposals": 1, "every": 0.05}
    assert kept_runs(kept, "local", setting) == []
    add_result(kept, "local", {**setting, "runs": [{"workers": 1}]})
    assert kept_runs(kept, "local", setting) == [{"workers": 1}]
    assert kept_runs(kept, "ray", setting) == []
    assert kept_runs(kept, "local", {**setting, "every": 1.0}) == []
    entry = read_results(kept)["local"]
    kept.write_text(json.dumps({"local": {**entry, "commit": "0123456789ab"}}))
    assert kept_runs(kept, "local", setting) == []
