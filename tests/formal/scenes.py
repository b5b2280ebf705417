"""The scenes on which mutants are tried and witnesses are looked for: between them they take every row that can be taken."""

from __future__ import annotations

from functools import cache

from attrs import evolve

from kernel.formal.shape import Shape, Task, hurried
from kernel.formal.stage import Scene, Stage, played
from kernel.spec import SPEC
from tests.model.shapes import ONE, SHAPES, nesting

ALL = ("workflow", "task", "delivery")
LATE = Shape((Task("x", optional=1),), timeout=0)
PURGED = evolve(ONE, purge=1)
CLOCKS = Shape((
    Task("a", tries=2, retry_delay=7, lease=9, poll_timeout=25, attempt_timeout=17, total_timeout=70),
    Task("w", ("a",), mode="WAIT", attempt_timeout=40, wait_for=12, permissive=1)), timeout=33, runs=2)
ALERTS = Shape((
    Task("a", tries=2, poll_timeout=3, lease=2, attempt_timeout=9, total_timeout=14, on_expiry="ALERT_ONLY"),
    nesting("s", Shape((Task("x"),), timeout=6), tries=2, retry_delay=4, attempt_timeout=11)),
    timeout=20, on_timeout="ALERT_ONLY")
SCENES = (
    Scene("one", ONE),
    Scene("held", ONE, ALL, 200),
    Scene("lost", hurried(ONE), ALL, 300),
    Scene("shut", evolve(ONE, open=0, wait=5), ALL, 100),
    Scene("not yet", evolve(ONE, wait=5), ALL, 100),
    Scene("in time", evolve(ONE, wait=5, delivery_lease=8), ALL, 200, pace=4),
    Scene("grave", PURGED, ALL, 200),
    Scene("grave, late", evolve(PURGED, timeout=0), ALL, 200),
    Scene("grave, kept", evolve(PURGED, retention=5), ALL, 100),
    Scene("grave, a receipt", evolve(PURGED, copied=0), ALL, 200),
    Scene("grave, unwanted", evolve(PURGED, hears="NOTHING"), ALL),
    Scene("grave, two topics", evolve(PURGED, topics=("archive", "mail")), ALL, 400),
    Scene("grave, nested", Shape((nesting("s", ONE),), purge=1), ALL, 200),
    Scene("late", Shape((
        nesting("s", LATE, optional=1), Task("a", poll_timeout=0, attempt_timeout=0, on_expiry="ALERT_ONLY"))), most=200),
    Scene("final", evolve(ONE, restartable=0, runs=2), most=100),
    Scene("reopened late", Shape((nesting("s", evolve(LATE, tasks=(Task("x", poll_timeout=0),))),), timeout=0, runs=2),
          most=300),
    Scene("reopened lenient", Shape((
        Task("a", optional=1, poll_timeout=0), Task("w", mode="WAIT", permissive=1, attempt_timeout=0)), runs=2), most=300),
    Scene("reopened optional", Shape((nesting("s", ONE, optional=1),), timeout=0, runs=2), most=300),
    Scene("clocks, moving", CLOCKS, most=400, pace=5),
    Scene("alerts, moving", ALERTS, most=400, pace=3),
    Scene("a retry in place, moving", Shape((nesting("s", evolve(ONE, timeout=9), tries=2, retry_delay=3, poll_timeout=8,
                                                     attempt_timeout=12, total_timeout=40), ), runs=2), most=300, pace=2),
    *(Scene(name, shape, most=150) for name, shape in SHAPES.items()),
    Scene("a wait again, moving", Shape((Task("w", mode="WAIT", tries=2, retry_delay=6, attempt_timeout=8, wait_until=1_030),)),
          most=200, pace=4),
    Scene("a branch that cannot be prepared", Shape((
        Task("c", mode="CONTROL", choice=1), Task("x", ("c",), switch="c", branch=1, sound=0, optional=1),
        Task("y", ("c",), switch="c", branch=1, sound=0)))),
    Scene("a signal that is lost, moving", Shape((
        Task("w", mode="WAIT", tries=3, attempt_timeout=2, retry_delay=30, poll_timeout=5),)), most=200, pace=25),
    Scene("every end at once", hurried(Shape((Task("a"), Task("b"), nesting("s", ONE)))), most=600),
    Scene("asked for everything", Shape((
        Task("a", asks="COMPLETED"), Task("b", asks="FAILED"), Task("c", asks="TERMINATED"))), most=300),
    Scene("rejected beside", Shape((Task("a"), Task("b", ("a",), sound=0), Task("c", ("a",)))), most=100),
    Scene("asked beside", Shape((Task("a"), Task("t", ("a",), "CONTROL", asks="FAILED"), Task("c", ("a",)))), most=100),
    Scene("a branch rejected", Shape((
        Task("c", mode="CONTROL", choice=1), Task("x", ("c",), switch="c", branch=2),
        Task("y", ("c",), switch="c", branch=1, sound=0)))),
    Scene("a sub-workflow that alerts", Shape((
        nesting("s", ONE, attempt_timeout=0, on_expiry="ALERT_ONLY"), nesting("u", ONE, wait_for=0))), most=200),
    Scene("reopened twice", Shape((nesting("s", ONE, tries=2), Task("a")), runs=3), most=300),
    Scene("reopened with a bad end", Shape((nesting("s", Shape((Task("x", optional=1), Task("y", permissive=1)))),), runs=2),
          most=300),
    Scene("not prepared again, moving", Shape((
        Task("w", mode="WAIT", tries=2, sound=(1, 0), retry_delay=6, attempt_timeout=3),
        Task("v", mode="WAIT", tries=2, sound=(1, 0), retry_delay=6, attempt_timeout=3, optional=1))), most=300, pace=4),
    *(Scene(f"asked for {one} and {other or 'nothing'}", Shape((Task("a", asks=one), Task("b", asks=other))), most=600)
      for one, other in (("COMPLETED", "FAILED"), ("FAILED", "TERMINATED"), ("TERMINATED", ""))),
    Scene("launched and never waited for", Shape((
        nesting("s", evolve(ONE, timeout=0), tries=2, wait_for=0, retry_delay=3),), runs=2), most=30),
    Scene("reopened behind another", Shape((Task("a"), Task("b", ("a",), total_timeout=70)), runs=2), most=30),
    Scene("ends that waited", Shape((
        nesting("s", Shape((Task("x", mode="WAIT", permissive=1, attempt_timeout=0),))), nesting("u", ONE))), most=60),
    Scene("a branch and an end that waited", Shape((
        Task("c", mode="CONTROL", choice=1), Task("a"), Task("x", ("c", "a"), switch="c", branch=2),
        nesting("s", ONE, asks="TERMINATED"))), most=60),
    Scene("a wait beside an end", Shape((
        Task("a"), Task("t", ("a",), "CONTROL", asks="TERMINATED"), Task("w", ("a",), "WAIT", wait_for=5))), most=20),
    Scene("a wait beside a bad end", Shape((
        Task("w", mode="WAIT", wait_for=5), nesting("s", Shape((Task("x", sound=0),))))), most=20),
    Scene("signalled beside a sub-workflow", Shape((
        Task("a"), Task("w", ("a",), "WAIT"), Task("t", ("w",), "CONTROL", asks="TERMINATED"), nesting("s", ONE, "a"))),
        most=20),
    Scene("spawned below, and rerun", Shape((nesting("s", Shape((Task("a"), Task("x", spawned_by="a")))),), runs=2), most=20),
    Scene("a sub-workflow spawned, and restarted", Shape((Task("a"), nesting("s", ONE, spawned_by="a")), runs=2), most=50),
    Scene("grave, nothing below", Shape((Task("a"), nesting("s", evolve(ONE, hears="NOTHING"), "a")), purge=1), ALL, 100),
    Scene("notices", evolve(ONE, topics=(), notify=("RUNNING", "PAUSED", "TERMINATED"), notices=4), ALL, 200),
)


@cache
def stages() -> tuple[Stage, ...]:
    """All scenes, played."""
    return tuple(played(SPEC, scene) for scene in SCENES)
