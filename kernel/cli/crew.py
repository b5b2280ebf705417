"""Runs the workflows of a store to their ends: workers that poll, and an operator who signals, ticks and relays.

Nobody spins: who finds nothing to do waits for the pulse, which beats when somebody did something, or for the time at
which the next thing is due.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext

import attrs

from kernel.cli.text import duration, number, safe
from kernel.core.records import root_of
from kernel.engine.entities import HistoryRow, Lease
from kernel.engine.kernel import Kernel
from kernel.engine.pulse import Pulse
from kernel.engine.relay import Outcome, Settled
from kernel.engine.sinks import CheckedSink, CopySink, Owes, Parcel
from kernel.engine.worker import Function, Notice, Worker
from kernel.errors import Conflict, Refused, quoted
from kernel.spec.vocabulary import CLOSED, CLOSED_WELL, ENDED

PATIENCE = 0.25  # seconds that anyone waits for the pulse before looking again
LONGEST_GOODBYE = 5.0  # seconds that a worker has to come home
PAGE = 1000
class Unreliable:
    """An archive that raises OSError with a probability, and otherwise does what it should."""

    owes: Owes = Owes.COPY

    def __init__(self, archive: CopySink, probability: float, chance: random.Random) -> None:
        self.archive, self.probability, self.chance = archive, probability, chance
        self.raised = 0

    def check(self) -> None:
        """What the archive says of itself."""
        if isinstance(self.archive, CheckedSink):
            self.archive.check()

    def deliver(self, parcel: Parcel) -> str:
        """Store the document, or raise."""
        if self.chance.random() < self.probability:
            self.raised += 1
            raise OSError("planted by --fail-archive")
        return self.archive.deliver(parcel)

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """The stored copy."""
        return self.archive.read_back(parcel)


@attrs.define
class Progress:
    """How far one tree is, read from its history."""

    seq: int = 0
    tasks: int = 0
    states: Counter[str] = attrs.field(factory=Counter)
    waits: set[tuple[str, str]] = attrs.field(factory=set)
    ended: str = ""

    @property
    def closed(self) -> int:
        """How many tasks are closed."""
        return sum(n for state, n in self.states.items() if state in CLOSED)

    @property
    def well(self) -> int:
        """How many tasks are closed well: done, or skipped."""
        return sum(n for state, n in self.states.items() if state in CLOSED_WELL)


class Crew:
    """Workers and an operator on some workflows of a store."""

    def __init__(
        self, kernel: Kernel, *, types: Iterable[str], functions: Callable[[Iterable[str]], Mapping[str, Function]],
        workers: int, terminate_after: int | None, tell: Callable[[str], None], live: Callable[[str], None],
    ) -> None:
        """`types` are those of the tasks that are known before; `functions` gives what workers run for types."""
        self.kernel, self.functions, self.types = kernel, functions, set[str]()
        self.expected = frozenset(types)
        self.stack = ExitStack()
        self.worker: Worker | None = None
        self.workers, self.terminate_after = workers, terminate_after
        self.tell, self.live = tell, live
        self.trees: dict[str, Progress] = {}
        self.pulse = Pulse()
        self.turn: AbstractContextManager[object] = nullcontext() if terminate_after is None else threading.RLock()
        """Held by who hands out work, takes a result or signals, where a tree is to be terminated between two of these."""
        self.completed: Counter[str] = Counter()
        self.redriven: set[str] = set()

    def run(self, roots: Sequence[str]) -> None:
        """Work until every workflow is terminal and each of its deliveries is settled. Raises what stopped a worker."""
        self.trees = {root: Progress() for root in roots}
        for root in roots if self.terminate_after == 0 else ():
            self.terminate(root)
        with self.stack:
            self.hire(self.expected)
            self.operate()

    # ---- workers

    def hire(self, types: Collection[str]) -> None:
        """Let the worker take tasks of these types, too; it comes when there is something for it to do."""
        self.types.update(types)
        if self.worker is not None:
            self.worker.learn(self.functions(types))
        elif types:
            self.worker = self.stack.enter_context(Worker(
                self.kernel, self.functions(types), threads=self.workers, name="kernel run", idle=(PATIENCE, PATIENCE),
                grace=LONGEST_GOODBYE, notice=self.heard, pulse=self.pulse, turn=self.turn))

    def heard(self, notice: Notice) -> None:
        """Take in what the workers tell."""
        lease = notice.lease
        if notice.error is not None and notice.what == "store" and not isinstance(notice.error, Conflict):
            raise notice.error  # it ends the run
        if lease is None:
            return
        place = safe(lease.workflow_id)
        if notice.what == "completed":
            self.count(lease.workflow_id)
        elif notice.what == "failed":
            self.tell(f"{place}: failed {quoted(lease.ref)}: {safe(notice.reason, 80)}{self.next_attempt(lease)}")
        elif notice.what == "late":
            self.tell(f"{place}: came too late with {quoted(lease.ref)}: Fenced, nothing changed")

    def next_attempt(self, lease: Lease) -> str:
        """What follows a failed attempt, when it is not at once."""
        task = next(t for t in self.kernel.tasks(lease.workflow_id) if t.ref == lease.ref)
        if task.state != "SCHEDULED" or task.not_before is None:
            return ""
        wait = (task.not_before - task.changed).total_seconds()
        return f"; attempt {task.attempt} in {duration(wait)}" if wait else f"; attempt {task.attempt}"

    def count(self, workflow_id: str) -> None:
        """Count a completed task, and terminate its tree when there are enough."""
        if self.terminate_after is None:
            return
        root = root_of(workflow_id)
        self.completed[root] += 1
        if self.completed[root] == self.terminate_after:
            self.terminate(root)

    def terminate(self, root: str) -> None:
        """The end that --terminate-after asks for."""
        try:
            applied = self.kernel.terminate(root, reason=f"--terminate-after {self.terminate_after}")
        except Refused:
            return  # it ended before
        self.tell(f"{safe(root)}: terminated after {self.terminate_after} completed: 1 commit, {applied.ended} ended, "
                  f"{applied.canceled} CANCELED, {number(applied.deliveries, 'delivery', 'deliveries')} PENDING")

    # ---- the operator

    def operate(self) -> None:
        """Signal what waits, do what the clock asks, drain the outbox; until all is settled."""
        while True:
            seen, pause = self.pulse.count, PATIENCE
            if self.worker is not None and self.worker.stopping:
                return  # something stopped it, and leaving it raises that
            with self.turn:
                did = self.kernel.tick().total
                did += sum(self.follow(root, progress) for root, progress in self.trees.items())
            sent = self.kernel.deliver()
            for outcome in sent.outcomes:
                pause = min(pause, self.heed(outcome))
            if self.settled(sent):
                return
            if did:
                self.pulse.beat()
            else:
                self.pulse.wait(seen, pause)

    def heed(self, outcome: Outcome) -> float:
        """Take in how a delivery went; gives the seconds until it is tried again. A DEAD one is redriven, once."""
        if outcome.state == "PENDING":
            self.live(f"{safe(outcome.id)}: {safe(outcome.error)}; again in {duration(outcome.retry_in)}")
            return outcome.retry_in
        if outcome.state == "DEAD" and outcome.id not in self.redriven:
            self.redriven.add(outcome.id)
            self.kernel.redrive(outcome.id, reason="kernel run tries it once more")
            self.tell(f"{safe(outcome.id)}: DEAD ({safe(outcome.error, 80)}), redriven once")
            return 0.0
        return PATIENCE

    def follow(self, root: str, progress: Progress) -> int:
        """Read what happened in a tree since last time; signal what waits. Gives how many signals were needed."""
        signals = 0
        while lines := self.kernel.history(root, below=True, after=progress.seq, limit=PAGE):
            progress.seq = lines[-1].seq
            for line in lines:
                signals += self.notice(line, root, progress)
        if progress.tasks:
            self.live(f"{safe(root)}: {progress.closed} of {progress.tasks} tasks closed")
        return signals

    def notice(self, line: HistoryRow, root: str, progress: Progress) -> int:
        """Take in one line of history."""
        if line.kind == "task":
            if line.event == "CREATE":
                progress.tasks += line.count
                self.meet(line.workflow_id, progress)
            progress.states[line.target] += line.count
            progress.states[line.source] -= line.count
            if line.event == "LAUNCH" and (line.workflow_id, line.subject) in progress.waits:
                return self.signal(line.workflow_id, line.subject)
        elif line.kind == "workflow" and line.workflow_id == root and line.target in ENDED:
            progress.ended = line.target
        return 0

    def meet(self, workflow_id: str, progress: Progress) -> None:
        """Take in tasks that were made: who has to be signalled, and which types the worker does not know yet."""
        tasks = self.kernel.tasks(workflow_id)
        progress.waits |= {(task.workflow_id, task.ref) for task in tasks if task.mode == "WAIT"}
        if unknown := {task.type for task in tasks if task.mode == "WORKER"} - self.types:
            self.hire(unknown)

    def signal(self, workflow_id: str, ref: str) -> int:
        """Play the person for whom a task waits."""
        try:
            self.kernel.signal(workflow_id, ref, output={"by": "kernel run"})
        except Refused:
            return 0  # it ended before
        self.tell(f"{safe(workflow_id)}: signalled the waiting task {quoted(ref)}")
        return 1

    def settled(self, sent: Settled) -> bool:
        """Is every workflow terminal, and each of its deliveries DELIVERED or DEAD? An archive that takes none ends it, too."""
        if not all(progress.ended for progress in self.trees.values()):
            return False
        for obstacle in sent.obstacles:
            self.tell(f"topic {quoted(obstacle.topic)} takes nothing: {safe(obstacle.why)}")
        if sent.obstacles:
            return True
        return not any(
            root_of(delivery.workflow_id) in self.trees
            for state in ("PENDING", "LEASED") for delivery in self.kernel.deliveries(state=state, limit=1_000_000)
        )
