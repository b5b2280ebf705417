"""What there is to act on, as the rows say it."""

from __future__ import annotations

from kernel.testing import scenes
from kernel.testing.driver import Driver
from kernel.testing.inventory import MOST_TREES, chosen
from kernel.testing.pool import POOL
from kernel.testing.stores import MemoryStores

NAMES = [definition.name for definition in POOL]


def test_numbers_choose_round_and_round() -> None:
    """Any whole number is a choice."""
    assert [chosen("abc", number) for number in (0, 1, 2, 3, 23)] == ["a", "b", "c", "a", "c"]


def test_leases_hold_until_the_task_moves_on() -> None:
    """A lease holds, then is stale; those of tasks that another one holds come first."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("leaf"), 0)
    assert [driver.ready(which) for which in (0, 1)] == [[("w1", 0)], [("w1", 1)]]
    driver.poll(1, 0)
    driver.poll(0, 0)
    assert [lease.ref for lease in driver.held] == ["y", "x"]
    driver.complete(0)
    driver.fail(0, 0)
    assert (driver.held, [lease.ref for lease in driver.stale]) == ([], ["y", "x"])
    driver.poll(0, 0)
    assert [(lease.ref, lease.handouts) for lease in driver.stale] == [("x", 1), ("y", 1)]
    assert [(lease.ref, lease.handouts) for lease in driver.held] == [("x", 2)]


def test_what_lives_is_paused_waits_or_is_dead() -> None:
    """Each question is answered by the rows alone."""
    driver = Driver(MemoryStores())
    assert (driver.room, driver.lively, driver.paused, driver.dead, driver.outbox) == (True, False, False, False, False)
    driver.start(NAMES.index("tower"), 0)
    assert (driver.lively, driver.waits) == (True, [("w1", 1)])
    assert driver.workflows() == ["w1", "w1/outer", "w1/outer/middle", "w1/outer/middle/leaf"]
    driver.pause(4)
    assert driver.workflows("PAUSED") == ["w1/outer", "w1/outer/middle", "w1/outer/middle/leaf"]
    assert driver.paused
    assert [driver.one_of(number, "PAUSED") for number in (0, 4, 3)] == ["w1/outer", "w1/outer/middle", "w1"]
    assert driver.one_of(1, "PAUSED", last=True) == "w1/outer/middle/leaf"
    driver.terminate_one("w1")
    assert (driver.lively, driver.paused, driver.waits, driver.outbox) == (False, False, [], True)


def test_a_delivery_is_dead_after_an_outage() -> None:
    """A sink that goes wrong for as long as a delivery lives leaves it DEAD."""
    driver = Driver(MemoryStores())
    driver.start(0, 0)
    driver.terminate_one("w1")
    scenes.outage(driver, 0)
    assert driver.dead


def test_where_no_other_tree_may_start_ended_ones_must_do() -> None:
    """There is room for some trees; when all of them have ended, rules go on with those."""
    driver = Driver(MemoryStores())
    while driver.room:
        assert not driver.lively
        driver.start(0, 0)
        driver.terminate_one(driver.roots[-1])
    assert len(driver.roots) == MOST_TREES
    assert driver.lively
