"""The PostgreSQL store: what a URL says, which servers are refused, its schema, and what each process sees of the others."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

import kernel
from kernel.core.plan import Plan, Subject
from kernel.core.program import standard_program
from kernel.core.records import Policy
from kernel.engine.kernel import Kernel
from kernel.errors import (
    Conflict,
    InvalidInput,
    KernelError,
    SchemaMismatch,
    StoreReadOnly,
    StoreUnavailable,
    UnsafeStore,
)
from kernel.stores import postgres
from kernel.stores.postgres import ALONE, FRAGILE, PostgresStore
from kernel.stores.postgres_transaction import PostgresTransaction
from kernel.stores.postgres_url import located
from kernel.stores.statements import Dialect, migrations, statements
from kernel.testing.servers import PostgresServer, PostgresStores
from tests.stores.proxy import Proxy
from tests.stores.stand import new_store

SECRET = "hunter2"  # noqa: S105 - looked for in messages
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("ship", after=["pick"])])


@pytest.fixture
def url(stores: PostgresStores) -> Iterator[str]:
    """The URL of an empty store."""
    schema = stores.schema()
    PostgresStore(stores.server.url(schema)).close()
    yield stores.server.url(schema)
    stores.wipe(schema)


@pytest.fixture
def k(url: str) -> Iterator[Kernel]:
    """A kernel with one workflow."""
    with kernel.open(url) as k:
        k.register(ORDER)
        k.start("order", workflow_id="w")
        yield k


@contextmanager
def throw_away(server: PostgresServer, kind: str, name: str, rest: str = "") -> Iterator[psycopg.Connection[Any]]:
    """A role, schema or database, as long as the context is entered."""
    with server.connect() as operator:
        made = sql.SQL("CREATE {} {} {}").format(sql.SQL(kind), sql.Identifier(name), sql.SQL(rest))
        operator.execute(made)
        try:
            yield operator
        finally:
            if kind == "ROLE":
                owned = sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name))
                operator.execute(owned)
            gone = sql.SQL("DROP {} {} {}").format(
                sql.SQL(kind), sql.Identifier(name), sql.SQL("CASCADE" if kind == "SCHEMA" else ""))
            operator.execute(gone)


# ---- the URL --------------------------------------------------------------------------------------------------------------
def test_a_url_names_server_schema_and_what_is_accepted() -> None:
    """What is ours is taken out, the rest is libpq's; a message shows neither user nor password."""
    place = located(f"postgresql://ada:{SECRET}@db.example:6543/orders?schema=mine&mode=ro&unsafe=fsync&sslmode=require")
    assert (place.schema, place.read_only, place.unsafe) == ("mine", True, "fsync")
    assert place.shown == "postgresql://db.example:6543/orders?schema=mine"
    assert place.server == {"user": "ada", "password": SECRET, "host": "db.example", "port": "6543", "dbname": "orders",
                            "sslmode": "require"}
    assert SECRET not in repr(place)
    assert located("postgresql:///orders").schema == "kernel"


@pytest.mark.parametrize("rest", [
    "?schema=Mine", "?schema=a-b", "?schema=", "?schema=pg_catalog", "?mode=w", "?unsafe=all", "?schema=a&schema=b",
    "?listen=1", "?nothing=known", ":port/x", "?%zz&=", "?schema=x;DROP", "]["])
def test_a_url_that_is_none_is_refused(rest: str) -> None:
    """InvalidInput, without the password that may be in it."""
    with pytest.raises(InvalidInput, match="opening a PostgreSQL store") as caught:
        kernel.open(f"postgresql://ada:{SECRET}@db.example{rest}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("password", [f"a@{SECRET}", f"7/{SECRET}", f"7#{SECRET}", f"7?{SECRET}", f"7?schema={SECRET}"])
def test_a_password_that_would_be_taken_for_something_else(password: str) -> None:
    """A sign that has a meaning in a URL: it is not taken for the host, the database or an option, and shown."""
    with pytest.raises(InvalidInput) as caught:
        kernel.open(f"postgresql://ada:{password}@db.example/orders")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql+psycopg", "mysql"])
def test_another_scheme_does_not_show_its_password(scheme: str) -> None:
    """Nor does a URL of no store that we know."""
    with pytest.raises(InvalidInput, match="no store of this kind exists") as caught:
        kernel.open(f"{scheme}://ada:{SECRET}@db.example/orders")
    assert SECRET not in str(caught.value)


# ---- servers that are refused -----------------------------------------------------------------------------------------------
def test_no_server() -> None:
    """Nobody answers: StoreUnavailable, at once, without the password."""
    with pytest.raises(StoreUnavailable) as caught:
        kernel.open(f"postgresql://ada:{SECRET}@127.0.0.1:1/orders?connect_timeout=2")
    assert SECRET not in str(caught.value)


def test_a_host_that_vanishes_is_noticed(stores: PostgresStores, url: str) -> None:
    """In less than a minute, or as soon as the URL says."""
    with closing(Proxy(str(stores.server.folder / ".s.PGSQL.5432"))) as proxy:
        far = stores.server.url(located(url).schema, port=proxy.port)
        for given, idle in (("", 20), ("&keepalives_idle=7", 7)):
            with kernel.open(far + given) as k:
                assert isinstance(k.store, PostgresStore)
                with k.store.connection() as link, socket.socket(fileno=os.dup(link.connection.fileno())) as wire:
                    assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle
                    assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 40_000


def test_no_such_database(stores: PostgresStores) -> None:
    """The server says so, and the hint says what to do."""
    with pytest.raises(StoreUnavailable, match=r'database "nowhere" does not exist(.|\n)*are host, port, database'):
        kernel.open(stores.server.url("x").replace("/postgres?", "/nowhere?"))


@pytest.mark.parametrize(("setting", "why"), [
    ("synchronous_commit=off", "synchronous_commit is off"), ("default_transaction_read_only=on", "only reads")])
def test_a_setting_that_breaks_a_promise(stores: PostgresStores, setting: str, why: str) -> None:
    """A server, database or role that does not wait for its disk is UnsafeStore; one that only reads, StoreReadOnly."""
    url = stores.server.url("never", options=f"&unsafe=fsync&options=-c%20{setting.replace('=', '%3D')}")
    with pytest.raises(UnsafeStore if "commit" in setting else StoreReadOnly, match=why):
        kernel.open(url)
    with stores.server.connect() as operator:
        assert operator.execute("SELECT to_regnamespace('never')").fetchall() == [(None,)]


def test_a_server_without_fsync_is_accepted_by_name_only(stores: PostgresStores, k: Kernel) -> None:
    """As that of the tests is; the store says what it does not survive then."""
    with pytest.raises(UnsafeStore, match="fsync is off and full_page_writes is off"):
        kernel.open(stores.server.url("never", options=""))
    assert k.store.durability == FRAGILE + ALONE


@pytest.mark.parametrize(("found", "why"), [
    ((130_012, "UTF8", "on", "on", "on", "", False, "kernel"), "PostgreSQL 13"),
    ((160_001, "SQL_ASCII", "on", "on", "on", "", False, "kernel"), "SQL_ASCII"),
    ((160_001, "UTF8", "on", "on", "off", "", False, "kernel"), "full_page_writes is off"),
    ((160_001, "UTF8", "on", "on", "on", "", True, "kernel"), "a replica"),
    ((160_001, "UTF8", "on", "on", "on", "", False, '"$user", public'), "a pooler on the way")])
def test_a_server_of_another_kind(k: Kernel, found: tuple[int, str, str, str, str, str, bool, str], why: str) -> None:
    """Too old, with texts of no known encoding, unsafe, a replica, or behind a pooler that drops what a connection asks for."""
    store = k.store
    assert isinstance(store, PostgresStore)
    store._at = located("postgresql:///x")
    with pytest.raises(KernelError, match=why):
        store._check(*found)


def test_a_database_of_another_encoding(stores: PostgresStores) -> None:
    """The check is of the real server's answer, too."""
    how = "ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0"
    with throw_away(stores.server, "DATABASE", "ascii", how), \
            pytest.raises(UnsafeStore, match="SQL_ASCII"):
        kernel.open(stores.server.url("x").replace("/postgres?", "/ascii?"))


# ---- privileges -------------------------------------------------------------------------------------------------------------
def test_who_may_not_make_the_schema(stores: PostgresStores) -> None:
    """A role without CREATE on the database is told what to grant."""
    with throw_away(stores.server, "ROLE", "nobody_else", "LOGIN"), pytest.raises(StoreUnavailable, match="GRANT"):
        kernel.open(stores.server.url("forbidden", user="nobody_else"))


def test_who_may_only_read(stores: PostgresStores, url: str, k: Kernel) -> None:
    """A role with SELECT reads; what it writes is StoreReadOnly and changes nothing."""
    schema = located(url).schema
    with throw_away(stores.server, "ROLE", "reader", "LOGIN") as operator:
        for grant in ("GRANT USAGE ON SCHEMA {} TO reader", "GRANT SELECT ON ALL TABLES IN SCHEMA {} TO reader"):
            granted = sql.SQL(grant).format(sql.Identifier(schema))
            operator.execute(granted)
        with kernel.open(stores.server.url(schema, user="reader")) as reader:
            assert reader.get("w").state == "RUNNING"
            with pytest.raises(StoreReadOnly, match="permission denied"):
                reader.terminate("w")
    assert k.get("w").state == "RUNNING"


def test_opened_to_read(url: str, k: Kernel) -> None:
    """`?mode=ro` reads, and refuses to write before it asks the server."""
    with kernel.open(f"{url}&mode=ro") as reader:
        assert reader.get("w").state == "RUNNING"
        assert reader.audit().clean
        with pytest.raises(StoreReadOnly, match="opened read-only"):
            reader.terminate("w")


# ---- the schema --------------------------------------------------------------------------------------------------------------
def test_both_dialects_have_the_same_columns(stores: PostgresStores, url: str) -> None:
    """Table by table, in the same order: what is shared reads them by their places."""
    script = migrations()[0][2]
    wanted = {table: re.findall(r"^    ([a-z_]+) +(?:INTEGER|TEXT)", body, re.MULTILINE)
              for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", script, re.DOTALL)}
    with stores.server.connect() as operator:
        found = operator.execute(
            "SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = %s AND table_type = 'BASE TABLE' GROUP BY 1", (located(url).schema,)).fetchall()
    assert dict(found) == wanted
    names = [counter.name for counter in standard_program().counters_of("workflow")]
    assert wanted["workflow"][-len(names):] == names


def test_every_statement_is_one_that_the_server_takes(stores: PostgresStores, url: str) -> None:
    """Each is parsed and planned; what PostgreSQL says otherwise takes the place of a statement, or is used by its own code."""
    ours = statements(Dialect.POSTGRES)
    assert {name for name, text in ours.items() if ";" in text or "--" in text or not text} == set()
    with psycopg.connect(stores.server.url("x").partition("&schema")[0], autocommit=True) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", (located(url).schema,))
        for name, text in ours.items():
            if name != "hold_definitions":
                result = connection.pgconn.prepare(b"", text.encode())
                words = result.error_message.decode()  # of parameters only: the driver says what they are
                assert not words or "could not determine data type" in words or "inconsistent types" in words, (name, words)


def test_no_statement_is_compiled(url: str, k: Kernel) -> None:
    """To compile a statement takes longer than to run any of ours, also where a table has to be read from end to end."""
    with closing(PostgresStore(url)) as store:
        link = store.take()
        plan = link.execute("EXPLAIN SELECT sum(attempt) FROM task").fetchall()
        ((setting,),) = link.execute("SHOW jit").fetchall()
        store.put_back(link)
    assert setting == "off"
    assert not [line for (line,) in plan if "JIT" in line]


def test_opening_twice_migrates_once(stores: PostgresStores) -> None:
    """Four processes open a schema that is not there yet, all at once: one makes it, and all use it."""
    errors: list[BaseException] = []
    ids: list[str] = []

    def opened() -> None:
        try:
            store = PostgresStore(stores.server.url("fresh"))
            ids.append(store.id)
            store.close()
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion
            errors.append(error)

    threads = [threading.Thread(target=opened) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    with stores.server.connect() as operator:
        made = operator.execute("SELECT no FROM fresh.migration").fetchall()
        operator.execute("DROP SCHEMA fresh CASCADE")
    assert (errors, made, len(set(ids)), len(ids)) == ([], [(number,) for number, _, _ in migrations(Dialect.POSTGRES)], 1, 4)


def test_a_migration_that_fails_leaves_nothing(stores: PostgresStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema, script and record are one transaction."""
    (number, name, script), *_ = migrations(Dialect.POSTGRES)
    monkeypatch.setattr(postgres, "migrations", lambda dialect: ((number, name, script + "SELECT 1/0;"),))
    with pytest.raises(StoreUnavailable, match="division by zero"):
        PostgresStore(stores.server.url("half"))
    with stores.server.connect() as operator:
        assert operator.execute("SELECT to_regnamespace('half')").fetchall() == [(None,)]


def test_another_programs_schema_is_refused(stores: PostgresStores) -> None:
    """Its tables stay as they are."""
    with throw_away(stores.server, "SCHEMA", "theirs") as operator:
        operator.execute("CREATE TABLE theirs.task (id int)")
        with pytest.raises(SchemaMismatch, match="another program"):
            kernel.open(stores.server.url("theirs"))
        assert operator.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'theirs'").fetchall() == [(1,)]


def test_a_newer_schema_is_refused(stores: PostgresStores, url: str, k: Kernel) -> None:
    """By who opens it, and by who has it open and writes: a process that outlived a migration."""
    schema = located(url).schema
    newer = sql.SQL("INSERT INTO {} VALUES (99, 'later', 0)").format(sql.Identifier(schema, "migration"))
    older = sql.SQL("DELETE FROM {} WHERE no = 99").format(sql.Identifier(schema, "migration"))
    with stores.server.connect() as operator:
        operator.execute(newer)
        try:
            with pytest.raises(SchemaMismatch, match="a newer version"):
                kernel.open(url)
            with pytest.raises(SchemaMismatch, match="another process migrated it"):
                k.terminate("w")
            assert k.get("w").state == "RUNNING"
        finally:
            operator.execute(older)


def test_a_migration_waits_for_writers(stores: PostgresStores, url: str, k: Kernel) -> None:
    """While one writes nobody gets the lock that a migration needs; a reader holds nothing."""
    taken = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
    with stores.server.connect() as operator:
        with k.store.transaction(write=True) as transaction:
            transaction.snapshot(Subject("w"))
            assert operator.execute(taken, (located(url).schema,)).fetchall() == [(False,)]
        with k.store.transaction(write=False):
            assert operator.execute(taken, (located(url).schema,)).fetchall() == [(True,)]


# ---- locks -------------------------------------------------------------------------------------------------------------------
def test_who_waits_too_long_gets_a_conflict(url: str, k: Kernel) -> None:
    """Another process holds the tree: nothing was applied. Another tree is free."""
    k.start("order", workflow_id="v")
    store = PostgresStore(url, patience=0.05)
    with Kernel(store) as other, k.store.transaction(write=True) as transaction:
        transaction.snapshot(Subject("w"))
        with pytest.raises(Conflict, match="lock timeout"):
            other.terminate("w")
        assert other.terminate("v").ended == 1
    assert k.get("w").state == "RUNNING"


def test_a_worker_does_not_wait_for_a_tree_in_use(url: str, k: Kernel) -> None:
    """It gets what is in other trees; only when there is nothing else it waits, and then gives up like anybody."""
    k.start("order", workflow_id="v")
    with Kernel(PostgresStore(url, patience=0.05)) as other, k.store.transaction(write=True) as transaction:
        transaction.snapshot(Subject("w"))
        assert [lease.workflow_id for lease in other.poll("pick", limit=5)] == ["v"]
        with pytest.raises(Conflict):
            other.poll("pick")
    assert [lease.workflow_id for lease in k.poll("pick", limit=5)] == ["w"]


def test_work_behind_a_wide_tree_in_use(url: str, k: Kernel) -> None:
    """Tasks of a tree that somebody holds are passed by, but a hundred at most: then who holds it is waited for."""
    k.register(*(kernel.WorkflowDef(f"wide{size}", tasks=[kernel.TaskDef(f"t{no}", type="work") for no in range(size)])
                 for size in (60, 50)))
    for name, size in (("a", 60), ("b", 50), ("c", 50)):
        k.start(f"wide{size}", workflow_id=name)
    with Kernel(PostgresStore(url, patience=0.05)) as other, k.store.transaction(write=True) as transaction:
        transaction.snapshot(Subject("a"))
        assert {lease.workflow_id for lease in other.poll("work", limit=3)} == {"b"}
        transaction.snapshot(Subject("b"))
        with pytest.raises(Conflict):
            other.poll("work")


def test_all_connections_in_use(url: str) -> None:
    """More threads than connections wait, and then give up: Conflict."""
    store = PostgresStore(url, patience=0.05, connections=1)
    with store.transaction(write=False):
        with pytest.raises(Conflict, match="all connections"), store.transaction(write=False):
            pass
        with pytest.raises(Conflict, match="all connections"):
            Kernel(store).find()
    assert Kernel(store).find().items == ()
    store.close()


def test_a_heartbeat_locks_one_row(url: str, k: Kernel) -> None:
    """While somebody holds the whole tree a lease is renewed all the same, and leaves no line of history."""
    (lease,) = k.poll("pick", worker="w1")
    lines = len(k.history("w"))
    with Kernel(PostgresStore(url, patience=0.05)) as other, k.store.transaction(write=True) as transaction:
        transaction.snapshot(Subject("w"))
        assert other.heartbeat(lease).expires > lease.expires
    assert len(k.history("w")) == lines
    assert k.complete(lease).version == 2


def test_a_lease_renewed_meanwhile_is_not_taken_away(url: str, k: Kernel) -> None:
    """What is written is compared with what was read: a row that is another one now is a Conflict."""
    (lease,) = k.poll("pick", worker="w1")

    def cancel() -> None:
        with k.store.transaction(write=True) as transaction:
            snapshot = transaction.snapshot(Subject("w"))
            (row,) = [row for row in snapshot.all_tasks("w") if row.no == lease.position]
            with Kernel(PostgresStore(url, patience=0.05)) as other:
                other.heartbeat(lease)
            tree, row.state = snapshot.tree(), "CANCELED"
            assert tree is not None
            plan = Plan(k.command("TERMINATE", Subject("w")), 1, tree, False)
            plan.tasks.append(row)
            transaction.write(plan)

    with pytest.raises(Conflict, match="a row changed while the command was decided"):
        cancel()
    assert [task.state for task in k.tasks("w")] == ["IN_PROGRESS", "PENDING"]


def test_policy_of_deliveries_is_the_openers() -> None:
    """Attempts and lease of a delivery come from who writes it."""
    with new_store("postgres", None, Policy(sends=7, lease=1)) as store:  # type: ignore[arg-type]
        assert store.policy == Policy(sends=7, lease=1)


def test_what_is_spawned_meanwhile_is_not_mixed_in(k: Kernel, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads a workflow under no lock, and then what was spawned in it, reads both of one moment, or again."""
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(ref) for ref in "abc"]))
    for name in ("u", "v"):
        k.start("wide", workflow_id=name)
        k.complete(k.poll("a")[0], spawn=[kernel.TaskDef("x")])  # what was spawned has one name in both
    asked, rows = 0, PostgresTransaction.rows

    def rows_(transaction: PostgresTransaction, name: str, values: Any = ()) -> list[Any]:
        nonlocal asked
        asked += name == "spawned"
        if name == "spawned" and asked == 1:
            k.complete(k.poll("b")[0], spawn=[kernel.TaskDef("y")])
        return rows(transaction, name, values)

    (lease,) = k.poll("c")
    with kernel.open(url) as other:
        monkeypatch.setattr(PostgresTransaction, "rows", rows_)
        other.heartbeat(lease)
        assert asked > 1
        assert [[t.ref for t in other.tasks(name)] for name in ("u", "v")] == [[*"abcxy"], [*"abcx"]]


@pytest.mark.unverified
def test_a_state_that_is_none_is_found(stores: PostgresStores, url: str, k: Kernel) -> None:
    """The server does not look at what it is given; audit and verify do, and go on with what else there is."""
    k.start("order", workflow_id="v")
    with stores.server.connect() as operator:
        changed = sql.SQL("UPDATE {} SET state = 'GONE' WHERE id = 'w'").format(
            sql.Identifier(located(url).schema, "workflow"))
        operator.execute(changed)
    assert ("STORE", "w", "unknown state GONE") in {(f.invariant, f.workflow_id, f.text) for f in k.audit().findings}
    found = k.verify()
    assert (found.trees, [misstep.root for misstep in found.missteps]) == (2, ["w"])
