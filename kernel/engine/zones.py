"""The rules of a time zone as data, so that a decision can compute with local times and stay pure."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from kernel.core.archive import SECOND, Offsets
from kernel.errors import InvalidDefinition, quoted

FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1990, 2100))
"""Seconds. Before and after these years the first and the last known rule goes on."""
STEP = 7 * 86_400
"""Seconds: no zone changes twice within so short a time."""


@cache
def offsets(name: str) -> Offsets:
    """The rules of an IANA zone. Raises InvalidDefinition for one that this system does not know."""
    try:
        zone = ZoneInfo(name)
    except (OSError, ValueError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise _unknown(name) from error
    except KeyError as error:
        raise _unknown(name) from error

    def ahead(second: int) -> int:
        local = datetime.fromtimestamp(second, zone).utcoffset()
        return 0 if local is None else round(local.total_seconds())

    rules = [(0, ahead(FIRST))]
    for start in range(FIRST, LAST, STEP):
        low, high = start, start + STEP
        if ahead(high) == rules[-1][1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if ahead(middle) != rules[-1][1] else (middle, high)
        rules.append((high, ahead(high)))
    return tuple((second * SECOND, by * SECOND) for second, by in rules)


def _unknown(name: str) -> InvalidDefinition:
    return InvalidDefinition(f"the zone {quoted(name)}", why="this system knows no time zone of this name",
                             hint="name one as Europe/Berlin; where there are none at all, pip install tzdata")
