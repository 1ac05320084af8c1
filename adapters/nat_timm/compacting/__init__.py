"""Compacting: a model and its images in, a leaner one out."""
