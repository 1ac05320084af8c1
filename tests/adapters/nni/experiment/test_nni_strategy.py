"""The strategies inside NNI: what they propose, how they learn, where they start, and what can be chained to them."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nat_nni import NAT, Evolution, HillClimb, RandomSearch, SearchStrategy, to_network
from nat_nni.export.counting import count_frozen
from nni.nas.execution import SequentialExecutionEngine
from nni.nas.hub.pytorch import DARTS, NasBench201
from nni.nas.space import ModelStatus, RawFormatModelSpace
from nni.nas.strategy.middleware import Chain, Deduplication, FailureHandler, Filter, MultipleEvaluation

from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, cost, find_rule, key
from tests.adapters.nni.nni_experiments import DEAR, ENDS, OPS, Scored, ThreadedEngine, cells, explore, worth

SPACE = NasBench201(stem_out_channels=4, num_modules_per_stack=1)
STRATEGIES = [NAT, RandomSearch, HillClimb, Evolution]
DEAD = {**dict.fromkeys(DEAR, "none"), "cell/0_1": "conv_3x3", "cell/0_3": "conv_1x1"}
"""The first operation leads nowhere."""
MIXED = {**DEAR, "cell/0_1": "skip_connect", "cell/1_3": "avg_pool_3x3"}


def key_of(sample: Mapping[str, Any]) -> str:
    return key(to_network(SPACE, sample))


@pytest.mark.parametrize("strategy", [*STRATEGIES, lambda **given: SearchStrategy("surrogate", **given)])
def test_the_input_once_then_others_within_the_budget(strategy: Any) -> None:
    models = explore(strategy(initial=DEAR, budget={"macs": "0.7x"}), 16)
    assert len(models) == 16
    assert models[0].sample == DEAR
    assert len({key_of(model.sample) for model in models}) == 16
    limits = Budget.parse({"macs": "0.7x"}).resolve(to_network(SPACE, DEAR))
    assert all(limits.fit(to_network(SPACE, model.sample)) for model in models[1:])
    assert all(model.metric == pytest.approx(worth(model.sample)) for model in models)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_best_come_first_and_none_over_the_budget_is_among_them(strategy: Any) -> None:
    searched = strategy(initial=DEAR, budget={"macs": "0.7x"})
    explore(searched, 16)
    found = list(searched.list_models(limit=5))
    assert len(found) == 5
    assert [model.metric for model in found] == sorted((model.metric for model in found), reverse=True)
    assert DEAR not in [model.sample for model in found]  # though it has the best metric of all


@pytest.mark.parametrize("strategy", [NAT, HillClimb])
@pytest.mark.parametrize("metric", ["params", "macs"])
def test_what_is_listed_is_within_the_budget_as_nni_builds_it(strategy: Any, metric: str) -> None:
    """NNI builds operations that lead nowhere: they are written as ``none``, in an input as in what becomes of it."""
    limit = getattr(cost(to_network(SPACE, DEAD)), metric)
    assert getattr(count_frozen(SPACE, DEAD, (3, 32, 32)), metric) > limit
    searched = strategy(initial=[DEAD, DEAR], rules="nat++", budget={metric: str(limit)})
    models = explore(searched, 6, Scored(lambda sample: len(set(sample.values()))))
    assert models[0].sample == {**DEAD, "cell/0_1": "none"}
    listed = list(searched.list_models())
    assert len(listed) >= 3
    for model in listed:
        built, said = count_frozen(SPACE, model.sample, (3, 32, 32)), cost(to_network(SPACE, model.sample))
        assert getattr(built, metric) <= limit
        assert built == said


def test_of_equals_the_leanest_is_the_best() -> None:
    searched = NAT(initial=DEAR)
    models = explore(searched, 8, Scored(lambda sample: 0.5))
    (best,) = searched.list_models(limit=1)
    assert cost(to_network(SPACE, best.sample)).macs == min(cost(to_network(SPACE, m.sample)).macs for m in models)


def test_it_learns_from_what_is_measured() -> None:
    """Of single changes of the input it keeps the better ones: far better than chance within as many trials."""
    trials = 40
    climbed = explore(HillClimb(initial=MIXED, rules="nat++"), trials)
    drawn = explore(RandomSearch(initial=MIXED, rules="nat++"), trials)
    assert max(m.metric for m in climbed) >= max(m.metric for m in drawn)
    assert np.mean([m.metric for m in climbed]) > np.mean([m.metric for m in drawn])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_results_that_arrive_late_and_in_another_thread(strategy: Any) -> None:
    engine = ThreadedEngine(17, 3, worth)
    searched = strategy(initial=[DEAR, MIXED])
    searched(cells(), engine)
    assert len(engine.models) == 17
    assert engine.ended != sorted(engine.ended)
    assert len({key_of(model.sample) for model in engine.models}) == 17
    assert searched.trials.running == 0
    assert [model.status for model in searched.list_models(sort=False)] == [ModelStatus.Trained] * 17


def test_the_same_seed_brings_the_same_samples() -> None:
    first, again, other = (
        [m.sample for m in explore(NAT(initial=DEAR, seed=seed, policy="none"), 12)] for seed in (3, 3, 4)
    )
    assert first == again != other


def test_a_search_that_has_nothing_more_ends() -> None:
    start = {
        **dict.fromkeys(DEAR, "none"),
        "cell/0_3": "conv_1x1",
        "cell/0_1": "conv_1x1",
        "cell/1_3": "conv_1x1",
    }
    models = explore(RandomSearch(initial=start), None)
    assert len(models) == len({key_of(model.sample) for model in models}) > 4


def test_limits_of_the_engine_are_kept() -> None:
    assert len(explore(NAT(initial=DEAR), 5)) == 5
    assert len(explore(NAT(initial=DEAR), None, max_duration=1e-9)) == 1


def test_where_a_search_may_start(tmp_path: Path) -> None:
    earlier = RandomSearch(initial=DEAR)
    explore(earlier, 6)
    best = next(iter(earlier.list_models()))
    one, several = tmp_path / "one.json", tmp_path / "several.json"
    one.write_text(json.dumps(MIXED))
    several.write_text(json.dumps([MIXED, {"sample": DEAR}]))
    starts = {
        "a dict": (MIXED, [MIXED]),
        "twice the same": ([DEAR, dict(DEAR)], [DEAR]),
        "a file": (one, [MIXED]),
        "a file of several": (str(several), [MIXED, DEAR]),
        "a model": (best, [best.sample]),
        "a mixture": ([best, one], [best.sample, MIXED]),
    }
    for name, (initial, wanted) in starts.items():
        models = explore(RandomSearch(initial=initial), len(wanted) + 1)
        assert [model.sample for model in models[:-1]] == wanted, name


def test_nothing_given_is_drawn() -> None:
    models = explore(NAT(initial=None, draws=3, seed=1), 9)
    assert len({key_of(model.sample) for model in models}) == 9
    assert [m.sample for m in explore(NAT(draws=3, seed=1), 9)] == [m.sample for m in models]


def test_a_searched_model_of_the_zoo_by_name() -> None:
    """Nothing is trained or built: the samples alone are looked at. NNI 2 wrote inputs as bare numbers."""
    space = RawFormatModelSpace(DARTS(width=4, num_cells=3, dataset="cifar"), Scored(lambda sample: 1.0))
    searched = NAT(initial="darts-v2", input=(3, 8, 8))
    searched(space, SequentialExecutionEngine(2))
    first, second = searched.list_models(sort=False)
    assert first.sample["reduce/op_2_0"] == "max_pool_3x3"
    assert first.sample["normal/input_5_1"] == [2]
    assert second.sample != first.sample
    bare = {label: value[0] if isinstance(value, list) else value for label, value in first.sample.items()}
    old = NAT(initial=bare, input=(3, 8, 8))
    old(RawFormatModelSpace(space.model_space, space.evaluator), SequentialExecutionEngine(1))
    assert next(old.list_models(sort=False)).sample == first.sample


@pytest.mark.parametrize(
    ("initial", "said"),
    [
        ({**DEAR, "cell/0_1": "conv_9x9"}, "'cell/0_1' is 'conv_9x9'; allowed: 'none'"),
        ({**DEAR, "cell/9_9": "none"}, "no label 'cell/9_9'"),
        ({}, "needs 'cell/0_1'"),
        ([], "the list is empty"),
        (3, "int is not a sample"),
        ("resnet50", "'resnet50' is neither a file nor one of NNI's searched models .darts-v2"),
    ],
)
def test_a_start_that_is_none_is_refused_in_one_line(initial: Any, said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        explore(NAT(initial=initial), 2)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rules": "nay"}, "unknown rules 'nay'"),
        ({"budget": {"macs": "much"}}, "is not a limit"),
        ({"budget": {"watts": 3}}, "unknown metric 'watts'"),
        ({"epochs": 3}, "epochs: Extra inputs are not permitted; its settings: "),
        ({"device": "abacus"}, "device 'abacus' is not one of"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(NATError, match=said):
        NAT(initial=DEAR, **settings)
    with pytest.raises(NATError, match="'gnat'; allowed: "):
        SearchStrategy("gnat")


def test_middlewares_can_be_chained() -> None:
    """A filter that lets nothing through but cells with a pooling, an evaluation that is repeated, a failure that is
    scored, a sample that is never submitted twice."""
    seen: list[Mapping[str, Any]] = []

    def score(sample: Mapping[str, Any]) -> float:
        seen.append(sample)
        if sample["cell/2_3"] == "none":
            raise RuntimeError("it does not train")
        return worth(sample)

    def no_null_first(model: Any) -> bool:
        return bool(model.sample["cell/0_1"] != "none")

    searched = RandomSearch(initial=DEAR)
    chain = Chain(
        searched,
        Deduplication("invalid"),
        FailureHandler(metric=-1.0),
        Filter(no_null_first),
        MultipleEvaluation(2),
    )
    chain(cells(Scored(score)), SequentialExecutionEngine(24, continue_on_failure=True))
    models = list(chain.list_models(sort=False))
    status = [model.status for model in models]
    assert status.count(ModelStatus.Trained) >= 3
    assert ModelStatus.Invalid in status
    assert len(seen) >= 24
    assert all(seen[n] == seen[n + 1] for n in range(0, len(seen), 2))
    assert all(no_null_first(model) for model in chain.list_models(limit=3))
    assert next(chain.list_models()).metric == max(worth(s) for s in seen if s["cell/2_3"] != "none")


def test_rules_are_kept() -> None:
    rule = find_rule("nat")
    start = to_network(SPACE, DEAR)
    for model in explore(Evolution(initial=DEAR, population=4, tournament=2), 20):
        ops = to_network(SPACE, model.sample).ops
        assert all(old == new or rule.allows(old, new) for old, new in zip(start.ops, ops, strict=True))


def test_a_policy_that_ships_needs_a_third_of_the_models(shared_data: Path) -> None:
    """On trained accuracies: NAT after 10 models, the input among them, against random moves after 30 (the whole
    comparison is benchmarks/experiments/nni/nasbench201.py)."""
    with gzip.open(shared_data / "nasbench201.csv.gz", "rt", encoding="utf-8", newline="") as file:
        table = {row["ops"]: float(row["c10_val200_s1"]) for row in csv.DictReader(file)}

    def accuracy(sample: Mapping[str, Any]) -> float:
        return table["".join(str(OPS.index(sample[f"cell/{end}"])) for end in ENDS)]

    good = sorted(cell for cell, found in table.items() if found > 89)
    space = RawFormatModelSpace(NasBench201(), Scored(accuracy))
    best: dict[str, list[float]] = {"nat": [], "random": []}
    for seed, cell in enumerate(np.random.default_rng(1).permutation(good)[:10]):
        initial = {f"cell/{end}": OPS[int(digit)] for end, digit in zip(ENDS, cell, strict=True)}
        for name, make, models in (("nat", NAT, 10), ("random", RandomSearch, 30)):
            searched = make(initial=initial, seed=seed, budget={})
            searched(RawFormatModelSpace(space.model_space, space.evaluator), SequentialExecutionEngine(models))
            best[name].append(next(searched.list_models()).metric)
    assert np.mean(best["nat"]) >= np.mean(best["random"])
