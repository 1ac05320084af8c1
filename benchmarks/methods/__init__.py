"""Ways to choose a network that several experiments compare."""
