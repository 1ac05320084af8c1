"""``compact`` on an executor: the same result whoever finds it out, nothing twice, and one line for what cannot be."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nat_timm
import pytest
import torch
from nat_timm.compacting import work
from nat_timm.compacting.result import CompactionResult
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nat_plugin.errors import NATError
from nat_plugin.execution import base
from nat_plugin.runs.folder import LOCK, locked, read_journal
from nat_plugin.runs.worker_files import KeptWorkers
from tests.adapters.timm.compaction import QUICK, loaders
from tests.adapters.timm.compaction import model as made
from tests.execution.engines import ENGINES
from tests.runs.finding import THEIRS

ROOT = Path(__file__).resolve().parents[3]
ADVISED: dict[str, Any] = {
    **QUICK,
    "advice": True,
    "strategy": "random",
    "search": {"rounds": 2, "proposals": 2},
    "candidates": 1,
    "evaluator": {"recalibration": 64},
}
ADAPTED: dict[str, Any] = {
    **QUICK,
    "strategy": "random",
    "search": {"warmup": 2, "rounds": 1, "proposals": 2, "steps": 1},
    "candidates": 1,
    "evaluator": {"recalibration": 64},
}


def model() -> nn.Module:
    return made("test_efficientnet")


def found(given: dict[str, Any], **changes: Any) -> CompactionResult:
    torch.manual_seed(torch.seed())  # what a program has drawn before changes nothing
    return nat_timm.compact(model(), *loaders(64, 30), budget={"params": "0.8x"}, **given, **changes)


def said(result: CompactionResult) -> list[Any]:
    """All that it consists of."""
    every = (result.before, result.reference, *result.tuned)
    return [(each.network, each.how, each.accuracy, each.cost) for each in every] + [str(result)]


def weights(result: CompactionResult) -> list[dict[str, Tensor]]:
    return [each.model.state_dict() for each in (result.reference, *result.tuned)]


def assert_same(one: CompactionResult, other: CompactionResult) -> None:
    assert said(one) == said(other)
    for mine, its in zip(weights(one), weights(other), strict=True):
        assert mine.keys() == its.keys()
        assert all(torch.equal(value, its[name]) for name, value in mine.items())


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder is given, workers have one where the program is. Jobs find what is sent to them by the path."""
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def advised() -> CompactionResult:
    """In one process, one after the other."""
    return found(ADVISED)


SHORT = {"rounds": 1, "proposals": 1}
"""Where every task takes seconds to begin."""


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_find_what_one_process_finds(engine: dict[str, Any], advised: CompactionResult, tmp_path: Path) -> None:
    folder, saved = tmp_path / "kept", tmp_path / "saved"
    changes = {"search": SHORT} if engine["name"] == "submitit" else {}
    alone = found({**ADVISED, **changes}) if changes else advised
    result = found({**ADVISED, **changes}, executor=engine, deterministic=True, folder=folder)
    assert_same(result, alone)
    lines = [line for line in read_journal(folder / "journal.jsonl") if line["stage"] == "search"]
    assert len(lines) == (1 if changes else 4)
    did = json.loads((folder / "workers.json").read_text())
    own = 2  # weights of the model and of the finalist
    assert sum(each["tasks"] for each in did.values()) == len({line["network"] for line in lines}) + own
    result.save(saved)
    assert json.loads((saved / "compaction.json").read_text())["workers"] == did
    assert "What each worker did" in (saved / "report.html").read_text()


def test_where_nobody_else_worked_the_report_says_nothing_of_workers(advised: CompactionResult, tmp_path: Path) -> None:
    advised.save(tmp_path)
    assert "What each worker did" not in (tmp_path / "report.html").read_text()


def test_told_as_they_arrive_the_journal_has_the_order_and_another_process_keeps_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "plugins", lambda: THEIRS)
    with locked(_made(tmp_path)), pytest.raises(NATError, match="another process is running in this folder") as error:
        found(ADVISED, folder=tmp_path)
    assert "\n" not in str(error.value)
    for name in (LOCK, work.CALL):
        (tmp_path / name).unlink()
    result = found(ADVISED, executor={"name": "shuffled", "workers": 3, "order": 1, "patience": 0.5}, folder=tmp_path)
    lines = [line for line in read_journal(tmp_path / "journal.jsonl") if line["stage"] == "search"]
    assert sorted(line["number"] for line in lines) == list(range(4))
    assert [line["number"] for line in lines] != list(range(4))
    assert all(line["asked"] > line["number"] for line in lines)
    again = found(ADVISED, executor={"name": "shuffled", "workers": 3, "order": 7, "patience": 0.5}, folder=tmp_path)
    assert_same(again, result)


def _made(folder: Path) -> Path:
    """As a call leaves it that has just begun."""
    (folder / work.CALL).write_text("{}")
    return folder


def test_weights_that_a_search_adapted_reach_workers_too(tmp_path: Path) -> None:
    assert_same(found(ADAPTED, folder=tmp_path), found(ADAPTED))


def test_what_was_found_out_before_it_was_stopped_is_not_found_out_again(
    advised: CompactionResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, tuned, kept = KeptWorkers.keep, work._tuned, []

    def stopping(self: KeptWorkers, name: str, answer: Any) -> None:
        keep(self, name, answer)
        kept.append(name)
        raise KeyboardInterrupt

    monkeypatch.setattr(KeptWorkers, "keep", stopping)
    with pytest.raises(KeyboardInterrupt):
        found(ADVISED, executor="local", folder=tmp_path)
    monkeypatch.setattr(KeptWorkers, "keep", keep)
    again: list[Any] = []
    monkeypatch.setattr(work, "_tuned", lambda *given: again.append(given) or tuned(*given))
    assert_same(found(ADVISED, executor="local", folder=tmp_path), advised)
    assert (len(kept), len(again)) == (1, 1)
    with pytest.raises(
        NATError, match="this folder holds the results of another call of compact; choose another"
    ) as error:
        found(ADVISED, executor="local", folder=tmp_path, seed=1)
    assert "\n" not in str(error.value)


def test_what_a_worker_loses_is_said_and_the_model_itself_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = work._tuned

    def losing(shared: Any, network: Any, *given: Any) -> Any:
        if (network == own) == is_own_lost:
            raise MemoryError("no room")
        return tuned(shared, network, *given)

    monkeypatch.setattr(work, "_tuned", losing)
    own, is_own_lost = nat_timm.to_network(model(), (3, 16, 16)), False
    within = {**ADAPTED, "executor": {"retries": 2}}
    result = nat_timm.compact(model(), *loaders(96, 40), budget={"params": "1.0x"}, **within)
    assert [each.network for each in result.tuned] == [own]
    lost = "Lost with their workers: 1 of 1 finalists: fine-tuning from "
    assert result.notes[0].startswith(lost)
    assert result.notes[0].endswith(" weights: it raised MemoryError: no room, 3 times")
    is_own_lost = True
    with pytest.raises(
        NATError, match="no room, 2 times, of the model itself; all else is done: with folder="
    ) as error:
        found(ADAPTED, folder=tmp_path)
    assert "\n" not in str(error.value)


def same(batch: Any) -> Any:
    return torch.utils.data.default_collate(batch)


def test_loaders_with_processes_and_numbers_of_their_own_reach_workers_as_they_came() -> None:
    """A loader that was gone through has processes at work, which no other process can be given."""
    given = []
    for _ in range(2):
        train, val = loaders(48, 20)
        own = DataLoader(
            train.dataset, 32, shuffle=True, num_workers=1, persistent_workers=True, generator=torch.Generator()
        )
        once = {**ADAPTED, "starts": ("own",)}
        given.append(nat_timm.compact(model(), own, val, budget={"params": "0.8x"}, **once, executor="local"))
        assert len(list(own)) == 2
    assert_same(*given)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"executor": "rya"}, r"executor\.name: 'rya' is not known \(did you mean 'ray'\?\); allowed: local, ray, "),
        ({"executor": {"worker": 2}}, "executor.worker: unknown key; did you mean 'workers'"),
        ({"executor": 3}, "executor: give a name, or a mapping of a name and settings .got '3'."),
        ({"deterministic": "maybe"}, "compact.deterministic: Input should be a valid boolean"),
        ({"folder": 3}, "compact.folder: "),
        ({"executor": {"workers": 2}}, "executor: the model or a loader cannot be given to other processes: "),
    ],
)
def test_what_cannot_be_is_one_line(changes: dict[str, Any], message: str) -> None:
    train, val = loaders(32, 20)
    train.collate_fn = lambda batch: same(batch)
    with pytest.raises(NATError, match=message) as error:
        nat_timm.compact(model(), train, val, budget={"params": "0.8x"}, **ADAPTED, **changes)
    assert "\n" not in str(error.value)


def test_an_engine_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None)
    with pytest.raises(NATError, match=r"'ray': it needs ray, which is not installed here: pip install 'nat-plugin\["):
        found(ADAPTED, executor="ray")
