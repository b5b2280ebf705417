"""How rows stand in Redis: a workflow and a delivery as a JSON array, a task as columns with bars between them.

The scripts in lua/ read and write the same texts. A time is written out in digits, since a number of Lua's loses some when it
is printed; one that never comes is empty. The keys of a partition begin with its prefix, which holds the hash tag:

    t:ROOT  the tree: run, tasks, version, clock; its workflows and their counters, by id and run with "f" and "n" before these
    h:ROOT  its history                               c:ROOT  records of commands                l:ROOT  late results
    w:RUN:ID  the tasks and deliveries of a workflow  v:RUN:ID  its payloads
    q:TYPE, z, o:TOPIC  when work is due              i:STATE, x:STATE, trees, topics  what there is, by name
                        (a notice with its name: "notify@VERSION.STATUS")
    p:POLL  the partition that a poll of this id takes tasks of
    r  what somebody is about to take                 head  what is counted; graves  tombstones; ct  records by age
    names, definitions, meta  (in the first partition)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

from kernel.core.checks import canonical
from kernel.core.records import Change, DeliveryRow, Facts, Prepared, TaskRow, WorkflowRow, entry_of
from kernel.engine.ports import HistoryRecord, Recorded
from kernel.engine.reading import damaged
from kernel.errors import quoted
from kernel.spec.language import NEVER
from kernel.spec.vocabulary import ABSENT, KINDS

STATES = {kind.name: frozenset(kind.states) - {ABSENT} for kind in KINDS.values()}
COLUMNS = 12
"""Of a task, before the worker and the reason."""
Columns = tuple[Any, ...]
"""Of a workflow."""
Places = tuple[tuple[str, int], ...]
"""Indexes, each with the time from which something is found there."""
_BEFORE_CHANGED = re.compile(r'\[?"?[A-Z_]+[|"][,"]*')
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Texts(dict[int, str]):
    """Whole numbers as texts; of those that occur all the time, which take longer to be written than to be found."""

    def __missing__(self, number: int) -> str:
        return str(number)


TEXTS: Mapping[int, str] = Texts({number: str(number) for number in range(1000)})


def loaded(what: str, text: str | None) -> Any:
    """A stored JSON text as a value; `what` it is of. Raises StoreCorrupt."""
    try:
        return json.loads(text or "")
    except ValueError as error:
        raise damaged(what, "it is gone" if text is None else f"it cannot be read: {error}") from error


def time_text(value: int) -> str:
    """A time as it is stored."""
    return "" if value >= NEVER else str(value)


def time_of(text: str) -> int:
    """A stored time."""
    return int(text) if text else NEVER


def field_of(workflow_id: str, run: int) -> str:
    """The place of a workflow among those of its tree."""
    return f"{workflow_id}\0{TEXTS[run]}"


def row_field(workflow_id: str, run: int) -> str:
    """Where the hash of a tree has the row of a workflow."""
    return f"f{workflow_id}\0{TEXTS[run]}"


def counts_field(workflow_id: str, run: int) -> str:
    """Where it has its counters."""
    return f"n{workflow_id}\0{TEXTS[run]}"


def place_of(field: str) -> tuple[str, int]:
    """The id and run of the workflow at a place; likewise the name and version of a definition."""
    name, _, number = field.rpartition("\0")
    return name, int(number)


def delivery_place(workflow_id: str, run: int, name: str) -> str:
    """The place of a delivery among all, in the order of workflow, run, topic, and for notices of version and status."""
    topic, version, status = entry_of(name)
    return f"{workflow_id}\0{run:010d}\0{topic}" + (f"\0{version:019d}\0{status}" if version else "")


def delivery_at(place: str) -> tuple[str, int, str]:
    """The workflow, run and name of the delivery at a place."""
    workflow_id, run, topic, *notice = place.split("\0")
    return workflow_id, int(run), f"{topic}@{int(notice[0])}.{notice[1]}" if notice else topic


def delivery_member(serial: int, d: DeliveryRow) -> str:
    """How an entry of the sorted set of its topic names a delivery."""
    member = member_of(serial, None, d.run, d.workflow)
    return f"{member}\0{d.name}" if d.version else member


def packed_workflow(w: WorkflowRow, serial: int, definition: int) -> Columns:
    """The columns of a workflow, without its counters; the last but one is one more than the last position of a task."""
    return (w.state, str(w.changed), time_text(w.until), w.parent, w.parent_no, w.slot, w.depth, definition,
            str(w.started), time_text(w.deadline), w.paused_by, str(w.paused_at), w.reason, serial,
            len(w.prepared.facts), w.extension)


@lru_cache(maxsize=1000)
def columns_of(text: str) -> Columns:
    """The columns of a workflow, from its text. Raises ValueError."""
    return tuple(json.loads(text))


@lru_cache(maxsize=1000)
def counts_of(text: str) -> tuple[int, ...]:
    """The counters of a workflow, or of a task, from their text."""
    return tuple(map(int, text.split(",")))


@lru_cache(maxsize=1000)
def counts_text(counts: tuple[int, ...]) -> str:
    """Counters as they are stored."""
    return ",".join(map(str, counts))


def workflow_of(workflow_id: str, run: int, columns: Columns, counts: str, prepared: Prepared) -> WorkflowRow:
    """A workflow from its columns. Raises StoreCorrupt."""
    state, changed, until, parent, parent_no, slot, depth, _, started, deadline, paused_by, paused_at, reason = columns[:13]
    if state not in STATES["workflow"]:
        raise damaged(f"workflow {quoted(workflow_id)}", f"its state is {quoted(state)}")
    return WorkflowRow(
        workflow_id, run, state, parent, parent_no, slot, depth, prepared, int(started), int(changed), time_of(deadline),
        paused_by, int(paused_at), reason, [*counts_of(counts)], time_of(until),
        extension=columns[15])


def packed_task(t: TaskRow) -> str:
    """A task as it is stored."""
    worker = len(t.worker) if t.worker.isascii() else len(t.worker.encode())
    counts = TEXTS[t.counts[0]] if len(t.counts) == 1 else ",".join(map(str, t.counts))
    expires, attempt_ends = "" if t.expires >= NEVER else t.expires, "" if t.attempt_ends >= NEVER else t.attempt_ends
    total_ends, wakes = "" if t.total_ends >= NEVER else t.total_ends, "" if t.wakes >= NEVER else t.wakes
    return (f"{t.state}|{t.changed}|{TEXTS[t.attempt]}|{TEXTS[t.handouts]}|{t.not_before}|{expires}|{attempt_ends}|"
            f"{total_ends}|{wakes}|{TEXTS[t.signalled]}|{counts}|{TEXTS[worker]}|{t.worker}{t.reason}")


def task_of(text: str, workflow_id: str, run: int, no: int, facts: tuple[Facts, ...]) -> TaskRow:
    """A task from its text. Raises StoreCorrupt."""
    columns = text.split("|", COLUMNS)
    if len(columns) <= COLUMNS or columns[0] not in STATES["task"] or not 0 <= no < len(facts):
        raise damaged(f"task number {no} of workflow {quoted(workflow_id)}", f"its state is {quoted(columns[0])}")
    state, changed, attempt, handouts, not_before, expires, attempt_ends, total_ends, wakes, signalled = columns[:10]
    counts, length, tail = columns[10:]
    worker, reason = "", tail
    if length != "0" and tail.isascii():
        worker, reason = tail[:int(length)], tail[int(length):]
    elif length != "0":
        data = tail.encode()
        worker, reason = data[:int(length)].decode(), data[int(length):].decode()
    return TaskRow(
        workflow_id, no, run, state, int(attempt), int(handouts), int(not_before), int(expires or NEVER),
        int(attempt_ends or NEVER), int(total_ends or NEVER), int(wakes or NEVER), int(signalled), int(changed), worker, reason,
        [*counts_of(counts)], facts[no])


def packed_delivery(d: DeliveryRow) -> str:
    """A delivery as it is stored."""
    return _encode([d.state, d.attempt, d.claims, str(d.due), time_text(d.expires), d.proof, d.error, str(d.changed), d.sends,
                    str(d.lease), d.cause])


def delivery_of(text: str, workflow_id: str, run: int, name: str) -> DeliveryRow:
    """A delivery from its text. Raises StoreCorrupt."""
    what = f"delivery {quoted(name)} of workflow {quoted(workflow_id)}"
    state, attempt, claims, due, expires, proof, error, changed, sends, lease, cause = loaded(what, text)
    if state not in STATES["delivery"]:
        raise damaged(what, f"its state is {quoted(state)}")
    topic, version, status = entry_of(name)
    return DeliveryRow(workflow_id, run, topic, state, attempt, claims, int(due), time_of(expires), proof, error, int(changed),
                       sends, int(lease), version=version, status=status, cause=cause)


def looked_for(t: TaskRow) -> Places:
    """Where a task is looked for, and from when: in the queue of its type, or by the clock."""
    return _places(t.state, t.not_before, t.expires, t.wakes, t.facts)


def was_looked_for(text: str, facts: Facts) -> Places:
    """The same of a task as it is stored."""
    state, _, _, _, not_before, expires, _, _, wakes, _ = text.split("|", 9)
    return _places(state, int(not_before), time_of(expires), time_of(wakes), facts)


def _places(state: str, not_before: int, expires: int, wakes: int, facts: Facts) -> Places:
    if state == "IN_PROGRESS":
        due = min(expires, wakes)
        return (("a", due),) if due < NEVER else ()
    if state != "SCHEDULED":
        return ()
    own = f"q:{facts.type}" if facts.mode == "WORKER" and facts.type else "a"
    return ((own, not_before),) if expires >= NEVER else ((own, not_before), ("b", expires))


def changed_at(text: str | None, now: str, later: str) -> str | None:
    """The text of a task or a workflow that says that it changed now, as the script writes it where that is at a later time."""
    head, _, rest = (text or "").partition(now)
    return f"{head}{later}{rest}" if rest.startswith(("|", '"')) and _BEFORE_CHANGED.fullmatch(head) else text


@lru_cache(maxsize=100)
def queues_of(prepared: Prepared) -> str:
    """The queue in which workers look for each task, as the scripts read it; empty for one that no worker takes."""
    return canonical([facts.type if facts.mode == "WORKER" else "" for facts in prepared.facts])


def packed_record(found: Recorded) -> str:
    """The record of a command as it is stored."""
    return _encode([found.request, found.outcome, str(found.at)])


def record_of(text: str) -> Recorded:
    """The record of a command."""
    request, outcome, at = loaded("the record of a command", text)
    return Recorded(request, canonical(json.loads(outcome)) if outcome else "", int(at))


def line_of(seq: int, text: str) -> HistoryRecord:
    """A line of history."""
    return HistoryRecord(seq, *loaded(f"line {seq} of a history", text))


def packed_lines(changes: Iterable[Change], run: int, now: int, actor: str, command_id: str) -> list[str]:
    """Lines of history without their version, which the script gives them."""
    tail, text, when = f"{encode_basestring(actor)},", encode_basestring(command_id), str(now)
    return [f'{TEXTS[of or run]},{when},"{kind}",{encode_basestring(workflow)},{encode_basestring(subject)},"{event}",'
            f'"{source}","{target}",{TEXTS[attempt]},{TEXTS[count]},"{by}",{tail}{encode_basestring(reason)},{text}'
            for kind, workflow, subject, event, source, target, attempt, count, by, reason, of in changes]


@lru_cache(maxsize=10_000)
def member_of(serial: int, no: int | None, run: int, workflow_id: str) -> str:
    """How an entry of a sorted set names a task, or (no = None) a workflow: in the order in which workflows were started."""
    first = f"{serial:012d}|{TEXTS[run]}" if no is None else f"{serial:012d}|{no:06d}|{TEXTS[run]}"
    return f"{first}|{workflow_id}"
