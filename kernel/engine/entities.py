"""What callers get: frozen values read from a store. Times are aware UTC datetimes, payloads are JSON values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from kernel.engine.states import DeliveryState, TaskState, WorkflowState
from kernel.errors import StoreCorrupt
from kernel.formal.told import Misstep
from kernel.spec.language import NEVER

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """A stored time as an aware datetime. Raises StoreCorrupt for one that no clock has shown."""
    try:
        return EPOCH + microseconds * MICROSECOND
    except OverflowError as error:
        raise StoreCorrupt("reading a stored time", why=f"{microseconds} microseconds since 1970 are in no year",
                           hint="restore a backup; keep the damaged file for analysis") from error


def moment_or_none(microseconds: int) -> datetime | None:
    """A stored time; None for one that never comes (or lies beyond what a datetime can say)."""
    return None if microseconds >= NEVER // 2 or microseconds <= 0 else moment(microseconds)


@frozen
class Workflow:
    """One workflow in one run."""

    id: str
    run: int
    state: WorkflowState
    name: str
    definition_version: int
    parent: str | None
    root: str
    started: datetime
    changed: datetime
    deadline: datetime | None
    paused_by: str | None
    reason: str
    version: int
    """Of its tree: +1 with every commit that changes the tree."""
    input: Any
    output: Any
    """What it gave; None until it has ended, and when it gave nothing."""
    variables: Any
    purged: datetime | None = None
    """When its tree was purged: then all this is what its archive tells. None while the store has it."""


@frozen
class Task:
    """One task of a workflow."""

    workflow_id: str
    ref: str
    type: str
    mode: str
    state: TaskState
    attempt: int
    not_before: datetime | None
    """When it is due; None unless it is SCHEDULED."""
    expires: datetime | None
    changed: datetime
    worker: str
    reason: str
    input: Any
    output: Any
    spawned_by: str | None = None
    """The task whose result added it; None for a task of the definition."""


@frozen
class Lease:
    """The right to work on one attempt of a task until `expires`; (run, handouts) is its token."""

    workflow_id: str
    ref: str
    type: str
    attempt: int
    run: int
    handouts: int
    worker: str
    expires: datetime
    input: Any
    position: int
    """Of the task in its definition."""
    output: Any = None
    """How far this attempt had come when it was postponed."""


@frozen
class Applied:
    """What a command did. A no-op did nothing; `why` says why that is an answer and not an error."""

    command_id: str
    version: int
    ended: int = 0
    """Workflows that reached a terminal state."""
    canceled: int = 0
    """Tasks that were CANCELED."""
    deliveries: int = 0
    """Entries written to the outbox."""
    no_op: bool = False
    why: str = ""
    run: int = 0
    """The run of the tree that it began; 0 when it began none."""
    again: int = 0
    """Tasks that start again in a run that it began."""


@frozen
class NotApplied:
    """Nothing came of a command, and under its id nothing will any more."""

    command_id: str


@frozen
class Expired:
    """A command was applied so long ago that its outcome is no longer kept; the history still tells what it did."""

    command_id: str
    at: datetime


@frozen
class Purged:
    """The tree of a command was purged, and with it what is known of its commands; under this id nothing applies any more."""

    command_id: str
    at: datetime
    """When the tree was purged."""


@frozen
class Kept:
    """A workflow that could not be purged: which guard kept it, and why."""

    workflow_id: str
    guard: str
    why: str


@frozen
class Purge:
    """What one round of purging did; `after` continues behind the workflows that it looked at, None at the end."""

    purged: int
    kept: tuple[Kept, ...]
    after: str | None


@frozen
class HistoryRow:
    """One line of a tree's history: what happened to one row, or to `count` rows that a cascade moved together."""

    seq: int
    version: int
    run: int
    at: datetime
    kind: str
    workflow_id: str
    subject: str
    """The task's reference or the delivery's topic; empty for the workflow itself or for a whole set of tasks."""
    event: str
    source: str
    target: str
    attempt: int
    count: int
    by: str
    actor: str
    reason: str
    command_id: str


@frozen
class Node:
    """A workflow with its tasks and its sub-workflows."""

    workflow: Workflow
    tasks: tuple[Task, ...]
    children: tuple[Node, ...]


@frozen
class Page:
    """Some workflows; `after` continues behind them, None at the end."""

    items: tuple[Workflow, ...]
    after: str | None


@frozen
class LateResult:
    """What a worker reported too late: under a lease that was not its any more. It changed nothing."""

    workflow_id: str
    task: str
    run: int
    attempt: int
    handouts: int
    """With the run, the token of the lease that was presented."""
    worker: str
    at: datetime
    event: str
    """COMPLETE or FAIL."""
    reason: str
    size: int
    """Bytes of its output."""
    output: Any
    """None, too, when it is too large to be kept."""


@frozen
class Delivery:
    """One outbox entry. A notice, of topic "notify", tells that its workflow came to `status` with `version` of its tree."""

    id: str
    workflow_id: str
    run: int
    topic: str
    state: DeliveryState
    attempt: int
    sends: int
    due: datetime | None
    proof: str
    error: str
    version: int | None = None
    status: str | None = None


@frozen
class Backlog:
    """What waits in a store at a moment: timers that are due, and outbox entries by state.

    `oldest` is since when the entry that waits longest has been due; None when none is due.
    """

    at: datetime
    timers: int
    due: int
    pending: int
    leased: int
    dead: int
    oldest: datetime | None


@frozen
class Finding:
    """One violation that an audit found."""

    invariant: str
    workflow_id: str
    run: int
    subject: str
    text: str


@frozen
class Report:
    """The result of an audit."""

    findings: tuple[Finding, ...]
    workflows: int
    tasks: int
    deliveries: int

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


@frozen
class Verification:
    """What came of verifying histories; `after` continues behind the trees that were looked at, None at the end."""

    missteps: tuple[Misstep, ...]
    trees: int
    lines: int
    transitions: int
    """Rows that moved: a line may tell of many."""
    after: str | None = None

    @property
    def clean(self) -> bool:
        """Whether every history is allowed and tells the rows."""
        return not self.missteps
