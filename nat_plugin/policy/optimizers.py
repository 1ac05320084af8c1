"""The one step by which policies and critics learn, and what of an optimizer is written into a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from nat_plugin.policy.network import Policy


@dataclass(frozen=True)
class PolicySteps:
    """A policy and how it learns: steps of an optimizer along gradients whose norm is cut to ``largest``."""

    policy: Policy
    optimizer: torch.optim.Optimizer
    largest: float = 1.0

    def step(self, loss: torch.Tensor) -> torch.Tensor:
        """One step; the norm of its gradients before they were cut."""
        return update(self.optimizer, loss, self.largest)


def update(optimizer: torch.optim.Optimizer, loss: torch.Tensor, largest: float) -> torch.Tensor:
    """One step of an optimizer along gradients whose norm is cut to ``largest``; the norm that they had."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_([each for group in optimizer.param_groups for each in group["params"]], largest)
    optimizer.step()
    return norm


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
