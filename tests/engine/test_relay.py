"""The relay: whatever a sink does, workflows stay as they are and no delivery is lost."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as live_threads
from typing import Any

import pytest

import kernel
from kernel.core.plan import Subject
from kernel.core.records import MICROSECONDS, Policy
from kernel.engine.document import checked_document
from kernel.engine.kernel import Kernel
from kernel.engine.relay import Outcome, RelayOptions, Settled
from kernel.engine.sinks import Owes, Parcel
from kernel.errors import InvalidInput, NoSuchTransition, StoreReadOnly
from kernel.sinks.callable import CallableSink
from kernel.sinks.directory import DirectoryArchive
from kernel.stores.memory import MemoryStore
from kernel.stores.postgres import PostgresStore
from kernel.stores.redis import RedisStore
from kernel.stores.sqlite import SqliteStore
from kernel.testing.clock import ManualClock
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from tests.stores.stand import POLICY, STORES, Stand, stand

Task = kernel.TaskDef
LEAF = kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",))
ROOT = kernel.WorkflowDef("root", tasks=[Task("sub", workflow="leaf"), Task("a", input={"n": "${workflow.input.n}"})],
                          topics=("archive", "mail"))
PATIENCE = 60.0
"""Seconds that a test waits for another thread; nothing waits so long unless it is broken."""


def ended(k: Kernel, *names: str) -> None:
    """Workflows that were terminated, each with a sub-workflow: three deliveries."""
    k.register(LEAF, ROOT)
    for name in names or ("w",):
        k.start("root", workflow_id=name, input={"n": 1})
        k.terminate(name, reason="customer withdrew")


def lifecycles(each: Stand) -> Any:
    """What no sink may touch. A tree's clock is that of its last line of history, which the relay writes, too."""
    rows = each.rows()
    trees = {key: {name: row[name] for name in ("run", "version", "tasks")} for key, row in rows["tree"].items()}
    return [trees, rows["workflow"], rows["task"], rows["payload"]]


def served(each: Stand, sink: Any, *, timeout: float = 10.0, seed: int = 0, **more: Any) -> Kernel:
    """A process with a sink for 'archive'."""
    return each.kernel(sinks={"archive": sink, **more}, relay=RelayOptions(timeout=timeout), chance=random.Random(seed))


def by_id(k: Kernel) -> dict[str, kernel.Delivery]:
    """Every delivery by its id."""
    return {found.id: found for found in k.deliveries(limit=1_000)}


# ------------------------------------------------------------------------------------------------------------ delivered
def test_a_delivery_is_proven_and_confirmed(each: Stand, k: Kernel) -> None:
    """One pass delivers all that is due to the sinks of this process, reads back, and confirms with the digest."""
    ended(k)
    archive = MemoryArchive()
    before = lifecycles(each)
    settled = served(each, archive).deliver()
    assert (settled.delivered, settled.released, settled.dead) == (2, 0, 0)
    for outcome in settled.outcomes:
        found = by_id(k)[outcome.id]
        assert (found.state, found.attempt, found.proof, found.error, found.due) == ("DELIVERED", 1, outcome.proof, "", None)
        document = checked_document(archive.documents[found.workflow_id, 1])
        assert document["workflow"]["id"] == found.workflow_id
        assert outcome.place == f"memory:{found.workflow_id}.run1"
    assert by_id(k)["w#1:mail"].state == "PENDING"
    assert lifecycles(each) == before
    assert k.audit().clean
    assert served(each, archive).deliver() == Settled()


def test_a_process_without_the_sink_leaves_deliveries_alone(each: Stand, k: Kernel) -> None:
    """Topics belong to the definition, in the store: who has no sink does not even claim, and another process delivers."""
    ended(k)
    before = each.rows()
    assert k.deliver() == Settled()
    assert each.kernel(sinks={"other": MemoryArchive()}).deliver() == Settled()
    assert each.rows() == before
    receipts = CallableSink(lambda parcel: f"{parcel.topic} of {parcel.workflow_id} in attempt {parcel.attempt}")
    settled = each.kernel(sinks={"mail": receipts}).deliver()
    assert settled == Settled((Outcome("w#1:mail", "DELIVERED", proof="receipt:mail of w in attempt 1"),))
    assert by_id(k)["w#1:mail"].proof == "receipt:mail of w in attempt 1"


def test_a_parcel_says_what_it_is(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The key is the same in every attempt, and no other delivery of any store has it."""
    ended(k)
    seen: list[Parcel] = []

    def broken(parcel: Parcel) -> str:
        seen.append(parcel)
        raise OSError

    pass_again(served(each, CallableSink(broken)), clock, 2)
    assert {(p.workflow_id, p.run, p.topic, p.attempt) for p in seen} == {
        (id, 1, "archive", attempt) for id in ("w", "w/sub") for attempt in (1, 2)}
    assert {p.key for p in seen} == {f"{each.store.id}:w#1:archive", f"{each.store.id}:w/sub#1:archive"}


def pass_again(k: Kernel, clock: ManualClock, passes: int, seconds: float = 400.0) -> list[Settled]:
    """Several passes, with time enough between them for the next attempt."""
    found = []
    for _ in range(passes):
        found.append(k.deliver())
        clock.advance(seconds)
    return found


# ------------------------------------------------------------------------------------------------------ sinks that fail
FAULTS = [b for b in Behaviour if b not in (Behaviour.OK, Behaviour.HANG)]


@pytest.mark.parametrize("behaviour", FAULTS)
@pytest.mark.parametrize("owes", list(Owes))
def test_whatever_a_sink_does(each: Stand, k: Kernel, clock: ManualClock, behaviour: Behaviour, owes: Owes) -> None:
    """Raising (BaseException included), lying, half, twice, late: no workflow changes, the error is kept, the next attempt
    delivers, and what was delivered is the whole document once.
    """
    ended(k)
    archive = MemoryArchive()
    inner: Any = archive if owes is Owes.COPY else CallableSink(archive.deliver)
    sink = FaultySink(inner, [behaviour] * 4)
    before = lifecycles(each)
    first, second, third = pass_again(served(each, sink), clock, 3)
    assert sink.fired[behaviour] == 4 or behaviour is Behaviour.TWICE
    assert lifecycles(each) == before
    if behaviour is Behaviour.TWICE:
        assert (first.delivered, second, third) == (2, Settled(), Settled())
    else:
        assert ([first.released, second.released], third.delivered) == ([2, 2], 2)
        assert all(outcome.error and outcome.retry_in > 0 for outcome in first.outcomes)
    assert {found.state for id, found in by_id(k).items() if "archive" in id} == {"DELIVERED"}
    assert sorted(archive.documents) == [("w", 1), ("w/sub", 1)]
    assert all(checked_document(document) for document in archive.documents.values())
    assert k.audit().clean


@pytest.mark.parametrize("error", [OSError("disk gone"), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_the_last_error_is_kept(each: Stand, k: Kernel, error: BaseException) -> None:
    """What the sink raised, on one line, is in the delivery; the relay's process goes on."""
    ended(k)

    def broken(parcel: Parcel) -> str:
        raise error

    settled = served(each, CallableSink(broken)).deliver()
    assert settled.released == 2
    found = by_id(k)["w#1:archive"]
    assert (found.state, found.attempt) == ("PENDING", 1)
    assert found.error.startswith(type(error).__name__)


def test_a_sink_that_hangs(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """It is left behind after its timeout; other deliveries go on, and its late end changes nothing."""
    ended(k)
    sink = FaultySink(MemoryArchive(), [Behaviour.HANG])
    relay = served(each, sink, timeout=0.2)
    before = lifecycles(each)
    settled = relay.deliver()
    assert (settled.released, settled.delivered) == (1, 1)
    (late,) = [outcome for outcome in settled.outcomes if outcome.state == "PENDING"]
    assert "timed out" in late.error
    assert "timed out" in by_id(k)[late.id].error
    sink.release_all()
    assert lifecycles(each) == before
    clock.advance(400)
    assert relay.deliver().delivered == 1
    assert sink.fired[Behaviour.HANG] == 1


# -------------------------------------------------------------------------------------------------------------- backoff
@pytest.mark.parametrize("kind", STORES)
def test_attempts_wait_longer_and_longer(kind: str, tmp_path: Path) -> None:
    """Twice as long each time, up to the longest; by chance between half and all of it; what is not due is not tried."""
    options = RelayOptions(first=1.0, longest=20.0)
    waits: list[list[float]] = []
    with stand(kind, tmp_path, policy=Policy(sends=9, lease=60 * MICROSECONDS)) as each:
        ended(each.k, *(f"w{n}" for n in range(8)))
        sink = FaultySink(MemoryArchive(), [Behaviour.RAISE] * 10_000)
        relay = each.kernel(sinks={"archive": sink}, relay=options, chance=random.Random(4))
        for attempt in range(1, 9):
            settled = relay.deliver()
            assert settled.released == 16
            waits.append([outcome.retry_in for outcome in settled.outcomes])
            for outcome in settled.outcomes:
                due = by_id(each.k)[outcome.id].due
                assert due is not None
                assert abs(due.timestamp() - each.clock.now() / MICROSECONDS - outcome.retry_in) < 1e-5
            assert relay.deliver() == Settled(), attempt
            each.clock.advance(max(waits[-1]))
    for attempt, found in enumerate(waits):
        pause = min(20.0, 2.0**attempt)
        assert all(pause / 2 <= wait <= pause for wait in found)
        assert max(found) - min(found) > pause / 5
        assert len(set(found)) == len(found)


def test_a_huge_attempt_does_not_overflow(each: Stand) -> None:
    """However many attempts a policy allows."""
    relay = each.kernel(relay=RelayOptions(first=1.0, longest=300.0))._relay
    assert 150 * MICROSECONDS <= relay._delay(10**9) <= 300 * MICROSECONDS


# ----------------------------------------------------------------------------------------------------------------- dead
def test_a_delivery_dies_after_its_attempts(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """DEAD after `sends` attempts with the last error; it stays so until an operator redrives it, with all attempts anew."""
    ended(k)
    sink = FaultySink(MemoryArchive(), [Behaviour.RAISE] * 6)
    relay = served(each, sink)
    before = lifecycles(each)
    first, second, third, none = pass_again(relay, clock, 4)
    assert [first.released, second.released, third.dead, none.outcomes] == [2, 2, 2, ()]
    dead = k.deliveries(state="DEAD")
    assert [(d.id, d.attempt, d.error) for d in dead] == [
        (id, 3, "OSError: the archive is broken") for id in ("w#1:archive", "w/sub#1:archive")]
    done = k.redrive("w#1:archive", reason="mended", actor="ada")
    assert (done.no_op, done.ended, done.deliveries) == (False, 0, 0)
    found = by_id(k)["w#1:archive"]
    assert (found.state, found.attempt) == ("PENDING", 0)
    assert [outcome.id for outcome in relay.deliver().outcomes] == ["w#1:archive"]
    assert by_id(k)["w#1:archive"].state == "DELIVERED"
    assert by_id(k)["w/sub#1:archive"].state == "DEAD"
    assert lifecycles(each) == before


def test_what_cannot_be_redriven(each: Stand, k: Kernel) -> None:
    """PENDING is a no-op; LEASED and DELIVERED are refused, each with its reason."""
    ended(k)
    assert (k.redrive("w#1:archive").no_op, k.redrive("w#1:archive").why) == (True, "it is already PENDING")
    k.commit(k.command("CLAIM", Subject("w/sub", topic="archive", run=1), given={"anyway": 0}))
    with pytest.raises(NoSuchTransition, match="a relay is delivering it just now"):
        k.redrive("w/sub#1:archive")
    served(each, MemoryArchive()).deliver()
    with pytest.raises(NoSuchTransition, match="nothing is left to redrive"):
        k.redrive("w#1:archive")
    for text in ("", "w", "w#1", "w:archive", "w#x:archive", "w#1:", "#1:archive", "w#-1:archive", "w#\u0661:archive", None, 7):
        with pytest.raises(InvalidInput, match="WORKFLOW#RUN:TOPIC"):
            k.redrive(text)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------------- fenced
@pytest.mark.parametrize("proof", [True, False])
def test_a_relay_that_comes_too_late_is_fenced(each: Stand, k: Kernel, clock: ManualClock, proof: bool) -> None:
    """While its sink worked its lease ended and another relay delivered: its proof is not taken, and not its failure."""
    ended(k)
    other = served(each, MemoryArchive())

    def slow(parcel: Parcel) -> str:
        clock.advance(61)
        k.tick()
        assert {outcome.state for outcome in other.deliver().outcomes} == {"DELIVERED"}
        if proof:
            return "late"
        raise OSError("late")

    settled = served(each, CallableSink(slow)).deliver(limit=1)
    assert [outcome.state for outcome in settled.outcomes] == ["FENCED"]
    assert settled.outcomes[0].error
    assert other.deliver() == Settled()
    assert all(found.proof.startswith("sha256:") for id, found in by_id(k).items() if "archive" in id)


def test_a_late_claim_of_the_same_delivery_is_fenced(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The claim is counted: who held it before cannot confirm for who holds it now."""
    ended(k)
    subject = Subject("w", topic="archive", run=1)
    k.commit(k.command("CLAIM", subject, given={"anyway": 0}))
    clock.advance(61)
    k.tick()
    k.commit(k.command("CLAIM", subject, given={"anyway": 0}))
    for name, given in (("CONFIRM", {"claims": 1, "proof": "p"}), ("RELEASE", {"claims": 1, "delay": 0, "error": "e"})):
        with pytest.raises(kernel.GuardRefused) as caught:
            k.commit(k.command(name, subject, given=given))
        assert caught.value.guard.startswith("lease held")
    k.commit(k.command("CONFIRM", subject, given={"claims": 2, "proof": "p"}))
    assert by_id(k)["w#1:archive"].proof == "p"


# --------------------------------------------------------------------------------------------------- no lock, no transaction
OTHERS = """SELECT 1 FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()"""


def free(each: Stand) -> bool:
    """Nobody holds the store's lock or an open transaction."""
    store = each.store
    if isinstance(store, SqliteStore):
        taken = not store.writer.acquire(blocking=False)
        if not taken:
            store.writer.release()
        return not taken and all(not connection.in_transaction for connection in store._idle) and len(store._idle) == 1
    if isinstance(store, PostgresStore):
        with store.connection() as connection:
            return not connection.execute(OTHERS).fetchall()
    if isinstance(store, RedisStore):
        return True  # it has none, whatever is asked of it
    assert isinstance(store, MemoryStore)
    answer: list[bool] = []

    def try_it() -> None:
        answer.append(store.lock.acquire(blocking=False))
        if answer[0]:
            store.lock.release()

    thread = Thread(target=try_it)
    thread.start()
    thread.join(PATIENCE)
    return answer == [True]


def test_no_lock_is_held_while_a_sink_works(each: Stand, k: Kernel) -> None:
    """While it delivers, between the chunks of the document and while its copy is read back: the store is free."""
    ended(k)
    seen: list[str] = []

    class Watching(MemoryArchive):
        """Looks at the store whenever it is called."""

        def deliver(self, parcel: Parcel) -> str:
            """Look before, in the middle and after."""
            for _ in parcel.open():
                assert free(each)
                seen.append("chunk")
            seen.append("delivered")
            assert free(each)
            return super().deliver(parcel)

        def read_back(self, parcel: Parcel) -> Iterator[bytes] | None:
            """Look, too."""
            assert free(each)
            seen.append("read back")
            return super().read_back(parcel)

    assert served(each, Watching()).deliver().delivered == 2
    assert {name: seen.count(name) for name in ("delivered", "read back")} == {"delivered": 2, "read back": 2}
    assert seen.count("chunk") >= 6


def test_others_write_while_a_sink_blocks(each: Stand, k: Kernel) -> None:
    """A sink that blocks keeps nobody from any command, of the same workflow's deliveries neither."""
    ended(k, "v", "w")
    blocked, go_on = Event(), Event()

    def block(parcel: Parcel) -> str:
        blocked.set()
        assert go_on.wait(PATIENCE)
        return "done"

    relay = served(each, CallableSink(block))
    thread = Thread(target=relay.deliver, kwargs={"limit": 1})
    thread.start()
    assert blocked.wait(PATIENCE)
    assert free(each)
    k.start("root", workflow_id="x", input={"n": 2})
    assert k.terminate("x").ended == 2
    assert served(each, MemoryArchive()).deliver(limit=100).delivered == 5
    assert k.audit().clean
    go_on.set()
    thread.join(PATIENCE)
    assert {found.state for id, found in by_id(k).items() if "archive" in id} == {"DELIVERED"}


def test_a_sink_may_call_back(each: Stand, k: Kernel) -> None:
    """Commands from inside a sink are commands like any other."""
    ended(k)
    inside: list[kernel.Workflow] = []

    def call_back(parcel: Parcel) -> str:
        inside.append(k.start("leaf", workflow_id=f"after-{parcel.workflow_id.replace('/', '-')}"))
        k.terminate(inside[-1].id)
        return "called"

    assert served(each, CallableSink(call_back)).deliver(limit=2).delivered == 2
    assert [k.get(w.id).state for w in inside] == ["TERMINATED", "TERMINATED"]


# --------------------------------------------------------------------------------------------------------------- passes
def noting(seen: list[Parcel]) -> CallableSink:
    """A sink that only notes what it gets."""
    def note(parcel: Parcel) -> str:
        seen.append(parcel)
        return "noted"

    return CallableSink(note)


def test_a_pass_tries_at_most_the_limit(each: Stand, k: Kernel) -> None:
    """And no delivery twice, though a failed one may be due at once."""
    ended(k, "u", "v", "w")
    seen: list[Parcel] = []
    relay = served(each, noting(seen))
    assert [len(relay.deliver(limit=4).outcomes), len(relay.deliver(limit=4).outcomes), len(seen)] == [4, 2, 6]
    assert len({parcel.key for parcel in seen}) == 6


@pytest.mark.parametrize("timeout", [1.0, 600.0])
def test_a_relay_claims_one_at_a_time(each: Stand, k: Kernel, timeout: float) -> None:
    """Who waits in line for a slow sink is not claimed: no lease runs out unused, no attempt is counted for it."""
    ended(k, *(f"w{n}" for n in range(6)))
    held: list[int] = []

    def count(parcel: Parcel) -> str:
        held.append(len(k.deliveries(state="LEASED")))
        return "ok"

    assert served(each, CallableSink(count), timeout=timeout).deliver(limit=100).delivered == 12
    assert held == [1] * 12


def test_a_hanging_sink_costs_only_whom_it_held(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Four calls hang; then the sink is left alone, and deliveries that it never saw have all their attempts."""
    ended(k, *(f"w{n}" for n in range(4)))
    sink = FaultySink(MemoryArchive(), [Behaviour.HANG] * 4)
    relay = served(each, sink, timeout=0.1)
    settled = relay.deliver()
    assert settled.released == 4
    (obstacle,) = settled.obstacles
    assert (obstacle.topic, obstacle.why[:30]) == ("archive", "4 earlier calls of this sink a")
    archived = [d for d in k.deliveries() if d.topic == "archive"]
    assert sorted(d.attempt for d in archived) == [0] * 4 + [1] * 4
    clock.advance(400)
    k.tick()
    assert relay.deliver() == Settled((), (obstacle,))
    assert sorted(d.attempt for d in k.deliveries() if d.topic == "archive") == [0] * 4 + [1] * 4
    calls = [thread for thread in live_threads() if thread.name == "sink archive"]
    sink.release_all()
    for thread in calls:
        thread.join(PATIENCE)
    assert relay.deliver().delivered == 8


class Guarded(MemoryArchive):
    """An archive that says beforehand what is wrong with it."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: BaseException | None = OSError("no such folder")
        self.asked = 0

    def check(self) -> None:
        """Raise it."""
        self.asked += 1
        if self.wrong is not None:
            raise self.wrong


@pytest.mark.parametrize("error", [OSError("no such folder"), KeyboardInterrupt("no such folder")])
def test_a_sink_that_is_not_ready_costs_no_attempt(each: Stand, k: Kernel, error: BaseException) -> None:
    """It is asked once in a pass, before anything is claimed, and only when something is due; other topics go on."""
    archive = Guarded()
    archive.wrong = error
    relay = served(each, archive, mail=MemoryArchive())
    assert relay.deliver() == Settled()
    assert archive.asked == 0
    ended(k)
    settled = relay.deliver()
    assert [(o.topic, o.why) for o in settled.obstacles] == [("archive", f"{type(error).__name__}: no such folder")]
    assert [outcome.id for outcome in settled.outcomes] == ["w#1:mail"]
    assert archive.asked == 1
    assert {(d.state, d.attempt) for d in k.deliveries() if d.topic == "archive"} == {("PENDING", 0)}
    archive.wrong = None
    assert relay.deliver().delivered == 2
    assert archive.asked == 2


def test_a_check_that_hangs_is_an_obstacle(each: Stand, k: Kernel) -> None:
    """It has the sink's timeout, and counts as one of its hanging calls."""
    ended(k)
    go_on = Event()
    archive = Guarded()
    archive.check = go_on.wait  # type: ignore[method-assign, assignment]
    settled = served(each, archive, timeout=0.02).deliver()
    go_on.set()
    assert "timed out" in settled.obstacles[0].why
    assert settled.outcomes == ()


def test_the_defaults_outlast_an_outage_of_hours() -> None:
    """All attempts of a delivery, with the shortest pauses that chance gives, last for more than ten hours; with the longest
    for less than a day. specs/delivery.md and RelayOptions say so.
    """
    options, sends = RelayOptions(), Policy().sends
    pauses = [min(options.longest, options.first * 2.0**attempt) for attempt in range(sends - 1)]
    assert 10 < sum(pauses) / 2 / 3600 < 12
    assert 21 < sum(pauses) / 3600 < 23


def test_what_is_due_first_is_tried_first(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Older deliveries before younger ones."""
    for name in ("c", "a", "b"):
        ended(k, name)
        clock.advance(1)
    seen: list[Parcel] = []
    served(each, noting(seen)).deliver()
    assert [parcel.workflow_id[0] for parcel in seen] == ["c", "c", "a", "a", "b", "b"]


@pytest.mark.parametrize("limit", [0, -1, 1_000_001, 1.5, True, None, "7"])
def test_a_limit_is_a_whole_number(k: Kernel, limit: Any) -> None:
    """From 1 to a million."""
    with pytest.raises(InvalidInput, match="from 1 to 1,000,000"):
        k.deliver(limit=limit)


def test_a_store_that_fails_while_settling(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """The sink delivered, but the store could not confirm: the caller is told, and the delivery comes again, to the same
    copy, under the same key.
    """
    ended(k)
    archive = MemoryArchive()
    relay = served(each, archive)
    real = relay.commit

    def fail(command: Any) -> Any:
        raise StoreReadOnly("writing", why="planted")

    relay.commit = fail  # type: ignore[method-assign]
    with pytest.raises(StoreReadOnly):
        relay.deliver()
    relay.commit = real  # type: ignore[method-assign]
    assert len(archive.documents) == 1
    assert len(k.deliveries(state="LEASED")) == 1
    clock.advance(61)
    assert k.tick().released == 1
    assert [outcome.state for outcome in relay.deliver().outcomes] == ["DELIVERED", "DELIVERED"]
    assert len(archive.documents) == 2


# -------------------------------------------------------------------------------------------------------------- archive
def test_the_copy_in_a_directory_is_the_document(each: Stand, k: Kernel, tmp_path: Path) -> None:
    """INV-04: what is DELIVERED reads back equal; the file's digest is the proof that the delivery carries."""
    ended(k)
    settled = served(each, DirectoryArchive(tmp_path / "archive")).deliver()
    for outcome in settled.outcomes:
        data = Path(outcome.place).read_bytes()
        assert outcome.proof == f"sha256:{hashlib.sha256(data).hexdigest()}"
        assert checked_document(data)["format"] == "kernel-archive/1"
        assert json.loads(data)["workflow"]["state"] == "TERMINATED"


def test_a_delivery_survives_its_process(tmp_path: Path) -> None:
    """A relay dies with its claims: after its lease another process delivers them."""
    path = str(tmp_path / "kernel.db")
    clock = ManualClock()
    first = Kernel(SqliteStore(path, policy=POLICY), clock=clock)
    ended(first)
    first.commit(first.command("CLAIM", Subject("w", topic="archive", run=1), given={"anyway": 0}))
    first.close()
    archive = MemoryArchive()
    second = Kernel(SqliteStore(path, policy=POLICY), clock=clock, sinks={"archive": archive})
    assert second.deliver().delivered == 1
    clock.advance(61)
    assert second.tick().released == 1
    assert second.deliver().delivered == 1
    assert sorted(archive.documents) == [("w", 1), ("w/sub", 1)]
    second.close()


@pytest.mark.parametrize("sinks", [{"archive": None}, {"archive": 7}, {"archive": object()}])
def test_what_is_no_sink_is_refused(each: Stand, sinks: dict[str, Any]) -> None:
    """When the kernel is made, not when the first delivery is due."""
    with pytest.raises(InvalidInput, match="the sink of topic 'archive'"):
        each.kernel(sinks=sinks)


def test_a_settled_pass_counts_its_outcomes() -> None:
    """By state."""
    outcomes = tuple(Outcome("w#1:archive", state) for state in ("DELIVERED", "PENDING", "PENDING", "DEAD", "FENCED"))
    settled = Settled(outcomes)
    assert (settled.delivered, settled.released, settled.dead, settled.count("FENCED")) == (1, 2, 1, 1)
