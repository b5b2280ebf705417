"""Waiting: a beat wakes those who wait, and pauses grow within their bounds."""

from __future__ import annotations

import random

from kernel.engine.pulse import Pauses, Pulse


def test_pulse_wakes_those_who_wait() -> None:
    """A beat that came before the wait counts; without one the wait ends by itself."""
    pulse = Pulse()
    seen = pulse.count
    pulse.beat()
    assert pulse.wait(seen, 60.0) == seen + 1
    assert pulse.wait(seen + 1, 0.001) == seen + 1
    assert pulse.now() <= pulse.now()


def test_pauses_grow_up_to_the_longest() -> None:
    """Each is between half and all of twice the one before, at most the longest; reset begins anew."""
    pauses = Pauses(random.Random(1), 1.0, 6.0)
    wholes = (1.0, 2.0, 4.0, 6.0, 6.0)
    for _ in range(2):
        found = [pauses.next() for _ in wholes]
        assert all(whole / 2 <= pause <= whole for pause, whole in zip(found, wholes, strict=True))
        assert len({*found}) == len(found)
        pauses.reset()
