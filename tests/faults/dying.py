"""Relays that die: `python -m tests.faults.dying WRITER STORE ARCHIVE` forks one for each number that it reads, which is
killed when its archive comes to that step: a call to the system, or the next piece of the document. Answers `killed` or
`lived`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from unittest import mock

import attrs

from kernel.engine.kernel import Kernel
from kernel.engine.sinks import CopySink, Owes, Parcel
from kernel.sinks import directory
from kernel.sinks.directory import DirectoryArchive, file_name
from kernel.stores.sqlite import SqliteStore
from kernel.testing.clock import ManualClock
from kernel.testing.pool import ARCHIVE
from tests.sinks.stand import WatchedOs


class TornArchive(DirectoryArchive):
    """Writes each document where it belongs, piece by piece: the mistake."""

    def deliver(self, parcel: Parcel) -> str:
        """Store the document and return its path."""
        self.path.mkdir(exist_ok=True)
        path = self.path / file_name(parcel.workflow_id, parcel.run)
        with path.open("wb") as file:
            for chunk in parcel.open():
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return str(path)


WRITERS: dict[str, type[DirectoryArchive]] = {"whole": DirectoryArchive, "torn": TornArchive}


@attrs.frozen
class Watched:
    """An archive whose pieces of the document are steps, too."""

    inner: CopySink
    steps: WatchedOs
    owes: Owes = Owes.COPY

    def deliver(self, parcel: Parcel) -> str:
        """Deliver, piece by piece."""
        def pieces() -> Iterator[bytes]:
            for chunk in parcel.open():
                self.steps.come_to("a piece")
                yield chunk
            self.steps.come_to("the end of the document")
        return self.inner.deliver(attrs.evolve(parcel, open=pieces))

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """As the archive."""
        return self.inner.read_back(parcel)


def relay(writer: str, path: str, archive: str, step: int, now: float) -> None:
    """One pass over one delivery; the process is killed before the step."""
    def before(number: int, name: str) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    steps = WatchedOs(before)
    with mock.patch.object(directory, "os", steps), \
         Kernel(SqliteStore(path), sinks={ARCHIVE: Watched(WRITERS[writer](archive), steps)}, clock=ManualClock(now)) as k:
        k.deliver(limit=1)


def main(writer: str, path: str, archive: str) -> None:
    """Fork a relay for each line: the step at which it dies, and the time."""
    for line in sys.stdin:
        step, now = line.split()
        child = os.fork()
        if not child:
            relay(writer, path, archive, int(step), float(now))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        ended = {0: "lived", signal.SIGKILL: "killed"}.get(status, f"ended with {status}")
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
