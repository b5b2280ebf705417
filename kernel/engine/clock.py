"""Time as a parameter."""

from __future__ import annotations

import time


class SystemClock:
    """The computer's clock."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000
