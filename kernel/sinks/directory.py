"""An archive that is a directory: one file per run of a workflow, or per notice, whole or not there, written once.

The document is streamed into a temporary file, synced, and given its name by a hard link, which fails when the name is
taken; then the directory is synced. So a reader never sees half a document and no file is ever overwritten. Files are
opened relative to a descriptor of the directory and never through a symbolic link. Needs a POSIX file system with hard
links.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest, sha256
from io import FileIO
from pathlib import Path
from secrets import token_hex
from time import time

from kernel.engine.sinks import Owes, Parcel

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
CHUNK = 1 << 16  # bytes
LONGEST_ID = 200  # encoded characters; with the run and the ending the name stays below the usual 255 bytes
KEPT_OF_LONG_ID = 100
STALE_AFTER = 3600.0  # seconds without a write, after which the writer of a temporary file is taken for dead

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])\Z")
_TEMPORARY = re.compile(r"\.kernel-[0-9a-f]{32}\.tmp\Z")


def file_name(workflow_id: str, run: int, version: int = 0, status: str = "") -> str:
    """The name of a run's document: `order-7.run1.json`; another for every other id and run, and always a plain name. That of
    a notice: `order-7.run1.v5-paused.json`.

    Every byte of the id but a-z, 0-9, _ and - is written as % and two hex digits: dots and slashes, so that no id
    leaves the directory, and capitals, because file systems may take A for a. So are a first - (an option to shell
    commands) and the first letter of a device name. A long id keeps its beginning and ends in ~ and its sha256, as
    does the empty one.
    """
    raw = workflow_id.encode("utf-8", "surrogatepass")
    parts = [chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in raw]
    if workflow_id.startswith("-") or _DEVICES.match(workflow_id):
        parts[0] = f"%{raw[0]:02x}"
    encoded = "".join(parts)
    if not 0 < len(encoded) <= LONGEST_ID:
        encoded = f"{encoded[:KEPT_OF_LONG_ID]}~{sha256(raw).hexdigest()}"
    return f"{encoded}.run{run:d}{f'.v{version:d}-{status.lower()}' if version else ''}.json"


class DirectoryArchive:
    """Keeps each document as one file, mode 0600, in the directory `path`, which is made with mode 0700 when missing.

    Owes a copy. A file that is there already counts as delivered when its bytes are equal; other bytes, or anything but
    a regular file, are an error and stay untouched. Nothing is done before the first delivery is due, so that a broken
    archive keeps no process from starting; while the directory cannot be made or written, no delivery is tried. The
    temporary files that dead writers left are removed once. A directory that exists is used with the mode it has. Its own
    errors are OSErrors.
    """

    owes: Owes = Owes.COPY

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()
        self._swept = False

    def __repr__(self) -> str:
        return f"DirectoryArchive({str(self.path)!r})"

    def check(self) -> None:
        """Raise what keeps every document out: the directory cannot be made, or no file in it."""
        self._make()
        with _opened(self.path) as folder:
            temporary = f".kernel-{token_hex(16)}.tmp"
            _write(folder, temporary, ())
            os.unlink(temporary, dir_fd=folder)

    def deliver(self, parcel: Parcel) -> str:
        """Store the document and return its path, once file and directory entry are durable."""
        name = file_name(parcel.workflow_id, parcel.run, parcel.version, parcel.status)
        self._make()
        with _opened(self.path) as folder:
            self._sweep(folder)
            temporary = f".kernel-{token_hex(16)}.tmp"
            try:
                digest = _write(folder, temporary, parcel.open())
                self._publish(folder, temporary, name, digest)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
            os.fsync(folder)
        return str(self.path / name)

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """The stored document in chunks; None when there is none."""
        try:
            with _opened(self.path) as folder:
                file = self._open_existing(folder, file_name(parcel.workflow_id, parcel.run, parcel.version, parcel.status))
        except FileNotFoundError:
            return None
        return _chunks(file)

    def _make(self) -> None:
        """Make the directory and its missing parents, each durable in its own parent."""
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        for path in reversed(missing):
            with suppress(FileExistsError):  # another writer was faster; opening tells if it is no directory
                path.mkdir(DIRECTORY_MODE)
            with _opened(path.parent) as parent:
                os.fsync(parent)

    def _publish(self, folder: int, temporary: str, name: str, digest: str) -> None:
        """Give the written file its name, unless an equal one has it already."""
        try:
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            with self._open_existing(folder, name) as file:
                os.fsync(file.fileno())  # whoever made it may not have
                there = file_digest(file, "sha256").hexdigest()
            if there != digest:
                raise FileExistsError(
                    f"{self.path / name} holds another document: sha256:{there} is there, sha256:{digest} was to be "
                    "stored. Archived documents are never overwritten: move it away, then redrive"
                ) from None
        except OSError as error:
            if error.errno in _NO_HARD_LINKS:
                raise OSError(f"{self.path}: its file system has no hard links, which writing once needs") from error
            raise

    def _open_existing(self, folder: int, name: str) -> FileIO:
        """A stored document, open for reading; anything but a regular file is refused."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a named pipe put there must not block us
        try:
            file = FileIO(name, opener=lambda path, _: os.open(path, flags, dir_fd=folder))
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(f"{self.path / name} is a symbolic link: refused") from error
            raise
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise OSError(f"{self.path / name} is not a regular file: refused")
        return file

    def _sweep(self, folder: int) -> None:
        """Once per archive object: remove the temporary files of dead writers. What cannot be removed stays."""
        if self._swept:
            return
        self._swept = True
        oldest = time() - STALE_AFTER
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if _TEMPORARY.match(entry.name) and entry.stat(follow_symlinks=False).st_mtime < oldest:
                        os.unlink(entry.name, dir_fd=folder)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A descriptor of the directory: what is done relative to it stays in it, whatever its path becomes meanwhile."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield folder
    finally:
        os.close(folder)


def _write(folder: int, name: str, chunks: Iterable[bytes]) -> str:
    """A new file with these bytes, synced; gives their sha256."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    digest = sha256()
    with open(name, "wb", CHUNK, opener=lambda path, _: os.open(path, flags, FILE_MODE, dir_fd=folder)) as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _chunks(file: FileIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk
