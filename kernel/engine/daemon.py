"""The daemon: fires timers and drains the outbox for ever, and says at intervals how things stand.

Timers and relay have a thread each, so that a slow sink delays no timer. What others lost is recovered on the way: a tick
expires the leases of workers that are gone, and releases what relays that are gone had claimed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from attrs import define

from kernel.engine.aside import Aside
from kernel.engine.courier import one_line
from kernel.engine.entities import Backlog
from kernel.engine.pulse import HEALING, LONGEST_TROUBLE, Pauses, Pulse
from kernel.engine.relay import Obstacle
from kernel.engine.worker import LONGEST_WAIT, Notice, log
from kernel.errors import InvalidInput, KernelError, quoted

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel


@define
class Served:
    """What a daemon did since it began, and the last error that it met."""

    fired: int = 0
    delivered: int = 0
    released: int = 0
    dead: int = 0
    error: str = ""


class Daemon(Aside):
    """Serves a store: `with Daemon(k): ...`, or `Daemon(k).run()`. Several may serve one store.

    Errors of the store that may heal are told, and waited for with growing pauses; any other ends the daemon with that error.
    """

    def __init__(
        self, kernel: Kernel, *, idle: tuple[float, float] = (0.05, 1.0), health: float = 60.0,
        notice: Callable[[Notice], None] = log, pulse: Pulse | None = None,
    ) -> None:
        """`idle` is the shortest and the longest pause between looks that find nothing, `health` how often it says how things
        stand, in seconds. `notice` is told what happens, from several threads; `pulse` is for tests.
        """
        if not 0 < idle[0] <= idle[1] <= LONGEST_WAIT or not 0 < health <= 24 * LONGEST_WAIT:
            raise InvalidInput("a daemon", why=f"idle={idle!r}, health={health!r} make no sense",
                               hint="the shortest and the longest pause; and seconds, at most a day")
        self.kernel, self.idle, self.interval, self.notice = kernel, idle, health, notice
        self.pulse = pulse or Pulse()
        self.served = Served()
        self.stopping = False
        self._obstacles: tuple[Obstacle, ...] = ()
        super().__init__("kernel daemon")

    # ---- beginning and end
    def stop(self) -> None:
        """Come to an end: what is under way (a pass of the relay, too) is finished."""
        self.stopping = True
        self.pulse.beat()

    def run(self) -> Served:
        """Serve until `stop`. Raises what no waiting heals, from whatever thread."""
        chores = [threading.Thread(target=self._serve, args=given, name=f"kernel {given[0]}", daemon=True)
                  for given in (("tick", self._tick), ("relay", self._relay))]
        for chore in chores:
            chore.start()
        try:
            while not self.stopping:
                seen = self.pulse.count
                self._say()
                self._rest(seen, self.interval)
            self._say()
        finally:
            self.stop()
            for chore in chores:
                chore.join()
        if self._failure is not None:
            raise self._failure
        return self.served

    # ---- what it does
    def _serve(self, name: str, step: Callable[[], int]) -> None:
        """Do a chore for ever: at once again while there is something to do, else after a pause."""
        chance, (least, longest) = self.kernel.chance, self.idle
        idle, troubled = Pauses(chance, least, longest), Pauses(chance, least, max(longest, LONGEST_TROUBLE))
        try:
            while not self.stopping:
                seen = self.pulse.count
                try:
                    done = step()
                except HEALING as error:
                    self._trouble(name, error)
                    self._rest(seen, troubled.next())
                    continue
                troubled.reset()
                if done:
                    idle.reset()
                else:
                    self._rest(seen, idle.next())
        except BaseException as error:  # noqa: BLE001 - the last frame of the thread; `run` raises it
            self._failure = self._failure or error
            self.stop()

    def _tick(self) -> int:
        fired = self.kernel.tick()
        if fired.total:
            self.served.fired += fired.total
            self.notice(Notice("tick", f"tick: {fired.expired} expired, {fired.woken} woken, {fired.timed_out} timed out, "
                                       f"{fired.released} released"))
        return fired.total

    def _relay(self) -> int:
        settled, served = self.kernel.deliver(), self.served
        served.delivered += settled.delivered
        served.released += settled.released
        served.dead += settled.dead
        for outcome in settled.outcomes:
            if outcome.error:
                served.error = f"{outcome.id}: {outcome.error}"
                self.notice(Notice("relay", one_line(f"{outcome.id}: {outcome.state}, {outcome.error}")))
        if settled.outcomes:
            self.notice(Notice("relay", f"relay: {settled.delivered} DELIVERED, {settled.released} to be tried again, "
                                        f"{settled.dead} DEAD"))
        for obstacle in settled.obstacles if settled.obstacles != self._obstacles else ():
            served.error = one_line(f"topic {quoted(obstacle.topic)} takes nothing: {obstacle.why}")
            self.notice(Notice("relay", served.error))
        self._obstacles = settled.obstacles
        return settled.delivered

    def _trouble(self, name: str, error: KernelError) -> None:
        self.served.error = one_line(f"{name}: {type(error).__name__}: {error.why or error.asked}")
        self.notice(Notice("store", f"{self.served.error}; it goes on", error=error))

    def _say(self) -> None:
        """Tell how things stand."""
        try:
            backlog = self.kernel.backlog()
        except HEALING as error:
            self._trouble("health", error)
            return
        self.notice(Notice("health", health(backlog, self.served)))

    def _rest(self, seen: int, seconds: float) -> None:
        """Wait, until somebody stops it."""
        if not self.stopping:
            self.pulse.wait(seen, seconds)


def health(backlog: Backlog, served: Served) -> str:
    """How things stand, in a line: what waits in the store, and what this daemon did."""
    oldest = f", the oldest for {_age(backlog.oldest, backlog.at)}" if backlog.oldest is not None else ""
    error = f"; last error: {served.error}" if served.error else ""
    return (f"health: {backlog.timers:,} timers due; outbox: {backlog.pending:,} PENDING ({backlog.due:,} due{oldest}), "
            f"{backlog.leased:,} LEASED, {backlog.dead:,} DEAD; since the start: {served.fired:,} timers, "
            f"{served.delivered:,} DELIVERED{error}")


def _age(since: datetime, now: datetime) -> str:
    return f"{max(0.0, (now - since).total_seconds()):,.0f} s"
