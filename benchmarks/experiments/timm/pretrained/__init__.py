"""Pretrained models made faster, by every method."""
