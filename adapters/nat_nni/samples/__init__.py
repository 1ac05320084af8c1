"""Samples: flat dicts of labels and values, their domains and their text, held to what a space offers."""
