"""Measuring in one run: short slices of every subject, one after the other, many times; ratios slice by slice.

The speed of a machine drifts by half within seconds, so that times of different moments do not compare. A ratio within one
slice of a few milliseconds does; its median over many slices, and its spread, are what is printed.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping

from attrs import frozen

Clock = Callable[[], float]
SLICES = 61
SLICE = 0.004
"""Seconds that one subject runs before the next one's turn."""


@frozen
class Ratio:
    """A rate as a multiple of the yardstick's: the median of the slices, and where the middle eight tenths of them lie."""

    median: float
    low: float
    high: float
    microseconds: float
    """The median time of one call, for orientation only."""

    def __str__(self) -> str:
        return f"{self.median:7.2f}  ({self.low:.2f} to {self.high:.2f})  {self.microseconds:9.2f} us"


def calls_in(subject: Callable[[], object], seconds: float, clock: Clock) -> int:
    """How many calls fill about so many seconds."""
    calls = 1
    while True:
        taken = timed(subject, calls, clock)
        if taken >= seconds / 4:
            return max(1, round(calls * seconds / taken))
        calls *= 4


def timed(subject: Callable[[], object], calls: int, clock: Clock) -> float:
    """The seconds that so many calls take."""
    turns = range(calls)
    begun = clock()
    for _ in turns:
        subject()
    return clock() - begun


def ratios(
    yardstick: str, subjects: Mapping[str, Callable[[], object]], *, slices: int = SLICES, clock: Clock = time.perf_counter
) -> dict[str, Ratio]:
    """The rate of every subject against the yardstick's, which is one of them.

    What only computes is measured on the clock of its own thread, so that other programs take nothing from it.
    """
    calls = {name: calls_in(subject, SLICE, clock) for name, subject in subjects.items()}
    taken: dict[str, list[float]] = {name: [] for name in subjects}
    names = list(subjects)
    gc.collect()
    gc.disable()
    try:
        for turn in range(slices):
            for name in names[turn % len(names):] + names[: turn % len(names)]:
                taken[name].append(timed(subjects[name], calls[name], clock) / calls[name])
    finally:
        gc.enable()
    found = {}
    for name, times in taken.items():
        each = sorted(base / own for base, own in zip(taken[yardstick], times, strict=True))
        tenth = len(each) // 10
        found[name] = Ratio(statistics.median(each), each[tenth], each[-1 - tenth], statistics.median(times) * 1e6)
    return found


def show(title: str, measured: Mapping[str, Ratio]) -> str:
    """A table of ratios, line by line."""
    width = max(map(len, measured))
    return "\n".join((title, *(f"  {name:<{width}}  {ratio}" for name, ratio in measured.items()), ""))
