"""The rules of zones as data: what the system's own zones say, at every moment that was tried."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from kernel.core.archive import SECOND
from kernel.engine.zones import FIRST, LAST, offsets
from kernel.errors import InvalidDefinition


@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tokyo"])
def test_rules_are_those_of_the_zone(name: str) -> None:
    """Hour by hour for some years, and around every change, to the second."""
    rules, zone = offsets(name), ZoneInfo(name)
    starts = [start // SECOND for start, _ in rules]
    moments = [start + by for start in starts[1:] for by in (-1, 0)] + list(range(FIRST, LAST, 40 * 86_400 + 3_600))
    for second in moments:
        local = datetime.fromtimestamp(second, zone).utcoffset()
        assert local is not None
        assert rules[max(0, bisect_right(starts, second) - 1)][1] == local.total_seconds() * SECOND, second
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("name", ["Europe/Atlantis", "../etc/passwd", "Europe", "berlin\x00"])
def test_an_unknown_zone(name: str) -> None:
    """An error of ours that names it."""
    with pytest.raises(InvalidDefinition, match="no time zone of this name"):
        offsets(name)
