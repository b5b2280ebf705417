"""Which rows of the tables a run takes."""

from __future__ import annotations

from collections import Counter

import attrs

from kernel.spec import SPEC
from kernel.testing import scenes
from kernel.testing.campaign import run_campaign
from kernel.testing.driver import Driver
from kernel.testing.pool import POOL
from kernel.testing.stores import MemoryStores
from kernel.testing.taken import UNREACHED, entries, report, unfired

NAMES = [definition.name for definition in POOL]


def taken(driver: Driver) -> dict[str, int]:
    """What a driver took, in words."""
    return {f"{entry.table} {entry.says}": count for entry, count in driver.tally.taken.items()}


def test_every_row_of_every_table_is_an_entry() -> None:
    """Each row in each of its states once, each rule, each part of an entering; no two look alike."""
    every = entries()
    assert len(set(every)) == len(every)
    counts = Counter(entry.table for entry in every)
    for kind, table in SPEC.tables.items():
        assert counts[kind] == sum(len(row.source) for row in table.rows)
    assert counts["progress"] == len(SPEC.progress)
    assert counts["entering"] == sum(len(e.states) * (len(e.cascade) + len(e.emit)) for e in SPEC.on_enter)


def test_rows_of_one_place_are_told_apart() -> None:
    """Where rows differ in nothing but their guards, these are named."""
    says = [entry.says for entry in entries() if entry.says.startswith(("START ", "ALERT SCHEDULED"))]
    assert says == ["START ABSENT -> RUNNING, root", "START ABSENT -> RUNNING, child",
                    "ALERT SCHEDULED -> SCHEDULED, no time left",
                    "ALERT SCHEDULED -> SCHEDULED, time left, attempt timed out",
                    "ALERT SCHEDULED -> SCHEDULED, time left, attempt in time"]


def test_every_event_is_fired() -> None:
    """No table has rows of an event that nothing fires."""
    assert unfired() == set()
    assert set(UNREACHED) <= set(entries()), "a row that is gone needs no excuse"
    without = attrs.evolve(SPEC, commands=tuple(step for step in SPEC.commands if step.name != "REDRIVE"))
    assert unfired(without) == {"REDRIVE"}


def test_what_is_done_is_counted() -> None:
    """Rows by the history, rules, what an ending brought about; a cascade that found nothing was not taken."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("middle"), 0)
    assert taken(driver) == {
        "workflow START ABSENT -> RUNNING, root": 1, "workflow START ABSENT -> RUNNING, child": 1,
        "task CREATE ABSENT -> PENDING": 2, "task SCHEDULE PENDING -> SCHEDULED": 4, "task LAUNCH SCHEDULED -> IN_PROGRESS": 1,
        "progress SCHEDULE": 4, "progress LAUNCH_CHILD": 1}
    driver.tally.taken.clear()
    driver.terminate_one("w1")
    assert taken(driver) == {
        "workflow TERMINATE RUNNING -> TERMINATED": 2, "task CANCEL SCHEDULED -> CANCELED": 2,
        "task CANCEL IN_PROGRESS -> CANCELED": 1, "delivery CREATE ABSENT -> PENDING": 2,
        "entering workflow TERMINATED: TERMINATE subs": 1, "entering workflow TERMINATED: CANCEL all_tasks": 2,
        "entering workflow TERMINATED: CREATE outbox": 2}


def test_what_changes_no_state_is_counted() -> None:
    """A heartbeat, and the shift of what a pause held up, stand in no history."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("clocks"), 0)
    driver.poll(0, 0)
    driver.advance(0)
    driver.tally.taken.clear()
    driver.heartbeat(0)
    assert taken(driver) == {"task HEARTBEAT IN_PROGRESS -> IN_PROGRESS": 1}
    driver.pause_one("w1")
    driver.advance(0)
    driver.tally.taken.clear()
    driver.resume_one("w1")
    assert taken(driver)["task SHIFT SCHEDULED -> SCHEDULED"] >= 2


def test_a_delivery_that_waits_is_counted() -> None:
    """The relay lets it wait for the window of its topic, and no history tells."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("nightly"), 0)
    driver.terminate_one("w1")
    driver.clock.advance(3600.0)
    driver.tally.taken.clear()
    driver.deliver(0)
    assert taken(driver)["delivery DEFER PENDING -> PENDING"] == 1


def test_guards_tell_which_row_it_was() -> None:
    """What is late is told of by three rows, by the clock that ran out: that to be polled, here."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("clocks"), 0)
    driver.advance(4)
    driver.tick()
    assert taken(driver)["task ALERT SCHEDULED -> SCHEDULED, time left, attempt in time"] == 1
    assert not any("timed out" in name for name in taken(driver) if name.startswith("task ALERT"))


def test_the_report_has_an_excuse_or_a_number() -> None:
    """Every entry of the tables stands in the report with its number; what was not taken and should be is to be seen."""
    found = {row.entry: row for row in report(run_campaign(300, 1).taken)}
    assert list(found) == entries()
    for entry in UNREACHED:
        assert found[entry] == (entry, 0, UNREACHED[entry])
    assert not any(row.times for row in found.values() if row.excuse)
    assert any(not row.times and not row.excuse for row in found.values()), "so short a run cannot take everything"


def test_a_signal_that_comes_early_is_taken_later() -> None:
    """The rule that ends what was signalled before it waited."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("approval"), 0)
    scenes.foresee(driver, 0)
    assert taken(driver)["progress SIGNALLED"] == 1
