"""The SQLite store on a disk that fails or is full: the old state or the new one, the right error, and it goes on."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

import kernel
from kernel.engine.kernel import Kernel
from kernel.errors import CommitUnknown, KernelError, StoreFull, StoreUnavailable
from kernel.stores.sqlite import SqliteStore
from kernel.testing.clock import ManualClock
from tests.stores.faulty import Fails, FaultyVfs, faulty
from tests.stores.stand import Rows, rows_of

LEAF = kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("x"), kernel.TaskDef("y")], topics=("archive",))
ROOT = kernel.WorkflowDef("root", topics=("archive", "mail"), tasks=[
    kernel.TaskDef("a", workflow="leaf"), kernel.TaskDef("b", workflow="leaf"), kernel.TaskDef("c")])
WIDE = kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(f"t{n}", input={"fill": "x" * 600}) for n in range(600)])
MOST = 200
PAGE = 4096


@pytest.fixture
def vfs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyVfs]:
    """Stores use the file system that fails when it is told to."""
    with faulty(monkeypatch) as vfs:
        yield vfs


def opened(folder: Path) -> Kernel:
    return Kernel(SqliteStore(str(folder / "kernel.db")), clock=ManualClock(), chance=random.Random(1))


def prepared(folder: Path, definition: kernel.WorkflowDef = ROOT) -> Kernel:
    """A kernel on a new file, with one running workflow."""
    k = opened(folder)
    k.register(LEAF, definition)
    k.start(definition.name, workflow_id="w")
    return k


def left_behind(folder: Path) -> Rows:
    """What the next process finds when this one dies now: the file and its log, without what was only in memory."""
    copy = folder / "copy"
    copy.mkdir()
    for name in ("kernel.db", "kernel.db-wal"):
        if (folder / name).exists():
            shutil.copy(folder / name, copy / name)
    k = opened(copy)
    assert k.audit().clean
    rows = rows_of(k.store)
    k.close()
    shutil.rmtree(copy)
    return rows


@pytest.fixture(scope="module")
def old_and_new(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, Rows]:
    """All rows before and after `terminate`, on a disk that works."""
    k = prepared(tmp_path_factory.mktemp("whole"))
    old = rows_of(k.store)
    k.terminate("w", command_id="end", actor="me")
    new = rows_of(k.store)
    assert [len(rows["delivery"]) for rows in (old, new)] == [0, 4]
    return old, new


def fail_at(folder: Path, vfs: FaultyVfs, at: int, code: int, old_and_new: tuple[Rows, Rows]) -> list[str]:
    """Fail the write or sync number `at` of a terminate, once; gives the operations that were met."""
    old, new = old_and_new
    folder.mkdir()
    k, watcher = prepared(folder), opened(folder)
    watcher.get("w")  # somebody else has the file open, so that the log stays
    fails = vfs.meet = Fails(at, code, only="write" if code == apsw.SQLITE_FULL else "")  # no disk says "full" to a sync
    error: KernelError | None = None
    try:
        k.terminate("w", command_id="end", actor="me")
    except KernelError as caught:
        error = caught
    vfs.meet = lambda operation, end: None
    assert (error is not None) == bool(fails.fired)
    dead, live = left_behind(folder), rows_of(watcher.store)
    assert dead in (old, new)
    assert live in (old, new)
    if error is None:
        assert dead == live == new
        return []
    if not isinstance(error, CommitUnknown):
        assert type(error) is (StoreFull if code == apsw.SQLITE_FULL else StoreUnavailable)
        assert dead == live == old  # it says that nothing was applied, and that is final
    else:
        assert error.command_id == "end"
    check_goes_on(k, live == new)
    watcher.close()
    k.close()
    reopened = opened(folder)
    check_goes_on(reopened, ended=True)
    assert rows_of(reopened.store)["history"].keys() == new["history"].keys()
    reopened.close()
    return fails.met


def check_goes_on(k: Kernel, ended: bool) -> None:
    """The next command works, whatever happened to the one before: the same id again is applied once."""
    assert k.get("w").state == ("TERMINATED" if ended else "RUNNING")
    assert k.terminate("w", command_id="end", actor="me").no_op is False
    assert k.get("w").state == "TERMINATED"
    assert k.audit().clean


@pytest.mark.slow
@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_FULL])
def test_each_operation_of_a_terminate_may_fail(
    tmp_path: Path, vfs: FaultyVfs, code: int, old_and_new: tuple[Rows, Rows]
) -> None:
    """Fail the first write or sync of a terminate, then the second, ... until none fails: never between old and new."""
    met: list[str] = []
    for at in range(MOST):
        found = fail_at(tmp_path / str(at), vfs, at, code, old_and_new)
        if not found:
            break
        met = found
    assert at >= 10
    assert at < MOST
    assert met[-1] == ("write -wal" if code == apsw.SQLITE_FULL else "sync -wal")


def test_a_commit_whose_sync_failed_is_unknown(tmp_path: Path, vfs: FaultyVfs, old_and_new: tuple[Rows, Rows]) -> None:
    """The log holds the whole commit, but nobody was told: others read the old state, a crash now would give the new one.
    That is why the answer is CommitUnknown and nothing else.
    """
    old, new = old_and_new
    k, watcher = prepared(tmp_path), opened(tmp_path)
    watcher.get("w")
    fails = vfs.meet = Fails(0, apsw.SQLITE_IOERR_FSYNC, only="sync")
    with pytest.raises(CommitUnknown, match="may or may not have been applied") as caught:
        k.terminate("w", command_id="end", actor="me")
    assert fails.fired == ["sync -wal"]
    assert caught.value.hint == "kernel outcome end --workflow w tells"
    assert caught.value.workflow_id == "w"
    assert (rows_of(watcher.store), left_behind(tmp_path)) == (old, new)


WHO = ("this", "another", "the next")


@pytest.mark.parametrize("code", [apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_FSYNC])
def test_the_outcome_of_an_unknown_commit_is_the_truth(tmp_path: Path, vfs: FaultyVfs, code: int) -> None:
    """Whichever operation of the COMMIT failed, and whether this process asks, another one, or the next after a crash: the
    answer is what stands, it stays so, and what was not applied cannot be any more.
    """
    answers: list[tuple[str, bool]] = []
    only, cases = ("sync", len(WHO) * 2) if code == apsw.SQLITE_IOERR_FSYNC else ("write", 1)
    for number in range(MOST):
        folder, asks = tmp_path / str(number), WHO[number % len(WHO)]
        folder.mkdir()
        k, watcher = prepared(folder), opened(folder)
        watcher.get("w")
        fails = vfs.meet = Fails(number // cases, code, only=only)
        error = ended_unknown(k, named=number % 2 == 0)
        vfs.meet = lambda operation, end: None
        if error is not None:
            asker = {"this": k, "another": watcher}.get(asks) or after_a_crash(folder)
            answers.append((asks, check_outcome(asker, error)))
        watcher.close()
        k.close()
        shutil.rmtree(folder)
        if not fails.fired:
            break
    if only == "write":
        assert len(answers) >= 10
        assert not any(applied for _, applied in answers)
    else:
        assert set(answers) == {("this", False), ("another", False), ("the next", True)}


def ended_unknown(k: Kernel, named: bool) -> CommitUnknown | None:
    """Terminate `w` on a disk that fails; whether the answer was that nobody knows."""
    try:
        k.terminate("w", actor="me", **{"command_id": "end"} if named else {})
    except CommitUnknown as error:
        return error
    except StoreUnavailable:
        pass
    return None


def after_a_crash(folder: Path) -> Kernel:
    """The next process, on what this one left in its files."""
    copy = folder / "next"
    copy.mkdir()
    for name in ("kernel.db", "kernel.db-wal"):
        shutil.copy(folder / name, copy / name)
    return opened(copy)


def check_outcome(k: Kernel, error: CommitUnknown) -> bool:
    """Ask, and hold the answer against what stands; then again after another crash. Gives whether it was applied."""
    answer = k.outcome(error.command_id, workflow_id=error.workflow_id)
    applied = isinstance(answer, kernel.Applied)
    assert answer == (kernel.Applied(error.command_id, 2, 3, 7, 4) if applied else kernel.NotApplied(error.command_id))
    store = k.store
    assert isinstance(store, SqliteStore)
    for asked in (k, after_a_crash(Path(store.path).parent)):
        assert asked.get("w").state == ("TERMINATED" if applied else "RUNNING")
        assert asked.outcome(error.command_id, workflow_id=error.workflow_id) == answer
        assert asked.audit().clean
        if not applied:
            with pytest.raises(kernel.GuardRefused, match="under this id nothing is applied any more"):
                asked.terminate("w", command_id=error.command_id)
        asked.terminate("w", command_id="again")
        assert asked.get("w").state == "TERMINATED"
        if asked is not k:
            asked.close()
    return applied


def small_cache(k: Kernel) -> None:
    """Let SQLite write before the COMMIT, as it does in a large transaction."""
    with k.store.transaction(write=False) as transaction:
        transaction.connection.pragma("cache_size", 5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("code", "kind"), [(apsw.SQLITE_IOERR_WRITE, StoreUnavailable), (apsw.SQLITE_FULL, StoreFull)])
def test_a_write_that_fails_before_the_commit(tmp_path: Path, vfs: FaultyVfs, code: int, kind: type[KernelError]) -> None:
    """In the middle of a large transaction the answer is certain: nothing was applied, and the connection is used again."""
    k = prepared(tmp_path, WIDE)
    small_cache(k)
    old = rows_of(k.store)
    for at in (0, 1, 7):
        fails = vfs.meet = Fails(at, code)
        with pytest.raises(kind, match="nothing was applied") as caught:
            k.terminate("w")
        assert type(caught.value) is kind
        assert fails.fired == ["write -wal"]
        assert rows_of(k.store) == left_behind(tmp_path) == old
    vfs.meet = lambda operation, end: None
    assert k.terminate("w").canceled == 600
    assert k.audit().clean


COMMANDS: dict[str, Callable[[Kernel], object]] = {
    "register": lambda k: k.register(WIDE), "start": lambda k: k.start("root", workflow_id="v"), "poll": lambda k: k.poll("c"),
    "pause": lambda k: k.pause("w"), "terminate": lambda k: k.terminate("w"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_died_stays_dead_until_it_comes_back(tmp_path: Path, vfs: FaultyVfs, name: str) -> None:
    """While every write fails each command is refused and reads go on; when the disk is back the same command works."""
    k = prepared(tmp_path)
    old = rows_of(k.store)
    vfs.meet = Fails(0, apsw.SQLITE_IOERR_WRITE, dead=True)
    for _ in range(3):
        with pytest.raises((StoreUnavailable, CommitUnknown)):
            COMMANDS[name](k)
        assert rows_of(k.store) == old
        assert k.audit().clean
    vfs.meet = lambda operation, end: None
    COMMANDS[name](k)
    assert rows_of(k.store) != old


# -------------------------------------------------------------------------------------------------------- no space left
def test_a_database_that_may_not_grow(tmp_path: Path) -> None:
    """No page more: StoreFull, the old state, reads work; with more space the same command works on the same connection."""
    k = prepared(tmp_path)
    with k.store.transaction(write=False) as transaction:
        connection: apsw.Connection = transaction.connection  # type: ignore[attr-defined]
        connection.pragma("max_page_count", connection.pragma("page_count"))
    old = rows_of(k.store)
    for _ in range(2):
        with pytest.raises(StoreFull, match="nothing was applied") as caught:
            k.register(WIDE)
        assert "free some space" in caught.value.hint
        assert rows_of(k.store) == old
        assert k.audit().clean
    connection.pragma("max_page_count", 100_000)
    k.register(WIDE)
    k.start("wide")


@pytest.mark.may_skip(reason="mounting needs root")
def test_a_full_disk(disk: Path) -> None:
    """A real one: every command is StoreFull with nothing applied, reads and audit work, and it goes on when space is back."""
    k = prepared(disk)
    ballast = disk / "ballast"
    with pytest.raises(OSError, match="No space left"):
        ballast.write_bytes(b"x" * 2**20)
    old = rows_of(k.store)
    for name, ask in COMMANDS.items():
        with pytest.raises(StoreFull, match="nothing was applied"):
            ask(k)
        assert rows_of(k.store) == old, name
        assert k.audit().clean
    with pytest.raises(KernelError):
        opened_on_full_disk(disk)
    ballast.unlink()
    for ask in COMMANDS.values():
        ask(k)
    assert k.audit().clean
    k.close()


def opened_on_full_disk(folder: Path) -> None:
    SqliteStore(str(folder / "other.db"))


@pytest.mark.slow
@pytest.mark.may_skip(reason="mounting needs root")
def test_the_answer_is_true_however_much_space_is_left(disk: Path) -> None:
    """With the last page of the disk taken, with one left, with two, ...: StoreFull means that nothing was applied, and no
    error that all of it was, also when space runs out while the log is copied into the file.
    """
    answers: list[str] = []
    for free in range(0, 72, 3):
        folder, ballast = disk / str(free), disk / "ballast"
        folder.mkdir()
        k = prepared(folder)
        with k.store.transaction(write=False) as transaction:
            transaction.connection.wal_autocheckpoint(1)  # type: ignore[attr-defined]
        fill(ballast, free * PAGE)
        try:
            answers.append(f"{k.terminate('w').ended} ended")
        except StoreFull as error:
            answers.append(error.stands)
        ballast.unlink()
        expected = "TERMINATED" if answers[-1] == "3 ended" else "RUNNING"
        found = opened(folder)
        assert (answers[-1], found.get("w").state, k.get("w").state) == (answers[-1], expected, expected)
        assert found.audit().clean
        found.close()
        k.close()
        shutil.rmtree(folder)
    assert set(answers) == {"3 ended", "nothing was applied"}
    assert answers == sorted(answers, reverse=True)


def fill(ballast: Path, free: int) -> None:
    """Take all space of a disk but this much."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * PAGE)
    assert shutil.disk_usage(ballast).free == 0
    with ballast.open("r+b") as file:
        file.truncate(max(0, ballast.stat().st_size - free))
