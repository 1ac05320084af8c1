"""What CONTRIBUTING.md says is so, and CI does what README.md tells a stranger to do."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nat_plugin import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_files_with_tests_that_need_data_are_listed(files_that_need_data: dict[str, bool]) -> None:
    listed = set(re.findall(r"`(tests/\S+\.py)`", PAGE))
    assert listed
    assert all((ROOT / path).is_file() for path in listed)
    for path, needs_data in files_that_need_data.items():
        assert (path in listed) == needs_data, path


def test_its_links_lead_somewhere() -> None:
    for path in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / path).is_file(), path


def test_the_map_answers_ten_questions() -> None:
    rows = re.findall(r"^\| .*\? \| .*\]\(", PAGE, re.MULTILINE)
    assert len(rows) == 10


def test_what_is_said_of_the_project_is_the_same_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"], citation["title"]) == (__version__, "MIT", "nat-plugin")
    assert all({"title", "authors", "year", "url"} <= set(each) for each in citation["references"])
    datetime.date.fromisoformat(citation["date-released"])
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == [".ci/run"]
    versions = jobs["test"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["urls"].values()) == {each["url"] for each in citation["references"]}
    supported = [each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert versions == supported == ["3.10", "3.11", "3.12"]
    assert project["requires-python"] == ">=3.10,<3.13"
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"):
        asked = yaml.safe_load(form.read_text())
        assert {"name", "description", "body"} <= set(asked)


@pytest.mark.parametrize("fails", ["", "pip", "pytest", "pytest-data", "ruff", "mypy", "mkdocs"])
def test_ci_ends_with_the_status_of_its_steps(fails: str, tmp_path: Path) -> None:
    """The script itself, with commands that say what they were called for and where in place of the real ones."""
    checkout, tools = tmp_path / "checkout", tmp_path / "tools"
    for folder in (checkout / ".ci", tmp_path / "shared" / "data", tools):
        folder.mkdir(parents=True)
    (checkout / ".ci" / "run").write_bytes((ROOT / ".ci" / "run").read_bytes())
    log = tmp_path / "log"
    for name in ("pip", "pytest", "ruff", "mypy", "mkdocs"):
        step = 'case "$*" in *needs_data*) step=pytest-data;; esac; ' if name == "pytest" else ""
        text = f'#!/bin/sh\nstep={name}; {step}echo "$step $PWD" >> {log}; [ "$step" != "{fails}" ]\n'
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tools / "python3").write_text('#!/bin/sh\nmkdir -p "$3/bin" && touch "$3/bin/activate"\n')
    (tools / "python3").chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {"PATH": f"{tools}:/usr/bin:/bin", "TMPDIR": str(scratch)}
    done = subprocess.run(["bash", str(checkout / ".ci" / "run")], env=environment, capture_output=True, text=True)
    assert (done.returncode == 0) == (not fails), done.stderr
    assert not list(scratch.iterdir())
    steps = [line.split() for line in log.read_text().splitlines()]
    order = ["pip", "pytest", "ruff", "ruff", "mypy", "mypy", "pip", "mkdocs", "pytest-data"]
    last = order.index(fails) + 1 if fails else len(order)
    assert [step for step, _ in steps] == order[:last]
    assert all((where == str(checkout)) == (step == "pytest-data") for step, where in steps)
