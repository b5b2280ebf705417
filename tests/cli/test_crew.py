"""The crew of `kernel run`: what its workers and its operator do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from threading import Barrier
from typing import Any

import pytest

import kernel
from kernel.cli.crew import Crew, Unreliable
from kernel.cli.files import Outcome
from kernel.cli.handlers import echo, played
from kernel.core.records import Policy
from kernel.engine.kernel import Kernel
from kernel.engine.worker import Function
from kernel.errors import Conflict, StoreFull
from kernel.stores.memory import MemoryStore
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive

QUICK = kernel.RelayOptions(first=0.001, longest=0.001)


class Stage:
    """A kernel with a crew whose words are kept."""

    def __init__(self, *tasks: kernel.TaskDef, sink: Any = None, function: Function = echo, workers: int = 2,
                 terminate_after: int | None = None, **options: Any) -> None:
        self.told: list[str] = []
        self.kernel = Kernel(MemoryStore(policy=Policy(sends=8)), sinks={"archive": sink or MemoryArchive()}, relay=QUICK)
        self.kernel.register(kernel.WorkflowDef("d", tasks=tasks, topics=("archive",), **options))
        self.kernel.start("d", workflow_id="wf", input={"a": 1})
        self.crew = Crew(
            self.kernel, types={t.type for t in tasks if t.kind == "worker"}, workers=workers,
            functions=lambda types: dict.fromkeys(types, function),
            terminate_after=terminate_after, tell=self.told.append, live=lambda _: None)

    def run(self) -> str:
        """Let the crew work; gives the state in which the workflow ended."""
        self.crew.run(["wf"])
        return self.kernel.get("wf").state


def scripted(*outcomes: Outcome) -> Function:
    """A script for every type."""
    return played(outcomes)


def test_it_ends_when_all_is_settled() -> None:
    """Tasks are echoed, the workflow ends, its delivery is DELIVERED, and everyone goes home."""
    stage = Stage(kernel.TaskDef("a", input={"x": "${workflow.input.a}"}), kernel.TaskDef("b", after=["a"]))
    assert stage.run() == "COMPLETED"
    assert stage.kernel.tasks("wf")[0].output == {"x": 1}
    assert [d.state for d in stage.kernel.deliveries()] == ["DELIVERED"]
    assert (stage.crew.trees["wf"].closed, stage.crew.trees["wf"].tasks) == (2, 2)


def test_waiting_tasks_are_signalled_and_that_is_said() -> None:
    """The operator plays the person for whom a task waits, also in sub-workflows."""
    inner = kernel.WorkflowDef("inner", tasks=[kernel.TaskDef("ask", kind="wait")])
    stage = Stage(kernel.TaskDef("first", kind="wait"), kernel.TaskDef("down", workflow=inner, after=["first"]))
    assert stage.run() == "COMPLETED"
    assert stage.told == ["wf: signalled the waiting task 'first'", "wf/down: signalled the waiting task 'ask'"]


def test_failed_attempts_are_told() -> None:
    """Why an attempt failed, and which one follows when."""
    stage = Stage(kernel.TaskDef("a", retries=2), function=scripted(Outcome(failure="no\x1b"), Outcome({"ok": True})))
    assert stage.run() == "COMPLETED"
    assert stage.told[0].endswith("failed 'a': no\\x1b; attempt 2")
    stage = Stage(kernel.TaskDef("a", retries=2, retry_delay=0.05), function=scripted(Outcome(failure="no"), Outcome()))
    assert stage.run() == "COMPLETED"
    assert stage.told[0].endswith("failed 'a': no; attempt 2 in 0.1 s")
    stage = Stage(kernel.TaskDef("a", retries=2), function=scripted(Outcome(failure="never", retryable=False)))
    assert stage.run() == "FAILED"
    assert stage.told[0].endswith("failed 'a': never")


def test_an_output_that_is_not_json_fails_the_task() -> None:
    """It is the handler's fault, so the attempt fails for good, and the run goes on."""
    stage = Stage(kernel.TaskDef("a", retries=5), function=lambda _: {1, 2})
    assert stage.run() == "FAILED"
    assert "a value of type set is not JSON" in stage.told[0]


def test_terminate_after() -> None:
    """The tree is terminated when just so many tasks are completed: before any other result is taken."""
    tasks = [kernel.TaskDef(f"t{n}", type="t") for n in range(10)]
    stage = Stage(*tasks, terminate_after=3)
    assert stage.run() == "TERMINATED"
    assert sum(t.state == "COMPLETED" for t in stage.kernel.tasks("wf")) == 3
    assert (stage.crew.trees["wf"].well, stage.crew.trees["wf"].closed) == (3, 10)
    assert any("terminated after 3 completed: 1 commit, 1 ended" in line for line in stage.told)
    stage = Stage(*tasks, terminate_after=0)
    assert stage.run() == "TERMINATED"
    assert stage.crew.completed == {}
    stage = Stage(*tasks, terminate_after=11)
    assert stage.run() == "COMPLETED"


def test_terminate_after_is_exact() -> None:
    """Though all workers report at the same time: the last one is Fenced, and the workflow does not come to its own end."""
    together = Barrier(4, timeout=60.0)

    def at_once(given: Any) -> Any:
        together.wait()
        return given

    stage = Stage(*(kernel.TaskDef(f"t{n}", type="t") for n in range(4)), function=at_once, workers=4, terminate_after=3)
    assert stage.run() == "TERMINATED"
    assert Counter(t.state for t in stage.kernel.tasks("wf")) == {"COMPLETED": 3, "CANCELED": 1}
    assert sum("Fenced" in line for line in stage.told) == 1


def test_an_archive_that_takes_nothing_ends_the_run() -> None:
    """What stands in the way is told, no attempt is counted, and nobody waits for it for ever."""

    class Missing(MemoryArchive):
        """Is not there."""

        def check(self) -> None:
            """Say so."""
            raise OSError("no such folder")

    for sink in (Missing(), Unreliable(Missing(), 0.0, random.Random(1))):
        stage = Stage(kernel.TaskDef("a"), sink=sink)
        assert stage.run() == "COMPLETED"
        assert stage.told == ["topic 'archive' takes nothing: OSError: no such folder"]
        assert [(d.state, d.attempt) for d in stage.kernel.deliveries()] == [("PENDING", 0)]


def test_a_late_worker_is_fenced() -> None:
    """A task that was CANCELED under the hands of its worker is told, and changes nothing."""
    stage = Stage(kernel.TaskDef("a"))

    def terminate_meanwhile(given: Any) -> Any:
        stage.kernel.terminate("wf")
        return given

    stage.crew.functions = lambda types: dict.fromkeys(types, terminate_meanwhile)
    assert stage.run() == "TERMINATED"
    assert stage.told[0].endswith("came too late with 'a': Fenced, nothing changed")


def test_a_dead_delivery_is_redriven_once() -> None:
    """The operator gives a DEAD delivery one more chance, and says so; then it is settled as DEAD."""
    stage = Stage(kernel.TaskDef("a"), sink=FaultySink(MemoryArchive(), [Behaviour.RAISE] * 8))
    assert stage.run() == "COMPLETED"
    assert stage.told == ["wf#1:archive: DEAD (OSError: the archive is broken), redriven once"]
    assert [d.state for d in stage.kernel.deliveries()] == ["DELIVERED"]
    stage = Stage(kernel.TaskDef("a"), sink=FaultySink(MemoryArchive(), [Behaviour.RAISE] * 16))
    stage.run()
    assert [d.state for d in stage.kernel.deliveries()] == ["DEAD"]


def test_what_stops_a_worker_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the store in a worker's thread comes out of the run."""
    stage = Stage(kernel.TaskDef("a"))

    def full(*_: object, **__: object) -> None:
        raise StoreFull("completing")

    monkeypatch.setattr(stage.kernel, "complete", full)
    with pytest.raises(StoreFull):
        stage.run()


def test_conflicts_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else was writing for too long: polling and completing are tried again."""
    stage = Stage(kernel.TaskDef("a"), workers=1)

    def once(name: str) -> None:
        real: Callable[..., Any] = getattr(stage.kernel, name)
        errors = [Conflict("busy")]

        def command(*args: Any, **options: Any) -> Any:
            if errors:
                raise errors.pop()
            return real(*args, **options)

        monkeypatch.setattr(stage.kernel, name, command)

    once("poll")
    once("complete")
    assert stage.run() == "COMPLETED"


def test_an_unreliable_archive_is_as_unreliable_as_told() -> None:
    """It raises with its probability, drawn from the seed; what it takes is stored and reads back."""
    for probability, least, most in ((0.0, 0, 0), (0.5, 400, 600), (1.0, 1000, 1000)):
        sink = Unreliable(MemoryArchive(), probability, random.Random(1))
        parcel = kernel.Parcel(key="k", topic="t", workflow_id="w", run=1, attempt=1, open=lambda: iter([b"x"]))
        for _ in range(1000):
            with suppress(OSError):
                sink.deliver(parcel)
        assert least <= sink.raised <= most
        assert (sink.read_back(parcel) is None) is (probability == 1.0)


def test_tasks_that_are_made_meanwhile_find_a_worker() -> None:
    """Of types that nobody knew before: also where there was no worker's task at all, and a task to be signalled."""
    made = [{"ref": "x", "type": "new"}, {"ref": "w", "kind": "wait"}]
    stage = Stage(kernel.TaskDef("fan", kind="dynamic", input={"tasks": made, "inputs": {"x": {"n": 1}}}))
    assert stage.run() == "COMPLETED"
    assert [task.output for task in stage.kernel.tasks("wf")] == [None, {"n": 1}, {"by": "kernel run"}]
    assert (stage.crew.trees["wf"].closed, stage.crew.trees["wf"].tasks) == (3, 3)
    again = [*made, {"ref": "y", "type": "newer"}]
    stage = Stage(kernel.TaskDef("a"), kernel.TaskDef("fan", kind="dynamic", input={"tasks": again}, after=["a"]))
    assert stage.run() == "COMPLETED"
    assert stage.crew.types == {"a", "new", "newer"}
