"""The Redis store on a real Cluster of six nodes: partitions, slots that move, and a primary that dies."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.cluster import ClusterNode
from redis.crc import key_slot

import kernel
from kernel.engine.kernel import Kernel
from kernel.stores.redis import RedisStore
from kernel.testing.conformance import CHECKS, Check
from kernel.testing.redis_stores import RedisStores
from tests.drift.test_readme import first_example
from tests.model.budget import EXAMPLES, SEEDS, STEPS, run_machine
from tests.redis_server import Server, cluster, needs_redis, server
from tests.zoo.house import EXHIBITS
from tests.zoo.stand import on_stage

pytestmark = [pytest.mark.slow, needs_redis]
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("part", workflow="part"), kernel.TaskDef("ship", after=["pick"])])
PART = kernel.WorkflowDef("part", topics=("archive",), tasks=[kernel.TaskDef("make")])
TYPES = ("pick", "make", "ship")


@pytest.fixture
def store() -> Iterator[RedisStore]:
    """An empty store of 16 partitions."""
    stores = RedisStores(cluster().url)
    found = stores.open()
    assert isinstance(found, RedisStore)
    yield found
    stores.remove(found)


def node_of(store: RedisStore, root: str) -> Server:
    """The primary that keeps a tree."""
    slot = key_slot(store.prefixes[store.partition(root)].encode())
    store.link.cluster.nodes_manager.initialize()
    port = store.link.cluster.nodes_manager.get_node_from_slot(slot).port
    return next(node for node in cluster().nodes if node.port == port)


def told(node: Server, *command: Any) -> Any:
    """What a node answers."""
    client: Any = node.client()
    return client.execute_command(*command)


def test_one_node_of_it_is_no_store() -> None:
    """A URL of a single server is told to be one of a cluster; and the other way round."""
    with pytest.raises(kernel.InvalidInput, match=r"redis\+cluster://"):
        kernel.open(cluster().nodes[0].url)
    with pytest.raises(kernel.StoreUnavailable, match="Cluster mode is not enabled"):
        kernel.open(server().url.replace("redis://", "redis+cluster://"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_conforms(check: Check) -> None:
    """What every store is held to, in one partition: memory is compared with."""
    check(RedisStores(f"{cluster().url}?partitions=1"))


def test_histories_with_faults_break_no_promise() -> None:
    """The stateful machine, in one partition: of a cluster's partitions a poll asks one after the other."""
    stores = RedisStores(f"{cluster().url}?partitions=1")
    assert run_machine(stores, SEEDS[2]).steps > EXAMPLES["redis"] * STEPS


def test_the_zoo_is_safe_here() -> None:
    """No real bug of a real engine, with the trees of each spread over several slots."""
    for exhibit in EXHIBITS:
        with on_stage(RedisStores(f"{cluster().url}?partitions=4")) as stage:
            exhibit.scenario(stage)


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    """The first example prints the same on a cluster."""
    url = f"{cluster().url}?namespace=example"
    assert first_example(url, tmp_path / "cluster") == first_example("sqlite:///orders.db", tmp_path / "file")


def test_trees_are_spread(store: RedisStore) -> None:
    """Over all primaries; polls, deliveries, pages and outcomes find them wherever they are, and each command applies once."""
    k = Kernel(store)
    k.register(ORDER, PART)
    names = sorted(f"w{number}" for number in range(30))
    for name in names:
        k.start("order", workflow_id=name)
    assert len({node_of(store, name).port for name in names}) == 3
    assert [w.id for w in k.find(limit=100).items if w.parent is None] == names
    number = 0
    for type in TYPES:
        while leases := k.poll(type, limit=4, command_id=f"p{number}"):
            assert k.poll(type, limit=4, command_id=f"p{number}") == leases
            number += 1
            for lease in leases:
                k.complete(lease)
    assert {w.state for w in k.find(limit=100).items} == {"COMPLETED"}
    assert isinstance(k.outcome("p3"), kernel.Applied)
    assert isinstance(k.outcome("p999"), kernel.NotApplied)
    assert (k.backlog().pending, len(k.deliveries(limit=100)), k.audit()) == (60, 60, kernel.Report((), 60, 120, 60))


def test_a_slot_that_moves(store: RedisStore) -> None:
    """Half of a tree's keys are on another node, where a script would have to have all: nothing is applied until they are
    together again, and then it goes on there.
    """
    k = Kernel(store)
    k.register(ORDER, PART)
    k.start("order", workflow_id="w")
    prefix = store.prefixes[store.partition("w")]
    slot, source = key_slot(prefix.encode()), node_of(store, "w")
    target = next(node for node in cluster().nodes
                  if node is not source and node.client().info("replication")["role"] == "master")
    ids = {node: told(node, "CLUSTER MYID") for node in (source, target)}
    told(target, "CLUSTER SETSLOT", slot, "IMPORTING", ids[source])
    told(source, "CLUSTER SETSLOT", slot, "MIGRATING", ids[target])
    keys = [key for key in store.all_keys() if key.startswith(prefix)]
    move = ("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS")
    told(source, *move, *keys[::2])
    store.link.patience = 0.3
    with pytest.raises(kernel.StoreUnavailable, match="nothing was applied"):
        k.terminate("w")
    store.link.patience = 10.0
    told(source, *move, *keys[1::2])
    for node in (target, source):
        told(node, "CLUSTER SETSLOT", slot, "NODE", ids[target])
    assert k.terminate("w").ended == 2
    assert store.link.cluster.nodes_manager.get_node_from_slot(slot).port == target.port, "it was not learned"
    assert k.audit().clean


def test_a_cluster_of_which_no_node_answers(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said in the words of every store, and it goes on when they are back."""
    def gone(*_: Any) -> Any:
        raise ConnectionRefusedError

    manager = store.link.cluster.nodes_manager
    store.link.patience = 0.01
    with monkeypatch.context() as patch:
        patch.setattr(store.link, "_pool", gone)
        patch.setattr(manager, "startup_nodes", {"": ClusterNode("127.0.0.1", 1)})  # type: ignore[no-untyped-call]
        with pytest.raises(kernel.StoreUnavailable, match="nothing was applied"):
            Kernel(store).find()
    assert Kernel(store).find().items == ()


def test_a_primary_that_dies(store: RedisStore) -> None:
    """Under load a primary is killed and its replica takes over: each tree is whole, and work goes on. What was acknowledged
    and not yet replicated may be lost, as it is made to be here: the tree stands as it stood before, and asked for the outcome
    of the command the store says that it was not applied.
    """
    k = Kernel(store)
    k.register(ORDER, PART)
    k.start("order", workflow_id="lost")
    dying = node_of(store, "lost")
    began: list[str] = []
    over = threading.Event()

    def load(name: str) -> None:
        number = 0
        while not over.is_set():
            number += 1
            with suppress(kernel.StoreError, kernel.Conflict, kernel.Refused, kernel.NotFound):
                k.start("order", workflow_id=f"{name}-{number}")
                began.append(f"{name}-{number}")
                for lease in [*k.poll("pick", worker=name), *k.poll("make", worker=name)]:
                    k.complete(lease)

    threads = [threading.Thread(target=load, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    try:
        cluster().wait(lambda: len(began) > 20)
        with cut_off(dying):
            assert k.terminate("lost", command_id="end").ended >= 1
            dying.kill()
        before = len(began)
        cluster().wait(lambda: is_served(store, "lost", dying))
        cluster().wait(lambda: len(began) > before + 20)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert k.get("lost").state == "RUNNING"
    assert isinstance(k.outcome("end", workflow_id="lost"), kernel.NotApplied)
    assert k.terminate("lost", command_id="again").ended >= 1
    found = {w.id for w in k.find(limit=100_000).items}
    lost = [name for name in began if name not in found]
    assert set(lost) <= set(began[:before]), "lost after the failover"
    assert k.audit().clean
    dying.start()
    cluster().wait(lambda: dying.client().info("replication").get("master_link_status") == "up")


@contextmanager
def cut_off(primary: Server) -> Iterator[None]:
    """Its replica gets nothing more of it, for a moment."""
    port = primary.client().info("replication")["slave0"]["port"]
    replica = next(node for node in cluster().nodes if node.port == port)
    replica.signal(signal.SIGSTOP)
    try:
        primary.client().execute_command("CLIENT", "KILL", "TYPE", "replica")  # type: ignore[no-untyped-call]
        yield
    finally:
        replica.signal(signal.SIGCONT)


def is_served(store: RedisStore, root: str, dead: Server) -> bool:
    """Whether another node has taken over the slot of a tree."""
    with suppress(StopIteration):
        return node_of(store, root) is not dead
    return False
