"""Rewards of shared weights against the truth."""
