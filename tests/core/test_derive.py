"""What follows from the tables: counters, what moves them, who wakes whom, what is still open in a state."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from attrs import evolve

from kernel.core.derive import (
    derive_counters,
    derive_deltas,
    derive_wakes,
    established,
    signature,
    slug,
)
from kernel.errors import InvalidDefinition
from kernel.formal.oracle import Oracle
from kernel.formal.shape import Shape, Task, Tree
from kernel.spec import SPEC
from kernel.spec.language import (
    F,
    Guard,
    Op,
    Param,
    Row,
    Spec,
    Step,
    both,
    eq,
    every,
    is_,
    lt,
    no,
    some,
)
from kernel.spec.vocabulary import sound

COUNTERS = derive_counters(SPEC)[0]
SIGNATURE = signature(SPEC, COUNTERS)


def with_rule(*guards: Guard) -> Spec:
    """The specification with one more end of a workflow."""
    rule = Step("END_NEW", "workflow", next(s for s in SPEC.progress if s.name == "END_FAILED").do, guards)
    return evolve(SPEC, progress=(*SPEC.progress, rule))


# ---- counters -------------------------------------------------------------------------------------------------------------
def test_each_quantifier_has_one_counter() -> None:
    """The counters are those of the quantifiers in progress, each on the row that asks; stores name their columns by them."""
    assert [(c.owner, c.place, c.name) for c in COUNTERS] == [
        ("workflow", 0, "tasks_asks_completed"), ("workflow", 1, "tasks_asks_failed"),
        ("workflow", 2, "tasks_asks_terminated"), ("workflow", 3, "tasks_failed"), ("workflow", 4, "tasks_timed_out"),
        ("workflow", 5, "tasks_canceled"), ("workflow", 6, "tasks_not_closed"), ("workflow", 7, "tasks_closed_badly"),
        ("workflow", 8, "tasks_not_closed_well"), ("task", 0, "after_not_passed"),
    ]
    assert {c.link for c in COUNTERS} == {"tasks", "after"}
    assert slug("Not Well") == "not_well"


def test_some_and_every_share_the_counter_of_one_condition() -> None:
    """`some` of what does not hold and `every` of what holds count the same rows."""
    closed = Guard("closed", is_("COMPLETED"))
    spec = with_rule(
        Guard("a", every("tasks", closed)), Guard("b", some("tasks", Guard("open", no(closed)))))
    counters, places = derive_counters(spec)
    assert len(counters) == len(COUNTERS) + 1
    assert [places[q] for q in (every("tasks", closed), some("tasks", Guard("open", no(closed))))] == [9, 9]


def test_only_what_can_be_counted_is_counted() -> None:
    """A rule that counts where nobody can keep count, or what does not change by transitions, is refused by name."""
    with pytest.raises(InvalidDefinition, match="END_NEW counts over 'subs'"):
        derive_counters(with_rule(Guard("a", every("subs", Guard("live", is_("RUNNING"))))))
    for body, name in (
        (eq(F("attempt"), 1), "attempt"), (eq(F("tries"), 1), "tries"), (sound.holds, "sound"),
        (is_("RUNNING", of=("wf",)), "wf.state"),
    ):
        counters, _ = derive_counters(with_rule(Guard("a", some("tasks", Guard("b", body)))))
        with pytest.raises(InvalidDefinition, match=f"reads '{name}'"):
            signature(SPEC, counters)


def test_deltas_are_the_difference_of_what_counts() -> None:
    """For every transition and every kind of task the deltas are what the oracle counts after, less what it counted before."""
    assert SIGNATURE == ("asks", "optional", "permissive")
    deltas = derive_deltas(SPEC, COUNTERS, SIGNATURE)
    checked = 0
    for asks, optional, permissive in product(("", "COMPLETED", "FAILED", "TERMINATED"), (0, 1), (0, 1)):
        tree = Tree(SPEC, Shape((Task("a", asks=asks, optional=optional, permissive=permissive),)))
        oracle, (task,) = Oracle(SPEC, tree), tree.rows["task"]

        def counted(state: str, oracle: Oracle = oracle, task: int = task) -> list[int]:
            world = tuple((state, *row[1:]) if i == task else row for i, row in enumerate(oracle.tree.start))
            return [int(state != "ABSENT" and bool(oracle.evaluate(c.body, task, {}, world))) for c in COUNTERS]

        for source, target in product(SPEC.kinds["task"].states, repeat=2):
            expected = [b - a for a, b in zip(counted(source), counted(target), strict=True)]
            found = [0] * len(COUNTERS)
            for link, moved in deltas[source, target].get((asks, optional, permissive), ()):
                for place, by_how_much in moved:
                    (index,) = [i for i, c in enumerate(COUNTERS) if (c.link, c.place) == (link, place)]
                    found[index] = by_how_much
            assert found == expected, (source, target, asks, optional, permissive)
            checked += 1
    assert checked == 16 * 121


# ---- what is known ----------------------------------------------------------------------------------------------------------
def test_guards_establish_attributes() -> None:
    """What a row's guards say of attributes is known afterwards; what they say of fields or of the caller is not."""
    row = Row("X", ("PENDING",), "SCHEDULED", (
        Guard("a", both(eq(F("mode"), "WAIT"), eq(F("attempt"), 1))), Guard("b", eq(Param("mode"), "WORKER")),
        Guard("c", no(eq(F("optional"), 1))), sound))
    assert established(SPEC, "task", row) == {F("mode"): "WAIT", F("sound"): 1}


# ---- wake-ups ---------------------------------------------------------------------------------------------------------------
def test_who_wakes_whom() -> None:
    """A workflow that runs again wakes its tasks; a task under way wakes its sub-workflow, which may have ended."""
    assert derive_wakes(SPEC) == {
        ("workflow", "RESUME", "PAUSED", "RUNNING"): ("tasks",),
        ("task", "LAUNCH", "SCHEDULED", "IN_PROGRESS"): ("child",),
        ("task", "POLL", "SCHEDULED", "IN_PROGRESS"): ("child",),
    }


def test_a_field_that_a_rule_reads_wakes_its_readers() -> None:
    """A transition that sets a field which a rule reads over a link wakes the row that reads it, whatever the states."""
    task = Guard("shifted", lt(F("paused_at", ("wf",)), 5))
    spec = evolve(SPEC, progress=(*SPEC.progress, Step("PASS_2", "task", SPEC.progress[-1].do, (task,))))
    assert derive_wakes(spec)["workflow", "PAUSE", "RUNNING", "PAUSED"] == ("tasks",)


def test_nobody_is_woken_over_an_unknown_path() -> None:
    """A rule that reads over a path over which nobody can be woken is refused."""
    child = Guard("child ended", is_("COMPLETED", of=("child",)))
    spec = evolve(SPEC, progress=(*SPEC.progress, Step("PASS_2", "task", SPEC.progress[-1].do, (child,))))
    with pytest.raises(InvalidDefinition, match="over 'child'"):
        derive_wakes(spec)


def test_conditions_on_states_are_told_apart() -> None:
    """A condition that mixes states with something else does not say which states it asks for, so its reader is woken."""
    mixed: Any = Op("or", (eq(F("state", ("wf",)), "COMPLETED"), eq(F("paused_at", ("wf",)), 0)))
    spec = evolve(SPEC, progress=(*SPEC.progress, Step("PASS_2", "task", SPEC.progress[-1].do, (Guard("m", mixed),))))
    wakes = derive_wakes(spec)
    assert wakes["workflow", "RESUME", "PAUSED", "RUNNING"] == ("tasks",)
    assert ("workflow", "TERMINATE", "RUNNING", "TERMINATED") not in wakes
