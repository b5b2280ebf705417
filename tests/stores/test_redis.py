"""The Redis store itself: what it refuses to open, what its script compares, what becomes of errors and of lost answers."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
import redis

import kernel
from kernel.core.decide import decide
from kernel.core.plan import Subject
from kernel.engine.contention import TRIES, Overtaken
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel, Options
from kernel.engine.ports import Store
from kernel.stores.redis import FAILOVER, FORCES, LARGEST_TREE, TORN, RedisStore, address
from kernel.stores.redis_line import Line
from kernel.stores.redis_link import BETWEEN
from kernel.stores.redis_part import Part
from kernel.stores.redis_rows import changed_at
from kernel.testing.clock import ManualClock
from kernel.testing.redis_stores import RedisStores
from tests.redis_server import Server, needs_redis, server

pytestmark = needs_redis
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("a", type="t"), kernel.TaskDef("b", type="t"), kernel.TaskDef("c", type="t"), kernel.TaskDef("d", type="t"),
    kernel.TaskDef("e", type="t"), kernel.TaskDef("f", type="t")])
SECRET = "hunter2"  # noqa: S105 - that it is told nowhere is what is tested


@pytest.fixture
def store() -> Iterator[RedisStore]:
    """An empty store."""
    stores = RedisStores(server().url)
    found = stores.open()
    assert isinstance(found, RedisStore)
    yield found
    stores.remove(found)


@pytest.fixture
def k(store: RedisStore) -> Kernel:
    """A kernel on it, with a workflow of six tasks."""
    found = Kernel(store, clock=ManualClock())
    found.register(ORDER)
    found.start("order", workflow_id="w")
    return found


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server whose settings a test may change."""
    found = Server(tmp_path)
    yield found
    found.kill()


# ---- opening ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", [
    "redis://", "redis:///0", "redis://h?partitions=0", "redis://h?partitions=x", f"redis://h?partitions={'9' * 5000}",
    "redis://h?namespace=", "redis://h?namespace={a}",
    "redis://h?accept=anything", "redis://h?mode=ro", "redis://h:port/0", "redis+cluster://", f"redis://u:{SECRET}@?partitions=2",
    "redis://h?protocol=3", "redis://h?socket_timeout=x", "redis://h/orders", f"redis://:7/{SECRET}@h:6379/0",
    f"redis://:{SECRET}/7@h:6379/0", f"redis://u:7#{SECRET}@h/0", f"redis://u:7?{SECRET}@h/0", f"redis://:{SECRET}#7@h/0",
    f"redis://u:7?a={SECRET}@h/0", f"redis://u:{SECRET}?x@h", "redis://h?ssl_certfile=x", "redis://h?max_connections=-4",
    "redis://h?socket_timeout=0", "redis://h?socket_timeout=nan", "rediss://h?socket_connect_timeout=inf"])
def test_a_wrong_url(url: str) -> None:
    """It is refused before anything is asked, with words that hold no password."""
    with pytest.raises(kernel.InvalidInput) as caught:
        kernel.open(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value)).replace(repr(url), "")


def test_what_a_url_says() -> None:
    """Its own options go to the store, the rest to the driver; a cluster has more partitions unless told."""
    found = address(f"redis://u:{SECRET}@h:7/3?namespace=n&accept=no-aof&health_check_interval=5")
    assert found.place == "redis://h:7/3"
    assert found.url == f"redis://u:{SECRET}@h:7/3?health_check_interval=5"
    assert (found.namespace, found.partitions, found.accepts, found.cluster) == ("n", 1, frozenset(["no-aof"]), False)
    assert address("rediss+cluster://h").partitions == 16


@pytest.mark.parametrize(("settings", "kind", "said"), [
    ({"maxmemory-policy": "allkeys-lru"}, kernel.UnsafeStore, "allkeys-lru"),
    ({"appendonly": "no"}, kernel.UnsafeStore, "no append-only file"),
    ({"requirepass": SECRET}, kernel.StoreUnavailable, "user and the password"),
])
def test_what_is_not_opened(own: Server, settings: dict[str, str], kind: type[Exception], said: str) -> None:
    """A server that would drop rows, one that keeps nothing, one that wants a password."""
    client = own.client()
    for name, value in settings.items():
        client.config_set(name, value)
    with pytest.raises(kind, match=said):
        kernel.open(own.url)


def test_no_password_is_told(own: Server) -> None:
    """Neither that of the URL nor any part of it."""
    own.client().config_set("requirepass", "another")
    with pytest.raises(kernel.StoreUnavailable) as caught:
        kernel.open(own.url.replace("redis://", f"redis://user:{SECRET}@"))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__dict__)


@pytest.mark.parametrize(("settings", "query", "said"), [
    ({"appendfsync": "always"}, "", "a power cut where the disk does what fsync says"),
    ({"appendfsync": "everysec"}, "", "the last two seconds"), ({"appendfsync": "no"}, "", "what the system had not written"),
    ({"appendfsync": "always", "no-appendfsync-on-rewrite": "yes"}, "", "what the system had not written"),
    ({"appendonly": "no"}, "?accept=no-aof", "nothing but the process"), ({"aof-load-truncated": "yes"}, "", TORN),
])
def test_what_survives_is_said(own: Server, settings: dict[str, str], query: str, said: str) -> None:
    """As the server is set; a server without a log is taken only when the caller says so."""
    for name, value in settings.items():
        own.client().config_set(name, value)
    with kernel.open(own.url + query) as k:
        assert said in k.store.durability


def test_a_log_that_is_not_taken_half(own: Server) -> None:
    """Of a server that does not start with half a commit nothing is said that would not hold."""
    own.client().config_set("aof-load-truncated", "no")
    with kernel.open(own.url) as k:
        assert k.store.durability == FORCES["no"] + FAILOVER


def test_a_replica_is_not_opened(own: Server) -> None:
    """It takes no writes, and may be behind; a kernel on a server that becomes one is told so, and still reads."""
    k = kernel.open(own.url)
    k.register(ORDER)
    k.start("order", workflow_id="w")
    own.client().replicaof("127.0.0.1", str(own.port + 1))
    with pytest.raises(kernel.StoreReadOnly):
        kernel.open(own.url)
    with pytest.raises(kernel.StoreReadOnly, match="nothing was applied"):
        k.terminate("w")
    assert k.get("w").state == "RUNNING"
    k.close()


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster"])
def test_nobody_is_there(scheme: str) -> None:
    """No server at all, or no node of a cluster."""
    with pytest.raises(kernel.StoreUnavailable, match=r"127\.0\.0\.1:1/"):
        kernel.open(f"{scheme}://127.0.0.1:1/0")


def test_a_closed_store(store: RedisStore) -> None:
    """It says so."""
    store.close()
    with pytest.raises(kernel.StoreUnavailable, match="was closed"):
        Kernel(store).find()


def test_a_newer_schema(store: RedisStore) -> None:
    """Another version's store is not touched; a process that outlived a change of it commits nothing."""
    other = RedisStore(f"{server().url}?namespace={store.address.namespace}")
    store.link.call(f"{store.prefixes[0]}head", "HSET", f"{store.prefixes[0]}head", "schema", 2)
    with pytest.raises(kernel.SchemaMismatch):
        Kernel(other).register(ORDER)
    store.link.call(f"{store.prefixes[0]}meta", "HSET", f"{store.prefixes[0]}meta", "schema", 2)
    with pytest.raises(kernel.SchemaMismatch):
        RedisStore(f"{server().url}?namespace={store.address.namespace}")
    other.close()


# ---- what the script compares ----------------------------------------------------------------------------------------------
def met(k: Kernel, first: Callable[[Kernel], Any], second: Callable[[Kernel], Any]) -> int:
    """Let one command decide, then another commit, then the first: how often the first was decided."""
    decided = 0

    def between(point: FaultPoint, command: str) -> None:
        nonlocal decided
        if point is FaultPoint.BEFORE_COMMIT:
            decided += 1
            if decided == 1:
                second(k)

    first(Kernel(k.store, clock=k.clock, faults=between))
    return decided


def test_unrelated_work_does_not_conflict(k: Kernel) -> None:
    """Two workers complete two tasks of one workflow: neither decides again, for neither could have told. Near the end, when a
    counter comes close to 0, they may.
    """
    leases = k.poll("t", limit=6)
    assert met(k, lambda k: k.complete(leases[0]), lambda k: k.complete(leases[1])) == 1
    assert met(k, lambda k: k.complete(leases[2]), lambda k: k.complete(leases[3])) == 1
    assert met(k, lambda k: k.heartbeat(leases[4]), lambda k: k.heartbeat(leases[5])) == 1
    assert met(k, lambda k: k.complete(leases[4]), lambda k: k.complete(leases[5])) == 2
    assert [line.version for line in k.history("w") if line.event == "COMPLETE"] == [2, 3, 4, 5, 6, 7, 7]
    assert k.get("w").state == "COMPLETED"
    assert k.audit().clean


@pytest.mark.parametrize(("seconds", "decided"), [(1.0, 1), (100.0, 2)])
def test_who_is_overtaken_in_time_alone_writes_at_the_later_one(k: Kernel, seconds: float, decided: int) -> None:
    """A commit whose tree has come to a later time meanwhile is as if it had been decided then: its history and rows say so.
    Where a time lies between, here the end of a lease, it is decided again.
    """
    leases, began = k.poll("t", limit=3), k.get("w").started

    def later(k: Kernel) -> None:
        k.clock.advance(seconds)  # type: ignore[attr-defined]
        k.poll("t", limit=1)

    assert met(k, lambda k: k.complete(leases[0]), later) == decided
    lines = k.history("w")
    assert lines[-1].at == lines[-2].at == k.tasks("w")[0].changed == began + timedelta(seconds=seconds)
    assert lines[-1].event == "COMPLETE"
    assert k.verify().clean
    assert k.audit().clean


def test_of_two_who_add_tasks_one_decides_again(k: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two workflows of a tree, whenever the other commits: before the first has written, too, the tasks of both count."""
    k.register(kernel.WorkflowDef("top", tasks=[kernel.TaskDef(ref, workflow="order") for ref in ("x", "y")]))
    k.terminate("w")
    k.start("top", workflow_id="v")
    leases, decided = k.poll("t", limit=12), 0

    def spawn(k: Kernel, number: int) -> None:
        k.complete(leases[number], spawn=[kernel.TaskDef(f"more{number}")])

    def decided_before(*given: Any) -> Any:
        nonlocal decided
        decided += 1
        answer = decide(*given)
        if decided == 1:
            spawn(k, 6)
        return answer

    assert met(k, lambda k: spawn(k, 1), lambda k: spawn(k, 7)) == 2
    monkeypatch.setattr("kernel.engine.kernel.decide", decided_before)
    spawn(k, 0)
    assert decided == 3
    assert k.audit().findings == ()


def test_a_version_is_that_of_the_commit(k: Kernel) -> None:
    """Of a command that was overtaken by another without noticing it: its outcome tells what the history tells."""
    leases = k.poll("t", limit=6)
    told: list[kernel.Applied] = []
    met(k, lambda k: told.append(k.complete(leases[0], command_id="mine")), lambda k: k.complete(leases[1]))
    (line,) = (line for line in k.history("w") if line.command_id == "mine")
    assert told[0].version == line.version == 3
    assert k.complete(leases[0], command_id="mine") == told[0] == k.outcome("mine", workflow_id="w")


def test_who_is_always_overtaken_is_told(k: Kernel) -> None:
    """Not for ever: after so many tries it is a Conflict, and nothing was applied."""
    lease, *_ = k.poll("t")
    tries = 0

    def always(point: FaultPoint, command: str) -> None:
        nonlocal tries
        tries += 1
        raise Overtaken("committing", why="somebody changed it")

    with pytest.raises(kernel.Conflict, match=f"others were faster {TRIES} times"):
        Kernel(k.store, clock=k.clock, faults=always).complete(lease)
    assert tries == TRIES
    assert k.tasks("w")[0].state == "IN_PROGRESS"


def test_an_error_that_was_overtaken_is_no_error(k: Kernel, store: RedisStore) -> None:
    """What was read in several looks while somebody wrote may never have been so: it is read again. After one look, or where
    nothing was changed, it was so.
    """
    def read(looks: int, meanwhile: Callable[[str], Any]) -> None:
        with store.transaction(write=True) as t:
            t.snapshot(Subject("w"))
            if looks > 1:
                t.payload("w", 1, 0, "input")
            meanwhile("w")
            raise kernel.StoreCorrupt("what was read")

    with pytest.raises(Overtaken):
        read(2, k.pause)
    for looks, meanwhile in ((2, k.get), (1, k.resume)):
        with pytest.raises(kernel.StoreCorrupt):
            read(looks, meanwhile)


def test_rows_that_were_never_there_together(k: Kernel, store: RedisStore) -> None:
    """Whatever a decision on them stumbles over, it is taken again."""
    def stumble(meanwhile: Callable[[str], Any]) -> None:
        with store.transaction(write=False) as t:
            t.workflow("w", 1)
            t.payload("w", 1, 0, "input")
            meanwhile("w")
            raise KeyError("a row that should be there")

    with pytest.raises(Overtaken):
        stumble(k.pause)
    with pytest.raises(KeyError):
        stumble(k.get)


def test_who_only_reads_sees_one_moment(k: Kernel, store: RedisStore) -> None:
    """A tree that is not large is read as a whole: what is committed meanwhile is not mixed in."""
    with store.transaction(write=False) as t:
        t.tree("w")
        k.terminate("w")
        row = t.workflow("w", 1)
        assert row is not None
        assert row.state == "RUNNING"
        assert {task.state for task in t.tasks("w", 1)} == {"SCHEDULED"}
        assert "TERMINATE" not in {line.event for line in t.history("w", None, None, 0, 100)}


def test_what_was_spawned_meanwhile_is_not_mixed_in(k: Kernel, store: RedisStore) -> None:
    """A workflow that was read as it stood has the tasks that it had then, though what was spawned is read later."""
    leases = k.poll("t", limit=2)
    k.complete(leases[0], spawn=[kernel.TaskDef("g")])
    with kernel.open(f"{server().url}?namespace={store.address.namespace}") as other:
        with other.store.transaction(write=False) as t:
            t.tree("w")
            k.complete(leases[1], spawn=[kernel.TaskDef("h")])
            row = t.workflow("w", 1)
            assert row is not None
            assert [each.task.ref for each in row.prepared.spawned.values()] == ["g"]
        assert [t.ref for t in other.tasks("w")] == [*"abcdefgh"]
        assert other.verify().clean


def test_what_was_spawned_and_is_purged_meanwhile(k: Kernel, store: RedisStore) -> None:
    """Who read a workflow, and then finds nothing of what was spawned in it, does not take it for one without such tasks; nor
    others that have the same.
    """
    k.terminate("w")
    k.register(kernel.WorkflowDef("spawning", tasks=[kernel.TaskDef("s")]))
    for name in ("u", "v"):
        k.start("spawning", workflow_id=name)
        k.complete(*k.poll("s"), spawn=[kernel.TaskDef("x")])

    def read(store: Store) -> None:
        with store.transaction(write=False) as t:
            t.tree("u")
            k.terminate("u")
            k.purge("u", unarchived=True)
            t.workflow("u", 1)

    with kernel.open(f"{server().url}?namespace={store.address.namespace}") as other:
        with pytest.raises(Overtaken):
            read(other.store)
        with pytest.raises(kernel.NotFound, match="purged"):
            other.tasks("u")
        assert [t.ref for t in other.tasks("v")] == ["s", "x"]
        other.complete(*other.poll("x"))
        assert other.get("v").state == "COMPLETED"


def test_those_who_poll_together_take_different_tasks(k: Kernel, store: RedisStore) -> None:
    """Once somebody was overtaken, each looks past what another is about to take; what is not taken after all is seen again."""
    assert met(k, lambda k: k.poll("t", worker="first"), lambda k: k.poll("t", worker="second")) == 2
    assert store.lately.is_crowded("t")
    assert met(k, lambda k: k.poll("t", worker="third"), lambda k: k.poll("t", worker="fourth")) == 1

    def fail(point: FaultPoint, command: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Kernel(store, clock=k.clock, faults=fail).poll("t")
    assert [t.worker for t in k.tasks("w")] == ["second", "first", "third", "fourth", "", ""]
    assert [lease.ref for lease in k.poll("t", limit=9)] == ["e", "f"]


def test_a_poll_that_is_given_twice_at_once() -> None:
    """It applies once, though meanwhile another partition has what is due first."""
    stores, clock, given = RedisStores(f"{server().url}?partitions=8"), ManualClock(), list[list[kernel.Lease]]()
    store = stores.open()
    beside = stores.beside(store)
    twin = Kernel(beside, clock=clock)

    def meanwhile(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT and command == "POLL" and not given:
            clock.advance(-100.0)
            for number in range(8):
                twin.start("one", workflow_id=f"early{number}")
            clock.advance(100.0)
            given.append(twin.poll("t", command_id="same"))

    k = Kernel(store, clock=clock, faults=meanwhile)
    k.register(kernel.WorkflowDef("one", tasks=[kernel.TaskDef("a", type="t")]))
    for number in range(8):
        k.start("one", workflow_id=f"w{number}")
        clock.advance(1.0)
    assert k.poll("t", command_id="same") == given[0]
    assert [lease.workflow_id[:5] for lease in k.poll("t", command_id="other")] == ["early"]
    beside.close()
    stores.remove(store)


def test_a_policy_that_is_set_while_others_work() -> None:
    """Somebody came between when one partition had it: it is set in all, and each tree is judged by what held for it."""
    stores, clock = RedisStores(f"{server().url}?partitions=4"), ManualClock()
    store = stores.open()
    assert isinstance(store, RedisStore)
    k, link = Kernel(store, clock=clock), store.link
    k.register(kernel.WorkflowDef("one", tasks=[kernel.TaskDef("a", type="t")], topics=("archive",)))
    roots = [next(name for n in range(99) if store.partition(name := f"{letter}{n}") == at)
             for at in range(4) for letter in "uvw"]
    for root in roots[:8]:
        k.start("one", workflow_id=root)
    commit, made = link.commit, list[str]()

    def between(part: Part, *rest: Any) -> Any:
        made.append(part.prefix)
        if len(made) == 2:
            clock.advance(1.0)
            for root in roots:
                k.start("one", workflow_id=root)
                if root[0] == "u":
                    k.terminate(root)
        return commit(part, *rest)

    link.commit = between  # type: ignore[assignment, method-assign]
    k.set_archive_policy(kernel.ArchivePolicy(off=True))
    clock.advance(1.0)
    for root in set(roots) - {each.workflow_id for each in k.deliveries()}:
        k.terminate(root)
    assert {each.workflow_id[0] for each in k.deliveries()} <= {"u"}
    assert k.verify().clean
    assert k.audit().clean
    stores.remove(store)


def test_partitions_are_asked_together() -> None:
    """A poll of a store of many partitions is two ways to a server, not one for each; what breaks is asked again by itself."""
    stores = RedisStores(f"{server().url}?partitions=8")
    store = stores.open()
    assert isinstance(store, RedisStore)
    k, link = Kernel(store, clock=ManualClock()), store.link
    k.register(ORDER)
    for number in range(4):
        k.start("order", workflow_id=f"w{number}")
        k.clock.advance(1.0)  # type: ignore[attr-defined]
    assert k.poll("nobody's") == []  # the server has the script from here on
    exchange, asked = link._exchange, list[str]()

    def listen(key: str, command: tuple[Any, ...], *rest: Any) -> Any:
        asked.append(command[0])
        return exchange(key, command, *rest)

    link._exchange = listen  # type: ignore[assignment, method-assign]
    assert [lease.workflow_id for lease in k.poll("t", limit=6)] == ["w0"] * 6
    assert asked == ["EVALSHA"]
    server().client().script_flush()
    assert [lease.workflow_id for lease in k.poll("t", limit=6)] == ["w1"] * 6
    assert asked.count("EVAL") > 1
    server().client().client_kill_filter(_type="normal")
    assert [lease.workflow_id for lease in k.poll("t", limit=6)] == ["w2"] * 6
    stores.remove(store)


def test_a_text_that_looks_like_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands between the arguments of a commit may stand in one, too: then they are sent one by one, and applied once."""
    stores = RedisStores(server().url)
    store = stores.open()
    assert isinstance(store, RedisStore)
    exchange, asked = store.link._exchange, list[int]()

    def listen(key: str, command: tuple[Any, ...], *rest: Any) -> Any:
        asked.append(len(command))
        return exchange(key, command, *rest)

    monkeypatch.setattr(store.link, "_exchange", listen)
    for text in ("plain", f"a{BETWEEN}b", BETWEEN, f"{BETWEEN}7{BETWEEN}"):
        asked.clear()
        with store.transaction(write=True) as transaction:
            transaction.put(transaction.part(0), transaction.head(0, "l:w"), {"name": text})
            transaction.part(0).count("tasks", 1)
        assert len(asked) == (1 if text == "plain" else 2)
        assert store.link.call("", "HGET", f"{store.prefixes[0]}l:w", "name") == text
    assert store.link.call("", "HGET", f"{store.prefixes[0]}head", "tasks") == "4"
    stores.remove(store)


def test_what_many_read_is_compared_once() -> None:
    """However long it is, and however many tasks of one decision read it."""
    stores = RedisStores(server().url)
    store = stores.open()
    assert isinstance(store, RedisStore)
    k, link = Kernel(store, clock=ManualClock()), store.link
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef("g", type="g"), *[
        kernel.TaskDef(f"t{no}", type="t", after=["g"], input={"n": "${workflow.input.n}"}) for no in range(30)]]))
    k.start("wide", workflow_id="w", input={"n": 7, "text": "x" * 1000})
    (lease,) = k.poll("g")
    commit, told = link.commit, list[str]()

    def listen(part: Part, arguments: list[str], *rest: Any) -> Any:
        told.extend(arguments)
        return commit(part, arguments, *rest)

    link.commit = listen  # type: ignore[assignment, method-assign]
    k.complete(lease)
    payloads = [told[place + 1] for place, word in enumerate(told) if word == f"{store.prefixes[0]}v:1:w"]
    assert payloads.count("-1:input") == 1
    assert [lease.input for lease in k.poll("t", limit=50)] == [{"n": 7}] * 30
    stores.remove(store)


def test_a_commit_that_is_longer_than_any_text_may_be(tmp_path: Path) -> None:
    """A server takes no text of any size: what is large is sent one by one, each of which it takes."""
    own = Server(tmp_path, "--appendonly", "yes", "--proto-max-bulk-len", "1mb")
    try:
        with kernel.open(own.url) as k:
            k.register(kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("a")]), kernel.WorkflowDef("top", tasks=[
                kernel.TaskDef(f"s{no}", workflow="leaf", input={"all": "${workflow.input.text}"}) for no in range(4)]))
            k.start("top", workflow_id="w", input={"text": "x" * 400_000})
            assert [len(k.get(f"w/s{no}").input["all"]) for no in range(4)] == [400_000] * 4
            assert k.audit().clean
    finally:
        own.kill()


def test_an_id_that_was_given_up_never_applies(k: Kernel) -> None:
    """Its script arrives after the answer to k.outcome: nothing of it is applied."""
    with pytest.raises(kernel.GuardRefused, match="that answer is final"):
        met(k, lambda k: k.terminate("w", command_id="late"), lambda k: k.outcome("late", workflow_id="w"))
    assert k.get("w").state == "RUNNING"
    assert isinstance(k.outcome("late", workflow_id="w"), kernel.NotApplied)


def test_the_same_slot(store: RedisStore) -> None:
    """Every key of a tree has the tag of its partition, whatever its id holds."""
    wide = RedisStore(f"{server().url}?namespace={store.address.namespace}w&partitions=5")
    k = Kernel(wide)
    k.register(ORDER)
    for name in ("w{0}", "{x}", "}{", "a:b", "ä", "w" * 200):
        k.start("order", workflow_id=name)
    assert k.audit() == kernel.Report((), 6, 36, 0)
    assert {key.partition("}")[0] for key in wide.all_keys()} <= {prefix.partition("}")[0] for prefix in wide.prefixes}
    assert RedisStore(f"{server().url}?namespace={store.address.namespace}w&partitions=2").partitions == 5
    assert [w.id for w in k.find().items] == sorted(["w{0}", "{x}", "}{", "a:b", "ä", "w" * 200])
    while k.poll("t", limit=100, command_id=f"p{k.backlog().at.timestamp()}"):
        pass
    assert {t.state for w in k.find().items for t in k.tasks(w.id)} == {"IN_PROGRESS"}
    RedisStores(server().url).remove(wide)


def test_a_workflow_that_moves_twice_in_a_commit(k: Kernel, store: RedisStore) -> None:
    """A sub-workflow that a RESUME sets going, and that ends with it: it stands in the index of its last state alone."""
    k.register(kernel.WorkflowDef("leaf", tasks=[kernel.TaskDef("x")]),
               kernel.WorkflowDef("top", tasks=[kernel.TaskDef("sub", workflow="leaf"), kernel.TaskDef("y")]))
    k.start("top", workflow_id="v")
    (lease,) = k.poll("x")
    k.pause("v")
    k.complete(lease)
    k.resume("v")
    assert k.get("v/sub").state == "COMPLETED"
    standing = {state: store.link.call("", "ZRANGE", f"{store.prefixes[0]}i:{state}", 0, -1)
                for state in ("RUNNING", "COMPLETED")}
    assert standing == {"RUNNING": ["v\0001", "w\0001"], "COMPLETED": ["v/sub\0001"]}


def test_a_tree_that_is_too_large(k: Kernel, store: RedisStore) -> None:
    """A script on it would block the server for too long: it is refused when it would grow so large, as root or below."""
    assert store.policy.tree_tasks == LARGEST_TREE
    store.policy = attrs.evolve(store.policy, tree_tasks=10)
    k.register(kernel.WorkflowDef("half", tasks=[kernel.TaskDef(f"t{n}") for n in range(5)]),
               kernel.WorkflowDef("both", tasks=[kernel.TaskDef("x", workflow="half"), kernel.TaskDef("y", workflow="half")]),
               kernel.WorkflowDef("more", tasks=[kernel.TaskDef(f"t{n}") for n in range(11)]))
    with pytest.raises(kernel.GuardRefused, match="tree would have 11 tasks"):
        k.start("more", workflow_id="m")
    k.start("both", workflow_id="b")
    (rejected,) = (t for t in k.tasks("b") if t.state == "FAILED_WITH_TERMINAL_ERROR")
    assert "more than 10 tasks" in rejected.reason
    assert k.audit().clean


# ---- faults ------------------------------------------------------------------------------------------------------------------
def everything(k: Kernel) -> dict[str, Any]:
    """The content of every key."""
    assert isinstance(k.store, RedisStore)
    client: Any = server().client()
    read = {"hash": client.hgetall, "list": lambda key: client.lrange(key, 0, -1), "string": client.get,
            "zset": lambda key: client.zrange(key, 0, -1, withscores=True)}
    return {key: read[client.type(key)](key) for key in k.store.all_keys()}


def test_a_task_before_very_many(k: Kernel, store: RedisStore) -> None:
    """What is read of a hash is compared whatever its size: more than the stack of a script holds, and a tree may have."""
    many = 8_100
    k.register(kernel.WorkflowDef("fan", tasks=[
        kernel.TaskDef("a"), *(kernel.TaskDef(f"b{no}", after=["a"]) for no in range(many))]))
    k.start("fan", workflow_id="v")
    k.complete(*k.poll("a"))
    assert k.terminate("v").canceled == many


ACTS: dict[str, Callable[[Kernel], Any]] = {
    "poll": lambda k: k.poll("t", command_id="take"), "terminate": lambda k: k.terminate("w", command_id="end")}


@pytest.mark.parametrize(("act", "kind"), [
    *(("terminate", kind) for kind in ("t:w", "h:w", "w:1:w", "c:w", "o:archive", "x:PENDING", "topics", "i:TERMINATED")),
    *(("poll", kind) for kind in ("t:w", "h:w", "w:1:w", "c:w", "c:", "q:t", "z", "head"))])
def test_a_key_of_the_wrong_type(k: Kernel, act: str, kind: str) -> None:
    """Somebody wrote over a key: it is told, and not one other key has changed."""
    assert isinstance(k.store, RedisStore)
    key = k.store.prefixes[0] + kind
    k.store.link.call(key, "DEL", key)
    k.store.link.call(key, "SET", key, "x")
    before = everything(k)
    with pytest.raises(kernel.StoreCorrupt):
        ACTS[act](k)
    assert everything(k) == before


def test_a_task_that_is_gone(k: Kernel, store: RedisStore) -> None:
    """A cascade that does not find all that it has to move does nothing."""
    key = f"{store.prefixes[0]}w:1:w"
    store.link.call(key, "HDEL", key, "3")
    before = everything(k)
    with pytest.raises(kernel.StoreCorrupt, match="lacks task 3"):
        k.terminate("w")
    assert everything(k) == before


def test_a_full_server(own: Server) -> None:
    """Nothing is applied, reads still work, and with more memory it goes on."""
    k = kernel.open(own.url)
    k.register(ORDER)
    k.start("order", workflow_id="w")
    own.client().config_set("maxmemory", "1mb")
    with pytest.raises(kernel.StoreFull, match="nothing was applied"):
        k.terminate("w")
    with pytest.raises(kernel.StoreFull):
        k.start("order", workflow_id="v")
    assert (k.get("w").state, k.tick(), k.audit().clean) == ("RUNNING", kernel.Ticked(), True)
    own.client().config_set("maxmemory", "0")
    assert k.terminate("w").canceled == 6
    k.close()


def test_scripts_that_the_server_forgot(k: Kernel) -> None:
    """They are sent again; what they do is done once."""
    server().client().script_flush()
    assert k.terminate("w").canceled == 6
    server().client().script_flush()
    assert k.get("w").state == "TERMINATED"


def test_a_server_that_was_killed_and_came_back(own: Server) -> None:
    """What was acknowledged is there; the connections that broke are made anew."""
    k = kernel.open(own.url)
    k.register(ORDER)
    k.start("order", workflow_id="w")
    k.terminate("w")
    own.kill()
    own.start()
    assert k.get("w").state == "TERMINATED"
    k.start("order", workflow_id="v")
    assert k.audit().clean
    k.close()


def test_connections_that_broke_are_not_in_use(own: Server) -> None:
    """A server that comes back again and again is reached through as few connections as before."""
    with kernel.open(f"{own.url}?max_connections=2") as k:
        k.register(ORDER)
        for number in range(3):
            k.start("order", workflow_id=f"w{number}")
            own.kill()
            own.start()
        assert [w.id for w in k.find().items] == ["w0", "w1", "w2"]


def test_closing_lets_a_commit_under_way_end(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every other store does: what is in use is closed when it is done, and nobody has to ask for its outcome."""
    mine = RedisStore(f"{server().url}?namespace={store.address.namespace}")
    exchange = mine.link._exchange

    def meanwhile(*given: Any) -> Any:
        sent = Line.send

        def send(line: Line, *commands: tuple[Any, ...]) -> None:
            sent(line, *commands)
            mine.close()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Line, "send", send)
            return exchange(*given)

    k = Kernel(mine)
    k.register(ORDER)
    k.start("order", workflow_id="v")
    monkeypatch.setattr(mine.link, "_exchange", meanwhile)
    assert k.start("order", workflow_id="w").state == "RUNNING"
    assert not any(mine.link._idle.values())
    assert Kernel(store).get("w").state == "RUNNING"


def is_free(client: redis.Redis) -> bool:
    """Whether the server answers."""
    try:
        return bool(client.ping())
    except redis.ResponseError:
        return False


class Proxy:
    """Stands between the driver and the server, and cuts the connection at the next commit: before it arrives, or after."""

    def __init__(self, port: int) -> None:
        self.listener, self.port = socket.create_server(("127.0.0.1", 0)), port
        self.cut = ""
        self.fired = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                threading.Thread(target=self._carry, args=(client, far), daemon=True).start()

    def _carry(self, client: socket.socket, far: socket.socket) -> None:
        """One question and its answer at a time, as the driver asks."""
        with suppress(OSError), client, far:
            while data := client.recv(1 << 20):
                commits = b"TERMINATE" in data and b"EVAL" in data
                if commits and self.cut == "before":
                    self.cut, self.fired = "", self.fired + 1
                    return
                far.sendall(data)
                answer = far.recv(1 << 20)
                if commits and self.cut == "after" and not answer.startswith(b"-NOSCRIPT"):
                    self.cut, self.fired = "", self.fired + 1
                    return
                client.sendall(answer)


@contextmanager
def through_a_proxy(namespace: str) -> Iterator[tuple[Proxy, Kernel]]:
    """A kernel behind a proxy."""
    proxy = Proxy(server().port)
    k = kernel.open(f"{proxy.url}?namespace={namespace}", clock=ManualClock())
    yield proxy, k
    k.close()
    proxy.listener.close()


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_connection_that_is_cut(k: Kernel, cut: str, named: bool) -> None:
    """Before the commit arrived and after it was done look alike: CommitUnknown. Its outcome tells; its id applies once."""
    assert isinstance(k.store, RedisStore)
    with through_a_proxy(k.store.address.namespace) as (proxy, far):
        far.get("w")
        proxy.cut = cut
        with pytest.raises(kernel.CommitUnknown) as caught:
            far.terminate("w", **(Options(command_id="end") if named else Options()))
        assert proxy.fired == 1
        assert caught.value.workflow_id == "w"
        if named and cut == "after":
            assert far.terminate("w", command_id="end").canceled == 6
        found = k.outcome(caught.value.command_id, workflow_id="w")
        assert isinstance(found, kernel.Applied if cut == "after" else kernel.NotApplied)
    assert k.get("w").state == ("TERMINATED" if cut == "after" else "RUNNING")
    assert len(k.deliveries()) == (1 if cut == "after" else 0)
    assert k.audit().clean


def test_a_slow_script_of_somebody_else(own: Server) -> None:
    """It blocks the server: nothing was applied, and it is told why."""
    k = kernel.open(own.url)
    k.register(ORDER)
    client = own.client()
    client.config_set("busy-reply-threshold", "1")

    def block() -> None:
        with suppress(redis.ResponseError):
            client.eval("while true do end", 0)

    thread = threading.Thread(target=block)
    thread.start()
    other = own.client()
    while is_free(other):
        pass
    with pytest.raises(kernel.StoreUnavailable, match="nothing was applied"):
        k.start("order", workflow_id="w")
    other.script_kill()
    thread.join()
    assert k.start("order", workflow_id="w").state == "RUNNING"
    k.close()


def test_an_index_that_lost_an_entry_is_found(k: Kernel) -> None:
    """A task that no worker would find, a deadline that nobody would see, a delivery that no relay would claim."""
    assert isinstance(k.store, RedisStore)
    k.register(kernel.WorkflowDef("timed", timeout=5.0, tasks=[kernel.TaskDef("a", type="u")]))
    k.start("timed", workflow_id="v")
    k.terminate("w")
    for key in (f"{k.store.prefixes[0]}{kind}" for kind in ("q:u", "z", "o:archive")):
        k.store.link.call(key, "DEL", key)
    assert {(f.workflow_id, f.subject) for f in k.audit().findings} == {("v", "a"), ("v", ""), ("w", "archive")}


def test_a_row_that_cannot_be_read(k: Kernel) -> None:
    """Damage of a tree is told, and the others are still looked at."""
    assert isinstance(k.store, RedisStore)
    key = f"{k.store.prefixes[0]}w:1:w"
    k.store.link.call(key, "HSET", key, "0", "nonsense")
    assert [(f.invariant, f.workflow_id) for f in k.audit().findings] == [("STORE", "w")]
    with pytest.raises(kernel.StoreCorrupt):
        k.commit(k.command("SKIP", Subject("w", 0)))


@pytest.mark.parametrize(("command", "asked", "said"), [
    (("LSET", "h:w", 1, "nonsense"), "history", "line 2 of a history: it cannot be read"),
    (("HSET", "t:w", "fw\0001", "nonsense"), "get", "workflow 'w': it cannot be read"),
    (("HDEL", "t:w", "nw\0001"), "get", "workflow 'w': its counters are gone"),
    (("HSET", "w:1:w", "darchive", "nonsense"), "deliveries", "delivery 'archive' of workflow 'w': it cannot be read"),
    (("DEL", "definitions"), "get", ": it is gone"),
    (("DEL", "t:w"), "", "tree 'w': its row is gone"),
    (("ZREM", "trees", "w"), "", "its tree is not found where all trees are listed"),
])
def test_damage_is_told_by_its_name(store: RedisStore, command: tuple[Any, ...], asked: str, said: str) -> None:
    """Who reads it gets StoreCorrupt; audit and verify say where it is, and look at the other trees."""
    k = Kernel(store)
    k.register(attrs.evolve(ORDER, notify=("RUNNING",)))
    k.start("order", workflow_id="v")
    k.start("order", workflow_id="w")
    k.terminate("w")
    name, key, *rest = command
    store.link.call(store.prefixes[0] + key, name, store.prefixes[0] + key, *rest)
    with closing(RedisStore(f"{server().url}?namespace={store.address.namespace}")) as other:
        found = Kernel(other)
        assert said in "\n".join(each.text for each in found.audit().findings)
        if asked:
            with pytest.raises(kernel.StoreCorrupt):
                getattr(found, asked)(**({} if asked == "deliveries" else {"workflow_id": "w"}))
        if name != "ZREM":
            assert "w" in {misstep.root for misstep in found.verify().missteps}
            assert found.verify().trees == 2


def test_a_notice_is_named_by_the_version_of_its_commit(store: RedisStore) -> None:
    """Whoever expected another version is stopped, although nothing else that it read has changed."""
    k = Kernel(store, clock=ManualClock())
    k.register(attrs.evolve(ORDER, notify=("PAUSED",)))
    k.start("order", workflow_id="w")
    (lease,) = k.poll("t")

    def pause() -> None:
        with store.transaction(write=True) as transaction:
            k.apply(transaction, k.command("PAUSE", Subject("w")))
            k.complete(lease)

    with pytest.raises(Overtaken, match="t:w version"):
        pause()
    k.pause("w")
    assert [delivery.id for delivery in k.deliveries()] == ["w#1:notify@3.PAUSED"]
    assert k.audit().clean


@pytest.mark.parametrize(("text", "after"), [
    ('["RUNNING","17","",0]', '["RUNNING","19","",0]'), ("SCHEDULED|17|1", "SCHEDULED|19|1"),
    ('["RUNNING","5","17"]', '["RUNNING","5","17"]'), ("COMPLETED|5|0|17", "COMPLETED|5|0|17"), ("3,17", "3,17"), (None, None),
])
def test_only_the_time_of_the_change_is_put_off(text: str | None, after: str | None) -> None:
    """A row that was written at a later time is remembered as the script wrote it; the same digits elsewhere stay."""
    assert changed_at(text, "17", "19") == after
