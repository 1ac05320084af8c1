"""Training of fixed networks from scratch, and what a difference between two of them says."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nat_plugin.training.schedule import Schedule as Schedule
    from nat_plugin.training.schedule import cosine as cosine
    from nat_plugin.training.seeds import derive_seed as derive_seed
    from nat_plugin.training.seeds import generator as generator
    from nat_plugin.training.seeds import seeded as seeded
    from nat_plugin.training.statistics import Accuracy as Accuracy
    from nat_plugin.training.statistics import best_first as best_first
    from nat_plugin.training.statistics import unpaired_difference as unpaired_difference
    from nat_plugin.training.statistics import wilson as wilson
    from nat_plugin.training.steps import ImageSteps as ImageSteps
    from nat_plugin.training.steps import loss_and_hits as loss_and_hits
    from nat_plugin.training.trainer import NetworkTrainer as NetworkTrainer
    from nat_plugin.training.trainer import epoch_note as epoch_note
    from nat_plugin.training.trainer import train as train
    from nat_plugin.training.verdict import conclude as conclude
else:
    from nat_plugin.lazy import lazy_room

    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        {
            "schedule": ("Schedule", "cosine"),
            "seeds": ("derive_seed", "generator", "seeded"),
            "statistics": ("Accuracy", "best_first", "unpaired_difference", "wilson"),
            "steps": ("ImageSteps", "loss_and_hits"),
            "trainer": ("NetworkTrainer", "epoch_note", "train"),
            "verdict": ("conclude",),
        },
    )
