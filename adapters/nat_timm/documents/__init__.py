"""Documents: what stands for a model in text, and the edits in it as data."""
