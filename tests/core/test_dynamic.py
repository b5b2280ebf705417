"""What a dynamic fork makes of its input, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.core.definitions import TaskDef
from kernel.core.dynamic import made_by
from kernel.errors import KernelError

FORK = TaskDef("fan", kind="dynamic", input={"tasks": "${plan.output.tasks}"})


def simple(ref: str, **fields: Any) -> dict[str, Any]:
    """A task as Conductor writes it."""
    return {"name": f"{ref}_type", "taskReferenceName": ref, "type": "SIMPLE", **fields}


def test_tasks_are_made_of_both_forms() -> None:
    """Ours and Conductor's; each comes after the fork, unless it says after what else."""
    made = made_by(FORK, {"tasks": [
        {"ref": "a", "type": "stock", "retries": 2}, {"ref": "b", "after": ["a"]}, simple("c", optional=True),
        simple("d", type="SUB_WORKFLOW", subWorkflowParam={"name": "leaf", "version": 2}), simple("e", type="WAIT")]})
    assert made == (
        TaskDef("a", type="stock", retries=2, after=["fan"]), TaskDef("b", after=["a"]),
        TaskDef("c", type="c_type", after=["fan"], optional=True),
        TaskDef("d", type="d_type", workflow="leaf", workflow_version=2, after=["fan"]),
        TaskDef("e", type="e_type", kind="wait", after=["fan"]))
    assert made_by(FORK, {"tasks": [], "inputs": None}) == ()


def test_each_task_gets_its_input() -> None:
    """Besides its own, which may hold expressions; what is given is a value, and no expression."""
    given = {"a": {"x": 1, "y": ["${workflow.input.y}"]}, "nobody": {"z": 1}, "b": None}
    tasks = [{"ref": "a", "input": {"x": 0, "w": "${workflow.input.w}"}}, {"ref": "b"}]
    made = made_by(FORK, {"tasks": tasks, "inputs": given})
    assert [task.input for task in made] == [{"x": 1, "y": ["$${workflow.input.y}"], "w": "${workflow.input.w}"}, {}]


BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "its input 'tasks' must be a list, not None"),
    ({"tasks": {"ref": "a"}}, "its input 'tasks' must be a list, not a value of type dict"),
    ({"tasks": [], "inputs": [1]}, "its input 'inputs' must be an object, not a value of type list"),
    ({"tasks": [7]}, "a TaskDef must be an object, not 7"),
    ({"tasks": [{}]}, "field 'ref' is not acceptable"),
    ({"tasks": [{"ref": "a", "retry": 1}]}, "there is no such field"),
    ({"tasks": [{"ref": "a/b"}]}, "reserved"),
    ({"tasks": [{"ref": "a", "workflow": {"name": "w", "tasks": [{"ref": "x"}]}}]}, "written inline"),
    ({"tasks": [{"ref": "a"}], "inputs": {"a": "x"}}, "task 'a'"),
    ({"tasks": [simple("a", type="HTTP")]}, "HTTP"),
    ({"tasks": [simple("a", startDelay=5)]}, "'startDelay' has no effect"),
    ({"tasks": [simple("a", type="FORK_JOIN", forkTasks=[[simple("b")]])]}, "the join of this FORK_JOIN is missing"),
    ({"tasks": [simple("a", type="SWITCH", expression="x", inputParameters={"x": 1}, decisionCases={"1": [simple("b")]})]},
     "it holds other tasks, 'b' first"),
    ({"tasks": [simple("")]}, "missing or empty"),
    ({"tasks": [{"name": "pack", "type": "SIMPLE"}]}, "field 'taskReferenceName'"),
]


@pytest.mark.parametrize(("given", "why"), BAD)
def test_what_cannot_be_made_is_refused(given: dict[str, Any], why: str) -> None:
    """The message says which fork, which task, and what is wrong."""
    with pytest.raises(KernelError) as caught:
        made_by(FORK, given)
    assert why in str(caught.value)


def test_a_task_that_is_nested_too_deep_is_refused() -> None:
    """No recursion error comes out."""
    deep: Any = "x"
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(KernelError):
        made_by(FORK, {"tasks": [{"ref": "a", "input": {"x": deep}}]})
