"""A moved model offers all that timm offers of the unmoved one; the experiment timm-offers has more models."""

from __future__ import annotations

import operator
from pathlib import Path

import nat_timm
import pytest
import timm
import torch
from nat_timm.documents.edits import FITTED, Edit
from nat_timm.documents.forms import Form
from nat_timm.reading.branches import is_branch
from nat_timm.reading.trace import to_meta, trace
from nat_timm.surgery.apply import apply_edits
from torch import nn

from benchmarks.experiments.timm.offers import CHECKS, examine
from nat_plugin.ir import SKIP
from tests.adapters.timm.samples import images, lively, moved

SIZE = 64
FUSED = ("forward", "with_gradients", "reparameterised")
MODELS = {
    "test_resnet": tuple(CHECKS),
    "test_efficientnet": tuple(CHECKS),
    "test_byobnet": tuple(CHECKS),
    "test_convnext": tuple(CHECKS),
    "test_mambaout": tuple(CHECKS),
    "test_nfnet": tuple(CHECKS),
    "mobileone_s0": FUSED,
    "repvgg_a0": FUSED,
    "repvit_m0_9": (*FUSED, "scripted"),
    "repghostnet_050": FUSED,
    "fastvit_t8": FUSED,
    "lcnetv2_small": FUSED,
    "ghostnetv3_050": FUSED,
    "dla46x_c": ("scripted",),
    "xception41": ("features", "few_features"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_moved_model_offers_what_the_unmoved_one_does(name: str, tmp_path: Path) -> None:
    row = examine(name, 1, SIZE, tmp_path, {check: CHECKS[check] for check in MODELS[name]})
    assert row["lost"] == {}
    assert row["unmoved lacks"] == {}


@pytest.mark.parametrize("op", ["null", FITTED])
def test_what_fuses_with_a_block_that_is_gone_stays_as_it_is(op: str) -> None:
    model = timm.create_model("iformer_t", num_classes=7).eval()
    path = next(f"{path}.cpe" for path, module in model.named_modules() if type(module).__name__ == "RepCPE")
    channels = model.get_submodule(path).module.c.in_channels  # type: ignore[union-attr]
    apply_edits(model, [Edit(op, (path,), Form((channels, channels), kernel=3) if op == FITTED else None)], "iformer_t")
    parts = sum(isinstance(each, nn.BatchNorm2d) for each in model.modules())
    with torch.no_grad():
        ours = model(images(SIZE))
        fused = timm.utils.reparameterize_model(model)
        torch.testing.assert_close(fused(images(SIZE)), ours, rtol=1e-4, atol=1e-5)
    assert sum(isinstance(each, nn.BatchNorm2d) for each in fused.modules()) < parts / 2


@pytest.mark.parametrize("name", ["mobileone_s0", "ghostnetv3_050"])
def test_random_walks_keep_the_scale_of_what_is_computed(name: str) -> None:
    """Branches that were left out gave their input once more: the logits of these grew to infinity."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=7).eval()
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    for seed in range(3):
        lean = nat_timm.inherit(model, moved(network, "nat++", seed))
        with torch.no_grad():
            ours, theirs = model(images(SIZE)), lean(images(SIZE))
        assert theirs.abs().max() < 100 * ours.abs().max()


class Branches(nn.Module):
    """Of what is added up some read the input, and one does not."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(4, 4, 3, padding=1, bias=False) for _ in range(3))
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = self.first(x) + self.second(x)
        return self.third(a) + self.norm(x)


def test_a_branch_is_dropped_where_another_one_reads_the_same() -> None:
    found = trace(to_meta(Branches()), (4, 8, 8), "branches")
    steps = {str(step.target): step for step in found.steps if step.op == "call_module"}
    branches = [name for name in ("first", "second", "third") if is_branch(found, steps[name], steps[name])]
    assert branches == ["second"]  # without the first nothing would be left of the sum; the third reads the sum
    assert any(step.target is operator.add for step in found.steps)


@pytest.mark.parametrize(("op", "wanted"), [("skip", 1.0), ("drop", 0.0)])
def test_what_is_left_out_gives_a_value_of_its_own(op: str, wanted: float) -> None:
    """What follows may write over it, with gradients or without."""
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)).eval()
    apply_edits(net, [Edit(op, ("0", "1"))], "net")
    for grad in (False, True):
        x = torch.rand(1, 4, 5, 5)
        with torch.set_grad_enabled(grad):
            found = net(x)
        assert torch.equal(found, wanted * x)
        assert found.data_ptr() != x.data_ptr()


def test_gates_stay_and_no_shortcut_is_added_to_what_timm_fuses() -> None:
    model = lively("ghostnetv3_050")
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    edges = [network.edge(slot) for slot in network.slots]
    lean = nat_timm.inherit(model, network.with_ops([SKIP if SKIP in edge.choices else edge.op for edge in edges]))
    gates = [module for path, module in lean.named_modules() if path.endswith("gate_fn")]
    assert gates
    assert all(isinstance(module, nn.Sigmoid) for module in gates)
    assert not [edge.key for edge in edges if edge.key.endswith("/shortcut") and "_rpr_" in edge.key and edge.editable]
