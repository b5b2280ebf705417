"""The audit finds damage: each kind under its invariant, on all stores alike, and nothing where nothing is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import attrs
import pytest

import kernel
from kernel.core.plan import Subject
from kernel.core.program import standard_program
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.spec.language import Nature
from kernel.stores.memory import MemoryStore
from kernel.stores.sqlite import SqliteStore
from kernel.testing.sinks import MemoryArchive
from tests.stores.stand import COUNTERS, STORES, Rows, Stand, stand

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[
    kernel.TaskDef("print"), kernel.TaskDef("mail", after=["print"])])
MIDDLE = kernel.WorkflowDef("middle", topics=("archive",), tasks=[kernel.TaskDef("leaf", workflow="leaf", retries=1)])
ORDER = kernel.WorkflowDef("order", topics=("archive", "mail"), tasks=[
    kernel.TaskDef("sub", workflow="middle"), kernel.TaskDef("pick", retries=1), kernel.TaskDef("ship", after=["pick"]),
    kernel.TaskDef("ok", kind="wait")])
OPTIONAL = kernel.WorkflowDef("optional", tasks=[kernel.TaskDef("sub", workflow="middle", optional=True), kernel.TaskDef("a")])


def filled(k: Kernel) -> None:
    """Trees of three levels in every situation: running, paused, retried, and ended in each of the ways."""
    k.register(LEAF, MIDDLE, ORDER, OPTIONAL)
    for name in ("live", "paused", "ended", "failed", "late", "again"):
        k.start("order", workflow_id=name)
    k.start("optional", workflow_id="maybe")
    k.start("order", workflow_id="done")
    leases = {(lease.workflow_id, lease.ref): lease for type in ("print", "pick") for lease in k.poll(type, limit=100)}
    k.complete(leases["done/sub/leaf", "print"])
    k.complete(leases["done", "pick"])
    for lease in k.poll("mail") + k.poll("ship"):
        k.complete(lease)
    k.signal("done", "ok")
    k.terminate("maybe/sub")
    k.pause("paused")
    k.fail(leases["failed/sub/leaf", "print"], retryable=False)
    (lease,) = k.poll("print", limit=100)
    k.fail(lease, retryable=False)
    k.fail(leases["again/sub/leaf", "print"], retryable=False)
    k.commit(k.command("TERMINATE", Subject("ended")))
    k.deliver()


class Archive(MemoryArchive):
    """Takes what is COMPLETED, for now; the rest stays PENDING."""

    def deliver(self, parcel: kernel.Parcel) -> str:
        """Store it, or raise."""
        if not parcel.workflow_id.startswith("done"):
            raise OSError("the archive is broken")
        return super().deliver(parcel)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with those trees, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    with stand("sqlite", folder, sinks={"archive": Archive()}) as found:
        filled(found.k)
    return folder / "kernel.db"


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Stand]:
    """A kernel on those trees in memory."""
    with stand("memory", tmp_path, sinks={"archive": Archive()}) as found:
        filled(found.k)
        yield found


@pytest.fixture
def sqlite(tmp_path: Path, template: Path) -> Iterator[Stand]:
    """A kernel on those trees in a file."""
    shutil.copy(template, tmp_path)
    with stand("sqlite", tmp_path) as found:
        yield found


@pytest.fixture
def both(memory: Stand, sqlite: Stand) -> tuple[Stand, Stand]:
    """The same trees twice."""
    assert rows(memory) == rows(sqlite)
    return memory, sqlite


def rows(each: Stand) -> Rows:
    """Workflows and tasks; deliveries, which may be tried in another order, wait for other times."""
    return {table: found for table, found in each.rows().items() if table in ("workflow", "task", "payload")}


# ------------------------------------------------------------------------------------------------------------- damage
@attrs.frozen
class Edit:
    """One row that somebody changed behind the store's back; without values the row is gone."""

    table: str
    key: tuple[Any, ...]
    values: dict[str, Any] = attrs.field(factory=dict)


UPDATES = {
    ("workflow", "state"): "UPDATE workflow SET state = :value WHERE id = :id AND run = :run",
    ("workflow", "slot"): "UPDATE workflow SET slot = :value WHERE id = :id AND run = :run",
    ("workflow", "parent_no"): "UPDATE workflow SET parent_no = :value WHERE id = :id AND run = :run",
    ("workflow", "tasks_not_closed"): "UPDATE workflow SET tasks_not_closed = :value WHERE id = :id AND run = :run",
    ("workflow", "tasks_failed"): "UPDATE workflow SET tasks_failed = :value WHERE id = :id AND run = :run",
    ("tree", "tasks"): "UPDATE tree SET tasks = :value WHERE root = :root",
    ("task", "state"): "UPDATE task SET state = :value, queue = iif(:value = 'SCHEDULED' AND mode = 'WORKER', 'type', ''),"
                       " due = CASE :value WHEN 'SCHEDULED' THEN not_before WHEN 'IN_PROGRESS' THEN expires END"
                       " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND no = :no",
    ("task", "attempt"): "UPDATE task SET attempt = :value"
                         " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND no = :no",
    ("task", "after_not_passed"): "UPDATE task SET after_not_passed = :value"
                                  " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND no = :no",
    ("delivery", "state"): "UPDATE delivery SET state = :value"
                           " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND topic = :topic",
    ("delivery", "proof"): "UPDATE delivery SET proof = :value"
                           " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND topic = :topic",
    ("delivery", "attempt"): "UPDATE delivery SET attempt = :value"
                             " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND topic = :topic",
    ("delivery", "id"): "UPDATE delivery SET workflow = (SELECT key FROM workflow WHERE id = :value)"
                        " WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND topic = :topic",
}
DELETES = {
    "workflow": "DELETE FROM workflow WHERE id = :id AND run = :run",
    "task": "DELETE FROM task WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND no = :no",
    "delivery": "DELETE FROM delivery WHERE workflow = (SELECT key FROM workflow WHERE id = :id) AND topic = :topic",
}


def workflow(id: str, /, **values: Any) -> Edit:
    """A change of a workflow."""
    return Edit("workflow", (id, 1), values)


def task(id: str, ref: str, /, **values: Any) -> Edit:
    """A change of a task."""
    name = {3: "leaf", 2: "middle"}.get(id.count("/") + 1, "order")
    definition = next(d for d in (LEAF, MIDDLE, ORDER) if d.name == name)
    return Edit("task", (id, 1, [t.ref for t in definition.tasks].index(ref)), values)


def delivery(id: str, topic: str, /, **values: Any) -> Edit:
    """A change of a delivery."""
    return Edit("delivery", (id, 1, topic), values)


def path_of(store: Store) -> str:
    """The file of a store."""
    assert isinstance(store, SqliteStore)
    return store.path


def spoil(store: Store, edit: Edit) -> None:
    """Make a change behind the store's back."""
    if isinstance(store, MemoryStore):
        spoil_memory(store, edit)
        return
    names = {"tree": ("root",), "workflow": ("id", "run"), "task": ("id", "run", "no"), "delivery": ("id", "run", "topic")}[
        edit.table]
    key = dict(zip(names, edit.key, strict=True))
    connection = apsw.Connection(path_of(store))
    connection.pragma("ignore_check_constraints", 1)
    for column, value in edit.values.items():
        connection.execute(UPDATES[edit.table, column], {**key, "value": value})
        assert connection.changes() == 1, edit
    if not edit.values:
        connection.execute(DELETES[edit.table], key)
        assert connection.changes() == 1, edit
    connection.close()


def spoil_memory(store: MemoryStore, edit: Edit) -> None:
    """The like in memory."""
    tables: dict[str, Any] = {"tree": store.trees, "workflow": store.workflows, "delivery": store.outbox}
    rows: Any = tables[edit.table] if edit.table in tables else store.tasks[edit.key[:2]]
    key = {"tree": edit.key[0], "task": edit.key[-1]}.get(edit.table, edit.key)
    row = rows[key]
    for column, value in edit.values.items():
        if column in COUNTERS.get(edit.table, ()):
            row.counts[COUNTERS[edit.table].index(column)] = value
        elif column == "id":
            rows[value, *key[1:]] = rows.pop(key)
            row.workflow = value
        else:
            setattr(row, column, value)
    if not edit.values:
        del rows[key]


DAMAGE: dict[str, tuple[set[str], list[Edit]]] = {
    # a terminal workflow has nothing open below it
    "a task open under TERMINATED": ({"INV-01", "INV-13"}, [task("ended", "ship", state="PENDING")]),
    "a task handed out under TERMINATED": ({"INV-01", "INV-13"}, [task("ended", "pick", state="IN_PROGRESS")]),
    "a task open under COMPLETED": ({"INV-01", "INV-13"}, [task("done", "ok", state="SCHEDULED")]),
    "a task open two levels down": ({"INV-01", "INV-13"}, [task("ended/sub/leaf", "mail", state="SCHEDULED")]),
    "the eleven-step order, in the middle": (
        {"INV-01", "INV-03", "INV-07", "INV-13"}, [workflow("live", state="TERMINATED")]),
    "a sub-workflow forgotten by the cascade": (
        {"INV-01", "INV-03", "INV-07", "INV-10", "INV-13", "COUNTER"}, [workflow("ended/sub", state="RUNNING")]),
    "a sub-workflow forgotten while PAUSED": (
        {"INV-01", "INV-03", "INV-13", "COUNTER"}, [workflow("ended/sub/leaf", state="PAUSED")]),
    # deliveries
    "a delivery lost": ({"INV-03"}, [delivery("ended", "mail")]),
    "a delivery lost two levels down": ({"INV-03"}, [delivery("done/sub/leaf", "archive")]),
    "a delivery of a live workflow": ({"INV-03"}, [delivery("ended", "archive", id="live")]),
    "a delivery of a PAUSED workflow": ({"INV-03"}, [delivery("done/sub", "archive", id="paused/sub")]),
    "DELIVERED without proof": ({"INV-04"}, [delivery("done", "archive", proof="")]),
    "DELIVERED by hand": ({"INV-04"}, [delivery("ended", "mail", state="DELIVERED")]),
    "more attempts than there are": ({"INV-14"}, [delivery("ended", "mail", attempt=4)]),
    "LEASED but never claimed": ({"INV-14"}, [delivery("ended", "mail", state="LEASED")]),
    # pausing
    "RUNNING below PAUSED": ({"INV-07"}, [workflow("paused/sub/leaf", state="RUNNING")]),
    "PAUSED above RUNNING": ({"INV-07"}, [workflow("live", state="PAUSED")]),
    "PAUSED in the middle": ({"INV-07"}, [workflow("live/sub", state="PAUSED")]),
    # a task and its sub-workflow agree
    "COMPLETED below FAILED": ({"INV-09"}, [task("done/sub", "leaf", state="FAILED")]),
    "COMPLETED below CANCELED": ({"INV-09"}, [task("done", "sub", state="CANCELED")]),
    "FAILED below COMPLETED": ({"INV-09"}, [task("failed", "sub", state="COMPLETED")]),
    "FAILED below TIMED_OUT": ({"INV-09"}, [task("failed", "sub", state="TIMED_OUT")]),
    "TERMINATED below COMPLETED": ({"INV-09"}, [task("ended", "sub", state="COMPLETED")]),
    "TIMED_OUT below FAILED": ({"INV-09"}, [workflow("failed/sub", state="TIMED_OUT")]),
    "an end that nobody told the parent": (
        {"INV-01", "INV-03", "INV-09", "INV-13"}, [workflow("live/sub/leaf", state="COMPLETED")]),
    "a sub-workflow that is gone": ({"INV-09", "INV-07", "INV-13", "STORE"}, [workflow("live/sub")]),
    "a task IN_PROGRESS without its sub-workflow": ({"INV-09", "STORE"}, [workflow("live/sub/leaf")]),
    # moving on
    "nothing can move": ({"INV-10"}, [
        workflow("maybe", state="RUNNING"), Edit("task", ("maybe", 1, 1), {"state": "PENDING"})]),
    "every task closed": ({"INV-10", "COUNTER"}, [
        task("live/sub/leaf", "print", state="COMPLETED"), task("live/sub/leaf", "mail", state="COMPLETED")]),
    # one live attempt
    "a sub-workflow of an attempt that is over": ({"INV-09", "INV-13"}, [workflow("live/sub/leaf", slot=7)]),
    "a sub-workflow of a task that went on": ({"INV-09", "INV-13"}, [task("live/sub", "leaf", attempt=2)]),
    "a live sub-workflow of a SCHEDULED task": ({"INV-13"}, [task("live/sub", "leaf", state="SCHEDULED")]),
    "a live sub-workflow of a COMPLETED task": ({"INV-13", "INV-10", "COUNTER"}, [task("live/sub", "leaf", state="COMPLETED")]),
    "a sub-workflow of another task": ({"INV-09"}, [workflow("live/sub", parent_no=1)]),
    # counters
    "a counter too low": ({"COUNTER"}, [workflow("live", tasks_not_closed=3)]),
    "a counter that says FAILED": ({"COUNTER"}, [workflow("paused/sub", tasks_failed=1)]),
    "a task that waits for nobody": ({"COUNTER"}, [task("live", "ship", after_not_passed=0)]),
    "a task that waits for ever": ({"COUNTER"}, [task("live", "ok", after_not_passed=1)]),
    "a task closed by hand": ({"COUNTER"}, [task("live", "ok", state="SKIPPED")]),
    # rows that are gone, and what is no state at all
    "a closed task that is gone": ({"STORE"}, [task("done", "ok")]),
    "a closed task that is gone two levels down": ({"STORE"}, [task("ended/sub/leaf", "mail")]),
    "an open task that is gone": ({"STORE", "COUNTER"}, [task("live", "ship")]),
    "a tree that counts one task too many": ({"STORE"}, [Edit("tree", ("live",), {"tasks": 8})]),
    "a tree that counts no tasks": ({"STORE"}, [Edit("tree", ("ended",), {"tasks": 0})]),
    "a state that no task has": ({"STORE"}, [task("done", "ok", state="SUCCEEDED")]),
}


def roots(k: Kernel) -> set[tuple[str, str]]:
    """What an audit finds: invariants, and the trees where they are broken."""
    return {(f.invariant, f.workflow_id.split("/")[0] if f.invariant != "STORE" else "") for f in k.audit().findings}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_found_under_its_invariant(both: tuple[Stand, Stand], name: str) -> None:
    """What somebody did behind the store's back is named, and nothing else is. SQLite's statements and the specification
    itself, evaluated row by row, find the same invariants broken in the same trees.
    """
    expected, edits = DAMAGE[name]
    hit = {str(id).split("/")[0] for edit in edits for id in (edit.key[0], edit.values.get("id", ""))}
    for each in both:
        assert each.k.audit().clean
        for edit in edits:
            spoil(each.store, edit)
        report = each.k.audit()
        assert {finding.invariant for finding in report.findings} == expected
        assert not report.clean
        assert {root for _, root in roots(each.k)} <= hit | {""}
        assert all(finding.text for finding in report.findings)
    memory, sqlite = both
    assert rows(memory)["workflow"] == rows(sqlite)["workflow"]
    assert roots(memory.k) == roots(sqlite.k)


def test_the_damage_breaks_every_state_invariant() -> None:
    """Each invariant that an audit can check is broken by some of the damage."""
    audited = {p.id for p in standard_program().spec.properties if p.nature in (Nature.STATE, Nature.LIVENESS)}
    assert len(DAMAGE) >= 25
    assert {name for names, _ in DAMAGE.values() for name in names} == audited | {"COUNTER", "STORE"}


# --------------------------------------------------------------------------------------------------------- no damage
def test_nothing_is_found_where_nothing_is_wrong(both: tuple[Stand, Stand]) -> None:
    """Trees in every situation, and the audit counts them."""
    for each in both:
        report, there = each.k.audit(), each.rows()
        assert report.findings == ()
        assert report.clean
        assert (report.workflows, report.tasks, report.deliveries) == tuple(
            len(there[table]) for table in ("workflow", "task", "delivery"))
        assert {row["state"] for row in there["workflow"].values()} >= {
            "RUNNING", "PAUSED", "COMPLETED", "FAILED", "TERMINATED"}
        assert {row["state"] for row in there["delivery"].values()} >= {"PENDING", "DELIVERED"}


def test_an_audit_changes_nothing(both: tuple[Stand, Stand]) -> None:
    """Whatever it finds."""
    for each in both:
        for edit in (task("live", "ok", state="SKIPPED"), delivery("ended", "mail")):
            spoil(each.store, edit)
        before = each.rows()
        assert each.k.audit() == each.k.audit()
        assert each.rows() == before


@pytest.mark.parametrize("kind", STORES)
def test_an_empty_store_is_clean(kind: str, tmp_path: Path) -> None:
    """Nothing is wrong with nothing."""
    with stand(kind, tmp_path) as each:
        assert each.k.audit() == kernel.Report((), 0, 0, 0)


@pytest.mark.parametrize("change", [
    "UPDATE task SET due = NULL WHERE state = 'SCHEDULED'", "UPDATE task SET due = due + 1 WHERE state = 'SCHEDULED'",
    "UPDATE task SET queue = 'type', mode = 'WAIT' WHERE state = 'SCHEDULED'",
    "UPDATE task SET queue = '' WHERE state = 'SCHEDULED' AND mode = 'WORKER'"])
def test_a_task_that_nobody_would_find_is_found(sqlite: Stand, change: str) -> None:
    """A SCHEDULED task that stands under another time or another queue than its own: nobody would take it."""
    connection = apsw.Connection(path_of(sqlite.store))
    connection.execute(change)
    connection.close()
    found = {(finding.invariant, finding.text) for finding in sqlite.k.audit().findings}
    assert ("STORE", "SCHEDULED, but not found where work is looked for") in found


@pytest.mark.parametrize("topic", ["rumours", "mail"])
def test_a_delivery_that_nobody_asked_for_is_found(both: tuple[Stand, Stand], topic: str) -> None:
    """One more than there should be, for a topic of no definition or of another one."""
    memory, sqlite = both
    assert isinstance(memory.store, MemoryStore)
    more = memory.store.outbox["ended/sub", 1, "archive"].copy()
    more.topic = topic
    memory.store.outbox["ended/sub", 1, topic] = more
    connection = apsw.Connection(path_of(sqlite.store))
    connection.execute("CREATE TEMP TABLE more AS SELECT * FROM delivery WHERE topic = 'archive'"
                       " AND workflow = (SELECT key FROM workflow WHERE id = 'ended/sub')")
    connection.execute("UPDATE more SET topic = ?", (topic,))
    connection.execute("INSERT INTO delivery SELECT * FROM more")
    connection.close()
    for each in both:
        assert roots(each.k) == {("INV-03", "ended")}


def test_rows_that_refer_to_nothing_are_found(sqlite: Stand) -> None:
    """A file in which rows were deleted with foreign keys off."""
    connection = apsw.Connection(path_of(sqlite.store))
    connection.execute("DELETE FROM tree WHERE root = 'live'")
    connection.execute("DELETE FROM workflow WHERE id = 'done/sub/leaf'")
    connection.close()
    found = sqlite.k.audit().findings
    assert {f.workflow_id.split("/")[0] for f in found if f.text == "its tree is gone"} == {"live"}
    lost = {(finding.workflow_id, finding.text) for finding in found if "of a workflow that" in finding.text}
    assert len({number for number, _ in lost}) == 1
    assert {text for _, text in lost} == {
        f"a {row} of a workflow that does not exist" for row in ("delivery", "payload", "task")}


ODD = {
    "UPDATE workflow SET state = 'GONE' WHERE id = 'live'": ("live", "unknown state GONE"),
    "UPDATE delivery SET state = 'GONE'": ("done", "unknown state GONE of the delivery for topic archive"),
    "DELETE FROM definition": ("live", "its definition is gone"),
}


@pytest.mark.parametrize("change", ODD)
def test_rows_that_cannot_be_read_are_found(sqlite: Stand, change: str) -> None:
    """And do not keep the audit from telling what else is wrong; nor verify."""
    connection = apsw.Connection(path_of(sqlite.store))
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute(change)
    connection.execute("UPDATE task SET attempt = 9 WHERE state = 'COMPLETED'")
    connection.execute("UPDATE workflow SET tasks_not_closed = 77 WHERE state = 'RUNNING'")
    connection.close()
    with closing(SqliteStore(path_of(sqlite.store))) as store:
        found = Kernel(store).audit().findings
        assert ("STORE", *ODD[change]) in {(each.invariant, each.workflow_id, each.text) for each in found}
        assert not Kernel(store).verify().clean


def test_a_store_without_its_id(sqlite: Stand) -> None:
    """It is not opened, and told to be damaged."""
    connection = apsw.Connection(path_of(sqlite.store))
    connection.execute("DELETE FROM meta")
    connection.close()
    with pytest.raises(kernel.StoreCorrupt, match=r"the id of the store(.|\n)*it is gone"):
        SqliteStore(path_of(sqlite.store))
