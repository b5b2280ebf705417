"""Scenes: several commands in a row, because chance alone seldom leads where they lead.

Each is a rule like those of `Driver`: a function of the driver and of whole numbers that choose. What each of its commands
should answer is predicted by the driver's own rules.
"""

from __future__ import annotations

from collections.abc import Callable

from kernel.engine.entities import Lease
from kernel.testing.driver import SECONDS, Driver
from kernel.testing.inventory import chosen
from kernel.testing.pool import TYPES
from kernel.testing.stores import POLICY
from kernel.testing.world import LATER


def _taken(driver: Driver, name: str) -> list[Lease]:
    """Every lease of a workflow that can be had, polled for where its tasks are ready."""
    for which, _ in enumerate(TYPES):
        ready = driver.ready(which)
        if any(place[0] == name for place in ready):
            driver.poll(which, len(ready) - 1)
    return [lease for lease in driver.held if lease.workflow_id == name]


def stall(driver: Driver, number: int, how: int) -> None:
    """A worker stalls until its lease has run out, others take over, and it comes back: still at work, it says, then done."""
    lease = driver.lease(number)
    if lease is None:
        return
    driver.wait(LATER)
    driver.tick()
    driver.poll(TYPES.index(lease.type), len(driver.ready(TYPES.index(lease.type))))
    driver.heartbeat_one(lease)
    driver.present(lease, how)


def put_off(driver: Driver, number: int, how: int) -> None:
    """A worker hands its task back, and the clocks of the task run out, or not, before anybody else takes it."""
    driver.postpone(number, 0)
    driver.advance(how)
    driver.tick()


def end_below(driver: Driver, number: int, how: int, point: int) -> None:
    """A sub-workflow ends: it is terminated (0), its tasks complete (1), the last of them fails (2).

    The process may be killed before (1) or after (2) the commit that ends it, and somebody has to tell the parent.
    """
    name = chosen(driver.below, number)
    leases = _taken(driver, name) if how else []
    for lease in leases[:-1]:
        driver.complete_one(lease, 0)
    if point:
        driver.crash(point - 1, 0)
    if not leases:
        driver.terminate_one(name)
    elif how == 1:
        driver.complete_one(leases[-1], 0)
    else:
        driver.fail_one(leases[-1], 0, False)


def meddle(driver: Driver, number: int, how: int) -> None:
    """A workflow is paused, and somebody knows nothing of it: resumes what is below it (0), or looks for its work."""
    parents = {driver.workflow(name).parent for name in driver.below}
    running = driver.running
    name = chosen([name for name in running if name in parents] or running, number)
    driver.pause_one(name)
    if how:
        driver.poll(how - 1, 3)
    for child in [child for child in driver.below if child.startswith(f"{name}/")][:how == 0]:
        driver.resume_one(child)


def defer(driver: Driver, number: int, how: int) -> None:
    """While a workflow is PAUSED its tasks in flight end, well or badly; RESUME brings all that was deferred in one commit."""
    name = chosen(driver.running, number)
    leases = _taken(driver, name)
    driver.pause_one(name)
    for place, lease in enumerate(leases):
        if how >> place & 1:
            driver.fail_one(lease, 0, False)
        else:
            driver.complete_one(lease, 0)
    driver.resume_one(name)


def foresee(driver: Driver, number: int) -> None:
    """A signal comes before its task waits for it; then what it waits for is done, and it waits no more."""
    name, no = chosen(driver.early, number)
    driver.signal_one(name, no)
    for lease in _taken(driver, name):
        driver.complete_one(lease, 0)


def outage(driver: Driver, behaviour: int) -> None:
    """A sink goes wrong for as long as a delivery lives."""
    for _ in range(POLICY.sends):
        driver.break_sink(behaviour)
        driver.deliver(0)
        driver.wait(SECONDS[-2])


def put_away(driver: Driver, number: int, how: int) -> None:
    """Everything that waits is delivered, so that a tree that ended may be purged."""
    driver.wait(LATER)
    driver.tick()
    driver.deliver_now(998)
    driver.purge(number, how)


def crash_during(driver: Driver, point: int, command: int, number: int) -> None:
    """The process is killed before (0) or after (1) the commit of a command given at once; a relay, around the sink."""
    calls: tuple[Callable[[], None], ...] = (
        lambda: driver.complete(number), lambda: driver.terminate(number), lambda: driver.fail(number, number % 4),
        lambda: driver.resume(number), lambda: driver.pause(number), lambda: driver.poll(number, 2), driver.tick,
        lambda: driver.deliver(0))
    relaying = command == len(calls) - 1
    driver.crash(point + 2 * relaying, 0)
    calls[command]()
