"""Replays a tree's history while it grows, or as a whole: INV-08, and whatever else the specification says of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from kernel.core.records import Prepared, root_of
from kernel.engine.entities import EPOCH, HistoryRow
from kernel.engine.kernel import Kernel
from kernel.engine.ports import HistoryRecord
from kernel.engine.verify import outline, verify
from kernel.formal.told import NotAllowed, Outline, Place, Standing
from kernel.formal.trace import Trace
from kernel.testing.dump import TreeDump

MICROSECOND = timedelta(microseconds=1)


class Mismatch(AssertionError):
    """The history does not tell what happened, or tells what may not happen."""


def record(row: HistoryRow) -> HistoryRecord:
    """A line of history as a store keeps it."""
    return HistoryRecord(
        row.seq, row.version, row.run, (row.at - EPOCH) // MICROSECOND, row.kind, row.workflow_id, row.subject, row.event,
        row.source, row.target, row.attempt, row.count, row.by, row.actor, row.reason, row.command_id)


class Replay:
    """One tree as its history tells it, fed line by line."""

    def __init__(self, prepared_of: Callable[[str, int], Prepared]) -> None:
        """`prepared_of` gives what a workflow of the tree runs with in a run."""
        outlines: dict[Prepared, Outline] = {}

        def outline_of(workflow_id: str, run: int) -> Outline:
            prepared = prepared_of(workflow_id, run)
            if prepared not in outlines:
                outlines[prepared] = outline(prepared)
            return outlines[prepared]

        self.trace = Trace(outline_of)

    @property
    def seq(self) -> int:
        """The number of the last line."""
        return self.trace.seq

    def feed(self, line: HistoryRow) -> None:
        """Take the next line. Raises Mismatch."""
        try:
            self.trace.feed(record(line))
        except NotAllowed as found:
            raise Mismatch(f"INV-08: {found}") from None

    def settle(self) -> None:
        """The last commit is complete. Raises Mismatch."""
        try:
            self.trace.settle()
        except NotAllowed as found:
            raise Mismatch(f"INV-08: {found}") from None

    def differences(self, tree: TreeDump) -> Iterator[str]:
        """Where the rows are not as the history tells."""
        rows: dict[Place, Standing] = {}
        for name, facts in tree.workflows.items():
            rows["workflow", name, 0, ""] = facts.state, facts.run
        for (name, no), task in tree.tasks.items():
            flow = self.trace.flows.get(name)
            rows["task", name, 0, str(no) if flow is None else flow.tasks[no].ref] = task.state, task.attempt
        rows |= {("delivery", *place): (entry.state, entry.attempt) for place, entry in tree.deliveries.items()}
        for step in self.trace.differences(rows):
            yield f"INV-08: {step}"
        if self.trace.version != tree.version:
            yield f"INV-08: the tree's version is {tree.version}, its history tells {self.trace.version}"


def pages(kernel: Kernel, root: str, size: int = 1000) -> Iterator[HistoryRow]:
    """A tree's whole history, a page at a time."""
    after = 0
    while lines := kernel.history(root, below=True, after=after, limit=size):
        yield from lines
        after = lines[-1].seq


def replayed(lines: Iterable[HistoryRow], prepared_of: Callable[[str, int], Prepared]) -> Replay:
    """What these lines tell. Raises Mismatch."""
    replay = Replay(prepared_of)
    for line in lines:
        replay.feed(line)
    replay.settle()
    return replay


def check_history(kernel: Kernel, workflow_id: str) -> int:
    """Verify the tree of a workflow; gives the number of its lines. Raises Mismatch."""
    found = verify(kernel.store, root_of(workflow_id), "", 1)
    for misstep in found.missteps:
        raise Mismatch(f"INV-08: {misstep}")
    return found.lines


def check_store(kernel: Kernel) -> int:
    """The same of every tree of the store."""
    return sum(check_history(kernel, row.id) for row in kernel.find(limit=100_000).items if row.parent is None)
