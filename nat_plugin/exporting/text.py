"""The text around an exported model: what it is, its imports, how its weights are loaded."""

from __future__ import annotations

from collections.abc import Iterable

MODULE, WEIGHTS = "model.py", "weights.pt"
"""The files of an exported model."""
_TEXT = '''"""{title}

Written by nat-plugin. It needs torch and nothing else:

    from model import Model, load
    model = load("weights.pt")  # trained, in evaluation mode; model.train() to train on
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
    return _TEXT.format(title=title, imports="\n".join(ordered), body=body.strip())
