"""Trackers: the figures of a run for TensorBoard or MLflow, beside the journal, which has them all in any case."""
