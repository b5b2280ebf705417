"""The kernel's commands: what each does and answers, what it refuses and how, on every store."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine.contention import again
from kernel.engine.entities import EPOCH, Applied, Lease
from kernel.engine.kernel import Kernel
from kernel.errors import (
    Fenced,
    GuardRefused,
    InvalidDefinition,
    InvalidInput,
    KernelError,
    NoSuchTransition,
    NotFound,
    Refused,
)
from kernel.testing.clock import ManualClock
from kernel.testing.lockstep import Lockstep
from tests.stores.stand import Stand

Task = kernel.TaskDef
NOW = datetime.fromtimestamp(1_000_000_000, UTC)
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("print"), Task("mail", after=["print"])], topics=("archive",))
MIDDLE = kernel.WorkflowDef("middle", tasks=[Task("leaf", workflow="leaf"), Task("own")])
ORDER = kernel.WorkflowDef("order", topics=("archive", "mail"), timeout=3600.0, tasks=[
    Task("reserve", type="stock", retries=2, retry_delay=2.0, lease=30.0, input={"sku": "${workflow.input.sku}"}),
    Task("approve", kind="wait", after=["reserve"]),
    Task("invoice", workflow="leaf", after=["reserve"], optional=True),
    Task("ship", after=["approve"], input={"shelf": "${reserve.output.shelf}", "by": "${approve.output.by}", "fixed": [1]}),
])


def one(k: Kernel, type: str, worker: str = "w1") -> Lease:
    """The lease of the only task of a type that is due."""
    (lease,) = k.poll(type, worker=worker, limit=100)
    return lease


def states(k: Kernel, workflow: str) -> dict[str, str]:
    """The state of each task."""
    return {task.ref: str(task.state) for task in k.tasks(workflow)}


def task(k: Kernel, workflow: str, ref: str) -> kernel.Task:
    """One task."""
    (found,) = [each for each in k.tasks(workflow) if each.ref == ref]
    return found


def started(k: Kernel, *tasks: kernel.TaskDef, name: str = "w", **options: Any) -> str:
    """A running workflow of these tasks."""
    k.register(kernel.WorkflowDef(name, tasks=tasks, **options))
    return k.start(name, workflow_id=name).id


def refused(each: Stand, kind: type[KernelError], ask: Callable[[], object]) -> Any:
    """The error of a call; it has changed nothing at all, it says everything, and it crosses a process boundary."""
    before = each.rows()
    with pytest.raises(KernelError) as caught:
        ask()
    error = caught.value
    assert type(error) is kind, error
    assert each.rows() == before
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line itself
    assert (type(copy), vars(copy), str(copy)) == (kind, vars(error), str(error))
    lines = str(error).splitlines()
    assert lines[0] == error.asked.splitlines()[0]
    assert error.asked
    assert error.why
    if isinstance(error, Refused):
        assert error.stands
        assert not isinstance(error, GuardRefused) or error.guard
    return error


# --------------------------------------------------------------------------------------------------------- definitions
def test_registering_again_changes_nothing(each: Stand, k: Kernel) -> None:
    """The same name, version and content, as often as you like."""
    k.register(LEAF, ORDER)
    before = each.rows()
    k.register(ORDER, LEAF)
    k.register(attrs.evolve(ORDER))
    assert each.rows() == before


def test_other_content_under_the_same_version_is_refused(each: Stand, k: Kernel) -> None:
    """A definition never changes; the message says which version is free."""
    k.register(LEAF)
    other = attrs.evolve(LEAF, tasks=[Task("print")])
    error = refused(each, InvalidDefinition, lambda: k.register(other))
    assert error.asked == "registering 'leaf' version 1"
    assert "version 2" in error.hint
    k.register(attrs.evolve(other, version=2))


def test_definitions_are_registered_together_or_not_at_all(each: Stand, k: Kernel) -> None:
    """One that is refused takes those before it along."""
    k.register(LEAF)
    refused(each, InvalidDefinition, lambda: k.register(MIDDLE, attrs.evolve(LEAF, tasks=[Task("print")])))
    k.register(MIDDLE)


def test_a_definition_that_starts_itself_is_refused(each: Stand, k: Kernel) -> None:
    """An endless recursion that can be seen at once is not left to the limits."""
    for version in (None, 3):
        own = kernel.WorkflowDef("loop", version=3, tasks=[Task("a"), Task("again", workflow="loop", workflow_version=version)])
        error = refused(each, InvalidDefinition, lambda own=own: k.register(own))  # type: ignore[misc]
        assert "'again'" in error.why
    k.register(kernel.WorkflowDef("loop", version=3, tasks=[Task("older", workflow="loop", workflow_version=2)]))


def test_inline_definitions_run(k: Kernel) -> None:
    """What is written inside a task is registered with the definition around it."""
    inner = kernel.WorkflowDef("ignored", tasks=[Task("deep", input={"n": "${workflow.input.n}"})])
    started(k, Task("sub", workflow=inner, input={"n": 3}))
    assert one(k, "deep").input == {"n": 3}
    assert k.get("w/sub").name == "w#sub"


def test_a_running_workflow_keeps_its_definition(k: Kernel) -> None:
    """A new version is for new workflows; an old one can still be asked for."""
    k.register(LEAF)
    k.start("leaf", workflow_id="old")
    k.register(attrs.evolve(LEAF, version=2, tasks=[Task("fax")]))
    k.start("leaf", workflow_id="new")
    k.start("leaf", workflow_id="chosen", version=1)
    assert [(w.id, w.definition_version) for w in k.find().items] == [("chosen", 1), ("new", 2), ("old", 1)]
    assert states(k, "old") == states(k, "chosen") == {"print": "SCHEDULED", "mail": "PENDING"}
    assert states(k, "new") == {"fax": "SCHEDULED"}


# ---------------------------------------------------------------------------------------------------------------- start
def test_start_gives_the_workflow(k: Kernel) -> None:
    """Every field of what starts."""
    k.register(LEAF, ORDER)
    input = {"sku": 7, "é": [None, True, 1.5]}
    assert k.start("order", input=input, workflow_id="order-7", actor="ada", reason="she asked") == (
        kernel.Workflow(
            id="order-7", run=1, state=kernel.WorkflowState.RUNNING, name="order", definition_version=1, parent=None,
            root="order-7", started=NOW, changed=NOW, deadline=NOW + timedelta(hours=1), paused_by=None, reason="she asked",
            version=1, input={"sku": 7, "é": [None, True, 1.5]}, output=None, variables={}))
    assert k.get("order-7") == k.find().items[0]
    first = k.history("order-7")[0]
    assert (first.event, first.source, first.target, first.actor, first.reason, first.version) == (
        "START", "ABSENT", "RUNNING", "ada", "she asked", 1)


def test_start_chooses_an_id(k: Kernel) -> None:
    """Ids that are not given are new each time, and plain."""
    k.register(LEAF)
    ids = {k.start("leaf").id for _ in range(5)}
    assert len(ids) == 5
    assert all(id.startswith("wf-") and id.isascii() and id.isprintable() for id in ids)
    assert k.start("leaf").input == {}


def test_start_again_gives_what_exists(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The same id with the same content is the same workflow, however far it got; nothing starts twice."""
    k.register(LEAF)
    k.start("leaf", workflow_id="w", input={"a": 1, "b": [2]})
    k.complete(one(k, "print"))
    clock.advance(5)
    before = each.rows()
    again = k.start("leaf", workflow_id="w", input={"b": [2], "a": 1})
    assert again == k.get("w")
    k.terminate("w")
    assert k.start("leaf", workflow_id="w", input={"b": [2], "a": 1}).state == "TERMINATED"
    assert before["task"] != each.rows()["task"]


def test_start_again_with_other_content_is_refused(each: Stand, k: Kernel) -> None:
    """Another input, another definition or another version under an id that is taken."""
    k.register(LEAF, ORDER, attrs.evolve(LEAF, version=2, tasks=[Task("fax")]))
    k.start("leaf", workflow_id="w", version=1, input={"a": 1})
    for options in ({"input": {"a": 2}}, {"input": None}, {"version": 2}, {"name": "order"}):
        given = {"name": "leaf", "version": 1, "input": {"a": 1}, **options}
        error = refused(each, GuardRefused, lambda given=given: k.start(workflow_id="w", **given))  # type: ignore[misc]
        assert error.guard == "id unused"
        assert error.asked == "START of workflow 'w'"
        assert "'leaf'" in error.stands
        assert "choose another id" in error.hint


def test_start_again_after_a_newer_version(k: Kernel) -> None:
    """Who asks for no version gets what it started, although a newer version is registered meanwhile."""
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.register(attrs.evolve(LEAF, version=2, tasks=[Task("fax")]))
    assert k.start("leaf", workflow_id="w").definition_version == 1


def test_start_of_what_is_not_registered(each: Stand, k: Kernel) -> None:
    """NotFound names what is there."""
    k.register(LEAF)
    error = refused(each, NotFound, lambda: k.start("laef"))
    assert error.asked == "definition 'laef'"
    assert "'leaf' 1" in error.stands
    assert refused(each, NotFound, lambda: k.start("leaf", version=9)).asked == "definition 'leaf' version 9"


def test_the_outcome_of_a_start(k: Kernel) -> None:
    """All rows of a tree are there in the commit that starts it: tasks, sub-workflows, their inputs."""
    k.register(LEAF, MIDDLE)
    k.register(kernel.WorkflowDef("outer", tasks=[Task("sub", workflow="middle")]))
    k.start("outer", workflow_id="w")
    tree = k.tree("w")
    assert (tree.workflow.id, tree.children[0].workflow.id, tree.children[0].children[0].workflow.id) == (
        "w", "w/sub", "w/sub/leaf")
    assert {line.version for line in k.history("w", below=True)} == {1}
    assert len({line.command_id for line in k.history("w", below=True)}) == 1
    assert task(k, "w", "sub").output == {"subWorkflowId": "w/sub"}
    child = k.get("w/sub/leaf")
    assert (child.parent, child.root, child.run, child.input) == ("w/sub", "w", 1, {})


# ----------------------------------------------------------------------------------------------------------------- poll
def test_poll_gives_a_lease(k: Kernel, clock: ManualClock) -> None:
    """Every field of a lease, its input resolved."""
    k.register(LEAF, ORDER)
    k.start("order", input={"sku": 7}, workflow_id="w")
    clock.advance(3)
    assert one(k, "stock") == kernel.Lease(
        workflow_id="w", ref="reserve", type="stock", attempt=1, run=1, handouts=1, worker="w1",
        expires=NOW + timedelta(seconds=33), input={"sku": 7}, position=0)
    found = task(k, "w", "reserve")
    assert (found.state, found.worker, found.expires, found.attempt) == ("IN_PROGRESS", "w1", NOW + timedelta(seconds=33), 1)
    assert k.poll("stock") == []


def test_poll_gives_at_most_the_limit_of_one_type(k: Kernel) -> None:
    """As many as asked for, of the type asked for, each once."""
    k.register(kernel.WorkflowDef("many", tasks=[*(Task(f"a{n}", type="a") for n in range(5)), Task("b")]))
    for name in ("w1", "w2"):
        k.start("many", workflow_id=name)
    first, rest = k.poll("a", limit=3), k.poll("a", limit=100)
    assert [len(first), len(rest)] == [3, 7]
    assert len({(lease.workflow_id, lease.ref) for lease in first + rest}) == 10
    assert {lease.type for lease in first + rest} == {"a"}
    assert k.poll("c") == []


def test_poll_gives_what_is_due_first(k: Kernel, clock: ManualClock) -> None:
    """Retries that were due earlier come earlier."""
    started(k, *(Task(ref, type="t", retries=1, retry_delay=delay) for ref, delay in (("a", 9.0), ("b", 3.0), ("c", 6.0))))
    for lease in k.poll("t", limit=3):
        k.fail(lease)
    clock.advance(20)
    assert [lease.ref for lease in k.poll("t", limit=2)] == ["b", "c"]


@pytest.mark.unverified
def test_a_poll_has_one_time(each: Stand) -> None:
    """What one commit hands out it hands out at one time, however long it takes."""
    class Running(ManualClock):
        def now(self) -> int:
            self.advance(0.001)
            return super().now()

    with Kernel(each.store, clock=Running()) as k:
        k.register(kernel.WorkflowDef("wide", tasks=[Task("a", type="t"), Task("b", type="t")]))
        k.start("wide", workflow_id="w")
        assert len(k.poll("t", limit=2)) == 2
        assert len({line.at for line in k.history("w") if line.event == "POLL"}) == 1


def test_poll_takes_several_in_one_commit(each: Stand) -> None:
    """A batch is one commit: one fault point is passed, however many tasks are handed out."""
    passed: list[str] = []
    k = each.kernel(faults=lambda point, command: passed.append(f"{point} {command}"))
    started(k, Task("a", type="t"), Task("b", type="t"))
    passed.clear()
    assert len(k.poll("t", limit=10)) == 2
    assert passed == ["before-commit POLL", "after-commit POLL"]


def test_a_new_lease_has_a_new_token(k: Kernel, clock: ManualClock) -> None:
    """However a task comes back, it is handed out under a token that nobody holds."""
    started(k, Task("a", retries=5, lease=10.0))
    tokens = set()
    for turn in range(4):
        lease = one(k, "a", worker=f"w{turn}")
        tokens.add((lease.run, lease.handouts))
        if turn % 2:
            k.fail(lease)
        else:
            clock.advance(11)
            k.tick()
    assert len(tokens) == 4


# ------------------------------------------------------------------------------------------------------------- complete
def test_complete_lets_the_next_go_on(k: Kernel) -> None:
    """The output is kept and handed on; the tasks behind are scheduled, launched and started in the same commit."""
    k.register(LEAF, ORDER)
    k.start("order", input={"sku": 7}, workflow_id="w")
    done = k.complete(one(k, "stock"), output={"shelf": 3}, actor="robot")
    assert done == Applied(done.command_id, 2)
    assert states(k, "w") == {"reserve": "COMPLETED", "approve": "IN_PROGRESS", "invoice": "IN_PROGRESS", "ship": "PENDING"}
    assert task(k, "w", "reserve").output == {"shelf": 3}
    assert {line.command_id for line in k.history("w", below=True) if line.version == 2} == {done.command_id}
    k.signal("w", "approve", output={"by": "ada"})
    assert one(k, "ship").input == {"shelf": 3, "by": "ada", "fixed": [1]}


def test_the_last_task_ends_the_workflow(k: Kernel) -> None:
    """COMPLETED with its deliveries in the commit of the last task, and the parent's task with its child."""
    k.register(LEAF, attrs.evolve(MIDDLE, tasks=[Task("leaf", workflow="leaf")], topics=("mail",)))
    k.start("middle", workflow_id="w")
    k.complete(one(k, "print"))
    done = k.complete(one(k, "mail"), output=7)
    assert (done.ended, done.canceled, done.deliveries, done.version, done.no_op) == (2, 0, 2, 3, False)
    assert [k.get(id).state for id in ("w", "w/leaf")] == ["COMPLETED", "COMPLETED"]
    assert [(d.id, d.state) for d in k.deliveries()] == [("w#1:mail", "PENDING"), ("w/leaf#1:archive", "PENDING")]


def test_an_output_may_be_any_json(k: Kernel) -> None:
    """Lists, numbers, texts, null: what JSON can say comes back equal."""
    outputs = [0, -1.5, "", "é\u202e\x1b[31m\n", [], [1, [2, {"a": None}]], {"": {"b": [True, False]}}, 10**300]
    started(k, *(Task(f"t{n}", type="t") for n in range(len(outputs))))
    for lease in k.poll("t", limit=100):
        k.complete(lease, output=outputs[lease.position])
    assert [each.output for each in k.tasks("w")] == outputs


# ----------------------------------------------------------------------------------------------------------------- fail
def test_a_failed_attempt_is_tried_again_later(k: Kernel, clock: ManualClock) -> None:
    """After the delay, under a new attempt, which starts without output; why the one before failed can be seen till then."""
    started(k, Task("a", retries=1, retry_delay=5.0))
    lease = one(k, "a")
    done = k.fail(lease, reason="no stock", output={"tried": 1})
    assert (done.ended, done.canceled, done.no_op) == (0, 0, False)
    found = task(k, "w", "a")
    assert (found.state, found.attempt, found.not_before, found.reason, found.output) == (
        "SCHEDULED", 2, NOW + timedelta(seconds=5), "no stock", None)
    clock.advance(4.999)
    assert k.poll("a") == []
    clock.advance(0.001)
    lease = one(k, "a")
    assert (lease.attempt, task(k, "w", "a").reason) == (2, "")
    k.complete(lease)
    assert (task(k, "w", "a").output, k.get("w").reason) == (None, "")


def test_a_reason_belongs_to_the_present_state(k: Kernel) -> None:
    """That of a pause goes with the pause, here and below; that of an early signal stays with what waits for it."""
    k.register(LEAF)
    started(k, Task("ok", kind="wait", after=["sub"]), Task("sub", workflow="leaf"))
    k.pause("w", reason="stocktaking")
    k.signal("w", "ok", reason="by phone")
    assert [k.get(name).reason for name in ("w", "w/sub")] == ["stocktaking"] * 2
    k.resume("w")
    assert [k.get(name).reason for name in ("w", "w/sub")] == ["", ""]
    assert task(k, "w", "ok").reason == "by phone"
    k.complete(one(k, "print"))
    k.complete(one(k, "mail"))
    assert (k.get("w").state, k.get("w").reason, task(k, "w", "ok").reason) == ("COMPLETED", "", "")


def test_a_pause_from_above_names_who_paused(k: Kernel) -> None:
    """PAUSE of a sub-workflow that is PAUSED with its parent changes nothing and says whose RESUME resumes it."""
    k.register(LEAF)
    started(k, Task("sub", workflow="leaf"))
    k.pause("w")
    assert (k.pause("w").why, k.pause("w/sub").why) == (
        "it is already PAUSED",
        "it is already PAUSED: the PAUSE of 'w' paused it, and the RESUME of that resumes it, too")
    k.resume("w")
    assert k.get("w/sub").state == "RUNNING"


def test_a_retried_task_takes_its_turn(k: Kernel, clock: ManualClock) -> None:
    """First due, first served: a task that is tried again, or was paused once, does not wait for all that came later."""
    started(k, Task("a", type="t", retries=1, retry_delay=5.0))
    k.fail(one(k, "t"))
    clock.advance(5)
    k.register(kernel.WorkflowDef("later", tasks=[Task("b", type="t")]))
    for n in range(3):
        clock.advance(1)
        k.start("later", workflow_id=f"v{n}")
    assert [lease.workflow_id for lease in k.poll("t", limit=9)] == ["w", "v0", "v1", "v2"]


@pytest.mark.parametrize(("retryable", "state"), [(True, "FAILED"), (False, "FAILED_WITH_TERMINAL_ERROR")])
def test_a_mandatory_task_that_fails_ends_the_workflow(k: Kernel, retryable: bool, state: str) -> None:
    """At the last attempt, or at once when it cannot be retried: FAILED, the rest CANCELED, in one commit."""
    started(k, Task("a", retries=0 if retryable else 3), Task("b"), Task("c", after=["b"]), topics=("archive",))
    lease = one(k, "b")
    done = k.fail(one(k, "a"), retryable=retryable, reason="broken")
    assert (done.ended, done.canceled, done.deliveries) == (1, 2, 1)
    assert states(k, "w") == {"a": state, "b": "CANCELED", "c": "CANCELED"}
    found = k.get("w")
    assert (found.state, found.reason) == ("FAILED", f"task 'a' {state}: broken")
    with pytest.raises(Fenced):
        k.complete(lease)


def test_an_optional_task_may_fail(k: Kernel) -> None:
    """It is COMPLETED_WITH_ERRORS, and what comes after it goes on."""
    started(k, Task("a", optional=True), Task("b", after=["a"]))
    k.fail(one(k, "a"), reason="never mind")
    assert states(k, "w") == {"a": "COMPLETED_WITH_ERRORS", "b": "SCHEDULED"}
    k.complete(one(k, "b"))
    assert k.get("w").state == "COMPLETED"


def test_a_permissive_task_fails_the_workflow_at_the_end(k: Kernel) -> None:
    """Its successors run; when every task is closed the workflow is FAILED."""
    started(k, Task("a", permissive=True), Task("b", after=["a"]), Task("c"))
    k.fail(one(k, "a"))
    assert states(k, "w") == {"a": "FAILED", "b": "SCHEDULED", "c": "SCHEDULED"}
    k.complete(one(k, "c"))
    assert k.get("w").state == "RUNNING"
    k.complete(one(k, "b"))
    assert k.get("w").state == "FAILED"
    assert states(k, "w") == {"a": "FAILED", "b": "COMPLETED", "c": "COMPLETED"}


# ------------------------------------------------------------------------------------------------------------ heartbeat
def test_a_heartbeat_holds_the_task(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The lease runs on from now; no version, no history."""
    started(k, Task("a", lease=10.0))
    lease = one(k, "a")
    clock.advance(9)
    before = each.rows()
    again = k.heartbeat(lease)
    assert again == attrs.evolve(lease, expires=NOW + timedelta(seconds=19))
    assert [each.rows()[table] for table in ("history", "workflow")] == [before[table] for table in ("history", "workflow")]
    assert k.get("w").version == 1
    clock.advance(9)
    assert k.tick().total == 0
    k.complete(lease)


# --------------------------------------------------------------------------------------------------------------- fenced
def later(k: Kernel, clock: ManualClock, seconds: float) -> kernel.Ticked:
    """The clock goes on, and does what it has to do."""
    clock.advance(seconds)
    return k.tick()


Stale = Callable[[Kernel, ManualClock, Lease], object]
STALE: dict[str, Stale] = {
    "completed": lambda k, clock, lease: k.complete(lease),
    "failed": lambda k, clock, lease: k.fail(lease, retryable=False),
    "retried": lambda k, clock, lease: k.fail(lease),
    "expired": lambda k, clock, lease: later(k, clock, 61),
    "handed to another": lambda k, clock, lease: (later(k, clock, 61), k.poll("a", worker="w2")),
    "workflow terminated": lambda k, clock, lease: k.terminate("w"),
    "workflow timed out": lambda k, clock, lease: later(k, clock, 1_000),
    "workflow failed": lambda k, clock, lease: k.fail(one(k, "other"), retryable=False),
}


@pytest.mark.parametrize("name", STALE)
def test_a_stale_worker_is_fenced(each: Stand, k: Kernel, clock: ManualClock, name: str) -> None:
    """Whatever happened to its task: complete, fail and heartbeat are Fenced, say everything, and change nothing."""
    started(k, Task("a", retries=3, optional=name == "failed"), Task("other"), timeout=900.0)
    lease = one(k, "a")
    STALE[name](k, clock, lease)
    for ask in (lambda: k.complete(lease, output=1), lambda: k.fail(lease), lambda: k.heartbeat(lease),
                lambda: k.fail(lease, retryable=False)):
        error = refused(each, Fenced, ask)
        assert " of task 'a' of workflow 'w' by 'w1'" in error.asked
        assert "workflow " in error.stands
        assert error.guard
        assert "poll" in error.hint
        assert isinstance(error, GuardRefused)


@pytest.mark.parametrize("change", [{"handouts": 0}, {"handouts": 2}, {"run": 0}, {"run": 2}, {"position": 1}])
def test_a_forged_lease_is_fenced(each: Stand, k: Kernel, change: dict[str, Any]) -> None:
    """Only the token that is stored counts."""
    started(k, Task("a"), Task("b"))
    lease = attrs.evolve(one(k, "a"), **change)
    refused(each, Fenced, lambda: k.complete(lease))


def test_a_lease_of_nothing(each: Stand, k: Kernel) -> None:
    """Of a workflow or a task that does not exist: NotFound."""
    started(k, Task("a"))
    lease = one(k, "a")
    for change in ({"workflow_id": "nobody"}, {"position": 7}):
        refused(each, NotFound, lambda change=change: k.complete(attrs.evolve(lease, **change)))  # type: ignore[misc]


# --------------------------------------------------------------------------------------------------------------- signal
def test_a_signal_completes_a_waiting_task(k: Kernel) -> None:
    """With its output, and what waited for it goes on."""
    started(k, Task("ok", kind="wait"), Task("b", after=["ok"]))
    assert states(k, "w") == {"ok": "IN_PROGRESS", "b": "PENDING"}
    assert k.signal("w", "ok", output={"by": "ada"}, reason="fine", actor="ada").version == 2
    found = task(k, "w", "ok")
    assert (found.state, found.output, found.reason) == ("COMPLETED", {"by": "ada"}, "fine")
    assert states(k, "w")["b"] == "SCHEDULED"


def test_an_early_signal_is_kept(each: Stand, k: Kernel) -> None:
    """It closes the task as soon as it is reached; a second one is refused, since nothing waits for it."""
    started(k, Task("a"), Task("ok", kind="wait", after=["a"]), Task("b", after=["ok"]))
    done = k.signal("w", "ok", output={"by": "ada"})
    assert (done.no_op, done.version) == (False, 2)
    assert states(k, "w")["ok"] == "PENDING"
    error = refused(each, GuardRefused, lambda: k.signal("w", "ok", output={"by": "ben"}))
    assert error.guard == "not signalled"
    k.complete(one(k, "a"))
    assert states(k, "w") == {"a": "COMPLETED", "ok": "COMPLETED", "b": "SCHEDULED"}
    assert task(k, "w", "ok").output == {"by": "ada"}


def test_what_cannot_be_signalled(each: Stand, k: Kernel) -> None:
    """A worker's task, a closed one, one that does not exist."""
    started(k, Task("a"), Task("ok", kind="wait"))
    k.signal("w", "ok")
    assert "closed" in refused(each, NoSuchTransition, lambda: k.signal("w", "ok")).why
    lease = one(k, "a")
    error = refused(each, GuardRefused, lambda: k.signal("w", "a"))
    assert error.guard == "waiting task"
    assert "IN_PROGRESS" in error.stands
    assert set(error.allowed) >= {"COMPLETE", "HEARTBEAT"}
    assert "'nothing'" in refused(each, NotFound, lambda: k.signal("w", "nothing")).asked
    assert refused(each, NotFound, lambda: k.signal("nobody", "a")).asked == "workflow 'nobody'"
    k.complete(lease)


# ---------------------------------------------------------------------------------------------------------------- spawn
def test_a_result_adds_tasks(k: Kernel, each: Stand) -> None:
    """In the commit of the result: they run as any other, whom they are put before waits, and all kernels know them."""
    k.register(LEAF)
    started(k, Task("list"), Task("sum", kind="join", after=["list"]), Task("mail", after=["sum"]))
    lease = one(k, "list")
    spawn = [Task("one", type="item", after=["list"], input={"n": "${list.output.n}"}, retries=1),
             Task("two", type="item", after=["one"]), Task("leaf", workflow="leaf")]
    done = k.complete(lease, output={"n": 3}, spawn=spawn, before=["sum"])
    assert done.version == 2
    assert states(k, "w") == {"list": "COMPLETED", "sum": "PENDING", "mail": "PENDING", "one": "SCHEDULED", "two": "PENDING",
                              "leaf": "IN_PROGRESS"}
    assert [t.spawned_by for t in k.tasks("w")] == [None, None, None, "list", "list", "list"]
    assert task(k, "w", "one").input == {"n": 3}
    created = [h for h in k.history("w") if h.event == "CREATE"]
    assert [(h.subject, h.count, h.by, h.version) for h in created] == [
        ("", 3, "START", 1), *((ref, 1, "COMPLETE", 2) for ref in ("one", "two", "leaf"))]
    other = each.kernel()
    other.fail(one(other, "item"))
    other.complete(one(other, "item"))
    other.skip("w", "two")
    for ref in ("print", "mail"):
        assert states(other, "w")["sum"] == "PENDING"
        other.complete(one(other, ref))
    assert states(other, "w")["sum"] == "COMPLETED"
    other.complete(one(other, "mail"))
    assert (k.get("w").state, k.audit().findings) == ("COMPLETED", ())


def test_spawned_tasks_spawn(k: Kernel, each: Stand) -> None:
    """The workflow ends when the last of them is done, and not before; a failed one ends it as any other."""
    started(k, Task("t0", type="t"))
    for n in range(5):
        k.complete(one(k, "t"), spawn=[Task(f"t{n + 1}", type="t", after=[f"t{n}"])])
        assert k.get("w").state == "RUNNING"
    assert [t.spawned_by for t in k.tasks("w")] == [None, *(f"t{n}" for n in range(5))]
    k.fail(one(each.kernel(), "t"))
    assert k.get("w").state == "FAILED"


def test_what_is_spawned_is_part_of_the_request(each: Stand, k: Kernel) -> None:
    """The same command again gives the first outcome; with other tasks it is refused."""
    started(k, Task("a"), Task("b"))
    lease = one(k, "a")
    first = k.complete(lease, spawn=[Task("x")], command_id="c1")
    assert k.complete(lease, spawn=[Task("x")], command_id="c1") == first
    refused(each, GuardRefused, lambda: k.complete(lease, spawn=[Task("y")], command_id="c1"))
    assert len(k.tasks("w")) == 3


def test_what_cannot_be_spawned(each: Stand, k: Kernel) -> None:
    """Nothing of the commit happens: a stale lease, tasks that could not run, someone who waits no more, too many tasks."""
    started(k, Task("a", retries=1), Task("b"))
    stale = one(k, "a")
    k.fail(stale)
    assert refused(each, Fenced, lambda: k.complete(stale, spawn=[Task("b")])).guard
    lease = one(k, "a")
    for spawn, before, why in (
        ([Task("b")], [], "the same reference"), ([Task("x", after=["nobody"])], [], "'nobody'"),
        ([Task("x")], ["b"], "it is SCHEDULED"), ("x", [], "a list of TaskDef"),
    ):
        error = refused(each, InvalidDefinition, lambda s=spawn, b=before: k.complete(lease, spawn=s, before=b))  # type: ignore[misc]
        assert why in str(error)
    k.complete(lease, spawn=[Task("x")])


def test_what_was_skipped_may_be_named_as_waiting(k: Kernel) -> None:
    """A result does not fail because an operator skipped what comes later; when that starts again, it waits."""
    started(k, Task("a"), Task("b", after=["a"]), Task("c", after=["a"]))
    lease = one(k, "a")
    k.skip("w", "b")
    k.complete(lease, spawn=[Task("x")], before=["b"])
    assert states(k, "w") == {"a": "COMPLETED", "b": "SKIPPED", "c": "SCHEDULED", "x": "SCHEDULED"}
    k.complete(one(k, "c"))
    assert (k.get("w").state, k.audit().findings) == ("RUNNING", ())
    k.terminate("w")
    k.rerun("w", from_task="b")
    assert states(k, "w") == {"a": "COMPLETED", "b": "PENDING", "c": "COMPLETED", "x": "SCHEDULED"}
    for ref in ("x", "b"):
        k.complete(one(k, ref))
    assert (k.get("w").state, k.audit().findings) == ("COMPLETED", ())


def test_a_paused_workflow_takes_spawned_tasks(k: Kernel) -> None:
    """They begin with RESUME."""
    started(k, Task("a"))
    lease = one(k, "a")
    k.pause("w")
    k.complete(lease, spawn=[Task("x", after=["a"]), Task("ok", kind="wait")])
    assert states(k, "w") == {"a": "COMPLETED", "x": "PENDING", "ok": "PENDING"}
    k.resume("w")
    assert states(k, "w") == {"a": "COMPLETED", "x": "SCHEDULED", "ok": "IN_PROGRESS"}


# ----------------------------------------------------------------------------------------------------------------- skip
def test_a_skipped_task_is_closed_well(k: Kernel) -> None:
    """What comes after it goes on; the workflow ends as if it had been done."""
    started(k, Task("a"), Task("b", after=["a"]), Task("c", after=["b"]))
    done = k.skip("w", "a", reason="not needed", actor="ada")
    assert (done.version, done.no_op, done.canceled) == (2, False, 0)
    assert states(k, "w") == {"a": "SKIPPED", "b": "SCHEDULED", "c": "PENDING"}
    assert task(k, "w", "a").reason == "not needed"
    k.skip("w", "c")
    assert states(k, "w")["b"] == "SCHEDULED"
    k.complete(one(k, "b"))
    assert k.get("w").state == "COMPLETED"


def test_what_comes_after_a_skipped_task_does_not_wait_for_what_came_before(k: Kernel) -> None:
    """It goes on at once, and finds no output of what it has overtaken."""
    started(k, Task("a"), Task("b", after=["a"]), Task("c", after=["b"], input={"of": "${a.output.n}"}))
    k.skip("w", "b")
    assert states(k, "w") == {"a": "SCHEDULED", "b": "SKIPPED", "c": "SCHEDULED"}
    assert one(k, "c").input == {"of": None}


def test_any_kind_of_task_can_be_skipped(k: Kernel) -> None:
    """A wait then needs no signal, a sub-workflow does not start, a terminate task ends nothing; also while PAUSED."""
    k.register(LEAF)
    started(k, Task("a"), Task("ok", kind="wait", after=["a"]), Task("sub", workflow="leaf", after=["ok"]),
            Task("stop", kind="terminate", asks="FAILED", after=["sub"]), Task("z", after=["stop"]))
    k.pause("w")
    for ref in ("ok", "sub", "stop"):
        k.skip("w", ref)
    k.resume("w")
    assert states(k, "w") == {"a": "SCHEDULED", "ok": "SKIPPED", "sub": "SKIPPED", "stop": "SKIPPED", "z": "SCHEDULED"}
    k.skip("w", "z")
    k.complete(one(k, "a"))
    assert (k.get("w").state, [w.id for w in k.find().items]) == ("COMPLETED", ["w"])


def test_what_cannot_be_skipped(each: Stand, k: Kernel) -> None:
    """What is under way, what is closed, what is not there, and anything of a workflow that ended."""
    started(k, Task("a"), Task("b"))
    one(k, "a")
    assert "under way" in refused(each, NoSuchTransition, lambda: k.skip("w", "a")).why
    assert "'nothing'" in refused(each, NotFound, lambda: k.skip("w", "nothing")).asked
    assert "SKIP" in refused(each, GuardRefused, lambda: k.signal("w", "b")).allowed
    k.skip("w", "b")
    assert "closed" in refused(each, NoSuchTransition, lambda: k.skip("w", "b")).why
    k.terminate("w")
    assert "closed" in refused(each, NoSuchTransition, lambda: k.skip("w", "a")).why


# --------------------------------------------------------------------------------------------------------- pause, resume
def test_a_pause_reaches_everything_below(k: Kernel) -> None:
    """All of it or nothing: no task is handed out, and everything says who paused it."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    done = k.pause("w", reason="lunch", actor="ada")
    assert (done.version, done.no_op, done.ended, done.canceled, done.deliveries) == (2, False, 0, 0, 0)
    assert [(w.id, w.state, w.paused_by, w.reason) for w in k.find().items] == [
        ("w", "PAUSED", "w", "lunch"), ("w/leaf", "PAUSED", "w", "lunch")]
    assert k.poll("own") + k.poll("print") == []
    k.resume("w")
    assert [(w.state, w.paused_by) for w in k.find().items] == [("RUNNING", None), ("RUNNING", None)]
    assert len(k.poll("own") + k.poll("print")) == 2


def test_what_is_under_way_may_end_while_paused(k: Kernel) -> None:
    """Outcomes are recorded; what follows from them waits for resume."""
    k.register(LEAF)
    started(k, Task("a"), Task("b", after=["a"]), Task("ok", kind="wait"), Task("sub", workflow="leaf"))
    a = one(k, "a")
    k.complete(one(k, "print"))
    mail = one(k, "mail")
    k.pause("w")
    k.complete(a, output=1)
    k.signal("w", "ok")
    k.complete(mail)
    assert states(k, "w") == {"a": "COMPLETED", "b": "PENDING", "ok": "COMPLETED", "sub": "IN_PROGRESS"}
    assert (k.get("w").state, k.get("w/sub").state) == ("PAUSED", "PAUSED")
    done = k.resume("w")
    assert (done.ended, done.deliveries) == (1, 1)
    assert states(k, "w") == {"a": "COMPLETED", "b": "SCHEDULED", "ok": "COMPLETED", "sub": "COMPLETED"}


def test_a_failure_under_way_waits_for_resume(k: Kernel) -> None:
    """The workflow fails in the commit of the resume."""
    started(k, Task("a"), Task("b"))
    lease = one(k, "a")
    k.pause("w")
    k.fail(lease, reason="broken")
    assert k.get("w").state == "PAUSED"
    done = k.resume("w")
    assert (done.ended, done.canceled) == (1, 1)
    assert k.get("w").state == "FAILED"


def test_pausing_twice_is_a_no_op(each: Stand, k: Kernel) -> None:
    """It says why it did nothing, and nothing is written."""
    started(k, Task("a"))
    k.pause("w")
    before = each.rows()
    again = k.pause("w")
    assert (again.no_op, again.why, again.version) == (True, "it is already PAUSED", 2)
    assert each.rows() == before
    k.resume("w")
    before = each.rows()
    again = k.resume("w")
    assert (again.no_op, again.why, again.version) == (True, "it is already RUNNING", 3)
    assert each.rows() == before


def test_pauses_nest(each: Stand, k: Kernel) -> None:
    """A resume undoes what its own pause did: what was paused on its own stays so, and below a pause nothing resumes."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    k.pause("w/leaf")
    assert k.get("w").state == "RUNNING"
    k.pause("w")
    assert k.get("w/leaf").paused_by == "w/leaf"
    error = refused(each, GuardRefused, lambda: k.resume("w/leaf"))
    assert error.guard == "root, or parent RUNNING"
    assert "resume w" in error.hint
    k.resume("w")
    assert (k.get("w").state, k.get("w/leaf").state) == ("RUNNING", "PAUSED")
    k.resume("w/leaf")
    assert len(k.poll("print")) == 1


def test_a_pause_shifts_what_waits(k: Kernel, clock: ManualClock) -> None:
    """The time left of a retry's delay is the same after the pause as before; the workflow's deadline runs on."""
    k.register(kernel.WorkflowDef("late", tasks=[Task("x", type="t", retries=1, retry_delay=10.0)]))
    started(k, Task("a", type="t", retries=1, retry_delay=10.0), Task("sub", workflow="late"), timeout=500.0)
    for lease in k.poll("t", limit=2):
        k.fail(lease)
    clock.advance(4)
    k.pause("w")
    clock.advance(100)
    k.resume("w")
    for workflow, ref in (("w", "a"), ("w/sub", "x")):
        assert task(k, workflow, ref).not_before == NOW + timedelta(seconds=110)
    assert k.get("w").deadline == NOW + timedelta(seconds=500)
    clock.advance(5.9)
    assert k.poll("t", limit=2) == []
    clock.advance(0.1)
    assert len(k.poll("t", limit=2)) == 2


def test_only_a_pause_of_its_own_shifts(k: Kernel, clock: ManualClock) -> None:
    """Below a workflow that stays paused on its own nothing is shifted yet."""
    k.register(kernel.WorkflowDef("late", tasks=[Task("x", type="t", retries=1, retry_delay=10.0)]))
    started(k, Task("sub", workflow="late"))
    k.fail(one(k, "t"))
    k.pause("w/sub")
    clock.advance(3)
    k.pause("w")
    clock.advance(100)
    k.resume("w")
    assert task(k, "w/sub", "x").not_before == NOW + timedelta(seconds=10)
    clock.advance(1)
    k.resume("w/sub")
    assert task(k, "w/sub", "x").not_before == NOW + timedelta(seconds=114)


# ------------------------------------------------------------------------------------------------------------ terminate
def test_terminate_ends_everything_in_one_commit(k: Kernel, clock: ManualClock) -> None:
    """The workflow, all below it, every open task, history and deliveries, under one version and one command."""
    k.register(LEAF, MIDDLE)
    k.register(kernel.WorkflowDef("outer", tasks=[Task("m1", workflow="middle"), Task("m2", workflow="middle"), Task("ok")],
                                  topics=("archive", "mail")))
    k.start("outer", workflow_id="w")
    one(k, "ok")
    clock.advance(1)
    done = k.terminate("w", reason="customer withdrew", actor="ada", command_id="t1")
    assert done == Applied("t1", 2, ended=5, canceled=11, deliveries=4)
    assert {w.state for w in k.find().items} == {"TERMINATED"}
    assert {w.changed for w in k.find().items} == {NOW + timedelta(seconds=1)}
    assert {each.state for w in k.find().items for each in k.tasks(w.id)} == {"CANCELED"}
    lines = [line for line in k.history("w", below=True) if line.version == 2]
    assert {(line.command_id, line.actor) for line in lines} == {("t1", "ada")}
    assert {line.reason for line in lines if line.kind != "delivery"} == {"customer withdrew"}
    assert sum(line.count for line in lines if line.event == "CANCEL") == 11
    assert [d.id for d in k.deliveries()] == ["w#1:archive", "w#1:mail", "w/m1/leaf#1:archive", "w/m2/leaf#1:archive"]
    assert k.audit().clean


def test_terminate_again_is_a_no_op(each: Stand, k: Kernel) -> None:
    """It says so and emits nothing."""
    started(k, Task("a"), topics=("archive",))
    k.terminate("w")
    before = each.rows()
    again = k.terminate("w", reason="really")
    assert again == Applied(again.command_id, 2, no_op=True, why="it is already TERMINATED")
    assert each.rows() == before


def test_what_has_ended_is_not_terminated(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """A terminal state is never rewritten; each has its own reason."""
    for name in ("done", "broken", "late"):
        started(k, Task("a", type=name), name=name, timeout=5.0 if name == "late" else None)
    k.complete(one(k, "done"))
    k.fail(one(k, "broken"))
    clock.advance(6)
    k.tick()
    for name, state in (("done", "COMPLETED"), ("broken", "FAILED"), ("late", "TIMED_OUT")):
        assert k.get(name).state == state
        error = refused(each, NoSuchTransition, lambda name=name: k.terminate(name))  # type: ignore[misc]
        assert state in error.why
        assert error.stands.startswith(state)
        for ask in (k.pause, k.resume):
            assert "it has ended" in refused(each, NoSuchTransition, lambda ask=ask, name=name: ask(name)).why  # type: ignore[misc]


def test_terminating_a_paused_workflow(k: Kernel) -> None:
    """Always allowed on a live one."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    k.pause("w")
    assert (k.terminate("w").ended, k.get("w/leaf").state) == (2, "TERMINATED")


def test_terminating_a_sub_workflow(k: Kernel) -> None:
    """The parent's task is CANCELED, and so the parent TERMINATED, all the way up, in the same commit."""
    k.register(LEAF, MIDDLE)
    k.register(kernel.WorkflowDef("outer", tasks=[Task("m", workflow="middle"), Task("other")]))
    k.start("outer", workflow_id="w")
    done = k.terminate("w/m/leaf", reason="wrong")
    assert (done.ended, done.version) == (3, 2)
    assert {w.state for w in k.find().items} == {"TERMINATED"}
    assert k.get("w").reason.startswith("task 'm' CANCELED: ")
    assert k.get("w").reason.endswith("wrong")
    assert states(k, "w") == {"m": "CANCELED", "other": "CANCELED"}


def test_terminating_an_optional_sub_workflow(k: Kernel) -> None:
    """The parent goes on."""
    k.register(LEAF)
    started(k, Task("sub", workflow="leaf", optional=True), Task("b", after=["sub"]))
    assert k.terminate("w/sub").ended == 1
    assert states(k, "w") == {"sub": "COMPLETED_WITH_ERRORS", "b": "SCHEDULED"}


# ----------------------------------------------------------------------------------------------------- tasks of control
@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "TERMINATED"])
def test_a_terminate_task_ends_the_workflow_as_it_asks(k: Kernel, end: str) -> None:
    """What could start beside it is not started: ends come before starts."""
    k.register(LEAF)
    started(k, Task("a"), Task("end", kind="terminate", asks=end, after=["a"]), Task("sub", workflow="leaf", after=["a"]),
            Task("b"), topics=("archive",))
    done = k.complete(one(k, "a"))
    assert (done.ended, done.canceled, done.deliveries) == (1, 2, 1)
    assert k.get("w").state == end
    assert states(k, "w") == {"a": "COMPLETED", "end": "COMPLETED", "sub": "CANCELED", "b": "CANCELED"}
    assert [w.id for w in k.find().items] == ["w"]


def test_forks_and_joins_pass_by_themselves(k: Kernel) -> None:
    """Control tasks are closed by progress."""
    started(k, Task("f", kind="fork"), Task("a", after=["f"]), Task("b", after=["f"]), Task("j", kind="join", after=["a", "b"]),
            Task("c", after=["j"]))
    assert states(k, "w") == {"f": "COMPLETED", "a": "SCHEDULED", "b": "SCHEDULED", "j": "PENDING", "c": "PENDING"}
    k.complete(one(k, "a"))
    assert states(k, "w")["j"] == "PENDING"
    k.complete(one(k, "b"))
    assert (states(k, "w")["j"], states(k, "w")["c"]) == ("COMPLETED", "SCHEDULED")


# ------------------------------------------------------------------------------------------------------- sub-workflows
def test_a_failed_sub_workflow_is_tried_again(k: Kernel, clock: ManualClock) -> None:
    """A retry starts a new one, after the delay, under an id of its own; the old one stays as it ended."""
    k.register(LEAF)
    started(k, Task("sub", workflow="leaf", retries=1, retry_delay=5.0))
    assert k.fail(one(k, "print"), retryable=False, reason="jam").ended == 1
    found = task(k, "w", "sub")
    assert (found.state, found.attempt) == ("SCHEDULED", 2)
    assert k.tick().total == 0
    clock.advance(5)
    assert k.tick().woken == 1
    assert [(w.id, w.state) for w in k.find().items] == [("w", "RUNNING"), ("w/sub", "FAILED"), ("w/sub~2", "RUNNING")]
    assert task(k, "w", "sub").output == {"subWorkflowId": "w/sub~2"}
    k.fail(one(k, "print"), retryable=False)
    assert (k.get("w").state, states(k, "w")) == ("FAILED", {"sub": "FAILED"})
    assert k.audit().clean


def test_the_name_of_a_sub_workflow_may_be_an_expression(k: Kernel) -> None:
    """It is read when the task is reached; input and version go along."""
    k.register(LEAF, attrs.evolve(LEAF, version=2, tasks=[Task("fax", input={"to": "${workflow.input.to}"})]))
    k.register(kernel.WorkflowDef("w", tasks=[
        Task("a"), Task("sub", workflow="${a.output.name}", after=["a"], input={"to": "${workflow.input.to}"})]))
    k.start("w", workflow_id="w", input={"to": "ada"})
    k.complete(one(k, "a"), output={"name": "leaf"})
    assert (k.get("w/sub").definition_version, k.get("w/sub").input) == (2, {"to": "ada"})
    assert one(k, "fax").input == {"to": "ada"}


@pytest.mark.parametrize(("name", "why"), [
    ("nowhere", "no definition 'nowhere' is registered"), (None, "the name of its sub-workflow is 'None', not a text"),
    (7, "the name of its sub-workflow is '7', not a text"), ("w", "recursion: workflow 'w' above is 'w' too"),
])
def test_a_sub_workflow_that_cannot_start_is_rejected(k: Kernel, name: object, why: str) -> None:
    """Progress never raises: the task ends badly and says why; the worker's result counts."""
    started(k, Task("a"), Task("sub", workflow="${a.output.name}", after=["a"]))
    k.complete(one(k, "a"), output={"name": name})
    assert states(k, "w") == {"a": "COMPLETED", "sub": "FAILED_WITH_TERMINAL_ERROR"}
    assert task(k, "w", "sub").reason == why
    assert k.get("w").state == "FAILED"
    assert why in k.get("w").reason


def test_an_optional_one_is_rejected_without_harm(k: Kernel) -> None:
    """COMPLETED_WITH_ERRORS, and the next goes on."""
    started(k, Task("sub", workflow="nowhere", optional=True), Task("b", after=["sub"]))
    assert states(k, "w") == {"sub": "COMPLETED_WITH_ERRORS", "b": "SCHEDULED"}


def test_recursion_through_another_workflow_is_rejected(k: Kernel) -> None:
    """One starts the other, which starts the first: the second time it does not start."""
    k.register(kernel.WorkflowDef("pong", tasks=[Task("to", workflow="ping")]))
    k.register(kernel.WorkflowDef("ping", tasks=[Task("to", workflow="pong")]))
    k.start("ping", workflow_id="w")
    assert [(w.id, w.state) for w in k.find().items] == [("w", "FAILED"), ("w/to", "FAILED")]
    assert task(k, "w/to", "to").reason == "recursion: workflow 'w' above is 'ping' too"
    assert k.audit().clean


def test_sub_workflows_nest_up_to_a_limit(k: Kernel) -> None:
    """Twenty levels run; one more is rejected, with the limit as the reason."""
    k.register(kernel.WorkflowDef("l0", tasks=[Task("work")]))
    for level in range(1, 21):
        k.register(kernel.WorkflowDef(f"l{level}", tasks=[Task("d", workflow=f"l{level - 1}")]))
    k.start("l19", workflow_id="deep")
    k.start("l20", workflow_id="deeper")
    assert k.get("deep" + "/d" * 19).state == "RUNNING"
    assert k.get("deeper").state == "FAILED"
    assert "sub-workflows nest deeper than 20 levels" in task(k, "deeper" + "/d" * 19, "d").reason
    assert len(k.find(limit=100).items) == 40
    k.complete(one(k, "work"))
    assert k.get("deep").state == "COMPLETED"
    assert k.audit().clean


def test_an_input_that_is_too_large_is_rejected(k: Kernel) -> None:
    """Expressions can make more of little: what is put together is bounded, too."""
    k.register(kernel.WorkflowDef("w", tasks=[
        Task("a", input={f"f{n}": "${workflow.input.big}" for n in range(3)}), Task("b")]))
    k.start("w", workflow_id="w", input={"big": "x" * 500_000})
    assert states(k, "w") == {"a": "FAILED_WITH_TERMINAL_ERROR", "b": "CANCELED"}
    assert "1,048,576 bytes" in task(k, "w", "a").reason


# ----------------------------------------------------------------------------------------------------------- command ids
def test_the_same_command_id_gives_the_first_outcome(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The same id and content again: the first outcome, however things stand now, and nothing more happens."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    lease = one(k, "own")
    first = {
        "c1": k.pause("w", command_id="c1", reason="r"), "c2": k.resume("w", command_id="c2"),
        "c3": k.complete(lease, command_id="c3", output={"n": 1}), "c4": k.terminate("w", command_id="c4"),
        "c5": k.terminate("w", command_id="c5"),
    }
    clock.advance(100)
    before = each.rows()
    assert {
        "c1": k.pause("w", command_id="c1", reason="r"), "c2": k.resume("w", command_id="c2"),
        "c3": k.complete(lease, command_id="c3", output={"n": 1}), "c4": k.terminate("w", command_id="c4"),
        "c5": k.terminate("w", command_id="c5"),
    } == first
    assert each.rows() == before
    assert (first["c4"].ended, first["c4"].deliveries, first["c5"].no_op) == (2, 1, True)
    assert each.kernel().terminate("w", command_id="c4") == first["c4"]


def test_the_same_command_id_with_other_content_is_refused(each: Stand, k: Kernel) -> None:
    """Another reason, output, worker's token, task, workflow of the tree or command."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    own = one(k, "own")
    k.complete(own, command_id="c", output={"n": 1})
    asks: list[Callable[[], object]] = [
        lambda: k.complete(own, command_id="c", output={"n": 2}), lambda: k.complete(own, command_id="c"),
        lambda: k.complete(own, command_id="c", output={"n": 1}, reason="why not"),
        lambda: k.complete(attrs.evolve(own, handouts=2), command_id="c", output={"n": 1}),
        lambda: k.fail(own, command_id="c", output={"n": 1}), lambda: k.terminate("w", command_id="c"),
        lambda: k.terminate("w/leaf", command_id="c"),
    ]
    for ask in asks:
        error = refused(each, GuardRefused, ask)
        assert error.guard == "id unused or the same request"
        assert "choose a new command id" in error.hint


def test_a_command_id_belongs_to_its_tree(k: Kernel) -> None:
    """Two trees may use the same."""
    k.register(LEAF)
    for name in ("v", "w"):
        k.start("leaf", workflow_id=name)
        assert k.terminate(name, command_id="end", reason=name).ended == 1


def test_a_refusal_is_not_recorded(each: Stand, k: Kernel) -> None:
    """The same id works once the command is allowed."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    k.pause("w")
    refused(each, GuardRefused, lambda: k.resume("w/leaf", command_id="c"))
    k.resume("w")
    k.pause("w/leaf")
    assert k.resume("w/leaf", command_id="c").no_op is False


def test_a_start_uses_its_command_id(each: Stand, k: Kernel) -> None:
    """It stands in the history, and no other command of the tree may have it."""
    k.register(LEAF)
    k.start("leaf", workflow_id="w", command_id="c")
    assert {line.command_id for line in k.history("w")} == {"c"}
    assert k.start("leaf", workflow_id="w", command_id="c").id == "w"
    assert refused(each, GuardRefused, lambda: k.terminate("w", command_id="c")).guard == "id unused or the same request"


def test_a_generated_command_id_is_in_the_history(k: Kernel) -> None:
    """A new one for each command, so that an unknown outcome can be resolved."""
    started(k, Task("a"))
    ids = [k.pause("w").command_id, k.resume("w").command_id, k.terminate("w").command_id]
    assert len(set(ids)) == 3
    assert set(ids) <= {line.command_id for line in k.history("w")}


def test_actor_and_reason_are_written_down(each: Stand) -> None:
    """The kernel's actor, unless the call names another."""
    k = each.kernel(actor="svc")
    started(k, Task("a"))
    k.pause("w", reason="two\nlines\tand a tab")
    k.resume("w", actor="")
    k.terminate("w", actor="ada")
    lines = {line.event: line for line in k.history("w")}
    assert [lines[event].actor for event in ("START", "PAUSE", "RESUME", "TERMINATE")] == ["svc", "svc", "", "ada"]
    assert lines["PAUSE"].reason == "two\nlines\tand a tab"


# --------------------------------------------------------------------------------------------------------------- reading
def test_find_pages_by_id(k: Kernel) -> None:
    """Every workflow once, in the order of ids, however small the pages; filters hold on every page."""
    k.register(LEAF, MIDDLE)
    for n in (3, 1, 2, 0, 4):
        k.start("middle", workflow_id=f"w{n}")
    k.terminate("w2")
    everything = [f"w{n}{end}" for n in range(5) for end in ("", "/leaf")]
    for limit in (1, 3, 9, 10, 11):
        found, after = [], None
        while True:
            page = k.find(after=after, limit=limit)
            found += [w.id for w in page.items]
            assert len(page.items) <= limit
            if page.after is None:
                break
            after = page.after
        assert found == everything
    assert [w.id for w in k.find(state="TERMINATED").items] == ["w2", "w2/leaf"]
    assert [w.id for w in k.find(name="leaf", state="RUNNING", limit=2).items] == ["w0/leaf", "w1/leaf"]
    assert k.find(name="leaf", state="RUNNING", limit=2).after == "w1/leaf"
    assert k.find(name="nothing") == kernel.Page((), None)
    assert [w.version for w in k.find(after="w1/leaf", limit=1).items] == [2]


def test_history_pages_by_line(k: Kernel) -> None:
    """Every line once; of one workflow, or of its whole tree; lines are numbered in the tree."""
    k.register(LEAF, MIDDLE)
    k.start("middle", workflow_id="w")
    k.terminate("w")
    lines = k.history("w", below=True)
    assert [line.seq for line in lines] == list(range(1, len(lines) + 1))
    assert k.history("w/leaf", below=True) == lines
    assert k.history("w/leaf") == [line for line in lines if line.workflow_id == "w/leaf"]
    for limit in (1, 2, len(lines)):
        found, after = [], 0
        while page := k.history("w", below=True, after=after, limit=limit):
            found += page
            after = page[-1].seq
        assert found == lines
    assert k.history("w", after=10**6) == []


def test_deliveries_page_by_id(k: Kernel) -> None:
    """Every entry once; by state and by workflow; an id leads to its entry."""
    k.register(LEAF, kernel.WorkflowDef("two", tasks=[Task("sub", workflow="leaf")], topics=("zeta", "archive")))
    for name in ("v", "w"):
        k.start("two", workflow_id=name)
        k.terminate(name)
    k.start("two", workflow_id="x")
    every = [f"{name}{end}" for name in ("v", "w") for end in ("#1:archive", "#1:zeta", "/sub#1:archive")]
    assert [d.id for d in k.deliveries()] == every
    for limit in (1, 2, 4, 6):
        found, after = [], None
        while page := k.deliveries(after=after, limit=limit):
            found += [d.id for d in page]
            after = page[-1].id
        assert found == every
    assert [d.id for d in k.deliveries(workflow_id="w")] == ["w#1:archive", "w#1:zeta"]
    assert k.deliveries(state="DEAD") == k.deliveries(workflow_id="x") == []
    entry = k.deliveries()[0]
    assert (entry.workflow_id, entry.run, entry.topic, entry.state, entry.attempt, entry.sends, entry.due, entry.proof,
            entry.error) == ("v", 1, "archive", "PENDING", 0, 3, NOW, "", "")


def test_reads_name_what_is_not_there(each: Stand, k: Kernel) -> None:
    """NotFound, with the id and what to do."""
    started(k, Task("a"))
    asks: list[Callable[[], object]] = [
        lambda: k.get("nobody"), lambda: k.tasks("nobody"), lambda: k.tree("nobody"), lambda: k.history("nobody"),
        lambda: k.allowed("nobody"), lambda: k.get("w/sub"), lambda: k.allowed("w", "nothing"), lambda: k.pause("nobody"),
        lambda: k.terminate("w/sub"), lambda: k.get("w", run=2), lambda: k.tasks("w", run=2), lambda: k.tree("w", run=2),
        lambda: k.redrive("w#1:archive"), lambda: k.redrive("nobody#1:archive"),
    ]
    told = ["kernel list"] * 9 + ["kernel show w --run 1"] * 3 + ["kernel deliveries"] * 2
    for ask, hint in zip(asks, told, strict=True):
        assert hint in refused(each, NotFound, ask).hint


def test_runs_are_read_by_number(k: Kernel) -> None:
    """The first run, by its number."""
    started(k, Task("a"))
    assert k.get("w", run=1) == k.get("w")
    assert k.tasks("w", run=1) == k.tasks("w")
    assert k.tree("w", run=1) == k.tree("w")


# --------------------------------------------------------------------------------------------------------------- allowed
def choices(k: Kernel, *place: str) -> dict[str, tuple[bool, str]]:
    """Each command, whether it is allowed, and the guard that forbids it."""
    return {choice.event: (choice.allowed, choice.guard) for choice in k.allowed(*place)}


def test_allowed_says_what_can_be_done_now(k: Kernel, clock: ManualClock) -> None:
    """Every command that exists for a workflow or a task, with the guard that forbids it and the reason."""
    started(k, Task("a"), Task("ok", kind="wait"), timeout=60.0)
    assert choices(k, "w") == {
        "PAUSE": (True, ""), "RESUME": (False, ""), "TERMINATE": (True, ""), "RETRY": (False, ""), "RESTART": (False, ""),
        "RERUN": (False, ""), "PURGE": (False, ""), "TIME_OUT": (False, "deadline passed")}
    assert choices(k, "w", "a") == {
        "POLL": (True, ""), "HEARTBEAT": (False, ""), "COMPLETE": (False, ""), "FAIL": (False, ""),
        "POSTPONE": (False, ""), "SIGNAL": (False, "waiting task"), "SKIP": (True, ""), "EXPIRE": (False, "expired")}
    assert choices(k, "w", "ok")["SIGNAL"] == (True, "")
    reasons = {choice.event: choice.reason for choice in k.allowed("w", "a")}
    assert reasons["COMPLETE"] == "nobody holds it: poll it first"
    k.pause("w")
    assert choices(k, "w", "a")["POLL"] == (False, "workflow RUNNING")
    assert choices(k, "w")["RESUME"] == (True, "")
    clock.advance(60)
    assert choices(k, "w")["TIME_OUT"] == (True, "")
    k.terminate("w")
    ended = {**choices(k, "w"), **choices(k, "w", "a")}
    assert {event for event, (allowed, _) in ended.items() if allowed} == {"RETRY", "RESTART", "RERUN"}
    assert all(choice.reason for choice in k.allowed("w") if not choice.allowed)


def test_what_is_allowed_is_applied_and_nothing_else(each: Stand) -> None:
    """In random states, each command of an operator does exactly what `allowed` says of it."""
    driver, seen = Lockstep([each], 4), set[tuple[str, bool]]()
    wanted = {(event, allowed) for event in ("PAUSE", "RESUME", "TERMINATE", "RETRY", "RESTART", "RERUN")
              for allowed in (True, False)}
    for number in range(600):
        if number >= 120 and wanted <= seen:
            break
        driver.step()
        workflow = driver.some([w.id for w in each.k.find(limit=1_000).items])
        for choice in each.k.allowed(workflow) if workflow else ():
            seen.add(checked(each, workflow, choice))
    assert wanted <= seen


@again
def checked(each: Stand, workflow: str, choice: kernel.Choice) -> tuple[str, bool]:
    """Give the command, undo it, and compare."""
    chosen = Subject(workflow, 0) if choice.event == "RERUN" else None
    command = each.k.command(choice.event, Subject(workflow), chosen=chosen,
                             given={"origin": workflow, "resume": 0, "unarchived": 0})
    done, error = None, None
    with suppress(Undone), each.store.transaction(write=True) as transaction:
        try:
            done = each.k.apply(transaction, command)[1]
        except Refused as refusal:
            error = refusal
        raise Undone
    if error is None:
        assert done is not None
        assert choice.allowed != bool(done.no_op)
    else:
        assert not choice.allowed
        assert getattr(error, "guard", "") == choice.guard
        assert choice.reason in error.why
    return choice.event, choice.allowed


class Undone(Exception):
    """Leaves a transaction without writing."""


# ----------------------------------------------------------------------------------------------------------------- time
def test_the_clock_of_a_tree_never_goes_back(k: Kernel, clock: ManualClock) -> None:
    """A computer's clock may; what a tree has seen stays: times of its versions never fall, and no lease is cut short."""
    started(k, Task("a", lease=100.0), Task("b"))
    clock.advance(1_000)
    k.pause("w")
    k.resume("w")
    lease = one(k, "a")
    clock.advance(-5_000)
    assert k.heartbeat(lease) == lease
    k.complete(one(k, "b"))
    assert k.tick().total == 0
    k.complete(lease)
    times = [line.at for line in k.history("w")]
    assert times == sorted(times)
    assert times[-1] == NOW + timedelta(seconds=1_000)
    assert k.start("w", workflow_id="younger").started == NOW + timedelta(seconds=-4_000)


# --------------------------------------------------------------------------------------------------------------- kernels
def test_two_kernels_share_a_store(each: Stand, k: Kernel) -> None:
    """What one does the other sees at once."""
    other = each.kernel()
    started(k, Task("a"))
    other.complete(one(other, "a"))
    assert k.get("w").state == "COMPLETED"


@pytest.mark.unverified
def test_a_kernel_is_a_context(each: Stand) -> None:
    """It lets go of its store at the end."""
    with each.kernel() as k:
        assert k.find().items == ()


@pytest.mark.parametrize("actor", ["a" * 201, "a\x00b", "a\x1b[31m", None, 7])
def test_an_actor_is_a_short_text(each: Stand, actor: Any) -> None:
    """What stands in the history can be printed."""
    with pytest.raises(InvalidInput, match="the actor"):
        each.kernel(actor=actor)


def test_ids_come_from_chance(each: Stand) -> None:
    """Given the same chance, the same ids: a run can be repeated."""
    ids = []
    for _ in range(2):
        k = each.kernel(chance=random.Random(5))
        k.register(LEAF)
        ids.append(k.start("leaf", workflow_id=None).id)
    assert ids[0] == ids[1]
    assert ids[0] != each.kernel(chance=random.Random(6)).start("leaf").id
    assert EPOCH.tzinfo is UTC
