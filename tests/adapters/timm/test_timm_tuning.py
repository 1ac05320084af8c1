"""Where fine-tuning begins, what it learns from, and what it leaves as it was."""

from __future__ import annotations

import nat_timm
import numpy as np
import pytest
import torch
from nat_timm.compacting.session import CompactionSession
from nat_timm.compacting.settings import SessionSettings
from nat_timm.compacting.tuner import STARTS
from nat_timm.training.tuning import Tuning, TuningImages, distance, fine_tune

from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, Network
from tests.adapters.timm.compaction import CPU, X, Y, loaders, model
from tests.adapters.timm.samples import lively


def test_fine_tuning_begins_from_the_weights_of_the_model_or_from_adapted_ones() -> None:
    given, still = model(), Tuning(epochs=0)
    session = CompactionSession(
        given, *loaders(), SessionSettings(input=(3, 16, 16), device="cpu", evaluator={"recalibration": 64})
    )
    session.evaluator.train([session.network] * 2)
    own, adapted = (session.tune(session.network, still, start) for start in STARTS)
    weights = own.model.state_dict()
    assert all(torch.equal(each, weights[name]) for name, each in given.state_dict().items())
    assert not torch.equal(adapted.model.get_submodule("conv_stem").weight, given.get_submodule("conv_stem").weight)
    assert (own.how, adapted.how) == ("with own weights", "with adapted weights")
    moves = Moves(session.network, session.rule)
    after = moves.apply(moves.sample(np.random.default_rng(0)))
    inherited = dict(nat_timm.inherit(given, after).named_parameters())
    assert all(torch.equal(each, inherited[name]) for name, each in session.tune(after, still).model.named_parameters())


def test_the_better_start_counts_and_of_the_model_itself_also_as_it_came() -> None:
    session = CompactionSession(model(), *loaders(), SessionSettings(input=(3, 16, 16), device="cpu"))
    session.evaluator.train([session.network] * 4)
    tuning = Tuning(epochs=1)
    tuned = [session.tune(session.network, tuning, start).accuracy for start in STARTS]
    assert len(set(tuned)) == 2
    assert session.best(session.network, tuning, STARTS).accuracy == max(tuned)
    assert session.best(session.network, tuning, STARTS[:1]).accuracy == tuned[0]


def test_where_nothing_was_adapted_a_network_is_tuned_once() -> None:
    session = CompactionSession(model(), *loaders(), SessionSettings(input=(3, 16, 16), device="cpu"))
    assert session.best(session.network, Tuning(epochs=0), STARTS[::-1]).how == "with own weights"
    session.evaluator.train([session.network])
    assert session.best(session.network, Tuning(epochs=0), STARTS[1:]).how == "with adapted weights"


def test_with_fits_what_reads_a_cut_begins_from_least_squares() -> None:
    given, still = lively("test_efficientnet", classes=10), Tuning(epochs=0)
    session = CompactionSession(given, *loaders(), SessionSettings(input=(3, 16, 16), device="cpu", fits=True))
    after, path = _halved(session.network)
    weights = [session.tune(after, still).model, nat_timm.inherit(given, after)]
    found, inherited = (each.get_submodule(f"{path}.conv_pwl").weight for each in weights)
    assert found.shape == inherited.shape
    assert not torch.allclose(found, inherited)


def test_in_closed_form_what_fine_tuning_makes_worse_stays_as_it_was() -> None:
    session = CompactionSession(
        lively("test_efficientnet", classes=10), *loaders(), SessionSettings(input=(3, 16, 16), device="cpu", fits=True)
    )
    after, _ = _halved(session.network)
    tuning, still = Tuning(epochs=1, lr=10), Tuning(epochs=0)
    ways = [session.tune(after, each) for each in (tuning, still)]
    assert [each.how for each in ways] == ["fine-tuned from own weights", "with own weights"]
    assert ways[1].judged.loss < ways[0].judged.loss
    assert session.best(after, tuning, STARTS).how == "with own weights"
    again = session.tune(after, still).model.state_dict()
    assert all(torch.equal(each, again[name]) for name, each in ways[1].model.state_dict().items())


def _halved(network: Network) -> tuple[Network, str]:
    """With fewer hidden channels in one block, and the path of that."""
    return next(
        (
            network.with_ops(
                [op if each == slot else own for each, own in zip(network.slots, network.ops, strict=True)]
            ),
            slot.cell,
        )
        for slot in network.slots
        for op in network.edge(slot).choices
        if str(op.values.get("name", "")).startswith(("mbconv_k3_e3", "mbconv_e3"))
    )


def test_weights_that_are_frozen_stay_as_they_are() -> None:
    given = model()
    given.get_submodule("blocks.0").requires_grad_(False)
    session = CompactionSession(given, *loaders(), SessionSettings(input=(3, 16, 16), device="cpu"))
    session.evaluator.train([session.network] * 2)
    for start in STARTS:
        after = session.tune(session.network, Tuning(epochs=1), start).model
        kept = dict(given.get_submodule("blocks.0").named_parameters())
        assert all(torch.equal(each, kept[name]) for name, each in after.get_submodule("blocks.0").named_parameters())
        assert not torch.equal(after.get_submodule("conv_head").weight, given.get_submodule("conv_head").weight)


def test_fine_tuning_that_diverges_says_so() -> None:
    given = model()
    with torch.no_grad():
        given.get_submodule("conv_stem").weight.fill_(float("nan"))
    with pytest.raises(NATError, match=r"fine-tuning diverged at a learning rate of 0\.01; lower it"):
        fine_tune(given, TuningImages(lambda: iter([(X, Y)]), 1), Tuning(epochs=1), CPU)


def test_distance_is_the_divergence_of_softened_outputs() -> None:
    ours, theirs = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([[0.5, 0.0, 0.0], [0.0, 2.0, 0.0]])
    p, q = (theirs / 3).softmax(1), (ours / 3).softmax(1)
    assert float(distance(ours, theirs, 3.0)) == pytest.approx(float(9 * (p * (p / q).log()).sum()), rel=1e-4)
    assert float(distance(ours, ours, 3.0)) == pytest.approx(0, abs=1e-6)


def test_the_teacher_is_the_model_as_it_came_with_and_without_distillation() -> None:
    for distil in (0.0, 0.5):
        given = model()
        session = CompactionSession(
            given, *loaders(), SessionSettings(input=(3, 16, 16), device="cpu", evaluator={"distil": distil})
        )
        session.evaluator.train([session.network] * 3)
        weights = session.teacher.state_dict()
        assert all(torch.equal(each, weights[name]) for name, each in given.state_dict().items())
