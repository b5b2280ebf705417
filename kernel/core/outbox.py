"""What is written into the outbox with a change of a workflow: a delivery for each topic that asks to be told, a notice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from kernel.core.archive import ARCHIVE, HEARS_ALL, NOTIFY, Hearing
from kernel.core.checks import canonical
from kernel.core.plan import Cascade, Command, Plan
from kernel.core.program import Program
from kernel.core.records import Change, DeliveryRow, Policy, Prepared, WorkflowRow
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT

DEAF = Hearing("NOTHING")
"""A topic that the definition does not name."""


@frozen
class Swept:
    """A workflow that a cascade has just moved, as far as its deliveries read it: all above it has ended before.

    As a root it stands for one that ended on its own account.
    """

    state: str
    root: int = 0

    @property
    def up(self) -> Swept:
        """The parent's task that started it."""
        return self

    @property
    def wf(self) -> Swept:
        """The workflow of that task, which has ended, too."""
        return self


def hearing_of(prepared: Prepared, topic: str, archiving: Hearing | None) -> Hearing:
    """What a topic hears of a workflow: what the store itself says of archives goes before what the definition says."""
    if topic == ARCHIVE and archiving is not None:
        return archiving
    return prepared.hearings.get(topic, HEARS_ALL)


def archives(
    workflows: Iterable[WorkflowRow], deliveries: Iterable[DeliveryRow], archiving: Hearing | None
) -> Iterator[DeliveryRow]:
    """The archive of each of these workflows, ABSENT where there is none, judged by the policy that is in force."""
    there = {(row.workflow, row.run): row for row in deliveries if row.topic == ARCHIVE}
    for workflow in workflows:
        key = workflow.id, workflow.run
        row = there.get(key) or DeliveryRow(*key, ARCHIVE, ABSENT, 0, 0, 0, NEVER, "", "", 0, 0, 0)
        row.of = workflow
        row.hearing = hearing_of(workflow.prepared, ARCHIVE, archiving) if ARCHIVE in workflow.prepared.topics else DEAF
        yield row


def emitted(
    program: Program, of: object, prepared: Prepared, run: tuple[str, int], now: int, policy: Policy,
    archiving: Hearing | None,
) -> Iterator[DeliveryRow]:
    """The deliveries of a workflow that has come to where `of` stands, as the table creates them.

    `run` is the workflow's id and run; `archiving` is what the store itself says of archives.
    """
    return _created(program, now, (
        DeliveryRow(*run, topic, ABSENT, 0, 0, 0, NEVER, "", "", now, policy.sends, policy.lease,
                    hearing_of(prepared, topic, archiving), of, now)
        for topic in prepared.topics))


def noticed(
    program: Program, of: object, prepared: Prepared, run: tuple[str, int], now: int, policy: Policy, version: int, cause: str,
) -> Iterator[DeliveryRow]:
    """The notice of the status in which `of` stands, where its definition subscribed to that; as the table creates it."""
    hearing = hearing_of(prepared, NOTIFY, None)
    return _created(program, now, (
        DeliveryRow(*run, NOTIFY, ABSENT, 0, 0, 0, NEVER, "", "", now, policy.sends, policy.lease, hearing, of, now, version,
                    status, cause)
        for status in prepared.notify))


def _created(program: Program, now: int, candidates: Iterable[DeliveryRow]) -> Iterator[DeliveryRow]:
    """Those that the table lets begin to exist."""
    (create,) = program.cells["delivery"][ABSENT, "CREATE"]
    given = {"now": now}
    for row in candidates:
        if create.holds(row, given):
            for name, read in create.sets:
                setattr(row, name, read(row, given))
            row.state, row.of = create.target, None
            yield row


def cause_of(change: Change, command: Command, now: int) -> str:
    """What a notice tells of its change besides the status, JSON text; the keys in their order, as SQL makes it, too."""
    return canonical({"actor": command.actor, "at": now, "before": change.source, "by": change.by, "command_id": command.id,
                      "event": change.event, "reason": change.reason})


def swept_cause(cascade: Cascade, source: str, plan: Plan) -> str:
    """The cause of a notice about a workflow that a cascade moves from this state."""
    change = Change("workflow", "", "", cascade.event, source, cascade.line.target, 0, 1, cascade.by, cascade.reason)
    return cause_of(change, plan.command, plan.now)
