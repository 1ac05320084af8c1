"""What a search changes of a model space, and what it does not and why: said once, when it starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nat_nni.experiment.initial import SampleInput, SearchedSpace
from nat_nni.mapping import describe, origin_sample
from nat_nni.samples.described import Described
from nat_nni.samples.values import Sample, few, read_sample
from nat_plugin import NATError
from nat_plugin.ir import Moves, Network, Op, Rule, rules

_UNUSED = "no input uses it"
_EVALUATOR = "it is the evaluator's; it stays as the input has it"


@dataclass(frozen=True)
class Coverage:
    """The labels that moves change, the others with the reason, what is not offered though the space has it, and how
    many combinations of candidates the inputs have before the budget is asked."""

    searched: tuple[str, ...]
    fixed: Mapping[str, str]
    left_out: Mapping[str, str]
    count: int

    def lines(self, name: str, rule: Rule) -> list[str]:
        """For a user to read."""
        count = len(self.searched) + len(self.fixed)
        said = [
            f"{name} searches {len(self.searched)} of {count} labels under rules '{rule.name}', {self.count:,} "
            f"combination{'s' * (self.count != 1)} before the budget: {few(self.searched) or 'none'}"
        ]
        for why, labels in _by_reason(self.fixed):
            said.append(f"{few(labels)} {'stays' if len(labels) == 1 else 'stay'} as given: {why}")
        return said

    def complaints(self) -> list[str]:
        return [f"not offered: {few(values)}: {why}" for why, values in _by_reason(self.left_out)]


def _by_reason(reasons: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    return [(why, [x for x, each in reasons.items() if each == why]) for why in dict.fromkeys(reasons.values())]


def find_coverage(space: SearchedSpace, starts: Sequence[SampleInput], rule: Rule) -> Coverage:
    described = describe(space.plain)
    domains = described.domains()
    searched: dict[str, None] = {}
    fixed = {label: _UNUSED for label, domain in domains.items() if len(domain.values) > 1 or domain.numeric}
    left_out: dict[str, str] = {}
    count = 0
    for start in starts:
        sample = read_sample(described.title, domains, origin_sample(start.network))
        changes = _Changes(described, start.network, sample)
        moves = Moves(start.network, rule)
        count += moves.count
        searched |= dict.fromkeys(changes.under(rule))
        told = described.remarks(sample, start.network.input)
        open_to = {label for label in told.fixed if label in domains and len(domains[label].values) != 1}
        fixed |= {label: why for label, why in told.fixed.items() if label in open_to}
        fixed |= {label: changes.held(label, rule) for label in changes.possible}
        fixed |= dict.fromkeys(start.others, _EVALUATOR)
        left_out |= told.left_out
    fixed = {label: why for label, why in fixed.items() if label not in searched}
    return Coverage(tuple(searched), fixed, left_out, count)


class _Changes:
    """The labels that differ in the samples of a network with one other op, under any rules."""

    def __init__(self, described: Described, network: Network, sample: Sample) -> None:
        self._described, self._network, self._sample = described, network, sample
        self._chosen = {label for label, domain in described.domains().items() if not domain.derived}
        self._known: dict[tuple[int, Op], tuple[str, ...]] = {}
        self._under: dict[str, dict[str, None]] = {}
        edges = [network.edge(slot) for slot in network.slots]
        self.possible = self._of([edge.choices for edge in edges])

    def under(self, rule: Rule) -> dict[str, None]:
        if rule.name not in self._under:
            self._under[rule.name] = self._of(Moves(self._network, rule).candidates)
        return self._under[rule.name]

    def held(self, label: str, rule: Rule) -> str:
        """Why a label that could be something else is not, and the rules under which it would."""
        others = [f"'{each.name}'" for each in rules() if label in self.under(each)]
        return f"rules '{rule.name}' allow nothing else there; {', '.join(others) or 'no others'} would"

    def _of(self, candidates: Iterable[Sequence[Op]]) -> dict[str, None]:
        return {
            label: None
            for number, options in enumerate(candidates)
            for op in options
            for label in self._changed(number, op)
        }

    def _changed(self, number: int, op: Op) -> tuple[str, ...]:
        if (number, op) not in self._known:
            ops = list(self._network.ops)
            ops[number] = op
            try:
                other = self._described.write(self._network.with_ops(ops), self._sample)
            except NATError:  # alone it is none; another move has to come with it
                other = self._sample
            labels = [label for label in {**self._sample, **other} if label in self._chosen]
            self._known[number, op] = tuple(x for x in labels if self._sample.get(x, _NONE) != other.get(x, _NONE))
        return self._known[number, op]


_NONE = object()
