"""Refusals in words: each message as a person reads it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine.explain import delivery_id, described, not_found
from kernel.engine.kernel import Kernel
from kernel.errors import Fenced, GuardRefused, KernelError, NoSuchTransition, NotFound
from kernel.testing.clock import ManualClock

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("print")], topics=("archive",))
ORDER = kernel.WorkflowDef("order", topics=("archive",), timeout=900.0, tasks=[
    Task("pick", retries=2), Task("approve", kind="wait"), Task("invoice", workflow="leaf"), Task("ship", after=["pick"])])


@pytest.fixture
def leases(k: Kernel) -> dict[str, kernel.Lease]:
    """An order under way; the leases of its workers by type."""
    k.register(LEAF, ORDER)
    k.start("order", workflow_id="order-7")
    return {lease.type: lease for type, worker in (("pick", "ada"), ("print", "")) for lease in k.poll(type, worker=worker)}


Leases = dict[str, kernel.Lease]
Situation = tuple[Callable[[Kernel, Leases], object], Callable[[Kernel, Leases], object], type[KernelError], str]
MESSAGES: dict[str, Situation] = {
    "a worker after the end": (
        lambda k, leases: k.terminate("order-7"), lambda k, leases: k.complete(leases["pick"]), Fenced, """\
        COMPLETE of task 'pick' of workflow 'order-7' by 'ada'
          stands:  CANCELED, attempt 1 of 3; workflow TERMINATED (run 1, version 2)
          why:     it is closed: the result came too late, or twice
          allowed: nothing
          try:     stop working on this attempt and poll for the next task"""),
    "a worker whose task went on": (
        lambda k, leases: (k.fail(leases["pick"]), k.poll("pick", worker="ben")), lambda k, leases: k.heartbeat(leases["pick"]),
        Fenced, """\
        HEARTBEAT of task 'pick' of workflow 'order-7' by 'ada'
          stands:  IN_PROGRESS, attempt 2 of 3, held by 'ben'; workflow RUNNING (run 1, version 2)
          why:     the lease presented is not the one stored: it expired, was taken over, or the task moved on
          allowed: HEARTBEAT, COMPLETE, FAIL, POSTPONE
          try:     stop working on this attempt and poll for the next task"""),
    "a worker without a name": (
        lambda k, leases: k.pause("order-7/invoice"),
        lambda k, leases: (k.complete(leases["print"]), k.complete(leases["print"])), Fenced, """\
        COMPLETE of task 'print' of workflow 'order-7/invoice'
          stands:  COMPLETED, attempt 1 of 1; workflow PAUSED (run 1, version 3)
          why:     it is closed: the result came too late, or twice
          allowed: nothing
          try:     stop working on this attempt and poll for the next task"""),
    "a signal for a worker's task": (
        lambda k, leases: None, lambda k, leases: k.signal("order-7", "pick"), GuardRefused, """\
        SIGNAL of task 'pick' of workflow 'order-7'
          stands:  IN_PROGRESS, attempt 1 of 3, held by 'ada'; workflow RUNNING (run 1, version 1)
          why:     it does not wait for a signal (guard: waiting task)
          allowed: HEARTBEAT, COMPLETE, FAIL, POSTPONE
          try:     kernel show order-7"""),
    "a child under a paused parent": (
        lambda k, leases: k.pause("order-7"), lambda k, leases: k.resume("order-7/invoice"), GuardRefused, """\
        RESUME of workflow 'order-7/invoice'
          stands:  PAUSED (run 1, version 2)
          why:     its parent is not RUNNING; resume the parent first (guard: root, or parent RUNNING)
          allowed: TERMINATE
          try:     kernel resume order-7"""),
    "a pause after the end": (
        lambda k, leases: k.terminate("order-7"), lambda k, leases: k.pause("order-7"), NoSuchTransition, """\
        PAUSE of workflow 'order-7'
          stands:  TERMINATED (run 1, version 2)
          why:     it has ended: nothing of it runs that could be paused
          allowed: RETRY, RESTART, RERUN
          try:     kernel show order-7"""),
    "a delivery that a relay holds": (
        lambda k, leases: (k.terminate("order-7"), k.commit(k.command(
            "CLAIM", Subject("order-7", topic="archive", run=1), given={"anyway": 0}))),
        lambda k, leases: k.redrive("order-7#1:archive"), NoSuchTransition, """\
        REDRIVE of delivery 'order-7#1:archive'
          stands:  LEASED (run 1, version 2)
          why:     a relay is delivering it just now
          allowed: CONFIRM, RELEASE
          try:     kernel show order-7"""),
    "a workflow that is not there": (
        lambda k, leases: None, lambda k, leases: k.terminate("order-8"), NotFound, """\
        TERMINATE of workflow 'order-8'
          why:     there is none in this store
          try:     kernel list shows the workflows of a store, kernel tree ID the tasks of one"""),
    "a task that is not there": (
        lambda k, leases: None, lambda k, leases: k.signal("order-7", "aprove"), NotFound, """\
        task 'aprove' of workflow 'order-7'
          why:     definition 'order' has no task of this reference
          try:     kernel list shows the workflows of a store, kernel tree ID the tasks of one"""),
    "a delivery that is not there": (
        lambda k, leases: None, lambda k, leases: k.redrive("order-7#1:archive"), NotFound, """\
        REDRIVE of delivery 'order-7#1:archive'
          why:     there is none in this store
          try:     kernel deliveries shows what is to be delivered, was delivered, or died"""),
    "other content under an id": (
        lambda k, leases: None, lambda k, leases: k.start("leaf", workflow_id="order-7"), GuardRefused, """\
        START of workflow 'order-7'
          stands:  a workflow of this id was started from 'order' version 1
          why:     it was started from another definition or with another input
          allowed: nothing
          try:     choose another id; the same id and content again gives the workflow that exists"""),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_says_it_all(k: Kernel, leases: Leases, name: str) -> None:
    """What was asked, where things stand, why not, what is allowed now, what to do."""
    before, ask, kind, text = MESSAGES[name]
    before(k, leases)
    with pytest.raises(KernelError) as caught:
        ask(k, leases)
    assert type(caught.value) is kind
    assert str(caught.value) == dedent(text)


def test_what_is_allowed_is_named(k: Kernel, leases: Leases, clock: ManualClock) -> None:
    """A refusal lists just the commands that `allowed` calls allowed, of that row, at that time."""
    clock.advance(1_000)
    with pytest.raises(GuardRefused) as caught:
        k.signal("order-7", "pick")
    assert caught.value.allowed == tuple(choice.event for choice in k.allowed("order-7", "pick") if choice.allowed)
    assert "EXPIRE" in caught.value.allowed


def test_a_hint_can_be_pasted(k: Kernel) -> None:
    """An id that a shell would take apart is quoted, so that a hint does what it says and nothing else."""
    k.register(LEAF)
    name = "a b; $(reboot) `reboot` 'x' && :"
    k.start("leaf", workflow_id=name)
    k.terminate(name)
    with pytest.raises(NoSuchTransition) as caught:
        k.pause(name)
    assert caught.value.hint == "kernel show 'a b; $(reboot) `reboot` '\"'\"'x'\"'\"' && :'"
    k.register(kernel.WorkflowDef("outer", tasks=[Task("sub", workflow="leaf")]))
    k.start("outer", workflow_id="$(reboot)")
    k.pause("$(reboot)")
    with pytest.raises(GuardRefused) as refused:
        k.resume("$(reboot)/sub")
    assert refused.value.hint == "kernel resume '$(reboot)'"


@pytest.mark.parametrize(("subject", "text"), [
    (Subject("w"), "workflow 'w'"), (Subject("w/sub~2"), "workflow 'w/sub~2'"),
    (Subject("w", 3), "task number 3 of workflow 'w'"),
    (Subject("w", topic="archive", run=2), "delivery 'w#2:archive'"), (Subject("\x1b[31m\n"), "workflow '\\x1b[31m\\n'"),
])
def test_a_subject_in_words(subject: Subject, text: str) -> None:
    """Quoted, and safe for a terminal."""
    assert described(subject) == text
    assert str(not_found(subject)).splitlines()[0] == text
    assert str(not_found(subject, "PAUSE")).splitlines()[0] == f"PAUSE of {text}"


def test_an_id_of_a_delivery() -> None:
    """Workflow, run and topic."""
    assert delivery_id("w/sub", 2, "archive") == "w/sub#2:archive"
