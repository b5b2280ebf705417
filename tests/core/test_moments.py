"""How long and until when, as authors write it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kernel.core.moments import duration, moment
from kernel.errors import InvalidInput


@pytest.mark.parametrize(("value", "seconds"), [
    (0, 0), (2.5, 2.5), ("7", 7), ("1.25", 1.25), ("2 hours 5 minutes", 7500), ("1h 5m", 3900), ("3 d", 259_200),
    ("1 DAY 1 hr 1 min 1 sec", 90_061), ("10 seconds", 10), ("0s", 0),
])
def test_durations(value: Any, seconds: float) -> None:
    """A number of seconds, or a text of days, hours, minutes and seconds in this order."""
    assert duration(value) == seconds


@pytest.mark.parametrize("value", [
    None, True, -1, -0.5, float("nan"), float("inf"), 10**12, "", " ", "soon", "5 minutes 2 hours", "-1s", "1 month",
    "999999999 d", [7], {"seconds": 7},
])
def test_what_is_no_duration(value: Any) -> None:
    """It is refused, and the message says what would be one."""
    with pytest.raises(InvalidInput, match="the duration"):
        duration(value)


@pytest.mark.parametrize(("value", "at"), [
    ("2026-12-31T23:59:00+05:00", datetime(2026, 12, 31, 18, 59, tzinfo=UTC)),
    ("2026-12-31 23:59 +05:00", datetime(2026, 12, 31, 18, 59, tzinfo=UTC)),
    ("2026-12-31 23:59 GMT", datetime(2026, 12, 31, 23, 59, tzinfo=UTC)),
    ("2026-12-31 23:59 utc-02", datetime(2027, 1, 1, 1, 59, tzinfo=UTC)),
    ("2026-12-31T23:59:30.5Z", datetime(2026, 12, 31, 23, 59, 30, 500_000, tzinfo=UTC)),
    ("2026-12-31 23:59", datetime(2026, 12, 31, 23, 59, tzinfo=UTC)),
    ("2026-12-31", datetime(2026, 12, 31, tzinfo=UTC)),
    ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
])
def test_moments(value: str, at: datetime) -> None:
    """A date, with or without a time of day and an offset; UTC where it names none."""
    assert moment(value) == at.timestamp() * 1_000_000


@pytest.mark.parametrize("value", [
    None, 7, "", "soon", "2026-02-30", "2026-12-31 25:00", "2026-12-31 23:59 PST", "99999-01-01"])
def test_what_is_no_moment(value: Any) -> None:
    """A day that no month has, a zone that is only a name, and anything else."""
    with pytest.raises(InvalidInput, match="the time"):
        moment(value)
