"""Trained models of timm, made leaner by several strategies with the same weights, measurements and fine-tuning.

Of each seed a model is trained on ``cifar10_small.npz`` and becomes a supernet of its own moves, adapted on random
moves within the budgets and then left as it is: ``nat``, ``random`` and ``greedy`` are told the same of the same
network. The ``--candidates`` that each finds best by the loss on ``--reward`` images with ``--evaluations``
measurements, what is left without the blocks of smallest weights, and the model itself are fine-tuned alike, each from
the weights of the trained model and from the adapted ones. Of these, of the candidates of a strategy, and of the model
itself also as it came, the most accurate on ``--selection`` images counts, which nothing else has seen. The test images
and what is left of the others are for the figures that are printed and for nothing else. Every figure is kept in
``--out``, and what is there is not done again; ``--save`` keeps them all.

``python -m benchmarks timm-compact --out DIR [--model mobilenetv2_100] [--seeds 0 1 2] [--save]``
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from nat_timm.building.build import build
from nat_timm.building.entrypoint import attach
from nat_timm.compacting.result import Tuned
from nat_timm.compacting.session import CompactionSession
from nat_timm.compacting.settings import SessionSettings
from nat_timm.compacting.tuner import STARTS
from nat_timm.documents.document import parse
from nat_timm.training.tuning import Tuning, accuracy
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from benchmarks.common.files import CIFAR10, find_file
from benchmarks.common.intervals import interval
from benchmarks.common.results import add_result
from nat_plugin.adapter import Adapter
from nat_plugin.data import DataSet, DataSettings, SplitImages, eval_batches, load, train_batches
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Network, NetworkSize
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.training.schedule import Schedule
from nat_plugin.training.seeds import generator
from nat_plugin.training.trainer import NetworkTrainer, train

MODELS: Mapping[str, tuple[str, ...]] = {
    "mobilenetv2_100": ("conv_stem",),
    "mobilenetv3_large_075": ("conv_stem",),
    "mnasnet_050": ("conv_stem",),
    "resnet18": (),
}
"""Models, and their convolutions whose stride becomes 1 for images of 32x32."""
STRATEGIES = ("nat", "random", "greedy", "magnitude")
INPUT, CAME = "input", "as it came"
BATCH = 64


@dataclass(frozen=True)
class Batches:
    """Batches of a split, drawn anew at every pass."""

    data: DataSet
    split: SplitImages
    train: bool
    seed: int

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if not self.train:
            return eval_batches(self.data, self.split, 250)
        passes = int(torch.randint(2**31, ()))  # of the generator that the caller has seeded
        return train_batches(self.data, self.split, BATCH, generator(self.seed, "pass", passes))

    def __len__(self) -> int:
        return len(self.split) // BATCH


class Case:
    """A model of a seed, with a folder for what is known of it."""

    def __init__(self, args: argparse.Namespace, seed: int) -> None:
        self.args, self.seed = args, seed
        self.folder = args.out / f"{args.model}-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        apart = ("data", "out", "seeds", "threads", "device", "precision", "results", "strategies")
        options = json.dumps({name: value for name, value in vars(args).items() if name not in apart})
        if (self.folder / "options.txt").exists() and (self.folder / "options.txt").read_text() != options:
            raise NATError(f"{self.folder} is of other options; choose another --out")
        (self.folder / "options.txt").write_text(options)
        self.compute = find_compute(args.device, args.precision)
        splits = {"weights": args.weights, "reward": args.reward, "selection": args.selection + args.unused}
        wanted = DataSettings.model_validate(
            {"name": "npz", "path": str(find_file(args.data, CIFAR10)), "splits": splits}
        )
        self.data = load(wanted, self.compute.device, plugins().datasets)
        chosen = args.selection
        self.selection = self.data.selection.pick(torch.arange(chosen))
        self.unused = self.data.selection.pick(torch.arange(chosen, chosen + args.unused))
        edits = [{"op": "stride", "at": at, "value": 1} for at in MODELS[args.model]]
        self.document = parse(json.dumps({"architecture": args.model, "edits": edits}))

    def known(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        if not path.exists():
            begun = time.process_time()
            found = make() | {"cpu_seconds": time.process_time() - begun}
            path.write_text(json.dumps(found) + "\n")
            print(f"{self.folder.name} {name}: {found}", flush=True)
        known: dict[str, Any] = json.loads(path.read_text())
        return known

    def model(self) -> nn.Module:
        """Trained; the weights are kept."""
        path = self.folder / "weights.safetensors"
        model = build(self.document, self.data.shape, self.data.classes)
        if not path.exists():
            torch.manual_seed(self.seed)
            schedule = Schedule(
                epochs=self.args.epochs,
                batch=BATCH,
                lr=0.1,
                weight_decay=5e-4,
                warmup=1,
                auxiliary=0,
                drop_path=0,
                cutout=0,
            )
            adapter, size = plugins().adapters["timm"], NetworkSize(input=self.data.shape, classes=self.data.classes)
            network = adapter.read(self.document.render(), size)
            trainer = NetworkTrainer(
                network, self.data, schedule, self.compute, self.seed, module=_with_calm_head(adapter)
            )
            train(trainer, lambda report: print(f"{self.folder.name}: {report}", flush=True))
            save_file({name: each.contiguous() for name, each in trainer.net.state_dict().items()}, path)
        model.load_state_dict(load_file(path))
        attach(model, self.document)
        return model.to(memory_format=torch.channels_last)

    def run(self) -> None:
        args = self.args
        if all((self.folder / f"{name}.json").exists() for name in names_of(args.budgets, args.strategies)):
            return
        model = self.model()
        session = CompactionSession(
            model,
            Batches(self.data, self.data.weights, True, self.seed),
            Batches(self.data, self.data.reward, False, self.seed),
            SessionSettings(
                input=self.data.shape,
                seed=self.seed,
                device=args.device,
                precision=args.precision,
                evaluator={"reward_images": None},
            ),
        )
        self.known(CAME, lambda: self.figures(session.original()))
        path = self.folder / "adapted.safetensors"
        if path.exists():
            session.evaluator.restore(load_state(path))
        else:
            for budget in args.budgets:
                kind = plugins().find("strategies", "random")
                lengths = SearchSettings(warmup=args.warmup // len(args.budgets), rounds=0)
                session.search(kind(session.task({"macs": budget}), kind.Settings()), lengths)
            save_state(path, session.evaluator.state())
        self.known(INPUT, lambda: self.best([session.network], session))
        for budget in args.budgets:
            for name in args.strategies:
                self.known(f"{budget} {name}", partial(self.found, session, name, budget))

    def found(self, session: CompactionSession, name: str, budget: str) -> dict[str, Any]:
        if name == "magnitude":
            try:
                return self.best([session.magnitude({"macs": budget})], session)
            except NATError as error:
                return {"failed": str(error)}
        kind, task = plugins().find("strategies", name), session.task({"macs": budget}, self.args.evaluations)
        strategy = kind(task, kind.Settings())
        evaluated = session.search(strategy, SearchSettings(rounds=self.args.evaluations // 8, proposals=8, steps=0))
        return self.best(strategy.finalists(session.network, self.args.candidates), session) | {"evaluated": evaluated}

    def best(self, networks: Sequence[Network], session: CompactionSession) -> dict[str, Any]:
        """What is most accurate on the images for that of networks that are fine-tuned from the weights of the model
        and from adapted ones (of the model itself also as it came), with the figures of all of them."""
        tuning = Tuning(epochs=self.args.tuning)
        tuned = [self.figures(session.tune(each, tuning, start)) for each in networks for start in STARTS]
        if session.network in networks:
            tuned.append(json.loads((self.folder / f"{CAME}.json").read_text()))
        return max(tuned, key=lambda each: (each["selection"], -each["macs"])) | {"tuned": tuned}

    def figures(self, found: Tuned) -> dict[str, Any]:
        selection, *test = (
            accuracy(found.model, eval_batches(self.data, images, 250), self.compute)
            for images in (self.selection, self.data.test, self.unused)
        )
        sizes = len(self.data.test), len(self.unused)
        return {
            "test": sum(share * size for share, size in zip(test, sizes, strict=True)) / sum(sizes),
            "selection": selection,
            "how": found.how,
            "params": found.cost.params,
            "macs": found.cost.macs,
        }


def _with_calm_head(adapter: Adapter) -> Callable[[Network], nn.Module]:
    """Fresh modules whose classifier begins at zero: timm's own begins with logits so large that a short training has
    to undo them first."""

    def make(network: Network) -> nn.Module:
        model = adapter.module(network)
        assert model is not None
        nn.init.zeros_(model.get_classifier().weight)  # type: ignore[operator]
        return model

    return make


@dataclass(frozen=True)
class Row:
    """Over so many seeds: test accuracy in percent, and the difference from the best that the input reaches in pairs of
    seeds, each with half the width of its 95 % interval; shares of the input's MACs and parameters."""

    seeds: int
    test: tuple[float, float]
    less: tuple[float, float]
    macs: float
    params: float


def names_of(budgets: Sequence[str], strategies: Sequence[str]) -> list[str]:
    """Of the figures of a seed."""
    return [CAME, INPUT, *(f"{budget} {name}" for budget in budgets for name in strategies)]


def runs_of(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All figures of the seeds of which those of the input are known, by the name of their folder."""
    names = names_of(args.budgets, STRATEGIES)
    return {
        folder.name: {
            name: json.loads((folder / f"{name}.json").read_text())
            for name in names
            if (folder / f"{name}.json").exists()
        }
        for folder in sorted(args.out.glob(f"{args.model}-*"))
        if (folder / f"{INPUT}.json").exists()
    }


def rows_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, Row]:
    """By name: what each came to in the seeds that have it, also from either weights. What failed is left out."""
    names = dict.fromkeys(name for run in runs for name in run)
    rows = {}
    for name in names:
        pairs = [(run[name], run[INPUT]) for run in runs if name in run and "failed" not in run[name]]
        if pairs:
            rows[name] = _row(pairs)
            for start in STARTS:
                how = f"fine-tuned from {start} weights"
                of_start = [
                    (each, other) for one, other in pairs for each in one.get("tuned", ()) if each["how"] == how
                ]
                if len(of_start) == len(pairs):
                    rows[f"{name}, {start} weights"] = _row(of_start)
    return rows


def _row(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Row:
    macs, params = (sum(one[what] / other[what] for one, other in pairs) / len(pairs) for what in ("macs", "params"))
    less = interval([100 * (one["test"] - other["test"]) for one, other in pairs])
    return Row(len(pairs), interval([100 * one["test"] for one, _ in pairs]), less, macs, params)


def table(rows: Mapping[str, Row]) -> str:
    lines = ["| | seeds | test accuracy | against the input | MACs | parameters |", "|---|---|---|---|---|---|"]
    for name, row in rows.items():
        (test, half), (less, around) = row.test, row.less
        against = "" if name == INPUT else f"{less:+.2f} ± {around:.2f}"
        shares = f"{row.macs:.2f}x | {row.params:.2f}x"
        lines.append(f"| {name} | {row.seeds} | {test:.2f} ± {half:.2f} | {against} | {shares} |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation."""
    return {
        f"timm_compact-{model}": table({name: _kept(each) for name, each in found["rows"].items()})
        for model, found in results.items()
    }


def _kept(row: Mapping[str, Any]) -> Row:
    """As it was kept: of a single seed there is no interval."""
    spans = {name: tuple(math.nan if each is None else each for each in row[name]) for name in ("test", "less")}
    return Row(**{**row, **spans})


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", choices=MODELS, default="mobilenetv2_100")
    parser.add_argument("--budgets", nargs="+", default=["0.8x", "0.6x"], help="Of the MACs.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=12, help="Of the training of the model.")
    parser.add_argument("--tuning", type=int, default=2, help="Epochs of fine-tuning.")
    parser.add_argument("--warmup", type=int, default=480, help="Steps on shared weights.")
    parser.add_argument("--evaluations", type=int, default=128)
    parser.add_argument("--candidates", type=int, default=1, help="To fine-tune of each strategy.")
    parser.add_argument("--weights", type=int, default=5000, help="Images to train, adapt and tune on.")
    parser.add_argument("--reward", type=int, default=500)
    parser.add_argument("--selection", type=int, default=1000, help="Images to choose on.")
    parser.add_argument("--unused", type=int, default=3500, help="Images of the training file to report on, too.")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", help="float32 is quicker for small images on a GPU.")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    for seed in args.seeds:
        Case(args, seed).run()
    runs = runs_of(args)
    if runs:
        rows = rows_of(list(runs.values()))
        print(table(rows))
        figures = {"rows": {name: asdict(row) for name, row in rows.items()}, "runs": runs}
        add_result(args.results, args.model, figures)
