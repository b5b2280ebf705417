"""Stages: every step of a small shape with what it is made of."""

from __future__ import annotations

from attrs import evolve

from kernel.formal.explore import explore
from kernel.formal.mutants import Mutant
from kernel.formal.shape import Shape, Task
from kernel.formal.stage import Scene, played
from kernel.formal.trial import Trial
from kernel.spec import SPEC
from kernel.spec.language import Fire, Guard, Step, is_

ONE = Shape((Task("a"),))
CHAIN = Shape((Task("a"), Task("b", ("a",))))


def test_a_stage_has_every_step_of_the_exploration() -> None:
    """As many states and transitions, and every refusal besides."""
    seen = explore(SPEC, ONE)
    stage = played(SPEC, Scene("one", ONE))
    assert stage.explorer.seen.found.keys() == seen.found.keys()
    assert sum(step.after is not None for step in stage.steps) == seen.transitions
    assert any(step.after is None for step in stage.steps)


def test_a_step_knows_what_it_is_made_of() -> None:
    """Commands, rules, rows, alternatives; what refuses alone; and what could have been taken instead."""
    stage = played(SPEC, Scene("chain", CHAIN))
    (first, *_) = stage.at([("step", "END_COMPLETED")])
    assert stage.trace(first) == ("START w", "SKIP w.a", "SKIP w.b")
    assert stage.trace(stage.at([("step", "SCHEDULE")])[0]) == ("START w",)
    poll = next(number for number, row in enumerate(SPEC.tables["task"].rows) if row.event == "POLL")
    assert stage.trace(stage.at([("alone", f"task {poll}", "workflow RUNNING")])[0]) == ("START w", "PAUSE w", "POLL w.a")
    assert stage.at([("row", "task", str(poll), "SCHEDULED")])
    assert not stage.at([("row", "task", str(poll), "PENDING")])
    assert not stage.at([("before", "END_FAILED")])


def test_the_nearest_states_are_looked_at() -> None:
    """At most so many are gone on from."""
    few = played(SPEC, Scene("chain", CHAIN, most=5))
    every = played(SPEC, Scene("chain", CHAIN))
    assert few.steps == every.steps[:len(few.steps)]
    assert len(few.steps) < len(every.steps)


def test_time_may_pass_from_commit_to_commit() -> None:
    """Then a clock runs out when its time has come, and not before."""
    shape = Shape((Task("a", lease=9),))
    ways = {}
    for pace in (0, 5, 10):
        stage = played(SPEC, Scene("clock", shape, pace=pace))
        found = stage.at([("step", "EXPIRE")])
        ways[pace] = stage.trace(found[0]) if found else ()
    assert ways == {0: (), 5: ("START w", "POLL w.a", "PAUSE w", "EXPIRE w.a"), 10: ("START w", "POLL w.a", "EXPIRE w.a")}


def test_progress_that_does_not_end_is_noticed() -> None:
    """A rule that can be taken again and again."""
    endless = Step("AGAIN", "task", (Fire("SHIFT"),), by="kernel")
    spec = evolve(SPEC, progress=(*SPEC.progress, endless))
    trial = Trial(Mutant("endless", spec, (("step", "START"),)), played(SPEC, Scene("one", ONE)))
    start = trial.stage.steps[0]
    assert trial.after(start.request, start.state) == "progress goes on for ever"
    assert trial.difference() == 0
    assert trial.broken(0) == ((), ())


def test_what_is_not_there_is_not_read() -> None:
    """A root has no parent: whoever asks for it all the same is told."""
    careless = Guard("parent RUNNING", is_("RUNNING", of=("up", "wf")))
    spec = evolve(SPEC, commands=tuple(
        evolve(step, guards=(careless,)) if step.name == "RESUME" else step for step in SPEC.commands))
    trial = Trial(Mutant("careless", spec, (("asked", "RESUME"),)), played(SPEC, Scene("one", ONE)))
    place = trial.difference()
    assert place is not None
    taken = trial.stage.steps[place]
    assert trial.after(taken.request, taken.state) == "what it reads is not there"
