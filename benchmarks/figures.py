"""The figures of the documentation: ``python -m benchmarks figures``.

Those of measurements are drawn from ``benchmarks/results``; each file names the SHA-256 of the points that it shows, so
a test can tell whether it is of the results at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common.intervals import interval
from benchmarks.common.results import RESULTS, ROOT, read_results
from benchmarks.plotting import Figure, Points, svg
from benchmarks.table_figures import TABLE_FIGURES
from nat_plugin.errors import NATError

FOLDER = ROOT / "docs" / "figures"
CHANGE = "normal/4", "skip"
"""What ``nat transform DARTS_V2 --budget macs=0.9x`` changes."""
SCRATCH = {"nat": "nat, no policy", "surrogate": "surrogate", "hill_climb": "hill climbing", "random": "random"}
STRATEGIES = ("nat", "surrogate", "hill_climb", "evolution", "random")
STOCK = "stock "


def _left_out() -> list[tuple[str, dict[str, Any]]]:
    """Tasks of which networks can become others."""
    return [(task, entry) for task, entry in _results("leave_one_out").items() if entry["rows"]]


def gain_by_queries() -> Points:
    """Share of the best reachable gain after so many queries, on tasks that training did not see."""
    panels: Points = {}
    for task, entry in _left_out():
        if not entry["points"] or task == "macro":  # there the best reachable by validation gains nothing
            continue
        rows = [row for row in entry["rows"] if (row["setting"], row["group"]) == ("nat", "all") and row["queries"]]
        panels[task] = {
            label: sorted([row["queries"], *row["share"]] for row in rows if row["method"] == method)
            for method, label in {"nat, trained": "nat, policy of other tasks", **SCRATCH}.items()
        }
    return panels


def calibration() -> Points:
    """How often proposals are better that are said to be better with a probability; tenths with ten cases or more."""
    curves = {}
    for task, entry in _left_out():
        bins = [each for each in entry["calibration"]["nat"]["proposals"] if each["cases"] >= 10]
        curves[task] = [[each["said"] / each["cases"], each["true"] / each["cases"]] for each in bins]
    return {"proposals of the policy": curves}


def gain_by_trials() -> Points:
    """Mean of the best gain after so many trials, from scratch."""
    known = _results("search_gains")["after"]
    return {
        panel: {
            name: [
                [trials, float(np.mean(gains))]
                for trials, *gains in zip(known["trials"], *known[panel][name], strict=True)
            ]
            for name in STRATEGIES
        }
        for panel in ("landscapes", "NAS-Bench-201")
    }


def accuracy_by_macs() -> Points:
    """Test accuracy against MACs of a small MnasNet on CIFAR-10: the model, and what was found, fine-tuned alike."""
    rows = _results("timm_compact")["mnasnet_050"]["rows"]
    shown = {"input": "the model, fine-tuned", "0.8x nat": "nat, 0.8x", "0.6x nat": "nat, 0.6x"}
    return {
        "mnasnet_050 on CIFAR-10": {
            label: [[row["macs"], row["test"][0], row["test"][0] - row["test"][1], row["test"][0] + row["test"][1]]]
            for label, row in ((shown[name], rows[name]) for name in shown)
        }
    }


def accuracy_by_latency() -> Points:
    """Top-1 against latency of one image: of models by timm's table; of what became of MobileNetV2 on 400 pictures."""
    curves: dict[str, list[list[float]]] = {}
    for name, figures in _results("timm_pretrained")["mobilenetv2_100"]["splits"]["0"].items():
        if isinstance(figures, str) or "failed" in figures:
            continue
        right = figures.get("right")
        top1 = 100 * right.count("1") / len(right) if right else figures["table"]
        label = "smaller models (timm's table)" if name.startswith(STOCK) else name.rpartition(", ")[2]
        curves.setdefault(label, []).append([figures["latency 1"]["ratio"], top1])
    return {"MobileNetV2, ImageNet": {label: sorted(points) for label, points in curves.items()}}


def learning_curves() -> Points:
    """Accuracy after each epoch on images that nothing trains on, mean over the seeds with its interval."""
    found = _results("search_cifar10")["quickstart"]["rows"]
    return {
        "DARTS_V2 on handwritten digits": {
            name: [
                [epoch, mean, mean - half, mean + half]
                for epoch, each in enumerate(zip(*row["curves"], strict=True), start=1)
                for mean, half in [interval([100 * accuracy for accuracy in each])]
            ]
            for name, row in found.items()
        }
    }


def seconds_by_workers() -> Points:
    """Seconds of the same work by the number of workers, start included."""
    found = {name: each for name, each in _results("scale").items() if "seconds" in each}
    works = dict.fromkeys(name for figures in found.values() for name in figures["seconds"])
    return {
        work: {
            engine: [list(point) for point in zip(figures["workers"], figures["seconds"][work], strict=True)]
            for engine, figures in found.items()
        }
        for work in works
    }


def differences_of_devices() -> Points:
    """Largest difference of a loss by how it was trained; none where there is none."""
    return {
        f"{found['steps']} steps": {
            subject: [[name, value] for name, value in each["differences"].items() if value > 0]
            for subject, each in found["subjects"].items()
        }
        for found in _results("training_devices").values()
    }


MEASURED: dict[str, Figure] = {
    "gain_by_queries": Figure(gain_by_queries, "queries", "share of the best gain", powers=True),
    "calibration": Figure(calibration, "said: probability of being better", "share that is better", diagonal=True),
    "gain_by_trials": Figure(gain_by_trials, "trials", "gain", powers=True),
    "accuracy_by_macs": Figure(accuracy_by_macs, "MACs, of the model's", "test accuracy, %", "cloud"),
    "accuracy_by_latency": Figure(accuracy_by_latency, "latency, of the model's", "top-1, %", "cloud"),
    "learning_curves": Figure(learning_curves, "epoch", "validation accuracy, %"),
    "devices": Figure(differences_of_devices, "difference of a loss", kind="rows", powers=True),
    "scale": Figure(seconds_by_workers, "workers", "seconds", powers=True),
    **{name: figure.figure() for name, figure in TABLE_FIGURES.items()},
}


def _results(name: str) -> dict[str, Any]:
    return read_results(RESULTS / f"{name}.json")


def cell_svgs() -> dict[str, str]:
    """The cells of DARTS_V2 as ``nat show --svg`` draws them, and what one change makes of them."""
    import nat_plugin as nat
    from nat_plugin.ir import Op
    from nat_plugin.picture.svg import network_svg

    before = nat.read("DARTS_V2")
    ops = list(before.network.ops)
    place, op = CHANGE
    keys = [before.network.edge(slot).key for slot in before.network.slots]
    ops[keys.index(place)] = Op.parse(op)
    after = network_svg(before.network.with_ops(ops), before.network, alone=True)
    return {"cells_before": before.svg(alone=True) + "\n", "cells_after": after + "\n"}


def write_figures(words: Sequence[str]) -> None:
    """All of them, into docs/figures."""
    if words:
        raise NATError(f"figures {words[0]}: takes no options; it draws all figures of docs/")
    for name, text in {**cell_svgs(), **{name: svg(figure) for name, figure in MEASURED.items()}}.items():
        (FOLDER / f"{name}.svg").write_text(text, encoding="utf-8")
        print(f"docs/figures/{name}.svg")
