"""Advising: what each move of a model saves, and what it changes, without training."""
