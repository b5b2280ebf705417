"""What the engine asks of a store, of a clock, of chance: one page each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from attrs import frozen

from kernel.core.archive import ArchivePolicy
from kernel.core.plan import Plan, Subject, Tally, Tombstone
from kernel.core.records import DeliveryRow, Policy, Prepared, TaskRow, TreeRow, WorkflowRow
from kernel.core.snapshot import Snapshot
from kernel.core.structure import Definition
from kernel.spec.language import Lock


@frozen
class Recorded:
    """What is kept of a command: the request and its outcome as JSON, and when it was.

    Both are empty where the id was given up: nothing came of it, and nothing may any more.
    """

    request: str
    outcome: str
    at: int


class HistoryRecord(NamedTuple):
    """One line of history as stored; `seq` counts the lines of one tree, times are in microseconds."""

    seq: int
    version: int
    run: int
    at: int
    kind: str
    workflow: str
    subject: str
    event: str
    source: str
    target: str
    attempt: int
    rows: int
    by: str
    actor: str
    reason: str
    command_id: str


class Timer(NamedTuple):
    """A command that the clock gives: EXPIRE, WAKE or TIME_OUT, or RELEASE of a delivery whose lease ran out."""

    command: str
    subject: Subject


class LateRecord(NamedTuple):
    """A result that came under a lease that was not the stored one; `text` is its output, None when that is too large."""

    workflow: str
    no: int
    run: int
    handouts: int
    what: str
    at: int
    worker: str
    attempt: int
    reason: str
    size: int
    text: str | None


class Waiting(NamedTuple):
    """How much waits: timers that are due, outbox entries due, PENDING, LEASED and DEAD, and when the first became due."""

    timers: int
    due: int
    pending: int
    leased: int
    dead: int
    oldest: int | None


class Violation(NamedTuple):
    """One row that breaks an invariant."""

    invariant: str
    workflow: str
    run: int
    subject: str
    text: str


class Transaction(Protocol):
    """What happens between BEGIN and COMMIT. Leaving it with an exception undoes everything that it wrote."""

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> Snapshot:
        """The rows of the subject's tree, for a decision on it by a command that holds `lock`.

        In a writing transaction nobody else changes what that covers until it ends; or a store lets them, compares when it
        commits, and raises `kernel.engine.contention.Overtaken`, with nothing applied: the engine then decides again.
        """

    def write(self, plan: Plan) -> Tally:
        """Write everything that a plan holds. Where only the commit tells what cascades reach, it sets `plan.reached`.

        With the commit the rows of the plan are the store's: it may give them to another decision.
        """

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        """What is kept of a command."""

    def record(self, root: str, command_id: str, found: Recorded) -> None:
        """Keep what is known of a command, in place of what was kept."""

    def lines_of(self, root: str, command_id: str) -> list[HistoryRecord]:
        """What a command did, line by line."""

    def has_records(self, before: int) -> bool:
        """Whether a command is recorded that is as old as that, or older."""

    def forget(self, before: int, limit: int) -> int:
        """Remove the records of commands that are as old as that, or older, at most `limit`; gives how many."""

    def register(self, definition: Definition, at: int) -> None:
        """Keep a definition. Raises InvalidDefinition for another content under the same name and version."""

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A registered definition; the latest one when no version is asked for."""

    def names(self) -> dict[str, tuple[int, ...]]:
        """The registered definitions: name and versions."""

    def pollable(self, type: str, now: int, limit: int) -> list[Subject]:
        """Tasks of a type that could be handed out, those due first first. A decision has the last word."""

    def claimable(self, topics: Iterable[str], now: int, limit: int) -> list[Subject]:
        """Deliveries of these topics that are due, those due first first."""

    def timers(self, now: int, limit: int) -> list[Timer]:
        """What the clock has to do, earliest first."""

    def tombstone(self, root: str) -> Tombstone | None:
        """What stays of a tree that was purged."""

    def purgeable(self, before: int, after: str, limit: int) -> list[str]:
        """The ids of roots that ended at this time or earlier, behind the id `after`, in order."""

    def roots(self, after: str, limit: int) -> list[str]:
        """The ids of the trees that there are, behind the id `after`, in order: also of what is left of a damaged one."""

    def tree(self, root: str) -> TreeRow | None:
        """A tree."""

    def workflow(self, workflow_id: str, run: int) -> WorkflowRow | None:
        """A workflow as part of a run, in which it may be kept from an earlier one."""

    def below(self, workflow_id: str, run: int) -> list[WorkflowRow]:
        """A workflow and all its descendants as parts of a run, by id."""

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        """The tasks of a workflow behind a position, by position."""

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """One task."""

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        """A JSON text."""

    def history(self, root: str, workflow_id: str | None, run: int | None, after: int, limit: int) -> list[HistoryRecord]:
        """A tree's history behind `after`, in order; only that of one workflow, or of one run, when asked."""

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        """Workflows of their tree's present run, by id, behind the id `after`."""

    def deliveries(self, state: str | None, workflow_id: str | None, after: tuple[str, int, str], limit: int
                   ) -> list[DeliveryRow]:
        """Outbox entries by (workflow, run, name); those of a topic by version."""

    def delivery(self, workflow_id: str, run: int, name: str) -> DeliveryRow | None:
        """One outbox entry, by its name."""

    def keep_late(self, record: LateRecord, most: int) -> None:
        """Keep a late result, once for each lease; of its task no more than the `most` newest."""

    def late(self, workflow_id: str) -> list[LateRecord]:
        """The late results of a workflow, of all its runs, the oldest first."""

    def backlog(self, now: int) -> Waiting:
        """What waits: timers that are due, and the outbox entries that are not delivered."""

    def violations(self) -> Iterable[Violation]:
        """Every row that breaks a state invariant, found set by set; and counters that are not what they count."""

    def archive_policies(self, root: str = "") -> list[tuple[int, ArchivePolicy | None]]:
        """The store's own archive policies, each with the time from which it is in force; None: the definitions' own.

        Where a policy is set part by part: those that hold for the tree `root`.
        """

    def set_archive_policy(self, policy: ArchivePolicy | None, since: int) -> None:
        """From this time on, or as soon as the clock of every tree is behind: a policy for every definition, or none."""

    def sizes(self) -> tuple[int, int, int]:
        """How many workflows, tasks and deliveries there are."""


class Store(Protocol):
    """Keeps trees. One instance may be used by several threads."""

    name: str
    id: str
    """Chosen at random when the store is made: part of the key of every delivery."""
    policy: Policy
    """How deliveries are tried."""
    durability: str
    """What an acknowledged command survives, in words."""

    def transaction(self, *, write: bool) -> AbstractContextManager[Transaction]:
        """Begin; commit on leaving, undo when an exception leaves."""

    def close(self) -> None:
        """Let go of files and connections."""


@runtime_checkable
class Tells(Protocol):
    """What a store may be, too: one that tells of tasks, so that workers need not look so often. Nothing relies on it."""

    def listening(self, heard: Callable[[str], None]) -> AbstractContextManager[object]:
        """While the context lasts, call `heard` from any thread with each type of which there may be tasks for workers now;
        with an empty one when some may have been missed.
        """


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""


class Chance(Protocol):
    """Randomness for ids and jitter; `random.Random` is one."""

    def random(self) -> float:
        """A number from 0 to 1."""

    def getrandbits(self, k: int, /) -> int:
        """A whole number of k random bits."""
