"""What cannot be prepared is judged unsound, with a reason; progress rejects it and goes on."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.core import judge as judging
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.errors import Conflict, StoreUnavailable
from kernel.spec.language import NEVER
from tests.model.driver import NOW, does, planned, states, world_of
from tests.model.world import World

LEAF = WorkflowDef("leaf", tasks=[TaskDef("x")], topics=["archive"])


def started(*tasks: TaskDef, others: tuple[WorkflowDef, ...] = (LEAF,), input: str = "{}") -> World:
    """A workflow of these tasks, begun."""
    return does(world_of(WorkflowDef("w", tasks=tasks), *others), "START", "w", input=input)


def rejected(world: World, row: str) -> str:
    """Why a task was rejected."""
    assert states(world)[row] == "FAILED_WITH_TERMINAL_ERROR"
    workflow, _, ref = row.partition(".")
    return next(task.reason for task in world.own.values() if (task.workflow, task.ref) == (workflow, ref))


def test_a_task_without_expressions_is_sound() -> None:
    """What its definition says is its input, and nothing more is written down."""
    world = started(TaskDef("a", input={"x": 1}))
    assert states(world)["w.a"] == "SCHEDULED"
    assert world.payload("w", 0, "input") is None


@pytest.mark.parametrize(("template", "resolved"), [
    ("${workflow.input.sku}", '{"v":7}'),
    ("${first.output.shelf[1]}", '{"v":"b"}'),
    ("${first.output.missing}", '{"v":null}'),
    ("${workflow.id}/${CPEWF_TASK_ID}", '{"v":"w/w/a"}'),
])
def test_an_input_is_resolved_when_its_task_is_scheduled(template: str, resolved: str) -> None:
    """Expressions read the workflow's input, outputs of earlier tasks, and ids; the result is kept as the task's input."""
    world = started(TaskDef("first"), TaskDef("a", after=["first"], input={"v": template}), input='{"sku":7}')
    world = does(does(world, "POLL", "w.first"), "COMPLETE", "w.first", payload='{"shelf":["a","b"]}')
    assert world.payload("w", 1, "input") == resolved


def test_an_output_that_was_never_given_is_empty() -> None:
    """A task without an output gives null wherever it is read."""
    world = started(TaskDef("first"), TaskDef("a", after=["first"], input={"v": "${first.output.x}"}))
    world = does(does(world, "POLL", "w.first"), "COMPLETE", "w.first")
    assert world.payload("w", 1, "input") == '{"v":null}'


@pytest.mark.parametrize("asks", ["task", "workflow"])
@pytest.mark.parametrize("error", [Conflict("asking", why="a row changed"), StoreUnavailable("asking", why="it is gone")])
def test_a_store_that_cannot_tell_decides_nothing(error: Exception, asks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is a task rejected nor an output made up because something could not be read just then."""
    tasks = [TaskDef("first"), TaskDef("a", after=["first"], input={"v": "${first.output.x}"})]
    definition = WorkflowDef("w", tasks=tasks if asks == "task" else tasks[:1], output={"v": "${first.output.x}"})
    world = does(does(world_of(definition), "START", "w"), "POLL", "w.first")

    def payload(world: World, workflow_id: str, no: int, what: str) -> None:
        if no == 0:
            raise error

    monkeypatch.setattr(World, "payload", payload)
    with pytest.raises(type(error)):
        does(world, "COMPLETE", "w.first")


def test_an_input_that_grows_too_deep_is_rejected() -> None:
    """Progress does not raise: the task is rejected and says why."""
    deep: Any = 1
    for _ in range(99):
        deep = [deep]
    text = str(deep)
    world = started(TaskDef("a", input={"v": {"v": "${workflow.input.deep}"}}), input=f'{{"deep":{text}}}')
    assert "nested more than 100 levels" in rejected(world, "w.a")


def test_the_input_of_a_sub_workflow_is_its_tasks_input() -> None:
    """A sub-workflow starts with its task's input, and the task says which sub-workflow it started."""
    world = started(TaskDef("s", workflow="leaf", input={"v": "${workflow.input.n}"}), input='{"n":3}')
    assert states(world)["w/s"] == "RUNNING"
    assert world.payload("w/s", -1, "input") == '{"v":3}'
    assert world.payload("w", 0, "output") == '{"subWorkflowId":"w/s"}'


@pytest.mark.parametrize(("task", "input", "why"), [
    (TaskDef("s", workflow="nowhere"), "{}", "no definition 'nowhere' is registered"),
    (TaskDef("s", workflow="nowhere", workflow_version=3), "{}", "no definition 'nowhere' version 3 is registered"),
    (TaskDef("s", workflow="${workflow.input.name}"), "{}", "the name of its sub-workflow is 'None', not a text"),
    (TaskDef("s", workflow="${workflow.input.name}"), '{"name":"elsewhere"}', "no definition 'elsewhere' is registered"),
    (TaskDef("s", workflow="w"), "{}", "recursion: workflow 'w' above is 'w' too"),
])
def test_a_sub_workflow_that_cannot_start_is_rejected(task: TaskDef, input: str, why: str) -> None:
    """An unknown definition, a name that is none, and a workflow inside itself are rejected with their reason."""
    assert rejected(started(task, input=input), "w.s") == why


def test_recursion_is_found_at_any_depth() -> None:
    """A workflow may not start one that it is inside of, however far above."""
    middle = WorkflowDef("middle", tasks=[TaskDef("t", workflow="w")])
    world = started(TaskDef("s", workflow="middle"), others=(middle,))
    assert rejected(world, "w/s.t") == "recursion: workflow 'w' above is 'w' too"
    assert states(world)["w"] == "FAILED"


@pytest.mark.parametrize(("limit", "value", "why"), [
    ("DEPTH_MAX", 1, "deeper than 1 levels"),
    ("TREE_TASKS_MAX", 1, "more than 1 tasks"),
    ("ID_MAX", 2, "longer than 2 characters"),
])
def test_a_tree_has_limits(limit: str, value: int, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sub-workflow that would pass a limit of the tree is rejected."""
    monkeypatch.setattr(judging, limit, value)
    assert why in rejected(started(TaskDef("s", workflow="leaf")), "w.s")


def test_a_tree_keeps_its_limit_while_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sub-workflows that start in one commit the one that would make the tree too large is rejected."""
    monkeypatch.setattr(judging, "TREE_TASKS_MAX", 3)
    assert "more than 3 tasks" in rejected(started(TaskDef("s", workflow="leaf"), TaskDef("u", workflow="leaf")), "w.u")


def test_sub_workflows_of_one_commit_share_the_limit_of_their_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sub-workflows that start in one commit the one that the tree has no room for is rejected."""
    both = (TaskDef("s", workflow="leaf", optional=True), TaskDef("u", workflow="leaf", optional=True), TaskDef("a"))
    for limit, started_ in ((5, {"w/s", "w/u"}), (4, {"w/s"}), (3, set[str]())):
        monkeypatch.setattr(judging, "TREE_TASKS_MAX", limit)
        world = started(*both)
        assert {id for id in world.workflows if id != "w"} == started_
        assert {task.reason for task in world.own.values()} <= {"", f"the tree would have more than {limit} tasks"}


def test_a_sub_workflow_that_is_there_already_is_not_started_again() -> None:
    """Rows that should not be there do not stop progress: the task is rejected."""
    world = started(TaskDef("a"), TaskDef("s", workflow="leaf", after=["a"]))
    stray = world.workflows["w"].copy()
    stray.id, stray.parent, stray.parent_no, stray.state = "w/s", "w", 1, "COMPLETED"
    world.put(stray)
    world = does(does(world, "POLL", "w.a"), "COMPLETE", "w.a")
    assert rejected(world, "w.s") == "workflow 'w/s' is there already"


def test_an_optional_task_that_cannot_be_prepared_does_not_fail_its_workflow() -> None:
    """REJECT of an optional task closes it with errors, and its workflow goes on."""
    plan = planned(world_of(WorkflowDef("w", tasks=[TaskDef("s", workflow="nowhere", optional=True)])), "START", "w")
    assert [(c.kind, c.event, c.target) for c in plan.changes] == [
        ("workflow", "START", "RUNNING"), ("task", "CREATE", "PENDING"), ("task", "REJECT", "COMPLETED_WITH_ERRORS"),
        ("workflow", "COMPLETE", "COMPLETED")]


def test_a_wait_by_expressions_is_judged() -> None:
    """How long, and until when, are read when the task is scheduled; what is neither cannot be prepared."""
    waits = TaskDef("a", kind="wait", wait_for="${workflow.input.n}", wait_until="${workflow.input.at}")
    world = started(waits, TaskDef("b"), input='{"n":"2 s","at":null}')
    row = world.own["w", 0]
    assert (row.state, row.wakes - NOW, row.expires >= NEVER) == ("IN_PROGRESS", 2_000_000, True)
    world = started(waits, TaskDef("b"), input='{"at":"1970-01-01"}')
    assert world.own["w", 0].wakes == 0
    assert "no date and time of day" in rejected(started(waits, input='{"at":"soon"}'), "w.a")
