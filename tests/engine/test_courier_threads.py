"""The courier's threads: hanging sinks are left behind, bounded in number, and nobody else waits for them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from itertools import repeat
from threading import Barrier, Event, Thread, current_thread, main_thread
from threading import enumerate as live_threads
from typing import Any

import attrs
import pytest

from kernel.engine.courier import Courier, Delivered, Failed
from kernel.engine.sinks import Parcel
from kernel.sinks import CallableSink
from kernel.testing.sinks import MemoryArchive

DOCUMENT = (b'{"workflow": ', b'"order-7"}')
PARCEL = Parcel(key="k", topic="archive", workflow_id="order-7", run=1, attempt=1, open=lambda: iter(DOCUMENT))
PATIENT = 30.0  # seconds, for sinks that answer
SHORT = 0.05  # seconds, for sinks that hang


class BadCopies(MemoryArchive):
    """Stores well, and reads back what it is given."""

    def __init__(self, back: Callable[[], Any]) -> None:
        super().__init__()
        self.back = back

    def read_back(self, parcel: Parcel) -> Any:
        """The scripted copy."""
        return self.back()


def error_of(answer: Delivered | Failed) -> str:
    assert isinstance(answer, Failed), answer
    return answer.error


def wait_for_sinks(topic: str = "archive") -> None:
    """Until no call of the topic's sink is left running."""
    for thread in live_threads():
        if thread.name == f"sink {topic}":
            thread.join(PATIENT)
            assert not thread.is_alive()


@pytest.fixture
def stuck() -> Iterator[Event]:
    """What hanging sinks wait for; set at the end, so that no thread outlives its test."""
    event = Event()
    yield event
    event.set()
    wait_for_sinks()


def hanging_on(stuck: Event) -> CallableSink:
    """A sink that hangs until the event is set, then gives a receipt."""
    return CallableSink(lambda parcel: f"late: {stuck.wait()}")


def test_a_hang_ends_with_the_timeout(stuck: Event) -> None:
    """The carrier goes on after the timeout, and the call is known to hang until it ends."""
    courier = Courier({"archive": hanging_on(stuck)}, SHORT)
    assert courier.carry(PARCEL) == Failed("timed out: no answer from the sink within 0.05 s")
    assert courier.hanging("archive") == 1
    stuck.set()
    wait_for_sinks()
    assert courier.hanging("archive") == 0


@pytest.mark.parametrize("where", ["read_back", "the copy's chunks"])
def test_the_timeout_covers_the_proof(stuck: Event, where: str) -> None:
    """A sink that stores and then hangs while it is read back does not stop the carrier either."""

    def chunks() -> Iterator[bytes]:
        stuck.wait()
        yield from DOCUMENT

    sink = BadCopies(chunks if where == "the copy's chunks" else lambda: stuck.wait() and iter(DOCUMENT))
    assert error_of(Courier({"archive": sink}, SHORT).carry(PARCEL)).startswith("timed out")


def test_a_copy_without_bytes_or_end_is_left_alone_after_the_timeout() -> None:
    """Reading back empty chunks for ever times out, and the abandoned reading then ends by itself."""
    sink = BadCopies(lambda: repeat(b""))
    assert error_of(Courier({"archive": sink}, SHORT).carry(PARCEL)).startswith("timed out")
    wait_for_sinks()


def test_the_number_of_hanging_calls_is_bounded(stuck: Event) -> None:
    """At the bound the sink is not called again, without waiting; when one call ends it is."""
    calls: list[Thread] = []

    def hang(parcel: Parcel) -> str:
        calls.append(current_thread())
        stuck.wait()
        return "late"

    courier = Courier({"archive": CallableSink(hang)}, SHORT, most_hanging=2)
    assert [error_of(courier.carry(PARCEL))[:9] for _ in range(2)] == ["timed out"] * 2
    refused = "2 earlier calls of this sink are still hanging; it is not called until one ends"
    assert [courier.carry(PARCEL) for _ in range(5)] == [Failed(refused)] * 5
    stuck.set()
    wait_for_sinks()
    assert len(calls) == 2
    courier.carry(PARCEL)
    wait_for_sinks()
    assert len(calls) == 3


def test_the_default_bound_is_four(stuck: Event) -> None:
    """Four abandoned calls of a topic, counted by topic: another topic of the same sink has its own."""
    sink = hanging_on(stuck)
    courier = Courier({"archive": sink, "other": sink}, SHORT)
    answers = [error_of(courier.carry(PARCEL)) for _ in range(5)]
    assert [answer[:9] for answer in answers] == ["timed out"] * 4 + ["4 earlier"]
    assert error_of(courier.carry(attrs.evolve(PARCEL, topic="other"))).startswith("timed out")
    stuck.set()
    wait_for_sinks("other")


def test_after_its_delivery_a_sink_gets_no_more_bytes() -> None:
    """Once the carrier has gone on the document is cut off: what the sink kept of it reads not one row more."""
    kept: list[Callable[[], object]] = []
    pulled: list[int] = []

    def counted() -> Iterator[bytes]:
        for number, chunk in enumerate(DOCUMENT):
            pulled.append(number)
            yield chunk

    def keep(parcel: Parcel) -> str:
        begun = parcel.open()
        next(begun)
        kept.extend([lambda: next(begun), parcel.read])
        return "id"

    courier = Courier({"archive": CallableSink(keep)}, PATIENT)
    assert courier.carry(attrs.evolve(PARCEL, open=counted)) == Delivered("receipt:id")
    for read_on in kept:
        with pytest.raises(TimeoutError, match="the delivery is over"):
            read_on()
    assert pulled == [0]


def test_a_real_interrupt_reaches_the_caller(stuck: Event) -> None:
    """SIGINT to the waiting main thread is not swallowed and not taken for the sink's; the call counts as abandoned."""
    assert current_thread() is main_thread()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(parcel: Parcel) -> str:
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)
        stuck.wait()
        return "late"

    courier = Courier({"archive": CallableSink(interrupt)}, PATIENT)
    try:
        with pytest.raises(KeyboardInterrupt):
            courier.carry(PARCEL)
    finally:
        signal.signal(signal.SIGINT, before)
    assert courier.hanging("archive") == 1


def test_a_sink_may_call_back() -> None:
    """A sink that uses the courier itself, for its own topic too, does not deadlock: no lock is held while it runs."""
    answers: list[object] = []

    def nested(parcel: Parcel) -> str:
        answers.append(courier.hanging("archive"))
        answers.append(courier.carry(attrs.evolve(PARCEL, topic="other")))
        if parcel.attempt == 1:
            answers.append(courier.carry(attrs.evolve(PARCEL, attempt=2)))
        return "done"

    courier = Courier({"archive": CallableSink(nested), "other": MemoryArchive()}, PATIENT)
    assert courier.carry(PARCEL) == Delivered("receipt:done")
    assert [type(answer) for answer in answers] == [int, Delivered, int, Delivered, Delivered]


def test_carriers_do_not_wait_for_each_other() -> None:
    """Two threads carry at the same time: both sinks are in the middle of their calls together."""
    together = Barrier(2, timeout=PATIENT)
    courier = Courier({"archive": CallableSink(lambda parcel: f"id {together.wait() * 0}")}, PATIENT)
    answers: list[object] = []
    threads = [Thread(target=lambda: answers.append(courier.carry(PARCEL))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENT)
    assert answers == [Delivered("receipt:id 0")] * 2


def test_sink_code_runs_on_a_daemon_thread_of_its_own() -> None:
    """A hanging sink can neither hold the carrier's thread nor keep the process from ending."""
    seen: list[Thread] = []

    def look(parcel: Parcel) -> str:
        seen.append(current_thread())
        return "id"

    assert Courier({"archive": CallableSink(look)}, PATIENT).carry(PARCEL) == Delivered("receipt:id")
    assert seen[0] is not current_thread()
    assert seen[0].daemon


def test_no_more_threads_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the system gives no thread, the delivery failed, and nothing counts as hanging."""

    def refuse(self: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", refuse)
    courier = Courier({"archive": MemoryArchive()}, PATIENT)
    assert courier.carry(PARCEL) == Failed("RuntimeError: can't start new thread")
    assert courier.hanging("archive") == 0
