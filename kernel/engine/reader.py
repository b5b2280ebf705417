"""What can be asked of a store: workflows, tasks, trees, history, what is allowed, deliveries, the audit."""

from __future__ import annotations

from kernel.core.archive import ArchivePolicy
from kernel.core.decide import Choice, choices, presented
from kernel.core.plan import Command, Subject
from kernel.core.program import Program
from kernel.core.records import root_of
from kernel.core.view import View
from kernel.engine import inputs, reading
from kernel.engine.contention import again
from kernel.engine.entities import (
    Backlog,
    Delivery,
    HistoryRow,
    LateResult,
    Node,
    Page,
    Report,
    Task,
    Verification,
    Workflow,
    moment,
)
from kernel.engine.explain import row_of
from kernel.engine.ports import Clock, Store
from kernel.engine.purging import from_archive
from kernel.engine.relay import Relay
from kernel.engine.states import DeliveryState, WorkflowState
from kernel.engine.verify import verify
from kernel.errors import NotFound

PAGE = 1000


class Reader:
    """The reading half of the kernel. Reads need no lock and never wait for a writer."""

    store: Store
    clock: Clock
    program: Program
    _relay: Relay

    @again
    def get(self, workflow_id: str, *, run: int | None = None) -> Workflow:
        """One workflow, in its tree's present run or in an earlier one.

        One that was purged is told from its archive, when this process has a sink that gives a copy; `purged` says when.
        """
        workflow_id, run = inputs.workflow(workflow_id), inputs.number(run, "the run")
        with self.store.transaction(write=False) as transaction:
            try:
                return reading.present(transaction, workflow_id, run)
            except NotFound:
                grave = transaction.tombstone(root_of(workflow_id))
                if grave is None:
                    raise
        return from_archive(self._relay, grave, workflow_id, run)

    @again
    def tasks(self, workflow_id: str, *, run: int | None = None) -> list[Task]:
        """The tasks of a workflow, in the order of its definition."""
        workflow_id, run = inputs.workflow(workflow_id), inputs.number(run, "the run")
        with self.store.transaction(write=False) as transaction:
            row = reading.workflow_row(transaction, workflow_id, run)[1]
            return [reading.task(transaction, t, row) for t in transaction.tasks(row.id, row.run)]

    @again
    def tree(self, workflow_id: str, *, run: int | None = None) -> Node:
        """A workflow with its tasks and all its descendants."""
        workflow_id, run = inputs.workflow(workflow_id), inputs.number(run, "the run")
        with self.store.transaction(write=False) as transaction:
            tree, row = reading.workflow_row(transaction, workflow_id, run)
            return reading.node(transaction, row.id, row.run, tree.version)

    @again
    def history(
        self, workflow_id: str, *, run: int | None = None, below: bool = False, after: int = 0, limit: int = PAGE
    ) -> list[HistoryRow]:
        """What happened to a workflow, in order, behind the line `after`; `below`: to its whole tree; in one run or in all."""
        workflow_id, after, limit = inputs.workflow(workflow_id), inputs.whole(after, "the line"), inputs.limit(limit)
        run = inputs.number(run, "the run")
        with self.store.transaction(write=False) as transaction:
            if run is None:
                reading.last_row(transaction, reading.tree_of(transaction, workflow_id), workflow_id)
            else:
                reading.workflow_row(transaction, workflow_id, run)
            only = None if below else workflow_id
            records = transaction.history(root_of(workflow_id), only, run, after, limit)
        return [reading.history_row(record) for record in records]

    @again
    def late(self, workflow_id: str) -> list[LateResult]:
        """What workers reported too late for tasks of a workflow, the oldest first: the newest few of each task.

        It is kept beside the history and changed nothing.
        """
        workflow_id = inputs.workflow(workflow_id)
        with self.store.transaction(write=False) as transaction:
            row = reading.last_row(transaction, reading.tree_of(transaction, workflow_id), workflow_id)[1]
            return [reading.late_result(record, transaction.workflow(workflow_id, record.run) or row)
                    for record in transaction.late(workflow_id)]

    @again
    def find(
        self, *, state: str | None = None, name: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page:
        """Workflows by id, a page at a time: `after` is the `after` of the page before."""
        state, limit = inputs.state(state, WorkflowState), inputs.limit(limit)
        name = None if name is None else inputs.name(name, "the definition's name")
        after = "" if after is None else inputs.workflow(after)
        with self.store.transaction(write=False) as transaction:
            rows = transaction.find(state, name, after, limit + 1)
            versions = {root: reading.tree_of(transaction, root).version for root in {root_of(r.id) for r in rows}}
            items = tuple(reading.workflow(transaction, r, versions[root_of(r.id)]) for r in rows[:limit])
        return Page(items, items[-1].id if len(rows) > limit else None)

    @again
    def allowed(self, workflow_id: str, task: str | None = None) -> list[Choice]:
        """Every command for a workflow, or for a task of it: allowed now or not, and why not."""
        workflow_id, task = inputs.workflow(workflow_id), None if task is None else inputs.name(task, "the task")
        now = self.clock.now()
        with self.store.transaction(write=False) as transaction:
            tree, row = reading.workflow_row(transaction, workflow_id)
            subject = Subject(workflow_id, None if task is None else reading.position(row, task))
            view = View(self.program, transaction.snapshot(subject), Command("", subject), tree, max(now, tree.clock))
            found = row_of(view, subject) or row
            view.given = presented(found, view.now)
            return list(choices(view, found))

    @again
    def deliveries(
        self, *, state: str | None = None, workflow_id: str | None = None, after: str | None = None, limit: int = 100
    ) -> list[Delivery]:
        """Outbox entries by id, behind the id `after`."""
        state, limit = inputs.state(state, DeliveryState), inputs.limit(limit)
        workflow_id = None if workflow_id is None else inputs.workflow(workflow_id)
        key = ("", 0, "")
        if after is not None:
            subject = reading.delivery_subject(after)
            key = (subject.workflow, subject.run, subject.topic or "")
        with self.store.transaction(write=False) as transaction:
            return [reading.delivery(r) for r in transaction.deliveries(state, workflow_id, key, limit)]

    def backlog(self) -> Backlog:
        """What waits in the store now: timers that are due, and what the outbox holds."""
        now = self.clock.now()
        with self.store.transaction(write=False) as transaction:
            found = transaction.backlog(now)
        return Backlog(
            at=moment(now), timers=found.timers, due=found.due, pending=found.pending, leased=found.leased, dead=found.dead,
            oldest=None if found.oldest is None else moment(found.oldest))

    def archive_policy(self) -> ArchivePolicy | None:
        """The archive policy that holds for every definition of this store; None where each has its own."""
        with self.store.transaction(write=False) as transaction:
            known = transaction.archive_policies()
        return known[-1][1] if known else None

    def audit(self) -> Report:
        """Check every state invariant on the whole store."""
        with self.store.transaction(write=False) as transaction:
            return reading.report(transaction)

    def verify(self, workflow_id: str | None = None, *, after: str | None = None, limit: int = inputs.MOST) -> Verification:
        """Replay the history of trees against the specification, and compare what it tells with their rows.

        Of each tree the first step is told that is not allowed. The tree of one workflow; or up to `limit` trees by id, behind
        the id `after`: go on with that of the answer until it is None.
        """
        limit = inputs.limit(limit)
        workflow_id = None if workflow_id is None else inputs.workflow(workflow_id)
        return verify(self.store, workflow_id, "" if after is None else inputs.workflow(after), limit)
