"""Rows in memory: private copies, the facts of their definition, ids that say where they belong."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kernel.core.definitions import ExpiryPolicy, TaskDef, WorkflowDef
from kernel.core.records import (
    OWN,
    DeliveryRow,
    Facts,
    Prepared,
    TaskRow,
    WorkflowRow,
    child_id,
    facts_of,
    microseconds,
    prepare,
    root_of,
)
from kernel.core.structure import compile_definition
from kernel.spec import SPEC
from kernel.spec.language import NEVER

TASK = TaskDef(
    "t", type="print", retries=2, retry_delay=0.5, lease=3.0, poll_timeout=7.0, optional=True, permissive=True,
    on_expiry=ExpiryPolicy.TIME_OUT_WF)
DEFINITION = WorkflowDef("w", tasks=[TASK, TaskDef("end", kind="terminate", asks="FAILED")], timeout=60.0, topics=["archive"])


@pytest.fixture
def prepared() -> Prepared:
    """The definition, ready to run."""
    return prepare(compile_definition(DEFINITION))


def workflow(prepared: Prepared, **changes: object) -> WorkflowRow:
    """A root that runs."""
    row = WorkflowRow("w", 1, "RUNNING", "", -1, 0, 0, prepared, 5, 6, 7, "", 0, "why", [0] * 9)
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def task(prepared: Prepared) -> TaskRow:
    """Its first task."""
    return TaskRow("w", 0, 1, "SCHEDULED", 1, 2, 3, 4, 6, 7, 8, 0, 5, "ada", "why", [1], prepared.facts[0])


@pytest.mark.parametrize(("seconds", "stored"), [(None, NEVER), (0.0, 0), (1.5, 1_500_000), (0.000_001, 1)])
def test_durations_are_stored_in_microseconds(seconds: float | None, stored: int) -> None:
    """Seconds become whole microseconds; no duration is one that never ends."""
    assert microseconds(seconds) == stored


def test_facts_are_what_the_tables_read() -> None:
    """The facts of a task are the attributes of the specification's kind, in its units, besides its name and type."""
    facts = facts_of(TASK)
    assert facts == Facts(
        "t", "print", "WORKER", 1, 1, 3, 500_000, "FIXED", NEVER, 0, 3_000_000, 7_000_000, NEVER, NEVER, NEVER, NEVER,
        "TIME_OUT_WF", "", 0, OWN, False)
    judged = {a.name for a in SPEC.kinds["task"].attributes if a.judged}
    assert {f.name for f in attrs.fields(Facts)} == {a.name for a in SPEC.kinds["task"].attributes} - judged | {
        "ref", "type", "switch", "judged", "retry_logic", "retry_delay_max", "wait_for", "wait_until"}


def test_what_has_to_be_judged() -> None:
    """A task is judged before it starts when it has expressions, a sub-workflow or something to write when it is passed."""
    tasks = [TaskDef("a", input={"x": "y"}), TaskDef("b", input={"x": "${workflow.input.y}"}), TaskDef("c", workflow="v"),
             TaskDef("d", kind="switch", on="x"), TaskDef("e", kind="noop")]
    assert [facts_of(task).judged for task in tasks] == [False, True, True, True, False]


def test_a_task_in_a_branch_is_judged() -> None:
    """Its facts say which branch of which switch, and that the switch may choose another one."""
    tasks = [TaskDef("to", kind="switch", on="b"), TaskDef("a", after=["to"], when=("to", "b")),
             TaskDef("b", after=["to"], when=("to", "a")), TaskDef("c", after=["to"], when=("to", None)), TaskDef("d")]
    prepared = prepare(compile_definition(WorkflowDef("w", tasks=tasks)))
    assert [(f.switch, f.branch, f.judged) for f in prepared.facts] == [
        (OWN, 0, True), (0, 3, True), (0, 2, True), (0, 1, True), (OWN, 0, False)]
    assert prepared.definition.cases == {0: ("a", "b")}


def test_a_prepared_definition_has_its_facts_by_position(prepared: Prepared) -> None:
    """Preparing keeps the definition, its digest, its topics and the facts of each task."""
    assert [facts.ref for facts in prepared.facts] == ["t", "end"]
    assert (prepared.timeout, prepared.topics) == (60_000_000, ("archive",))
    assert prepared.digest == prepared.definition.digest
    assert prepared.facts[1].asks == "FAILED"


def test_rows_have_every_field_and_attribute_of_their_kind(prepared: Prepared) -> None:
    """Whatever an expression may read of a row is there under its name."""
    delivery = DeliveryRow("w", 1, "archive", "PENDING", 0, 0, 0, NEVER, "", "", 0, 8, 60)
    rows: dict[str, Any] = {"workflow": workflow(prepared), "task": task(prepared), "delivery": delivery}
    for kind, row in rows.items():
        assert row.kind == kind
        for field in (*SPEC.kinds[kind].fields, *SPEC.kinds[kind].attributes):
            if not field.judged:
                assert getattr(row, field.name) is not None, field.name


def test_attributes_come_from_the_definition(prepared: Prepared) -> None:
    """A workflow has its definition's timeout; it is a root when it has no parent."""
    root = workflow(prepared)
    assert (root.root, root.timeout, root.restartable, root.purged, root.mode) == (1, 60_000_000, 1, 0, "")
    assert workflow(prepared, parent="v").root == 0
    row = task(prepared)
    assert (row.ref, row.mode, row.tries, row.on_expiry, row.asks) == ("t", "WORKER", 3, "TIME_OUT_WF", "")


@pytest.mark.parametrize("kind", ["workflow", "task", "delivery"])
def test_a_copy_is_private(kind: str, prepared: Prepared) -> None:
    """A copy is equal in every stored field, shares no list, and is linked to nothing."""
    made: dict[str, Any] = {
        "workflow": workflow(prepared), "task": task(prepared),
        "delivery": DeliveryRow("w", 1, "archive", "PENDING", 1, 2, 3, 4, "proof", "error", 5, 8, 60),
    }
    row = made[kind]
    loose = ("view", "wf", "touched", "verdict")
    if kind != "delivery":
        row.view, row.touched = object(), True
    copy = row.copy()
    names = [f.name for f in attrs.fields(type(row)) if f.name not in loose]
    assert [getattr(copy, name) for name in names] == [getattr(row, name) for name in names]
    if kind != "delivery":
        copy.counts[0] += 1
        assert copy.counts != row.counts
        assert (copy.view, copy.touched) == (None, False)


def test_links_ask_whoever_links_the_row(prepared: Prepared) -> None:
    """A row finds the rows behind its links through its view."""

    class Links:
        def task(self, workflow_id: str, no: int) -> str:
            return f"task {workflow_id} {no}"

        def child(self, row: TaskRow) -> str:
            return f"child of {row.ref}"

        def behind(self, row: WorkflowRow, link: str) -> list[str]:
            return [f"{link} of {row.id}"]

    child, parent = workflow(prepared, parent="v", parent_no=3, view=Links()), task(prepared)
    parent.view = Links()
    found: list[object] = [child.up, parent.child, child.behind("tasks")]
    assert found == ["task v 3", "child of t", ["tasks of w"]]


def test_ids_of_sub_workflows_are_paths(prepared: Prepared) -> None:
    """A child's id begins with its parent's and names the task; later attempts carry their number."""
    row = task(prepared)
    assert child_id(row) == "w/t"
    row.attempt = 3
    assert child_id(row) == "w/t~3"
    assert root_of("w/t~3/u") == root_of("w") == "w"


@pytest.mark.parametrize(("options", "delays"), [
    ({}, [3, 3, 3]),
    ({"retry_logic": "LINEAR_BACKOFF"}, [3, 6, 9]),
    ({"retry_logic": "EXPONENTIAL_BACKOFF"}, [3, 6, 12]),
    ({"retry_logic": "EXPONENTIAL_BACKOFF", "retry_delay_max": 7.0}, [3, 6, 7]),
])
def test_how_long_the_next_attempt_waits(options: dict[str, Any], delays: list[int]) -> None:
    """By the retry logic and the attempts so far, up to the longest delay; however many attempts, it is a number to add."""
    made = prepare(compile_definition(WorkflowDef("w", tasks=[TaskDef("t", retries=9_999, retry_delay=3.0, **options)])))
    row = task(made)
    found = []
    for row.attempt in (1, 2, 3):
        found.append(row.retry_delay // 1_000_000)
    assert found == delays
    row.attempt = 9_999
    assert 0 < row.retry_delay <= NEVER


def test_how_long_a_task_waits() -> None:
    """What its definition gives is a fact; without it a wait has no end of its own."""
    waits = [TaskDef("a", kind="wait", wait_for="1m"), TaskDef("b", kind="wait", wait_until="1970-01-01 00:01"), TaskDef("c")]
    facts = [facts_of(each) for each in waits]
    assert [(f.wait_for, f.wait_until, f.judged) for f in facts] == [
        (60_000_000, NEVER, False), (NEVER, 60_000_000, False), (NEVER, NEVER, False)]
    templated = facts_of(TaskDef("a", kind="wait", wait_for="${workflow.input.n}", wait_until="${workflow.input.at}"))
    assert (templated.wait_for, templated.wait_until, templated.judged) == (None, None, True)
