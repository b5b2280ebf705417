"""What the clock does: expired leases, poll time-outs, retries that are due, workflow time-outs, relays that vanished."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kernel
from kernel.core.conductor import parse
from kernel.core.plan import Subject
from kernel.engine import timers
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Timer
from kernel.engine.timers import Ticked, fire
from kernel.errors import InvalidInput
from kernel.sinks.callable import CallableSink
from kernel.testing.clock import ManualClock
from kernel.testing.replay import check_history
from tests.stores.stand import Stand

Task = kernel.TaskDef
NOW = datetime.fromtimestamp(1_000_000_000, UTC)


def started(k: Kernel, *tasks: kernel.TaskDef, **options: Any) -> None:
    """A running workflow 'w' of these tasks."""
    k.register(kernel.WorkflowDef("w", tasks=tasks, **options))
    k.start("w", workflow_id="w")


def one(k: Kernel, type: str) -> kernel.Lease:
    """The lease of the only task of a type that is due."""
    (lease,) = k.poll(type, worker="w1", limit=100)
    return lease


def task(k: Kernel, ref: str) -> kernel.Task:
    """One task of 'w'."""
    (found,) = [each for each in k.tasks("w") if each.ref == ref]
    return found


def ticked(k: Kernel, clock: ManualClock, seconds: float) -> Ticked:
    """The clock goes on and does what it has to do."""
    clock.advance(seconds)
    return k.tick()


# --------------------------------------------------------------------------------------------------------------- leases
def test_an_expired_lease_is_tried_again(k: Kernel, clock: ManualClock) -> None:
    """RETRY: another attempt after the delay, not a moment before the lease has ended."""
    started(k, Task("a", lease=10.0, retries=1, retry_delay=5.0))
    one(k, "a")
    assert ticked(k, clock, 9.999999) == Ticked()
    assert ticked(k, clock, 0.000001) == Ticked(expired=1)
    found = task(k, "a")
    assert (found.state, found.attempt, found.not_before, found.reason) == (
        "SCHEDULED", 2, NOW + timedelta(seconds=15), "its time ran out")
    line = k.history("w")[-1]
    assert (line.event, line.source, line.target, line.actor, line.by) == (
        "EXPIRE", "IN_PROGRESS", "SCHEDULED", "clock", "EXPIRE")
    assert k.poll("a") == []
    clock.advance(5)
    assert one(k, "a").attempt == 2


@pytest.mark.parametrize(("options", "state", "workflow"), [
    ({}, "TIMED_OUT", "TIMED_OUT"),
    ({"optional": True}, "COMPLETED_WITH_ERRORS", "RUNNING"),
    ({"permissive": True}, "TIMED_OUT", "RUNNING"),
    ({"retries": 3, "on_expiry": "TIME_OUT_WF"}, "TIMED_OUT", "TIMED_OUT"),
    ({"retries": 3, "on_expiry": "TIME_OUT_WF", "optional": True}, "COMPLETED_WITH_ERRORS", "RUNNING"),
])
def test_an_expired_lease_without_another_attempt(
    k: Kernel, clock: ManualClock, options: dict[str, Any], state: str, workflow: str
) -> None:
    """No attempt left, or a policy that allows none: TIMED_OUT, with the workflow unless the task may fail."""
    started(k, Task("a", lease=10.0, **options), Task("b"), topics=("archive",))
    one(k, "a")
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert (task(k, "a").state, k.get("w").state) == (state, workflow)
    assert len(k.deliveries()) == (workflow != "RUNNING")
    assert task(k, "b").state == ("SCHEDULED" if workflow == "RUNNING" else "CANCELED")
    assert k.audit().clean


def test_an_alert_is_recorded_once(k: Kernel, clock: ManualClock) -> None:
    """ALERT_ONLY: the worker keeps the task; its history tells that the lease ran out, once."""
    started(k, Task("a", lease=10.0, on_expiry="ALERT_ONLY"))
    lease = one(k, "a")
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert ticked(k, clock, 1_000) == Ticked()
    assert task(k, "a").expires is None
    assert [(line.event, line.source, line.target) for line in k.history("w")][-1] == ("ALERT", "IN_PROGRESS", "IN_PROGRESS")
    k.complete(lease)
    assert k.get("w").state == "COMPLETED"


def test_a_lease_expires_while_paused(k: Kernel, clock: ManualClock) -> None:
    """Leases run on in a PAUSED workflow; what follows from it waits for resume."""
    started(k, Task("a", lease=10.0), Task("b"))
    one(k, "a")
    k.pause("w")
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert (task(k, "a").state, k.get("w").state) == ("TIMED_OUT", "PAUSED")
    k.resume("w")
    assert k.get("w").state == "TIMED_OUT"


def test_a_poll_time_out(k: Kernel, clock: ManualClock) -> None:
    """A task that nobody takes expires, too: tried again with a new time-out, then TIMED_OUT."""
    started(k, Task("a", poll_timeout=20.0, retries=1, retry_delay=5.0))
    assert task(k, "a").expires == NOW + timedelta(seconds=20)
    assert ticked(k, clock, 20) == Ticked(expired=1)
    assert (task(k, "a").attempt, task(k, "a").expires) == (2, NOW + timedelta(seconds=45))
    assert ticked(k, clock, 24) == Ticked()
    assert ticked(k, clock, 1) == Ticked(expired=1)
    assert (task(k, "a").state, k.get("w").state) == ("TIMED_OUT", "TIMED_OUT")


def test_a_pause_stops_the_clock_of_what_waits(k: Kernel, clock: ManualClock) -> None:
    """A task that nobody may take does not expire for that; after the pause it has as much time as it had left."""
    started(k, Task("a", poll_timeout=20.0))
    clock.advance(5)
    k.pause("w")
    assert ticked(k, clock, 100) == Ticked()
    k.resume("w")
    assert task(k, "a").expires == NOW + timedelta(seconds=120)
    assert ticked(k, clock, 14.999999) == Ticked()
    assert ticked(k, clock, 0.000001) == Ticked(expired=1)


def test_a_pause_gives_back_only_what_was_waited(k: Kernel, clock: ManualClock) -> None:
    """A task that got its times during the pause waited for the rest of it only; one that has none yet gets none."""
    started(k, Task("a", retries=1, retry_delay=5.0, poll_timeout=20.0), Task("b", after=["a"]), Task("c"))
    lease = one(k, "a")
    k.pause("w")
    clock.advance(60)
    k.fail(lease)
    assert task(k, "a").not_before == NOW + timedelta(seconds=65)
    clock.advance(40)
    k.resume("w")
    assert (task(k, "a").not_before, task(k, "a").expires) == (NOW + timedelta(seconds=105), NOW + timedelta(seconds=125))
    assert (task(k, "b").not_before, task(k, "c").not_before) == (None, NOW + timedelta(seconds=100))


def test_what_is_paused_holds_up_no_other_timer(k: Kernel, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much of it is overdue: a pass does not spend its batches on it."""
    monkeypatch.setattr(timers, "BATCH", 3)
    started(k, *(Task(f"a{n}", poll_timeout=5.0) for n in range(9)))
    k.pause("w")
    k.register(kernel.WorkflowDef("other", tasks=[Task("z", lease=10.0, retries=1)]))
    k.start("other", workflow_id="o")
    one(k, "z")
    assert ticked(k, clock, 1_000) == Ticked(expired=1)


def test_a_task_in_time_has_another_clock(k: Kernel, clock: ManualClock) -> None:
    """Once it is handed out the lease counts, no longer the poll time-out."""
    started(k, Task("a", poll_timeout=20.0, lease=100.0))
    one(k, "a")
    assert ticked(k, clock, 99) == Ticked()
    assert ticked(k, clock, 1) == Ticked(expired=1)


# --------------------------------------------------------------------------------------------------------------- clocks
def test_an_attempt_times_out_however_often_it_is_heard_of(k: Kernel, clock: ManualClock) -> None:
    """The attempt's clock runs from its first hand-out; neither heartbeats nor a postponement set it back."""
    started(k, Task("a", lease=10.0, attempt_timeout=25.0, retries=1))
    lease = one(k, "a")
    for _ in range(2):
        clock.advance(8)
        lease = k.heartbeat(lease)
    assert lease.expires == NOW + timedelta(seconds=25)
    k.postpone(lease, 2.0, output={"half": True})
    assert (task(k, "a").state, task(k, "a").attempt, task(k, "a").output) == ("SCHEDULED", 1, {"half": True})
    assert k.poll("a") == []
    clock.advance(2)
    assert one(k, "a").expires == NOW + timedelta(seconds=25)
    assert ticked(k, clock, 7) == Ticked(expired=1)
    found = task(k, "a")
    assert (found.state, found.attempt, found.output, found.expires) == ("SCHEDULED", 2, None, None)
    assert one(k, "a").expires == NOW + timedelta(seconds=35)


def test_the_total_time_ends_all_attempts(k: Kernel, clock: ManualClock) -> None:
    """Whatever is left of attempts, in whatever state the task is: its total time began when it was SCHEDULED."""
    started(k, Task("a", lease=10.0, total_timeout=30.0, retries=9, retry_delay=15.0), Task("b"))
    one(k, "a")
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert (task(k, "a").attempt, task(k, "a").expires) == (2, NOW + timedelta(seconds=30))
    clock.advance(15)
    lease = one(k, "a")
    assert lease.expires == NOW + timedelta(seconds=30)
    k.postpone(lease, 100.0)
    assert task(k, "a").expires == NOW + timedelta(seconds=30)
    assert ticked(k, clock, 5) == Ticked(expired=1)
    assert (task(k, "a").state, k.get("w").state) == ("TIMED_OUT", "TIMED_OUT")


def test_each_clock_alerts_once(k: Kernel, clock: ManualClock) -> None:
    """ALERT_ONLY: the lease, the attempt and the whole task are each recorded, and nothing moves."""
    started(k, Task("a", lease=10.0, attempt_timeout=20.0, total_timeout=30.0, on_expiry="ALERT_ONLY"))
    lease = one(k, "a")
    for seconds in (10, 20, 30):
        assert ticked(k, clock, 10) == Ticked(expired=1), seconds
        assert ticked(k, clock, 0) == Ticked()
    assert [line.event for line in k.history("w")].count("ALERT") == 3
    assert task(k, "a").expires is None
    assert k.heartbeat(lease).expires == NOW + timedelta(seconds=40)
    k.complete(lease)
    assert k.get("w").state == "COMPLETED"


def test_a_sub_workflow_ends_with_the_time_of_its_task(k: Kernel, clock: ManualClock) -> None:
    """In one commit: it is TIMED_OUT with all below it, and the task goes on by its policy."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",)))
    started(k, Task("sub", workflow="leaf", attempt_timeout=10.0, retries=1), Task("b"))
    one(k, "x")
    k.pause("w")
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert [(w.id, w.state) for w in k.find().items] == [("w", "PAUSED"), ("w/sub", "TIMED_OUT")]
    assert (task(k, "sub").state, task(k, "sub").attempt) == ("SCHEDULED", 2)
    lines = [line for line in k.history("w", below=True) if line.by in ("OVERRUN", "HAND_TIMED_OUT", "CREATE")]
    assert len({line.version for line in lines if line.kind != "task" or line.by != "START"}) == 1
    k.resume("w")
    assert k.get("w/sub~2").state == "RUNNING"
    assert ticked(k, clock, 10) == Ticked(expired=1)
    assert (task(k, "sub").state, k.get("w").state, k.audit().clean) == ("TIMED_OUT", "TIMED_OUT", True)


def test_a_late_sub_workflow_can_be_recorded_only(k: Kernel, clock: ManualClock) -> None:
    """ALERT_ONLY on the task and on the workflow: both are told of, once, and go on."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], timeout=5.0, on_timeout="ALERT_ONLY"))
    started(k, Task("sub", workflow="leaf", attempt_timeout=10.0, on_expiry="ALERT_ONLY"))
    assert ticked(k, clock, 20) == Ticked(expired=1, timed_out=1)
    assert ticked(k, clock, 100) == Ticked()
    assert k.get("w/sub").deadline is None
    assert [(line.event, line.source, line.target, line.reason) for line in k.history("w/sub") if line.actor == "clock"] == [
        ("OVERDUE", "RUNNING", "RUNNING", "its deadline passed")]
    k.complete(one(k, "x"))
    assert k.get("w").state == "COMPLETED"


@pytest.mark.parametrize(("options", "delays"), [
    ({}, [4, 4, 4, 4]),
    ({"retry_logic": "LINEAR_BACKOFF"}, [4, 8, 12, 16]),
    ({"retry_logic": "EXPONENTIAL_BACKOFF"}, [4, 8, 16, 32]),
    ({"retry_logic": "EXPONENTIAL_BACKOFF", "retry_delay_max": 10.0}, [4, 8, 10, 10]),
    ({"retry_logic": "LINEAR_BACKOFF", "retry_delay_max": 3.0}, [3, 3, 3, 3]),
])
def test_retries_wait_longer_each_time(k: Kernel, clock: ManualClock, options: dict[str, Any], delays: list[int]) -> None:
    """By the retry logic, up to the longest delay."""
    started(k, Task("a", retries=4, retry_delay=4.0, **options))
    waited = []
    for _ in delays:
        k.fail(one(k, "a"))
        found = task(k, "a")
        assert found.not_before is not None
        waited.append((found.not_before - found.changed).total_seconds())
        clock.advance(waited[-1])
    assert waited == delays


def test_jitter_is_drawn_for_each_retry(k: Kernel) -> None:
    """Up to so much more, by the chance of the kernel: never less than the delay, never always the same."""
    started(k, *(Task(f"a{n}", type="a", retries=1, retry_delay=4.0, retry_jitter=2.0) for n in range(20)))
    for lease in k.poll("a", limit=20):
        k.fail(lease)
    waits = {(t.not_before - NOW).total_seconds() for t in k.tasks("w") if t.not_before is not None}
    assert len(waits) > 15
    assert 4 <= min(waits) < 5 < max(waits) < 6


def test_a_wait_is_over(k: Kernel, clock: ManualClock) -> None:
    """After its time, or at its time, whichever is first; a signal may come before. While PAUSED, too."""
    until = NOW + timedelta(seconds=30)
    started(k, Task("brief", kind="wait", wait_for=10), Task("until", kind="wait", wait_until=until),
            Task("first", kind="wait", wait_for="2 minutes", wait_until=until.isoformat()),
            Task("asked", kind="wait", wait_for="1h"), Task("b", after=["brief"]))
    assert ticked(k, clock, 9) == Ticked()
    k.pause("w")
    assert ticked(k, clock, 1) == Ticked(woken=1)
    assert (task(k, "brief").state, task(k, "brief").reason, task(k, "b").state) == (
        "COMPLETED", "its wait is over", "PENDING")
    k.resume("w")
    assert task(k, "b").state == "SCHEDULED"
    assert ticked(k, clock, 20) == Ticked(woken=2)
    k.signal("w", "asked", output={"by": "ada"})
    assert {t.ref: t.state for t in k.tasks("w") if t.mode == "WAIT"} == dict.fromkeys(
        ("brief", "until", "first", "asked"), "COMPLETED")
    assert ticked(k, clock, 10_000) == Ticked()
    check_history(k, "w")


def test_a_wait_that_takes_too_long(k: Kernel, clock: ManualClock) -> None:
    """Its attempt times out before its wait is over: the next attempt waits anew."""
    started(k, Task("a", kind="wait", wait_for=10.0, attempt_timeout=6.0, retries=1))
    assert ticked(k, clock, 6) == Ticked(expired=1)
    assert task(k, "a").attempt == 2
    assert ticked(k, clock, 6) == Ticked(expired=1)
    assert k.get("w").state == "TIMED_OUT"


@pytest.mark.parametrize(("given", "state"), [
    (7, "COMPLETED"), ("7 seconds", "COMPLETED"), ("0h 0m 7s", "COMPLETED"), (None, "IN_PROGRESS"),
    ("soon", "FAILED_WITH_TERMINAL_ERROR"), ([7], "FAILED_WITH_TERMINAL_ERROR"), (-1, "FAILED_WITH_TERMINAL_ERROR"),
])
def test_a_wait_by_an_expression(k: Kernel, clock: ManualClock, given: Any, state: str) -> None:
    """How long is read when it is scheduled; what is no duration cannot be prepared."""
    k.register(kernel.WorkflowDef("w", tasks=[
        Task("a", kind="wait", wait_for="${workflow.input.n}", wait_until="${workflow.input.at}", permissive=True),
        Task("b")]))
    k.start("w", workflow_id="w", input={"n": given, "at": None})
    assert ticked(k, clock, 7) == Ticked(woken=int(state == "COMPLETED"))
    assert task(k, "a").state == state


# --------------------------------------------------------------------------------------------------------------- retries
def test_a_worker_task_needs_no_timer(k: Kernel, clock: ManualClock) -> None:
    """Its next attempt is simply due: the clock has nothing to do."""
    started(k, Task("a", retries=1, retry_delay=5.0))
    k.fail(one(k, "a"))
    assert ticked(k, clock, 5) == Ticked()
    assert one(k, "a").attempt == 2


def test_a_sub_workflow_is_woken_for_its_next_attempt(k: Kernel, clock: ManualClock) -> None:
    """Only when it is due, and only while the workflow is RUNNING."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")]))
    started(k, Task("sub", workflow="leaf", retries=2, retry_delay=5.0))
    k.fail(one(k, "x"))
    assert ticked(k, clock, 4) == Ticked()
    k.pause("w")
    assert ticked(k, clock, 10) == Ticked()
    k.resume("w")
    assert ticked(k, clock, 0) == Ticked()
    assert ticked(k, clock, 1) == Ticked(woken=1)
    assert k.get("w/sub~2").state == "RUNNING"
    assert ticked(k, clock, 1_000) == Ticked(expired=0)


# ---------------------------------------------------------------------------------------------------- a clock that goes back
def test_work_is_due_by_the_later_of_two_times(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """What a tree has made due stays due when the clock goes back: it is found, by every process, and not refused."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], timeout=30.0, topics=("archive",)))
    started(k, Task("a"), Task("b", after=["a"], lease=20.0, retries=1), Task("sub", workflow="leaf"))
    started_later = k.start("leaf", workflow_id="v")
    k.complete(one(k, "a"))
    clock.advance(-3_600)
    assert each.kernel().poll("nothing") == []
    assert one(k, "b").expires == NOW + timedelta(seconds=20)
    k.terminate("v")
    served = each.kernel(sinks={"archive": CallableSink(lambda parcel: "thanks")})
    assert served.deliver().delivered == 1
    assert started_later.started == k.get("v").changed == NOW
    clock.advance(3_600 + 20)
    k.heartbeat(one(k, "x"))  # which brings the tree's last time forward
    clock.advance(-3_600)
    assert k.tick() == Ticked(expired=1)
    assert k.audit().clean


def test_the_times_of_a_tree_never_go_back(k: Kernel, clock: ManualClock) -> None:
    """A hand-out, a heartbeat and a claim move no version, but what comes after them in the history is no earlier."""
    started(k, Task("a", lease=10.0), Task("b"))
    clock.advance(100)
    lease = one(k, "a")
    clock.advance(5)
    assert k.heartbeat(lease).expires == NOW + timedelta(seconds=115)
    clock.advance(-50)
    assert k.heartbeat(lease).expires == NOW + timedelta(seconds=115)
    k.complete(one(k, "b"))
    times = [line.at for line in k.history("w")]
    assert times == sorted(times)
    assert times[-1] == NOW + timedelta(seconds=100)
    check_history(k, "w")


# ------------------------------------------------------------------------------------------------------------- deadlines
@pytest.mark.parametrize("paused", [False, True])
def test_a_workflow_times_out(k: Kernel, clock: ManualClock, paused: bool) -> None:
    """With all that is below it and its delivery, in one commit; also while it is PAUSED: the deadline runs on."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",)))
    started(k, Task("a"), Task("sub", workflow="leaf"), timeout=60.0, topics=("archive",))
    if paused:
        k.pause("w")
    assert ticked(k, clock, 59.999999) == Ticked()
    assert ticked(k, clock, 0.000001) == Ticked(timed_out=1)
    assert [(w.id, w.state) for w in k.find().items] == [("w", "TIMED_OUT"), ("w/sub", "TERMINATED")]
    assert k.get("w").reason == "its deadline passed"
    assert {each.state for w in ("w", "w/sub") for each in k.tasks(w)} == {"CANCELED"}
    assert len(k.deliveries()) == 2
    assert len({line.version for line in k.history("w", below=True) if line.by in ("TIME_OUT", "CREATE")}) == 1
    assert ticked(k, clock, 100) == Ticked()


def test_a_sub_workflow_times_out_by_itself(k: Kernel, clock: ManualClock) -> None:
    """Its parent's task is told in the same commit and goes on by its own policy."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], timeout=10.0))
    started(k, Task("sub", workflow="leaf", retries=1), Task("b"))
    assert ticked(k, clock, 10) == Ticked(timed_out=1)
    assert [(w.id, w.state) for w in k.find().items] == [("w", "RUNNING"), ("w/sub", "TIMED_OUT"), ("w/sub~2", "RUNNING")]
    assert ticked(k, clock, 10) == Ticked(timed_out=1)
    assert (task(k, "sub").state, k.get("w").state) == ("TIMED_OUT", "TIMED_OUT")


def test_what_ends_earlier_comes_first(k: Kernel, clock: ManualClock) -> None:
    """In one pass timers fire in the order of their times: who was first decides how the workflow ended."""
    started(k, Task("a", lease=10.0), timeout=20.0)
    k.register(kernel.WorkflowDef("other", tasks=[Task("b", lease=30.0)], timeout=20.0))
    k.start("other", workflow_id="o")
    one(k, "a")
    one(k, "b")
    assert ticked(k, clock, 100) == Ticked(expired=1, timed_out=1)
    assert [(w.id, w.reason) for w in k.find().items] == [
        ("o", "its deadline passed"), ("w", "task 'a' TIMED_OUT: its time ran out")]


# -------------------------------------------------------------------------------------------------------------- delivery
def lost(each: Stand, k: Kernel) -> None:
    """A relay claims the delivery of 'w' and does not come back."""
    k.commit(k.command("CLAIM", Subject("w", topic="archive", run=1), given={"anyway": 0}, actor="relay"))


def test_a_relay_that_vanished(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Its deliveries are released when its lease has ended; at the last attempt they are DEAD. The reason is kept."""
    started(k, Task("a"), topics=("archive",))
    k.terminate("w")
    for attempt in (1, 2):
        lost(each, k)
        assert ticked(k, clock, 59) == Ticked()
        assert ticked(k, clock, 1) == Ticked(released=1)
        (found,) = k.deliveries()
        assert (found.state, found.attempt, found.due) == ("PENDING", attempt, NOW + timedelta(seconds=60 * attempt))
        assert found.error == "the relay that held it did not come back"
    lost(each, k)
    assert ticked(k, clock, 60) == Ticked(released=1)
    (found,) = k.deliveries()
    assert (found.state, found.attempt, found.error) == ("DEAD", 3, "the relay that held it did not come back")
    assert ticked(k, clock, 1_000) == Ticked()
    assert k.redrive(found.id).version == 2
    served = each.kernel(sinks={"archive": CallableSink(lambda parcel: f"attempt {parcel.attempt}")})
    assert [outcome.proof for outcome in served.deliver().outcomes] == ["receipt:attempt 1"]


# --------------------------------------------------------------------------------------------------------------- passes
def test_a_pass_does_at_most_the_limit(k: Kernel, clock: ManualClock) -> None:
    """The rest waits for the next pass."""
    started(k, *(Task(f"a{n}", type="a", lease=5.0, optional=True) for n in range(7)), Task("b"))
    k.poll("a", limit=7)
    clock.advance(5)
    assert [k.tick(limit=3).total, k.tick(limit=3).total, k.tick(limit=3).total, k.tick(limit=3).total] == [3, 3, 1, 0]


def test_a_pass_goes_on_until_nothing_is_due(k: Kernel, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch, however small the batches, and what a batch makes due, too."""
    monkeypatch.setattr(timers, "BATCH", 2)
    started(k, *(Task(f"a{n}", type="a", lease=5.0, optional=True) for n in range(7)), Task("b"))
    k.poll("a", limit=7)
    assert ticked(k, clock, 5) == Ticked(expired=7)


def test_each_timer_is_a_commit_of_its_own(k: Kernel, clock: ManualClock) -> None:
    """One that has to wait, or fails, holds up no other."""
    started(k, Task("a", lease=5.0, optional=True), Task("b", lease=5.0, optional=True), Task("c"))
    k.poll("a")
    k.poll("b")
    assert ticked(k, clock, 5) == Ticked(expired=2)
    lines = [line for line in k.history("w") if line.event == "EXPIRE"]
    assert len({(line.version, line.command_id) for line in lines}) == 2


@pytest.mark.parametrize("name", ["EXPIRE", "WAKE", "TIME_OUT", "RELEASE"])
def test_a_timer_that_came_too_late(each: Stand, k: Kernel, clock: ManualClock, name: str) -> None:
    """Somebody was faster: the timer does nothing, and that is no error."""
    started(k, Task("a", lease=5.0), timeout=10.0, topics=("archive",))
    k.complete(one(k, "a"))
    before = each.rows()
    subject = {"TIME_OUT": Subject("w"), "RELEASE": Subject("w", topic="archive", run=1)}.get(name, Subject("w", 0))
    assert fire(k, Timer(name, subject)) is (name == "WAKE")
    assert each.rows() == before
    assert ticked(k, clock, 1_000) == Ticked()


def test_two_clocks_at_once(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Two processes tick: what one did the other does not do again."""
    started(k, Task("a", lease=5.0, retries=3))
    one(k, "a")
    clock.advance(5)
    with each.store.transaction(write=False) as transaction:
        (due,) = transaction.timers(clock.now(), 10)
    assert [fire(k, due), fire(each.kernel(), due)] == [True, False]
    assert task(k, "a").attempt == 2


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, 1.5, True, None, "7"])
def test_a_limit_is_a_whole_number(k: Kernel, limit: Any) -> None:
    """From 1 to a million."""
    with pytest.raises(InvalidInput, match="from 1 to 1,000,000"):
        k.tick(limit=limit)


def test_a_total_is_the_sum() -> None:
    """Of all four."""
    assert Ticked(1, 2, 3, 4).total == 10
    assert Ticked().total == 0


def test_the_clocks_of_conductors_definitions(k: Kernel, clock: ManualClock) -> None:
    """Read from its JSON they run: a wait ends by itself, an attempt that takes too long is retried later each time, and what
    a workflow's policy only wants recorded is recorded.
    """
    slow = {"retryCount": 2, "retryDelaySeconds": 2, "retryLogic": "LINEAR_BACKOFF", "backoffScaleFactor": 5,
            "maxRetryDelaySeconds": 12, "timeoutSeconds": 30, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 20}
    content = {"name": "w", "timeoutSeconds": 50, "tasks": [
        {"name": "rest", "taskReferenceName": "rest", "type": "WAIT", "inputParameters": {"duration": "1 minute 10 s"}},
        {"name": "slow", "taskReferenceName": "slow", "taskDefinition": slow}]}
    parsed = parse(content, file="w.json")
    assert parsed.warnings == ()
    k.register(*parsed.definitions)
    k.start("w", workflow_id="w")
    assert ticked(k, clock, 50).total == 1
    assert (k.history("w")[-1].event, k.get("w").state) == ("OVERDUE", "RUNNING")
    assert ticked(k, clock, 20).total == 1
    assert (task(k, "rest").state, task(k, "slow").state) == ("COMPLETED", "SCHEDULED")
    for delay in (10, 12):
        lease = one(k, "slow")
        clock.advance(19)
        k.heartbeat(lease)
        assert ticked(k, clock, 11) == Ticked(expired=1)
        assert ticked(k, clock, delay - 1) == Ticked()
        assert k.poll("slow") == []
        clock.advance(1)
    one(k, "slow")
    assert ticked(k, clock, 30) == Ticked(expired=1)
    assert (task(k, "slow").state, k.get("w").state) == ("TIMED_OUT", "TIMED_OUT")
