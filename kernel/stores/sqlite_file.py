"""The file of a SQLite store: where it is, how it is made, and when nobody can be writing it."""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import parse_qs, quote

import apsw

from kernel.errors import InvalidInput, StoreUnavailable, UnsafeStore, quoted

SAFE_SQLITE = (3_051_003, 3_050_007, 3_044_006)
"""The first versions without the WAL-reset bug: the last two are back-ports, for 3.50 and 3.44 only."""


class Seal(NamedTuple):
    """What a file is as long as nobody writes it."""

    inode: int
    size: int
    changed: int
    """In nanoseconds."""


def located(path: str) -> tuple[str, bool]:
    """The absolute path that `path` names, and whether it is to be read only. Raises InvalidInput."""
    name, _, query = path.partition("?")
    try:
        os.fsencode(name).decode()
        options = parse_qs(query, strict_parsing=True) if query else {}
    except ValueError:
        options = {"": []}
    if name == ":memory:":
        raise InvalidInput(f"the store {quoted(path)}", why="a SQLite store is a file", hint="memory:// keeps all in memory")
    if not name or "\0" in name or options not in ({}, {"mode": ["ro"]}):
        raise InvalidInput(f"the store {quoted(path)}", why="it is not a path, with ?mode=ro or nothing behind it",
                           hint="sqlite:///orders.db, or sqlite:///orders.db?mode=ro")
    return os.path.abspath(name), bool(options)


def seal_of(path: str) -> Seal | None:
    """Of a file that a reader must take as it is: it has no log, and in its folder none can be made; None for any other.

    A reader of a file in WAL mode needs a file for shared memory beside it, which it cannot make on a read-only disk.
    """
    try:
        if os.access(os.path.dirname(path), os.W_OK) or os.path.exists(f"{path}-wal"):
            return None
        found = os.stat(path)
    except OSError:
        return None
    return Seal(found.st_ino, found.st_size, found.st_mtime_ns)


def sealed_name(path: str) -> str:
    """The name under which SQLite reads a file without locks and without another file beside it."""
    return f"file:{quote(path)}?immutable=1"


def check_version() -> None:
    """Raise UnsafeStore for a SQLite with the WAL-reset bug."""
    version = apsw.SQLITE_VERSION_NUMBER
    minor = version // 1000
    if version < SAFE_SQLITE[0] and not any(minor == safe // 1000 and version >= safe for safe in SAFE_SQLITE[1:]):
        raise UnsafeStore("opening a SQLite store", stands=f"this apsw holds SQLite {apsw.sqlite_lib_version()}",
                          why="it has the WAL-reset corruption bug", hint="pip install --upgrade apsw")


def create(path: str) -> None:
    """Make the file, readable by its owner only, and sync its folder, so that no later commit depends on that."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"creating {quoted(path)}", why=error.strerror or str(error),
                               hint="does the folder exist, and may this user write there?") from error
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
