"""The labels of a space of NNI, and what each can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nat_nni.framework import load
from nat_nni.samples.values import Domain


def domains_of(space: Any) -> Mapping[str, Domain]:
    """By label, of an instance of ``ModelSpace``."""
    nni = load("nni.mutable")
    found = {}
    for label, mutable in space.simplify().items():
        if isinstance(mutable, nni.CategoricalMultiple):
            found[label] = Domain(tuple(mutable.values), many=True, count=mutable.n_chosen)
        elif isinstance(mutable, nni.Categorical):
            found[label] = Domain(tuple(mutable.values))
        else:
            found[label] = Domain(numeric=isinstance(mutable, nni.Numerical))
    return found
