"""What a PostgreSQL URL says: the server, the schema, and what the user accepts. The password is in no message."""

from __future__ import annotations

import re
from typing import NoReturn
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from attrs import field, frozen
from psycopg.conninfo import conninfo_to_dict

from kernel.errors import InvalidInput, quoted

SCHEME = "postgresql"
SCHEMA = re.compile("[a-z_][a-z0-9_]{0,62}")
"""A name that needs no quotes, wherever it stands."""
OURS = ("schema", "mode", "unsafe", "listen")
FSYNC = "fsync"
ON = "on"


@frozen
class Place:
    """Where a store is."""

    server: dict[str, str | int | None] = field(repr=False)
    """What libpq is given; the password may be in it."""
    schema: str
    read_only: bool
    must_exist: bool
    """Whether a schema that is not there is made, or an error."""
    unsafe: str
    """What the user accepts by name: `fsync`, a server that does not wait for its disk."""
    listens: bool
    """Whether commits tell workers that there are tasks for them."""
    shown: str
    """What a message calls it: server, database and schema, nothing else."""


def located(url: str) -> Place:
    """The place that `postgresql://USER@HOST:PORT/DATABASE?schema=...&mode=ro` names. Raises InvalidInput.

    `mode=rw` takes a store that is there, `mode=ro` only reads it; without a mode one is made where there is none. With
    `listen=on` workers hear of new tasks, and commits tell of them.
    """
    try:
        parts = urlsplit(url)
        if "@" in (parts.path or parts.query) or parts.netloc.count("@") > 1 or parts.fragment:
            refuse("it holds a sign that belongs to a name or a password, and means something else in a URL",
                   "write @ as %40, / as %2F, # as %23 and ? as %3F there")
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        ours = {name: value for name, value in options if name in OURS}
        theirs = urlencode([(name, value) for name, value in options if name not in OURS], quote_via=quote)
        server = conninfo_to_dict(f"{SCHEME}://{parts.netloc}{parts.path}?{theirs}")
        ports = [int(port) for port in str(server.get("port") or "0").split(",")]
    except (ValueError, psycopg.Error):
        refuse("it is not a URL of PostgreSQL")  # what libpq says of it may hold the password
    schema, mode, unsafe = ours.get("schema", "kernel"), ours.get("mode", ""), ours.get("unsafe", "")
    listen = ours.get("listen", "")
    if not SCHEMA.fullmatch(schema) or schema.startswith("pg_"):
        refuse(f"the schema {quoted(schema)} is not a plain name in small letters")
    if min(ports) < 0 or max(ports) > 65_535:
        refuse("there is no such port")
    known = mode in ("", "ro", "rw") and unsafe in ("", FSYNC) and listen in ("", ON)
    if not known or len(ours) != sum(name in OURS for name, _ in options):
        refuse(f"of {', '.join(OURS)} each stands there once: mode=ro or mode=rw, unsafe={FSYNC}, listen={ON}")
    host, port = server.get("host") or server.get("hostaddr") or "", server.get("port")
    shown = f"{SCHEME}://{host}{f':{port}' if port else ''}/{server.get('dbname') or ''}?schema={schema}"
    return Place(server, schema, mode == "ro", mode == "rw", unsafe, listen == ON, shown)


def refuse(why: str, hint: str = "postgresql://user@host:5432/database, with ?schema=NAME or ?mode=ro behind it") -> NoReturn:
    """Say what is wrong with a URL without showing it."""
    raise InvalidInput("opening a PostgreSQL store", why=why, hint=hint)
