"""How workflows end: what has to end with them, and how it is told."""

from __future__ import annotations

import json
from typing import Any

import attrs

import kernel
from kernel.core.plan import Command
from kernel.core.program import Program
from kernel.engine.entities import Applied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.sinks import Parcel, Sink
from kernel.errors import InvalidDefinition
from kernel.spec import SPEC
from kernel.spec.language import Fire, Row
from kernel.spec.vocabulary import ENDED_BADLY, LIVE, STATUSES
from kernel.testing.planted import ElevenStepKernel
from kernel.testing.sinks import Behaviour
from tests.zoo.plants import StaleKernel, running, with_cascade, with_rows, with_rule, with_spec
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, still_live, still_open, tasks, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x"), kernel.TaskDef("y")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("pack"), kernel.TaskDef("invoice", workflow="leaf"),
    kernel.TaskDef("ship", after=["pick", "pack"])])
PAIR = kernel.WorkflowDef("pair", topics=("archive",), tasks=[
    kernel.TaskDef("a", workflow="leaf"), kernel.TaskDef("b", workflow="leaf")])
TYPES = ("pick", "pack", "ship", "x", "y", "work")


def nothing_to_do(k: Kernel) -> None:
    """No worker is handed anything, whatever it asks for."""
    same("handed out", [f"{lease.workflow_id} {lease.ref}" for type in TYPES for lease in k.poll(type, limit=100)], [])


# ---- B01 -----------------------------------------------------------------------------------------------------------------
def _order(stage: Stage) -> Kernel:
    """An order with a worker on it, and a broken archive."""
    k = stage.k
    k.register(LEAF, ORDER)
    k.start("order", workflow_id="order-7")
    lease_of(k, "pick")
    stage.archive.plan(*[Behaviour.RAISE] * 2)
    return k


def archive_raises_while_terminating(stage: Stage) -> None:
    """The archive listener threw between the write of TERMINATED and the cancellation, which never ran: a TERMINATED workflow
    with its last task IN_PROGRESS.

    conductor-oss/conductor#303. Killed before or after the commit, it is all or nothing, too.
    """
    k = _order(stage)
    answer(lambda: k.terminate("order-7"))
    same("open tasks under TERMINATED", still_open(k, "order-7"), [])
    k.deliver()
    same("deliveries", [str(d.state) for d in k.deliveries()], ["PENDING", "PENDING"])
    stage.sound("order-7")
    stage.clock.advance(600)
    k.deliver()
    same("deliveries", [str(d.state) for d in k.deliveries()], ["DELIVERED", "DELIVERED"])
    stage.sound("order-7")
    for point, left in ((FaultPoint.BEFORE_COMMIT, 6), (FaultPoint.AFTER_COMMIT, 0)):
        other = stage.another()
        k = _order(other)
        other.crashes.arm(point)
        same("terminate", answer(lambda: k.terminate("order-7")), f"killed {point}")  # noqa: B023 - called at once
        k = other.reborn()
        same("open tasks", len(still_open(k, "order-7")), left)
        other.sound("order-7")


# ---- B03 -----------------------------------------------------------------------------------------------------------------
FORK = kernel.WorkflowDef("fork", topics=("archive",), tasks=[
    kernel.TaskDef("work"), *(kernel.TaskDef(f"s{n}", workflow="leaf", after=["work"]) for n in range(20))])


def terminate_while_a_fork_starts(stage: Stage) -> None:
    """Terminated while a large fork started its sub-workflows: those that were started afterwards kept RUNNING, because the
    list of what to cancel was read outside the lock.

    conductor-oss/conductor#291
    """
    k, other = stage.k, stage.kernel()
    k.register(LEAF, FORK)
    k.start("fork", workflow_id="w")
    lease = lease_of(k, "work")
    stage.meanwhile(lambda: other.terminate("w"))
    answer(lambda: k.complete(lease))
    same("live under TERMINATED", (str(k.get("w").state), still_live(k, "w")[:1]), ("TERMINATED", []))
    same("open tasks", still_open(k, "w"), [])
    nothing_to_do(k)
    stage.sound("w")


# ---- B04, B05 ------------------------------------------------------------------------------------------------------------
def tasks_of_sub_workflows_stay(stage: Stage) -> None:
    """Tasks of FAILED and TERMINATED sub-workflows in a fork stayed SCHEDULED, and workers kept polling them.

    Netflix/conductor#2117
    """
    k = stage.k
    k.register(LEAF, PAIR)
    k.start("pair", workflow_id="w")
    k.fail(k.poll("x")[0], retryable=False)
    same("workflows", set(workflows(k, "w").values()), {"FAILED", "TERMINATED"})
    same("open tasks", still_open(k, "w"), [])
    nothing_to_do(k)
    stage.sound("w")


def _own_tasks_only() -> Program:
    return with_cascade(Fire("TERMINATE", "subs"), Fire("CANCEL", "tasks"))


def only_the_first_level_ends(stage: Stage) -> None:
    """Terminating a workflow ended its sub-workflows, but not theirs: levels two and three stayed RUNNING.

    Netflix/conductor#1517
    """
    k = stage.k
    k.register(LEAF)
    for depth in range(1, 6):
        k.register(kernel.WorkflowDef(f"level{depth}", topics=("archive",), tasks=[
            kernel.TaskDef("down", workflow="leaf" if depth == 1 else f"level{depth - 1}"), kernel.TaskDef("work")]))
        k.start(f"level{depth}", workflow_id=f"w{depth}")
        same("before", len(still_live(k, f"w{depth}")), depth + 1)
        k.terminate(f"w{depth}", reason="by hand")
        same("live below TERMINATED", still_live(k, f"w{depth}"), [])
        same("open tasks", still_open(k, f"w{depth}"), [])
        stage.sound(f"w{depth}")
    nothing_to_do(k)


def _children_only() -> Program:
    return with_cascade(Fire("TERMINATE", "children"), Fire("CANCEL", "all_tasks"))


# ---- B06 -----------------------------------------------------------------------------------------------------------------
BESIDE = kernel.WorkflowDef("beside", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("approve", kind="wait"), kernel.TaskDef("pack"), kernel.TaskDef("work"),
    kernel.TaskDef("stop", kind="terminate", asks="COMPLETED", after=["work"])])


def tasks_beside_a_terminate_task_stay(stage: Stage) -> None:
    """A TERMINATE task completed the workflow, and the tasks of the parallel branches could still be polled; a waiting one even
    came back.

    Netflix/conductor#1608
    """
    k = stage.k
    k.register(BESIDE)
    k.start("beside", workflow_id="w")
    held = lease_of(k, "pick")
    k.complete(lease_of(k, "work"))
    same("workflow", str(k.get("w").state), "COMPLETED")
    same("open tasks beside TERMINATE", still_open(k, "w"), [])
    nothing_to_do(k)
    same("a late signal", answer(lambda: k.signal("w", "approve")), "NoSuchTransition")
    same("a late result", answer(lambda: k.complete(held)), "Fenced")
    same("tasks", set(tasks(k, "w").values()), {"COMPLETED", "CANCELED"})
    stage.sound("w")


def _completed_cancels_nothing() -> Program:
    entering, *more = SPEC.on_enter
    return with_spec(on_enter=(
        attrs.evolve(entering, states=ENDED_BADLY), attrs.evolve(entering, states=("COMPLETED",), cascade=()), *more))


# ---- B12 -----------------------------------------------------------------------------------------------------------------
def repeated_terminate_tells_again(stage: Stage) -> None:
    """Each further terminate of a TERMINATED workflow ran everything again and notified again.

    conductor-oss/conductor#766. Also when the caller repeats it because the process died after the commit.
    """
    for killed in (False, True):
        one = stage.another()
        k = one.k
        k.register(LEAF)
        k.start("leaf", workflow_id="w")
        if killed:
            one.crashes.arm(FaultPoint.AFTER_COMMIT)
        answer(lambda: k.terminate("w"))  # noqa: B023 - called at once
        k = one.reborn()
        k.deliver()
        same("a second terminate", [answer(lambda: k.terminate("w")) for _ in range(3)], ["no-op"] * 3)  # noqa: B023
        one.clock.advance(600)
        k.deliver()
        same("archived", one.archive.fired.total(), 1)
        same("lines of its end", [line.event for line in k.history("w") if line.kind == "workflow"], ["START", "TERMINATE"])
        one.sound("w")


def _terminates_again() -> Program:
    def again(row: Row) -> Row:
        return attrs.evolve(row, source=(*LIVE, "TERMINATED")) if row.event == "TERMINATE" else row

    return with_rows("workflow", again, no_ops=False)


def repeated_terminate_is_noticed_again(stage: Stage) -> None:
    """Each further terminate of a TERMINATED workflow notified its listeners again.

    conductor-oss/conductor#766. Here the listeners of changes of status, below the workflow, too.
    """
    k = stage.k
    k.register(attrs.evolve(LEAF, notify=STATUSES), kernel.WorkflowDef("over", tasks=[kernel.TaskDef("a", workflow="leaf")],
                                                                       notify=("TERMINATED",)))
    k.start("over", workflow_id="w")
    for _ in range(4):
        answer(lambda: k.terminate("w"))
        k.deliver()
    for name, wanted in (("w", ["TERMINATED"]), ("w/a", ["RUNNING", "TERMINATED"])):
        same(f"notices of {name}", [told["status"] for told in stage.told if told["workflow"] == name], wanted)
    stage.sound("w")


class _CallsAgainKernel(Kernel):
    """Whoever terminates what is TERMINATED calls the listener himself."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **options)
        self.listener: Sink = options["sinks"]["notify"]

    def commit(self, command: Command) -> Applied:
        """Commit, and tell what is no news."""
        applied, of = super().commit(command), command.subject.workflow
        if command.name == "TERMINATE" and applied.no_op:
            text = json.dumps({"workflow": of, "status": "TERMINATED"}).encode()
            self.listener.deliver(Parcel(key=command.id, topic="notify", workflow_id=of, run=1, attempt=1,
                                         open=lambda: iter((text,))))
        return applied


# ---- B13 -----------------------------------------------------------------------------------------------------------------
def asked_for_terminated(stage: Stage) -> None:
    """A TERMINATE task that asked for TERMINATED ended its workflow COMPLETED: a value that was not known counted as success.

    conductor-oss/conductor#750, conductor-oss/conductor#764
    """
    k = stage.k
    for asked in ("COMPLETED", "FAILED", "TERMINATED"):
        k.register(kernel.WorkflowDef(f"asks {asked}", topics=("archive",), tasks=[
            kernel.TaskDef("work"), kernel.TaskDef("stop", kind="terminate", asks=asked, after=["work"]), kernel.TaskDef("x")]))
        k.start(f"asks {asked}", workflow_id=asked)
        k.complete(lease_of(k, "work"))
        same(f"asked for {asked}", str(k.get(asked).state), asked)
        same("open tasks", still_open(k, asked), [])
        stage.sound(asked)
    for asked in ("TIMED_OUT", "PAUSED", "terminated", "DONE", ""):
        try:
            kernel.TaskDef("stop", kind="terminate", asks=asked)
        except InvalidDefinition:
            continue
        raise AssertionError(f"a TERMINATE task may ask for {asked!r}")


def _success_by_default() -> Program:
    return with_rule("ASKED_TERMINATED", Fire("COMPLETE"))


# ---- B15 -----------------------------------------------------------------------------------------------------------------
ENDS = {
    ("TERMINATED", None): "TERMINATED", ("FAILED", None): "FAILED", ("COMPLETED", "TERMINATED"): "TERMINATED",
    ("COMPLETED", "FAILED"): "FAILED", ("COMPLETED", "COMPLETED"): "COMPLETED"}
"""How two sub-workflows end, and what their parent makes of it."""


def _end(k: Kernel, workflow_id: str, state: str, leases: list[kernel.Lease]) -> None:
    if state == "TERMINATED":
        k.terminate(workflow_id, reason="by hand")
    elif state == "FAILED":
        k.fail(next(lease for lease in leases if lease.workflow_id == workflow_id), retryable=False)
    else:
        for lease in leases:
            if lease.workflow_id == workflow_id:
                k.complete(lease)


def a_child_aborted_by_hand(stage: Stage) -> None:
    """A sub-workflow was aborted by hand, and its parent FAILED instead of being TERMINATED: the join took canceled for failed.

    conductor-oss/conductor#1422, conductor-oss/conductor#1425
    """
    for ends, wanted in ENDS.items():
        one = stage.another()
        k = one.k
        k.register(LEAF, PAIR)
        k.start("pair", workflow_id="w")
        leases = [lease for type in "xy" for lease in k.poll(type, limit=10)]
        for child, state in zip("ab", ends, strict=True):
            if state is not None:
                _end(k, f"w/{child}", state, leases)
                same(f"sub-workflow {child}", str(k.get(f"w/{child}").state), state)
        same(f"a parent of {' and '.join(filter(None, ends))}", str(k.get("w").state), wanted)
        if "TERMINATED" in ends:
            same("why it ended", "by hand" in k.get("w").reason, True)
        one.sound("w")


def _canceled_is_failed() -> Program:
    return with_rule("HAND_TERMINATED", Fire("CHILD_FAILED", "up"))


EXHIBITS = (
    Exhibit("B01", ("conductor-oss/conductor#303",), archive_raises_while_terminating, ElevenStepKernel,
            "terminate writes TERMINATED, calls the archive in line, then cancels"),
    Exhibit("B03", ("conductor-oss/conductor#291",), terminate_while_a_fork_starts, StaleKernel,
            "a command decides on what it read before it locked"),
    Exhibit("B04", ("Netflix/conductor#2117",), tasks_of_sub_workflows_stay, running(_own_tasks_only),
            "an ending cancels the workflow's own tasks only"),
    Exhibit("B05", ("Netflix/conductor#1517",), only_the_first_level_ends, running(_children_only),
            "an ending reaches sub-workflows one level down only"),
    Exhibit("B06", ("Netflix/conductor#1608",), tasks_beside_a_terminate_task_stay, running(_completed_cancels_nothing),
            "COMPLETED cancels nothing"),
    Exhibit("B12", ("conductor-oss/conductor#766",), repeated_terminate_tells_again, running(_terminates_again),
            "TERMINATE is a transition of a TERMINATED workflow, too"),
    Exhibit("B12b", ("conductor-oss/conductor#766",), repeated_terminate_is_noticed_again, _CallsAgainKernel,
            "a terminate that changes nothing calls the listeners, too"),
    Exhibit("B13", ("conductor-oss/conductor#750", "conductor-oss/conductor#764"), asked_for_terminated,
            running(_success_by_default), "a task that asks for TERMINATED completes its workflow"),
    Exhibit("B15", ("conductor-oss/conductor#1422", "conductor-oss/conductor#1425"), a_child_aborted_by_hand,
            running(_canceled_is_failed), "a TERMINATED sub-workflow counts as FAILED"),
)
