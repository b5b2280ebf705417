"""The oracle reads expressions as the specification means them, and takes steps as it declares them."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.formal.oracle import Given, Oracle, Stuck
from kernel.formal.rows import Value
from kernel.formal.shape import Shape, State, Task, Tree
from kernel.spec import SPEC
from kernel.spec.language import (
    Expr,
    F,
    Fire,
    Guard,
    Linked,
    Lit,
    Param,
    Step,
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
    plus,
    some,
)

SHAPE = Shape((Task("a", tries=2), Task("s", ("a",), "WORKFLOW", Shape((Task("x"),)))))
NOW: Given = {"now": 7}


@pytest.fixture
def oracle() -> Oracle:
    """An oracle on a small shape."""
    return Oracle(SPEC, Tree(SPEC, SHAPE))


def place(oracle: Oracle, name: str) -> int:
    """The place with this id."""
    return next(i for i, p in enumerate(oracle.places) if p.id == name)


def done(oracle: Oracle, *commands: tuple[str, str]) -> State:
    """The state after commands that are accepted, each by the holder of the lease."""
    state = oracle.tree.start
    for name, on in commands:
        row = place(oracle, on)
        given = {**NOW, "run": 1, "handouts": 1, "retryable": 1, "origin": on}
        after = oracle.commit(SPEC.command(name), row, given, state)
        assert not isinstance(after, Stuck)
        state = after
    return state


STARTED = ("START", "w")
open_ = Guard("open", is_("PENDING", "SCHEDULED"))
EXPRESSIONS: list[tuple[Expr, str, Value]] = [
    (Lit(3), "w", 3),
    (F("state"), "w", "RUNNING"),
    (F("tries"), "w.a", 2),
    (F("state", ("wf",)), "w.a", "RUNNING"),
    (F("mode", ("up",)), "w/s", "WORKFLOW"),
    (F("state", ("child",)), "w.s", "ABSENT"),
    (F("state", then=True), "w", "ABSENT"),
    (Param("now"), "w", 7),
    (eq(F("tries"), 2), "w.a", True),
    (lt(F("tries"), 2), "w.a", False),
    (plus(F("tries"), 2), "w.a", 4),
    (minus(F("tries"), Param("now")), "w.a", -5),
    (earliest(F("tries"), Param("now"), 3), "w.a", 2),
    (latest(F("tries"), Param("now"), 3), "w.a", 7),
    (no(eq(F("tries"), 2)), "w.a", False),
    (both(), "w", True),
    (both(is_("RUNNING"), is_("PAUSED")), "w", False),
    (either(), "w", False),
    (either(is_("RUNNING"), is_("PAUSED")), "w", True),
    (every("tasks", open_), "w", True),
    (every("after", open_), "w.a", True),
    (some("subs", open_), "w", False),
    (some("child_tasks", open_), "w.s", False),
    (Linked("tree", "chosen"), "w", True),
    (Linked("tree", "chosen"), "w/s", False),
    (Linked("tree", "none"), "w", False),
]


@pytest.mark.parametrize(("expr", "row", "value"), EXPRESSIONS, ids=str)
def test_expressions_mean_what_they_say(oracle: Oracle, expr: Expr, row: str, value: Value) -> None:
    """Every kind of expression is read from its row, from the rows behind links, and from what the caller presents."""
    given = {**NOW, "chosen": place(oracle, "w.a"), "none": ""}
    assert oracle.evaluate(expr, place(oracle, row), given, done(oracle, STARTED), oracle.tree.start) == value


def test_only_numbers_are_ordered(oracle: Oracle) -> None:
    """An expression that compares or adds names of states is a mistake of its author."""
    with pytest.raises(TypeError, match="only numbers"):
        oracle.evaluate(lt(F("state"), 1), 0, {}, oracle.tree.start)


def test_all_parts_of_a_step_read_the_state_before() -> None:
    """Two Fires of one step do not see each other: each reads what was there before the step."""
    swap = Step("SWAP", "workflow", (Fire("RESUME"), Fire("SHIFT", "all_tasks", is_("PAUSED", of=("wf",)))))
    spec = evolve(SPEC, commands=(*SPEC.commands, swap))
    oracle = Oracle(spec, Tree(spec, SHAPE))
    paused = done(oracle, STARTED, ("PAUSE", "w"))
    after = oracle.commit(swap, 0, {"now": 10, "origin": "w"}, paused)
    assert not isinstance(after, Stuck)
    assert [oracle.value(after, place(oracle, n), "not_before") for n in ("w.a", "w.s")] == [10, 0]


def test_a_command_moves_its_row_and_progress_follows(oracle: Oracle) -> None:
    """A commit takes the command, then every rule that is enabled: the sub-workflow starts with its predecessor's end."""
    state = done(oracle, STARTED, ("POLL", "w.a"), ("COMPLETE", "w.a"))
    assert oracle.tree.told(state) == {
        "w": "RUNNING", "w.a": "COMPLETED", "w.s": "IN_PROGRESS", "w/s": "RUNNING", "w/s.x": "SCHEDULED"}
    assert oracle.value(state, place(oracle, "w.s"), "changed") == 7


def test_an_ending_reaches_everything_below(oracle: Oracle) -> None:
    """Entering a terminal state terminates what is live below, cancels what is open, and writes every delivery."""
    state = done(oracle, STARTED, ("POLL", "w.a"), ("COMPLETE", "w.a"), ("TERMINATE", "w"))
    assert oracle.tree.told(state) == {
        "w": "TERMINATED", "w.a": "COMPLETED", "w.s": "CANCELED", "w/s": "TERMINATED", "w/s.x": "CANCELED",
        "w>archive": "PENDING", "w/s>archive": "PENDING"}


@pytest.mark.parametrize(("commands", "asked", "declared"), [
    ((), ("TERMINATE", "w"), ""),
    ((), ("WAKE", "w.a"), ""),
    ((STARTED,), ("START", "w"), ""),
    ((STARTED,), ("TIME_OUT", "w"), ""),
    ((STARTED, ("TERMINATE", "w")), ("PAUSE", "w"), ""),
    ((STARTED, ("PAUSE", "w")), ("PAUSE", "w"), "it is already PAUSED"),
])
def test_what_is_not_enabled_changes_nothing(
    oracle: Oracle, commands: tuple[tuple[str, str], ...], asked: tuple[str, str], declared: str
) -> None:
    """A command without a row, with a false guard, or on nothing is stuck; a declared no-op says why."""
    state = done(oracle, *commands)
    assert oracle.commit(SPEC.command(asked[0]), place(oracle, asked[1]), NOW, state) == Stuck(declared)


def test_a_step_needs_every_single_row(oracle: Oracle) -> None:
    """A step whose row behind a single link cannot move is not enabled, whatever its own row could do."""
    both_up = Step("BOTH", "workflow", (Fire("PAUSE"), Fire("CHILD_FAILED", "up")))
    state = done(oracle, STARTED, ("POLL", "w.a"), ("COMPLETE", "w.a"))
    child, task = place(oracle, "w/s"), place(oracle, "w.s")
    assert set(oracle.moves(both_up, child, {**NOW, "origin": ""}, state) or ()) == {child, task}
    canceled = done(oracle, STARTED, ("POLL", "w.a"), ("COMPLETE", "w.a"), ("TERMINATE", "w"))
    assert oracle.moves(both_up, child, {**NOW, "origin": ""}, canceled) is None


def test_progress_shows_every_state_on_its_way(oracle: Oracle) -> None:
    """Settling shows each state between two rules, the first and the last included."""
    seen: list[State] = []
    settled = oracle.settle(done(oracle, STARTED), NOW, seen.append)
    assert seen == [settled]
    command = SPEC.command("START")
    after = oracle.commit(command, 0, NOW, oracle.tree.start, seen.append)
    assert len(seen) == 3
    assert seen[-1] == after
