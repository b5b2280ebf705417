"""Deciding on what is remembered of the latest commits: all of it is one call of the server then, committed at once.

The server applies it only if the tree has as many lines of history as what was decided on, and the last is of the same command.
Who needs to ask, after all, or is not told by a commit that all was so, decides again, and asks.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, NoReturn

from kernel.core.plan import Plan, Subject, Tombstone
from kernel.core.records import Prepared, TaskRow, TreeRow, WorkflowRow, root_of
from kernel.spec.language import Lock
from kernel.stores.postgres_call import NULL, Call
from kernel.stores.postgres_errors import GIVEN_UP, OTHER_LINE, OTHER_ROW, changed_meanwhile, given_up
from kernel.stores.postgres_lately import MOST_ROWS, Left, Standing
from kernel.stores.postgres_link import FORGOTTEN, Link
from kernel.stores.postgres_together import Turn
from kernel.stores.sql_transaction import SqlTransaction
from kernel.stores.statements import FEW

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

MORE = 16
"""So many numbers of workflows are drawn at once, beyond those that are needed."""
Lease = tuple[str | None, int | None, int]
"""Of a task that was read to be written: its state, hand-outs and end of lease."""


class PostgresRecall(SqlTransaction):
    """What a transaction answers from memory, and what it leaves there."""

    __slots__ = (
        "call", "entered", "guessed", "heard", "hurried", "is_open", "last", "leases", "led", "left", "link", "looked", "place",
        "polled", "recalled", "server", "standing", "waiting", "writes",
    )

    server: PostgresStore
    place: str
    writes: bool
    link: Link
    waiting: list[tuple[str, tuple[Any, ...]]]
    heard: list[int]

    def __init__(self, store: PostgresStore, sql: Any) -> None:
        super().__init__(store, sql)
        self.led = self.entered = self.looked = False
        """A lock was chosen: what is read from now on is under it. Migrations are held off. A decision is under way."""
        self.guessed = ""
        """The tree that was decided on without a look."""
        self.polled = ""
        """The type whose first task was taken to be one of that tree."""
        self.recalled: Left | None = None
        """What is remembered of it; None where it is taken for new."""
        self.standing: Standing | None = None
        """What is so under the stamp that the server told, or that is taken for granted."""
        self.last: dict[str, str] = {}
        """Of each tree that was read or written: the command that its last line of history is of."""
        self.left: dict[str, Left] = {}
        """Of each tree that this transaction writes to: how it leaves it."""
        self.call: Call | None = None
        """What is sent to the server when something is written that was decided on without a look."""
        self.is_open = False
        """Whether a call that failed may have been applied."""
        self.hurried = ""
        """What the server said when it was told not to wait for its standby any longer."""
        self.leases: dict[tuple[int, int], Lease] = {}
        """Of each task that was read to be written: its state, hand-outs and end of lease."""

    # ---- what is remembered ------------------------------------------------------------------------------------------------
    def doubt(self, *, shared: bool = False) -> NoReturn:
        """Decide again, and ask. Nothing was applied."""
        self.server.lately.forget(self.guessed, shared=shared and not self.polled)
        if self.polled:
            self.server.lately.crowd(self.polled)
        changed_meanwhile(self.place)

    def _may_guess(self) -> bool:
        """Whether nothing was asked yet, and the store's stamp is known."""
        return self.writes and not (self.led or self.entered or self.looked) and self.server.lately.standing is not None

    def _recall(self, subject: Subject, lock: Lock) -> bool:
        """Whether a worker's result can be decided on without a look: what the end of its task starts is known, and plain."""
        root, no = subject.workflow, subject.no
        if lock is not Lock.TREE or no is None or root != root_of(root) or not self._may_guess():
            return False
        left = self.server.lately.take(root)
        if left is None or (root, no) not in left.tasks or root not in left.workflows:
            return False
        prepared = left.workflows[root][1].prepared
        facts = prepared.facts
        for after in prepared.definition.successors[no]:
            if (root, after) not in left.tasks or facts[after].judged or facts[after].mode != "WORKER":
                return False
        self._begin_with(root, left)
        return True

    def _recall_first(self, type: str, now: int) -> TaskRow | None:
        """The first task of a type, where it is remembered and due: whether it is the first, the commit compares."""
        place = self.server.lately.first(type) if self._may_guess() else None
        left = self.server.lately.take(place[0]) if place else None
        if left is None or place is None:
            return None
        task = left.tasks.get(place)
        if task is None or task.state != "SCHEDULED" or task.not_before > now or place[0] not in left.workflows:
            return None
        self.polled = type
        self._begin_with(place[0], left)
        return task

    def _begin_with(self, root: str, left: Left) -> None:
        """Decide on what is remembered of a tree."""
        self.guessed, self.recalled, self.standing = root, left, self.server.lately.standing
        self.stored[root] = left.tree.run, left.tree.tasks, left.line
        for key, row in left.workflows.values():
            self.keys[row.id, row.run], self.known[row.id, row.run] = key, row.prepared

    def _take_for_new(self, workflow_id: str) -> bool:
        """Whether a workflow that is asked for first is to be started, and may be taken for one that is not there."""
        if self.guessed or workflow_id != root_of(workflow_id) or not self._may_guess():
            return False
        if self.server.lately.is_new(workflow_id):
            self.guessed, self.standing = workflow_id, self.server.lately.standing
        return bool(self.guessed)

    def _write_guessed(self, plan: Plan) -> None:
        """What was taken for granted goes before all that is written."""
        if not is_plain(plan) or self.standing is None:
            self.doubt()
        self.call, self.null = Call(self.standing.stamp), NULL
        first: tuple[Any, ...] = ("", NULL, NULL, NULL)
        if self.polled:
            (task,) = plan.tasks
            first = self.polled, task.not_before, self.keys[task.workflow, task.run], task.no
        left = self.recalled
        taken = (left.line, left.command) if left else (NULL, "")
        self.call.add("hold", [(plan.tree.root, plan.command.id, *taken, *first)])

    @abstractmethod
    def _foresee(self, name: str, *values: Any) -> None:
        """Ask with the next question what will be asked soon."""

    @abstractmethod
    def _hear(self, name: str, values: tuple[Any, ...], rows: list[Any]) -> None:
        """Take in an answer that nobody waited for."""

    def _commit_call(self, call: Call) -> None:
        """Send all that was decided without a look, and what is asked along: the server commits it at once."""
        if self.recalled is None and len(self.server.lately.numbers) < FEW:
            self._foresee("new_keys", MORE)
        turn = Turn(self.link, call, [(self.sql[name], values) for name, values in self.waiting[1:]])
        try:
            self.server.together.commit(turn)
        finally:
            self.link = turn.link
        if turn.error is not None:
            self.is_open = turn.is_open
            if turn.error.sqlstate == OTHER_LINE:
                self.server.lately.redraw()
            if turn.error.sqlstate in (OTHER_ROW, OTHER_LINE, FORGOTTEN):
                self.doubt(shared=self.recalled is not None)
            if turn.error.sqlstate == GIVEN_UP:
                given_up(self.place)
            raise turn.error
        for place in self.heard:
            self._hear(*self.waiting[place], self.link.rows(turn.results[place - 1]))
        self.hurried = turn.hurried

    # ---- answers -----------------------------------------------------------------------------------------------------------
    def read_ahead(self, subject: Subject) -> TreeRow | None:
        """Nothing needs to be read of a tree that is remembered."""
        return None if self.guessed else super().read_ahead(subject)

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""
        if not self.guessed:
            return super().tree(root)
        if self.recalled is None:
            return None
        row = self.recalled.tree
        return TreeRow(row.root, row.run, row.version, row.clock, row.tasks)

    def _tree(self, row: tuple[Any, ...]) -> TreeRow:
        self.last[row[0]] = row[-1]
        return super()._tree(row)

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""
        return None if self.guessed and self.recalled is None else super().tombstone(root)

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run."""
        if not self.guessed:
            return super().workflow(workflow_id, run)
        if self.recalled is None:
            return None
        if workflow_id not in self.recalled.workflows:
            self.doubt()
        return self.recalled.workflows[workflow_id][1]  # itself: only a cascade looks twice, and is not applied without a look

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""
        if not self.guessed:
            return super().task(workflow_id, run, no)
        if self.recalled is None or (workflow_id, no) not in self.recalled.tasks:
            self.doubt()
        found = self.recalled.tasks[workflow_id, no]
        self.leases[self.keys[workflow_id, run], no] = found.state, found.handouts, found.expires
        return found

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""
        if not self.writes or self.standing is None:
            return super().definition(name, version)
        key = self.standing.names.get((name, version))
        if key is not None:
            return self.prepared(key)
        found = super().definition(name, version)
        if found is not None:
            self.standing.names[name, version] = self.store.numbers[found]
        return found

    def policies(self) -> list[Any]:
        """The store's own archive policies, as they are kept."""
        if not self.writes or self.standing is None:
            return super().policies()
        if self.standing.policies is None:
            self.standing.policies = super().policies()
        return self.standing.policies

    # ---- what is left ------------------------------------------------------------------------------------------------------
    def leave(self, plan: Plan, before: int) -> None:
        """Remember how a plan leaves its tree, if it moves no rows but those that it names; it had so many lines `before`."""
        tree, root, known = plan.tree, plan.tree.root, self.recalled
        created, born = plan.created_workflows, plan.created_tasks  # what is remembered is moved where it stands
        if not self.guessed:
            known = self.left.pop(root, None) or self.server.lately.take(root)
            if known is not None and (known.line, known.command) != (before, self.last.get(root)):
                known = None
            if plan.changes:
                self.last[root] = plan.command.id
            if not is_plain(plan):
                return
            created, born = [*created, *plan.workflows], [*born, *plan.tasks]
        if self.server.lately.is_shared(root):
            return
        workflows, tasks = ({}, {}) if known is None else (known.workflows, known.tasks)
        for row in created:
            if row.run == tree.run:
                workflows[row.id] = self.keys[row.id, row.run], row
        for task in born:
            if task.run == tree.run:
                tasks[task.workflow, task.no] = task
                workflows.setdefault(task.workflow, (self.keys[task.workflow, task.run], task.wf))
        if len(workflows) + len(tasks) <= MOST_ROWS:
            tree.clock = max(tree.clock, plan.now)
            self.left[root] = Left(self.line, plan.command.id, tree, workflows, tasks)

    def missing(self, plan: Plan) -> list[int]:
        """The tasks that come next after one that is handed out, where that one is remembered without them."""
        left = self.left.get(plan.command.subject.workflow) if plan.command.name == "POLL" else None
        if left is None:
            return []
        (task,) = plan.tasks
        return [no for no in task.wf.prepared.definition.successors[task.no] if (task.workflow, no) not in left.tasks]


def is_plain(plan: Plan) -> bool:
    """Whether a plan moves no rows but those that it names, and leaves a line of history."""
    return bool(plan.changes) and plan.purged is None and not (plan.first or plan.last or plan.reopened or plan.aside)
