"""What the clock does, and to which instance of what it waits for."""

from __future__ import annotations

from typing import Any

import kernel
from kernel.core.plan import Command
from kernel.core.records import root_of
from kernel.engine.entities import Applied
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.timers import Ticked
from tests.zoo.stand import Exhibit, Stage, answer, same, tasks, workflows

WAITS = kernel.WorkflowDef("waits", topics=("archive",), tasks=[
    kernel.TaskDef("first", kind="wait", wait_for=60.0),
    kernel.TaskDef("second", kind="wait", wait_for=60.0, after=["first"])])


# ---- B39 -----------------------------------------------------------------------------------------------------------------
def a_timer_outlives_its_wait(stage: Stage) -> None:
    """A pause that was to end by itself was ended by hand, and its timer, which was still there, ended the next one.

    kestra-io/kestra#18597. The kernel's PAUSE has no timer; what waits until a time, or for a signal, is a wait task.
    """
    k = stage.k
    k.register(WAITS)
    k.start("waits", workflow_id="w")
    stage.clock.advance(30)
    k.signal("w", "first")
    same("a second signal", answer(lambda: k.signal("w", "first")), "NoSuchTransition")
    stage.clock.advance(31)
    same("fired at the time of the first wait", (k.tick().total, tasks(k, "w")["w second"]), (0, "IN_PROGRESS"))
    stage.clock.advance(30)
    same("fired at the time of the second wait", (k.tick().total, tasks(k, "w")["w second"]), (1, "COMPLETED"))
    same("workflow", workflows(k, "w"), {"w": "COMPLETED"})
    stage.clock.advance(3_600)
    same("fired after the end", k.tick().total, 0)
    same("ends of waits", [line.subject for line in k.history("w") if line.kind == "task" and line.target == "COMPLETED"],
         ["first", "second"])
    stage.sound("w")


class LooseTimers(Kernel):
    """Has timers that know the workflow, and not which of its waits they are for."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **options)
        self._timers: list[tuple[int, str]] = []

    def start(self, name: str, **options: Any) -> kernel.Workflow:
        """Start, with a timer for the wait."""
        started = super().start(name, **options)
        self._timers.append((self.clock.now() + 60_000_000, started.id))
        return started

    def commit(self, command: Command) -> Applied:
        """Commit, with a timer for the next wait."""
        applied = super().commit(command)
        if command.name == "SIGNAL":
            self._timers.append((self.clock.now() + 60_000_000, root_of(command.subject.workflow)))
        return applied

    def tick(self, *, limit: int = 10_000) -> Ticked:
        """End the wait that there is in each workflow whose timer fires."""
        for due, workflow in self._timers:
            waiting = [task.ref for task in self.tasks(workflow) if task.mode == "WAIT" and task.state == "IN_PROGRESS"]
            if due <= self.clock.now() and waiting:
                self.signal(workflow, waiting[0])
        return super().tick(limit=limit)


EXHIBITS = (
    Exhibit("B39", ("kestra-io/kestra#18597",), a_timer_outlives_its_wait, LooseTimers,
            "a timer knows the workflow, and not the wait that it was set for"),
)
