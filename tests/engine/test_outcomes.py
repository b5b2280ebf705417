"""Command ids: once is once, another request is refused, and an outcome that was asked for stays what it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Barrier, Thread
from typing import Any

import attrs
import pytest

import kernel
from kernel.core.plan import Command, Subject
from kernel.engine.entities import Applied
from kernel.engine.kernel import Kernel
from kernel.engine.outcomes import DAYS, LIFE, applied_of, recorded, started_by
from kernel.errors import CommitUnknown, GuardRefused, InvalidInput, NotFound
from kernel.testing.clock import ManualClock
from tests.stores.stand import Stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",))
ROOT = kernel.WorkflowDef("root", topics=("archive",), tasks=[
    Task("sub", workflow="leaf"), Task("a", retries=1), Task("b", type="a"), Task("ok", kind="wait")])
WEEK = LIFE / 1_000_000


def begun(k: Kernel, **options: Any) -> None:
    """A running workflow `w` with a sub-workflow `w/sub`."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w", **options)


def refused(call: Callable[[], object]) -> GuardRefused:
    """The refusal of a call, which changes nothing."""
    with pytest.raises(GuardRefused) as caught:
        call()
    return caught.value


def test_a_record_tells_all_of_an_outcome() -> None:
    """What is kept gives the same outcome again, whichever of its fields holds something; and the caller knows the id."""
    command = Command("TERMINATE", Subject("w"), request="{}")
    given = (Applied("c", 1), Applied("c", 7, 1, 2, 3), Applied("c", 7, no_op=True, why="it is so"),
             Applied("c", 9, run=2, again=4), Applied("c", 9, deliveries=1, run=2))
    for applied in given:
        assert applied_of("c", recorded(command, applied, 5)) == applied
    assert all(any(getattr(applied, field.name) for applied in given) for field in attrs.fields(Applied))
    assert {*json.loads(recorded(command, given[0], 5).outcome)} == {"version", "ended", "canceled", "deliveries"}


# ----------------------------------------------------------------------------------------------------------- once is once
COMMANDS: dict[str, Callable[[Kernel, Any, str], Any]] = {
    "start": lambda k, lease, id: k.start("root", workflow_id="v", input={"n": 1}, command_id=id),
    "start a nameless one": lambda k, lease, id: k.start("root", command_id=id),
    "start what is there": lambda k, lease, id: k.start("root", workflow_id="w", command_id=id),
    "poll": lambda k, lease, id: k.poll("a", worker="w1", limit=5, command_id=id),
    "complete": lambda k, lease, id: k.complete(lease, output={"n": 1}, command_id=id),
    "fail": lambda k, lease, id: k.fail(lease, reason="broken", command_id=id),
    "signal": lambda k, lease, id: k.signal("w", "ok", output=[1], command_id=id),
    "pause": lambda k, lease, id: k.pause("w", command_id=id),
    "pause below": lambda k, lease, id: k.pause("w/sub", command_id=id),
    "a no-op": lambda k, lease, id: k.resume("w", command_id=id),
    "terminate": lambda k, lease, id: k.terminate("w", reason="enough", actor="ada", command_id=id),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_same_command_again_does_nothing_more(each: Stand, k: Kernel, name: str) -> None:
    """It gives the first answer, whatever happened since, also in another process."""
    begun(k)
    (lease,) = k.poll("a", limit=1)
    first = COMMANDS[name](k, lease, "id")
    before = each.rows()
    assert COMMANDS[name](k, lease, "id") == first
    assert COMMANDS[name](each.kernel(), lease, "id") == first
    assert each.rows() == before


def test_an_id_belongs_to_a_tree(each: Stand, k: Kernel) -> None:
    """Another tree has its own commands under the same id; a sub-workflow is of its root's tree."""
    begun(k)
    k.start("root", workflow_id="v")
    assert not k.pause("w", command_id="id").no_op
    assert not k.pause("v", command_id="id").no_op
    assert k.get("v").state == "PAUSED"
    refused(lambda: k.terminate("w/sub", command_id="id"))


def test_a_refusal_is_not_recorded(k: Kernel) -> None:
    """The same id may be tried again when the command has become possible."""
    begun(k)
    k.pause("w")
    refused(lambda: k.resume("w/sub", command_id="id"))
    k.resume("w")
    assert k.resume("w/sub", command_id="id").no_op


OTHERS: dict[str, tuple[Callable[[Kernel, Any, str], Any], str, str]] = {
    "another command": (lambda k, lease, id: k.pause("w", command_id=id), "TERMINATE of workflow 'w'",
                        "the command was TERMINATE"),
    "another workflow": (lambda k, lease, id: k.terminate("w/sub", command_id=id), "TERMINATE of workflow 'w'",
                         "the workflow was 'w'"),
    "another reason": (lambda k, lease, id: k.terminate("w", reason="other", command_id=id), "TERMINATE of workflow 'w'",
                       "the reason was 'enough'"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_request_under_an_id_is_refused(each: Stand, k: Kernel, clock: ManualClock, name: str) -> None:
    """Which command the id stands for, when that was, and what differs."""
    begun(k)
    (lease,) = k.poll("a", limit=1)
    k.terminate("w", reason="enough", command_id="id")
    clock.advance(100)
    call, stands, why = OTHERS[name]
    before = each.rows()
    error = refused(lambda: call(k, lease, "id"))
    assert error.guard == "id unused or the same request"
    assert error.stands.startswith(f"under this id {stands} was applied at 20")
    assert f"this is another request: {why}" in error.why
    assert error.hint == "choose a new command id"
    assert each.rows() == before


def test_what_differs_is_told(k: Kernel) -> None:
    """Short parts as they were; of long ones, and of leases, only that they are others."""
    begun(k)
    one, other = k.poll("a", limit=2)
    k.complete(one, output={"fill": "x" * 200}, command_id="id")
    assert refused(lambda: k.complete(one, output={"fill": "y" * 200}, command_id="id")).why.endswith("the output was another")
    assert refused(lambda: k.complete(other, output={"fill": "x" * 200}, command_id="id")).why.endswith("the task was another")
    error = refused(lambda: k.complete(one, command_id="id"))
    assert error.why.endswith("the output was another")
    k.start("root", workflow_id="v", input={"n": 1}, command_id="id")
    for options, why in (({"input": {"n": 2}}, """the input was '{"n":1}'"""), ({}, """the input was '{"n":1}'"""),
                         ({"input": {"n": 1}, "version": 1}, "the version was not given")):
        assert refused(lambda o=options: k.start("root", workflow_id="v", command_id="id", **o)).why.endswith(why)  # type: ignore[misc]
    assert refused(lambda: k.start("leaf", workflow_id="v", input={"n": 1}, command_id="id")).why.endswith(
        "the definition was 'root'")


def test_a_start_of_an_id_that_is_taken_looks_at_the_command_first(k: Kernel) -> None:
    """A start whose workflow is there, under an id that another command has, is refused; under a new one that is used up."""
    begun(k)
    k.pause("w", command_id="id")
    assert refused(lambda: k.start("root", workflow_id="w", command_id="id")).guard == "id unused or the same request"
    assert k.start("root", workflow_id="w", command_id="new").state == "PAUSED"
    assert refused(lambda: k.terminate("w", command_id="new")).guard == "id unused or the same request"


def test_a_new_version_does_not_change_the_request(k: Kernel) -> None:
    """A start without a version again, when a newer one is registered, gives the workflow that it started."""
    k.register(LEAF)
    first = k.start("leaf", workflow_id="v", command_id="id")
    k.register(kernel.WorkflowDef("leaf", version=2, tasks=[Task("y")]))
    assert k.start("leaf", workflow_id="v", command_id="id") == first


def test_polls_give_what_they_gave(each: Stand, k: Kernel) -> None:
    """The leases of the first, as far as they still hold; another worker is another request; nothing found, nothing kept."""
    begun(k)
    assert k.poll("nothing", command_id="idle") == []
    assert k.poll("a", limit=2, command_id="idle") != []
    k.start("root", workflow_id="v")
    one, other = k.poll("a", worker="w1", limit=2, command_id="id")
    assert k.poll("a", worker="w1", limit=2, command_id="id") == [one, other]
    k.complete(one)
    assert k.poll("a", worker="w1", limit=2, command_id="id") == [other]
    error = refused(lambda: k.poll("a", worker="w2", limit=2, command_id="id"))
    assert error.stands.startswith("under this id POLL was applied at 20")
    assert "the worker was 'w1'" in error.why
    k.terminate("v")
    assert k.poll("a", worker="w1", limit=2, command_id="id") == []


def test_one_of_two_at_once_applies(each: Stand, k: Kernel) -> None:
    """Two threads with the same id: both get the same answer, and it was done once."""
    begun(k)
    together, answers = Barrier(2), []

    def terminate() -> None:
        other = each.kernel()
        together.wait()
        answers.append(other.terminate("w", command_id="id"))

    threads = [Thread(target=terminate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert len(answers) == 2
    assert answers[0] == answers[1]
    assert sum(line.event == "TERMINATE" for line in k.history("w")) == 1


@pytest.mark.parametrize("id", ["", "a/b", 7, "x" * 300, "a\0b"])
def test_an_id_is_a_name(k: Kernel, id: Any) -> None:
    """Wherever it is given."""
    begun(k)
    for call in (lambda: k.pause("w", command_id=id), lambda: k.start("root", command_id=id),
                 lambda: k.poll("a", command_id=id), lambda: k.outcome(id, workflow_id="w")):
        with pytest.raises(InvalidInput, match="the command id"):
            call()


def test_an_unknown_option_is_a_mistake_of_the_caller(k: Kernel) -> None:
    """A TypeError that names nothing which the caller does not know."""
    with pytest.raises(TypeError, match=r"Kernel\.command\(\) got an unexpected keyword argument 'because'"):
        k.pause("w", because="x")  # type: ignore[call-arg]


# ---------------------------------------------------------------------------------------------------------------- outcomes
def test_an_outcome_is_the_first_answer(each: Stand, k: Kernel) -> None:
    """For any workflow of the tree, and again; a start that named no workflow and a poll need none."""
    begun(k)
    applied = k.terminate("w", command_id="end")
    for name in ("w", "w/sub", "w"):
        assert k.outcome("end", workflow_id=name) == applied
    started = k.start("leaf", command_id="begin")
    assert k.outcome("begin") == k.outcome("begin", workflow_id=started.id) == kernel.Applied("begin", 1)
    k.poll("x", command_id="take")
    assert k.outcome("take") == kernel.Applied("take", 0)
    assert k.audit().clean


def test_what_was_found_absent_never_applies(each: Stand, k: Kernel) -> None:
    """The answer is final: the same id is refused from then on, for every command of the tree, and says why."""
    begun(k)
    absent = kernel.NotApplied("late")
    assert k.outcome("late", workflow_id="w/sub") == absent
    before = each.rows()
    (lease,) = k.poll("a", limit=1)
    for call in (lambda: k.terminate("w", command_id="late"), lambda: k.complete(lease, command_id="late"),
                 lambda: k.start("root", workflow_id="w", command_id="late")):
        error = refused(call)
        assert error.guard == "id not given up"
        assert "under this id nothing is applied any more" in error.why
    assert k.outcome("late", workflow_id="w") == absent
    assert each.rows()["command"] == before["command"]
    assert k.terminate("w", command_id="another").ended == 2


def test_a_start_that_was_found_absent_never_starts(each: Stand, k: Kernel) -> None:
    """With the id of its workflow, or without one; a poll neither."""
    k.register(LEAF)
    assert k.outcome("begin", workflow_id="v") == kernel.NotApplied("begin")
    assert k.outcome("begin") == kernel.NotApplied("begin")
    for call in (lambda: k.start("leaf", workflow_id="v", command_id="begin"), lambda: k.start("leaf", command_id="begin"),
                 lambda: k.poll("x", command_id="begin")):
        assert refused(call).guard == "id not given up"
    for name in ("v", started_by("begin")):
        with pytest.raises(NotFound):
            k.get(name)
    assert k.start("leaf", workflow_id="v").state == "RUNNING"


def test_a_generated_id_may_be_of_any_workflow(each: Stand, k: Kernel) -> None:
    """Who does not say of which is not told that it was not applied, and nothing is given up."""
    begun(k)
    before = each.rows()["command"]
    k.poll("a")
    (line, *_) = [line for line in k.history("w") if line.event == "POLL"]
    with pytest.raises(InvalidInput, match="nothing tells on which workflow it was") as caught:
        k.outcome(line.command_id)
    assert "workflow_id=" in caught.value.hint
    assert each.rows()["command"] == before
    assert isinstance(k.outcome(line.command_id, workflow_id="w"), Applied)
    assert k.poll("a", command_id="c0123456789abcdef")
    assert k.outcome("c0123456789abcdef") == Applied("c0123456789abcdef", 0), "its caller chose it"


def test_generated_ids_are_found_in_the_history(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """What a command without an id did can be asked for, too, and the answer stays."""
    begun(k)
    k.pause("w")
    k.resume("w")
    applied = k.terminate("w/sub")
    clock.advance(1)
    assert k.outcome(applied.command_id, workflow_id="w") == applied
    assert k.outcome(k.history("w")[0].command_id, workflow_id="w") == kernel.Applied(k.history("w")[0].command_id, 1)
    end = k.terminate("w")
    assert (end.ended, end.canceled, end.deliveries) == (0, 0, 0)
    assert end.no_op


def test_a_generated_id_given_again_is_the_same_command(each: Stand, k: Kernel) -> None:
    """As after a CommitUnknown: whether or not its outcome was asked for, it is applied once."""
    begun(k)
    for ask in (False, True):
        (lease, *_) = k.poll("a", limit=1)
        applied = k.fail(lease, reason="broken")
        if ask:
            assert k.outcome(applied.command_id, workflow_id="w") == applied
        before = each.rows()
        assert k.fail(lease, reason="broken", command_id=applied.command_id) == applied
        assert refused(lambda id=applied.command_id: k.pause("w", command_id=id)).guard.startswith("id unused")  # type: ignore[misc]
        assert each.rows() == before


def test_records_live_for_a_week(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Then the id is refused and the answer is Expired; tick removes the record, and the history still says that it was."""
    begun(k)
    k.terminate("w", command_id="end")
    at = k.get("w").changed
    k.outcome("absent", workflow_id="w")
    clock.advance(WEEK - 1)
    assert k.tick().forgotten == 0
    assert isinstance(k.outcome("end", workflow_id="w"), kernel.Applied)
    clock.advance(1)
    error = refused(lambda: k.terminate("w", command_id="end"))
    assert (error.guard, f"lives for {DAYS} days" in error.why) == ("id not expired", True)
    assert k.outcome("end", workflow_id="w") == kernel.Expired("end", at)
    ticked = k.tick()
    assert (ticked.forgotten, ticked.total) == (2, 0)
    assert each.rows()["command"] == {}
    assert k.tick().forgotten == 0
    assert k.outcome("end", workflow_id="w") == kernel.Expired("end", at)
    assert k.outcome("absent", workflow_id="w") == kernel.NotApplied("absent")


def test_records_are_removed_a_batch_at_a_time(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The oldest first, and no more than the limit."""
    begun(k)
    for number in range(5):
        k.resume("w", command_id=f"id{number}")
        clock.advance(1)
    clock.advance(WEEK)
    assert [k.tick(limit=2).forgotten for _ in range(2)] == [2, 2]
    assert list(each.rows()["command"]) == [("w", "id4")]


def test_an_unknown_commit_says_how_to_find_out() -> None:
    """It carries the command and the workflow."""
    error = CommitUnknown("committing", command_id="c1", workflow_id="w")
    assert (error.command_id, error.workflow_id) == ("c1", "w")
