"""Of which ends a topic hears, and when: the archive policy as an author writes it, and as decisions read it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import attrs
from attrs import field

from kernel.core import checks
from kernel.core.checks import LIMITS

ARCHIVE = "archive"
"""The topic that archive policies are about."""
COMPENSATION = "compensation"
"""The topic of failure workflows, which the kernel itself delivers by starting them."""
NOTIFY = "notify"
"""The topic of notices: changes of status that a definition subscribed to."""
SECOND = 1_000_000
"""In microseconds."""
DAY = 86_400 * SECOND
Offsets = tuple[tuple[int, int], ...]
"""The rules of a zone as data: from when on (UTC) local time is ahead of UTC by how much, both in microseconds."""
Zones = Callable[[str], Offsets]
UTC: Offsets = ((0, 0),)
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")


def _seconds(value: Any) -> Any:
    return float(value) if type(value) is int and abs(value) <= LIMITS.seconds else value


@attrs.frozen(kw_only=True)
class ArchivePolicy:
    """Which runs of a workflow are archived, when, and how long their rows are kept. Durations are seconds.

    off                no run is archived
    unsuccessful_only  only runs that end FAILED, TIMED_OUT or TERMINATED
    every              in rounds, each so long after the one before; None, and no `daily_at`: at once
    daily_at           once a day, from this local time on, as "02:00"
    window             how long after `daily_at` archiving may begin; what is left waits for the next day
    zone               the IANA zone whose local time `daily_at` is
    retention          how long rows stay after a run's end before they may be purged
    """

    off: bool = False
    unsuccessful_only: bool = False
    every: float | None = field(default=None, converter=_seconds)
    daily_at: str | None = None
    window: float = field(default=3600.0, converter=_seconds)
    zone: str = "UTC"
    retention: float = field(default=0.0, converter=_seconds)

    def __attrs_post_init__(self) -> None:
        place = "archive policy"
        checks.flag(place, "off", self.off)
        checks.flag(place, "unsuccessful_only", self.unsuccessful_only)
        if self.every is not None:
            checks.seconds(place, "every", self.every, least=1.0)
            if self.daily_at is not None:
                checks.refuse(place, "every", "it comes in rounds or once a day, not both", "leave one of them out")
        at: object = self.daily_at
        if at is not None and not (isinstance(at, str) and _TIME.match(at)):
            checks.refuse(place, "daily_at", f"{checks.shown(self.daily_at)} is no time of day", 'give it as "02:00"')
        checks.seconds(place, "window", self.window, least=1.0)
        if self.window > DAY / SECOND:
            checks.refuse(place, "window", "it is longer than a day", "a window of a whole day is no window: leave both out")
        zone: object = self.zone
        checks.check_name(zone.replace("/", "-") if isinstance(zone, str) else zone, what=f"{place}, field 'zone': name")
        checks.seconds(place, "retention", self.retention, least=0.0)


@attrs.frozen
class Schedule:
    """When a topic may be told: in rounds of `every` microseconds, or in a window that opens at a local time each day."""

    every: int = 0
    at: int = 0
    """Of the window: microseconds after midnight, local time."""
    window: int = 0
    offsets: Offsets = UTC

    def wait(self, now: int) -> int:
        """How long until the next round, or until the window opens; 0 while it is open."""
        if not self.window:
            return -now % self.every if self.every else 0
        today = (now + self._offset(self._period(now))) // DAY
        openings = (self._opens(day) for day in range(today - 1, today + 4))
        return min(max(0, opens - now) for opens in openings if now < opens + self.window)

    def open(self, now: int) -> bool:
        """Whether the topic may be told now; rounds are over only when everything of them is told."""
        return not self.window or not self.wait(now)

    def _period(self, moment: int) -> int:
        return max(0, bisect_right(self.offsets, moment, key=lambda rule: rule[0]) - 1)

    def _offset(self, period: int) -> int:
        return self.offsets[period][1]

    def _opens(self, day: int) -> int:
        """The moment at which clocks first show the local time; where they skip it, when they have skipped it."""
        local = day * DAY + self.at
        period = self._period(local - 2 * DAY)
        while period + 1 < len(self.offsets) and local - self._offset(period) >= self.offsets[period + 1][0]:
            period += 1
        return max(local - self._offset(period), self.offsets[period][0])


@attrs.frozen
class Hearing:
    """What a topic hears of the runs of a definition: `hears` as the attribute of a delivery says, and when."""

    hears: str = "ENDS"
    schedule: Schedule = Schedule()
    retention: int = 0
    """How long the rows of a run are kept after its end, in microseconds."""
    own: int = 0
    """1 when it hears only of ends on the workflow's own account."""


HEARS_ALL = Hearing()


def compiled(policy: ArchivePolicy | None, zones: Zones | None = None) -> Hearing:
    """A policy in the form that decisions work on; none means all ends, at once. `zones` gives the rules of a zone."""
    if policy is None:
        return HEARS_ALL
    hears = "NOTHING" if policy.off else "BAD_ENDS" if policy.unsuccessful_only else "ENDS"
    retention = round(policy.retention * SECOND)
    if policy.daily_at is None:
        return Hearing(hears, Schedule(round((policy.every or 0.0) * SECOND)), retention)
    hour, minute = policy.daily_at.split(":")
    at = (int(hour) * 60 + int(minute)) * 60 * SECOND
    rules = zones(policy.zone) if zones is not None and policy.zone != "UTC" else UTC
    return Hearing(hears, Schedule(0, at, round(policy.window * SECOND), rules), retention)
