"""The sinks of the test kit: each fault does what it says, is counted, and never harms the sink inside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from threading import Event, Thread
from threading import enumerate as live_threads

import attrs
import pytest

from kernel.engine.courier import Courier, Delivered, Failed
from kernel.engine.sinks import CopySink, Owes, Parcel
from kernel.sinks import CallableSink, DirectoryArchive
from kernel.testing.sinks import BASE_EXCEPTIONS, Behaviour, FaultySink, MemoryArchive

DOCUMENT = (b'{"workflow": ', b'"order-7"}')
WHOLE = b"".join(DOCUMENT)
PARCEL = Parcel(key="k", topic="archive", workflow_id="order-7", run=1, attempt=1, open=lambda: iter(DOCUMENT))
PATIENT = 30.0  # seconds


@pytest.fixture(params=["memory", "directory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> CopySink:
    return MemoryArchive() if request.param == "memory" else DirectoryArchive(tmp_path)


def copy_in(archive: CopySink) -> bytes | None:
    chunks = archive.read_back(PARCEL)
    return None if chunks is None else b"".join(chunks)


def test_a_memory_archive_keeps_the_first_document() -> None:
    """Equal documents are success, others an error, runs are apart; a document that breaks off leaves nothing."""
    archive = MemoryArchive()
    assert copy_in(archive) is None

    def broken() -> Iterator[bytes]:
        yield DOCUMENT[0]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        archive.deliver(attrs.evolve(PARCEL, open=broken))
    assert archive.documents == {}
    assert archive.deliver(PARCEL) == archive.deliver(PARCEL) == "memory:order-7.run1"
    archive.deliver(attrs.evolve(PARCEL, run=2, open=lambda: iter((b"other",))))
    with pytest.raises(FileExistsError, match="never overwritten"):
        archive.deliver(attrs.evolve(PARCEL, open=lambda: iter((b"other",))))
    assert archive.documents == {("order-7", 1): WHOLE, ("order-7", 2): b"other"}


@pytest.mark.parametrize(
    ("behaviour", "error", "stored"),
    [
        (Behaviour.OK, None, True),
        (Behaviour.RAISE, "OSError: the archive is broken", False),
        (Behaviour.RAISE_BASE, "SystemExit: planted", False),
        (Behaviour.LIE, "the copy is missing: the sink returned, but it reads nothing back", False),
        (Behaviour.HALF, "OSError: no space left after half of the document", False),
        (Behaviour.TWICE, None, True),
        (Behaviour.LATE, "OSError: the reply was lost", True),
    ],
)
def test_each_fault_as_the_courier_sees_it(
    archive: CopySink, behaviour: Behaviour, error: str | None, stored: bool
) -> None:
    """A fault is counted and has its outcome; a copy is whole or absent; the next attempt delivers."""
    sink = FaultySink(archive, [behaviour])
    courier = Courier({"archive": sink}, PATIENT)
    answer = courier.carry(PARCEL)
    assert answer == Failed(error) if error else isinstance(answer, Delivered)
    assert sink.fired == {behaviour: 1}
    assert copy_in(archive) == (WHOLE if stored else None)
    assert isinstance(courier.carry(PARCEL), Delivered)
    assert copy_in(archive) == WHOLE
    assert sink.fired == Counter([behaviour, Behaviour.OK])


def test_a_hang_lasts_until_it_is_released(archive: CopySink) -> None:
    """The call blocks, times out for the courier, and once released stores nothing more; a later hang hangs anew."""
    drawn = Event()

    def script() -> Iterator[Behaviour]:
        for _ in range(2):
            drawn.set()
            yield Behaviour.HANG

    sink = FaultySink(archive, script())
    courier = Courier({"archive": sink}, 0.05)
    for _ in range(2):
        drawn.clear()
        assert isinstance(courier.carry(PARCEL), Failed)
        assert drawn.wait(PATIENT)
        assert courier.hanging("archive") == 1
        sink.release_all()
        wait_until_ended()
        assert courier.hanging("archive") == 0
        assert copy_in(archive) is None, "the courier cut the document off"
    assert sink.fired == {Behaviour.HANG: 2}


def wait_until_ended() -> None:
    """Until no call of the topic's sink is left running."""
    for thread in live_threads():
        if thread.name == "sink archive":
            thread.join(PATIENT)
            assert not thread.is_alive()


def test_a_hang_goes_on_where_nobody_gave_up(archive: CopySink) -> None:
    """Without a timeout a released call delivers as if nothing had been."""
    drawn = Event()

    def script() -> Iterator[Behaviour]:
        drawn.set()
        yield Behaviour.HANG

    sink = FaultySink(archive, script())
    call = Thread(target=sink.deliver, args=(PARCEL,), daemon=True)
    call.start()
    assert drawn.wait(PATIENT)
    assert copy_in(archive) is None
    sink.release_all()
    call.join(PATIENT)
    assert copy_in(archive) == WHOLE


def test_every_base_exception_has_its_turn() -> None:
    """RAISE_BASE goes round all its exceptions, and the courier takes each for a failure."""
    sink = FaultySink(MemoryArchive(), [Behaviour.RAISE_BASE] * len(BASE_EXCEPTIONS))
    courier = Courier({"archive": sink}, PATIENT)
    answers = [courier.carry(PARCEL) for _ in BASE_EXCEPTIONS]
    names = {answer.error.split(":")[0] for answer in answers if isinstance(answer, Failed)}
    assert names == {kind.__name__ for kind in BASE_EXCEPTIONS}


@pytest.mark.parametrize("chunks", [(b"",), (b"x",), (b"abcdef",), (b"ab", b"cd", b"ef"), (b"abcd", b"ef")])
def test_half_is_half(chunks: tuple[bytes, ...]) -> None:
    """The sink inside gets the first half of the bytes, to the byte, before the error."""
    seen: list[bytes] = []

    def take(parcel: Parcel) -> str:
        seen.extend(parcel.open())
        return "whole"

    sink = FaultySink(CallableSink(take), [Behaviour.HALF])
    with pytest.raises(OSError, match="after half"):
        sink.deliver(attrs.evolve(PARCEL, open=lambda: iter(chunks)))
    whole = b"".join(chunks)
    assert b"".join(seen) == whole[: len(whole) // 2]


def test_twice_is_twice() -> None:
    """The sink inside sees the same parcel two times in one call."""
    keys: list[str] = []

    def count(parcel: Parcel) -> str:
        keys.append(parcel.key)
        return f"receipt {len(keys)}"

    sink = FaultySink(CallableSink(count), [Behaviour.TWICE])
    assert sink.deliver(PARCEL) == "receipt 2"
    assert keys == ["k", "k"]


def test_a_lie_about_a_receipt_has_none() -> None:
    """Around a sink that owes a receipt a lie is caught, since it gives none; there is no copy to read back."""
    sink = FaultySink(CallableSink(lambda parcel: "id"), [Behaviour.LIE])
    assert sink.owes is Owes.RECEIPT
    courier = Courier({"archive": sink}, PATIENT)
    assert isinstance(courier.carry(PARCEL), Failed)
    assert courier.carry(PARCEL) == Delivered("receipt:id")
    assert sink.read_back(PARCEL) is None


def test_a_plan_goes_before_the_script() -> None:
    """What is planned comes next, then the script goes on where it was, then every call is OK."""
    sink = FaultySink(CallableSink(lambda parcel: "id"), [Behaviour.RAISE, Behaviour.LATE])
    sink.plan(Behaviour.TWICE, Behaviour.OK)
    courier = Courier({"archive": sink}, PATIENT)
    answers = [courier.carry(PARCEL) for _ in range(5)]
    assert [isinstance(answer, Delivered) for answer in answers] == [True, True, False, False, True]
    assert sink.fired == Counter([Behaviour.TWICE, Behaviour.OK, Behaviour.RAISE, Behaviour.LATE, Behaviour.OK])


def drawn_at_random(seed: int) -> Iterator[Behaviour]:
    random = Random(seed)
    kinds = [behaviour for behaviour in Behaviour if behaviour is not Behaviour.HANG]
    while True:
        yield random.choice(kinds)


@pytest.mark.parametrize("script", [lambda: drawn_at_random(7), lambda: cycle([Behaviour.RAISE, Behaviour.LATE])])
def test_an_endless_script_draws_and_repeats(script: Callable[[], Iterator[Behaviour]]) -> None:
    """An endless generator is a script like any other, and the same seed gives the same faults."""
    counts = []
    for _ in range(2):
        sink = FaultySink(MemoryArchive(), script())
        courier = Courier({"archive": sink}, PATIENT)
        for _ in range(60):
            courier.carry(PARCEL)
        counts.append(sink.fired)
    assert counts[0] == counts[1]
    assert counts[0].total() == 60
