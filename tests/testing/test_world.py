"""The world of a run: every command is judged by its answer, by what it changed, and by what a crash left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest

from kernel.engine.entities import Applied
from kernel.engine.faults import FaultPoint
from kernel.engine.ports import Store
from kernel.errors import Fenced, GuardRefused
from kernel.testing.driver import Driver
from kernel.testing.sinks import Behaviour
from kernel.testing.stores import MemoryStores
from kernel.testing.story import Violated
from kernel.testing.world import KINDS, Tally


def world(definition: int = 0) -> Driver:
    """A world with one tree."""
    driver = Driver(MemoryStores())
    driver.start(definition, 0)
    return driver


def pause_and_refuse(driver: Driver, error: type[GuardRefused]) -> Callable[[], Any]:
    """A command that changes something and says that it did not."""
    def call() -> None:
        driver.patient.pause("w1")
        raise error("COMPLETE")
    return call


WRONG: list[tuple[Callable[[Driver], Callable[[], Any]], str, str]] = [
    (lambda w: lambda: w.patient.resume("w1"), "applied", "answer: it should have been applied, and was no-op"),
    (lambda w: lambda: w.patient.pause("w1"), "refused", "answer: it should have been refused, and was applied"),
    (lambda w: lambda: w.patient.pause("w1"), "fenced", "INV-06: a stale lease was accepted"),
    (lambda w: lambda: int("x"), "applied", "answer: the command raised ValueError: invalid literal for int"),
    (lambda w: pause_and_refuse(w, Fenced), "fenced", "INV-06: it was fenced, and changed something: 'w1' version was '1'"),
    (lambda w: pause_and_refuse(w, GuardRefused), "refused", "INV-06: it was refused, and changed something"),
    (lambda w: lambda: Applied("c", 1, ended=1), "applied",
     "answer: it tells of 1 ended, 0 canceled, 0 deliveries; there are 0, 0, 0"),
]


@pytest.mark.parametrize(("make", "expect", "problem"), WRONG, ids=[entry[2][:50] for entry in WRONG])
def test_a_wrong_answer_is_found(make: Callable[[Driver], Callable[[], Any]], expect: str, problem: str) -> None:
    """An answer other than the expected one, one that is no answer, or one that is not true."""
    driver = world()
    with pytest.raises(Violated) as violated:
        driver.act("a command", make(driver), expect=expect)
    assert any(found.startswith(problem) for found in violated.value.problems)
    assert violated.value.story[-1].startswith("a command -> ")
    assert driver.failed


def test_an_effect_that_did_not_happen_is_found() -> None:
    """What a command must have done is asked when it was applied, and only then."""
    driver = world()

    def effect(result: object) -> Iterator[str]:
        yield "answer: it did not"

    driver.act("resume", lambda: driver.patient.resume("w1"), expect="no-op", effect=effect)
    with pytest.raises(Violated, match="answer: it did not"):
        driver.act("pause", lambda: driver.patient.pause("w1"), effect=effect)


@pytest.mark.parametrize("point", [FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT])
def test_a_crash_leaves_the_last_commit(point: FaultPoint) -> None:
    """Before the commit the old state, after it the new one, in another kernel; the run goes on."""
    driver = world()
    first = driver.patient
    driver.crashes.arm(point)
    driver.act("pause", lambda: driver.patient.pause("w1"))
    assert driver.patient is not first
    assert driver.workflow("w1").state == ("RUNNING" if point is FaultPoint.BEFORE_COMMIT else "PAUSED")
    assert driver.killed is not None
    assert driver.tally.outcomes[f"killed at {point} of PAUSE"] == 1
    driver.terminate(0)


class Forgetful(MemoryStores):
    """Stores that lose the last line of a history when they are opened again."""

    def reopen(self, store: Store) -> Store:
        """The same store, with less in it."""
        vars(store)["lines"]["w1"].pop()
        return store


@pytest.mark.parametrize("point", [FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT])
def test_a_lost_commit_is_found(point: FaultPoint) -> None:
    """A store that is not as the last commit left it breaks INV-11, before a commit as well as after it."""
    driver = Driver(Forgetful())
    driver.start(0, 0)
    driver.crashes.arm(point)
    with pytest.raises(Violated, match=f"INV-11: killed at {point} of TERMINATE, and the store is not as the last commit"):
        driver.terminate(0)


def forged(driver: Driver, **fields: Any) -> bytes:
    """An archived document of the tree, well formed and not true."""
    content = json.loads(driver.archive.documents["w1", 1])
    content.pop("digest")
    content["workflow"].update(fields)
    content["tasks"][0]["state"] = "IN_PROGRESS"
    head = json.dumps(content)[:-1].encode()
    return head + f',"digest":"sha256:{sha256(head).hexdigest()}"}}\n'.encode()


def test_a_document_that_is_not_true_is_found() -> None:
    """The archive must tell what the rows tell, and INV-01 must hold in it."""
    driver = world()
    driver.terminate(0)
    driver.deliver(0)
    document = forged(driver)
    driver.documents.clear()
    driver.archive.documents["w1", 1] = document
    with pytest.raises(Violated) as violated:
        driver.tick()
    assert [problem[:7] for problem in violated.value.problems] == ["INV-04:", "INV-01:"]
    assert "the archive says that task x of w1 is IN_PROGRESS" in violated.value.problems[1]


def test_an_end_without_a_settled_outbox_is_found() -> None:
    """A delivery that nobody settled, a live workflow, and a proof that is not that of the copy."""
    driver = world()
    driver.start(0, 0)
    driver.terminate(0)
    with pytest.raises(Violated) as violated:
        driver.check_end()
    assert [problem[:7] for problem in violated.value.problems] == ["INV-14:", "INV-01:"]
    driver.deliver(0)
    driver.terminate_one("w2")
    driver.deliver(0)
    driver.check_end()
    driver.archive.documents["w1", 1] += b" "
    with pytest.raises(Violated, match="INV-04: delivery w1 archive has the proof sha256:"):
        driver.check_end()


def test_history_that_grows_in_silence_is_found() -> None:
    """A line that was written without any change of the rows is seen at the end."""
    driver = world()
    driver.terminate(0)
    driver.deliver(0)
    driver.replays["w1"].trace.seq -= 1
    with pytest.raises(Violated, match="INV-08: the history of w1 has grown although nothing of the tree changed"):
        driver.check_end()


def test_open_tasks_under_terminated_workflows_are_counted() -> None:
    """Those of the workflow itself and of all below it."""
    driver = world(2)
    tree = driver.dump["w1"]
    tree.workflows["w1/middle"] = tree.workflows["w1/middle"]._replace(state="TERMINATED")
    with pytest.raises(Violated) as violated:
        driver.fail_with(["INV-01: planted"])
    assert violated.value.open_under_terminated == 4


def test_a_hanging_sink_is_let_go() -> None:
    """It times out, is counted as a fault, leaves no thread, and the next pass delivers."""
    driver = world()
    driver.terminate(0)
    driver.break_sink(list(Behaviour).index(Behaviour.HANG) - 1)
    assert driver.script.next is Behaviour.HANG
    driver.deliver(0)
    assert driver.tally.fired["archive hangs"] == 1
    assert driver.tally.terminations_under_fault == 1
    assert driver.dump["w1"].deliveries["w1", 1, "archive"].error.startswith("timed out")
    assert driver.hasty._relay.courier.hanging("archive") == 0
    driver.finish()
    assert driver.tally.deliveries == {"DELIVERED": 1}


def test_a_kind_of_fault_that_never_fired_is_missed() -> None:
    """A tally names every kind that is still at zero."""
    tally = Tally()
    assert tally.missing() == [*KINDS, "termination under fault"]
    tally.fired.update(KINDS[1:])
    tally.terminations_under_fault = 1
    assert tally.missing() == [KINDS[0]]
