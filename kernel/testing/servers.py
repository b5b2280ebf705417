"""Servers that tests start for themselves: in a temporary folder, reached by a socket in it, and stopped by their process.

Needs the extra `postgres`, and PostgreSQL's programs on this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from kernel.core.records import Policy
from kernel.engine.ports import Store
from kernel.errors import StoreUnavailable
from kernel.stores.postgres import PostgresStore
from kernel.testing.stores import POLICY

FOLDERS = "/usr/lib/postgresql"
"""Where Debian keeps the programs of each version: NUMBER/bin."""
NOBODY = ("postgres", "nobody")
"""Users as whom a server is run for root, whom PostgreSQL refuses; the first that there is."""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename NOT IN ('meta', 'migration')"
QUICK = ("fsync=off", "full_page_writes=off")
"""For tests that are not about what survives. The store refuses it unless it is told: `?unsafe=fsync`."""


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's newest programs on this machine; None where there is none."""
    numbers = [folder for folder in Path(FOLDERS).glob("*") if (folder / "bin" / "initdb").exists() and folder.name.isdigit()]
    if numbers:
        return max(numbers, key=lambda folder: int(folder.name)) / "bin"
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class PostgresServer:
    """One PostgreSQL server for one test run. `stop` and `start` make it go away and come back with what it kept."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = QUICK, of: PostgresServer | None = None) -> None:
        """Make a cluster in `folder` and start it: an empty one, or a standby that follows the server `of`.

        Raises StoreUnavailable where PostgreSQL is not installed.
        """
        programs = postgres_programs()
        if programs is None:
            raise StoreUnavailable("starting a PostgreSQL server", why="PostgreSQL is not installed",
                                   hint="apt-get install postgresql")
        self.programs, self.folder, self.settings = programs, folder, settings
        self.process: subprocess.Popen[bytes] | None = None
        self.user = next((name for name in NOBODY if os.getuid() == 0 and _is_user(name)), None)
        if self.user is not None:
            shutil.chown(folder, self.user)
        if of is None:  # Texts of another language than C: what depends on the order of a locale is seen.
            self._run("initdb", "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N",
                      "--locale-provider=icu", "--icu-locale=en", "--locale=C.UTF-8", "--no-instructions")
        else:
            self._run("pg_basebackup", "-D", str(folder / "data"), "-h", str(of.folder), "-U", "postgres", "-R", "-N",
                      "--checkpoint=fast")
        self.start()

    def url(self, schema: str = "kernel", *, options: str = "&unsafe=fsync", user: str = "postgres", port: int = 0) -> str:
        """The URL of a store: by the socket, or by a port of the loopback address."""
        place = f"127.0.0.1:{port}/postgres?" if port else f"/postgres?host={quote(str(self.folder), safe='')}&"
        return f"postgresql://{user}@{place}schema={schema}{options}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        given = [f"-c{setting}" for setting in (
            *self.settings, "listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=100",
            "shared_buffers=32MB", "deadlock_timeout=200ms", "log_min_messages=fatal", "logging_collector=off")]
        self.process = subprocess.Popen(  # noqa: S603 - programs of this machine
            [self.programs / "postgres", "-D", str(self.folder / "data"), *given], user=self.user, group=self.user,
            extra_groups=None if self.user is None else [], cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = monotonic() + 30
        while (self.process.poll() is None and monotonic() < deadline
               and self._run("pg_isready", "-q", "-h", str(self.folder), check=False)):
            sleep(0.02)
        if self.process.poll() is not None or monotonic() >= deadline:
            self.stop()
            raise StoreUnavailable("starting a PostgreSQL server", why="it does not answer")

    def stop(self, *, kill: bool = False) -> None:
        """Stop exactly this server, at once: in order, or as a crash would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGQUIT if kill else signal.SIGINT)
            self.process.wait(30)
            self.process = None

    def promote(self) -> None:
        """From now on this standby is a server that takes writes."""
        with self.connect() as operator:
            operator.execute("SELECT pg_promote()")

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of the operator's."""
        return psycopg.connect(host=str(self.folder), user="postgres", dbname="postgres", autocommit=True)

    def _run(self, program: str, *args: str, check: bool = True) -> int:
        done = subprocess.run(  # noqa: S603 - programs of this machine
            [self.programs / program, *args], user=self.user, group=self.user, cwd=self.folder, check=check,
            extra_groups=None if self.user is None else [], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return done.returncode


class Schemas:
    """PostgreSQL stores: schemas of one server, which are used again when they were emptied."""

    name = "postgres"

    def __init__(self, url: Callable[[str], str], connect: Callable[[], psycopg.Connection[Any]], *, policy: Policy = POLICY,
                 prefix: str = "t") -> None:
        """`url` gives that of a store, by its schema, whose name begins with `prefix`; `connect` a connection that may empty
        what stores have written.
        """
        self.url, self.connect, self.policy, self.prefix = url, connect, policy, prefix
        self.clean: list[str] = []
        self.made = 0
        self.operator: psycopg.Connection[Any] | None = None
        self.schemas: dict[int, str] = {}

    def schema(self) -> str:
        """The name of a schema that holds nothing, or is not there yet."""
        if self.clean:
            return self.clean.pop()
        self.made += 1
        return f"{self.prefix}{self.made}"

    def connection(self) -> psycopg.Connection[Any]:
        """A connection for what no store does."""
        if self.operator is None or self.operator.closed:
            self.operator = self.connect()
        return self.operator

    def wipe(self, schema: str) -> None:
        """Empty every table; the store gets another id."""
        tables = self.connection().execute(TABLES, (schema,)).fetchall()
        empty = [sql.SQL("DELETE FROM {}").format(sql.Identifier(schema, str(table))) for (table,) in tables]
        renamed = sql.SQL("UPDATE {} SET value = {} WHERE name = 'store'").format(
            sql.Identifier(schema, "meta"), sql.Literal(secrets.token_hex(8)))
        emptied = sql.SQL("; ").join([*empty, renamed])
        self.connection().execute(emptied)
        self.clean.append(schema)

    def close(self) -> None:
        """Let go of the server."""
        if self.operator is not None:
            self.operator.close()

    def _open(self, schema: str) -> PostgresStore:
        store = PostgresStore(self.url(schema), policy=self.policy)
        self.schemas[id(store)] = schema
        return store

    def open(self) -> Store:
        """A store in an empty schema."""
        return self._open(self.schema())

    def reopen(self, store: Store) -> Store:
        """The same schema through new connections."""
        store.close()
        return self._open(self.schemas.pop(id(store)))

    def beside(self, store: Store) -> Store:
        """Other connections to the same schema."""
        return self._open(self.schemas[id(store)])

    def remove(self, store: Store) -> None:
        """Empty its schema."""
        store.close()
        self.wipe(self.schemas.pop(id(store)))


class PostgresStores(Schemas):
    """Those of a server of a test run."""

    def __init__(self, server: PostgresServer, *, policy: Policy = POLICY) -> None:
        super().__init__(server.url, server.connect, policy=policy)
        self.server = server


def _is_user(name: str) -> bool:
    import pwd

    with suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


@contextmanager
def postgres_server(*, settings: tuple[str, ...] = QUICK, place: str | None = None, of: PostgresServer | None = None
                    ) -> Iterator[PostgresServer]:
    """A server in a temporary folder in `place`, as long as the context is entered."""
    with TemporaryDirectory(prefix="kernel-postgres-", dir=place) as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - the server's own user has to come in; its data are in a folder of its own
        server = PostgresServer(Path(folder), settings=settings, of=of)
        try:
            yield server
        finally:
            server.stop()
