"""The specification language: how values are put together, and how a table is read."""

from __future__ import annotations

import attrs
import pytest

from kernel.spec.language import (
    YES,
    F,
    Guard,
    Kind,
    Lit,
    NoOp,
    Op,
    Refusal,
    Row,
    Spec,
    Step,
    Table,
    both,
    earliest,
    either,
    eq,
    every,
    implies,
    is_,
    latest,
    lt,
    minus,
    no,
    plus,
    some,
    then_,
)

a, b = eq(F("a"), 1), eq(F("b"), 2)
named = Guard("a", a, "it is not a")
KIND = Kind("job", ("ABSENT", "OPEN", "DONE"), ("DONE",), (), (), {"ABSENT": 2, "OPEN": 1, "DONE": 0})
TABLE = Table(
    KIND,
    (Row("OPEN", ("ABSENT",), "OPEN"), Row("DO", ("OPEN",), "DONE", (named,)), Row("DO", ("OPEN",), "OPEN")),
    (NoOp("DO", ("DONE",), "it is done"),),
    (Refusal("DO", ("ABSENT",), "there is none"),),
)


def test_words_make_expressions() -> None:
    """Each word of the language is one operation; constants and named conditions are taken as they are meant."""
    assert eq(F("a"), "x") == Op("eq", (F("a"), Lit("x")))
    assert lt(1, F("a")) == Op("lt", (Lit(1), F("a")))
    assert plus(F("a"), 1) == Op("add", (F("a"), Lit(1)))
    assert minus(F("a"), F("b")) == Op("sub", (F("a"), F("b")))
    assert earliest(F("a"), 1, F("b")) == Op("min", (F("a"), Lit(1), F("b")))
    assert latest(F("a"), F("b")) == Op("max", (F("a"), F("b")))
    assert no(named) == no(a) == Op("not", (a,))
    assert both(named, b) == Op("and", (a, b))
    assert either(a, named) == Op("or", (a, a))
    assert implies(a, b) == either(no(a), b)
    assert both() == YES


def test_words_for_states() -> None:
    """One of some states: now, at the end of a path, after the step."""
    assert is_("OPEN", "DONE") == either(eq(F("state"), "OPEN"), eq(F("state"), "DONE"))
    assert is_("OPEN", of=("up",)) == either(eq(F("state", ("up",)), "OPEN"))
    assert then_("DONE") == either(eq(F("state", then=True), "DONE"))


def test_quantifiers_keep_their_named_condition() -> None:
    """`every` and `some` differ in their word only, and can be told apart by what they count."""
    assert every("tasks", named) != some("tasks", named)
    assert (every("tasks", named).link, every("tasks", named).body) == ("tasks", named)
    assert len({every("tasks", named), every("tasks", named), some("tasks", named)}) == 2


def test_a_row_takes_its_fields_in_either_form() -> None:
    """What a row sets may be written as a mapping; it is kept as pairs, in order, so that rows can be compared."""
    pairs = (("a", Lit(1)), ("b", F("a")))
    assert Row("DO", ("OPEN",), "DONE", set=dict(pairs)) == Row("DO", ("OPEN",), "DONE", set=pairs)
    assert Row("DO", ("OPEN",), "DONE").set == ()


def test_values_do_not_change() -> None:
    """The values of the language are frozen."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        named.name = "b"  # type: ignore[misc]


def test_a_table_knows_its_events_and_cells() -> None:
    """Events stand in the order in which rows name them; a cell has its rows in the order of the table."""
    assert TABLE.events == ("OPEN", "DO")
    assert TABLE.rows_for("DO", "OPEN") == TABLE.rows[1:]
    assert TABLE.rows_for("DO", "DONE") == ()


def test_a_command_is_found_by_its_name() -> None:
    """`command` gives the command of a name, and only commands have names for it."""
    do = Step("DO", "job", ())
    spec = Spec({"job": KIND}, {}, {"job": TABLE}, (), (Step("OPEN", "job", ()), do), (Step("RULE", "job", ()),), ())
    assert spec.command("DO") is do
    with pytest.raises(StopIteration):
        spec.command("RULE")
