"""PostgreSQL against the bare kernel: one PL/pgSQL call for each transition, on the same server, slice by slice in one run."""

from __future__ import annotations

import itertools
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest

import kernel
from kernel.testing.servers import PostgresServer
from tests.benchmarks.bench_sqlite import chain, each, seconds, spread

pytestmark = pytest.mark.bench

LIVES = 16
SLICES = 21
BARE = """
    CREATE SCHEMA raw;
    CREATE TABLE raw.wf (id text PRIMARY KEY, state text NOT NULL, version int NOT NULL, open int NOT NULL);
    CREATE TABLE raw.task (wf text NOT NULL, no int NOT NULL, state text NOT NULL, version int NOT NULL, PRIMARY KEY (wf, no));
    CREATE TABLE raw.event (seq bigserial PRIMARY KEY, wf text NOT NULL, task int, name text NOT NULL, at float8 NOT NULL);
    CREATE TABLE raw.outbox (seq bigserial PRIMARY KEY, wf text NOT NULL, kind text NOT NULL);
    CREATE FUNCTION raw.start(w text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO raw.wf VALUES (w, 'RUNNING', 0, 3);
        INSERT INTO raw.task SELECT w, g, 'SCHEDULED', 0 FROM generate_series(0, 2) g;
        INSERT INTO raw.event (wf, name, at) VALUES (w, 'start', 1.0); END $$;
    CREATE FUNCTION raw.poll(w text, n int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE k int; BEGIN
        UPDATE raw.task SET state = 'IN_PROGRESS', version = version + 1 WHERE wf = w AND no = n AND state = 'SCHEDULED';
        GET DIAGNOSTICS k = ROW_COUNT;
        IF k = 1 THEN INSERT INTO raw.event (wf, task, name, at) VALUES (w, n, 'poll', 1.0); END IF; RETURN k; END $$;
    CREATE FUNCTION raw.done(w text, n int) RETURNS int LANGUAGE plpgsql AS $$ DECLARE o int; BEGIN
        UPDATE raw.task SET state = 'COMPLETED', version = version + 1 WHERE wf = w AND no = n AND state = 'IN_PROGRESS';
        INSERT INTO raw.event (wf, task, name, at) VALUES (w, n, 'complete', 1.0);
        UPDATE raw.wf SET open = open - 1, version = version + 1, state = CASE open WHEN 1 THEN 'COMPLETED' ELSE state END
         WHERE id = w RETURNING open INTO o;
        IF o = 0 THEN INSERT INTO raw.outbox (wf, kind) VALUES (w, 'archive'); END IF; RETURN o; END $$;
"""


@contextmanager
def server() -> Iterator[PostgresServer]:
    """A server on the disk of the project, with fsync and its default settings."""
    with TemporaryDirectory(prefix="bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        found = PostgresServer(Path(folder), settings=())
        try:
            yield found
        finally:
            found.stop()


def bare_life(connection: psycopg.Connection[Any], name: str) -> None:
    """Start with 3 tasks, 3 x (poll, complete), end: 7 commits of one call each, nothing checked."""
    connection.execute("SELECT raw.start(%s)", (name,), prepare=True)
    for no in range(3):
        connection.execute("SELECT raw.poll(%s, %s)", (name, no), prepare=True)
        connection.execute("SELECT raw.done(%s, %s)", (name, no), prepare=True)


def at_once(works: list[Callable[[], object]]) -> float:
    """The seconds that threads take together."""
    threads = [threading.Thread(target=work) for work in works]

    def run() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return seconds(run)


def typed(number: int) -> kernel.WorkflowDef:
    """The chain of a client: each has workers of its own."""
    return kernel.WorkflowDef(f"chain{number}", topics=("archive",), tasks=[
        kernel.TaskDef(ref, type=f"work{number}", after=after) for ref, after in (("a", []), ("b", ["a"]), ("c", ["b"]))])


def own_life(k: kernel.Kernel, number: int, name: str) -> None:
    """The same life on the kernel, by the client's own workers."""
    k.start(f"chain{number}", workflow_id=name)
    for _ in range(3):
        (lease,) = k.poll(f"work{number}", worker="w")
        k.complete(lease)


@pytest.mark.parametrize("clients", [1, 8])
def test_life_of_three_tasks(clients: int) -> None:
    """The kernel's rate as a multiple of the bare rate, by threads of one process; the goal is at least 0.6."""
    with server() as found, ExitStack() as stack:
        k = stack.enter_context(kernel.open(found.url(options="")))
        k.register(chain(), *map(typed, range(clients)))
        connections = [stack.enter_context(found.connect()) for _ in range(clients)]
        connections[0].execute(BARE)
        names = (f"w{number:08d}" for number in itertools.count())
        ratios, own = [], []
        for _ in range(SLICES):
            shares = [list(itertools.islice(names, LIVES)) for _ in range(clients)]
            theirs = at_once([
                partial(each, partial(bare_life, c), share) for c, share in zip(connections, shares, strict=True)])
            ours = at_once([partial(each, partial(own_life, k, n), share) for n, share in enumerate(shares)])
            ratios.append(theirs / ours)
            own.append(LIVES * clients / ours)
        sys.stdout.write(f"\nlife of 3 tasks, {clients} clients, rate / bare: {spread(ratios)}   "
                         f"{statistics.median(own):.0f} lives/s\n")


def serve(pipe: Connection, url: str, folder: str, number: int) -> None:
    """A client in a process of its own: lives of these names, bare or not, until there are no more."""
    with (kernel.open(url) as k,
          psycopg.connect(host=folder, user="postgres", dbname="postgres", autocommit=True) as connection):
        pipe.send("ready")
        while asked := pipe.recv():
            is_bare, names = asked
            each(partial(bare_life, connection) if is_bare else partial(own_life, k, number), names)
            pipe.send("done")


def spent(operator: psycopg.Connection[Any]) -> tuple[float, float]:
    """What the server has spent so far: milliseconds of processor time of all its processes, kilobytes of its log."""
    pids = [pid for (pid,) in operator.execute("SELECT pid FROM pg_stat_activity").fetchall()]
    ((log,),) = operator.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchall()
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e6, float(log) / 1e3


def test_life_by_processes() -> None:
    """8 clients in 8 processes, and 1 in one: the kernel's rate as a multiple of the bare rate, and of 8 as one of that of 1.

    The goals are 0.6; and 3, or what the server itself says: its processor time for a life, and how long the log of that is.
    """
    clients, names = 8, (f"w{number:08d}" for number in itertools.count())
    fresh = get_context("spawn")
    with server() as found, kernel.open(found.url(options="")) as k, found.connect() as operator:
        k.register(*map(typed, range(clients)))
        operator.execute(BARE)
        pipes, processes = list[Connection](), list[SpawnProcess]()
        for number in range(clients):
            ours, theirs = fresh.Pipe()
            process = fresh.Process(target=serve, args=(theirs, found.url(options=""), str(found.folder), number))
            process.start()
            pipes.append(ours)
            processes.append(process)
            ours.recv()

        costs: dict[bool, list[tuple[float, float]]] = {True: [], False: []}

        def lives(is_bare: bool, some: list[Connection]) -> float:
            """Lives per second."""
            before = spent(operator)
            def work() -> None:
                for pipe in some:
                    pipe.send((is_bare, list(itertools.islice(names, LIVES))))
                for pipe in some:
                    pipe.recv()

            took, count = seconds(work), LIVES * len(some)
            processor, log = spent(operator)
            costs[is_bare].append(((processor - before[0]) / count, (log - before[1]) / count))
            return count / took

        rates = [(lives(True, pipes), lives(False, pipes), lives(True, pipes[:1]), lives(False, pipes[:1]))
                 for _ in range(SLICES)]
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join()
    for text, one, other in (
            ("8 processes, rate / bare", 1, 0), ("1 process, rate / bare", 3, 2), ("8 processes / 1 process", 1, 3),
            ("the same of the bare kernel", 0, 2)):
        sys.stdout.write(f"\nlife of 3 tasks, {text}: {spread([each[one] / each[other] for each in rates])}")
    sys.stdout.write(f"   {statistics.median(each[1] for each in rates):.0f} lives/s by 8\n")
    for text, is_bare in (("a life", False), ("a bare life", True)):
        processor, log = (statistics.median(cost) for cost in zip(*costs[is_bare], strict=True))
        sys.stdout.write(f"{text}, what it takes of the server: {processor:.2f} ms of processor time, {log:.1f} kB of log\n")


def bare_terminate(connection: psycopg.Connection[Any], name: str, tasks: int) -> float:
    """UPDATE of the workflow and of the tasks, a line of history and an entry of the outbox, in one transaction; seconds."""
    connection.execute("INSERT INTO raw.wf VALUES (%s, 'RUNNING', 0, %s)", (name, tasks))
    connection.execute("INSERT INTO raw.task SELECT %s, g, 'SCHEDULED', 1 FROM generate_series(1, %s) g", (name, tasks))
    connection.execute("ANALYZE raw.task")
    connection.execute("CHECKPOINT")

    def terminate() -> None:
        with connection.transaction():
            connection.execute("UPDATE raw.wf SET state = 'TERMINATED', version = version + 1 WHERE id = %s", (name,))
            connection.execute("UPDATE raw.task SET state = 'CANCELED', version = version + 1"
                               " WHERE wf = %s AND state IN ('PENDING', 'SCHEDULED', 'IN_PROGRESS')", (name,))
            connection.execute("INSERT INTO raw.event (wf, name, at) VALUES (%s, 'terminate', 1.0)", (name,))
            connection.execute("INSERT INTO raw.outbox (wf, kind) VALUES (%s, 'archive')", (name,))

    return seconds(terminate)


@pytest.mark.parametrize(("tasks", "turns"), [(1_000, 11), (100_000, 5)])
def test_terminate(tasks: int, turns: int) -> None:
    """All tasks open: the kernel's time as a multiple of the bare statements' time; the goal is 2.0 at 100,000 tasks."""
    definition = kernel.WorkflowDef(
        "wide", topics=("archive",), tasks=[kernel.TaskDef(f"t{no}", type="work") for no in range(tasks)])
    with server() as found, found.connect() as connection, kernel.open(found.url(options="")) as k:
        connection.execute(BARE)
        k.register(definition)
        ratios, own = [], []
        for turn in range(turns):
            theirs = bare_terminate(connection, f"w{turn}", tasks)
            k.start("wide", workflow_id=f"w{turn}")
            connection.execute("ANALYZE kernel.task")
            connection.execute("CHECKPOINT")
            ours = seconds(partial(k.terminate, f"w{turn}"))
            ratios.append(ours / theirs)
            own.append(ours)
        sys.stdout.write(f"\nterminate {tasks:,} open tasks, time / bare: {spread(ratios)}   "
                         f"{statistics.median(own) * 1e3:.1f} ms\n")
