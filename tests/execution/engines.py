"""Every executor on this machine, as a recipe names it."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

WITHOUT_RAY = pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: pip install 'nat-plugin[ray]'")
ENGINES = [
    pytest.param({"name": "local", "workers": 2}, id="local"),
    pytest.param({"name": "submitit", "cluster": "local", "workers": 2}, id="submitit"),
    pytest.param({"name": "ray", "workers": 2}, id="ray", marks=WITHOUT_RAY),
]
