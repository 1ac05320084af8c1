"""From settings and the header of a file to how it is read: by a known layout, or as a table of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from nat_plugin.errors import NATError
from nat_plugin.evaluators.table.layout import MEAN, Results, TableLayout
from nat_plugin.evaluators.table.settings import TableSettings
from nat_plugin.ir import NetworkSize
from nat_plugin.plugins import Plugins
from nat_plugin.sources import Wanted


@dataclass(frozen=True, eq=False)
class Chosen:
    """How the rows of a file are read, and which columns are the results. ``network_size``: of the networks; None: as
    the adapter has it. ``key``: equal for equal ways to make a text of ``columns``."""

    key: str
    title: str
    adapter: Wanted
    columns: tuple[str, ...]
    text: Callable[[Mapping[str, str]], str]
    where: Mapping[str, str]
    results: Results
    network_size: NetworkSize | None
    duplicates: str
    size: int | None = None
    rewires: bool = False


def choose(settings: TableSettings, header: tuple[str, ...], plugins: Plugins) -> Chosen:
    """NATError for a column that is not there, and where no layout or more than one fits."""
    _check(settings, header, settings.where)
    if settings.adapter is not None:
        return _own(settings, header)
    layout = _layout(settings, header, plugins)
    results = _results(settings, layout, header)
    return Chosen(
        layout.name,
        layout.title,
        layout.adapter,
        layout.columns,
        layout.text,
        {**layout.where, **settings.where},
        results,
        results.network_size,
        settings.duplicates or layout.duplicates,
        layout.size,
        layout.rewires,
    )


def _own(settings: TableSettings, header: tuple[str, ...]) -> Chosen:
    column, metric = settings.architecture, settings.metric
    assert settings.adapter is not None
    assert metric is not None
    test = settings.test_metric or metric
    _check(settings, header, (column, metric, test))
    return Chosen(
        f"{settings.adapter} in {column}",
        settings.path.name,
        settings.adapter,
        (column,),
        lambda row: row[column],
        settings.where,
        _of_metric(settings, metric, test, NetworkSize()),
        None,
        settings.duplicates or "refuse",
    )


def _of_metric(settings: TableSettings, metric: str, test: str, network_size: NetworkSize) -> Results:
    images = (settings.images or 0,) * 2
    unit, lower = settings.unit, settings.lower_is_better
    return Results(metric, None, {MEAN: metric}, (test,), images, network_size, unit, metric, lower)


def _check(settings: TableSettings, header: tuple[str, ...], wanted: Iterable[str]) -> None:
    for column in wanted:
        if column not in header:
            raise NATError(f"{settings.path}: there is no column '{column[:40]}'; it has {', '.join(header)[:300]}")


def _layout(settings: TableSettings, header: tuple[str, ...], plugins: Plugins) -> TableLayout:
    layouts = plugins.table_layouts
    if settings.layout is not None:
        layout = layouts[settings.layout]
        _check(settings, header, (*layout.columns, *layout.where))
        return layout
    fits = [
        layout
        for layout in layouts.values()
        if layout.fits(header) and all(settings.where.get(name, value) == value for name, value in layout.where.items())
    ]
    fits = [layout for layout in fits if any(set(results.columns) <= set(header) for results in layout.results)] or fits
    most = max((len(layout.columns) + len(layout.where) for layout in fits), default=0)
    fits = [layout for layout in fits if len(layout.columns) + len(layout.where) == most]
    if not fits:
        forms = "; ".join(
            f"{layout.title}: {', '.join((*layout.columns, *layout.where))}" for layout in layouts.values()
        )
        raise NATError(
            f"{settings.path}: no known layout has these columns ({forms}); for a table of your own set "
            "adapter and metric"
        )
    if len(fits) > 1:
        ways = " or ".join(_way(layout) for layout in fits)
        raise NATError(f"{settings.path}: its columns fit several layouts: choose one with {ways}")
    return fits[0]


def _way(layout: TableLayout) -> str:
    if layout.where:
        return "where: {" + ", ".join(f"{name}: {value}" for name, value in layout.where.items()) + "}"
    return f"layout: {layout.name}"


def _results(settings: TableSettings, layout: TableLayout, header: tuple[str, ...]) -> Results:
    """Those that are meant. NATError lists those whose columns the file has."""
    if settings.metric is not None:
        test = settings.test_metric or settings.metric
        _check(settings, header, (settings.metric, test))
        named = [results for results in layout.results if settings.dataset in (None, results.dataset)]
        network_size = (named or layout.results)[0].network_size
        return _of_metric(settings, settings.metric, test, network_size)
    there = [results for results in layout.results if set(results.columns) <= set(header)]
    dataset = settings.dataset or (there[0].dataset if there else layout.results[0].dataset)
    fits = [results for results in there if results.dataset == dataset and settings.epochs in (None, results.epochs)]
    if not fits:
        asked = dataset if settings.epochs is None else f"{dataset} after {settings.epochs} epochs"
        had = ", ".join(str(results).removesuffix(" epochs") for results in there) or "none of the trainings known"
        raise NATError(f"{settings.path}: {layout.title} has no {asked} here; it has {had}")
    chosen = max(fits, key=lambda results: results.epochs or 0)
    images = chosen.images if settings.images is None else (settings.images,) * 2
    return replace(chosen, images=images, unit=settings.unit or chosen.unit, lower_is_better=settings.lower_is_better)
