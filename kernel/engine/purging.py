"""Purging: whole trees that ended leave the store, each leaves a tombstone, and the archive tells of them from then on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kernel.core.plan import Subject, Tombstone
from kernel.core.records import root_of
from kernel.engine.contention import again
from kernel.engine.courier import Failed
from kernel.engine.document import FORMAT, checked_document
from kernel.engine.entities import Kept, Purge, Workflow, moment
from kernel.engine.explain import not_found
from kernel.engine.faults import FaultPoint
from kernel.engine.relay import Relay
from kernel.engine.states import WorkflowState
from kernel.errors import GuardRefused, KernelError, NotFound, Refused

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

BATCH = 50
"""Trees that are purged in one commit."""


def purge_ended(
    kernel: Kernel, older_than: int, after: str, limit: int, *, unarchived: bool, reason: str, actor: str | None
) -> Purge:
    """Purge trees whose root ended at least `older_than` microseconds ago, by id, at most `limit`; a batch is one commit."""
    before, kept, purged = kernel.clock.now() - older_than, list[Kept](), 0
    with kernel.store.transaction(write=False) as transaction:
        found = transaction.purgeable(before, after, limit + 1)
    roots = found[:limit]
    for place in range(0, len(roots), BATCH):
        done, refused = _purge(kernel, roots[place:place + BATCH], unarchived=unarchived, reason=reason, actor=actor)
        kept += refused
        purged += done
    return Purge(purged, tuple(kept), roots[-1] if len(found) > limit else None)


@again
def _purge(
    kernel: Kernel, roots: Sequence[str], *, unarchived: bool, reason: str, actor: str | None
) -> tuple[int, list[Kept]]:
    """Purge what may be purged of these trees in one commit; gives how many, and those that stay."""
    done, kept = 0, list[Kept]()
    with kernel.store.transaction(write=True) as transaction:
        for root in roots:
            command = kernel.command("PURGE", Subject(root), given={"unarchived": int(unarchived)}, reason=reason, actor=actor)
            try:
                kernel.apply(transaction, command)
                done += 1
            except Refused as refused:  # decided before anything of it was written
                kept.append(Kept(root, refused.guard if isinstance(refused, GuardRefused) else "", refused.why))
            except NotFound:
                continue  # another process was faster
        kernel.faults(FaultPoint.BEFORE_COMMIT, "PURGE")
    kernel.faults(FaultPoint.AFTER_COMMIT, "PURGE")
    return done, kept


def from_archive(relay: Relay, grave: Tombstone, workflow_id: str, run: int | None) -> Workflow:
    """A workflow of a tree that was purged, as the archive of this process tells of it. Raises NotFound.

    A sub-workflow that a later run kept is archived with the run in which it ended.
    """
    last = grave.run if run is None else run
    least = last if workflow_id == grave.root else 1
    why = "it had fewer runs"
    for each in range(last, least - 1, -1) if last <= grave.run else ():
        copy = relay.archived(workflow_id, each)
        if not isinstance(copy, Failed):
            return _workflow(copy, grave, workflow_id, each)
        why = why if each < last else copy.error
    error = not_found(Subject(workflow_id), tombstone=grave)
    error.why = f"its rows were removed, and no archive tells of it: {why}"
    error.hint = "ask a process that has the sink of its archive, as kernel show ID --archive DIR"
    raise error


def _workflow(copy: bytes, grave: Tombstone, workflow_id: str, run: int) -> Workflow:
    """The workflow that an archive document tells of. Raises NotFound for a document that is damaged, or another one."""
    try:
        content = checked_document(copy)
        told: dict[str, Any] = content["workflow"]
        if (content["format"], told["id"], told["run"]) != (FORMAT, workflow_id, run):
            raise ValueError(f"it is the document of {told['id']!r} run {told['run']}")
        return Workflow(
            id=told["id"], run=told["run"], state=WorkflowState(told["state"]), name=told["name"],
            definition_version=told["definition_version"], parent=told["parent"], root=root_of(workflow_id),
            started=moment(told["started"]), changed=moment(told["ended"]), deadline=None, paused_by=None,
            reason=told["reason"], version=grave.version, input=told["input"], output=told["output"],
            variables=told["variables"], purged=moment(grave.at))
    except (KernelError, KeyError, TypeError, ValueError) as damage:
        error = not_found(Subject(workflow_id), tombstone=grave)
        error.why = f"the copy that its archive gives back is damaged: {getattr(damage, 'why', '') or damage}"
        error.hint = "ask the archive for another copy"
        raise error from damage
