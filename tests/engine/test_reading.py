"""Rows of a store as the entities that callers get."""

from __future__ import annotations

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine import reading
from kernel.engine.explain import delivery_id
from kernel.engine.kernel import Kernel
from kernel.errors import InvalidInput, NotFound, StoreCorrupt
from tests.stores.stand import Stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x", input={"n": "${workflow.input.n}"})])
ROOT = kernel.WorkflowDef("root", tasks=[
    Task("z", workflow="leaf", input={"n": 1}, retries=11), Task("plain", input={"fixed": [1]}), Task("b", workflow="leaf"),
    Task("later", after=["plain"], input={"of": "${plain.output.n}"})])


@pytest.mark.parametrize(("workflow", "run", "topic"), [
    ("w", 1, "archive"), ("w/sub~2/x", 12, "a:b"), ("a b", 999_999_999, "é"), ("x:1", 1, ":"),
])
def test_a_delivery_id_leads_to_its_delivery(workflow: str, run: int, topic: str) -> None:
    """There and back, whatever a workflow and a topic are called."""
    assert reading.delivery_subject(delivery_id(workflow, run, topic)) == Subject(workflow, topic=topic, run=run)


@pytest.mark.parametrize(
    "text", ["", "#", "w", "w#1", "w#1:", "#1:t", "w#:t", "w#x:t", "w#-1:t", "w#1.5:t", "w#1234567890:t", "w#²:t"])
def test_what_is_no_delivery_id(text: str) -> None:
    """Refused with the form that it has."""
    with pytest.raises(InvalidInput, match="WORKFLOW#RUN:TOPIC"):
        reading.delivery_subject(text)


@pytest.mark.parametrize(("workflow", "ref"), [("w/a", "a"), ("w/a~2", "a"), ("w/x/b~12", "b"), ("w", "w")])
def test_the_reference_in_a_sub_workflows_id(workflow: str, ref: str) -> None:
    """The last part of its path, without the attempt."""
    assert reading.ref_of(workflow) == ref


@pytest.mark.parametrize(("text", "value"), [(None, None), ("null", None), ("{}", {}), ('{"é":[1.5]}', {"é": [1.5]})])
def test_a_stored_text_is_a_value(text: str | None, value: object) -> None:
    """JSON, or nothing."""
    assert reading.loaded(text) == value


@pytest.mark.parametrize("text", ["", "{", "no", "\x00"])
def test_a_stored_text_that_is_none(text: str) -> None:
    """Nobody of us wrote it."""
    with pytest.raises(StoreCorrupt, match="a stored JSON text"):
        reading.loaded(text)


def test_a_tree_is_built_in_the_order_of_its_definition(k: Kernel) -> None:
    """Tasks by position; sub-workflows in the order of the tasks that started them, earlier attempts first."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w")
    for _ in range(11):
        k.fail(next(lease for lease in k.poll("x", limit=2) if lease.workflow_id.startswith("w/z")))
    tree = k.tree("w")
    assert [task.ref for task in tree.tasks] == ["z", "plain", "b", "later"]
    assert [node.workflow.id for node in tree.children] == [
        "w/z", *(f"w/z~{attempt}" for attempt in range(2, 13)), "w/b"]
    assert k.tree("w/b").workflow == tree.children[-1].workflow
    assert k.tree("w/b").children == ()
    assert [node.workflow.id for node in k.tree("w/z").children] == []


def test_inputs_are_shown_as_they_were_resolved(k: Kernel) -> None:
    """Before a task is reached its templates have no value; one without templates shows its definition's."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w")
    assert {task.ref: task.input for task in k.tasks("w")} == {
        "z": {"n": 1}, "plain": {"fixed": [1]}, "b": {}, "later": None}
    assert k.tasks("w/z")[0].input == {"n": 1}
    assert k.tasks("w/b")[0].input == {"n": None}
    (lease,) = k.poll("plain")
    k.complete(lease, output={"n": 7})
    assert k.tasks("w")[3].input == {"of": 7}


def test_times_that_do_not_count_are_none(k: Kernel) -> None:
    """No lease, no deadline, nothing to wait for."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w")
    k.terminate("w")
    assert k.get("w").deadline is None
    assert [(task.not_before, task.expires) for task in k.tasks("w")] == [(None, None)] * 4


def test_why_a_task_stands_where_it_does(k: Kernel) -> None:
    """Its own reason, or for a CANCELED one that of its workflow's end."""
    k.register(kernel.WorkflowDef("w", tasks=[Task("a", optional=True), Task("b"), Task("c")]))
    k.start("w", workflow_id="w")
    (a,), (c,) = k.poll("a"), k.poll("c")
    k.fail(a, reason="never mind")
    k.complete(c)
    k.terminate("w", reason="customer withdrew")
    assert [task.reason for task in k.tasks("w")] == ["never mind", "customer withdrew", ""]


def test_what_is_not_there_is_not_found(each: Stand, k: Kernel) -> None:
    """A tree, a workflow of it, a run, a task."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w")
    with each.store.transaction(write=False) as transaction:
        for id, run in (("v", None), ("w/x", None), ("w", 2)):
            with pytest.raises(NotFound):
                reading.workflow_row(transaction, id, run)
        tree, row = reading.workflow_row(transaction, "w/z", 1)
        assert (tree.root, row.id) == ("w", "w/z")
        assert reading.position(row, "x") == 0
        with pytest.raises(NotFound, match="has no task of this reference"):
            reading.position(row, "y")
