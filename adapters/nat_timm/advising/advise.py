"""``advise``: for every move of a model what it saves and what it changes, and which go well together, in a minute,
without training."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nat_plugin import NATError
from nat_plugin.advising import Advice, Stopwatch, advise_on, check_budget
from nat_plugin.device import find_compute
from nat_plugin.ir import Shape, find_rule
from nat_timm.advising.subject import TimmSubject
from nat_timm.fitting.fit import Pictures, checked
from nat_timm.models import to_network
from nat_timm.saving.weights import check_says, check_usable


def advise(  # noqa: PLR0913 - keywords that a user types
    model: nn.Module,
    images: Pictures,
    labels: Tensor | None = None,
    *,
    rules: str = "nat++",
    budget: Mapping[str, object] | None = None,
    combinations: bool = True,
    device: str = "auto",
    seed: int = 0,
) -> Advice:
    """Every single move of a timm model with weights: what it saves, exactly in parameters and MACs and measured in
    milliseconds, and how much it changes the output; and good combinations. Operations in place of blocks are fitted
    first. Nothing is trained, and the model is not changed.

    ``images``: as for ``nat_timm.fit``, 64 or more images like those of its training; no labels are needed. ``labels``:
    class numbers (N,), for accuracies. ``budget``: limits of the combinations, such as ``{"macs": "0.8x"}``, in
    parameters, MACs or latency; without ``combinations`` only single moves are listed. NATError for too few images or a
    wrong size, for labels that are not one per image, for a budget that cannot be met, and for a model that cannot be
    read.
    """
    rule = find_rule(rules)
    check_budget(budget)
    compute = find_compute(device, "float32")
    own: nn.Module = copy.deepcopy(model).eval().to(device=compute.device, memory_format=compute.memory_format)  # type: ignore[call-overload]
    pictures = checked(images, own)
    network = to_network(model, _shape(pictures), fits=True)
    check_usable(model, learns=False)
    check_says(own, pictures[0][:2])
    numbers = _checked_labels(labels, pictures, network.head.classes)
    subject = TimmSubject(own, network, pictures, numbers, Stopwatch(compute), seed)
    return advise_on(subject, rule, budget, combinations)


def _shape(pictures: Sequence[Tensor]) -> Shape:
    shapes = {tuple(x.shape[1:]) for x in pictures}
    if len(shapes) > 1:
        raise NATError(f"images: {len(shapes)} different sizes; all images must have the same size")
    channels, height, width = shapes.pop()
    return channels, height, width


def _checked_labels(labels: Tensor | None, pictures: Sequence[Tensor], classes: int) -> Tensor | None:
    count = sum(len(x) for x in pictures)
    if labels is None:
        return None
    if not isinstance(labels, Tensor) or labels.shape != (count,) or labels.is_floating_point():
        raise NATError(f"labels: expected a tensor with one whole number for each of the {count} images")
    if not ((labels >= 0) & (labels < classes)).all():
        raise NATError(f"labels: the model has {classes} classes, numbered from 0 to {classes - 1}")
    return labels.to(pictures[0].device)
