"""A process that dies at a named fault point: a fault hook that raises what nothing in the kernel catches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from kernel.engine.faults import FaultPoint


class ProcessCrash(BaseException):
    """Stands for the death of the process: whoever catches it goes on as another process, with what the store kept."""

    def __init__(self, point: FaultPoint, command: str) -> None:
        super().__init__(f"killed at {point} of {command}")
        self.point, self.command = point, command


def _nothing() -> None:
    """Nobody watches."""


class Crashes:
    """A fault hook. `arm` chooses where the next crash happens; `fired` counts those that did, by point and command."""

    def __init__(self) -> None:
        self.point: FaultPoint | None = None
        self.passes = 0
        self.fired: Counter[tuple[FaultPoint, str]] = Counter()
        self.on_commit: Callable[[], None] = _nothing
        """Called after each commit while a crash is armed, before it happens."""

    def arm(self, point: FaultPoint, passes: int = 0) -> None:
        """Crash when `point` is passed the next time, after it was passed `passes` times without harm."""
        self.point, self.passes = point, passes

    def disarm(self) -> None:
        """Crash no more."""
        self.point = None

    def __call__(self, point: FaultPoint, command: str) -> None:
        """The hook itself."""
        if self.point is None:
            return
        if point is FaultPoint.AFTER_COMMIT:
            self.on_commit()
        if point is self.point:
            if self.passes:
                self.passes -= 1
                return
            self.point = None
            self.fired[point, command] += 1
            raise ProcessCrash(point, command)
