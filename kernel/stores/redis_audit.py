"""The audit of a Redis store: each tree, read in one look, is judged as trees in memory are, its indexes too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kernel.core.records import DeliveryRow, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.engine.ports import Violation
from kernel.engine.reading import damaged
from kernel.errors import StoreCorrupt, quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import LIVE
from kernel.stores.redis_reader import PAGE
from kernel.stores.redis_rows import (
    STATES,
    delivery_member,
    delivery_of,
    loaded,
    looked_for,
    member_of,
    place_of,
    task_of,
    workflow_of,
)
from kernel.stores.whole import notices
from kernel.stores.whole import violations as broken

if TYPE_CHECKING:
    from kernel.stores.redis_work import RedisWork

GONE = "its row is gone"
"""Of a tree that is listed."""


def violations(transaction: RedisWork) -> Iterator[Violation]:
    """Every row that breaks an invariant, and every row that is not found where it is looked for."""
    for partition in range(transaction.store.partitions):
        trees = set[str]()
        for root in _listed(transaction, partition, "trees"):
            trees.add(root)
            yield from _of_tree(transaction, partition, root)
        yield from _unlisted(transaction, partition, trees)
        yield from _left(transaction, partition)


def _listed(transaction: RedisWork, partition: int, name: str) -> Iterator[str]:
    """The members of an index, in order."""
    key, low = transaction.head(partition, name), "-"
    while members := transaction.link.call(key, "ZRANGEBYLEX", key, low, "+", "LIMIT", 0, PAGE):
        yield from members
        low = f"({members[-1]}"


def _unlisted(transaction: RedisWork, partition: int, trees: set[str]) -> Iterator[Violation]:
    """Trees of which there are workflows, and that are not listed among all trees."""
    for state in sorted(STATES["workflow"]):
        for member in _listed(transaction, partition, f"i:{state}"):
            workflow_id, run = place_of(member)
            root = root_of(workflow_id)
            missing = root not in trees and not _is_in(transaction, partition, "trees", root)
            if missing and _is_in(transaction, partition, f"i:{state}", member):  # or it was purged just now
                yield Violation("STORE", root, run, "", "its tree is not found where all trees are listed")
            trees.add(root)


def _is_in(transaction: RedisWork, partition: int, name: str, member: str) -> bool:
    key = transaction.head(partition, name)
    return transaction.link.call(key, "ZSCORE", key, member) is not None


def _left(transaction: RedisWork, partition: int) -> Iterator[Violation]:
    """Trees that were purged, and are still there."""
    for root in transaction.everything(transaction.head(partition, "graves")):
        if transaction.link.call(transaction.key(root, "t"), "EXISTS", transaction.key(root, "t"), transaction.key(root, "h")):
            yield Violation("INV-05", root, 0, "", "it was purged, and is still there")


def _of_tree(transaction: RedisWork, partition: int, root: str) -> Iterator[Violation]:
    try:
        yield from _judged(transaction, partition, root)
    except StoreCorrupt as error:
        if error.why != GONE or _is_in(transaction, partition, "trees", root):  # or it was purged just now
            yield Violation("STORE", root, 0, "", f"{error.asked}: {error.why}")


def _judged(transaction: RedisWork, partition: int, root: str) -> Iterator[Violation]:
    """What is wrong with a tree. Raises StoreCorrupt where it cannot be read."""
    try:
        tree = Tree(transaction, partition, root)
    except (ValueError, LookupError, TypeError) as error:
        raise damaged(f"tree {quoted(root)}", f"a row cannot be read: {error}") from error
    archiving = [(since, transaction.store.hearing(content)[1]) for since, content in transaction.policies(partition)]
    yield from broken(tree.trees, tree.workflows, tree.tasks, tree.deliveries, archiving)
    lost = set(tree.lost(transaction))
    if lost:  # or it moved on meanwhile
        yield from sorted(lost & set(Tree(transaction, partition, root).lost(transaction)))


class Tree:
    """All rows of a tree, as they stood at one moment."""

    def __init__(self, transaction: RedisWork, partition: int, root: str) -> None:
        self.link, self.prefix = transaction.link, transaction.store.prefixes[partition]
        counted, *found = self.link.run("tree", self.prefix, root, NEVER)
        if not found:
            raise damaged(f"tree {quoted(root)}", GONE)
        rows, counts, owned = found
        run, version, clock, tasks, _ = counted
        self.trees = [TreeRow(root, int(run or 0), int(version or 0), int(clock or 0), int(tasks or 0))]
        self.workflows: list[WorkflowRow] = []
        self.tasks: list[TaskRow] = []
        self.deliveries: list[DeliveryRow] = []
        self.serials: dict[tuple[str, int], int] = {}
        number = dict(zip(counts[::2], counts[1::2], strict=True))
        own = dict(zip(owned[::2], owned[1::2], strict=True))
        for place, text in zip(rows[::2], rows[1::2], strict=True):
            workflow_id, of = place_of(place)
            columns = loaded(f"workflow {quoted(workflow_id)}", text)
            prepared = transaction.definition_of(workflow_id, of, columns)
            if place not in number:
                raise damaged(f"workflow {quoted(workflow_id)}", "its counters are gone")
            row = workflow_of(workflow_id, of, columns, number[place], prepared)
            self.workflows.append(row)
            self.serials[row.id, row.run] = columns[13]
            for name, value in zip(own[place][::2], own[place][1::2], strict=True):
                if name.isdigit():
                    self.tasks.append(task_of(value, row.id, row.run, int(name), row.prepared.facts))
                elif name[0] == "d":
                    self.deliveries.append(delivery_of(value, row.id, row.run, name[1:]))

    def lost(self, transaction: RedisWork) -> Iterator[Violation]:
        """Rows that are not in an index in which they are looked for, and notices of which the history does not tell."""
        if any(row.version for row in self.deliveries) or any(row.prepared.notify for row in self.workflows):
            lines = transaction.history(self.trees[0].root, None, None, 0, 2**62)
            yield from notices(self.workflows, self.deliveries, lines)
        wanted: dict[str, dict[str, tuple[int, Violation]]] = {}

        def want(index: str, member: str, score: int, row: WorkflowRow | TaskRow | DeliveryRow) -> None:
            owner, subject = (row.id, "") if isinstance(row, WorkflowRow) else (
                row.workflow, row.ref if isinstance(row, TaskRow) else row.name)
            text = f"{row.state}, but not found where work is looked for"
            wanted.setdefault(index, {})[member] = score, Violation("STORE", owner, row.run, subject, text)

        live = {(row.id, row.run): row.state for row in self.workflows}
        for workflow in self.workflows:
            if workflow.until >= NEVER:
                want(f"i:{workflow.state}", f"{workflow.id}\0{workflow.run}", 0, workflow)
            if workflow.state in LIVE and workflow.deadline < NEVER:
                want("z", f"c{member_of(self.serials[workflow.id, workflow.run], None, workflow.run, workflow.id)}",
                     workflow.deadline, workflow)
        for task in self.tasks:
            state, serial = live[task.workflow, task.run], self.serials[task.workflow, task.run]
            if state == "RUNNING" or (state == "PAUSED" and task.state == "IN_PROGRESS"):
                for index, due in looked_for(task):
                    place = member_of(serial, task.no, task.run, task.workflow)
                    want(*((index, place) if index[0] == "q" else ("z", index + place)), due, task)
        for delivery in self.deliveries:
            serial = self.serials[delivery.workflow, delivery.run]
            if delivery.state == "PENDING":
                want(f"o:{delivery.topic}", delivery_member(serial, delivery), delivery.due, delivery)
            if delivery.state == "LEASED" and delivery.expires < NEVER:
                place = member_of(serial, None, delivery.run, delivery.workflow)
                want("z", f"d{place}\0{delivery.name}", delivery.expires, delivery)
        for index, members in wanted.items():
            names = list(members)
            for first in range(0, len(names), PAGE):
                part = names[first:first + PAGE]
                scores = self.link.call(f"{self.prefix}head", "ZMSCORE", self.prefix + index, *part)
                for name, score in zip(part, scores, strict=True):
                    if score is None or float(score) != float(members[name][0]):
                        yield members[name][1]
