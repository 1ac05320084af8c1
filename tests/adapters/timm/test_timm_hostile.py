"""Texts of strangers: any JSON is a network or refused in one line, in seconds, whatever it asks for."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import nat_timm
import pytest
import timm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nat_timm.adapter import TimmAdapter
from nat_timm.documents.document import parse
from nat_timm.limits import MAX_MODULES

from nat_plugin.errors import NATError
from nat_plugin.ir import Network, NetworkSize, cost

NUMBERS = st.integers() | st.floats(allow_nan=False) | st.sampled_from([0, -1, 1, 10**9, 10**400, 1e300])
ANY = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = st.sampled_from(["conv1", "conv1.0", "layer1", "layer1.0", "layer1.0.conv1", "fc", "", ".", "no"]) | ANY
EDITS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["null", "skip", "drop", "kernel", "hidden", "pool", "shortcut", "stride"]) | ANY,
         "at": PATHS | st.lists(PATHS, max_size=3)},
        optional={"value": ANY},
    ),
    max_size=2,
)  # fmt: skip
ARGUMENTS = st.dictionaries(
    st.sampled_from(
        ["base", "edits", "layers", "block", "num_classes", "in_chans", "width", "global_pool", "act_layer"]
    ),
    ANY | EDITS | st.sampled_from(["test_resnet"]),
    max_size=3,
)
CONFIGS = st.fixed_dictionaries(
    {"architecture": st.sampled_from(["test_resnet", "nat_edited", "test_resnet.x", "test_resnet.r160_in1k"]) | ANY},
    optional={
        "model_args": ARGUMENTS | ANY,
        "edits": EDITS | ANY,
        "num_classes": ANY,
        "num_features": ANY,
        "global_pool": ANY,
        "pretrained_cfg": st.dictionaries(st.sampled_from(["input_size", "num_classes", "mean"]), ANY) | ANY,
        "nat": ANY,
    },
)


def read(text: str) -> Network | None:
    """What is read of a text as ``nat show`` reads it; None if it is refused in one line."""
    adapter = TimmAdapter()
    try:
        size = adapter.natural_size(text)
        return adapter.read(text, NetworkSize(input=(size.input[0], 32, 32), classes=size.classes))
    except NATError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 1000
        return None


@given(CONFIGS)
@example({"architecture": "test_resnet", "num_classes": True})
@example({"architecture": "test_resnet", "num_classes": 10**5000 % 7**99})
@example({"architecture": "test_resnet", "edits": [{"op": [], "at": "conv1"}]})
@example({"architecture": "test_resnet", "edits": [{"op": {}, "at": {}}]})
@example({"architecture": "test_resnet.x"})
@example({"architecture": "test_resnet", "pretrained_cfg": {"input_size": [3, 10**9, 1]}})
@example({"architecture": "test_resnet", "pretrained_cfg": {"input_size": {"a": 1, "b": 2, "c": 3}}})
@settings(max_examples=150, deadline=None)
def test_any_config_is_a_network_or_refused_in_one_line(config: dict[str, Any]) -> None:
    found = read(json.dumps(config))
    if found is not None:
        assert cost(found).params > 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"architecture": "test_resnet", "num_classes": 1e400}', "1e400 is too large a number"),
        ('{"architecture": "test_resnet", "num_classes": 1e3}', "'num_classes' is a whole number, not 1000.0"),
        ('{"architecture": "test_resnet", "edits": [{"op": [], "at": "x"}]}', "unknown op"),
    ],
)
def test_numbers_and_names_of_other_kinds_are_said(text: str, said: str) -> None:
    with pytest.raises(NATError, match=said):
        parse(text)


def test_a_config_in_a_config_in_a_config_is_refused() -> None:
    inner: dict[str, Any] = {"architecture": "test_resnet"}
    for _ in range(150):
        inner = {"architecture": "test_resnet", "pretrained_cfg": {}, "nat": inner}
    parse(json.dumps(inner))


LARGE = [
    ("resnet18", {"layers": [100_000, 1, 1, 1]}),
    ("resnet18", {"layers": [9_000, 9_000, 9_000, 9_000]}),
    ("resnet18", {"layers": [[[[10**9]]]]}),
    ("resnet18", {"base_width": 10**9}),
    ("resnet18", {"base_width": 9_000, "cardinality": 9_000}),
    ("resnet18", {"stem_width": 10**12}),
    ("resnet18", {"num_classes": 10**12}),
    ("resnet18", {"in_chans": 10**12}),
    ("densenet121", {"block_config": [9_999] * 9}),
    ("densenet121", {"growth_rate": 9_999, "block_config": [9_999, 1]}),
    ("convnext_atto", {"depths": [9_999, 1, 1, 1]}),
    ("convnext_atto", {"dims": [10**7] * 4}),
    ("convnext_atto", {"depths": [1] * 200_000}),
    ("efficientnet_b0", {"depth_multiplier": 9_999}),
    ("efficientnet_b0", {"channel_multiplier": 9_999}),
    ("mobilenetv2_100", {"block_args": [["ir_r100000000_k3_s1_e6_c24"]]}),
    ("regnetx_002", {"depth": 10**9}),
    ("vgg11", {"cfg": [9_999] * 9}),
    ("ghostnet_100", {"width": 1e9}),
    ("repvgg_a0", {"num_blocks": [9_999] * 4}),
    ("dla34", {"levels": [9_999] * 6}),
    ("nfnet_f0", {"depths": [9_999] * 4}),
    ("fastvit_t8", {"layers": [9_999] * 4}),
    ("coatnet_nano_rw_224", {"img_size": 10**6}),
    ("nat_edited", {"base": "resnet18", "layers": [100_000, 1, 1, 1], "edits": []}),
]


@pytest.mark.parametrize(("name", "args"), LARGE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_model_that_is_too_large_is_refused_at_once(name: str, args: dict[str, Any]) -> None:
    start = time.process_time()
    assert read(json.dumps({"architecture": name, "model_args": args})) is None
    assert time.process_time() - start < 20  # of processor time, many times what it takes; unlimited it is minutes


def test_the_largest_models_of_timm_are_far_from_the_limit() -> None:
    import timm
    from torch.nn.modules.module import register_module_module_registration_hook

    count = [0]

    def more(*_: object) -> None:
        count[0] += 1

    hook = register_module_module_registration_hook(more)
    timm.create_model("resnetrs420", device="meta")
    hook.remove()
    assert count[0] < MAX_MODULES / 2


@pytest.mark.parametrize("shape", [(16,), "3x8x8", 32, (3, 0, 8), (3, 8, 8.0)])
def test_a_shape_that_is_none_is_refused_wherever_it_is_given(shape: Any, tmp_path: Path) -> None:
    model = timm.create_model("test_resnet", num_classes=4)
    for use in (nat_timm.to_network, partial(nat_timm.export_program, path=tmp_path / "x.pt2")):
        with pytest.raises(NATError, match=r"^input: "):
            use(model, input=shape)


def test_a_shape_may_be_a_list() -> None:
    model = timm.create_model("test_resnet", num_classes=4)
    assert nat_timm.to_network(model, [3, 32, 32]) == nat_timm.to_network(model, (3, 32, 32))  # type: ignore[arg-type]
