"""Measuring: latency of a model and of its ops, and the running statistics of what was moved."""
