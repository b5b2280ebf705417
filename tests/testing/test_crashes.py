"""Crashes of a process: where they were armed, once, and counted."""

from __future__ import annotations

import pytest

from kernel.engine.faults import FaultPoint
from kernel.testing.crashes import Crashes, ProcessCrash

BEFORE, AFTER = FaultPoint.BEFORE_COMMIT, FaultPoint.AFTER_COMMIT


def test_nothing_happens_unless_it_is_armed() -> None:
    """A hook that is not armed, or not any more, lets everything pass and calls nobody."""
    crashes, commits = Crashes(), list[str]()
    crashes.on_commit = lambda: commits.append("commit")
    for point in FaultPoint:
        crashes(point, "PAUSE")
    crashes.arm(BEFORE)
    crashes.disarm()
    for point in FaultPoint:
        crashes(point, "PAUSE")
    assert not crashes.fired
    assert commits == []


def test_it_crashes_where_it_is_armed_once() -> None:
    """The crash happens at its point, after the passes that it was given, names point and command, and is over."""
    crashes = Crashes()
    crashes.arm(AFTER, passes=1)
    crashes(AFTER, "START")
    crashes(BEFORE, "PAUSE")
    with pytest.raises(ProcessCrash, match="killed at after-commit of PAUSE") as crash:
        crashes(AFTER, "PAUSE")
    assert (crash.value.point, crash.value.command) == (AFTER, "PAUSE")
    assert not isinstance(crash.value, Exception), "nothing in the kernel may catch it by accident"
    crashes(AFTER, "PAUSE")
    assert crashes.fired == {(AFTER, "PAUSE"): 1}


def test_every_commit_is_told_before_the_crash() -> None:
    """While it is armed, each commit is told, that of the crash too: what was committed then is what must be found."""
    crashes, commits = Crashes(), list[int]()
    crashes.on_commit = lambda: commits.append(crashes.passes)
    crashes.arm(AFTER, passes=1)
    crashes(AFTER, "START")
    with pytest.raises(ProcessCrash):
        crashes(AFTER, "PAUSE")
    assert len(commits) == 2
