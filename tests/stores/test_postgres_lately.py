"""What a process remembers of its latest commits saves questions, and never decides: whatever others did meanwhile counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from select import POLLRDHUP, poll
from typing import Any

import psycopg
import pytest
from psycopg import sql

import kernel
from kernel.core.plan import Subject
from kernel.core.records import TreeRow
from kernel.engine import outcomes
from kernel.engine.entities import Applied, NotApplied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.errors import CommitUnknown, GuardRefused, NotFound, StoreUnavailable
from kernel.stores.postgres import PostgresStore
from kernel.stores.postgres_lately import MOST_TREES, Lately, Left
from kernel.stores.postgres_transaction import PostgresTransaction
from kernel.testing.clock import ManualClock
from kernel.testing.servers import PostgresStores
from tests.stores.proxy import Proxy

CHAIN = kernel.WorkflowDef("chain", topics=("archive",), tasks=[
    kernel.TaskDef("a", type="t", lease=10.0, retries=5), kernel.TaskDef("b", type="t", after=["a"]),
    kernel.TaskDef("c", type="u", after=["b"])])
LEFT = Left(1, "c", TreeRow("w", 1, 1, 1, 1), {}, {})


@pytest.fixture
def k(stores: PostgresStores, proxy: Proxy) -> Iterator[Kernel]:
    """A kernel that has begun a workflow and finished its first task: through the proxy."""
    schema = stores.schema()
    with Kernel(PostgresStore(stores.server.url(schema, port=proxy.port)), clock=ManualClock()) as k:
        k.register(CHAIN)
        k.start("chain", workflow_id="first")
        k.complete(*k.poll("t"))
        yield k
        assert k.audit().clean
    stores.wipe(schema)


@pytest.fixture
def other(k: Kernel, stores: PostgresStores) -> Iterator[Kernel]:
    """Another process, as it were, on the same store."""
    with Kernel(PostgresStore(stores.server.url(k.store.place.rpartition("=")[2])), clock=k.clock) as other:  # type: ignore[attr-defined]
        yield other


def lately(k: Kernel) -> Lately:
    """What is remembered."""
    assert isinstance(k.store, PostgresStore)
    return k.store.lately


def trips(proxy: Proxy, work: Callable[[], object]) -> int:
    """How often the server is asked while something is done."""
    proxy.cut(1_000, answered=False)
    work()
    return 1_000 - proxy.left


def at_once(k: Kernel, act: str) -> Callable[[], int]:
    """A start, a poll or a result that goes to the server without a look; gives the version of the tree, or the hand-outs."""
    k.terminate("first")
    if act == "start":
        return lambda: k.start("chain", workflow_id="w").version
    k.start("chain", workflow_id="w")
    if act == "poll":
        return lambda: sum(lease.handouts for lease in k.poll("t"))
    (lease,) = k.poll("t")
    return lambda: k.complete(lease).version


def test_how_often_the_server_is_asked(k: Kernel, proxy: Proxy) -> None:
    """One way there and back for a start, a poll and a result."""
    k.terminate("first")
    assert trips(proxy, lambda: k.start("chain", workflow_id="w")) == 1
    leases: list[kernel.Lease] = []
    for type in "ttu":
        assert trips(proxy, lambda type=type: leases.extend(k.poll(type))) == 1  # type: ignore[misc]
        assert trips(proxy, lambda: k.complete(leases.pop())) == 1
    assert k.get("w").state == "COMPLETED"
    assert [(each.workflow_id, each.topic) for each in k.deliveries()] == [("first", "archive"), ("w", "archive")]


def test_what_another_process_began(k: Kernel, other: Kernel, proxy: Proxy) -> None:
    """Who is handed a task reads with it what its end starts."""
    k.terminate("first")
    other.start("chain", workflow_id="w")
    for type in "ttu":
        (lease,) = k.poll(type)
        assert trips(proxy, lambda lease=lease: k.complete(lease)) == 1  # type: ignore[misc]
    assert other.get("w").state == "COMPLETED"


def test_the_first_task_comes_first(k: Kernel, other: Kernel, proxy: Proxy) -> None:
    """Also one that only others know of; then, for a while, it is asked for before a decision."""
    k.terminate("first")
    k.poll("t", limit=2)
    assert isinstance(k.clock, ManualClock)
    for kernel_, name in ((other, "theirs"), (k, "ours"), (k, "late")):
        kernel_.start("chain", workflow_id=name)
        k.clock.advance(1.0)
    leases: list[kernel.Lease] = []
    assert [trips(proxy, lambda: leases.extend(k.poll("t"))) for _ in range(3)] == [3, 2, 2]
    assert [lease.workflow_id for lease in leases] == ["theirs", "ours", "late"]
    assert k.poll("t") == []


def test_the_first_task_that_is_remembered(k: Kernel, proxy: Proxy) -> None:
    """Of a tree with several tasks it is the one that is due first, and so it is among trees, whatever was written last."""
    k.terminate("first")
    k.register(kernel.WorkflowDef("pair", tasks=[
        kernel.TaskDef("a", type="v"), kernel.TaskDef("b", type="v"), kernel.TaskDef("c", type="u")]))
    k.terminate(k.start("pair").id)
    for name in ("x", "y"):
        k.start("pair", workflow_id=name)
    k.complete(*k.poll("u"))
    leases: list[kernel.Lease] = []
    assert trips(proxy, lambda: leases.extend(k.poll("v"))) == 1
    assert [(lease.workflow_id, lease.ref) for lease in leases] == [("x", "a")]


def test_who_cannot_be_handed_a_task_asks_once(k: Kernel, proxy: Proxy) -> None:
    """It is not due yet, it is handed out already, or its input has to be read: nothing is tried in vain."""
    k.terminate("first")
    k.poll("t", limit=2)
    k.register(kernel.WorkflowDef("late", tasks=[kernel.TaskDef("a", type="v", retries=3, retry_delay=60.0)]),
               kernel.WorkflowDef("given", tasks=[kernel.TaskDef("a", type="x", input={"n": "${workflow.input.n}"})]))
    for name in ("late", "given"):
        k.start(name, input={"n": 1})
    k.fail(*k.poll("v"))
    assert trips(proxy, lambda: k.poll("v")) == 2
    k.start("chain")
    k.start("chain")
    k.poll("t", limit=2)
    assert trips(proxy, lambda: k.poll("t")) == 2
    k.start("given", input={"n": 2})
    k.poll("x")
    assert trips(proxy, lambda: k.poll("x")) == 3
    assert lately(k)._crowds == {}


def test_a_task_that_others_took_is_not_handed_out(k: Kernel, other: Kernel) -> None:
    """Nor one whose workflow is paused, or whose tree somebody holds: then there is none, or another one."""
    k.terminate("first")
    for name in ("paused", "taken", "held", "free"):
        k.start("chain", workflow_id=name)
    other.pause("paused")
    (taken,) = other.poll("t")
    assert taken.workflow_id == "taken"
    assert [lease.workflow_id for lease in k.poll("t")] == ["held"]
    k.register(kernel.WorkflowDef("one", tasks=[kernel.TaskDef("a", type="v")]))
    for name in ("one", "two", "three"):
        k.start("one", workflow_id=name)
    with other.store.transaction(write=True) as transaction:
        transaction.snapshot(Subject("one"))
        assert [lease.workflow_id for lease in k.poll("v")] == ["two"]


def test_what_others_did_counts(k: Kernel, other: Kernel) -> None:
    """A decision on what is not so any more is taken again: what applies, and what is refused."""
    k.start("chain", workflow_id="w")
    (lease,) = [each for each in k.poll("t", limit=5) if each.workflow_id == "w"]
    other.pause("w")
    assert k.complete(lease).version == 3
    assert [task.state for task in k.tasks("w")] == ["COMPLETED", "PENDING", "PENDING"]
    other.resume("w")
    (lease,) = k.poll("t")
    other.terminate("w")
    with pytest.raises(kernel.Fenced):
        k.complete(lease)
    assert other.get("w").version == k.get("w").version == 5


def test_a_tree_that_several_work_on_is_read(k: Kernel, other: Kernel) -> None:
    """Once others have written between, nothing more is remembered of it: not every commit is to be tried twice."""
    for name in ("w", "v"):
        k.start("chain", workflow_id=name)
    for lease in [each for each in k.poll("t", limit=5) if each.workflow_id != "first"]:
        if lease.workflow_id == "w":
            other.pause("w")
            other.resume("w")
        k.complete(lease)
    assert lately(k).take("w") is None
    assert lately(k).take("v") is not None


def test_nothing_is_mixed_with_what_is_older(k: Kernel, other: Kernel) -> None:
    """Who reads a part of a tree that others have changed forgets all the rest of it."""
    k.terminate("first")
    k.start("chain", workflow_id="w")
    other.skip("w", "c")
    k.poll("t")
    left = lately(k).take("w")
    assert left is not None
    assert {no: task.state for (_, no), task in left.tasks.items()} == {0: "IN_PROGRESS", 1: "PENDING"}
    assert left.line == len(k.history("w"))


def test_time_goes_on(k: Kernel) -> None:
    """Though this process's clock goes back: what it remembers of a tree is as late as its last line of history."""
    k.register(kernel.WorkflowDef("loud", tasks=CHAIN.tasks, notify=("RUNNING",)))
    clock = k.clock
    assert isinstance(clock, ManualClock)

    def listen(parcel: kernel.Parcel) -> str:
        clock.advance(50.0)
        return "heard"

    told = Kernel(k.store, clock=clock, sinks={"notify": kernel.CallableSink(listen)})
    k.terminate("first")
    k.start("loud", workflow_id="w")
    (lease,) = k.poll("t")
    clock.advance(50.0)
    assert told.deliver().delivered == 1
    clock.advance(-100.0)
    k.complete(lease)
    times = [line.at for line in k.history("w")]
    assert times == sorted(times)


def test_what_has_to_be_asked_is_not_guessed(k: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next has an input to be made out: the decision begins with a look."""
    k.register(kernel.WorkflowDef("given", tasks=[
        kernel.TaskDef("x"), kernel.TaskDef("y", after=["x"], input={"v": "${workflow.input.v}"})]))
    for _ in range(2):
        k.start("given", input={"v": 1})
    leases = k.poll("x", limit=2)
    monkeypatch.setattr(PostgresTransaction, "doubt", None)
    for lease in leases:
        k.complete(lease)
    assert [lease.input for lease in k.poll("y", limit=2)] == [{"v": 1}, {"v": 1}]


def test_a_lease_that_another_process_renewed(k: Kernel, other: Kernel) -> None:
    """It leaves no line of history: what is written is compared all the same."""
    k.terminate("first")
    k.start("chain", workflow_id="w")
    (lease,) = k.poll("t")
    assert isinstance(k.clock, ManualClock)
    k.clock.advance(8.0)
    other.heartbeat(lease)
    k.clock.advance(8.0)
    k.tick()
    assert k.tasks("w")[0].state == "IN_PROGRESS"
    assert k.complete(lease).version == 2


def test_a_lease_that_another_process_took(k: Kernel, other: Kernel) -> None:
    """A result under it is fenced."""
    k.terminate("first")
    k.start("chain", workflow_id="w")
    (lease,) = k.poll("t")
    assert isinstance(k.clock, ManualClock)
    k.clock.advance(20.0)
    other.tick()
    other.clock.advance(3_600.0)  # type: ignore[attr-defined]
    (again,) = other.poll("t")
    with pytest.raises(kernel.Fenced):
        k.complete(lease)
    assert other.complete(again).version == 3


def test_an_id_that_others_used(k: Kernel, other: Kernel) -> None:
    """A start takes its id for unused: where it is not, it is as if it had looked."""
    other.start("chain", workflow_id="w")
    assert k.start("chain", workflow_id="w") == other.get("w")
    with pytest.raises(GuardRefused, match="another definition or with another input"):
        k.start("nothing", workflow_id="w")
    with pytest.raises(GuardRefused, match="another definition or with another input"):
        k.start("chain", workflow_id="w", input={"a": 1})
    other.terminate("w")
    assert k.start("chain", workflow_id="w").state == "TERMINATED"


def test_an_id_that_others_purged(k: Kernel, other: Kernel) -> None:
    """Neither is its id used again, nor does a late result bring anything of it back."""
    plain = kernel.WorkflowDef("plain", tasks=[kernel.TaskDef("p"), kernel.TaskDef("q", after=["p"])])
    k.register(plain)
    k.start("plain")
    k.start("plain", workflow_id="w")
    lease = next(each for each in k.poll("p", limit=2) if each.workflow_id == "w")
    other.terminate("w")
    other.purge("w", unarchived=True)
    with pytest.raises(kernel.NotFound, match="purged"):
        k.complete(lease)
    for _ in range(2):
        with pytest.raises(GuardRefused, match="purge"):
            k.start("plain", workflow_id="w")


def test_definitions_of_others(k: Kernel, other: Kernel) -> None:
    """The latest version is the latest that anybody registered; and what was not there may be there now."""
    two = kernel.WorkflowDef("chain", version=2, tasks=[kernel.TaskDef("a")])
    other.register(two, kernel.WorkflowDef("new", tasks=[kernel.TaskDef("a")]))
    assert k.start("chain").definition_version == 2
    assert k.start("new").name == "new"
    with pytest.raises(kernel.NotFound, match="not registered"):
        k.start("newest")
    assert k.start("chain", version=1).definition_version == 1


def test_a_registration_that_a_server_lost(k: Kernel, other: Kernel, stores: PostgresStores) -> None:
    """No other definition gets its number, also of a server that lost what numbers it gave: that is made of the content."""
    lost = kernel.WorkflowDef("lost", tasks=[kernel.TaskDef("a")])
    k.register(lost)
    k.start("lost", workflow_id="w")
    k.terminate("w")
    k.purge("w", unarchived=True)
    table = sql.Identifier(k.store.place.rpartition("=")[2], "definition")  # type: ignore[attr-defined]
    with stores.server.connect() as operator:
        numbers = sql.SQL("DELETE FROM {} WHERE name = 'lost' RETURNING key").format(table)
        (number,) = operator.execute(numbers).fetchall()
        other.register(kernel.WorkflowDef("new", tasks=[kernel.TaskDef("b")]), lost)
        assert [task.ref for task in k.tasks(k.start("new").id)] == ["b"]
        assert operator.execute(numbers).fetchall() == [number]


@pytest.mark.parametrize("looks", [False, True])
def test_numbers_that_a_server_lost(k: Kernel, other: Kernel, looks: bool) -> None:
    """The server in its place gives them again: who finds one used asks for others, and nobody is told of it."""
    other.start("chain")
    lately(other).redraw()
    lately(other).give(lately(k).numbers)
    for _ in range(3):
        k.start("chain")
    if looks:
        lately(other).standing = None
    assert len({other.start("chain").id for _ in range(3)} & {each.id for each in other.find(limit=20).items}) == 3


def test_a_policy_of_others(k: Kernel, other: Kernel) -> None:
    """Whether a run is archived is as the store says when the run ends, not as it said before."""
    k.terminate("first")
    for name in ("before", "after"):
        k.start("chain", workflow_id=name)
        for type in "ttu":
            k.complete(*k.poll(type))
        other.set_archive_policy(kernel.ArchivePolicy(off=True))
        k.clock.advance(1.0)  # type: ignore[attr-defined]
    assert [each.workflow_id for each in k.deliveries()] == ["before", "first"]


@pytest.mark.parametrize("act", ["start", "complete", "poll"])
@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_commit_without_a_look_may_be_cut(k: Kernel, other: Kernel, proxy: Proxy, act: str, answered: bool) -> None:
    """Nobody can tell whether it happened, and `outcome` tells, for good; nothing is done twice."""
    work = at_once(k, act)
    proxy.cut(0, answered=answered)
    with pytest.raises(CommitUnknown) as caught:
        work()
    proxy.cut(-1, answered=False)
    outcome = k.outcome(caught.value.command_id, workflow_id="w")
    assert isinstance(outcome, Applied if answered else NotApplied)
    if act != "start":
        states = ("SCHEDULED", "IN_PROGRESS", "COMPLETED")
        assert other.tasks("w")[0].state == states[answered + (act == "complete")]
    else:
        with suppress(kernel.NotFound):
            assert other.get("w").version == int(answered)


def waiting(operator: psycopg.Connection[Any]) -> int:
    """How many wait for a lock on the server."""
    ((count,),) = operator.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchall()
    return int(count)


@pytest.mark.parametrize("act", ["start", "complete", "poll"])
def test_an_outcome_waits_for_a_twin(
    k: Kernel, other: Kernel, stores: PostgresStores, act: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a command whose COMMIT is under way nobody is told that it was not applied."""
    work, told = at_once(k, act), list[object]()
    schema = k.store.place.rpartition("=")[2]  # type: ignore[attr-defined]
    monkeypatch.setattr(outcomes, "generated", lambda chance: "c0123456789abcdef")
    begun = threading.Thread(target=work, daemon=True)
    asking = threading.Thread(target=lambda: told.append(other.outcome("c0123456789abcdef", workflow_id="w")), daemon=True)
    with stores.server.connect() as operator, stores.server.connect() as blocking, blocking.transaction():
        lock = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(schema, "history"))
        blocking.execute(lock)
        for number, thread in enumerate((begun, asking), 1):
            thread.start()
            while waiting(operator) < number and not told:
                thread.join(0.005)
    for thread in (begun, asking):
        thread.join(20.0)
    assert isinstance(told[0], Applied)
    assert other.get("w").version == (2 if act == "complete" else 1)
    assert act == "start" or other.tasks("w")[0].state == ("COMPLETED" if act == "complete" else "IN_PROGRESS")


@pytest.mark.parametrize("act", ["start", "complete", "poll"])
def test_a_commit_that_arrives_late(k: Kernel, other: Kernel, act: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After it was told that it was not applied, it is not."""
    told = list[object]()

    def ask(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT and command == act.upper() and armed:
            told.append(other.outcome("c0123456789abcdef", workflow_id="w"))

    armed, late = False, Kernel(k.store, clock=k.clock, faults=ask)
    work, armed = at_once(late, act), True
    monkeypatch.setattr(outcomes, "generated", lambda chance: "c0123456789abcdef")
    with pytest.raises(GuardRefused, match="that answer is final"):
        work()
    assert told == [NotApplied("c0123456789abcdef")]
    with pytest.raises(NotFound) if act == "start" else nullcontext():
        assert other.get("w").version == 1
        assert other.tasks("w")[0].state == ("IN_PROGRESS" if act == "complete" else "SCHEDULED")


@pytest.mark.parametrize("act", ["start", "complete", "poll"])
def test_an_idle_connection_that_broke_is_replaced(k: Kernel, stores: PostgresStores, act: str) -> None:
    """It is seen before anything is sent: nothing is lost, and nobody hears of it."""
    work = at_once(k, act)
    with stores.server.connect() as operator:
        operator.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'kernel'")
    with k.store.connection() as link:  # type: ignore[attr-defined]
        its_end = poll()
        its_end.register(link.connection.pgconn.socket, POLLRDHUP)
        assert its_end.poll(20_000), "it has come through the proxy"
    assert work() == (2 if act == "complete" else 1)


@pytest.mark.parametrize("act", ["start", "complete", "poll"])
def test_a_connection_that_forgot_what_was_prepared(k: Kernel, act: str) -> None:
    """There was a DISCARD: nothing was applied, and it is done again."""
    work = at_once(k, act)
    with k.store.connection() as link:  # type: ignore[attr-defined]
        link.execute("DEALLOCATE ALL")
    assert work() == (2 if act == "complete" else 1)


def test_who_fails_before_the_commit_leaves_nothing(k: Kernel, other: Kernel) -> None:
    """And is not taken for somebody who was wrong."""
    def fail(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT:
            raise StoreUnavailable("failing")

    failing, (lease,) = Kernel(k.store, clock=k.clock, faults=fail), k.poll("t")
    with pytest.raises(StoreUnavailable, match="failing"):
        failing.start("chain", workflow_id="w")
    with pytest.raises(StoreUnavailable, match="failing"):
        failing.complete(lease)
    assert [(w.id, w.version) for w in other.find().items] == [("first", 2)]


def test_who_has_to_ask_decides_again(k: Kernel, proxy: Proxy) -> None:
    """No answer is mixed with what is remembered."""
    def ask() -> None:
        with k.store.transaction(write=True) as transaction:
            assert transaction.workflow("unheard of", 1) is None
            transaction.names()

    def refused() -> None:
        with pytest.raises(kernel.Conflict, match="a row changed"):
            ask()

    assert trips(proxy, refused) == 0


def test_who_writes_nothing_looks_again(k: Kernel) -> None:
    """What is remembered alone answers nobody."""
    with pytest.raises(kernel.Conflict, match="a row changed"), k.store.transaction(write=True) as transaction:
        assert transaction.workflow("unheard of", 1) is None
    with k.store.transaction(write=True) as transaction:
        assert transaction.workflow("unheard of", 1) is None
        assert transaction.snapshot(Subject("unheard of")).tombstone() is None


def test_what_is_kept_has_bounds() -> None:
    """Not many trees are remembered; each serves once; and what was wrong is looked at."""
    lately = Lately()
    for number in range(MOST_TREES + 1):
        lately.keep(f"w{number}", LEFT)
    assert (lately.take("w0"), lately.take("w1"), lately.take("w1")) == (None, LEFT, None)
    assert lately.is_new("w1")
    assert not lately.is_new("w2")
    lately.forget("w1", shared=False)
    assert [lately.is_new("w1"), lately.is_new("w1"), lately.is_shared("w1")] == [False, True, False]
    lately.forget("w2", shared=True)
    assert (lately.take("w2"), lately.is_shared("w2")) == (None, True)
    assert lately.draw(1) == []
    lately.give([3, 4])
    assert (lately.draw(3), lately.draw(2)) == ([], [3, 4])


def test_a_large_tree_is_not_remembered(k: Kernel) -> None:
    """Nor one whose rows a cascade moved."""
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(f"t{no}", type="x") for no in range(40)]))
    k.start("wide")
    k.start("wide", workflow_id="w")
    assert lately(k).take("w") is None
    k.start("chain", workflow_id="v")
    k.terminate("v")
    assert lately(k).take("v") is None


@contextmanager
def lost_by_a_failover(k: Kernel, stores: PostgresStores) -> Iterator[None]:
    """What is written to workflows meanwhile is not there afterwards: the server that takes over had not got it."""
    schema = sql.Identifier(k.store.place.rpartition("=")[2])  # type: ignore[attr-defined]
    tables = [sql.Identifier(name) for name in ("workflow", "task", "history")]
    with stores.server.connect() as operator:
        for table in tables:
            kept = sql.SQL("CREATE TEMP TABLE {1} AS SELECT * FROM {0}.{1}").format(schema, table)
            operator.execute(kept)
        yield
        for table in tables:
            back = sql.SQL("DELETE FROM {0}.{1}; INSERT INTO {0}.{1} SELECT * FROM pg_temp.{1}").format(schema, table)
            operator.execute(back)


@pytest.mark.parametrize("polled", [True, False])
def test_what_a_failover_lost_is_not_remembered(k: Kernel, other: Kernel, stores: PostgresStores, polled: bool) -> None:
    """The server has fewer lines than this process knows of: the decision is taken again on what there is."""
    k.register(kernel.WorkflowDef("pair", tasks=[kernel.TaskDef("a", type="p"), kernel.TaskDef("b", type="p")]))
    k.start("pair", workflow_id="w")
    first, *more = k.poll("p", limit=2 - polled)
    with lost_by_a_failover(k, stores):
        k.complete(first)
    if polled:
        more = k.poll("p")
    k.complete(*more)
    assert [str(task.state) for task in other.tasks("w")] == ["IN_PROGRESS", "COMPLETED"]
    assert other.verify().clean
    assert other.audit().clean


@pytest.mark.parametrize("looked", [False, True])
def test_what_a_failover_replaced_is_not_remembered(k: Kernel, other: Kernel, stores: PostgresStores, looked: bool) -> None:
    """The server has as many lines as this process knows of, but others: nothing starts that waits for what was lost, and what
    is remembered is not mixed with what a look tells.
    """
    k.register(kernel.WorkflowDef("join", tasks=[
        *[kernel.TaskDef(ref, type="p") for ref in "abcd"], kernel.TaskDef("j", after=["a", "b"])]))
    k.start("join", workflow_id="w")
    a, b, c, d = k.poll("p", limit=4)
    with lost_by_a_failover(k, stores):
        k.complete(a)
    other.complete(c)
    if looked:
        k.complete(d, command_id="chosen")
    k.complete(b)
    states = ["IN_PROGRESS", "COMPLETED", "COMPLETED", "COMPLETED" if looked else "IN_PROGRESS", "PENDING"]
    assert [str(task.state) for task in other.tasks("w")] == states
    assert other.verify().clean
    assert other.audit().clean
