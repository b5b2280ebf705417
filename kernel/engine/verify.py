"""Verify: the history of each tree is replayed against the specification, and its rows are compared with what it tells.

One read transaction a tree: who writes meanwhile is seen whole or not at all. Where a store cannot do that, a misstep counts
that is found twice. `kernel.formal.trace` is the judge; here is where it gets histories, definitions and rows from.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from kernel.core.archive import compiled
from kernel.core.outbox import hearing_of
from kernel.core.plan import Subject
from kernel.core.records import Prepared, TreeRow, root_of
from kernel.engine.entities import Verification
from kernel.engine.ports import HistoryRecord, Store, Transaction
from kernel.engine.reading import damaged, tree_of
from kernel.errors import Conflict, NotFound, StoreCorrupt, quoted
from kernel.formal.told import Misstep, NotAllowed, Outline, Place, Standing
from kernel.formal.trace import Trace

LOOKS = 20
"""So often a tree is looked at for a misstep that is found twice."""
PAGE = 1000
"""Lines, or ids of trees, that are read at a time."""


def outline(prepared: Prepared) -> Outline:
    """What a definition gives the rows of a workflow, as far as a history is judged by it."""
    definition, hearings = prepared.definition, [(topic, hearing_of(prepared, topic, None)) for topic in prepared.topics]
    return Outline(
        prepared.facts, definition.index, definition.successors,
        tuple((topic, hearing.hears, hearing.own) for topic, hearing in hearings), prepared.on_timeout,
        int(definition.source.restartable), prepared.notify)


@define
class Verifier:
    """Verifies trees of a store, one after the other."""

    store: Store
    missteps: list[Misstep] = field(factory=list)
    trees: int = 0
    lines: int = 0
    transitions: int = 0
    outlines: dict[Prepared, Outline] = field(factory=dict)

    def verify(self, root: str) -> None:
        """One tree. Raises NotFound, or Conflict where others wrote to it at every look."""
        before: Misstep | None = None
        for _ in range(LOOKS):
            found, trace = self._look(root)
            if found in (None, before):
                break
            before = found
        else:
            why = f"others wrote to it at each of {LOOKS} looks"
            raise Conflict(f"verifying tree {quoted(root)}", why=why, hint="try again")
        self.missteps += [] if found is None else [found]
        self.trees, self.lines, self.transitions = self.trees + 1, self.lines + trace.seq, self.transitions + trace.moved

    def _look(self, root: str) -> tuple[Misstep | None, Trace]:
        """The first misstep of a tree, and who found it."""
        with self.store.transaction(write=False) as transaction:
            trace = self.trace(transaction, root)
            try:
                found = next(missteps(transaction, trace, standing(transaction, root)), None)
            except NotAllowed as broken:
                found = broken.misstep
            except StoreCorrupt as error:
                found = of_rows(root, trace, "", f"{error.asked}: {error.why}")
        return found, trace

    def trace(self, transaction: Transaction, root: str) -> Trace:
        """What is to judge the history of a tree."""
        policies = transaction.archive_policies(root)

        def outline_of(workflow_id: str, run: int) -> Outline:
            row = transaction.workflow(workflow_id, run)
            if row is None:
                raise LookupError(workflow_id)
            found = self.outlines.get(row.prepared)
            if found is None:
                found = self.outlines[row.prepared] = outline(row.prepared)
            return found

        def archiving(at: int) -> str | None:
            past = [policy for since, policy in policies if since <= at]
            return None if not past or past[-1] is None else compiled(past[-1]).hears

        return Trace(outline_of, archiving)


def standing(transaction: Transaction, root: str) -> TreeRow:
    """The row of a tree. Raises NotFound; StoreCorrupt where there is a history, and nothing says that the tree was purged."""
    tree = transaction.tree(root)
    if tree is None and transaction.tombstone(root) is None and transaction.history(root, None, None, 0, 1):
        raise damaged(f"tree {quoted(root)}", "its row is gone, its history is there")
    return tree or tree_of(transaction, root)


def of_rows(root: str, trace: Trace, stands: str, why: str) -> Misstep:
    """A misstep of the rows of a tree, not of its history."""
    return Misstep(root, trace.seq, trace.version, root, "", "", "", stands, "the rows", why)


def missteps(transaction: Transaction, trace: Trace, tree: TreeRow) -> Iterator[Misstep]:
    """What is not as the history tells, run by run. Raises NotAllowed at the first step that is not allowed."""
    for line in lines_of(transaction, tree.root):
        if trace.top is not None and line.run > trace.top.run and trace.begins(line):  # what the run before has left
            trace.settle()
            yield from trace.differences(dict(rows_of(transaction, tree.root, trace.top.run)), deliveries=False)
        trace.feed(line)
    trace.settle()
    if trace.top is not None and trace.top.run != tree.run:
        yield of_rows(tree.root, trace, f"run {tree.run}", f"the tree is in run {tree.run}, its history tells {trace.top.run}")
    rows = dict(rows_of(transaction, tree.root, tree.run))
    outboxes = transaction.snapshot(Subject(tree.root)).outboxes()
    rows |= {("delivery", row.workflow, row.run, row.name): (row.state, row.attempt) for row in outboxes}
    yield from trace.differences(rows)
    if trace.version != tree.version:
        why = f"the tree has version {tree.version}, its history tells {trace.version}"
        yield of_rows(tree.root, trace, f"version {tree.version}", why)


def lines_of(transaction: Transaction, root: str) -> Iterator[HistoryRecord]:
    """The whole history of a tree, a page at a time."""
    after = 0
    while lines := transaction.history(root, None, None, after, PAGE):
        yield from lines
        after = lines[-1].seq


def rows_of(transaction: Transaction, root: str, run: int) -> Iterator[tuple[Place, Standing]]:
    """Where the workflows and tasks of a tree stand as part of a run."""
    for row in transaction.below(root, run):
        yield ("workflow", row.id, 0, ""), (row.state, row.run)
        for task in transaction.tasks(row.id, run):
            yield ("task", row.id, 0, task.ref), (task.state, task.attempt)


def roots_of(store: Store, after: str, limit: int) -> list[str]:
    """The ids of the trees behind an id, in order."""
    found: list[str] = []
    while len(found) < limit:
        with store.transaction(write=False) as transaction:
            roots = transaction.roots(found[-1] if found else after, PAGE)
        if not roots:
            break
        found += roots
    return found[:limit]


def verify(store: Store, workflow_id: str | None, after: str, limit: int) -> Verification:
    """The tree of a workflow; or `limit` trees behind an id. Raises NotFound."""
    verifier = Verifier(store)
    roots = roots_of(store, after, limit) if workflow_id is None else [root_of(workflow_id)]
    for root in roots:
        try:
            verifier.verify(root)
        except NotFound:
            if workflow_id is not None:
                raise  # of the others it was purged just now
    last = roots[-1] if workflow_id is None and len(roots) == limit else None
    return Verification(tuple(verifier.missteps), verifier.trees, verifier.lines, verifier.transitions, last)
