"""What PostgreSQL and its driver raise, as errors of our tree: who can act, and whether anything was applied."""

from __future__ import annotations

from typing import NoReturn

import psycopg

from kernel.engine.contention import Overtaken
from kernel.errors import (
    Conflict,
    GuardRefused,
    KernelError,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    quoted,
)

OPENING = "opening"
GRANT = "GRANT this user CREATE on the database, or USAGE on the schema and all on its tables"
MEANINGS: tuple[tuple[tuple[str, ...], type[KernelError], str], ...] = (
    (("40", "55P03", "23505"), Conflict, "try again"),
    (("53100", "53200", "54000"), StoreFull, "free some space on the server; reads still work"),
    (("25006",), StoreReadOnly, "this server, database or user only reads: name the primary, or open it with ?mode=ro"),
    (("42501",), StoreReadOnly, GRANT),
    (("XX001", "XX002"), StoreCorrupt, "restore a backup; keep the damaged files for analysis"),
    (("42", "3F", "22P", "22021"), StoreCorrupt, "its tables are not those that this program makes; restore a backup"),
    (("57014",), StoreUnavailable, "its statement_timeout, or an operator, ended it: a longer one (ALTER ROLE); or try again"),
    (("53300",), StoreUnavailable, "the server has no connection left: fewer processes, or a larger max_connections"),
    (("",), StoreUnavailable, "is the server up, and are host, port, database, user and password those of the URL?"),
)
"""By the first of these that an SQLSTATE begins with; an error without one is the connection's."""
UNDECIDED = ("08", "57", "58", "XX")
"""SQLSTATEs after which nobody knows whether a COMMIT happened: the server went down, or lost its files or its mind."""

OTHER_ROW = "KE001"
"""What our functions on the server raise when a row is not the one that was read."""
GIVEN_UP = "KE002"
"""What they raise when it was told that a command was not applied."""
OTHER_LINE = "23505"
"""A line of history of this number is there; or a workflow of a number that a server gave which failed."""


def ours(error: psycopg.Error, doing: str, place: str) -> KernelError:
    """The error of our tree that an error of the driver is, when nothing was applied."""
    state = error.sqlstate or ""
    kind, hint = next((kind, hint) for states, kind, hint in MEANINGS for begin in states if state.startswith(begin))
    if kind is StoreReadOnly and doing == OPENING:
        kind = StoreUnavailable
    return kind(f"{doing} {quoted(place)}", why=told(error), stands="nothing was applied", hint=hint)


def told(error: psycopg.Error) -> str:
    """What the server says, in one line; the values that it adds for developers are left out."""
    text = error.diag.message_primary or str(error) or type(error).__name__
    return " ".join(text.split())


def is_undecided(error: psycopg.Error) -> bool:
    """Whether a COMMIT that failed so may have happened."""
    return error.sqlstate is None or error.sqlstate.startswith(UNDECIDED)


def rolled_back(place: str) -> NoReturn:
    """COMMIT was answered with ROLLBACK: a statement had failed before."""
    raise StoreUnavailable(f"committing to {quoted(place)}", why="the server rolled the transaction back",
                           stands="nothing was applied", hint="try again")


def given_up(place: str) -> NoReturn:
    """Somebody asked for the outcome of the command before it arrived."""
    raise GuardRefused(f"writing {quoted(place)}", guard="id not given up", stands="nothing was applied",
                       why="the outcome of this command was asked for, there was none, and that answer is final",
                       hint="give the command again")


def changed_meanwhile(place: str, why: str = "a row changed while the command was decided") -> NoReturn:
    """A row is not what was decided on: somebody renewed the lease that was taken for lost. Who decides again sees that."""
    raise Overtaken(f"writing {quoted(place)}", why=why, stands="nothing was applied", hint="try again")
