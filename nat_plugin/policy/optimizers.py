"""What of an optimizer is written into a checkpoint."""

from __future__ import annotations

from typing import Any

import torch


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The moments of an optimizer by number of the parameter; text keys, tensors and numbers only."""
    moments = optimizer.state_dict()["state"]
    return {
        str(number): {name: v.detach().cpu().clone() if torch.is_tensor(v) else v for name, v in values.items()}
        for number, values in moments.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    whole = optimizer.state_dict()
    whole["state"] = {int(number): dict(values) for number, values in state.items()}
    optimizer.load_state_dict(whole)
