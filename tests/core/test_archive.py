"""Archive policies: what can be said, of which ends they ask, and when their schedules come round, on every odd day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kernel.core.archive import DAY, HEARS_ALL, SECOND, ArchivePolicy, Hearing, Schedule, compiled
from kernel.core.content import from_content, policy_from_content, to_content
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.structure import flatten
from kernel.engine.zones import offsets
from kernel.errors import InvalidDefinition

HOUR = 3600 * SECOND


def at(text: str, zone: str = "UTC") -> int:
    """A moment in microseconds."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * SECOND


def daily(at: str, hours: float, zone: str) -> Schedule:
    """The schedule of a daily window."""
    return compiled(ArchivePolicy(daily_at=at, window=hours * 3600, zone=zone), offsets).schedule


def local(moment: int, zone: str) -> str:
    """A moment as clocks show it."""
    return datetime.fromtimestamp(moment // SECOND, ZoneInfo(zone)).strftime("%m-%d %H:%M")


# ---- what an author says ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("given", "said"), [
    ({"off": 1}, "'off'"), ({"unsuccessful_only": "yes"}, "'unsuccessful_only'"), ({"every": 0.5}, "'every'"),
    ({"every": float("nan")}, "'every'"), ({"every": 60, "daily_at": "02:00"}, "in rounds or once a day"),
    ({"daily_at": "24:00"}, "time of day"), ({"daily_at": "2:00"}, "time of day"), ({"daily_at": 2}, "time of day"),
    ({"window": 0}, "'window'"), ({"window": 90_000}, "longer than a day"), ({"zone": 7}, "zone"), ({"zone": ""}, "zone"),
    ({"retention": -1.0}, "'retention'"), ({"retention": True}, "'retention'"),
])
def test_what_cannot_be_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    """Each field refuses what it cannot hold."""
    with pytest.raises(InvalidDefinition, match=said):
        ArchivePolicy(**given)


@pytest.mark.parametrize(("policy", "hears"), [
    (None, "ENDS"), (ArchivePolicy(), "ENDS"), (ArchivePolicy(unsuccessful_only=True), "BAD_ENDS"),
    (ArchivePolicy(off=True, unsuccessful_only=True), "NOTHING"),
])
def test_of_which_ends_it_asks(policy: ArchivePolicy | None, hears: str) -> None:
    """Off goes before everything; no policy is all ends, at once."""
    assert compiled(policy).hears == hears
    assert compiled(None) == compiled(ArchivePolicy()) == HEARS_ALL


def test_a_definition_keeps_its_policy() -> None:
    """It is part of the content, names the topic, and goes to inline definitions that have none of their own."""
    policy = ArchivePolicy(every=60, retention=5)
    inner = WorkflowDef("inner", tasks=[TaskDef("x")])
    outer = WorkflowDef("outer", tasks=[TaskDef("s", workflow=inner)], topics=["mail"], archive=policy)
    assert outer.topics == ("archive", "mail")
    assert [plain.archive for plain in flatten(outer)] == [policy, policy]
    assert from_content(to_content(outer)) == outer
    assert policy_from_content(to_content(policy)) == policy
    assert "archive" not in to_content(inner)
    with pytest.raises(InvalidDefinition, match="'archive'"):
        WorkflowDef("w", tasks=[TaskDef("x")], archive="daily")  # type: ignore[arg-type]
    with pytest.raises(InvalidDefinition, match="no such field"):
        policy_from_content({"when": "now"})
    again = WorkflowDef("w", tasks=[TaskDef("x")], topics=["mail", "archive"], archive=policy)
    assert again.topics == ("mail", "archive")


# ---- when it comes round ----------------------------------------------------------------------------------------------
def test_at_once() -> None:
    """Without a schedule nothing waits."""
    assert (Schedule().wait(7), Schedule().open(7)) == (0, True)


def test_rounds() -> None:
    """Each round ends what came since the one before; between two rounds what is left of one may still be delivered."""
    schedule = compiled(ArchivePolicy(every=60)).schedule
    assert [schedule.wait(60 * SECOND * n + 1) for n in (0, 5)] == [60 * SECOND - 1] * 2
    assert (schedule.wait(120 * SECOND), schedule.open(121 * SECOND)) == (0, True)


def test_a_daily_window() -> None:
    """It opens at its time and closes when it is over, also beyond midnight."""
    schedule = daily("23:30", 2, "UTC")
    for time, hours in (("2026-03-01T23:30", 0), ("2026-03-02T01:29", 0), ("2026-03-02T01:30", 22), ("2026-03-01T22:30", 1)):
        assert schedule.wait(at(time)) == hours * HOUR, time
        assert schedule.open(at(time)) == (hours == 0)


@pytest.mark.parametrize(("zone", "opens", "day", "shown"), [
    ("Europe/Berlin", "02:30", "2026-03-29", "03-29 03:00"),   # skipped: it opens when the clocks have skipped it
    ("Europe/Berlin", "02:30", "2026-10-25", "10-25 02:30"),   # shown twice: the first time
    ("Europe/Berlin", "02:00", "2026-03-29", "03-29 03:00"),
    ("Europe/Berlin", "03:00", "2026-10-25", "10-25 03:00"),
    ("America/New_York", "02:15", "2026-03-08", "03-08 03:00"),
    ("Australia/Lord_Howe", "02:10", "2026-10-04", "10-04 02:30"),  # half an hour only
    ("Pacific/Apia", "12:00", "2011-12-31", "12-31 00:00"),    # a whole day skipped: its window, too, opens after it
])
def test_the_clocks_change(zone: str, opens: str, day: str, shown: str) -> None:
    """On the days when clocks are changed the window opens once, at a time that clocks show, for its whole length."""
    schedule = daily(opens, 1, zone)
    before = at(f"{day}T00:00", zone)
    moment = before + schedule.wait(before)
    assert local(moment, zone) == shown
    assert [schedule.open(moment + each) for each in (-1, 0, HOUR - 1, HOUR)] == [False, True, True, False]
    assert schedule.wait(moment + HOUR) >= 11 * HOUR


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Africa/Casablanca", "Asia/Kolkata", "Pacific/Apia"])
def test_it_opens_once_a_day_for_years(zone: str) -> None:
    """Every local day has one opening, whatever the zone does; each is where the zone's own rules say."""
    schedule, moment, days = daily("02:30", 1, zone), at("2026-01-01T00:00", zone), []
    for _ in range(3 * 365):
        moment += schedule.wait(moment)
        shown = datetime.fromtimestamp(moment // SECOND, ZoneInfo(zone))
        days.append(shown.date())
        assert (shown.hour, shown.minute) == (2, 30) or (shown - timedelta(minutes=1)).utcoffset() != shown.utcoffset() or (
            shown.astimezone(UTC) - timedelta(minutes=1)).astimezone(ZoneInfo(zone)).utcoffset() != shown.utcoffset()
        moment += HOUR
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]


def test_before_and_after_all_rules() -> None:
    """Times beyond the known rules go on by the first and the last of them."""
    schedule = daily("12:00", 1, "Europe/Berlin")
    for year in (1, 3000):
        moment = year * 365 * DAY
        assert 0 < schedule.wait(moment) + 1 <= DAY


def test_a_hearing_is_a_value() -> None:
    """Equal policies are equal ready to decide by."""
    assert compiled(ArchivePolicy(retention=2)) == Hearing("ENDS", Schedule(), 2 * SECOND)
