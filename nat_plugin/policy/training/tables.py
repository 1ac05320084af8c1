"""Tables of trained networks, as a training reads them."""

from __future__ import annotations

from nat_plugin.evaluators.table import TableSettings, read_table
from nat_plugin.outside import Outside
from nat_plugin.policy.training.tasks import Pool


def pool_of_table(settings: TableSettings) -> Pool:
    """Every network of the table that the settings of the evaluator ``table`` name."""
    table = read_table(settings)
    scores = table.scores
    return Pool(
        table.networks,
        lambda numbers: [float(scores[number]) for number in numbers],
        known=True,
        what=str(table.results),
        space=table.title,
        left_out=tuple(f"line {each.line}: {each.why}" for each in table.left_out),
        outside=(Outside.all_of(settings.path),),
    )
