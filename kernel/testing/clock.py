"""A clock that tests move."""

from __future__ import annotations


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self, start: float = 1_000_000_000.0) -> None:
        """`start` in seconds since the Unix epoch."""
        self._now = round(start * 1_000_000)

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Go on (or back, with a negative number)."""
        self._now += round(seconds * 1_000_000)
