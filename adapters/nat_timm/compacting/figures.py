"""What a compaction found, as ``compaction.json`` and ``report.html`` beside the model that is saved."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nat_plugin import __version__
from nat_plugin.device import made_with
from nat_plugin.files import write_text
from nat_plugin.ir import cost, key, to_json
from nat_plugin.reporting import COMPACTION_FILE, JOURNAL, write_report
from nat_plugin.training import wilson
from nat_timm.models import document_of

if TYPE_CHECKING:
    from nat_timm.compacting.result import CompactionResult, Tuned


def write_figures(result: CompactionResult, folder: Path, plain: bool) -> None:
    """``plain``: whether timm loads the model without this package."""
    home = next(result.model.parameters()).device
    figures: dict[str, Any] = {
        "version": __version__,
        "name": document_of(result.before.model).architecture,
        "before": _model(result.before, result.images),
        "reference": _model(result.reference, result.images),
        "tuned": [_model(each, result.images) for each in result.tuned],
        "kept": result.best is result.reference,
        "verdict": result.difference,
        "evaluated": result.evaluated,
        "images": result.images,
        "setting": None if result.setting is None else str(result.setting),
        "plain": plain,
        "made_with": made_with(home),
        "workers": dict(result.workers),
    }
    if result.searched is not None:
        source, total = result.searched.source, cost(result.searched.source)
        costs = {"params": total.params, "macs": total.macs}
        figures["search"] = {"key": key(source), "costs": costs, "limits": dict(result.searched.limits)}
        lines = (json.dumps(line, sort_keys=True) for line in result.searched.journal)
        write_text(folder / JOURNAL, "".join(f"{line}\n" for line in lines))
    write_text(folder / COMPACTION_FILE, json.dumps(figures, indent=1))
    write_report(folder, lambda line: print(line, file=sys.stderr))


def _model(tuned: Tuned, images: int) -> dict[str, Any]:
    interval, latency = wilson(round(tuned.accuracy * images), images), tuned.latency
    return {
        "how": tuned.how,
        "accuracy": tuned.accuracy,
        "low": interval.low,
        "high": interval.high,
        "params": tuned.cost.params,
        "macs": tuned.cost.macs,
        "latency": None if latency is None else {"ms": latency.ms, "low": latency.low, "high": latency.high},
        "network": to_json(tuned.network, None),
        "by_cell": dict(tuned.by_cell),
    }
