"""The rules of the stateful tests: each runs with any numbers, and each notices a kernel that answers or acts wrongly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import attrs
import pytest

from kernel.core.plan import Command
from kernel.engine.entities import Applied, Lease, NotApplied
from kernel.engine.kernel import Kernel, Options
from kernel.engine.outcomes import Outcome
from kernel.engine.sinks import Parcel
from kernel.engine.timers import Ticked
from kernel.stores.memory import MemoryStore
from kernel.testing import scenes
from kernel.testing.driver import Driver
from kernel.testing.pool import POOL
from kernel.testing.rules import RULES, Rule
from kernel.testing.stores import MemoryStores
from kernel.testing.story import Violated

NAMES = [definition.name for definition in POOL]


Moves = tuple[Callable[[Driver], None], ...]
FORK: Moves = (lambda d: d.start(NAMES.index("fork"), 0),)
WAIT: Moves = (lambda d: d.start(NAMES.index("approval"), 0),)
POLL: Moves = (lambda d: d.poll(0, 3),)


def moved(driver: Driver, moves: Moves) -> None:
    """Make the moves."""
    for move in moves:
        move(driver)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.act.__name__)
@pytest.mark.parametrize("definition", NAMES)
def test_every_rule_runs_anywhere(definition: str, rule: Rule) -> None:
    """On a tree of every definition, with the smallest and the largest numbers, before and after its end."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index(definition), 0)
    stages: tuple[Moves, ...] = (
        (), (*POLL, lambda d: d.pause(0)), (lambda d: d.terminate_one("w1", 12), lambda d: d.deliver(0)))
    for stage in stages:
        moved(driver, stage)
        for numbers in (tuple(0 for _ in rule.choices), tuple(count - 1 for count in rule.choices)):
            if rule.needs(driver):
                rule.act(driver, *numbers)
    driver.finish()


def test_a_lease_may_be_of_a_task_that_is_gone() -> None:
    """What was spawned in one run is not in the next, and whoever fails it there is fenced."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("leaf"), 0)
    moved(driver, POLL)
    lease = driver.lease(0)
    assert lease is not None
    driver.complete_one(lease, 7)
    moved(driver, POLL)
    spawned = driver.lease(0)
    assert spawned is not None
    assert (spawned.ref, spawned.position) == ("more2", 2)
    driver.terminate_one("w1")
    driver.restart(0)
    assert len(driver.definitions["w1"].source.tasks) == 2
    driver.fail_one(spawned, 0, retryable=True)
    assert driver.story[-1].endswith("-> fenced")


class Forgetful(Kernel):
    """Knows no command again."""

    def commit(self, command: Command) -> Applied:
        """Commit it as if it had no id."""
        return super().commit(attrs.evolve(command, request=""))


class Stingy(Kernel):
    """Hands out one task at a time, however many are asked for."""

    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """Poll for one."""
        return super().poll(type, worker=worker, limit=1, **options)


class Careless(Kernel):
    """Gives leases of another hand-out than the one that is stored."""

    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """Poll, and mix up the tokens."""
        leases = super().poll(type, worker=worker, limit=limit, **options)
        return [attrs.evolve(lease, handouts=lease.handouts + 1) for lease in leases]


class Sluggish(Kernel):
    """Fires one timer at a time."""

    def tick(self, *, limit: int = 10_000) -> Ticked:
        """Tick once."""
        return super().tick(limit=1)


class Deaf(Kernel):
    """Takes a signal for done, and forgets it."""

    def signal(self, workflow_id: str, task: str, *, output: Any = None, **options: Any) -> Applied:
        """Nothing."""
        return Applied("c", 1)


class Lenient(Kernel):
    """Tells an outcome and does not keep to it: what it found absent may come later."""

    def outcome(self, command_id: str, *, workflow_id: str | None = None) -> Outcome:
        """Look, and take back what was written."""
        found = super().outcome(command_id, workflow_id=workflow_id)
        if isinstance(found, NotApplied) and isinstance(self.store, MemoryStore):
            del self.store.records[workflow_id or "", command_id]
        return found


class Ignorant(Kernel):
    """Knows of nothing what came of it."""

    def outcome(self, command_id: str, *, workflow_id: str | None = None) -> Outcome:
        """Nothing came of it."""
        return NotApplied(command_id)


class Wasteful(Kernel):
    """Hands out other work when a poll is repeated."""

    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """Poll as if it were the first time."""
        return super().poll(type, worker=worker, limit=1)


def killed(driver: Driver, point: int, *moves: Callable[[Driver], None]) -> None:
    """Make moves in the first of which the process is killed, before (0) or after (1) its commit."""
    driver.crash(point, 0)
    moved(driver, moves)


WRONG: list[tuple[type[Kernel], Moves, str]] = [
    (Forgetful, (*FORK, lambda d: d.terminate(12), lambda d: d.repeat(0)),
     "answer: it should have been applied, and was no-op"),
    (Forgetful, (*FORK, lambda d: d.pause(12), lambda d: d.resume(0), lambda d: d.repeat(0)),
     "answer: a repeated command changed something"),
    (Stingy, (*FORK, *POLL), "answer: 1 tasks were handed out; 2 were ready, 4 were asked for"),
    (Careless, (*FORK, *POLL), "INV-06: w1 a was handed out under the token (1, 2)"),
    (Sluggish, (*FORK, *POLL, lambda d: scenes.stall(d, 0, 0)), "answer: a second tick at the same time found something to do"),
    (Lenient, (*FORK, lambda d: killed(d, 0, lambda d: d.pause(12)), lambda d: d.ask(0), lambda d: d.repeat(0)),
     "answer: it should have been refused, and was applied"),
    (Ignorant, (*FORK, lambda d: killed(d, 1, lambda d: d.pause(12)), lambda d: d.ask(0)),
     "answer: it was applied; the outcome that is told is []"),
    (Ignorant, (*FORK, lambda d: d.pause(12), lambda d: d.ask(0)), "answer: it was applied; the outcome that is told is []"),
    (Wasteful, (*FORK, *FORK, lambda d: killed(d, 1, lambda d: d.poll(0, 2)), lambda d: d.poll_again(0)),
     "answer: a repeated poll changed something"),
    (Deaf, (*WAIT, lambda d: d.signal(1)), "answer: w1 now was signalled and is IN_PROGRESS"),
]


@pytest.mark.parametrize(("kernel", "moves", "problem"), WRONG, ids=[f"{e[0].__name__}: {e[2][:40]}" for e in WRONG])
def test_a_wrong_kernel_is_noticed(kernel: type[Kernel], moves: Moves, problem: str) -> None:
    """The rules are silent on the kernel, and name what a wrong one does."""
    moved(Driver(MemoryStores()), moves)
    with pytest.raises(Violated) as violated:
        moved(Driver(MemoryStores(), kernel=kernel), moves)
    assert any(found.startswith(problem) for found in violated.value.problems), violated.value.problems


class Meddling(Driver):
    """A world whose mail gives commands."""

    def _read_mail(self, parcel: Parcel) -> str:
        self.patient.pause("w2")
        return "mail"


def test_a_delivery_that_touches_a_workflow_is_noticed() -> None:
    """INV-12: a pass of the relay that changes a workflow or a task, here by a sink that gives commands."""
    driver = Meddling(MemoryStores())
    driver.start(NAMES.index("approval"), 0)
    driver.start(NAMES.index("leaf"), 0)
    driver.terminate_one("w1")
    with pytest.raises(Violated, match="INV-12: a delivery touched a workflow"):
        driver.deliver(0)


def test_a_sink_that_works_must_deliver() -> None:
    """INV-14: a failure without a planned fault is none of the test's making."""
    driver = Driver(MemoryStores())
    driver.start(NAMES.index("leaf"), 0)
    driver.terminate(0)
    driver.archive.documents["w1", 1] = b"another document"
    driver.documents.add(("w1", 1))
    with pytest.raises(Violated, match="INV-14: w1#1:archive was not DELIVERED by a sink that works: FileExistsError"):
        driver.deliver(0)
