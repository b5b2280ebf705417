"""Many processes on one server, killed one after the other: in short what `make crowd` does for a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crowd import CREW, SERVERS, crowded, place_on

SHORT = 2.0
"""Seconds."""


@pytest.mark.slow
@pytest.mark.timeout(300)  # ten processes begin, and work, on whatever else the machine leaves them
@pytest.mark.parametrize("kind", SERVERS)
def test_a_crowd_loses_nothing(kind: str, tmp_path: Path) -> None:
    """Eight processes, none special; each is killed, some again and again. In the end no invariant is broken, each history
    replays, all that was acknowledged is there, and one who is left settles every delivery.
    """
    with place_on(kind) as place:
        told = crowded(place, tmp_path, SHORT)
    assert told.killed > len(CREW)
    assert {"START", "POLL", "COMPLETE", "DELIVERED"} <= set(told.notes)
    assert {"PAUSE", "TERMINATE", "RETRY", "RESTART"} & set(told.notes)
