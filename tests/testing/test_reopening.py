"""The rules that begin the next run of a tree: each knows when it is refused, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.engine.entities import Applied
from kernel.engine.kernel import Kernel
from kernel.testing.driver import Driver
from kernel.testing.pool import POOL
from kernel.testing.stores import MemoryStores
from kernel.testing.story import Violated

NAMES = [definition.name for definition in POOL]


def ended(name: str, kernel: type[Kernel] = Kernel) -> Driver:
    """A driver with one tree that was terminated, of which the story does not tell."""
    driver = Driver(MemoryStores(), kernel=kernel)
    driver.start(NAMES.index(name), 0)
    driver.terminate_one("w1")
    driver.story.clear()
    return driver


def test_a_tree_that_ended_can_be_reopened() -> None:
    """Its next run begins; a live one is refused, and so is a sub-workflow."""
    driver = ended("middle")
    assert driver.over == ["w1"]
    driver.retry(0, 0)
    assert driver.over == []
    driver.retry(0, 1)
    driver.restart(0)
    driver.rerun(0, 0)
    driver.terminate_one("w1")
    driver.restart(7)
    driver.rerun(0, 1)
    assert driver.story == [
        "retry w1 -> done", "retry w1 in place -> refused", "restart w1 -> refused", "rerun w1 from w1 leaf -> refused",
        "terminate w1 -> 2 ended, 4 canceled, 2 to deliver", "restart w1/leaf -> refused", "rerun w1 from w1 m -> done"]
    assert driver.workflow("w1").run == 3
    driver.finish()


def test_what_a_terminate_task_ended_is_not_retried() -> None:
    """It would only end again; nor is anything retried that went well."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("asks-failed"), 0)
    driver.work(0)
    assert driver.workflow("w1").state == "FAILED"
    driver.retry(0, 0)
    assert driver.story[-1] == "retry w1 -> refused"
    driver.start(NAMES.index("leaf"), 0)
    driver.work(0)
    driver.work(1)
    driver.retry(4, 0)
    assert driver.story[-1] == "retry w2 -> refused"
    driver.restart(4)
    assert driver.story[-1] == "restart w2 -> done"


def test_a_task_of_a_past_attempt_cannot_be_chosen() -> None:
    """What belongs to a sub-workflow that was tried again is over."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("again"), 0)
    driver.poll(1, 0)
    driver.fail(0, 3)
    driver.wait(4.0)
    driver.tick()
    assert sorted({name for name, _ in driver.dump["w1"].tasks}) == ["w1", "w1/try", "w1/try~2"]
    driver.terminate_one("w1")
    driver.rerun(0, 2)
    driver.rerun(0, 4)
    assert driver.story[-2:] == ["rerun w1 from w1/try x -> refused", "rerun w1 from w1/try~2 x -> done"]
    driver.finish()


class Twofold(Kernel):
    """Re-opens a tree, and ends and re-opens it once more."""

    def restart(self, workflow_id: str, **options: Any) -> Applied:
        """Restart twice."""
        super().restart(workflow_id)
        self.terminate(workflow_id)
        return super().restart(workflow_id, **options)


def test_a_run_too_many_is_noticed() -> None:
    """The rule knows which run it begins."""
    with pytest.raises(Violated, match="answer: w1 should be in run 2; it is in run 3"):
        ended("leaf", Twofold).restart(0)


class Forgetful(Kernel):
    """Tells of an earlier run what is true of the present one."""

    def get(self, workflow_id: str, *, run: int | None = None) -> Any:
        """The present run, whichever was asked for."""
        return super().get(workflow_id)


def test_an_earlier_run_that_is_told_otherwise_is_noticed() -> None:
    """What ended stays as it ended, and can be read."""
    driver = ended("quiet", Forgetful)
    driver.restart(0)
    for which in (0, 1, 0):
        driver.work(which)
    assert driver.workflow("w1").state == "COMPLETED"
    with pytest.raises(Violated, match="INV-02: w1 ended run 1 as"):
        driver.finish()


def test_a_lease_of_what_stayed_behind_is_stale() -> None:
    """A worker of a sub-workflow that was set aside comes too late, as any other."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("middle"), 0)
    driver.poll(1, 0)
    driver.terminate_one("w1")
    driver.restart(0)
    assert [lease.workflow_id for lease in driver.stale] == ["w1/leaf"]
    driver.story.clear()
    for how in range(4):
        driver.present_stale(0, how)
    assert [line.rpartition(" -> ")[2] for line in driver.story] == ["fenced"] * 4
