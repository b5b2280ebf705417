"""Progress: the rules that run to completion in the commit of every command, in this order.

First hand-overs (a sub-workflow's end reaches its parent's task), then ends, then starts. A rule has the shape of a command;
it is enabled when its guards and those of a row of the lifecycle hold. The order is part of the specification: starts
before ends would start children of a workflow that is about to end.
"""

from __future__ import annotations

from kernel.spec.language import Fire, Guard, Step, every, is_, some
from kernel.spec.vocabulary import (
    asking,
    bad_end,
    badly,
    closed,
    closed_well,
    current,
    is_child,
    nesting,
    ready,
    running,
    signalled,
    unchosen,
    waiting,
    wf_running,
)


def hand_over(state: str) -> Step:
    """A sub-workflow that ended in this state tells the task that started it."""
    return Step(f"HAND_{state}", "workflow", (Fire(f"CHILD_{state}", "up"),),
                (Guard(state, is_(state)), is_child, current), by="kernel")


def end(name: str, event: str, *guards: Guard) -> Step:
    """A running workflow ends on its own account."""
    return Step(name, "workflow", (Fire(event),), (running, *guards), by="kernel")


def start(name: str, *guards: Guard, do: tuple[Fire, ...]) -> Step:
    """A task goes on."""
    return Step(name, "task", do, guards, by="kernel")


def a_task(guard: Guard) -> Guard:
    """Some task of the workflow satisfies the condition."""
    return Guard(f"a task {guard.name}", some("tasks", guard))


all_closed = Guard("all tasks closed", every("tasks", closed))
all_well = Guard("all tasks closed well", every("tasks", closed_well))
failing = bad_end("failed", "FAILED", "FAILED_WITH_TERMINAL_ERROR")
timing_out = bad_end("timed out", "TIMED_OUT")
canceling = bad_end("canceled", "CANCELED")

PROGRESS = (
    hand_over("COMPLETED"),
    hand_over("FAILED"),
    hand_over("TIMED_OUT"),
    hand_over("TERMINATED"),
    end("ASKED_COMPLETED",  "COMPLETE",  a_task(asking("COMPLETED"))),
    end("ASKED_FAILED",     "FAIL",      a_task(asking("FAILED"))),
    end("ASKED_TERMINATED", "TERMINATE", a_task(asking("TERMINATED"))),
    end("END_FAILED",       "FAIL",      a_task(failing)),
    end("END_TIMED_OUT",    "TIME_OUT",  a_task(timing_out)),
    end("END_TERMINATED",   "TERMINATE", a_task(canceling)),
    end("END_PERMISSIVE",   "FAIL",      all_closed, a_task(badly)),
    end("END_COMPLETED",    "COMPLETE",  all_well),
    start("UNCHOSEN",       Guard("PENDING", is_("PENDING")), wf_running, ready, unchosen, do=(Fire("SKIP"),)),
    start("REJECT",         do=(Fire("REJECT"),)),
    start("SCHEDULE",       do=(Fire("SCHEDULE"),)),
    start("PASS",           do=(Fire("PASS"), Fire("CREATE", "spawned"))),
    start("LAUNCH_WAIT",    waiting, do=(Fire("LAUNCH"),)),
    start("LAUNCH_CHILD",   nesting, do=(Fire("LAUNCH"), Fire("START", "child"), Fire("CREATE", "child_tasks"))),
    start("SIGNALLED",      Guard("IN_PROGRESS", is_("IN_PROGRESS")), signalled, do=(Fire("SIGNAL"),)),
)
