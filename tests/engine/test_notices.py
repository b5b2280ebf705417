"""Notices: each change of status that a definition subscribed to is told once, with its cause, and in order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.core.archive import NOTIFY
from kernel.core.records import entry_of
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.reading import delivery_subject
from kernel.engine.relay import RelayOptions
from kernel.engine.sinks import Parcel
from kernel.spec.vocabulary import STATUSES
from kernel.stores.memory import MemoryStore
from kernel.stores.redis import RedisStore
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from kernel.testing.replay import check_history
from tests.stores.stand import STORES, Stand, stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x")], notify=("RUNNING", "TERMINATED", "COMPLETED"))
ROOT = kernel.WorkflowDef("root", tasks=[Task("a"), Task("s", workflow="leaf")], topics=("archive",), notify=STATUSES,
                          timeout=100.0)


class Listener:
    """A sink that keeps what it was told; `deaf` are ids of deliveries that it does not take."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.deaf: set[str] = set()

    def __call__(self, parcel: Parcel) -> str:
        if any(parcel.key.endswith(f":{name}") for name in self.deaf):
            raise OSError("nobody listens")
        self.told.append(json.loads(parcel.read()))
        return f"number {len(self.told)}"

    def of(self, workflow_id: str) -> list[tuple[int, int, str]]:
        """Run, version and status of what was told of a workflow, as it came."""
        return [(told["run"], told["version"], told["status"]) for told in self.told if told["workflow"] == workflow_id]


@pytest.fixture(params=STORES)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """A new store of each kind."""
    with stand(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def listener() -> Listener:
    """A sink of topic notify."""
    return Listener()


def heard(each: Stand, listener: Listener, **options: Any) -> Kernel:
    """Another kernel on the store, which tells the listener."""
    return Kernel(each.store, sinks={NOTIFY: kernel.CallableSink(listener)}, clock=each.clock, chance=random.Random(5),
                  actor="ada", **options)


def ids(k: Kernel, **asked: Any) -> list[str]:
    """The notices of a store, by id."""
    return [delivery.id for delivery in k.deliveries(limit=1000, **asked) if delivery.topic == NOTIFY]


def test_every_change_is_told_in_order(each: Stand, listener: Listener) -> None:
    """START, PAUSE, RESUME, an end and a re-opening, below too: each once, with status and cause; one commit may bring two."""
    k = heard(each, listener)
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w", reason="ordered")
    k.pause("w", reason="lunch")
    k.resume("w")
    k.terminate("w", reason="withdrawn")
    k.retry("w", actor="bob")
    settled = k.deliver()
    assert (settled.delivered, settled.released) == (9, 0)
    assert listener.of("w") == [(1, 1, "RUNNING"), (1, 2, "PAUSED"), (1, 3, "RUNNING"), (1, 4, "TERMINATED"), (2, 5, "RUNNING")]
    assert listener.of("w/s") == [(1, 1, "RUNNING"), (1, 3, "RUNNING"), (1, 4, "TERMINATED"), (2, 5, "RUNNING")]
    first, *_, last = [told for told in listener.told if told["workflow"] == "w"]
    at = each.clock.now()
    common = {"format": "kernel-notice/1", "workflow": "w", "root": "w", "name": "root", "definition_version": 1, "at": at}
    assert {**first, "command_id": ""} == {
        **common, "run": 1, "version": 1, "status": "RUNNING", "before": None, "event": "START", "by": "START",
        "reason": "ordered", "actor": "ada", "command_id": ""}
    assert {**last, "command_id": ""} == {
        **common, "run": 2, "version": 5, "status": "RUNNING", "before": "TERMINATED", "event": "RETRY", "by": "RETRY",
        "reason": "", "actor": "bob", "command_id": ""}
    swept = next(told for told in listener.told if (told["workflow"], told["status"]) == ("w/s", "TERMINATED"))
    line = next(line for line in k.history("w/s") if line.event == "TERMINATE")
    assert (swept["before"], swept["by"], swept["reason"], swept["command_id"]) == (
        line.source, line.by, line.reason, line.command_id)
    assert k.audit().clean
    assert check_history(k, "w")


@pytest.mark.parametrize("how", ["COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"])
def test_each_end_is_told_as_what_it_was(each: Stand, listener: Listener, clock: ManualClock, how: str) -> None:
    """The exact status, from where, and why; where nobody subscribed to it, nothing."""
    k = heard(each, listener)
    quiet = kernel.WorkflowDef("quiet", tasks=[Task("a")], timeout=100.0, notify=("PAUSED",))
    k.register(LEAF, quiet, kernel.WorkflowDef("loud", tasks=[Task("a")], timeout=100.0, notify=(how,)))
    for name in ("loud", "quiet"):
        k.start(name, workflow_id=name)
    for lease in k.poll("a", limit=2) if how != "TIMED_OUT" else ():
        if how == "FAILED":
            k.fail(lease, retryable=False, reason="no paper")
        elif how == "COMPLETED":
            k.complete(lease)
    if how == "TIMED_OUT":
        clock.advance(100.0)
        k.tick()
    elif how == "TERMINATED":
        for name in ("loud", "quiet"):
            k.terminate(name, reason="enough")
    assert k.deliver().delivered == 1
    (told,) = listener.told
    reason = {"FAILED": "task 'a' FAILED_WITH_TERMINAL_ERROR: no paper", "TERMINATED": "enough",
              "TIMED_OUT": "its deadline passed"}.get(how, "")
    assert (told["workflow"], told["status"], told["before"], told["reason"]) == ("loud", how, "RUNNING", reason)
    assert k.audit().clean


def test_two_changes_of_one_commit_come_in_their_order(each: Stand, listener: Listener) -> None:
    """What starts and ends in one commit is told to run, then to have ended."""
    k = heard(each, listener)
    k.register(kernel.WorkflowDef("short", tasks=[Task("f", kind="fork")], notify=("COMPLETED", "RUNNING")))
    k.start("short", workflow_id="w")
    assert ids(k) == ["w#1:notify@1.COMPLETED", "w#1:notify@1.RUNNING"]
    assert k.deliver().delivered == 2
    assert listener.of("w") == [(1, 1, "RUNNING"), (1, 1, "COMPLETED")]
    assert k.audit().clean


def test_a_notice_waits_for_open_ones_before_it_and_not_for_dead_ones(
    each: Stand, listener: Listener, clock: ManualClock
) -> None:
    """Also when it is asked for at once, and by its id; the notices of another workflow go on."""
    k = heard(each, listener, relay=RelayOptions(first=1.0, longest=1.0))
    k.register(LEAF, kernel.WorkflowDef("root", tasks=[Task("a")], notify=STATUSES))
    for name in ("v", "w"):
        k.start("root", workflow_id=name)
        k.pause(name)
    listener.deaf = {"w#1:notify@1.RUNNING"}
    assert (k.deliver().delivered, k.deliver(now=True).delivered) == (2, 0)
    assert (listener.of("v"), listener.of("w")) == ([(1, 1, "RUNNING"), (1, 2, "PAUSED")], [])
    with pytest.raises(kernel.GuardRefused, match="an earlier notice of its workflow is to be delivered first") as refused:
        k.commit(k.command("CLAIM", delivery_subject("w#1:notify@2.PAUSED"), given={"anyway": 1}))
    assert refused.value.guard == "in turn"
    while not k.deliveries(state="DEAD"):
        clock.advance(1.0)
        k.deliver()
    assert [d.id for d in k.deliveries(state="DEAD")] == ["w#1:notify@1.RUNNING"]
    k.deliver()
    assert listener.of("w") == [(1, 2, "PAUSED")]
    listener.deaf = set()
    k.redrive("w#1:notify@1.RUNNING")
    assert k.deliver().delivered == 1
    assert listener.of("w") == [(1, 2, "PAUSED"), (1, 1, "RUNNING")]


def test_a_cascade_tells_for_all_that_it_moves(each: Stand, listener: Listener) -> None:
    """PAUSE, RESUME and TERMINATE of many sub-workflows: a notice for each that was moved, with the cause of the command."""
    k = heard(each, listener)
    inner = kernel.WorkflowDef("inner", tasks=[Task("x")], notify=("PAUSED", "RUNNING", "TERMINATED"))
    k.register(inner, kernel.WorkflowDef("wide", tasks=[Task(f"s{n}", workflow="inner") for n in range(30)]))
    k.start("wide", workflow_id="w")
    k.pause("w/s3")
    k.pause("w", reason="night")
    k.resume("w")
    applied = k.terminate("w", reason="over")
    assert (applied.ended, applied.deliveries) == (31, 30)
    assert k.deliver(limit=1000).delivered == len(listener.told) == 30 * 4 - 1
    assert [status for _, _, status in listener.of("w/s0")] == ["RUNNING", "PAUSED", "RUNNING", "TERMINATED"]
    assert [status for _, _, status in listener.of("w/s3")] == ["RUNNING", "PAUSED", "TERMINATED"]
    before = {told["workflow"]: told["before"] for told in listener.told if told["status"] == "TERMINATED"}
    assert (before.pop("w/s3"), set(before.values())) == ("PAUSED", {"RUNNING"})
    assert {told["reason"] for told in listener.told if told["status"] == "PAUSED"} == {"", "night"}
    assert k.audit().clean
    assert check_history(k, "w")


def test_a_crash_tells_again_under_the_same_key(each: Stand, listener: Listener) -> None:
    """Between the delivery and its confirmation: at least once, the same bytes under the same key."""
    seen: list[tuple[str, bytes]] = []
    crashes = Crashes()

    def keep(parcel: Parcel) -> str:
        seen.append((parcel.key, parcel.read()))
        return "taken"

    k = Kernel(each.store, clock=each.clock, faults=crashes,
               sinks={NOTIFY: kernel.CallableSink(keep)})
    k.register(ROOT, LEAF)
    k.start("root", workflow_id="w")
    crashes.arm(FaultPoint.SENT)
    with pytest.raises(ProcessCrash):
        k.deliver()
    each.clock.advance(61.0)
    k.tick()
    each.clock.advance(1.0)
    assert k.deliver().delivered == 2
    assert seen[0] == next(entry for entry in seen[1:] if entry[0] == seen[0][0])


def test_ids_and_names(each: Stand, listener: Listener) -> None:
    """A notice is found, listed in order page by page, and told of by its id; what is no id is said to be none."""
    k = heard(each, listener)
    k.register(LEAF, ROOT)
    k.start("root", workflow_id="w")
    for _ in range(6):
        k.pause("w")
        k.resume("w")
    named = ids(k, workflow_id="w")
    assert named == [f"w#1:notify@{n}.{'PAUSED' if n % 2 == 0 else 'RUNNING'}" for n in range(1, 14)]
    assert [d.id for d in k.deliveries(workflow_id="w", after=named[8], limit=3)] == named[9:12]
    assert [(d.version, d.status) for d in k.deliveries(workflow_id="w", limit=2)] == [(1, "RUNNING"), (2, "PAUSED")]
    with pytest.raises(kernel.NotFound, match=r"w#1:notify@9\.PAUSED"):
        k.redrive("w#1:notify@9.PAUSED")
    for odd in ("w#1:notify@", "w#1:notify@x.PAUSED", "w#1:notify@1.ASLEEP", "w#1:@1.PAUSED"):
        with pytest.raises(kernel.InvalidInput, match=r"of a notice WORKFLOW#RUN:notify@VERSION\.STATUS"):
            k.redrive(odd)
    assert (entry_of("archive"), entry_of("notify@12.FAILED")) == (("archive", 0, ""), ("notify", 12, "FAILED"))


def test_a_directory_keeps_each_in_a_file(each: Stand, tmp_path: Path) -> None:
    """Its name says which one; the copy is read back."""
    k = Kernel(each.store, clock=each.clock, sinks={NOTIFY: kernel.DirectoryArchive(tmp_path / "told")})
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.terminate("w")
    assert {outcome.proof[:7] for outcome in k.deliver().outcomes} == {"sha256:"}
    names = sorted(file.name for file in (tmp_path / "told").iterdir())
    assert names == ["w.run1.v1-running.json", "w.run1.v2-terminated.json"]


def test_the_tree_is_purged_with_its_notices_only_once_they_are_told(each: Stand, listener: Listener) -> None:
    """A purge asks that everything is delivered."""
    k = heard(each, listener)
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.terminate("w")
    with pytest.raises(kernel.GuardRefused, match="a delivery of it is open or DEAD"):
        k.purge("w", unarchived=True)
    k.deliver()
    k.purge("w", unarchived=True)
    assert (k.deliveries(), k.audit().clean) == ([], True)


DAMAGE: Mapping[str, tuple[str, str, str]] = {
    "forgotten": ("DELETE FROM delivery WHERE version = 2", "", "no notice that it came to TERMINATED with version 2"),
    "made up": ("UPDATE delivery SET version = 3 WHERE version = 2", "notify@3.TERMINATED",
                "a notice of TERMINATED with version 3, of which that is"),
    "of another status": ("UPDATE delivery SET status = 'FAILED' WHERE version = 2", "notify@2.FAILED",
                          "a notice of FAILED with version 2"),
}
"""In SQL; what the notice is called then; what is found."""


def _renamed(store: RedisStore, name: str) -> None:
    """Give the notice of version 2 another name, in the row and in the index, or take it away."""
    was, rows, due = "notify@2.TERMINATED", f"{store.prefixes[0]}w:1:w", f"{store.prefixes[0]}o:notify"
    text = store.link.call(rows, "HGET", rows, f"d{was}")
    store.link.call(rows, "HDEL", rows, f"d{was}")
    (member,) = (each for each in store.link.call(due, "ZRANGE", due, 0, -1) if each.endswith(was))
    if name:
        store.link.call(rows, "HSET", rows, f"d{name}", text)
        store.link.call(due, "ZADD", due, int(json.loads(text)[3]), member.replace(was, name))


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_audit_compares_notices_with_the_history(each: Stand, listener: Listener, damage: str) -> None:
    """One that is missing, and one of a change that never was."""
    k = heard(each, listener)
    k.register(LEAF)
    k.start("leaf", workflow_id="w")
    k.terminate("w")
    sql, name, text = DAMAGE[damage]
    store: Any = each.store
    if isinstance(store, RedisStore):
        _renamed(store, name)
    elif not isinstance(store, MemoryStore):
        with store.connection() as connection:
            connection.execute(sql)
    else:
        row = store.outbox.pop(("w", 1, "notify@2.TERMINATED"))
        if name:
            _, row.version, row.status = entry_of(name)
            store.outbox["w", 1, name] = row
    found = k.audit().findings
    assert {finding.invariant for finding in found} == {"INV-03"}
    assert any(text in finding.text for finding in found)


def test_what_may_be_subscribed_to() -> None:
    """The statuses of a workflow, each once; the topic itself is not to be named."""
    for odd, why in ((("ASLEEP",), "ASLEEP"), (("PAUSED", "PAUSED"), "PAUSED")):
        with pytest.raises(kernel.InvalidDefinition, match=why):
            kernel.WorkflowDef("x", tasks=[Task("a")], notify=odd)
    with pytest.raises(kernel.InvalidDefinition, match="name the statuses in notify"):
        kernel.WorkflowDef("x", tasks=[Task("a")], topics=("notify",))
