"""The pinned shapes on which the decision and the oracle are compared."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from kernel.formal.shape import Shape, Task, hurried

ONE = Shape((Task("x"),))
SILENT = Shape((Task("z"),), topics=())
CHAIN = Shape((Task("x"), Task("y", ("x",))))
OWN: dict[str, Any] = {"hears": "BAD_ENDS", "own": 1}


def nesting(ref: str, sub: Shape, *after: str, **given: Any) -> Task:
    """A task that starts a sub-workflow."""
    return evolve(Task(ref, after, "WORKFLOW", sub), **given)


SHAPES = {
    # two in sequence, with a retry each
    "two": Shape((Task("a", tries=2), Task("b", ("a",), tries=2))),
    # the same with every clock run out: leases, poll time-outs and the deadline may pass at any moment
    "hurried": hurried(Shape((Task("a", tries=2, optional=1), Task("b", ("a",), on_expiry="ALERT_ONLY"), Task("c", ("a",))))),
    # a parent and its child
    "child": Shape((Task("a"), nesting("s", CHAIN, "a"))),
    # the same with two attempts of the child, and a child that times out
    "again": Shape((Task("a"), nesting("s", Shape((Task("x"),), timeout=0), "a", tries=2))),
    # a workflow that may fail while its sub-workflow is about to start
    "race": Shape((Task("a"), Task("b"), nesting("s", ONE, "a"))),
    # two sub-workflows side by side, then a join
    "fork": Shape((
        Task("f", mode="CONTROL"), nesting("s", ONE, "f"), nesting("u", SILENT, "f", optional=1),
        Task("j", ("s", "u"), "CONTROL"))),
    # three levels
    "deep": Shape((nesting("s", Shape((nesting("u", ONE), Task("y")))),)),
    # optional, waiting, permissive, a sub-workflow, and a task that ends its workflow
    "mixed": Shape((
        Task("a", optional=1), Task("w", ("a",), "WAIT", tries=2), Task("p", ("a",), permissive=1), nesting("s", ONE, "p"),
        Task("t", ("w",), "CONTROL", asks="COMPLETED"))),
    # what asks for a bad end, at each level
    "asked": Shape((
        nesting("s", Shape((Task("x"), Task("t", ("x",), "CONTROL", asks="TERMINATED"))), permissive=1),
        Task("y"), Task("t", ("s",), "CONTROL", asks="FAILED"))),
    # a switch with a branch that is chosen, one that is not with a switch and a sub-workflow in it, and a default one
    "switch": Shape((
        Task("a"), Task("c", ("a",), "CONTROL", choice=2),
        Task("x", ("c",), switch="c", branch=2, tries=2), Task("y", ("x",), switch="c", branch=2, permissive=1),
        Task("d", ("c",), "CONTROL", choice=1, switch="c", branch=3), nesting("s", ONE, "d", switch="d", branch=1),
        Task("w", ("c",), "WAIT", switch="c", branch=1), Task("j", ("c", "y", "s", "w")))),
    # a switch that cannot be prepared: none of its branches is chosen
    "unsound": Shape((
        Task("c", (), "CONTROL", choice=2, sound=0, permissive=1), Task("x", ("c",), switch="c", branch=2),
        Task("y", ("c", "x"), optional=1))),
    # what can be skipped: a wait, a sub-workflow, and a task that would end the workflow
    "skip": Shape((Task("w", (), "WAIT"), nesting("s", ONE, "w"), Task("t", ("s",), "CONTROL", asks="FAILED"))),
    # handed back for later
    "postponed": Shape((Task("a", tries=2, optional=1), Task("b", ("a",)))),
    # every other clock run out, some of them only recorded
    "clocks": Shape((
        Task("a", attempt_timeout=0, total_timeout=0, on_expiry="ALERT_ONLY"), Task("w", ("a",), "WAIT", wait_for=0),
        nesting("s", Shape((Task("x"),), timeout=0, on_timeout="ALERT_ONLY"), "a", attempt_timeout=0))),
    # tasks that a result adds, one after the other, and a task of the definition that waits for both; with leases of a minute
    # tasks that a dynamic fork makes, which a join waits for; beside it one that cannot be prepared
    "dynamic": Shape((
        Task("a"), Task("f", ("a",), "CONTROL"), Task("j", ("f", "x", "y"), "CONTROL"), Task("b", ("j",)),
        Task("g", ("a",), "CONTROL", sound=0, optional=1), Task("x", ("f",), spawned_by="f", lease=60_000_000),
        Task("y", ("x",), "WAIT", spawned_by="f", permissive=1, lease=60_000_000),
        Task("z", ("g",), spawned_by="g"))),
    "spawn": Shape((
        Task("a", tries=2), Task("b", ("a", "x", "y")), Task("x", spawned_by="a", optional=1, lease=60_000_000),
        Task("y", ("a", "x"), spawned_by="a", lease=60_000_000))),
    # what cannot be prepared: an input that cannot be resolved, and a child that nobody knows
    "reject": Shape((
        Task("a"), Task("b", ("a",), sound=0, optional=1), Task("c", ("b",), "WORKFLOW", sound=0, permissive=1),
        nesting("s", Shape((Task("x"), Task("y", ("x",), sound=0))), "c", tries=2))),
    # who hears only of bad ends on a workflow's own account, above and below, and of retries
    "own": Shape((nesting("s", Shape((nesting("u", evolve(ONE, **OWN)),), **OWN), tries=2),), **OWN),
    # who is told of changes of status, above and below; in two runs
    "told": Shape((nesting("s", Shape((Task("x"),), topics=(), notify=("PAUSED", "RUNNING", "TERMINATED"))),),
                  notify=("RUNNING", "COMPLETED", "FAILED"), topics=(), notices=5),
    "told again": Shape((Task("a"),), notify=("RUNNING", "PAUSED", "TERMINATED"), notices=5, runs=2),
    # a second run: of a sub-workflow; three levels, with a TERMINATE task; with attempts that are past, and an early signal
    "reopened": Shape((nesting("s", ONE),), runs=2),
    "reopened deep": Shape((nesting("s", Shape((nesting("u", ONE), Task("t", ("u",), "CONTROL", asks="FAILED")))),), runs=2),
    "reopened again": Shape((nesting("s", ONE, tries=2), Task("z", ("s",), mode="WAIT")), runs=2),
    # a second run of a spawner, of what it spawned, which spawned a sub-workflow, and of what waits for the first
    "respawned": Shape((
        Task("a"), Task("b", ("a", "x")), Task("x", ("a",), spawned_by="a", lease=60_000_000),
        nesting("s", ONE, spawned_by="x")), runs=2),
}
"""Every task has one attempt, is mandatory and has clocks that never run out, unless said otherwise."""

TIMED = Shape((
    Task("a", tries=3, retry_delay=(5, 10), lease=9, poll_timeout=25, attempt_timeout=17, total_timeout=70),
    Task("w", mode="WAIT", tries=2, retry_delay=4, poll_timeout=30, attempt_timeout=40, wait_for=60, permissive=1),
    Task("v", mode="WAIT", wait_until=1_090, attempt_timeout=70, on_expiry="ALERT_ONLY"),
    nesting("s", Shape((
        Task("x", tries=2, retry_delay=6, lease=7),
        nesting("u", Shape((Task("y", tries=2, retry_delay=3, lease=5, on_expiry="TIME_OUT_WF"),), timeout=60), "x",
                tries=2, retry_delay=8),
    ), timeout=90), "a", tries=2, retry_delay=8, attempt_timeout=50),
    Task("e", ("s", "w"), "CONTROL"),
), timeout=160, runs=3)
"""Every clock in one shape; a task that waits for its retry under a pause has its time shifted."""
