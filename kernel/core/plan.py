"""What goes into a decision and what comes out: Command in, Plan or Refusal out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from attrs import define, field, frozen

from kernel.core.extension import Spawn
from kernel.core.program import Line
from kernel.core.records import Change, DeliveryRow, Payload, Prepared, TaskRow, TreeRow, WorkflowRow
from kernel.spec.evaluate import Function


@define(hash=True)
class Subject:
    """The row that a command is on: a workflow; a task of it (by position); or a delivery of one of its runs (by its name,
    which is its topic unless it is a notice). Nobody changes it: to make it so that nobody can takes three times as long.
    """

    workflow: str
    no: int | None = None
    topic: str | None = None
    run: int = 0


@define
class Command:
    """A request. `given` is what the caller presents to the guards; the rest is written down, not decided on.

    It is the engine's own until it is decided on; then nobody changes it.
    """

    name: str
    subject: Subject
    given: Mapping[str, Any] = field(factory=dict)
    id: str = ""
    request: str = ""
    """What is asked, when the caller chose the id: the same id with another request is refused."""
    actor: str = ""
    reason: str = ""
    worker: str = ""
    payload: str | None = None
    """The output of the task, JSON text."""
    spawn: Spawn | None = None
    """COMPLETE only: the tasks that the result adds to the workflow."""
    prepared: Prepared | None = None
    """START only: the definition."""
    input: str | None = None
    """START only: the workflow's input, JSON text."""
    chosen: Subject | None = None
    """RERUN only: the task from which on everything runs again."""
    chance: int = 0
    """Millionths, drawn for this command: what is left to chance (how long a retry waits) is decided by it."""


@frozen(eq=False)
class Cascade:
    """One event for a whole set of rows behind `link` of a workflow, written as one statement.

    `line` is the table row that moves them; `where` picks among them; `emits` are the links over which a workflow so moved
    writes deliveries; `most` is how many of the workflow's own tasks it can still move, where they are counted.
    """

    event: str
    kind: str
    link: str
    workflow: str
    line: Line
    where: Function
    given: Mapping[str, Any]
    emits: tuple[str, ...]
    by: str
    reason: str
    most: int | None = None
    """How many of the workflow's own tasks it can move at most, where they are counted."""


@frozen(eq=False)
class Reopened:
    """A workflow that begins its next run: its new row. Its tasks are copied from the run that `was` before, with their
    payloads, without those that start `again`, which the plan creates, and without spawned ones that are `gone`. Of a spawned
    one that starts again only its definition is copied.
    """

    workflow: WorkflowRow
    was: int
    again: list[int] = field(factory=list)
    gone: list[int] = field(factory=list)

    @property
    def left(self) -> list[int]:
        """The positions of the tasks that are not copied."""
        return [*self.again, *self.gone]


class Tombstone(NamedTuple):
    """What stays of a tree that was purged: its root, last run and version, the end of its root, who purged it and when."""

    root: str
    run: int
    version: int
    name: str
    state: str
    at: int
    actor: str
    reason: str
    command_id: str


@define(eq=False, init=False)
class Plan:
    """Everything that one commit writes, in this order: what is set aside and re-opened, the cascades that come first, rows
    one by one, the cascades that come last, payloads, history, the command's record, the tree.

    Cascades of the command itself come first: they find the rows as they were. Cascades of an ending come last: the rows
    that the decision looked at are already written, so that they find just those that it did not.
    """

    command: Command
    now: int
    tree: TreeRow
    born: bool
    """The tree is new."""
    raises: bool
    """The tree's version rises; `tree.version` is the one that the history of this commit carries."""
    aside: list[WorkflowRow]
    """Sub-workflows that stay behind with the run before, and their tasks; the store tells the history of it."""
    reopened: list[Reopened]
    first: list[Cascade]
    created_workflows: list[WorkflowRow]
    created_tasks: list[TaskRow]
    created_deliveries: list[DeliveryRow]
    workflows: list[WorkflowRow]
    tasks: list[TaskRow]
    deliveries: list[DeliveryRow]
    last: list[Cascade]
    payloads: list[Payload]
    changes: list[Change]
    purged: Tombstone | None
    """What stays of a tree of which everything else is removed; then the plan writes nothing else."""
    no_op: str
    """Why the command changes nothing, when it does not."""
    reached: Tally | None
    """What the cascades reached, where the store counts that in the commit itself; it then gives the tree its version, too."""

    def __init__(self, command: Command, now: int, tree: TreeRow, born: bool) -> None:
        """A plan that writes nothing yet. Written out: calling a factory for each list takes as long as deciding a guard."""
        self.command, self.now, self.tree, self.born, self.raises, self.no_op = command, now, tree, born, False, ""
        self.aside, self.reopened, self.first, self.last = [], [], [], []
        self.created_workflows, self.created_tasks, self.created_deliveries = [], [], []
        self.workflows, self.tasks, self.deliveries = [], [], []
        self.payloads, self.changes, self.purged, self.reached = [], [], None, None


class Tally(NamedTuple):
    """What the cascades of a plan reached, as the store counted it."""

    ended: int = 0
    canceled: int = 0
    deliveries: int = 0


@frozen
class Refusal:
    """Why a command is not allowed now. `guard` is empty when the state itself has no transition for the event."""

    command: Command
    event: str
    state: str
    guard: str
    why: str
    fenced: bool
