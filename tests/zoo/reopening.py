"""What is opened again after its end."""

from __future__ import annotations

from collections.abc import Callable

import attrs

import kernel
from kernel.core.program import Program
from kernel.engine.document import checked_document
from kernel.engine.kernel import Kernel
from kernel.errors import Refused
from kernel.spec import SPEC
from kernel.spec.language import Fire, Follow, Row, both, is_, no
from kernel.spec.vocabulary import no_end_asked, something_to_retry, starts_again
from kernel.testing.clock import ManualClock
from kernel.testing.sinks import Behaviour, MemoryArchive
from tests.zoo.plants import running, unguarded, with_rows, with_spec
from tests.zoo.stand import Exhibit, Stage, answer, same, still_open, tasks, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("invoice", workflow="leaf"), kernel.TaskDef("ship", after=["pick", "invoice"])])
FORK = kernel.WorkflowDef("fork", topics=("archive",), tasks=[
    kernel.TaskDef("a", workflow="leaf"), kernel.TaskDef("b", workflow="leaf"), kernel.TaskDef("c", workflow="leaf"),
    kernel.TaskDef("join", kind="join", after=["a", "b", "c"]), kernel.TaskDef("ship", after=["join"])])


def finish(k: Kernel) -> None:
    """Do all that workers are asked for."""
    while leases := [lease for type in ("pick", "x", "ship") for lease in k.poll(type, limit=100)]:
        for lease in leases:
            k.complete(lease)


def with_follow(kind: str, event: str, *do: Fire) -> Program:
    """The specification with an event bringing with it something else."""
    follows = tuple(Follow(kind, event, do) if (f.kind, f.event) == (kind, event) else f for f in SPEC.follows)
    return with_spec(follows=follows)


# ---- B02 -----------------------------------------------------------------------------------------------------------------
def restart_after_a_failed_archive(stage: Stage) -> None:
    """Terminated with a task SCHEDULED, the archive failed; the first restart then came out TERMINATED with no reason, because
    it adopted the canceled rows of the run before, and only the second one worked.

    conductor-oss/conductor#615
    """
    for mended in (False, True):
        one = stage.another()
        k = one.k
        k.register(LEAF, ORDER)
        k.start("order", workflow_id="w")
        one.archive.plan(*[Behaviour.RAISE] * 2)
        k.terminate("w")
        k.deliver()
        if mended:
            one.clock.advance(600)
            k.deliver()
            documents = one.archive.inner.documents if isinstance(one.archive.inner, MemoryArchive) else {}
            states = {task["state"] for text in documents.values() for task in checked_document(text)["tasks"]}
            same("tasks in the archive", states, {"CANCELED"})
        same("the first restart", answer(lambda: k.restart("w")), "applied")  # noqa: B023 - called at once
        same("after the first restart", (str(k.get("w").state), k.get("w").run), ("RUNNING", 2))
        same("its tasks", tasks(k, "w"), {
            "w invoice": "IN_PROGRESS", "w pick": "SCHEDULED", "w ship": "PENDING", "w/invoice x": "SCHEDULED"})
        same("the run before", {str(task.state) for task in k.tasks("w", run=1)}, {"CANCELED"})
        finish(k)
        same("in the end", workflows(k, "w"), {"w": "COMPLETED", "w/invoice": "COMPLETED"})
        one.clock.advance(600)
        k.deliver()
        same("archives", [one.archived(name, run) for name in ("w", "w/invoice") for run in (1, 2)], ["its frozen rows"] * 4)
        one.sound("w")


def _adopts_what_is_there() -> Program:
    return with_follow("workflow", "RESTART")


# ---- B11 -----------------------------------------------------------------------------------------------------------------
AFTER: dict[str, tuple[Callable[[Kernel], object], str]] = {
    "retry": (lambda k: k.retry("w"), "applied"),
    "retry with its sub-workflows": (lambda k: k.retry("w", resume_children=True), "applied"),
    "restart": (lambda k: k.restart("w"), "applied"),
    "rerun": (lambda k: k.rerun("w", from_task="pick"), "applied"),
    "terminate": (lambda k: k.terminate("w"), "no-op"),
    "pause": (lambda k: k.pause("w"), "NoSuchTransition"),
    "resume": (lambda k: k.resume("w"), "NoSuchTransition"),
    "retry of the sub-workflow": (lambda k: k.retry("w/invoice"), "GuardRefused"),
}
"""What may be asked of a workflow that is archived, and the answer."""


def what_an_archived_workflow_answers(stage: Stage) -> None:
    """An archived workflow could be restarted, and after a retry it was gone from the history: no operation said what it does
    to a copy that is archived.

    Netflix/conductor#2008
    """
    for name, (ask, wanted) in AFTER.items():
        one = stage.another()
        k = one.k
        k.register(LEAF, ORDER)
        k.start("order", workflow_id="w")
        k.terminate("w")
        k.deliver()
        same(f"{name} of an archived workflow", answer(lambda: ask(k)), wanted)  # noqa: B023 - called at once
        first = str(k.get("w", run=1).state), one.archived("w", 1)
        same(f"the first run after {name}", first, ("TERMINATED", "its frozen rows"))
        same(f"found after {name}", [w.id for w in k.find(name="order").items], ["w"])
        finish(k)
        one.clock.advance(600)
        k.deliver()
        ended = ("COMPLETED", 2) if wanted == "applied" else ("TERMINATED", 1)
        same(f"in the end after {name}", (str(k.get("w").state), k.get("w").run), ended)
        same(f"its archive after {name}", one.archived("w", ended[1]), "its frozen rows")
        one.sound("w")


def _goes_on_in_the_archived_run() -> Program:
    def same_run(row: Row) -> Row:
        if row.event not in ("RETRY", "RESTART", "RERUN"):
            return row
        return attrs.evolve(row, set={name: value for name, value in row.set if name != "run"})

    return with_rows("workflow", same_run)


# ---- B20 -----------------------------------------------------------------------------------------------------------------
def retry_inside_a_fork(stage: Stage) -> None:
    """A sub-workflow in a fork was retried: it ran, but its parent was stuck, because the join and the other branches stayed
    CANCELED.

    conductor-oss/conductor#1222, conductor-oss/conductor#1274
    """
    for resume in (False, True):
        one = stage.another()
        k = one.k
        k.register(LEAF, FORK)
        k.start("fork", workflow_id="w")
        first, second, _ = k.poll("x", limit=3)
        k.complete(first)
        k.fail(second, retryable=False)
        same("before", tasks(k, "w")["w join"], "CANCELED")
        try:
            k.retry("w/b", resume_children=resume)
        except Refused as refused:
            same("what a retry of the branch says", refused.hint, "kernel retry w")
        else:
            raise AssertionError("one branch was retried by itself")
        k.retry("w", resume_children=resume)
        same("what goes on", still_open(k, "w"), [
            "w b IN_PROGRESS", "w c IN_PROGRESS", "w join PENDING", "w ship PENDING", "w/b x SCHEDULED", "w/c x SCHEDULED"])
        finish(k)
        same("in the end", set(workflows(k, "w").values()), {"COMPLETED"})
        k.deliver()
        one.sound("w")


def _one_branch_only() -> Program:
    return with_follow("workflow", "RETRY", Fire("RESET", "tasks", both(starts_again.holds, no(is_("CANCELED")))))


# ---- B21 -----------------------------------------------------------------------------------------------------------------
PLAIN = kernel.WorkflowDef("plain", topics=("archive",), timeout=60.0, tasks=[kernel.TaskDef("pick"), kernel.TaskDef("ship")])
ASKING = kernel.WorkflowDef("asking", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("x"), kernel.TaskDef("stop", kind="terminate", asks="TERMINATED", after=["pick"])])


def _paused_when_all_is_done(k: Kernel) -> None:
    leases = [*k.poll("pick"), *k.poll("ship")]
    k.pause("w")
    for lease in leases:
        k.complete(lease)


def _terminated_when_all_is_done(k: Kernel) -> None:
    _paused_when_all_is_done(k)
    k.terminate("w")


def _out_of_time(k: Kernel) -> None:
    assert isinstance(k.clock, ManualClock)
    k.clock.advance(61)
    k.tick()


ENDS: dict[str, tuple[kernel.WorkflowDef, Callable[[Kernel], object], str, str]] = {
    "nothing was done": (PLAIN, lambda k: None, "RUNNING", "NoSuchTransition"),
    "paused": (PLAIN, _paused_when_all_is_done, "PAUSED", "NoSuchTransition"),
    "no task is unfinished": (PLAIN, _terminated_when_all_is_done, "TERMINATED", "GuardRefused"),
    "none failed, all were canceled": (PLAIN, lambda k: k.terminate("w"), "TERMINATED", "applied"),
    "its time was over": (PLAIN, _out_of_time, "TIMED_OUT", "applied"),
    "one failed": (PLAIN, lambda k: k.fail(k.poll("pick")[0], retryable=False), "FAILED", "applied"),
    "all is done": (PLAIN, finish, "COMPLETED", "NoSuchTransition"),
    "a task asked for the end": (ASKING, lambda k: k.complete(k.poll("pick")[0]), "TERMINATED", "GuardRefused"),
}
"""What became of a workflow, its state, and what a retry is answered."""


def retry_without_a_failed_task(stage: Stage) -> None:
    """A TERMINATED workflow without a failed task was retried, and the answer was an internal error: what a retry needs was
    declared nowhere.

    Netflix/conductor#428
    """
    for name, (definition, act, state, wanted) in ENDS.items():
        one = stage.another()
        k = one.k
        k.register(definition)
        k.start(definition.name, workflow_id="w")
        act(k)
        before = k.tree("w")
        same(f"where {name}", str(k.get("w").state), state)
        same(f"retry where {name}", answer(lambda: k.retry("w")), wanted)  # noqa: B023 - called at once
        same(f"the run where {name}", k.get("w").run, 2 if wanted == "applied" else 1)
        if wanted == "applied":
            finish(k)
            same(f"in the end where {name}", str(k.get("w").state), "COMPLETED")
        else:
            same(f"the tree where {name}", k.tree("w") == before, True)
        one.sound("w")


def _retries_anything() -> Program:
    def any_end(row: Row) -> Row:
        return unguarded(row, something_to_retry, no_end_asked) if row.event == "RETRY" else row

    return with_rows("workflow", any_end)


EXHIBITS = (
    Exhibit("B02", ("conductor-oss/conductor#615",), restart_after_a_failed_archive, running(_adopts_what_is_there),
            "RESTART starts no task again"),
    Exhibit("B11", ("Netflix/conductor#2008",), what_an_archived_workflow_answers, running(_goes_on_in_the_archived_run),
            "re-opening goes on in the run that was archived"),
    Exhibit("B20", ("conductor-oss/conductor#1222", "conductor-oss/conductor#1274"), retry_inside_a_fork,
            running(_one_branch_only), "RETRY starts what FAILED again, and leaves what was CANCELED with it"),
    Exhibit("B21", ("Netflix/conductor#428",), retry_without_a_failed_task, running(_retries_anything),
            "RETRY asks for no task to retry"),
)
