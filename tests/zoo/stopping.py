"""What goes on although it was stopped: tasks, sub-workflows, late results, pauses that are none."""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs

import kernel
from kernel.core.program import Program
from kernel.engine.entities import Applied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.spec import SPEC
from kernel.spec.language import Fire, NoOp, Row, Step
from kernel.spec.vocabulary import CLOSED_BADLY, ENDED, wf_live, wf_running
from tests.zoo.plants import StaleKernel, running, tables_with, unguarded, with_cascade, with_rows, with_spec
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, still_live, still_open, tasks, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x"), kernel.TaskDef("y")])
STEPS = kernel.WorkflowDef("steps", topics=("archive",), tasks=[
    kernel.TaskDef("a"), kernel.TaskDef("b", after=["a"]), kernel.TaskDef("c"), kernel.TaskDef("d", after=["b", "c"])])
LAST = kernel.WorkflowDef("last", tasks=[kernel.TaskDef("a")])
TYPES = ("a", "b", "c", "d", "x", "y", "work")


def handed_out(k: Kernel) -> list[str]:
    """What workers get who ask for anything."""
    return [f"{lease.workflow_id} {lease.ref}" for type in TYPES for lease in k.poll(type, limit=100)]


def after_the_end(k: Kernel, workflow_id: str) -> list[str]:
    """What the history of a tree tells of workflows and tasks after the commit that ended this workflow."""
    lines = k.history(workflow_id, limit=1_000)
    ends = [line.version for line in lines if line.workflow_id == workflow_id and line.target in ENDED]
    return [f"{line.event} {line.workflow_id} {line.subject}".rstrip() for line in lines
            if line.kind != "delivery" and line.version > min(ends)]


# ---- B28 -----------------------------------------------------------------------------------------------------------------
def _levels(k: Kernel) -> None:
    k.register(LEAF)
    for depth in (1, 2, 3):
        k.register(kernel.WorkflowDef(f"level{depth}", topics=("archive",), tasks=[
            kernel.TaskDef("down", workflow="leaf" if depth == 1 else f"level{depth - 1}"), kernel.TaskDef("work")]))
    k.start("level3", workflow_id="w")


def a_cascade_stops_on_its_way_down(stage: Stage) -> None:
    """A terminate went down level by level, and what carried it failed on the second: what was below kept running.

    temporalio/temporal#604. Killed anywhere, all levels live or none does; and repeating the command ends what is left.
    """
    for point, left in ((FaultPoint.BEFORE_COMMIT, 4), (FaultPoint.AFTER_COMMIT, 0)):
        one = stage.another()
        _levels(one.k)
        one.crashes.arm(point)
        answer(lambda: one.k.terminate("w", command_id="once"))  # noqa: B023 - called at once
        k = one.reborn()
        same(f"levels alive, killed {point}", len(still_live(k, "w")), left)
        one.sound("w")
        k.terminate("w", command_id="once")
        same("levels alive after another try", still_live(k, "w"), [])
        same("handed out", handed_out(k), [])
        one.sound("w")


class LevelKernel(Kernel):
    """Terminates level by level, each in a commit of its own."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **{**options, "program": _one_level()})

    def terminate(self, workflow_id: str, **options: Any) -> Applied:
        """One level, then those below."""
        below = [node.workflow.id for node in self.tree(workflow_id).children]
        applied = super().terminate(workflow_id, **options)
        for child in below:
            self.terminate(child)
        return applied


@cache
def _one_level() -> Program:
    return with_cascade(Fire("CANCEL", "tasks"))


# ---- B29 -----------------------------------------------------------------------------------------------------------------
def a_pause_while_work_is_in_flight(stage: Stage) -> None:
    """A pause was accepted while work was in flight; its end set the status back to RUNNING, while the record of the pause
    stayed, so that nobody could resume it.

    temporalio/temporal#10239, temporalio/temporal#10292
    """
    k = stage.k
    k.register(STEPS)
    k.start("steps", workflow_id="w")
    lease = lease_of(k, "a")
    k.pause("w")
    k.complete(lease)
    found = k.get("w")
    same("state, and who paused it", (str(found.state), found.paused_by), ("PAUSED", "w"))
    same("handed out", handed_out(k), [])
    same("tasks", tasks(k, "w"), {"w a": "COMPLETED", "w b": "PENDING", "w c": "SCHEDULED", "w d": "PENDING"})
    stage.sound("w")
    same("resume", [answer(lambda: k.resume("w")), answer(lambda: k.resume("w"))], ["applied", "no-op"])
    for type in "bcd":
        k.complete(lease_of(k, type))
    same("workflow", workflows(k, "w"), {"w": "COMPLETED"})
    stage.sound("w")


def _a_result_sets_running() -> Program:
    def resumed(step: Step) -> Step:
        return attrs.evolve(step, do=(*step.do, Fire("WORK", "wf"))) if step.name == "COMPLETE" else step

    return with_spec(tables=tables_with("workflow", Row("WORK", ("RUNNING", "PAUSED"), "RUNNING")),
                     commands=tuple(resumed(step) for step in SPEC.commands))


# ---- B30 -----------------------------------------------------------------------------------------------------------------
def queued_tasks_of_a_failed_run_start(stage: Stage) -> None:
    """A run was marked as failed, and its queued and scheduled tasks started all the same: only the running ones were stopped,
    and the status of the run was computed anew from them.

    apache/airflow#16078, apache/airflow#21908
    """
    k = stage.k
    k.register(STEPS)
    for name, end in (("failed", "FAILED"), ("ended", "TERMINATED")):
        k.start("steps", workflow_id=name)
        lease = lease_of(k, "a")
        same("before", sorted(tasks(k, name).values()), ["IN_PROGRESS", "PENDING", "PENDING", "SCHEDULED"])
        if end == "FAILED":
            k.fail(lease, retryable=False)
        else:
            k.terminate(name)
        same(f"open tasks of a {end} run", still_open(k, name), [])
        same("handed out", handed_out(k), [])
        stage.clock.advance(3_600)
        k.tick()
        same("workflow", str(k.get(name).state), end)
        same("after its end", after_the_end(k, name), [])
        stage.sound(name)


def _only_what_runs_is_canceled() -> Program:
    def canceled(row: Row) -> Row:
        return attrs.evolve(row, source=("IN_PROGRESS",)) if row.event == "CANCEL" else row

    return with_rows("task", canceled)


# ---- B31 -----------------------------------------------------------------------------------------------------------------
def a_late_success_of_a_closed_task(stage: Stage) -> None:
    """A task that had been marked as failed turned to success when its worker came later, and so did its run.

    apache/airflow#45925
    """
    k = stage.k
    k.register(STEPS)
    k.start("steps", workflow_id="w")
    lease = lease_of(k, "a")
    k.terminate("w")
    before = k.tree("w")
    same("a late success", answer(lambda: k.complete(lease, output={"n": 1})), "Fenced")
    same("a late failure", answer(lambda: k.fail(lease)), "Fenced")
    same("a late heartbeat", answer(lambda: k.heartbeat(lease)), "Fenced")
    same("the tree", k.tree("w") == before, True)
    same("after its end", after_the_end(k, "w"), [])
    same("kept beside the history", [(late.event, late.output) for late in k.late("w")],
         [("COMPLETE", {"n": 1}), ("FAIL", None)])
    stage.sound("w")


def _success_wins() -> Program:
    def won(row: Row) -> Row:
        if row.event != "COMPLETE":
            return row
        return unguarded(attrs.evolve(row, source=("IN_PROGRESS", *CLOSED_BADLY)), wf_live)

    return with_rows("task", won)


# ---- B32 -----------------------------------------------------------------------------------------------------------------
def new_tasks_of_a_cancelled_run(stage: Stage) -> None:
    """A run was Cancelled, and new tasks of it went on to start: nobody asked for its state when the next was scheduled.

    PrefectHQ/prefect#17482
    """
    k, other = stage.k, stage.kernel()
    k.register(STEPS)
    k.start("steps", workflow_id="w")
    lease = lease_of(k, "a")
    other.terminate("w")
    answer(lambda: k.complete(lease))
    same("after the cancel", after_the_end(k, "w"), [])
    same("handed out", handed_out(k), [])
    stage.clock.advance(3_600)
    k.tick()
    same("after the cancel", after_the_end(k, "w"), [])
    stage.sound("w")


def _nobody_asks_for_the_workflow() -> Program:
    def blind(row: Row) -> Row:
        return unguarded(row, wf_live, wf_running)

    entering, *more = SPEC.on_enter
    return with_spec(tables=tables_with("task", edit=blind), on_enter=(attrs.evolve(entering, cascade=()), *more))


# ---- B33 -----------------------------------------------------------------------------------------------------------------
NEST = kernel.WorkflowDef("nest", topics=("archive",), tasks=[
    kernel.TaskDef("left", workflow="leaf"), kernel.TaskDef("right", workflow="leaf"), kernel.TaskDef("work")])


def slots_of_a_cancelled_parent(stage: Stage) -> None:
    """A parent was cancelled; its children and their tasks were left Running, and the slots of the concurrency limit that they
    held were never free again.

    PrefectHQ/prefect#7732, PrefectHQ/prefect#12713, PrefectHQ/prefect#12864. The kernel has no such limit; what holds a worker
    is a lease.
    """
    k = stage.k
    k.register(LEAF, NEST)
    k.start("nest", workflow_id="w")
    leases = [lease for type in ("x", "y", "work") for lease in k.poll(type, limit=10)]
    same("leases", len(leases), 5)
    k.terminate("w")
    same("live below", still_live(k, "w"), [])
    same("leases that hold", [lease.ref for lease in leases if answer(lambda: k.heartbeat(lease)) != "Fenced"], [])  # noqa: B023
    stage.clock.advance(3_600)
    same("timers that wait", (k.backlog().timers, k.tick().total), (0, 0))
    same("RUNNING", [found.id for found in k.find(state="RUNNING").items], [])
    stage.sound("w")


# ---- B35 -----------------------------------------------------------------------------------------------------------------
HELD = kernel.WorkflowDef("held", topics=("archive",), tasks=[
    kernel.TaskDef("fork", kind="fork"), kernel.TaskDef("a", after=["fork"]),
    kernel.TaskDef("nest", workflow="leaf", after=["fork"]),
    kernel.TaskDef("approve", kind="wait", after=["fork"]), kernel.TaskDef("join", kind="join", after=["a", "nest", "approve"]),
    kernel.TaskDef("b", retries=3, retry_delay=60.0),
    kernel.TaskDef("stop", kind="terminate", asks="COMPLETED", after=["join"])])


def what_only_holds_others_stays(stage: Stage) -> None:
    """The workflow had Failed and was archived, and a node that only holds others, the wrapper of its retries, was Running for
    ever: a later retry was refused.

    argoproj/argo-workflows#15472, argoproj/argo-workflows#10221
    """
    k = stage.k
    k.register(LEAF, HELD)
    for name, end in (("failed", "FAILED"), ("ended", "TERMINATED")):
        k.start("held", workflow_id=name)
        lease = lease_of(k, "a")
        k.fail(lease_of(k, "b"))
        same("waits for its next attempt", tasks(k, name)[f"{name} b"], "SCHEDULED")
        if end == "FAILED":
            k.fail(lease, retryable=False)
        else:
            k.terminate(name)
        same("workflow", str(k.get(name).state), end)
        same("open tasks", still_open(k, name), [])
        k.deliver()
        stage.sound(name)
        same("a later retry", answer(lambda: k.retry(name)), "applied")  # noqa: B023 - called at once
        while leases := [lease for type in TYPES for lease in k.poll(type, limit=100)]:
            for lease in leases:
                k.complete(lease)
        k.signal(name, "approve")
        same("in the end", set(workflows(k, name).values()), {"COMPLETED"})
        stage.sound(name)


def _what_waits_is_not_canceled() -> Program:
    def canceled(row: Row) -> Row:
        return attrs.evolve(row, source=("SCHEDULED", "IN_PROGRESS")) if row.event == "CANCEL" else row

    return with_rows("task", canceled)


# ---- B36, B38 ------------------------------------------------------------------------------------------------------------
def cancelled_just_before_its_end(stage: Stage) -> None:
    """Cancelled just before it finished, a workflow ended as SUCCESS: its outcome was written without a look at its status.

    dbos-inc/dbos-transact-py#703, dbos-inc/dbos-transact-golang#77. In both orders the first commit wins, and the second caller
    is told.
    """
    for first in ("complete", "terminate"):
        one = stage.another()
        k, other = one.k, one.kernel()
        k.register(LAST)
        k.start("last", workflow_id="w")
        lease, said = lease_of(k, "a"), {}

        def complete(by: Kernel) -> None:
            said["COMPLETED"] = answer(lambda: by.complete(lease))  # noqa: B023 - called at once

        def terminate(by: Kernel) -> None:
            said["TERMINATED"] = answer(lambda: by.terminate("w"))  # noqa: B023 - called at once

        mine, theirs = (complete, terminate) if first == "complete" else (terminate, complete)
        one.meanwhile(lambda: theirs(other))  # noqa: B023 - called at once
        mine(k)
        lines = [str(line.target) for line in k.history("w") if line.kind == "workflow"]
        same("ends", len(lines[1:]), 1)
        same("who was told so", [end for end, told in said.items() if told == "applied"], lines[1:])
        refusal = "NoSuchTransition" if lines[1] == "COMPLETED" else "Fenced"
        same("what the other was told", [told for told in said.values() if told != "applied"], [refusal])
        one.sound("w")


def a_cancel_that_lost_the_race(stage: Stage) -> None:
    """A cancel that came after the end returned as if it had cancelled, and left no trace.

    dbos-inc/dbos-transact-py#767
    """
    k = stage.k
    k.register(attrs.evolve(LAST, topics=("archive",), timeout=60.0))
    for end, told in (("COMPLETED", "NoSuchTransition"), ("FAILED", "NoSuchTransition"), ("TIMED_OUT", "NoSuchTransition"),
                      ("TERMINATED", "no-op")):
        k.start("last", workflow_id=end)
        lease = lease_of(k, "a")
        if end == "COMPLETED":
            k.complete(lease)
        elif end == "FAILED":
            k.fail(lease, retryable=False)
        elif end == "TIMED_OUT":
            k.pause(end)
            stage.clock.advance(61)
            k.tick()
        else:
            k.terminate(end)
        version = k.get(end).version
        same(f"a cancel of a {end} one", answer(lambda: k.terminate(end)), told)  # noqa: B023 - called at once
        same("state and version", (str(k.get(end).state), k.get(end).version), (end, version))
        stage.sound(end)


def _too_late_is_no_error() -> Program:
    table = SPEC.tables["workflow"]
    kept = tuple(no_op for no_op in table.no_ops if no_op.event != "TERMINATE")
    silent = attrs.evolve(table, no_ops=(*kept, NoOp("TERMINATE", ENDED, "it has ended")))
    return with_spec(tables={**SPEC.tables, "workflow": silent})


EXHIBITS = (
    Exhibit("B28", ("temporalio/temporal#604",), a_cascade_stops_on_its_way_down, LevelKernel,
            "terminate commits level by level"),
    Exhibit("B29", ("temporalio/temporal#10239", "temporalio/temporal#10292"), a_pause_while_work_is_in_flight,
            running(_a_result_sets_running), "a result sets its workflow RUNNING"),
    Exhibit("B30", ("apache/airflow#16078", "apache/airflow#21908"), queued_tasks_of_a_failed_run_start,
            running(_only_what_runs_is_canceled), "an ending cancels only tasks that are IN_PROGRESS"),
    Exhibit("B31", ("apache/airflow#45925",), a_late_success_of_a_closed_task, running(_success_wins),
            "COMPLETE is a transition of closed tasks, too"),
    Exhibit("B32", ("PrefectHQ/prefect#17482",), new_tasks_of_a_cancelled_run, running(_nobody_asks_for_the_workflow),
            "no task asks for the state of its workflow, and an ending writes the workflow only"),
    Exhibit("B33", ("PrefectHQ/prefect#7732", "PrefectHQ/prefect#12713", "PrefectHQ/prefect#12864"),
            slots_of_a_cancelled_parent, running(_one_level), "an ending reaches no sub-workflow"),
    Exhibit("B35", ("argoproj/argo-workflows#15472", "argoproj/argo-workflows#10221"), what_only_holds_others_stays,
            running(_what_waits_is_not_canceled), "an ending leaves out the joins that wait"),
    Exhibit("B36", ("dbos-inc/dbos-transact-py#703", "dbos-inc/dbos-transact-golang#77"), cancelled_just_before_its_end,
            StaleKernel, "a command decides on what it read before it locked"),
    Exhibit("B38", ("dbos-inc/dbos-transact-py#767",), a_cancel_that_lost_the_race, running(_too_late_is_no_error),
            "TERMINATE is a no-op wherever a workflow has ended"),
)
