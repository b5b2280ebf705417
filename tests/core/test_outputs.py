"""What tasks gave, as a join sees it, however joins lead to each other."""

from __future__ import annotations

from itertools import pairwise

from kernel.core.checks import LIMITS
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.outputs import Outputs, with_defaults
from kernel.core.structure import compile_definition


def outputs(*tasks: TaskDef, **given: str) -> Outputs:
    """The outputs of a definition; `given` holds the JSON texts of some of its tasks."""
    definition = compile_definition(WorkflowDef("w", tasks=tasks))
    return Outputs(definition, lambda no: given.get(tasks[no].ref))


def test_a_join_gives_what_it_joins() -> None:
    """By reference, null for a task that gave nothing."""
    found = outputs(TaskDef("a"), TaskDef("b"), TaskDef("j", kind="join", after=["a", "b"]), a='{"x":1}')
    assert [found.task(no) for no in range(3)] == [{"x": 1}, None, {"a": {"x": 1}, "b": None}]


def test_joins_that_meet_again_are_made_once() -> None:
    """Each doubles the ways to the first one; the time is that of their number."""
    refs = [f"j{n}" for n in range(60)]
    tasks = [TaskDef("a"), TaskDef(refs[0], kind="join", after=["a"])]
    for before, ref in pairwise(refs):
        tasks += [TaskDef(f"{ref}x", kind="join", after=[before]), TaskDef(ref, kind="join", after=[before, f"{ref}x"])]
    found = outputs(*tasks, a="1").task(len(tasks) - 1)
    assert found["j58"] is found["j59x"]["j58"]


def test_joins_that_lead_too_deep_give_null() -> None:
    """A chain of any length neither fails nor grows deeper than JSON may be."""
    tasks = [TaskDef("j0", kind="join", after=["a"]), TaskDef("a")]
    tasks += [TaskDef(f"j{n}", kind="join", after=[f"j{n - 1}"]) for n in range(1, 3_000)]
    found, depth = outputs(*tasks, a="1").task(len(tasks) - 1), 0
    while found is not None:
        (found,) = found.values()
        depth += 1
    assert depth == LIMITS.depth


def test_a_workflow_gives_what_its_last_task_gave() -> None:
    """Of those that were done, in the order of the definition."""
    found = outputs(TaskDef("a"), TaskDef("b"), TaskDef("c"), a="1", b="2", c="3")
    assert found.workflow(["COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED"].__getitem__) == 2
    assert found.workflow(["SKIPPED", "FAILED", "SKIPPED"].__getitem__) is None


def test_defaults_are_for_keys_that_lack() -> None:
    """What is given stays, null included; without defaults the text stays as it is."""
    source = WorkflowDef("w", tasks=[TaskDef("a")], defaults={"a": 1, "b": 2})
    assert with_defaults(source, '{"b":null,"c":3}') == '{"a":1,"b":null,"c":3}'
    assert with_defaults(WorkflowDef("w", tasks=[TaskDef("a")]), '{"b": 1}') == '{"b": 1}'
