"""A relay for `kernel demo` that stops in the middle of its first write and says so, to be killed there:
`python -m kernel.cli.half_relay URL ARCHIVE`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import attrs

import kernel
from kernel.engine.sinks import Parcel

LOOK_AGAIN = 0.05  # seconds


class HalfArchive(kernel.DirectoryArchive):
    """A directory archive whose documents never come to their end."""

    def deliver(self, parcel: Parcel) -> str:
        """Write half of the document, then wait for ever."""
        return super().deliver(attrs.evolve(parcel, open=lambda: self._half(parcel)))

    def _half(self, parcel: Parcel) -> Iterator[bytes]:
        document = parcel.read()
        half = document[: len(document) // 2]
        yield half
        sys.stdout.write(f"{len(half)} of {len(document)}\n")
        sys.stdout.flush()
        threading.Event().wait()


def main(url: str, archive: str) -> None:
    """Relay until something is due; the write then never ends."""
    with kernel.open(url, sinks={"archive": HalfArchive(archive)}, relay=kernel.RelayOptions(timeout=60.0)) as k:
        while not k.deliver().outcomes:
            threading.Event().wait(LOOK_AGAIN)


if __name__ == "__main__":
    main(*sys.argv[1:])
