"""Supernet rewards for NAS-Bench-201: shared weights of the cell on a few thousand small images, trained and measured
by the project's own evaluator. Nothing here reads the table.

Weights and measurements of a seed are kept in a folder, so that what was measured once is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from nat_nasbench import NB201Adapter
from nat_nasbench.nb201 import from_digits
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.spaces.nb201 import CELLS, DIGITS, EDGES, Space, digits_of, numbers
from nat_plugin.data import load
from nat_plugin.data.settings import DataSettings, SplitSettings
from nat_plugin.device import Compute
from nat_plugin.evaluators.base import EvaluatorContext
from nat_plugin.evaluators.supernet import SupernetEvaluator, SupernetSettings
from nat_plugin.ir import Network, NetworkSize, find_rule, is_connected
from nat_plugin.nets import SharedWeights
from nat_plugin.plugins import plugins
from nat_plugin.search.base import Proposal
from nat_plugin.settings import State

SAMPLING = {"uniform": (0.2, 0.2, 0.2, 0.2, 0.2), "dear": (0.1, 0.15, 0.2, 0.4, 0.15)}
"""How often an op stands on an edge in training, in the order of the digits: alike, or the dear ones more often."""
CPU = Compute(torch.device("cpu"))
EVERY_PATH = (3, 2, 4, 1)
"""Cells with one op on all edges: together they hold every path."""


@dataclass(frozen=True)
class Setting:
    """Of one supernet, trained at a constant learning rate or, with ``decay``, one that falls to nothing along half a
    cosine. ``cells`` in all three stages together; ``images``: of the reward split, the same for all."""

    channels: int = 8
    cells: int = 3
    resolution: int = 16
    sampling: str = "dear"
    steps: int = 1000
    batch: int = 128
    lr: float = 0.1
    decay: bool = False
    images: int = 500
    reward_augment: bool = True


def ask_for_setting(parser: argparse.ArgumentParser) -> None:
    """What ``setting_of`` reads, as options of a command."""
    parser.add_argument("--work", type=Path, default=Path("supernet-work"), help="keeps weights and measurements")
    parser.add_argument("--sampling", choices=SAMPLING, default=Setting.sampling)
    parser.add_argument("--plain", action="store_true", help="measure on images that are not augmented")
    parser.add_argument("--steps", type=int, default=Setting.steps)
    parser.add_argument("--decay", action="store_true", help="let the learning rate fall to nothing")
    parser.add_argument("--cells", type=int, default=Setting.cells)
    parser.add_argument("--channels", type=int, default=Setting.channels)
    parser.add_argument("--images", type=int, default=Setting.images, help="to measure on")
    parser.add_argument("--resolution", type=int, default=Setting.resolution, help="of the images, in pixels")


def setting_of(args: argparse.Namespace) -> Setting:
    return Setting(
        channels=args.channels,
        cells=args.cells,
        resolution=args.resolution,
        sampling=args.sampling,
        images=args.images,
        steps=args.steps,
        decay=args.decay,
        reward_augment=not args.plain,
    )


class SupernetRewards:
    """Loss and accuracy by kind (``Space.kinds``) on the shared weights of one seed."""

    def __init__(
        self, space: Space, data: Path, setting: Setting, seed: int, work: Path, compute: Compute = CPU
    ) -> None:
        self.space, self.setting, self.seed = space, setting, seed
        splits = SplitSettings(weights=0.8, reward=setting.images, selection=0.05)
        images = DataSettings(name="npz", path=data, resolution=setting.resolution, splits=splits)
        found = load(images, compute.device, plugins().datasets)
        self._size = NetworkSize(setting.channels, setting.cells, found.shape, found.classes)
        self._adapter = NB201Adapter()
        inputs = tuple(self._read([digit] * EDGES) for digit in EVERY_PATH)
        settings = SupernetSettings(batch=setting.batch, lr=setting.lr, steps=setting.steps if setting.decay else None,
                                    reward_images=None, reward_augment=setting.reward_augment)  # fmt: skip
        context = EvaluatorContext(inputs, find_rule("nat"), found, compute, seed)
        self._evaluator = SupernetEvaluator(context, settings)
        folder = work / f"supernet-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        self._weights, self._file = folder / "weights.safetensors", folder / "rewards.npz"
        self._keep(folder / "setting.json")
        self.loss = np.full(len(space.spelled), np.nan)
        self.accuracy = self.loss.copy()
        if self._weights.exists():
            self._evaluator.net.load_state_dict(load_file(self._weights))
            self._evaluator.steps_done = setting.steps
        else:
            self._train()
        if self._file.exists():
            with np.load(self._file) as known:
                self.loss, self.accuracy = known["loss"], known["accuracy"]

    def _keep(self, path: Path) -> None:
        """The setting beside what came of it. ValueError if the folder holds another."""
        wanted = asdict(self.setting)
        if path.exists() and asdict(self.setting) | json.loads(path.read_text()) != wanted:
            raise ValueError(f"{path} is of another setting: give another folder")
        path.write_text(json.dumps(wanted, indent=1) + "\n")

    def _read(self, digits: Iterable[int]) -> Network:
        return self._adapter.read(from_digits("".join(map(str, digits))), self._size)

    def network(self, kind: int) -> Network:
        return self._read(digits_of(self.space.spelled[kind]))

    @property
    def net(self) -> SharedWeights:
        return self._evaluator.net

    def images(self) -> tuple[Tensor, Tensor]:
        """Those that are measured on, and their labels."""
        [batch] = self._evaluator.feed.reward(0, self._evaluator.steps_done)
        return batch

    def training_images(self) -> Tensor:
        """The next batch, augmented."""
        return self._evaluator.feed.next()[0]

    def random_kinds(self, count: int) -> list[int]:
        """Connected, by ``SAMPLING``, the same for the same seed."""
        rng, found = np.random.default_rng([self.seed, 8]), list[int]()
        while len(found) < count:
            cell = int(numbers(rng.choice(DIGITS, EDGES, p=SAMPLING[self.setting.sampling])))
            if self.space.connected[cell]:
                found.append(int(self.space.kinds[cell]))
        return found

    def train_on(self, kinds: Iterable[int]) -> None:
        """One more step for each."""
        self._evaluator.train([self.network(int(kind)) for kind in kinds])

    def snapshot(self) -> State:
        return self._evaluator.state()

    def put_back(self, state: State) -> None:
        """The weights of a ``snapshot``, and where the images were."""
        self._evaluator.restore(state)

    def _train(self) -> None:
        """Single paths, one a step: the op of every edge by ``SAMPLING``, connected cells only."""
        rng = np.random.default_rng([self.seed, 7])
        while self._evaluator.steps_done < self.setting.steps:
            network = self._read(rng.choice(DIGITS, EDGES, p=SAMPLING[self.setting.sampling]))
            if is_connected(network):
                report = self._evaluator.train([network])
                if not self._evaluator.steps_done % 200:
                    print(f"seed {self.seed}: step {report['steps']:.0f}, loss {report['loss']:.2f}", flush=True)
        weights = self._evaluator.net.state_dict()
        save_file({name: each.contiguous() for name, each in weights.items()}, self._weights)

    def measure(self, kinds: Iterable[int]) -> None:
        """Of those that are not known yet and are connected, each once."""
        space = self.space
        new = [
            k for k in dict.fromkeys(map(int, kinds)) if np.isnan(self.loss[k]) and space.connected[space.spelled[k]]
        ]
        networks = [self._read(digits_of(space.spelled[kind])) for kind in new]
        proposals = [Proposal(number, network, network) for number, network in enumerate(networks)]
        for kind, measured in zip(new, self._evaluator.measure(proposals), strict=True):
            assert measured is not None
            self.loss[kind], self.accuracy[kind] = measured.details["loss"], measured.details["accuracy"]

    def save(self) -> None:
        np.savez(self._file, loss=self.loss, accuracy=self.accuracy)

    @property
    def evaluations(self) -> int:
        """Distinct networks measured so far."""
        return int(np.isfinite(self.loss).sum())

    def pool(self, count: int) -> np.ndarray:
        """So many kinds at random, the same for all seeds, measured."""
        space = self.space
        live = np.sort(space.spelled[space.connected[space.spelled]])
        cells = live[np.random.default_rng(201).permutation(len(live))[:count]]
        self.measure(space.kinds[cells])
        self.save()
        return np.sort(space.kinds[cells])


class Asked:
    """Minus the loss by cell, measured when it is asked for: what searches by lookup take as scores.
    Minus infinity for cells that are not connected."""

    def __init__(self, rewards: SupernetRewards) -> None:
        self._rewards = rewards
        self._cells: list[int] = []

    def __getitem__(self, cells: int | np.ndarray) -> np.ndarray:
        space = self._rewards.space
        assert len(space.kinds) == CELLS
        kinds = space.kinds[cells]
        self._rewards.measure(np.atleast_1d(kinds))
        self._cells += np.atleast_1d(cells).tolist()
        return np.where(space.connected[cells], -self._rewards.loss[kinds], -np.inf)

    def ranked(self) -> np.ndarray:
        """Connected cells that were asked for, the best first, (N,)."""
        cells = np.array(self._cells)
        cells = cells[self._rewards.space.connected[cells]]
        found: np.ndarray = cells[np.argsort(self._rewards.loss[self._rewards.space.kinds[cells]], kind="stable")]
        return found
