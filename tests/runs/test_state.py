"""A tree of tensors and plain values survives a file unchanged, and a damaged file is refused in one line."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.runs.state import load_state, save_state

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
trees = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=12)


@given(st.dictionaries(st.text(max_size=5), trees))
def test_plain_values_come_back(tmp_path_factory: pytest.TempPathFactory, tree: dict[str, Any]) -> None:
    path = tmp_path_factory.getbasetemp() / "state"  # one for all: a folder takes longer than the file
    save_state(path, tree)
    assert load_state(path) == tree


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool, torch.bfloat16])
def test_tensors_come_back_to_the_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.randn(3, 4).to(dtype)
    save_state(tmp_path / "s", {"deep": [{"t": tensor}, tensor.t(), torch.tensor([])]})
    back = load_state(tmp_path / "s")["deep"]
    assert torch.equal(back[0]["t"], tensor)
    assert torch.equal(back[1], tensor.t())
    assert back[2].shape == (0,)


def test_integers_beyond_64_bits_come_back(tmp_path: Path) -> None:
    save_state(tmp_path / "s", {"state": 2**127 + 1})
    assert load_state(tmp_path / "s") == {"state": 2**127 + 1}


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NATError, match="there is no checkpoint"):
        load_state(tmp_path / "s")


@pytest.mark.parametrize("cut", [0, 7, 40, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, cut: int) -> None:
    save_state(tmp_path / "s", {"t": torch.randn(100)})
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:cut])
    with pytest.raises(NATError, match="not a checkpoint"):
        load_state(tmp_path / "s")


def test_no_bit_can_change_unseen(tmp_path: Path) -> None:
    """Of the header, of what fills it up, of its own checksum, and of the tensors."""
    save_state(tmp_path / "s", {"seed": 7, "name": 'of "a" run', "t": torch.arange(3, dtype=torch.uint8)})
    content = (tmp_path / "s").read_bytes()
    for bit in range(8 * len(content)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        (tmp_path / "s").write_bytes(changed)
        with pytest.raises(NATError, match="not a checkpoint"):
            load_state(tmp_path / "s")
    (tmp_path / "s").write_bytes(content + b"\0")
    with pytest.raises(NATError, match="not a checkpoint"):
        load_state(tmp_path / "s")


def test_a_state_that_speaks_of_checksums_comes_back(tmp_path: Path) -> None:
    state = {'"state":"{\\"sha256\\": \\"' + "0" * 64: '{"sha256": "' + "0" * 64 + '"}'}
    save_state(tmp_path / "s", state)
    assert load_state(tmp_path / "s") == state


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(pickle.dumps({"t": 1}))
    with pytest.raises(NATError, match="not a checkpoint"):
        load_state(tmp_path / "s")
