"""What a fixed network does beyond its function: drop path, auxiliary head, devices, compilation, copies."""

from __future__ import annotations

import copy
import io

import pytest
import torch
import torch._dynamo.testing
from nets.samples import DARTS_V2, WITH_NONES, bench201, darts, mobile
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, Network, NetworkSize, canonical
from nat_plugin.nets import CellNetwork, build

SAMPLES = [
    darts(DARTS_V2, 4, 3),
    darts(WITH_NONES, 4, 3, NetworkSize(input=(3, 33, 33))),
    bench201("conv_3x3 skip null avg_pool_3x3 skip conv_1x1"),
    mobile(),
]
IDS = ["darts_v2", "nones", "bench201", "mobile"]


def test_dead_ops_are_not_built() -> None:
    network = darts(WITH_NONES, 4, 3)
    module = build(network)
    assert module.network == canonical(network)
    with pytest.raises(NATError, match="no operation leads"):
        build(network.with_ops([NULL] * len(network.slots)))


def test_drop_path_drops_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    network = bench201("conv_3x3 null null null null null").with_ops(
        bench201("null null null conv_3x3 skip null").ops  # one op beside a dead one: a single path to the output
    )
    module = build(network)
    cell = module.cells[0]
    seen: list[Tensor] = []
    cell.register_forward_hook(lambda _m, _i, out: seen.append(out.detach()))
    x = torch.randn(400, 3, 8, 8)
    module(x)
    module.drop_path = 0.25
    module(x)
    plain, dropped = (each.flatten(1) for each in seen)
    gone = (dropped == 0).all(1)
    assert 0.15 < gone.float().mean() < 0.35
    torch.testing.assert_close(dropped[~gone], plain[~gone] / 0.75)
    seen.clear()
    module.eval()
    with torch.no_grad():
        assert torch.equal(module(x), module(x)), "nothing is dropped in evaluation"


def test_drop_path_spares_plain_skips_and_projections() -> None:
    module = build(darts(DARTS_V2, 4, 3))
    for cell in module.cells:
        skips = [isinstance(part, nn.Identity) for part in cell.parts]
        assert not any(drop and skip for drop, skip in zip(cell.drops, skips, strict=True))
        assert cell.drops[:2] == (False, False)
    # DARTS drops the factorized reductions of a reduction cell, and each of its pools: 5 of 8 ops (3 are plain skips).
    assert [sum(cell.drops) for cell in module.cells] == [6, 5, 5]


@pytest.mark.parametrize("probability", [-0.1, 1, float("nan")])
def test_drop_path_is_a_probability(probability: float) -> None:
    module = build(darts(DARTS_V2, 4, 3))
    with pytest.raises(NATError, match="drop_path must be"):
        module.drop_path = probability


@pytest.mark.parametrize("size", [8, 32, 33])
def test_auxiliary_logits_in_training_only(size: int) -> None:
    module = build(darts(DARTS_V2, 4, 3, NetworkSize(input=(3, size, size))), auxiliary=True)
    x = torch.randn(2, 3, size, size)
    logits, auxiliary = module(x)
    assert logits.shape == auxiliary.shape == (2, 10)
    assert isinstance(module.eval()(x), Tensor)


@pytest.mark.parametrize("network", SAMPLES, ids=IDS)
def test_fake_cuda(network: Network) -> None:
    """Fake tensors need no GPU and refuse to mix devices: auxiliary head and drop path stay on the input's too."""
    with FakeTensorMode():
        with torch.device("cuda"):
            module = build(network, auxiliary=True)
        module.drop_path = 0.2
        x = torch.empty(2, *network.input, device="cuda").to(memory_format=torch.channels_last)
        logits, auxiliary = module(x)
        assert logits.device.type == auxiliary.device.type == "cuda"


@pytest.mark.parametrize("network", SAMPLES, ids=IDS)
def test_memory_formats_and_precision_agree(network: Network) -> None:
    torch.manual_seed(0)
    module = build(network).eval()
    x = torch.randn(2, *network.input)
    expected = module(x)
    last = copy.deepcopy(module).to(memory_format=torch.channels_last)
    torch.testing.assert_close(last(x.to(memory_format=torch.channels_last)), expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = module(x)
    assert low.dtype is torch.bfloat16
    torch.testing.assert_close(low.float(), expected, rtol=0.1, atol=0.1)


def test_channels_last_stays() -> None:
    module = build(darts(DARTS_V2, 4, 3)).to(memory_format=torch.channels_last)
    wrong: list[str] = []
    for name, part in module.named_modules():
        if name.startswith("cells") and name.count(".") == 1:
            part.register_forward_hook(
                lambda _m, _i, out, name=name: (
                    None if out.is_contiguous(memory_format=torch.channels_last) else wrong.append(name)
                )
            )
    module(torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last))
    assert not wrong


@pytest.mark.parametrize("training", [False, True])
def test_one_graph_for_torch_compile(training: bool) -> None:
    """Traced whole, and not anew where the drop path rate changes, as it does every epoch."""
    torch._dynamo.reset()
    module = build(darts(DARTS_V2, 4, 3, NetworkSize(input=(3, 8, 8))), auxiliary=True).train(training)
    graphs = torch._dynamo.testing.CompileCounter()
    compiled = torch.compile(module, fullgraph=True, backend=graphs)
    for rate in (0.1, 0.2, 0.3):
        module.drop_path = rate
        compiled(torch.randn(2, 3, 8, 8))
    assert graphs.frame_count == 1


def test_copies_and_state() -> None:
    torch.manual_seed(0)
    module = build(darts(DARTS_V2, 4, 3)).eval()
    x = torch.randn(2, 3, 16, 16)
    expected = module(x)
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    other: CellNetwork = build(darts(DARTS_V2, 4, 3)).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(x), expected)
    assert torch.equal(copy.deepcopy(module)(x), expected)
