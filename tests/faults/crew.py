"""The processes that the fault tests start and kill: `python -m tests.faults.crew JOB STORE FOLDER NAME SEED`.

STORE is the path of a SQLite file, or the URL of a store on a server. Each says `ready` once it has its store. Those that are
to be killed go on until their parent is gone; what the kernel has acknowledged they write, one JSON line each, to a file of
their own that is synced with every line.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from threading import Event
from typing import Any

from kernel.core.checks import canonical
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.records import MICROSECONDS, Policy, root_of
from kernel.engine.daemon import Daemon
from kernel.engine.entities import Lease
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.relay import RelayOptions
from kernel.engine.worker import Notice, Worker
from kernel.errors import Conflict, Refused
from kernel.sinks.directory import DirectoryArchive
from kernel.stores.sqlite import SqliteStore
from kernel.testing.pool import ARCHIVE, TYPES

POLICY = Policy(sends=3, lease=2 * MICROSECONDS)
"""A relay that was killed is missed after two seconds."""
LEASE = 2.0
"""And so is a worker."""
LEAF = WorkflowDef("leaf", tasks=[TaskDef("x", type=TYPES[0], retries=1, lease=LEASE),
                                  TaskDef("y", type=TYPES[1], after=["x"], lease=LEASE)], topics=(ARCHIVE,))
TREE = WorkflowDef("tree", tasks=[*(TaskDef(f"a{n}", type=TYPES[0], retries=2, lease=LEASE) for n in range(5)),
                                  TaskDef("leaf", workflow="leaf"), TaskDef("b", type=TYPES[1], after=["leaf"], lease=LEASE)],
                   topics=(ARCHIVE,))
WIDE = WorkflowDef("wide", tasks=[TaskDef(f"t{n}", type=TYPES[0]) for n in range(5)])
ORDERS = (("PAUSE", "RUNNING"), ("RESUME", "PAUSED"), ("RESUME", "PAUSED"), ("TERMINATE", "PAUSED"), ("TERMINATE", "RUNNING"),
          ("RETRY", "TERMINATED"), ("RETRY", "FAILED"), ("RETRY", "TIMED_OUT"), ("RESTART", "TERMINATED"))
"""What operators do, and to trees in which state: whom they pause they mostly let go on."""
REST = 0.01
"""Seconds that an operator looks at what he did."""
Note = Callable[..., None]


def store_at(place: str) -> Store:
    """The store of a path or a URL. Only its own driver is imported: a process has to begin quickly."""
    if place.startswith("postgresql:"):
        from kernel.stores.postgres import PostgresStore

        return PostgresStore(place, policy=POLICY)
    if place.startswith("redis"):
        from kernel.stores.redis import RedisStore

        return RedisStore(place, policy=POLICY)
    return SqliteStore(place, policy=POLICY)


def opened(place: str, archive: Path, **options: Any) -> Kernel:
    """A kernel on the store, with an archive in a folder; its relay tries again at once."""
    return Kernel(store_at(place), sinks={ARCHIVE: DirectoryArchive(archive)},
                  relay=RelayOptions(timeout=2.0, first=0.01, longest=0.05), **options)


def noting(path: Path) -> Note:
    """Appends a line to a file; it is on the disk when the call returns."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_SYNC, 0o600)

    def note(*words: object) -> None:
        os.write(file, (canonical(list(words)) + "\n").encode())
    return note


def work(k: Kernel, note: Note, name: str, chance: random.Random) -> None:
    """One turn of a worker: it polls and ends what it got, well or not; when there is nothing, it starts something."""
    poll = f"p{chance.getrandbits(64):x}"
    leases = k.poll(chance.choice(TYPES), worker=name, limit=2, command_id=poll)
    for lease in leases:
        note("POLL", lease.workflow_id, poll)
    if not leases:
        id = f"{name}-{chance.getrandbits(64):x}"
        k.start("tree", workflow_id=id, command_id=f"start-{id}")
        note("START", id, f"start-{id}")
    for lease in leases:
        with suppress(Refused):  # another worker terminated it, or has it by now
            end(k, note, lease, chance)


def end(k: Kernel, note: Note, lease: Lease, chance: random.Random) -> None:
    """Complete, fail, or terminate the whole tree."""
    id, what = f"c{chance.getrandbits(64):x}", chance.choices(("COMPLETE", "FAIL", "TERMINATE"), (16, 3, 1))[0]
    subject = root_of(lease.workflow_id) if what == "TERMINATE" else lease.workflow_id
    if what == "COMPLETE":
        applied = k.complete(lease, output={"by": id}, command_id=id)
    elif what == "FAIL":
        applied = k.fail(lease, retryable=chance.random() < 0.8, command_id=id)
    else:
        applied = k.terminate(subject, command_id=id)
    if not applied.no_op:
        note(what, subject, id)


def operate(k: Kernel, note: Note, chance: random.Random) -> None:
    """One turn of an operator: something is done to a tree, as it stands there."""
    what, state = chance.choice(ORDERS)
    found = k.find(state=state, name="tree", after=f"{chance.choice('abcdefgh')}-{chance.getrandbits(64):x}", limit=1)
    for workflow in found.items:
        id = f"o{chance.getrandbits(64):x}"
        order = {"PAUSE": k.pause, "RESUME": k.resume, "TERMINATE": k.terminate, "RETRY": k.retry, "RESTART": k.restart}[what]
        with suppress(Refused):  # it stands elsewhere by now
            if not order(workflow.id, command_id=id).no_op:
                note(what, workflow.id, id)


def relay(k: Kernel, note: Note) -> None:
    """One turn of a relay."""
    k.tick()
    for outcome in k.deliver(limit=5).outcomes:
        if outcome.state == "DELIVERED":
            note("DELIVERED", outcome.id, outcome.proof)


def finish(k: Kernel, name: str, all_ready: Callable[[], object]) -> list[tuple[str, str]]:
    """Poll and complete until every workflow has ended; gives the tasks that were completed.

    The first poll is made before the others are waited for, so that each has something to do, however unfair a lock is.
    """
    done: list[tuple[str, str]] = []
    leases = k.poll(TYPES[0], worker=name, limit=3)
    all_ready()
    while leases or k.find(state="RUNNING", limit=1).items:
        for lease in leases:
            k.complete(lease, output={"by": name})
            done.append((lease.workflow_id, lease.ref))
        leases = k.poll(TYPES[0], worker=name, limit=3)
    return done


def say_ready() -> None:
    """Tell the parent."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def all_ready() -> None:
    """Tell the parent, and wait for its word."""
    say_ready()
    sys.stdin.readline()


def serve(k: Kernel, note: Note, name: str, job: str) -> Worker | Daemon:
    """A worker or a daemon as anyone would run it; what it says it does is noted."""
    def told(notice: Notice) -> None:
        note("TOLD", notice.what, notice.text)

    if job == "daemon":
        return Daemon(k, idle=(0.01, 0.1), health=0.05, notice=told)
    return Worker(k, {type: lambda given: {"by": name} for type in TYPES}, threads=2, name=name, idle=(0.01, 0.1), notice=told)


def turn(k: Kernel, note: Note, name: str, chance: random.Random, job: str) -> None:
    """One turn of whoever it is."""
    if job == "relay":
        relay(k, note)
    elif job == "worker":
        work(k, note, name, chance)
    elif job == "operator":
        operate(k, note, chance)
        Event().wait(REST)
    else:  # it serves in threads of its own
        Event().wait(1.0)


def main(job: str, place: str, folder: str, name: str, seed: str) -> None:
    """Do the job."""
    k, chance, parent = opened(place, Path(folder, "archive")), random.Random(seed), os.getppid()
    if job == "finish":
        sys.stdout.write(str(len(finish(k, name, all_ready))))
        return
    note = noting(Path(folder, f"{name}.jsonl"))
    with serve(k, note, name, job) if job in ("daemon", "hands") else nullcontext():
        say_ready()
        while os.getppid() == parent:
            try:
                turn(k, note, name, chance, job)
            except Conflict as error:  # somebody was faster, again and again
                note("CONFLICT", error.why)


if __name__ == "__main__":
    main(*sys.argv[1:])
