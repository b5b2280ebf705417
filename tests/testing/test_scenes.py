"""Scenes: where each of them leads, in the words of the story."""

from __future__ import annotations

import pytest

from kernel.testing import scenes
from kernel.testing.driver import Driver
from kernel.testing.pool import POOL
from kernel.testing.stores import MemoryStores
from kernel.testing.taken import Entry

NAMES = [definition.name for definition in POOL]


def started(name: str) -> Driver:
    """A driver with one tree, of which the story does not tell."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index(name), 0)
    driver.story.clear()
    return driver


def test_a_worker_that_stalls_comes_back_too_late() -> None:
    """Its lease runs out, another worker gets the task, and neither its heartbeat nor its result counts."""
    driver = started("leaf")
    scenes.stall(driver, 0, 1)
    assert driver.story == [
        "poll 'pick', at most 4 -> w1 x (hand-out 1)", "120 seconds later", "tick -> 1 expired",
        "poll 'pick', at most 2 -> w1 x (hand-out 2)", "heartbeat w1 x under hand-out 1 -> fenced",
        "complete w1 x under hand-out 1 -> fenced"]
    assert driver.tally.fired["stale lease presented"] == 2


def test_without_a_lease_nobody_stalls() -> None:
    """Where there is nothing to do there is nothing to fall asleep over."""
    driver = started("rejects")
    driver.terminate_one("w1")
    driver.story.clear()
    scenes.stall(driver, 0, 1)
    assert driver.story == []


def test_what_is_handed_back_may_wait_too_long() -> None:
    """The clocks of the task run on while nobody has it."""
    driver = started("late")
    scenes.put_off(driver, 0, 4)
    assert driver.story[:3] == [
        "poll 'pick', at most 4 -> w1 a (hand-out 1), w1/slow x (hand-out 1)",
        "postpone for 0 seconds w1 a under hand-out 1 -> done", "25 seconds later"]
    assert driver.task("w1", 0).state == "SCHEDULED"
    assert driver.tally.taken[Entry("task", "ALERT SCHEDULED -> SCHEDULED, time left, attempt timed out", "ALERT")] == 1


@pytest.mark.parametrize(("how", "point", "story"), [
    (0, 0, ["terminate w1/leaf -> 2 ended, 4 canceled, 2 to deliver"]),
    (1, 0, ["poll 'pick', at most 2 -> w1 m (hand-out 1), w1/leaf x (hand-out 1)",
            "poll 'pack', at most 1 -> w1/leaf y (hand-out 1)", "complete w1/leaf x under hand-out 1 -> done",
            "complete w1/leaf y under hand-out 1 -> 1 ended, 1 to deliver"]),
    (2, 2, ["poll 'pick', at most 2 -> w1 m (hand-out 1), w1/leaf x (hand-out 1)",
            "poll 'pack', at most 1 -> w1/leaf y (hand-out 1)", "complete w1/leaf x under hand-out 1 -> done",
            "the process will be killed after it has committed",
            "fail for good w1/leaf y under hand-out 1 -> killed at after-commit of FAIL"]),
    (0, 1, ["the process will be killed before it commits", "terminate w1/leaf -> killed at before-commit of TERMINATE"]),
])
def test_a_sub_workflow_ends(how: int, point: int, story: list[str]) -> None:
    """In each of three ways, and with the process killed around the commit."""
    driver = started("middle")
    scenes.end_below(driver, 0, how, point)
    assert driver.story == story
    assert driver.workflow("w1/leaf").state == ("RUNNING" if point == 1 else ("TERMINATED", "COMPLETED", "FAILED")[how])


def test_who_knows_nothing_of_a_pause_gets_nothing() -> None:
    """A sub-workflow of a PAUSED workflow cannot be resumed, and nothing of either is handed out."""
    driver = started("middle")
    scenes.meddle(driver, 0, 0)
    assert driver.story == ["pause w1 -> done", "resume w1/leaf -> refused"]
    driver = started("middle")
    scenes.meddle(driver, 0, 1)
    assert driver.story == ["pause w1 -> done", "poll 'pick', at most 4 -> nothing"]


def test_what_was_deferred_comes_with_resume() -> None:
    """Outcomes of tasks in flight are recorded while their workflow is PAUSED; its end, which comes first, waits for RESUME."""
    driver = started("quiet")
    scenes.defer(driver, 0, 2)
    assert driver.story == [
        "poll 'pick', at most 1 -> w1 a (hand-out 1)", "poll 'pack', at most 1 -> w1 b (hand-out 1)", "pause w1 -> done",
        "complete w1 a under hand-out 1 -> done", "fail for good w1 b under hand-out 1 -> done",
        "resume w1 -> 1 ended, 1 canceled"]
    assert driver.workflow("w1").state == "FAILED"


def test_a_signal_that_comes_early_is_kept() -> None:
    """It closes the task as soon as the task waits for it."""
    driver = started("approval")
    scenes.foresee(driver, 0)
    assert driver.story == [
        "signal w1 ok -> done", "poll 'pick', at most 1 -> w1 a (hand-out 1)", "complete w1 a under hand-out 1 -> done"]
    assert [driver.task("w1", no).state for no in range(3)] == ["COMPLETED", "COMPLETED", "IN_PROGRESS"]
