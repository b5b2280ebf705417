"""The error tree: one small tree that says who can act.

Every error is a value: what was asked, where things stand, why not, what is allowed now and what to do are fields, and the
message is made of them. Errors pickle, so they can cross a process boundary.
"""

from __future__ import annotations

import reprlib
from typing import Any

LONGEST_QUOTE = 120


def quoted(text: object) -> str:
    """User text made safe for a message: quoted, control characters escaped, bounded in length."""
    shown = text if isinstance(text, str) else _shown(text)
    if len(shown) > LONGEST_QUOTE:
        shown = shown[: LONGEST_QUOTE - 1] + "…"
    if shown.isprintable():
        return f"'{shown}'"
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in shown)
    return f"'{safe}'"


def _shown(value: object) -> str:
    """A value that is no text: its own representation, if it has one and it is not endless."""
    try:
        return reprlib.repr(value)
    except Exception:  # noqa: BLE001 - a repr is the caller's code and may raise anything
        return f"a value of type {type(value).__name__}"


class KernelError(Exception):
    """Base of all errors that this package raises on purpose.

    `asked` is what the caller wanted, `stands` where things are, `why` the reason, `allowed` what would be accepted now,
    `hint` what to do next. Empty parts are left out of the message.
    """

    def __init__(
        self, asked: str, *, stands: str = "", why: str = "", allowed: tuple[str, ...] = (), hint: str = ""
    ) -> None:
        super().__init__(asked)
        self.asked, self.stands, self.why, self.allowed, self.hint = asked, stands, why, allowed, hint

    def __str__(self) -> str:
        parts = [self.asked]
        allowed = ", ".join(self.allowed) or ("nothing" if isinstance(self, Refused) else "")
        for label, text in (("stands", self.stands), ("why", self.why), ("allowed", allowed), ("try", self.hint)):
            if text:
                parts.append(f"  {label + ':':<9}{text}")
        return "\n".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.__dict__)


def _rebuild(kind: type[KernelError], fields: dict[str, Any]) -> KernelError:
    error = kind.__new__(kind)
    Exception.__init__(error, fields["asked"])
    error.__dict__.update(fields)
    return error


class InvalidDefinition(KernelError):
    """A workflow definition, or the specification itself, is wrong. Its author can act."""


class InvalidInput(KernelError):
    """An id, payload or option is not acceptable. The caller can act; nothing was written."""


class Refused(KernelError):
    """The lifecycle does not allow the command now. Nothing was written and nothing was recorded."""


class NoSuchTransition(Refused):
    """The state has no transition for the event; the table declares the reason."""


class GuardRefused(Refused):
    """The state has a transition for the event, but a guard is false; `guard` names it."""

    def __init__(
        self, asked: str, *, guard: str = "", stands: str = "", why: str = "", allowed: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        super().__init__(asked, stands=stands, why=why, allowed=allowed, hint=hint)
        self.guard = guard


class Fenced(GuardRefused):
    """The lease presented is not the one stored: somebody else holds the task, or nobody. Nothing changed."""


class NotFound(KernelError):
    """No such workflow, task, delivery or definition."""


class Conflict(KernelError):
    """Somebody else was writing for too long. Nothing was applied; try again."""


class StoreError(KernelError):
    """The store cannot do its part. An operator can act."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, or an operation on it failed. Nothing was applied."""


class CommitUnknown(StoreError):
    """The commit was cut off: it may or may not have been applied. `k.outcome(command_id, workflow_id=...)` tells, for good.

    Both are empty where a definition was registered: registering it again is the remedy.
    """

    def __init__(
        self, asked: str, *, command_id: str = "", workflow_id: str = "", stands: str = "", why: str = "",
        allowed: tuple[str, ...] = (), hint: str = "",
    ) -> None:
        super().__init__(asked, stands=stands, why=why, allowed=allowed, hint=hint)
        self.command_id, self.workflow_id = command_id, workflow_id


class StoreFull(StoreError):
    """No space is left. Nothing was applied; reads still work."""


class StoreReadOnly(StoreError):
    """The store cannot be written. Reads still work."""


class StoreCorrupt(StoreError):
    """The file is not a database, or is damaged."""


class SchemaMismatch(StoreError):
    """The store was made by another version of the schema or of the specification."""


class UnsafeStore(StoreError):
    """A setting that the promises need did not take."""
