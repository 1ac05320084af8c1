"""Blocks of MobileNetV2 with ImageNet weights replaced by one convolution that is fitted in closed form, no training.

One block at a time: left out, a 1x1, a 3x3, a separable or a low-rank convolution in its place, fitted on the first
``--fit`` pictures (drawn by the seed), top-1 on ``--test`` others, with all else as it was. ``--row``: several blocks
one after the other, each fitted in the model as it is by then, with the norms behind it estimated anew. ``--cuts``:
blocks that are cut (hidden channels, the depthwise kernel), by importance alone, and with what reads the cut fitted to
what it gave before; norms from there on are estimated anew in both. Figures are kept in ``--out`` as they come, and
what is there is not done again; ``--save`` keeps all of them.

    python -m benchmarks timm-fits --out fits.json --row --save
"""

from __future__ import annotations

import argparse
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import nat_timm
import numpy as np
import timm
import torch
from nat_timm.documents.forms import Form
from nat_timm.fitting.fit import install
from nat_timm.fitting.single_blocks import fits_alone
from nat_timm.measuring.statistics import norms, recalibrate
from nat_timm.reading.running import Steps
from nat_timm.reading.trace import to_meta, trace
from nat_timm.reading.units import ModelUnit, units
from nat_timm.surgery.fitted import FittedOp
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.common.files import MOBILENETV2, PICTURES, find_file
from benchmarks.common.results import add_result
from nat_plugin.errors import NATError
from nat_plugin.ir import NULL, SKIP, Network, Op, cost

LOW_RANK, LEFT_OUT, ORIGINAL = "3x3 of a quarter rank", "left out", "original"
BLOCKS = ("0.0", "1.0", "1.1", "2.0", "2.1", "2.2", "3.0", "3.1", "3.2")
FORMS: Mapping[str, Mapping[str, Any]] = {
    "1x1": {"kernel": 1},
    "3x3": {"kernel": 3},
    "separable 3x3": {"kernel": 3, "kind": "separable"},
    LOW_RANK: {"kernel": 3, "kind": "low_rank"},
}
ROWS = {"3x3": ("3.2", "2.2", "3.1", "2.1", "4.2"), "1x1": ("3.2", "4.1", "2.2", "3.1", "3.3")}
CUTS = ("mbconv_k3_e4", "mbconv_k3_e2", "mbconv_k0_e6")
"""Two thirds and a third of the hidden channels, no depthwise convolution."""
CUT_BLOCKS = ("1.1", "2.1", "3.1", "4.1", "5.1")
IMPORTANCE, REFITTED = "importance alone", "what reads the cut refitted"
BATCH, SIZE = 50, 224


def pictures(path: Path, seed: int, most: int) -> tuple[Tensor, Tensor]:
    """The central 224 of pictures of an archive of ``LABEL/ID.jpg`` in an order drawn by the seed, in [-1, 1]."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if re.fullmatch(r"\d+/\w+\.jpg", name))
        chosen = [names[at] for at in np.random.default_rng(seed).permutation(len(names))[:most]]
        found = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen]
    edge = (found[0].shape[0] - SIZE) // 2
    x = torch.tensor(np.stack([each[edge : edge + SIZE, edge : edge + SIZE] for each in found]))
    labels = torch.tensor([int(name.partition("/")[0]) for name in chosen])
    return x.permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous(memory_format=torch.channels_last), labels


def with_ops(network: Network, chosen: Mapping[str, str]) -> Network:
    """With the op whose name begins so in the place of each block."""
    ops = list(network.ops)
    for at, slot in enumerate(network.slots):
        if slot.cell in chosen and network.edge(slot).op not in (SKIP, NULL):
            ops[at] = next(op for op in network.edge(slot).choices if _name(op).startswith(chosen[slot.cell]))
    return network.with_ops(ops)


def _name(op: Op) -> str:
    return str(op.values.get("name", op))


class Bench:
    def __init__(self, weights: Path, archive: Path, fit: int, test: int, seed: int) -> None:
        self.model = timm.create_model("mobilenetv2_100", pad_type="same").eval()
        self.model.load_state_dict(load_file(weights))
        self.model.to(memory_format=torch.channels_last)
        x, y = pictures(archive, seed, 1000)
        self.fit, self.x, self.y = list(torch.split(x[:fit], BATCH)), x[-test:], y[-test:]
        self.network = nat_timm.to_network(self.model, (3, SIZE, SIZE), fits=True)
        self.plain = nat_timm.to_network(self.model, (3, SIZE, SIZE))
        found = trace(to_meta(self.model), (3, SIZE, SIZE), "mobilenetv2_100")
        self.units, self.steps = units(found), Steps(found, self.model)

    @torch.no_grad()
    def top1(self, model: Callable[[Tensor], Tensor]) -> float:
        right = sum(int((model(x).argmax(1) == y).sum()) for x, y in self.batches())
        return 100 * right / len(self.y)

    @cached_property
    def logits(self) -> list[Tensor]:
        return [self.model(x) for x, _ in self.batches()]

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(torch.split(self.x, BATCH), torch.split(self.y, BATCH), strict=True)

    def one_by_one(self, block: str) -> dict[str, float]:
        """Top-1 with each form in the place of a block; only what comes after the block is computed anew."""
        unit, (c_in, high), (c_out, low) = self._block(f"blocks.{block}")
        plain = Form((c_in, c_out), stride=high // low, same=high > low)
        has_shortcut = unit.residual is not None
        shapes = {**FORMS, LOW_RANK: {**FORMS[LOW_RANK], "rank": c_out // 4, "shortcut": has_shortcut}}
        forms = {name: replace(plain, **values) for name, values in shapes.items()}
        found = fits_alone(self.model, {(unit.path,): list(forms.values())}, self.fit)
        solved = [found[(unit.path,), form] for form in forms.values()]
        made: dict[str, nn.Module] = {LEFT_OUT: nn.Identity()} if has_shortcut else {}
        for (name, form), solution in zip(forms.items(), solved, strict=True):
            made[name] = fitted = FittedOp(form, nn.Identity(), next(self.model.parameters()))
            install(fitted.eval(), solution)
        right = dict.fromkeys(made, 0)
        for x, y in self.batches():
            cut = next(self.steps.cuts(x, [unit]))
            for name, module in made.items():
                logits = self.steps.rest(cut, module(next(iter(cut.read.values()))))
                right[name] += int((logits.argmax(1) == y).sum())
        residuals = {f"residual, {name}": each.residual for name, each in zip(forms, solved, strict=True)}
        return {name: 100 * hits / len(self.y) for name, hits in right.items()} | residuals

    def _block(self, path: str) -> tuple[ModelUnit, tuple[int, int], tuple[int, int]]:
        unit = next((unit for unit in self.units if unit.path == path), None)
        if unit is None:
            raise NATError(
                f"'{path[:80]}' is no block of this model; it has {', '.join(each.path for each in self.units)}"
            )
        given, out = (step.meta["shape"] for step in (unit.reads[0], unit.output))
        return unit, (given[1], given[2]), (out[1], out[2])

    def in_a_row(self, form: str, blocks: Sequence[str]) -> dict[str, float]:
        """Top-1, and MACs as a share, with several blocks replaced."""
        after = with_ops(self.network, {f"blocks.{block}": f"fit_conv_{form}" for block in blocks})
        made = nat_timm.inherit(self.model, after)
        nat_timm.fit(made.to(memory_format=torch.channels_last), self.model, self.fit)
        return {"top1": self.top1(made), "macs": cost(after).macs / cost(self.network).macs}

    def cut(self, block: str, name: str) -> dict[str, float]:
        """Top-1 with a block cut in both ways, and how far the logits are from those of the model, in units of their
        spread: few pictures show that."""
        after = with_ops(self.plain, {f"blocks.{block}": name})
        found = {}
        for how in (IMPORTANCE, REFITTED):
            made = nat_timm.inherit(self.model, after).to(memory_format=torch.channels_last)
            if how == REFITTED:
                nat_timm.fit(made, self.model, self.fit)
            else:
                paths = [path for path, _ in made.named_modules()]  # in the order in which they compute
                behind = set(paths[paths.index(f"blocks.{block}") :])
                known = norms(made)
                recalibrate(
                    made, self.fit, [each for path, each in made.named_modules() if path in behind and each in known]
                )
            pairs = [(made(x), wanted, y) for (x, y), wanted in zip(self.batches(), self.logits, strict=True)]
            found[how] = 100 * sum(int((mine.argmax(1) == y).sum()) for mine, _, y in pairs) / len(self.y)
            apart = sum(float((mine - wanted).square().sum()) for mine, wanted, _ in pairs)
            found[f"change, {how}"] = (apart / float(torch.cat(self.logits).var(0).sum() * len(self.y))) ** 0.5
        return found | {"macs": cost(after).macs / cost(self.plain).macs}


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    [found] = results.values()
    figures = found["figures"]
    return {"timm_fits": table(figures), "timm_fits_rows": rows(figures), "timm_cuts": cuts(figures)}


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    names = (LEFT_OUT, *FORMS)
    lines = ["| block | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 1)]
    for block in BLOCKS:
        if block in figures:
            cells = (f"{figures[block][name]:.1f}" if name in figures[block] else "–" for name in names)
            lines.append(f"| {block} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cuts(figures: Mapping[str, Mapping[str, float]]) -> str:
    head = f"| block | becomes | MACs | {IMPORTANCE}: top-1, change of the logits | {REFITTED} |"
    lines = [head, "|---|---|---|---|---|"]
    for name, each in figures.items():
        if REFITTED in each:
            block, _, op = name.partition(" ")
            said = [f"{each[how]:.1f}, {each[f'change, {how}']:.2f}" for how in (IMPORTANCE, REFITTED)]
            lines.append(f"| {block} | {op} | {each['macs']:.2f}x | {' | '.join(said)} |")
    return "\n".join(lines)


def rows(figures: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["| blocks | in their place | top-1 | MACs |", "|---|---|---|---|"]
    for name, each in figures.items():
        if "top1" in each and name != ORIGINAL:
            form, _, blocks = name.partition(" ")
            lines.append(f"| {blocks} | {form} | {each['top1']:.1f} | {each['macs']:.2f}x |")
    return "\n".join(lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=300)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blocks", nargs="*", default=BLOCKS)
    parser.add_argument("--cut-blocks", nargs="*", default=CUT_BLOCKS)
    parser.add_argument("--row", action="store_true", help="several blocks in a row too")
    parser.add_argument("--cuts", action="store_true", help="blocks cut in two ways too")


@torch.no_grad()
def run(given: argparse.Namespace) -> None:
    known: dict[str, dict[str, float]] = json.loads(given.out.read_text()) if given.out.exists() else {}
    bench = Bench(
        find_file(given.data, MOBILENETV2), find_file(given.data, PICTURES), given.fit, given.test, given.seed
    )
    tasks: dict[str, Callable[[], dict[str, float]]] = {ORIGINAL: lambda: {"top1": bench.top1(bench.model)}}
    tasks |= {block: partial(bench.one_by_one, block) for block in given.blocks}
    if given.row:
        for form, blocks in ROWS.items():
            tasks[f"{form} {', '.join(blocks)}"] = partial(bench.in_a_row, form, blocks)
    if given.cuts:
        for block in given.cut_blocks:
            tasks |= {f"{block} {name}": partial(bench.cut, block, name) for name in CUTS}
    for name, task in tasks.items():
        if name not in known:
            known[name] = task()
            given.out.write_text(json.dumps(known, indent=1))
            print(name, known[name], flush=True)
    add_result(given.results, "mobilenetv2_100", {"fit": given.fit, "test": given.test, "figures": known})
