"""ENAS strings as people have them: in the authors' scripts, and as PyTorch prints them in logs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nat_enas import EnasMacroAdapter, MicroAdapter, register_ops

from nat_plugin.errors import NATError
from nat_plugin.ir import SKIP, Moves, NetworkSize, canonical, find_rule
from nat_plugin.ir.ops import register_op
from tests.adapters.damage import check_one_line_or_the_same_text, damaged

register_ops(register_op)
MICRO, MACRO = MicroAdapter(), EnasMacroAdapter()
PUBLISHED = MICRO.published()["ENAS_micro"].text
NORMAL, REDUCE = PUBLISHED.split("\n")
SCRIPT = f"""#!/bin/bash
export PYTHONPATH="$(pwd)"

#fixed_arc="0 3 0 0 0 5 0 2 0 5 1 2 1 0 0 2 0 3 1 2"
fixed_arc="{NORMAL}"
fixed_arc="$fixed_arc {REDUCE}"

python src/cifar10/main.py --search_for="micro" --batch_size=144 \\
  --child_fixed_arc="${{fixed_arc}}" \\
  --child_num_cells=5
"""


def commas(row: str) -> str:
    return ", ".join(row.split())


LOGS = {
    "a script": SCRIPT,
    "lines of a script": f'fixed_arc="{NORMAL}"\nfixed_arc="${{fixed_arc}} {REDUCE}"',
    "lines that append": f'fixed_arc="{NORMAL}"\nfixed_arc+=" {REDUCE}"',
    "an argument": f"python train.py --lr 0.05 --fixed_arc '{NORMAL} {REDUCE}' --epochs 360\n",
    "a tensor": f"tensor([{commas(NORMAL)}, {commas(REDUCE)}])",
    "tensors in a log": f"10:02 best [tensor([{commas(NORMAL)}], device='cuda:0'), tensor([{commas(REDUCE)}])] 0.97",
    "a tensor of two rows": f"tensor([[{commas(NORMAL)}],\n        [{commas(REDUCE)}]], dtype=torch.int32)\n",
    "zeros before numbers": f"{NORMAL} {REDUCE}".replace(" 1 1 1 0 ", " 1 01 001 0 "),
    "an array": f"INFO arc = array([{commas(NORMAL)}, {commas(REDUCE)}])",
}


@pytest.mark.parametrize("name", LOGS)
def test_what_stands_around_the_integers_stays_to_the_letter(name: str) -> None:
    text = LOGS[name]
    assert MICRO.recognises(text)
    assert not MACRO.recognises(text)
    network = MICRO.read(text, NetworkSize())
    assert network == MICRO.read(PUBLISHED, NetworkSize())
    assert MICRO.write(network) == text
    moved = MICRO.write(network.with_ops([*network.ops[:1], SKIP, *network.ops[2:]]))
    assert len(moved) == len(text)
    places = [at for at, (old, new) in enumerate(zip(text, moved, strict=True)) if old != new]
    assert [(text[at], moved[at]) for at in places] == [("0", "4")]


def test_macro_strings_of_scripts() -> None:
    text = 'fixed_arc="0"\nfixed_arc="$fixed_arc 3 0"\nfixed_arc="$fixed_arc 2 0 1"\npython main.py --num_layers=3\n'
    assert MACRO.recognises(text)
    network = MACRO.read(text, NetworkSize(channels=4))
    assert network == MACRO.read("0 3 0 2 0 1", NetworkSize(channels=4))
    assert MACRO.write(network) == text
    assert MACRO.write(network.with_ops([SKIP.parse("enas_max_pool_3x3"), *network.ops[1:]])) == text.replace(
        '"0"', '"5"'
    )


def test_a_line_that_does_not_go_on_begins_anew() -> None:
    text = f'fixed_arc="9 9 9"\n{LOGS["lines of a script"]}'
    assert MICRO.read(text, NetworkSize()) == MICRO.read(PUBLISHED, NetworkSize())
    assert MICRO.write(MICRO.read(text, NetworkSize())) == text


@st.composite
def texts(draw: st.DrawFn) -> str:
    rows = []
    for _ in range(2):
        nodes = 2
        rows.append([
            number for at in range(2 * nodes) for number in (draw(st.integers(0, at // 2 + 1)), draw(st.integers(0, 4)))
        ])  # fmt: skip
    forms = (
        'fixed_arc="{}"\nfixed_arc="$fixed_arc {}"\nrun 7\n',
        "tensor([{}]) tensor([{}], device='cuda:1')",
        "[{}]\n[{}]",
    )
    form = draw(st.sampled_from(forms))
    return form.format(*((" " if "fixed" in form else ", ").join(map(str, row)) for row in rows))


@given(texts(), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_any_form_comes_back_moved_with_what_is_around_it(text: str, seed: int) -> None:
    size = NetworkSize(channels=4, cells=3)
    network = MICRO.read(text, size)
    assert MICRO.write(network) == text
    moves = Moves(network, find_rule("nat++"))
    moved = moves.apply(moves.sample(np.random.default_rng(seed)))
    written = MICRO.write(canonical(moved))
    assert MICRO.read(written, size) == moved
    assert len(written) == len(text)


@given(damaged(texts() | st.sampled_from(sorted(LOGS.values()))))
@settings(max_examples=150)
def test_damaged_text_raises_nothing_but_one_line(text: str) -> None:
    for adapter in (MICRO, MACRO):
        check_one_line_or_the_same_text(adapter, text, NetworkSize(channels=2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('fixed_arc="0 2 x 0"', "line 1: 'x' is not allowed"),
        ('a\n\nfixed_arc="0 2 0 0 0 0 0 7"', "reduce cell, node 2: there is no op 7"),
        ("tensor([0.5, 1])", "'.' is not allowed"),
        ("(((0, 3), (1, 2)), ((0, 1), (1, 1)))", "brackets nested three deep are not an ENAS string"),
        ('fixed_arc="$fixed_arc"', "is not allowed"),
        ("x" * 2_000_000, "has 2,000,000 characters"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str) -> None:
    with pytest.raises(NATError) as caught:
        MICRO.read(text, NetworkSize())
    assert message in str(caught.value)


def test_six_numbers_in_brackets_are_left_to_nas_bench_201_unless_asked_for() -> None:
    text = "(4, 0, 1, 1, 0, 1)"
    assert not MACRO.recognises(text)
    assert MACRO.write(MACRO.read(text, NetworkSize(channels=4))) == text
    assert MACRO.recognises("4 0 1 1 0 1")
