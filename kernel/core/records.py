"""Rows in memory: what a decision works on. Slotted and mutable, so that a step costs what it touches.

A store hands out rows that nobody else has; a decision changes them and puts the changed ones into its plan. Times are
microseconds since the Unix epoch. The single links of the specification (`wf`, `up`, `child`) are attributes, found when they
are asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

from attrs import define, field, frozen

from kernel.core.archive import HEARS_ALL, Hearing
from kernel.core.facts import MICROSECONDS, OWN, Attributes, Facts, Prepared, facts_of, microseconds, prepare
from kernel.core.nobody import NOBODY, Nobody
from kernel.spec.evaluate import function
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import STATUSES, heard

if TYPE_CHECKING:
    from kernel.core.judge import Judged

__all__ = [
    "MICROSECONDS", "OWN", "Change", "DeliveryRow", "Facts", "Payload", "Policy", "Prepared", "Record", "TaskRow", "TreeRow",
    "WorkflowRow", "child_id", "entry_of", "facts_of", "microseconds", "prepare", "root_of",
]


@frozen
class Policy:
    """How deliveries are tried: at most `sends` times, each held for `lease` microseconds; how large a tree may be."""

    sends: int = 100
    lease: int = 60 * MICROSECONDS
    tree_tasks: int = field(default=NEVER, eq=False)
    """How many tasks a store can take in a tree; it says nothing of how deliveries are tried."""
    workflow_tasks: int = field(default=0, eq=False)
    """For how many tasks each workflow counts there, besides its own."""


@define(eq=False)
class TreeRow:
    """A root and all its descendants: the unit of consistency."""

    root: str
    run: int
    version: int
    clock: int
    tasks: int


@define(eq=False)
class WorkflowRow:
    """One workflow of one run."""

    kind: ClassVar[str] = "workflow"
    mode: ClassVar[str] = ""
    judged: ClassVar[bool] = False

    id: str
    run: int
    state: str
    parent: str
    parent_no: int
    slot: int
    depth: int
    prepared: Prepared
    started: int
    changed: int
    deadline: int
    paused_by: str
    paused_at: int
    reason: str
    counts: list[int]
    until: int = NEVER
    """The last run of its tree that it is part of: what is kept is part of later runs, too, until it is set aside."""
    purged: int = 0
    """1 where a tombstone keeps its id: its tree was purged."""
    extension: str = ""
    """Names the tasks that it has beyond its definition, which `prepared` has, too; empty when there are none."""
    view: Any = field(default=None, repr=False)
    """What finds the rows that it is linked to: the View of a decision, or all rows of an audit."""
    touched: bool = field(default=False, repr=False)
    """Whether the decision that it was read for writes it."""

    @property
    def root(self) -> int:
        """1 for a root, 0 for a sub-workflow."""
        return 0 if self.parent else 1

    @property
    def timeout(self) -> int:
        """How long it may live."""
        return self.prepared.timeout

    @property
    def on_timeout(self) -> str:
        """What its deadline does."""
        return self.prepared.on_timeout

    @property
    def restartable(self) -> int:
        """1 when it may be restarted although it COMPLETED."""
        return int(self.prepared.definition.source.restartable)

    @property
    def retention(self) -> int:
        """How long it is kept after its end."""
        return cast(int, self.view.retention(self))

    @property
    def up(self) -> TaskRow:
        """The parent's task that started it."""
        return cast(TaskRow, self.view.task(self.parent, self.parent_no))

    def behind(self, link: str) -> Iterable[Any]:
        """The rows behind a set link that has no counter."""
        return cast(Iterable[Any], self.view.behind(self, link))

    def copy(self) -> WorkflowRow:
        """A private copy."""
        return WorkflowRow(
            self.id, self.run, self.state, self.parent, self.parent_no, self.slot, self.depth, self.prepared, self.started,
            self.changed, self.deadline, self.paused_by, self.paused_at, self.reason, self.counts[:], self.until, self.purged,
            self.extension,
        )


@define(eq=False)
class TaskRow(Attributes):
    """One task of one workflow and run; `no` is its position in the definition."""

    kind: ClassVar[str] = "task"

    workflow: str
    no: int
    run: int
    state: str
    attempt: int
    handouts: int
    not_before: int
    expires: int
    attempt_ends: int
    total_ends: int
    wakes: int
    signalled: int
    changed: int
    worker: str
    reason: str
    counts: list[int]
    facts: Facts
    wf: WorkflowRow = field(default=None, repr=False)
    view: Any = field(default=None, repr=False)
    """What finds the rows that it is linked to: the View of a decision, or all rows of an audit."""
    verdict: Judged | None = field(default=None, repr=False)
    touched: bool = field(default=False, repr=False)
    """Whether the decision that it was read for writes it."""

    @property
    def wait_for(self) -> int:
        """How long it waits before it completes by itself."""
        known = self.facts.wait_for
        judged: int = self.view.judged(self).wait_for if known is None else known
        return judged

    @property
    def wait_until(self) -> int:
        """Until when it does."""
        known = self.facts.wait_until
        judged: int = self.view.judged(self).wait_until if known is None else known
        return judged

    @property
    def switch(self) -> TaskRow:
        """The switch in whose branch it stands."""
        switch: TaskRow = self.view.task(self.workflow, self.facts.switch)
        return switch

    @property
    def choice(self) -> int:
        """Of a switch that was passed: the branch that it chose; read by the view."""
        choice: int = self.view.choice(self)
        return choice

    @property
    def sound(self) -> int:
        """1 when it can be prepared; judged by the view."""
        return self.view.judged(self).sound if self.facts.judged else 1

    @property
    def child(self) -> WorkflowRow | Nobody:
        """The sub-workflow of its present attempt, once it has started."""
        return cast(WorkflowRow | None, self.view.child(self)) or NOBODY

    def behind(self, link: str) -> Any:
        """The rows behind a set link, when a caller named this task."""
        return self.view.behind(self, link)

    def copy(self) -> TaskRow:
        """A private copy."""
        return TaskRow(
            self.workflow, self.no, self.run, self.state, self.attempt, self.handouts, self.not_before, self.expires,
            self.attempt_ends, self.total_ends, self.wakes, self.signalled, self.changed, self.worker, self.reason,
            self.counts[:], self.facts,
        )


@define(eq=False)
class DeliveryRow:
    """One entry of the outbox: what one topic is told of the end of a run, or a notice of one change of status in it."""

    kind: ClassVar[str] = "delivery"

    workflow: str
    run: int
    topic: str
    state: str
    attempt: int
    claims: int
    due: int
    expires: int
    proof: str
    error: str
    changed: int
    sends: int
    lease: int
    hearing: Hearing = HEARS_ALL
    """The policy of its topic that is in force."""
    of: Any = field(default=None, repr=False)
    """Its workflow, where a decision or an audit reads it."""
    at: int = field(default=0, repr=False)
    """The time at which its schedule is judged."""
    version: int = 0
    """Of a notice: the version of the tree that came with the change; else 0."""
    status: str = ""
    """Of a notice: the status that the workflow came to."""
    cause: str = ""
    """Of a notice: from where the workflow came to it, when, and why, JSON text."""
    view: Any = field(default=None, repr=False)
    """What finds the notices before it: the View of a decision."""

    @property
    def name(self) -> str:
        """Its name among the deliveries of its run: its topic, and what it tells of where there are several of a topic."""
        return f"{self.topic}@{self.version}.{self.status}" if self.version else self.topic

    @property
    def turn(self) -> tuple[int, bool]:
        """Its place among the notices of its workflow: in one commit a workflow comes to RUNNING before it ends."""
        return self.version, self.status != "RUNNING"

    def behind(self, link: str) -> Iterable[Any]:
        """The open notices before it."""
        return cast(Iterable[Any], self.view.behind(self, link)) if self.version else ()

    @property
    def hears(self) -> str:
        """Of which ends its topic asks to be told."""
        return self.hearing.hears

    @property
    def own(self) -> int:
        """1 when its topic hears only of ends on the workflow's own account."""
        return self.hearing.own

    @property
    def copied(self) -> int:
        """1 when its proof is the digest of a copy that was read back."""
        return int(self.proof.startswith("sha256:"))

    @property
    def wanted(self) -> int:
        """1 when its topic asks to be told of the end that it is about."""
        return int(_heard(self, {}))

    @property
    def news(self) -> int:
        """1 for a notice whose workflow has come to the status that it tells of."""
        return int(self.version > 0 and self.of.state == self.status)

    @property
    def wait(self) -> int:
        """How long until the schedule of its topic comes round."""
        return self.hearing.schedule.wait(self.at)

    @property
    def open(self) -> int:
        """1 when the schedule of its topic lets it be claimed now."""
        return int(self.hearing.schedule.open(self.at))

    def copy(self) -> DeliveryRow:
        """A private copy."""
        return DeliveryRow(
            self.workflow, self.run, self.topic, self.state, self.attempt, self.claims, self.due, self.expires, self.proof,
            self.error, self.changed, self.sends, self.lease, self.hearing, None, 0, self.version, self.status, self.cause,
        )


_heard = function(heard, {})
Record = WorkflowRow | TaskRow | DeliveryRow


class Change(NamedTuple):
    """One line of history: what happened to one row, or to `count` rows of one workflow that a cascade moved together."""

    kind: str
    workflow: str
    subject: str
    event: str
    source: str
    target: str
    attempt: int
    count: int  # type: ignore[assignment]  # nobody counts in a line of history
    by: str
    reason: str
    run: int = 0
    """Of a delivery that tells of an earlier run than the present one; else 0."""


class Payload(NamedTuple):
    """One JSON text: the input or output of a task, or (no = OWN) the input of a workflow; None takes it away."""

    workflow: str
    no: int
    what: str
    text: str | None


def entry_of(name: str) -> tuple[str, int, str]:
    """The topic, version and status that a delivery of this name has. Raises ValueError for what is no name of one."""
    topic, mark, rest = name.partition("@")
    if not mark:
        return topic, 0, ""
    version, _, status = rest.partition(".")
    if not (version.isascii() and version.isdigit() and len(version) < 19) or status not in STATUSES:
        raise ValueError(name)
    return topic, int(version), status


def root_of(workflow_id: str) -> str:
    """The root of a workflow: ids of sub-workflows are paths that begin with it."""
    return workflow_id.split("/", 1)[0] if "/" in workflow_id else workflow_id


def child_id(task: TaskRow) -> str:
    """The id of the sub-workflow of a task's present attempt: deterministic, so that it cannot start twice."""
    base = f"{task.workflow}/{task.facts.ref}"
    return base if task.attempt == 1 else f"{base}~{task.attempt}"
