"""SQLite against the bare statements: the same settings, the same disk, slice by slice in one run."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import apsw
import pytest

import kernel
from kernel.stores.sqlite import SqliteStore

pytestmark = pytest.mark.bench

LIVES = 15
SLICES = 41
TASKS_OF_BARE = """
    CREATE TABLE wf (id TEXT PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL, open INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE task (wf TEXT NOT NULL, no INTEGER NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (wf, no)) WITHOUT ROWID;
    CREATE TABLE event (seq INTEGER PRIMARY KEY, wf TEXT NOT NULL, task INTEGER, name TEXT NOT NULL, at REAL NOT NULL);
    CREATE TABLE outbox (seq INTEGER PRIMARY KEY, wf TEXT NOT NULL, kind TEXT NOT NULL);
"""


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on the disk of the project, because /tmp may be memory."""
    path = Path(tempfile.mkdtemp(prefix=".bench-", dir=Path.cwd()))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def bare(path: Path) -> apsw.Connection:
    """The bare kernel's database, WAL and FULL."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(TASKS_OF_BARE)
    return connection


def bare_kernel(path: Path) -> sqlite3.Connection:
    """The bare kernel's database as people open one: Python's own driver."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.executescript(TASKS_OF_BARE)
    return connection


def bare_life(connection: sqlite3.Connection | apsw.Connection, name: str) -> None:
    """Start with 3 tasks, 3 x (poll, complete), end: 7 commits, nothing checked."""
    run = connection.execute
    run("BEGIN IMMEDIATE")
    run("INSERT INTO wf VALUES (?, 'RUNNING', 0, 3)", (name,))
    connection.executemany("INSERT INTO task VALUES (?, ?, 'SCHEDULED', 0)", [(name, no) for no in range(3)])
    run("INSERT INTO event (wf, task, name, at) VALUES (?, NULL, 'start', ?)", (name, time.time()))
    run("COMMIT")
    for no in range(3):
        run("BEGIN IMMEDIATE")
        run("UPDATE task SET state = 'IN_PROGRESS', version = version + 1 WHERE wf = ? AND no = ? AND state = 'SCHEDULED'",
            (name, no))
        run("INSERT INTO event (wf, task, name, at) VALUES (?, ?, 'poll', ?)", (name, no, time.time()))
        run("COMMIT")
        run("BEGIN IMMEDIATE")
        run("UPDATE task SET state = 'COMPLETED', version = version + 1 WHERE wf = ? AND no = ? AND state = 'IN_PROGRESS'",
            (name, no))
        run("INSERT INTO event (wf, task, name, at) VALUES (?, ?, 'complete', ?)", (name, no, time.time()))
        run("UPDATE wf SET open = open - 1, version = version + 1,"
            " state = CASE open WHEN 1 THEN 'COMPLETED' ELSE state END WHERE id = ?", (name,))
        if no == 2:
            run("INSERT INTO outbox (wf, kind) VALUES (?, 'archive')", (name,))
        run("COMMIT")


def chain() -> kernel.WorkflowDef:
    """Three tasks in a row, archived at the end."""
    return kernel.WorkflowDef("chain", topics=("archive",), tasks=[
        kernel.TaskDef("a", type="work"), kernel.TaskDef("b", type="work", after=["a"]),
        kernel.TaskDef("c", type="work", after=["b"])])


def life(k: kernel.Kernel, name: str) -> None:
    """The same life on the kernel."""
    k.start("chain", workflow_id=name)
    for _ in range(3):
        (lease,) = k.poll("work", worker="w")
        k.complete(lease)


def spread(values: list[float]) -> str:
    """The median, and where the middle eight tenths lie."""
    ordered = sorted(values)
    tenth = len(ordered) // 10
    return f"{statistics.median(ordered):.2f} ({ordered[tenth]:.2f} to {ordered[-1 - tenth]:.2f})"


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def each(act: Callable[[str], None], names: list[str]) -> None:
    """Do it for every name."""
    for name in names:
        act(name)


def test_life_of_three_tasks() -> None:
    """One client: the kernel's rate as a multiple of the bare statements' rate; the goal is at least 0.5."""
    with folder() as path, kernel.open(f"sqlite:///{path}/kernel.db") as k:
        k.register(chain())
        connection, same = bare_kernel(path / "bare.db"), bare(path / "same.db")
        ratios, drivers, own = [], [], []
        for turn in range(SLICES):
            names = [f"w{turn:04d}{n:04d}" for n in range(LIVES)]
            theirs = seconds(partial(each, partial(bare_life, connection), names))
            driver = seconds(partial(each, partial(bare_life, same), names))
            ours = seconds(partial(each, partial(life, k), names))
            ratios.append(theirs / ours)
            drivers.append(driver / ours)
            own.append(LIVES / ours)
        sys.stdout.write(f"\nlife of 3 tasks, rate / bare: {spread(ratios)}, with the same driver {spread(drivers)}"
                         f"   {statistics.median(own):.0f} lives/s\n")
        connection.close()
        same.close()


def bare_terminate(path: Path, tasks: int) -> float:
    """UPDATE of the tasks, UPDATE of the workflow, one history INSERT ... SELECT, in one transaction; seconds."""
    connection = bare(path / "bare.db")
    connection.execute("BEGIN")
    connection.execute("INSERT INTO wf VALUES ('w', 'RUNNING', 0, ?)", (tasks,))
    connection.executemany("INSERT INTO task VALUES ('w', ?, 'SCHEDULED', 0)", ((no,) for no in range(tasks)))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def terminate() -> None:
        run = connection.execute
        run("BEGIN IMMEDIATE")
        run("UPDATE task SET state = 'CANCELED', version = version + 1"
            " WHERE wf = 'w' AND state IN ('PENDING', 'SCHEDULED', 'IN_PROGRESS')")
        run("UPDATE wf SET state = 'TERMINATED', version = version + 1 WHERE id = 'w' AND state = 'RUNNING'")
        run("INSERT INTO event (wf, task, name, at) SELECT wf, no, 'cancel', 1.0 FROM task"
            " WHERE wf = 'w' AND state = 'CANCELED'")
        run("COMMIT")

    taken = seconds(terminate)
    connection.close()
    return taken


class Peak(threading.Thread):
    """Watches the memory of the process while something runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.begun = self.most = resident()
        self.over = threading.Event()

    def run(self) -> None:
        """Look every millisecond."""
        while not self.over.wait(0.001):
            self.most = max(self.most, resident())

    @property
    def megabytes(self) -> float:
        """How much more than at the beginning."""
        return (self.most - self.begun) / 1e6


def resident() -> int:
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def kernel_terminate(path: Path, definition: kernel.WorkflowDef, tasks: int, *, watched: bool) -> tuple[float, float]:
    """The same on the kernel: seconds, and (when watched, which costs time) megabytes of memory at the most."""
    store = SqliteStore(f"{path}/kernel.db")
    with kernel.Kernel(store) as k:
        k.register(definition)
        k.start(definition.name, workflow_id="w")
        with store.connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        gc.collect()
        peak = Peak()
        if watched:
            peak.start()
        taken = seconds(lambda: k.terminate("w"))
        peak.over.set()
        assert k.deliveries()[0].state == "PENDING"
        assert k.history("w", limit=1_000_000)[-1].count == tasks
    return taken, peak.megabytes


@pytest.mark.parametrize(("tasks", "turns", "goal"), [(1_000, 31, 3.0), (100_000, 7, 2.0)])
def test_terminate(tasks: int, turns: int, goal: float) -> None:
    """All tasks open: the kernel's time as a multiple of the bare statements' time."""
    definition = kernel.WorkflowDef(
        "wide", topics=("archive",), tasks=[kernel.TaskDef(f"t{no}", type="work") for no in range(tasks)])
    ratios, own = [], []
    for _ in range(turns):
        with folder() as path:
            theirs = bare_terminate(path, tasks)
            ours, _ = kernel_terminate(path, definition, tasks, watched=False)
        ratios.append(ours / theirs)
        own.append(ours)
    with folder() as path:
        memory = kernel_terminate(path, definition, tasks, watched=True)[1]
    sys.stdout.write(
        f"\nterminate {tasks:,} open tasks, time / bare: {spread(ratios)}, goal {goal}"
        f"   {statistics.median(own) * 1e3:.1f} ms   memory +{memory:.1f} MB\n")
