"""What is written into the outbox with a change of a workflow: a delivery for each topic whose policy asks to be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from kernel.core.archive import ARCHIVE, HEARS_ALL, Hearing
from kernel.core.program import Program
from kernel.core.records import DeliveryRow, Policy, Prepared, WorkflowRow
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
    (create,) = program.cells["delivery"][ABSENT, "CREATE"]
    given = {"now": now}
    for topic in prepared.topics:
        row = DeliveryRow(*run, topic, ABSENT, 0, 0, 0, NEVER, "", "", now, policy.sends, policy.lease,
                          hearing_of(prepared, topic, archiving), of, now)
        if create.holds(row, given):
            for name, read in create.sets:
                setattr(row, name, read(row, given))
            row.state, row.of = create.target, None
            yield row
