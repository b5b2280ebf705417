"""The story of a run that broke a promise: numbered, bounded, and in words."""

from __future__ import annotations

from datetime import UTC, datetime

from kernel.engine.entities import Applied, Lease
from kernel.engine.relay import Outcome, Settled
from kernel.engine.timers import Ticked
from kernel.testing.story import SHOWN, Violated, in_words


def test_a_story_is_numbered() -> None:
    """First what is wrong, then what happened; a long list of problems is cut."""
    violated = Violated(["INV-01: one"], ["start", "terminate"], 3)
    assert str(violated) == (
        "a promise was broken in step 2:\n  INV-01: one\nwhat happened:\n    1. start\n    2. terminate")
    assert (violated.kind, violated.open_under_terminated) == ("INV-01", 3)
    long = Violated([f"INV-09: {number}" for number in range(SHOWN + 2)], ["start"], 0)
    assert f"INV-09: {SHOWN - 1}\n  ... and 2 more\nwhat happened:" in str(long)


def test_results_in_words() -> None:
    """Each kind of result says what was done, and that nothing was."""
    lease = Lease("w", "x", "pick", 1, 1, 2, "w1", datetime(2001, 9, 9, tzinfo=UTC), {}, 0)
    outcomes = (Outcome("w#1:archive", "DELIVERED"), Outcome("v#1:archive", "PENDING", error="OSError: x"))
    assert in_words(Applied("c", 1, ended=1, canceled=2, deliveries=3)) == "1 ended, 2 canceled, 3 to deliver"
    assert in_words(Applied("c", 1)) == "done"
    assert in_words(Applied("c", 1, no_op=True, why="it is already PAUSED")) == "it is already PAUSED"
    assert in_words([lease]) == "w x (hand-out 2)"
    assert in_words([]) == "nothing"
    assert in_words(lease) == "held"
    assert in_words(Settled(outcomes)) == "w#1:archive DELIVERED, v#1:archive PENDING (OSError: x)"
    assert in_words(Settled()) == in_words(Ticked()) == "nothing due"
    assert in_words(Ticked(10, 0, 1, 0)) == "10 expired, 1 timed out"
