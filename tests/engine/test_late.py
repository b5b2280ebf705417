"""Late results: kept beside the history, never in it; bounded; they change nothing, on every store."""

from __future__ import annotations

import sys
from typing import Any

import attrs
import pytest

import kernel
from kernel.engine.kernel import Kernel
from kernel.engine.late import LARGEST, MOST
from kernel.errors import Conflict, Fenced, StoreUnavailable
from kernel.testing.clock import ManualClock
from tests.stores.stand import Stand

TASKS = [kernel.TaskDef("a", type="t", retries=50, lease=10.0), kernel.TaskDef("b", type="t", lease=1000.0)]


def started(k: Kernel) -> None:
    """A workflow of two tasks."""
    k.register(kernel.WorkflowDef("d", tasks=TASKS))
    k.start("d", workflow_id="w")


def lost(k: Kernel, clock: ManualClock, worker: str = "w1") -> kernel.Lease:
    """A lease of task `a` that ran out."""
    lease = next(lease for lease in k.poll("t", worker=worker, limit=2) if lease.ref == "a")
    clock.advance(11.0)
    k.tick()
    return lease


def late(k: Kernel, lease: kernel.Lease, output: object = None, **options: Any) -> None:
    """A result under a lease that was lost."""
    with pytest.raises(Fenced):
        k.complete(lease, output=output, **options)


def test_a_late_result_is_kept_and_changes_nothing(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """Who brought what, when, and under which lease; rows, history, payloads and records are what they were."""
    started(k)
    lease = lost(k, clock)
    before = each.rows()
    late(k, lease, {"n": 1}, command_id="c1", reason="done at last")
    clock.advance(1.0)
    with pytest.raises(Fenced):
        k.fail(lease, reason="no", output=[1])
    assert each.rows() == before
    complete, fail = k.late("w")
    assert complete == kernel.LateResult(
        workflow_id="w", task="a", run=1, attempt=1, handouts=1, worker="w1", at=complete.at, event="COMPLETE",
        reason="done at last", size=7, output={"n": 1})
    assert (fail.event, fail.reason, fail.output, (fail.at - complete.at).total_seconds()) == ("FAIL", "no", [1], 1.0)
    assert (each.kernel().late("w"), k.audit().findings) == ([complete, fail], ())


def test_the_same_lease_is_kept_once(k: Kernel, clock: ManualClock) -> None:
    """The last of what it brought; another lease of the task has its own."""
    started(k)
    lease = lost(k, clock)
    for n in range(3):
        late(k, lease, n)
    other = lost(k, clock, "w2")
    late(k, other)
    assert [(r.worker, r.handouts, r.output) for r in k.late("w")] == [("w1", 1, 2), ("w2", 2, None)]


def test_of_each_task_only_the_newest_are_kept(each: Stand, k: Kernel, clock: ManualClock) -> None:
    """However often somebody comes too late; other tasks keep theirs."""
    started(k)
    (one,) = [lease for lease in k.poll("t", limit=2) if lease.ref == "b"]
    clock.advance(11.0)
    k.tick()
    late(k, attrs.evolve(one, handouts=7), "b")
    for n in range(MOST + 5):
        late(k, lost(k, clock, f"w{n}"))
        clock.advance(1.0)
    found = k.late("w")
    assert [r.worker for r in found if r.task == "a"] == [f"w{n}" for n in range(5, MOST + 5)]
    assert [r.output for r in found if r.task == "b"] == ["b"]


def test_of_a_large_output_the_size_is_kept(k: Kernel, clock: ManualClock) -> None:
    """What is no larger than the limit is kept whole."""
    started(k)
    lease = lost(k, clock)
    late(k, lease, "x" * (LARGEST - 2))
    assert [(r.size, len(r.output)) for r in k.late("w")] == [(LARGEST, LARGEST - 2)]
    late(k, lease, "é" * (LARGEST // 2))
    assert [(r.size, r.output) for r in k.late("w")] == [(LARGEST + 2, None)]


@pytest.mark.parametrize("error", [Conflict("busy"), StoreUnavailable("gone")])
def test_a_store_that_cannot_keep_it_changes_no_answer(
    each: Stand, k: Kernel, clock: ManualClock, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is told that it came too late, as ever."""
    started(k)
    lease = lost(k, clock)
    real = each.store.transaction
    tried: list[BaseException | None] = []

    def transaction(*, write: bool) -> object:
        tried.append(sys.exception())
        if isinstance(tried[-1], Fenced):
            raise error
        return real(write=write)

    monkeypatch.setattr(each.store, "transaction", transaction)
    late(k, lease, 1)
    assert isinstance(tried[-1], Fenced)
    assert k.late("w") == []


def test_what_is_not_late_is_not_kept(k: Kernel, clock: ManualClock) -> None:
    """A result in time, a heartbeat, a result for a workflow that is not there."""
    started(k)
    lease = lost(k, clock)
    with pytest.raises(Fenced):
        k.heartbeat(lease)
    with pytest.raises(kernel.NotFound):
        k.complete(attrs.evolve(lease, workflow_id="nobody"))
    with pytest.raises(kernel.NotFound):
        k.late("nobody")
    assert k.late("w") == []
