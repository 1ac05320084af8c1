"""A model and its data in, a leaner one out, in Python: supernet of its own moves, search, fine-tuning, choice."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator
from torch import nn

from nat_plugin import NATError
from nat_plugin.advising import Advice
from nat_plugin.extending import NATErrors, Settings, plugins
from nat_plugin.ir import Shape
from nat_plugin.measuring import SPARE_FINALISTS, Untimed
from nat_plugin.runs import SearchSettings, check_part, checked_settings, reporter
from nat_plugin.search import Strategy
from nat_timm.compacting.result import CompactionResult, SearchedNetworks, ranked
from nat_timm.compacting.session import CompactionSession, ReportLine
from nat_timm.compacting.settings import SessionSettings
from nat_timm.compacting.tuner import STARTS
from nat_timm.compacting.work import WorkSettings, digest_of, working
from nat_timm.training.loaders import Loader
from nat_timm.training.tuning import Tuning

SEARCH = {"warmup": 200, "rounds": 12, "proposals": 8, "steps": 8}
"""How long ``compact`` searches, where it is not told."""
BY_ADVICE = {"warmup": 0, "rounds": 4, "proposals": 4, "steps": 0}
"""The same with an advice, when nothing is trained."""
MAGNITUDE = "magnitude"
"""The strategy that is none: it needs weights, and no measurement."""


def compact(  # noqa: PLR0913 - keywords that a user types
    model: nn.Module,
    train_loader: Loader,
    val_loader: Loader,
    *,
    budget: Mapping[str, object],
    rules: str = "nat++",
    strategy: str | Mapping[str, Any] = "nat",
    search: Mapping[str, Any] | None = None,
    evaluator: Mapping[str, Any] | None = None,
    widths: Mapping[str, object] | None = None,
    tuning: Mapping[str, Any] | None = None,
    candidates: int = 3,
    starts: Sequence[str] = STARTS,
    input: Shape | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    latency: Mapping[str, Any] | None = None,
    costs: Mapping[str, Path | str] | None = None,
    report: ReportLine = lambda _: None,
    progress: bool | None = None,
    fits: bool = False,
    advice: Advice | bool = False,
    executor: str | Mapping[str, Any] | None = None,
    deterministic: bool | None = None,
    folder: Path | str | None = None,
) -> CompactionResult:
    """Make a timm model with weights leaner: within ``budget``, and as accurate as possible.

    A copy of the model becomes a supernet of its own moves, adapted on ``train_loader`` with the model as a teacher. A
    strategy searches by the loss on images of ``val_loader``. The finalists and the model itself are fine-tuned in the
    same way, each from the model's own weights and from the adapted ones. The most accurate on ``val_loader`` within
    the budget wins; of those within one standard error, the one with the lowest loss.

    ``train_loader`` and ``val_loader`` give batches (x, y): normalised images (N, C, H, W), class numbers (N,).
    ``budget``, ``strategy``, ``search`` and ``evaluator`` are as in a recipe (docs/reference/recipes.md), for the
    evaluator ``timm`` without ``weights``, ``train`` and latency settings; ``strategy`` may also be ``magnitude``,
    which removes the blocks with the smallest weights. ``latency``: how it is measured, by the fields of
    ``LatencySettings`` (docs/how-to/latency.md); left out: one image on ``device``. Finalists are measured again as
    whole models. ``costs``: files with tables of ``nat measure``, or your own, by metric, which ``budget`` can then
    limit. ``widths``: limits like those of ``budget``, to which channels are cut before the search
    (``nat_timm.thinned``), so that moves have less to save, or can reach the budget at all. ``fits``: whether fitted
    operations can replace blocks (``nat_timm.fit``). ``advice``: the result of ``nat_timm.advise`` for this model, or
    True to compute it now. The search then trains nothing: the strategy is told how much every single move changes the
    output, and its proposals are fitted in closed form and compared with the model on images of ``val_loader``.
    ``candidates``: finalists to tune, by ``tuning`` (the fields of ``nat_timm.training.tuning.Tuning``), from the
    weights named by ``starts``: one of them halves the time of fine-tuning. ``input``: (C, H, W); left out: as in
    ``to_network``. ``report`` gets a line for each step of the search, and for its start. ``progress``: a bar, or lines
    where standard error is no terminal; left out: on a terminal only.

    ``executor``: workers that tune finalists and, with an advice, fit proposals in parallel, as in a recipe
    (docs/how-to/scale-out.md); left out: this process. ``deterministic``: as in a recipe. ``folder``: keeps the results
    of workers, so that the same call resumes after an interruption.

    NATError of one line for arguments that do not fit together, before training if possible."""
    plain = {"budget": budget, "rules": rules, "candidates": candidates, "starts": starts, "fits": fits}
    if not isinstance(advice, Advice | bool):
        raise NATError(f"advice is {str(advice)[:40]!r}: give True, or what nat_timm.advise gives for this model")
    plain |= {"seed": seed, "device": device, "precision": precision, "deterministic": deterministic, "folder": folder}
    checked_settings(Arguments, plain, "compact")
    at_work = WorkSettings.of(executor, deterministic, folder)
    kind, chosen = _strategy(strategy)
    tune = checked_settings(Tuning, tuning or {}, "tuning")
    lengths = checked_settings(SearchSettings, search or {}, "search", BY_ADVICE if advice else SEARCH)
    if advice and (lengths.warmup or lengths.steps):
        raise NATError("search: with an advice nothing is trained; leave out warmup and steps")
    settings = SessionSettings(
        rules=rules,
        evaluator=evaluator or {},
        widths=widths,
        input=input,
        seed=seed,
        device=device,
        precision=precision,
        latency=latency,
        costs=costs or {},
        fits=fits,
    )
    with reporter(quiet=not (sys.stderr.isatty() if progress is None else progress)) as shown, ExitStack() as stack:
        session = CompactionSession(model, train_loader, val_loader, settings, shown)
        if at_work is not None:
            told: dict[str, Any] = {"strategy": strategy, "search": lengths.model_dump(), "evaluator": evaluator}
            told |= plain | {"widths": widths, "tuning": tune.model_dump(), "advice": advice, "steps": session.steps}
            told |= {"input": input, "latency": latency, "costs": costs}
            told = {name: value for name, value in told.items() if name not in ("folder", "deterministic")}
            images = [each for batch in session.feed.reward(0, 0) for each in batch]
            session.work = stack.enter_context(working(at_work, digest_of(model, images, told)))
            session.work.workers.report = shown.note
        sums = kind is not None and (kind.needs_sums or bool(advice))
        task = session.task(budget, lengths.rounds * lengths.proposals, sums)
        limits = task.budget.resolve(session.source)
        if kind is None:
            found, evaluated = [session.magnitude(budget)], 0
            adapting, chosen = _strategy("random")
            assert adapting is not None
            if lengths.warmup:
                session.search(adapting(task, chosen), lengths.model_copy(update={"rounds": 0}), report)
        else:
            searching = kind(task, chosen)
            if advice:
                made = advice if isinstance(advice, Advice) else None
                evaluated = session.advised(searching, made, lengths, report)
            else:
                evaluated = session.search(searching, lengths, report)
            for note in searching.notes:
                report(note)
            found = list(searching.finalists(session.network, SPARE_FINALISTS * candidates))
        notes = [str(session.keeper)] if isinstance(session.keeper, Untimed) else []
        for note in notes:
            report(note)
        kept = (network for network in session.within(found) if network != session.source)
        found, stays = list(islice(kept, candidates)), limits.fit(session.source)
        if not found and not stays:
            raise NATError("nothing within the budget was found; raise the limit or let it search longer")
        before = session.original()
        own, *others = session.best_of_each([session.source, *found], tune, starts)
        assert own is not None
        reference = ranked([before, own])[0]
        tuned = [each for each in (*others, reference if stays else None) if each is not None]
        for note in session.work.notes if session.work is not None else ():
            report(note)
            notes.append(note)
        workers = {} if session.work is None else session.work.workers.work_rows()
        if not tuned:
            raise NATError(f"nothing is left to choose from: {'; '.join(notes)}")
    tuned = ranked(tuned)
    home = next(model.parameters()).device
    for each in (before, reference, *tuned):
        each.model.to(home)
    judged_on, setting = session.feed.validation_images, session.setting
    amounts, lines = {name: float(limit) for name, limit in limits.values}, tuple(session.lines.records)
    searched = SearchedNetworks(session.network, amounts, lines) if lines else None
    return CompactionResult(
        before, reference, tuple(tuned), evaluated, judged_on, setting, tuple(notes), workers, searched
    )


class Arguments(Settings):
    """Those of ``compact`` that nothing else checks."""

    budget: dict[str, Any]
    rules: str
    candidates: int = Field(ge=1, le=10_000)
    starts: tuple[Literal["own", "adapted"], ...]
    seed: int = Field(ge=0, lt=2**63)
    device: str
    precision: str
    fits: bool
    deterministic: bool | None
    folder: Path | None

    @field_validator("starts")
    @classmethod
    def _one_or_more(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError(f"one or more of {', '.join(STARTS)} are needed")
        return value


def _strategy(given: str | Mapping[str, Any]) -> tuple[type[Strategy] | None, Any]:
    if not isinstance(given, str | Mapping):
        raise NATError(f"strategy is {str(given)[:40]!r}: give a name, or a dict with a name and settings")
    values = {"name": given} if isinstance(given, str) else dict(given)
    mistakes: list[str] = []
    kind = plugins().strategies.get(str(values.get("name")))
    chosen = check_part("strategies", "strategy", values, plugins(), mistakes, also=(MAGNITUDE,))
    if mistakes:
        raise NATErrors(mistakes)
    return kind, chosen
