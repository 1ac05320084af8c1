"""A search that was stopped or killed goes on: no trial is repeated, and the end is that of an undisturbed one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from nat_nni import NAT, Evolution, HillClimb, RandomSearch
from nat_nni.experiment.state import read_checkpoint
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.experiment import NasExperiment
from nni.nas.space import ExecutableModelSpace, ModelStatus
from nni.nas.strategy.middleware import Chain, Deduplication, FailureHandler, Filter, MultipleEvaluation

from nat_plugin import messages
from nat_plugin.errors import NATError
from nat_plugin.json_checksums import seal, unseal
from nat_plugin.policy.files import save_policy
from nat_plugin.policy.network import PolicyConfig, new_policy
from tests.adapters.nni.nni_experiments import DEAR, Scored, ThreadedEngine, cells, experiment, explore, narrow, worth

ROOT = Path(__file__).resolve().parents[4]
KILLED = """
import os, signal
from pathlib import Path
from nat_nni import NAT
from tests.adapters.nni.nni_experiments import DEAR, Scored, experiment, narrow, worth

def score(sample):
    with open("trials.txt", "a") as log:
        print(sorted(sample.items()), file=log, flush=True)
    if Path("trials.txt").read_text().count("\\n") == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return worth(sample)

search = NAT(initial=DEAR, seed=5, checkpoint="search.json")
experiment(Path.cwd(), search, 40, "killed", space=narrow(), evaluator=Scored(score)).run()
"""


pytestmark = pytest.mark.usefixtures("nni_home")


def samples(models: list[Any]) -> list[Any]:
    return [model.sample for model in models]


def best(strategy: Any) -> Any:
    return next(strategy.list_models(limit=1)).sample


def only_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(name) is str and only_plain(each) for name, each in value.items())
    if isinstance(value, list):
        return all(map(only_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def test_killed_in_the_middle_it_repeats_no_trial_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # NNI resumes only where an experiment was started
    undisturbed = NAT(initial=DEAR, seed=5)
    wanted = samples(explore(undisturbed, 40))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-W", "ignore", "-c", KILLED]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len((tmp_path / "trials.txt").read_text().splitlines()) == 11
    after: list[Mapping[str, Any]] = []

    def score(sample: Mapping[str, Any]) -> float:
        after.append(sample)
        return worth(sample)

    again = NAT(initial=DEAR, seed=5, checkpoint=tmp_path / "search.json")
    resumed = experiment(tmp_path, again, 40, "killed", space=narrow(), evaluator=Scored(score))
    try:
        resumed.resume()
        models = list(again.list_models(sort=False))
        assert samples(models) == wanted
        assert after == wanted[10:]  # the one that was being trained, and those after it
        assert resumed.export_top_models(formatter="dict") == [best(undisturbed)]
        assert all(model.status is ModelStatus.Trained for model in models)
    finally:
        resumed.stop()


@pytest.mark.parametrize("strategy", [NAT, RandomSearch, HillClimb, Evolution])
def test_interrupted_and_resumed_by_nni(strategy: Any, tmp_path: Path) -> None:
    """Ctrl-C in the ninth trial, then NNI's own resume, which loads plain values only."""
    count = 0

    def score(sample: Mapping[str, Any]) -> float:
        nonlocal count
        count += 1
        if count == 9:
            raise KeyboardInterrupt
        return worth(sample)

    undisturbed = strategy(initial=DEAR)
    wanted = samples(explore(undisturbed, 20))

    def run(started: Any) -> NasExperiment:
        return experiment(tmp_path, started, 20, "cut-short", space=narrow(), evaluator=Scored(score))

    first = strategy(initial=DEAR)
    broken = run(first)
    broken.run()  # NNI catches the interrupt, and stops the experiment
    assert len(list(first.list_models())) == 8
    second = strategy(initial=DEAR)
    resumed = run(second)
    try:
        resumed.resume()
        assert samples(list(second.list_models(sort=False))) == wanted
        assert resumed.export_top_models(formatter="dict") == [best(undisturbed)]
    finally:
        resumed.stop()


def test_the_state_is_plain_and_says_all(tmp_path: Path) -> None:
    searched = NAT(initial=DEAR)
    explore(searched, 12)
    state = searched.state_dict()
    assert only_plain(state)
    again = NAT(initial=DEAR)
    again.initialize(cells(), SequentialExecutionEngine(12))
    again.load_state_dict(json.loads(json.dumps(state)))
    assert again.state_dict() == state
    assert samples(list(again.list_models(limit=3))) == samples(list(searched.list_models(limit=3)))


@pytest.mark.parametrize("strategy", [NAT, RandomSearch, HillClimb, Evolution])
def test_a_state_can_be_loaded_before_the_strategy_is_initialized(strategy: Any) -> None:
    """The order of NNI's own tests."""
    wanted = samples(explore(strategy(initial=DEAR), 14))
    first, engine = strategy(initial=DEAR), SequentialExecutionEngine(6)
    first(cells(), engine)
    state = first.state_dict()
    second = strategy(initial=DEAR)
    second.load_state_dict(state)
    assert second.state_dict() == state
    engine.max_model_count = 14
    second(cells(), engine)
    assert samples(list(second.list_models(sort=False))) == wanted
    assert len(list(engine.list_models())) == 14
    assert all(not callbacks for callbacks in engine._callbacks.values())


def test_a_state_of_another_search_is_refused_when_the_strategy_is_initialized() -> None:
    first, second = RandomSearch(initial=DEAR), RandomSearch(initial=DEAR, seed=3)
    first(cells(), SequentialExecutionEngine(3))
    second.load_state_dict(first.state_dict())
    with pytest.raises(NATError, match=r"belongs to another search \(seed differs\)"):
        second.initialize(cells(), SequentialExecutionEngine(3))


def middlewares() -> dict[str, Any]:
    return {
        "filter": Filter(lambda model: model.sample["cell/0_1"] != "none"),
        "dedup": Deduplication("replay"),
        "failure": FailureHandler(metric=0.0),
        "multiple": MultipleEvaluation(4),
    }


@pytest.mark.parametrize("name", middlewares())
def test_a_chain_is_loaded_before_it_is_initialized(name: str) -> None:
    engine = SequentialExecutionEngine(12)
    first = Chain(HillClimb(initial=DEAR), middlewares()[name])
    first(cells(), engine)
    second = Chain(HillClimb(initial=DEAR), middlewares()[name])
    second.load_state_dict(first.state_dict())
    engine.max_model_count += 8
    second(cells(), engine)
    found = samples(list(second.list_models(sort=False)))
    assert found[: len(samples(list(first.list_models(sort=False))))] == samples(list(first.list_models(sort=False)))
    assert len(found) > len(samples(list(first.list_models(sort=False))))


@pytest.mark.parametrize(
    "change",
    [{"done": 3}, {"done": [[9, [], "trained", 0.5]]}, {"done": [[0]]}, {"trials": {}}, {"engine": 3}, {"done": None}],
)
def test_a_checkpoint_with_the_right_head_and_a_damaged_body_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    explore(RandomSearch(initial=DEAR, checkpoint=path), 3)
    path.write_text(seal({**unseal(path.read_text()), **change}))
    with pytest.raises(NATError, match=r"search\.json") as error:
        explore(RandomSearch(initial=DEAR, checkpoint=path), 5)
    assert "\n" not in str(error.value)


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    explore(NAT(initial=DEAR, checkpoint=path), 4)
    whole, first = path.read_text(), path.read_text().index('"tensors": "') + 12
    for at in (first + 4000, whole.index('"', first) - 40):
        path.write_text(whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :])
        with pytest.raises(NATError, match=r"this is not the checkpoint of a search, or it is damaged"):
            explore(NAT(initial=DEAR, checkpoint=path), 5)


def test_a_chain_goes_on_too() -> None:
    wanted = samples(explore(HillClimb(initial=DEAR), 16))
    first = Chain(HillClimb(initial=DEAR), Deduplication("invalid"))
    first(cells(), SequentialExecutionEngine(7))
    second = Chain(HillClimb(initial=DEAR), Deduplication("invalid"))
    engine = SequentialExecutionEngine(16)
    second.initialize(cells(), engine)
    second.load_state_dict(first.state_dict())
    second.run()
    assert samples(list(second.list_models(sort=False))) == wanted


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"seed": 9}, "seed differs"),
        ({"budget": {"macs": "0.5x"}}, "budget differs"),
        ({"initial": {**DEAR, "cell/0_1": "none"}}, "initial differs"),
    ],
)
def test_the_checkpoint_of_another_search_is_refused(other: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    explore(RandomSearch(initial=DEAR, checkpoint=path), 3)
    before = path.read_bytes()
    with pytest.raises(NATError, match=named) as error:
        explore(RandomSearch(**{"initial": DEAR, "checkpoint": path, **other}), 5)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before


def test_the_checkpoint_of_a_search_with_another_policy_file_is_refused(tmp_path: Path) -> None:
    path, policy = tmp_path / "search.json", tmp_path / "policy.safetensors"
    save_policy(new_policy(PolicyConfig(hidden=4), 0, torch.device("cpu")), policy)
    explore(NAT(initial=DEAR, policy=str(policy), checkpoint=path), 3)
    explore(NAT(initial=DEAR, policy=str(policy), checkpoint=path), 4)
    save_policy(new_policy(PolicyConfig(hidden=4), 1, torch.device("cpu")), policy)
    with pytest.raises(NATError, match=r"another search \(what it read differs\); resume with the same settings and"):
        explore(NAT(initial=DEAR, policy=str(policy), checkpoint=path), 5)


def test_a_checkpoint_of_a_policy_that_no_longer_ships_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(messages, "_said", set())
    path = tmp_path / "search.json"
    explore(NAT(initial=DEAR, policy="nasbench201", checkpoint=path), 3)
    assert capsys.readouterr().err.count("'general' is used in its place") == 1
    values = unseal(path.read_text())
    assert list(values["of"].pop("what it read")) == ["policy general"]  # which was not written then
    path.write_text(seal(values))
    with pytest.raises(NATError, match=r"belongs to another search \(what it read differs\)"):
        explore(NAT(initial=DEAR, policy="nasbench201", checkpoint=path), 5)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"trials": {"tree": {}, "tensors": "AAAA"}}', '{"trials": 3}'])
def test_a_damaged_checkpoint_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(text)
    with pytest.raises(NATError, match=r"search\.json: this is not the checkpoint of a search") as error:
        explore(RandomSearch(initial=DEAR, checkpoint=path), 5)
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_was_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    explore(RandomSearch(initial=DEAR, checkpoint=path), 3)
    text = path.read_text()
    for number, letter in enumerate(text):
        if letter.isdigit() and number % 7 == 0:
            path.write_text(text[:number] + str((int(letter) + 1) % 10) + text[number + 1 :])
            with pytest.raises(NATError, match=r"search\.json: this is not the checkpoint of a search"):
                read_checkpoint(path)


def test_a_checkpoint_that_cannot_be_written_ends_the_search(tmp_path: Path) -> None:
    with pytest.raises(NATError, match="cannot write"):
        explore(RandomSearch(initial=DEAR, checkpoint=tmp_path / "none" / "search.json"), 5)


def test_a_finished_search_can_be_continued_with_more_trials(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    first = explore(HillClimb(initial=DEAR, checkpoint=path), 6)
    more = explore(HillClimb(initial=DEAR, checkpoint=path), 11)
    assert samples(more)[:6] == samples(first)
    assert len(more) == 11


class Forgetful(ThreadedEngine):
    """As ``ts``: its limit on trials is its own, and a checkpoint holds nothing of it."""

    @property
    def max_model_count(self) -> int:
        return self.trials


def test_an_engine_that_knows_nothing_of_earlier_trials_is_given_only_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    first = RandomSearch(initial=DEAR, checkpoint=path)
    first(cells(), Forgetful(7, 1, worth))
    second, engine = RandomSearch(initial=DEAR, checkpoint=path), Forgetful(12, 1, worth)
    second(cells(), engine)
    found = samples(list(second.list_models(sort=False)))
    assert found[:7] == samples(list(first.list_models(sort=False)))
    assert found[7:] == samples(engine.models)
    assert len({json.dumps(each, sort_keys=True) for each in found}) == 12
    third, done = RandomSearch(initial=DEAR, checkpoint=path), Forgetful(12, 1, worth)
    third(cells(), done)
    assert not done.models


class Over(ThreadedEngine):
    """As ``ts`` at a limit on time: it takes models that it does not run any more, and says that it is over."""

    def __init__(self, runs: int) -> None:
        super().__init__(runs + 2, 1, worth)
        self.runs, self.nodejs_binding = runs, self
        self.config = SimpleNamespace(max_trial_number=None)

    def get_status(self) -> str:
        return "DONE" if len(self.models) > self.runs else "RUNNING"

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        if len(self.models) < self.runs:
            super().submit_models(*models)
        else:
            self.models += models
            models[0].status = ModelStatus.Training


def test_models_that_never_run_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nat_nni.experiment.strategy._LAST_WORDS", 0.1)
    monkeypatch.setattr("nat_nni.experiment.strategy.check_message", lambda engine, model: None)  # nothing is sent
    search, engine = RandomSearch(initial=DEAR), Over(3)
    search(cells(), engine)
    assert len(engine.models) == 5
    assert len(list(search.list_models())) == 3
    assert "over before 2 of the models began" in caplog.text
