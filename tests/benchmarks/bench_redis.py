"""Redis against bare scripts, on one server, slice by slice in one run; and what a large tree costs others."""

from __future__ import annotations

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import redis

import kernel
from kernel.stores.redis import LARGEST_TREE, WORKFLOW_TASKS
from tests.redis_server import Server, cluster, needs_redis

pytestmark = [pytest.mark.bench, needs_redis]
START = """redis.call('HSET', KEYS[1], 's', 'RUNNING', 'o', 3, 't0', 'SCHEDULED', 't1', 'SCHEDULED', 't2', 'SCHEDULED')
redis.call('XADD', KEYS[2], '*', 'e', 'start') return 1"""
POLL = """if redis.call('HGET', KEYS[1], ARGV[1]) ~= 'SCHEDULED' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], 'IN_PROGRESS') redis.call('XADD', KEYS[2], '*', 'e', 'poll') return 1"""
DONE = """if redis.call('HGET', KEYS[1], ARGV[1]) ~= 'IN_PROGRESS' then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], 'COMPLETED') redis.call('XADD', KEYS[2], '*', 'e', 'done')
if redis.call('HINCRBY', KEYS[1], 'o', -1) == 0 then
  redis.call('HSET', KEYS[1], 's', 'COMPLETED') redis.call('XADD', KEYS[3], '*', 'w', KEYS[1])
end return 1"""
SLICES, LIVES = 21, 16
"""Slices of a run, and what each client lives in one."""
CLIENTS = 8
Work = Callable[[int, str], None]


@pytest.fixture(params=["always", "everysec"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of its own on a disk, to which its log is forced so often."""
    with TemporaryDirectory(prefix="bench-", dir="/var/tmp") as folder:
        found = Server(Path(folder), "--appendonly", "yes", "--appendfsync", request.param)
        yield found
        found.kill()


def bare(url: str) -> Work:
    """The bare kernel: one script a transition, seven a workflow; in a cluster each with its own log and outbox."""
    client: Any = redis.Redis.from_url(url) if url.startswith("redis://") else redis.RedisCluster.from_url(
        url.replace("redis+cluster", "redis"))
    start, poll, done = (client.script_load(text) for text in (START, POLL, DONE))

    def work(lives: int, name: str) -> None:
        for number in range(lives):
            key, log, outbox = (f"{{{number % 16}}}{kind}" for kind in (f"w{name}-{number}", "ev", "outbox"))
            client.evalsha(start, 2, key, log)
            for no in range(3):
                client.evalsha(poll, 2, key, log, f"t{no}")
                client.evalsha(done, 3, key, log, outbox, f"t{no}")

    return work


def three(queue: int) -> kernel.WorkflowDef:
    """Three tasks, for workers of their own."""
    return kernel.WorkflowDef(f"three{queue}", tasks=[kernel.TaskDef(f"t{no}", type=f"t{queue}") for no in range(3)])


def ours(k: kernel.Kernel, queue: int) -> Work:
    """The same through the kernel, which looks for its tasks in a queue."""
    def work(lives: int, name: str) -> None:
        for number in range(lives):
            k.start(f"three{queue}", workflow_id=f"w{name}-{number}")
            left = 3
            while left:
                for lease in k.poll(f"t{queue}", worker=name):
                    k.complete(lease)
                    left -= 1

    return work


class Clients:
    """So many at work together: threads that share what they use, or processes, each with connections of its own; each with
    workers of its own, as the bare ones are, which never meet, or all at one queue.
    """

    def __init__(self, url: str, number: int, *, processes: bool, own: bool) -> None:
        self.number, self._ends, self._running = number, list[Any](), list[Any]()
        if not processes:
            self._kernel = kernel.open(url)
            self._works = {"bare": [bare(url.partition("?")[0]) for _ in range(number)],
                           "ours": [ours(self._kernel, queue if own else 0) for queue in range(number)]}
            return
        spawn = multiprocessing.get_context("spawn")
        for queue in range(number):
            end, other = spawn.Pipe()
            self._ends.append(end)
            self._running.append(spawn.Process(target=serve, args=(url, queue if own else 0, other)))
            self._running[-1].start()
        for end in self._ends:
            end.recv()

    def seconds(self, subject: str, lives: int, name: str) -> float:
        """How long they take for so many workflows each."""
        begun = time.perf_counter()
        if self._ends:
            for number, end in enumerate(self._ends):
                end.send((subject, lives, f"{name}.{number}"))
            for end in self._ends:
                end.recv()
        else:
            threads = [threading.Thread(target=work, args=(lives, f"{name}.{number}"))
                       for number, work in enumerate(self._works[subject])]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return time.perf_counter() - begun

    def close(self) -> None:
        """Send them home."""
        for end in self._ends:
            end.send(None)
        for process in self._running:
            process.join()
        if not self._ends:
            self._kernel.close()


def serve(url: str, queue: int, end: Any) -> None:
    """What a process of its own does."""
    with kernel.open(url) as k:
        works = {"bare": bare(url.partition("?")[0]), "ours": ours(k, queue)}
        end.send("ready")
        while (asked := end.recv()) is not None:
            subject, lives, name = asked
            works[subject](lives, name)
            end.send("done")


def compared(url: str, clients: int, *, processes: bool, own: bool) -> str:
    """Our rate as a multiple of the bare one: the median of the slices, and the spread of the middle eight tenths."""
    with kernel.open(url) as k:
        k.register(*map(three, range(clients)))
    at_work = Clients(url, clients, processes=processes, own=own)
    try:
        found, rates = [], []
        for number in range(-1, SLICES):
            base = at_work.seconds("bare", LIVES, f"b{number}")
            took = at_work.seconds("ours", LIVES, f"o{number}")
            found.append(base / took)
            rates.append(LIVES * clients / took)
    finally:
        at_work.close()
    each = sorted(found[1:])
    return (f"{statistics.median(each):.2f} of bare Redis ({each[SLICES // 10]:.2f} to {each[-1 - SLICES // 10]:.2f}), "
            f"{statistics.median(rates[1:]):.0f} lives/s")


@pytest.mark.parametrize(("clients", "processes", "own"), [
    (1, False, True), (CLIENTS, False, True), (CLIENTS, False, False), (CLIENTS, True, True), (CLIENTS, True, False),
], ids=["1", "8 threads", "8 threads at one queue", "8 processes", "8 processes at one queue"])
def test_lifecycles(server: Server, clients: int, processes: bool, own: bool) -> None:
    """Workflows of three tasks, started, polled and completed: as a multiple of the bare scripts. The goal is at least 0.6, for
    one client, and for eight threads of one process, each with workers of its own.
    """
    told = compared(server.new_url(), clients, processes=processes, own=own)
    kind = f"{'processes' if processes else 'threads'}{'' if own else ' at one queue'}"
    print(f"\n{server.options[-1]}, {clients} {kind}: {told}")  # noqa: T201


@pytest.mark.parametrize(("clients", "processes"), [(1, False), (CLIENTS, True)], ids=["1", "8 processes"])
def test_lifecycles_in_a_cluster(clients: int, processes: bool) -> None:
    """The same on three primaries with a replica each, on one machine."""
    told = compared(f"{cluster().url}?namespace=b{clients}", clients, processes=processes, own=True)
    print(f"\ncluster, {clients} {'processes' if processes else 'threads'}: {told}")  # noqa: T201


@pytest.mark.parametrize("wide", [True, False])
def test_what_a_large_tree_costs_others(server: Server, wide: bool) -> None:
    """The processor time that the server takes for each command on a tree of the largest size: nobody else is served then."""
    def spent() -> float:
        told = server.client().info("cpu")
        return float((told["used_cpu_user_main_thread"] + told["used_cpu_sys_main_thread"]) * 1000)

    per, below = LARGEST_TREE if wide else 1, (LARGEST_TREE - WORKFLOW_TASKS) // (2 + WORKFLOW_TASKS)
    with kernel.open(server.new_url()) as k:
        tasks = [kernel.TaskDef(f"t{no}", type="t") for no in range(per)]
        subs = [kernel.TaskDef(f"s{no}", workflow="leaf") for no in range(below)]
        k.register(kernel.WorkflowDef("leaf", topics=("archive",), notify=("RUNNING", "TERMINATED"), tasks=tasks),
                   kernel.WorkflowDef("top", tasks=subs))
        took: dict[str, float] = {}
        for name, act in (("start", partial(k.start, "leaf" if wide else "top", workflow_id="w")),
                          ("pause", partial(k.pause, "w")), ("resume", partial(k.resume, "w")),
                          ("terminate", partial(k.terminate, "w")), ("retry", partial(k.retry, "w"))):
            before = spent()
            act()
            took[name] = spent() - before
        assert len(k.find(limit=LARGEST_TREE).items) == (1 if wide else 1 + below)
    print(f"\n{'one workflow' if wide else 'many workflows'}: " + ", ".join(  # noqa: T201
        f"{name} {ms:.0f} ms" for name, ms in took.items()))
    assert max(took.values()) < 250
