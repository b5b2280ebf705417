"""Named fault points: where a test may crash, delay or fail the engine. Without a test they do nothing."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

FaultHook = Callable[["FaultPoint", str], None]
"""Called with the point and the command under way; may raise."""


class FaultPoint(StrEnum):
    """The points, in the order in which a command and a delivery pass them."""

    BEFORE_COMMIT = "before-commit"
    AFTER_COMMIT = "after-commit"
    CLAIMED = "claimed"
    SENT = "sent"


def no_fault(point: FaultPoint, command: str) -> None:
    """The hook of every day."""
