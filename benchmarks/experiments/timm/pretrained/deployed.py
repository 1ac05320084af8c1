"""What a method gives and the model that it was made of as they are deployed: saved in every way there is, loaded from
the files, and timed in turns with one another.

Takes the options of ``timm-pretrained``: what that made into ``--out`` is not made again. On the CPU one thread
computes; passes are of ``--batches`` pictures. Needs the extra ``onnx``. On a GPU, with an ``--out`` that was filled
elsewhere and the methods of peers among them:

    python -m benchmarks timm-deployed --out pretrained --models mobilenetv2_100 --splits 0 --tunings none \
        --limits latency=0.8x@1 --methods nat knapsack "Torch-Pruning Taylor" --batches 1 32 256 --device cuda \
        --precisions float32 bfloat16 --ways "timm folder" "timm folder, torch.compile" --save

    python -m benchmarks timm-deployed --out pretrained --models mobilenetv2_100 --splits 0 --tunings none \
        --limits latency=0.8x@1 --methods nat --save
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nat_timm
import torch
from torch import Tensor

from benchmarks.common.results import ROOT, add_result
from benchmarks.experiments.timm.pretrained import experiment
from benchmarks.experiments.timm.pretrained.experiment import Case
from benchmarks.experiments.timm.pretrained.reload import Network, in_turns, loaded
from benchmarks.experiments.timm.pretrained.subjects import SUBJECTS
from benchmarks.experiments.timm.pretrained.tables import ORIGINAL
from nat_plugin.device import Compute
from nat_plugin.errors import NATError
from nat_plugin.ir.layers import Shape
from nat_plugin.measuring.runtimes import check_runtime, place, runner
from nat_plugin.measuring.settings import COMPILE, ONNX, LatencySettings
from nat_plugin.timing import Clock

FLOAT32_ONLY = "ONNX, onnxruntime"
MEMORY: Mapping[str, Mapping[str, str]] = {
    "timm folder, in a new process": {},
    "timm folder, all memory kept": {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1"},
}
"""Processes that load and time and do nothing else, by the variables that glibc is told how to keep memory by."""


def add_options(parser: argparse.ArgumentParser) -> None:
    experiment.add_options(parser)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=tuple(WAYS))
    parser.add_argument("--device", default="cpu", help="Where all but ONNX files run.")
    parser.add_argument("--precisions", nargs="+", choices=("float32", "bfloat16"), default=("float32",))


def _folder(folder: Path, _: Path, __: Shape, settings: LatencySettings) -> Network:
    return _in(settings.compute, place(loaded(folder), settings.compute))


def _compiled(folder: Path, _: Path, shape: Shape, settings: LatencySettings) -> Network:
    module, compute = place(loaded(folder), settings.compute), settings.compute
    example = torch.zeros(1, *shape, device=compute.device).contiguous(memory_format=compute.memory_format)
    runner(module, example, settings.model_copy(update={"runtime": COMPILE}))  # one line where it cannot be
    return _in(compute, torch.compile(module, dynamic=False))


def _program(folder: Path, scratch: Path, shape: Shape, settings: LatencySettings) -> Network:
    nat_timm.export_program(loaded(folder), scratch / "model.pt2", shape)
    return _in(settings.compute, torch.export.load(scratch / "model.pt2").module().to(settings.compute.device))


def _onnx(folder: Path, scratch: Path, shape: Shape, settings: LatencySettings) -> Network:
    check_runtime(settings.model_copy(update={"runtime": ONNX}))
    import onnxruntime

    nat_timm.export_onnx(loaded(folder), scratch / "model.onnx", shape)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(scratch / "model.onnx", options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    return lambda x: torch.from_numpy(session.run(None, {given.name: x.contiguous().cpu().numpy()})[0])


def _in(compute: Compute, network: Network) -> Network:
    def run(x: Tensor) -> Tensor:
        with torch.no_grad(), compute.precision():
            return network(x)

    return run


WAYS: Mapping[str, Callable[[Path, Path, Shape, LatencySettings], Network]] = {
    "timm folder": _folder,
    "timm folder, torch.compile": _compiled,
    "torch.export": _program,
    FLOAT32_ONLY: _onnx,
}
"""How a folder of ``nat_timm.save`` becomes what runs; the second folder is for files."""


def deployed(original: Path, result: Path, shape: Shape, args: argparse.Namespace) -> dict[str, Any]:
    """By way, precision and batch; ``apart``: the most that a logit of the result is off from what the loaded folder
    says in float32, as a share of their spread."""
    found: dict[str, Any] = {}
    for precision, way in itertools.product(args.precisions, args.ways):
        if way == FLOAT32_ONLY and precision != "float32":
            continue
        settings = LatencySettings(threads=1, device=args.device, precision=precision)
        here, exact = settings.compute, settings.model_copy(update={"precision": "float32"})
        with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as after:
            first, second = (
                WAYS[way](folder, Path(scratch), shape, settings)
                for folder, scratch in ((original, before), (result, after))
            )
            for batch in args.batches:
                x = torch.randn(batch, *shape).to(here.device).contiguous(memory_format=here.memory_format)
                wanted, said = _folder(result, result, shape, exact)(x).float(), second(x).float().to(here.device)
                apart = float((said - wanted).abs().max() / wanted.std())
                name = f"{way}, {precision}, {batch}"
                found[name] = in_turns(first, second, x, Clock.of(x.device)) | {"apart": apart}
                print(f"{name}: {found[name]}", flush=True)
    if args.device == "cpu":
        for name, told in MEMORY.items():
            each = _elsewhere(original, result, shape, args.batches, told)
            found |= {f"{name}, float32, {batch}": figures for batch, figures in each}
    return found


def _elsewhere(
    original: Path, result: Path, shape: Shape, batches: Sequence[int], told: Mapping[str, str]
) -> Iterator[tuple[int, Any]]:
    words = [sys.executable, "-m", "benchmarks.experiments.timm.pretrained.own_process"]
    words += [str(folder) for folder in (original, result)]
    words += ["--shape", *map(str, shape), "--batches", *map(str, batches)]
    said = subprocess.run(words, cwd=ROOT, env=os.environ | told, stdout=subprocess.PIPE, text=True, check=True).stdout
    return zip(sorted(batches), map(json.loads, said.splitlines()), strict=True)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    for name in args.models:
        for split in args.splits:
            case = Case(args, name, split)
            case.make_all()
            for row in (f"{a}, {b}, {c}" for a in args.tunings for b in args.limits for c in args.methods):
                if not (case.folder / row).exists():
                    raise NATError(f"{case.folder / row}: nothing was made, there is nothing to deploy")
                torch.manual_seed(split)
                ways = deployed(case.folder / ORIGINAL, case.folder / row, SUBJECTS[name].shape, args)
                add_result(args.results, f"{name}, {split}, {row}", {"ways": ways})


def tables_of(known: Mapping[str, Any]) -> dict[str, str]:
    """Of ways to deploy, and of a timm folder by what becomes of its memory: for each model, split and limit a table of
    the methods."""
    apart = {"output apart": lambda found: f"{found['apart']:.0e}"}
    kept = {"timm folder": "as NAT times it", **{name: name.partition(", ")[2] for name in MEMORY}}
    return {
        "timm_deployed": _table(known, "deployed as", lambda way: None if way in MEMORY else way, apart),
        "timm_deployed-memory": _table(known, "memory", kept.get, {}),
    }


def _table(
    known: Mapping[str, Any],
    what: str,
    said: Callable[[str], str | None],
    more: Mapping[str, Callable[[Mapping[str, Any]], str]],
) -> str:
    """Of the ways that have a name by ``said``."""
    head = ("method", what, "pictures", "model, ms", "result, of that", *more)
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    groups: dict[str, list[str]] = {}
    for name, each in known.items():
        of, _, method = name.rpartition(", ")
        for key, found in each["ways"].items():
            way, _, batch = key.replace(", float32", "").rpartition(", ")
            if (shown := said(way)) is None:
                continue
            ratio = f"{found['ratio']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"
            cells = (method, shown, batch, f"{found['ms']:.1f}", ratio, *(column(found) for column in more.values()))
            groups.setdefault(of, list(lines)).append("| " + " | ".join(cells) + " |")
    return "\n\n".join(f"{of}:\n\n" + "\n".join(rows) for of, rows in groups.items())
