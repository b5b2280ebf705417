"""The archive document: one JSON text of the frozen rows, the same in every pass, with a digest that shows any change."""

from __future__ import annotations

import hashlib
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine import document as module
from kernel.engine.document import FORMAT, PAGE, checked_document, document
from kernel.engine.entities import EPOCH
from kernel.engine.kernel import Kernel
from kernel.errors import InvalidInput, StoreCorrupt
from kernel.testing.clock import ManualClock
from kernel.testing.lockstep import Lockstep
from kernel.testing.sinks import MemoryArchive
from tests.engine.test_relay import free
from tests.stores.stand import Stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x"), Task("y", after=["x"])], topics=("archive",))
ROOT = kernel.WorkflowDef("root", topics=("archive", "mail"), tasks=[
    Task("sub", workflow="leaf"), Task("a", retries=1, input={"n": "${workflow.input.n}", "é": "\u202e"}),
    Task("ok", kind="wait"), Task("last", after=["a"])])


@pytest.fixture
def ended(k: Kernel, clock: ManualClock) -> Kernel:
    """A workflow with a history, terminated."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w", input={"n": [1, {"two": None}]}, actor="ada")
    (x,), (a,) = k.poll("x", worker="w1"), k.poll("a", worker="w2")
    clock.advance(1.5)
    k.complete(x, output={"done": True})
    k.fail(a, reason="no \"stock\"\n\tat all", output="é")
    clock.advance(1.5)
    k.terminate("w", reason="customer withdrew", actor="ben")
    return k


def text(each: Stand, workflow: str = "w", run: int = 1) -> bytes:
    """A whole document."""
    return b"".join(document(each.store, workflow, run))


def microseconds(moment: datetime) -> int:
    """As stored."""
    return int((moment - EPOCH) / timedelta(microseconds=1))


def rebuilt(k: Kernel, workflow: str) -> dict[str, Any]:
    """The document from what callers read: `get`, `tasks` and `history`."""
    w, told = k.get(workflow), k.history(workflow, limit=100_000)
    lines = [line for line in told if line.run == w.run]
    begun = max(line.seq for line in told if line.event == "START")  # a re-opened one goes on counting
    spawned = {line.subject: line.seq for line in told if line.event == "CREATE" and line.kind == "task"}  # the last time
    handouts = Counter(
        line.subject for line in told if line.event == "POLL" and line.seq > max(begun, spawned.get(line.subject, 0)))
    return {
        "format": FORMAT,
        "workflow": {
            "id": w.id, "run": w.run, "state": w.state, "name": w.name, "definition_version": w.definition_version,
            "definition": digest_of(k, w), "parent": w.parent, "started": microseconds(w.started),
            "ended": microseconds(w.changed), "reason": w.reason, "input": w.input,
            "output": w.output, "variables": w.variables,
        },
        "tasks": [{
            "ref": t.ref, "type": t.type, "mode": t.mode, "state": t.state, "attempt": t.attempt,
            "handouts": handouts[t.ref], "changed": microseconds(t.changed), "worker": t.worker,
            "reason": t.reason, "input": t.input, "output": t.output, "spawned_by": t.spawned_by} for t in k.tasks(workflow)],
        "history": [{
            "version": h.version, "at": microseconds(h.at), "kind": h.kind, "subject": h.subject, "event": h.event,
            "source": h.source, "target": h.target, "attempt": h.attempt, "count": h.count, "by": h.by, "actor": h.actor,
            "reason": h.reason, "command_id": h.command_id}
            for h in lines if h.kind != "delivery"],
    }


def digest_of(k: Kernel, w: kernel.Workflow) -> str:
    """The digest of its definition, from the store."""
    with k.store.transaction(write=False) as transaction:
        prepared = transaction.definition(w.name, w.definition_version)
        assert prepared is not None
        return prepared.digest


def test_a_document_equals_the_frozen_rows(each: Stand, ended: Kernel) -> None:
    """INV-04: everything that callers can read of the run is in it, and nothing else; so for its sub-workflow."""
    for workflow in ("w", "w/sub"):
        content = checked_document(text(each, workflow))
        digest = content.pop("digest")
        assert digest.startswith("sha256:")
        assert content == rebuilt(ended, workflow)
        assert {t["state"] for t in content["tasks"]} <= {"COMPLETED", "CANCELED"}


def test_a_document_is_canonical_json(each: Stand, ended: Kernel) -> None:
    """One line of UTF-8; keys in order; the parts in theirs; the digest last."""
    data = text(each)
    assert data.endswith(b'"}\n')
    assert data.count(b"\n") == 1
    content = json.loads(data)
    assert list(content) == ["format", "workflow", "tasks", "history", "digest"]
    for row in (content["workflow"], *content["tasks"], *content["history"]):
        assert list(row) == sorted(row)
    assert "é".encode() in data


def test_every_pass_gives_the_same_bytes(each: Stand, ended: Kernel, clock: ManualClock) -> None:
    """Whatever happens to its deliveries and to other workflows, for ever: a frozen run has one document."""
    first = text(each), text(each, "w/sub")
    archive = MemoryArchive()
    relay = each.kernel(sinks={"archive": archive})
    relay.deliver()
    for _ in range(3):
        ended.commit(ended.command("CLAIM", Subject("w", topic="mail", run=1), given={"anyway": 0}))
        clock.advance(100)
        ended.tick()
        clock.advance(100)
    ended.redrive("w#1:mail", reason="again")
    ended.start("root", workflow_id="other", input={"n": 2})
    ended.register(kernel.WorkflowDef("root", version=2, tasks=[Task("z")]))
    assert len([line for line in ended.history("w") if line.kind == "delivery"]) > 9
    assert (text(each), text(each, "w/sub")) == first
    assert (archive.documents["w", 1], archive.documents["w/sub", 1]) == first


def test_an_ended_sub_workflow_is_frozen_in_a_live_tree(each: Stand, k: Kernel) -> None:
    """Its document does not change while its parent goes on."""
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w", input={"n": 1})
    for type in ("x", "y"):
        k.complete(k.poll(type)[0])
    assert (k.get("w/sub").state, k.get("w").state) == ("COMPLETED", "RUNNING")
    first = text(each, "w/sub")
    k.pause("w")
    k.resume("w")
    k.terminate("w")
    assert text(each, "w/sub") == first


def test_random_runs_have_documents(each: Stand) -> None:
    """Of every workflow that ended in a random run, the document equals what callers read."""
    driver = Lockstep([each], 9)
    for _ in range(200):
        driver.step()
    found = [w.id for w in each.k.find(limit=1_000).items if w.state not in ("RUNNING", "PAUSED")]
    assert len(found) > 5
    for workflow in found:
        content = checked_document(text(each, workflow, each.k.get(workflow).run))
        del content["digest"]
        assert content == rebuilt(each.k, workflow)


# ------------------------------------------------------------------------------------------------------------- streaming
def test_a_document_is_streamed_page_by_page(each: Stand, k: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """More tasks and lines than a page holds: no page is skipped, none comes twice, whatever the size of a page."""
    tasks = PAGE + 20
    k.register(kernel.WorkflowDef("wide", tasks=[Task(f"t{n}", type="t", optional=True) for n in range(tasks)]))
    k.start("wide", workflow_id="w")
    for lease in k.poll("t", limit=tasks):
        k.fail(lease, reason=f"number {lease.position}")
    whole = text(each)
    content = checked_document(whole)
    assert [t["ref"] for t in content["tasks"]] == [f"t{n}" for n in range(tasks)]
    assert len(content["history"]) > 3 * PAGE
    del content["digest"]
    assert content == rebuilt(k, "w")
    chunks = list(document(each.store, "w", 1))
    assert b"".join(chunks) == whole
    assert len(chunks) > 5
    for page in (7, PAGE * 10):
        monkeypatch.setattr(module, "PAGE", page)
        assert text(each) == whole


@pytest.mark.parametrize("tasks", [1, 3, 6, 7])
def test_a_page_that_is_just_full(each: Stand, k: Kernel, monkeypatch: pytest.MonkeyPatch, tasks: int) -> None:
    """The end of a page and the end of the rows may fall together."""
    k.register(kernel.WorkflowDef("few", tasks=[Task(f"t{n}") for n in range(tasks)]))
    k.start("few", workflow_id="w")
    k.terminate("w")
    whole = text(each)
    for page in (1, 2, 3, 6):
        monkeypatch.setattr(module, "PAGE", page)
        assert text(each) == whole


def test_no_transaction_is_open_between_two_chunks(each: Stand, ended: Kernel) -> None:
    """Whoever takes the document may be slow: everybody else goes on, and the document is the same."""
    whole, chunks = text(each), []
    for number, chunk in enumerate(document(each.store, "w", 1)):
        assert free(each)
        ended.start("leaf", workflow_id=f"meanwhile-{number}")
        chunks.append(chunk)
    assert b"".join(chunks) == whole


@pytest.mark.no_cover
def test_a_document_needs_little_memory(each: Stand, k: Kernel) -> None:
    """It is never whole in memory: a large one takes a page at a time."""
    k.register(kernel.WorkflowDef("wide", tasks=[Task(f"t{n}", input={"fill": "x" * 3_000}) for n in range(2_000)]))
    k.start("wide", workflow_id="w")
    k.terminate("w")
    tracemalloc.start()
    size = sum(len(chunk) for chunk in document(each.store, "w", 1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 6_000_000
    assert peak < size * 0.9


def test_the_document_of_nothing(each: Stand, ended: Kernel) -> None:
    """A run that is not there is StoreCorrupt: a delivery refers to rows that are gone."""
    for workflow, run in (("nobody", 1), ("w", 2), ("w/nothing", 1)):
        with pytest.raises(StoreCorrupt, match="its rows are gone"):
            text(each, workflow, run)


# --------------------------------------------------------------------------------------------------------------- checked
def test_a_document_that_was_changed_is_found(each: Stand, ended: Kernel) -> None:
    """One byte that differs, is missing or is too much: refused."""
    data = text(each)
    assert checked_document(data)["workflow"]["id"] == "w"
    chance = random.Random(1)
    for _ in range(200):
        place = chance.randrange(len(data))
        head, tail = data[:place], data[place:]
        for spoilt in (head + bytes([tail[0] ^ 1]) + tail[1:], head, head + tail[1:], head + b"x" + tail):
            with pytest.raises(InvalidInput, match="an archive document"):
                checked_document(spoilt)
    for spoilt in (b"", b"{}", data + b"\n", data * 2, data.strip(), b"\xff\xfe"):
        with pytest.raises(InvalidInput):
            checked_document(spoilt)


def test_a_forged_digest_is_checked_against_the_content() -> None:
    """The digest is that of all bytes before it."""
    head = b'{"format":"kernel-archive/1"'
    good = head + b',"digest":"sha256:' + hashlib.sha256(head).hexdigest().encode() + b'"}\n'
    assert checked_document(good)["format"] == FORMAT
    with pytest.raises(InvalidInput, match="ask the archive for another copy"):
        checked_document(good.replace(b"archive/1", b"archive/2"))


def test_a_text_that_looks_like_a_digest(each: Stand, k: Kernel) -> None:
    """What users write cannot be taken for the end of the document."""
    k.register(LEAF)
    trap = '","digest":"sha256:' + "0" * 64 + '"}\n'
    k.start("leaf", workflow_id="w", input={"trap": trap, ',"digest":"sha256:': trap})
    k.terminate("w", reason=trap)
    assert checked_document(text(each))["workflow"]["input"]["trap"] == trap


def test_chunks_are_bytes(each: Stand, ended: Kernel) -> None:
    """An iterator of bytes, none of them empty."""
    chunks: Iterator[bytes] = document(each.store, "w", 1)
    assert {type(chunk) for chunk in chunks} == {bytes}
    assert all(document(each.store, "w", 1))
