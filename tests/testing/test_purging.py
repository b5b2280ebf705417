"""The rule that purges: it knows when it is refused, and notices what should not be left, or should not be gone."""

from __future__ import annotations

from typing import Any

import pytest

from kernel.engine.entities import Applied
from kernel.engine.kernel import Kernel
from kernel.errors import NotFound
from kernel.testing.driver import Driver
from kernel.testing.pool import POOL
from kernel.testing.scenes import put_away
from kernel.testing.stores import MemoryStores
from kernel.testing.story import Violated

NAMES = [definition.name for definition in POOL]


def ended(name: str, kernel: type[Kernel] = Kernel) -> Driver:
    """A driver with one tree that was terminated."""
    driver = Driver(MemoryStores(), kernel=kernel)
    driver.start(NAMES.index(name), 0)
    driver.poll(0, 3)
    driver.terminate_one("w1", 12)
    return driver


def test_a_tree_goes_when_everything_is_delivered() -> None:
    """Not before; then its leases, its named commands and its place are free, and its id is not."""
    driver = ended("middle")
    driver.purge(0, 0)
    assert driver.story[-1] == "purge w1 -> refused"
    assert [lease.workflow_id for lease in driver.leases] == ["w1", "w1/leaf"]
    assert [(each.root, each.text) for each in driver.named] == [("w1", "terminate w1 (command id id2)")]
    put_away(driver, 0, 0)
    assert driver.story[-1] == "purge w1 -> done"
    assert (driver.dump, driver.leases, driver.named, driver.purged) == ({}, [], [], {"w1"})
    assert driver.room
    driver.start(0, 0)
    assert list(driver.dump) == ["w2"]
    driver.finish()


def test_every_run_has_to_be_archived() -> None:
    """Also that of an earlier run; and what lives or hangs below another workflow is refused."""
    driver = ended("middle")
    driver.restart(0)
    driver.purge(0, 0)
    driver.purge(7, 0)
    assert driver.story[-2:] == ["purge w1 -> refused", "purge w1/leaf -> refused"]
    driver.terminate_one("w1")
    driver.deliver(1)
    driver.purge(0, 0)
    assert driver.story[-1] == "purge w1 -> refused"
    put_away(driver, 0, 0)
    assert driver.purged == {"w1"}
    driver.finish()


@pytest.mark.parametrize("name", ["quiet", "approval"])
def test_what_is_not_archived_goes_when_it_is_said(name: str) -> None:
    """Its policy asks for no archive: refused, unless the caller says that this is meant; then nobody tells of it."""
    driver = ended(name)
    put_away(driver, 0, 0)
    put_away(driver, 0, 1)
    assert [line for line in driver.story if line.startswith("purge")] == [
        "purge w1 -> refused", "purge w1 although unarchived -> done"]
    driver.finish()


@pytest.mark.parametrize("point", [0, 1])
def test_a_purge_that_is_cut_off(point: int) -> None:
    """Killed before the commit, everything is there; killed after it, nothing is, and a repetition gives the outcome."""
    driver = ended("middle")
    driver.deliver_now(99)
    driver.crash(point, 0)
    driver.purge(12, 0)
    assert list(driver.dump) == ["w1"] * (point == 0)
    assert [(each.text.split(" (")[0], each.applied) for each in driver.named][-1] == ("purge w1", point == 1)
    driver.ask(len(driver.named) - 1)
    driver.repeat(len(driver.repeatable) - 1)
    driver.finish()


class Lazy(Kernel):
    """Says that it purged, and did not."""

    def purge(self, workflow_id: str, *, unarchived: bool = False, **options: Any) -> Applied:
        """Nothing."""
        return Applied(command_id="x", version=1)


class Bold(Kernel):
    """Purges what nobody said was meant."""

    def purge(self, workflow_id: str, *, unarchived: bool = False, **options: Any) -> Applied:
        """Purge it anyway."""
        return super().purge(workflow_id, unarchived=True, **options)


class Rough(Kernel):
    """Ends and purges what it should only terminate."""

    def terminate(self, workflow_id: str, **options: Any) -> Applied:
        """Terminate and purge."""
        applied = super().terminate(workflow_id, **options)
        self.deliver(limit=99)
        super().purge(workflow_id, unarchived=True)
        return applied


class Silent(Kernel):
    """Tells nothing of what was purged."""

    def get(self, workflow_id: str, *, run: int | None = None) -> Any:
        """What is there."""
        workflow = super().get(workflow_id, run=run)
        if workflow.purged is not None:
            raise NotFound("it", why="it is not there")
        return workflow


class Boastful(Kernel):
    """Tells of what was purged as if it were there."""

    def get(self, workflow_id: str, *, run: int | None = None) -> Any:
        """What was there."""
        workflow = super().get(workflow_id, run=run)
        return workflow if workflow.purged is None else self._faked(workflow)

    def _faked(self, workflow: Any) -> Any:
        workflow = type(workflow)(**{name: getattr(workflow, name) for name in type(workflow).__slots__ if name[0] != "_"})
        object.__setattr__(workflow, "purged", None)
        return workflow


@pytest.mark.parametrize(("name", "kernel", "how", "found"), [
    ("middle", Lazy, 0, "INV-05: another purge of w1, was accepted"),
    ("quiet", Bold, 0, "INV-05: the tree w1 is gone"),
    ("middle", Silent, 0, "INV-05: w1 was purged, and nobody tells"),
    ("middle", Boastful, 0, "INV-05: w1 was purged after it had ended run 1 as TERMINATED; it is told as"),
])
def test_a_wrong_purge_is_noticed(name: str, kernel: type[Kernel], how: int, found: str) -> None:
    """By the rule itself."""
    driver = ended(name, kernel)
    with pytest.raises(Violated, match=found):
        put_away(driver, 0, how)


def test_a_tree_that_goes_by_itself_is_noticed() -> None:
    """Only a purge takes rows away."""
    with pytest.raises(Violated, match="INV-05: the tree w1 is gone"):
        ended("quiet", Rough)
