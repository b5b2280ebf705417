"""The directory archive: documents are whole or not there, written once, and durable before they count."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from kernel.engine.sinks import Owes, Parcel
from kernel.sinks import directory
from kernel.sinks.directory import DirectoryArchive

DOCUMENT = (b'{"format": 1, ', b'"workflow": "order-7", ', b'"tasks": []}')
WHOLE = b"".join(DOCUMENT)
STALE = ".kernel-" + "0" * 32 + ".tmp"

def parcel(
    workflow_id: str = "order-7", run: int = 1, chunks: Callable[[], Iterator[bytes]] = lambda: iter(DOCUMENT)
) -> Parcel:
    return Parcel(key="k", topic="archive", workflow_id=workflow_id, run=run, attempt=1, open=chunks)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_delivers_and_reads_back(tmp_path: Path) -> None:
    """The place returned holds exactly the document; each run has its own file; nothing else remains."""
    archive = DirectoryArchive(tmp_path)
    assert archive.owes is Owes.COPY
    assert archive.deliver(parcel()) == str(tmp_path / "order-7.run1.json")
    archive.deliver(parcel(run=2, chunks=lambda: iter((b"x" * 200_000, b"y" * 200_000))))
    assert b"".join(archive.read_back(parcel()) or ()) == WHOLE == (tmp_path / "order-7.run1.json").read_bytes()
    assert b"".join(archive.read_back(parcel(run=2)) or ()) == b"x" * 200_000 + b"y" * 200_000
    assert names(tmp_path) == ["order-7.run1.json", "order-7.run2.json"]


def test_nothing_to_read_back(tmp_path: Path) -> None:
    """A copy that is not there, or a directory that is not, is None and no error."""
    assert DirectoryArchive(tmp_path).read_back(parcel()) is None
    assert DirectoryArchive(tmp_path / "none").read_back(parcel()) is None


def test_nothing_happens_before_the_first_delivery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Making an archive touches no disk, so a broken one keeps no process from starting; its place is fixed then."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    archive = DirectoryArchive("archive")
    assert repr(archive) == f"DirectoryArchive('{tmp_path / 'archive'}')"
    assert names(tmp_path) == ["elsewhere"]
    monkeypatch.chdir(tmp_path / "elsewhere")
    archive.deliver(parcel())
    assert names(tmp_path) == ["archive", "elsewhere"]


def test_modes_whatever_the_umask(tmp_path: Path) -> None:
    """Under umask 000 files are 0600 and every directory that was made is 0700; one that was there keeps its mode."""
    before = os.umask(0)
    try:
        DirectoryArchive(tmp_path / "outer" / "inner").deliver(parcel())
        (tmp_path / "own").mkdir(0o755)
        DirectoryArchive(tmp_path / "own").deliver(parcel())
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {
        "outer": 0o700, "outer/inner": 0o700, "outer/inner/order-7.run1.json": 0o600,
        "own": 0o755, "own/order-7.run1.json": 0o600,
    }  # fmt: skip


def test_half_a_document_is_never_visible(tmp_path: Path) -> None:
    """While a document is written its name does not exist; when the source fails, nothing is left at all."""
    seen: list[list[str]] = []

    def failing() -> Iterator[bytes]:
        for chunk in DOCUMENT:
            yield chunk * 100_000  # more than any buffer
            seen.append(names(tmp_path))
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="the store is gone"):
        DirectoryArchive(tmp_path).deliver(parcel(chunks=failing))
    assert len(seen) == len(DOCUMENT)
    assert all(len(found) == 1 and found[0].startswith(".kernel-") for found in seen)
    assert names(tmp_path) == []


def test_a_writer_killed_in_the_middle_leaves_no_document(tmp_path: Path) -> None:
    """After SIGKILL half-way only a temporary file remains; it is removed when it is old, and delivery works again."""
    script = (
        "import os, signal, sys\n"
        "from kernel.engine.sinks import Parcel\n"
        "from kernel.sinks.directory import DirectoryArchive\n"
        "def chunks():\n"
        "    yield b'x' * 1_000_000\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "DirectoryArchive(sys.argv[1]).deliver(\n"
        "    Parcel(key='k', topic='archive', workflow_id='order-7', run=1, attempt=1, open=chunks))\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -9
    [temporary] = names(tmp_path)
    assert temporary.startswith(".kernel-")
    assert (tmp_path / temporary).stat().st_size > 0
    DirectoryArchive(tmp_path).deliver(parcel())
    assert names(tmp_path) == [temporary, "order-7.run1.json"]
    age(tmp_path / temporary)
    DirectoryArchive(tmp_path).deliver(parcel())
    assert names(tmp_path) == ["order-7.run1.json"]


def age(path: Path) -> None:
    """Let the file look as if nobody had written to it for more than an hour."""
    long_ago = path.lstat().st_mtime - directory.STALE_AFTER - 60
    os.utime(path, (long_ago, long_ago), follow_symlinks=False)


def test_only_own_stale_temporary_files_are_removed(tmp_path: Path) -> None:
    """A young temporary file, other names however old, and what a planted link points to all stay."""
    kept = ["order-1.run1.json", ".kernel-short.tmp", STALE + "x", "x" + STALE, "notes.tmp"]
    for name in [*kept, STALE]:
        (tmp_path / name).write_text("kept")
        age(tmp_path / name)
    young = STALE.replace("0", "1")
    (tmp_path / young).write_text("being written")
    link = tmp_path / STALE.replace("0", "2")
    link.symlink_to(tmp_path / young)
    age(link)
    archive = DirectoryArchive(tmp_path)
    archive.deliver(parcel())
    assert names(tmp_path) == sorted([*kept, young, "order-7.run1.json"])
    (tmp_path / STALE).write_text("from a writer that died later")
    age(tmp_path / STALE)
    archive.deliver(parcel(run=2))
    assert STALE in names(tmp_path), "an archive object looks for stale files once"


def test_a_stale_file_that_cannot_be_removed_stays(tmp_path: Path, watch: Callable[..., Any]) -> None:
    """It is no reason to fail, and the others go all the same."""
    for digit in "012":
        (tmp_path / STALE.replace("0", digit)).write_text("left")
        age(tmp_path / STALE.replace("0", digit))
    refused: list[int] = []

    def refuse_first(number: int, name: str) -> None:
        if name == "unlink" and not refused:
            refused.append(number)
            raise PermissionError("not yours")

    with watch(refuse_first):
        DirectoryArchive(tmp_path).deliver(parcel())
    assert len(refused) == 1
    assert len(names(tmp_path)) == 2


def test_another_process_may_make_the_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the directory appears between looking and making it, the delivery goes on in it."""
    make = Path.mkdir

    def slower(self: Path, mode: int) -> None:
        make(self, mode)
        make(self, mode)

    monkeypatch.setattr(Path, "mkdir", slower)
    DirectoryArchive(tmp_path / "a" / "b").deliver(parcel())
    assert names(tmp_path / "a" / "b") == ["order-7.run1.json"]


def test_the_same_document_again_is_success(tmp_path: Path) -> None:
    """A repeated delivery finds its equal copy, and the file is the first one still."""
    archive = DirectoryArchive(tmp_path)
    first = Path(archive.deliver(parcel())).stat()
    again = Path(archive.deliver(parcel())).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert names(tmp_path) == ["order-7.run1.json"]


def test_another_document_under_the_name_is_never_overwritten(tmp_path: Path) -> None:
    """The error names both digests and the remedy; the file that is there stays as it is."""
    archive = DirectoryArchive(tmp_path)
    archive.deliver(parcel())
    with pytest.raises(FileExistsError) as caught:
        archive.deliver(parcel(chunks=lambda: iter((b"other",))))
    for part in ("order-7.run1.json", sha256(WHOLE).hexdigest(), sha256(b"other").hexdigest(), "redrive"):
        assert part in str(caught.value)
    assert (tmp_path / "order-7.run1.json").read_bytes() == WHOLE
    assert names(tmp_path) == ["order-7.run1.json"]


@pytest.mark.parametrize("others", [DOCUMENT, (b"other",)], ids=["equal", "different"])
def test_two_writers_of_one_document(tmp_path: Path, others: tuple[bytes, ...]) -> None:
    """Two threads in the middle of the same name: one file, whole; equal documents both succeed, others conflict."""
    both_writing = Barrier(2, timeout=30)
    results: list[str] = []

    def write(chunks: tuple[bytes, ...]) -> None:
        def meeting() -> Iterator[bytes]:
            yield from chunks
            both_writing.wait()

        try:
            results.append(DirectoryArchive(tmp_path).deliver(parcel(chunks=meeting)))
        except FileExistsError:
            results.append("conflict")

    threads = [Thread(target=write, args=(chunks,)) for chunks in (DOCUMENT, others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    place = str(tmp_path / "order-7.run1.json")
    assert sorted(results) == sorted([place, place if others is DOCUMENT else "conflict"])
    assert Path(place).read_bytes() in {WHOLE, b"".join(others)}
    assert names(tmp_path) == ["order-7.run1.json"]


@pytest.mark.parametrize("target", ["victim", "nothing there"])
def test_a_symbolic_link_under_the_name_is_refused(tmp_path: Path, target: str) -> None:
    """Neither delivery nor reading follows a link, even to an equal document, and nothing is created through it."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "victim").write_bytes(WHOLE)
    (tmp_path / "archive" / "order-7.run1.json").symlink_to(tmp_path / target)
    archive = DirectoryArchive(tmp_path / "archive")
    with pytest.raises(OSError, match="symbolic link: refused"):
        archive.deliver(parcel())
    with pytest.raises(OSError, match="symbolic link: refused"):
        archive.read_back(parcel())
    assert names(tmp_path) == ["archive", "victim"]
    assert names(tmp_path / "archive") == ["order-7.run1.json"]


@pytest.mark.parametrize("plant", [os.mkdir, os.mkfifo], ids=["directory", "named pipe"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, plant: Callable[[Path], None]) -> None:
    """A directory or a named pipe under the name is an error at once: nothing blocks, nothing is replaced."""
    plant(tmp_path / "order-7.run1.json")
    for attempt in (DirectoryArchive(tmp_path).deliver, DirectoryArchive(tmp_path).read_back):
        with pytest.raises(OSError, match=r"not a regular file: refused|Is a directory"):
            attempt(parcel())
    assert names(tmp_path) == ["order-7.run1.json"]


def test_a_path_that_is_no_directory(tmp_path: Path) -> None:
    """A file where the directory, or one above it, should be is an OSError that names it."""
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError, match="file"):
            DirectoryArchive(path).deliver(parcel())
    assert (tmp_path / "file").read_text() == "mine"


def test_the_order_of_a_durable_write(tmp_path: Path, watch: Callable[..., Any]) -> None:
    """All content is synced before it has a name, the directory after; a new directory is synced into its parent first,
    and a copy that was there is synced again, since its writer may have died before.
    """
    synced: list[int] = []

    def measure(number: int, name: str) -> None:
        if name == "fsync":
            synced.extend(path.stat().st_size for path in tmp_path.glob("new/.kernel-*"))

    steps = {"fsync", "link", "unlink"}
    with watch(measure) as watched:
        DirectoryArchive(tmp_path / "new").deliver(parcel())
    assert [call for call in watched.calls if call in steps] == ["fsync", "fsync", "link", "unlink", "fsync"]
    assert synced == [len(WHOLE)]
    with watch() as watched:
        DirectoryArchive(tmp_path / "new").deliver(parcel())
    assert [call for call in watched.calls if call in steps] == ["fsync", "link", "fsync", "unlink", "fsync"]


def test_a_link_planted_at_the_last_moment(tmp_path: Path, watch: Callable[..., Any]) -> None:
    """Someone who wins the race for the name with a symbolic link gets nothing written through it."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "victim").write_text("precious")

    def plant(number: int, name: str) -> None:
        if name == "link":
            (tmp_path / "archive" / "order-7.run1.json").symlink_to(tmp_path / "victim")

    with watch(plant) as watched, pytest.raises(OSError, match="symbolic link: refused"):
        DirectoryArchive(tmp_path / "archive").deliver(parcel())
    assert "link" in watched.calls
    assert (tmp_path / "victim").read_text() == "precious"
    assert names(tmp_path / "archive") == ["order-7.run1.json"]


@pytest.mark.parametrize("plant", [Path.symlink_to, Path.hardlink_to], ids=["symbolic link", "hard link"])
def test_a_temporary_name_that_was_guessed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plant: Callable[[Path, Path], None]
) -> None:
    """Even under a name that somebody knew beforehand nothing is written through a link or over a file."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "victim").write_text("precious")
    monkeypatch.setattr(directory, "token_hex", lambda size: "0" * 2 * size)
    plant(tmp_path / "archive" / STALE, tmp_path / "victim")
    with pytest.raises(FileExistsError):
        DirectoryArchive(tmp_path / "archive").deliver(parcel())
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "archive" / "order-7.run1.json").exists()


def test_a_directory_swapped_in_the_middle(tmp_path: Path) -> None:
    """A delivery stays in the directory that it began in, whatever its path becomes meanwhile."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "trap").mkdir()

    def swapping() -> Iterator[bytes]:
        (tmp_path / "archive").rename(tmp_path / "moved")
        (tmp_path / "archive").symlink_to(tmp_path / "trap")
        yield WHOLE

    DirectoryArchive(tmp_path / "archive").deliver(parcel(chunks=swapping))
    assert names(tmp_path / "moved") == ["order-7.run1.json"]
    assert names(tmp_path / "trap") == []


@pytest.mark.parametrize("there_already", [False, True], ids=["new", "again"])
def test_any_call_that_fails_leaves_all_or_nothing(
    tmp_path: Path, watch: Callable[..., Any], there_already: bool
) -> None:
    """A full or broken disk at every call in turn: the document is whole or not there, no file stays open, and the next
    delivery succeeds.
    """
    with watch() as watched:
        archive = DirectoryArchive(tmp_path / "counted")
        for _ in range(1 + there_already):
            archive.deliver(parcel())
    total = len(watched.calls)
    for failing in range(1, total + 1):
        folder = tmp_path / str(failing)
        archive = DirectoryArchive(folder)

        def fail(number: int, name: str, failing: int = failing) -> None:
            if number == failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        errors: list[int | None] = []
        descriptors = len(os.listdir("/proc/self/fd"))
        with watch(fail) as watched:
            for _ in range(1 + there_already):
                try:
                    archive.deliver(parcel())
                except OSError as error:
                    errors.append(error.errno)
        assert set(errors) <= {errno.ENOSPC}
        assert len(watched.calls) >= failing, "the fault must have fired"
        assert len(os.listdir("/proc/self/fd")) == descriptors, watched.calls
        document = folder / "order-7.run1.json"
        assert not document.exists() or document.read_bytes() == WHOLE
        assert Path(archive.deliver(parcel())).read_bytes() == WHOLE


def test_a_disk_that_is_full_in_the_middle(tmp_path: Path) -> None:
    """When the system refuses to write on, the error is an OSError and nothing of the document remains."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            DirectoryArchive(tmp_path).deliver(parcel(chunks=lambda: iter((b"x" * 70_000,) * 5)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == []


def test_a_file_system_without_hard_links(tmp_path: Path, watch: Callable[..., Any]) -> None:
    """It is said in words, and nothing is left behind."""

    def refuse(number: int, name: str) -> None:
        if name == "link":
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    with watch(refuse), pytest.raises(OSError, match="no hard links"):
        DirectoryArchive(tmp_path).deliver(parcel())
    assert names(tmp_path) == []
