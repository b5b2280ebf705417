"""The law itself: what the tables promise beyond what the static checks prove of every specification."""

from __future__ import annotations

import pytest

import kernel.spec
from kernel.spec import SPEC
from kernel.spec.language import YES, Nature, Table
from kernel.spec.names import answers
from kernel.spec.vocabulary import ABSENT, CLOSED_BADLY, CLOSED_WELL, ENDED, LIVE, OPEN

Targets = frozenset[str]


def to(*targets: str) -> Targets:
    """Where a cell leads."""
    return frozenset(targets)


def targets_of(table: Table, event: str) -> dict[str, Targets]:
    """Where an event leads from each state that has rows for it."""
    found = {state: to(*(r.target for r in table.rows_for(event, state))) for state in table.kind.states}
    return {state: reached for state, reached in found.items() if reached}


UNSTARTED, CLOSED = ("PENDING", "SCHEDULED"), CLOSED_WELL + CLOSED_BADLY
WORKFLOW = {
    "START": {ABSENT: to("RUNNING")},
    "PAUSE": {"RUNNING": to("PAUSED")},
    "RESUME": {"PAUSED": to("RUNNING")},
    "COMPLETE": {"RUNNING": to("COMPLETED")},
    "FAIL": {"RUNNING": to("FAILED")},
    "TIME_OUT": dict.fromkeys(LIVE, to("TIMED_OUT")),
    "OVERDUE": {"RUNNING": to("RUNNING"), "PAUSED": to("PAUSED")},
    "TERMINATE": dict.fromkeys(LIVE, to("TERMINATED")),
    "RETRY": dict.fromkeys(("FAILED", "TIMED_OUT", "TERMINATED"), to("RUNNING")),
    "RESTART": dict.fromkeys(ENDED, to("RUNNING")),
    "RERUN": dict.fromkeys(ENDED, to("RUNNING")),
    "REOPEN": dict.fromkeys(ENDED, to("RUNNING")),
    "SET_ASIDE": dict.fromkeys(ENDED, to(ABSENT)),
    "PURGE": dict.fromkeys(ENDED, to(ABSENT)),
}
TASK = {
    "CREATE": {ABSENT: to("PENDING")},
    "SCHEDULE": {"PENDING": to("SCHEDULED")},
    "REJECT": dict.fromkeys(UNSTARTED, to("COMPLETED_WITH_ERRORS", "FAILED_WITH_TERMINAL_ERROR")),
    "PASS": {"SCHEDULED": to("COMPLETED")},
    "LAUNCH": {"SCHEDULED": to("IN_PROGRESS")},
    "POLL": {"SCHEDULED": to("IN_PROGRESS")},
    "HEARTBEAT": {"IN_PROGRESS": to("IN_PROGRESS")},
    "COMPLETE": {"IN_PROGRESS": to("COMPLETED")},
    "SIGNAL": {"PENDING": to("PENDING"), "SCHEDULED": to("SCHEDULED"), "IN_PROGRESS": to("COMPLETED")},
    "POSTPONE": {"IN_PROGRESS": to("SCHEDULED")},
    "FAIL": {"IN_PROGRESS": to("SCHEDULED", "COMPLETED_WITH_ERRORS", "FAILED", "FAILED_WITH_TERMINAL_ERROR")},
    "EXPIRE": {
        "SCHEDULED": to("SCHEDULED", "COMPLETED_WITH_ERRORS", "TIMED_OUT"),
        "IN_PROGRESS": to("SCHEDULED", "COMPLETED_WITH_ERRORS", "TIMED_OUT"),
    },
    "ALERT": {"SCHEDULED": to("SCHEDULED"), "IN_PROGRESS": to("IN_PROGRESS")},
    "ELAPSE": {"IN_PROGRESS": to("COMPLETED")},
    "CHILD_COMPLETED": {"IN_PROGRESS": to("COMPLETED")},
    "CHILD_FAILED": {"IN_PROGRESS": to("SCHEDULED", "COMPLETED_WITH_ERRORS", "FAILED")},
    "CHILD_TIMED_OUT": {"IN_PROGRESS": to("SCHEDULED", "COMPLETED_WITH_ERRORS", "TIMED_OUT")},
    "CHILD_TERMINATED": {"IN_PROGRESS": to("COMPLETED_WITH_ERRORS", "CANCELED")},
    "CANCEL": dict.fromkeys(OPEN, to("CANCELED")),
    "SKIP": dict.fromkeys(UNSTARTED, to("SKIPPED")),
    "SHIFT": {"SCHEDULED": to("SCHEDULED")},
    "RESET": dict.fromkeys(CLOSED, to("PENDING")),
    "REOPEN": dict.fromkeys(CLOSED, to("IN_PROGRESS")),
    "SET_ASIDE": dict.fromkeys(CLOSED, to(ABSENT)),
}
DELIVERY = {
    "CREATE": {ABSENT: to("PENDING")},
    "CLAIM": {"PENDING": to("LEASED")},
    "CONFIRM": {"LEASED": to("DELIVERED")},
    "RELEASE": {"LEASED": to("PENDING")},
    "BURY": {"LEASED": to("DEAD")},
    "DEFER": {"PENDING": to("PENDING")},
    "REDRIVE": {"DEAD": to("PENDING")},
}


@pytest.mark.parametrize(("kind", "expected"), [("workflow", WORKFLOW), ("task", TASK), ("delivery", DELIVERY)])
def test_rows_are_those_of_the_promise(kind: str, expected: dict[str, dict[str, Targets]]) -> None:
    """Each lifecycle has the events that were promised, from the states and to the states that were promised."""
    table = SPEC.tables[kind]
    assert {event: targets_of(table, event) for event in table.events} == expected


def test_a_repeated_terminate_is_a_no_op_that_says_so() -> None:
    """TERMINATE on TERMINATED changes nothing and says why; on any other end it is refused: no end is rewritten."""
    found = {s: a for a in answers(SPEC.tables["workflow"]) if a.event == "TERMINATE" for s in a.source}
    assert "already TERMINATED" in found["TERMINATED"].why
    assert found["TERMINATED"] in SPEC.tables["workflow"].no_ops
    assert all(found[s] in SPEC.tables["workflow"].refusals for s in ENDED if s != "TERMINATED")


def test_cancel_and_terminate_are_always_possible() -> None:
    """CANCEL on open tasks and TERMINATE on live workflows ask for nothing: an ending cannot be stopped half-way."""
    rows = [r for t in SPEC.tables.values() for r in t.rows if r.event in ("CANCEL", "TERMINATE")]
    assert [r.guards for r in rows] == [(), ()]
    assert SPEC.command("TERMINATE").guards == ()


def test_a_hand_out_asks_for_a_running_workflow() -> None:
    """Every row that hands a task to a worker or starts a sub-workflow asks for a RUNNING workflow."""
    (poll,) = SPEC.tables["task"].rows_for("POLL", "SCHEDULED")
    (launch,) = SPEC.tables["task"].rows_for("LAUNCH", "SCHEDULED")
    assert all("workflow RUNNING" in [g.name for g in row.guards] for row in (poll, launch))


def test_what_a_worker_writes_asks_for_its_lease() -> None:
    """Every event by which a worker changes a task IN_PROGRESS asks, in each of its rows, for a worker's task and its lease."""
    by_workers = [s.name for s in SPEC.commands if s.by == "worker" and s.name != "POLL"]
    assert by_workers == ["HEARTBEAT", "COMPLETE", "FAIL", "POSTPONE"]
    for event in by_workers:
        for row in SPEC.tables["task"].rows_for(event, "IN_PROGRESS"):
            assert [guard.name for guard in row.guards[:2]] == ["worker task", "lease held"]


def test_order_of_progress() -> None:
    """Hand-overs come first, then ends, then starts: other orders start children of workflows that are about to end."""
    parts = ["up" if r.do[0].at == "up" else r.on for r in SPEC.progress]
    assert parts == sorted(parts, key=["up", "workflow", "task"].index)
    ends = [r.do[0].event for r in SPEC.progress if r.on == "workflow" and r.do[0].at == "self"]
    assert ends == ["COMPLETE", "FAIL", "TERMINATE", "FAIL", "TIME_OUT", "TERMINATE", "FAIL", "COMPLETE"]


def test_every_invariant_stands_in_the_specification() -> None:
    """INV-01 to INV-14 are all there, in order, each as an expression or with the test that shows it."""
    ids = list(dict.fromkeys(p.id for p in SPEC.properties))
    assert ids == [f"INV-{n:02}" for n in range(1, 15)]
    assert all(p.body != YES or p.known for p in SPEC.properties)
    assert {p.id for p in SPEC.properties if p.nature is Nature.ENVIRONMENT} == {"INV-11", "INV-12"}


def test_public_names() -> None:
    """The law can be had from `kernel.spec`: the whole, and each lifecycle with its Machine."""
    assert kernel.spec.TASK.table is SPEC.tables["task"]
    assert kernel.spec.WORKFLOW.table is SPEC.tables["workflow"]
    assert kernel.spec.DELIVERY.table is SPEC.tables["delivery"]
