"""Models for deployment: a program of ``torch.export`` and ONNX. Both run without timm and without this package."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from nat_plugin import NATError
from nat_plugin.extending import read_shape
from nat_plugin.files import write_bytes
from nat_plugin.ir import Shape
from nat_timm.framework import said

_T = TypeVar("_T")


def export_program(model: nn.Module, path: Path | str, input: Shape) -> None:
    """Write a ``.pt2`` file for batches of any size of images of ``input`` (C, H, W); ``torch.export.load`` reads it.
    NATError where torch cannot export the model."""
    images = _images(model, input)
    batch = {0: torch.export.Dim("batch", min=1)}
    program = _exported(model, lambda: torch.export.export(model.eval(), (images,), dynamic_shapes=(batch,)))
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "model.pt2"
        torch.export.save(program, made)
        write_bytes(Path(path), made.read_bytes())


def export_onnx(model: nn.Module, path: Path | str, input: Shape) -> None:
    """Write an ONNX file with input ``images`` (batch, C, H, W) and output ``logits`` (batch, classes). NATError where
    torch cannot export the model."""
    if find_spec("onnx") is None:
        raise NATError("ONNX files need the package onnx, not installed here: pip install 'nat-plugin[onnx]'")
    images = _images(model, input)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "model.onnx"
        _exported(
            model,
            lambda: torch.onnx.export(
                model.eval(),
                (images,),
                made,
                input_names=["images"],
                output_names=["logits"],
                dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
                dynamo=False,  # the other exporter needs packages that nothing else here does
            ),
        )
        write_bytes(Path(path), made.read_bytes())


def _images(model: nn.Module, input: Shape) -> torch.Tensor:
    return torch.zeros(2, *read_shape(input), device=next(model.parameters()).device)


def _exported(model: nn.Module, export: Callable[[], _T]) -> _T:
    training = model.training
    try:
        return export()
    except Exception as error:
        raise NATError(f"{type(model).__name__}: torch cannot export this model: {said(error)}") from error
    finally:
        model.train(training)
