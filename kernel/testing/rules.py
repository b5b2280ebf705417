"""The rules of the stateful tests as a table: what the seeded campaign and the stateful machine both draw from.

To add a command: a method of `Driver` that gives it and predicts its answer, or a function in `scenes` where it takes
several commands to get somewhere; a row here; a line in `kernel.testing.stateful`. Where the command needs a definition of
another shape to do anything, that goes into `kernel.testing.pool`. The events that the command fires come off the list of
`kernel.testing.taken`, and from then on the suite fails when its runs do not take every row of the tables that has one.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from kernel.testing import scenes
from kernel.testing.driver import FAULTS, POINTS, SECONDS, Driver
from kernel.testing.pool import INPUTS, NESTED, POOL, TYPES

SOME = 24
"""Numbers that choose among workflows, tasks, leases, deliveries."""
Needs = Callable[[Driver], object]


def _always(driver: Driver) -> bool:
    return True


@frozen
class Rule:
    """A command or a fault: how often it is drawn among the others, the number of choices of each argument, what it needs.

    `weight` counts in the campaign; Hypothesis has its own ways to choose.
    """

    act: Callable[..., None]
    weight: int
    choices: tuple[int, ...] = ()
    needs: Needs = _always


START = Rule(Driver.start, 3, (len(POOL), len(INPUTS)), lambda d: d.room)
START_NESTED = Rule(Driver.start_nested, 1, (len(NESTED), len(INPUTS)), lambda d: d.room)
RULES = (
    START,
    START_NESTED,
    Rule(Driver.work, 3, (len(TYPES),), lambda d: d.lively),
    Rule(Driver.complete, 3, (SOME,), lambda d: d.lively),
    Rule(Driver.fail, 4, (SOME, 4), lambda d: d.lively),
    Rule(Driver.postpone, 1, (SOME, 5), lambda d: d.lively),
    Rule(Driver.poll, 4, (len(TYPES), 4), lambda d: d.lively),
    Rule(Driver.heartbeat, 1, (SOME,), lambda d: d.lively),
    Rule(Driver.present_stale, 3, (SOME, 4), lambda d: d.stale),
    Rule(Driver.signal, 3, (SOME,), lambda d: d.waits),
    Rule(Driver.skip, 1, (SOME,), lambda d: d.running),
    Rule(Driver.pause, 2, (SOME,), lambda d: d.lively),
    Rule(Driver.resume, 3, (SOME,), lambda d: d.paused),
    Rule(Driver.terminate, 1, (SOME,), lambda d: d.lively),
    Rule(Driver.retry, 2, (SOME, 2), lambda d: d.over),
    Rule(Driver.restart, 1, (SOME,), lambda d: d.over),
    Rule(Driver.rerun, 2, (SOME, SOME), lambda d: d.over),
    Rule(Driver.purge, 1, (SOME, 2), lambda d: d.over),
    Rule(Driver.tick, 3),
    Rule(Driver.deliver, 3, (3,), lambda d: d.outbox),
    Rule(Driver.redrive, 3, (SOME,), lambda d: d.dead),
    Rule(Driver.again, 2, (SOME, 3), lambda d: d.named or d.lost),
    Rule(Driver.deliver_now, 1, (3,), lambda d: d.outbox),
    Rule(Driver.start_again, 1, (SOME, len(INPUTS)), lambda d: d.dump),
    Rule(Driver.advance, 3, (len(SECONDS),)),
    Rule(Driver.set_clock_back, 1, (len(SECONDS),)),
    Rule(Driver.break_sink, 3, (len(FAULTS),)),
    Rule(Driver.crash, 2, (len(POINTS), 2)),
    Rule(scenes.stall, 2, (SOME, 4), lambda d: d.lively),
    Rule(scenes.put_off, 2, (SOME, len(SECONDS)), lambda d: d.lively),
    Rule(scenes.end_below, 2, (SOME, 3, 3), lambda d: d.below),
    Rule(scenes.meddle, 1, (SOME, 1 + len(TYPES)), lambda d: d.running),
    Rule(scenes.defer, 1, (SOME, 4), lambda d: d.running),
    Rule(scenes.foresee, 2, (SOME,), lambda d: d.early),
    Rule(scenes.outage, 1, (len(FAULTS),), lambda d: d.outbox),
    Rule(scenes.put_away, 2, (SOME, 2), lambda d: d.over),
    Rule(scenes.crash_during, 2, (2, 8, SOME), lambda d: d.lively),
)
