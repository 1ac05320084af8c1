"""Figures in the readings of docs/evidence stand in the tables of their page or its setting, or are computed of results
here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.answer_figures import LATENCY, MACS, OTHERS, PEERS
from benchmarks.answers import NUMBER, At, Figure, Said, Texts
from benchmarks.common.results import RESULTS, ROOT, read_results
from benchmarks.table_figures import tables_in
from benchmarks.tables import NOTHING, RUNS, all_texts, tables_on

PAGES = sorted((ROOT / "docs" / "evidence").glob("*.md"))
EXPERIMENT_PAGES = [page for page in PAGES if page.stem != "index"]
WITHOUT_FIGURE = {"nni-spaces", "timm-faithful", "timm-offers"}
"""Counts that are all the same: a figure would say nothing."""
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


SHIPPED, TRAINED, UNLIMITED = "policy, no query", "nasbench201-budgets", "nasbench201"
GOOD = slice(1, 2)
"""Of the groups all, ≥ 90, ≥ 93."""


def rows(texts: Texts, place: str, block: int = 0) -> list[dict[str, str]]:
    """Of a table, by the names of the columns."""
    head, *lines = list(tables_in(texts[place]))[block][1]
    return [dict(zip(head, line, strict=True)) for line in lines]


def parts(cell: str) -> list[float]:
    """The values of the groups of inputs, or of numbers of queries, one after the other."""
    return [float(NUMBER.findall(part)[0]) for part in cell.split(" / ")]


def behind(place: str, policy: str, limits: str, chosen: slice) -> Callable[[Texts], list[float]]:
    """By how many points a policy is behind the best within limits, in groups of inputs, under both rules."""

    def differences(texts: Texts) -> list[float]:
        return [
            round(best - own, 2)
            for rules in ("nat", "nat++")
            for row in rows(texts, place + rules)
            if re.search(limits, row[f"rules {rules}"])
            for best, own in zip(
                parts(row["best within by validation"])[chosen], parts(row[policy])[chosen], strict=True
            )
        ]

    return differences


def ahead(of: str, query: int) -> Callable[[Texts], list[float]]:
    """By how many points `nat` with the policy for budgets is ahead after so many queries, in the rows of the last
    table."""
    own = f"nat, {TRAINED}"
    return lambda texts: [
        round(parts(row[own])[query] - parts(row[of])[query], 2) for row in rows(texts, "budgets-queries-others")
    ]


def apart(texts: Texts) -> float:
    """The largest difference between any but greedy replacement from 30 queries on."""
    gains = [
        [float(NUMBER.findall(row[queries])[0]) for row in table if row[""] != "greedy"]
        for table in (rows(texts, "few-queries-nat-macs-0.8x", block) for block in range(3))
        for queries in ("Q = 30", "Q = 100")
    ]
    return max(max(each) - min(each) for each in gains)


def of(make: Callable[[list[float]], float], values: Callable[[Texts], list[float]]) -> Callable[[Texts], float]:
    return lambda texts: make(values(texts))


ORIGINAL_TOP1 = At(PEERS, ("", "original"), "top-1")


def lost_of(method: str) -> Callable[[Texts], float]:
    """Points of top-1 at the limit on latency."""
    left = At(PEERS, (LATENCY, method), "top-1")
    return lambda texts: ORIGINAL_TOP1.read(texts) - left.read(texts)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def within(bound: float) -> Callable[[list[float]], float]:
    return lambda values: sum(value <= bound for value in values)


WITHOUT, OTHER = "best of those without a policy", f"nat, {UNLIMITED}"
MACS_SHIPPED = behind("budgets-", SHIPPED, "^macs", GOOD)
LATENCY_SHIPPED = behind("budgets-", SHIPPED, "^(?!macs)", GOOD)
MACS_TRAINED = behind("budgets-trained-", TRAINED, "^MACs", slice(3))
LATENCY_TRAINED = behind("budgets-trained-", TRAINED, "^(?!MACs)", GOOD)
GPUS_TRAINED = behind("budgets-trained-", TRAINED, "1080ti|titan", GOOD)


DERIVED: Mapping[str, tuple[Derived, ...]] = {
    "policy-budgets": (
        Derived(
            "{least:.2f} to {most:.2f} points behind the best within a limit on MACs",
            {"least": of(min, MACS_SHIPPED), "most": of(max, MACS_SHIPPED)},
        ),
        Derived(
            "On latency it is {least:.2f} to {most:.2f} behind",
            {"least": of(min, LATENCY_SHIPPED), "most": of(max, LATENCY_SHIPPED)},
        ),
        Derived(
            "is within 0.1 points of the best within by validation in {places} of 12 places, and within {most:.2f} in "
            "the others (`nasbench201`: within {other:.2f})",
            {
                "places": of(within(0.1), MACS_TRAINED),
                "most": of(max, MACS_TRAINED),
                "other": of(max, behind("budgets-trained-", UNLIMITED, "^MACs", slice(3))),
            },
        ),
        Derived(
            "behind the best within by {mean:.2f} points in the mean (`nasbench201`: {other:.2f}), and on the two GPUs "
            "(1080ti_1, titan_rtx_32) by {least:.2f} to {most:.2f}",
            {
                "mean": of(mean, LATENCY_TRAINED),
                "other": of(mean, behind("budgets-trained-", UNLIMITED, "^(?!MACs)", GOOD)),
                "least": of(min, GPUS_TRAINED),
                "most": of(max, GPUS_TRAINED),
            },
        ),
    ),
    "nni-nasbench201": (
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
    "policy-nasbench201": (
        Derived("92 % was not reached"),  # what had been aimed at
        Derived(
            "{behind:.0f} of 12 places are more than 0.1 points behind the best",
            {"behind": lambda texts: 12 - Said("home-limits", r"limit in (\d+) of 12 places").read(texts)},
        ),
    ),
    "search-few-queries": (
        Derived("all but greedy are within {apart:.2f} points", {"apart": apart}),
        Derived(
            "in all nine rows of the table of earlier policies; at Q = 30 it is within {most:.2f} points of the best "
            "of them",
            {"most": lambda texts: -min(ahead(WITHOUT, 3)(texts))},
        ),
        Derived(
            "ahead at Q = 1 in all rows (by {least:.2f} to {most:.2f})",
            {"least": of(min, ahead(OTHER, 0)), "most": of(max, ahead(OTHER, 0))},
        ),
        Derived(
            "ahead by up to {most:.2f} in seven rows and behind by {least:.2f} in one",
            {"most": lambda texts: -min(ahead(OTHER, 2)(texts)), "least": of(max, ahead(OTHER, 2))},
        ),
        Derived(
            "At Q = 30 the two are within {most:.2f}",
            {"most": lambda texts: max(map(abs, ahead(OTHER, 3)(texts)))},
        ),
    ),
    "search-own-architecture": (Derived("the input is right on {right:.0f} % of the images", {"right": right}),),
    "scale": (
        Derived(
            "{seconds:.1f} s of overhead where it does nothing else",
            {
                "seconds": lambda texts: (
                    At("scale-overhead", ("submitit", "2"), "ms for a task", of=max).read(texts) / 1000
                )
            },
        ),
    ),
    "speed-core": (Derived("30 times were not reached"),),  # what had been aimed at
    "timm-fits": (
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
    "timm-pretrained": (
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
        Derived(
            "`nat` loses {nat:.1f} of {whole:.1f}, `knapsack` {knapsack:.1f}",
            {"nat": lost_of("**nat**"), "whole": ORIGINAL_TOP1, "knapsack": lost_of("knapsack")},
        ),
    ),
}


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
    for name, table in tables_on(page).items():
        known |= {found.lstrip("+-").rstrip(",") for found in NUMBER.findall(table) if name != RUNS}
    for paragraph in paragraphs(parts.get("Reading", "")):
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


@pytest.mark.parametrize("page", EXPERIMENT_PAGES, ids=lambda page: page.stem)
def test_every_page_has_the_same_form(page: Path) -> None:
    assert list(sections(page)) == ["Setting", "Results", "Reading", "Limits", "Runs"]


@pytest.mark.parametrize("page", EXPERIMENT_PAGES, ids=lambda page: page.stem)
def test_every_page_with_results_has_a_figure(page: Path) -> None:
    measured = page.stem not in WITHOUT_FIGURE and any(table != NOTHING for table in tables_on(page).values())
    figure = re.search(r"^!\[[^\]]+\]\(\.\./figures/\w+\.svg\)$", page.read_text(), re.MULTILINE)
    assert figure or not measured, "a few lines in benchmarks/table_figures.py make one"


def test_a_figure_that_no_table_has_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "## Setting\n\n12 inputs\n\n## Results\n\n<!-- table a -->\n\n| +0.50 |\n\n<!-- end -->\n\n## Reading\n\n"
    page.write_text(
        f"{text}- 0.50 of 12 on CIFAR-10, ≥ 90.\n- Gains 0.51 and `0.52`.\n- 0.53 (no result file was kept).\n\n"
        "## Limits\n\n0.54\n"
    )
    assert list(unknown(page, {})) == ["0.51: - Gains 0.51 and `0.52`.", "0.53: - 0.53 (no result file was kept)."]
