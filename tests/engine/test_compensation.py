"""Failure workflows: once for each run that goes wrong on its own account, whatever happens to whoever starts them."""

from __future__ import annotations

from typing import Any

import pytest

import kernel
from kernel.engine.compensation import compensation_id
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.stores.redis import RedisStore
from kernel.stores.sql_store import SqlStore
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from tests.stores.stand import Stand

Task = kernel.TaskDef
UNDO = kernel.WorkflowDef("undo", tasks=[Task("refund", input={"of": "${workflow.input.workflowId}"})])


def define(k: Kernel, *tasks: Task, below: dict[str, Any] | None = None, **options: Any) -> None:
    """A definition with a failure workflow; its sub-workflow has one, too."""
    own = {"failure_workflow": "undo", "timeout": 100.0, **options}
    k.register(UNDO, kernel.WorkflowDef("leaf", tasks=[Task("x")], failure_workflow="undo", **(below or {})),
               kernel.WorkflowDef("root", tasks=tasks or [Task("a"), Task("b")], **own))
    k.start("root", workflow_id="w", input={"sku": 7})


def failing(k: Kernel, type: str) -> None:
    """A worker fails its task for good."""
    (lease,) = k.poll(type)
    k.fail(lease, retryable=False, reason="no paper")


def asked(k: Kernel) -> set[str]:
    """The workflows whose failure workflow was asked for."""
    return {each.workflow_id for each in k.deliveries(limit=100) if each.topic == "compensation"}


def ended_as(k: Kernel, clock: ManualClock, how: str) -> None:
    """Let workflow w end in a way."""
    if how == "FAILED":
        failing(k, "a")
    elif how == "TIMED_OUT":
        clock.advance(100.0)
        k.tick()
    elif how == "TERMINATED":
        k.terminate("w", reason="enough")
    else:
        for type in ("a", "b"):
            k.complete(k.poll(type)[0])
    assert k.get("w").state == how


@pytest.mark.parametrize("switch", [True, False])
@pytest.mark.parametrize("how", ["COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"])
def test_each_bad_end_of_a_root_asks(k: Kernel, clock: ManualClock, how: str, switch: bool) -> None:
    """FAILED, TIMED_OUT, and TERMINATED unless that is switched off; one delivery, in the commit of the end."""
    define(k, failure_on_terminate=switch)
    ended_as(k, clock, how)
    assert asked(k) == ({"w"} if how in ("FAILED", "TIMED_OUT") or (how == "TERMINATED" and switch) else set())
    assert k.audit().clean


def test_it_is_started_once_with_what_happened(each: Stand, k: Kernel) -> None:
    """Its id is made of the run and is the receipt; its input is that of the run, and what became of it."""
    define(k)
    failing(k, "a")
    (outcome,) = k.deliver().outcomes
    name = compensation_id(each.store.id, "w", 1)
    assert (outcome.id, outcome.state, outcome.proof) == ("w#1:compensation", "DELIVERED", f"receipt:{name}")
    started = k.get(name)
    assert (started.name, started.state) == ("undo", "RUNNING")
    assert started.input == {
        "sku": 7, "workflowId": "w", "failureStatus": "FAILED", "failureTaskId": "w/a",
        "reason": "task 'a' FAILED_WITH_TERMINAL_ERROR: no paper",
        "failedWorkflow": {"workflowId": "w", "run": 1, "workflowType": "root", "version": 1, "status": "FAILED"}}
    assert k.history(name)[0].reason == "run 1 of workflow w is FAILED"
    assert k.poll("refund")[0].input == {"of": "w"}
    assert k.deliver().outcomes == ()
    assert k.audit().clean


@pytest.mark.parametrize("point", [FaultPoint.SENT, FaultPoint.CLAIMED])
def test_a_relay_that_dies_starts_it_once(each: Stand, k: Kernel, clock: ManualClock, point: FaultPoint) -> None:
    """Killed before or after it was started: the next relay finds it, or starts it."""
    define(k)
    k.terminate("w")
    crashes = Crashes()
    dying = each.kernel(faults=crashes)
    crashes.arm(point, 0)
    with pytest.raises(ProcessCrash):
        dying.deliver()
    clock.advance(61.0)
    k.tick()
    clock.advance(61.0)
    k.deliver()
    assert [w.name for w in k.find(limit=10).items] == ["undo", "root"]
    assert {d.state for d in k.deliveries()} == {"DELIVERED"}


def test_it_was_over_and_purged_before_its_relay_came_back(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Killed after it was started; when the next relay comes it has ended and was purged. It is not started again."""
    define(k)
    k.terminate("w")
    crashes = Crashes()
    crashes.arm(FaultPoint.SENT, 0)
    with pytest.raises(ProcessCrash):
        each.kernel(faults=crashes).deliver()
    name = compensation_id(each.store.id, "w", 1)
    k.terminate(name)
    k.purge(name, unarchived=True)
    clock.advance(61.0)
    k.tick()
    clock.advance(61.0)
    (outcome,) = k.deliver().outcomes
    assert (outcome.state, outcome.proof) == ("DELIVERED", f"receipt:{name}")
    assert k.get("w").state == "TERMINATED"
    with pytest.raises(kernel.NotFound, match="purged"):
        k.get(name)


def test_a_failure_workflow_that_nobody_knows(k: Kernel, clock: ManualClock) -> None:
    """The delivery keeps the error and waits; it goes through as soon as the definition is there."""
    define(k, failure_workflow="later")
    k.terminate("w")
    (outcome,) = k.deliver().outcomes
    assert outcome.state == "PENDING"
    assert "it is not registered" in outcome.error
    k.register(kernel.WorkflowDef("later", tasks=[Task("x")]))
    clock.advance(10.0)
    assert k.deliver().delivered == 1


@pytest.mark.parametrize(("name", "state"), [("$workflow.input.sku", "PENDING"), ("${workflow.input.undo}", "DELIVERED")])
def test_a_failure_workflow_that_the_input_names(k: Kernel, name: str, state: str) -> None:
    """As in Conductor; an input that names none is an error that the delivery keeps."""
    k.register(UNDO, kernel.WorkflowDef("root", tasks=[Task("a")], failure_workflow=name))
    k.start("root", workflow_id="w", input={"sku": 7, "undo": "undo"})
    k.terminate("w")
    (outcome,) = k.deliver().outcomes
    assert (outcome.state, "failure workflow" in outcome.error) == (state, state == "PENDING")


# ---- on its own account ---------------------------------------------------------------------------------------------
def test_a_cascade_asks_for_nothing_below(k: Kernel) -> None:
    """A sub-workflow that ends because its parent does has no failure workflow of its own."""
    define(k, Task("s", workflow="leaf"), Task("a"))
    k.terminate("w")
    assert asked(k) == {"w"}
    assert k.audit().clean


def test_a_sub_workflow_that_fails_by_itself(k: Kernel) -> None:
    """Its failure workflow undoes what it did, and that of its parent, which fails of it, what the parent did."""
    define(k, Task("s", workflow="leaf"), Task("a"))
    failing(k, "x")
    assert asked(k) == {"w", "w/s"}
    assert k.audit().clean


def test_a_sub_workflow_that_is_terminated_by_itself(k: Kernel) -> None:
    """Its optional task lets the parent go on."""
    define(k, Task("s", workflow="leaf", optional=True), Task("a"))
    k.terminate("w/s")
    assert (asked(k), k.get("w").state) == ({"w/s"}, "RUNNING")
    assert k.audit().clean


def test_a_sub_workflow_that_is_tried_again(k: Kernel) -> None:
    """Only the last attempt asks; one that the parent's task retries does not."""
    define(k, Task("s", workflow="leaf", retries=1), Task("a"))
    failing(k, "x")
    assert asked(k) == set()
    assert k.audit().clean
    failing(k, "x")
    assert asked(k) == {"w", "w/s~2"}
    assert k.audit().clean


def test_a_sub_workflow_that_times_out(k: Kernel, clock: ManualClock) -> None:
    """As one that fails, where its parent's task retries what expired; at once where it does not."""
    define(k, Task("s", workflow="leaf", retries=1), Task("t", workflow="leaf", retries=1, on_expiry="TIME_OUT_WF",
                                                         optional=True), below={"timeout": 5.0}, timeout=None)
    clock.advance(5.0)
    k.tick()
    assert asked(k) == {"w/t"}
    clock.advance(5.0)
    k.tick()
    assert asked(k) == {"w/t", "w/s~2", "w"}
    assert k.audit().clean


def test_a_terminate_task_asks_by_the_end_it_makes(k: Kernel) -> None:
    """TERMINATE-FAILED is a bad end like any other."""
    define(k, Task("t", kind="terminate", asks="FAILED"), Task("a"))
    assert (k.get("w").state, asked(k)) == ("FAILED", {"w"})


# ---- what cannot be -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "said"), [
    ({"failure_workflow": "w"}, "start itself again and again"), ({"failure_workflow": "a/b"}, "reserved"),
    ({"failure_workflow": 7}, "failure_workflow"), ({"failure_on_terminate": 1}, "failure_on_terminate"),
    ({"topics": ["compensation"]}, "topic of failure workflows"),
])
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    """By name, when the definition is made."""
    with pytest.raises(kernel.InvalidDefinition, match=said):
        kernel.WorkflowDef("w", tasks=[Task("a")], **given)


@pytest.mark.unverified
def test_the_audit_knows_whose_account_it_was(each: Stand, k: Kernel) -> None:
    """Of a root, and of a sub-workflow that failed, it knows exactly what must be there."""
    define(k, Task("s", workflow="leaf", retries=1), Task("a"))
    failing(k, "x")
    failing(k, "x")
    lost = {"w", "w/s~2"}
    if each.kind == "memory":
        for name in lost:
            del each.store.outbox[name, 1, "compensation"]  # type: ignore[attr-defined]
    elif isinstance(each.store, RedisStore):
        for name in lost:
            key = f"{each.store.prefixes[0]}w:1:{name}"
            each.store.link.call(key, "HDEL", key, "dcompensation")
    else:
        assert isinstance(each.store, SqlStore)
        with each.store.connection() as connection:
            connection.execute("DELETE FROM delivery WHERE topic = 'compensation'")
    assert {(f.invariant, f.workflow_id) for f in k.audit().findings} == {("INV-03", name) for name in lost}
