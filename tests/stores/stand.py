"""What the tests of stores, engine and hostile input share: a kernel on each store, and all that a store holds, as values."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from kernel.core.program import standard_program
from kernel.core.records import MICROSECONDS, DeliveryRow, Policy, Prepared, TaskRow, WorkflowRow, root_of
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.spec.language import NEVER
from kernel.stores.memory import MemoryStore
from kernel.stores.postgres import PostgresStore
from kernel.stores.redis import RedisStore
from kernel.stores.redis_rows import delivery_of, record_of, task_of
from kernel.stores.sql_store import SqlStore
from kernel.stores.sqlite import SqliteStore
from kernel.testing.clock import ManualClock
from tests.redis_server import server
from tests.stores.servers import RUN

EMBEDDED = ("memory", "sqlite")
STORES = (*EMBEDDED, "postgres", "redis")
POLICY = Policy(sends=3, lease=60 * MICROSECONDS)
Rows = dict[str, dict[Any, dict[str, Any]]]
"""Every table: each row by its key, as column -> value."""


@define(eq=False)
class Stand:
    """A store, a clock that stands still, and a kernel on both."""

    kind: str
    store: Store
    clock: ManualClock
    k: Kernel
    made: list[Kernel] = field(factory=list)

    def kernel(self, **options: Any) -> Kernel:
        """Another kernel on the same store: another process, as far as the store can tell."""
        return Kernel(self.store, **{"clock": self.clock, "chance": random.Random(len(self.made)), **options})

    def rows(self) -> Rows:
        """All that the store holds."""
        return rows_of(self.store)


@contextmanager
def new_store(kind: str, folder: Path, policy: Policy = POLICY, **options: Any) -> Iterator[Store]:
    """An empty store, as long as the context is entered."""
    with ExitStack() as stack:
        if kind == "memory":
            store: Store = MemoryStore(policy=policy)
        elif kind == "sqlite":
            store = SqliteStore(str(folder / "kernel.db"), policy=policy, **options)
        elif kind == "redis":
            store = RedisStore(server().new_url(), policy=policy, **options)
        else:
            stores = RUN.postgres()
            schema = stores.schema()
            stack.callback(stores.wipe, schema)
            store = PostgresStore(stores.server.url(schema), policy=policy, **options)
        stack.callback(store.close)
        yield store


@contextmanager
def stand(kind: str, folder: Path, *, policy: Policy = POLICY, seed: int = 7, **options: Any) -> Iterator[Stand]:
    """A kernel on a new store of a kind; `options` are the kernel's."""
    clock = ManualClock()
    with new_store(kind, folder, policy) as store:
        yield Stand(kind, store, clock, Kernel(store, clock=clock, chance=random.Random(seed), **options))


# ---- all that a store holds ---------------------------------------------------------------------------------------------
CLOCKS = ("expires", "attempt_ends", "total_ends", "wakes")
COUNTERS = {kind: tuple(c.name for c in standard_program().counters_of(kind)) for kind in ("workflow", "task")}
SELECTS = {
    "tree": "SELECT t.*, h.version, h.at AS clock FROM tree t JOIN history h ON h.root = t.root"
            " AND h.seq = (SELECT max(seq) FROM history WHERE root = t.root)",
    "workflow": "SELECT w.*, d.name, d.version FROM workflow w JOIN definition d ON d.key = w.definition",
    "task": "SELECT w.id, w.run, t.* FROM task t JOIN workflow w ON w.key = t.workflow",
    "delivery": "SELECT w.id, w.run, d.* FROM delivery d JOIN workflow w ON w.key = d.workflow",
    "payload": "SELECT w.id, w.run, p.no, p.what, p.text FROM payload p JOIN workflow w ON w.key = p.workflow",
    "history": "SELECT * FROM history",
    "command": "SELECT * FROM command",
    "definition": "SELECT name, version, digest FROM definition",
}
KEYS = {
    "tree": ("root",), "workflow": ("id", "run"), "task": ("id", "run", "no"),
    "delivery": ("id", "run", "topic", "version", "status"),
    "payload": ("id", "run", "no", "what"), "history": ("root", "seq"), "command": ("root", "id"),
    "definition": ("name", "version"),
}
HISTORY = ("seq", "version", "run", "at", "kind", "workflow", "subject", "event", "source", "target", "attempt", "count", "by",
           "actor", "reason", "command")
ONLY_SQL = {"workflow": ("key", "definition"), "task": ("workflow",), "delivery": ("workflow",)}
"""Row numbers, and when a record was made: columns that memory has no use for."""


def rows_of(store: Store) -> Rows:
    """Every row of every table of a store."""
    if isinstance(store, RedisStore):
        tables = _of_redis(store)
    else:
        tables = _of_memory(store) if isinstance(store, MemoryStore) else _of_sql(store)
    return {name: {tuple(row[k] for k in KEYS[name]): row for row in rows} for name, rows in tables.items()}


def _of_sql(store: Store) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    assert isinstance(store, SqlStore)
    with store.connection() as connection:
        for name, select in SELECTS.items():
            tables[name] = []
            for row in (cursor := connection.execute(select)):
                columns = [column[0] for column in cursor.description]
                tables[name].append(_tidy(name, dict(zip(columns, row, strict=True))))
    return tables


def _tidy(table: str, row: dict[str, Any]) -> dict[str, Any]:
    for column in (*CLOCKS, "deadline", "until"):
        if column in row and row[column] is None:
            row[column] = NEVER
    if table == "task" and row["due"] is None:
        row["queue"] = ""  # it says nothing then
    return {column: value for column, value in row.items() if column not in ONLY_SQL.get(table, ())}


def _of_memory(store: MemoryStore) -> dict[str, list[dict[str, Any]]]:
    return {
        "tree": [{name: getattr(t, name) for name in ("root", "run", "version", "clock", "tasks")}
                 for t in store.trees.values()],
        "workflow": [workflow_columns(w) for w in store.workflows.values()],
        "task": [task_columns(t) for tasks in store.tasks.values() for t in tasks.values()],
        "delivery": [delivery_columns(d) for d in store.outbox.values()],
        "payload": [{"id": w, "run": run, "no": no, "what": what, "text": text}
                    for (w, run, no, what), text in store.payloads.items()],
        "history": [{"root": root, **dict(zip(HISTORY, line, strict=True))}
                    for root, lines in store.lines.items() for line in lines],
        "command": [{"root": root, "id": id, "request": r.request, "outcome": r.outcome, "at": r.at}
                    for (root, id), r in store.records.items()],
        "definition": [{"name": name, "version": version, "digest": prepared.digest}
                       for (name, version), prepared in store.definitions.items()],
    }


def _of_redis(store: RedisStore) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {name: [] for name in KEYS}
    with store.transaction(write=False) as t:
        for key in store.all_keys():
            kind, _, rest = key.partition("}:")[2].partition(":")
            if kind == "t":
                tree = t.tree(rest)
                assert tree is not None
                tables["tree"].append({name: getattr(tree, name) for name in ("root", "run", "version", "clock", "tasks")})
                lines = t.history(rest, None, None, 0, 2**31)
                tables["history"] += [{"root": rest, **dict(zip(HISTORY, line, strict=True))} for line in lines]
                for w in t.family(rest):
                    tables["workflow"].append(workflow_columns(w))
                    rows = t.everything(t.key(rest, "w", f"{w.run}:{w.id}"))
                    tables["task"] += [task_columns(task_of(text, w.id, w.run, int(no), w.prepared.facts))
                                       for no, text in rows.items() if no.isdigit()]
                    tables["delivery"] += [delivery_columns(delivery_of(text, w.id, w.run, name[1:]))
                                           for name, text in rows.items() if name[0] == "d"]
            elif kind == "v":
                run, _, id = rest.partition(":")
                for place, text in t.everything(key).items():
                    no, _, what = place.partition(":")
                    tables["payload"].append({"id": id, "run": int(run), "no": int(no), "what": what, "text": text})
            elif kind == "c":
                for id, text in t.everything(key).items():
                    r = record_of(text)
                    tables["command"].append({"root": rest, "id": id, "request": r.request, "outcome": r.outcome, "at": r.at})
        for name, versions in t.names().items():
            tables["definition"] += [{"name": name, "version": version, "digest": prepared.digest} for version in versions
                                     if (prepared := t.definition(name, version)) is not None]
    return tables


def _name(prepared: Prepared) -> dict[str, Any]:
    return {"name": prepared.definition.source.name, "version": prepared.definition.source.version}


def workflow_columns(w: WorkflowRow) -> dict[str, Any]:
    """A workflow as the columns of its table."""
    names = ("id", "run", "state", "parent", "parent_no", "slot", "depth", "started", "changed", "paused_by", "paused_at",
             "reason", "until", "extension")
    return {**{name: getattr(w, name) for name in names}, "root": root_of(w.id), "deadline": min(w.deadline, NEVER),
            **dict(zip(COUNTERS["workflow"], w.counts, strict=True)), **_name(w.prepared)}


def _none(time: int) -> int | None:
    return time if time < NEVER else None


def task_columns(t: TaskRow) -> dict[str, Any]:
    """A task as the columns of its table."""
    names = ("run", "no", "mode", "state", "attempt", "handouts", "not_before", "signalled", "changed", "worker", "reason")
    return {"id": t.workflow, **{name: getattr(t, name) for name in names},
            **{name: min(getattr(t, name), NEVER) for name in CLOCKS},
            "queue": t.facts.type if t.mode == "WORKER" and t.state == "SCHEDULED" else "",
            "due": {"SCHEDULED": t.not_before, "IN_PROGRESS": _none(min(t.expires, t.wakes))}.get(t.state),
            **dict(zip(COUNTERS["task"], t.counts, strict=True))}


def delivery_columns(d: DeliveryRow) -> dict[str, Any]:
    """A delivery as the columns of its table."""
    names = ("run", "topic", "state", "attempt", "claims", "due", "proof", "error", "changed", "sends", "lease", "version",
             "status", "cause")
    return {"id": d.workflow, **{name: getattr(d, name) for name in names}, "expires": min(d.expires, NEVER)}
