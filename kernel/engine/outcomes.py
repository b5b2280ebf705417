"""Command ids: what was asked under an id, what came of it, and how an outcome that nobody knows is settled.

A caller who chooses an id gets the first outcome again when the command is repeated; the record of it says what was asked,
large parts as their digests. A generated id stands in the history only. Records live for `LIFE`; an id older than that must
not be used again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from kernel.core.checks import canonical, check_name
from kernel.core.plan import Command, Plan, Subject, Tally
from kernel.core.records import MICROSECONDS, root_of
from kernel.engine import inputs, reading
from kernel.engine.contention import again
from kernel.engine.entities import Applied, Expired, Lease, NotApplied, Purged, moment
from kernel.engine.explain import described
from kernel.engine.faults import FaultPoint
from kernel.engine.ports import Chance, Recorded, Transaction
from kernel.errors import GuardRefused, InvalidInput, quoted
from kernel.spec.vocabulary import ENDED

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

LIFE = 7 * 86_400 * MICROSECONDS
"""How long the record of a command is kept."""
DAYS = LIFE // MICROSECONDS // 86_400
REOPENING = ("RETRY", "RESTART", "RERUN")
CHOOSE = "choose a new command id"
NO_TREE = ""
"""Where polls are recorded: they hand out tasks of any tree."""
_LONGEST_PART = 100
"""Characters of a text in a request that are kept as they are; of anything longer, and of what is spawned, the digest is."""
_GENERATED = re.compile("c[0-9a-f]{16}")
_WORDS = {"handouts": "lease", "run": "lease", "no": "task", "on": "workflow", "of": "run"}
_DIGEST = "sha256:"

Outcome = Applied | NotApplied | Expired | Purged


# ---- requests ---------------------------------------------------------------------------------------------------------------
def generated(chance: Chance) -> str:
    """An id for a command whose caller chose none."""
    return f"c{chance.getrandbits(64).to_bytes(8).hex()}"


def request_of(name: str, subject: Subject, parts: Mapping[str, Any]) -> str:
    """What is asked, as JSON: equal for equal requests. A part that is None was not given."""
    content = {"command": name, "on": subject.workflow, "no": subject.no, "topic": subject.topic, "of": subject.run or None}
    content |= {key: _part(value) for key, value in parts.items() if value is not None}
    return canonical({key: value for key, value in content.items() if value is not None})


def _part(value: Any) -> Any:
    if isinstance(value, int) or (isinstance(value, str) and len(value) <= _LONGEST_PART):
        return value
    return f"{_DIGEST}{hashlib.sha256(canonical(value).encode()).hexdigest()}"


def named(command_id: object) -> str:
    """An id that the caller chose. Raises InvalidInput."""
    return check_name(command_id, what="the command id", error=InvalidInput)


def new_workflow(chance: Chance, command_id: str | None) -> str:
    """An id for a workflow: by chance, or from the command's, so that the same command starts the same workflow."""
    return f"wf-{chance.getrandbits(96):024x}" if command_id is None else started_by(named(command_id))


def started_by(command_id: str) -> str:
    """The id of the workflow that a START without one starts under a command id: always the same."""
    return f"wf-{hashlib.sha256(command_id.encode()).hexdigest()[:24]}"


# ---- records ----------------------------------------------------------------------------------------------------------------
def recorded(command: Command, applied: Applied, at: int) -> Recorded:
    """The first outcome of a command, to be kept; what a commit may add to it always, the rest where there is something."""
    content: dict[str, Any] = {"version": applied.version, "ended": applied.ended, "canceled": applied.canceled,
                               "deliveries": applied.deliveries}
    if applied.no_op:
        content |= {"no_op": True, "why": applied.why}
    if applied.run:
        content |= {"run": applied.run, "again": applied.again}
    return Recorded(command.request, canonical(content), at)


def first(command: Command, found: Recorded, now: int) -> Applied:
    """The first outcome of a command that came again. Raises GuardRefused when something else stands under its id."""
    asked = f"{_told(command.name, command.subject)} with command id {quoted(command.id)}"
    if not found.outcome:
        raise GuardRefused(asked, guard="id not given up", stands="the outcome of this id was asked for, and there was none",
                           why="that answer is final: under this id nothing is applied any more", hint=CHOOSE)
    was, when = json.loads(found.request), moment(found.at)
    subject = Subject(was["on"], was.get("no"), was.get("topic"), was.get("of", 0))
    stands = f"under this id {_told(was['command'], subject)} was applied at {when:%Y-%m-%d %H:%M:%S} UTC"
    if found.request != command.request and not (was.get("told") and was["command"] == command.name):
        raise GuardRefused(asked, guard="id unused or the same request", stands=stands,
                           why=f"this is another request: {_difference(was, json.loads(command.request))}", hint=CHOOSE)
    if found.at + LIFE <= now:
        raise GuardRefused(asked, guard="id not expired", stands=stands,
                           why=f"an id lives for {DAYS} days: what came of it is no longer kept", hint=CHOOSE)
    return applied_of(command.id, found)


def _told(name: str, subject: Subject) -> str:
    return f"{name} of {described(subject)}" if subject.workflow else name


def _difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In which parts two requests differ, in words; of another command it is enough that it is one."""
    if was["command"] != now["command"]:
        return f"the command was {was['command']}"
    parts = [(_WORDS.get(key, key), was.get(key)) for key in {**was, **now} if was.get(key) != now.get(key)]
    return ", ".join(dict.fromkeys(f"the {word} was {_shown(word, old)}" for word, old in parts))


def _shown(word: str, old: object) -> str:
    if old is None:
        return "not given"
    if word in ("lease", "task", "run") or (isinstance(old, str) and old.startswith(_DIGEST)):
        return "another"
    return quoted(old) if isinstance(old, str) else json.dumps(old)


def applied_of(command_id: str, found: Recorded) -> Applied:
    """The outcome that a record keeps."""
    content = json.loads(found.outcome)
    content.pop("leases", None)
    return Applied(command_id, **content)


def applied(command: Command, tally: Tally, plan: Plan) -> Applied:
    """The outcome of a command: what its plan says, and what the cascades in it reached, if only the commit has told that."""
    ended, canceled, deliveries = plan.reached or tally
    for change in plan.changes:
        if change.kind == "workflow":
            ended += change.target in ENDED
        elif change.kind == "delivery":
            deliveries += change.event == "CREATE"
        elif change.target == "CANCELED":
            canceled += 1
    run, again = (plan.tree.run, sum(len(begun.again) for begun in plan.reopened)) if plan.reopened else (0, 0)
    return Applied(command.id, plan.tree.version, ended, canceled, deliveries, bool(plan.no_op), plan.no_op, run, again)


def known(transaction: Transaction, command: Command) -> Recorded | None:
    """What is known of a command whose id the caller gave. Who gives a generated one has it from a CommitUnknown."""
    root = root_of(command.subject.workflow)
    found = transaction.recorded(root, command.id)
    return found or (from_history(transaction, root, command.id) if _GENERATED.fullmatch(command.id) else None)


def from_history(transaction: Transaction, root: str, command_id: str) -> Recorded | None:
    """What the history of a tree tells of a command: its name and its outcome, not what was asked."""
    lines = transaction.lines_of(root, command_id)
    if not lines:
        return _from_tombstone(transaction, root, command_id)
    applied = Applied(
        command_id, max(line.version for line in lines),
        ended=sum(line.rows for line in lines if line.kind == "workflow" and line.target in ENDED),
        canceled=sum(line.rows for line in lines if line.target == "CANCELED"),
        deliveries=sum(line.rows for line in lines if line.kind == "delivery" and line.event == "CREATE"),
        run=max((line.run for line in lines if line.kind == "workflow" and line.event in REOPENING), default=0),
        again=sum(line.rows for line in lines if line.event == "RESET"))
    own = next((line for line in lines if line.event == line.by), lines[0])
    request = canonical({"command": own.by, "on": own.workflow, "told": True})
    return attrs.evolve(recorded(Command(own.by, Subject(root)), applied, own.at), request=request)


def _from_tombstone(transaction: Transaction, root: str, command_id: str) -> Recorded | None:
    """The same of the command that purged the tree: nothing else is left to tell of it."""
    grave = transaction.tombstone(root)
    if grave is None or grave.command_id != command_id:
        return None
    request = canonical({"command": "PURGE", "on": root, "told": True})
    return attrs.evolve(
        recorded(Command("PURGE", Subject(root)), Applied(command_id, grave.version), grave.at), request=request)


def handed_out(command: Command, leases: Sequence[Lease], at: int) -> Recorded:
    """The leases that a poll gave, to be kept."""
    tokens = [[lease.workflow_id, lease.position, lease.run, lease.handouts] for lease in leases]
    return Recorded(command.request, canonical({"version": 0, "leases": tokens}), at)


def leases(transaction: Transaction, command: Command, found: Recorded, now: int) -> list[Lease]:
    """The leases of a poll that came again: those that still hold."""
    first(command, found, now)
    given = []
    for workflow_id, no, run, handouts in json.loads(found.outcome)["leases"]:
        tree = transaction.tree(root_of(workflow_id))
        owner = transaction.workflow(workflow_id, run) if tree is not None and tree.run == run else None
        row = transaction.task(workflow_id, run, no) if owner is not None else None
        if row is not None and owner is not None and (row.state, row.handouts) == ("IN_PROGRESS", handouts):
            row.wf = owner
            given.append(reading.lease(transaction, row))
    return given


# ---- outcomes ---------------------------------------------------------------------------------------------------------------
@again
def outcome(kernel: Kernel, command_id: str, workflow_id: str | None) -> Outcome:
    """What became of a command. Waits for a twin that is under way, then settles: the answer is written down, so it is final.

    The write is needed in each case: after a COMMIT that failed, only the next one that succeeds decides what of the failed
    one a later process will find.
    """
    command_id = named(command_id)
    roots = [NO_TREE, started_by(command_id)] if workflow_id is None else [root_of(inputs.workflow(workflow_id))]
    now = kernel.clock.now()
    with kernel.store.transaction(write=True) as transaction:
        known = [transaction.recorded(root, command_id) or from_history(transaction, root, command_id) for root in roots]
        if workflow_id is None and _GENERATED.fullmatch(command_id) and not any(known):  # it may be of any tree
            raise InvalidInput(
                f"the outcome of command {quoted(command_id)}", stands="an id that the kernel made",
                why="nothing tells on which workflow it was", hint="workflow_id=..., as CommitUnknown and the history name it")
        found = [(root, record or Recorded("", "", now)) for root, record in zip(roots, known, strict=True)]
        for root, record in found:
            transaction.record(root, command_id, record)
        graves = [grave for root in roots if (grave := transaction.tombstone(root)) is not None]
        kernel.faults(FaultPoint.BEFORE_COMMIT, "OUTCOME")
    kernel.faults(FaultPoint.AFTER_COMMIT, "OUTCOME")
    applied = next((record for _, record in found if record.outcome), None)
    if applied is None:
        return NotApplied(command_id) if not graves else Purged(command_id, moment(graves[0].at))
    return Expired(command_id, moment(applied.at)) if applied.at + LIFE <= now else applied_of(command_id, applied)


@again
def forget(kernel: Kernel, limit: int) -> int:
    """Remove records that have lived long enough, at most `limit`; gives how many."""
    before = kernel.clock.now() - LIFE
    with kernel.store.transaction(write=False) as transaction:
        if not transaction.has_records(before):
            return 0
    with kernel.store.transaction(write=True) as transaction:
        return transaction.forget(before, limit)
