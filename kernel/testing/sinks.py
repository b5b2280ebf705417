"""Sinks for tests: one in memory, and one that misbehaves as told around any other sink."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain
from threading import Event, Lock

import attrs

from kernel.engine.sinks import CopySink, Owes, Parcel, Sink


class Behaviour(StrEnum):
    """What a FaultySink does with one call."""

    OK = "OK"  # what the inner sink does
    RAISE = "RAISE"  # an OSError, nothing stored
    RAISE_BASE = "RAISE_BASE"  # an exception that `except Exception` misses, or one without a text; nothing stored
    HANG = "HANG"  # blocks until released, then goes on as if nothing had been
    LIE = "LIE"  # returns as if it had delivered; nothing stored
    HALF = "HALF"  # the inner sink gets half of the bytes, then an OSError
    TWICE = "TWICE"  # delivers twice
    LATE = "LATE"  # delivers, then raises: the reply is lost


class UnspeakableError(BaseException):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


BASE_EXCEPTIONS: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, GeneratorExit, UnspeakableError)


class MemoryArchive:
    """Keeps documents in memory, one per (workflow id, run), create-if-absent. Owes a copy."""

    owes: Owes = Owes.COPY

    def __init__(self) -> None:
        self.documents: dict[tuple[str, int], bytes] = {}

    def deliver(self, parcel: Parcel) -> str:
        """Keep the document. Raises FileExistsError where there is another one."""
        place = (parcel.workflow_id, parcel.run)
        document = parcel.read()
        if self.documents.setdefault(place, document) != document:
            raise FileExistsError(f"{place} holds another document; archived documents are never overwritten")
        return f"memory:{parcel.workflow_id}.run{parcel.run}"

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """The document that is kept."""
        document = self.documents.get((parcel.workflow_id, parcel.run))
        return None if document is None else iter((document,))


class FaultySink:
    """Passes parcels on to `inner`, misbehaving as the script says; after its end, every call is OK.

    `script` is any iterable of behaviours; an endless generator that draws them makes a random one. `fired` counts
    each behaviour when it begins, so that a test can assert that its fault happened. Nothing here sleeps: a hanging
    call waits for `release_all`.
    """

    def __init__(self, inner: Sink, script: Iterable[Behaviour] = ()) -> None:
        self.inner = inner
        self.fired: Counter[Behaviour] = Counter()
        self._script = iter(script)
        self._released = Event()
        self._lock = Lock()

    @property
    def owes(self) -> Owes:
        """What the inner sink owes."""
        return self.inner.owes

    def plan(self, *behaviours: Behaviour) -> None:
        """Put these next, before the rest of the script."""
        with self._lock:
            self._script = chain(behaviours, self._script)

    def release_all(self) -> None:
        """Let every call that hangs now go on; a later HANG hangs anew."""
        with self._lock:
            released, self._released = self._released, Event()
        released.set()

    def deliver(self, parcel: Parcel) -> str:
        """Deliver it as the script says."""
        with self._lock:
            behaviour = next(self._script, Behaviour.OK)
            self.fired[behaviour] += 1
            count, released = self.fired[behaviour], self._released
        match behaviour:
            case Behaviour.RAISE:
                raise OSError("the archive is broken")
            case Behaviour.RAISE_BASE:
                raise BASE_EXCEPTIONS[count % len(BASE_EXCEPTIONS)]("planted")
            case Behaviour.HANG:
                released.wait()
            case Behaviour.LIE:
                # nobody can tell a forged receipt from a true one, so where a receipt is owed the lie has none
                return "stored" if self.owes is Owes.COPY else ""
            case Behaviour.HALF:
                return self.inner.deliver(attrs.evolve(parcel, open=lambda: _half(parcel)))
            case Behaviour.TWICE:
                self.inner.deliver(parcel)
        receipt = self.inner.deliver(parcel)
        if behaviour is Behaviour.LATE:
            raise OSError("the reply was lost")
        return receipt

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """What the inner sink has, if it gives a copy."""
        return self.inner.read_back(parcel) if isinstance(self.inner, CopySink) else None


def _half(parcel: Parcel) -> Iterator[bytes]:
    left = sum(len(chunk) for chunk in parcel.open()) // 2
    for chunk in parcel.open():
        if len(chunk) > left:
            yield chunk[:left]
            break
        yield chunk
        left -= len(chunk)
    raise OSError("no space left after half of the document")
