"""Carries one parcel to its sink and comes back with a proof or with the reason why not.

Sink code runs on a thread of its own, one per call: it can raise anything, hang, or lie, and the relay goes on. A call
that outlasts the timeout is abandoned, since a thread cannot be stopped: it gets no more bytes of the document, its
late result is ignored, and a topic with too many abandoned calls is not called until one of them ends. A sink that
never gives back the interpreter lock stops the whole process; such a sink belongs in another process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Event, Lock, Thread
from time import monotonic
from typing import NoReturn, TypeVar

import attrs

from kernel.engine.sinks import CheckedSink, CopySink, Owes, Parcel, Sink
from kernel.errors import InvalidInput, quoted

LONGEST_TEXT = 500
Answer = TypeVar("Answer")


@attrs.frozen
class Delivered:
    """`proof` is "sha256:..." of a copy that was read back and is equal, or "receipt:..."; `place` is where a copy is.

    `seconds` is how long the call took.
    """

    proof: str
    place: str = ""
    seconds: float = attrs.field(default=0.0, eq=False)


@attrs.frozen
class Failed:
    """Not proven delivered. `error` is one printable line of at most 500 characters, fit for a store and a terminal."""

    error: str
    seconds: float = attrs.field(default=0.0, eq=False)


class Courier:
    """Carries parcels to the sinks of this process. Thread-safe; calls no sink while it holds a lock.

    `timeout` is in seconds and covers delivery and proof together. `most_hanging` bounds the abandoned calls of a
    topic; carriers that are already waiting when it is reached may each add one more.
    """

    def __init__(self, sinks: Mapping[str, Sink], timeout: float, *, most_hanging: int = 4) -> None:
        if not 0 < timeout <= TIMEOUT_MAX:
            raise InvalidInput(f"a sink timeout of {timeout} s", why=f"it must lie above 0 and up to {TIMEOUT_MAX:.0f}")
        if most_hanging < 1:
            raise InvalidInput(f"{most_hanging} hanging sink calls", why="with fewer than 1 nothing could be delivered")
        self._sinks = {topic: _checked(topic, sink) for topic, sink in sinks.items()}
        self._checks = {topic: sink.check for topic, sink in self._sinks.items() if isinstance(sink, CheckedSink)}
        self._timeout = timeout
        self._most_hanging = most_hanging
        self._abandoned: dict[str, list[Thread]] = {topic: [] for topic in sinks}
        self._lock = Lock()

    @property
    def topics(self) -> frozenset[str]:
        """The topics that this process can deliver."""
        return frozenset(self._sinks)

    def hanging(self, topic: str) -> int:
        """How many abandoned calls of the topic's sink have still not ended."""
        with self._lock:
            self._abandoned[topic] = [thread for thread in self._abandoned[topic] if thread.is_alive()]
            return len(self._abandoned[topic])

    def obstacle(self, topic: str, *, check: bool = True) -> str:
        """Why no parcel of the topic can be carried now; empty when one can. `check`: ask the sink, too, where it can tell.

        An obstacle costs no delivery an attempt, if it is asked for before the claim.
        """
        if topic not in self._sinks:
            return f"no sink for topic {quoted(topic)} in this process"
        hanging = self.hanging(topic)
        if hanging >= self._most_hanging:
            return f"{hanging} earlier calls of this sink are still hanging; it is not called until one ends"
        asked = self._checks.get(topic) if check else None
        answer = None if asked is None else self._call(topic, asked, Event())
        return answer.error if isinstance(answer, Failed) else ""

    def carry(self, parcel: Parcel) -> Delivered | Failed:
        """Deliver and prove. Raises nothing that sink code raised; a real interrupt of the caller's thread passes."""
        obstacle = self.obstacle(parcel.topic, check=False)
        if obstacle:
            return Failed(obstacle)
        started = monotonic()
        errand = _Errand(self._sinks[parcel.topic], parcel)
        return attrs.evolve(self._call(parcel.topic, errand.run, errand.over), seconds=monotonic() - started)

    def fetch(self, parcel: Parcel) -> bytes | Failed:
        """The copy of a document that the topic's sink keeps. Raises nothing that sink code raised."""
        sink = self._sinks.get(parcel.topic)
        if not isinstance(sink, CopySink) or sink.owes is not Owes.COPY:
            return Failed(f"this process has no sink for topic {quoted(parcel.topic)} that gives a copy")
        obstacle = self.obstacle(parcel.topic, check=False)
        errand = _Errand(sink, parcel)
        return Failed(obstacle) if obstacle else self._call(parcel.topic, lambda: errand.fetch(sink), errand.over)

    def _call(self, topic: str, work: Callable[[], Answer], over: Event) -> Answer | Failed:
        """Run sink code on a thread of its own; `over` is set once nobody waits for it any more."""
        answers: SimpleQueue[Answer | Failed] = SimpleQueue()

        def run() -> None:
            try:
                answers.put(work())
            except BaseException as error:  # noqa: BLE001 - a sink may raise anything; this is the last frame of its thread
                answers.put(Failed(described(error)))

        thread = Thread(target=run, name=f"sink {topic}", daemon=True)
        answered = False
        answer: Answer | Failed
        try:
            thread.start()
            answer = answers.get(timeout=self._timeout)
            answered = True
        except Empty:
            answer = Failed(f"timed out: no answer from the sink within {self._timeout:g} s")
        except RuntimeError as error:  # the system gives no more threads
            answer = Failed(described(error))
        finally:
            over.set()
            if not answered:
                with self._lock:
                    self._abandoned[topic].append(thread)
        return answer


class _Errand:
    """One delivery with its proof; `run` is all that happens on the sink's thread."""

    def __init__(self, sink: Sink, parcel: Parcel) -> None:
        self.over = Event()
        self._sink = sink
        self._parcel = parcel
        self._handed_out: set[str] = set()

    def run(self) -> Delivered | Failed:
        """Deliver and prove; raises whatever the sink raises."""
        returned: object = self._sink.deliver(attrs.evolve(self._parcel, open=self._document))
        if isinstance(self._sink, CopySink) and self._sink.owes is Owes.COPY:
            return self._compared(self._sink, returned)
        return _receipt(returned)

    def fetch(self, sink: CopySink) -> bytes | Failed:
        """The stored copy; raises whatever the sink raises."""
        chunks: object = sink.read_back(attrs.evolve(self._parcel, open=_refuse))
        if chunks is None:
            return Failed("the sink has no copy of it")
        if not isinstance(chunks, Iterable):
            return Failed(f"the sink reads back {described_value(chunks)}, not chunks of bytes")
        return b"".join(self._while_waited_for(chunks))

    def _document(self) -> Iterator[bytes]:
        """What the sink pulls, with the digest of every complete pass kept; cut off once the errand is over."""
        digest = sha256()
        for chunk in self._while_waited_for(self._parcel.open()):
            digest.update(chunk)
            yield chunk
        self._handed_out.add(digest.hexdigest())

    def _while_waited_for(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        self._check_waited_for()
        for chunk in chunks:
            yield chunk
            self._check_waited_for()

    def _check_waited_for(self) -> None:
        if self.over.is_set():
            raise TimeoutError("the delivery is over: nobody waits for it any more")

    def _compared(self, sink: CopySink, place: object) -> Delivered | Failed:
        """The proof of a copy: an independent pass over the document against what the sink reads back."""
        document, length = self._digest(self._parcel.open())
        if self._handed_out - {document}:
            return Failed(f"the document changed while it was delivered: it now reads sha256:{document}")
        chunks: object = sink.read_back(attrs.evolve(self._parcel, open=_refuse))
        if chunks is None:
            return Failed("the copy is missing: the sink returned, but it reads nothing back")
        if not isinstance(chunks, Iterable):
            return Failed(f"the sink reads back {described_value(chunks)}, not chunks of bytes")
        copy, copied = self._digest(chunks, most=length)
        if copied > length:
            return Failed(f"the copy differs: it is longer than the {length} bytes of sha256:{document}")
        if copy != document:
            return Failed(f"the copy differs: {copied} bytes sha256:{copy}, not {length} bytes sha256:{document}")
        return Delivered(f"sha256:{document}", one_line(str.__str__(place)) if isinstance(place, str) else "")

    def _digest(self, chunks: Iterable[bytes], most: int | None = None) -> tuple[str, int]:
        """sha256 and length in bytes; reading ends beyond `most` bytes, so that an endless copy is found out early."""
        digest, length = sha256(), 0
        for chunk in self._while_waited_for(chunks):
            digest.update(chunk)
            length += len(chunk)
            if most is not None and length > most:
                break
        return digest.hexdigest(), length


def _checked(topic: str, sink: Sink) -> Sink:
    """The sink, once it is seen to be able to pay what it says that it owes."""
    owes = getattr(sink, "owes", None)
    needed = ("deliver", "read_back") if owes is Owes.COPY else ("deliver",)
    missing = [name for name in needed if not callable(getattr(sink, name, None))]
    if missing or not isinstance(owes, Owes):
        raise InvalidInput(
            f"the sink of topic {quoted(topic)}",
            stands=f"{type(sink).__name__} owes {quoted(owes)}",
            why=f"it has no {' and no '.join(missing)}" if missing else "`owes` must be Owes.COPY or Owes.RECEIPT",
            hint="see kernel.engine.sinks.Sink for what a sink owes",
        )
    return sink


def _refuse() -> NoReturn:
    raise PermissionError("read_back must read the stored copy, not the document that it is compared with")


def _receipt(returned: object) -> Delivered | Failed:
    if not isinstance(returned, str):
        return Failed(f"the sink returned {described_value(returned)}: no receipt, so not proven delivered")
    receipt = str.__str__(returned)  # a plain str, whatever subclass the sink made
    if not receipt.strip():
        return Failed("the sink returned an empty text: no receipt, so not proven delivered")
    if len(receipt) > LONGEST_TEXT or not receipt.isprintable():
        return Failed(f"the receipt must be at most {LONGEST_TEXT} printable characters: {quoted(receipt)}")
    return Delivered(f"receipt:{receipt}")


def described_value(value: object) -> str:
    """None, or what kind of thing it is; its own text is not asked for."""
    return "None" if value is None else f"an object of type {one_line(type(value).__name__, 80)}"


def described(error: BaseException) -> str:
    """`OSError: disk gone` on one line; never raises, though the error's own text may."""
    name = "an exception"
    try:
        name = one_line(type(error).__name__, 80)
        text = str(error)
    except BaseException:  # noqa: BLE001 - the text of a sink's exception is sink code, too
        return f"{name}: its text cannot be shown"
    return one_line(f"{name}: {text}" if text else name)


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text on one line: blanks folded, other control characters escaped, at most `longest` characters."""
    folded = " ".join(text[: 2 * longest].split())
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in folded)
    return safe if len(safe) <= longest and len(text) <= 2 * longest else safe[: longest - 1] + "…"
