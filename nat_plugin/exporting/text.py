"""The text around an exported model: what it is, its imports, how its weights are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["trained", "fresh", "own", "none"]
"""Of the weights beside an exported model: trained; what a framework starts a model with; those that the model had,
which may be either; there are none."""
MODULE, WEIGHTS = "model.py", "weights.pt"
"""The files of an exported model."""
_KINDS: dict[Kind, str] = {
    "trained": "trained, in evaluation mode; model.train() to train on",
    "fresh": "FRESH weights, as its framework starts it: nothing was trained; then model.train()",
    "own": "the weights that it had, in evaluation mode; model.train() to train on",
    "none": 'once torch.save(model.state_dict(), "weights.pt") wrote some; there are none yet',
}
_TEXT = '''"""{title}

Written by nat-plugin. It needs torch and nothing else:

    from model import Model, load
    model = load("weights.pt")  # {own}
    model = Model()             # untrained
"""

{imports}


{body}


def load(path, device="cpu"):
    """The model with the weights of a file that ``torch.save(model.state_dict(), path)`` wrote."""
    model = Model()
    model.load_state_dict(torch.load(path, map_location=device, weights_only=True))
    return model.to(device).eval()
'''


def module_text(title: str, imports: Iterable[str], body: str) -> str:
    """The text of a module with the class ``Model`` that stands in ``body``, and ``load``."""
    ordered = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return _TEXT.format(title=title, own=_KINDS["own"], imports="\n".join(ordered), body=body.strip())


def with_kind(text: str, kind: Kind) -> str:
    """The text of a module, saying what its weights are."""
    return text.replace(_KINDS["own"], _KINDS[kind], 1)
