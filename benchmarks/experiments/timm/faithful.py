"""Models of all classes of blocks: bit-equal where nothing moved; moved at random within random budgets they run, cost
what was said, and load in a fresh process through timm with strict weights and equal outputs and right features.

    python -m benchmarks timm-faithful --out faithful.json      # about 3 minutes of one core
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import nat_timm
import numpy as np
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.common.results import add_result
from nat_plugin.errors import NATError
from nat_plugin.ir import Budget, Moves, cost, find_rule
from nat_plugin.nets.counting import count

NAMES = (
    *("mobilenetv2_100", "mobilenetv3_large_100", "mobilenetv3_small_100", "mobilenetv4_conv_small"),
    *("mobilenetv4_conv_medium", "mnasnet_100", "efficientnet_b0", "tf_efficientnet_lite0", "fbnetc_100"),
    *("resnet18", "resnet50", "resnext50_32x4d", "vgg16_bn", "regnetx_004", "regnety_004", "convnext_atto"),
    *("convnextv2_atto", "ghostnet_100", "densenet121", "repvgg_a0", "mobileone_s0", "hrnet_w18_small"),
)
SIZE = 64
WANTED = {
    "exact": "cost what was said",
    "equal": "load strictly in a fresh process, with equal outputs",
    "channels": "features of the channels that they state",
    "reductions": "features of the reductions that they state",
}
"""Of a moved network: what is noted, and what that says."""
SHARES = (None, 0.7)

RELOAD = """
import json, os, sys, warnings
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")
import timm, torch
from safetensors.torch import load_file
folders, plain = json.loads(sys.argv[1]), sys.argv[2] == "plain"
if not plain:
    import nat_timm
for folder in folders:
    tensors = load_file(os.path.join(folder, "expected", "tensors.safetensors"))
    row = {"folder": folder}
    try:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
        with torch.no_grad():
            row["equal"] = torch.equal(model(tensors["images"]), tensors["logits"])
            features = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True).eval()
            maps = features(tensors["images"])
        maps = list(maps.values()) if isinstance(maps, dict) else maps
        row["channels"] = [each.shape[1] for each in maps] == features.feature_info.channels()
        size = tensors["images"].shape[2]
        row["reductions"] = [round(size / each.shape[2]) for each in maps] == features.feature_info.reduction()
    except Exception as error:
        row["failed"] = f"{type(error).__name__}: {error}"[:300]
    print(json.dumps(row), flush=True)
"""


def lively(name: str, seed: int, **create: Any) -> nn.Module:
    """Random weights, and norms that do something."""
    torch.manual_seed(seed)
    model: nn.Module = timm.create_model(name, **create)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
    return model.eval()


def examine(name: str, seed: int, scratch: Path) -> dict[str, Any]:
    model, rng = lively(name, seed), np.random.default_rng(seed)
    images = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    network = nat_timm.to_network(model, (3, SIZE, SIZE))
    with torch.no_grad():
        equal = torch.equal(nat_timm.inherit(model, network)(images), model(images))
    row: dict[str, Any] = {"name": name, "unmoved bit-equal": equal, "moved": []}
    for rule in ("nat", "nat++"):
        for share in SHARES:
            try:
                limits = None if share is None else Budget.parse({"macs": f"{share}x"}).resolve(network)
                moves = Moves(network, find_rule(rule), limits)
            except NATError:
                continue  # so little cannot be reached under these rules
            after = moves.apply(moves.sample(rng))
            moves.verify(after)
            lean = nat_timm.inherit(model, after)
            folder = scratch / f"{name}-{rule.replace('+', 'p')}-{share}"
            is_stock = nat_timm.save(lean, folder)
            with torch.no_grad():
                expected = {"images": images, "logits": lean(images)}
            (folder / "expected").mkdir()
            save_file(expected, folder / "expected" / "tensors.safetensors")
            found = {"rule": rule, "share": share, "stock": is_stock, "folder": str(folder)}
            found["exact"] = count(lean, (3, SIZE, SIZE)) == cost(after)
            found["macs"] = cost(after).macs / cost(network).macs
            row["moved"].append(found)
    return row


def reload(moved: list[dict[str, Any]]) -> None:
    """Load what was saved in a fresh process, one without this package for what needs none, and note what is found."""
    for kind in (True, False):
        chosen = [found for found in moved if found["stock"] is kind]
        if not chosen:
            continue
        arguments = [json.dumps([found["folder"] for found in chosen]), "plain" if kind else "with us"]
        said = subprocess.run([sys.executable, "-c", RELOAD, *arguments], capture_output=True, text=True, check=False)
        rows = [json.loads(line) for line in said.stdout.splitlines() if line.startswith("{")]
        by_folder = {each.pop("folder"): each for each in rows}
        for found in chosen:
            found |= by_folder.get(found.pop("folder"), {"failed": said.stderr[-300:]})


def tables_of(results: Mapping[str, Any]) -> dict[str, str]:
    """Markdown by the name of the place in the documentation, of the last version of timm."""
    rows = list(results.values())[-1]["models"]
    moved = [each for row in rows for each in row["moved"]]
    counts = {
        "models": len(rows),
        "unmoved bit-equal": sum(row["unmoved bit-equal"] for row in rows),
        "moved networks": len(moved),
        **{said: sum(bool(each.get(what)) for each in moved) for what, said in WANTED.items()},
        "of these by stock arguments alone": sum(each["stock"] for each in moved),
    }
    lines = [f"| {name} | {each} |" for name, each in counts.items()]
    return {"timm_faithful": "\n".join(["| | |", "|---|---|", *lines])}


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--seed", type=int, default=0)


def run(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        rows = [examine(name, arguments.seed, Path(scratch)) for name in arguments.names]
        reload([found for row in rows for found in row["moved"]])
    arguments.out.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    add_result(arguments.results, f"timm {timm.__version__}", {"seed": arguments.seed, "models": rows})
    for row in rows:
        moved = row["moved"]
        wrong = [found for found in moved if not all(found.get(what) for what in WANTED)]
        stock = sum(found["stock"] for found in moved)
        bit_equal = "bit-equal" if row["unmoved bit-equal"] else "DIFFERS"
        print(
            f"{row['name']}: unmoved {bit_equal}; moved {len(moved) - len(wrong)} of {len(moved)} right, {stock} stock"
        )
        for found in wrong:
            print(f"    {found}")
