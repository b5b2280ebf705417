"""The relay: drains the outbox. Claim in a commit, deliver outside any transaction, settle in a commit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.core.archive import ARCHIVE, COMPENSATION
from kernel.core.plan import Subject
from kernel.core.records import MICROSECONDS, DeliveryRow, entry_of
from kernel.engine.compensation import Compensation
from kernel.engine.contention import again
from kernel.engine.courier import Courier, Delivered, Failed
from kernel.engine.document import document
from kernel.engine.explain import delivery_id
from kernel.engine.faults import FaultPoint
from kernel.engine.notice import notice
from kernel.engine.sinks import Parcel, Sink
from kernel.errors import GuardRefused, NoSuchTransition, NotFound, Refused
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import in_schedule

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

BATCH = 500
"""Deliveries that are looked for together; each is claimed when its turn comes."""


@frozen
class RelayOptions:
    """How patiently deliveries are tried; seconds. A delivery waits `first * 2**(attempt-1)`, at most `longest`, and of that
    between half and all, by chance. `timeout` is how long a sink may take.

    With the 100 attempts of a delivery these last for 11 to 22 hours before it is DEAD.
    """

    timeout: float = 10.0
    first: float = 0.2
    longest: float = 900.0


@frozen
class Outcome:
    """What became of one delivery in a pass."""

    id: str
    state: str
    proof: str = ""
    place: str = ""
    """Where the copy is, or the receipt, in the sink's words."""
    error: str = ""
    retry_in: float = 0.0


@frozen
class Obstacle:
    """Why a topic was left alone in a pass: its deliveries wait, and no attempt was counted."""

    topic: str
    why: str


@frozen
class Settled:
    """What became of the deliveries of one pass, and which topics' sinks were not ready to take any."""

    outcomes: tuple[Outcome, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()

    def count(self, state: str) -> int:
        """How many ended the pass in this state."""
        return sum(1 for outcome in self.outcomes if outcome.state == state)

    @property
    def delivered(self) -> int:
        """How many were delivered and proven."""
        return self.count("DELIVERED")

    @property
    def released(self) -> int:
        """How many failed and wait for their next attempt."""
        return self.count("PENDING")

    @property
    def dead(self) -> int:
        """How many failed for the last time."""
        return self.count("DEAD")


class Relay:
    """Delivers what this process has sinks for; the rest stays PENDING for one that has."""

    def __init__(self, kernel: Kernel, sinks: Mapping[str, Sink], options: RelayOptions) -> None:
        self.kernel, self.options = kernel, options
        self.courier = Courier({COMPENSATION: Compensation(kernel), **sinks}, options.timeout)

    def deliver(self, limit: int, *, now: bool = False) -> Settled:
        """One pass: until nothing is left that was due when it began, or `limit` deliveries were tried.

        `now`: also what waits for its schedule or its next attempt, each once.
        """
        outcomes: list[Outcome] = []
        bars: dict[str, str] = {}
        deferred: list[Subject] = []
        tried = set[Subject]()
        began = NEVER if now else self.kernel.clock.now()
        while due := self._due(bars, began, limit if now else min(BATCH, limit - len(outcomes))):
            before = len(outcomes), len(deferred), list(bars.values())
            for subject in [each for each in due if each not in tried][:limit - len(outcomes)]:
                tried.add(subject)
                row = self._claim(subject, now, deferred) if self._is_open(entry_of(subject.topic or "")[0], bars) else None
                outcomes += [] if row is None else [self._carry(row)]
            if (len(outcomes), len(deferred), list(bars.values())) == before:
                break  # others were faster each time, or nothing is left that was not tried
        return Settled(tuple(outcomes), tuple(Obstacle(topic, why) for topic, why in sorted(bars.items()) if why))

    def _due(self, bars: Mapping[str, str], began: int, most: int) -> list[Subject]:
        """What has been due for longest, of the topics that are not barred."""
        topics = [topic for topic in self.courier.topics if not bars.get(topic)]
        if not topics or not most:
            return []
        with self.kernel.store.transaction(write=False) as transaction:
            return transaction.claimable(topics, began, most)

    def _is_open(self, topic: str, bars: dict[str, str]) -> bool:
        """Whether the topic's sink takes a parcel now; it is asked once in a pass. `bars` keeps what stands in the way."""
        if not bars.get(topic):
            bars[topic] = self.courier.obstacle(topic, check=topic not in bars)
        return not bars[topic]

    @again
    def _claim(self, subject: Subject, now: bool, deferred: list[Subject]) -> DeliveryRow | None:
        """Claim one delivery, to be tried at once: who waits in line is not claimed, so that its lease cannot run out.

        One whose schedule has closed meanwhile waits until it opens again.
        """
        kernel = self.kernel
        try:
            with kernel.store.transaction(write=True) as transaction:
                (row,) = kernel.apply(transaction, kernel.command(
                    "CLAIM", subject, given={"anyway": int(now)}, actor="relay"))[1].deliveries
                kernel.faults(FaultPoint.BEFORE_COMMIT, "CLAIM")
        except (Refused, NotFound) as refused:
            if isinstance(refused, GuardRefused) and refused.guard == in_schedule.name:
                self._defer(subject)
                deferred.append(subject)
            return None  # or another relay was faster, and then its tree may have been purged
        kernel.faults(FaultPoint.AFTER_COMMIT, "CLAIM")
        return row

    def _defer(self, subject: Subject) -> None:
        """Let a delivery wait for the window of its topic."""
        with suppress(Refused, NotFound):
            self.kernel.commit(self.kernel.command("DEFER", subject, actor="relay"))

    def _carry(self, row: DeliveryRow) -> Outcome:
        """Try one delivery; no transaction is open and no lock is held."""
        kernel = self.kernel
        kernel.faults(FaultPoint.CLAIMED, "DELIVER")
        result = self.courier.carry(self._parcel(row))
        kernel.faults(FaultPoint.SENT, "DELIVER")
        return self._settle(row, result)

    def _parcel(self, row: DeliveryRow) -> Parcel:
        store = self.kernel.store
        return Parcel(
            key=f"{store.id}:{delivery_id(row.workflow, row.run, row.name)}", topic=row.topic, workflow_id=row.workflow,
            run=row.run, attempt=row.attempt, version=row.version, status=row.status,
            open=lambda: notice(store, row) if row.version else document(store, row.workflow, row.run))

    def archived(self, workflow_id: str, run: int) -> bytes | Failed:
        """The archive of a run, as the sink of this process gives it back; or why it does not."""
        return self.courier.fetch(Parcel(
            key=f"{self.kernel.store.id}:{delivery_id(workflow_id, run, ARCHIVE)}", topic=ARCHIVE, workflow_id=workflow_id,
            run=run, attempt=1, open=lambda: document(self.kernel.store, workflow_id, run)))

    def _settle(self, row: DeliveryRow, result: Delivered | Failed) -> Outcome:
        """Write down how it went, if this relay still holds it."""
        kernel, subject = self.kernel, Subject(row.workflow, topic=row.name, run=row.run)
        name = delivery_id(row.workflow, row.run, row.name)
        held = {"claims": row.claims}
        try:
            if isinstance(result, Delivered):
                kernel.commit(kernel.command("CONFIRM", subject, given={**held, "proof": result.proof}, actor="relay"))
                return Outcome(name, "DELIVERED", proof=result.proof, place=result.place)
            if row.attempt < row.sends:
                delay = self._delay(row.attempt)
                kernel.commit(kernel.command(
                    "RELEASE", subject, given={**held, "delay": delay, "error": result.error}, actor="relay"))
                return Outcome(name, "PENDING", error=result.error, retry_in=delay / MICROSECONDS)
            kernel.commit(kernel.command("BURY", subject, given={**held, "error": result.error}, actor="relay"))
            return Outcome(name, "DEAD", error=result.error)
        except (GuardRefused, NoSuchTransition, NotFound) as fenced:
            return Outcome(name, "FENCED", error=fenced.why)

    def _delay(self, attempt: int) -> int:
        """The pause before the next attempt, in microseconds, with jitter."""
        options = self.options
        pause = min(options.longest, options.first * 2.0 ** min(attempt - 1, 40))
        return round(pause * (0.5 + 0.5 * self.kernel.chance.random()) * MICROSECONDS)
