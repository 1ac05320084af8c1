"""Strategies with queries: by lookup, on landscapes, and with real training."""
