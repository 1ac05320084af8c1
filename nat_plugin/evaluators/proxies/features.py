"""Training-free statistics of networks, as numbers by name: for the evaluator ``proxies``, and for anything else that
judges networks."""

from __future__ import annotations

import copy
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.evaluators.proxies.activations import Patterns, entropies
from nat_plugin.evaluators.proxies.gradients import gradient_norm, jacobian, snip, zico
from nat_plugin.evaluators.proxies.initial import ImageBatch, initialise, synthetic_batches, weights_of
from nat_plugin.evaluators.proxies.names import PROXIES, check_names
from nat_plugin.evaluators.proxies.synflow import synflow
from nat_plugin.evaluators.proxies.trainability import trainability
from nat_plugin.evaluators.proxies.watching import ActivationWatch, BlockWatch
from nat_plugin.ir import Network, cost
from nat_plugin.ir.layers import Shape
from nat_plugin.nets import build, count
from nat_plugin.training.seeds import seeded

OF_SIZE = frozenset({"params", "macs"})
OF_PATTERNS = frozenset({"naswot", "swap"})
OF_BLOCKS = frozenset({"expressivity", "progressivity", "trainability"})
OF_GRADIENTS = frozenset({"gradient_norm", "snip", "zico", "jacobian"})
OF_IMAGES = OF_PATTERNS | OF_BLOCKS | OF_GRADIENTS


def proxy_features(
    network: Network | nn.Module,
    shape: Shape | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    names: Collection[str] = tuple(PROXIES),
    batch: int = 16,
    batches: int = 2,
) -> dict[str, float]:
    """Score a network, or a module (N, C, H, W) to logits (N, classes), without training it: by name, for synthetic
    images of ``shape`` (C, H, W; left out: what the network takes). The same for the same seed on a device; not finite
    where a network is broken at initialisation.

    A module is left as it is. NATError for one that has no weights or does not take such images, and where memory does
    not suffice.
    """
    check_names(names)
    if batch < 2 or batches < 1:
        raise NATError(f"proxies need at least 2 images in at least 1 batch, not {batch} in {batches}")
    compute = find_compute(str(device), "float32")
    if isinstance(network, Network):
        shape = shape or network.input
        with seeded(compute.device, seed):
            module: nn.Module = build(network)
    elif shape is None:
        raise NATError("proxies of a module need the shape of its images: (3, 32, 32)")
    else:
        module = copy.deepcopy(network)
    images = list(synthetic_batches(shape, batch, batches, seed))
    on_device = [each.to(compute.device, compute.memory_format) for each in images]
    module.to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    with explained(shape, batch):
        sizes = size_features(network if isinstance(network, Network) else module, shape, names)
        measured = measured_features(module, on_device, seed, names)
        return in_order(sizes | values([measured])[0], names)


def size_features(network: Network | nn.Module, shape: Shape, names: Collection[str]) -> dict[str, float]:
    """``params`` and ``macs``, as far as they are among the names."""
    if OF_SIZE.isdisjoint(names):
        return {}
    found = cost(network) if isinstance(network, Network) else count(network, shape)
    return {"params": math.log1p(found.params), "macs": math.log1p(found.macs)}


def measured_features(
    module: nn.Module, images: Sequence[ImageBatch], seed: int, names: Collection[str]
) -> dict[str, Tensor]:
    """All others among the names, on the device of the module, which is used up. Nothing here waits for the device."""
    if not weights_of(module):
        raise NATError("this network has no weights, so there is nothing to score")
    initialise(module, seed)
    found: dict[str, Tensor] = {}
    if not OF_IMAGES.isdisjoint(names):
        found |= _of_images(module, images, seed, names)
    if "synflow" in names:
        _, channels, height, width = images[0].x.shape
        found["synflow"] = synflow(module, (channels, height, width))
    return found


def _of_images(module: nn.Module, images: Sequence[ImageBatch], seed: int, names: Collection[str]) -> dict[str, Tensor]:
    """A forward pass of each batch, and a backward one where gradients are wanted; one more through the blocks."""
    _train_norms_alone(module)
    weights = weights_of(module)
    patterns = Patterns(len(images), len(images[0].y), "swap" in names)
    by_weights: list[list[Tensor]] = []
    by_images: list[Tensor] = []
    found: dict[str, Tensor] = {}
    for number, batch in enumerate(images):
        patterns.begin()
        x = batch.x.detach().requires_grad_()
        with ActivationWatch(patterns.see), BlockWatch(module) as watch:
            logits = _logits(module(x))
        if number == 0 and not OF_BLOCKS.isdisjoint(names):
            found |= _of_blocks(watch.maps(), seed, names)
        if OF_GRADIENTS.isdisjoint(names):
            continue
        loss = F.cross_entropy(logits.float(), batch.y % logits.shape[1])
        *gradients, by_image = torch.autograd.grad(loss, [*weights, x], allow_unused=True, materialize_grads=True)
        by_weights.append(gradients)
        by_images.append(by_image)
    if not OF_GRADIENTS.isdisjoint(names):
        found |= {
            "gradient_norm": gradient_norm(by_weights),
            "snip": snip(weights, by_weights),
            "zico": zico(by_weights),
            "jacobian": jacobian(by_images),
        }
    if "swap" in names:
        found["swap"] = patterns.distinct()
    return found | {"naswot": patterns.kernel_volume()}


def _of_blocks(maps: Sequence[Tensor], seed: int, names: Collection[str]) -> dict[str, Tensor]:
    """Of a network without maps (N, C, H, W) there is nothing to say: 0."""
    found = {"trainability": trainability(maps, seed)} if "trainability" in names else {}
    if not maps:
        return found | {"expressivity": torch.zeros(()), "progressivity": torch.zeros(())}
    entropy = entropies(maps)
    growth = entropy.diff()
    return found | {"expressivity": entropy.sum(), "progressivity": growth.min() if len(growth) else torch.zeros(())}


def _train_norms_alone(module: nn.Module) -> None:
    """Batch norms use the batch, as there are no other statistics yet; nothing is dropped or done in place."""
    module.eval()
    for each in module.modules():
        if isinstance(each, nn.modules.batchnorm._BatchNorm):
            each.train()
        if hasattr(each, "inplace"):
            each.inplace = False  # type: ignore[assignment]


def _logits(output: object) -> Tensor:
    """Of a module that may give more beside them."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(first, Tensor) or first.ndim != 2:
        raise NATError("this module gives no logits (N, classes) to score")
    return first


def values(found: Sequence[Mapping[str, Tensor]]) -> list[dict[str, float]]:
    """Numbers of what was measured of several networks: all are fetched from the device at once."""
    tensors = [each.detach().double() for features in found for each in features.values()]
    if not tensors:
        return [{} for _ in found]
    device = tensors[0].device
    fetched = iter(torch.stack([each.to(device) for each in tensors]).tolist())
    return [{name: next(fetched) for name in features} for features in found]


def in_order(found: Mapping[str, float], names: Collection[str]) -> dict[str, float]:
    """Those among the names, in the order of ``PROXIES``."""
    return {name: found[name] for name in PROXIES if name in names}


_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
"""What torch says where memory does not suffice, on a GPU and on the CPU."""


@contextmanager
def explained(shape: Shape, batch: int, setting: str = "batch") -> Iterator[None]:
    """Within, what a network cannot do is said in one line."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        said = " ".join(str(error).split())
        if any(each in said for each in _MEMORY):
            raise NATError(f"no memory for {batch} images of {shape} in this network; lower {setting}") from error
        raise NATError(f"this network does not run on images of {shape}: {said[:200]}") from error
