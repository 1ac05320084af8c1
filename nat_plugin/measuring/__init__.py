"""Costs that are measured: latency by the settings that a user names, and tables of costs by slot and op."""
