"""Speed and memory of what everything else waits for: the step of a supernet, and the policy over many architectures.

    python -m benchmarks speed-core --save

Each part runs in a process of its own, one after the other, so that its peak memory is its own. Ratios are within one
run; the seconds are those of the machine at hand. Aims: a supernet step takes at most 1.10 of the step of the fixed
network; the policy over 1,024 cells in one batch is 30 times faster than one at a time.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import torch

from benchmarks.common.results import add_result
from benchmarks.experiments.speed import policy as speed_policy
from benchmarks.experiments.speed import supernet as speed_supernet


def measure(device: str, threads: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, get_context("spawn"), torch.set_num_threads, (threads,)) as pool:
        supernet = pool.submit(speed_supernet.measure, device=device).result()
    return {"supernet": supernet, "policy": speed_policy.measure(device=device, threads=threads)}


def table(found: dict[str, Any]) -> str:
    step, policy = found["supernet"], found["policy"]
    batch, single = policy["batch"], policy["one_at_a_time"]
    mib = 2**20
    rows = [
        ("training step: fixed network", f"{step['seconds']['fixed'] * 1e3:.0f} ms", "", ""),
        (
            "training step: supernet, same path",
            f"{step['seconds']['supernet'] * 1e3:.0f} ms",
            f"{step['ratio']:.2f} of the fixed one (aim: ≤ 1.10)",
            f"{step['peak_rss_bytes'] / mib:,.0f} MiB, both networks",
        ),
        (
            f"policy, {policy['cells']:,} cells one at a time",
            f"{single['steps']:.2f} s",
            "",
            f"{single['peak_added_mib']:.0f} MiB added",
        ),
        (
            f"policy, {policy['cells']:,} cells in one batch",
            f"{batch['steps']:.3f} s",
            f"{policy['speedup']:.0f} times faster (aim: ≥ 30); {policy['speedup_with_building']:.1f} with building "
            "the graphs",
            f"{batch['peak_added_mib']:.0f} MiB added",
        ),
        (
            f"transform of {policy['transform']['cells']:,} cells of NAS-Bench-201, everything included",
            f"{policy['transform']['seconds']:.1f} s",
            "",
            f"{policy['transform']['peak_mib']:.0f} MiB",
        ),
    ]
    head = ["| what | time | ratio | peak memory |", "|---|---|---|---|"]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="on the CPU")


def run(args: argparse.Namespace) -> None:
    found = measure(args.device, args.threads)
    add_result(args.results, args.device, found)
    print(table(found))
