"""Spawned tasks: checked against the workflow that they are added to, kept as texts, compiled into its definition."""

from __future__ import annotations

from typing import Any

import pytest

import kernel
from kernel.core import extension, judge
from kernel.core.checks import Limits
from kernel.core.content import task_from_content
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.extension import HOLE, Spawn, added, extended, named, payload_of, spawn_of, spawned_from
from kernel.core.facts import Spawned
from kernel.core.records import Prepared, prepare
from kernel.core.structure import compile_definition
from kernel.errors import InvalidDefinition

BASE = prepare(compile_definition(WorkflowDef("d", tasks=[
    TaskDef("a"), TaskDef("b", after=["a"], input={"x": "${a.output.x}"}), TaskDef("join", kind="join", after=["a"])])))
ONE = TaskDef("x", after=["a"], input={"n": "${a.output.n}"}, retries=2)


def grown(*tasks: TaskDef, before: tuple[str, ...] = (), by: int = 0, base: Prepared = BASE) -> Prepared:
    """The definition after a spawn."""
    return extended(base, added(base, by, Spawn(tasks, before)))


def by(prepared: Prepared) -> dict[int, int]:
    """Who spawned whom, by position."""
    return {no: spawned.by for no, spawned in prepared.spawned.items()}


def test_spawned_tasks_take_the_next_positions() -> None:
    """They come after whom they name, each other included; what is named in `before` waits for all of them."""
    found = grown(ONE, TaskDef("y", after=["x", "b"]), before=("join",))
    definition = found.definition
    assert definition.index == {"a": 0, "b": 1, "join": 2, "x": 3, "y": 4}
    assert definition.predecessors == ((), (0,), (0, 3, 4), (0,), (3, 1))
    assert definition.successors == ((1, 2, 3), (4,), (), (2, 4), (2,))
    assert (definition.references[3], definition.templated[3:]) == ((0,), (True, False))
    assert (found.facts[3].tries, by(found), found.timeout) == (3, {3: 0, 4: 0}, BASE.timeout)
    assert [t.ref for t in definition.source.tasks] == ["a", "b", "join", "x", "y"]
    assert (definition.digest, BASE.definition.source.tasks[2].after) == (BASE.digest, ("a",))
    more = grown(TaskDef("z", after=["y"]), base=found, by=3)
    assert (more.definition.predecessors[5], by(more)) == ((4,), {3: 0, 4: 0, 5: 3})


def test_what_is_kept_gives_the_same_definition() -> None:
    """From the texts, in any number of steps; its name tells it from any other."""
    first = added(BASE, 0, Spawn((ONE,), ("join",)))
    second = added(extended(BASE, first), 3, Spawn((TaskDef("y", after=["x"]),)))
    texts = [payload_of("w", each) for each in (*first, *second)]
    assert [(p.workflow, p.no, p.what) for p in texts] == [("w", 3, "definition"), ("w", 4, "definition")]
    again = extended(BASE, [spawned_from(p.no, p.text or "") for p in texts])
    step = extended(extended(BASE, first), second)
    assert (again.definition, again.facts, again.spawned) == (step.definition, step.facts, step.spawned)
    names = [named("", texts[:1]), named("", texts), named(named("", texts[:1]), texts[1:])]
    assert len({*names}) == 3


def test_the_order_of_what_is_kept_says_nothing() -> None:
    """A spawned task that was made to wait for a later one waits for it, whichever is read first."""
    first = added(BASE, 0, Spawn((ONE,)))
    second = added(extended(BASE, first), 1, Spawn((TaskDef("y"),), ("x", "join")))
    for kept in ([*first, *second], [*second, *first]):
        assert extended(BASE, kept).definition.predecessors == ((), (0,), (0, 4), (0, 4), ())


def test_positions_may_have_holes() -> None:
    """A re-opening leaves out what it does not keep; what came after that waits for one task less."""
    found = extended(BASE, [Spawned(5, 0, (2,), TaskDef("z", after=["a", "gone away"]))])
    assert [t.ref for t in found.definition.source.tasks[3:]] == [HOLE.ref, HOLE.ref, "z"]
    assert (found.definition.index.get(HOLE.ref), found.definition.predecessors[5]) == (None, (0,))
    more = added(found, 5, Spawn((TaskDef("gone"), TaskDef("more", after=["gone", "z"]))))
    assert [each.no for each in more] == [6, 7]
    assert extended(found, more).definition.predecessors[7] == (6, 5)


@pytest.mark.parametrize(("spawn", "why"), [
    (Spawn((TaskDef("b"),)), "another task of the same reference"),
    (Spawn((ONE, ONE)), "another task of the same reference"),
    (Spawn((TaskDef("x", after=["nobody"]),)), "it names 'nobody'"),
    (Spawn((TaskDef("x", after=["y"]), TaskDef("y", after=["x"]))), "tasks wait for each other: 'x' -> 'y' -> 'x'"),
    (Spawn((TaskDef("x", after=["join"]),), ("join",)), "tasks wait for each other"),
    (Spawn((ONE,), ("nobody",)), "it names 'nobody'"),
    (Spawn((ONE,), ("x",)), "it names 'x'"),
    (Spawn((TaskDef("x", input={"n": "${b.output.n}"}),)), "it reads the output of 'b', which need not be there yet"),
    (Spawn((TaskDef("x", input={"n": "${nobody.output.n}"}),)), "it names 'nobody'"),
    (Spawn((TaskDef("x", workflow=WorkflowDef("in", tasks=[TaskDef("t")])),)), "names its sub-workflow"),
    (Spawn((TaskDef("x", after=["a"], when=("a", "1")),)), "stands in no branch"),
])
def test_what_cannot_be_spawned(spawn: Spawn, why: str) -> None:
    """Whatever could not run in this workflow, said as of any definition."""
    with pytest.raises(InvalidDefinition) as caught:
        added(BASE, 0, spawn)
    assert why in str(caught.value)
    assert "what task 'a' spawns" in str(caught.value)


def test_a_workflow_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a definition."""
    monkeypatch.setattr(extension, "LIMITS", Limits(tasks=4))
    added(BASE, 0, Spawn((ONE,)))
    with pytest.raises(InvalidDefinition, match="more than 4"):
        added(BASE, 0, Spawn((ONE, TaskDef("y"))))


@pytest.mark.parametrize(("tasks", "before", "why"), [
    ("x", (), "a list of TaskDef"), (ONE, (), "a list of TaskDef"), ([ONE, "x"], (), "a list of TaskDef"),
    ([ONE], "join", "a list of references"), ([ONE], [1], "a list of references"), ([], ["join"], "nothing is spawned"),
])
def test_what_a_caller_may_ask(tasks: Any, before: Any, why: str) -> None:
    """A list of tasks, and a list of references; nothing is nothing."""
    assert spawn_of([], ()) is None
    assert spawn_of([ONE], ["join"]) == Spawn((ONE,), ("join",))
    with pytest.raises(InvalidDefinition) as caught:
        spawn_of(tasks, before)
    assert why in str(caught.value)


# ---- in a running workflow ----------------------------------------------------------------------------------------------
def test_a_tree_has_no_more_tasks_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that would add too many is refused, and nothing has changed."""
    with kernel.open("memory://") as k:
        k.register(kernel.WorkflowDef("w", tasks=[kernel.TaskDef("a"), kernel.TaskDef("b")]))
        k.start("w", workflow_id="w")
        (lease,) = k.poll("a")
        monkeypatch.setattr(judge, "TREE_TASKS_MAX", 3)
        with pytest.raises(kernel.InvalidDefinition, match="the tree would have more than 3 tasks"):
            k.complete(lease, spawn=[kernel.TaskDef("x"), kernel.TaskDef("y")])
        assert [task.ref for task in k.tasks("w")] == ["a", "b"]
        k.complete(lease, spawn=[kernel.TaskDef("x")])
        assert k.audit().clean


def test_who_does_not_follow_the_spawner_waits_too() -> None:
    """A PENDING task that comes after another one than the spawner waits for what is spawned before it."""
    with kernel.open("memory://") as k:
        k.register(kernel.WorkflowDef("w", tasks=[kernel.TaskDef("a"), kernel.TaskDef("b"), kernel.TaskDef("c", after=["b"])]))
        k.start("w", workflow_id="w")
        k.complete(k.poll("a")[0], spawn=[kernel.TaskDef("x")], before=["c"])
        k.complete(k.poll("b")[0])
        assert k.poll("c") == []
        k.complete(k.poll("x")[0])
        k.complete(k.poll("c")[0])
        assert (k.get("w").state, k.audit().findings) == ("COMPLETED", ())


def test_a_task_that_is_nested_too_deep() -> None:
    """A text from which a task is read is refused, however deep it is."""
    task: dict[str, object] = {"ref": "x"}
    for _ in range(5_000):
        task = {"ref": "x", "workflow": {"name": "w", "tasks": [task]}}
    with pytest.raises(kernel.InvalidDefinition, match="nested too deep"):
        task_from_content(task)
