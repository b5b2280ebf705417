"""The daemon: timers and outbox are served for ever, what others lost is recovered, and it says how things stand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest

import kernel
from kernel.engine.daemon import Daemon, Served, health
from kernel.engine.entities import Backlog, moment
from kernel.engine.kernel import Kernel
from kernel.engine.pulse import Pulse
from kernel.engine.relay import Obstacle, Outcome, Settled
from kernel.engine.timers import Ticked
from kernel.engine.worker import Notice
from kernel.errors import Conflict, InvalidInput, StoreCorrupt, StoreUnavailable
from kernel.testing.clock import ManualClock
from kernel.testing.sinks import MemoryArchive
from tests.stores.stand import Stand

PATIENCE = 30.0  # seconds after which a test gives up; none comes near it
TASK = kernel.TaskDef("pack", retries=1, lease=10.0)


class Brisk(Pulse):
    """A pulse that keeps how long everyone would have waited, by thread, and lets no one wait long."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: dict[str, list[float]] = {}

    def wait(self, seen: int, timeout: float) -> int:
        self.waits.setdefault(threading.current_thread().name, []).append(timeout)
        return super().wait(seen, 0.001)


class Watch:
    """A daemon that is stopped as soon as what it told satisfies a condition."""

    def __init__(self, k: Kernel, until: Callable[[Watch], object], **options: Any) -> None:
        self.k, self.until, self.told, self.pulse = k, until, list[Notice](), Brisk()
        self.daemon = Daemon(k, notice=self.heard, pulse=self.pulse, **{"health": 3.0, **options})

    def heard(self, notice: Notice) -> None:
        self.told.append(notice)
        if self.until(self):
            self.daemon.stop()

    def texts(self, what: str) -> list[str]:
        """What was told of a kind."""
        return [notice.text for notice in self.told if notice.what == what]


@contextmanager
def doing(k: Kernel, name: str, *steps: Any) -> Iterator[None]:
    """A command of the kernel gives or raises these first; then what it really does."""
    real, left = getattr(k, name), [*steps]

    def command(*args: Any, **options: Any) -> Any:
        if not left:
            return real(*args, **options)
        step = left.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(k, name, command)
        yield


def test_lost_leases_are_recovered_and_ends_delivered(each: Stand) -> None:
    """A worker that is gone loses its lease; the end of a workflow is delivered; with real threads and the real pulse."""
    k = each.kernel(sinks={"archive": MemoryArchive()})
    k.register(kernel.WorkflowDef("order", tasks=[TASK], topics=("archive",)))
    k.start("order", workflow_id="lost")
    k.start("order", workflow_id="ended")
    (first, _) = k.poll("pack", limit=2)
    assert first.workflow_id == "lost"
    k.terminate("ended")
    each.clock.advance(11.0)
    enough, told = threading.Event(), list[Notice]()

    def heard(notice: Notice) -> None:
        told.append(notice)
        if daemon.served.fired and daemon.served.delivered:
            enough.set()

    daemon = Daemon(k, notice=heard)
    with daemon:
        assert enough.wait(PATIENCE)
    assert [(t.state, t.attempt) for t in k.tasks("lost")] == [("SCHEDULED", 2)]
    assert [d.state for d in k.deliveries()] == ["DELIVERED"]
    assert daemon.served == Served(fired=1, delivered=1)
    assert told[-1].text == ("health: 0 timers due; outbox: 0 PENDING (0 due), 0 LEASED, 0 DEAD; since the start: 1 timers, "
                             "1 DELIVERED")
    assert not [t for t in threading.enumerate() if t.name.startswith("kernel ")]


def test_a_backlog_counts_what_waits(k: Kernel, clock: ManualClock) -> None:
    """Timers of every kind, and the outbox by state; a task whose two clocks are due counts once."""
    wait = kernel.TaskDef("ask", kind="wait", poll_timeout=5.0)
    k.register(kernel.WorkflowDef("order", tasks=[TASK, wait], topics=("archive", "other"), timeout=20.0))
    k.start("order", workflow_id="a")
    assert k.backlog() == Backlog(moment(clock.now()), 0, 0, 0, 0, 0, None)
    k.poll("pack")
    k.start("order", workflow_id="b")
    k.terminate("b")
    since = moment(clock.now())
    clock.advance(10.0)
    assert attrs.astuple(k.backlog(), recurse=False)[1:] == (1, 2, 2, 0, 0, since)
    clock.advance(10.0)
    assert k.backlog().timers == 2
    clock.advance(-20.0)
    assert k.backlog().timers == 0


def test_a_backlog_counts_what_a_tick_would_do(k: Kernel, clock: ManualClock) -> None:
    """A clock that went back takes nothing out of it that the last time of its own tree has reached."""
    wait = kernel.TaskDef("ask", kind="wait", poll_timeout=5.0)
    k.register(kernel.WorkflowDef("order", tasks=[TASK, wait], topics=("archive",), timeout=20.0))
    for name in "abc":
        k.start("order", workflow_id=name)
    assert len(k.poll("pack", limit=2)) == 2
    clock.advance(100.0)
    since = moment(clock.now())
    k.pause("a")
    k.terminate("c")
    clock.advance(-90.0)
    backlog = k.backlog()
    assert (backlog.timers, backlog.due, backlog.oldest) == (3, 1, since)
    assert k.tick().total == 3
    assert k.backlog().timers == 0


def test_pauses_grow_while_nothing_is_due(k: Kernel) -> None:
    """An idle daemon looks more and more seldom, and says how things stand at its interval."""
    watch = Watch(k, lambda w: len(w.texts("health")) > 12, idle=(0.1, 0.8))
    watch.daemon.run()
    waits = watch.pulse.waits
    for name in ("kernel tick", "kernel relay"):
        assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits[name][:5], (0.1, 0.2, 0.4, 0.8, 0.8), strict=False))
    assert {*waits["MainThread"]} == {3.0}


def test_it_goes_on_at_once_while_there_is_work(k: Kernel) -> None:
    """No pause follows a pass that did something."""
    watch = Watch(k, lambda w: w.daemon.served.fired == 5)
    with doing(k, "tick", Ticked(expired=2), Ticked(woken=1), Ticked(timed_out=1), Ticked(released=1)):
        watch.daemon.run()
    assert watch.texts("tick")[0] == "tick: 2 expired, 0 woken, 0 timed out, 0 released"
    assert "kernel tick" not in watch.pulse.waits


def test_failing_deliveries_are_told(k: Kernel) -> None:
    """What a sink raised is said, and kept as the last error."""
    settled = Settled((
        Outcome("wf#1:archive", "PENDING", error="OSError: full\x1b"), Outcome("b#1:archive", "DEAD", error="no"),
        Outcome("c#1:archive", "DELIVERED")))
    watch = Watch(k, lambda w: w.daemon.served.dead)
    with doing(k, "deliver", settled):
        watch.daemon.run()
    assert watch.texts("relay") == ["wf#1:archive: PENDING, OSError: full\\x1b", "b#1:archive: DEAD, no",
                                    "relay: 1 DELIVERED, 1 to be tried again, 1 DEAD"]
    assert watch.texts("health")[-1].endswith("1 DELIVERED; last error: b#1:archive: no")


def test_a_sink_that_is_not_ready_is_told_once(k: Kernel) -> None:
    """Not with every pass; again when something else stands in the way."""
    full, gone = (Settled((), (Obstacle("archive", why),)) for why in ("disk full", "disk gone"))
    watch = Watch(k, lambda w: len(w.texts("relay")) == 3)
    with doing(k, "deliver", full, full, gone, gone, Settled(), gone):
        watch.daemon.run()
    assert watch.texts("relay") == [f"topic 'archive' takes nothing: disk {why}" for why in ("full", "gone", "gone")]


def test_errors_that_may_heal_are_waited_for(k: Kernel) -> None:
    """Each is told; the pauses grow; then it goes on."""
    watch = Watch(k, lambda w: w.daemon.served.fired and len(w.texts("store")) >= 6)
    errors = [Conflict("busy"), StoreUnavailable("gone", why="disk"), Conflict("busy"), Conflict("busy")]
    with doing(k, "tick", *errors, Ticked(expired=1)), doing(k, "backlog", Conflict("a"), Conflict("b")):
        watch.daemon.run()
    assert [t for t in watch.texts("store") if t.startswith("tick")] == [
        f"tick: {each}; it goes on" for each in ("Conflict: busy", "StoreUnavailable: disk", *["Conflict: busy"] * 2)]
    waits = watch.pulse.waits["kernel tick"][:4]
    assert all(whole / 2 <= wait <= whole for wait, whole in zip(waits, (0.05, 0.1, 0.2, 0.4), strict=True))


@pytest.mark.parametrize("command", ["tick", "deliver", "backlog"])
def test_what_does_not_heal_ends_it(k: Kernel, command: str) -> None:
    """From whatever thread, with that error, and every thread goes home; nothing dies in silence."""
    with doing(k, command, *[StoreCorrupt("reading")] * 3), pytest.raises(StoreCorrupt):
        Watch(k, lambda w: False).daemon.run()
    failed = threading.Event()
    with doing(k, command, *[StoreCorrupt("reading")] * 3):
        daemon = Watch(k, lambda w: failed.set()).daemon
        with pytest.raises(KeyError), daemon:
            raise KeyError("of the block")
        with pytest.raises(StoreCorrupt), Watch(k, lambda w: False).daemon as other:
            other._thread.join(PATIENCE)
    assert not [t for t in threading.enumerate() if t.name.startswith("kernel ")]


@pytest.mark.parametrize("options", [{"idle": (0.0, 1.0)}, {"idle": (2.0, 1.0)}, {"health": 0.0}])
def test_a_daemon_that_makes_no_sense(k: Kernel, options: Any) -> None:
    """Is refused when it is made."""
    with pytest.raises(InvalidInput, match="make no sense"):
        Daemon(k, **options)


def test_a_health_line() -> None:
    """What waits, for how long, what was done, what went wrong."""
    backlog = Backlog(moment(100_000_000), 3, 5, 1200, 1, 2, moment(58_000_000))
    assert health(backlog, Served(fired=7, delivered=4, error="x: no")) == (
        "health: 3 timers due; outbox: 1,200 PENDING (5 due, the oldest for 42 s), 1 LEASED, 2 DEAD; "
        "since the start: 7 timers, 4 DELIVERED; last error: x: no")
