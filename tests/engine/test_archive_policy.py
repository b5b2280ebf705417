"""Archive policies at work: which runs get a delivery, when it may be claimed, and whose policy holds, on every store."""

from __future__ import annotations

from typing import Any

import pytest

import kernel
from kernel.core.archive import ArchivePolicy
from kernel.core.plan import Command, Plan, Subject
from kernel.core.records import DeliveryRow
from kernel.engine.kernel import Kernel
from kernel.spec.language import NEVER
from kernel.testing.clock import ManualClock
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from tests.stores.stand import Stand

Task = kernel.TaskDef
START = 1_000_000_000.0
"""2001-09-09 01:46:40 UTC: where the clock of a stand begins."""


def define(k: Kernel, archive: ArchivePolicy | None, *, below: ArchivePolicy | None = None) -> None:
    """A definition with a sub-workflow, each with its policy."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("x")], topics=("archive",), archive=below),
               kernel.WorkflowDef("root", tasks=[Task("s", workflow="leaf"), Task("a")], topics=("archive", "mail"),
                                  archive=archive))


def outbox(k: Kernel) -> set[str]:
    """The ids of all deliveries."""
    return {each.id for each in k.deliveries(limit=1_000)}


def complete(k: Kernel, workflow_id: str) -> None:
    """A workflow of the definition, done to its end."""
    k.start("root", workflow_id=workflow_id)
    for type in ("x", "a"):
        for lease in k.poll(type, limit=10):
            k.complete(lease)
    assert k.get(workflow_id).state == "COMPLETED"


def terminate(k: Kernel, workflow_id: str) -> kernel.Applied:
    """A workflow of the definition, terminated."""
    k.start("root", workflow_id=workflow_id)
    return k.terminate(workflow_id)


# ---- of which ends --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("policy", "of_completed", "of_terminated"), [
    (None, True, True), (ArchivePolicy(), True, True), (ArchivePolicy(unsuccessful_only=True), False, True),
    (ArchivePolicy(off=True), False, False),
])
def test_a_policy_asks_for_its_ends(
    k: Kernel, policy: ArchivePolicy | None, of_completed: bool, of_terminated: bool
) -> None:
    """Of each run that ends exactly the deliveries that the policy asks for, below a cascade, too; other topics hear all."""
    define(k, policy, below=policy)
    complete(k, "c")
    applied = terminate(k, "t")
    archived = {f"{name}#1:archive" for name, asked in (
        ("c", of_completed), ("c/s", of_completed), ("t", of_terminated), ("t/s", of_terminated)) if asked}
    assert outbox(k) == archived | {"c#1:mail", "t#1:mail"}
    assert applied.deliveries == 2 * of_terminated + 1
    assert k.audit().clean


def test_each_definition_has_its_own(k: Kernel) -> None:
    """A cascade over workflows of different definitions asks each of them."""
    define(k, ArchivePolicy(off=True), below=ArchivePolicy(unsuccessful_only=True))
    terminate(k, "t")
    assert outbox(k) == {"t/s#1:archive", "t#1:mail"}
    assert k.audit().clean


def test_a_live_run_is_not_told_of(k: Kernel) -> None:
    """The delivery of an end is written with the end."""
    define(k, ArchivePolicy(every=60))
    k.start("root", workflow_id="w")
    assert outbox(k) == set()


# ---- when -----------------------------------------------------------------------------------------------------------
def served(each: Stand, sink: Any = None) -> Kernel:
    """A process with an archive."""
    return each.kernel(sinks={"archive": sink or MemoryArchive()})


def archived(k: Kernel, **how: Any) -> set[str]:
    """The workflows that a pass delivers."""
    return {outcome.id.partition("#")[0] for outcome in k.deliver(**how).outcomes if outcome.state == "DELIVERED"}


def test_rounds(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """What ended since the last round waits for the next one, also what a cascade ended; then all of it goes."""
    define(k, ArchivePolicy(every=300), below=ArchivePolicy(every=600))
    terminate(k, "w")
    relay = served(each)
    waits = {d.id: d.due.timestamp() - START for d in k.deliveries(limit=9) if d.due and d.topic == "archive"}
    assert waits == {"w#1:archive": 200.0, "w/s#1:archive": 200.0}  # the clock begins 100 s after a round of both
    assert archived(relay) == set()
    clock.advance(199)
    assert archived(relay) == set()
    clock.advance(1)
    assert archived(relay) == {"w", "w/s"}


def test_a_window(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Outside its window nothing is claimed; what is due when it closes waits for the next day, and no attempt is counted."""
    define(k, ArchivePolicy(daily_at="01:46", window=60, zone="Africa/Abidjan"), below=ArchivePolicy(off=True))
    terminate(k, "first")
    terminate(k, "second")
    relay = served(each)
    first = archived(relay, limit=1)
    assert len(first) == 1
    clock.advance(20)  # 01:47: it closes
    terminate(k, "third")
    assert archived(relay) == set()
    waiting = {d.id: d.due.timestamp() - START for d in k.deliveries(state="PENDING") if d.due and d.topic == "archive"}
    assert set(waiting.values()) == {86_400.0 - 40}
    assert len(waiting) == 2
    clock.advance(86_400 - 61)
    assert archived(relay) == set()
    clock.advance(1)
    assert archived(relay) == {"first", "second", "third"} - first
    assert {d.attempt for d in k.deliveries() if d.topic == "archive"} == {1}
    assert k.audit().clean


def test_a_backlog_larger_than_the_window(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """All that is left when a window closes is put off in one pass, and other topics are delivered in the same pass."""
    define(k, ArchivePolicy(daily_at="01:46", window=60), below=ArchivePolicy(off=True))
    for number in range(5):
        terminate(k, f"w{number}")
    clock.advance(60)
    relay = each.kernel(sinks={"archive": MemoryArchive(), "mail": MemoryArchive()})
    assert {outcome.id.rpartition(":")[2] for outcome in relay.deliver().outcomes} == {"mail"}
    assert {d.attempt for d in k.deliveries(state="PENDING")} == {0}
    assert all(d.due and d.due.timestamp() == START + 86_400 - 40 for d in k.deliveries(state="PENDING"))


def test_out_of_turn(each: Stand, k: Kernel) -> None:
    """An operator who says now gets all that waits, each tried once."""
    define(k, ArchivePolicy(every=86_400 * 7), below=ArchivePolicy(daily_at="05:00"))
    terminate(k, "w")
    sink = FaultySink(MemoryArchive())
    relay = served(each, sink)
    assert archived(relay) == set()
    sink.plan(Behaviour.RAISE)
    (failed,) = [outcome for outcome in relay.deliver(now=True).outcomes if outcome.state == "PENDING"]
    assert {d.attempt for d in k.deliveries(limit=9) if d.topic == "archive"} == {1}
    assert archived(relay, now=True, limit=5) == {failed.id.partition("#")[0]}
    assert relay.deliver(now=True).outcomes == ()
    assert k.audit().clean


def test_a_refusal_says_when_not(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """CLAIM outside the window is refused by its guard; DEFER inside it, too."""
    define(k, ArchivePolicy(daily_at="01:46", window=60))
    terminate(k, "w")
    subject = Subject("w", topic="archive", run=1)
    with pytest.raises(kernel.GuardRefused, match="is open"):
        k.commit(k.command("DEFER", subject))
    clock.advance(60)
    with pytest.raises(kernel.GuardRefused, match="the schedule of its topic is closed now"):
        k.commit(k.command("CLAIM", subject, given={"anyway": 0}))
    k.commit(k.command("CLAIM", subject, given={"anyway": 1}))


# ---- the store's own policy -----------------------------------------------------------------------------------------
def test_the_store_goes_before_the_definition(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """From then on, for every process, for all definitions that have the topic; what ended before stays as it was."""
    define(k, None, below=ArchivePolicy(off=True))
    k.register(kernel.WorkflowDef("silent", tasks=[Task("x")]))
    terminate(k, "before")
    assert k.archive_policy() is None
    clock.advance(1)
    k.set_archive_policy(ArchivePolicy(unsuccessful_only=True, every=300))
    other = each.kernel()
    assert other.archive_policy() == ArchivePolicy(unsuccessful_only=True, every=300.0)
    complete(other, "c")
    terminate(other, "t")
    other.start("silent", workflow_id="s")
    other.terminate("s")
    assert outbox(k) == {"before#1:archive", "before#1:mail", "c#1:mail", "t#1:archive", "t/s#1:archive", "t#1:mail"}
    clock.advance(5)
    k.set_archive_policy(None)
    terminate(k, "after")
    assert {id for id in outbox(k) if id.startswith("after")} == {"after#1:archive", "after#1:mail"}
    assert k.audit().clean


def test_a_policy_set_twice_is_kept_once(each: Stand, k: Kernel) -> None:
    """Every process may open the store with the same policy."""
    for _ in range(3):
        k.set_archive_policy(ArchivePolicy(off=True))
    with each.store.transaction(write=False) as transaction:
        assert len(transaction.archive_policies()) == 1


def test_a_clock_that_went_back(k: Kernel, clock: ManualClock) -> None:
    """A policy never changes what an earlier end asked for, whatever clocks say."""
    define(k, None)
    terminate(k, "w")
    clock.advance(-100)
    k.set_archive_policy(ArchivePolicy(off=True))
    assert k.audit().clean
    k.set_archive_policy(None)
    k.set_archive_policy(ArchivePolicy(unsuccessful_only=True))
    assert k.archive_policy() == ArchivePolicy(unsuccessful_only=True)
    assert k.audit().clean


def test_the_schedule_in_force_is_that_of_the_store(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Batch archiving can be switched on and off while deliveries wait."""
    define(k, None, below=ArchivePolicy(off=True))
    terminate(k, "w")
    k.set_archive_policy(ArchivePolicy(daily_at="03:00"))
    clock.advance(1)
    relay = served(each)
    assert archived(relay) == set()
    k.set_archive_policy(None)
    clock.advance(2 * 3600)
    assert archived(relay) == {"w"}


def test_what_is_no_policy(k: Kernel) -> None:
    """Neither for a store nor for a definition; nor a zone that nobody knows."""
    with pytest.raises(kernel.InvalidInput, match="no ArchivePolicy"):
        k.set_archive_policy("off")  # type: ignore[arg-type]
    nowhere = ArchivePolicy(daily_at="02:00", zone="Europe/Atlantis")
    with pytest.raises(kernel.InvalidDefinition, match="Atlantis"):
        k.set_archive_policy(nowhere)
    with pytest.raises(kernel.InvalidDefinition, match="Atlantis"):
        k.register(kernel.WorkflowDef("w", tasks=[Task("a")], archive=nowhere))
    assert k.archive_policy() is None


# ---- the audit ------------------------------------------------------------------------------------------------------
@pytest.mark.unverified
def test_the_audit_knows_what_was_asked_for(each: Stand, k: Kernel) -> None:
    """A delivery that is missing, and one that nobody asked for, are found under each policy."""
    define(k, ArchivePolicy(unsuccessful_only=True), below=ArchivePolicy(unsuccessful_only=True))
    complete(k, "c")
    terminate(k, "t")
    with each.store.transaction(write=True) as transaction:
        tree, row = transaction.tree("c"), transaction.workflow("c", 1)
        assert tree is not None
        assert row is not None
        plan = Plan(Command("", Subject("c")), row.changed, tree, False)
        plan.created_deliveries.append(
            DeliveryRow("c", 1, "archive", "PENDING", 0, 0, row.changed, NEVER, "", "", row.changed, 3, 60))
        transaction.write(plan)
    assert {(f.invariant, f.workflow_id) for f in k.audit().findings} == {("INV-03", "c")}
