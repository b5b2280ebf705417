"""What becomes of a command when the connection, the server or the transaction breaks: it happened, or it did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import NoReturn

import psycopg
import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine.entities import Applied, NotApplied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Recorded
from kernel.errors import (
    CommitUnknown,
    Conflict,
    KernelError,
    StoreCorrupt,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from kernel.stores import postgres_span
from kernel.stores.postgres import ALONE, FRAGILE, PostgresStore
from kernel.stores.postgres_errors import OPENING, is_undecided, ours
from kernel.stores.postgres_link import Link
from kernel.testing.clock import ManualClock
from kernel.testing.servers import QUICK, PostgresStores, postgres_server
from tests.stores.proxy import Proxy
from tests.stores.stand import rows_of

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x")])
ROOT = kernel.WorkflowDef("root", topics=("archive",), tasks=[kernel.TaskDef("sub", workflow="leaf"), kernel.TaskDef("a")])


@pytest.fixture
def direct(stores: PostgresStores) -> Iterator[PostgresStore]:
    """An empty store, reached without the proxy."""
    store = stores.open()
    assert isinstance(store, PostgresStore)
    yield store
    stores.remove(store)


@pytest.fixture
def k(stores: PostgresStores, direct: PostgresStore, proxy: Proxy) -> Iterator[Kernel]:
    """A kernel on the same store through the proxy, with a running tree."""
    url = stores.server.url(located_schema(direct), port=proxy.port)
    with Kernel(PostgresStore(url, patience=5.0), clock=ManualClock()) as k:
        k.register(LEAF, ROOT)
        k.start("root", workflow_id="w")
        yield k


def located_schema(store: PostgresStore) -> str:
    """The schema of a store."""
    return store.place.rpartition("=")[2]


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_each_message_of_a_terminate_may_be_the_last(k: Kernel, proxy: Proxy, direct: PostgresStore, answered: bool) -> None:
    """Cut at the second message, then at the third, ... until none is cut: all old or all new, of the right class, and
    `outcome` tells which, for good. (A BEGIN that is cut is given again.)
    """
    seen: dict[type[KernelError], int] = {}
    for number in range(1, 100):
        name, command_id = f"v{number}", f"c{number}"
        k.start("root", workflow_id=name)
        before = rows_of(direct)
        proxy.cut(number, answered=answered)
        try:
            k.terminate(name, command_id=command_id)
            break
        except (StoreUnavailable, CommitUnknown) as error:
            seen[type(error)] = seen.get(type(error), 0) + 1
            told = error
        finally:
            proxy.cut(-1, answered=False)
        after = rows_of(direct)
        applied = isinstance(told, CommitUnknown) and answered
        assert (after == before) != applied
        assert direct_state(direct, name) == ("TERMINATED" if applied else "RUNNING")
        if isinstance(told, CommitUnknown):
            assert (told.command_id, told.workflow_id) == (command_id, name)
        outcome = k.outcome(command_id, workflow_id=name)
        assert isinstance(outcome, Applied if applied else NotApplied)
        assert k.outcome(command_id, workflow_id=name) == outcome
    assert number > 8
    assert seen[CommitUnknown] == 1
    assert k.audit().clean


def direct_state(store: PostgresStore, workflow_id: str) -> str:
    """How a workflow stands."""
    with store.transaction(write=False) as transaction:
        row = transaction.workflow(workflow_id, 1)
    return "" if row is None else row.state


def test_an_idle_connection_that_broke_is_replaced(k: Kernel, stores: PostgresStores) -> None:
    """The server was restarted, or somebody cut what was idle: nothing is lost, and nobody hears of it."""
    with stores.server.connect() as operator:
        operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kernel'")
    assert k.get("w").state == "RUNNING"
    assert k.terminate("w").ended == 2


def test_a_backend_that_is_terminated(k: Kernel, stores: PostgresStores) -> None:
    """By an operator, before COMMIT: nobody knows at first, then `outcome` says that it did not happen."""
    def end(at: FaultPoint, command: str) -> None:
        if at is FaultPoint.BEFORE_COMMIT:
            k.faults = lambda at, command: None
            with stores.server.connect() as operator:
                operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'")

    k.faults = end
    with pytest.raises(CommitUnknown) as caught:
        k.terminate("w")
    assert isinstance(k.outcome(caught.value.command_id, workflow_id="w"), NotApplied)
    assert k.get("w").state == "RUNNING"


def test_a_command_is_few_round_trips(k: Kernel, proxy: Proxy) -> None:
    """Whatever it reads and writes: its last writes and COMMIT are one."""
    def trips(work: Callable[[], object]) -> int:
        proxy.cut(1_000, answered=False)
        work()
        return 1_000 - proxy.left

    assert trips(lambda: k.start("leaf", workflow_id="v", input={"a": 1})) == 1
    k.poll("a", limit=2)
    k.start("root", workflow_id="u")
    (lease,) = k.poll("a")
    assert trips(lambda: k.heartbeat(lease)) == 2
    assert trips(lambda: k.complete(lease, output={"b": 2})) == 2
    assert trips(lambda: k.poll("x", limit=2)) == 2
    assert trips(lambda: k.poll("x")) == 2  # nothing: a question and ROLLBACK
    assert trips(lambda: k.get("u")) == 4


def test_a_lease_renewed_while_it_was_taken_for_lost(k: Kernel, direct: PostgresStore) -> None:
    """Between the decision and its COMMIT: it is decided again, on what is there now. The worker goes on."""
    other, clock = Kernel(direct, clock=k.clock), k.clock
    assert isinstance(clock, ManualClock)
    k.register(kernel.WorkflowDef("patient", tasks=[kernel.TaskDef("y", retries=3)]))
    k.start("patient", workflow_id="p")
    (lease,) = k.poll("y")
    clock.advance(3_600.0)
    renewed = list[kernel.Lease]()

    def renew(at: FaultPoint, command: str) -> None:
        if at is FaultPoint.BEFORE_COMMIT and command == "EXPIRE" and not renewed:
            renewed.append(other.heartbeat(lease))

    k.faults = renew
    k.tick()
    assert [(task.state, task.attempt) for task in k.tasks("p")] == [("IN_PROGRESS", 1)]
    k.complete(renewed[0])


def test_a_commit_that_the_server_rolls_back(direct: PostgresStore) -> None:
    """A statement failed, and somebody went on: COMMIT is answered with ROLLBACK, which is no success."""
    def fails() -> None:
        with direct.transaction(write=True) as transaction:
            transaction.record("w", "c", Recorded("{}", "{}", 1))
            with suppress(psycopg.Error):
                transaction.rows("payload", ("no number", 0, "input"))

    with pytest.raises(StoreUnavailable, match="rolled the transaction back"):
        fails()
    with direct.transaction(write=False) as transaction:
        assert transaction.recorded("w", "c") is None


def test_two_that_wait_for_each_other(direct: PostgresStore, stores: PostgresStores) -> None:
    """Whatever led there, the server breaks it up: one gets a Conflict, with nothing applied, the other goes on."""
    both = Barrier(2)
    other = PostgresStore(stores.server.url(located_schema(direct)))
    k = Kernel(direct)
    k.register(LEAF)
    for name in ("one", "two"):
        k.start("leaf", workflow_id=name)

    def hold(store: PostgresStore, first: str, second: str) -> str:
        try:
            with store.transaction(write=True) as transaction:
                transaction.snapshot(Subject(first))
                both.wait(10)
                transaction.snapshot(Subject(second))
            return "done"
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(2) as threads:
        found = [threads.submit(hold, store, *order) for store, order in (
            (direct, ("one", "two")), (other, ("two", "one")))]
        assert sorted(each.result(30) for each in found) == ["conflict", "done"]
    other.close()


@pytest.mark.parametrize("where", ["PostgresTransaction", "_is_clean"])
def test_an_interrupted_thread_leaves_its_place(direct: PostgresStore, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """As many threads as before can use the store."""
    places = direct._free.qsize()

    def interrupted(*given: object) -> NoReturn:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(direct if where == "_is_clean" else postgres_span, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            Kernel(direct).find()
    assert direct._free.qsize() == places


@pytest.mark.parametrize(("raised", "doing", "kind"), [
    (psycopg.errors.DiskFull, "writing", StoreFull), (psycopg.errors.OutOfMemory, "writing", StoreFull),
    (psycopg.errors.ReadOnlySqlTransaction, "writing", StoreReadOnly),
    (psycopg.errors.InsufficientPrivilege, "writing", StoreReadOnly),
    (psycopg.errors.InsufficientPrivilege, OPENING, StoreUnavailable),
    (psycopg.errors.DeadlockDetected, "writing", Conflict), (psycopg.errors.LockNotAvailable, "writing", Conflict),
    (psycopg.errors.UndefinedTable, "reading", StoreCorrupt), (psycopg.errors.DataCorrupted, "reading", StoreCorrupt),
    (psycopg.errors.TooManyConnections, OPENING, StoreUnavailable), (psycopg.errors.AdminShutdown, "writing", StoreUnavailable),
    (psycopg.errors.QueryCanceled, "writing", StoreUnavailable), (psycopg.OperationalError, "writing", StoreUnavailable)])
def test_errors_of_the_server_are_ours(raised: type[psycopg.Error], doing: str, kind: type[KernelError]) -> None:
    """Each is of the class that says who can act, and names the store."""
    error = ours(raised("it says so"), doing, "postgresql://h/d?schema=s")
    assert type(error) is kind
    assert "postgresql://h/d?schema=s" in str(error)
    assert (error.why, error.stands) == ("it says so", "nothing was applied")


@pytest.mark.parametrize(("raised", "open"), [
    (psycopg.OperationalError, True), (psycopg.errors.AdminShutdown, True), (psycopg.errors.CrashShutdown, True),
    (psycopg.errors.ConnectionFailure, True), (psycopg.errors.IoError, True), (psycopg.errors.SerializationFailure, False),
    (psycopg.errors.UniqueViolation, False), (psycopg.errors.DiskFull, False)])
def test_which_failures_of_a_commit_leave_it_open(raised: type[psycopg.Error], open: bool) -> None:
    """A server that went down, or does not answer, may have committed; one that says why it did not, did not."""
    assert is_undecided(raised("x")) is open


@pytest.mark.slow
def test_what_was_acknowledged_survives_the_servers_crash() -> None:
    """Killed with a commit under way, without fsync: all that was acknowledged is there, and nothing of what was cut off."""
    with postgres_server(settings=QUICK) as server:
        url = server.url()
        with kernel.open(url) as k:
            assert k.store.durability == FRAGILE + ALONE
            k.register(LEAF, ROOT)
            k.start("root", workflow_id="w")

            def crash(at: FaultPoint, command: str) -> None:
                if at is FaultPoint.BEFORE_COMMIT and command == "TERMINATE":
                    server.stop(kill=True)

            for number in range(3):
                k.start("root", workflow_id=f"v{number}")
                k.terminate(f"v{number}")
            k.faults = crash
            with pytest.raises(CommitUnknown) as caught:
                k.terminate("w")
            with pytest.raises(StoreUnavailable):
                k.get("w")
            k.faults = lambda at, command: None
            server.start()
            assert isinstance(k.outcome(caught.value.command_id, workflow_id="w"), NotApplied)
            assert {k.get(f"v{number}").state for number in range(3)} == {"TERMINATED"}
            assert k.get("w").state == "RUNNING"
            assert k.terminate("w").ended == 2
            assert k.audit().clean


def test_a_server_that_forgot_what_was_prepared(direct: PostgresStore) -> None:
    """DISCARD, which poolers say: the next command finds a connection that works."""
    k = Kernel(direct)
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    with direct.connection() as link:
        link.execute("DISCARD ALL")
    assert k.terminate("w").ended == 1


def test_an_interrupted_undoing_leaves_no_connection_in_use(direct: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever presses Ctrl-C while a transaction is undone can go on with as many connections as before."""
    k, free = Kernel(direct), direct._free.qsize()
    k.register(LEAF)
    k.start("leaf", workflow_id="w")

    def interrupted(link: Link, asked: object) -> NoReturn:
        link.close()
        raise KeyboardInterrupt

    span = direct.transaction(write=True)
    assert span.__enter__().tree("w") is not None
    monkeypatch.setattr(Link, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        span.__exit__(None, None, None)
    monkeypatch.undo()
    assert direct._free.qsize() == free
    assert k.get("w").state == "RUNNING"
