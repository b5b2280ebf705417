"""How long and until when, as authors write it: seconds or "2 hours 5 minutes"; ISO 8601 or "2026-12-31 23:59 +05:00"."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from kernel.core.checks import LIMITS
from kernel.errors import InvalidInput, quoted

_PARTS = re.compile(
    r"\s*(?:(?P<days>\d{1,9})\s*(?:days?|d))?\s*(?:(?P<hours>\d{1,9})\s*(?:hours?|hrs?|h))?"
    r"\s*(?:(?P<minutes>\d{1,9})\s*(?:minutes?|mins?|m))?\s*(?:(?P<seconds>\d{1,9})\s*(?:seconds?|secs?|s))?\s*", re.IGNORECASE)
_MOMENT = re.compile(
    r"\s*(?P<date>\d{4}-\d\d-\d\d)(?:[T ](?P<time>\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?))?"
    r"\s*(?:UTC|GMT|Z)?\s*(?P<offset>[+-]\d\d(?::?\d\d)?)?\s*", re.IGNORECASE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(value: object) -> float:
    """Seconds: given as a number, or as a text of days, hours, minutes and seconds. Raises InvalidInput."""
    seconds: float | None = None
    if isinstance(value, str):
        found = _PARTS.fullmatch(value)
        if found and (parts := {name: int(given) for name, given in found.groupdict().items() if given}):
            seconds = timedelta(**parts).total_seconds()
        elif re.fullmatch(r"\d{1,12}(\.\d{1,6})?", value):
            seconds = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if abs(value) <= LIMITS.seconds else None
    if seconds is None or not 0 <= seconds <= LIMITS.seconds:
        raise InvalidInput(f"the duration {quoted(value)}", why=f"it is no time of 0 to {LIMITS.seconds:,} seconds",
                           hint="give seconds, or a text like '2 hours 5 minutes'")
    return seconds


def moment(value: object) -> int:
    """Microseconds since 1970 of a date with or without a time of day; UTC where it names no offset. Raises InvalidInput."""
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    try:
        if found:
            at = datetime.fromisoformat(f"{found['date']} {found['time'] or '00:00'}{found['offset'] or '+00:00'}")
            return (at - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        pass  # a day that no month has
    raise InvalidInput(f"the time {quoted(value)}", why="it is no date and time of day",
                       hint="give ISO 8601, or a text like '2026-12-31 23:59 +05:00'")
