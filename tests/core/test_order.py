"""The order of tasks: references, cycles, and reads across any number of steps."""

from __future__ import annotations

import random
from graphlib import TopologicalSorter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core.order import Positions, check_reads, in_order, index_of, positions, successors_of
from kernel.errors import InvalidDefinition

PLACE = "definition 'd'"


def names(count: int) -> list[str]:
    """References t0, t1, ..."""
    return [f"t{number}" for number in range(count)]


@st.composite
def graphs(draw: st.DrawFn) -> list[Positions]:
    """Predecessors of up to eight tasks, in any direction: some have cycles."""
    count = draw(st.integers(1, 8))
    one = st.lists(st.integers(0, count - 1), unique=True, max_size=3).map(tuple)
    return draw(st.lists(one, min_size=count, max_size=count))


def ancestors(predecessors: list[Positions], task: int) -> set[int]:
    """All tasks that come before one, by plain search: what the masks must agree with."""
    found: set[int] = set()
    waiting = [*predecessors[task]]
    while waiting:
        before = waiting.pop()
        if before not in found:
            found.add(before)
            waiting.extend(predecessors[before])
    return found


def test_references_become_positions() -> None:
    """In the order of declaration."""
    assert index_of(PLACE, ["a", "b"]) == {"a": 0, "b": 1}
    assert positions(PLACE, "after", ("b", "a"), {"a": 0, "b": 1}) == (1, 0)


def test_a_reference_used_twice_is_refused() -> None:
    """The message names the reference and both places."""
    with pytest.raises(InvalidDefinition) as caught:
        index_of(PLACE, ["a", "b", "c", "b"])
    assert "definition 'd', task 'b'" in caught.value.asked
    assert "tasks 2 and 4" in caught.value.why


def test_an_unknown_reference_is_refused_with_the_nearest() -> None:
    """A slip of the pen is met with the name that was meant."""
    with pytest.raises(InvalidDefinition) as caught:
        positions("definition 'd', task 'b'", "after", ("reserv",), {"reserve": 0, "b": 1})
    assert caught.value.asked == "definition 'd', task 'b', field 'after' is not acceptable"
    assert "'reserv'" in caught.value.why
    assert caught.value.hint == "did you mean 'reserve'?"


def test_successors_are_predecessors_from_the_other_end() -> None:
    """In order of declaration."""
    assert successors_of([(), (0,), (0,), (2, 1)]) == ((1, 2), (3,), (3,), ())


@given(graphs())
def test_an_order_exists_exactly_where_there_is_no_cycle(predecessors: list[Positions]) -> None:
    """Each task comes once and after its predecessors; the standard library agrees about cycles."""
    try:
        order = in_order(PLACE, names(len(predecessors)), predecessors)
    except InvalidDefinition:
        with pytest.raises(ValueError, match="cycle"):
            TopologicalSorter(dict(enumerate(predecessors))).prepare()
        return
    assert sorted(order) == list(range(len(predecessors)))
    for task, befores in enumerate(predecessors):
        assert all(order.index(before) < order.index(task) for before in befores)


@given(graphs())
def test_the_cycle_that_is_named_is_one(predecessors: list[Positions]) -> None:
    """Each task of it waits for the one before, and the last for the first."""
    refs = names(len(predecessors))
    try:
        in_order(PLACE, refs, predecessors)
    except InvalidDefinition as error:
        steps = [int(step.strip("'t")) for step in error.why.partition(": ")[2].split(" -> ")]
        assert steps[0] == steps[-1] == min(steps)
        for before, after in pairwise(steps):
            assert before in predecessors[after]


def test_a_cycle_is_named_in_the_direction_of_time() -> None:
    """`b` waits for `a`, `c` for `b`, `a` for `c`; what merely hangs on the cycle is left out."""
    with pytest.raises(InvalidDefinition) as caught:
        in_order(PLACE, ["a", "b", "c", "d"], [(2,), (0,), (1,), (2,)])
    assert "'a' -> 'b' -> 'c' -> 'a'" in caught.value.why


def test_a_task_that_waits_for_itself_is_a_cycle() -> None:
    """The shortest one."""
    with pytest.raises(InvalidDefinition, match="'a' -> 'a'"):
        in_order(PLACE, ["a"], [(0,)])


def test_a_long_cycle_is_named_in_part() -> None:
    """100,000 tasks in a circle: a short message, and no recursion."""
    count = 100_000
    with pytest.raises(InvalidDefinition) as caught:
        in_order(PLACE, names(count), [((task - 1) % count,) for task in range(count)])
    assert "'t0' -> 't1' ->" in caught.value.why
    assert "... (100000 tasks) ... -> 't0'" in caught.value.why
    with pytest.raises(InvalidDefinition, match="'t7' -> 't0'"):
        in_order(PLACE, names(8), [((task - 1) % 8,) for task in range(8)])


@given(graphs(), st.randoms(use_true_random=False))
def test_a_read_is_allowed_exactly_from_what_comes_before(predecessors: list[Positions], dice: random.Random) -> None:
    """Over one step or many: a plain search for ancestors agrees with the masks."""
    count = len(predecessors)
    acyclic = [tuple(before for before in befores if before < task) for task, befores in enumerate(predecessors)]
    reads: list[Positions] = [()] * count
    reader, source = dice.randrange(count), dice.randrange(count)
    reads[reader] = (source,)
    order = in_order(PLACE, names(count), acyclic)
    if source in ancestors(acyclic, reader):
        check_reads(PLACE, names(count), acyclic, order, reads)
    else:
        with pytest.raises(InvalidDefinition, match="reads"):
            check_reads(PLACE, names(count), acyclic, order, reads)


def test_a_read_without_an_order_is_refused() -> None:
    """The reader, what it reads, and what to do."""
    with pytest.raises(InvalidDefinition) as caught:
        check_reads(PLACE, ["a", "b"], [(), ()], [0, 1], [(), (0,)])
    assert caught.value.asked == "definition 'd', task 'b', field 'input' is not acceptable"
    assert "reads the output of 'a'" in caught.value.why
    assert caught.value.hint == "add 'a' to after"


def test_a_task_cannot_read_itself() -> None:
    """There is nothing to add to after."""
    with pytest.raises(InvalidDefinition) as caught:
        check_reads(PLACE, ["a"], [()], [0], [(0,)])
    assert caught.value.why == "it reads its own output"
    assert caught.value.hint == ""


def test_many_tasks_read_from_afar() -> None:
    """More sources than one block holds: each task of a long chain reads the one before the last."""
    count = 10_000
    predecessors: list[Positions] = [(), *((task - 1,) for task in range(1, count))]
    reads: list[Positions] = [(), (), *((task - 2,) for task in range(2, count))]
    check_reads(PLACE, names(count), predecessors, list(range(count)), reads)
    reads[5_000] = (9_999,)
    with pytest.raises(InvalidDefinition, match="task 't5000'"):
        check_reads(PLACE, names(count), predecessors, list(range(count)), reads)
