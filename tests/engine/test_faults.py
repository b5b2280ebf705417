"""The fault points: every command passes them, in order; a crash at one leaves the old state or the new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine.faults import FaultPoint, no_fault
from kernel.engine.kernel import Kernel
from kernel.sinks.callable import CallableSink
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from tests.stores.stand import Stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",))
ROOT = kernel.WorkflowDef("root", timeout=500.0, topics=("archive",), tasks=[
    Task("sub", workflow="leaf"), Task("a", retries=1, lease=10.0), Task("ok", kind="wait"), Task("b")])


def prepared(k: Kernel) -> dict[str, Any]:
    """Two workflows, one terminated; a lease on each."""
    k.register(LEAF, ROOT)
    for name in ("v", "w"):
        k.start("root", workflow_id=name)
    leases = {lease.workflow_id: lease for lease in k.poll("a", limit=2)}
    k.terminate("v")
    return leases


Ask = Callable[[Kernel, dict[str, Any]], object]
COMMANDS: dict[str, tuple[str, Ask]] = {
    "start": ("START", lambda k, leases: k.start("root", workflow_id="new")),
    "poll": ("POLL", lambda k, leases: k.poll("b", limit=2)),
    "complete": ("COMPLETE", lambda k, leases: k.complete(leases["w"])),
    "fail": ("FAIL", lambda k, leases: k.fail(leases["w"])),
    "heartbeat": ("HEARTBEAT", lambda k, leases: k.heartbeat(leases["w"])),
    "signal": ("SIGNAL", lambda k, leases: k.signal("w", "ok")),
    "pause": ("PAUSE", lambda k, leases: k.pause("w")),
    "terminate": ("TERMINATE", lambda k, leases: k.terminate("w")),
    "tick expire": ("EXPIRE", lambda k, leases: k.tick()),
    "tick time out": ("TIME_OUT", lambda k, leases: k.tick()),
    "claim": ("CLAIM", lambda k, leases: k.deliver(limit=1)),
    "redrive": ("REDRIVE", lambda k, leases: k.redrive("v#1:archive")),
}


def ready(each: Stand, k: Kernel, name: str) -> dict[str, Any]:
    """Everything in place for a command."""
    leases = prepared(k)
    if name == "heartbeat":
        each.clock.advance(5)
    if name.startswith("tick"):
        each.clock.advance(10 if "expire" in name else 500)
        if "time out" in name:
            k.heartbeat(leases["w"])
    if name == "redrive":
        for _ in range(3):
            k.commit(k.command("CLAIM", Subject("v", topic="archive", run=1), given={"anyway": 0}))
            each.clock.advance(60)
            k.commit(k.command("RELEASE" if _ < 2 else "BURY", Subject("v", topic="archive", run=1),
                               given={"claims": _ + 1, "delay": 0, "error": "broken"}))
    return leases


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_leaves_the_old_state_or_the_new_one(each: Stand, name: str) -> None:
    """Before the commit: not one row has changed. After it: the command is there, whole, and another process sees it."""
    crashes = Crashes()
    k = each.kernel(faults=crashes, sinks={"archive": CallableSink(lambda parcel: "ok")})
    leases = ready(each, k, name)
    command, ask = COMMANDS[name]
    before = each.rows()
    crashes.arm(FaultPoint.BEFORE_COMMIT)
    with pytest.raises(ProcessCrash, match=command):
        ask(k, leases)
    assert each.rows() == before
    crashes.arm(FaultPoint.AFTER_COMMIT)
    with pytest.raises(ProcessCrash, match=command):
        ask(k, leases)
    assert each.rows() != before
    assert each.kernel().audit().clean
    assert crashes.fired == {(FaultPoint.BEFORE_COMMIT, command): 1, (FaultPoint.AFTER_COMMIT, command): 1}


@pytest.mark.parametrize("point", [FaultPoint.CLAIMED, FaultPoint.SENT])
def test_a_crash_around_a_sink_loses_no_delivery(each: Stand, clock: ManualClock, point: FaultPoint) -> None:
    """Claimed, or sent and not confirmed: after the lease the delivery comes again, under the same key."""
    crashes, keys = Crashes(), list[str]()

    def note(parcel: kernel.Parcel) -> str:
        keys.append(parcel.key)
        return "ok"

    k = each.kernel(faults=crashes, sinks={"archive": CallableSink(note)})
    prepared(k)
    crashes.arm(point)
    with pytest.raises(ProcessCrash):
        k.deliver(limit=1)
    (held,) = k.deliveries(state="LEASED")
    assert len(keys) == (point is FaultPoint.SENT)
    clock.advance(60)
    k.tick()
    assert k.deliver().delivered == 2
    assert {d.state for d in k.deliveries()} == {"DELIVERED"}
    assert len(keys) == 2 + (point is FaultPoint.SENT)
    assert keys.count(f"{each.store.id}:{held.id}") == 1 + (point is FaultPoint.SENT)


def test_points_are_passed_in_order(each: Stand) -> None:
    """A command passes its two; a delivery all four, and its settling is a command of its own."""
    passed: list[tuple[FaultPoint, str]] = []
    k = each.kernel(faults=lambda point, command: passed.append((point, command)),
                    sinks={"archive": CallableSink(lambda parcel: "ok")})
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.terminate("w")
    k.deliver()
    before, after = FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT
    assert [each for each in passed if each[1] != "CLAIM"] == [
        (before, "START"), (after, "START"), (before, "TERMINATE"), (after, "TERMINATE"),
        (FaultPoint.CLAIMED, "DELIVER"), (FaultPoint.SENT, "DELIVER"), (before, "CONFIRM"), (after, "CONFIRM")]
    assert [each for each in passed if each[1] == "CLAIM"][:2] == [(before, "CLAIM"), (after, "CLAIM")]
    assert list(FaultPoint) == [before, after, FaultPoint.CLAIMED, FaultPoint.SENT]


def test_a_refused_command_passes_no_point(each: Stand) -> None:
    """Nothing is about to be committed."""
    passed: list[str] = []
    k = each.kernel(faults=lambda point, command: passed.append(command))
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.terminate("w")
    passed.clear()
    with pytest.raises(kernel.Refused):
        k.pause("w")
    assert passed == []


def test_without_a_test_nothing_happens() -> None:
    """The hook of every day."""
    for point in FaultPoint:
        no_fault(point, "TERMINATE")
