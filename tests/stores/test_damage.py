"""A damaged SQLite file: a clear answer, whatever byte is wrong, and the file is left as it is."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

import kernel
from kernel.errors import KernelError, StoreCorrupt, StoreError
from kernel.sinks.callable import CallableSink
from tests.stores.stand import stand

PAGE = 4096
LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x"), kernel.TaskDef("y", after=["x"])])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("sub", workflow="leaf"), kernel.TaskDef("ship"),
    kernel.TaskDef("pick", input={"sku": "${workflow.input.sku}"})])
ASKS: dict[str, Callable[[kernel.Kernel], Any]] = {
    "audit": lambda k: k.audit(), "verify": lambda k: k.verify(), "find": lambda k: k.find(limit=100),
    "tree": lambda k: k.tree("live"),
    "history": lambda k: k.history("ended", below=True), "deliveries": lambda k: k.deliveries(),
    "allowed": lambda k: k.allowed("live", "pick"), "deliver": lambda k: k.deliver(), "poll": lambda k: k.poll("ship", limit=9),
    "tick": lambda k: k.tick(), "terminate": lambda k: k.terminate("live"),
    "start": lambda k: k.start("order", workflow_id="new", input={"sku": 7}),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a store with a few trees."""
    folder = tmp_path_factory.mktemp("whole")
    with stand("sqlite", folder) as found:
        k = found.k
        k.register(LEAF, ORDER)
        for name in ("live", "ended", "done"):
            k.start("order", workflow_id=name, input={"sku": name})
        for lease in k.poll("x", limit=2) + k.poll("pick", limit=2):
            k.complete(lease, output={"of": lease.workflow_id})
        k.terminate("ended", reason="customer withdrew")
    return (folder / "kernel.db").read_bytes()


def asked(path: Path) -> Counter[str]:
    """Everything is asked of the store in the file; gives how often which answer came. Anything but an error of ours fails."""
    answers = Counter[str]()
    try:
        k = kernel.open(f"sqlite:///{path}", sinks={"archive": CallableSink(lambda parcel: f"{len(parcel.read())} bytes")})
    except KernelError as error:
        return Counter([f"open {type(error).__name__}"])
    for name, ask in ASKS.items():
        try:
            answer = ask(k)
            answers[f"{name} {'finds' if name in ('audit', 'verify') and not answer.clean else 'answers'}"] += 1
        except KernelError as error:
            answers[f"{name} {type(error).__name__}"] += 1
    k.close()
    return answers


def test_a_whole_file_answers_everything(tmp_path: Path, whole: bytes) -> None:
    """Without damage nothing is found and nothing is refused."""
    path = tmp_path / "kernel.db"
    path.write_bytes(whole)
    assert asked(path) == Counter(f"{name} answers" for name in ASKS)


def noticed(answers: Counter[str]) -> bool:
    """Whether any damage was refused or told by an audit."""
    return any(not answer.endswith("answers") for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path, whole: bytes, seed: int) -> None:
    """One bit of the file is wrong, anywhere: every call answers, or says StoreCorrupt or what else it could not find; no
    error of the driver, of JSON or of our own code comes through.
    """
    chance, answers = random.Random(seed), Counter[str]()
    path = tmp_path / "kernel.db"
    for number in range(400):
        if number >= 40 and noticed(answers):
            break
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        answers += asked(path)
    assert noticed(answers)
    assert {answer.split()[1] for answer in answers} <= {"answers", "finds", "StoreCorrupt", "NotFound", "StoreUnavailable"}


def test_a_page_of_noise_is_found(tmp_path: Path, whole: bytes) -> None:
    """Each page in turn is overwritten: opening or the audit says StoreCorrupt, or the audit lists it. The file that is whole
    again is used again: nobody held on to the bad one.
    """
    path = tmp_path / "kernel.db"
    for number in range(len(whole) // PAGE):
        noise = random.Random(number).randbytes(PAGE)
        path.write_bytes(whole[: number * PAGE] + noise + whole[(number + 1) * PAGE:])
        answers = asked(path)
        assert answers["open StoreCorrupt"] or answers["audit finds"] or answers["audit StoreCorrupt"], number
    path.write_bytes(whole)
    assert asked(path) == Counter(f"{name} answers" for name in ASKS)


def test_a_file_that_was_cut_off_is_found(tmp_path: Path, whole: bytes) -> None:
    """Whatever is missing at its end: StoreCorrupt, from opening or from the audit; a part of a page, too."""
    path = tmp_path / "kernel.db"
    for length in (50, 100, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, len(whole) // 2, len(whole) - PAGE):
        path.write_bytes(whole[:length])
        with pytest.raises(StoreCorrupt) as caught, kernel.open(f"sqlite:///{path}") as k:
            k.audit()
        assert caught.value.hint


def test_a_damaged_file_is_not_touched(tmp_path: Path, whole: bytes) -> None:
    """What is damaged is evidence: opening, reading and auditing change no byte of it."""
    path = tmp_path / "kernel.db"
    for number in range(1, len(whole) // PAGE, 3):
        data = whole[: number * PAGE] + bytes(PAGE) + whole[(number + 1) * PAGE:]
        path.write_bytes(data)
        for mode in ("", "?mode=ro"):
            try:
                with kernel.open(f"sqlite:///{path}{mode}") as k:
                    k.audit()
                    k.find()
            except StoreError:
                pass
            assert path.read_bytes() == data


def change(path: Path, *statements: str) -> None:
    """Another program changes the file."""
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for statement in statements:
        connection.execute(statement)
        assert connection.changes() > 0
    connection.close()


SPOILT = {
    "a definition that is not JSON": ("UPDATE definition SET content = 'no json' WHERE name = 'order'", "start tree terminate"),
    "a definition of another content": (
        "UPDATE definition SET content = replace(content, 'ship', 'slip') WHERE name = 'order'", "start tree terminate"),
    "a definition that could not run": ("UPDATE definition SET content = '{}' WHERE name = 'order'", "start tree terminate"),
    "a state that no workflow has": ("UPDATE workflow SET state = 'GONE' WHERE id = 'live'", "find tree terminate"),
    "a state that no task has": ("UPDATE task SET state = 'GONE' WHERE state = 'SCHEDULED'", "tree"),
    "a state that no delivery has": ("UPDATE delivery SET state = 'GONE'", "deliveries"),
    "a task that its definition does not have": ("UPDATE task SET no = 99 WHERE no = 2", "tree"),
    "an input that is not JSON": ("UPDATE payload SET text = '{' WHERE what = 'input'", "find tree"),
    "a time in no year": ("UPDATE workflow SET started = 9223372036854775807 WHERE id = 'live'", "find tree"),
    "a history in no year": ("UPDATE history SET at = -9223372036854775807 WHERE seq = 3", "history"),
    "a tree whose history is gone": ("DELETE FROM history WHERE root = 'live'", "find tree terminate"),
    "a text that is no UTF-8": ("UPDATE workflow SET reason = CAST(x'ff' AS TEXT) WHERE id = 'live'", "find tree terminate"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_rows_that_no_program_of_ours_wrote(tmp_path: Path, whole: bytes, name: str) -> None:
    """Rows that SQLite takes for good, but that cannot be ours, are StoreCorrupt where they are read."""
    statement, hit = SPOILT[name]
    path = tmp_path / "kernel.db"
    path.write_bytes(whole)
    change(path, statement)
    with kernel.open(f"sqlite:///{path}") as k:
        for ask in hit.split():
            with pytest.raises(StoreCorrupt) as caught:
                ASKS[ask](k)
            assert caught.value.why
            assert "restore a backup" in caught.value.hint


def test_tables_that_are_not_ours(tmp_path: Path, whole: bytes) -> None:
    """A table without one of its columns: what needs it says StoreCorrupt, and nothing is half written."""
    path = tmp_path / "kernel.db"
    path.write_bytes(whole)
    connection = sqlite3.connect(path)
    connection.execute("ALTER TABLE task RENAME COLUMN worker TO who")
    connection.close()
    with kernel.open(f"sqlite:///{path}") as k:
        with pytest.raises(StoreCorrupt, match="no such column"):
            k.tree("live")
        with pytest.raises(StoreCorrupt, match="no such column"):
            k.poll("ship")
        assert k.get("live").state == "RUNNING"


def test_a_number_that_is_none(tmp_path: Path, whole: bytes) -> None:
    """What stumbles over a row that SQLite itself calls damaged is StoreCorrupt; what does not touch it answers."""
    path = tmp_path / "kernel.db"
    path.write_bytes(whole)
    loose, strict = "not_before  INTEGER         ", "not_before  INTEGER NOT NULL"
    for old, new, statement in ((strict, loose, "UPDATE task SET not_before = NULL WHERE state = 'SCHEDULED'"),
                                (loose, strict, "PRAGMA user_version")):
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = 'task'", (old, new))
        assert connection.changes() == 1
        connection.close()
        connection = apsw.Connection(str(path))
        connection.execute(statement).fetchall()
        connection.close()
    with kernel.open(f"sqlite:///{path}") as k:
        with pytest.raises(StoreCorrupt, match=r"NULL value in task.not_before"):
            k.allowed("live", "ship")
        assert k.get("live").state == "RUNNING"
        assert not k.audit().clean
