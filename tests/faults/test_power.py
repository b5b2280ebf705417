"""A power cut: what is on the disk at that moment, and nothing else, is there afterwards. A real file system and real servers.

The disk is an image that a file system is mounted from. What programs wrote and did not force to the disk is not in the image
yet; a copy of it, mounted elsewhere, is the disk after the cut. Each store is also tried without forcing anything, so that it
is seen that this disk forgets.
"""

from __future__ import annotations

import copy
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from attrs import define, field

import kernel
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.errors import KernelError
from kernel.stores.postgres import PostgresStore
from kernel.stores.redis import RedisStore
from kernel.stores.sqlite import SqliteStore
from kernel.testing.servers import QUICK, PostgresServer, postgres_programs
from kernel.testing.stores import quick_folder
from tests.redis_server import Server, needs_redis
from tests.stores.stand import Rows, rows_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.may_skip(reason="mounting needs root")]
PART = kernel.WorkflowDef("part", topics=("archive",), tasks=[kernel.TaskDef("make")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("part", workflow="part")])
MEGABYTES = 160
PATIENCE = 30.0
"""Seconds until what is forced to the disk every second has to be there."""
SELDOM = 600
"""Seconds after which the file system writes what nobody forced it to."""


@define(eq=False)
class Disk:
    """A file system of its own, mounted from an image."""

    image: Path
    place: Path
    cuts: int = 0
    stack: ExitStack = field(factory=ExitStack)

    @contextmanager
    def mounted(self) -> Iterator[Path]:
        """Where it is."""
        self.place.mkdir()
        _run("mount", "-o", f"loop,commit={SELDOM}", str(self.image), str(self.place))
        try:
            self.place.chmod(0o755)
            yield self.place
        finally:
            _run("umount", "--lazy", str(self.place))

    def cut(self) -> Disk:
        """The disk as it would be if the power failed now."""
        self.cuts += 1
        image = self.image.with_name(f"cut{self.cuts}.img")
        _run("cp", "--sparse=always", str(self.image), str(image))
        return Disk(image, self.place.with_name(f"cut{self.cuts}"))


@contextmanager
def new_disk(folder: Path) -> Iterator[Disk]:
    """An empty one; skips where it cannot be mounted."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(MEGABYTES * 2**20)
    try:
        _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", str(image))
        disk = Disk(image, folder / "disk")
        with disk.mounted():
            pass
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a disk of our own needs root, mkfs.ext4 and a loop device")
    disk.place.rmdir()
    yield disk


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


Opening = Callable[[Path, ExitStack], Store]
"""Opens what is in a folder, be it empty, or as a power cut left it; ends with the stack what it has started."""


def sqlite(forced: bool) -> Opening:
    """A file of SQLite."""
    def opened(folder: Path, stack: ExitStack) -> Store:
        store = stack.enter_context(closing(SqliteStore(str(folder / "kernel.db"))))
        if not forced:
            with store.connection() as connection:
                connection.pragma("synchronous", "off")
        return store
    return opened


def postgres(forced: bool) -> Opening:
    """A server of PostgreSQL."""
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    made: list[PostgresServer] = []

    def opened(folder: Path, stack: ExitStack) -> Store:
        if made:
            server = copy.copy(made[0])
            server.folder = folder / "pg"
            for of_the_dead in (server.folder / "data" / "postmaster.pid", *server.folder.glob(".s.PGSQL*")):
                of_the_dead.unlink(missing_ok=True)
            server.start()
        else:
            (folder / "pg").mkdir()
            server = PostgresServer(folder / "pg", settings=() if forced else QUICK)
            made.append(server)
        stack.callback(server.stop, kill=True)
        return stack.enter_context(closing(PostgresStore(server.url(options="" if forced else "&unsafe=fsync"))))
    return opened


def redis(forced: bool) -> Opening:
    """A server of Redis."""
    return redis_forcing("always" if forced else "no")


def redis_forcing(often: str) -> Opening:
    """A server of Redis that forces its log to the disk so often."""
    def opened(folder: Path, stack: ExitStack) -> Store:
        server = Server(folder, "--appendonly", "yes", "--appendfsync", often)
        stack.callback(server.kill)
        return stack.enter_context(closing(RedisStore(server.url)))
    return opened


def story(k: Kernel) -> Iterator[str]:
    """Commands, each acknowledged when it is named."""
    k.register(PART, ORDER)
    k.start("order", workflow_id="w")
    yield "start"
    k.complete(*k.poll("pick"), output={"text": "x" * 5000})
    yield "complete"
    k.terminate("w")
    yield "terminate"


def left(disk: Disk, opening: Opening) -> Rows | None:
    """The rows that are there after a power cut now; None where nothing can be opened, or what is there is not sound."""
    after = disk.cut()
    with after.mounted() as folder, ExitStack() as stack:
        try:
            store = opening(folder, stack)
        except (KernelError, OSError):
            return None
        return rows_of(store) if Kernel(store).audit().clean else None


@pytest.mark.parametrize("forced", [True, False], ids=["forced", "not forced"])
@pytest.mark.parametrize("kind", [sqlite, postgres, pytest.param(redis, marks=needs_redis)])
def test_a_power_cut(kind: Callable[[bool], Opening], forced: bool) -> None:
    """After each command that was acknowledged all its rows are on the disk; where nothing is forced to it, they are not."""
    opening = kind(forced)
    with quick_folder() as folder, new_disk(folder) as disk:
        folder.chmod(0o755)
        with disk.mounted() as place, ExitStack() as stack:
            k = Kernel(opening(place, stack))
            _run("sync", "-f", str(place))  # what is made once has been there for long
            found = {what: left(disk, opening) == rows_of(k.store) for what in story(k)}
    assert set(found.values()) == {forced}, found


@needs_redis
def test_a_power_cut_with_everysec() -> None:
    """It takes the latest commits only, each as a whole; and before long nothing that was acknowledged."""
    opening = redis_forcing("everysec")
    with quick_folder() as folder, new_disk(folder) as disk, disk.mounted() as place, ExitStack() as stack:
        k = Kernel(opening(place, stack))
        k.register(PART, ORDER)
        _run("sync", "-f", str(place))
        moments = [rows_of(k.store)]
        for _ in story(k):
            moments.append(rows_of(k.store))
            assert left(disk, opening) in moments
        begun = time.monotonic()
        while left(disk, opening) != moments[-1]:
            assert time.monotonic() < begun + PATIENCE
