"""A state of the model as rows of a real store, through the store's own port, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from attrs import define, evolve

from kernel.core.plan import Command, Plan, Reopened, Subject
from kernel.core.records import OWN, Change, Payload, Policy, Prepared, TaskRow, TreeRow, WorkflowRow
from kernel.engine.ports import HistoryRecord, Store
from kernel.formal.explore import NOW
from kernel.formal.shape import Shape, State
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore
from tests.model.bridge import VERSION, Bridge
from tests.model.world import World

ROOT = "w"
ALL, HOUR = 1_000_000, 3_600_000_000


# ---- stores -----------------------------------------------------------------------------------------------------------------
class Shelf(Protocol):
    """A kind of store that can be emptied, and given definitions with clocks that no author can write."""

    name: str

    def open(self, policy: Policy, prepared: Sequence[Prepared]) -> Store:
        """A new store that knows these definitions, each as it is given."""

    def clear(self, store: Store) -> None:
        """Take away everything but the definitions."""


class MemoryShelf:
    """The memory store."""

    name = "memory"

    def open(self, policy: Policy, prepared: Sequence[Prepared]) -> Store:
        """A new store that knows these definitions."""
        store = MemoryStore(policy=policy)
        store.definitions.update({(one.definition.source.name, 1): one for one in prepared})
        return store

    def clear(self, store: Store) -> None:
        """Empty its dictionaries."""
        assert isinstance(store, MemoryStore)
        for key in [*store.trees, *store.lines]:
            for table, place in store.belongings(key):
                table.pop(place, None)
        store.tombstones.clear()


CLEAR = """
BEGIN IMMEDIATE;
DELETE FROM delivery; DELETE FROM payload; DELETE FROM task; DELETE FROM workflow; DELETE FROM late; DELETE FROM history;
DELETE FROM command; DELETE FROM tree; DELETE FROM tombstone;
COMMIT;
"""


@define
class SqliteShelf:
    """SQLite files in one folder."""

    folder: str
    made: int = 0
    name: str = "sqlite"

    def open(self, policy: Policy, prepared: Sequence[Prepared]) -> Store:
        """A new file that knows these definitions."""
        self.made += 1
        store = SqliteStore(f"{self.folder}/conformance{self.made}.db", policy=policy)
        with store.transaction(write=True) as transaction:
            for one in prepared:
                transaction.register(one.definition, NOW)
        with store.transaction(write=False) as transaction:
            for one in prepared:
                read = transaction.definition(one.definition.source.name, 1)
                assert read is not None
                key = store.numbers.pop(read)
                store._prepared[key] = one
                store.numbers[one] = key
        return store

    def clear(self, store: Store) -> None:
        """Delete every row."""
        assert isinstance(store, SqliteStore)
        with store.connection() as connection:
            connection.execute(CLEAR)


# ---- a state as rows --------------------------------------------------------------------------------------------------------
def ghosts(bridge: Bridge, world: World, run: int) -> list[WorkflowRow]:
    """The rows that stayed behind with a run, as far as something is left that refers to them: the root's, and of deliveries.

    The model does not keep how they ended; neither does anything that moves.
    """
    told = {workflow for workflow, of, _ in world.outbox if of == run} | {ROOT}
    kept = {row.id for row in world.workflows.values() if row.run == run}
    found = []
    for i in bridge.explorer.tree.rows["workflow"]:
        place = bridge.explorer.tree.places[i]
        if place.id in told - kept:
            up = place.one.get("up")
            parent, no = ("", OWN) if up is None else bridge.explorer.tree.places[up].order
            name = ".".join(part.partition("~")[0] for part in place.id.split("/"))
            found.append(WorkflowRow(
                place.id, run, "TERMINATED", parent, no, int(bridge.explorer.oracle.value((), i, "slot")), place.id.count("/"),
                bridge.prepared[name], NOW, NOW, NEVER, "", 0, "", [0] * 9))
    return found


def tasks_of(ghost: WorkflowRow, world: World, ghosts: Sequence[WorkflowRow]) -> Iterator[TaskRow]:
    """The tasks of a row that stayed behind: CANCELED, but those whose sub-workflow is kept are as they are now.

    Where only sub-workflows of past attempts are kept it was CANCELED before that of the next one started.
    """
    for no, facts in enumerate(ghost.prepared.facts):
        own = (ghost.id, no)
        kept = [row.slot for row in world.workflows.values() if (row.parent, row.parent_no) == own and row.run <= ghost.run]
        behind = [row.slot for row in ghosts if (row.parent, row.parent_no) == own]
        now = world.own.get(own)
        if now is not None and now.attempt in kept:
            yield evolve(now, run=ghost.run)
        else:
            attempt = max([*behind, *(slot + 1 for slot in kept)], default=1)
            yield TaskRow(ghost.id, no, ghost.run, "CANCELED", attempt, 0, 0, NEVER, NEVER, NEVER, NEVER, 0, NOW, "", "", [0],
                          facts)


def plans(bridge: Bridge, state: State) -> list[Plan]:
    """What writes the rows of a state into an empty store: one plan for each run of the tree."""
    world, written, left = bridge.world(state), list[Plan](), list[WorkflowRow]()
    command = Command("LOAD", Subject(ROOT))
    if world.grave is not None:
        grave = Plan(command, NOW, TreeRow(ROOT, 1, VERSION, NOW, 0), born=False)
        grave.purged = world.grave
        return [grave]
    top = 0 if world.root is None else world.root.run
    for run in range(1, top + 1):
        plan = Plan(command, NOW, TreeRow(ROOT, run, VERSION - top + run, NOW, len(world.own)), born=run == 1)
        rows = [row for row in world.workflows.values() if row.run == run]
        before, left = left, ghosts(bridge, world, run)
        plan.aside = [row for row in before if row.id != ROOT]
        plan.created_workflows = [*rows, *left]
        if run > 1:
            (root,) = [row for row in plan.created_workflows if row.id == ROOT]
            plan.reopened = [Reopened(root, run - 1, list(range(len(root.prepared.facts))))]
            plan.created_workflows.remove(root)
        plan.created_tasks = [task for task in world.own.values() if task.run == run]
        plan.created_tasks += [task for ghost in left for task in tasks_of(ghost, world, left)]
        plan.created_deliveries = [delivery for delivery in world.outbox.values() if delivery.run == run]
        names = {row.id for row in rows}
        plan.payloads = [Payload(*key, text) for key, text in world.payloads.items() if key[0] in names]
        plan.changes = [Change("workflow", ROOT, "", "START", ABSENT, "RUNNING", 0, 1, "LOAD", "")]
        written.append(plan)
    return written


def load(store: Store, plans: Sequence[Plan]) -> None:
    """Write the rows of a state into an empty store, in one commit."""
    with store.transaction(write=True) as transaction:
        for plan in plans:
            transaction.write(plan)


def read(store: Store, bridge: Bridge, after: int = 0) -> tuple[World, list[HistoryRecord]]:
    """The rows that a store holds of the tree in its present run, and of its history what is behind a line."""
    world = World(definitions=bridge.prepared)
    with store.transaction(write=False) as transaction:
        world.root, world.grave = transaction.tree(ROOT), transaction.tombstone(ROOT)
        if world.root is not None:
            for workflow in transaction.below(ROOT, world.root.run):
                world.workflows[workflow.id] = workflow
                for task in transaction.tasks(workflow.id, world.root.run):
                    world.own[task.workflow, task.no] = task
        for delivery in transaction.deliveries(None, None, ("", 0, ""), ALL):
            world.outbox[delivery.workflow, delivery.run, delivery.name] = delivery
        return world, transaction.history(ROOT, None, None, after, ALL)


def leased(shape: Shape) -> Shape:
    """The same shape with leases that have an end, as a lease in a worker's hands has: an hour, where it was never."""
    tasks = tuple(
        evolve(task, lease=min(task.lease, HOUR), sub=task.sub and leased(task.sub)) for task in shape.tasks)
    return evolve(shape, tasks=tasks)


def kept(state: State) -> State:
    """A state as stores keep it: a clock that never runs out does not do so later, either."""
    return tuple(tuple(min(value, NEVER) if isinstance(value, int) else value for value in row) for row in state)
