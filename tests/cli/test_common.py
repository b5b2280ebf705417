"""What the commands share: URLs of stores, answers as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kernel.cli.common import json_text, url_of
from kernel.engine.entities import Applied, Page
from kernel.errors import GuardRefused


@pytest.mark.parametrize(("db", "url"), [
    ("orders.db", "sqlite:///orders.db"),
    ("./orders.db", "sqlite:///./orders.db"),
    ("/var/orders.db", "sqlite:////var/orders.db"),
    ("sqlite:///orders.db", "sqlite:///orders.db"),
    ("memory://", "memory://"),
    ("postgresql://host/db", "postgresql://host/db"),
])
def test_a_bare_path_is_a_file_of_sqlite(db: str, url: str) -> None:
    """What has no scheme is a path; the rest is left for the kernel to judge."""
    assert url_of(db) == url


def test_json_is_ascii_and_utc() -> None:
    """Values nest; times are ISO 8601 in UTC; control characters and all that is not ASCII are escaped."""
    local = datetime(2026, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    value = {"at": local, "utc": datetime(2026, 1, 2, tzinfo=UTC), "page": Page((), "ä\x1b"), "applied": Applied("c", 1),
             "many": (1, None, True), "error": GuardRefused("asked", guard="g", allowed=("A",))}
    text = json_text(value)
    assert text.isascii()
    assert "\x1b" not in text
    back = json.loads(text)
    assert (back["at"], back["utc"]) == ("2026-01-02T01:00:00Z", "2026-01-02T00:00:00Z")
    assert back["page"] == {"items": [], "after": "ä\x1b"}
    assert back["applied"]["command_id"] == "c"
    assert back["error"]["kind"] == "GuardRefused"
    assert back["error"]["allowed"] == ["A"]
