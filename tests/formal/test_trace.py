"""The trace checker: what kernels write is allowed, and each step that is not is found at its line, with what forbids it."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from kernel.core.archive import ArchivePolicy
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.engine.kernel import Kernel
from kernel.engine.ports import HistoryRecord
from kernel.engine.verify import lines_of, outline
from kernel.formal.known import KNOWN, standard_knowledge
from kernel.formal.told import NotAllowed, Outline
from kernel.formal.trace import Trace
from kernel.sinks.callable import CallableSink
from kernel.spec import SPEC
from kernel.spec.language import Sort
from kernel.stores.memory import MemoryStore
from kernel.testing.clock import ManualClock

Lines = list[HistoryRecord]
Edit = Callable[[Lines], Lines]

LEAF = WorkflowDef("leaf", tasks=[TaskDef("x", type="x"), TaskDef("y", type="y", after=["x"])], topics=("archive",))
MIDDLE = WorkflowDef("middle", tasks=[TaskDef("down", workflow="leaf"), TaskDef("m", type="m")])
TOP = WorkflowDef("top", topics=("archive", "mail"), archive=ArchivePolicy(unsuccessful_only=True), restartable=False, tasks=[
    TaskDef("a", type="a", retries=1), TaskDef("sub", workflow="middle", after=["a"]), TaskDef("ok", kind="wait", after=["a"]),
    TaskDef("join", kind="join", after=["sub", "ok"]), TaskDef("late", kind="wait", after=["join"])])


def made() -> Kernel:
    """A kernel with these definitions."""
    k = Kernel(MemoryStore(), clock=ManualClock(), chance=random.Random(7))
    k.register(LEAF, MIDDLE, TOP)
    return k


def history(k: Kernel) -> Lines:
    """The history of the one tree that there is."""
    with k.store.transaction(write=False) as transaction:
        return list(lines_of(transaction, "w"))


def traced(k: Kernel, lines: Lines) -> Trace:
    """What these lines tell. Raises NotAllowed."""
    with k.store.transaction(write=False) as transaction:
        def outline_of(workflow_id: str, run: int) -> Outline:
            row = transaction.workflow(workflow_id, run)
            if row is None:
                raise LookupError(workflow_id)
            return outline(row.prepared)

        trace = Trace(outline_of)
        for line in lines:
            trace.feed(line)
        trace.settle()
    return trace


def judged(k: Kernel, lines: Lines) -> tuple[int, str] | None:
    """The line of the first step that is not allowed, and what is said of it."""
    try:
        traced(k, lines)
    except NotAllowed as found:
        return found.misstep.line, str(found)
    return None


@cache
def paused() -> tuple[Kernel, Lines]:
    """A tree of three levels: a retry, an early signal, a pause, and a worker that comes back."""
    k = made()
    k.start("top", workflow_id="w")
    k.signal("w", "late")
    k.fail(k.poll("a")[0])
    k.complete(k.poll("a")[0])
    (lease,) = k.poll("m")
    k.pause("w")
    k.complete(lease)
    k.resume("w")
    k.poll("x")
    return k, history(k)


@cache
def terminated() -> tuple[Kernel, Lines]:
    """The same, terminated in the middle."""
    k = made()
    k.start("top", workflow_id="w")
    k.complete(k.poll("a")[0])
    k.poll("x")
    k.terminate("w")
    return k, history(k)


@cache
def retried() -> tuple[Kernel, Lines]:
    """A tree that failed, was retried, and completed."""
    k = made()
    k.start("top", workflow_id="w")
    k.complete(k.poll("a")[0])
    k.fail(k.poll("x")[0], retryable=False)
    k.retry("w", resume_children=True)
    for type in ("x", "y", "m"):
        k.complete(k.poll(type)[0])
    k.signal("w", "ok")
    k.signal("w", "late")
    return k, history(k)


@cache
def noticed() -> tuple[Kernel, Lines]:
    """A workflow that was paused, resumed and completed, its notices delivered one after the other."""
    store, clock = MemoryStore(), ManualClock()
    k = Kernel(store, clock=clock, chance=random.Random(7), sinks={"notify": CallableSink(lambda parcel: "receipt")})
    k.register(WorkflowDef("told", tasks=[TaskDef("a", type="a")], notify=("PAUSED", "COMPLETED")))
    k.start("told", workflow_id="w")
    k.pause("w")
    k.resume("w")
    k.complete(k.poll("a")[0])
    while k.deliver().delivered:
        pass
    return k, history(k)


STORIES = {"paused": paused, "terminated": terminated, "retried": retried, "noticed": noticed}


@pytest.mark.parametrize("name", STORIES)
def test_what_a_kernel_writes_is_allowed(name: str) -> None:
    """Nothing is found in the histories that the plants below are made of."""
    k, lines = STORIES[name]()
    assert judged(k, lines) is None


# ---- plants -----------------------------------------------------------------------------------------------------------------
def numbered(lines: Lines) -> Lines:
    """The lines as if they had been written so."""
    return [line._replace(seq=seq) for seq, line in enumerate(lines, 1)]


def at(lines: Lines, event: str, workflow: str = "w", nth: int = 0, subject: str | None = None) -> int:
    """Where the nth line of an event of a workflow stands."""
    return [place for place, line in enumerate(lines) if (line.event, line.workflow) == (event, workflow)
            and subject in (None, line.subject)][nth]


def changed(event: str, workflow: str = "w", nth: int = 0, /, **fields: Any) -> Edit:
    """One line says something else."""
    def edit(lines: Lines) -> Lines:
        place = at(lines, event, workflow, nth)
        return [*lines[:place], lines[place]._replace(**fields), *lines[place + 1:]]
    return edit


def without(*dropped: tuple[str, str], version: int | None = None) -> Edit:
    """All lines of these events of these workflows are missing; only those of one commit when it is named."""
    def missing(line: HistoryRecord) -> bool:
        return (line.event, line.workflow) in dropped and version in (None, line.version)
    return lambda lines: numbered([line for line in lines if not missing(line)])


def inserted(event: str, workflow: str = "w", nth: int = 0, /, **fields: Any) -> Edit:
    """Behind the commit of a line stands one more like it, in a commit of its own, that says something else."""
    def edit(lines: Lines) -> Lines:
        place = at(lines, event, workflow, nth)
        end = next((n for n in range(place, len(lines)) if lines[n].command_id != lines[place].command_id), len(lines))
        planted = lines[place]._replace(command_id="planted", **fields)
        raised = planted._replace(version=planted.version + standard_knowledge().steps[planted.by].raises)
        return numbered([*lines[:end], raised, *lines[end:]])
    return edit


def swapped(event: str, workflow: str = "w") -> Edit:
    """A line and the one before it have changed places."""
    def edit(lines: Lines) -> Lines:
        place = at(lines, event, workflow)
        return numbered([*lines[:place - 1], lines[place], lines[place - 1], *lines[place + 1:]])
    return edit


def cut(event: str, workflow: str = "w", nth: int = 0) -> Edit:
    """A commit ends before a line; the rest of it is a commit of its own."""
    def edit(lines: Lines) -> Lines:
        place = at(lines, event, workflow, nth)
        same = lines[place].command_id
        return [line if n < place else line._replace(
            version=line.version + 1, command_id="planted" if line.command_id == same else line.command_id)
            for n, line in enumerate(lines)]
    return edit


def unheard(lines: Lines) -> Lines:
    """A delivery of a COMPLETED run whose topic hears of bad ends only."""
    end = lines[at(lines, "COMPLETE", "w", -1)]
    return [*lines, end._replace(seq=len(lines) + 1, kind="delivery", subject="archive", event="CREATE", source="ABSENT",
                                 target="PENDING", by="CREATE")]


def restarted(lines: Lines) -> Lines:
    """A COMPLETED workflow starts again although its definition is not restartable."""
    return [*lines, lines[at(lines, "RETRY")]._replace(
        seq=len(lines) + 1, version=lines[-1].version + 1, event="RESTART", source="COMPLETED", by="RESTART", run=3,
        command_id="planted")]


def unasked(lines: Lines) -> Lines:
    """A notice of a status that nobody subscribed to."""
    place = at(lines, "RESUME")
    notice = lines[at(lines, "CREATE", "w", 1)]._replace(
        version=lines[place].version, at=lines[place].at, command_id=lines[place].command_id, subject="notify@3.RUNNING")
    return numbered([*lines[:place + 1], notice, *lines[place + 1:]])


def overtaking(lines: Lines) -> Lines:
    """The second notice is claimed first."""
    first, second = at(lines, "CLAIM"), at(lines, "CLAIM", "w", 1)
    return [line._replace(subject=lines[second].subject) if place == first else line for place, line in enumerate(lines)]


def together(lines: Lines) -> Lines:
    """A signal and a failure in one commit."""
    return numbered([line._replace(command_id="one", version=2) if line.version in (2, 3) else line for line in lines])


def hasty(lines: Lines) -> Lines:
    """A task starts while a sub-workflow that failed has not told its parent."""
    place = at(lines, "CHILD_FAILED", "w/sub")
    start = lines[place]._replace(workflow="w", subject="join", event="SCHEDULE", source="PENDING", target="SCHEDULED",
                                  by="SCHEDULE")
    return numbered([*lines[:place], start, *lines[place:]])


def until(event: str, workflow: str, nth: int = 0) -> Edit:
    """The history ends before a line."""
    return lambda lines: lines[:at(lines, event, workflow, nth)]


POLL: dict[str, Any] = {"workflow": "w/sub/down", "subject": "x", "kind": "task", "event": "POLL", "source": "SCHEDULED",
        "target": "IN_PROGRESS", "attempt": 1, "by": "POLL"}
RESUME: dict[str, Any] = {"workflow": "w/sub", "event": "RESUME", "source": "PAUSED", "target": "RUNNING", "by": "RESUME"}
SWEPT = (("TERMINATE", "w/sub/down"), ("CANCEL", "w/sub/down"), ("CREATE", "w/sub/down"))
PLANTS: dict[str, tuple[str, Edit, int, str]] = {
    "a line is dropped": ("paused", without(("POLL", "w/sub")), 24, "it is SCHEDULED"),
    "two lines are swapped": ("paused", swapped("LAUNCH"), 10, "it is PENDING"),
    "another state": ("paused", changed("COMPLETE", target="FAILED"), 8, "no table has this line"),
    "another row": ("paused", changed("POLL", subject="sub"), 5, "it is PENDING"),
    "no such task": ("paused", changed("POLL", subject="nobody"), 5, "it has no such task"),
    "no such workflow": ("paused", changed("POLL", workflow="w/other"), 5, "its workflow was never started"),
    "a delivery of no workflow": ("terminated", changed("CREATE", "w", 1, workflow="v"), 20, "its workflow was never started"),
    "another attempt": ("paused", changed("POLL", "w", 1, attempt=1), 7, "it is in attempt 2, its history tells 1"),
    "all begin another attempt": ("paused", changed("CREATE", attempt=2), 2, "attempt 1 begins, its history tells 2"),
    "another attempt of a delivery": ("terminated", changed("CREATE", "w", 1, attempt=1), 20, "it is in attempt 0"),
    "another count": ("paused", changed("CREATE", rows=4), 2, "it counts 4, and 5 tasks are ABSENT"),
    "another number": ("paused", changed("PAUSE", seq=99), 99, "the line before it was number 23"),
    "a silent event": ("paused", changed("POLL", event="HEARTBEAT", source="IN_PROGRESS"), 5, "has no place in the history"),
    "another cause": ("paused", changed("PAUSE", by="RESUME"), 24, "RESUME does not bring this about"),
    "an unknown cause": ("paused", changed("PAUSE", by="MAGIC"), 24, "MAGIC does not bring this about"),
    "a cause without a row": ("terminated", changed("TERMINATE", event="TIME_OUT", target="TIMED_OUT", by="OVERRUN"), 19,
                              "there is no task that it could be on"),
    "another run": ("paused", changed("POLL", run=2), 5, "its run is 2, in run 1 of its tree"),
    "another run within a commit": ("paused", changed("SCHEDULE", run=2), 3, "its run is 2, in a commit of run 1"),
    "another version": ("paused", changed("SIGNAL", version=3), 4, "its version is 3, after 1"),
    "handed out under PAUSED": ("paused", inserted("PAUSE", **POLL), 25, "guard 'workflow RUNNING'"),
    "RUNNING below PAUSED": ("paused", without(("PAUSE", "w/sub/down")), 23, "INV-07"),
    "resumed below PAUSED": ("paused", inserted("PAUSE", **RESUME), 25, "guard 'root, or parent RUNNING' of RESUME"),
    "signalled twice": ("paused", inserted("SIGNAL"), 5, "guard 'not signalled'"),
    "a retry too many": (
        "paused", changed("COMPLETE", event="FAIL", target="SCHEDULED", attempt=3, by="FAIL"), 8, "guard 'retry'"),
    "two commands in one commit": ("paused", together, 5, "a commit has one command, and this one has SIGNAL"),
    "a start is forgotten": ("paused", without(("SCHEDULE", "w")), 2, "SCHEDULE is enabled on task a of w"),
    "a start before its turn": ("paused", changed("SCHEDULE", subject="sub"), 3, "guard 'predecessors passed'"),
    "a start before a hand-over": ("retried", hasty, 22, "HAND_FAILED comes first"),
    "a grandchild is forgotten": ("terminated", without(*SWEPT, version=3), 26, "INV-01"),
    "its delivery is forgotten": ("terminated", without(("CREATE", "w/sub/down"), version=3), 29, "INV-03"),
    "a delivery of an unheard end": ("retried", unheard, 65, "guard 'asked for'"),
    "a commit cut in two": ("terminated", cut("CANCEL"), 24, "INV-01"),
    "an end is forgotten": ("retried", until("FAIL", "w/sub/down", 1), 19, "END_FAILED is enabled on workflow w/sub/down"),
    "a hand-over is forgotten": ("retried", until("CHILD_FAILED", "w/sub"), 21, "HAND_FAILED is enabled"),
    "another run begins": ("retried", changed("RETRY", run=3), 32, "run 2 begins, its history tells 3"),
    "a restart that is not allowed": ("retried", restarted, 65, "guard 'restartable'"),
    "what goes on is not re-opened": ("retried", until("REOPEN", "w/sub"), 34, "HAND_FAILED is enabled on workflow w/sub"),
    "a notice is forgotten": ("noticed", without(("CREATE", "w"), version=2), 4, "without a notice that workflow w is PAUSED"),
    "a notice of what nobody asked": ("noticed", unasked, 7, "guard 'asked for'"),
    "a notice before its turn": ("noticed", overtaking, 11, "guard 'in turn'"),
    "a sub-workflow of nobody": ("paused", changed("START", "w/sub", workflow="w/nobody"), 13, "no task starts it"),
    "a workflow without a row": ("paused", changed("START", "w/sub", workflow="w/sub~9"), 13, "its row is missing"),
}


@pytest.mark.parametrize("name", PLANTS)
def test_what_is_not_allowed_is_found_at_its_line(name: str) -> None:
    """The line of the first step that is not allowed; or the last one of the commit that leaves something undone."""
    story, edit, seq, why = PLANTS[name]
    k, lines = STORIES[story]()
    planted = edit(lines)
    assert planted != lines
    found = judged(k, planted)
    assert found is not None
    assert found[0] == seq, found
    assert why in found[1]


def test_time_does_not_go_back() -> None:
    """Not from commit to commit, and not within one."""
    k, lines = paused()
    for place, line in enumerate(lines[1:], 1):
        found = judged(k, [*lines[:place], line._replace(at=line.at - 1), *lines[place + 1:]])
        assert found is not None
        assert found[0] == line.seq


def test_no_line_can_be_missing() -> None:
    """Whichever line of a history is not there, something else in it is not allowed, or its rows are others."""
    for story in STORIES.values():
        k, lines = story()
        rows = dict(traced(k, lines).standing())
        for place in range(len(lines)):
            fewer = numbered([*lines[:place], *lines[place + 1:]])
            assert judged(k, fewer) or dict(traced(k, fewer).standing()) != rows, lines[place]


# ---- what it costs, what it knows -------------------------------------------------------------------------------------------
def test_the_size_of_a_workflow_costs_nothing() -> None:
    """In a workflow of 10,000 tasks a commit looks at as few rows as in one of ten."""
    most = []
    for size in (10, 10_000):
        k = Kernel(MemoryStore(), clock=ManualClock(), chance=random.Random(7))
        k.register(WorkflowDef("wide", tasks=[TaskDef(f"t{n}", type="t") for n in range(size)]))
        k.start("wide", workflow_id="w")
        for lease in k.poll("t", limit=5):
            k.complete(lease)
        lines = history(k)
        trace = traced(k, lines[:2 + size])
        looks = []
        for line in lines[2 + size:]:
            trace.feed(line)
            looks.append(len(trace.looked))
        most.append(max(looks))
    assert most[0] == most[1] <= 5


def test_what_is_known_is_declared() -> None:
    """Everything that a history is said to know is a field or an attribute; no time is, and nothing judged but what is news."""
    for name, kind in SPEC.kinds.items():
        declared = {field.name: field for field in (*kind.fields, *kind.attributes)}
        for known in KNOWN[name] - {"state", "news"}:
            assert not declared[known].judged
            assert declared[known].sort not in (Sort.TIME, Sort.DURATION)


def test_the_silent_events() -> None:
    """They change no state."""
    assert standard_knowledge().silent == {("task", "HEARTBEAT"), ("task", "SHIFT"), ("delivery", "DEFER")}
