"""The pool of definitions: between them they use everything that a definition can ask for."""

from __future__ import annotations

from kernel.core.definitions import ExpiryPolicy, Mode
from kernel.spec.vocabulary import STATUSES
from kernel.testing.pool import ARCHIVE, INPUTS, MAIL, POOL, TYPES, family

TASKS = [task for definition in POOL for task in definition.tasks]
NAMES = {definition.name for definition in POOL}


def test_every_kind_of_task_is_there() -> None:
    """All modes, ends, expiry policies, retries with delay, optional, permissive, time limits, both topics and none."""
    assert {task.mode for task in TASKS} == set(Mode)
    assert {task.asks for task in TASKS} == {None, "COMPLETED", "FAILED", "TERMINATED"}
    assert {task.on_expiry for task in TASKS} == set(ExpiryPolicy)
    assert any(task.retries and task.retry_delay for task in TASKS)
    assert any(task.poll_timeout and not task.optional for task in TASKS)
    assert {task.optional for task in TASKS} == {task.permissive for task in TASKS} == {True, False}
    assert {definition.topics for definition in POOL} >= {(), (ARCHIVE,), (MAIL,), (ARCHIVE, MAIL)}
    assert any(definition.timeout for definition in POOL)
    assert {status for definition in POOL for status in definition.notify} == set(STATUSES)
    assert {task.type for task in TASKS if task.mode is Mode.WORKER} == set(TYPES)


def test_sub_workflows_go_three_levels_down() -> None:
    """From 'tower' three more levels lead down, each by name."""
    children = {d.name: [t.workflow for t in d.tasks if isinstance(t.workflow, str)] for d in POOL}
    depth, level = 0, ["tower"]
    while level := [str(child) for name in level for child in children[name]]:
        depth += 1
    assert depth == 3


def test_some_sub_workflows_do_not_exist() -> None:
    """One is named that nobody registers; one is named by the input, rightly, wrongly, or by a number."""
    wanted = {task.workflow for task in TASKS if isinstance(task.workflow, str) and "${" not in task.workflow}
    assert wanted - NAMES == {"nowhere"}
    assert [each["child"] for each in INPUTS] == ["leaf", "nowhere", 3]


def test_a_family_is_what_a_definition_needs() -> None:
    """A definition with everything below it, whatever its input names; nothing else."""
    families = {definition.name: {each.name for each in family(definition)} for definition in POOL}
    assert families["tower"] == {"tower", "outer", "middle", "leaf"}
    assert families["leaf"] == {"leaf"}
    assert families["clocks"] == {"clocks", "brief", "leaf"}
    assert all(name in members and "leaf" in members for name, members in families.items())
