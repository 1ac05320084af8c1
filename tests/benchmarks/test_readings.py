"""Figures in the readings of docs/evidence stand in the tables of their page or its setting, or are computed of results
here; a paragraph with others says that no result file was kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.answers import NUMBER, At, Figure, Said, Texts
from benchmarks.common.results import RESULTS, ROOT, read_results
from benchmarks.questions import LATENCY, MACS, OTHERS, PEERS
from benchmarks.tables import all_texts, tables_on

PAGES = sorted((ROOT / "docs" / "evidence").glob("*.md"))
NO_FIGURES = re.compile(
    r"```.*?```|`[^`\n]*`|\]\([^)]*\)|^    .*$|(?:CIFAR|ImageNet|NAS-Bench|TransNAS-Bench|Suite)-\d+|DARTS_V\d|≥ \d+"
    r"|below \d+|\d+ to \d+(?=, ≥)|Q = \d+|\d(?:\.\d+)?x\d?\b|top-1\b",
    re.DOTALL | re.MULTILINE,
)
"""Parts of a text whose numbers are names: code, links, benchmarks, groups of inputs, limits."""


@dataclass(frozen=True)
class Derived:
    """A part of a reading; ``figures`` gives what stands in its braces."""

    says: str
    figures: Mapping[str, Figure | Callable[[Texts], float]] = field(default_factory=dict)

    def text(self, texts: Texts) -> str:
        known = {name: each(texts) if callable(each) else each.read(texts) for name, each in self.figures.items()}
        return self.says.format(**known)


def gains_ahead(texts: Texts, of: str = "") -> Iterator[tuple[float, float]]:
    """How far NAT after ten models is ahead of each other strategy, or of one, after fifty: by validation and by test,
    in every group of inputs."""
    for block in texts["nni-models"].split("\n\n"):
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()]
        if "10" not in lines[0] or "50" not in lines[0]:
            continue
        found = {line[0]: [NUMBER.findall(line[lines[0].index(count)]) for count in ("10", "50")] for line in lines[2:]}
        for name, (_, last) in found.items():
            if name != "NAT" and of in name:
                validation, test = (float(own) - float(other) for own, other in zip(found["NAT"][0], last, strict=True))
                yield validation, test


def below(place: str, row: tuple[str | set[str], ...]) -> Callable[[Texts], float]:
    """The least of the usual bounds below which all probabilities of the rows are."""
    column = At(place, row, "against `nat`, p", 1, of=max)
    return lambda texts: min(bound for bound in (0.05, 0.01, 0.001, 0.0001) if bound > column.read(texts))


def right(texts: Texts) -> float:
    """Percent of the test images, in the mean over both recipes of digits."""
    inputs = [read_results(RESULTS / "own_architecture.json")[name]["input"] for name in ("quickstart", "nni-digits")]
    return 100 * sum(map(sum, inputs)) / sum(map(len, inputs))


def refitted(cut: str = "") -> list[float]:
    """By how many points what reads a cut is better when it is refitted, the least first."""
    rows = read_results(RESULTS / "timm_fits.json")["mobilenetv2_100"]["figures"].items()
    alone, fitted = "importance alone", "what reads the cut refitted"
    return sorted(row[fitted] - row[alone] for name, row in rows if fitted in row and cut in name)


DERIVED: Mapping[str, tuple[Derived, ...]] = {
    "nasbench201-policy": (Derived("92 % was not reached"),),  # what had been aimed at
    "nni": (
        Derived(
            "hill climbing is within {behind:.2f} points of validation accuracy",
            {"behind": lambda texts: max(validation for validation, _ in gains_ahead(texts, "hill climbing"))},
        ),
        Derived(
            "(differences of {least:+.2f} to {most:+.2f} points)",
            {
                "least": lambda texts: min(test for _, test in gains_ahead(texts)),
                "most": lambda texts: max(test for _, test in gains_ahead(texts)),
            },
        ),
    ),
    "own-architecture": (Derived("the input is right on {right:.0f} % of the images", {"right": right}),),
    "shipped-policy": (
        Derived(
            "{behind:.0f} of 12 places are more than 0.1 points behind the best",
            {"behind": lambda texts: 12 - Said("home-limits", r"limit in (\d+) of 12 places").read(texts)},
        ),
    ),
    "timm-fitted": (
        Derived(
            "top-1 is higher in thirteen, by {least:.1f} to {most:.1f} points",
            {"least": lambda _: refitted()[-13], "most": lambda _: refitted()[-1]},
        ),
        Derived("by {least:.0f} and more in all five", {"least": lambda _: refitted("mbconv_k0_")[0]}),
        Derived(
            "lower in two, by {less:.1f} and {more:.1f}",
            {"less": lambda _: -refitted()[1], "more": lambda _: -refitted()[0]},
        ),
    ),
    "timm-peers": (
        Derived(
            "keeps {nat:.0f} %, each other tool {others:.0f} % at most (p < {p:.4f}, McNemar",
            {
                "nat": At(PEERS, (MACS, "**nat**"), "top-1"),
                "others": At(PEERS, (MACS, OTHERS), "top-1", of=max),
                "p": below(PEERS, (MACS, OTHERS)),
            },
        ),
        Derived(
            "{nat:.0f} % of `nat` and {knapsack:.0f} % of `knapsack`, {taylor:.0f} % of Torch-Pruning (p < {p:.4f})",
            {
                "nat": At(PEERS, (LATENCY, "**nat**"), "top-1"),
                "knapsack": At(PEERS, (LATENCY, "knapsack"), "top-1"),
                "taylor": At(PEERS, (LATENCY, "Torch-Pruning Taylor"), "top-1"),
                "p": below(PEERS, (LATENCY, {"Torch-Pruning Taylor"})),
            },
        ),
    ),
}


NOT_KEPT = "no result file was kept"


def sections(page: Path) -> dict[str, str]:
    parts = re.split(r"^## (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def paragraphs(text: str) -> Iterator[str]:
    """Without tables; points of a list are paragraphs."""
    for part in re.split(r"\n(?=- )|\n\n", re.sub(r"<!-- table \S+ -->\n.*?<!-- end -->", "", text, flags=re.DOTALL)):
        yield " ".join(part.split())


def numbers(text: str) -> list[str]:
    """Without signs."""
    return [found.lstrip("+-").rstrip(",") for found in NUMBER.findall(NO_FIGURES.sub(" ", text))]


def unknown(page: Path, texts: Texts) -> Iterator[str]:
    """The figures of its reading that are from nowhere, each with its paragraph."""
    parts = sections(page)
    known = set(numbers(" ".join(paragraphs(parts.get("Setting", "")))))
    for table in tables_on(page).values():
        known |= {found.lstrip("+-").rstrip(",") for found in NUMBER.findall(table)}
    for paragraph in paragraphs(parts.get("Reading", "")):
        if NOT_KEPT in paragraph:
            continue
        left = paragraph
        for derived in DERIVED.get(page.stem, ()):
            left = left.replace(derived.text(texts), " ")
        yield from (f"{number}: {paragraph[:70]}" for number in numbers(left) if number not in known)


@pytest.fixture(scope="module")
def texts() -> Texts:
    return all_texts()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_figure_of_a_reading_is_from_a_table_or_from_results(page: Path, texts: Texts) -> None:
    assert list(unknown(page, texts)) == []


@pytest.mark.parametrize("name", DERIVED)
def test_what_is_computed_of_results_is_what_the_reading_says(name: str, texts: Texts) -> None:
    said = " ".join(paragraphs(sections(ROOT / "docs" / "evidence" / f"{name}.md")["Reading"]))
    assert [each.text(texts) for each in DERIVED[name] if each.text(texts) not in said] == []


WITHOUT_ALL = {
    "index": {"Setting", "Reading", "Limits"},
    "speed": {"Reading"},
    "nasbench201-budgets": {"Reading"},
}
"""Pages that are no experiment, or that read each of their parts where it stands."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_has_a_setting_a_reading_and_limits(page: Path) -> None:
    assert {"Setting", "Reading", "Limits"} - sections(page).keys() == WITHOUT_ALL.get(page.stem, set())
    assert page.stem == "index" or "python -m benchmarks " in page.read_text()


def test_a_figure_that_no_table_has_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "## Setting\n\n12 inputs\n\n## Results\n\n<!-- table a -->\n\n| +0.50 |\n\n<!-- end -->\n\n## Reading\n\n"
    page.write_text(
        f"{text}- 0.50 of 12 on CIFAR-10, ≥ 90.\n- Gains 0.51 and `0.52`.\n- 0.53 ({NOT_KEPT}).\n\n## Limits\n\n0.54\n"
    )
    assert list(unknown(page, {})) == ["0.51: - Gains 0.51 and `0.52`."]
