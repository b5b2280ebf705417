"""What the kernel is driven through: small models for every run of the suite, larger ones for `make conformance`."""

from __future__ import annotations

from collections.abc import Collection

from attrs import evolve, frozen

from kernel.formal.explore import Explorer
from kernel.formal.shape import Shape, State, Task, hurried
from kernel.spec import SPEC
from tests.conformance.rows import leased
from tests.model.shapes import CHAIN, ONE, SHAPES, nesting

NEVER_ASKED = ("SKIP", "POSTPONE", "ALERT", "ELAPSE", "OVERRUN", "OVERDUE")
"""Commands that are given in some shapes only: elsewhere they change nothing, or make many states that are much alike."""
CLAIMS = 2
"""How often deliveries are claimed at most, before the exploration goes no further."""


@frozen
class Case:
    """A shape, and what is asked in it: all commands but those `without`; those on deliveries only where it is about them."""

    shape: Shape
    without: tuple[str, ...] = NEVER_ASKED
    kinds: Collection[str] = ("workflow", "task")

    def explorer(self) -> Explorer:
        """What explores it."""
        explorer = Explorer(SPEC, leased(self.shape), kinds=self.kinds)
        explorer.requests = tuple(one for one in explorer.requests if one.step.name not in self.without)
        if "delivery" in self.kinds:
            rows, claims = explorer.tree.rows["delivery"], explorer.tree.columns["delivery"]["claims"]
            explorer.within = lambda state: few_claims(state, rows, claims)
        return explorer


def few_claims(state: State, rows: Collection[int], claims: int) -> bool:
    """Whether no delivery was claimed more often than is explored."""
    return all(int(state[row][claims]) <= CLAIMS for row in rows)


EVERY = tuple(SPEC.kinds)
SMALL = {
    "one": Case(ONE, ()),
    "chain": Case(Shape((Task("a", tries=2), Task("b", ("a",), tries=2)))),
    "skip": Case(SHAPES["skip"], NEVER_ASKED[1:]),
    "late": Case(hurried(Shape((Task("a", tries=2, optional=1), Task("b", ("a",), on_expiry="ALERT_ONLY"))))),
    "clocks": Case(Shape((
        Task("w", (), "WAIT", wait_for=0), nesting("s", evolve(ONE, timeout=0, on_timeout="ALERT_ONLY"), attempt_timeout=0))),
        NEVER_ASKED[:2]),
    "waiting": Case(Shape((Task("w", (), "WAIT", tries=2), Task("p", ("w",), permissive=1), Task("q", ("p",))))),
    "fork": Case(Shape((
        Task("f", mode="CONTROL"), Task("a", ("f",)), Task("b", ("f",), optional=1), Task("j", ("a", "b"), "CONTROL")))),
    "race": Case(Shape((Task("a"), Task("b"), Task("c", ("a",))))),
    "switch": Case(Shape((
        Task("c", mode="CONTROL", choice=2), Task("x", ("c",), switch="c", branch=2), Task("y", ("c",), switch="c", branch=1),
        Task("j", ("x", "y"))))),
    "ending": Case(Shape((
        nesting("s", Shape((Task("x"), Task("t", ("x",), "CONTROL", asks="TERMINATED"))), permissive=1), Task("y", ("s",))))),
    "nested": Case(Shape((Task("a"), nesting("s", CHAIN, "a")))),
    "deep": Case(Shape((nesting("s", Shape((nesting("u", ONE),))),))),
    "unsound": Case(SHAPES["unsound"]),
    "reopened": Case(Shape((nesting("s", ONE),), runs=2)),
    "reopened deep": Case(SHAPES["reopened deep"]),
    "deliveries": Case(ONE, NEVER_ASKED, EVERY),
    "deliveries late": Case(hurried(evolve(ONE, hears="BAD_ENDS")), NEVER_ASKED, EVERY),
    "purged": Case(evolve(ONE, purge=1), NEVER_ASKED, EVERY),
}
"""On memory and on SQLite in every run of the suite."""
ONLY = {"SKIP": ("skip",), "POSTPONE": ("postponed",)}
"""Commands and the large shapes in which they are given; the others of those without are for the shapes about clocks."""
LARGE = {
    name: Case(shape, tuple(command for command in NEVER_ASKED if name not in ONLY.get(command, ("hurried", "clocks"))))
    for name, shape in SHAPES.items()
}
"""The shapes on which the decision and the oracle are compared: for `make conformance`."""
PINNED = {
    #                  states, transitions, refusals and no-ops
    "one":             (28, 66, 806),
    "chain":           (92, 315, 3305),
    "skip":            (150, 870, 12292),
    "late":            (219, 737, 7748),
    "clocks":          (347, 1769, 24847),
    "waiting":         (72, 314, 3698),
    "fork":            (71, 412, 4708),
    "race":            (162, 747, 8233),
    "switch":          (34, 179, 2276),
    "ending":          (300, 1637, 23294),
    "nested":          (120, 658, 9396),
    "deep":            (148, 787, 10547),
    "unsound":         (15, 64, 773),
    "reopened":        (116, 563, 5205),
    "reopened deep":   (326, 2478, 28959),
    "deliveries":      (88, 221, 2747),
    "deliveries late": (170, 466, 5214),
    "purged":          (89, 261, 2922),
}
"""What is measured on the small models, on each store."""
