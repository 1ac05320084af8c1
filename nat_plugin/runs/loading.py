"""Where the weights of a result lie, and the Python that loads them; a report states both."""

from __future__ import annotations

from nat_plugin.evaluators.base import Saved
from nat_plugin.runs.setup import Setup
from nat_plugin.training.seeds import seeded

NETWORK = "network.json"
_FILE = """\
from nat_plugin.ir import from_json
{imports}
from safetensors.torch import load_file

model = {build}
model.load_state_dict(load_file("{weights}"))
"""
_READ = f'from_json(open("{NETWORK}").read())'


def loading(setup: Setup, weights: str) -> Saved:
    """A file of trained weights in the folder of a run, as the module that the final stage trained."""
    with seeded(setup.compute.device, 0):  # a module of a framework draws its first weights
        own = setup.evaluator.module(setup.final.network)
    if own is None:
        imports, build = "from nat_plugin.nets import build", f"build({_READ})"
    else:
        imports = "from nat_plugin.plugins import plugins\nfrom nat_plugin.sources import find_adapter"
        adapter = setup.plan.recipe.adapter or setup.origin.adapter
        build = f"find_adapter({adapter!r}, plugins()).module({_READ})"
    return Saved(weights, _FILE.format(imports=imports, build=build, weights=weights))


def section(saved: Saved | None) -> list[str]:
    """Lines of a report."""
    if saved is None:
        return ["## Weights", "", "None: no network was trained by itself (`final:` in a recipe does that).", ""]
    return ["## Weights", "", f"`{saved.path}`, of the first training. In the folder of this run:", "", "```python",
            *saved.code.strip().splitlines(), "```"]  # fmt: skip
