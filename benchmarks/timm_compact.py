"""Trained models of timm, made leaner by several strategies with the same weights, measurements and fine-tuning.

Of each seed a model is trained on ``cifar10_small.npz`` and becomes a supernet of its own moves, adapted on random
moves within the budgets and then left as it is: ``nat``, ``random`` and ``greedy`` are told the same of the same
network. The ``--candidates`` that each finds best by the loss on ``--reward`` images with ``--evaluations``
measurements, what is left without the blocks of smallest weights, and the model itself are fine-tuned alike; of
candidates the most accurate on these images counts. The test images are used for the figures that are printed and for
nothing else; every figure is kept in ``--out``, and what is there is not done again.

``python benchmarks/timm_compact.py --data cifar10_small.npz --out DIR [--model mobilenetv2_100] [--seeds 0 1 2]``
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from nat_timm.building import build
from nat_timm.compacting import Tuned, Workshop
from nat_timm.document import parse
from nat_timm.entrypoint import attach
from nat_timm.tuning import Tuning, accuracy
from safetensors.torch import load_file, save_file
from statistics_of_seeds import interval
from torch import Tensor, nn

from nat_plugin.adapter import Adapter
from nat_plugin.data import DataSet, DataSettings, Images, eval_batches, load, train_batches
from nat_plugin.device import find_compute
from nat_plugin.errors import NATError
from nat_plugin.ir import Frame, Network
from nat_plugin.plugins import plugins
from nat_plugin.runs.recipe import SearchSettings
from nat_plugin.runs.state import load_state, save_state
from nat_plugin.strategies.base import Proposal
from nat_plugin.training import Schedule, Trainer, train
from nat_plugin.training.seeds import generator

MODELS: Mapping[str, tuple[str, ...]] = {
    "mobilenetv2_100": ("conv_stem",),
    "mobilenetv3_large_075": ("conv_stem",),
    "mnasnet_050": ("conv_stem",),
    "resnet18": (),
}
"""Models, and their convolutions whose stride becomes 1 for images of 32x32."""
STRATEGIES = ("nat", "random", "greedy", "magnitude")
BATCH = 64


@dataclass(frozen=True)
class Batches:
    """Batches of a split, drawn anew at every pass."""

    data: DataSet
    split: Images
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
        apart = ("data", "out", "seeds", "threads", "device", "precision")
        options = json.dumps({name: value for name, value in vars(args).items() if name not in apart})
        if (self.folder / "options.txt").exists() and (self.folder / "options.txt").read_text() != options:
            raise SystemExit(f"{self.folder} is of other options; choose another --out")
        (self.folder / "options.txt").write_text(options)
        self.compute = find_compute(args.device, args.precision)
        splits = {"weights": args.weights, "reward": args.reward, "selection": args.selection}
        wanted = DataSettings.model_validate({"name": "npz", "path": str(args.data), "splits": splits})
        self.data = load(wanted, self.compute.device, plugins().datasets)
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
            adapter, frame = plugins().adapters["timm"], Frame(input=self.data.shape, classes=self.data.classes)
            network = adapter.read(self.document.render(), frame)
            trainer = Trainer(network, self.data, schedule, self.compute, self.seed, module=_with_calm_head(adapter))
            train(trainer, lambda report: print(f"{self.folder.name}: {report}", flush=True))
            save_file({name: each.contiguous() for name, each in trainer.net.state_dict().items()}, path)
        model.load_state_dict(load_file(path))
        attach(model, self.document)
        return model.to(memory_format=torch.channels_last)

    def run(self) -> None:
        args, model = self.args, self.model()
        shop = Workshop(
            model,
            Batches(self.data, self.data.weights, True, self.seed),
            Batches(self.data, self.data.reward, False, self.seed),
            input=self.data.shape,
            seed=self.seed,
            device=args.device,
            precision=args.precision,
            evaluator={"reward_images": None},
        )
        self.known("as it came", lambda: self.figures(shop.original()))
        path = self.folder / "adapted.safetensors"
        if path.exists():
            shop.evaluator.restore(load_state(path))
        else:
            for budget in args.budgets:
                kind = plugins().find("strategies", "random")
                lengths = SearchSettings(warmup=args.warmup // len(args.budgets), rounds=0)
                shop.search(kind(shop.task({"macs": budget}), kind.Settings()), lengths)
            save_state(path, shop.evaluator.state())
        tuning = Tuning(epochs=args.tuning)
        self.known("input", lambda: self.figures(shop.tune(shop.network, tuning)))
        for budget in args.budgets:
            for name in STRATEGIES:
                self.known(f"{budget} {name}", partial(self.found, shop, name, budget, tuning))

    def found(self, shop: Workshop, name: str, budget: str, tuning: Tuning) -> dict[str, Any]:
        if name == "magnitude":
            try:
                return self.figures(shop.tune(shop.magnitude({"macs": budget}), tuning))
            except NATError as error:
                return {"failed": str(error)}
        kind, task = plugins().find("strategies", name), shop.task({"macs": budget}, self.args.evaluations)
        strategy = kind(task, kind.Settings())
        evaluated = shop.search(strategy, SearchSettings(rounds=self.args.evaluations // 8, proposals=8, steps=0))
        found = strategy.finalists(shop.network, self.args.candidates)
        scores = shop.evaluator.measure([Proposal(number, shop.network, each) for number, each in enumerate(found)])
        tuned = [
            self.figures(shop.tune(each, tuning)) | {"gain": None if score is None else score.gain}
            for each, score in zip(found, scores, strict=True)
        ]
        best = max(tuned, key=lambda each: (each["val"], -each["macs"]))
        return best | {"evaluated": evaluated, "candidates": tuned}

    def figures(self, found: Tuned) -> dict[str, Any]:
        test = accuracy(found.model, eval_batches(self.data, self.data.test, 250), self.compute)
        return {"test": test, "val": found.accuracy, "params": found.cost.params, "macs": found.cost.macs}


def _with_calm_head(adapter: Adapter) -> Callable[[Network], nn.Module]:
    """Fresh modules whose classifier begins at zero: timm's own begins with logits so large that a short training has
    to undo them first."""

    def make(network: Network) -> nn.Module:
        model = adapter.module(network)
        assert model is not None
        nn.init.zeros_(model.get_classifier().weight)  # type: ignore[operator]
        return model

    return make


def table(args: argparse.Namespace) -> str:
    """Of the seeds that are complete: test accuracy in percent, and in brackets the difference from the fine-tuned
    input in pairs of seeds with its 95 % interval."""
    names = ["as it came", "input", *(f"{budget} {name}" for budget in args.budgets for name in STRATEGIES)]
    runs = [
        {name: json.loads((folder / f"{name}.json").read_text()) for name in names}
        for folder in sorted(args.out.glob(f"{args.model}-*"))
        if all((folder / f"{name}.json").exists() for name in names)
    ]
    lines = [f"{args.model}, {len(runs)} seeds", "", "| | test accuracy | against the input | MACs | parameters |"]
    lines.append("|---|---|---|---|---|")
    for name in names:
        if any("failed" in run[name] for run in runs):
            lines.append(f"| {name} | {next(r[name]['failed'] for r in runs if 'failed' in r[name])} | | | |")
            continue
        test, half = interval([100 * run[name]["test"] for run in runs])
        less, around = interval([100 * (run[name]["test"] - run["input"]["test"]) for run in runs])
        macs, params = (
            sum(run[name][what] / run["input"][what] for run in runs) / len(runs) for what in ("macs", "params")
        )
        lines.append(f"| {name} | {test:.2f} ± {half:.2f} | {less:+.2f} ± {around:.2f} | {macs:.2f}x | {params:.2f}x |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="cifar10_small.npz")
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
    parser.add_argument("--selection", type=int, default=500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", help="float32 is quicker for small images on a GPU.")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    for seed in args.seeds:
        Case(args, seed).run()
    print(table(args))


if __name__ == "__main__":
    main()
