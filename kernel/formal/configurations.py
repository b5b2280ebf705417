"""The pinned configurations: small shapes on which every engine explores everything, and larger ones for the fast engines.

Together they have every kind of task, every policy, three levels, forks with joins, retries of tasks and of sub-workflows,
clocks that have run out, deliveries that fail and are lost, trees that are retried, restarted, rerun from each of their tasks,
and purged. Workers, relays and crashes need no state: anyone may present
the stored lease or another one at any moment, and a crash is a trace that stops.
"""

from __future__ import annotations

from attrs import evolve, frozen

from kernel.formal.rows import Rows
from kernel.formal.shape import Shape, Task, hurried

TREE = ("workflow", "task")
"""The kinds of row on which a tree's commands are."""
EVERY = (*TREE, "delivery")
"""All kinds: deliveries move, too."""


@frozen
class Config:
    """A shape and what may happen on it."""

    name: str
    shape: Shape | Rows
    kinds: tuple[str, ...] = TREE


ONE = Shape((Task("a"),))
CHAIN = Shape((Task("a", tries=2), Task("b", ("a",), tries=2)))
NESTED = Shape((Task("s", mode="WORKFLOW", sub=ONE),))
AGAIN = Shape((Task("a"), Task("s", ("a",), "WORKFLOW", Shape((Task("x"), Task("y", ("x",)))), tries=2)))
DEEP = Shape((Task("s", mode="WORKFLOW", sub=NESTED),))
FORK = Shape((Task("a"), Task("s", mode="WORKFLOW", sub=ONE), Task("u", mode="WORKFLOW", sub=ONE), Task("j", ("a", "s", "u"))))
MIXED = Shape((
    Task("a", tries=2, optional=1), Task("w", ("a",), "WAIT"), Task("s", ("a",), "WORKFLOW", Shape((Task("x", tries=2),)))))
OPTIONAL = Shape((Task("a", tries=2), Task("s", mode="WORKFLOW", sub=CHAIN, optional=1)))
WAITING = Shape((Task("w", mode="WAIT"), Task("a", ("w",)), Task("v", ("a",), "WAIT", optional=1)))
LENIENT = Shape((Task("a", permissive=1), Task("b", permissive=1, tries=2), Task("c", ("a", "b"))))
ENDING = Shape((
    Task("a"), Task("t", ("a",), "CONTROL", asks="TERMINATED"), Task("b"), Task("e", ("b",), "CONTROL", asks="FAILED")))
UNSOUND = Shape((Task("a", optional=1, sound=0), Task("b", ("a",)), Task("c", ("b",), sound=0), Task("d")))
TWICE = Shape((Task("a", tries=2), Task("b", ("a",))), runs=2)
INSIDE = Shape((Task("s", mode="WORKFLOW", sub=Shape((Task("x"), Task("y", ("x",))))), Task("b", ("s",))), runs=2)
SLOTS = Shape((Task("s", mode="WORKFLOW", sub=ONE, tries=2),), runs=2)
GRAVE = evolve(ONE, purge=1)
LATER = Shape((Task("a"), Task("s", ("a",), "WORKFLOW", evolve(ONE, hears="NOTHING"))), purge=1)

SMALL = (
    Config("one", ONE),
    Config("chain", CHAIN),
    Config("chain_late", hurried(CHAIN)),
    Config("nested", NESTED),
    Config("again", AGAIN),
    Config("deep", DEEP),
    Config("fork", FORK),
    Config("mixed", MIXED),
    Config("mixed_late", hurried(MIXED)),
    Config("optional", OPTIONAL),
    Config("waiting", hurried(WAITING)),
    Config("lenient", LENIENT),
    Config("ending", ENDING),
    Config("unsound", UNSOUND),
    Config("deliveries", ONE, EVERY),
    Config("deliveries_late", hurried(ONE), EVERY),
    Config("runs", TWICE),
    Config("runs_thrice", evolve(ONE, runs=3)),
    Config("runs_nested", evolve(NESTED, runs=2)),
    Config("runs_inside", INSIDE),
    Config("runs_deep", evolve(DEEP, runs=2)),
    Config("runs_slots", SLOTS),
    Config("runs_deliveries", evolve(ONE, runs=2), EVERY),
    Config("purge", GRAVE, EVERY),
    Config("purge_unasked", evolve(GRAVE, hears="NOTHING"), EVERY),
    Config("purge_nested", evolve(NESTED, purge=1), EVERY),
    Config("purge_unlaunched", LATER, EVERY),
    Config("fork_again", evolve(FORK, tasks=tuple(evolve(t, tries=2) if t.sub is None else t for t in FORK.tasks))),
    Config("runs_late", hurried(INSIDE)),
    Config("runs_mixed", evolve(MIXED, runs=2)),
    Config("runs_fork", evolve(FORK, runs=2)),
)
"""Every engine explores these."""
SHOWN = ("one", "chain_late", "nested", "deep", "mixed", "deliveries", "runs_nested", "purge")
"""Their models stand in specs/models, for people to read."""
LARGE = (
    Config("again_late", hurried(AGAIN)),
    Config("fork_late", hurried(FORK)),
)
"""The explorer and Spin explore these."""
VAST = (
    Config("vast", evolve(hurried(AGAIN), tasks=tuple(
        evolve(t, optional=int(t.sub is None)) for t in hurried(AGAIN).tasks), runs=4)),
)
"""The explorer alone explores these, when it is asked for them by name: that takes most of an hour, and gigabytes."""
