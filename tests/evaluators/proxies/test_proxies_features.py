"""Any module has proxies: the same for the same seed, on every device, without waiting for it, and one line where it
has none."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from nets.samples import DARTS_V2, WITH_NONES, bench201, darts, mobile
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies import PROXIES, proxy_features
from nat_plugin.evaluators.proxies.features import OF_GRADIENTS, OF_SIZE, measured_features
from nat_plugin.evaluators.proxies.gradients import gradient_norm, jacobian, snip, zico
from nat_plugin.evaluators.proxies.initial import ImageBatch, initialise, synthetic_batches
from nat_plugin.ir import Network
from nat_plugin.nets import build

NETWORKS = {
    "darts": darts(DARTS_V2),
    "nones": darts(WITH_NONES),
    "bench201": bench201("conv_3x3 skip null avg_pool_3x3 skip conv_1x1"),
    "mobile": mobile(),
}
FEW: dict[str, Any] = {"batch": 4, "batches": 2}


def chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 8), *layers, nn.Linear(8, 3))


def features(network: Network | nn.Module, **changes: Any) -> dict[str, float]:
    shape = None if isinstance(network, Network) else (3, 4, 4)
    return proxy_features(network, shape, **FEW | changes)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_proxy_of_every_family_is_a_number_that_follows_from_the_seed(network: Network) -> None:
    first = features(network)
    assert list(first) == list(PROXIES)
    assert all(map(math.isfinite, first.values()))
    assert features(network) == first
    other = features(network, seed=1)
    assert {name for name in first if first[name] == other[name]} <= OF_SIZE | {"swap"}  # a count, and small here


@pytest.mark.parametrize("name", PROXIES)
def test_one_proxy_alone_is_what_it_is_among_all(name: str) -> None:
    assert features(NETWORKS["mobile"], names=[name]) == {name: features(NETWORKS["mobile"])[name]}


def test_a_module_has_the_proxies_of_its_network_and_stays_as_it_is() -> None:
    network = NETWORKS["bench201"]
    module = build(network)
    before, training = copy.deepcopy(module.state_dict()), module.training
    assert proxy_features(module, network.input, **FEW) == features(network)
    torch.testing.assert_close(module.state_dict(), before, rtol=0, atol=0)
    assert module.training == training
    assert all(each.requires_grad and each.grad is None for each in module.parameters())


def test_the_program_s_own_random_numbers_are_left_alone() -> None:
    module = chain(nn.ReLU())
    state = torch.get_rng_state()
    features(module)
    features(NETWORKS["mobile"])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_network_without_convolutions_and_one_without_activations_have_proxies() -> None:
    assert all(map(math.isfinite, features(chain(nn.ReLU())).values()))
    linear = features(chain())
    assert all(map(math.isfinite, linear.values()))
    assert linear["naswot"] == linear["swap"] == 0


class Dead(nn.Module):
    """Nothing that comes in is ever on, and no gradient passes."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(-x.abs())


def test_dead_activations_are_a_low_number_and_no_crash() -> None:
    dead, alive = features(chain(Dead())), features(chain(nn.ReLU()))
    assert all(map(math.isfinite, dead.values()))
    assert all(dead[name] < alive[name] for name in ("naswot", "swap", "gradient_norm"))


class Nowhere(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0 - x / 0


def test_a_network_that_gives_no_numbers_has_proxies_that_are_none() -> None:
    found = features(chain(Nowhere()))
    assert all(math.isnan(found[name]) for name in OF_GRADIENTS)
    assert all(math.isfinite(found[name]) for name in OF_SIZE)


@pytest.mark.parametrize(
    ("module", "changes", "said"),
    [
        (nn.Flatten(), {}, "this network has no weights"),
        (chain(nn.ReLU()), {"names": ["magic"]}, "unknown proxy 'magic'; allowed: params, macs, naswot"),
        (chain(nn.ReLU()), {"names": []}, "no proxy is given"),
        (chain(nn.ReLU()), {"batch": 0}, "at least 2 images in at least 1 batch, not 0 in 2"),
        (chain(nn.ReLU()), {"device": "abacus"}, "device 'abacus' is not one of"),
        (nn.Sequential(nn.Conv2d(5, 2, 1)), {}, r"does not run on images of \(3, 4, 4\)"),
        (nn.Sequential(nn.Conv2d(3, 2, 1)), {"names": ["swap"]}, "gives no logits"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line(module: nn.Module, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(NATError, match=said) as error:
        features(module, **changes)
    assert "\n" not in str(error.value)


def test_a_module_needs_a_shape() -> None:
    with pytest.raises(NATError, match="need the shape of its images"):
        proxy_features(chain())


class Huge(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.empty(10**15)[:1]


def test_too_little_memory_is_said_in_one_line() -> None:
    with pytest.raises(NATError, match="no memory for 4 images"):
        features(chain(Huge()), names=["swap"])


def test_residual_branches_that_begin_at_zero_are_seen() -> None:
    """Frameworks start the last norm of a branch at 0, where its other weights would have no gradient."""
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    nn.init.zeros_(module[1].weight)
    initialise(module, 0)
    assert module[1].weight.tolist() == [1] * 4
    assert module[0].bias.tolist() == [0] * 4
    assert module[0].weight.std() > 0


def test_the_same_layer_begins_alike_in_two_networks() -> None:
    """So that what differs between them is not the draw."""
    first = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    second = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    initialise(first, 0)
    initialise(second, 0)
    assert torch.equal(first[0].weight, second[1].weight)
    assert torch.equal(first[1].weight, second[2].weight)


def test_synthetic_images_are_normalised_smooth_nearly_grey_and_of_a_seed() -> None:
    (first, second), (again, _) = synthetic_batches((3, 32, 32), 16, 2, 0), synthetic_batches((3, 32, 32), 16, 2, 0)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, second.x)
    torch.testing.assert_close(float(first.x.mean()), 0.0, atol=1e-5, rtol=0)
    torch.testing.assert_close(float(first.x.std()), 1.0)
    assert (first.x[..., 1:] - first.x[..., :-1]).std() < 0.5
    assert (first.x[:, 0] - first.x[:, 1]).std() < 0.5
    (small,) = synthetic_batches((1, 1, 2), 4, 1, 0)
    assert small.x.isfinite().all()


class Waits(TorchDispatchMode):
    """Counts the times that a number is fetched from the device."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        del types
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_nothing_waits_for_the_device_until_all_is_measured(network: Network) -> None:
    images = list(synthetic_batches(network.input, 4, 2, 0))
    with Waits() as waits:
        measured_features(build(network), images, 0, tuple(PROXIES))
    assert waits.count == 0


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_fake_cuda(network: Network) -> None:
    """Fake tensors need no GPU and refuse to mix devices. A backward pass needs one, so here are those without."""
    with FakeTensorMode():
        with torch.device("cuda"):
            module = build(network)
        x = torch.empty(4, *network.input, device="cuda")
        images = [ImageBatch(x, torch.zeros(4, dtype=torch.long, device="cuda"))] * 2
        found = measured_features(module, images, 0, ("naswot", "swap", "expressivity", "progressivity"))
    assert {each.device.type for each in found.values()} == {"cuda"}
    assert found.keys() == {"naswot", "swap", "expressivity", "progressivity"}


def test_fake_cuda_gradients() -> None:
    with FakeTensorMode(), torch.device("cuda"):
        weights = [torch.empty(3, 2), torch.empty(4, 2)]
        batches, images = [weights, weights], [torch.empty(4, 3, 5, 5)] * 2
        found = [gradient_norm(batches), snip(weights, batches), zico(batches), jacobian(images)]
    assert {each.device.type for each in found} == {"cuda"}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_real_cuda(network: Network) -> None:
    images = [each.to(torch.device("cuda"), torch.channels_last) for each in synthetic_batches(network.input, 4, 2, 0)]
    found = measured_features(build(network).to("cuda"), images, 0, tuple(PROXIES))
    assert {each.device.type for each in found.values()} == {"cuda"}
    assert found.keys() == PROXIES.keys() - OF_SIZE


def test_every_device_says_about_the_same(device: torch.device) -> None:
    expected = features(NETWORKS["bench201"])
    assert features(NETWORKS["bench201"], device=device) == pytest.approx(expected, rel=0.02)
