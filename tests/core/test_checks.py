"""Names, JSON values and single fields: what passes, what is refused, and that no value can hurt the check itself."""

from __future__ import annotations

import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable
from enum import IntEnum
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core import checks
from kernel.core.checks import LIMITS, check_json, check_name
from kernel.errors import InvalidDefinition, InvalidInput

GOOD_NAMES = (
    "a", "order-7", "Order_7.v2", "order:7", "mit Leerzeichen", "größe", "注文", "🛒", "e\u0301", "-", "...", "a.",
    "C:", "%2e%2e", "CON", "'; DROP TABLE task; --", "100%", "[x]]", "<script>", "workflow", "x" * 200,
)
BAD_NAMES = (
    ("", "empty"),
    ("x" * 201, "at most 200"),
    ("x" * 10_000, "10,000 characters"),
    ("a\0b", "U+0000"),
    ("a\nb", "U+000A"),
    ("\x1b[31m", "U+001B"),
    ("\ud800", "U+D800"),
    ("a\u202eb", "U+202E"),
    ("a\u200db", "U+200D"),
    ("a\u00a0b", "U+00A0"),
    (" a", "blank"),
    ("a ", "blank"),
    (" ", "blank"),
    ("a/b", "'/'"),
    ("../../etc/passwd", "'/'"),
    ("C:\\x", "reserved"),
    ("a~1", "'~'"),
    ("a#b", "'#'"),
    (".", "folder"),
    ("..", "folder"),
)


class Number(IntEnum):
    """A number that is one of an enumeration, as callers have them."""

    SEVEN = 7


def nested(depth: int, wrap: Callable[[Any], Any] = lambda inner: [inner]) -> Any:
    """A value with `depth` arrays in one another, made without recursion."""
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_name_that_prints_is_returned_unchanged(name: str) -> None:
    """Any script, punctuation and blanks inside are fine: only what an id cannot carry everywhere is refused."""
    assert check_name(name, what="id") is name


@pytest.mark.parametrize(("name", "why"), BAD_NAMES, ids=[repr(name)[:24] for name, _ in BAD_NAMES])
def test_a_name_that_cannot_be_an_id_everywhere_is_refused(name: str, why: str) -> None:
    """The message says what is wrong, in text that is safe to print and not long, whatever the name holds."""
    with pytest.raises(InvalidInput) as caught:
        check_name(name, what="workflow id", error=InvalidInput)
    assert why in caught.value.why
    assert "workflow id" in caught.value.asked
    assert len(str(caught.value)) < 500
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))


@pytest.mark.parametrize("value", [None, 7, b"x", ["x"], nested(5_000), 10**5_000], ids=checks.shown)
def test_a_name_must_be_text(value: object) -> None:
    """Also a value whose own repr would fail ends in a clear refusal."""
    with pytest.raises(InvalidDefinition, match="name must be text"):
        check_name(value, what="name")


def test_a_name_may_be_bounded_otherwise() -> None:
    """Ids of children are longer than names; their caller says how long."""
    assert check_name("x" * 300, what="id", longest=300) == "x" * 300
    with pytest.raises(InvalidDefinition, match="at most 5 are allowed"):
        check_name("sixsix", what="id", longest=5)


@given(st.text())
def test_a_name_is_accepted_or_refused_and_nothing_else(text: str) -> None:
    """No text makes the check fail in another way; what it accepts holds nothing reserved."""
    with contextlib.suppress(InvalidDefinition):
        assert check_name(text, what="id") == text
        assert not set(text) & set(checks.RESERVED)
        assert text.isprintable()


def test_json_text_is_canonical() -> None:
    """Keys are sorted, nothing is padded, letters stand as they are; key order, tuples and enums make no difference."""
    value = {"b": [1, 2.5, None, True], "a": "größe ☃"}
    same = OrderedDict([("a", "größe ☃"), ("b", (1, 2.5, None, True))])
    assert check_json(value, what="x") == '{"a":"größe ☃","b":[1,2.5,null,true]}' == check_json(same, what="x")
    assert check_json({"n": Number.SEVEN}, what="x") == '{"n":7}'


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
def test_every_json_value_survives(value: object) -> None:
    """Reading the text gives the value back, and writing that gives the same text."""
    text = check_json(value, what="x")
    assert json.loads(text) == value
    assert check_json(json.loads(text), what="x") == text


def holds_itself() -> Any:
    """A list that holds itself many times: its text has no end, and a naive walk none either."""
    value: list[Any] = []
    value.extend([value] * 1_000)
    return value


def repeats() -> Any:
    """A small value whose text would have 2**60 zeros: each level holds the one below twice."""
    value: Any = [0, 0]
    for _ in range(60):
        value = {"a": value, "b": value}
    return value


NOT_JSON: dict[str, tuple[Any, str]] = {
    "nan": (float("nan"), "at '$': nan is not a JSON number"),
    "infinity in a list": ({"a": [1, float("-inf")]}, "at '$.a[1]': -inf"),
    "bytes": ({"raw": b"x"}, "at '$.raw': a value of type bytes"),
    "a set": ([{1}], "at '$[0]': a value of type set"),
    "an object": (object(), "a value of type object"),
    "a number as key": ({1: 2}, "a key of an object is not text"),
    "None as key": ([{None: 2}], "at '$[0]'"),
    "surrogate": (["ok", "\udc00"], "at '$[1]': the text '\\udc00' holds a lone surrogate"),
    "surrogate in a key": ({"\ud800": 1}, "lone surrogate"),
    "5,000 digits": ([10**5_000], "more than 4,000 digits"),
    "4,001 digits": (10**4_000, "more than 4,000 digits"),
    "-4,001 digits": (-(10**4_000), "more than 4,000 digits"),
    "-5,000 digits": (-(10**5_000), "more than 4,000 digits"),
    "101 arrays": (nested(101), "more than 100 levels"),
    "20,000 arrays": (nested(20_000), "more than 100 levels"),
    "20,000 objects": (nested(20_000, lambda inner: {"a": inner}), "more than 100 levels"),
    "a list that holds itself": (holds_itself(), "or holds itself"),
}


@pytest.mark.parametrize(("value", "why"), NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_is_refused_with_its_path(value: object, why: str) -> None:
    """The message names the payload and where in it the fault is; no value leads to any other error."""
    with pytest.raises(InvalidInput) as caught:
        check_json(value, what="the output of task 'a'")
    assert why in caught.value.why
    assert "the output of task 'a'" in caught.value.asked
    assert len(str(caught.value)) < 1_000


def test_a_long_path_is_cut_in_the_message() -> None:
    """A key of a million characters does not fill the terminal."""
    with pytest.raises(InvalidInput) as caught:
        check_json({"k" * 100_000: float("nan")}, what="x")
    assert len(str(caught.value)) < 500


TOO_LARGE: dict[str, Any] = {
    "text": "x" * LIMITS.payload,
    "text of two bytes each": "ü" * (LIMITS.payload // 2),
    "text that is escaped": "\0" * (LIMITS.payload // 5),
    "key": {"x" * LIMITS.payload: 1},
    "long list": [0] * LIMITS.payload,
    "many long lists": [[0] * 1_000] * 2_000,
    "64 MB": ["x" * 65_536] * 1_024,
    "large object": {str(n): n for n in range(200_000)},
    "many long numbers": [10**3_999] * 1_000,
    "shared parts": repeats(),
}


@pytest.mark.parametrize("value", [
    pytest.param(value, id=name, marks=[pytest.mark.no_cover] if "list" in name or name == "shared parts" else [])
    for name, value in TOO_LARGE.items()])
def test_what_is_too_large_once_written_is_refused(value: object) -> None:
    """The bound is on the text in UTF-8, and is found without writing what would be huge."""
    with pytest.raises(InvalidInput, match="longer than 1,048,576 bytes"):
        check_json(value, what="x")


def test_the_bounds_themselves_are_allowed() -> None:
    """A value just within each bound passes."""
    assert len(check_json("x" * (LIMITS.payload - 2), what="x")) == LIMITS.payload
    assert check_json(nested(100), what="x").count("[") == 100
    assert len(check_json(10**4_000 - 1, what="x")) == 4_000
    assert check_json(nested(100, lambda inner: {"a": inner}), what="x").count("{") == 100


def test_the_limits_are_those_that_users_were_told() -> None:
    """Lowering one breaks what worked; raising one is a promise to every store."""
    assert (LIMITS.tasks, LIMITS.inline, LIMITS.name, LIMITS.depth) == (200_000, 20, 200, 100)
    assert (LIMITS.payload, LIMITS.digits, LIMITS.whole) == (1_048_576, 4_000, 2_147_483_647)
    assert (LIMITS.seconds, LIMITS.tick) == (3_153_600_000.0, 0.000001)


def test_the_class_of_the_error_is_the_callers() -> None:
    """What is part of a definition is its author's fault, what is a payload its caller's."""
    with pytest.raises(InvalidDefinition):
        check_json(float("nan"), what="x", error=InvalidDefinition)


SHOWN = [
    ("a", "'a'"), (7, "7"), (True, "True"), (None, "None"), (1.5, "1.5"), (10**18, "a value of type int"),
    (10**5_000, "a value of type int"), (nested(5_000), "a value of type list"), (b"x", "a value of type bytes"),
]


@pytest.mark.parametrize(("value", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_a_value_is_shown_briefly(value: object, text: str) -> None:
    """Messages quote small values and name the type of all others."""
    assert checks.shown(value) == text


def test_the_nearest_name_is_hinted_at() -> None:
    """A name like the one given is proposed; nothing is when none is like it, and a search stays short."""
    assert checks.nearest("reserv", ["ship", "reserve"]) == "did you mean 'reserve'?"
    assert checks.nearest("zzz", ["ship", "reserve"]) == ""
    assert checks.nearest("t199999x", (f"t{n}" for n in range(200_000))) != ""


def test_a_place_is_put_in_front_and_nothing_is_lost() -> None:
    """The parts of the error keep their meaning under the new beginning."""
    error = checks.placed(
        InvalidInput("field 'a'", stands="there", why="because", allowed=("x",), hint="do"), "file 'f'"
    )
    assert type(error) is InvalidDefinition
    assert (error.asked, error.stands, error.why) == ("file 'f', field 'a'", "there", "because")
    assert (error.allowed, error.hint) == (("x",), "do")


END = partial(checks.choice, choices=["RED", "BLUE"])
FIELDS: list[tuple[Callable[..., None], list[Any], list[Any]]] = [
    (partial(checks.whole, least=0), [0, 1, LIMITS.whole], [-1, LIMITS.whole + 1, 1.0, True, "1", None, 10**5_000]),
    (
        partial(checks.seconds, least=0.5), [0.5, 1.0, LIMITS.seconds],
        [0.0, -1.0, float("nan"), float("inf"), -float("inf"), LIMITS.seconds * 1.1, 1, 10**400, True, "1", None],
    ),
    (checks.flag, [True, False], [0, 1, "true", None]),
    (END, ["RED", "BLUE"], ["red", "", None, 1, ["RED"]]),
    (checks.names, [(), ("a", "b")], ["a", ["a"], ("a", "a"), ("a", 1), ("a", "b/c"), None]),
]


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, good, _ in FIELDS for value in good])
def test_a_field_in_its_bounds_passes(check: Callable[..., None], value: object) -> None:
    """The bounds belong to what is allowed."""
    check("task 'a'", "size", value)


@pytest.mark.parametrize(
    ("check", "value"), [(check, value) for check, _, bad in FIELDS for value in bad], ids=checks.shown
)
def test_a_field_out_of_its_bounds_is_refused(check: Callable[..., None], value: object) -> None:
    """The refusal names place and field, whatever the value is."""
    with pytest.raises(InvalidDefinition) as caught:
        check("task 'a'", "size", value)
    assert caught.value.asked.startswith("task 'a', field 'size'")


def test_a_choice_lists_what_is_allowed_and_the_nearest() -> None:
    """The reader sees the choices, and which of them was probably meant."""
    with pytest.raises(InvalidDefinition) as caught:
        checks.choice("task 'a'", "end", "FAILLED", ("COMPLETED", "FAILED"))
    assert caught.value.allowed == ("COMPLETED", "FAILED")
    assert caught.value.hint == "did you mean 'FAILED'?"
