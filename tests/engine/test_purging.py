"""Purging: only what is over, delivered and archived goes; then nothing of it is left but a tombstone, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

import kernel
from kernel.core.archive import ArchivePolicy
from kernel.engine.courier import Failed
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.sinks import Parcel
from kernel.sinks.callable import CallableSink
from kernel.testing.sinks import MemoryArchive
from tests.stores.stand import STORES, Stand, stand

Task = kernel.TaskDef
DAY = 86_400.0


@pytest.fixture(params=STORES)
def each(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """A store of each kind, with a sink that gives copies and one that gives receipts."""
    with stand(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def archive() -> MemoryArchive:
    """What the archive holds."""
    return MemoryArchive()


@pytest.fixture
def k(each: Stand, archive: MemoryArchive) -> Kernel:
    """A kernel with an archive."""
    return with_sink(each, archive)


def with_sink(each: Stand, sink: Any) -> Kernel:
    """A kernel on the same store, with this archive."""
    sinks = {} if sink is None else {"archive": sink}
    return Kernel(each.k.store, clock=each.clock, sinks=sinks, actor="ops")


def define(k: Kernel, archive: ArchivePolicy | None = None) -> None:
    """A definition with a sub-workflow."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",), archive=archive),
               kernel.WorkflowDef("root", tasks=[Task("s", workflow="leaf"), Task("a")], topics=("archive",),
                                  archive=archive))


def ended(k: Kernel, workflow_id: str = "w", *, runs: int = 1) -> None:
    """A tree that ended, its last run terminated."""
    k.start("root", workflow_id=workflow_id, input={"n": 1})
    for run in range(runs):
        if run:
            k.retry(workflow_id)
        for lease in k.poll("a", limit=1):
            k.complete(lease, output={"run": run})
        k.terminate(workflow_id, reason=f"enough {run}")


def refused(k: Kernel, workflow_id: str = "w", **options: Any) -> str:
    """The guard that keeps a workflow from being purged."""
    before = k.tree(workflow_id)
    with pytest.raises(kernel.GuardRefused) as found:
        k.purge(workflow_id, **options)
    assert k.tree(workflow_id) == before
    return found.value.guard


def traces(k: Kernel, root: str) -> list[str]:
    """Where a store still holds something of a tree, except its tombstone."""
    store: Any = k.store
    if store.name == "memory":
        keyed = {"trees": store.trees, "workflows": store.workflows, "tasks": store.tasks, "open": store.open,
                 "outbox": store.outbox, "payloads": store.payloads, "lines": store.lines, "late": store.late}
        keys = [(name, key if isinstance(key, str) else key[0]) for name, table in keyed.items() for key in table]
        return sorted({name for name, key in keys if key.split("/")[0] == root})
    if store.name == "redis":
        return [key for key in store.all_keys() if key.partition("}:")[2].partition(":")[0] in set("tfnhlwv")]
    with store.connection() as connection:
        found = []
        for query in ("SELECT 1 FROM tree", "SELECT 1 FROM workflow", "SELECT 1 FROM task", "SELECT 1 FROM payload",
                      "SELECT 1 FROM delivery", "SELECT 1 FROM history", "SELECT 1 FROM late"):
            found += [query] * bool(connection.execute(query).fetchall())
        return found


# ---- who may go ----------------------------------------------------------------------------------------------------------
def test_nothing_is_left_of_a_purged_tree(k: Kernel) -> None:
    """INV-05: all runs, tasks, payloads, history, deliveries go in one commit; the audit finds nothing dangling."""
    define(k)
    ended(k, runs=3)
    k.deliver()
    applied = k.purge("w", reason="gone by law")
    assert (applied.no_op, traces(k, "w"), k.audit().findings) == (False, [], ())
    assert k.find().items == ()
    assert k.deliveries() == []


def test_others_stay(k: Kernel) -> None:
    """Only the tree goes, not one whose id begins alike."""
    define(k)
    for name in ("w", "w2", "w-", "w."):
        ended(k, name)
    k.deliver()
    before = [k.tree(name) for name in ("w2", "w-", "w.")], k.history("w2", below=True)
    k.purge("w")
    assert ([k.tree(name) for name in ("w2", "w-", "w.")], k.history("w2", below=True)) == before
    assert k.audit().clean


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"])
def test_every_terminal_state_may_go(k: Kernel, each: Stand, state: str) -> None:
    """Each row of the table is taken."""
    k.register(kernel.WorkflowDef("one", tasks=[Task("a")], topics=("archive",), timeout=10.0))
    k.start("one", workflow_id="w")
    if state == "TERMINATED":
        k.terminate("w")
    elif state == "TIMED_OUT":
        each.clock.advance(11.0)
        k.tick()
    else:
        (lease,) = k.poll("a")
        k.complete(lease) if state == "COMPLETED" else k.fail(lease, retryable=False)
    assert k.get("w").state == state
    k.deliver()
    assert "PURGE" in [choice.event for choice in k.allowed("w") if choice.allowed]
    k.purge("w")
    assert k.get("w").state == state


def test_what_lives_stays(k: Kernel) -> None:
    """Rows of a live workflow are never removed, nor those of a sub-workflow alone."""
    define(k)
    k.start("root", workflow_id="w")
    with pytest.raises(kernel.NoSuchTransition, match="rows of a live workflow are never removed"):
        k.purge("w")
    k.terminate("w")
    k.deliver()
    assert refused(k, "w/s") == "root"


def test_what_is_not_delivered_stays(k: Kernel, each: Stand) -> None:
    """While a delivery is open or DEAD, nothing goes."""
    define(k)
    ended(k)
    assert refused(k) == refused(k, unarchived=True) == "everything delivered"
    (choice,) = (choice for choice in k.allowed("w") if choice.event == "PURGE")
    assert (choice.allowed, choice.guard) == (False, "everything delivered")
    k.deliver(limit=1)
    assert refused(k) == "everything delivered"
    k.deliver()
    k.purge("w")


def test_a_receipt_is_no_copy(each: Stand, k: Kernel) -> None:
    """INV-05: the archive must be one that was read back; saying that none is meant does not help while one is."""
    define(k)
    ended(k)
    with_sink(each, CallableSink(lambda parcel: "receipt")).deliver()
    assert {d.state for d in k.deliveries()} == {"DELIVERED"}
    assert refused(k) == refused(k, unarchived=True) == "archived"


@pytest.mark.parametrize("policy", [ArchivePolicy(off=True), ArchivePolicy(unsuccessful_only=True)])
def test_what_no_policy_archives_goes_when_the_caller_says_so(k: Kernel, each: Stand, policy: ArchivePolicy) -> None:
    """The policy asks for no archive, and the caller says that this is meant: both are needed."""
    define(k, policy)
    k.start("root", workflow_id="w")
    for type in ("x", "a"):
        for lease in k.poll(type):
            k.complete(lease)
    assert (k.get("w").state, k.deliveries()) == ("COMPLETED", [])
    assert refused(k) == "archived"
    k.set_archive_policy(ArchivePolicy())
    each.clock.advance(1.0)
    assert refused(k, unarchived=True) == "archived"
    k.set_archive_policy(None)
    each.clock.advance(1.0)
    k.purge("w", unarchived=True)
    assert traces(k, "w") == []


def test_retention_is_kept(k: Kernel, each: Stand) -> None:
    """Rows stay as long as the policy in force says, the store's before the definition's."""
    define(k, ArchivePolicy(retention=DAY))
    ended(k)
    k.deliver()
    each.clock.advance(DAY - 1.0)
    assert refused(k) == "retention passed"
    k.set_archive_policy(ArchivePolicy(retention=2 * DAY))
    each.clock.advance(2.0)
    assert refused(k) == "retention passed"
    each.clock.advance(DAY)
    k.purge("w")


# ---- what stays of it ------------------------------------------------------------------------------------------------------
def test_an_id_is_not_used_again(k: Kernel) -> None:
    """A tombstone stays: START is refused and says when and by whom it was purged, with the same content, too."""
    define(k)
    ended(k)
    k.deliver()
    k.purge("w", reason="by law")
    with pytest.raises(kernel.GuardRefused, match=r"(?s)'w' \(TERMINATED, run 1\) was purged at 2001-09-09 .*'ops': 'by law'"
                                                  r".*ids are not reused") as found:
        k.start("root", workflow_id="w", input={"n": 1})
    assert found.value.guard == "id unused"
    with pytest.raises(kernel.GuardRefused):
        k.start("leaf", workflow_id="w")
    assert traces(k, "w") == []


def test_every_other_command_says_that_it_was_purged(k: Kernel) -> None:
    """NotFound, with when, by whom and why."""
    define(k)
    ended(k)
    k.deliver()
    k.purge("w", reason="by law")
    calls: list[Any] = [k.purge, k.terminate, k.pause, k.retry, k.tasks, k.tree, k.history, k.allowed]
    for call in calls:
        with pytest.raises(kernel.NotFound, match=r"(?s)was purged at .* by 'ops': 'by law'"):
            call("w")
    with pytest.raises(kernel.NotFound, match="was purged at"):
        k.terminate("w/s")
    with pytest.raises(kernel.NotFound, match="there is none in this store"):
        k.purge("never")


def test_get_reads_the_archive_and_says_so(k: Kernel, each: Stand) -> None:
    """What was is told as it stood, of each run and below; `purged` says that it is the archive's word."""
    define(k)
    ended(k, runs=2)
    k.deliver()
    before = {(name, run): k.get(name, run=run) for name, run in (("w", None), ("w", 1), ("w", 2), ("w/s", 1))}
    assert all(stood.purged is None for stood in before.values())
    k.purge("w")
    for (name, run), stood in before.items():
        found = k.get(name, run=run)
        assert found.purged is not None
        assert found.purged.timestamp() == each.clock.now() / 1e6
        assert found == attrs.evolve(stood, version=found.version, purged=found.purged)
    for name, run in (("w", 3), ("w/never", None)):
        with pytest.raises(kernel.NotFound, match="was purged at"):
            k.get(name, run=run)


class Odd(MemoryArchive):
    """An archive that gives something else back."""

    def __init__(self, inner: MemoryArchive, gives: Any) -> None:
        super().__init__()
        self.inner, self.gives = inner, gives

    def read_back(self, parcel: Parcel) -> Any:
        """Not what it was given."""
        if self.gives == "other":
            return self.inner.read_back(attrs.evolve(parcel, workflow_id="v"))
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


def test_get_without_an_archive_tells_when_it_was_purged(k: Kernel, each: Stand, archive: MemoryArchive) -> None:
    """No sink, one without copies, one that raises or gives nothing, nonsense, another document: NotFound, and why."""
    define(k)
    ended(k)
    ended(k, "v")
    k.deliver()
    k.purge("w")
    cases: list[tuple[Any, str]] = [
        (None, "no sink for topic 'archive' that gives a copy"), (CallableSink(lambda parcel: "x"), "no sink for topic"),
        (MemoryArchive(), "the sink has no copy of it"), (Odd(archive, OSError("disk gone")), "OSError: disk gone"),
        (Odd(archive, 7), "not chunks of bytes"), (Odd(archive, [b"{}"]), "is damaged"), (Odd(archive, "other"), "is damaged"),
    ]
    for sink, why in cases:
        with pytest.raises(kernel.NotFound, match=f"(?s)was purged at .*{why}"):
            with_sink(each, sink).get("w")


def test_an_archive_that_hangs_keeps_no_reader(k: Kernel, each: Stand) -> None:
    """A fetch is called like a delivery, on a thread of its own and not for ever; here it is only asked for."""
    assert isinstance(k._relay.archived("never", 1), Failed)


# ---- commands and their ids --------------------------------------------------------------------------------------------------
def test_a_purge_under_an_id_is_repeated(k: Kernel) -> None:
    """The record of the purge itself stays: the same id again gives the first outcome."""
    define(k)
    ended(k)
    k.deliver()
    first = k.purge("w", command_id="p1")
    assert k.purge("w", command_id="p1") == first == k.outcome("p1", workflow_id="w")
    with pytest.raises(kernel.GuardRefused, match="another request"):
        k.purge("w", command_id="p1", unarchived=True)


def test_the_outcome_of_a_purge_without_an_id_is_known(k: Kernel) -> None:
    """Its id stands in the tombstone."""
    define(k)
    ended(k)
    k.deliver()
    applied = k.purge("w")
    found = k.outcome(applied.command_id, workflow_id="w")
    assert (found, traces(k, "w")) == (applied, [])
    assert k.outcome(applied.command_id, workflow_id="w") == applied


def test_what_was_applied_to_a_purged_tree_is_not_denied(k: Kernel) -> None:
    """What became of its commands is no longer known: neither NotApplied nor Applied; and none of them applies any more."""
    define(k)
    k.start("root", workflow_id="w", command_id="s1")
    generated = k.terminate("w", command_id="t1").command_id, k.start("leaf", command_id="s2").id
    k.terminate(generated[1])
    k.deliver()
    k.purge("w")
    k.purge(generated[1])
    for name, where in (("s1", "w"), ("t1", "w"), ("never", "w/s"), ("s2", None)):
        for _ in range(2):  # asking changes nothing
            found = k.outcome(name, workflow_id=where)
            assert isinstance(found, kernel.Purged)
            assert found.command_id == name
    with pytest.raises(kernel.GuardRefused):
        k.start("root", workflow_id="w", command_id="s1")
    assert k.audit().clean


# ---- many -------------------------------------------------------------------------------------------------------------------
def test_all_that_ended_long_ago_goes_batch_by_batch(k: Kernel, each: Stand) -> None:
    """What is younger, lives or may not go stays; what may not is told; rounds go on where the one before ended."""
    define(k)
    for number in range(7):
        ended(k, f"w{number}")
    k.deliver(limit=1000)
    ended(k, "w3a")
    k.start("root", workflow_id="alive")
    each.clock.advance(DAY)
    ended(k, "young")
    after, rounds = None, []
    while True:
        done = k.purge_ended(older_than=DAY, after=after, limit=3, reason="nightly")
        rounds.append((done.purged, [kept.workflow_id for kept in done.kept]))
        after = done.after
        if after is None:
            break
    assert rounds == [(3, []), (2, ["w3a"]), (2, [])]
    assert {item.id for item in k.find().items if item.parent is None} == {"alive", "w3a", "young"}
    assert done == kernel.Purge(2, (), None)
    assert k.audit().clean


@pytest.mark.parametrize("age", [-1.0, float("nan"), float("inf"), True, "1", None])
def test_an_age_is_a_number_of_seconds(k: Kernel, age: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(kernel.InvalidInput):
        k.purge_ended(older_than=age)


def test_a_purge_that_fails_leaves_everything(k: Kernel, each: Stand) -> None:
    """Undone is undone: rows, history and index of what is open are as they were."""
    define(k)
    ended(k, runs=2)
    k.deliver()
    before = k.tree("w"), k.tree("w", run=1), k.history("w", below=True), k.deliveries()

    def stop(point: Any, command: str) -> None:
        raise RuntimeError("stop")

    k.faults = stop
    for purge in (lambda: k.purge("w"), lambda: k.purge_ended(older_than=0.0)):
        with pytest.raises(RuntimeError):
            purge()
        assert (k.tree("w"), k.tree("w", run=1), k.history("w", below=True), k.deliveries()) == before
    assert k.audit().clean


# ---- others who were at work on it --------------------------------------------------------------------------------------
class Meddling:
    """An archive that does something else while it holds the first parcel."""

    owes = MemoryArchive.owes

    def __init__(self, inner: MemoryArchive, meddle: Callable[[], object]) -> None:
        self.inner, self.meddle = inner, [meddle]

    def deliver(self, parcel: Parcel) -> str:
        """Once."""
        while self.meddle:
            self.meddle.pop()()
        return self.inner.deliver(parcel)

    def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
        """As the archive does."""
        return self.inner.read_back(parcel)


def test_a_relay_finds_the_next_tree_purged(each: Stand, k: Kernel, archive: MemoryArchive) -> None:
    """What it had found due was delivered and purged by others meanwhile: it goes on with what is left."""
    define(k)
    for name in ("w1", "w2"):
        ended(k, name)

    def meddle() -> None:
        k.deliver()
        k.purge("w2")

    settled = with_sink(each, Meddling(archive, meddle)).deliver()
    assert [outcome.state for outcome in settled.outcomes] == ["DELIVERED"]
    assert {d.state for d in k.deliveries()} == {"DELIVERED"}
    assert k.get("w2").purged is not None


@pytest.mark.parametrize("fails", [False, True])
def test_a_relay_that_comes_back_to_a_purged_tree(each: Stand, k: Kernel, archive: MemoryArchive, fails: bool) -> None:
    """Its lease had run out, another relay delivered, and the tree is gone: it is told so, whatever its sink did."""
    k.register(kernel.WorkflowDef("one", tasks=[Task("x")], topics=("archive",)))
    k.start("one", workflow_id="w")
    k.terminate("w")

    def meddle() -> None:
        each.clock.advance(DAY)
        k.tick()
        each.clock.advance(DAY)
        k.deliver()
        k.purge("w")
        if fails:
            raise OSError("no space left")

    (outcome,) = with_sink(each, Meddling(archive, meddle)).deliver().outcomes
    assert outcome.state == "FENCED"
    assert "purge" in outcome.error


def test_a_timer_of_a_purged_tree(each: Stand, k: Kernel) -> None:
    """What a tick had found due is gone when its turn comes: it goes on with what is left."""
    k.register(kernel.WorkflowDef("one", tasks=[Task("x", lease=5.0)], topics=("archive",)))
    for name in ("w1", "w2", "w3"):
        k.start("one", workflow_id=name)
        k.poll("x")
    each.clock.advance(10.0)

    def hook(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.AFTER_COMMIT and command == "EXPIRE" and k.find(state="RUNNING", name="one").items:
            for name in ("w2", "w3"):
                with suppress(kernel.Refused):
                    k.terminate(name)
            k.deliver()
            k.purge("w2")

    ticked = Kernel(each.store, clock=each.clock, faults=hook).tick()
    assert ticked.expired == 1
    assert k.get("w2").purged is not None
    assert k.audit().clean
