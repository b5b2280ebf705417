"""The working set of a decision: what it loads, what a cascade does to rows at hand and to those read late, what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Command, Subject
from kernel.core.program import Program, compile_program, standard_program
from kernel.core.records import TreeRow, WorkflowRow
from kernel.core.view import View
from kernel.core.working_set import in_scope
from kernel.errors import InvalidDefinition, StoreCorrupt
from kernel.spec import SPEC
from kernel.spec.commands import ON_ENTER
from kernel.spec.language import Step
from tests.model.driver import NOW, decided, does, planned, states, world_of
from tests.model.world import World

INNER = WorkflowDef("inner", tasks=[TaskDef("x"), TaskDef("y", after=["x"])], topics=["archive", "billing"])
OUTER = WorkflowDef("w", tasks=[TaskDef("a"), TaskDef("s", workflow="inner"), TaskDef("b", after=["a"])], topics=["archive"])


@pytest.fixture
def world() -> World:
    """A workflow with a sub-workflow, both running."""
    return does(world_of(OUTER, INNER), "START", "w")


def view_of(world: World, name: str = "TERMINATE", program: Program | None = None) -> View:
    """A view for a decision on the root."""
    command = Command(name, Subject("w"), {"origin": "w"})
    return View(program or standard_program(), world, command, TreeRow("w", 1, 1, 0, 5), NOW)


# ---- loading --------------------------------------------------------------------------------------------------------------
def test_a_row_is_loaded_once(world: World) -> None:
    """Rows that are asked for again, or handed in again, are the ones that the view has."""
    view = view_of(world)
    task, workflow = view.task("w", 0), view.workflow("w")
    assert view.task("w", 0) is task
    assert workflow is not None
    again, copy = world.task("w", 0), world.workflow("w")
    assert again is not None
    assert copy is not None
    assert view.keep_task(again) is task
    assert view.keep_workflow(copy) is workflow
    assert (task.wf, task.view, workflow.view) == (workflow, view, view)
    assert view.workflow("v") is None


@pytest.mark.parametrize("lost", ["task", "workflow", "successor", "parent's task"])
def test_a_row_that_is_missing_is_named(world: World, lost: str) -> None:
    """A damaged store is not an internal error: what is missing is said, and what to do."""
    if lost == "workflow":
        del world.workflows["w"]
    elif lost == "successor":
        del world.own["w", 2]
    else:
        del world.own["w", 0 if lost == "task" else 1]
    held = does(world, "POLL", "w.a") if lost == "successor" else world
    ask: dict[str, Callable[[], object]] = {
        "task": lambda: view_of(world).task("w", 0),
        "workflow": lambda: view_of(world).task("w", 1),
        "successor": lambda: decided(held, "COMPLETE", "w.a"),
        "parent's task": lambda: decided(world, "TERMINATE", "w/s"),
    }
    with pytest.raises(StoreCorrupt, match="row is missing") as caught:
        ask[lost]()
    assert caught.value.hint


def test_payloads_of_this_decision_are_seen(world: World) -> None:
    """An output that was given just now is read before the stored one."""
    world.payloads["w", 0, "output"] = "1"
    view = view_of(world)
    assert (view.payload("w", 0, "output"), view.payload("w", 0, "input")) == ("1", None)
    view.command = Command("COMPLETE", Subject("w", 0), payload="2")
    view.annotate(view.task("w", 0))
    assert (view.payload("w", 0, "output"), view.payload("w", 1, "output")) == ("2", '{"subWorkflowId":"w/s"}')


def test_no_row_refers_to_its_view_afterwards(world: World) -> None:
    """A plan's rows let go of the view, so that nothing in memory refers to itself."""
    plan = planned(does(world, "POLL", "w.a"), "COMPLETE", "w.a")
    assert {task.view for task in plan.tasks} | {workflow.view for workflow in plan.workflows} == {None}


def test_a_task_under_way_wakes_its_sub_workflow(world: World) -> None:
    """What reads a task over a link is looked at when the task moves: its sub-workflow, where there is one."""
    view = view_of(world)
    (launch,) = standard_program().cells["task"]["SCHEDULED", "LAUNCH"]
    view.apply(view.task("w", 1), launch, "LAUNCH_CHILD")
    assert [row.id for row in view.woken if isinstance(row, WorkflowRow)] == ["w/s"]


# ---- whole sets -------------------------------------------------------------------------------------------------------------
def test_rows_at_hand_and_rows_in_the_store_end_alike(world: World) -> None:
    """What a cascade makes of a row does not depend on whether the decision had loaded it."""
    plan = planned(world, "TERMINATE", "w", reason="withdrawn")
    after, lines = world.after(plan)
    assert (plan.tasks, len(plan.workflows)) == ([], 1)
    loaded = view_of(world)
    loaded.command = plan.command
    rows = [loaded.task("w", 0), loaded.task("w/s", 1)]
    root = loaded.workflow("w")
    assert root is not None
    for part in standard_program().entering["workflow", "TERMINATED"]:
        loaded.cascade(root, part, "TERMINATE", "withdrawn", ending=True)
    for row in rows:
        stored = after.own[row.workflow, row.no]
        assert (row.state, row.reason, row.changed) == (stored.state, stored.reason, stored.changed)
    assert states(after) == {
        "w": "TERMINATED", "w.a": "CANCELED", "w.s": "CANCELED", "w.b": "CANCELED", "w/s": "TERMINATED", "w/s.x": "CANCELED",
        "w/s.y": "CANCELED", "w>archive": "PENDING", "w/s>archive": "PENDING", "w/s>billing": "PENDING"}
    assert {(c.kind, c.workflow, c.source, c.count) for c in lines if c.event in ("CANCEL", "CREATE")} == {
        ("task", "w", "SCHEDULED", 1), ("task", "w", "IN_PROGRESS", 1), ("task", "w", "PENDING", 1),
        ("task", "w/s", "SCHEDULED", 1), ("task", "w/s", "PENDING", 1), ("delivery", "w", "ABSENT", 1),
        ("delivery", "w/s", "ABSENT", 1)}


def test_a_row_read_after_an_ending_has_ended_too(world: World) -> None:
    """Rows that are read behind a cascade are as the cascade leaves them: moved, written down, and their outbox filled."""
    view = view_of(world)
    root = view.workflow("w")
    assert root is not None
    for part in standard_program().entering["workflow", "TERMINATED"]:
        view.cascade(root, part, "TERMINATE", "", ending=True)
    assert view.plan.changes == []
    child, task = view.workflow("w/s"), view.task("w", 0)
    assert child is not None
    assert (child.state, task.state) == ("TERMINATED", "CANCELED")
    assert [(c.kind, c.event, c.subject) for c in view.plan.changes] == [
        ("workflow", "TERMINATE", ""), ("delivery", "CREATE", "archive"), ("delivery", "CREATE", "billing"),
        ("task", "CANCEL", "a")]
    assert (view.plan.workflows, view.plan.tasks) == ([child], [task])
    assert child.touched


@pytest.mark.no_cover
def test_an_ending_tells_nobody_below() -> None:
    """A cascade over loaded rows loads no others: a chain of thousands costs as much as one task."""
    tasks = [TaskDef("a"), TaskDef("t", after=["a"], kind="terminate", asks="COMPLETED")]
    tasks += [TaskDef(f"p{i}", after=["t" if i == 0 else f"p{i - 1}"], permissive=True) for i in range(3_000)]
    world = does(does(world_of(WorkflowDef("w", tasks=tasks)), "START", "w"), "POLL", "w.a")
    plan = planned(world, "COMPLETE", "w.a")
    assert plan.tree.tasks == 3_002
    assert sorted(task.ref for task in plan.tasks) == ["a", "p0", "t"]
    assert set(states(world.after(plan)[0]).values()) == {"COMPLETED", "CANCELED"}


def test_nothing_open_needs_no_cascade() -> None:
    """A workflow whose tasks are all closed ends without a statement over what is below it."""
    world = does(does(world_of(WorkflowDef("w", tasks=[TaskDef("a")])), "START", "w"), "POLL", "w.a")
    plan = planned(world, "COMPLETE", "w.a")
    assert [workflow.state for workflow in plan.workflows] == ["COMPLETED"]
    assert (plan.first, plan.last) == ([], [])


def test_without_a_counter_of_open_tasks_every_ending_cascades() -> None:
    """A specification whose rules do not count open tasks reaches below with every ending."""
    program = compile_program(evolve(SPEC, progress=tuple(r for r in SPEC.progress if r.name != "END_PERMISSIVE")))
    world = does(world_of(WorkflowDef("w", tasks=[TaskDef("a")])), "START", "w", program=program)
    world = does(world, "POLL", "w.a", program=program)
    assert [c.event for c in planned(world, "COMPLETE", "w.a", program=program).last] == ["TERMINATE", "CANCEL"]


def test_a_command_may_be_nothing_but_a_cascade(world: World) -> None:
    """A step that moves only whole sets comes first in its plan, raises the version, and emits in the store."""
    entering, *rest_of_them = ON_ENTER
    rest = Step("CANCEL_REST", "workflow", entering.cascade)
    spec = evolve(SPEC, on_enter=(evolve(entering, cascade=()), *rest_of_them), commands=(*SPEC.commands, rest))
    program = compile_program(spec)
    ended = does(world, "TERMINATE", "w", program=program)
    assert states(ended)["w.a"] == "SCHEDULED"
    plan = planned(ended, "CANCEL_REST", "w", program=program)
    assert [(c.event, c.emits) for c in plan.first] == [("CANCEL", ()), ("TERMINATE", ("outbox", "notices"))]
    assert (plan.changes, plan.raises, plan.tree.version) == ([], True, 3)
    after = states(ended.after(plan)[0])
    assert (after["w.a"], after["w/s"], after["w/s>billing"]) == ("CANCELED", "TERMINATED", "PENDING")


def test_only_sets_that_exist_are_moved_as_a_whole(world: World) -> None:
    """A part that creates rows, or moves one, is no cascade."""
    view = view_of(world)
    root = view.workflow("w")
    assert root is not None
    with pytest.raises(InvalidDefinition, match="CREATE over 'tasks'"):
        view.cascade(root, standard_program().commands["START"].parts[1], "START", "", ending=False)


# ---- pauses -----------------------------------------------------------------------------------------------------------------
def test_time_that_a_pause_took_is_given_back_at_every_level() -> None:
    """RESUME shifts what waits in the workflow and in those that its PAUSE paused, read before any of them runs again."""
    retried: Any = {"retries": 1, "retry_delay": 0.01}
    inner = WorkflowDef("inner", tasks=[TaskDef("x", **retried), TaskDef("u", workflow="leaf", **retried)])
    leaf = WorkflowDef("leaf", tasks=[TaskDef("z")])
    outer = WorkflowDef("w", tasks=[TaskDef("a", **retried), TaskDef("s", workflow="inner")])
    world = does(world_of(outer, inner, leaf), "START", "w")
    for row in ("w.a", "w/s.x", "w/s/u.z"):
        world = does(does(world, "POLL", row), "FAIL", row, retryable=1)
    world = does(does(world, "PAUSE", "w", now=NOW + 1_000), "RESUME", "w", now=NOW + 501_000)
    waiting = {f"{t.workflow}.{t.ref}": t.not_before - NOW for t in world.own.values() if t.not_before > NOW}
    assert waiting == {"w.a": 510_000, "w/s.x": 510_000, "w/s.u": 510_000}


def test_a_pause_of_its_own_outlasts_the_parents() -> None:
    """RESUME resumes what its own PAUSE paused; a sub-workflow that was paused by itself stays so, and all below it."""
    leaf = WorkflowDef("leaf", tasks=[TaskDef("z")])
    middle = WorkflowDef("middle", tasks=[TaskDef("u", workflow="leaf")])
    world = does(world_of(WorkflowDef("w", tasks=[TaskDef("s", workflow="middle")]), middle, leaf), "START", "w")
    for command in (("PAUSE", "w/s"), ("PAUSE", "w"), ("RESUME", "w")):
        world = does(world, *command)
    found = states(world)
    assert (found["w"], found["w/s"], found["w/s/u"]) == ("RUNNING", "PAUSED", "PAUSED")
    found = states(does(world, "RESUME", "w/s"))
    assert (found["w/s"], found["w/s/u"]) == ("RUNNING", "RUNNING")


@pytest.mark.parametrize(("link", "owner", "inside"), [
    ("tasks", "w/s", True), ("tasks", "w/s/u", False), ("tasks", "w/s~2", False),
    ("children", "w/s/u", True), ("children", "w/s/u/v", False), ("children", "w/s", False),
    ("subs", "w/s/u/v", True), ("subs", "w/s", False), ("subs", "w/s~2", False), ("subs", "w/st", False),
    ("all_tasks", "w/s", True), ("all_tasks", "w/s/u", True), ("all_tasks", "w/s~2", False), ("all_tasks", "w", False),
])
def test_ids_say_what_is_below(link: str, owner: str, inside: bool) -> None:
    """A row is behind a set link of a workflow if its workflow's id says so; the next attempt of a task is beside it."""
    assert in_scope(link, "w/s", owner) is inside
