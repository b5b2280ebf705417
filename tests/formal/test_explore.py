"""Everything that can happen on small shapes keeps every invariant; a broken table shows the shortest way to the damage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from kernel.formal.explore import Exploration, Explorer, explore
from kernel.formal.oracle import Stuck
from kernel.formal.shape import Shape, State, Task, hurried
from kernel.spec import SPEC
from kernel.spec.language import Enter, Fire, Guard, Row, Spec
from kernel.spec.vocabulary import archived, held, outbox_settled, wf_running, worker

ONE = Shape((Task("a"),))
NESTED = Shape((Task("s", (), "WORKFLOW", Shape((Task("x"),))),))
DEEP = Shape((Task("s", (), "WORKFLOW", Shape((Task("u", (), "WORKFLOW", Shape((Task("x"),))),))),))
WITH_RETRY = Shape((Task("a", tries=2), Task("b", ("a",), tries=2)))


@pytest.mark.parametrize(("shape", "states", "transitions", "depth"), [
    pytest.param(ONE, 27, 64, 6, id="one"),
    pytest.param(WITH_RETRY, 387, 1354, 13, id="retries"),
    pytest.param(hurried(WITH_RETRY), 983, 3446, 13, id="hurried"),
    pytest.param(NESTED, 78, 303, 7, id="nested"),
    pytest.param(DEEP, 215, 1168, 8, id="deep"),
])
def test_every_invariant_holds_everywhere(shape: Shape, states: int, transitions: int, depth: int) -> None:
    """Every command in every state keeps every invariant, also between two rules of progress; all states are counted."""
    seen = explore(SPEC, shape)
    assert (seen.broken, seen.trace) == ((), ())
    assert (len(seen.found), seen.transitions, seen.depth) == (states, transitions, depth)


@pytest.mark.parametrize(("shape", "states", "transitions"), [
    pytest.param(ONE, 181, 414, id="held"),
    pytest.param(hurried(ONE), 338, 852, id="expired"),
])
def test_every_delivery_keeps_its_invariants(shape: Shape, states: int, transitions: int) -> None:
    """Deliveries that are claimed, lost, proven, buried and redriven keep INV-04 and INV-14, as far as four claims reach."""
    explorer = Explorer(SPEC, shape, kinds=SPEC.kinds)
    (delivery,), claims = explorer.tree.rows["delivery"], explorer.tree.columns["delivery"]["claims"]
    explorer.within = lambda state: int(state[delivery][claims]) < 4
    seen = explorer.run()
    assert (seen.broken, seen.trace) == ((), ())
    assert (len(seen.found), seen.transitions) == (states, transitions)


def graves(spec: Spec, shape: Shape) -> Exploration:
    """Everything that can happen to a tree that may be purged, as far as two claims reach."""
    explorer = Explorer(spec, shape, kinds=spec.kinds)
    (delivery,), claims = explorer.tree.rows["delivery"], explorer.tree.columns["delivery"]["claims"]
    explorer.within = lambda state: int(state[delivery][claims]) < 2
    return explorer.run()


@pytest.mark.parametrize(("shape", "purged"), [
    (evolve(ONE, purge=1), True), (evolve(ONE, purge=1, copied=0), False), (evolve(ONE, purge=1, hears="NOTHING"), True),
])
def test_only_what_is_archived_or_not_to_be_is_purged(shape: Shape, purged: bool) -> None:
    """INV-05: after a copy was read back, or where none is asked for; a receipt is not enough. Then nothing begins anew."""
    seen = graves(SPEC, shape)
    assert (seen.broken, seen.trace) == ((), ())
    column = seen.tree.columns["workflow"]["purged"]
    assert any(state[0][column] for state in seen.found) == purged
    assert all(row == start for state in seen.found if state[0][column]
               for row, start in zip(state[1:], seen.tree.start[1:], strict=True))


@pytest.mark.parametrize("guard", [outbox_settled, archived])
def test_a_purge_without_a_guard_is_found(guard: Guard) -> None:
    """Without one of the guards INV-05 is broken."""
    spec = rows("workflow", "PURGE", without(guard))
    shape = evolve(ONE, purge=1, copied=int(guard is not archived), topics=("archive",))
    if guard is outbox_settled:
        spec = evolve(spec, tables={**spec.tables, "workflow": evolve(spec.tables["workflow"], rows=tuple(
            evolve(r, guards=tuple(g for g in r.guards if g is not archived)) if r.event == "PURGE" else r
            for r in spec.tables["workflow"].rows))})
    assert any(broken.startswith("INV-05") for broken in graves(spec, shape).broken)


# ---- planted bugs: each is an edit of the tables --------------------------------------------------------------------------
def rows(kind: str, event: str, change: Callable[[Row], Row]) -> Spec:
    """The specification with the rows of one event changed."""
    table = SPEC.tables[kind]
    changed = tuple(change(row) if row.event == event else row for row in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, kind: evolve(table, rows=changed)})


def without(*guards: object) -> Callable[[Row], Row]:
    """A row without these guards."""
    return lambda row: evolve(row, guards=tuple(g for g in row.guards if g not in guards))


def step(name: str, **changes: Any) -> Spec:
    """The specification with one command changed."""
    return evolve(SPEC, commands=tuple(evolve(s, **changes) if s.name == name else s for s in SPEC.commands))


def entering(**changes: Any) -> Spec:
    """The specification with what happens on entering a terminal state changed."""
    return evolve(SPEC, on_enter=(evolve(SPEC.on_enter[0], **changes), *SPEC.on_enter[1:]))


def cascade(**links: str) -> Spec:
    """The specification whose endings reach over other links."""
    enter = SPEC.on_enter[0]
    return entering(cascade=tuple(Fire(fire.event, links.get(fire.at, fire.at)) for fire in enter.cascade))


def later(prefix: str) -> Spec:
    """The specification in which some rules of progress are commands of their own."""
    moved = tuple(rule for rule in SPEC.progress if rule.name.startswith(prefix))
    return evolve(SPEC, commands=(*SPEC.commands, *moved), progress=tuple(r for r in SPEC.progress if r not in moved))


PLANTED = {
    "no cascade": (entering(cascade=()), NESTED, "INV-01", ["START w", "TERMINATE w"]),
    "forgotten grandchildren": (cascade(subs="children"), DEEP, "INV-01", ["START w", "TERMINATE w"]),
    "forgotten tasks below": (cascade(all_tasks="tasks"), NESTED, "INV-01", ["START w", "TERMINATE w"]),
    "terminal states rewritten": (
        rows("workflow", "TERMINATE", lambda r: evolve(r, source=(*r.source, "FAILED"))), ONE, "INV-02",
        ["START w", "POLL w.a", "FAIL w.a", "TERMINATE w"]),
    "closed tasks moved": (
        rows("task", "CANCEL", lambda r: evolve(r, source=(*r.source, "COMPLETED"))), WITH_RETRY, "INV-02",
        ["START w", "POLL w.a", "COMPLETE w.a", "TERMINATE w"]),
    "no delivery": (entering(emit=()), NESTED, "INV-03", ["START w", "TERMINATE w"]),
    "heartbeat without the lease": (
        rows("task", "HEARTBEAT", without(held)), WITH_RETRY, "INV-06",
        ["START w", "POLL w.a", "HEARTBEAT w.a with a stale lease"]),
    "result without the lease": (
        rows("task", "COMPLETE", without(held)), WITH_RETRY, "INV-06",
        ["START w", "POLL w.a", "COMPLETE w.a with a stale lease"]),
    "hand-outs not counted": (
        rows("task", "POLL", lambda r: evolve(r, set={})), WITH_RETRY, "INV-06", ["START w", "POLL w.a"]),
    "poll ignores PAUSED": (
        rows("task", "POLL", without(wf_running)), WITH_RETRY, "INV-07", ["START w", "PAUSE w", "POLL w.a"]),
    "child resumed alone": (step("RESUME", guards=()), NESTED, "INV-07", ["START w", "PAUSE w", "RESUME w/s"]),
    "parent told later": (later("HAND"), NESTED, "INV-09", ["START w", "TERMINATE w/s"]),
    "parent's task taken by a worker": (
        rows("task", "COMPLETE", without(worker)), NESTED, "INV-13", ["START w", "COMPLETE w.s"]),
    "ends later": (later("END"), ONE, "INV-10", ["START w", "SKIP w.a"]),
    "children not ended": (cascade(subs="children", all_tasks="tasks"), DEEP, "INV-13", ["START w", "TERMINATE w"]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found_by_the_shortest_way(name: str) -> None:
    """Each broken table breaks the invariant that forbids it, and the exploration tells the shortest story of it."""
    spec, shape, invariant, trace = PLANTED[name]
    seen = explore(spec, shape)
    assert invariant in {finding.split()[0] for finding in seen.broken}
    assert list(seen.trace) == trace


def test_the_order_of_progress_is_part_of_the_specification() -> None:
    """A workflow that is about to end starts nothing more; with starts before ends a child would begin only to be terminated.

    The rows that result agree with each other either way, so that no invariant of states can tell.
    """
    shape = Shape((Task("a"), Task("b"), Task("s", ("a",), "WORKFLOW", Shape((Task("x"),)))))
    script = ["START w", "POLL w.a", "POLL w.b", "PAUSE w", "COMPLETE w.a", "FAIL w.b", "RESUME w"]
    ends = tuple(rule for rule in SPEC.progress if rule.on == "workflow")
    starts = tuple(rule for rule in SPEC.progress if rule.on == "task")
    outcomes = []
    for order in (ends + starts, starts + ends):
        explorer = Explorer(evolve(SPEC, progress=order), shape)
        asked = {request.label(explorer.tree): request for request in explorer.requests}
        state = explorer.tree.start
        for label in script:
            after = explorer.commit(asked[label], state)
            assert not isinstance(after, Stuck)
            state = after
        assert explorer.seen.broken == ()
        outcomes.append(explorer.tree.told(state))
    ended = {"w": "FAILED", "w.a": "COMPLETED", "w.b": "FAILED", "w.s": "CANCELED", "w>archive": "PENDING"}
    assert outcomes == [ended, {**ended, "w/s": "TERMINATED", "w/s.x": "CANCELED", "w/s>archive": "PENDING"}]


def test_the_way_to_a_state_is_told() -> None:
    """Every state that was found can say how it was first reached."""
    explorer = Explorer(SPEC, NESTED)
    seen = explorer.run()
    ways = {explorer.path(state) for state in seen.found}
    assert len(ways) == len(seen.found)
    assert max(map(len, ways)) == seen.depth
    assert () in ways


def test_observers_see_every_answer() -> None:
    """An observer is shown each state with each request once, accepted or refused; none that leads to a run too many."""
    explorer = Explorer(SPEC, NESTED)
    shown: list[tuple[State, str]] = []
    seen = explorer.run(lambda state, request, after: shown.append((state, request.label(explorer.tree))))
    states = list(filter(explorer.bounded, seen.found))
    beyond = sum(explorer.beyond(request, state) for state in states for request in explorer.requests)
    assert len(shown) == len(set(shown)) == len(states) * len(explorer.requests) - beyond
    assert beyond > 0


def test_entering_is_declared_once() -> None:
    """The planted cascades change the one place that every ending goes through."""
    assert [type(enter) for enter in SPEC.on_enter if enter.cascade] == [Enter]
