"""Ids, names and reasons of every kind: taken alike everywhere or refused alike, and never more than text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.engine.document import checked_document
from kernel.errors import InvalidDefinition, InvalidInput, KernelError
from kernel.sinks.directory import DirectoryArchive
from kernel.testing.corpus import TEXTS
from kernel.testing.lockstep import answered
from kernel.testing.sinks import MemoryArchive
from kernel.testing.stores import quick_folder
from tests.hostile.conftest import LEAF
from tests.stores.stand import STORES, Stand, new_store, stand

TAKEN = {
    "combining", "emoji", "astral", "encoded traversal", "device", "trailing dot", "option", "SQL", "quote", "LIKE", "GLOB",
    "bind", "template", "format", "shell", "JSON", "number", "word of ours",
}
"""What may be an id: it prints, holds nothing that ids are made with, and is no folder."""


def printable(name: str) -> bool:
    """Whether every character of it can be printed."""
    return TEXTS[name].isprintable()


@pytest.mark.server
@pytest.mark.parametrize("name", TEXTS)
def test_an_id_is_taken_alike_or_refused_alike(tmp_path: Path, name: str) -> None:
    """By every store; what is taken comes back unchanged, in every read, in the archive and in its file."""
    text, answers = TEXTS[name], []
    for kind in STORES:
        with stand(kind, tmp_path) as each:
            each.k.register(LEAF)
            before = each.rows()
            answer = answered(lambda k: k.start("leaf", workflow_id=text), each.k)
            answers.append(answer)
            if answer[0] == "raises":
                assert answer[1] is InvalidInput
                assert each.rows() == before
            else:
                check_used(each, text, tmp_path / kind)
    assert answers.count(answers[0]) == len(STORES)
    assert (answers[0][0] == "gives") == (name in TAKEN and printable(name))


def check_used(each: Stand, text: str, folder: Path) -> None:
    """Everything that can be done with an id."""
    k = each.k
    assert k.get(text).id == text
    assert [w.id for w in k.find().items] == [text]
    assert k.find(after=text).items == ()
    (lease,) = k.poll("x")
    assert lease.workflow_id == text
    k.pause(text)
    k.resume(text)
    k.complete(lease)
    assert {line.workflow_id for line in k.history(text)} == {text}
    assert [d.id for d in k.deliveries(workflow_id=text)] == [f"{text}#1:archive"]
    assert k.redrive(f"{text}#1:archive").no_op
    archive = MemoryArchive()
    assert each.kernel(sinks={"archive": archive}).deliver().delivered == 1
    assert checked_document(archive.documents[text, 1])["workflow"]["id"] == text
    before = {path for path in folder.parent.rglob("*") if path.is_file()}
    sink = DirectoryArchive(folder)
    parcel = kernel.Parcel(key="k", topic="archive", workflow_id=text, run=1, attempt=1, open=lambda: iter([b"x"]))
    place = Path(sink.deliver(parcel))
    assert place.parent == folder
    assert {path for path in folder.parent.rglob("*") if path.is_file()} - before == {place}
    assert k.audit().clean


@pytest.mark.parametrize("name", TEXTS)
def test_an_id_of_nothing(each: Stand, name: str) -> None:
    """Asking for what cannot exist is InvalidInput or NotFound; nothing changes."""
    text, before, k = TEXTS[name], each.rows(), each.k
    for ask in (k.get, k.tasks, k.tree, k.history, k.allowed, k.pause, k.terminate, k.redrive):
        answer = answered(lambda k, ask=ask: ask(text), k)  # type: ignore[misc]
        assert answer[0] == "raises"
        assert answer[1].__name__ in ("InvalidInput", "NotFound")
        assert answer[2].replace("\n", "").isprintable()
    assert each.rows() == before


@pytest.mark.parametrize("where", ["reason", "actor", "worker", "command_id"])
@pytest.mark.parametrize("name", TEXTS)
def test_what_is_written_down(each: Stand, where: str, name: str) -> None:
    """A reason, an actor, a worker, a command's id: kept to the letter in the history, or refused."""
    text, k = TEXTS[name], each.k
    before = each.rows()
    if where == "worker":
        answer = answered(lambda k: k.poll("b", worker=text), k)
    else:
        answer = answered(lambda k: k.pause("w", **{where: text}), k)
    if answer[0] == "raises":
        assert answer[1] is InvalidInput
        assert each.rows() == before
        return
    line = k.history("w")[-1] if where != "worker" else None
    if line is None:
        assert next(t for t in k.tasks("w") if t.ref == "b").worker == text
    else:
        assert {"reason": line.reason, "actor": line.actor, "command_id": line.command_id}[where] == text
    assert k.audit().clean


@pytest.fixture(scope="module")
def kernels() -> Iterator[list[kernel.Kernel]]:
    """A kernel on each store."""
    with quick_folder() as folder, ExitStack() as stack:
        yield [kernel.Kernel(stack.enter_context(new_store(kind, folder))) for kind in STORES]


@pytest.mark.server
@pytest.mark.parametrize("where", ["definition", "reference", "type", "topic"])
@pytest.mark.parametrize("name", TEXTS)
def test_names_in_definitions(kernels: list[kernel.Kernel], where: str, name: str) -> None:
    """The same rule for the names of definitions, tasks, types and topics, on every store."""
    text, id, answers = TEXTS[name], f"{where}-{name.replace(' ', '-')}", list[tuple[str, ...]]()
    for k in kernels:
        try:
            made = kernel.WorkflowDef(
                text if where == "definition" else id, topics=(text,) if where == "topic" else (),
                tasks=[kernel.TaskDef(text if where == "reference" else "t", type=text if where == "type" else id)])
            k.register(made)
            k.start(made.name, workflow_id=id)
            (lease,) = k.poll(made.tasks[0].type)
            k.complete(lease)
            told = k.get(id).name, lease.ref, lease.type, *(d.topic for d in k.deliveries(workflow_id=id))
            assert text in told
            answers.append(told)
        except InvalidDefinition as error:
            answers.append(("refused", str(error)))
    assert answers.count(answers[0]) == len(STORES)
    assert (answers[0][0] == "refused") == (name not in TAKEN or not printable(name))


def test_sql_in_every_text_stays_text(each: Stand) -> None:
    """Parameters are bound: what looks like SQL is found again, and the tables are all there."""
    text = "x'); DROP TABLE workflow; --"
    k = each.k
    k.register(kernel.WorkflowDef(text, topics=(text,), tasks=[kernel.TaskDef(text, type=text, input={text: text})]))
    k.start(text, workflow_id=text, input={text: text}, actor=text, reason=text, command_id=text)
    (lease,) = k.poll(text, worker=text)
    k.complete(lease, output={text: text}, command_id=text + "2")
    assert k.find(name=text).items[0].input == {text: text}
    assert k.tasks(text)[0].output == {text: text}
    assert k.get("w").state == "RUNNING"
    assert k.audit().clean


def test_wildcards_find_only_themselves(each: Stand) -> None:
    """No pattern in a name, a type or an id finds anything else."""
    k = each.k
    for text in ("%", "_", "*", "?", "[a-z]", "w%", "%w"):
        assert k.find(name=text).items == ()
        assert k.poll(text) == []
        assert k.deliveries(workflow_id=text) == []
        with pytest.raises(KernelError):
            k.get(text)


def test_ids_that_begin_alike_stay_apart(each: Stand) -> None:
    """What is below a workflow is found by the path of its id: not by its first letters."""
    k = each.k
    names = ("w0", "w-", "w.", "w:", "w!", "w ", "w x", "w%", "ww", "W")
    taken = [name for name in names if answered(lambda k, name=name: k.start("root", workflow_id=name), k)[0] == "gives"]  # type: ignore[misc]
    assert len(taken) >= 8
    k.pause("w")
    assert {w.id for w in k.find(state="PAUSED").items} == {"w", "w/sub"}
    assert k.terminate("w").ended == 2
    assert {w.id.split("/")[0] for w in k.find(state="RUNNING", limit=100).items} == set(taken)
    for name in taken:
        assert [node.workflow.id for node in k.tree(name).children] == [f"{name}/sub"]


def test_a_long_path_of_an_id(each: Stand) -> None:
    """Ids of sub-workflows grow with the path: one that would be too long is rejected, not cut."""
    k, ref = each.k, "r" * 200
    k.register(kernel.WorkflowDef("d0", tasks=[kernel.TaskDef("x")]))
    for level in range(1, 12):
        k.register(kernel.WorkflowDef(f"d{level}", tasks=[kernel.TaskDef(ref, workflow=f"d{level - 1}")]))
    k.start("d11", workflow_id="i" * 200)
    deepest = max((w.id for w in k.find(limit=100).items), key=len)
    assert len(deepest) <= 2_000
    assert "longer than 2000 characters" in k.tasks(deepest)[0].reason
    assert k.get("i" * 200).state == "FAILED"
    assert k.audit().clean


def test_a_timer_or_a_relay_meets_no_odd_subject(each: Stand) -> None:
    """Commands of the machinery on rows that do not exist: NotFound, nothing changed."""
    before = each.rows()
    for subject in (Subject("nobody", 0), Subject("w", 99), Subject("w", topic="nothing", run=1),
                    Subject("w", topic="archive", run=9)):
        for name in ("EXPIRE", "CLAIM"):
            if (name == "CLAIM") == (subject.topic is not None):
                with pytest.raises(kernel.NotFound):
                    each.k.commit(each.k.command(name, subject, given={"anyway": 0}))
    assert each.rows() == before
