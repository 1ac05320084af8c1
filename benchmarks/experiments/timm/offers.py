"""What timm offers of a model, and whether a moved model offers all of that: the checks of timm's own model tests, and
re-parameterisation, feature extraction, half precision, on a model as it is and on models that were moved at random.

    python -m benchmarks timm-offers --out offers.json          # a model of each class of blocks
    python -m benchmarks timm-offers --out offers.json --names resnet18 repvgg_a0 --walks 3
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import nat_timm
import numpy as np
import timm
import torch
from torch import Tensor, nn

from benchmarks.common.results import add_result
from benchmarks.experiments.timm.faithful import lively
from nat_plugin.errors import NATError
from nat_plugin.ir import Moves, find_rule

NAMES = (
    *("test_resnet", "test_byobnet", "test_efficientnet", "test_mambaout", "test_convnext", "test_nfnet"),
    *("resnet18", "resnet50", "resnext50_32x4d", "skresnet18", "resnest14d", "res2net50_26w_4s", "resnetv2_18"),
    *("legacy_seresnet18", "tresnet_m", "regnety_002", "densenet121", "dpn48b", "dla34", "dla46x_c", "dla60_res2next"),
    *("vgg11", "hrnet_w18_small", "selecsls42", "ese_vovnet19b_slim_dw", "hgnetv2_b0", "cspresnext50", "darknet17"),
    *("cs3darknet_focus_s", "cs3edgenet_x", "cspnext_tiny", "inception_v3", "xception41", "xception41p"),
    *("legacy_xception", "mobilenetv2_050", "mobilenetv3_small_050", "mobilenetv4_conv_small_035", "mnasnet_050"),
    *("rexnet_100", "ghostnet_050", "ghostnetv2_100", "ghostnetv3_050", "repghostnet_050", "repvgg_a0"),
    *("mobileone_s0", "repvit_m0_9", "repvit_m1", "fastvit_t8", "lcnetv2_small", "starnet_s050", "shvit_s1"),
    *("fasternet_t0", "convnext_atto", "convnextv2_atto", "inception_next_atto", "poolformerv2_s12"),
    *("convformer_s18", "mambaout_femto", "focalnet_tiny_srf", "convmixer_768_32", "iformer_t", "efficientvit_b0"),
    *("rdnet_tiny", "edgenext_xx_small", "mobilevitv2_050", "nextvit_small", "swiftformer_xs", "efficientvim_m1"),
)
"""Of each class of blocks that is moved a small model, hybrids at the end."""
SIZE = 64
LARGER = {"inception_v3": 128, "swiftformer_xs": 224}
"""Where a model does not take images of that size."""
CLASSES = 7
AT_ONCE = 8
"""Models in one process: torch keeps what it compiled of each, a fifth of a gigabyte."""


class Sample:
    """A saved model, as ``timm.create_model`` gives it, and images for it."""

    def __init__(self, folder: Path, size: int) -> None:
        self.name = f"local-dir:{folder}"
        self.images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
        self._model = self.made()
        self.logits = self.run(self._model)

    def made(self, **arguments: Any) -> Any:
        return timm.create_model(self.name, pretrained=True, **arguments).eval()

    def copy(self) -> Any:
        return copy.deepcopy(self._model)

    def run(self, model: nn.Module) -> Tensor:
        with torch.no_grad():
            found: Tensor = model(self.images)
        return found

    def agrees(self, found: Tensor, tolerance: float = 1e-3) -> None:
        scale = float(self.logits.abs().max())
        torch.testing.assert_close(found.float(), self.logits, rtol=tolerance, atol=tolerance * scale)


def forward(sample: Sample) -> None:
    assert sample.logits.shape == (2, CLASSES)
    assert torch.isfinite(sample.logits).all(), "not finite"


def with_gradients(sample: Sample) -> None:
    """What is computed does not depend on whether gradients are kept."""
    sample.agrees(sample.copy()(sample.images).detach(), 1e-5)


def backward(sample: Sample) -> None:
    model = sample.copy().train()
    logits = model(sample.images)
    logits.mean().backward()
    without = [name for name, value in model.named_parameters() if value.grad is None]
    assert not without, f"no gradient for {without[0]}"
    assert torch.isfinite(logits).all(), "not finite"


def no_classifier(sample: Sample) -> None:
    for model in (sample.copy(), sample.made(num_classes=0)):
        model.reset_classifier(0)
        found = sample.run(model)
        assert found.shape[:1] == (2,)
        assert found.ndim == 2
        assert found.shape[1] in (model.num_features, getattr(model, "head_hidden_size", 0))


def other_classifier(sample: Sample) -> None:
    model = sample.copy()
    model.reset_classifier(5)
    assert sample.run(model).shape == (2, 5)
    assert sample.run(sample.made(num_classes=4)).shape == (2, 4)


def reset_and_saved(sample: Sample) -> None:
    """A model with another classifier is saved and loaded as it is."""
    model = sample.copy()
    model.reset_classifier(5)
    with tempfile.TemporaryDirectory() as folder:
        nat_timm.save(model, folder)
        again = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert torch.equal(sample.run(again), sample.run(model))


def no_pool(sample: Sample) -> None:
    model = sample.copy()
    model.reset_classifier(0, "")
    shape = sample.run(model).shape
    assert len(shape) == 4
    assert sample.run(sample.made(num_classes=0, global_pool="")).shape == shape


def other_channels(sample: Sample) -> None:
    with torch.no_grad():
        assert sample.made(in_chans=1)(sample.images[:, :1]).shape == (2, CLASSES)


def features(sample: Sample) -> None:
    model = sample.made(features_only=True)
    with torch.no_grad():
        maps = model(sample.images)
    maps = _channels_first(maps)
    assert [each.shape[1] for each in maps] == model.feature_info.channels(), "channels"
    size = sample.images.shape[2]
    assert [round(size / each.shape[2]) for each in maps] == model.feature_info.reduction(), "reductions"
    assert all(torch.isfinite(each).all() for each in maps)


def few_features(sample: Sample) -> None:
    model = sample.made(features_only=True, out_indices=(1, 2))
    with torch.no_grad():
        maps = _channels_first(model(sample.images))
    assert [each.shape[1] for each in maps] == model.feature_info.channels()


def _channels_first(maps: Any) -> list[Tensor]:
    """Of some models the maps end in channels."""
    found = list(maps.values()) if isinstance(maps, dict) else list(maps)
    return [each if each.shape[2] == each.shape[3] else each.permute(0, 3, 1, 2) for each in found]


def intermediates(sample: Sample) -> None:
    model = sample.copy()
    with torch.no_grad():
        last, found = model.forward_intermediates(sample.images)
        assert torch.isfinite(last).all()
        assert [each.shape[1] for each in found][-1:] == [model.feature_info[-1]["num_chs"]]
        sample.agrees(model.forward_head(last), 1e-5)


def scripted(sample: Sample) -> None:
    with timm.set_scriptable(True):
        model = sample.made()
    sample.agrees(sample.run(torch.jit.script(model)))


def traced(sample: Sample) -> None:
    sample.agrees(sample.run(torch.jit.trace(sample.copy(), sample.images)))  # type: ignore[no-untyped-call]


def reparameterised(sample: Sample) -> None:
    model = timm.models.reparameterize_model(sample.copy())
    sample.agrees(sample.run(model))


def bfloat16(sample: Sample) -> None:
    model = sample.copy().bfloat16()
    with torch.no_grad():
        assert torch.isfinite(model(sample.images.bfloat16())).all()


def half(sample: Sample) -> None:
    model = sample.copy().half()
    with torch.no_grad():
        assert torch.isfinite(model(sample.images.half())).all()


def checkpointing(sample: Sample) -> None:
    model = sample.copy().train()
    model.set_grad_checkpointing(True)
    model(sample.images).mean().backward()


def groups(sample: Sample) -> None:
    model = sample.copy()
    for coarse in (False, True):
        found = timm.models.group_parameters(model, model.group_matcher(coarse=coarse))
        assert sum(map(len, found.values())) == len(list(model.parameters()))


def first_and_last(sample: Sample) -> None:
    """The names in the pretrained_cfg are those of layers with weights."""
    model = sample.copy()
    state = model.state_dict()
    for what in ("first_conv", "classifier"):
        names = model.pretrained_cfg[what]
        for name in (names,) if isinstance(names, str) else names or ():
            assert f"{name}.weight" in state, name
    assert model.get_classifier() is not None


CHECKS: dict[str, Callable[[Sample], None]] = {
    check.__name__: check
    for check in (
        *(forward, with_gradients, backward, no_classifier, other_classifier, reset_and_saved, no_pool),
        *(other_channels, features, few_features, intermediates, scripted, traced, reparameterised),
        *(bfloat16, half, checkpointing, groups, first_and_last),
    )
}


def offers(folder: Path, size: int, checks: dict[str, Callable[[Sample], None]]) -> dict[str, str]:
    """What a saved model does not do, with why."""
    found = {}
    try:
        sample = Sample(folder, size)
    except Exception as error:  # noqa: BLE001 - that it does not load is the finding
        return dict.fromkeys(checks, f"does not load: {_said(error)}")
    for name, check in checks.items():
        try:
            check(sample)
        except Exception as error:  # noqa: BLE001 - whatever timm and torch raise is what is looked for
            found[name] = _said(error)
    return found


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:300]}"


def examine(
    name: str, walks: int, size: int, scratch: Path, checks: dict[str, Callable[[Sample], None]] = CHECKS
) -> dict[str, Any]:
    """What the model as it is does not offer, and what moved ones lack beyond that."""
    start = time.process_time()
    model = lively(name, 0, num_classes=CLASSES)
    network = nat_timm.to_network(model, (3, size, size))
    nat_timm.save(model, scratch / f"{name}-unmoved")
    missing = offers(scratch / f"{name}-unmoved", size, checks)
    row: dict[str, Any] = {"name": name, "unmoved lacks": missing, "lost": {}, "walks": walks}
    wanted = {what: check for what, check in checks.items() if what not in missing}
    for seed in range(walks):
        moves = Moves(network, find_rule("nat++"))
        after = moves.apply(moves.sample(np.random.default_rng(seed)))
        lean = nat_timm.inherit(model, after)
        folder = scratch / f"{name}-{seed}"
        nat_timm.save(lean, folder)
        for what, why in offers(folder, size, wanted).items():
            row["lost"].setdefault(what, {})[seed] = why
    row["seconds"] = round(time.process_time() - start, 1)
    return row


def row_of(name: str, walks: int, size: int) -> dict[str, Any]:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            return examine(name, walks, LARGER.get(name, size), Path(scratch))
        except NATError as error:
            return {"name": name, "failed": str(error)}


def rows_of(names: Sequence[str], make: Callable[[str], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """In processes that end before they grow; a few in this one."""
    if len(names) <= AT_ONCE:
        yield from map(make, names)
        return
    with get_context("spawn").Pool(1, maxtasksperchild=AT_ONCE) as worker:
        yield from worker.imap(make, names)


def tell(row: dict[str, Any]) -> None:
    print(f"{row['name']}: {summary(row)}", flush=True)
    for what, why in row.get("lost", {}).items():
        print(f"    {what}: {next(iter(why.values()))} ({len(why)} of {row['walks']} walks)", flush=True)


def summary(row: dict[str, Any]) -> str:
    if "failed" in row:
        return f"failed: {row['failed']}"
    lacks, lost = (", ".join(row[what]) or "nothing" for what in ("unmoved lacks", "lost"))
    return f"unmoved it lacks {lacks}; moved it lost {lost}"


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation, of the last version of timm."""
    found = list(results.values())[-1]
    rows = found["models"]
    lines = ["| check | unmoved models that pass | of these moved that pass |", "|---|---|---|"]
    for check in found["checks"]:
        able = [row for row in rows if "failed" not in row and check not in row["unmoved lacks"]]
        lines.append(f"| {check} | {len(able)} of {len(rows)} | {sum(check not in row['lost'] for row in able)} |")
    return {"timm_offers": "\n".join(lines)}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--walks", type=int, default=2, help="models moved at random")
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--again", action="store_true", help="put --names in the place of what --out has of them")


def run(arguments: argparse.Namespace) -> None:
    rows: dict[str, Any] = {}
    if arguments.again:
        rows = {row["name"]: row for row in json.loads(arguments.out.read_text(encoding="utf-8"))}
    for row in rows_of(arguments.names, partial(row_of, walks=arguments.walks, size=arguments.size)):
        rows[row["name"]] = row
        arguments.out.write_text(json.dumps([*rows.values()], indent=1), encoding="utf-8")
        tell(row)
    add_result(arguments.results, f"timm {timm.__version__}", {"checks": list(CHECKS), "models": [*rows.values()]})
