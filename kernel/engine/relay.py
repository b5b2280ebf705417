"""The relay: drains the outbox. Claim in a commit, deliver outside any transaction, settle in a commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.core.plan import Subject
from kernel.core.records import MICROSECONDS, DeliveryRow
from kernel.engine.courier import Courier, Delivered, Failed
from kernel.engine.document import document
from kernel.engine.explain import delivery_id
from kernel.engine.faults import FaultPoint
from kernel.engine.sinks import Parcel, Sink
from kernel.errors import GuardRefused, NoSuchTransition

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel


@frozen
class RelayOptions:
    """How patiently deliveries are tried; seconds. A delivery waits `first * 2**(attempt-1)`, at most `longest`, and of that
    between half and all, by chance. `timeout` is how long a sink may take.
    """

    timeout: float = 10.0
    first: float = 0.2
    longest: float = 300.0


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
class Settled:
    """What became of the deliveries of one pass."""

    outcomes: tuple[Outcome, ...] = ()

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
        self.courier = Courier(sinks, options.timeout)

    def deliver(self, limit: int) -> Settled:
        """One pass: until nothing is due or `limit` deliveries were tried."""
        outcomes: list[Outcome] = []
        while self.courier.topics and len(outcomes) < limit:
            claimed = self._claim(limit - len(outcomes))
            if not claimed:
                break
            outcomes += [self._carry(row) for row in claimed]
        return Settled(tuple(outcomes))

    def _claim(self, most: int) -> list[DeliveryRow]:
        """Claim a few deliveries, no more than can be tried while the lease lasts."""
        kernel = self.kernel
        with kernel.store.transaction(write=True) as transaction:
            claimed: list[DeliveryRow] = []
            for subject in transaction.claimable(self.courier.topics, kernel.clock.now(), most):
                plan = kernel.apply(transaction, kernel.command("CLAIM", subject, actor="relay"))[1]
                claimed += plan.deliveries
                if (len(claimed) + 1) * self.options.timeout * MICROSECONDS > kernel.store.policy.lease:
                    break
            kernel.faults(FaultPoint.BEFORE_COMMIT, "CLAIM")
        kernel.faults(FaultPoint.AFTER_COMMIT, "CLAIM")
        return claimed

    def _carry(self, row: DeliveryRow) -> Outcome:
        """Try one delivery; no transaction is open and no lock is held."""
        kernel = self.kernel
        kernel.faults(FaultPoint.CLAIMED, "DELIVER")
        result = self.courier.carry(Parcel(
            key=f"{kernel.store.id}:{delivery_id(row.workflow, row.run, row.topic)}", topic=row.topic,
            workflow_id=row.workflow, run=row.run, attempt=row.attempt,
            open=lambda: document(kernel.store, row.workflow, row.run)))
        kernel.faults(FaultPoint.SENT, "DELIVER")
        return self._settle(row, result)

    def _settle(self, row: DeliveryRow, result: Delivered | Failed) -> Outcome:
        """Write down how it went, if this relay still holds it."""
        kernel, subject = self.kernel, Subject(row.workflow, topic=row.topic, run=row.run)
        name = delivery_id(row.workflow, row.run, row.topic)
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
        except (GuardRefused, NoSuchTransition) as fenced:
            return Outcome(name, "FENCED", error=fenced.why)

    def _delay(self, attempt: int) -> int:
        """The pause before the next attempt, in microseconds, with jitter."""
        options = self.options
        pause = min(options.longest, options.first * 2.0 ** min(attempt - 1, 40))
        return round(pause * (0.5 + 0.5 * self.kernel.chance.random()) * MICROSECONDS)
