"""Training of fixed networks from scratch, and what a difference between two of them says."""

from nat_plugin.training.optimizer import Optimizer
from nat_plugin.training.schedule import Schedule, cosine
from nat_plugin.training.statistics import Accuracy, Difference, Interval, paired_difference, wilson
from nat_plugin.training.trainer import Trainer, train
from nat_plugin.training.verdict import Conclusion, conclude

__all__ = [
    "Accuracy",
    "Conclusion",
    "Difference",
    "Interval",
    "Optimizer",
    "Schedule",
    "Trainer",
    "conclude",
    "cosine",
    "paired_difference",
    "train",
    "wilson",
]
