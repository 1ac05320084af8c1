"""Batches: everything once, reproducible from the generator's state alone, normalised, in the format asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from nat_plugin.data import Augment, DataSet, DataSettings, Images, eval_batches, load, take, train_batches
from nat_plugin.errors import NATError


@pytest.fixture
def digits(device: torch.device) -> DataSet:
    return load(DataSettings(), device)


def epoch(data: DataSet, generator: torch.Generator, batch_size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    xs, ys = zip(*train_batches(data, data.weights, batch_size, generator), strict=True)
    return torch.cat(xs), torch.cat(ys)


def test_same_state_same_epoch(digits: DataSet, generator: torch.Generator) -> None:
    epoch(digits, generator)
    state = generator.get_state()
    x, y = epoch(digits, generator)
    after = generator.get_state()
    again = torch.Generator()
    again.set_state(state)
    x_again, y_again = epoch(digits, again)
    assert torch.equal(x, x_again)
    assert torch.equal(y, y_again)
    assert torch.equal(after, again.get_state())
    assert not torch.equal(x, epoch(digits, generator)[0])


def test_generator_is_at_the_same_state_however_far_an_epoch_is_followed(digits: DataSet) -> None:
    whole, cut = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    epoch(digits, whole)
    next(train_batches(digits, digits.weights, 64, cut))
    assert torch.equal(whole.get_state(), cut.get_state())


def test_global_random_state_plays_no_part(digits: DataSet) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = epoch(digits, torch.Generator().manual_seed(5))[0]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, epoch(digits, torch.Generator().manual_seed(5))[0])


def test_epoch_has_every_image_at_most_once_and_drops_an_incomplete_batch(
    device: torch.device, digits: DataSet, generator: torch.Generator
) -> None:
    x = torch.arange(10, dtype=torch.uint8).view(10, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
    split = Images(x, torch.arange(10)).to(device)
    plain = dataclasses.replace(digits, augment=Augment(0, False, 0), mean=(0.0,), std=(1 / 255,), weights=split)
    batches = list(train_batches(plain, split, 4, generator))
    assert [len(y) for _, y in batches] == [4, 4]
    labels = torch.cat([y for _, y in batches]).tolist()
    assert len(set(labels)) == 8
    assert torch.cat([x[:, 0, 0, 0] for x, _ in batches]).round().tolist() == labels
    assert [len(y) for _, y in train_batches(plain, split, 5, generator)] == [5, 5]
    assert [len(y) for _, y in train_batches(plain, split, 64, generator)] == [10]


def test_evaluation_is_whole_in_order_and_plain(digits: DataSet) -> None:
    batches = list(eval_batches(digits, digits.test, 100))
    assert [len(y) for _, y in batches] == [100, 100, 100, 59]
    assert torch.equal(torch.cat([y for _, y in batches]), digits.test.y)
    x = torch.cat([x for x, _ in batches])
    restored = (x * digits.std[0] + digits.mean[0]) * 255
    assert torch.equal(restored.round().byte(), digits.test.x)


def test_weights_are_normalised_by_their_own_statistics(coloured: Path, device: torch.device) -> None:
    data = load(DataSettings(name="npz", path=coloured, limit=500), device)
    x = torch.cat([x for x, _ in eval_batches(data, data.weights, 100)]).double()
    torch.testing.assert_close(x.mean((0, 2, 3)).cpu(), torch.zeros(3).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0).cpu(), torch.ones(3).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_memory_format_dtype_and_device(
    coloured: Path, device: torch.device, memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    data = load(DataSettings(name="npz", path=coloured, limit=400), device)
    generator = torch.Generator().manual_seed(0)
    for x, y in (
        next(train_batches(data, data.weights, 32, generator, dtype=dtype, memory_format=memory_format)),
        next(eval_batches(data, data.test, 32, dtype=dtype, memory_format=memory_format)),
    ):
        assert x.shape == (32, 3, 32, 32)
        assert x.dtype == dtype
        assert y.dtype == torch.int64
        assert x.is_contiguous(memory_format=memory_format)
        assert x.device.type == y.device.type == device.type


def test_batches_made_in_inference_mode_do_not_spoil_training(digits: DataSet, generator: torch.Generator) -> None:
    odd = dataclasses.replace(digits, mean=(0.123,))
    with torch.inference_mode():
        list(eval_batches(odd, odd.reward, 128))
    x, _ = next(train_batches(odd, odd.weights, 8, generator))
    weight = torch.ones_like(x, requires_grad=True)
    (gradient,) = torch.autograd.grad((x * weight).sum(), weight)
    assert torch.equal(gradient, x)


def test_take_gives_different_images_of_the_split(digits: DataSet, generator: torch.Generator) -> None:
    part = take(digits.reward, 50, generator)
    assert len(part) == 50
    pool = [image.tobytes() for image in digits.reward.x.cpu().numpy()]
    chosen = [image.tobytes() for image in part.x.cpu().numpy()]
    assert all(chosen.count(image) <= pool.count(image) for image in chosen)
    assert not torch.equal(part.x, take(digits.reward, 50, generator).x)
    assert len(take(digits.reward, 10_000, generator)) == len(digits.reward)


def test_impossible_sizes_are_named_at_once(digits: DataSet, generator: torch.Generator) -> None:
    with pytest.raises(NATError, match="batch size is 0"):
        train_batches(digits, digits.weights, 0, generator)
    with pytest.raises(NATError, match="batch size is -1"):
        eval_batches(digits, digits.test, -1)
    with pytest.raises(NATError, match="images to take is 0"):
        take(digits.test, 0, generator)
    with pytest.raises(NATError, match="without images"):
        eval_batches(digits, digits.test.pick(slice(0, 0)), 5)
