"""Narrowing: a model with fewer channels in groups that go together, by name or to a budget."""
