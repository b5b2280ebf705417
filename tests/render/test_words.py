"""Expressions read aloud say what they mean, and different ones read differently."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kernel.render.words import Reader, guards, guards_of, reader, state_tests, unchanged
from kernel.spec import SPEC
from kernel.spec.language import (
    NEVER,
    YES,
    Expr,
    F,
    Fire,
    Guard,
    Linked,
    Lit,
    Op,
    Param,
    Row,
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
from kernel.spec.vocabulary import CLOSED, ENDED, LIVE, OPEN, held, next_try, passable, retryable, wf_live

READ = reader(SPEC)
PLAIN = Reader(SPEC, {})
due = no(lt(Param("now"), F("not_before")))

READINGS: list[tuple[str, Expr, str]] = [
    ("task", both(held, wf_live), "lease held and workflow live"),
    ("task", held.holds, "lease held"),
    ("task", is_("FAILED", "TIMED_OUT"), "FAILED/TIMED_OUT"),
    ("task", is_("COMPLETED"), "COMPLETED"),
    ("task", is_(*OPEN), "open"),
    ("workflow", is_(*ENDED), "ended"),
    ("task", is_(*LIVE, of=("wf",)), "workflow live"),
    ("workflow", is_(*LIVE, of=("up", "wf")), "up.wf live"),
    ("workflow", is_("RUNNING", of=("up", "wf")), "up.wf RUNNING"),
    ("task", no(is_("COMPLETED")), "not COMPLETED"),
    ("task", then_("COMPLETED", "SKIPPED"), "next COMPLETED/SKIPPED"),
    ("task", due, "due"),
    ("task", lt(F("attempt"), Lit(3)), "attempt < 3"),
    ("task", no(lt(F("attempt"), Lit(3))), "attempt ≥ 3"),
    ("task", eq(F("mode"), "OTHER"), "mode = OTHER"),
    ("task", no(eq(F("asks"), "")), "asks ≠ nothing"),
    ("task", eq(F("optional"), 1), "optional"),
    ("task", eq(F("permissive"), 0), "not permissive"),
    ("task", no(eq(F("permissive"), 1)), "not permissive"),
    ("task", no(eq(F("permissive"), 0)), "permissive"),
    ("workflow", eq(F("optional", ("up",)), 1), "up.optional"),
    ("task", eq(F("attempt"), 1), "attempt = 1"),
    ("task", retryable.holds, "retryable"),
    ("task", eq(Param("claims"), F("handouts")), "presented claims = handouts"),
    ("task", implies(is_("FAILED"), is_("CANCELED", of=("child",))), "FAILED ⇒ child CANCELED"),
    ("task", implies(is_(*OPEN), held), "open ⇒ lease held"),
    ("task", both(is_("FAILED"), either(due, held)), "FAILED and (due or lease held)"),
    ("task", either(both(is_("FAILED"), due), held), "(FAILED and due) or lease held"),
    ("task", both(implies(due, held), due), "(due ⇒ lease held) and due"),
    ("task", no(both(due, held)), "not (due and lease held)"),
    ("task", either(*(both(is_(s), then_(s)) for s in ("FAILED", "SKIPPED")), due), "FAILED/SKIPPED unchanged or due"),
    ("workflow", every("tasks", Guard("closed", is_(*CLOSED))), "every row of tasks [closed]"),
    ("workflow", no(some("subs", Guard("odd", due))), "not some row of subs [odd]"),
    ("workflow", Linked("tree", "from_task"), "chosen task exists"),
    ("workflow", Linked("tree", "other"), "it is in tree of the presented other"),
    ("workflow", lt(F("run"), F("run", then=True)), "run < next run"),
    ("task", lt(Param("now"), plus(F("expires"), minus(F("lease"), Lit(2)))), "now < expires + (lease - 2)"),
    ("task", lt(latest(F("expires"), plus(F("lease"), Lit(2))), earliest(F("lease"), Lit(3), Lit(4))),
     "max(expires, lease + 2) < min(lease, 3, 4)"),
    ("task", eq(Lit(NEVER), F("expires")), "never = expires"),
]


@pytest.mark.parametrize(("kind", "expr", "words"), READINGS, ids=[words for _, _, words in READINGS])
def test_expression_reads(kind: str, expr: Expr, words: str) -> None:
    """Each kind of expression has its reading; named conditions and sets of states are read by their name."""
    assert READ.text(expr, kind) == words


DELAYED = "now + retry_delay + (retry_jitter times chance)"
NEXT_TRY = (
    f"not_before = {DELAYED}, expires = min({DELAYED} + poll_timeout, total_ends), attempt_ends = never, "
    "attempt + 1")
SETS = [
    ("task", next_try, NEXT_TRY),
    ("task", {"signalled": Lit(1)}, "signalled"),
    ("task", {"expires": Lit(NEVER)}, "expires = never"),
    ("task", {"not_before": plus(F("not_before"), minus(Param("now"), F("attempt")))}, "not_before + (now - attempt)"),
    ("task", {"not_before": plus(F("expires"), 1)}, "not_before = expires + 1"),
    ("task", {"attempt": Lit(0)}, "attempt = 0"),
    ("workflow", {"paused_at": Lit(0), "paused_by": Lit("")}, "paused_at = nothing, paused_by = nothing"),
    ("delivery", {"proof": Param("proof")}, "proof = presented proof"),
]


@pytest.mark.parametrize(("kind", "written", "words"), SETS, ids=[words for _, _, words in SETS])
def test_set_reads(kind: str, written: dict[str, Expr], words: str) -> None:
    """What a row writes is read as an increment where it is one, a flag as itself, anything else as an equation."""
    assert READ.sets(Row("ANY", ("A",), "B", (), written), kind) == words


def test_definition_avoids_its_own_name() -> None:
    """The definition of a named condition uses the names of others, never its own."""
    assert READ.definition(passable, "task") == "closed well or (closed badly and permissive)"
    assert "presented run = wf.run and presented handouts = handouts" in READ.definition(held, "task")
    for kind, guard in guards_of(SPEC):
        assert READ.definition(guard, kind)


def test_where_is_silent_about_all() -> None:
    """A Fire that reaches every row behind its link says nothing about which."""
    assert READ.where(Fire("CANCEL", "all_tasks"), "task") == ""
    assert READ.where(Fire("CANCEL", "all_tasks", due), "task") == "due"


def test_guards_are_listed_in_their_order() -> None:
    """The guards of a row are read by name, in the order in which they are asked."""
    assert guards((held, wf_live)) == "lease held, workflow live"


def everything() -> Iterator[tuple[str, Expr]]:
    """Every condition of the specification with its kind."""
    yield from ((kind, guard.holds) for kind, guard in guards_of(SPEC))
    yield from ((prop.on, prop.body) for prop in SPEC.properties if prop.body != YES)


def test_every_named_condition_is_found() -> None:
    """The conditions of rows, commands, rules and quantifiers are all there, those of quantifiers with the far kind."""
    found = {(kind, guard.name) for kind, guard in guards_of(SPEC)}
    assert {("task", "lease held"), ("task", "passed"), ("workflow", "deadline passed"), ("delivery", "delivered")} <= found
    rows = {(kind, g.name) for kind, table in SPEC.tables.items() for row in table.rows for g in row.guards}
    steps = {(step.on, g.name) for step in (*SPEC.commands, *SPEC.progress) for g in step.guards}
    assert rows | steps <= found


def test_different_conditions_read_differently() -> None:
    """Read without names, no two different conditions of the specification sound alike."""
    readings: dict[tuple[str, str], Expr] = {}
    for kind, expr in everything():
        assert readings.setdefault((kind, PLAIN.text(expr, kind)), expr) == expr


def test_readings_are_well_formed() -> None:
    """Brackets close, and nothing is read as a Python value."""
    for kind, expr in everything():
        for words in (READ.text(expr, kind), PLAIN.text(expr, kind)):
            assert words.count("(") == words.count(")")
            assert words.count("[") == words.count("]")
            assert not any(sign in words for sign in ("=(", "F(", "Lit", "Op", "None", "  "))


def test_state_tests_are_recognised() -> None:
    """A test of one field's states is told from any other condition."""
    assert state_tests(is_("A", "B")) == (F("state"), ("A", "B"))
    assert state_tests(eq(F("state", ("wf",)), "A")) == (F("state", ("wf",)), ("A",))
    assert state_tests(Op("or", (eq(F("state"), "A"), eq(F("state", ("wf",)), "A")))) is None
    assert state_tests(either(is_("A"), due)) is None
    assert state_tests(Op("or", ())) is None


def test_staying_is_recognised() -> None:
    """Only `A and next A` says that a state stays."""
    assert unchanged(both(is_("A"), then_("A"))) == "A"
    assert not any(map(unchanged, (both(is_("A"), then_("B")), both(is_("A", "B"), then_("A", "B")), is_("A"))))
