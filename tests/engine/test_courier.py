"""The courier: whatever sink code does, it comes back in time with a proof or with a reason."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import repeat
from threading import Lock
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernel.engine.courier import Courier, Delivered, Failed, described, one_line
from kernel.engine.sinks import Owes, Parcel, Sink
from kernel.errors import InvalidInput, StoreUnavailable
from kernel.testing.sinks import MemoryArchive, UnspeakableError

DOCUMENT = (b'{"workflow": ', b'"order-7"}')
DIGEST = sha256(b"".join(DOCUMENT)).hexdigest()
HALF = sha256(DOCUMENT[0]).hexdigest()
OTHER = sha256(b"x" * 23).hexdigest()
PARCEL = Parcel(key="k", topic="archive", workflow_id="order-7", run=1, attempt=1, open=lambda: iter(DOCUMENT))
PATIENT = 30.0  # seconds


@attrs.define
class Receipts:
    """A sink that owes a receipt and does what it is given."""

    act: Callable[[Parcel], object]
    owes: Owes = Owes.RECEIPT

    def deliver(self, parcel: Parcel) -> Any:
        """Act."""
        return self.act(parcel)


@attrs.define
class Copies:
    """A sink that owes a copy; `back` is what it reads back."""

    back: Callable[[Parcel], object]
    act: Callable[[Parcel], object] = lambda parcel: parcel.read() and "somewhere"
    owes: Owes = Owes.COPY

    def deliver(self, parcel: Parcel) -> Any:
        """Act."""
        return self.act(parcel)

    def read_back(self, parcel: Parcel) -> Any:
        """The scripted copy."""
        return self.back(parcel)


def carry(sink: Any, parcel: Parcel = PARCEL) -> Delivered | Failed:
    return Courier({"archive": sink}, PATIENT).carry(parcel)


def error_of(answer: Delivered | Failed) -> str:
    assert isinstance(answer, Failed), answer
    return answer.error


def raising(error: BaseException | type[BaseException]) -> Callable[[Parcel], object]:
    def act(parcel: Parcel) -> object:
        raise error

    return act


# ---------------------------------------------------------------------------------------------------------- the proofs


def test_a_copy_is_proven_by_its_digest() -> None:
    """The proof is the sha256 of a copy that was read back and equals the document; the place is what the sink says."""
    answer = carry(MemoryArchive())
    assert answer == Delivered(f"sha256:{DIGEST}", place="memory:order-7.run1")
    assert 0 <= answer.seconds < PATIENT


def test_a_copy_needs_no_place() -> None:
    """What proves a copy is reading it back; a place that is no text is left out, one that is not clean is cleaned."""
    for place, shown in ((None, ""), (7, ""), ("/arch\nive\x1b[2J", "/arch ive\\x1b[2J")):
        sink = Copies(lambda parcel: iter(DOCUMENT), lambda parcel, place=place: parcel.read() and place)  # type: ignore[misc]
        assert carry(sink) == Delivered(f"sha256:{DIGEST}", place=shown)


@pytest.mark.parametrize(
    ("back", "error"),
    [
        (None, "the copy is missing: the sink returned, but it reads nothing back"),
        ([], f"the copy differs: 0 bytes sha256:{sha256().hexdigest()}, not 23 bytes sha256:{DIGEST}"),
        ([b"x" * 23], f"the copy differs: 23 bytes sha256:{OTHER}, not 23 bytes sha256:{DIGEST}"),
        (DOCUMENT[:1], f"the copy differs: 13 bytes sha256:{HALF}, not 23 bytes sha256:{DIGEST}"),
        ([*DOCUMENT, b"x"], f"the copy differs: it is longer than the 23 bytes of sha256:{DIGEST}"),
        (repeat(b"for ever"), f"the copy differs: it is longer than the 23 bytes of sha256:{DIGEST}"),
        (7, "the sink reads back an object of type int, not chunks of bytes"),
        (["text"], "TypeError: Strings must be encoded before hashing"),
    ],
    ids=["missing", "empty", "different", "half", "longer", "endless", "no chunks", "no bytes"],
)
def test_a_copy_that_is_not_equal_is_no_copy(back: Any, error: str) -> None:
    """Missing, different, half, too long or not bytes at all: never a proof, and the error names which."""
    assert carry(Copies(lambda parcel: back)) == Failed(error)


def test_a_sink_cannot_read_back_the_document_itself() -> None:
    """read_back gets no way to the document, so a sink that stored nothing cannot pass the document for a copy."""
    error = error_of(carry(Copies(lambda parcel: parcel.open())))
    assert error.startswith("PermissionError: read_back must read the stored copy")


def test_a_document_that_changes_is_not_confirmed() -> None:
    """When the sink was given other bytes than a second pass gives, that is the error, even if the copy is equal."""
    passes = iter([[b"first"], [b"second"]])
    parcel = attrs.evolve(PARCEL, open=lambda: iter(next(passes)))
    error = error_of(carry(Copies(lambda parcel: iter([b"second"])), parcel))
    assert error == f"the document changed while it was delivered: it now reads sha256:{sha256(b'second').hexdigest()}"


def test_a_sink_need_not_pull_what_it_has() -> None:
    """A copy that was there before, found by key without pulling the document, is proven like any other."""
    answer = carry(Copies(lambda parcel: iter(DOCUMENT), lambda parcel: "there"))
    assert answer == Delivered(f"sha256:{DIGEST}", "there")


class Text(str):
    """A text whose own methods must not be trusted."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("not this one")


@pytest.mark.parametrize("receipt", ["id 4711", "x" * 500, "\u00e9\u4e2d", Text("id 4711")])
def test_a_receipt_is_the_proof(receipt: str) -> None:
    """A printable text of up to 500 characters counts as the other side's word, and is kept as a plain text."""
    answer = carry(Receipts(lambda parcel: receipt))
    assert isinstance(answer, Delivered)
    assert answer.proof == "receipt:" + str.__str__(receipt)
    assert type(answer.proof) is str


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (None, "the sink returned None: no receipt, so not proven delivered"),
        (0, "the sink returned an object of type int: no receipt"),
        (True, "the sink returned an object of type bool: no receipt"),
        (b"id", "the sink returned an object of type bytes: no receipt"),
        ("", "the sink returned an empty text: no receipt"),
        ("   ", "the sink returned an empty text: no receipt"),
        ("x" * 501, "the receipt must be at most 500 printable characters: 'xxx"),
        ("a\nb", "the receipt must be at most 500 printable characters: 'a\\nb'"),
        ("\x1b[2J", "the receipt must be at most 500 printable characters: '\\x1b[2J'"),
        ("\ud800", "the receipt must be at most 500 printable characters: '\\ud800'"),
    ],
)
def test_what_is_no_receipt_proves_nothing(returned: object, error: str) -> None:
    """A sink that owes a receipt and returns anything else has not delivered."""
    assert error_of(carry(Receipts(lambda parcel: returned))).startswith(error)


def test_a_receipt_is_never_taken_for_a_copy() -> None:
    """A receipt that looks like a digest is still told apart from the digest of a copy."""
    assert carry(Receipts(lambda parcel: f"sha256:{DIGEST}")) == Delivered(f"receipt:sha256:{DIGEST}")


# ------------------------------------------------------------------------------------------------ sinks that raise


class WeirdNameType(type):
    """A class of exceptions that do not even tell their name."""

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class NamelessError(Exception, metaclass=WeirdNameType):
    """Raises when asked for its class's name."""


class OtherTextError(Exception):
    """Its text is none."""

    def __str__(self) -> str:
        return 7  # type: ignore[return-value]  # noqa: PLE0307


class InterruptingError(Exception):
    """Raises what `except Exception` misses when asked for its text."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


class UnpicklableError(Exception):
    """Cannot be pickled, for it holds a lock."""

    def __init__(self) -> None:
        super().__init__("holds a lock")
        self.lock = Lock()


RAISED: list[tuple[BaseException, str]] = [
    (OSError("disk gone"), "OSError: disk gone"),
    (KeyboardInterrupt(), "KeyboardInterrupt"),
    (SystemExit(3), "SystemExit: 3"),
    (GeneratorExit("over"), "GeneratorExit: over"),
    (StopIteration("stop"), "StopIteration: stop"),
    (CancelledError("task"), "CancelledError: task"),
    (BaseException("base"), "BaseException: base"),
    (ExceptionGroup("two", [OSError("a"), ValueError("b")]), "ExceptionGroup: two (2 sub-exceptions)"),
    (MemoryError(), "MemoryError"),
    (UnpicklableError(), "UnpicklableError: holds a lock"),
    (UnspeakableError(), "UnspeakableError: its text cannot be shown"),
    (InterruptingError(), "InterruptingError: its text cannot be shown"),
    (OtherTextError(), "OtherTextError: its text cannot be shown"),
    (NamelessError(), "an exception: its text cannot be shown"),
    (ValueError("a\r\n\tb\x1b[2J\x00\u202e\ud800"), "ValueError: a b\\x1b[2J\\x00\\u202e\\ud800"),
    (ValueError("x" * 10_000_000), "ValueError: " + "x" * 487 + "…"),
]


@pytest.mark.parametrize(("error", "text"), RAISED, ids=[text[:20] for _, text in RAISED])
@pytest.mark.parametrize("where", ["deliver", "read_back"])
def test_whatever_a_sink_raises_is_a_reason(error: BaseException, text: str, where: str) -> None:
    """Anything raised in sink code becomes Failed with one clean line, and the next parcel goes through."""
    sink: Sink = Receipts(raising(error)) if where == "deliver" else Copies(raising(error))
    courier = Courier({"archive": sink, "other": MemoryArchive()}, PATIENT)
    assert courier.carry(PARCEL) == Failed(text)
    assert isinstance(courier.carry(attrs.evolve(PARCEL, topic="other")), Delivered)
    assert courier.hanging("archive") == 0


def test_a_copy_that_breaks_off_is_a_reason() -> None:
    """An exception between two chunks of the copy, an interrupt included, proves nothing."""

    def chunks(parcel: Parcel) -> Iterator[bytes]:
        yield DOCUMENT[0]
        raise KeyboardInterrupt

    assert carry(Copies(chunks)) == Failed("KeyboardInterrupt")


def test_a_store_that_fails_under_the_sink_is_a_reason() -> None:
    """When the document cannot be read the delivery failed; a message of several lines becomes one."""

    def gone() -> Iterator[bytes]:
        raise StoreUnavailable("reading rows of order-7", why="the disk does not answer")

    error = error_of(carry(MemoryArchive(), attrs.evolve(PARCEL, open=gone)))
    assert error == "StoreUnavailable: reading rows of order-7 why: the disk does not answer"


@given(st.text(st.characters(exclude_categories=()), max_size=3000))
@example("x" * 501)
@example("\0" * 400)
@example(" " * 5000)
def test_an_error_is_one_clean_line(text: str) -> None:
    """Whatever the text, the line is printable, bounded and storable, and a clean short text is left as it is."""
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 500
    line.encode("utf-8")
    if text.isprintable() and len(text) <= 500 and text == " ".join(text.split()):
        assert line == text
    assert described(ValueError(text)).startswith("ValueError")


# --------------------------------------------------------------------------------------------------- what it is given


def test_topics_without_a_sink() -> None:
    """The courier says which topics it can carry; another is a failure, not an exception."""
    courier = Courier({"archive": MemoryArchive()}, PATIENT)
    assert courier.topics == {"archive"}
    assert courier.carry(attrs.evolve(PARCEL, topic="a\nb")) == Failed("no sink for topic 'a\\nb' in this process")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e12])
def test_a_timeout_must_be_one(timeout: float) -> None:
    """Zero, negative, endless and not-a-number timeouts are refused when the courier is made."""
    with pytest.raises(InvalidInput, match="timeout"):
        Courier({}, timeout)


def test_the_bound_must_allow_one_call() -> None:
    """A bound under 1 would never call a sink."""
    with pytest.raises(InvalidInput, match="hanging"):
        Courier({}, PATIENT, most_hanging=0)


@attrs.define
class NoReadBack:
    """Owes what it cannot pay."""

    owes: object = Owes.COPY

    def deliver(self, parcel: Parcel) -> str:
        """Whatever."""
        return parcel.key


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        (NoReadBack(), "it has no read_back"),
        (NoReadBack("COPY"), "Owes.COPY or Owes.RECEIPT"),
        (NoReadBack(None), "Owes.COPY or Owes.RECEIPT"),
        (print, "it has no deliver"),
    ],
)
def test_what_is_no_sink_is_refused_at_once(sink: Any, why: str) -> None:
    """A sink that cannot pay what it owes is InvalidInput when the courier is made, and the topic is named."""
    with pytest.raises(InvalidInput, match=why) as caught:
        Courier({"archive": sink}, PATIENT)
    assert "'archive'" in str(caught.value)
