"""The exit codes of the command line: one for each kind of error, so that scripts can tell them apart."""

from __future__ import annotations

from kernel.errors import CommitUnknown, Conflict, InvalidDefinition, InvalidInput, KernelError, NotFound, Refused, StoreError

EXITS = (
    (0, "ok"),
    (1, "not well: a finding, a failed delivery, a bad end, a violation, what was left behind, a command not applied"),
    (2, "the command line was wrong"),
    (3, "Refused: the lifecycle does not allow it now"),
    (4, "NotFound"),
    (5, "InvalidDefinition or InvalidInput"),
    (6, "Conflict: somebody else was writing for too long; try again"),
    (7, "StoreError: the store, or a file, cannot be used"),
    (8, "CommitUnknown: it may or may not have been applied; kernel outcome tells"),
    (9, "Expired or Purged: it was too long ago, or its tree is gone, to know what came of the command"),
    (130, "interrupted"),
    (141, "nobody reads the output any more"),
)
_BY_ERROR: tuple[tuple[type[KernelError], int], ...] = (
    (Refused, 3), (NotFound, 4), (InvalidDefinition, 5), (InvalidInput, 5), (Conflict, 6), (CommitUnknown, 8),
    (StoreError, 7),
)


def code_of(error: KernelError) -> int:
    """The exit code of an error."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), 7)
