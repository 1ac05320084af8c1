"""Weight sharing on digits: it learns, compares on the same images, resumes to the bit, outlives what is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nat_plugin.data import DataSet, Images
from nat_plugin.data.augment import Augment
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.supernet import SupernetEvaluator, SupernetSettings
from nat_plugin.ir import SKIP, Edge, Network, Op, find_rule
from nat_plugin.search.base import Proposal
from tests.training.samples import cell, network, same

CPU = Compute(torch.device("cpu"))
NAT = find_rule("nat")


def context(*inputs: Network, data: DataSet, compute: Compute = CPU, seed: int = 0) -> EvaluatorContext:
    return EvaluatorContext(inputs, NAT, data, compute, seed)


def evaluator(
    source: Network, data: DataSet, compute: Compute = CPU, seed: int = 0, **settings: Any
) -> SupernetEvaluator:
    return SupernetEvaluator(context(source, data=data, compute=compute, seed=seed), SupernetSettings(**settings))


def variants(source: Network, count: int, seed: int = 0) -> list[Network]:
    """The network with some ops made skips."""
    random = np.random.default_rng(seed)
    return [source.with_ops([SKIP if random.random() < 0.4 else op for op in source.ops]) for _ in range(count)]


def proposals(source: Network, others: list[Network]) -> list[Proposal]:
    return [Proposal(number, source, other) for number, other in enumerate(others)]


def few(data: DataSet, count: int) -> DataSet:
    return replace(data, weights=data.weights.pick(slice(0, count)), reward=data.reward.pick(slice(0, count)))


def test_shared_weights_learn_digits(small: Network, digits: DataSet, compute: Compute) -> None:
    """β beats chance by far, on images that no step has seen; every second step was on another network."""
    shared = evaluator(small, digits, compute, lr=0.05, batch=32, steps=160, reward_images=None)
    reports = [shared.train([each for other in variants(small, 10, n) for each in (small, other)]) for n in range(8)]
    assert reports[-1]["loss"] < 0.75 * reports[0]["loss"]
    assert reports[-1]["steps"] == 160
    assert [report["lr"] for report in reports] == sorted((report["lr"] for report in reports), reverse=True)
    (found,) = shared.measure(proposals(small, [small]))
    assert found is not None
    assert found.details["source_accuracy"] > 0.6
    hits = shared.assess(small, "selection").hits
    assert hits.dtype == torch.bool
    assert hits.shape == (len(digits.selection),)
    assert hits.float().mean() > 0.6
    assert len(shared.assess(small, "test").hits) == len(digits.test)


def test_a_network_gains_nothing_over_itself(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits, reward_images=50)
    shared.train([small] * 3)
    renamed = small.with_cells([("normal", replace(small.by_name["normal"], edges=_shuffled(small)))])
    assert renamed != small
    for found in shared.measure(proposals(small, [small, renamed])):
        assert found is not None
        assert found.gain == 0


def _shuffled(source: Network) -> tuple[Edge, ...]:
    """The edges of its normal cell in another order, which computes the same."""
    edges = list(source.by_name["normal"].edges)
    return (edges[1], edges[0], *edges[2:])


@pytest.mark.parametrize("images", [50, None])
def test_a_measurement_is_what_a_reader_would_compute(small: Network, digits: DataSet, images: int | None) -> None:
    """Input and transformation on the very same images of the reward split, by plain cross-entropy."""
    data = few(digits, 120)
    shared = evaluator(small, data, reward_images=images, reward_batch=60, reward_augment=False)
    other = variants(small, 1)[0]
    shared.train([small, other])
    (found,) = shared.measure(proposals(small, [other]))
    assert found is not None
    used = shared.feed.reward_images(0)
    assert len(used) == (images or 120)
    # Every image is of the reward split, and none is used twice.
    pool = {bytes(each.numpy().tobytes()) for each in data.reward.x}
    drawn = [bytes(each.numpy().tobytes()) for each in used.x]
    assert set(drawn) <= pool
    for name, net in (("source_", small), ("", other)):
        with torch.no_grad():
            parts = [used.pick(part) for part in ([slice(0, 50)] if images else [slice(0, 60), slice(60, 120)])]
            logits = torch.cat([shared.net(data.normalise(part.x), net) for part in parts])
        assert found.details[f"{name}loss"] == pytest.approx(float(F.cross_entropy(logits, used.y)), rel=1e-5)
        hits = float((logits.argmax(1) == used.y).float().mean())
        assert found.details[f"{name}accuracy"] == pytest.approx(hits)
    assert found.score == -found.details["loss"]
    assert found.source_score == -found.details["source_loss"]


def test_rewards_are_measured_on_images_augmented_as_in_training(small: Network, digits: DataSet) -> None:
    """The draw is the same for all networks, stays as long as the weights do, and follows from the seed."""
    data = replace(few(digits, 120), augment=Augment(crop=4, flip=False, cutout=3))
    shared = evaluator(small, data, reward_images=None)
    seen: list[torch.Tensor] = []
    shared.net.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    first = shared.measure(proposals(small, variants(small, 2)))
    assert all(torch.equal(seen[0], each) for each in seen[1:])
    plain = data.normalise(shared.feed.reward_images(0).x)
    assert not torch.equal(seen[0], plain)
    shared._known.clear()
    assert shared.measure(proposals(small, variants(small, 2))) == first
    before = seen[0]
    shared.train([small])
    seen.clear()
    shared.measure(proposals(small, variants(small, 1)))
    assert not torch.equal(seen[0], before)


def test_rewards_can_be_accuracies_as_in_the_paper(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits, reward="accuracy", reward_images=100)
    (found,) = shared.measure(proposals(small, variants(small, 1)))
    assert found is not None
    assert (found.score, found.source_score) == (found.details["accuracy"], found.details["source_accuracy"])
    assert SupernetSettings().reward == "loss"


def test_every_distinct_network_runs_once(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits, reward_images=None)
    seen: list[Network] = []
    shared.net.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[1]))
    others = variants(small, 3)
    first = shared.measure(proposals(small, [*others, *others, small]))
    assert len(seen) == len({small, *others})
    assert shared.measure(proposals(small, others)) == first[:3]
    assert len(seen) == len({small, *others})  # same weights, same images: known already
    shared.train([small])
    shared.measure(proposals(small, others))
    assert len(seen) == 2 * len({small, *others}) + 1


def test_rounds_draw_other_images(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits, reward_images=50)
    first, second = shared.measure(proposals(small, [small])), shared.measure(proposals(small, [small]))
    assert first != second


def test_only_the_paths_of_a_network_move(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits)
    other = variants(small, 1)[0]
    shared.train([small] * 3)
    before = {name: parameter.detach().clone() for name, parameter in shared.net.named_parameters()}
    shared.train([other])
    active = set(shared.net.active_parameters(other))
    moved = {name for name, parameter in shared.net.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved
    assert moved <= {name for name, parameter in shared.net.named_parameters() if parameter in active}
    assert len(active) < len(before)


def test_the_seed_alone_decides(small: Network, digits: DataSet) -> None:
    found = []
    for seed, noise in ((1, 0), (1, 9), (2, 0)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        shared = evaluator(small, digits, seed=seed, reward_images=50)
        report = shared.train(variants(small, 4))
        measured = shared.measure(proposals(small, variants(small, 2)))
        assert torch.equal(torch.get_rng_state(), before)
        found.append((report, measured, shared.state()["net"]))
    assert same(found[0][2], found[1][2])
    assert found[0][:2] == found[1][:2]
    assert found[0][:2] != found[2][:2]


def test_parts_of_a_batch_add_up_to_the_step_of_the_whole(small: Network, digits: DataSet) -> None:
    """Batch norm is over a part, so the step is along the mean of the gradients of the parts."""
    plain = {"batch": 40, "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "grad_clip": 0.0, "label_smoothing": 0.0}
    whole, parts = evaluator(small, digits, **plain), evaluator(small, digits, **plain, accumulation=2)
    x, y = whole.feed.next()
    whole.net.train()
    loss = torch.stack([F.cross_entropy(whole.net(x[half], small), y[half]) for half in (slice(20), slice(20, 40))])
    loss.mean().backward()
    expected = {
        name: each.detach() - (0 if each.grad is None else 0.1 * each.grad)
        for name, each in whole.net.named_parameters()
    }
    report = parts.train([small])
    assert report["loss"] == pytest.approx(float(loss.mean()), abs=1e-5)
    for name, each in parts.net.named_parameters():
        torch.testing.assert_close(each.detach(), expected[name], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_a_restored_evaluator_goes_on_to_the_bit(
    small: Network, digits: DataSet, precision: torch.dtype | None
) -> None:
    """From the middle of a pass over the data into the next one, with other networks after the state than before."""
    data, compute = few(digits, 100), Compute(torch.device("cpu"), precision)
    whole = evaluator(small, data, compute, batch=20, steps=20, reward_images=50)
    whole.train(variants(small, 3))
    whole.measure(proposals(small, [small]))
    saved = whole.state()
    end = [(whole.train(variants(small, 4, n)), whole.measure(proposals(small, variants(small, 2)))) for n in (5, 6)]
    torch.manual_seed(3)
    resumed = evaluator(small, data, compute, batch=20, steps=20, reward_images=50)
    resumed.train([small])
    resumed.restore(saved)
    again = [
        (resumed.train(variants(small, 4, n)), resumed.measure(proposals(small, variants(small, 2)))) for n in (5, 6)
    ]
    assert again == end
    assert same(resumed.state(), whole.state())


def test_broken_weights_measure_as_none(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits, reward_images=50)
    conv = next(index for index, op in enumerate(small.ops) if str(op) == "conv_1x1")
    without = small.with_ops([SKIP if index == conv else op for index, op in enumerate(small.ops)])
    only = set(shared.net.active_parameters(small)) - set(shared.net.active_parameters(without))
    with torch.no_grad():
        for parameter in only:
            parameter.fill_(float("nan"))
    broken, fine = shared.measure([Proposal(0, without, small), Proposal(1, without, without)])
    assert broken is None
    assert fine is not None


def test_a_step_that_is_not_finite_leaves_the_weights_alone(small: Network, digits: DataSet) -> None:
    shared = evaluator(small, digits)
    shared.train([small])
    before = shared.state()
    bias = shared.net.classifier.bias
    kept = bias.detach().clone()
    with torch.no_grad():
        bias.fill_(float("nan"))
    report = shared.train([small])
    assert not np.isfinite(report["loss"])
    with torch.no_grad():
        bias.copy_(kept)
    assert same(shared.state()["net"], before["net"])
    assert np.isfinite(shared.train([small])["loss"])


def test_inputs_may_differ_in_wiring_and_ops_alone(small: Network, digits: DataSet) -> None:
    other = network("skip sep_conv_3x3 conv_1x1 skip")
    shared = SupernetEvaluator(context(small, other, data=digits), SupernetSettings(reward_images=50))
    shared.train([small, other])
    assert None not in shared.measure([Proposal(0, small, small), Proposal(1, other, other)])
    with pytest.raises(NATError, match="input 2 differs from the first in its stem"):
        SupernetEvaluator(context(small, network(channels=4), data=digits), SupernetSettings())
    with pytest.raises(NATError, match="at least one input"):
        SupernetEvaluator(context(data=digits), SupernetSettings())
    with pytest.raises(NATError, match="data set 'digits' has"):
        SupernetEvaluator(context(replace(small, input=(3, 8, 8)), data=digits), SupernetSettings())


def test_other_wirings_are_measured_where_the_bench_says_so(small: Network, digits: DataSet) -> None:
    normal = cell("conv_1x1 sep_conv_3x3 skip max_pool_3x3")
    edges = tuple(replace(edge, source=0) if edge.target == 3 else edge for edge in normal.edges)
    wired = small.with_cells([("normal", replace(normal, edges=edges))])
    shared = SupernetEvaluator(
        EvaluatorContext((small,), NAT, digits, CPU, wirings=True), SupernetSettings(reward_images=50)
    )
    shared.train([wired, small])
    (found,) = shared.measure([Proposal(0, wired, wired.with_ops([Op.parse("skip"), *wired.ops[1:]]))])
    assert found is not None
    with pytest.raises(NATError, match="not a path"):
        evaluator(small, digits).train([wired])


def test_every_setting_is_described() -> None:
    assert [name for name, field in SupernetSettings.model_fields.items() if not field.description] == []


def test_sorted_splits_do_not_reach_batch_statistics_sorted(small: Network, digits: DataSet) -> None:
    """Hits come in the order of the split whatever order they were computed in."""
    shared = evaluator(small, digits, lr=0.05, batch=32, reward_batch=60)
    for _ in range(4):
        shared.train([small] * 20)
    order = torch.argsort(digits.selection.y)
    by_class = replace(digits, selection=Images(*(each[order] for each in (digits.selection.x, digits.selection.y))))
    again = evaluator(small, by_class, lr=0.05, batch=32, reward_batch=60)
    again.restore(shared.state())
    plain, sorted_hits = shared.assess(small, "selection").hits, again.assess(small, "selection").hits
    assert (plain[order] == sorted_hits).float().mean() > 0.9
    assert sorted_hits.float().mean() > 0.6
