"""The text of a sample as a torch module in a folder: what ``nat export`` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from nat_nni.export.building import build
from nat_nni.export.module import export_module
from nat_nni.samples.document import SampleText, guess_space
from nat_nni.spaces.hub import CELL_SPACES, EVALUATION_CELLS, EVALUATION_WIDTH
from nat_plugin.exporting import Weights, save_weighted
from nat_plugin.ir import NetworkSize


def export_sample(document: SampleText, size: NetworkSize, folder: Path, weights: Weights | None) -> None:
    """Write the model of a sample, with ``weights`` or with initial ones. NATError where NNI cannot build it."""
    name = document.space or guess_space(document.sample)
    given = {**_defaults(name, size), **document.arguments}
    model = build(name, given, document.sample)
    module = export_module(model, example=torch.randn(2, *size.input))
    save_weighted(module, folder, weights)


def _defaults(name: str, size: NetworkSize) -> dict[str, Any]:
    if name in CELL_SPACES:
        return {"width": size.channels or EVALUATION_WIDTH, "num_cells": size.cells or EVALUATION_CELLS}
    return {"num_labels": size.classes}
