"""The scripts of the tutorial on pretrained models and of the page on timm run, one after the other."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
from nat_timm.documents.edits import ORDER

DOCS = Path(__file__).resolve().parents[3] / "docs"
TUTORIAL = (DOCS / "tutorials" / "pretrained.md").read_text(encoding="utf-8")
PAGE = (DOCS / "reference" / "formats" / "timm.md").read_text(encoding="utf-8")


def test_the_scripts_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = re.findall(r"```python\n(.*?)```", TUTORIAL + PAGE, re.DOTALL)
    assert len(scripts) == 6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporters
        exec(compile("\n".join(scripts), "timm.md", "exec"), {"__name__": "page"})
    model, report = {"config.json", "model.safetensors"}, {"compaction.json", "journal.jsonl", "report.html"}
    for folder, wanted in (("lean", model | report), ("leaner", model), ("fitted", model)):
        assert {path.name for path in (tmp_path / folder).iterdir()} == wanted
    assert (tmp_path / "lean.onnx").stat().st_size > 100_000
    assert (tmp_path / "lean.pt2").stat().st_size > 100_000


def test_every_edit_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \| [al]", PAGE, re.MULTILINE)) == set(ORDER)
