"""Redis against bare scripts, on one server, slice by slice in one run; and what a large tree costs others."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.stores.redis import LARGEST_TREE
from tests.redis_server import Server, needs_redis

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
SLICES, LIVES = 9, 48


@pytest.fixture(params=["always", "everysec"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of its own, with its log forced to the disk so often."""
    found = Server(tmp_path, "--appendonly", "yes", "--appendfsync", request.param)
    yield found
    found.kill()


def bare(server: Server, lives: int, name: str) -> None:
    """The bare kernel: one script a transition, seven a workflow."""
    client: Any = server.client()
    start, poll, done = (client.script_load(text) for text in (START, POLL, DONE))
    for number in range(lives):
        key = f"w{name}-{number}"
        client.evalsha(start, 2, key, "ev")
        for no in range(3):
            client.evalsha(poll, 2, key, "ev", f"t{no}")
            client.evalsha(done, 3, key, "ev", "outbox", f"t{no}")


def ours(k: kernel.Kernel, lives: int, name: str) -> None:
    """The same through the kernel, which looks for its tasks in a queue that all share."""
    for number in range(lives):
        k.start("three", workflow_id=f"w{name}-{number}")
        left = 3
        while left:
            for lease in k.poll("t", worker=name):
                k.complete(lease)
                left -= 1


def seconds(work: Callable[[int, str], None], clients: int, name: str) -> float:
    """How long so many clients take for a slice."""
    threads = [threading.Thread(target=work, args=(LIVES // clients, f"{name}.{number}")) for number in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begun


@pytest.mark.parametrize("clients", [1, 8])
def test_lifecycles(server: Server, clients: int) -> None:
    """Workflows of three tasks, started, polled and completed: as a multiple of the bare scripts."""
    with kernel.open(server.new_url()) as k:
        k.register(kernel.WorkflowDef("three", tasks=[kernel.TaskDef(f"t{no}", type="t") for no in range(3)]))
        found = []
        for number in range(SLICES):
            base = seconds(partial(bare, server), clients, f"b{number}")
            found.append(base / seconds(partial(ours, k), clients, f"o{number}"))
    print(f"\n{server.options[-1]}, {clients} clients: {statistics.median(found):.2f} of bare Redis "  # noqa: T201
          f"({min(found):.2f} to {max(found):.2f})")


@pytest.mark.parametrize("wide", [True, False])
def test_what_a_large_tree_costs_others(server: Server, wide: bool) -> None:
    """The processor time that the server takes for each command on a tree of the largest size: nobody else is served then."""
    def spent() -> float:
        told = server.client().info("cpu")
        return float((told["used_cpu_user_main_thread"] + told["used_cpu_sys_main_thread"]) * 1000)

    per = LARGEST_TREE if wide else 10
    with kernel.open(server.new_url()) as k:
        tasks = [kernel.TaskDef(f"t{no}", type="t") for no in range(per)]
        subs = [kernel.TaskDef(f"s{no}", workflow="leaf") for no in range(LARGEST_TREE // 11)]
        k.register(kernel.WorkflowDef("leaf", topics=("archive",), tasks=tasks), kernel.WorkflowDef("top", tasks=subs))
        took: dict[str, float] = {}
        for name, act in (("start", partial(k.start, "leaf" if wide else "top", workflow_id="w")),
                          ("pause", partial(k.pause, "w")), ("resume", partial(k.resume, "w")),
                          ("terminate", partial(k.terminate, "w")), ("retry", partial(k.retry, "w"))):
            before = spent()
            act()
            took[name] = spent() - before
    print(f"\n{'one workflow' if wide else 'many workflows'}: " + ", ".join(  # noqa: T201
        f"{name} {ms:.0f} ms" for name, ms in took.items()))
    assert max(took.values()) < 250
