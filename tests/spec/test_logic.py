"""Expressions as logic: atoms, valuations, what follows from a condition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.spec.language import (
    YES,
    Expr,
    F,
    Guard,
    Linked,
    Lit,
    Op,
    Param,
    both,
    either,
    eq,
    every,
    implies,
    is_,
    lt,
    no,
    plus,
    some,
)
from kernel.spec.logic import (
    NEVER_HOLDS,
    OTHER,
    choice,
    domains,
    facts,
    fold,
    hedged,
    over,
    params,
    quantifiers,
    reads,
    satisfiable,
    truth,
    valuations,
    walk,
)

a, b, c = eq(F("a"), 1), eq(F("b"), "x"), lt(F("n"), Param("now"))
body = Guard("body", eq(F("far"), 1))
q, r = every("tasks", body), some("tasks", body)

simple = st.sampled_from([a, eq(F("a"), 2), b, c, q])
formulas = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(no, inner),
        st.lists(inner, max_size=3).map(lambda xs: both(*xs)),
        st.lists(inner, max_size=3).map(lambda xs: either(*xs)),
    ),
    max_leaves=6,
)


def test_walk_goes_outermost_first_and_not_into_quantifiers() -> None:
    """All parts of an expression are met, the body of a quantifier is not: it is read from another row."""
    expr = both(a, q)
    assert list(walk(expr)) == [expr, a, F("a"), Lit(1), q]


def test_parts_of_an_expression() -> None:
    """What an expression quantifies, reads and asks of the caller, from left to right."""
    expr = both(r, c, Linked("tree", "from_task"), either(q, eq(F("s", ("wf",)), Param("origin"))))
    assert quantifiers(expr) == (r, q)
    assert reads(expr) == (F("n"), F("s", ("wf",)))
    assert params(expr) == ("now", "from_task", "origin")


def test_choice_is_a_comparison_with_a_constant() -> None:
    """Only `x == literal` is one, with the literal on the right."""
    assert choice(a) == (F("a"), 1)
    assert choice(eq(Lit(1), F("a"))) is None
    assert choice(eq(F("a"), F("b"))) is None
    assert choice(lt(F("a"), 1)) is None
    assert choice(F("a")) is None


def test_domain_of_a_compared_value_has_one_value_more() -> None:
    """A compared value is one of its literals or another one, also where these are 0 and 1: it may be a number."""
    assert domains(eq(F("n"), 0), no(eq(F("n"), 1)), b) == {F("n"): (0, 1, OTHER), F("b"): ("x", OTHER)}


def test_domain_of_any_other_condition_is_true_or_false() -> None:
    """What is not compared with a constant is an atom that holds or does not."""
    assert domains(both(c, either(q, c))) == {c: (True, False), q: (True, False)}


def test_valuations_are_all_combinations() -> None:
    """Every combination of the atoms' values occurs once; without atoms there is one, the empty one."""
    found = [tuple(v.items()) for v in valuations(a, c)]
    assert len(found) == len(set(found)) == 4
    assert list(valuations(both())) == [{}]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [(a, True), (no(a), False), (both(a, b), False), (either(b, a), True), (both(), True), (either(), False), (c, True),
     (no(q), True), (eq(F("a"), 2), False)],
)
def test_truth_under_a_valuation(expr: Expr, expected: bool) -> None:
    """Conditions are true as their atoms say."""
    assert truth(expr, {F("a"): 1, F("b"): OTHER, c: True, q: False}) is expected


@given(formulas)
def test_facts_follow_from_a_condition(formula: Expr) -> None:
    """Where a condition is true all its facts are true, and where it is false all facts of its falsehood are."""
    for v in valuations(formula):
        holds = truth(formula, v)
        assert all(truth(fact, v) for fact in facts(formula, holds))


@pytest.mark.parametrize(
    ("expr", "holds", "expected"),
    [
        (both(a, both(b, no(c))), True, (a, b, no(c))),
        (either(a, no(b)), False, (no(a), b)),
        (no(either(a, b)), True, (no(a), no(b))),
        (no(both(a, b)), False, (a, b)),
        (is_("RUNNING"), True, (eq(F("state"), "RUNNING"),)),
        (both(a), False, (no(a),)),
        (either(a, b), True, (either(a, b),)),
        (both(a, b), False, (no(both(a, b)),)),
        (both(), True, ()),
        (no(no(a)), True, (a,)),
    ],
)
def test_facts_of_a_condition(expr: Expr, holds: bool, expected: tuple[Expr, ...]) -> None:
    """The parts of a condition that are certain: what `and` joins where it holds, what `or` joins where it does not."""
    assert facts(expr, holds) == expected


def test_over_reads_from_the_start_of_a_path() -> None:
    """A condition of a far row, as read over the path that leads to it; constants and presented values stay."""
    far = both(no(eq(F("root"), 1)), lt(F("n", ("wf",)), plus(Param("now"), 1)))
    near = both(no(eq(F("root", ("up",)), 1)), lt(F("n", ("up", "wf")), plus(Param("now"), 1)))
    assert over(("up",), far) == near
    assert over((), far) == far


@given(formulas)
def test_satisfiable_is_the_search_for_a_valuation(formula: Expr) -> None:
    """A condition is satisfiable or its contrary holds always."""
    assert satisfiable(formula) == any(truth(formula, v) for v in valuations(formula))
    assert satisfiable(formula) or satisfiable(no(formula))


def test_satisfiable_where_something_is_given() -> None:
    """A given value of an atom counts, also one that no condition compares with."""
    state = F("state")
    assert satisfiable(is_("RUNNING", "PAUSED"), given={state: "PAUSED"})
    assert not satisfiable(is_("RUNNING", "PAUSED"), given={state: "FAILED"})
    assert satisfiable(no(is_("RUNNING")), given={state: "FAILED"})
    assert not satisfiable(no(is_("RUNNING")), given={state: "RUNNING"})
    assert not satisfiable(a, no(a))
    assert satisfiable(Op("and", ()))


# ---- what is known ----------------------------------------------------------------------------------------------------------
e, f = eq(Param("a"), 1), eq(Param("b"), 1)
FOLDED: list[tuple[Expr, Expr]] = [
    (is_("RUNNING"), YES),
    (is_("PAUSED"), NEVER_HOLDS),
    (is_("PAUSED", "RUNNING"), YES),
    (no(is_("RUNNING")), NEVER_HOLDS),
    (no(is_("PAUSED")), YES),
    (both(is_("RUNNING"), e), both(e)),
    (both(e, is_("PAUSED"), f), NEVER_HOLDS),
    (either(is_("PAUSED"), e), either(e)),
    (either(e, is_("RUNNING")), YES),
    (no(both(is_("RUNNING"), e)), no(both(e))),
    (lt(F("attempt"), 3), lt(F("attempt"), 3)),
    (is_("RUNNING", of=("wf",)), is_("RUNNING", of=("wf",))),
    (Lit(1), Lit(1)),
]


@pytest.mark.parametrize(("condition", "left"), FOLDED, ids=str)
def test_what_is_known_is_folded_away(condition: Expr, left: Expr) -> None:
    """Where the state is known a condition is decided, or only what is open of it is left."""
    assert fold(condition, {F("state"): "RUNNING"}) == left


@given(formulas, st.sets(st.sampled_from([a, eq(F("a"), 2), b, c, q])))
def test_what_is_not_known_is_left_out_on_the_safe_side(condition: Expr, known: set[Expr]) -> None:
    """Where the condition is true, what is left of it for `holds` is; where what is left without is true, the condition is."""
    easier, harder = (hedged(condition, lambda atom: atom in known, holds=holds) for holds in (True, False))
    for valuation in valuations(condition, easier, harder):
        assert truth(easier, valuation) or not truth(condition, valuation)
        assert truth(condition, valuation) or not truth(harder, valuation)
    for left in (easier, harder):
        assert set(domains(left)) <= {part for atom in known for part in domains(atom)}


def test_what_is_known_is_left() -> None:
    """With all of it known a condition is the same; with nothing known it is decided by where it is used."""
    condition = implies(both(a, no(b)), c)
    assert hedged(condition, lambda atom: True, holds=True) == hedged(condition, lambda atom: True, holds=False) == condition
    assert fold(hedged(condition, lambda atom: False, holds=True), {}) == YES
    assert fold(hedged(condition, lambda atom: False, holds=False), {}) == NEVER_HOLDS
    assert fold(hedged(condition, lambda atom: atom != c, holds=False), {}) == either(no(both(a, no(b))))
