"""Tables of what is left of pretrained models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from benchmarks.experiments.timm.pretrained.reload import STOCK

ORIGINAL = "original"
OWN = "nat"
HEAD = ("method", "splits", "top-1", "against `nat`, p", "MACs", "parameters", "latency 1", "latency 32", "CPU s")


def tables_of(known: Mapping[str, Any]) -> dict[str, str]:
    """By name a table for each model: limit by limit what every method comes to, in the mean of splits."""
    return {f"timm_pretrained-{name}": _table(list(each["splits"].values())) for name, each in known.items()}


def _table(splits: Sequence[Mapping[str, Any]]) -> str:
    lines = ["| limit | " + " | ".join(HEAD) + " |", "|" + "---|" * (len(HEAD) + 1)]
    lines.append("| – | " + " | ".join(_row(ORIGINAL, [split[ORIGINAL] for split in splits], [], splits)) + " |")
    for name in dict.fromkeys(name for split in splits for name in split if name.startswith(STOCK)):
        having = [split for split in splits if name in split]
        lines.append("| – | " + " | ".join(_row(name, [split[name] for split in having], [], having)) + " |")
    names = dict.fromkeys(name for split in splits for name in split if ", " in name)
    order = sorted({tuple(name.rsplit(", ", 1)[0].split(", ")) for name in names}, key=_order)
    for tuning, limit in order:
        rows = []
        for name in names:
            if name.startswith(f"{tuning}, {limit}, "):
                having = [split for split in splits if name in split]
                rows.append((name.rsplit(", ", 1)[1], [split[name] for split in having], having))
        for method, found, having in sorted(rows, key=lambda row: (-_top1(row[1]), row[0])):
            own = [split.get(f"{tuning}, {limit}, {OWN}", {}) for split in having]
            said = {"none": "no training", "distil": "distilled"}.get(tuning, tuning)
            lines.append(f"| {limit}, {said} | " + " | ".join(_row(method, found, own, having)) + " |")
    return "\n".join(lines)


def _order(pair: tuple[str, ...]) -> tuple[object, ...]:
    tuning, limit = pair
    metric, _, rest = limit.partition("=")
    share, _, batch = rest.partition("x")
    return tuning != "none", metric != "macs", int(batch.removeprefix("@") or 0), -float(share)


def _top1(found: Sequence[Mapping[str, Any]]) -> float:
    shares = [each["right"].count("1") / len(each["right"]) for each in found if "right" in each]
    return 100 * float(np.mean(shares)) if shares else 0.0


def _row(
    method: str,
    found: Sequence[Mapping[str, Any]],
    own: Sequence[Mapping[str, Any]],
    splits: Sequence[Mapping[str, Any]],
) -> tuple[str, ...]:
    done = [at for at, each in enumerate(found) if "macs" in each]
    if not done:
        said = f"none: {found[0]['failed']}" if "failed" in found[0] else "not reloaded yet"
        return method, "0", said, *("" for _ in HEAD[3:])
    some = [found[at] for at in done]
    originals = [splits[at][ORIGINAL] for at in done]
    costs = (
        np.mean([each[what] / whole[what] for each, whole in zip(some, originals, strict=True)])
        for what in ("macs", "params")
    )
    times = (
        f"{np.mean([each[name]['ratio'] for each in some]):.2f}x" if all(name in each for each in some) else "–"
        for name in ("latency 1", "latency 32")
    )
    pairs = [
        (each["right"], own[at]["right"]) for at, each in zip(done, some, strict=True) if own and "right" in own[at]
    ]
    against = _mcnemar(pairs) if pairs and method != OWN else ""
    spent = [each["cpu_seconds"] for each in some if "cpu_seconds" in each]
    return (
        f"**{method}**" if method == OWN else method,
        str(len(done)),
        f"({some[0]['table']:.1f} of ImageNet)" if "table" in some[0] else f"{_top1(some):.1f}",
        against,
        *(f"{share:.2f}x" for share in costs),
        *times,
        f"{np.mean(spent):.0f}" if spent else "",
    )


def _mcnemar(pairs: Sequence[tuple[str, str]]) -> str:
    """The difference in points on the same pictures, and the probability of one as large if the two were equally good
    (exact test of McNemar over all splits; a picture that is in two splits counts in both)."""
    more = sum(a > b for first, second in pairs for a, b in zip(first, second, strict=True))
    less = sum(a < b for first, second in pairs for a, b in zip(first, second, strict=True))
    count = sum(len(first) for first, _ in pairs)
    p = binomtest(more, more + less).pvalue if more + less else 1.0
    return f"{100 * (more - less) / count:+.1f}, {p:.2g}"
