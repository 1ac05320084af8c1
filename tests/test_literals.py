"""Python literals are read, never executed; hostile text ends in one line, quickly and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nat_plugin.errors import NATError
from nat_plugin.literals import Call, assigned, assigned_names, parse_literal, parse_value

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(max_size=8)
    | st.floats(allow_nan=False, allow_infinity=False)
)
LITERALS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.builds(range, st.integers(-9, 9), st.integers(-9, 9))
    ),
    max_leaves=12,
)

FILE = """
from collections import namedtuple
Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')
PRIMITIVES = ['none', 'skip_connect']
A = Genotype(normal=[('a', 0)],
             normal_concat=[2])  # a comment
ARC = "0 2 0 0 1 1"
text = "no architecture"
BARS = '|none~0|+|none~0|none~1|'
PAIRS = (((0, 1), (1, 2)), ((0, 1), (1, 2)))
C: object = {'normal': [1]}
DARTS = ALIAS = A
if True:
    HIDDEN = Genotype([1])
A = Genotype(['é', "last"], [3])
"""


def message_of(read: Callable[[str], object], text: str) -> str:
    """The message of the NATError that reading raises, or ''."""
    try:
        read(text)
    except NATError as error:
        return str(error)
    return ""


@given(LITERALS)
@settings(max_examples=50)
def test_every_literal_comes_back(value: object) -> None:
    assert parse_literal(repr(value)) == value


@given(st.text(max_size=60) | st.text("([{,'=1a-.:+ *\n\\#", max_size=60))
@settings(max_examples=200)
def test_any_text_gives_a_value_or_one_line(text: str) -> None:
    for read in (parse_literal, assigned_names, lambda text: assigned(text, "a")):
        assert "\n" not in message_of(read, text)


def test_a_call_is_neutral_data() -> None:
    call = parse_literal("genotypes.Genotype([('a', -1)], normal_concat=range(2, 6))")
    assert call == Call("genotypes.Genotype", ([("a", -1)],), (("normal_concat", range(2, 6)),))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("np.int64(3)", 3),
        ("numpy.uint8(3)", 3),
        ("[np.float32(0.5), np.float64(2)]", [0.5, 2.0]),
        ("(np.str_('a'), np.bool_(True))", ("a", True)),
        ("list(range(2, 6))", [2, 3, 4, 5]),
        ("tuple([1, 2])", (1, 2)),
        ("array([[0, 1],\n       [0, 0]], dtype=int8)", [[0, 1], [0, 0]]),
        ("np.array((0, 1))", [0, 1]),
    ],
)
def test_what_numpy_prints_and_lists_of_ranges(text: str, value: object) -> None:
    found = parse_literal(text)
    assert (found, type(found)) == (value, type(value))


def test_an_object_is_json_or_a_literal() -> None:
    assert parse_value('{"a": null, "b": "x"}') == {"a": None, "b": "x"}
    assert parse_value("{'a': None}") == {"a": None}
    assert parse_value('{"a": true, "b": "it\'s"}') == {"a": True, "b": "it's"}
    assert parse_value("(1, 2)") == (1, 2)
    with pytest.raises(NATError, match="a name is not allowed"):
        parse_value("{'a': true}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("np.int64(0.5)", "anything else than its own kind of value"),
        ("np.int64(True)", "anything else than its own kind of value"),
        ("np.int64(1, 2)", "anything else than its own kind of value"),
        ("np.float32('1')", "anything else than its own kind of value"),
        ("[np.load('x')]", "a call of 'np.load' inside the value"),
        ("[np.random.rand(3)]", "a call of 'np.random.rand' inside the value"),
        ("list(3)", "list() of anything but one list, tuple or range"),
        ("list(range(9999))", "a list of more than 100 numbers of a range"),
        ("array([1], copy=1)", "array() of anything but one list"),
        ("__import__('os').system('x')", "a call of anything but a plain name"),
        ("Genotype(open('x'))", "column 10: a call of 'open' inside the value"),
        ("[x for x in (1, 2)]", "a comprehension"),
        ("Genotype(*[1])", "a call with * or **"),
        ("Genotype(**{})", "a call with * or **"),
        ("1 + 1", "an expression"),
        ("[1,\n a.b]", "line 2, column 2: an attribute"),
        ("f'{1}'", "is not allowed"),
        ("b'x'", "a value of type bytes"),
        ("1e999", "a number that is not finite"),
        ("nan", "a name"),
        ("range(0, 10**9)", "an expression"),
        ("range(0, 99999)", "a range with numbers beyond 10,000"),
        ("range(0, 9, 0)", "a range of anything but one to three whole numbers"),
        ("{'a': 1, 'a': 2}", "the key 'a' is duplicated"),
        ("{**{}}", "a key that is neither"),
        ("Genotype(a=1, a=2)", "a call that gives 'a' twice"),
        ("-'a'", "an expression"),
        ("", "not valid Python"),
        ("a\0b", "null bytes"),
        ("[" * 40 + "]" * 40, "nested more than 32 deep"),
    ],
)
def test_everything_else_is_refused_with_what_and_where(text: str, message: str) -> None:
    with pytest.raises(NATError) as caught:
        parse_literal(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 400_000,
        "[" * 49_000 + "]" * 49_000,
        "(" * 90_000,
        "-" * 90_000 + "1",
        "not " * 90_000 + "1",
        "lambda:" * 40_000 + "1",
        "a" + ".b" * 49_000,
        "a" + "[1]" * 30_000,
        "f" + "(1)" * 30_000,
        "1" + "+1" * 49_000,
        "[" + "1," * 1_000_000 + "]",
        "[" + "1," * 400_000 + "]",
        "9" * 900_000,
        "{" + "1:" * 40_000,
        "'" + "1 " * 400_000 + "x'",
        "\n".join(f"a{i} = a{i + 1}" for i in range(30_000)),
        "x = '" + "1 " * 400_000 + "x'",
    ],
    ids=lambda text: text[:8],
)
@pytest.mark.parametrize("read", [parse_literal, lambda text: assigned(text, "zz")], ids=["literal", "assigned"])
def test_hostile_text_ends_quickly_and_in_little_memory(text: str, read: Callable[[str], object]) -> None:
    began = time.process_time()
    assert len(message_of(read, text)) < 400
    assert time.process_time() - began < 6  # a third of a second on an idle machine


def test_the_largest_allowed_text_takes_little_memory() -> None:
    text = "[" + "1," * 49_990 + "]"
    tracemalloc.start()
    parse_literal(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80e6


def test_the_last_assignment_of_a_file_counts_and_aliases_are_followed() -> None:
    assert assigned(FILE, "A") == assigned(FILE, "DARTS") == "Genotype(['é', \"last\"], [3])"
    assert assigned(FILE, "ARC") == '"0 2 0 0 1 1"'
    assert assigned(FILE, "C") == "{'normal': [1]}"
    assert assigned("A = (\n  'é', 1,\r\n 2)\n", "A") == "(\n  'é', 1,\n 2)"


def test_names_that_look_like_architectures() -> None:
    assert assigned_names(FILE) == ["A", "ARC", "BARS", "PAIRS", "C", "DARTS", "ALIAS"]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (FILE, "HIDDEN", "no architecture named 'HIDDEN' in this file; it has: A, ARC, BARS, PAIRS, C, DARTS, ALIAS"),
        ("a = 1", "b", "it has: none"),
        ("a = b\nb = c\nc = a", "a", "'a' never gets a value: a = b = c = a"),
        ("a = b", "a", "'a' is assigned the name 'b', which this file does not assign"),
        ("\n".join(f"a{i} = a{i + 1}" for i in range(300)), "a0", "leads through more than 100 names"),
        ("a = (", "a", "not valid Python"),
    ],
)
def test_names_that_lead_nowhere(text: str, name: str, message: str) -> None:
    with pytest.raises(NATError) as caught:
        assigned(text, name)
    assert message in str(caught.value)
