"""What the clock gives: retries that are due, expired leases and poll time-outs, workflow time-outs, relays that vanished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from kernel.engine.outcomes import forget
from kernel.engine.ports import Timer
from kernel.errors import NotFound, Refused

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

BATCH = 500


@frozen
class Ticked:
    """How many timers fired: tasks that expired, tasks that were woken, workflows that timed out, deliveries released.

    And how many records of commands had lived long enough, and were removed.
    """

    expired: int = 0
    woken: int = 0
    timed_out: int = 0
    released: int = 0
    forgotten: int = 0

    @property
    def total(self) -> int:
        """All timers."""
        return self.expired + self.woken + self.timed_out + self.released


def tick(kernel: Kernel, limit: int) -> Ticked:
    """Fire what is due, earliest first, batch by batch, each in its own commit, until nothing is or the limit is reached."""
    fired = {"EXPIRE": 0, "ELAPSE": 0, "WAKE": 0, "TIME_OUT": 0, "RELEASE": 0}
    while (left := limit - sum(fired.values())) > 0:
        with kernel.store.transaction(write=False) as transaction:
            timers = transaction.timers(kernel.clock.now(), min(left, BATCH))
        done = 0
        for timer in timers:
            if fire(kernel, timer):
                fired[timer.command] += 1
                done += 1
        if not done or len(timers) < BATCH:
            break
    return Ticked(fired["EXPIRE"], fired["WAKE"] + fired["ELAPSE"], fired["TIME_OUT"], fired["RELEASE"], forget(kernel, limit))


INSTEAD = {"EXPIRE": ("ALERT", "OVERRUN"), "TIME_OUT": ("OVERDUE",), "RELEASE": ("BURY",)}
"""What is given where the first is refused: what is late is only recorded, a sub-workflow ends when the time of its task is
over, a delivery without attempts is dead."""


def fire(kernel: Kernel, timer: Timer) -> bool:
    """Give one command of the clock. Somebody may have been faster, or have purged it: then it is refused, and rightly so."""
    lost = {"claims": -1, "error": "the relay that held it did not come back", "delay": 0}
    reasons = {"EXPIRE": "its time ran out", "ELAPSE": "its wait is over", "TIME_OUT": "its deadline passed"}
    for name in (timer.command, *INSTEAD.get(timer.command, ())):
        try:
            kernel.commit(kernel.command(
                name, timer.subject, given=lost if timer.command == "RELEASE" else None,
                reason=reasons.get(timer.command, ""), actor="clock"))
        except (Refused, NotFound):
            continue
        return True
    return False
