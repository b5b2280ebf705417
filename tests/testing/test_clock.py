"""The clock that tests move."""

from __future__ import annotations

from kernel.testing.clock import ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    """Microseconds since the epoch; on by seconds, back by negative ones; two clocks are apart."""
    clock, other = ManualClock(2.5), ManualClock()
    assert [clock.now(), clock.now()] == [2_500_000, 2_500_000]
    clock.advance(0.25)
    assert clock.now() == 2_750_000
    clock.advance(-2)
    assert clock.now() == 750_000
    assert other.now() == 1_000_000_000_000_000
