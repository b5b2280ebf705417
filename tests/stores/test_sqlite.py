"""The SQLite store: how a file is made, opened, migrated and refused, and what it is set to."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

import kernel
from kernel.core.plan import Subject
from kernel.core.program import standard_program
from kernel.errors import (
    Conflict,
    InvalidInput,
    KernelError,
    SchemaMismatch,
    StoreCorrupt,
    StoreReadOnly,
    StoreUnavailable,
    UnsafeStore,
)
from kernel.spec.vocabulary import ABSENT, KINDS
from kernel.stores import sqlite
from kernel.stores.sqlite import APPLICATION, PRAGMAS, SqliteStore
from kernel.stores.statements import migrations
from tests.stores.disks import remount
from tests.stores.stand import rows_of

REAL = apsw.Connection
ORDER = kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick"), kernel.TaskDef("ship", after=["pick"])])


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a store is made."""
    return str(tmp_path / "kernel.db")


@pytest.fixture
def k(path: str) -> Iterator[kernel.Kernel]:
    """A kernel on a new file, with one workflow."""
    with kernel.open(f"sqlite:///{path}") as k:
        k.register(ORDER)
        k.start("order", workflow_id="order-7", input={"sku": 7})
        yield k


def store_of(k: kernel.Kernel) -> SqliteStore:
    assert isinstance(k.store, SqliteStore)
    return k.store


def raw(path: str, *statements: str) -> list[Any]:
    """What another program does with the file."""
    connection = apsw.Connection(path)
    try:
        return [row for statement in statements for row in connection.execute(statement)]
    finally:
        connection.close()


def contents(path: str) -> bytes:
    return Path(path).read_bytes()


# ------------------------------------------------------------------------------------------------------------ settings
SETTINGS = {
    "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "cell_size_check": 1, "busy_timeout": 0,
    "wal_autocheckpoint": 3000,
    "read_uncommitted": 0, "recursive_triggers": 0, "mmap_size": 0, "locking_mode": "normal",
}


def test_every_connection_has_the_settings_that_the_promises_need(k: kernel.Kernel) -> None:
    """Not only the first connection: each that a busy store opens is set, as SQLite itself says."""
    store = store_of(k)
    with store.transaction(write=False) as one, store.transaction(write=False) as two, store.transaction(write=True) as three:
        connections = [one.connection, two.connection, three.connection]
        assert len({id(connection) for connection in connections}) == 3
        for connection in connections:
            assert {name: connection.pragma(name) for name in SETTINGS} == SETTINGS


class Deaf(apsw.Connection):
    """A connection on which one PRAGMA does not take."""

    deaf_to = ""

    def pragma(self, name: str, value: Any = None, **options: Any) -> Any:
        """The answer, untrue for the one."""
        answer = super().pragma(name) if value is None else super().pragma(name, value)
        return "did not take" if name == self.deaf_to else answer


@pytest.mark.parametrize("name", [name for name, _, _ in PRAGMAS])
def test_a_setting_that_did_not_take_is_refused(path: str, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Every setting is read back; one that did not take is UnsafeStore, which names it and what it is."""
    monkeypatch.setattr(Deaf, "deaf_to", name)
    monkeypatch.setattr(apsw, "Connection", Deaf)
    with pytest.raises(UnsafeStore, match=rf"PRAGMA {name} is 'did not take', not"):
        SqliteStore(path)


def test_a_file_system_without_shared_memory_is_refused(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where WAL is not possible SQLite stays with another journal: that is UnsafeStore, not a slower store."""
    monkeypatch.setattr(sqlite, "create", lambda path: None)
    monkeypatch.setattr(apsw, "Connection", lambda path, **options: REAL(":memory:"))
    with pytest.raises(UnsafeStore, match="PRAGMA journal_mode is 'memory', not 'wal'"):
        SqliteStore(path)


@pytest.mark.parametrize(
    ("version", "safe"),
    [(3_040_001, False), (3_044_005, False), (3_044_006, True), (3_045_000, False), (3_050_006, False), (3_050_007, True),
     (3_051_002, False), (3_051_003, True), (3_054_001, True)],
)
def test_a_sqlite_with_the_wal_reset_bug_is_refused(
    path: str, monkeypatch: pytest.MonkeyPatch, version: int, safe: bool
) -> None:
    """3.7.0 to 3.51.2 have it, but for the two back-ports 3.44.6 and 3.50.7."""
    monkeypatch.setattr(apsw, "SQLITE_VERSION_NUMBER", version)
    if safe:
        SqliteStore(path).close()
        return
    with pytest.raises(UnsafeStore, match="WAL-reset"):
        SqliteStore(path)
    assert not Path(path).exists()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Mode 0600 for the database and for what SQLite puts beside it, whatever the umask."""
    before = os.umask(0)
    try:
        with kernel.open(f"sqlite:///{tmp_path / 'kernel.db'}") as k:
            k.register(ORDER)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"kernel.db": 0o600, "kernel.db-wal": 0o600, "kernel.db-shm": 0o600}


def test_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    """SQLite keeps a journal for each name of a file: a database behind two names can be destroyed."""
    SqliteStore(path).close()
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with pytest.raises(StoreUnavailable):
        SqliteStore(str(link))


# -------------------------------------------------------------------------------------------------------------- schema
def test_tables_are_strict(k: kernel.Kernel, path: str) -> None:
    """A column never takes a value of another type."""
    tables = [row for row in raw(path, "PRAGMA table_list") if row[0] == "main" and not row[1].startswith("sqlite_")]
    assert {name for _, name, *_ in tables} >= {"tree", "workflow", "task", "delivery", "history", "payload", "definition"}
    assert {name for _, name, _, _, _, strict in tables if not strict} == set()
    with store_of(k).transaction(write=False) as transaction, pytest.raises(apsw.ConstraintError, match="cannot store TEXT"):
        transaction.connection.execute("UPDATE tree SET tasks = 'many'")


@pytest.mark.parametrize("statement", [
    "UPDATE task SET workflow = 99", "UPDATE workflow SET definition = 99",
    "UPDATE payload SET workflow = 99", "DELETE FROM workflow", "DELETE FROM definition",
])
def test_foreign_keys_hold(k: kernel.Kernel, statement: str) -> None:
    """No row is left without the one that it refers to."""
    with store_of(k).transaction(write=True) as transaction, pytest.raises(apsw.ConstraintError, match="FOREIGN KEY"):
        transaction.connection.execute(statement)


def test_states_are_those_of_the_kinds(k: kernel.Kernel, path: str) -> None:
    """The CHECK of a state column lists the states of its kind, all but ABSENT, which no row has. Tasks have none: it would
    double the time of a cascade.
    """
    scripts = dict(raw(path, "SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
    checked = {name: re.findall(r"CHECK \(state IN \(([^)]*)\)\)", scripts[name]) for name in KINDS}
    assert checked.pop("task") == []
    for name, (listed,) in checked.items():
        assert tuple(re.findall(r"'(\w+)'", listed)) == tuple(s for s in KINDS[name].states if s != ABSENT)


def test_counters_are_columns_under_their_own_names(k: kernel.Kernel, path: str) -> None:
    """The counters that are derived from the tables are the last columns of their owner, in the same order."""
    program = standard_program()
    for kind in ("workflow", "task"):
        columns = [name for table, name in raw(
            path, "SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'")
            if table == kind]
        counters = [counter.name for counter in program.counters_of(kind)]
        assert counters
        assert columns[-len(counters):] == counters
        assert [counter.place for counter in program.counters_of(kind)] == list(range(len(counters)))


# ----------------------------------------------------------------------------------------------------------- migration
def test_each_migration_has_its_record(k: kernel.Kernel, path: str) -> None:
    """The file says which migrations made it, and is marked as ours."""
    assert raw(path, "SELECT no, name FROM migration") == [(number, name) for number, name, _ in migrations()]
    assert raw(path, "PRAGMA user_version", "PRAGMA application_id") == [(migrations()[-1][0],), (APPLICATION,)]
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def next_migration(monkeypatch: pytest.MonkeyPatch, script: str) -> int:
    """The program learns one more migration; its number."""
    number = migrations()[-1][0] + 1
    known = (*migrations(), (number, f"{number:04}_next", script))
    monkeypatch.setattr(sqlite, "migrations", lambda: known)
    return number


def test_a_migration_is_applied_once(k: kernel.Kernel, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening an older file brings it up to date and keeps its rows; opening it again does nothing more."""
    before = rows_of(k.store)
    number = next_migration(monkeypatch, "CREATE TABLE extra (a INTEGER) STRICT; INSERT INTO extra VALUES (1);")
    for _ in range(2):
        store = SqliteStore(path)
        assert rows_of(store) == before
        store.close()
    assert raw(path, "SELECT a FROM extra", "PRAGMA user_version") == [(1,), (number,)]
    assert raw(path, "SELECT no FROM migration ORDER BY no")[-1] == (number,)


def test_a_migration_that_fails_changes_nothing(k: kernel.Kernel, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Script, record and version number are one transaction: an error in the middle leaves the old schema, which works."""
    before = rows_of(k.store)
    with monkeypatch.context() as patch:
        next_migration(patch, "CREATE TABLE extra (a INTEGER) STRICT; UPDATE tree SET run = 7; SELECT nonsense;")
        with pytest.raises(StoreCorrupt, match="nonsense"):
            SqliteStore(path)
    assert raw(path, "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema WHERE name = 'extra'") == [(1,), (0,)]
    assert rows_of(k.store) == before
    k.terminate("order-7")


@pytest.mark.parametrize("first", [True, False], ids=["while it is made", "while it is brought up to date"])
def test_a_process_that_dies_in_a_migration_leaves_the_old_schema(path: str, first: bool) -> None:
    """Killed between the script and its record, the file is as it was, and the next process migrates it."""
    if not first:
        SqliteStore(path).close()
    before = [] if first else raw(path, "SELECT * FROM sqlite_schema")
    script = """
import os, sys, time
from kernel.stores import sqlite
known = sqlite.migrations()
if sys.argv[2] == "older":
    sqlite.migrations = lambda: (*known, (2, "0002_next", "CREATE TABLE extra (a INTEGER) STRICT"))
time.time_ns = lambda: os._exit(9)
sqlite.SqliteStore(sys.argv[1])
"""
    died = subprocess.run([sys.executable, "-c", script, path, "new" if first else "older"], check=False)
    assert died.returncode == 9
    assert raw(path, "SELECT * FROM sqlite_schema") == before
    with kernel.open(f"sqlite:///{path}") as k:
        k.register(ORDER)
        assert k.audit().clean


def test_a_newer_schema_is_refused(k: kernel.Kernel, path: str) -> None:
    """A file that a newer program made is refused, for writing and for reading, and stays as it is."""
    k.close()
    raw(path, "PRAGMA user_version = 99")
    before = contents(path)
    for mode in ("", "?mode=ro"):
        with pytest.raises(SchemaMismatch, match="its schema is number 99") as caught:
            SqliteStore(path + mode)
        assert "upgrade" in caught.value.hint
    assert contents(path) == before


def test_an_older_schema_is_not_migrated_by_a_reader(k: kernel.Kernel, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only means that nothing is written, a migration neither."""
    next_migration(monkeypatch, "CREATE TABLE extra (a INTEGER) STRICT")
    with pytest.raises(SchemaMismatch, match="migration 2 is missing"):
        SqliteStore(f"{path}?mode=ro")


def test_a_process_that_outlived_a_migration_is_refused(k: kernel.Kernel, path: str) -> None:
    """Every write looks at the schema; a process that knows only an older one must not write by old rules."""
    raw(path, "PRAGMA user_version = 2")
    before = rows_of(k.store)
    for write in WRITES.values():
        with pytest.raises(SchemaMismatch, match="restart this process"):
            write(k)
    assert rows_of(k.store) == before
    raw(path, "PRAGMA user_version = 1")
    k.start("order")


@pytest.mark.parametrize("statement", ["CREATE TABLE other (a)", "PRAGMA application_id = 7"])
def test_the_database_of_another_program_is_refused(path: str, statement: str) -> None:
    """It is named as such, and not one byte of it is changed."""
    raw(path, statement)
    before = contents(path)
    for mode in ("", "?mode=ro"):
        with pytest.raises(SchemaMismatch, match="another program"):
            SqliteStore(path + mode)
    assert contents(path) == before
    assert [file.name for file in Path(path).parent.iterdir()] == ["kernel.db"]


class Late(apsw.Connection):
    """A connection that looks at an empty file; before its next question another process has made the store there."""

    raced = False

    def pragma(self, name: str, value: Any = None, **options: Any) -> Any:
        """The answer, after the other process."""
        if name == "application_id" and value is None and not Late.raced:
            Late.raced = True
            other = SqliteStore(self.filename)
            other.close()
        return super().pragma(name) if value is None else super().pragma(name, value)


def test_two_processes_make_one_store(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second finds a store of ours, whenever the first was faster."""
    monkeypatch.setattr(apsw, "Connection", Late)
    monkeypatch.setattr(Late, "raced", False)
    store = SqliteStore(path)
    assert Late.raced
    assert raw(path, "SELECT count(*) FROM migration") == [(len(migrations()),)]
    store.close()


# ------------------------------------------------------------------------------------------------------ not a database
def test_a_text_file_is_refused(path: str) -> None:
    """A file that is no database is StoreCorrupt and stays as it is."""
    Path(path).write_text("a letter to ada\n" * 100)
    before = contents(path)
    for mode in ("", "?mode=ro"):
        with pytest.raises(StoreCorrupt, match="not a SQLite database"):
            SqliteStore(path + mode)
    assert contents(path) == before


def test_an_empty_file_becomes_a_store(path: str) -> None:
    """An empty file is an empty database; a reader has nothing to read there."""
    Path(path).touch()
    with pytest.raises(SchemaMismatch, match="open it once for writing"):
        SqliteStore(f"{path}?mode=ro")
    SqliteStore(path).close()
    assert raw(path, "PRAGMA application_id") == [(APPLICATION,)]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder cannot be opened as a file."""
    for mode in ("", "?mode=ro"):
        with pytest.raises(StoreUnavailable, match="opening"):
            SqliteStore(f"{tmp_path}{mode}")


@pytest.mark.parametrize("place", ["nowhere/kernel.db", "file/kernel.db"])
def test_a_file_that_cannot_be_made_is_refused(tmp_path: Path, place: str) -> None:
    """The folder is not there, or is none."""
    (tmp_path / "file").touch()
    for mode in ("", "?mode=ro"):
        with pytest.raises(StoreUnavailable, match="does the folder exist"):
            SqliteStore(f"{tmp_path / place}{mode}")


def test_a_reader_makes_no_file(path: str) -> None:
    """Read-only opens what is there."""
    with pytest.raises(StoreUnavailable):
        SqliteStore(f"{path}?mode=ro")
    assert not Path(path).exists()


@pytest.mark.parametrize(
    "name", ["", "?mode=ro", "a?mode=rw", "a?mode", "a?x=1&mode=ro", "a?mode=ro&mode=ro", "a\0b", "a\ud800b"])
def test_a_path_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """Only a path, and ?mode=ro behind it; nothing is made."""
    with pytest.raises(InvalidInput):
        SqliteStore(str(tmp_path / name) if name[:1] not in ("", "?") else name)
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------------------------------------------- read-only
READS: dict[str, Callable[[kernel.Kernel], Any]] = {
    "get": lambda k: k.get("order-7"), "tasks": lambda k: k.tasks("order-7"), "tree": lambda k: k.tree("order-7"),
    "history": lambda k: k.history("order-7"), "find": lambda k: k.find(), "allowed": lambda k: k.allowed("order-7"),
    "deliveries": lambda k: k.deliveries(), "audit": lambda k: k.audit(),
}
WRITES: dict[str, Callable[[kernel.Kernel], Any]] = {
    "register": lambda k: k.register(ORDER), "start": lambda k: k.start("order"), "poll": lambda k: k.poll("pick"),
    "pause": lambda k: k.pause("order-7"), "terminate": lambda k: k.terminate("order-7"),
    "signal": lambda k: k.signal("order-7", "pick"), "redrive": lambda k: k.redrive("order-7#1:archive"),
}


def test_a_reader_reads_and_audits(k: kernel.Kernel, path: str) -> None:
    """Opened read-only, every read gives what the writer's gives, beside the writer and after it has gone."""
    expected = {name: read(k) for name, read in READS.items()}
    with kernel.open(f"sqlite:///{path}?mode=ro") as reader:
        assert {name: read(reader) for name, read in READS.items()} == expected
        k.close()
        assert {name: read(reader) for name, read in READS.items()} == expected
    with kernel.open(f"sqlite:///{path}?mode=ro") as reader:
        assert {name: read(reader) for name, read in READS.items()} == expected


@pytest.mark.parametrize("name", WRITES)
def test_a_reader_cannot_write(k: kernel.Kernel, path: str, name: str) -> None:
    """Every write is StoreReadOnly and changes nothing, and reads go on."""
    before = rows_of(k.store)
    with kernel.open(f"sqlite:///{path}?mode=ro") as reader:
        with pytest.raises(StoreReadOnly, match="read-only"):
            WRITES[name](reader)
        assert reader.get("order-7").state == "RUNNING"
        assert reader.tick().total == 0
    assert rows_of(k.store) == before


def test_a_file_that_may_not_be_written(k: kernel.Kernel, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that this user may only read: opening it for writing is StoreReadOnly, reading it works."""
    def protected(path: str, *, flags: int, **options: Any) -> apsw.Connection:
        read_only = (flags & ~apsw.SQLITE_OPEN_READWRITE) | apsw.SQLITE_OPEN_READONLY  # what SQLite falls back to
        return REAL(path, flags=read_only, **options)

    monkeypatch.setattr(apsw, "Connection", protected)
    with pytest.raises(StoreReadOnly):
        kernel.open(f"sqlite:///{path}").pause("order-7")
    assert kernel.open(f"sqlite:///{path}?mode=ro").audit().clean


# ------------------------------------------------------------------------------------------------------------ read-only disk
@pytest.fixture
def sealed(k: kernel.Kernel, path: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store that was closed, in a folder where nothing can be made."""
    k.close()
    real = os.access
    monkeypatch.setattr(os, "access", lambda name, mode: name != str(Path(path).parent) and real(name, mode))
    return path


def test_a_store_on_a_read_only_disk_is_read(sealed: str) -> None:
    """Without a file beside it: WAL mode would need one."""
    with kernel.open(f"sqlite:///{sealed}?mode=ro") as reader:
        assert reader.get("order-7").state == "RUNNING"
        assert reader.audit().clean
        assert [file.name for file in Path(sealed).parent.iterdir()] == ["kernel.db"]
        with pytest.raises(StoreReadOnly):
            reader.pause("order-7")


def test_a_reader_of_such_a_store_sees_what_somebody_else_wrote(sealed: str) -> None:
    """Who may write the folder wrote the file: a read that was under way is a Conflict, the next is of the new content."""
    def read_while_written() -> None:
        with reader.store.transaction(write=False) as transaction:
            assert transaction.workflow("order-7", 1) is not None
            with kernel.open(f"sqlite:///{sealed}") as writer:
                writer.pause("order-7")

    with kernel.open(f"sqlite:///{sealed}?mode=ro") as reader:
        assert reader.get("order-7").state == "RUNNING"
        with pytest.raises(Conflict, match="wrote it meanwhile"):
            read_while_written()
        assert reader.get("order-7").state == "PAUSED"
        with kernel.open(f"sqlite:///{sealed}") as writer:
            writer.resume("order-7")
            assert reader.get("order-7").state == "RUNNING"


@pytest.mark.may_skip(reason="mounting needs root")
def test_a_real_read_only_disk(disk: Path) -> None:
    """Mounted read-only after the store was closed: reading works, opening for writing says why not."""
    with kernel.open(f"sqlite:///{disk}/kernel.db") as k:
        k.register(ORDER)
        k.start("order", workflow_id="order-7")
    remount(disk, "ro")
    with kernel.open(f"sqlite:///{disk}/kernel.db?mode=ro") as reader:
        assert reader.get("order-7").state == "RUNNING"
    with pytest.raises(KernelError):
        kernel.open(f"sqlite:///{disk}/kernel.db")


def test_memory_is_another_url() -> None:
    """SQLite's name for a database in memory would be a file here: refused, with the URL that is meant."""
    with pytest.raises(InvalidInput) as caught:
        kernel.open("sqlite:///:memory:")
    assert "memory://" in caught.value.hint


# -------------------------------------------------------------------------------------------------------------- closed
def test_a_closed_kernel_says_so(k: kernel.Kernel) -> None:
    """Every call of a closed kernel is StoreUnavailable, on each store; closing it again is nothing."""
    for closed in (k, kernel.open("memory://")):
        closed.close()
        closed.close()
        for ask in {**READS, **WRITES}.values():
            with pytest.raises(StoreUnavailable, match="was closed"):
                ask(closed)


def test_a_transaction_under_way_outlives_the_close(k: kernel.Kernel, path: str) -> None:
    """Closing waits for nobody and breaks nobody: what is under way commits, then its connection goes, too."""
    with k.store.transaction(write=True) as transaction:
        k.close()
        k.apply(transaction, k.command("TERMINATE", Subject("order-7")))
    with kernel.open(f"sqlite:///{path}") as other:
        assert other.get("order-7").state == "TERMINATED"
    assert [file.name for file in Path(path).parent.iterdir()] == ["kernel.db"]


def test_errors_tell_the_file(path: str) -> None:
    """Whatever is wrong with a file, the message names it."""
    Path(path).write_text("no database")
    with pytest.raises(KernelError) as caught:
        SqliteStore(path)
    assert path in str(caught.value)
