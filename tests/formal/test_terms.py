"""Ground terms: folding never changes what a term is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hypothesis import given
from hypothesis import strategies as st

from kernel.formal.terms import (
    LATER,
    Ground,
    Local,
    Read,
    Term,
    compared,
    conjunction,
    disjunction,
    negation,
    slots,
    summed,
)

SLOTS = 3
State = Mapping[int, int]


def meaning(part: Ground, state: State) -> int:
    """A term under values of its variables."""
    if isinstance(part, Read):
        return state[part.slot]
    if not isinstance(part, Term):
        assert not isinstance(part, Local)
        return part
    if part.op == "and":
        return all(meaning(arg, state) for arg in part.args)
    if part.op == "or":
        return any(meaning(arg, state) for arg in part.args)
    values = [meaning(arg, state) for arg in part.args]
    if part.op == "not":
        return not values[0]
    if part.op == "if":
        return values[1] if values[0] else values[2]
    a, b = values
    return {"eq": a == b, "lt": a < b, "add": a + b, "sub": a - b}[part.op]




def larger(smaller: st.SearchStrategy[Ground]) -> st.SearchStrategy[Ground]:
    """Sums of values, and values that depend on a condition."""
    condition = st.builds(lambda a, b: Term("eq", (a, b)), smaller, smaller)
    return st.builds(lambda a, n: summed("add", a, n), smaller, st.integers(0, 3)) | st.builds(
        lambda c, a, b: Term("if", (c, a, b)), condition, smaller, smaller)


values = st.recursive(st.integers(0, 3) | st.builds(Read, st.integers(0, SLOTS - 1)), larger, max_leaves=5)
states = st.fixed_dictionaries({slot: st.integers(0, 3) for slot in range(SLOTS)})
conditions = st.booleans() | st.builds(compared, st.sampled_from(["eq", "lt"]), values, values)


@given(op=st.sampled_from(["eq", "lt"]), a=values, b=values, state=states)
def test_comparisons_keep_their_meaning(op: str, a: Ground, b: Ground, state: State) -> None:
    """A comparison that is taken apart or decided at once says what it said, and holds no choice any more."""
    x, y = meaning(a, state), meaning(b, state)
    found = compared(op, a, b)
    assert bool(meaning(found, state)) == (x == y if op == "eq" else x < y)
    assert not isinstance(found, Term) or found.op in ("eq", "lt", "and", "or", "not")


@given(parts=st.lists(conditions, max_size=4), state=states)
def test_joined_conditions_keep_their_meaning(parts: list[Ground], state: State) -> None:
    """And, or and not of conditions are what they were, with what is known left out."""
    holding = [bool(meaning(part, state)) for part in parts]
    assert bool(meaning(conjunction(parts), state)) == all(holding)
    assert bool(meaning(disjunction(parts), state)) == any(holding)
    assert [bool(meaning(negation(part), state)) for part in parts] == [not held for held in holding]


@given(op=st.sampled_from(["add", "sub", "min", "max"]), a=values, b=values, state=states)
def test_sums_keep_their_meaning(op: str, a: Ground, b: Ground, state: State) -> None:
    """A sum of what is known is a number between 0 and the time that never comes."""
    x, y = meaning(a, state), meaning(b, state)
    wanted = {"add": x + y, "sub": x - y, "min": min(x, y), "max": max(x, y)}[op]
    known = isinstance(a, int) and isinstance(b, int)
    assert meaning(summed(op, a, b), state) == (max(0, min(LATER, wanted)) if known and op in ("add", "sub") else wanted)


def test_what_is_decided_is_decided_early() -> None:
    """What a part that is known decides is not asked of the parts behind it, which it may protect."""
    assert conjunction(part for part in (False, 1 / 1 > 2)) is False
    assert disjunction(iter([True])) is True
    behind: Iterator[Ground] = iter([True, Read(0)])
    assert disjunction(behind) is True
    assert list(behind) == [Read(0)]
    assert compared("eq", Term("sub", (Read(1), 1)), Read(1)) is False
    assert compared("lt", Read(1), Term("add", (Read(1), 1))) is True
    assert summed("add", LATER, 1) == LATER


def test_the_variables_of_a_term() -> None:
    """Only those that are read before the step."""
    term = Term("and", (Term("eq", (Read(1), 2)), Term("lt", (Read(2, then=True), Read(3)))))
    assert [*slots(term)] == [1, 3]
