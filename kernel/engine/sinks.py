"""What a sink is: the part that takes a delivery out of the kernel, and what it owes in return.

To the kernel a sink is foreign code. It is called after the commit, outside any transaction and any lock, and nothing
that it does changes a workflow. It must not be relied on to return, to raise an ordinary exception, or to tell the
truth: `kernel.engine.courier` calls it and asks for the proof.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Protocol, runtime_checkable

import attrs


class Owes(StrEnum):
    """What a sink gives as the proof that it delivered."""

    COPY = "COPY"  # it can read back what it stored, byte for byte
    RECEIPT = "RECEIPT"  # it passes on the other side's word: an id, a message number, a status line


@attrs.frozen(kw_only=True)
class Parcel:
    """One attempt of one delivery, as a sink sees it.

    `key` is the delivery's idempotency key and the same in every attempt; `attempt` counts from 1. Each call of `open`
    streams the document's bytes anew from the frozen rows of the run. The sink decides when it pulls the next chunk, if
    ever, so `open` must hold no transaction and no lock between two chunks. Of a notice (topic "notify") `version` is that
    of the tree with which the workflow came to `status`; the notices of a workflow come one after the other.
    """

    key: str
    topic: str
    workflow_id: str
    run: int
    attempt: int
    version: int = 0
    status: str = ""
    open: Callable[[], Iterator[bytes]] = attrs.field(repr=False)

    def read(self) -> bytes:
        """The whole document in memory: for small ones."""
        return b"".join(self.open())


class Sink(Protocol):
    """Takes parcels of a topic. Safe to call from several threads, idempotent by the parcel's key.

    A delivery is at least once: the same key comes again after a failure, a timeout, or a crash between the delivery
    and its confirmation. Raising anything means "not delivered, try again"; so does not returning within the courier's
    timeout, after which the parcel gives no more bytes.
    """

    @property
    def owes(self) -> Owes:
        """COPY or RECEIPT: the proof that the courier will ask for."""

    def deliver(self, parcel: Parcel) -> str:
        """Deliver, and return once it is durable: the place of the copy, or the other side's receipt (not empty)."""


@runtime_checkable
class CopySink(Sink, Protocol):
    """A sink that owes a copy, so that the courier can compare it with the document."""

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """The stored copy in chunks, or None where there is none. Only the copy: `parcel.open` is refused here."""


@runtime_checkable
class CheckedSink(Sink, Protocol):
    """A sink that can tell beforehand that it could deliver nothing: asked once in each pass that has work for it."""

    def check(self) -> None:
        """Raise what stands in the way, such as a folder that cannot be written. Deliveries then wait, without an attempt."""
