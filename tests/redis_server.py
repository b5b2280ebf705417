"""A Redis server of the tests' own: on a free loopback port, in a temporary folder, stopped by its process."""

from __future__ import annotations

import atexit
import functools
import itertools
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
import redis

NEEDED = "needs the program redis-server: install Debian's redis-server"
PATIENCE = 20.0
"""Seconds that a server has to answer."""
_names = itertools.count()


class Server:
    """One process of redis-server. Its log is `redis.log` in its folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        """`options` go to the server, as on its command line; by default it keeps a log that it does not force to the disk."""
        self.folder, self.options = folder, options or ("--appendonly", "yes", "--appendfsync", "no")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, with what is in its folder, and wait until it answers."""
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", "",
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
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(0.01)

    def client(self) -> redis.Redis:
        """A client of the driver, for what only a test does."""
        return redis.Redis("127.0.0.1", self.port, decode_responses=True, protocol=2)

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

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


@functools.cache
def is_there() -> bool:
    """Whether the program is installed."""
    return shutil.which("redis-server") is not None


@functools.cache
def server() -> Server:
    """The server that the tests of this process share; each store has a namespace of its own in it."""
    if not is_there():
        pytest.skip(NEEDED)
    folder = Path(tempfile.mkdtemp(prefix="kernel-redis-"))
    found = Server(folder)

    def stop() -> None:
        found.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return found
