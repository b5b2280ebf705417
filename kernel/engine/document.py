"""The archive document: one JSON text per run of a workflow, streamed from its frozen rows.

    {"format": "kernel-archive/1", "workflow": {...}, "tasks": [...], "history": [...], "digest": "sha256:..."}

The digest is that of all bytes before it (up to and without the comma that leads it in). Rows of an ended run never change,
so every pass gives the same bytes. No transaction is open between two chunks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from kernel.core.checks import canonical
from kernel.core.records import OWN, TaskRow, WorkflowRow, root_of
from kernel.engine import reading
from kernel.engine.ports import HistoryRecord, Store, Transaction
from kernel.errors import InvalidInput, StoreCorrupt

FORMAT = "kernel-archive/1"
PAGE = 500


def _workflow(transaction: Transaction, row: WorkflowRow) -> dict[str, Any]:
    source, own = row.prepared.definition.source, reading.own_payloads(transaction, row)
    return {
        "id": row.id, "run": row.run, "state": row.state, "name": source.name, "definition_version": source.version,
        "definition": row.prepared.digest, "parent": row.parent or None, "started": row.started, "ended": row.changed,
        "reason": row.reason, "input": reading.loaded(own("input")) or {},
        "output": reading.workflow_output(transaction, row, own("output")),
        "variables": reading.workflow_variables(row, own("variables")),
    }


def _task(transaction: Transaction, row: TaskRow, owner: WorkflowRow) -> dict[str, Any]:
    return {
        "ref": row.facts.ref, "type": row.facts.type, "mode": row.facts.mode, "state": row.state, "attempt": row.attempt,
        "handouts": row.handouts, "changed": row.changed, "worker": row.worker,
        "reason": reading.task_reason(row, owner),
        "input": reading.task_input(transaction, row, owner),
        "output": reading.loaded(transaction.payload(row.workflow, row.run, row.no, "output")),
        "spawned_by": reading.spawner(row, owner),
    }


def _line(line: HistoryRecord) -> dict[str, Any]:
    shown = line._asdict()
    for name in ("seq", "workflow", "run"):
        del shown[name]
    shown["count"] = shown.pop("rows")
    return shown


def _rows(store: Store, workflow_id: str, run: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The parts of the document, page by page, each read in a transaction of its own."""
    with store.transaction(write=False) as transaction:
        owner = transaction.workflow(workflow_id, run)
        if owner is None or owner.run != run:
            raise StoreCorrupt(f"the document of {workflow_id} run {run}", why="its rows are gone",
                               hint="kernel audit shows what else is missing")
        head = _workflow(transaction, owner)
    yield "workflow", [head]
    after = OWN
    while True:
        with store.transaction(write=False) as transaction:
            rows = list(transaction.tasks(workflow_id, run, after, PAGE))
            page = [_task(transaction, row, owner) for row in rows]
        yield "tasks", page
        if len(rows) < PAGE:
            break
        after = rows[-1].no
    seq = 0
    while True:
        with store.transaction(write=False) as transaction:
            lines = transaction.history(root_of(workflow_id), workflow_id, run, seq, PAGE)
        yield "history", [_line(line) for line in lines if line.kind != "delivery"]
        if len(lines) < PAGE:
            break
        seq = lines[-1].seq


def document(store: Store, workflow_id: str, run: int) -> Iterator[bytes]:
    """The document in chunks."""
    digest = hashlib.sha256()
    part, first = "", True
    opening = f'{{"format":{canonical(FORMAT)}'
    for name, rows in _rows(store, workflow_id, run):
        text = opening
        opening = ""
        if name != part:
            text += "]" if part not in ("", "workflow") else ""
            text += f',"{name}":' + ("" if name == "workflow" else "[")
            part, first = name, True
        for row in rows:
            text += ("" if first else ",") + canonical(row)
            first = False
        chunk = text.encode()
        digest.update(chunk)
        if chunk:
            yield chunk
    digest.update(b"]")
    yield f'],"digest":"sha256:{digest.hexdigest()}"}}\n'.encode()


def checked_document(data: bytes) -> dict[str, Any]:
    """A document that was read back, when its digest is right. Raises InvalidInput."""
    head, found, tail = data.rpartition(b',"digest":"sha256:')
    if not found or tail[:64] != hashlib.sha256(head).hexdigest().encode() or tail[64:] != b'"}\n':
        raise InvalidInput("an archive document", why="its digest is missing or not that of its content",
                           hint="it was cut off or changed; ask the archive for another copy")
    content: dict[str, Any] = json.loads(data)
    return content
