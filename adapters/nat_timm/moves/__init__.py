"""Moves: what can be edited in a block, under which name and at which cost, as a network of the IR."""
