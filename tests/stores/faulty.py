"""A file system that fails at the operation it is told to: a VFS around SQLite's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import apsw
import pytest

Meet = Callable[[str, str], None]
"""Called before an operation with its name and the end of the file's name ("db", "-wal", "-shm"); may raise."""


def failure(code: int) -> apsw.Error:
    """An error that the operating system gave SQLite."""
    error = apsw.exception_for(code)
    assert isinstance(error, apsw.Error)
    return error


class FaultyFile(apsw.VFSFile):
    """One file."""

    def __init__(self, vfs: FaultyVfs, name: Any, flags: list[int]) -> None:
        self.vfs, self.end = vfs, "-wal" if str_of(name).endswith("-wal") else "db"
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        """Write."""
        self.vfs.meet("write", self.end)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        """Sync."""
        self.vfs.meet("sync", self.end)
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802
        """Truncate."""
        self.vfs.meet("truncate", self.end)
        super().xTruncate(size)


class FaultyVfs(apsw.VFS):
    """Files whose writes, syncs and truncations pass `meet`; `flags` may change how a file is opened."""

    def __init__(self) -> None:
        self.meet: Meet = lambda operation, end: None
        self.met: list[str] = []
        super().__init__("faulty", "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        """Open."""
        return FaultyFile(self, name, flags)


def str_of(name: Any) -> str:
    """The path in either form of a name."""
    return str(name.filename()) if isinstance(name, apsw.URIFilename) else str(name)


@contextmanager
def faulty(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyVfs]:
    """Stores that are opened in this context use the file system that fails."""
    vfs = FaultyVfs()
    with monkeypatch.context() as patch:
        patch.setattr(apsw, "Connection", partial(apsw.Connection, vfs="faulty"))
        yield vfs
    vfs.unregister()


class Fails:
    """Counts operations (only those of a name, if given); number `at` (from 0) fails with `code`, with `dead` the rest, too."""

    def __init__(self, at: int, code: int, *, only: str = "", dead: bool = False) -> None:
        self.at, self.code, self.only, self.dead = at, code, only, dead
        self.met: list[str] = []
        self.fired: list[str] = []

    def __call__(self, operation: str, end: str) -> None:
        if not operation.startswith(self.only):
            return
        number, name = len(self.met), f"{operation} {end}"
        self.met.append(name)
        if number == self.at or (self.dead and number > self.at):
            self.fired.append(name)
            raise failure(self.code)
