"""The PostgreSQL store: a schema of one database, for any number of processes and hosts. Server 14 and later.

READ COMMITTED and the lock of the tree's row. Every commit waits for the server's disk: a server that does not is refused, and
so is one that only reads. All else that a store needs is shared with SQLite.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from queue import Empty, SimpleQueue
from typing import NoReturn

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus

from kernel.core.records import Policy
from kernel.errors import Conflict, NotFound, SchemaMismatch, StoreReadOnly, UnsafeStore, quoted
from kernel.stores.postgres_bell import Bell
from kernel.stores.postgres_errors import OPENING, ours
from kernel.stores.postgres_lately import Lately
from kernel.stores.postgres_link import Link
from kernel.stores.postgres_span import PostgresSpan
from kernel.stores.postgres_together import Together
from kernel.stores.postgres_url import FSYNC, located
from kernel.stores.sql_store import SqlStore
from kernel.stores.statements import Dialect, migrations, statements

OLDEST = 140_000
SETTINGS = """SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
    current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'),
    current_setting('synchronous_standby_names'), pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
    current_setting('search_path')"""
DURABLE = "a crash of any process and of the server, and a power cut where the server's disk does what fsync says"
FRAGILE = "a crash of any process and of the server; a power cut may destroy the database"
FOLLOWED = "; a failover, to a standby that commits wait for"
ALONE = "; a failover may take commits that the standby had not got yet"
WAITING = ("on", "remote_apply")
"""Settings of synchronous_commit with which a commit waits for the disk of a standby, where one is named."""
STALLED = "60s"
"""A process that stops in the middle of a commit holds its locks no longer than this."""
SILENT = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 40_000}
"""A host that vanished is noticed after 40 s, unless the URL says otherwise; else the system would wait for hours."""
IDLE = int(TransactionStatus.IDLE)
"""How a connection stands that is open and has no transaction."""
PLANNED = "-c enable_seqscan=off -c plan_cache_mode=force_generic_plan -c jit=off"
"""Plans are made once, when a table may hold a row or two: one that reads it from end to end would be kept while it grows. What
has to be read so is made out to be dear, and would be compiled for longer than it runs.
"""
ISOLATED = r"-c default_transaction_isolation=read\ committed"
"""A command that is one call says nothing of its transaction."""


class PostgresStore(SqlStore[Link]):
    """Keeps trees in one schema. What it acknowledges survives the crash of any process, the server's included, and, as far as
    the server's disk keeps its promises, a power cut.
    """

    name = "postgres"

    def __init__(self, url: str, *, policy: Policy | None = None, patience: float = 10.0, connections: int = 20) -> None:
        """`patience` is how long a commit waits for others, in seconds; `connections`, how many there are at once at most.

        Raises InvalidInput, StoreUnavailable, StoreCorrupt, StoreReadOnly, SchemaMismatch or UnsafeStore.
        """
        super().__init__(policy)
        self._at = located(url)
        self.place, self.read_only, self.listens = self._at.shown, self._at.read_only, self._at.listens
        self.patience, self.lately = patience, Lately()
        self.together = Together(self, statements(Dialect.POSTGRES)["apply"])
        self._free = SimpleQueue[None]()
        for _ in range(connections):
            self._free.put(None)
        self.durability = ""
        try:
            self._open()
            with self.transaction(write=False) as transaction:
                self.id = transaction.store_id()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        connection = self.take()
        try:
            self._migrate(connection)
        except psycopg.Error as error:
            raise ours(error, OPENING, self.place) from error
        finally:
            self.put_back(connection)

    # ---- connections ---------------------------------------------------------------------------------------------------
    def take(self) -> Link:
        """A connection that nobody else uses, until it is put back. Raises StoreError, and Conflict when all are in use."""
        self.check_usable()
        try:
            self._free.get(timeout=self.patience)
        except Empty:
            raise Conflict(f"using {quoted(self.place)}", stands=f"all connections were in use for {self.patience} s",
                           why="nothing was applied", hint="try again; or let fewer threads share a kernel") from None
        try:
            return super().take()
        except BaseException as error:
            self._free.put(None)
            if isinstance(error, psycopg.Error):
                raise ours(error, OPENING, self.place) from error
            raise

    def put_back(self, connection: Link) -> None:
        """Keep a clean connection for the next transaction; close any other."""
        try:
            super().put_back(connection)
        except BaseException:
            connection.close()
            raise
        finally:
            self._free.put(None)

    def renewed(self, broken: Link) -> Link:
        """Another connection in place of one that broke while nobody used it; the other idle ones are no better."""
        self._drop(broken)
        self._drop_idle()
        return self._connect()

    def listening(self, heard: Callable[[str], None]) -> AbstractContextManager[object]:
        """While the context lasts, `heard` is called from a thread of its own with each type of which there are new tasks, and
        with none when some may have been missed. Nothing is heard unless the URL says `listen=on`.
        """
        return Bell(self._connect, self._at.schema, heard) if self.listens else nullcontext()

    def _connect(self) -> Link:
        options = (f"{PLANNED} {ISOLATED} -c search_path={self._at.schema} -c lock_timeout={round(self.patience * 1000)}"
                   f" -c idle_in_transaction_session_timeout={STALLED} -c client_min_messages=warning")
        server = {"connect_timeout": 10, "application_name": "kernel", **SILENT, **self._at.server, "client_encoding": "utf8"}
        server["options"] = f"{server.get('options') or ''} {options}"
        connection = Link(psycopg.connect(make_conninfo("", **server), autocommit=True, prepare_threshold=None))
        try:
            self._check(*connection.execute(SETTINGS).fetchall()[0])
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, version: int, encoding: str, commit: str, fsync: str, pages: str, standbys: str, reads: bool, path: str
               ) -> None:
        """Refuse a server on which the promises would not hold; learn what survives on it."""
        if version < OLDEST:
            raise SchemaMismatch(f"opening {quoted(self.place)}", stands=f"its server is PostgreSQL {version // 10_000}",
                                 why=f"PostgreSQL {OLDEST // 10_000} is the oldest that this program knows",
                                 hint="upgrade the server")
        if encoding != "UTF8":
            self._refuse(f"the database's encoding is {encoding}, not UTF8", "make another database with ENCODING 'UTF8'")
        if path != self._at.schema:
            self._refuse("the settings of a connection do not reach the server: a pooler on the way ignores 'options'",
                         "connect to the server itself")
        if commit == "off":
            self._refuse("synchronous_commit is off: a crash of the server would lose what was acknowledged",
                         "ALTER ROLE ... SET synchronous_commit = on")
        if "off" in (fsync, pages) and self._at.unsafe != FSYNC:
            self._refuse(f"fsync is {fsync} and full_page_writes is {pages}: a power cut could destroy the database",
                         f"switch both on; or accept it by name, with unsafe={FSYNC} in the URL")
        followed = bool(standbys) and commit in WAITING
        self.durability = (FRAGILE if "off" in (fsync, pages) else DURABLE) + (FOLLOWED if followed else ALONE)
        if reads and not self.read_only:
            raise StoreReadOnly(f"opening {quoted(self.place)}", why="its server is a replica, or its database only reads",
                                hint="name the primary; or open it with ?mode=ro, to read")

    def _refuse(self, why: str, hint: str) -> NoReturn:
        raise UnsafeStore(f"opening {quoted(self.place)}", why=why, hint=hint)

    def _is_clean(self, connection: Link) -> bool:
        return connection.status == IDLE

    def _drop(self, connection: Link) -> None:
        connection.close()

    # ---- the schema ------------------------------------------------------------------------------------------------------
    def _migrate(self, connection: Link) -> None:
        """Bring the schema up to date, each step and its record in one transaction."""
        known = migrations(Dialect.POSTGRES)
        version = self._version(connection)
        if version > known[-1][0]:
            raise SchemaMismatch(
                f"opening {quoted(self.place)}", stands=f"its schema is number {version}; this program knows {known[-1][0]}",
                why="a newer version of the program made it", hint="upgrade lifecycle-kernel")
        if not version and self._at.must_exist:
            raise NotFound(f"opening {quoted(self.place)}", why="there is no store in this schema",
                           hint="kernel start NAME --file FILE.json makes one; ?schema=NAME names another")
        for number, name, script in known[version:]:
            if self.read_only:
                raise SchemaMismatch(
                    f"opening {quoted(self.place)} read-only", stands=f"its schema is number {version}",
                    why=f"migration {number} is missing", hint="open it once for writing")
            with connection.connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (self._at.schema,))
                if self._version(connection) < number:
                    self._make_schema(connection)
                    connection.execute(script.encode())
                    connection.execute("INSERT INTO migration (no, name, at) VALUES (%s, %s, %s)",
                                       (number, name, time.time_ns() // 1000))
                    connection.execute("INSERT INTO meta (name, value) VALUES ('store', %s) ON CONFLICT DO NOTHING",
                                       (secrets.token_hex(8),))

    def _version(self, connection: Link) -> int:
        """The number of the last migration; 0 where there is no store yet."""
        ((made, others),) = connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL, EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace(%s)::oid)",
            (f"{self._at.schema}.migration", self._at.schema)).fetchall()
        if made:
            ((version,),) = connection.execute("SELECT max(no) FROM migration").fetchall()
            return int(version or 0)
        if others:
            raise SchemaMismatch(f"opening {quoted(self.place)}", why="its schema holds tables of another program",
                                 hint="name another one with ?schema=NAME")
        return 0

    def _make_schema(self, connection: Link) -> None:
        """Make the schema, where it is not there yet: that takes a privilege which using it does not."""
        if not connection.execute("SELECT to_regnamespace(%s)", (self._at.schema,)).fetchall()[0][0]:
            statement = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._at.schema))
            connection.execute(statement)

    def transaction(self, *, write: bool) -> PostgresSpan:
        """Begin; commit on leaving, undo when an exception leaves."""
        if write and self.read_only:
            raise StoreReadOnly(f"writing {quoted(self.place)}", why="it was opened read-only",
                                hint="open it without ?mode=ro")
        return PostgresSpan(self, write)
