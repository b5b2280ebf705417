"""The Python functions made of expressions say what the expressions mean."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from kernel.spec import SPEC
from kernel.spec.evaluate import Counters, function, guard_function
from kernel.spec.language import (
    Expr,
    F,
    Guard,
    Linked,
    Lit,
    Op,
    Param,
    both,
    earliest,
    either,
    eq,
    every,
    is_,
    latest,
    lt,
    minus,
    no,
    some,
)
from kernel.spec.logic import OTHER, domains, quantifiers, valuations
from kernel.spec.names import entering
from tests.spec.stand import count, leaves, make, meaning, situations, valuation


def conditions() -> Iterator[tuple[str, Expr]]:
    """Every condition of the specification, with the kind of the row that it is read from."""
    for table in SPEC.tables.values():
        yield from ((table.kind.name, g.holds) for r in table.rows for g in r.guards)
    for step in (*SPEC.commands, *SPEC.progress, *entering(SPEC)):
        yield from ((step.on, g.holds) for g in step.guards)
        for fire in step.do:
            yield step.on if fire.at == "self" else SPEC.links[fire.at].target, fire.where
    for link in SPEC.links.values():
        yield link.source, link.present
    for prop in SPEC.properties:
        yield prop.on, prop.body


def values() -> Iterator[tuple[str, Expr]]:
    """Every value that a row sets and every measure, with the kind of the row that it is read from."""
    for table in SPEC.tables.values():
        yield from ((table.kind.name, value) for r in table.rows for _, value in r.set)
    for prop in SPEC.properties:
        yield from ((prop.on, value) for value in prop.measure)


CONDITIONS = list(dict.fromkeys(conditions()))
VALUES = list(dict.fromkeys(values()))


def may_be_absent(kind: str, expr: Expr) -> bool:
    """Whether an expression reads over a link that is absent from some rows."""
    return any(SPEC.links[f.via[0]].present != both() for f in leaves([expr]) if isinstance(f, F) and f.via)


@pytest.mark.slow
def test_every_condition_means_what_it_says() -> None:
    """Each condition of the specification, as a function, is true just where a plain reading of it is: over all
    valuations of its atoms, and where a link is absent. Only INV-06 and INV-14 have atoms that exclude each other.
    """
    met, partly = 0, []
    for kind, condition in CONDITIONS:
        test, realised = function(condition, {}), set()
        for situation in situations(kind, condition):
            assert bool(test(situation.row, situation.given)) == meaning(condition, situation.row, situation.given)
            if not may_be_absent(kind, condition):
                realised.add(valuation([condition], situation))
        if not may_be_absent(kind, condition) and realised != {frozenset(v.items()) for v in valuations(condition)}:
            partly.append(condition)
        met += len(realised)
    assert partly == [p.body for p in SPEC.properties if p.id in ("INV-06", "INV-14")]
    assert met > 500


def test_every_value_means_what_it_says() -> None:
    """Each value that a row sets, as a function, is the value that a plain reading of it gives."""
    for kind, value in VALUES:
        compute = function(value, {})
        tried = list(situations(kind, value))
        assert tried
        for situation in tried:
            assert compute(situation.row, situation.given) == meaning(value, situation.row, situation.given)


def test_counters_stand_for_the_rows_behind() -> None:
    """With a place for each quantifier a condition reads counters only, and says what the rows behind would say."""
    counted = [(kind, c) for kind, c in CONDITIONS if quantifiers(c)]
    assert counted
    for kind, condition in counted:
        places = {q: 2 * i + 1 for i, q in enumerate(quantifiers(condition))}
        test = function(condition, places)
        for situation in situations(kind, condition):
            expected = meaning(condition, situation.row, situation.given)
            count(situation.row, places, [condition])
            situation.row.sets = None
            assert bool(test(situation.row, situation.given)) == expected


def test_a_counter_beside_rows() -> None:
    """Quantifiers with a place read their counter, the others the rows behind."""
    well, open_ = every("tasks", Guard("well", is_("COMPLETED"))), some("tasks", Guard("open", is_("PENDING")))
    test = function(both(well, open_), {well: 0})
    row = make("workflow", counts=[0], sets={"tasks": [make("task", state="PENDING")]})
    assert test(row, {}) is True
    row.counts = [1]
    assert test(row, {}) is False


a, b, c, d = (eq(F(name), 1) for name in "abcd")
RAISES = eq(F("missing"), 1)
SHORT: list[tuple[Expr, bool]] = [
    (both(), True),
    (either(), False),
    (both(a), True),
    (both(a, a), True),
    (both(a, no(a), RAISES), False),
    (both(no(a), RAISES), False),
    (both(a, a, no(a), RAISES), False),
    (both(a, a, a, no(a), RAISES), False),
    (both(a, a, a, a, a), True),
    (either(no(a), no(a), a, RAISES), True),
    (either(a, RAISES), True),
    (either(no(a), no(a)), False),
    (either(no(a), no(a), no(a)), False),
    (either(both(a, no(a)), both(a, a), RAISES), True),
]


@pytest.mark.parametrize(("expr", "expected"), SHORT)
def test_conditions_are_read_from_left_to_right(expr: Expr, expected: bool) -> None:
    """What stands to the right is not read when what stands to the left decides: that is how a link is protected."""
    assert function(expr, {})(SimpleNamespace(a=1), {}) is expected


LOOKED_UP: list[tuple[Expr, bool]] = [
    (is_("RUNNING"), True),
    (is_("PAUSED"), False),
    (is_("PAUSED", "RUNNING", "FAILED"), True),
    (is_("PAUSED", "FAILED"), False),
    (is_("RUNNING", "RUNNING"), True),
    (is_("PAUSED", of=("wf",)), True),
    (either(is_("PAUSED"), is_("RUNNING")), True),
    (either(eq(F("state"), "PAUSED"), eq(F("state", ("wf",)), "PAUSED")), True),
    (either(eq(F("state"), "PAUSED"), eq(F("state"), F("state", ("wf",)))), False),
    (either(eq(Param("x"), 1), eq(Param("x"), 2)), True),
    (either(eq(Param("x"), 1), eq(Param("x"), 3)), False),
    (either(lt(F("n"), 3), lt(F("n"), 2)), True),
    (either(eq(Lit(1), 1)), True),
]


@pytest.mark.parametrize(("expr", "expected"), LOOKED_UP)
def test_a_field_is_looked_up_once(expr: Expr, expected: bool) -> None:
    """`x == a or x == b` is one look-up where x is one field, and means the same where it is not."""
    row = SimpleNamespace(state="RUNNING", n=2, wf=SimpleNamespace(state="PAUSED"))
    assert function(expr, {})(row, {"x": 2}) is expected


def test_a_membership_reads_its_field_once() -> None:
    """However many states a condition names, the row is read once."""

    class Row:
        reads = 0

        @property
        def state(self) -> str:
            self.reads += 1
            return "COMPLETED"

    row = Row()
    assert function(is_("RUNNING", "PAUSED", "COMPLETED"), {})(row, {}) is True
    assert row.reads == 1


COMPUTED: list[tuple[Expr, Any]] = [
    (Lit(7), 7),
    (F("n"), 2),
    (F("n", ("wf",)), 5),
    (F("n", then=True), 3),
    (F("n", ("wf",), then=True), 6),
    (Param("x"), 4),
    (Op("add", (F("n"), Param("x"))), 6),
    (Op("add", (Param("x"), F("n"))), 6),
    (minus(F("n"), Param("x")), -2),
    (minus(Param("x"), F("n")), 2),
    (earliest(F("n"), Param("x")), 2),
    (latest(F("n"), Param("x")), 4),
    (earliest(Param("x"), F("n", ("wf",)), F("n"), 3), 2),
    (latest(F("n"), F("n", ("wf",)), Param("x")), 5),
    (lt(F("n"), 2), False),
    (lt(F("n"), 3), True),
    (lt(Param("x"), F("n")), False),
    (lt(F("n"), Param("x")), True),
    (eq(Param("x"), F("n")), False),
    (eq(Param("x"), 4), True),
    (eq(F("n"), F("n", then=True)), False),
    (lt(F("n"), F("n", then=True)), True),
]


@pytest.mark.parametrize(("expr", "expected"), COMPUTED)
def test_values_are_computed(expr: Expr, expected: Any) -> None:
    """Fields, presented values, sums and comparisons; `then` is read from the row as the step left it."""
    after = SimpleNamespace(n=3, wf=SimpleNamespace(n=6))
    row = SimpleNamespace(n=2, wf=SimpleNamespace(n=5), then=after)
    assert function(expr, {})(row, {"x": 4}) == expected
    assert meaning(expr, row, {"x": 4}) == expected


def test_linked_is_the_very_row() -> None:
    """`Linked` holds of the rows behind the link of the row that the caller names, and of no other."""
    test = function(Linked("tree", "from_task"), {})
    row, other = make("workflow"), make("workflow")
    assert test(row, {"from_task": make("task", sets={"tree": [make("workflow"), row]})}) is True
    assert test(other, {"from_task": make("task", sets={"tree": [row]})}) is False
    assert not any(test(row, given) for given in ({"from_task": None}, {}))


def test_guard_function_is_that_of_its_condition() -> None:
    """A guard is evaluated as the condition that it names, with the same counters."""
    q = some("tasks", Guard("open", is_("PENDING")))
    places: Counters = {q: 0}
    test = guard_function(Guard("some open", q), places)
    assert [test(make("workflow", counts=[n]), {}) for n in (0, 3)] == [False, True]


def test_valuations_leave_nothing_out() -> None:
    """The domains over which all this is tried hold every literal that a field is compared with, and one value more."""
    assert domains(is_("RUNNING"), no(is_("PAUSED"))) == {F("state"): ("RUNNING", "PAUSED", OTHER)}
