"""Training of fixed networks from scratch, and what a difference between two of them says."""
