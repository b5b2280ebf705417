"""What events bring with them, as formulas: each event by the row above it, at any depth."""

from __future__ import annotations

import pytest

from kernel.formal.shape import without_notices, without_spawning
from kernel.formal.smt import Smt
from kernel.formal.smt_follow import Following, happens
from kernel.spec import SPEC


def following(name: str) -> Following:
    """What follows from a command."""
    smt, step = Smt(without_spawning(without_notices(SPEC))), SPEC.command(name)
    return Following(smt, step, smt.step(step)[1])


@pytest.mark.parametrize(("name", "events"), [
    ("RETRY", ["does.task.REOPEN", "does.task.RESET", "does.workflow.REOPEN", "does.task.SET_ASIDE",
               "does.workflow.SET_ASIDE"]),
    ("RESTART", ["does.task.RESET", "does.task.SET_ASIDE", "does.workflow.SET_ASIDE"]),
    ("TERMINATE", []),
])
def test_every_event_that_follows_is_a_predicate(name: str, events: list[str]) -> None:
    """The closure of what is declared to follow, and nothing else."""
    assert [happens(event) for event in following(name).ways] == events


def test_an_event_is_defined_by_the_row_above() -> None:
    """A sub-workflow goes on when the task that started it does, in its present attempt; no depth is named."""
    (definition,) = [line for line in following("RETRY").definitions() if "(= (does.workflow.REOPEN x)" in line]
    assert "(does.task.REOPEN (up x)) (= (workflow_slot x) (task_attempt@T (up x)))" in definition
    (below,) = [line for line in following("RETRY").definitions() if "(= (under.does.task.RESET x)" in line]
    assert "(or (does.task.RESET (up x)) (under.does.task.RESET (wf (up x))))" in below


def test_a_row_sees_what_is_above_as_it_is_now() -> None:
    """The run of a sub-workflow that goes on is that which its parent has after the step."""
    (run,) = [line for line in following("RETRY").definitions() if "(= (workflow_run@T x)" in line]
    assert "(workflow_run@T (wf (up x)))" in run
    assert run.count("workflow_run@1") == 1


def test_what_is_reached_is_said_of_one_workflow() -> None:
    """So that it can be shown of one whose parent it holds for."""
    assert {name for name, _ in following("RESTART").reach("one")} < {name for name, _ in following("RETRY").reach("one")}
    assert all("one" in fact for _, fact in following("RETRY").reach("one"))
