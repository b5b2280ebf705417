"""The document of a notice: one small JSON text that tells of one change of status of a workflow.

    {"format": "kernel-notice/1", "workflow": "order-7", "root": "order-7", "name": "order", "definition_version": 1, "run": 1,
     "version": 5, "status": "PAUSED", "before": "RUNNING", "at": 1767225600000000, "event": "PAUSE", "by": "PAUSE",
     "command_id": "...", "reason": "...", "actor": "..."}

`before` is null for a workflow that starts; `by` is the command or the rule of progress that brought the change about; `at` is
in microseconds since the Unix epoch. Nothing of it ever changes, so every attempt gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kernel.core.checks import canonical
from kernel.core.records import DeliveryRow, root_of
from kernel.engine.ports import Store
from kernel.errors import StoreCorrupt
from kernel.spec.vocabulary import ABSENT

FORMAT = "kernel-notice/1"


def notice(store: Store, row: DeliveryRow) -> Iterator[bytes]:
    """The document, in one chunk."""
    with store.transaction(write=False) as transaction:
        owner = transaction.workflow(row.workflow, row.run)
    if owner is None:
        raise StoreCorrupt(f"the notice {row.name} of {row.workflow}", why="the row of its workflow is gone",
                           hint="kernel audit shows what else is missing")
    source, cause = owner.prepared.definition.source, dict[str, Any](json.loads(row.cause))
    told = {
        "format": FORMAT, "workflow": row.workflow, "root": root_of(row.workflow), "name": source.name,
        "definition_version": source.version, "run": row.run, "version": row.version, "status": row.status, **cause,
    }
    yield f"{canonical({**told, 'before': None if told['before'] == ABSENT else told['before']})}\n".encode()
