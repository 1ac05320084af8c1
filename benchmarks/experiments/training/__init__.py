"""Experiments on training itself."""
