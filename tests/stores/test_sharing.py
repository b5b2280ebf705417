"""One SQLite file for several threads and processes: they wait for each other, not for ever, and nothing is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import apsw
import pytest

import kernel
from kernel.core import extension
from kernel.core.facts import Spawned
from kernel.core.plan import Subject
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Recorded
from kernel.errors import Conflict, StoreUnavailable
from kernel.stores import known, sqlite
from kernel.stores.sqlite import WAITS, SqliteStore
from kernel.testing.stand import in_threads
from tests.stores.stand import STORES, new_store

ORDER = kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick"), kernel.TaskDef("ship", after=["pick"])], topics=("archive",))


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file with a store in which one definition is registered."""
    path = str(tmp_path / "kernel.db")
    with kernel.open(f"sqlite:///{path}") as k:
        k.register(ORDER)
    return path


@pytest.fixture
def locked(path: str) -> Iterator[apsw.Connection]:
    """Another process is writing, and does not stop."""
    connection = apsw.Connection(path)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close(True)


# ------------------------------------------------------------------------------------------------------------- closing
class Raced(list[apsw.Connection]):
    """Connections of which another thread takes the last one, whenever somebody has seen that there is one."""

    def __bool__(self) -> bool:
        found = len(self) > 0
        self.clear()
        return found


def test_closing_while_another_thread_takes_a_connection(path: str) -> None:
    """Who closes what nobody uses finds that somebody uses it now."""
    store = SqliteStore(path)
    store._idle = Raced(store._idle)
    store.close()
    assert store.closed


def test_a_kernel_that_is_not_made_leaves_nothing_open(tmp_path: Path) -> None:
    """What is wrong with an option is told, and the store is closed."""
    for wrong in ({"actor": "\0"}, {"sinks": {"archive": 7}}, {"archive": "nightly"}, {"colour": "red"}, {"attempts": 2**31}):
        with pytest.raises((kernel.InvalidInput, TypeError)):
            kernel.open(f"sqlite:///{tmp_path}/own.db", **wrong)
        there = [os.readlink(place) for place in Path("/proc/self/fd").iterdir() if place.exists()]
        assert not [name for name in there if name.startswith(str(tmp_path))], wrong


# ------------------------------------------------------------------------------------------------------------- waiting
class Watch:
    """Time that passes only by sleeping."""

    def __init__(self, wakes: Callable[[int], None] = lambda slept: None) -> None:
        self.time, self.pauses, self.wakes = 1_000.0, list[float](), wakes

    def monotonic(self) -> float:
        """Seconds."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """A pause."""
        self.time += seconds
        self.pauses.append(seconds)
        self.wakes(len(self.pauses))


def waiting(path: str, monkeypatch: pytest.MonkeyPatch, watch: Watch, seed: int = 0, patience: float = 2.0) -> Kernel:
    """A kernel whose busy handler sleeps by that watch."""
    k = Kernel(SqliteStore(path, patience=patience))
    monkeypatch.setattr(sqlite, "time", watch)
    monkeypatch.setattr(sqlite, "random", random.Random(seed))
    return k


def test_a_writer_waits_with_jitter_then_gives_up(path: str, locked: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses grow from short to longest, each by chance between a third and all; at the deadline it is Conflict."""
    watch = Watch()
    k = waiting(path, monkeypatch, watch)
    with pytest.raises(Conflict, match="nothing was applied") as caught:
        k.start("order")
    assert "try again" in caught.value.hint
    assert 2.0 <= sum(watch.pauses) <= 2.0 + WAITS[1]
    for number, pause in enumerate(watch.pauses):
        longest = min(WAITS[1], WAITS[0] * 2 ** min(number, 10))
        assert 0.3 * longest <= pause <= longest
    late = watch.pauses[10:]
    assert len(set(late)) == len(late)
    assert max(late) - min(late) > WAITS[1] / 3


def test_two_processes_do_not_wait_in_step(path: str, locked: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance differs from process to process, so that none starves behind another."""
    found = []
    for seed in (1, 2):
        watch = Watch()
        with pytest.raises(Conflict):
            waiting(path, monkeypatch, watch, seed).start("order")
        found.append(watch.pauses)
    assert found[0] != found[1]


def test_each_wait_has_a_deadline_of_its_own(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that waited once waits as long the next time; in between it works."""
    watch = Watch()
    k = waiting(path, monkeypatch, watch)
    for _ in range(2):
        other = apsw.Connection(path)
        other.execute("BEGIN IMMEDIATE")
        watch.pauses.clear()
        with pytest.raises(Conflict):
            k.start("order")
        assert sum(watch.pauses) >= 2.0
        other.close(True)
        k.start("order")
        watch.time += 100


def test_a_writer_goes_on_when_the_other_is_done(path: str, locked: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is applied as soon as the lock is free."""
    def let_go(slept: int) -> None:
        if slept == 7:
            locked.execute("COMMIT")

    watch = Watch(let_go)
    k = waiting(path, monkeypatch, watch)
    k.start("order", workflow_id="w")
    assert len(watch.pauses) == 7
    assert k.get("w").state == "RUNNING"


def test_readers_do_not_wait(path: str, locked: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads see the last commit, whoever is writing."""
    watch = Watch()
    k = waiting(path, monkeypatch, watch)
    locked.execute("DELETE FROM command")
    assert k.find().items == ()
    assert k.audit().clean
    assert watch.pauses == []


def test_a_thread_waits_for_another_of_its_process(path: str) -> None:
    """Threads of one kernel write one after the other; who waits too long gets Conflict, and readers do not wait."""
    k = Kernel(SqliteStore(path, patience=0.02))
    with k.store.transaction(write=True):
        with pytest.raises(Conflict, match="try again"):
            in_threads([lambda: k.start("order")])
        assert k.find().items == ()
    k.start("order")


def test_an_outcome_waits_for_a_twin_that_is_under_way(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of another process while the command commits, it tells what came of it."""
    one, other = Kernel(SqliteStore(path)), Kernel(SqliteStore(path))
    one.start("order", workflow_id="w")
    waits, never, answers = threading.Event(), threading.Event(), list[object]()

    def pause(seconds: float) -> None:
        waits.set()
        never.wait(seconds)

    monkeypatch.setattr(time, "sleep", pause)
    thread = threading.Thread(target=lambda: answers.append(other.outcome("end", workflow_id="w")))
    with one.store.transaction(write=True) as transaction:
        thread.start()
        assert waits.wait(60.0)
        one._do(transaction, one.command("TERMINATE", Subject("w"), command_id="end"))
    thread.join(60.0)
    assert answers == [one.outcome("end", workflow_id="w")]
    assert isinstance(answers[0], kernel.Applied)


def test_one_of_two_processes_applies(path: str) -> None:
    """The same command under the same id from several processes at once: each gets the answer of the one that was first."""
    kernels = [Kernel(SqliteStore(path)) for _ in range(4)]
    kernels[0].start("order", workflow_id="w")
    together, answers = threading.Barrier(4), list[kernel.Applied]()

    def terminate(k: Kernel) -> None:
        together.wait(60.0)
        answers.append(k.terminate("w", command_id="end"))

    threads = [threading.Thread(target=terminate, args=(k,)) for k in kernels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert answers == [answers[0]] * 4
    assert sum(line.event == "TERMINATE" for line in kernels[0].history("w")) == 1


# ------------------------------------------------------------------------------------------------------------- threads
@pytest.mark.parametrize("kind", STORES)
def test_threads_share_a_kernel(kind: str, tmp_path: Path) -> None:
    """Eight threads start, poll and complete on one kernel: each task is handed out once, and all of it ends well."""
    with new_store(kind, tmp_path) as store:
        k = Kernel(store)
        k.register(ORDER)
        handed = Counter[tuple[str, str]]()
        lock = threading.Lock()

        def work(number: int) -> None:
            for turn in range(6):
                k.start("order", workflow_id=f"w{number}-{turn}")
                k.find(limit=3)
            for type in ("pick", "ship", "pick", "ship"):
                for lease in k.poll(type, worker=f"t{number}", limit=8):
                    with lock:
                        handed[lease.workflow_id, lease.ref] += 1
                    k.complete(lease)

        in_threads([partial(work, n) for n in range(8)])
        while leases := k.poll("pick", limit=100) + k.poll("ship", limit=100):
            for lease in leases:
                handed[lease.workflow_id, lease.ref] += 1
                k.complete(lease)
        assert set(handed.values()) == {1}
        assert len(handed) == 8 * 6 * 2
        assert {w.state for w in k.find(limit=100).items} == {"COMPLETED"}
        assert k.audit().clean


def test_what_was_spawned_is_read_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who spawns reads nothing of it again, others each task once, however often it changes; what is kept of it is bounded."""
    read = list[int]()

    def spawned_from(no: int, text: str) -> Spawned:
        read.append(no)
        return extension.spawned_from(no, text)

    monkeypatch.setattr(known, "spawned_from", spawned_from)
    monkeypatch.setattr(known, "MOST_EXTENDED", 12)
    with kernel.open(f"sqlite:///{path}") as k, kernel.open(f"sqlite:///{path}") as other:
        k.register(kernel.WorkflowDef("w", tasks=[kernel.TaskDef("t0", type="t")]))
        k.start("w", workflow_id="w")
        for n in range(1, 9):
            k.complete(k.poll("t")[0], spawn=[kernel.TaskDef(f"t{n}", type="t")])
            assert [t.ref for t in k.tasks("w")] == [f"t{m}" for m in range(n + 1)]
            assert read == []
        for n in (9, 10):
            assert len(other.tasks("w")) == n
            assert read == [*range(1, n)]
            k.complete(k.poll("t")[0], spawn=[kernel.TaskDef(f"t{n}", type="t")])
        for each in (k, other):
            assert isinstance(each.store, SqliteStore)
            assert sum(len(kept.facts) for kept in each.store._extended.values()) <= 12
        monkeypatch.setattr(known, "MOST_EXTENDED", 3)
        assert len(other.tasks("w")) == 11
        assert isinstance(other.store, SqliteStore)
        assert len(other.store._spawned) <= 3


def test_no_transaction_is_left_open(path: str) -> None:
    """A refused command, a broken one and a good one all leave their connection clean, and it is used again."""
    k = kernel.open(f"sqlite:///{path}")
    store = k.store
    assert isinstance(store, SqliteStore)
    for _ in range(3):
        k.start("order", workflow_id="w")
        with pytest.raises(kernel.NotFound):
            k.terminate("nobody")
        with suppress(ZeroDivisionError), store.transaction(write=True) as t:
            t.record("w", "c", Recorded("r", "o", 1))
            raise ZeroDivisionError
        with pytest.raises(ZeroDivisionError), store.transaction(write=False):
            raise ZeroDivisionError
    assert len(store._idle) == 1
    assert not store._idle[0].in_transaction
    assert is_free(store)


def is_free(store: SqliteStore) -> bool:
    """Whether no thread of this process writes."""
    found = list[bool]()

    def look() -> None:
        found.append(store.writer.acquire(blocking=False))
        if found[0]:
            store.writer.release()

    looking = threading.Thread(target=look)
    looking.start()
    looking.join()
    return found[0]


class Interrupted:
    """A lock that is taken by who is interrupted in that moment."""

    def __init__(self, lock: Any) -> None:
        self.lock, self.release = lock, lock.release

    def acquire(self, timeout: float) -> NoReturn:
        """Take it; nobody is told."""
        self.lock.acquire(timeout=timeout)
        raise KeyboardInterrupt


@pytest.mark.parametrize("where", ["writer", "put_back"])
def test_an_interrupted_thread_holds_up_no_other(path: str, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Neither where it begins to write, nor where it ends."""
    with kernel.open(f"sqlite:///{path}") as k:
        store = k.store
        assert isinstance(store, SqliteStore)

        def interrupted(*given: object) -> NoReturn:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(store, where, interrupted if where == "put_back" else Interrupted(store.writer))
            with pytest.raises(KeyboardInterrupt):
                k.start("order", workflow_id="w")
        assert is_free(store)


# ----------------------------------------------------------------------------------------------------------- processes
WORKER = """
import sys, kernel
with kernel.open(f"sqlite:///{sys.argv[1]}") as k:
    for number in range(40):
        k.start("order", workflow_id=f"{sys.argv[2]}-{number}")
        for lease in k.poll("pick", limit=2):
            k.complete(lease)
    sys.stdout.write(str(len(k.find(limit=1000).items)))
"""


@pytest.mark.slow
def test_processes_share_a_file(path: str) -> None:
    """Three processes write to one file at once: every command of each is there, and the audit finds nothing."""
    started = [subprocess.Popen([sys.executable, "-c", WORKER, path, name], stdout=subprocess.PIPE) for name in "abc"]
    for process in started:
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        assert int(out) >= 40
    with kernel.open(f"sqlite:///{path}") as k:
        assert len(k.find(limit=1000).items) == 120
        assert k.audit().clean


FORK = """
import os, sys, threading, kernel
k = kernel.open(f"sqlite:///{sys.argv[1]}")
k.start("order", workflow_id="w")
holding, let_go = threading.Event(), threading.Event()
def hold():
    with k.store.transaction(write=True):
        holding.set()
        let_go.wait(30)
thread = threading.Thread(target=hold)
if sys.argv[2] == "busy":
    thread.start()
    holding.wait(30)
read, write = os.pipe()
if os.fork() == 0:
    answers = []
    for ask in (lambda: k.get("w"), lambda: k.terminate("w"), lambda: k.audit()):
        try:
            answers.append(str(ask()))
        except kernel.StoreUnavailable as error:
            answers.append(error.why + "; " + error.hint)
    with kernel.open(f"sqlite:///{sys.argv[1]}") as own:
        answers.append(own.get("w").state)
    os.write(write, "\\n".join(answers).encode())
    os._exit(0)
os.close(write)
sys.stdout.write(os.fdopen(read).read())
let_go.set()
k.terminate("w")
sys.stdout.write("\\n" + k.get("w").state)
"""


@pytest.mark.slow
@pytest.mark.parametrize("busy", ["idle", "busy"])
def test_a_fork_does_not_use_its_parents_file(path: str, busy: str) -> None:
    """A child that uses its parent's kernel is told so at once, even if the parent was writing; one of its own works, and
    the parent goes on unharmed.
    """
    done = subprocess.run([sys.executable, "-c", FORK, path, busy], capture_output=True, text=True, timeout=60, check=True)
    told = "it was opened by the parent process before a fork; open a kernel of its own in each process"
    assert done.stdout.splitlines() == [told, told, told, "RUNNING", "TERMINATED"]
    with kernel.open(f"sqlite:///{path}") as k:
        assert k.audit().clean


def test_a_fork_is_noticed_by_its_process_id(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, seen without a second process."""
    k = kernel.open(f"sqlite:///{path}")
    monkeypatch.setattr(os, "getpid", lambda: 0)
    with pytest.raises(StoreUnavailable, match="before a fork"):
        k.find()
    monkeypatch.undo()
    assert k.find().items == ()
