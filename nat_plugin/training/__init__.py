"""Training of fixed networks from scratch, and whether a difference between two of them is more than noise."""

from nat_plugin.training.optimizer import Optimizer
from nat_plugin.training.schedule import Schedule, cosine
from nat_plugin.training.statistics import Accuracy, Difference, Interval, paired_difference, wilson
from nat_plugin.training.trainer import Trainer, train

__all__ = [
    "Accuracy",
    "Difference",
    "Interval",
    "Optimizer",
    "Schedule",
    "Trainer",
    "cosine",
    "paired_difference",
    "train",
    "wilson",
]
