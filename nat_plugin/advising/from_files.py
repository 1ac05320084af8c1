"""Advice on an architecture of cells, with weights of a file, on images of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nat_plugin.advising.advice import Advice
from nat_plugin.advising.cells import CellSubject
from nat_plugin.advising.images import read_images
from nat_plugin.advising.session import advise_on, check_budget
from nat_plugin.advising.settings import AdviceSettings
from nat_plugin.device import find_compute, one_thread
from nat_plugin.errors import NATError
from nat_plugin.exporting.model import load_weights as take_over
from nat_plugin.ir import Network, cost, find_rule
from nat_plugin.ir.layers import Shape
from nat_plugin.nets import build
from nat_plugin.nets.fixed import CellNetwork
from nat_plugin.runs.weights import load_weights

AUXILIARY = "auxiliary."
LARGE = 50_000_000
"""MACs from which threads share the work of an image; in smaller networks they wait for each other."""


def advise_from_files(network: Network, name: str, wanted: AdviceSettings) -> Advice:
    """NATError for weights of another network, for a folder without so many images, and for a budget or rules that are
    none."""
    rule, compute = find_rule(wanted.rules), find_compute(wanted.device, "float32")
    check_budget(wanted.budget)
    trained = trained_network(network, load_weights(Path(wanted.weights)), wanted.weights)
    images, labels = read_images(
        wanted, network.input[0], network.head.classes, lambda image: _pixels(image, network.input)
    )
    images = _normalised(images, wanted)
    with torch.no_grad():
        is_sound = bool(torch.isfinite(trained(images[:2])).all())
    if not is_sound:
        raise NATError(f"{wanted.weights}: with these weights the network gives values that are infinite or NaN")
    with one_thread() if cost(network).macs < LARGE else nullcontext():
        subject = CellSubject(name, network, trained, images, labels, compute, wanted.seed)
        return advise_on(subject, rule, wanted.budget)


def trained_network(network: Network, weights: Mapping[str, Tensor], name: str) -> CellNetwork:
    """NATError of one line for weights that are not of this network. Those of an auxiliary head are left out."""
    made = build(network)
    try:
        take_over(made, {key: value for key, value in weights.items() if not key.startswith(AUXILIARY)})
    except NATError as error:
        raise NATError(f"{name}: {error}; sizes are given by --channels, --cells, --input and --classes") from error
    return made.eval()


def _pixels(image: Any, input: Shape) -> Tensor:
    """From 0 to 1, (C, H, W), of the size that the network takes."""
    _, height, width = input
    pixels = torch.from_numpy(np.array(image.resize((width, height)), dtype=np.float32) / 255)
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)


def _normalised(images: Tensor, wanted: AdviceSettings) -> Tensor:
    """By what the settings say, else by the mean and the deviation of the pixels of each channel."""
    means, deviations = images.mean((0, 2, 3)), images.std((0, 2, 3))
    if wanted.mean is not None:
        means = torch.full_like(means, wanted.mean)
    if wanted.std is not None:
        deviations = torch.full_like(deviations, wanted.std)
    return (images - means[:, None, None]) / deviations.clamp(min=1e-6)[:, None, None]
