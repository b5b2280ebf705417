"""Workers that hear of tasks: LISTEN on PostgreSQL wakes them at once, and only sooner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

import kernel
from kernel.engine.kernel import Kernel
from kernel.stores import postgres_bell
from kernel.stores.postgres import PostgresStore
from kernel.stores.postgres_bell import Bell
from kernel.stores.postgres_link import Link
from kernel.testing.servers import PostgresStores

NUMBER = {"no": "${workflow.input.no}"}
ORDER = kernel.WorkflowDef("order", tasks=[
    kernel.TaskDef("pick", retries=3, input=NUMBER), kernel.TaskDef("ship", after=["pick"], input=NUMBER),
    kernel.TaskDef("ask", kind="wait")])
LONG = 60.0
"""Seconds that a test waits for what comes at once."""
NEVER = (3000.0, 3600.0)
"""Pauses in which a worker that hears nothing would miss everything."""


@pytest.fixture
def url(stores: PostgresStores) -> Iterator[str]:
    """An empty store, with a definition, on which commits tell."""
    schema = stores.schema()
    url = stores.server.url(schema, options="&unsafe=fsync&listen=on")
    with kernel.open(url) as k:
        k.register(ORDER)
    yield url
    stores.wipe(schema)


@pytest.fixture
def k(url: str) -> Iterator[Kernel]:
    """A kernel of another process, as far as the worker can tell."""
    with kernel.open(url) as k:
        yield k


def listener(url: str) -> tuple[PostgresStore, Queue[str]]:
    """A store, and what it hears."""
    return PostgresStore(url), Queue()


class Looking(Kernel):
    """A kernel whose worker has looked for each type in vain since it last found anything."""

    looks = 0

    def poll(self, *args: Any, **options: Any) -> list[kernel.Lease]:
        """As ever."""
        leases = super().poll(*args, **options)
        self.looks = 0 if leases else self.looks + 1
        return leases


def test_a_worker_wakes_at_once(url: str, k: Kernel) -> None:
    """One that looks once in an hour does each task as soon as it is there."""
    done: Queue[int] = Queue()
    own, pause = Looking(PostgresStore(url)), threading.Event()
    functions = {"pick": lambda given: done.put(given["no"]), "ship": lambda given: None}
    with own, kernel.Worker(own, functions, idle=NEVER) as worker:
        for number in range(5):
            while own.looks < 2 or worker.busy:
                assert not pause.wait(0.01)
            k.start("order", input={"no": number})
            assert done.get(timeout=LONG) == number


def test_what_is_told(url: str, k: Kernel) -> None:
    """The type of each task that a worker may have now: not of one that waits for another task or for its time."""
    store, heard = listener(url)
    with store.listening(heard.put):
        assert heard.get(timeout=LONG) == "", "it has just begun to listen"
        k.start("order", input={"no": 0}, workflow_id="w")
        assert heard.get(timeout=LONG) == "pick"
        (lease,) = k.poll("pick")
        k.fail(lease)
        assert heard.get(timeout=LONG) == "pick", "another attempt"
        (lease,) = k.poll("pick")
        k.postpone(lease, 3600.0)
        k.signal("w", "ask")
        k.start("order", input={"no": 0}, workflow_id="v")
        assert heard.get(timeout=LONG) == "pick"
        k.complete(*k.poll("pick"))
        assert heard.get(timeout=LONG) == "ship"
    assert heard.empty()
    store.close()


def test_a_connection_that_broke_is_made_anew(
    stores: PostgresStores, url: str, k: Kernel, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever listens is told that something may have been missed, and hears again."""
    monkeypatch.setattr(postgres_bell, "PAUSES", (0.01, 0.02))
    store, heard = listener(url)
    with store.listening(heard.put), stores.server.connect() as operator:
        for _ in range(2):
            assert heard.get(timeout=LONG) == ""
            operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
        assert heard.get(timeout=LONG) == ""
        k.start("order", input={"no": 0})
        assert heard.get(timeout=LONG) == "pick"
    store.close()


def test_pauses_are_short_again_after_a_connection(monkeypatch: pytest.MonkeyPatch, stores: PostgresStores) -> None:
    """However long the server was away before."""
    monkeypatch.setattr(postgres_bell, "PAUSES", (0.001, LONG))
    heard, turns = Queue[str](), iter(range(6))

    def connect() -> Link:
        if next(turns) < 5:
            raise kernel.StoreUnavailable("connecting", why="nobody answers")
        return Link(stores.server.connect())

    with Bell(connect, "nothing", heard.put) as bell:
        assert heard.get(timeout=LONG) == ""
        assert bell._pause == 0.001


def test_it_ends_while_nobody_answers(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the context does not wait for a server that is gone."""
    store, heard = listener(url)
    tried = threading.Event()

    def refused() -> None:
        tried.set()
        raise kernel.StoreUnavailable("connecting", why="nobody answers")

    monkeypatch.setattr(store, "_connect", refused)
    with store.listening(heard.put):
        assert tried.wait(LONG)
    assert heard.empty()
    store.close()


def test_nothing_is_told_unless_asked(url: str) -> None:
    """Without `listen=on` commits tell nothing, and nobody listens."""
    store, heard = listener(url)
    with kernel.open(url.replace("&listen=on", "")) as quiet, store.listening(heard.put), \
            kernel.Worker(quiet, {"ship": lambda given: None}):
        assert heard.get(timeout=LONG) == ""
        quiet.start("order", input={"no": 0})
        with kernel.open(url) as loud:
            loud.complete(*loud.poll("pick"))
        assert heard.get(timeout=LONG) == "ship", "the first that is heard"
    store.close()
