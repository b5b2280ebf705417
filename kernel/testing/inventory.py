"""What there is to act on: the workflows, tasks, leases and deliveries of a run, as its checks saw them last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from kernel.core.definitions import Mode, TaskDef
from kernel.core.records import root_of
from kernel.engine.entities import Lease
from kernel.testing.checks import LIVE, OPEN
from kernel.testing.dump import TaskFacts, WorkflowFacts
from kernel.testing.pool import TYPES
from kernel.testing.world import World

MOST_TREES = 6
"""Trees of one run."""
T = TypeVar("T")


def chosen(items: Sequence[T], number: int) -> T:
    """One of the items."""
    return items[number % len(items)]


class Inventory(World):
    """A world with answers to the question what could be done in it now."""

    def workflows(self, *states: str) -> list[str]:
        """The workflows of all trees; only those in these states, when some are named."""
        return [i for tree in self.dump.values() for i, w in tree.workflows.items() if not states or w.state in states]

    def workflow(self, name: str) -> WorkflowFacts:
        """One workflow as it stands."""
        return self.dump[root_of(name)].workflows[name]

    def task(self, name: str, no: int) -> TaskFacts:
        """One task as it stands."""
        return self.dump[root_of(name)].tasks[name, no]

    def task_def(self, name: str, no: int) -> TaskDef:
        """How a task was defined."""
        return self.definitions[name].source.tasks[no]

    def holds(self, lease: Lease) -> bool:
        """Whether a lease is the one that is stored: of this run, and handed out last."""
        tree = self.dump[root_of(lease.workflow_id)]
        task = tree.tasks.get((lease.workflow_id, lease.position))
        return (task is not None and task.state == "IN_PROGRESS" and task.handouts == lease.handouts
                and tree.workflows[lease.workflow_id].run == lease.run)

    @property
    def room(self) -> bool:
        """Whether another tree may start."""
        return len(self.dump) < MOST_TREES

    @property
    def lively(self) -> bool:
        """Whether something lives, or nothing more can."""
        return bool(self.dump) and (not self.room or any(self.workflow(root).state in LIVE for root in self.dump))

    @property
    def running(self) -> list[str]:
        """The workflows that are RUNNING."""
        return self.workflows("RUNNING")

    @property
    def below(self) -> list[str]:
        """The sub-workflows that live."""
        return [name for name in self.workflows(*LIVE) if self.workflow(name).parent]

    @property
    def paused(self) -> bool:
        """Whether something is PAUSED."""
        return any(facts.state == "PAUSED" for tree in self.dump.values() for facts in tree.workflows.values())

    @property
    def dead(self) -> bool:
        """Whether a delivery is DEAD."""
        return any(facts.state == "DEAD" for tree in self.dump.values() for facts in tree.deliveries.values())

    @property
    def waits(self) -> list[tuple[str, int]]:
        """The tasks that wait for a signal, or will: workflow and position."""
        return [place for tree in self.dump.values() for place, task in tree.tasks.items()
                if task.state in OPEN and self.task_def(*place).mode is Mode.WAIT]

    @property
    def early(self) -> list[tuple[str, int]]:
        """Those of them that a signal would find too early."""
        return [place for place in self.waits if self.task(*place).state != "IN_PROGRESS"]

    @property
    def held(self) -> list[Lease]:
        """The leases that hold."""
        return [lease for lease in self.leases if self.holds(lease)]

    @property
    def stale(self) -> list[Lease]:
        """The leases that hold no more, first those of tasks that another one holds."""
        stale = [lease for lease in self.leases if not self.holds(lease)]
        return sorted(stale, key=lambda lease: not self.taken_over(lease))

    def taken_over(self, lease: Lease) -> bool:
        """Whether the task of a lease that holds no more is under way under another one."""
        task = self.dump[root_of(lease.workflow_id)].tasks.get((lease.workflow_id, lease.position))
        return task is not None and task.state == "IN_PROGRESS"

    def one_of(self, number: int, *states: str, last: bool = False) -> str:
        """A workflow in one of these states, if there is one; every fourth number chooses among all. `last`: from the end."""
        names = (number % 4 != 3 and self.workflows(*states)) or self.workflows()
        return chosen(names[::-1] if last else names, number // 4)

    def ready(self, which: int) -> list[tuple[str, int]]:
        """The tasks that could be handed out now to workers of a type."""
        kind, clock = chosen(TYPES, which), self.clock.now()
        return [(name, no) for tree in self.dump.values() for (name, no), task in tree.tasks.items()
                if task.state == "SCHEDULED" and task.not_before <= max(clock, tree.clock)
                and tree.workflows[name].state == "RUNNING" and self.task_def(name, no).mode is Mode.WORKER
                and self.task_def(name, no).type == kind]
