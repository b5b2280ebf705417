"""What a process remembers of its latest commits saves questions, and never decides: whatever others did meanwhile counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

import kernel
from kernel.core.plan import Subject
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.stores.redis_lately import CROWD, MOST_FIELDS, MOST_TREES, MOST_WAITING, UNSURE, Lately, Left, Waits
from kernel.stores.redis_transaction import LONGEST_REMEMBERED
from kernel.testing.clock import ManualClock
from kernel.testing.redis_stores import RedisStores
from tests.redis_server import needs_redis, server

pytestmark = needs_redis
CHAIN = kernel.WorkflowDef("chain", topics=("archive",), tasks=[
    kernel.TaskDef("a", type="t"), kernel.TaskDef("b", type="t", after=["a"]), kernel.TaskDef("c", type="u", after=["b"])])
Pair = tuple[Kernel, Kernel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two processes, as it were, on one store."""
    stores, clock = RedisStores(server().url), ManualClock()
    first = stores.open()
    second = stores.beside(first)
    ours = Kernel(first, clock=clock), Kernel(second, clock=clock)
    ours[0].register(CHAIN)
    yield ours
    second.close()
    stores.remove(first)


def asked(k: Kernel, act: Callable[[], Any]) -> list[str]:
    """The scripts that the server is given, and the commands, while something is done; not that it is told what a script is."""
    link, found = k.store.link, []  # type: ignore[attr-defined]
    exchange = link._exchange

    def listen(key: str, command: tuple[Any, ...], *rest: Any) -> Any:
        if command[0] != "EVAL":
            found.append(command[0])
        return exchange(key, command, *rest)

    link._exchange = listen
    try:
        act()
    finally:
        link._exchange = exchange
    return found


def test_how_often_the_server_is_asked(pair: Pair) -> None:
    """One way there and back for a start, for a result, and for a poll where the task is remembered; two where it is not, and
    where its caller chose an id; one more, once, for the policy of the outbox.
    """
    k, other = pair
    k.start("chain")  # definitions and scripts
    k.complete(*k.poll("t"))
    assert asked(k, lambda: k.start("chain", workflow_id="w")) == ["EVALSHA"]
    leases: list[kernel.Lease] = []
    for type, more in (("t", 0), ("t", 0), ("u", 1), ("t", 0), ("u", 0)):
        assert asked(k, lambda type=type: leases.extend(k.poll(type))) == ["EVALSHA"]  # type: ignore[misc]
        assert len(asked(k, lambda: k.complete(leases.pop()))) == 1 + more
    assert k.get("w").state == "COMPLETED"
    assert (other.get("w").state, other.poll("nothing")) == ("COMPLETED", [])
    k.start("chain")
    assert asked(other, lambda: other.complete(*other.poll("t"))) == ["EVALSHA"] * 3
    assert len(asked(other, lambda: other.poll("t", command_id="mine"))) > 2
    assert k.audit().clean


def test_commits_are_said_in_texts(pair: Pair) -> None:
    """Numbers would have to be made texts in the thread that handles signals, and cost more than texts in every other one."""
    k, _ = pair
    k.start("chain")  # definitions, and the numbers of workflows
    link, said = k.store.link, set[type]()  # type: ignore[attr-defined]
    exchange = link._exchange

    def listen(key: str, command: tuple[Any, ...], *rest: Any) -> Any:
        said.update(map(type, command))
        return exchange(key, command, *rest)

    link._exchange = listen
    k.complete(*k.poll("t"), output={"b": 2})
    k.start("chain", input={"a": 1}, command_id="c2")
    assert said == {str}


def test_who_was_due_first_is_first(pair: Pair) -> None:
    """Also where another process started it: the task that is remembered comes next. For a while the server is asked then."""
    k, other = pair
    k.start("chain")
    other.start("chain", workflow_id="w0")
    k.clock.advance(1.0)  # type: ignore[attr-defined]
    k.start("chain", workflow_id="w1")
    k.poll("t")
    lately = k.store.lately  # type: ignore[attr-defined]
    for name in ("w0", "w1"):
        assert not lately.is_crowded("u")
        assert [lease.workflow_id for lease in k.poll("t", worker="me")] == [name]
        assert lately.is_crowded("t")
    for _ in range(CROWD):
        k.start("chain")
        ways = 2 if lately.is_crowded("t") else 1
        assert len(asked(k, lambda: k.poll("t"))) == ways
    assert not lately.is_crowded("t")
    assert k.verify().clean


@pytest.mark.parametrize("act", ["poll", "pause", "terminate", "late"])
def test_a_task_that_is_not_to_be_had_any_more(pair: Pair, act: str) -> None:
    """What another process did with the task that is remembered counts; what is not due yet is not taken."""
    k, other = pair
    k.register(kernel.WorkflowDef("tried", tasks=[kernel.TaskDef("a", type="t", retries=1, retry_delay=5.0)]))
    k.start("tried", workflow_id="w")
    if act == "late":
        k.fail(*k.poll("t"))
    elif act == "poll":
        other.poll("t")
    else:
        (other.pause if act == "pause" else other.terminate)("w")
    assert k.poll("t") == []
    if act == "late":
        k.clock.advance(5.0)  # type: ignore[attr-defined]
    elif act == "pause":
        other.resume("w")
    assert len(k.poll("t")) == (act in ("late", "pause"))
    assert k.audit().clean
    assert k.verify().clean


@pytest.mark.parametrize("closed", [False, True])
def test_whoever_tells_late_of_a_task_that_another_took(pair: Pair, closed: bool) -> None:
    """Of two threads one left the task, and tells of it when the other took it, or ended its workflow: that is looked at."""
    k, _ = pair
    k.start("chain", workflow_id="w")
    waits = k.store.lately.first("t", 2**60)  # type: ignore[attr-defined]
    (k.terminate if closed else k.poll)("w" if closed else "t")
    k.store.lately.queue([("t", waits.member, waits)])  # type: ignore[attr-defined]
    found: list[kernel.Lease] = []
    assert asked(k, lambda: found.extend(k.poll("t"))) == ["EVALSHA"]
    assert found == []


@pytest.mark.parametrize("length", [1, LONGEST_REMEMBERED + 1])
def test_what_a_task_is_handed(pair: Pair, length: int) -> None:
    """Its input is that which it has, whether it is remembered, or too long for that."""
    k, other = pair
    k.register(kernel.WorkflowDef("fed", tasks=[
        kernel.TaskDef("a", type="t", input={"x": "${workflow.input.x}"}),
        kernel.TaskDef("b", type="t", after=["a"], input={"y": "${a.output.y}"})]))
    k.start("fed", workflow_id="w", input={"x": "x" * length})
    (lease,) = k.poll("t")
    assert lease.input == {"x": "x" * length}
    left = k.store.lately.known("w")  # type: ignore[attr-defined]
    assert any(":v:" in key for key in left.held) == (length == 1)
    k.complete(lease, output={"y": "y" * length})
    (lease,) = k.poll("t")
    assert lease.input == {"y": "y" * length}
    other.complete(lease)
    assert k.get("w").state == "COMPLETED"


def test_what_waits_is_kept_in_bounds() -> None:
    """The earliest of a type comes first, once, when it is due; what was taken does not come; neither do more than so many."""
    def waits(due: int, no: int) -> Waits:
        return Waits(due, f"{no:06d}", "w", 1, no)

    lately = Lately()
    lately.queue([("t", each.member, each) for each in (waits(3, 1), waits(2, 3), waits(2, 2), waits(1, 4), waits(9, 5))])
    lately.queue([("t", "000004", None), ("u", "000004", None)])
    assert [lately.first("t", 5) for _ in range(4)] == [waits(2, 2), waits(2, 3), waits(3, 1), None]
    assert lately.first("t", 9) == waits(9, 5)
    lately.queue([("t", f"{no:06d}", waits(no, no)) for no in range(MOST_WAITING + 1)])
    assert sum(lately.first("t", 2**60) is not None for _ in range(MOST_WAITING + 1)) == MOST_WAITING
    for number in range(MOST_WAITING + 1):
        lately.queue([(f"t{number}", "000001", waits(1, 1))])
    assert (lately.first("t0", 1), lately.first("t1", 1)) == (None, waits(1, 1))
    lately.queue([("t", "000001", waits(1, 1))])
    lately.polled("t", overtaken=True)
    for left in range(CROWD, 0, -1):
        assert (lately.first("t", 1), lately.is_crowded("t")) == (None, left > 0)
        lately.polled("t", overtaken=False)
    lately.queue([("t", "000001", waits(1, 1))])
    assert lately.first("t", 1) == waits(1, 1)


def test_what_others_did_counts(pair: Pair) -> None:
    """A decision on what is not so any more is taken again: what applies, what is refused, and what changes nothing."""
    k, other = pair
    k.start("chain", workflow_id="w")
    other.pause("w")
    assert not k.resume("w").no_op  # it remembers a workflow that is RUNNING, where this changes nothing
    other.pause("w")
    with pytest.raises(kernel.Refused, match="PAUSED"):
        k.retry("w")
    other.resume("w")
    (lease,) = k.poll("t")
    other.terminate("w")
    with pytest.raises(kernel.Refused):
        k.complete(lease)
    assert k.terminate("w").no_op
    assert other.get("w").version == k.get("w").version == 6
    assert k.audit().clean


def test_an_id_that_others_used(pair: Pair) -> None:
    """A start takes its id for unused: where it is not, it is as if it had looked."""
    k, other = pair
    other.start("chain", workflow_id="w")
    assert k.start("chain", workflow_id="w") == other.get("w")
    with pytest.raises(kernel.GuardRefused, match="another definition or with another input"):
        k.start("nothing", workflow_id="w")
    with pytest.raises(kernel.GuardRefused, match="another definition or with another input"):
        k.start("chain", workflow_id="w", input={"a": 1})
    other.terminate("w")
    assert k.start("chain", workflow_id="w").state == "TERMINATED"


def test_definitions_of_others(pair: Pair) -> None:
    """The latest version is the latest that anybody registered; and what was not there may be there now."""
    k, other = pair
    k.start("chain")
    other.register(kernel.WorkflowDef("chain", version=2, tasks=[kernel.TaskDef("a")]), kernel.WorkflowDef("new", tasks=[
        kernel.TaskDef("a")]))
    assert k.start("chain").definition_version == 2
    k.start("chain")
    other.register(kernel.WorkflowDef("newer", tasks=[kernel.TaskDef("a")]))
    assert k.start("newer").name == "newer"
    with pytest.raises(kernel.NotFound, match="not registered"):
        k.start("newest")


@pytest.mark.parametrize("version", [None, 1])
def test_a_registration_that_a_server_lost(pair: Pair, version: int | None) -> None:
    """What was registered last may be gone after a failover. Who remembers it starts nothing else in its place."""
    k, other = pair
    k.start("chain")
    link, prefix = k.store.link, k.store.prefixes[0]  # type: ignore[attr-defined]
    for key, *rest in (("names",), ("definitions",), ("head", "registered")):
        link.call(prefix + key, "HDEL" if rest else "DEL", prefix + key, *rest)
    other.register(kernel.WorkflowDef("other", tasks=[kernel.TaskDef("x")]))
    with pytest.raises(kernel.NotFound, match="chain"):
        k.start("chain", version=version, workflow_id="w")
    k.register(CHAIN)
    k.start("chain", version=version, workflow_id="w")
    assert [task.ref for task in other.tasks("w")] == ["a", "b", "c"]


def test_a_policy_of_others(pair: Pair) -> None:
    """Whether a run is archived is as the store says when the run ends, not as it said before."""
    k, other = pair
    for name in ("before", "after"):
        k.start("chain", workflow_id=name)
        for type in "ttu":
            k.complete(*k.poll(type))
        other.set_archive_policy(kernel.ArchivePolicy(off=True))
        k.clock.advance(1.0)  # type: ignore[attr-defined]
    assert [each.workflow_id for each in k.deliveries()] == ["before"]


def test_who_must_know_all_of_a_tree_asks(pair: Pair) -> None:
    """A server lost that this process delivered, and another one failed to: there are as many lines of history, but nothing
    may be purged yet.
    """
    receipts = iter(("got it", ""))
    k, other = (Kernel(each.store, clock=each.clock, sinks={"mail": kernel.CallableSink(lambda parcel: next(receipts))})
                for each in pair)
    k.register(kernel.WorkflowDef("told", tasks=[kernel.TaskDef("a")], topics=("mail",)))
    k.start("told", workflow_id="w")
    k.complete(*k.poll("a"))
    client: Any = redis.Redis.from_url(server().url)
    kept = {key: client.dump(key) for key in map(str.encode, k.store.all_keys())}  # type: ignore[attr-defined]
    assert k.deliver().delivered == 1
    client.delete(*k.store.all_keys())  # type: ignore[attr-defined]
    for key, value in kept.items():
        client.restore(key, 0, value)
    assert other.deliver().delivered == 0
    with pytest.raises(kernel.Refused):
        k.purge("w", unarchived=True)
    assert [each.state for each in k.deliveries()] == ["PENDING"]


def test_rows_are_unpacked_once(pair: Pair) -> None:
    """A decision has the rows that the commits before it left, not copies; of two at once the first one has."""
    k, _ = pair
    k.start("chain", workflow_id="w")
    kept = k.store.lately.known("w").rows["w"]  # type: ignore[attr-defined]
    mine = [kept["w", 1][-1], kept["w", 1, 0][-1]]
    k.complete(*k.poll("t"))
    with k.store.transaction(write=True) as one, k.store.transaction(write=True) as two:
        snapshots = [each.snapshot(Subject("w", 0)) for each in (one, two)]
        found: list[list[Any]] = [[each.workflow("w"), each.task("w", 0)] for each in snapshots]
    assert [[row is known for row, known in zip(rows, mine, strict=True)] for rows in found] == [[True] * 2, [False] * 2]
    told, again = ([(row.state, row.changed, row.counts, row.reason) for row in rows] for rows in found)
    assert told == again
    assert [row.state for row in mine] == ["RUNNING", "COMPLETED"]


def test_rows_are_those_of_their_tree(pair: Pair) -> None:
    """Of a commit on two trees, each is remembered with its own."""
    k, _ = pair
    names = [k.start("chain").id for _ in range(2)]
    assert len(k.poll("t", limit=2)) == 2
    for name in names:
        rows = k.store.lately.known(name).rows[name]  # type: ignore[attr-defined]
        assert {place[0] for place in rows} == {name}


@pytest.mark.parametrize("place", [("w", 1), ("w", 1, 0)])
@pytest.mark.parametrize("what", ["text", "counts", "taken", "written"])
def test_rows_of_other_texts(pair: Pair, what: str, place: tuple[Any, ...]) -> None:
    """A row is given only as what the texts say that are compared, where no other decision of the transaction has it."""
    k, _ = pair
    k.start("chain", workflow_id="w")
    kept = k.store.lately.known("w").rows["w"]  # type: ignore[attr-defined]
    *texts, row = kept[place]
    if what == "text":
        kept[place] = ("", *texts[1:], row)
    elif what == "counts":
        kept[place] = (*texts[:1], *[""] * (len(texts) > 1), *texts[2:], row)
    elif what == "taken":
        row.view = k
    with k.store.transaction(write=True) as transaction:
        snapshot = transaction.snapshot(Subject("w", 0))
        if what == "written":
            transaction.own["something"] = {"else"}  # type: ignore[attr-defined]
        found: Any = snapshot.workflow("w") if len(place) == 2 else snapshot.task("w", 0)
    assert (found is row) == (what == "counts" and len(place) == 3)
    assert (found.state, found.view) == ("RUNNING" if len(place) == 2 else "SCHEDULED", None)


def test_where_it_was_looked_for_is_as_its_text_says(pair: Pair) -> None:
    """A task is taken out of its queue, also where what is remembered of it is of another time."""
    k, _ = pair
    k.start("chain", workflow_id="w")
    kept = k.store.lately.known("w").rows["w"]  # type: ignore[attr-defined]
    kept["w", 1, 0] = "", (), kept["w", 1, 0][-1]
    key = f"{k.store.prefixes[0]}q:t"  # type: ignore[attr-defined]
    for left in (1, 0):
        assert k.store.link.call(key, "ZCARD", key) == left  # type: ignore[attr-defined]
        assert len(k.poll("t")) == left


def no_field(key: str) -> tuple[str, ...]:
    """Nothing is sure."""
    return ()


def test_what_is_kept_has_bounds() -> None:
    """Neither many trees nor a large one are remembered, and none that turned out to be otherwise."""
    lately, left = Lately(), Left((1, 1, 1, 1, 1), {"f": {"w": ""}}, frozenset(), 1, {})
    for number in range(MOST_TREES + 1):
        lately.keep(f"w{number}", left, 0, no_field)
    assert (lately.known("w0"), lately.known("w1")) == (None, left)
    lately.forget(["w1"], [])
    assert lately.known("w1") is None
    large = Left((1, 1, 1, 1, 1), {"w": dict.fromkeys(map(str, range(MOST_FIELDS + 1)))}, frozenset(), 1, {})
    lately.keep("w2", large, 1, no_field)
    assert lately.known("w2") is None
    assert lately.is_new("large")
    lately.forget([], {"large"})
    assert not lately.is_new("large")
    assert lately.is_new("large")


@pytest.mark.parametrize("first", [0, 1])
def test_two_who_did_not_know_of_each_other(first: int) -> None:
    """Whoever of two threads comes back first: of each row what was written to it is remembered, and the later counters."""
    lately = Lately()
    lately.keep("w", Left((1, 1, 1, 2, 5), {"w": {"0": "a", "1": "a"}, "t": {"n": "2"}}, frozenset(), 5, {}), 0, no_field)
    both = [(Left((1, 2, 2, 2, 6), {"w": {"0": "b", "1": "a"}, "t": {"n": "1"}}, frozenset(), 6, {}), 5, lambda _: ("0",)),
            (Left((1, 3, 2, 2, UNSURE), {"w": {"0": "a", "1": "b"}, "t": {"n": "0"}}, frozenset(), 7, {}), 5, lambda _: ("1",))]
    for each in (both[first], both[1 - first]):
        lately.keep("w", *each)
    assert lately.known("w") == Left((1, 3, 2, 2, UNSURE), {"w": {"0": "b", "1": "b"}, "t": {"n": "0"}}, frozenset(), 7, {})


def test_nothing_is_remembered_of_what_a_cascade_moved(pair: Pair) -> None:
    """Of a tree whose rows a script moved, what was read is not all that is so."""
    k, _ = pair
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(f"t{no}", type="t") for no in range(9)]))
    lately = k.store.lately  # type: ignore[attr-defined]
    k.start("wide", workflow_id="w")
    assert lately.known("w") is not None
    for act in (k.pause, k.resume):
        act("w")
        assert lately.known("w") is None
    k.poll("t")
    assert lately.known("w") is not None
    k.terminate("w")
    assert lately.known("w") is None


def test_what_is_remembered_may_be_of_yesterday(pair: Pair) -> None:
    """A tree to which another process wrote beside: its counters are as the commit found them, so that the next result is not
    decided twice; and who must know all that happened asks again.
    """
    k, other = pair
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(f"t{no}", type="t") for no in range(5)]))
    k.start("wide", workflow_id="w")
    leases = k.poll("t", limit=5)

    def meanwhile(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT and leases[3:]:
            other.complete(leases.pop())

    Kernel(k.store, clock=k.clock, faults=meanwhile).complete(leases[0])
    assert asked(k, lambda: k.complete(leases[1])) == ["EVALSHA"]
    assert k.resume("w").version == other.get("w").version == 4
    assert asked(k, lambda: k.complete(leases[2])) == ["EVALSHA", "EVALSHA"]
    k.complete(leases[3])
    assert k.get("w").state == "COMPLETED"
    assert k.audit().clean
    assert k.verify().clean


def test_what_was_written_at_a_later_time_is_remembered_so(pair: Pair) -> None:
    """A tree came to a later time while a decision on it was taken: what that wrote tells this, here as in the store."""
    k, other = pair
    k.register(kernel.WorkflowDef("wide", tasks=[kernel.TaskDef(f"t{no}", type="t") for no in range(4)]))
    other.start("wide", workflow_id="w")
    (first,) = other.poll("t")

    def meanwhile(point: FaultPoint, command: str) -> None:
        if point is FaultPoint.BEFORE_COMMIT:
            k.clock.advance(1.0)  # type: ignore[attr-defined]
            other.complete(first)

    (second,) = Kernel(k.store, clock=k.clock, faults=meanwhile).poll("t")
    assert k.tasks("w")[1].changed > second.expires - timedelta(seconds=60)
    assert asked(k, lambda: k.complete(second)) == ["EVALSHA"]
    assert k.verify().clean


def test_nobody_takes_what_another_makes_room_with() -> None:
    """Each look at the trees that are remembered has them for itself."""
    lately = Lately()

    class Watched(dict[str, Left]):
        """Trees that notice who comes without the lock."""

        def __iter__(self) -> Iterator[str]:
            assert lately._lock.locked()
            return super().__iter__()

        def pop(self, *given: Any) -> Any:
            assert lately._lock.locked()
            return super().pop(*given)

    lately._trees = Watched()
    left = Left((1, 1, 1, 1, 1), {"f": {"w": ""}}, frozenset(), 1, {})
    for number in range(MOST_TREES + 1):
        lately.keep(f"w{number}", left, 0, no_field)
    lately.forget(["w1"], [])
    assert lately.known("w1") is None
