"""Training from scratch on real digits: it learns, repeats itself, resumes to the bit, and reports divergence."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from nat_plugin.data import DataSet, Images
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Network
from nat_plugin.nets import build
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.trainer import NetworkTrainer, train
from tests.training.samples import same

QUICK = Schedule(epochs=2, batch=32, lr=0.05, drop_path=0.2, cutout=2)
CPU = Compute(torch.device("cpu"))


def test_a_small_network_learns_digits(small: Network, digits: DataSet, compute: Compute) -> None:
    trainer = NetworkTrainer(small, digits, Schedule(epochs=6, batch=32, lr=0.05, drop_path=0, cutout=0), compute)
    reports: list[dict[str, float]] = []
    train(trainer, reports.append)
    assert trainer.finished
    assert not trainer.failed
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[-1]["loss"] < reports[0]["loss"] / 2
    found = trainer.accuracy(digits.test)
    assert found.value > 0.85
    assert found.hits.dtype == torch.bool
    assert (int(found.hits.sum()), len(found.hits)) == (found.correct, found.total)
    assert found.interval().low < found.value < found.interval().high
    assert trainer.accuracy(digits.test).loss == pytest.approx(found.loss)


def few(data: DataSet) -> DataSet:
    return replace(data, weights=data.weights.pick(slice(0, 160)))


def test_the_seed_alone_decides(small: Network, digits: DataSet) -> None:
    states = []
    for seed, noise in ((1, 0), (1, 99), (2, 0)):
        torch.manual_seed(noise)
        trainer = NetworkTrainer(small, few(digits), QUICK, CPU, seed)
        before = torch.get_rng_state()
        trainer.epoch()
        trainer.epoch()
        assert torch.equal(torch.get_rng_state(), before)
        states.append(trainer.state())
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


def test_making_a_trainer_leaves_the_global_generator_alone(small: Network, digits: DataSet) -> None:
    before = torch.get_rng_state()
    NetworkTrainer(small, digits, QUICK, CPU)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("precision", [None, torch.bfloat16, torch.float16])
def test_a_restored_training_ends_like_an_undisturbed_one(
    small: Network, digits: DataSet, precision: torch.dtype | None
) -> None:
    compute = Compute(torch.device("cpu"), precision)
    some = few(digits)
    whole = NetworkTrainer(small, some, QUICK, compute, 4)
    whole.epoch()
    saved = whole.state()
    train(whole)
    resumed = NetworkTrainer(small, some, QUICK, compute, 4)
    resumed.restore(saved)
    assert resumed.epochs_done == 1
    train(resumed)
    assert same(resumed.state(), whole.state())
    assert torch.equal(resumed.accuracy(digits.test).hits, whole.accuracy(digits.test).hits)


def test_weights_are_those_of_the_module_without_its_auxiliary_head(small: Network, digits: DataSet) -> None:
    trainer = NetworkTrainer(small, few(digits), QUICK, CPU, 4)
    trainer.epoch()
    found, before = trainer.weights(), trainer.accuracy(digits.test)
    module = build(small).eval()
    module.load_state_dict(found)
    again = NetworkTrainer(small, digits, QUICK, CPU, 5)
    again.load(found)
    assert torch.equal(again.accuracy(digits.test).hits, before.hits)
    with pytest.raises(RuntimeError, match="Missing key"):
        again.load({name: found[name] for name in list(found)[1:]})


def test_parts_of_a_batch_add_up_to_its_gradient(small: Network, digits: DataSet) -> None:
    """To the same gradient but for batch norm, which sees the parts: so on parts that are equal, to the very same."""
    twice = digits.weights.pick(torch.arange(16).repeat(2))
    plain = QUICK.model_copy(update={"drop_path": 0.0, "auxiliary": 0.0})
    nets = []
    for accumulation in (1, 2):
        schedule = plain.model_copy(update={"accumulation": accumulation})
        trainer = NetworkTrainer(small, replace(digits, weights=twice), schedule, CPU)
        x = digits.normalise(twice.x)
        sums = trainer._steps.step(x, twice.y, trainer._losses, 0.1)
        nets.append((dict(trainer.net.named_parameters()), sums))
    torch.testing.assert_close(nets[0][1], nets[1][1])
    for name, parameter in nets[0][0].items():
        torch.testing.assert_close(parameter, nets[1][0][name], rtol=1e-4, atol=1e-5)


def test_one_step_is_that_of_plain_sgd(small: Network, digits: DataSet) -> None:
    schedule = QUICK.model_copy(update={"drop_path": 0.0, "grad_clip": 0.5})
    ours, theirs = (NetworkTrainer(small, digits, schedule, CPU) for _ in range(2))
    x, y = digits.normalise(digits.weights.x[:32]), digits.weights.y[:32]
    sgd = torch.optim.SGD(theirs.net.parameters(), 0.1, momentum=0.9, weight_decay=3e-4)
    for _ in range(3):
        ours._steps.step(x, y, ours._losses, 0.1)
        sgd.zero_grad()
        logits, auxiliary = theirs.net(x)
        entropy = torch.nn.functional.cross_entropy
        (entropy(logits, y) + 0.4 * entropy(auxiliary, y)).backward()
        torch.nn.utils.clip_grad_norm_(theirs.net.parameters(), 0.5)
        sgd.step()
    for mine, reference in zip(ours.net.parameters(), theirs.net.parameters(), strict=True):
        torch.testing.assert_close(mine, reference)


def test_divergence_is_reported_and_ends_the_training(small: Network, digits: DataSet) -> None:
    trainer = NetworkTrainer(small, digits, QUICK.model_copy(update={"lr": 100.0, "grad_clip": 0.0}), CPU)
    with torch.no_grad():
        trainer.net.classifier.weight.fill_(float("inf"))
    report = trainer.epoch()
    assert report["loss"] != report["loss"]
    assert trainer.failed
    assert trainer.finished
    assert same(trainer.state()["failed"], True)
    with pytest.raises(RuntimeError, match="over"):
        trainer.epoch()


def test_other_images_may_be_trained_on(small: Network, digits: DataSet) -> None:
    both = Images(torch.cat([digits.weights.x, digits.reward.x]), torch.cat([digits.weights.y, digits.reward.y]))
    first = NetworkTrainer(small, digits, QUICK, CPU)
    second = NetworkTrainer(small, replace(digits, weights=both), QUICK, CPU)
    assert not same(first.epoch(), second.epoch())


def test_data_that_do_not_fit_the_network_are_named(small: Network, digits: DataSet) -> None:
    with pytest.raises(NATError, match=r"takes images of \(3, 32, 32\) in 10 classes, data set 'digits' has"):
        NetworkTrainer(replace(small, input=(3, 32, 32)), digits, QUICK, CPU)


def test_batches_and_losses_on_cuda_stay_there(small: Network, digits: DataSet) -> None:
    """With fake tensors, so without a GPU: a tensor that is left on the CPU, or a wait for a value, raises."""
    trainer = NetworkTrainer(small, digits, QUICK, CPU)
    with FakeTensorMode(allow_non_fake_inputs=True) as fake, torch.no_grad():
        for module in trainer.net.modules():  # Module.to cannot put fake parameters in the place of real ones
            for tensors in (module._parameters, module._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None:
                        moved = fake.from_tensor(tensor.detach()).to("cuda")
                        tensors[name] = torch.nn.Parameter(moved) if tensor.requires_grad else moved
        trainer._split = digits.weights.to("cuda")
        trainer.net.train()
        trainer.net.drop_path = 0.1
        x, y = next(trainer._batches(torch.Generator()))
        objective, found = trainer._losses(x, y)
    assert {each.device.type for each in (x, y, objective, found)} == {"cuda"}
