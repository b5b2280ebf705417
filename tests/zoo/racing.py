"""Two who act at once, and workers that come too late."""

from __future__ import annotations

from typing import Any, Unpack

import attrs

import kernel
from kernel.core.plan import Command, Plan, Subject, Tally
from kernel.core.program import Program
from kernel.engine import reading
from kernel.engine.entities import Applied, Lease
from kernel.engine.kernel import Kernel, Options
from kernel.engine.ports import Store, Transaction
from kernel.errors import Fenced
from kernel.spec.language import Row
from kernel.spec.vocabulary import ENDED
from tests.zoo.plants import StaleKernel, with_rows
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, still_open, tasks, workflows

STEPS = kernel.WorkflowDef("steps", topics=("archive",), tasks=[
    kernel.TaskDef("a", lease=10.0), kernel.TaskDef("b", after=["a"]), kernel.TaskDef("c")])
ONE = kernel.WorkflowDef("one", topics=("archive",), tasks=[kernel.TaskDef("a", lease=10.0)])
TWICE = kernel.WorkflowDef("twice", topics=("archive",), tasks=[kernel.TaskDef("a", lease=10.0, retries=1)])


def absorbing(k: Kernel, workflow_id: str) -> None:
    """Nothing happened to a workflow after its end."""
    targets = [line.target for line in k.history(workflow_id, limit=1_000) if line.kind == "workflow"]
    ends = [place for place, target in enumerate(targets) if target in ENDED]
    same("states after the end", targets[ends[0] + 1:] if ends else [], [])


# ---- B07 -----------------------------------------------------------------------------------------------------------------
def two_evaluations_at_once(stage: Stage) -> None:
    """Two evaluations without a lock: one judged whether the workflow was complete on a list of tasks that the other had
    changed.

    Netflix/conductor#1111
    """
    k, other = stage.k, stage.kernel()
    k.register(STEPS)
    k.start("steps", workflow_id="w")
    a, c = lease_of(k, "a"), lease_of(k, "c")
    stage.meanwhile(lambda: other.complete(c))
    answer(lambda: k.complete(a))
    same("tasks", tasks(k, "w"), {"w a": "COMPLETED", "w b": "SCHEDULED", "w c": "COMPLETED"})
    k.complete(lease_of(k, "b"))
    same("when all tasks are closed", str(k.get("w").state), "COMPLETED")
    absorbing(k, "w")
    stage.sound("w")


# ---- B08 -----------------------------------------------------------------------------------------------------------------
def a_late_write_of_a_stale_copy(stage: Stage) -> None:
    """COMPLETED went back to RUNNING: somebody had read the workflow before its end and wrote the whole row after it.

    Netflix/conductor#759, Netflix/conductor#3491
    """
    k, other = stage.k, stage.kernel()
    k.register(ONE)
    k.start("one", workflow_id="w")
    lease = lease_of(k, "a")
    stage.meanwhile(lambda: other.complete(lease))
    answer(lambda: k.pause("w"))
    absorbing(k, "w")
    stage.sound("w")
    k.resume("w")
    same("in the end", str(k.get("w").state), "COMPLETED")
    absorbing(k, "w")
    stage.sound("w")


# ---- B16 -----------------------------------------------------------------------------------------------------------------
def a_task_that_timed_out_is_polled_again(stage: Stage) -> None:
    """A task that TIMED_OUT could still be polled and went back to IN_PROGRESS, while its retry ran beside it.

    Netflix/conductor#210
    """
    k = stage.k
    k.register(TWICE)
    k.start("twice", workflow_id="w")
    first = lease_of(k, "a", "w1")
    stage.clock.advance(11)
    k.tick()
    second = lease_of(k, "a", "w2")
    same("attempts", (first.attempt, second.attempt), (1, 2))
    same("handed out beside the retry", [lease.attempt for lease in k.poll("a", worker="w3", limit=10)], [])
    same("the first worker", [answer(lambda: k.heartbeat(first)), answer(lambda: k.complete(first))], ["Fenced"] * 2)
    stage.clock.advance(11)
    k.tick()
    same("workflow", workflows(k, "w"), {"w": "TIMED_OUT"})
    same("handed out after the end", [lease.attempt for lease in k.poll("a", worker="w3", limit=10)], [])
    stage.sound("w")


class MessageKernel(Kernel):
    """Keeps a message for each task that it handed out, and hands it out again: nobody takes it out of the queue."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **{**options, "program": _polled_at_any_time()})
        self._messages: list[Subject] = []

    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """What is due, then what the messages name."""
        leases = super().poll(type, worker=worker, limit=limit, **options)
        with self.store.transaction(write=True) as transaction:
            for subject in () if leases else self._messages:
                plan = self.apply(transaction, self.command("POLL", subject, worker=worker))[1]
                leases.append(reading.lease(transaction, plan.tasks[0]))
        self._messages += [Subject(lease.workflow_id, lease.position) for lease in leases]
        return leases


def _polled_at_any_time() -> Program:
    def polled(row: Row) -> Row:
        return attrs.evolve(row, source=("SCHEDULED", "IN_PROGRESS", "TIMED_OUT")) if row.event == "POLL" else row

    return with_rows("task", polled)


# ---- B17 -----------------------------------------------------------------------------------------------------------------
def a_result_after_the_time_out(stage: Stage) -> None:
    """A worker finished after its task had timed out: the call succeeded, and the result was gone.

    conductor-oss/conductor#322, Netflix/conductor#1249. What came too late can be read beside the history.
    """
    k = stage.k
    k.register(TWICE)
    k.start("twice", workflow_id="w")
    first = lease_of(k, "a", "w1")
    stage.clock.advance(11)
    k.tick()
    before = k.tree("w")
    same("a result after the time-out", answer(lambda: k.complete(first, output={"n": 1})), "Fenced")
    same("a failure after the time-out", answer(lambda: k.fail(first)), "Fenced")
    same("the tree", k.tree("w") == before, True)
    lease = lease_of(k, "a", "w2")
    same("a result beside the retry", answer(lambda: k.complete(first, output={"n": 1})), "Fenced")
    k.complete(lease, output={"n": 2})
    same("a result after the end", answer(lambda: k.complete(first, output={"n": 1})), "Fenced")
    same("output", k.tasks("w")[0].output, {"n": 2})
    same("kept beside the history", [(late.event, late.attempt, late.output) for late in k.late("w")],
         [("COMPLETE", 1, {"n": 1}), ("FAIL", 1, None)])
    stage.sound("w")


class PoliteKernel(Kernel):
    """Tells every worker that all is well."""

    def complete(self, lease: Lease, *, output: Any = None, **options: Any) -> Applied:
        """Drop what comes too late."""
        try:
            return super().complete(lease, output=output, **options)
        except Fenced:
            return Applied("", 0)


# ---- B18 -----------------------------------------------------------------------------------------------------------------
def completed_but_shown_in_progress(stage: Stage) -> None:
    """A task had COMPLETED and the next one had run, but it was shown IN_PROGRESS and its workflow never ended: its lease was
    extended at the same time, and that write came last.

    conductor-oss/conductor#176
    """
    k, other = stage.k, stage.kernel()
    k.register(STEPS)
    k.start("steps", workflow_id="w")
    lease = lease_of(k, "a")
    stage.meanwhile(lambda: other.complete(lease))
    answer(lambda: k.heartbeat(lease))
    same("tasks", tasks(k, "w"), {"w a": "COMPLETED", "w b": "SCHEDULED", "w c": "SCHEDULED"})
    stage.sound("w")
    for type in "bc":
        k.complete(lease_of(k, type))
    same("workflow", workflows(k, "w"), {"w": "COMPLETED"})
    stage.sound("w")


# ---- B19 -----------------------------------------------------------------------------------------------------------------
ENDING = kernel.WorkflowDef("ending", topics=("archive",), tasks=[
    kernel.TaskDef("work"), kernel.TaskDef("beside", workflow="one"),
    kernel.TaskDef("stop", kind="terminate", asks="FAILED", after=["work"])])


def an_end_waits_for_its_own_lock(stage: Stage) -> None:
    """An evaluation that found that it had to terminate took a lock that it held already: the end came when the lock's lease of
    60 seconds had run out.

    conductor-oss/conductor#295, conductor-oss/conductor#447, conductor-oss/conductor#496
    """
    for workflow_id, fails in (("failed", True), ("asked", False)):
        k = stage.k
        k.register(ONE, ENDING)
        k.start("ending", workflow_id=workflow_id)
        lease, writes, time = lease_of(k, "work"), stage.store.writes, stage.clock.now()
        if fails:
            k.fail(lease, retryable=False)
        else:
            k.complete(lease)
        same("commits", stage.store.writes - writes, 1)
        same("seconds waited", (stage.clock.now() - time) / 1e6, 0)
        same("workflows", set(workflows(k, workflow_id).values()), {"FAILED", "TERMINATED"})
        same("open tasks", still_open(k, workflow_id), [])
        stage.sound(workflow_id)


class NestedKernel(Kernel):
    """Ends what an evaluation found to be over by a command of its own, inside the evaluation."""

    def apply(self, transaction: Transaction, command: Command, now: int | None = None) -> tuple[Tally, Plan]:
        """Apply, and end."""
        tally, plan = super().apply(transaction, command, now)
        if any(change.kind == "workflow" and change.target in ENDED for change in plan.changes):
            self.terminate(command.subject.workflow)
        return tally, plan


EXHIBITS = (
    Exhibit("B07", ("Netflix/conductor#1111",), two_evaluations_at_once, StaleKernel,
            "a command decides on what it read before it locked"),
    Exhibit("B08", ("Netflix/conductor#759", "Netflix/conductor#3491"), a_late_write_of_a_stale_copy, StaleKernel,
            "a command decides on what it read before it locked"),
    Exhibit("B16", ("Netflix/conductor#210",), a_task_that_timed_out_is_polled_again, MessageKernel,
            "a message of a task stays in its queue, and POLL takes it in any state"),
    Exhibit("B17", ("conductor-oss/conductor#322", "Netflix/conductor#1249"), a_result_after_the_time_out, PoliteKernel,
            "a stale result is answered with success"),
    Exhibit("B18", ("conductor-oss/conductor#176",), completed_but_shown_in_progress, StaleKernel,
            "a heartbeat decides on what it read before it locked"),
    Exhibit("B19", ("conductor-oss/conductor#295", "conductor-oss/conductor#447", "conductor-oss/conductor#496"),
            an_end_waits_for_its_own_lock, NestedKernel, "an evaluation terminates by a command of its own"),
)
