"""Training: a supernet of a model's own moves, fine-tuning, and the images for both."""
