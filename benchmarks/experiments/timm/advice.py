"""How well `nat advise` ranks changes: against what is left after a short fine-tuning of each change alone.

Changes are drawn from the advice by the seed. Each is made alone, its operation fitted and its norms estimated anew on
the pictures of the advice, and tuned by distillation without labels, all by the same settings on the same batches. The
truth is top-1, and the share of the same top-1 as the original, on pictures that neither the advice nor the tuning
saw. The figure is Spearman's rank correlation of the change that the advice names with what is lost, with a bootstrap
interval over the changes; beside it the rank by the MACs that are saved, which needs no pictures. Figures are kept in
``--out`` as they come, and what is there is not done again.

    python -m benchmarks timm-advice --out advice.json --save
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nat_timm
import numpy as np
import timm
import torch
from nat_timm.measuring.statistics import recalibrate
from nat_timm.training.tuning import Tuning, TuningImages, fine_tune
from safetensors.torch import load_file
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks.common.files import MOBILENETV2, PICTURES, find_file
from benchmarks.common.results import add_result
from benchmarks.experiments.timm.fits import pictures
from nat_plugin.advising.advice import Advice
from nat_plugin.device import find_compute
from nat_plugin.ir import Network

RESAMPLES = 2000
PREDICTORS = {"change of the output, as advised": "change", "MACs saved": "macs"}
TRUTHS = {
    "same top-1, tuned": "agreement",
    "top-1, tuned": "top1",
    "same top-1, before": "agreement before",
    "top-1, before": "top1 before",
}


class Bench:
    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.compute = given, find_compute("cpu", "float32")
        self.model: nn.Module = timm.create_model(given.model, **json.loads(given.model_args)).eval()
        if not given.untrained:
            self.model.load_state_dict(load_file(find_file(given.data, MOBILENETV2)))
        self.model.to(memory_format=torch.channels_last)
        x, y = pictures(find_file(given.data, PICTURES), given.seed, given.advise + given.tune + given.test)
        x = interpolate(x, size=(given.size, given.size), mode="bilinear", antialias=True)
        ends = [given.advise, given.advise + given.tune]
        self.advised, self.tuned, self.tested = (
            each.contiguous(memory_format=torch.channels_last) for each in torch.tensor_split(x, ends)
        )
        self.labels = y[ends[1] :]
        self.original = self.logits(self.model)
        self.network = nat_timm.to_network(self.model, (3, given.size, given.size), fits=True)

    @torch.no_grad()
    def logits(self, model: nn.Module) -> Tensor:
        return torch.cat([model(x) for x in torch.split(self.tested, self.given.batch)])

    def advice(self) -> list[dict[str, Any]]:
        """The changes that were drawn, with what the advice says of them."""
        found: Advice = nat_timm.advise(self.model, self.advised, seed=self.given.seed)
        drawn = np.random.default_rng(self.given.seed).permutation(len(found.moves))[: self.given.changes]
        moves = [found.moves[at] for at in sorted(drawn)]
        return [
            {"at": move.at, "after": move.after, "change": move.effect.change, "macs": move.macs, "ms": move.ms}
            for move in moves
        ]

    def moved(self, at: str, after: str) -> Network:
        """With one op changed."""
        ops = list(self.network.ops)
        for number, slot in enumerate(self.network.slots):
            edge = self.network.edge(slot)
            if edge.key == at:
                ops[number] = next(op for op in edge.choices if str(op.values.get("name", op)) == after)
        return self.network.with_ops(ops)

    def truth(self, at: str, after: str) -> dict[str, float]:
        begun = time.process_time()
        model = nat_timm.inherit(self.model, self.moved(at, after)).to(memory_format=torch.channels_last)
        nat_timm.fit(model, self.model, self.advised, cut=False, norms=False, seed=self.given.seed)
        recalibrate(model, torch.split(self.advised, self.given.batch))
        before = self.score(model)
        tuning = Tuning(epochs=self.given.epochs, lr=self.given.lr, distil=1.0)
        torch.manual_seed(self.given.seed)
        images = TuningImages(self.epoch, -(-len(self.tuned) // self.given.batch))
        fine_tune(model, images, tuning, self.compute, self.model)
        after_tuning = self.score(model)
        found = {f"{name} before": value for name, value in before.items()} | after_tuning
        return found | {"seconds": time.process_time() - begun}

    def epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Labels are not used: all of the loss is distance to the original."""
        x = self.tuned[torch.randperm(len(self.tuned))]
        for each in torch.split(x, self.given.batch):
            yield each, torch.zeros(len(each), dtype=torch.int64)

    def score(self, model: nn.Module) -> dict[str, float]:
        ours = self.logits(model).argmax(1)
        agreement = float((ours == self.original.argmax(1)).float().mean())
        return {"top1": float((ours == self.labels).float().mean()), "agreement": agreement}


def correlations(rows: Sequence[Mapping[str, float]], seed: int) -> dict[str, dict[str, list[float]]]:
    """Of each predictor with what is lost of each truth: Spearman's rank correlation and its 95 % interval."""
    rng, found = np.random.default_rng(seed), dict[str, dict[str, list[float]]]()
    samples = rng.integers(len(rows), size=(RESAMPLES, len(rows)))
    for truth, column in TRUTHS.items():
        lost = -np.array([row[column] for row in rows])
        found[truth] = {}
        for name, key in PREDICTORS.items():
            predicted = np.array([row[key] for row in rows])
            drawn = _rank(predicted[samples], lost[samples])
            known = drawn[np.isfinite(drawn)]
            low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
            found[truth][name] = [float(_rank(predicted[None], lost[None])[0]), float(low), float(high)]
    return found


def _rank(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row; NaN where one of them is the same throughout."""
    ranks = [rankdata(each, axis=1) for each in (a, b)]
    ours, its = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    spread = np.sqrt((ours**2).sum(axis=1) * (its**2).sum(axis=1))
    products = (ours * its).sum(axis=1)
    found: np.ndarray = np.divide(products, spread, out=np.full(len(spread), np.nan), where=spread > 0)
    return found


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    return {"timm_advice": "\n\n".join(f"{name}\n\n{table(each['correlations'])}" for name, each in results.items())}


def table(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    lines = ["| rank correlation with what is lost of | " + " | ".join(PREDICTORS) + " |", "|---|---|---|"]
    for truth, by_name in found.items():
        cells = (_span(by_name[name]) for name in PREDICTORS)
        lines.append(f"| {truth} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _span(found: Sequence[float | None]) -> str:
    """Nothing where nothing differs, and so no correlation is known."""
    known = [each for each in found if each is not None and not math.isnan(each)]
    return "{:.2f} [{:.2f}, {:.2f}]".format(*known) if len(known) == 3 else "–"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="mobilenetv2_100")
    parser.add_argument("--model-args", default='{"pad_type": "same"}')
    parser.add_argument("--untrained", action="store_true", help="weights at random, to see that all works")
    parser.add_argument("--size", type=int, default=128, help="of pictures, which are made smaller")
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--advise", type=int, default=64, help="pictures for the advice")
    parser.add_argument("--tune", type=int, default=256)
    parser.add_argument("--test", type=int, default=400)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=0)


def run(given: argparse.Namespace) -> None:
    known: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {}
    bench = Bench(given)
    if "changes" not in known:
        known["original"] = bench.score(bench.model)
        known["changes"] = bench.advice()
        given.out.write_text(json.dumps(known, indent=1))
    for row in known["changes"]:
        if "agreement" not in row:
            row |= bench.truth(row["at"], row["after"])
            given.out.write_text(json.dumps(known, indent=1))
            print(row, flush=True)
    found = correlations(known["changes"], given.seed)
    print(table(found))
    settings = {
        name: getattr(given, name) for name in ("size", "advise", "tune", "test", "epochs", "batch", "lr", "seed")
    }
    add_result(given.results, given.model, {"settings": settings, **known, "correlations": found})
