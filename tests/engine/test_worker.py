"""The worker: it runs functions on tasks, holds their leases, and reports each attempt in the way that its end asks for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

import kernel
from kernel.engine.attempt import Attempt, NotRetryable, Postpone, TaskFailed
from kernel.engine.kernel import Kernel
from kernel.engine.pulse import Pulse
from kernel.engine.worker import Notice, Worker
from kernel.errors import CommitUnknown, Conflict, Fenced, InvalidInput, StoreCorrupt, StoreUnavailable
from kernel.testing.clock import ManualClock
from tests.stores.stand import Stand

PATIENCE = 30.0  # seconds after which a test gives up; none comes near it
Then = Callable[[], object]


def nothing() -> object:
    """What happens when nothing does."""
    return None


class Script(Pulse):
    """A pulse with a clock of its own: who waits lets it go on; what is due then, on either clock, happens at once."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock, self.waits, self.then = clock, list[float](), list[Then]()

    def now(self) -> float:
        return self.clock.now() / 1e6

    def wait(self, seen: int, timeout: float) -> int:
        self.waits.append(timeout)
        if self.then:
            self.then.pop(0)()
        if self.count == seen:
            self.clock.advance(timeout + 1e-6)  # whole microseconds, never too few
        return super().wait(seen, 0.001)


class Shop:
    """A kernel with workflows of one task, and what a worker on it told."""

    def __init__(self, each: Stand) -> None:
        self.k, self.clock, self.told = each.k, each.clock, list[Notice]()
        self.script = Script(each.clock)

    def order(self, *names: str, **options: Any) -> None:
        """A workflow of one task for each name."""
        self.k.register(kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pack", **options)]))
        for name in names or ("wf",):
            self.k.start("order", workflow_id=name)

    def worker(self, function: Any, **options: Any) -> Worker:
        """A worker that runs the function, and is told to stop as soon as nothing is left to do."""

        def heard(notice: Notice) -> None:
            self.told.append(notice)

        return Worker(self.k, {"pack": function}, **{"notice": heard, "threads": 1, **options})

    def work(self, function: Any, **options: Any) -> Worker:
        """Run a worker until its idle pause."""
        worker = self.worker(function, pulse=self.script, **options)
        self.script.then = [*self.script.then, *[once(lambda: self.settled() and not worker.busy, worker.stop)] * 10_000]
        worker.run()
        return worker

    def settled(self) -> bool:
        """Whether no task can be worked on any more."""
        return not any(t.state in ("SCHEDULED", "IN_PROGRESS") for w in self.k.find().items for t in self.k.tasks(w.id))

    @property
    def task(self) -> kernel.Task:
        """The task of the only workflow."""
        return self.k.tasks("wf")[0]

    def whats(self) -> list[str]:
        """The kinds of what was told."""
        return [notice.what for notice in self.told]


@pytest.fixture
def shop(each: Stand) -> Shop:
    """A shop on each store."""
    return Shop(each)


@contextmanager
def failing(k: Kernel, name: str, *errors: Exception) -> Iterator[None]:
    """A command of the kernel raises these errors first."""
    real, left = getattr(k, name), [*errors]

    def command(*args: Any, **options: Any) -> Any:
        if left:
            raise left.pop(0)
        return real(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(k, name, command)
        yield


def once(condition: Callable[[], bool], then: Then) -> Then:
    """Does something where a condition holds."""
    return lambda: then() if condition() else None


# ---- how an attempt ends
def test_what_it_returns_is_the_output(shop: Shop) -> None:
    """The function gets the input; with a second parameter also the attempt."""
    shop.order("wf", "other", input={"n": 1})
    seen: list[Attempt] = []

    def pack(given: Any, attempt: Attempt) -> Any:
        seen.append(attempt)
        attempt.check()
        return {"got": given, "same": attempt.input == given}

    worker = shop.work(pack)
    assert shop.task.output == {"got": {"n": 1}, "same": True}
    assert (worker.worked.completed, worker.worked.failed, worker.worked.late, worker.worked.abandoned) == (2, 0, 0, 0)
    assert {a.lease.worker for a in seen} == {worker.name}
    assert "completed" in shop.whats()
    assert [str(w.state) for w in shop.k.find().items] == ["COMPLETED", "COMPLETED"]


def test_it_learns_while_it_works(shop: Shop) -> None:
    """Further types are taken up at once; one that it knew has the new function from then on."""
    shop.k.register(kernel.WorkflowDef("two", tasks=[kernel.TaskDef("pack"), kernel.TaskDef("label", after=["pack"])]))
    shop.k.start("two", workflow_id="wf")
    knows: list[Worker] = []

    def pack(given: Any) -> None:
        knows[0].learn({"label": lambda given: {"n": 2}})

    worker = shop.worker(pack, pulse=shop.script)
    knows.append(worker)
    shop.script.then = [*[once(lambda: shop.settled() and not worker.busy, worker.stop)] * 10_000]
    worker.run()
    assert [task.output for task in shop.k.tasks("wf")] == [None, {"n": 2}]


@pytest.mark.parametrize("function", [lambda given, more=1: {"n": more}, dict, lambda *given: {"n": len(given)}])
def test_functions_of_one_parameter(shop: Shop, function: Any) -> None:
    """A second parameter with a default is the author's own; what does not say its parameters takes the input."""
    shop.order(input={"n": 1})
    shop.work(function)
    assert shop.task.output == {"n": 1}


def test_an_exception_fails_the_attempt(shop: Shop) -> None:
    """Its type and text are the reason; the next attempt follows while there is one, even after sys.exit."""
    errors: list[BaseException] = [SystemExit(3), ValueError("no\nglue"), TaskFailed("later", output={"at": 2})]

    def pack(_: Any) -> Any:
        if errors:
            raise errors.pop(0)
        return 1

    shop.order(retries=5)
    worker = shop.work(pack)
    assert (shop.task.state, shop.task.attempt, worker.worked.failed, worker.worked.completed) == ("COMPLETED", 4, 3, 1)
    assert [n.reason for n in shop.told if n.what == "failed"] == ["SystemExit: 3", "ValueError: no glue", "later"]
    assert [line.reason for line in shop.k.history("wf") if line.event == "FAIL"] == ["SystemExit: 3", "ValueError: no glue",
                                                                                     "later"]


def test_not_retryable(shop: Shop) -> None:
    """The declared exception ends the task although attempts are left."""

    def pack(_: Any) -> Any:
        raise NotRetryable("no such article", output={"seen": 0})

    shop.order(retries=5)
    shop.work(pack)
    assert (shop.task.state, shop.task.reason, shop.task.output) == (
        "FAILED_WITH_TERMINAL_ERROR", "no such article", {"seen": 0})


def test_a_function_spawns_tasks(shop: Shop) -> None:
    """With `Done`; what could not run fails the attempt for good."""
    shop.order()
    more = kernel.TaskDef("more", type="pack", after=["pack"])

    def pack(given: Any) -> Any:
        return kernel.Done({"n": 1}, spawn=[more])

    shop.work(pack)
    assert [(t.ref, t.state, t.output) for t in shop.k.tasks("wf")] == [
        ("pack", "COMPLETED", {"n": 1}), ("more", "FAILED_WITH_TERMINAL_ERROR", None)]
    assert "the same reference" in shop.k.tasks("wf")[1].reason


def test_an_output_that_is_no_json_fails_for_good(shop: Shop) -> None:
    """It is a mistake of the function, which another attempt would make again."""
    shop.order(retries=5)
    shop.work(lambda _: {1, 2})
    assert shop.task.state == "FAILED_WITH_TERMINAL_ERROR"
    assert "a value of type set is not JSON" in shop.task.reason


def test_a_late_result_is_told(shop: Shop) -> None:
    """A task that was CANCELED meanwhile stays so; the worker says that the result came too late, and why."""
    shop.order()

    def pack(_: Any) -> Any:
        shop.k.terminate("wf")
        return 1

    worker = shop.work(pack)
    assert (shop.task.state, worker.worked.late) == ("CANCELED", 1)
    (notice,) = [n for n in shop.told if n.what == "late"]
    assert isinstance(notice.error, Fenced)
    assert notice.text == "attempt 1 of task 'pack' of workflow 'wf' came too late: Fenced, nothing changed"


def test_a_function_postpones_its_task(shop: Shop) -> None:
    """The same attempt goes on when the time has come, and finds how far it came; clocks and attempts are not spent."""
    shop.order(retries=0, lease=30.0)
    found: list[Any] = []

    def pack(given: Any, attempt: Attempt) -> Any:
        found.append((attempt.lease.attempt, attempt.output))
        if len(found) < 3:
            raise Postpone(300.0, output={"packed": len(found)})
        return {"packed": "all"}

    worker = shop.work(pack, idle=(1.0, 60.0))
    assert found == [(1, None), (1, {"packed": 1}), (1, {"packed": 2})]
    times = [(line.event, line.at.timestamp()) for line in shop.k.history("wf") if line.event in ("POSTPONE", "POLL")]
    assert [event for event, _ in times] == ["POLL", "POSTPONE", "POLL", "POSTPONE", "POLL"]
    assert all(after - before >= 300.0 for (event, before), (_, after) in pairwise(times) if event == "POSTPONE")
    assert (shop.task.state, shop.task.output) == ("COMPLETED", {"packed": "all"})
    assert (worker.worked.completed, worker.worked.postponed, worker.worked.failed) == (1, 2, 0)
    assert [n.text for n in shop.told if n.what == "postponed"] == ["attempt 1 of task 'pack' of workflow 'wf' postponed"] * 2
    assert [line.event for line in shop.k.history("wf")].count("POSTPONE") == 2


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), "soon"])
def test_a_delay_that_is_none_fails_for_good(shop: Shop, seconds: Any) -> None:
    """It is a mistake of the function, which another attempt would make again."""

    def pack(_: Any) -> Any:
        raise Postpone(seconds)

    shop.order(retries=5)
    shop.work(pack)
    assert shop.task.state == "FAILED_WITH_TERMINAL_ERROR"
    assert "the delay" in shop.task.reason


def test_another_attempt_starts_without_the_output(shop: Shop) -> None:
    """How far an attempt came is forgotten when it fails."""
    ends: list[Exception] = [Postpone(0.0, output={"n": 1}), TaskFailed("broken")]
    found: list[Any] = []

    def pack(given: Any, attempt: Attempt) -> Any:
        found.append((attempt.lease.attempt, attempt.output))
        if ends:
            raise ends.pop(0)

    shop.order(retries=1)
    shop.work(pack)
    assert found == [(1, None), (1, {"n": 1}), (2, None)]


# ---- leases
def test_heartbeats_hold_the_lease(shop: Shop) -> None:
    """At a third of the lease; so a function may take longer than that, and nobody else gets the task."""
    shop.order(lease=30.0)
    done = threading.Event()
    shop.script.then = [*[nothing] * 9, done.set]

    def pack(_: Any) -> Any:
        assert done.wait(PATIENCE)
        shop.k.tick()
        return 1

    worker = shop.work(pack, idle=(5.0, 5.0))
    assert (shop.task.state, shop.task.attempt) == ("COMPLETED", 1)
    assert max(shop.script.waits[:9]) == pytest.approx(10.0)
    assert worker.worked.completed == 1


def test_cancellation_is_learned_at_the_next_check(shop: Shop) -> None:
    """A function that checks learns that its task was canceled; what it then does is not reported as a failure."""
    shop.order(lease=30.0)
    learned: list[Exception] = []
    over = threading.Event()
    shop.script.then = [lambda: over.wait(PATIENCE)]

    def pack(_: Any, attempt: Attempt) -> Any:
        attempt.check()
        shop.k.terminate("wf")
        attempt.check()  # it asked less than a second ago
        shop.clock.advance(1.0)
        with pytest.raises(Fenced) as caught:
            attempt.check()
        learned.append(caught.value)
        over.set()
        attempt.check()

    worker = shop.work(pack)
    assert len(learned) == 1
    assert shop.task.state == "CANCELED"
    assert (worker.worked.failed, worker.worked.late) == (0, 1)


def test_a_heartbeat_tells_of_cancellation_too(shop: Shop) -> None:
    """The worker's own heartbeat learns it, so that a check need not ask the store; it is not beaten again."""
    shop.order(lease=30.0)
    told = threading.Event()
    shop.script.then = [lambda: shop.k.terminate("wf"), nothing, nothing, told.set]

    def pack(_: Any, attempt: Attempt) -> Any:
        assert told.wait(PATIENCE)
        assert isinstance(attempt.lost, Fenced)
        attempt.check()

    assert shop.work(pack).worked.late == 1


def test_a_heartbeat_that_the_store_cannot_take_is_sent_again_soon(shop: Shop) -> None:
    """An unanswered heartbeat does not lose the lease."""
    shop.order(lease=30.0)
    done = threading.Event()
    shop.script.then = [*[nothing] * 6, done.set]

    def pack(_: Any) -> Any:
        assert done.wait(PATIENCE)
        return 1

    with failing(shop.k, "heartbeat", Conflict("busy"), StoreUnavailable("gone")):
        assert shop.work(pack, idle=(60.0, 60.0)).worked.completed == 1
    assert shop.script.waits[:3] == pytest.approx([10.0, 1.0, 1.0])


# ---- the store
def test_results_are_reported_until_the_store_answers(shop: Shop) -> None:
    """Conflicts, cut-off commits, a store that is away: the report is repeated and counts once."""
    shop.order("wf", "other", retries=1)
    real, cut = shop.k.complete, [True]

    def applied_but_cut_off(*args: Any, **options: Any) -> Any:
        applied = real(*args, **options)
        if cut:
            cut.clear()
            raise CommitUnknown("committing")
        return applied

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.k, "complete", applied_but_cut_off)
        with failing(shop.k, "complete", Conflict("busy", why="locked"), StoreUnavailable("gone")):
            worker = shop.work(lambda _: 1)
    assert (worker.worked.completed, worker.worked.late, shop.task.state) == (2, 0, "COMPLETED")
    assert shop.whats().count("store") == 3
    assert "Conflict: locked; it is tried again" in next(n.text for n in shop.told if n.what == "store")


def test_polls_go_on_after_a_conflict(shop: Shop) -> None:
    """A store that cannot answer is asked again, later and later; half a minute is the longest."""
    shop.order()
    with failing(shop.k, "poll", *[Conflict("busy")] * 5):
        shop.work(lambda _: 1, idle=(1.0, 4.0))
    assert shop.task.state == "COMPLETED"
    assert shop.whats()[:5] == ["store"] * 5
    first = shop.script.waits[:5]
    assert all(whole / 2 <= wait <= whole for wait, whole in zip(first, (1, 2, 4, 8, 16), strict=True))


@pytest.mark.parametrize("command", ["poll", "complete", "heartbeat"])
def test_what_does_not_heal_ends_the_worker(shop: Shop, command: str) -> None:
    """A damaged store comes out of `run`, from whichever thread saw it; nothing dies in silence."""
    shop.order(lease=0.001)
    held = threading.Event()

    def pack(_: Any) -> Any:
        held.wait(PATIENCE if command == "heartbeat" else 0)
        return 1

    with failing(shop.k, command, *[StoreCorrupt("reading")] * 3), pytest.raises(StoreCorrupt):
        shop.work(pack)
    held.set()


# ---- beginning, waiting, end
def test_an_idle_worker_makes_few_polls(shop: Shop) -> None:
    """The pauses between polls that find nothing grow; an hour of idleness is not a busy loop."""
    shop.order("wf")
    shop.k.terminate("wf")
    polls: list[float] = []
    real = shop.k.poll

    def poll(*args: Any, **options: Any) -> Any:
        polls.append(shop.script.now())
        return real(*args, **options)

    worker = shop.worker(lambda _: 1, pulse=shop.script)
    shop.script.then = [*[nothing] * 100, worker.stop]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.k, "poll", poll)
        worker.run()
    assert len(polls) == 101
    assert polls[-1] - polls[0] > 100 * 0.9
    assert polls[1] - polls[0] < 0.06


def test_free_hands_take_what_is_there(shop: Shop) -> None:
    """No more leases than free hands; the others are taken as soon as a hand is free."""
    shop.order(*"abcde")
    running, most, both = [0], [0], threading.Barrier(2, timeout=PATIENCE)
    lock = threading.Lock()

    def pack(_: Any, attempt: Attempt) -> Any:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0], sum(t.state == "IN_PROGRESS" for w in "abcde" for t in shop.k.tasks(w)))
        if attempt.lease.workflow_id in ("a", "b"):
            both.wait()
        with lock:
            running[0] -= 1

    assert shop.work(pack, threads=2).worked.completed == 5
    assert most == [2]


def test_types_take_turns(each: Stand) -> None:
    """Many tasks of one type do not keep the others waiting."""
    k, done = each.k, list[str]()
    tasks = [kernel.TaskDef(f"{type_}{n}", type=type_) for n in range(3) for type_ in ("a", "b")]
    k.register(kernel.WorkflowDef("d", tasks=tasks))
    k.start("d", workflow_id="wf")
    script = Script(each.clock)
    worker = Worker(k, {"a": lambda _: done.append("a"), "b": lambda _: done.append("b")}, threads=1, pulse=script)
    script.then = [once(lambda: len(done) == 6 and not worker.busy, worker.stop)] * 10_000
    worker.run()
    assert "".join(done) in ("ababab", "bababa")


def test_stop_waits_for_what_is_under_way(each: Stand) -> None:
    """With real threads and the real pulse: leaving the context waits for the function, which is told; then all is quiet."""
    shop = Shop(each)
    shop.order("wf", "other")
    begun, stopped = threading.Event(), threading.Event()

    def pack(_: Any, attempt: Attempt) -> Any:
        begun.set()
        assert stopped.wait(PATIENCE)
        return {"stopping": attempt.stopping}

    with shop.worker(pack) as worker:
        assert begun.wait(PATIENCE)
        worker.stop()
        stopped.set()
    outputs = [t.output for w in ("wf", "other") for t in shop.k.tasks(w)]
    assert sorted(outputs, key=str) == [None, {"stopping": True}]
    assert worker.worked.completed == 1
    assert not [t for t in threading.enumerate() if worker.name in t.name]


def test_who_does_not_end_in_time_is_left(shop: Shop) -> None:
    """After the grace the worker leaves; the lease runs out and the task is handed out again; a report that comes then ends."""
    shop.order(lease=5.0, retries=1)
    begun, over = threading.Event(), threading.Event()

    def pack(_: Any) -> Any:
        begun.set()
        over.wait(PATIENCE)
        raise ValueError("too late")

    worker = shop.worker(pack, pulse=shop.script, grace=3.0)
    shop.script.then = [once(begun.is_set, worker.stop)] * 10_000
    assert worker.run().abandoned == 1
    assert shop.told[-1].what == "abandoned"
    shop.clock.advance(6.0)
    shop.k.tick()
    assert shop.task.attempt == 2
    hand = next(t for t in threading.enumerate() if t.name == f"{worker.name} 0")
    with failing(shop.k, "fail", *[StoreUnavailable("closed")] * 3):
        over.set()
        hand.join(PATIENCE)
    assert not hand.is_alive()


def test_the_context_raises_what_ended_it(each: Stand) -> None:
    """Unless the block itself raised: then that is more interesting."""
    shop = Shop(each)
    failed = threading.Event()

    def corrupt(*_: Any, **__: Any) -> None:
        failed.set()
        raise StoreCorrupt("polling")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop.k, "poll", corrupt)
        with pytest.raises(StoreCorrupt), shop.worker(repr):
            assert failed.wait(PATIENCE)
        with pytest.raises(KeyError), shop.worker(repr):
            raise KeyError("of the block")


@pytest.mark.parametrize(("functions", "options", "why"), [
    ({}, {}, "no function"),
    ({"t": 1}, {}, "cannot be called"),
    ({"": repr}, {}, "printable text"),
    ({"t": repr}, {"threads": 0}, "whole number"),
    ({"t": repr}, {"heartbeat": 1.0}, "make no sense"),
    ({"t": repr}, {"idle": (2.0, 1.0)}, "make no sense"),
    ({"t": repr}, {"grace": -1.0}, "make no sense"),
])
def test_a_worker_that_makes_no_sense(k: Kernel, functions: Any, options: Any, why: str) -> None:
    """Is refused when it is made."""
    with pytest.raises(InvalidInput) as caught:
        Worker(k, functions, **options)
    assert why in str(caught.value)


def test_notices_go_to_the_log(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Unless somebody takes them: usual ones as information, the others as warnings."""
    shop.order("wf")
    with caplog.at_level(logging.INFO, "kernel"):
        worker = Worker(shop.k, {"pack": lambda _: 1}, threads=1, pulse=shop.script)
        shop.script.then = [once(lambda: shop.settled() and not worker.busy, worker.stop)] * 10_000
        with failing(shop.k, "poll", Conflict("busy")):
            worker.run()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
