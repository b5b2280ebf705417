"""Re-opening a tree: retry, restart and rerun on every store; what earlier runs keep, and what nobody may do any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs
import pytest

import kernel
from kernel.engine.document import checked_document, document
from kernel.engine.entities import Applied, Lease
from kernel.engine.kernel import Kernel
from kernel.errors import Fenced, GuardRefused, InvalidInput, NoSuchTransition, NotFound, Refused
from kernel.spec import TASK, WORKFLOW
from kernel.spec.vocabulary import ENDED
from kernel.testing.clock import ManualClock
from kernel.testing.replay import check_history
from kernel.testing.sinks import MemoryArchive
from tests.stores.stand import Stand

Task = kernel.TaskDef
PACK = kernel.WorkflowDef("pack", tasks=[Task("x"), Task("y", after=["x"])], topics=("archive",))
ORDER = kernel.WorkflowDef("order", topics=("archive",), timeout=100.0, restartable=True, tasks=[
    Task("a", input={"n": "${workflow.input.n}"}), Task("s", workflow="pack", after=["a"]),
    Task("w", kind="wait", after=["a"], optional=True), Task("z", after=["s"], input={"by": "${a.output.by}"})])


def work(k: Kernel, *types: str, fail: str = "") -> Lease:
    """Do one task of each type in turn; the one named in `fail` fails for good. Gives the last lease."""
    leases = []
    for type in types:
        (lease,) = k.poll(type, worker="w1")
        leases.append(lease)
        if type == fail:
            k.fail(lease, retryable=False)
        else:
            k.complete(lease, output={"by": type})
    return leases[-1]


def late(k: Kernel, clock: ManualClock) -> None:
    """Let the deadline pass."""
    clock.advance(200)
    k.tick()


def states(k: Kernel, workflow: str, run: int | None = None) -> dict[str, str]:
    """The state of each task."""
    return {task.ref: str(task.state) for task in k.tasks(workflow, run=run)}


@pytest.fixture
def failed(k: Kernel) -> Kernel:
    """An order whose sub-workflow failed at its last task."""
    k.register(PACK, ORDER)
    k.start("order", workflow_id="o", input={"n": 1})
    work(k, "a", "x", "y", fail="y")
    assert (k.get("o").state, k.get("o/s").state) == ("FAILED", "FAILED")
    return k


def sound(k: Kernel) -> None:
    """Nothing is wrong with the store, and the history tells what stands."""
    assert k.audit().findings == ()
    check_history(k, "o")


# ---- what is re-opened --------------------------------------------------------------------------------------------------
def test_retry(failed: Kernel) -> None:
    """What failed starts again, with a fresh sub-workflow; what is closed well is kept with its output."""
    assert failed.retry("o", reason="the printer works again", actor="ada") == Applied(
        failed.history("o")[-1].command_id, failed.get("o").version, run=2, again=3)
    assert states(failed, "o") == {"a": "COMPLETED", "s": "IN_PROGRESS", "w": "IN_PROGRESS", "z": "PENDING"}
    assert states(failed, "o/s") == {"x": "SCHEDULED", "y": "PENDING"}
    assert failed.tasks("o")[0].output == {"by": "a"}
    assert failed.tasks("o/s")[0].output is None
    line = next(line for line in failed.history("o") if line.event == "RETRY")
    assert (line.actor, line.reason, line.run, line.source, line.target) == (
        "ada", "the printer works again", 2, "FAILED", "RUNNING")
    work(failed, "x", "y", "z")
    failed.signal("o", "w")
    assert (failed.get("o").state, failed.get("o").run, failed.get("o/s").run) == ("COMPLETED", 2, 2)
    sound(failed)


def test_retry_with_children_in_place(failed: Kernel) -> None:
    """The sub-workflow goes on where it failed, and keeps what it did."""
    failed.retry("o", resume_children=True)
    assert states(failed, "o/s") == {"x": "COMPLETED", "y": "SCHEDULED"}
    assert failed.tasks("o/s")[0].output == {"by": "x"}
    work(failed, "y", "z")
    assert [(line.event, line.run) for line in failed.history("o/s") if line.kind == "workflow"] == [
        ("START", 1), ("FAIL", 1), ("REOPEN", 2), ("COMPLETE", 2)]
    sound(failed)


def test_what_is_set_aside_is_told_by_id(k: Kernel) -> None:
    """However deep it hung, and whichever workflow was re-opened first."""
    k.register(PACK, ORDER, kernel.WorkflowDef("top", tasks=[Task("order", workflow="order"), Task("pack", workflow="pack")]))
    k.start("top", workflow_id="o", input={"n": 1})
    work(k, "a")
    k.terminate("o")
    k.rerun("o", from_task="a", in_workflow="o/order")
    assert [line.workflow_id for line in k.history("o", below=True) if line.event == "SET_ASIDE"] == [
        "o/order/s", "o/pack", "o/order/s", "o/pack"]
    sound(k)


def test_restart(failed: Kernel) -> None:
    """Everything starts again; of the sub-workflow nothing is there until its task comes."""
    failed.restart("o")
    assert states(failed, "o") == {"a": "SCHEDULED", "s": "PENDING", "w": "PENDING", "z": "PENDING"}
    with pytest.raises(NotFound):
        failed.get("o/s")
    assert failed.get("o/s", run=1).state == "FAILED"
    (lease,) = failed.poll("a")
    assert lease.input == {"n": 1}
    sound(failed)


def test_rerun_anywhere(failed: Kernel) -> None:
    """A task two levels down, chosen by its workflow and its reference; the tasks above it go on in place."""
    failed.retry("o")
    work(failed, "x", "y", "z")
    failed.signal("o", "w")
    failed.rerun("o", from_task="y", in_workflow="o/s")
    assert states(failed, "o") == {"a": "COMPLETED", "s": "IN_PROGRESS", "w": "COMPLETED", "z": "PENDING"}
    assert states(failed, "o/s") == {"x": "COMPLETED", "y": "SCHEDULED"}
    (lease,) = failed.poll("y")
    failed.complete(lease)
    (lease,) = failed.poll("z")
    assert lease.input == {"by": "a"}
    sound(failed)


def test_a_kept_sub_workflow_is_not_touched(failed: Kernel) -> None:
    """It is part of the new run as it ended in its own, has no second delivery, and stays until a task above starts again."""
    failed.retry("o")
    work(failed, "x", "y", "z")
    failed.signal("o", "w")
    failed.rerun("o", from_task="z")
    kept = failed.get("o/s")
    assert (kept.run, kept.state) == (2, "COMPLETED")
    assert kept == failed.get("o/s", run=3)
    assert [node.workflow.id for node in failed.tree("o").children] == ["o/s"]
    assert [item.id for item in failed.find().items] == ["o", "o/s"]
    work(failed, "z")
    assert [(d.workflow_id, d.run) for d in failed.deliveries()] == [("o", 1), ("o", 2), ("o", 3), ("o/s", 1), ("o/s", 2)]
    sound(failed)
    failed.rerun("o", from_task="a")
    assert failed.get("o/s", run=3).state == "COMPLETED"
    with pytest.raises(NotFound):
        failed.get("o/s")
    sound(failed)


def test_many_runs(each: Stand) -> None:
    """A run after the other, each ended another way; all of them stay readable and all are sound."""
    k = each.k
    k.register(PACK, ORDER)
    k.start("order", workflow_id="o", input={"n": 1})
    endings: list[Callable[[], object]] = [
        lambda: k.terminate("o"), lambda: work(k, "a", fail="a"), lambda: late(k, each.clock),
        lambda: k.terminate("o")]
    for number, end in enumerate(endings, start=1):
        end()
        k.restart("o") if number % 2 else k.retry("o", resume_children=True)
        sound(k)
    assert [str(k.get("o", run=run).state) for run in range(1, 6)] == [
        "TERMINATED", "FAILED", "TIMED_OUT", "TERMINATED", "RUNNING"]
    with pytest.raises(NotFound):
        k.get("o", run=6)
    assert {line.run for line in k.history("o", run=3)} == {3}


# ---- earlier runs ---------------------------------------------------------------------------------------------------------
def test_earlier_runs_stay_as_they_ended(failed: Kernel) -> None:
    """Workflow, tasks and tree of run 1 read the same before and after run 2 began and ended."""
    def first() -> list[Any]:
        tree = failed.tree("o", run=1)
        return [tree.tasks, tree.children[0].tasks, states(failed, "o/s", 1), tree.workflow.state, tree.workflow.reason]

    before = first()
    failed.retry("o")
    assert first() == before
    work(failed, "x", "y", "z")
    failed.signal("o", "w")
    assert first() == before
    failed.restart("o")
    assert first() == before


def test_the_archive_of_run_1_is_written_after_run_2_began(each: Stand) -> None:
    """Its document is that of the frozen rows, whenever it is written; each run that ended has a copy of its own."""
    archive = MemoryArchive()
    k = each.kernel(sinks={"archive": archive})
    k.register(PACK, ORDER)
    k.start("order", workflow_id="o", input={"n": 1})
    work(k, "a", "x", "y", fail="y")
    frozen = {place: b"".join(document(each.store, *place)) for place in (("o", 1), ("o/s", 1))}
    k.retry("o")
    k.deliver()
    assert archive.documents == frozen
    told = checked_document(archive.documents["o", 1])
    assert (told["workflow"]["run"], told["workflow"]["state"]) == (1, "FAILED")
    assert "RETRY" not in json.dumps(told["history"])
    work(k, "x", "y", "z")
    k.signal("o", "w")
    k.deliver()
    assert set(archive.documents) == {("o", 1), ("o/s", 1), ("o", 2), ("o/s", 2)}
    assert {place: archive.documents[place] for place in frozen} == frozen
    lines = checked_document(archive.documents["o", 2])["history"]
    assert [line["event"] for line in lines[:2]] == ["RETRY", "RESET"]
    check_history(k, "o")


# ---- leases, clocks, limits -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("again", ["retry", "restart", "rerun"])
def test_no_lease_of_an_earlier_run_is_valid(failed: Kernel, again: str) -> None:
    """A stale worker is fenced, also when the very task is handed out again, to the same worker."""
    failed.retry("o")
    work(failed, "x")
    (old,) = failed.poll("y", worker="w1")
    failed.terminate("o")
    reopen: dict[str, Callable[[], Applied]] = {
        "retry": lambda: failed.retry("o", resume_children=True), "restart": lambda: failed.restart("o"),
        "rerun": lambda: failed.rerun("o", from_task="y", in_workflow="o/s")}
    reopen[again]()
    if again == "restart":
        work(failed, "a", "x")
    (new,) = failed.poll("y", worker="w1")
    assert (old.workflow_id, old.ref, old.run) == (new.workflow_id, new.ref, new.run - 1)
    for call in (failed.complete, failed.fail, failed.heartbeat):
        with pytest.raises(Fenced):
            call(old)
    failed.complete(new)
    sound(failed)


def test_a_lease_of_what_stayed_behind_is_fenced(failed: Kernel) -> None:
    """A sub-workflow that the next run has not yet, or has no more, still fences its workers; what never was is not found."""
    failed.retry("o")
    (old,) = failed.poll("x", worker="w1")
    failed.terminate("o")
    failed.restart("o")
    with pytest.raises(NotFound):
        failed.get("o/s")
    for call, what in ((failed.complete, "complete"), (failed.fail, "fail"), (failed.heartbeat, "hold")):
        with pytest.raises(Fenced) as fenced:
            call(old)
        told = fenced.value
        assert (told.stands, told.why) == ("set aside with run 2", f"there is no task to {what}")
        assert told.hint == "stop working on this attempt and poll for the next task"
    for strange in (attrs.evolve(old, run=7), attrs.evolve(old, position=9), attrs.evolve(old, workflow_id="o/t")):
        with pytest.raises(NotFound):
            failed.complete(strange)
    sound(failed)


def test_what_stayed_behind_is_found_where_it_is(failed: Kernel) -> None:
    """Its history and late results as ever; who asks for it in another run is told which run has it."""
    before = failed.history("o/s")
    failed.restart("o")
    aside = failed.history("o/s")
    assert (aside[:len(before)], {line.event for line in aside[len(before):]}) == (before, {"SET_ASIDE"})
    assert failed.late("o/s") == []
    asked: list[tuple[Callable[[], object], int]] = [
        (lambda: failed.get("o/s"), 2), (lambda: failed.tasks("o/s", run=3), 3)]
    for ask, run in asked:
        with pytest.raises(NotFound, match=f"it is not part of run {run} of its tree") as caught:
            ask()
        assert caught.value.hint == "kernel show o/s --run 1"
    never: list[Callable[[], object]] = [
        lambda: failed.history("o/t"), lambda: failed.late("o/t"), lambda: failed.get("o/t", run=1)]
    for ask in never:
        with pytest.raises(NotFound, match="there is none in this store"):
            ask()


def test_the_deadline_starts_anew(failed: Kernel, clock: ManualClock) -> None:
    """A run has the whole time that the definition gives."""
    clock.advance(90)
    failed.retry("o")
    clock.advance(90)
    failed.tick()
    assert failed.get("o").state == "RUNNING"
    clock.advance(10)
    failed.tick()
    assert failed.get("o").state == "TIMED_OUT"
    assert failed.get("o").started > failed.get("o", run=1).started


def test_a_command_id_reopens_once(failed: Kernel) -> None:
    """The same id and request again gives the first answer; with another request it is refused."""
    first = failed.retry("o", command_id="again-1")
    assert failed.retry("o", command_id="again-1") == first
    assert failed.get("o").run == 2
    others: list[Callable[[], Applied]] = [
        lambda: failed.retry("o", resume_children=True, command_id="again-1"),
        lambda: failed.restart("o", command_id="again-1"),
        lambda: failed.rerun("o", from_task="a", command_id="again-1")]
    for call in others:
        with pytest.raises(GuardRefused):
            call()
    failed.terminate("o")
    failed.rerun("o", from_task="a", command_id="again-2")
    with pytest.raises(GuardRefused):
        failed.rerun("o", from_task="s", command_id="again-2")


def test_a_run_that_ends_at_once(k: Kernel) -> None:
    """A rerun from beside a TERMINATE task that was reached ends again in the same commit, as a run of its own."""
    k.register(kernel.WorkflowDef("order", topics=("archive",), tasks=[
        Task("a"), Task("t", kind="terminate", asks="FAILED", after=["a"]), Task("b")]))
    k.start("order", workflow_id="o")
    work(k, "a")
    with pytest.raises(GuardRefused) as caught:
        k.retry("o")
    assert caught.value.guard == "not ended by a TERMINATE task"
    done = k.rerun("o", from_task="b")
    assert (done.run, done.ended, done.canceled, done.deliveries, done.again) == (2, 1, 1, 1, 1)
    assert [(d.run, str(d.state)) for d in k.deliveries()] == [(1, "PENDING"), (2, "PENDING")]
    sound(k)


def test_the_outcome_of_a_reopening_stands_in_the_history(failed: Kernel) -> None:
    """Of a generated id, too: which run it began, and how many tasks started again."""
    done = failed.retry("o")
    assert failed.outcome(done.command_id, workflow_id="o") == done
    assert (done.run, done.again) == (2, 3)


# ---- who may not --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("command", ["retry", "restart", "rerun"])
def test_on_a_sub_workflow(failed: Kernel, command: str) -> None:
    """Refused, and the answer names the root."""
    calls: dict[str, Callable[[], Applied]] = {
        "retry": lambda: failed.retry("o/s"), "restart": lambda: failed.restart("o/s"),
        "rerun": lambda: failed.rerun("o/s", from_task="x")}
    with pytest.raises(GuardRefused) as caught:
        calls[command]()
    assert (caught.value.guard, caught.value.hint) == ("root", f"kernel {command} o")


def test_a_task_that_cannot_be_chosen(failed: Kernel) -> None:
    """Of another tree, of no task, or named by something that is no name."""
    failed.start("order", workflow_id="other")
    with pytest.raises(GuardRefused) as caught:
        failed.rerun("o", from_task="a", in_workflow="other")
    assert caught.value.guard == "chosen task exists"
    with pytest.raises(NotFound):
        failed.rerun("o", from_task="nothing")
    with pytest.raises(NotFound):
        failed.rerun("o", from_task="a", in_workflow="nobody")
    for wrong in ("", 7):
        with pytest.raises(InvalidInput):
            failed.rerun("o", from_task=wrong)  # type: ignore[arg-type]


def test_a_completed_one_is_restarted_only_if_its_definition_allows_it(k: Kernel) -> None:
    """RESTART asks the definition; RERUN does not."""
    k.register(kernel.WorkflowDef("order", tasks=[Task("a")], restartable=False))
    k.start("order", workflow_id="o")
    work(k, "a")
    with pytest.raises(GuardRefused) as caught:
        k.restart("o")
    assert caught.value.guard == "restartable"
    k.rerun("o", from_task="a")
    sound(k)


# ---- every terminal state, every command ----------------------------------------------------------------------------------
ENDINGS: dict[str, Callable[[Kernel, ManualClock], object]] = {
    "COMPLETED": lambda k, clock: (work(k, "a", "x", "y", "z"), k.signal("o", "w")),
    "FAILED": lambda k, clock: work(k, "a", "x", "y", fail="y"),
    "TIMED_OUT": late,
    "TERMINATED": lambda k, clock: k.terminate("o"),
}
CALLS: dict[str, Callable[[Kernel], Applied]] = {
    "RETRY": lambda k: k.retry("o"), "RESTART": lambda k: k.restart("o"), "RERUN": lambda k: k.rerun("o", from_task="a"),
    "TERMINATE": lambda k: k.terminate("o"), "PAUSE": lambda k: k.pause("o"), "RESUME": lambda k: k.resume("o"),
    "SIGNAL": lambda k: k.signal("o", "w"),
}


@pytest.mark.parametrize("event", CALLS)
@pytest.mark.parametrize("state", ENDED)
def test_every_command_on_every_terminal_state(each: Stand, state: str, event: str) -> None:
    """A transition, a no-op or a refusal, as the table declares it and for the reason that it gives; nothing else."""
    k, clock = each.k, each.clock
    k.register(PACK, ORDER)
    k.start("order", workflow_id="o", input={"n": 1})
    ENDINGS[state](k, clock)
    table = TASK.table if event == "SIGNAL" else WORKFLOW.table
    stands = str(k.tasks("o")[2].state if event == "SIGNAL" else k.get("o").state)
    assert k.get("o").state == state
    rows = table.rows_for(event, stands)
    quiet = [answer.why for answer in table.no_ops if answer.event == event and stands in answer.source]
    told = quiet + [answer.why for answer in table.refusals if answer.event == event and stands in answer.source]
    assert len(told) == (0 if rows else 1)
    before = each.rows()
    if rows:
        assert CALLS[event](k).run == 2
        assert k.get("o").state == rows[0].target == "RUNNING"
    elif quiet:
        assert (CALLS[event](k).why, each.rows()) == (told[0], before)
    else:
        with pytest.raises(NoSuchTransition) as caught:
            CALLS[event](k)
        assert (caught.value.why, each.rows()) == (told[0], before)
    sound(k)


@pytest.mark.parametrize("event", ["RETRY", "RESTART", "RERUN"])
@pytest.mark.parametrize("state", ["RUNNING", "PAUSED"])
def test_nothing_that_lives_is_reopened(each: Stand, state: str, event: str) -> None:
    """A live tree has to end first."""
    each.k.register(PACK, ORDER)
    each.k.start("order", workflow_id="o", input={"n": 1})
    if state == "PAUSED":
        each.k.pause("o")
    before = each.rows()
    with pytest.raises(Refused, match="it is live"):
        CALLS[event](each.k)
    assert each.rows() == before


# --------------------------------------------------------------------------------------------------------- spawned tasks
SPAWNING = kernel.WorkflowDef("spawning", topics=("archive",), notify=("RUNNING",), tasks=[
    Task("a"), Task("b", after=["a"]), Task("c")])


def spawned(k: Kernel) -> Lease:
    """`a` spawned `x`, which spawned a sub-workflow; `c` spawned `z`, which reads `x`; terminated. Gives x's lease."""
    k.register(PACK, SPAWNING)
    k.start("spawning", workflow_id="o")
    (a,), (c,) = k.poll("a"), k.poll("c")
    k.complete(a, spawn=[Task("x", after=["a"])], before=["b"])
    k.complete(c, spawn=[Task("z", after=["x"], input={"n": "${x.output.n}", "is": "${x.status}"})])
    (x,) = k.poll("x", worker="w7")
    k.complete(x, output={"n": 7}, spawn=[Task("s", workflow="pack", after=["x"])])
    k.terminate("o")
    assert k.audit().findings == ()
    return x


def test_what_a_kept_task_spawned_is_kept(k: Kernel) -> None:
    """A retry keeps what is done and does the rest again; who waited waits again."""
    spawned(k)
    k.retry("o")
    assert states(k, "o") == {
        "a": "COMPLETED", "b": "SCHEDULED", "c": "COMPLETED", "x": "COMPLETED", "z": "SCHEDULED", "s": "IN_PROGRESS"}
    assert [t.spawned_by for t in k.tasks("o")] == [None, None, None, "a", "c", "x"]
    assert k.audit().findings == ()
    work(k, "b", "z", "x", "y")
    assert (k.get("o").state, k.audit().findings) == ("COMPLETED", ())
    check_history(k, "o")


def test_who_was_to_come_before_what_is_gone(k: Kernel) -> None:
    """A spawned task that is kept, and stood before one that is there no more, closes as ever."""
    k.register(kernel.WorkflowDef("w", tasks=[Task("a"), Task("c"), Task("z")]))
    k.start("w", workflow_id="w")
    k.complete(k.poll("a")[0], spawn=[Task("x", after=["z"])])
    k.complete(k.poll("c")[0], spawn=[Task("y")], before=["x"])
    k.terminate("w")
    k.rerun("w", from_task="a")
    work(k, "y", "z", "a")
    assert (k.get("w").state, k.audit().findings) == ("COMPLETED", ())
    check_history(k, "w")


def test_a_later_task_of_the_same_name_is_another(k: Kernel) -> None:
    """A spawned task that is kept does not wait for what is spawned anew under the name of one that is there no more."""
    k.register(kernel.WorkflowDef("w", tasks=[Task("a"), Task("c"), Task("z")]))
    k.start("w", workflow_id="w")
    k.complete(k.poll("a")[0], spawn=[Task("x")])
    k.complete(k.poll("c")[0], spawn=[Task("y", after=["x", "z"])])
    k.terminate("w")
    k.rerun("w", from_task="a")
    k.complete(k.poll("a")[0], spawn=[Task("x")])
    assert k.audit().findings == ()
    work(k, "z")
    assert states(k, "w")["y"] == "SCHEDULED"
    work(k, "y", "x")
    assert (k.get("w").state, k.audit().findings) == ("COMPLETED", ())
    check_history(k, "w")


def test_a_spawner_that_starts_again_spawns_anew(k: Kernel, each: Stand) -> None:
    """What it spawned, and what that spawned, stays behind with the run before; the rest is kept, whatever its position."""
    lease = spawned(k)
    k.rerun("o", from_task="a")
    assert states(k, "o") == {"a": "SCHEDULED", "b": "PENDING", "c": "COMPLETED", "z": "SCHEDULED"}
    assert [node.workflow.id for node in k.tree("o").children] == []
    assert k.audit().findings == ()
    assert states(k, "o", run=1)["x"] == "COMPLETED"
    with pytest.raises(Fenced):
        k.complete(lease)
    assert [(late.task, late.run) for late in k.late("o")] == [("x", 1)]
    (z,) = each.kernel().poll("z")
    assert z.input == {"n": None, "is": None}  # there is no x any more
    k.complete(z)
    (a,) = k.poll("a")
    k.complete(a, spawn=[Task("x", after=["a"]), Task("more")], before=["b"])
    assert states(k, "o")["b"] == "PENDING"
    work(k, "x", "more", "b")
    assert (k.get("o").state, k.get("o").run, k.audit().findings) == ("COMPLETED", 2, ())
    assert [(t.ref, t.spawned_by) for t in k.tasks("o")][3:] == [("z", "c"), ("x", "a"), ("more", "a")]
    check_history(k, "o")
    content = checked_document(b"".join(document(each.store, "o", 2)))
    assert [t["spawned_by"] for t in content["tasks"]] == [None, None, None, "c", "a", "a"]


def test_a_spawned_task_is_chosen(k: Kernel) -> None:
    """It starts again, and what comes after it; only what it spawned itself is there no more."""
    spawned(k)
    k.rerun("o", from_task="x")
    assert states(k, "o") == {"a": "COMPLETED", "b": "PENDING", "c": "COMPLETED", "x": "SCHEDULED", "z": "PENDING"}
    work(k, "x", "b", "z")
    assert (k.get("o").state, k.audit().findings) == ("COMPLETED", ())


def test_a_restart_leaves_out_all_that_was_spawned(k: Kernel) -> None:
    """The definition is what it was."""
    spawned(k)
    k.restart("o")
    assert states(k, "o") == {"a": "SCHEDULED", "b": "PENDING", "c": "SCHEDULED"}
    work(k, "a", "b", "c")
    assert (k.get("o").state, k.audit().findings) == ("COMPLETED", ())
    check_history(k, "o")


def test_a_spawned_sub_workflow_goes_on_in_place(k: Kernel) -> None:
    """As any other, down the tree; a task in it can be chosen."""
    spawned(k)
    k.retry("o", resume_children=True)
    assert states(k, "o")["s"] == "IN_PROGRESS"
    k.terminate("o")
    k.rerun("o", from_task="x", in_workflow="o/s")
    assert (states(k, "o")["s"], states(k, "o/s")) == ("IN_PROGRESS", {"x": "SCHEDULED", "y": "PENDING"})
    k.terminate("o")
    assert k.audit().findings == ()
