"""Late results: what workers reported under a lease that was not theirs any more, kept beside the history, never in it.

They change no state and no decision reads them. They are written in a small commit of their own, after the refusal; of each
task only the newest are kept.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from kernel.core.plan import Command
from kernel.engine.contention import again
from kernel.engine.entities import Applied, Lease
from kernel.engine.ports import LateRecord
from kernel.errors import Conflict, Fenced, StoreError

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

MOST = 10
"""Late results of a task that are kept: the newest."""
LARGEST = 16 * 1024
"""Bytes of an output that is kept whole; of a larger one only the size is."""


def report(kernel: Kernel, command: Command, lease: Lease) -> Applied:
    """A worker's result. One that comes too late is kept, and raises Fenced."""
    try:
        return kernel.commit(command)
    except Fenced:
        keep_late(kernel, command, lease.attempt)
        raise


def keep_late(kernel: Kernel, command: Command, attempt: int) -> None:
    """Keep what a refused command brought. A store that cannot take it changes nothing: the refusal is the answer."""
    subject, given, text = command.subject, command.given, command.payload
    size = 0 if text is None else len(text.encode())
    record = LateRecord(
        subject.workflow, subject.no or 0, given["run"], given["handouts"], command.name, kernel.clock.now(), command.worker,
        attempt, command.reason, size, text if size <= LARGEST else None)
    with suppress(Conflict, StoreError):
        _keep(kernel, record)


@again
def _keep(kernel: Kernel, record: LateRecord) -> None:
    with kernel.store.transaction(write=True) as transaction:
        transaction.keep_late(record, MOST)
