"""The whole method against the truth: a policy that learns from supernet rewards alone, looked up in NAS-Bench-201.

For every seed: shared weights of the cell (``rewards.py``), the loss of ``--pool`` random networks on
them, a critic of these, and a policy that learns by REINFORCE from what the critic imagines. Greedy decoding on the
held-out fifth of the cells (inputs with ``nat`` moves), looked up in the table as written. The table is read in
reporting only, except where a line says so. Beside it, from the same measurements:

- the policy's proposals, or only those that the critic finds better than the input;
- ``critic``: for every input the best it can become by the critic, or only if that is better by ``--margin``;
- ``pool``: for every input the best measured network that it can become: random search that shares its evaluations;
- with ``--policy FILE``, made by ``nat train train-nasbench201``: that policy, trained on the table; ``prior``: what
  maximises the critic's gain less ``w`` times the divergence from it, which is known in closed form: the most of
  log p(a | b) + gain / w;
- ``trained``: the input and so many candidates are really trained and the best is kept (``nb201_final``): the
  likeliest by the policy, the best by the critic, random ones, or what hill climbing comes to by these trainings;
- random search, hill climbing and greedy with ``--queries`` measurements for each of ``--inputs`` inputs of each group,
  as they are, and with what they find left where it is not better than the input by ``--margin`` times the spread of
  the pool, and where the best three of what they measured are trained; with ``--everything`` the best of all that they
  can become by the measurements themselves.

``python -m benchmarks supernet-nasbench201 --work DIR [--seeds N] [--policy FILE] [--save]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from nat_nasbench.nb201 import OPS
from scipy.stats import spearmanr

from benchmarks.common.files import CIFAR10, NB201, find_file
from benchmarks.common.intervals import interval, signed
from benchmarks.common.results import add_result, place_of
from benchmarks.experiments.policy.nasbench201 import Scores, hill_climbing, random_search
from benchmarks.experiments.supernet.policy import CPU, LearningSetting, learn_from
from benchmarks.experiments.supernet.rewards import Asked, Setting, SupernetRewards, ask_for_setting, setting_of
from benchmarks.methods.nb201_final import best_trained, different, trainings
from benchmarks.spaces.nb201 import CELLS, GROUPS, PLACES, Reach, Space, digits_of, fixed_rule, load_space, numbers
from nat_plugin.device import find_compute
from nat_plugin.ir import Moves, find_rule
from nat_plugin.plugins import plugins
from nat_plugin.policy.apply import apply_policy, decode
from nat_plugin.policy.finding import find_policy
from nat_plugin.policy.graphs import build_graph
from nat_plugin.policy.network import Policy
from nat_plugin.policy.training.ensemble import RankEnsemble, RankEnsembleConfig

DATA = "CIFAR-10"
WITHIN = 150
"""Good inputs among whose moves the rank correlation is taken."""
PRIORS = (0.1, 0.3, 1.0)
TRAINED = (1, 3, 10)
"""Candidates trained beside the input in a final stage."""
FINALISTS = 3
"""The same where a search on the supernet chooses them: as many as a recipe has by default."""
POLICIES = 3
"""Trainings of the policy on the critics of all seeds together."""
Row = dict[str, float]


class Truth:
    """Held-out inputs, and how to look up what becomes of them."""

    def __init__(self, space: Space) -> None:
        self.space, self.reach = space, Reach(space, find_rule("nat"))
        self.cells = np.flatnonzero(space.held_out)
        self.moves = [Moves(space.networks[cell], self.reach.rule) for cell in self.cells]
        self._digits = {op: digit for digit, op in enumerate(OPS.values())}
        good = np.flatnonzero(space.test[DATA] >= 90)
        self._good = np.random.default_rng(5).permutation(good)[:WITHIN]

    def gains(self, found: np.ndarray, cells: np.ndarray | None = None) -> Row:
        """Mean gain in test accuracy by group, of cells (CELLS,) that inputs become."""
        cells = self.cells if cells is None else cells
        gain = self.reach.gains(found, self.space.test[DATA])[cells]
        return {name: float(gain[self.space.group(name)[cells]].mean()) for name in GROUPS}

    def of_policy(self, policy: Policy) -> np.ndarray:
        """What greedy decoding makes of the held-out inputs, (CELLS,)."""
        found = np.arange(CELLS)
        for cell, network in zip(self.cells, apply_policy(self.moves, policy), strict=True):
            found[cell] = numbers(np.array([self._digits[op] for op in network.ops]))
        return found

    def kept(self, found: np.ndarray, values: np.ndarray, margin: float) -> np.ndarray:
        """Of what inputs become, (CELLS,), what is better than they are by more than ``margin`` in values of kinds."""
        by_cell = values[self.space.kinds]
        own = np.where(self.space.connected, by_cell, -np.inf)
        return np.where(by_cell[found] > own + margin, found, np.arange(CELLS))

    def by_values(self, values: np.ndarray, margin: float = 0.0, cells: np.ndarray | None = None) -> Row:
        """The best reachable by values of kinds, where it is better than the input by more than ``margin``."""
        best = self.reach.best(values[self.space.kinds])
        return self.gains(self.kept(best, values, margin), cells)

    def correlations(self, values: np.ndarray) -> Row:
        """Spearman of values by kind with test accuracy: over all, good ones, and what one good input can become."""
        truth = self.space.test[DATA][self.space.spelled]
        known = np.flatnonzero(np.isfinite(values))
        good = known[truth[known] >= 90]
        within = []
        for cell in self._good:
            kinds = np.intersect1d(self.space.kinds[self.reach.all_of(int(cell))], known)
            if len(kinds) > 5:
                within.append(spearmanr(values[kinds], truth[kinds])[0])
        return {
            "all": float(spearmanr(values[known], truth[known])[0]),
            "≥ 90": float(spearmanr(values[good], truth[good])[0]),
            "within one β ≥ 90": float(np.mean(within)),
        }

    def chances(self, policy: Policy) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """For every input, the cells that it can become (N,) and the log-probability of each under a policy (N,)."""
        for cell, (scores, sizes) in zip(self.cells, decode(policy, self.moves), strict=True):
            log, grid = np.zeros(1), np.zeros(1, np.int64)
            for part, digit in zip(np.split(scores, np.cumsum(sizes)[:-1]), digits_of(np.array(cell)), strict=True):
                own = part - part.max()
                log = (log[:, None] + own - np.log(np.exp(own).sum())).ravel()
                grid = (grid[:, None] * len(OPS) + np.array(self.reach.options[digit])).ravel()
            fed = self.space.connected[grid]
            yield int(cell), grid[fed], log[fed]

    def with_prior(self, policy: Policy, values: np.ndarray, weights: Sequence[float]) -> dict[float, Row]:
        """What maximises the gain in values less ``weight`` times the divergence from a policy, by weight."""
        found = {weight: np.arange(CELLS) for weight in weights}
        for cell, grid, log in self.chances(policy):
            for weight, becomes in found.items():
                becomes[cell] = grid[np.argmax(log + values[self.space.kinds[grid]] / weight)]
        return {weight: self.gains(becomes) for weight, becomes in found.items()}

    def after_training(self, policy: Policy, values: np.ndarray, seed: int) -> dict[str, np.ndarray]:
        """What inputs become where each and so many candidates are trained, (CELLS,), by who chooses the candidates."""
        space, finals = self.space, dict[str, np.ndarray]()
        chosen: dict[str, list[tuple[int, np.ndarray]]] = {"policy": [], "critic": [], "random search": []}
        rng = np.random.default_rng(seed)
        for cell, grid, log in self.chances(policy):
            orders = {"policy": -log, "critic": -values[space.kinds[grid]], "random search": rng.random(len(grid))}
            for name, order in orders.items():
                ranked = grid[np.argsort(order, kind="stable")]
                chosen[name].append((cell, different(space, cell, ranked, max(TRAINED))))
        for how, accuracy in trainings(space).items():
            for count in TRAINED:
                for name, candidates in chosen.items():
                    found = best_trained(space, accuracy, ((cell, some[:count]) for cell, some in candidates))
                    finals[f"{name}, {count} trained for {how}"] = found
                climbed = finals[f"hill climbing, {count} trained for {how}"] = np.arange(CELLS)
                for at in self.cells:
                    climbed[at] = hill_climbing(self.reach, accuracy, int(at), count, rng)
        return finals


def greedy_search(reach: Reach, score: Scores, cell: int, queries: int, rng: np.random.Generator) -> int:
    """Backward elimination: of all single drops the one that scores best, and so on; the best of all measured."""
    space, macs = reach.space, reach.space.macs
    known = {int(space.kinds[cell]): float(score[cell])}
    best, best_value, at = cell, float(score[cell]), cell
    while True:
        drops = []
        for edge, digit in enumerate(digits_of(np.array(at))):
            for other in reach.options[digit]:
                number = at + (other - int(digit)) * int(PLACES[edge])
                if space.connected[number] and not macs[number] > macs[at] and other in (0, 1) and digit > other:
                    drops.append(number)
        if not drops:
            return best
        for number in rng.permutation(drops):
            if len(known) > queries:
                return best
            value = known.setdefault(int(space.kinds[number]), float(score[number]))
            if value > best_value:
                best, best_value = int(number), value
        at = max(drops, key=lambda number: known.get(int(space.kinds[number]), -np.inf))


SEARCHES = {"random search": random_search, "hill climbing": hill_climbing, "greedy": greedy_search}


def sampled(space: Space, count: int) -> np.ndarray:
    """So many held-out inputs of each group, together: among them good ones are more frequent than among all inputs,
    so that their mean over "all" is no mean over all inputs."""
    rng, held = np.random.default_rng(3), space.held_out
    return np.unique([rng.choice(np.flatnonzero(held & space.group(name)), count, replace=False) for name in GROUPS])


def trained(space: Space, values: np.ndarray, seed: int, args: argparse.Namespace) -> Policy:
    """A policy that learned from a critic's values of kinds."""
    return learn_from(space, values, seed, LearningSetting(args.policy_inputs, args.updates, args.entropy))


def by_searches(
    truth: Truth, rewards: SupernetRewards, some: np.ndarray, seed: int, args: argparse.Namespace
) -> dict[str, Row]:
    """What searches make of each of some inputs by measurements on a supernet."""
    space, rows = truth.space, dict[str, Row]()
    spread = args.margin * float(np.std(rewards.loss[rewards.pool(args.pool)]))
    for name, search in SEARCHES.items():
        rng, ends, candidates = np.random.default_rng(seed), np.arange(CELLS), []
        for cell in map(int, some):
            asked = Asked(rewards)
            ends[cell] = search(truth.reach, asked, cell, args.queries, rng)
            candidates.append((cell, different(space, cell, asked.ranked(), FINALISTS)))
        kept = truth.kept(ends, -rewards.loss, spread)
        found = {"": ends, f", margin {args.margin:g}": kept}
        for how, accuracy in trainings(space).items():
            found[f", {FINALISTS} trained for {how}"] = best_trained(space, accuracy, candidates)
        rows |= {f"{name} {args.queries}{how}, sampled inputs": truth.gains(end, some) for how, end in found.items()}
        rewards.save()
    if args.everything:
        rewards.measure(np.concatenate([space.kinds[truth.reach.all_of(int(cell))] for cell in some]))
        rewards.save()
        measured = np.where(np.isfinite(rewards.loss), -rewards.loss, -np.inf)
        for margin, least in ((0.0, 0.0), (args.margin, spread)):
            rows[f"all measured, margin {margin:g}, sampled inputs"] = truth.by_values(measured, least, some)
    return rows


def measure_seed(truth: Truth, rewards: SupernetRewards, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """All that one supernet gives."""
    space = truth.space
    pool = rewards.pool(args.pool)
    known = np.full(len(space.spelled), np.nan)
    known[pool] = -rewards.loss[pool]
    accuracy = np.full(len(space.spelled), np.nan)
    accuracy[pool] = rewards.accuracy[pool]
    graphs = [build_graph(space.networks[cell]) for cell in space.spelled]
    critic = RankEnsemble(RankEnsembleConfig(), seed, CPU)
    critic.fit([graphs[kind] for kind in pool], known[pool])
    values = critic.predict(graphs).mean(axis=0)
    policy = trained(space, values, seed, args)
    becomes = truth.of_policy(policy)
    agreed = truth.kept(becomes, values, 0.0)
    rows = {
        "policy on supernet rewards": truth.gains(becomes),
        "policy, where the critic agrees": truth.gains(agreed),
        "critic, best of all": truth.by_values(values),
        f"critic, margin {args.margin:g}": truth.by_values(values, args.margin),
        "pool, best measured": truth.by_values(np.where(np.isfinite(known), known, -np.inf)),
    }
    finals = truth.after_training(policy, values, seed)
    rows |= {name: truth.gains(found) for name, found in finals.items()}
    if args.policy:
        by_weight = truth.with_prior(find_policy(args.policy, CPU), values, PRIORS)
        rows |= {f"prior, w = {weight:g}": row for weight, row in by_weight.items()}
    if args.inputs:
        some = sampled(space, args.inputs)
        rows["policy on supernet rewards, sampled inputs"] = truth.gains(becomes, some)
        rows["policy, where the critic agrees, sampled inputs"] = truth.gains(agreed, some)
        rows |= {f"{name}, sampled inputs": truth.gains(found, some) for name, found in finals.items()}
        rows[f"critic, margin {args.margin:g}, sampled inputs"] = truth.by_values(values, args.margin, some)
        rows |= by_searches(truth, rewards, some, seed, args)
    ranks = {"loss": truth.correlations(known), "accuracy": truth.correlations(accuracy)}
    return {
        "gains": rows,
        "correlations": ranks | {"critic of loss": truth.correlations(values)},
        "values": values.tolist(),
    }


def over_seeds(rows: Sequence[dict[str, Row]]) -> dict[str, dict[str, tuple[float, float]]]:
    return {name: {key: interval([each[name][key] for each in rows]) for key in rows[0][name]} for name in rows[0]}


def summary(truth: Truth, seeds: Sequence[dict[str, Any]], args: argparse.Namespace) -> dict[str, Any]:
    """Over the seeds, and what does not depend on them."""
    space, margin = truth.space, args.margin
    rows: dict[str, Any] = {
        "best by validation": truth.gains(truth.reach.best(space.validation[DATA])),
        "fixed rule (made from the table)": truth.gains(fixed_rule(space)),
    }
    if args.policy:
        rows["policy trained on the table"] = truth.gains(truth.of_policy(find_policy(args.policy, CPU)))
    rows |= over_seeds([each["gains"] for each in seeds])
    together = np.mean([each["values"] for each in seeds], axis=0)
    policies = [truth.of_policy(trained(space, together, seed, args)) for seed in range(POLICIES)]
    agreed = [truth.kept(each, together, 0.0) for each in policies]
    for name, found in {"": policies, ", where they agree": agreed}.items():
        gains = [truth.gains(each) for each in found]
        rows[f"policy on the critics of all seeds together{name}"] = {
            group: interval([each[group] for each in gains]) for group in GROUPS
        }
    rows["critics of all seeds together"] = truth.by_values(together)
    rows[f"critics of all seeds together, margin {margin:g}"] = truth.by_values(together, margin)
    return {"gains": rows, "correlations": over_seeds([each["correlations"] for each in seeds])}


def table(rows: dict[str, Any]) -> str:
    columns = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in rows.items():
        cells = [signed(value, ".2f") for value in row.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, entry in results.items():
        found[place_of("supernet", name)] = table(entry["gains"])
        found[place_of("supernet-ranks", name)] = table(entry["correlations"])
    return found


def name_of(setting: Setting) -> str:
    return f"{setting.channels} channels, {setting.resolution} pixels, {setting.steps:,} steps"


def add_options(parser: argparse.ArgumentParser) -> None:
    ask_for_setting(parser)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--policy", metavar="FILE", help="trained on the table: measured too, and as prior")
    parser.add_argument("--pool", type=int, default=500, help="networks measured on each supernet")
    parser.add_argument("--updates", type=int, default=600, help="of the policy")
    parser.add_argument("--entropy", type=float, default=0.1, help="weight of the bonus at first; falls to 0")
    parser.add_argument("--policy-inputs", type=int, default=1000, help="cells on which the policy learns")
    parser.add_argument("--margin", type=float, default=1.5, help="of the critic, in standard deviations of the pool")
    parser.add_argument("--inputs", type=int, default=40, help="of each group for the searches; 0: no searches")
    parser.add_argument("--everything", action="store_true", help="measure all that these inputs can become too")
    parser.add_argument("--queries", type=int, default=10, help="of the searches, for each input")
    parser.add_argument("--precision", default="auto", help="of the supernet: auto, float32 or bfloat16")
    parser.add_argument("--device", default="cpu", help="of the supernet; the policy learns on the CPU")


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    plugins()
    begun = time.perf_counter()
    setting = setting_of(args)
    compute = find_compute(args.device, args.precision)
    space = load_space(find_file(args.data, NB201))
    truth, seeds = Truth(space), []
    for seed in range(args.seeds):
        rewards = SupernetRewards(space, find_file(args.data, CIFAR10), setting, seed, args.work, compute)
        seeds.append(measure_seed(truth, rewards, seed, args))
        print(f"seed {seed}: {rewards.evaluations} networks measured, {time.perf_counter() - begun:.0f} s", flush=True)
    found = summary(truth, seeds, args)
    ranks = [{what: each[what] for what in ("gains", "correlations")} for each in seeds]  # values are large
    whole = {**found, "seeds": ranks, "setting": asdict(setting), "seconds": time.perf_counter() - begun}
    add_result(args.results, name_of(setting), whole)
    print(f"\ngain in test accuracy, held-out inputs\n\n{table(found['gains'])}")
    print(f"\nrank correlation with test accuracy\n\n{table(found['correlations'])}")
    print(f"\n{time.perf_counter() - begun:.0f} s")
