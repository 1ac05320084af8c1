"""Fitting: weights of operations in the place of blocks, by least squares on what the blocks compute."""
