"""Verify: histories and rows of a store belong together and are allowed; where they are not, the first step is told."""

from __future__ import annotations

from collections.abc import Callable

import apsw
import attrs
import pytest

from kernel.core.archive import ArchivePolicy
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.engine import verify
from kernel.engine.entities import Verification
from kernel.engine.kernel import Kernel
from kernel.errors import Conflict, InvalidInput, NotFound
from kernel.formal.told import Misstep
from kernel.sinks.callable import CallableSink
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore
from tests.stores.stand import EMBEDDED, Stand

LEAF = WorkflowDef("leaf", tasks=[TaskDef("x", type="x")], topics=("archive",))
TOP = WorkflowDef("top", tasks=[TaskDef("a", type="a"), TaskDef("sub", workflow="leaf", after=["a"])], topics=("archive",))


@pytest.fixture
def lived(each: Stand, k: Kernel) -> Kernel:
    """A tree that failed, was retried and completed; one that runs; and a store's archive policy that changed in between."""
    k.register(LEAF, TOP)
    k.start("top", workflow_id="w")
    k.complete(k.poll("a")[0])
    k.fail(k.poll("x")[0], retryable=False)
    k.retry("w")
    k.set_archive_policy(ArchivePolicy(unsuccessful_only=True))
    each.clock.advance(1)
    k.complete(k.poll("x")[0])
    k.start("leaf", workflow_id="w.x")
    k.start("leaf", workflow_id="v")
    k.pause("v")
    return k


def test_what_a_kernel_did_is_allowed(lived: Kernel) -> None:
    """Every tree, with its lines and with the rows that moved."""
    lines = sum(len(lived.history(root, below=True)) for root in ("v", "w", "w.x"))
    moved = sum(line.count for root in ("v", "w", "w.x") for line in lived.history(root, below=True))
    found = lived.verify()
    assert found == Verification((), 3, lines, moved)
    assert found.clean
    assert lived.verify("w/sub").lines == len(lived.history("w", below=True))


def test_page_by_page(lived: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """However few trees, workflows or lines are read at a time, all are verified once."""
    whole = lived.verify()
    monkeypatch.setattr(verify, "PAGE", 2)
    assert lived.verify() == whole
    seen, after = [], None
    while True:
        some = lived.verify(after=after, limit=1)
        seen.append((some.trees, some.lines, after := some.after))
        if after is None:
            break
    assert [after for _, _, after in seen] == ["v", "w", "w.x", None]
    assert sum(lines for _, lines, _ in seen) == whole.lines


def test_a_misstep_counts_that_is_found_twice(lived: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a store shows no single moment, what others write meanwhile is none; if they never stop, that is a Conflict."""
    one, other = (Misstep("w", n, 1, "w", "", "", "", "", "", "") for n in (1, 2))
    looks: list[list[Misstep]] = [[one], []]
    monkeypatch.setattr(verify, "missteps", lambda *given: iter(looks.pop(0)))
    assert lived.verify("w").clean
    looks += [[one], [other], [other]]
    assert lived.verify("w").missteps == (other,)
    looks += [[one], [other]] * 10
    with pytest.raises(Conflict, match="each of 20 looks"):
        lived.verify("w")


def test_what_is_asked_for_must_be_there(lived: Kernel) -> None:
    """A workflow that nobody knows, an id that is none."""
    with pytest.raises(NotFound):
        lived.verify("nobody")
    with pytest.raises(InvalidInput):
        lived.verify("")
    assert Kernel(MemoryStore()).verify() == Verification((), 0, 0, 0)


def test_a_tree_that_is_purged_meanwhile(lived: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left out."""
    monkeypatch.setattr(verify, "roots_of", lambda store, after, limit: ["v", "gone", "w"])
    assert lived.verify().trees == 2


# ---- damage -----------------------------------------------------------------------------------------------------------------
MOVED = "UPDATE task SET state = 'IN_PROGRESS' WHERE workflow = (SELECT key FROM workflow WHERE id = ? AND run = 1)"
UNSENT = "DELETE FROM delivery WHERE workflow = (SELECT key FROM workflow WHERE id = ? AND run = 1)"
RETOLD = "UPDATE history SET target = 'COMPLETED' WHERE root = ? AND event = 'PAUSE'"


in_embedded_stores = pytest.mark.parametrize("each", EMBEDDED, indirect=True)
"""What is written behind the back of a store is written as that store keeps it; verify reads all of them in the same way."""


def damage(stand: Stand, of_memory: Callable[[MemoryStore], object], sql: str, workflow: str) -> Misstep:
    """Change what a store keeps of a workflow behind its back; gives the one misstep that verify finds."""
    if isinstance(stand.store, MemoryStore):
        of_memory(stand.store)
    else:
        assert isinstance(stand.store, SqliteStore)
        with stand.store.transaction(write=True) as transaction:
            transaction.connection.execute(sql, (workflow,))
            transaction.wrote = True
    (found,) = stand.k.verify().missteps
    return found


@in_embedded_stores
@pytest.mark.unverified
def test_a_line_of_another_state(each: Stand, lived: Kernel) -> None:
    """The line is named, with the table that does not have it."""
    def edit(store: MemoryStore) -> None:
        store.lines["v"] = [line._replace(target="COMPLETED") if line.event == "PAUSE" else line for line in store.lines["v"]]
    found = damage(each, edit, RETOLD, "v")
    assert attrs.evolve(found, version=0) == Misstep(
        "v", 4, 0, "v", "", "PAUSE RUNNING -> COMPLETED", "PAUSE", "RUNNING", "the tables", "no table has this line")


@in_embedded_stores
@pytest.mark.unverified
def test_a_row_that_moved_in_silence(each: Stand, lived: Kernel) -> None:
    """The row is named, with what its history tells."""
    def edit(store: MemoryStore) -> None:
        store.tasks["w.x", 1][0].state = "IN_PROGRESS"
    found = damage(each, edit, MOVED, "w.x")
    assert (found.root, found.event, found.subject, found.rule) == ("w.x", "", "x", "the rows")
    assert found.why == "the task is IN_PROGRESS, attempt 1, its history tells SCHEDULED, attempt 1"


@in_embedded_stores
@pytest.mark.unverified
def test_a_frozen_row_that_moved(each: Stand, lived: Kernel) -> None:
    """The rows of an earlier run are those that its history had left."""
    def edit(store: MemoryStore) -> None:
        store.tasks["w/sub", 1][0].state = "IN_PROGRESS"
    found = damage(each, edit, MOVED, "w/sub")
    assert (found.workflow_id, found.subject) == ("w/sub", "x")
    assert "its history tells FAILED_WITH_TERMINAL_ERROR" in found.why


@in_embedded_stores
@pytest.mark.unverified
def test_a_delivery_that_is_gone(each: Stand, lived: Kernel) -> None:
    """Of any run."""
    def edit(store: MemoryStore) -> None:
        del store.outbox["w/sub", 1, "archive"]
    found = damage(each, edit, UNSENT, "w/sub")
    assert (found.workflow_id, found.subject, found.stands) == ("w/sub", "archive", "ABSENT")


GONE: dict[str, tuple[Callable[[MemoryStore], object], str, str]] = {
    "its row": (lambda store: store.trees.pop("v"), "DELETE FROM tree WHERE root = ?", "its row is gone, its history is there"),
    "its history": (lambda store: store.lines.pop("v"), "DELETE FROM history WHERE root = ?", "history"),
    "its run": (lambda store: setattr(store.trees["v"], "run", 2), "UPDATE tree SET run = 2 WHERE root = ?",
                "the tree is in run 2, its history tells 1"),
}


@in_embedded_stores
@pytest.mark.unverified
@pytest.mark.parametrize("what", GONE)
def test_what_is_left_of_a_tree(each: Stand, lived: Kernel, what: str) -> None:
    """A tree of which only a row or a history is there is not passed by, and keeps no other from being verified."""
    edit, sql, why = GONE[what]
    found = damage(each, edit, sql, "v")
    assert (found.root, found.rule) == ("v", "the rows")
    assert why in found.why
    assert lived.verify().trees == 3
    assert [misstep.root for misstep in lived.verify("v").missteps] == ["v"]


@in_embedded_stores
@pytest.mark.unverified
def test_a_tree_without_the_row_of_its_root(each: Stand, lived: Kernel) -> None:
    """Its history has told of it; that there is none is told, not that all is well."""
    if isinstance(each.store, MemoryStore):
        del each.store.workflows["v", 1]
    else:
        assert isinstance(each.store, SqliteStore)
        connection = apsw.Connection(each.store.path)
        connection.execute("DELETE FROM workflow WHERE id = 'v'")
        connection.close()
    found = lived.verify()
    assert (found.trees, [(misstep.root, misstep.rule) for misstep in found.missteps]) == (3, [("v", "the definition")])


@pytest.mark.unverified
def test_a_version_that_nobody_made(each: Stand, lived: Kernel) -> None:
    """The tree's version is that of its last commit. SQLite keeps it in the history alone."""
    if isinstance(each.store, MemoryStore):
        each.store.trees["v"].version += 1
        (found,) = lived.verify().missteps
        assert (found.root, found.why) == ("v", "the tree has version 3, its history tells 2")


def test_the_policy_of_the_store_is_that_of_the_time(each: Stand, lived: Kernel) -> None:
    """A run that ended under an earlier policy is not judged by the later one."""
    lived.set_archive_policy(ArchivePolicy(off=True))
    each.clock.advance(1)
    assert lived.verify().clean
    lived.terminate("w.x")
    assert lived.verify().clean
    assert not any(d.workflow_id == "w.x" for d in lived.deliveries())


def test_deliveries_of_every_run(each: Stand, lived: Kernel) -> None:
    """What is claimed, confirmed and redriven long after its run is part of the same history."""
    k = each.kernel(sinks={"archive": CallableSink(lambda parcel: "receipt")})
    assert k.deliver().delivered == 2
    assert k.verify().clean
