"""A Redis server of the tests' own: on a free loopback port, in a temporary folder, stopped by its process."""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis

PROGRAM = os.environ.get("REDIS_SERVER", "redis-server")
"""The server: another one, for example valkey-server, is tried with REDIS_SERVER=valkey-server make test."""
NEEDED = f"needs the program {PROGRAM}: install Debian's redis-server"
needs_redis = pytest.mark.skipif(shutil.which(PROGRAM) is None, reason=NEEDED)
PATIENCE = 20.0
"""Seconds that a server has to answer."""
_names = itertools.count()


class Server:
    """One process of redis-server. Its log is `redis.log` in its folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`options` go to the server, as on its command line; by default it keeps a log that it does not force to the disk."""
        self.folder, self.options = folder, options or ("--appendonly", "yes", "--appendfsync", "no")
        self.process: subprocess.Popen[bytes] | None = None
        for left in reversed(range(5)):
            self.port = free_port()
            try:
                self.start()
            except redis.ConnectionError:  # somebody took the port, or the one that a cluster adds, in the same moment
                if not left:
                    raise
            else:
                break

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what is in its folder, and wait until it answers."""
        self.process = subprocess.Popen(
            [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
             "--logfile", str(self.folder / "redis.log"), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.client().ping()
                return
            except redis.ConnectionError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                threading.Event().wait(0.01)

    def client(self) -> redis.Redis:
        """A client of the driver, for what only a test does."""
        return redis.Redis("127.0.0.1", self.port, decode_responses=True, protocol=2)

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def new_url(self) -> str:
        """The address of a store that is not there yet."""
        return f"{self.url}?namespace=t{next(_names)}"


def free_port() -> int:
    """A port of the loopback interface that nobody uses now; of the lower ones, to which a cluster adds 10000."""
    with socket.socket() as free:
        for port in range(20000 + time.time_ns() // 1000 % 20000, 60000):
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Cluster:
    """Three primaries, each with a replica, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.nodes: list[Server] = []
        try:
            self._make(folder)
        except BaseException:
            self.kill()
            raise

    def _make(self, folder: Path) -> None:
        for number in range(6):
            place = folder / str(number)
            place.mkdir()
            self.nodes.append(Server(
                place, "--appendonly", "yes", "--appendfsync", "no", "--cluster-enabled", "yes",
                "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"))
        subprocess.run(
            ["redis-cli", "--cluster", "create", *(f"127.0.0.1:{node.port}" for node in self.nodes), "--cluster-replicas", "1",
             "--cluster-yes"], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
        self.wait(lambda: all(self._is_whole(node) for node in self.nodes))

    @property
    def url(self) -> str:
        """Its address, by one of its nodes."""
        return f"redis+cluster://127.0.0.1:{self.nodes[0].port}"

    def _is_whole(self, node: Server) -> bool:
        client: Any = node.client()
        nodes: dict[str, Any] = client.execute_command("CLUSTER NODES")
        info: dict[str, str] = client.execute_command("CLUSTER INFO")
        told = client.info("replication")
        linked = told["role"] == "master" or told.get("master_link_status") == "up"
        replicas = sum("slave" in each["flags"] for each in nodes.values())
        return info["cluster_state"] == "ok" and replicas == 3 and linked

    def wait(self, come: Callable[[], bool]) -> None:
        """Wait until it is so."""
        deadline = time.monotonic() + PATIENCE
        while not come():
            assert time.monotonic() < deadline, "the cluster did not come to it"
            threading.Event().wait(0.05)

    def kill(self) -> None:
        """End all of it."""
        for node in self.nodes:
            node.kill()


Shared = TypeVar("Shared", Server, Cluster)


def _shared(make: Callable[[Path], Shared]) -> Shared:
    """What is started once, and stopped with this process."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(NEEDED)
    folder = Path(tempfile.mkdtemp(prefix="kernel-redis-"))
    found = make(folder)

    def stop() -> None:
        found.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return found


@functools.cache
def server() -> Server:
    """The server that the tests of this process share; each store has a namespace of its own in it."""
    return _shared(Server)


@functools.cache
def cluster() -> Cluster:
    """The cluster that the tests of this process share."""
    return _shared(Cluster)
