"""A training step of a supernet against the step of the fixed network of the same path: what weight sharing costs.

Forward, backward and a step of SGD, alternating between the two. Run it as a script:

    python -m benchmarks speed-supernet
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common.results import add_result
from benchmarks.spaces.random_cells import DARTS_OPS
from nat_plugin.ir import Cell, Edge, Network, NetworkSize, Node, Op, cell_stack, find_rule
from nat_plugin.nets import Supernet, build, move_paths
from nat_plugin.timing import Clock, compare_times, quickest

WITHIN = 0.05
NORMAL = "sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 0 sep_conv_3x3 1 sep_conv_3x3 1 skip 0 skip 0 dil_conv_3x3 2"
REDUCE = "max_pool_3x3 0 max_pool_3x3 1 skip 2 max_pool_3x3 1 max_pool_3x3 0 skip 2 skip 2 max_pool_3x3 1"


def darts_v2(channels: int, cells: int, size: int) -> Network:
    """The network of the published DARTS_V2 cells."""
    made = []
    for level, text in enumerate((NORMAL, REDUCE)):
        words = text.split()
        edges = (
            Edge(int(source), 2 + number // 2, Op.parse(op), str(number), DARTS_OPS)
            for number, (op, source) in enumerate(zip(words[::2], words[1::2], strict=True))
        )
        made.append(Cell(2, (Node(level),) * 4, tuple(edges), (2, 3, 4, 5), project=True))
    return cell_stack(made[0], made[1], NetworkSize(input=(3, size, size)), channels, cells)


def make_step(
    model: nn.Module, forward: Callable[[Tensor], Tensor], active: list[nn.Parameter], x: Tensor, y: Tensor
) -> Callable[[], None]:
    """One training step on the active parameters of a model."""
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=3e-4)
    optimizer.param_groups[0]["params"] = active  # its state goes by parameter, so a trainer can set this every step

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(forward(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


SIZE, WARMUP = 32, 3
"""Pixels of a side; steps before the clock starts."""


def measure(
    channels: int = 16,
    cells: int = 8,
    batch: int = 32,
    device: str = "cpu",
    within: float = WITHIN,
) -> dict[str, Any]:
    """Seconds per step of both, their ratio with its 95 % interval, peak memory."""
    torch.manual_seed(0)
    clock = Clock.of(torch.device(device))
    network = darts_v2(channels, cells, SIZE)
    started = clock.read()
    paths = move_paths([network], find_rule("nat++"))
    supernet = Supernet(network, paths).to(device).to(memory_format=torch.channels_last)
    construction = clock.read() - started
    fixed = build(network).to(device).to(memory_format=torch.channels_last)
    x = torch.randn(batch, *network.input, device=device).to(memory_format=torch.channels_last)
    y = torch.randint(network.head.classes, (batch,), device=device)
    steps = {
        "fixed": make_step(fixed, fixed, list(fixed.parameters()), x, y),
        "supernet": make_step(
            supernet, lambda images: supernet(images, network), supernet.active_parameters(network), x, y
        ),
    }
    for step in steps.values():
        for _ in range(WARMUP):
            step()
    found = compare_times(steps["fixed"], steps["supernet"], clock, within)
    quick = quickest(steps["fixed"], clock)
    return {
        "setting": {"channels": channels, "cells": cells, "batch": batch, "size": SIZE, "device": device,
                    "threads": torch.get_num_threads(), "clock": clock.name, "torch": torch.__version__},
        "seconds": {"fixed": quick, "supernet": quick * found.ratio},
        "ratio": found.ratio,
        "interval": [found.low, found.high],
        "construction_seconds": construction,
        "paths": {name: len(each) for name, each in paths.items()},
        "parameters": {
            "supernet": sum(parameter.numel() for parameter in supernet.parameters()),
            "active": sum(parameter.numel() for parameter in supernet.active_parameters(network)),
            "fixed": sum(parameter.numel() for parameter in fixed.parameters()),
        },
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "peak_device_bytes": torch.cuda.max_memory_allocated() if device.startswith("cuda") else None,
    }  # fmt: skip


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--cells", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--within", type=float, default=WITHIN, help="width of the interval of the ratio")
    parser.add_argument("--device", default="cpu")


def run(args: argparse.Namespace) -> None:
    found = measure(args.channels, args.cells, args.batch, device=args.device, within=args.within)
    print(f"{'step of':<12}{'milliseconds':>14}{'parameters':>14}")
    for name in ("fixed", "supernet"):
        print(f"{name:<12}{found['seconds'][name] * 1e3:>14.1f}{found['parameters'][name]:>14,}")
    low, high = found["interval"]
    print(f"ratio {found['ratio']:.3f} [{low:.3f}, {high:.3f}], {found['setting']['clock']}, "
          f"peak memory {found['peak_rss_bytes'] / 2**20:,.0f} MiB")  # fmt: skip
    add_result(args.results, args.device, found)
