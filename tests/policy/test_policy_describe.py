"""Ops as numbers: distinct for distinct ops, and there for ops that nobody has seen."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.ir import Op, OpKind, register_op
from nat_plugin.ir.layers import Conv, Norm
from nat_plugin.policy.describe import WIDTH, describe, descriptions, op_number, ops_of
from tests.networks import WIDE_OPS

MBCONVS = [Op.parse(f"mbconv_k{k}_e{e}_se{se}") for k in (0, 3, 5, 7) for e in (1, 3, 4, 6) for se in (0, 0.25, 0.5)]
MORE = [Op.parse(text) for text in ("sep_conv_7x7", "conv_7x1_1x7", "conv_1x3_3x1", "max_pool_5x5", "conv_1x1")]


def test_different_ops_have_different_descriptions() -> None:
    ops = list(dict.fromkeys([*WIDE_OPS, *MBCONVS, *MORE]))
    for one, other in itertools.combinations(ops, 2):
        assert not np.allclose(describe(one), describe(other), atol=1e-4), (one, other)


@given(st.integers(0, 10**9), st.integers(0, 10**12), st.sampled_from([1, 3, 9, 31]))
def test_descriptions_are_finite_and_of_moderate_size(params: int, macs: int, kernel: int) -> None:
    for text in (f"opaque:a.b:{params}:{macs}", f"sep_conv_{kernel}x{kernel}", f"mbconv_k{kernel}_e12_se0"):
        row = describe(Op.parse(text))
        assert row.shape == (WIDTH,)
        assert row.dtype == np.float32
        assert np.isfinite(row).all()
        assert np.abs(row).max() < 100


def test_the_op_of_a_plugin_has_a_description_from_its_layers() -> None:
    kind = OpKind(
        "tests_policy_wide",
        "tests_policy_wide",
        lambda _, site: (Conv(site.c_in, site.c_out, (1, 9), (site.stride, site.stride)), Norm(site.c_out)),
    )
    register_op(kind)
    row = describe(Op.parse("tests_policy_wide"))
    assert all(not np.allclose(row, describe(op), atol=1e-4) for op in WIDE_OPS)


def test_numbers_name_rows_and_ops() -> None:
    ops = [Op.parse(f"opaque:many{n}:{n}:{n}") for n in range(200)]  # more than the table starts with
    numbers = np.array([op_number(op) for op in ops])
    assert ops_of(numbers) == tuple(ops)
    assert (descriptions(numbers) == np.stack([describe(op) for op in ops])).all()
    assert [op_number(op) for op in ops] == numbers.tolist()
