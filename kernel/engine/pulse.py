"""Waiting without spinning: a pulse that wakes those who wait, and pauses that grow while there is nothing to do."""

from __future__ import annotations

import threading
from time import monotonic

from kernel.engine.ports import Chance
from kernel.errors import CommitUnknown, Conflict, StoreFull, StoreUnavailable

LONGEST_TROUBLE = 30.0
"""Seconds: the longest pause after an error that may heal."""
HEALING = (Conflict, CommitUnknown, StoreFull, StoreUnavailable)
"""Errors that may heal while one waits. The other errors of a store need a person."""


class Pulse:
    """Beats when something happened, so that those who wait look again. Thread-safe."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def now(self) -> float:
        """Seconds, by a clock that never goes back."""
        return monotonic()

    def beat(self) -> None:
        """Wake everyone."""
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> int:
        """Wait for a beat after `seen`, at most `timeout` seconds; gives the count."""
        with self._changed:
            self._changed.wait_for(lambda: self.count != seen, timeout)
            return self.count


class Pauses:
    """Pauses in seconds, each twice as long as the one before, up to `longest`; of each between half and all, by chance."""

    def __init__(self, chance: Chance, least: float, longest: float) -> None:
        self._chance, self._least, self._longest = chance, least, longest
        self._whole = least

    def reset(self) -> None:
        """Begin with the shortest again."""
        self._whole = self._least

    def next(self) -> float:
        """The next pause."""
        pause = self._whole * (0.5 + 0.5 * self._chance.random())
        self._whole = min(self._longest, 2 * self._whole)
        return pause
