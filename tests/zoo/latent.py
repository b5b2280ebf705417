"""B40: what was found by reading the code of Conductor, and is reported nowhere."""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs

import kernel
from kernel.core.plan import Subject
from kernel.core.program import Program
from kernel.engine.entities import Applied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.relay import Settled
from kernel.spec import SPEC
from kernel.spec.language import Fire, Row, Step
from kernel.spec.vocabulary import ENDED_BADLY, LIVE, is_root
from kernel.testing.sinks import Behaviour
from tests.zoo.plants import running, tables_with, unguarded, with_rows, with_spec
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, tasks, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x")])
PAIR = kernel.WorkflowDef("pair", topics=("archive",), tasks=[
    kernel.TaskDef("left", workflow="leaf"), kernel.TaskDef("right", workflow="leaf", optional=True)])
LOOSE = kernel.WorkflowDef("loose", topics=("archive",), tasks=[
    kernel.TaskDef("a", optional=True), kernel.TaskDef("nest", workflow="leaf"), kernel.TaskDef("b", after=["a"])])


# ---- B40, N5 -------------------------------------------------------------------------------------------------------------
def a_terminate_stops_half_way(stage: Stage) -> None:
    """Tasks were cancelled first, and the cancellation of one failed: the workflow was left RUNNING with its tasks CANCELED; as
    one of them was optional, it even went on.

    conductor-oss/conductor, WorkflowExecutorOps: the tasks are cancelled and stored one by one before the workflow is.
    """
    for point, left in ((FaultPoint.BEFORE_COMMIT, ("RUNNING", ["IN_PROGRESS", "IN_PROGRESS", "PENDING", "SCHEDULED"])),
                        (FaultPoint.AFTER_COMMIT, ("TERMINATED", ["CANCELED"] * 4))):
        one = stage.another()
        one.k.register(LEAF, LOOSE)
        one.k.start("loose", workflow_id="w")
        lease_of(one.k, "a")
        one.crashes.arm(point)
        answer(lambda: one.k.terminate("w"))  # noqa: B023 - called at once
        k = one.reborn()
        same(f"killed {point}", (str(k.get("w").state), sorted(tasks(k, "w").values())), left)
        one.sound("w")
        k.terminate("w")
        one.clock.advance(600)
        k.tick()
        same("in the end", (set(workflows(k, "w").values()), set(tasks(k, "w").values())), ({"TERMINATED"}, {"CANCELED"}))
        one.sound("w")


class CancelFirstKernel(Kernel):
    """Cancels the tasks in a commit of its own, then terminates."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **options)
        self._first = Kernel(store, **{**options, "program": _cancels_first()})

    def terminate(self, workflow_id: str, **options: Any) -> Applied:
        """Cancel, then terminate."""
        self._first.commit(self._first.command("CANCEL_FIRST", Subject(workflow_id)))
        return super().terminate(workflow_id, **options)


@cache
def _cancels_first() -> Program:
    first = Step("CANCEL_FIRST", "workflow", (Fire("CANCEL", "all_tasks"),))
    return with_spec(commands=(*SPEC.commands, first), progress=())


# ---- B40, N12 ------------------------------------------------------------------------------------------------------------
def a_completed_child_is_terminated(stage: Stage) -> None:
    """A sub-workflow had COMPLETED a moment ago, and the end of its parent set it to TERMINATED.

    conductor-oss/conductor, SubWorkflow: it is set to TERMINATED without a look at where it stands.
    """
    for how in ("by hand", "by the other branch"):
        one = stage.another()
        k, other = one.k, one.kernel()
        both = [attrs.evolve(task, optional=False) for task in PAIR.tasks]
        k.register(attrs.evolve(LEAF, topics=()), attrs.evolve(PAIR, tasks=both))
        k.start("pair", workflow_id="w")
        left, right = sorted(k.poll("x", limit=2), key=lambda lease: lease.workflow_id)

        def end() -> None:
            if how == "by hand":  # noqa: B023 - called at once
                other.terminate("w")  # noqa: B023 - called at once
            else:
                other.fail(right, retryable=False)  # noqa: B023 - called at once

        one.meanwhile(end)
        k.complete(left)
        end_of_all = {"w": "TERMINATED" if how == "by hand" else "FAILED", "w/left": "COMPLETED",
                      "w/right": "TERMINATED" if how == "by hand" else "FAILED"}
        same(f"workflows, ended {how}", workflows(k, "w"), end_of_all)
        same("the task of what COMPLETED", tasks(k, "w")["w left"], "COMPLETED")
        one.sound("w")


def _whatever_it_was() -> Program:
    def anything(row: Row) -> Row:
        return attrs.evolve(row, source=(*LIVE, "COMPLETED")) if row.event == "TERMINATE" else row

    return with_rows("workflow", anything)


# ---- B40, N13 ------------------------------------------------------------------------------------------------------------
def retry_below_a_terminated_parent(stage: Stage) -> None:
    """A sub-workflow was retried, and its parent became RUNNING, whatever it was: TERMINATED, COMPLETED or PAUSED.

    conductor-oss/conductor, WorkflowExecutorOps: the way up sets each parent RUNNING.
    """
    for state in ("TERMINATED", "COMPLETED", "PAUSED", "RUNNING"):
        one = stage.another()
        k = one.k
        k.register(LEAF, PAIR)
        k.start("pair", workflow_id="w")
        left, right = sorted(k.poll("x", limit=2), key=lambda lease: lease.workflow_id)
        k.fail(right, retryable=False)
        if state == "TERMINATED":
            k.terminate("w")
        elif state == "COMPLETED":
            k.complete(left)
        elif state == "PAUSED":
            k.pause("w")
        before = k.tree("w")
        same("before", (str(k.get("w").state), str(k.get("w/right").state)), (state, "FAILED"))
        for name, ask in (("retry", lambda: k.retry("w/right")), ("restart", lambda: k.restart("w/right")),  # noqa: B023
                          ("rerun", lambda: k.rerun("w/right", from_task="x"))):  # noqa: B023 - called at once
            same(f"{name} below a {state} parent", answer(ask), "GuardRefused")
            same(f"the tree after {name}", k.tree("w") == before, True)
        one.sound("w")


def _a_child_by_itself() -> Program:
    def for_all(row: Row) -> Row:
        return unguarded(row, is_root) if row.event in ("RETRY", "RESTART", "RERUN") else row

    return with_rows("workflow", for_all)


# ---- B40, N17 ------------------------------------------------------------------------------------------------------------
UNDO = kernel.WorkflowDef("undo", tasks=[kernel.TaskDef("undo")])
BAD = kernel.WorkflowDef("bad", topics=("archive",), failure_workflow="undo", tasks=[kernel.TaskDef("a")])


def archived_then_compensated(stage: Stage) -> None:
    """A workflow was archived and its failure workflow started; that the failure workflow's id was written into it brought its
    rows back, and put another document in the place of the archived one.

    conductor-oss/conductor, WorkflowExecutorOps: the workflow is stored once more after its listeners were called.
    """
    k = stage.k
    k.register(UNDO, BAD)
    for first in ("archive", "compensation"):
        k.start("bad", workflow_id=first)
        k.fail(lease_of(k, "a"), retryable=False)
        before = k.tree(first), k.history(first, limit=1_000)
        if first == "compensation":
            stage.archive.plan(Behaviour.RAISE)
        for _ in range(3):
            k.deliver()
            stage.clock.advance(600)
        same("deliveries", {str(d.state) for d in k.deliveries(workflow_id=first)}, {"DELIVERED"})
        lines = [line for line in k.history(first, limit=1_000) if line.kind != "delivery"]
        same(f"its version, {first} first", k.get(first).version, before[0].workflow.version)
        same(f"its rows, {first} first", k.tree(first) == before[0], True)
        same(f"its history, {first} first", lines == [line for line in before[1] if line.kind != "delivery"], True)
        stage.sound(first)
    same("failure workflows", len(k.find(name="undo").items), 2)


class StampingKernel(Kernel):
    """Writes down in a workflow that its failure workflow was started."""

    def deliver(self, *, limit: int = 100, now: bool = False) -> Settled:
        """Deliver, then write."""
        settled = super().deliver(limit=limit, now=now)
        for outcome in settled.outcomes:
            workflow, _, topic = outcome.id.replace("#1", "").partition(":")
            if topic == "compensation" and outcome.state == "DELIVERED":
                self.commit(self.command("STAMP", Subject(workflow)))
        return settled


def _stamps(store: Store, **options: Any) -> Kernel:
    return StampingKernel(store, **{**options, "program": _with_stamps()})


@cache
def _with_stamps() -> Program:
    stamps = [Row("STAMP", (state,), state) for state in ENDED_BADLY]
    return with_spec(tables=tables_with("workflow", *stamps),
                     commands=(*SPEC.commands, Step("STAMP", "workflow", (Fire("STAMP"),))))


EXHIBITS = (
    Exhibit("B40a", (), a_terminate_stops_half_way, CancelFirstKernel, "the tasks are cancelled in a commit of their own"),
    Exhibit("B40b", (), a_completed_child_is_terminated, running(_whatever_it_was),
            "TERMINATE is a transition of COMPLETED workflows, too"),
    Exhibit("B40c", (), retry_below_a_terminated_parent, running(_a_child_by_itself),
            "a sub-workflow is opened again by itself"),
    Exhibit("B40d", (), archived_then_compensated, _stamps, "an ended workflow is written once more, after its archive"),
)
