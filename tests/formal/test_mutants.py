"""Every small edit of the tables is noticed, or proved to change nothing: the page says how, a spread sample is judged anew."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.formal.equivalent import FACTS, Equivalence, Facts
from kernel.formal.mutants import Mutant, mutants
from kernel.formal.proof import Proof
from kernel.formal.provers import prove_z3
from kernel.formal.stage import played
from kernel.formal.trial import Trial, static, tried
from kernel.spec import SPEC
from tests.drift.test_evidence import filled
from tests.formal.judged import LATER, MUTANTS, OPEN, SAME, Judged, asked, cell, invariants, mutants_page, row_of, shown
from tests.formal.scenes import SCENES, stages

ANEW = "run `python -m tests.formal.judged new` and look at the difference"
EVERY = [*mutants(SPEC)]
SAMPLE = 120
"""At least so many are judged by each run of the suite."""
HALVES = 2
BEYOND = ("task RESET", "task REOPEN", "workflow SET_ASIDE", "after RETRY", "command START: in two", "rule REJECT: dropped")


def sample() -> list[Mutant]:
    """The first, and others spread over all that something notices."""
    page = shown()
    noticed = [mutant for mutant in EVERY if page[cell(mutant.name)].sort not in (OPEN, SAME)]
    return noticed[::len(noticed) // SAMPLE]


def test_the_page_has_each_mutant_once() -> None:
    """specs/evidence/mutants.md names them in the order of the tables, and counts what it says."""
    page = shown()
    assert [*page] == [cell(mutant.name) for mutant in EVERY], ANEW
    text = MUTANTS.read_text(encoding="utf-8")
    assert text == filled(text, mutants_page([*page.values()])), ANEW


def test_the_first_is_conductors_order() -> None:
    """The bug that this kernel is about: what is below is ended after the state was written."""
    first = next(iter(shown().values()))
    assert "eleven steps of Conductor" in first.mutant
    assert first.broken[0] == "INV-01"
    assert first.way == "START w · TERMINATE w"


def test_each_invariant_is_broken_by_a_mutant() -> None:
    """One that no edit breaks would say nothing."""
    broken = {name for row in shown().values() for name in row.broken}
    assert {*invariants()} - broken == {*LATER}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_is_broken_later() -> None:
    """The first step that differs breaks nothing; another one does."""
    own = played(SPEC, next(scene for scene in SCENES if scene.name == "own"))
    for name, edited in LATER.items():
        trial = Trial(next(mutant for mutant in EVERY if mutant.name == edited), own)
        for place in own.at(trial.mutant.parts):
            trial.explorer.commit(own.steps[place].request, own.steps[place].state)
        assert name in {broken.split()[0] for broken in trial.explorer.seen.broken}


@pytest.mark.slow
@pytest.mark.early
@pytest.mark.timeout(600)
@pytest.mark.parametrize("half", range(HALVES))
def test_a_sample_is_noticed_as_the_page_says(half: int) -> None:
    """By the same check, and by the same shortest way."""
    page = shown()
    asked = sample()[half::HALVES]
    assert len(asked) * HALVES >= SAMPLE - HALVES
    for mutant in asked:
        said = page[cell(mutant.name)]
        found = row_of(tried(mutant, stages()))
        assert (cell(found.noticed), cell(found.way)) == (said.noticed, said.way), f"{mutant.name}: {ANEW}"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [
    "task COMPLETE IN_PROGRESS -> COMPLETED (worker task, lease held, workflow live): without the guard 'workflow live'",
    "rule HAND_TERMINATED: behind ASKED_COMPLETED",
])
def test_what_changes_nothing_is_proved_to(name: str) -> None:
    """That an open task belongs to a live workflow, INV-13 says, and need not be asked; rules that never meet need no order."""
    pytest.importorskip("z3")
    (mutant,) = (each for each in EVERY if each.name == name)
    goals, left = asked(Equivalence(SPEC, FACTS).obligations(mutant.spec) or ())
    assert goals
    assert left == []


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_facts_are_proved() -> None:
    """Every step keeps them, as it keeps the invariants."""
    pytest.importorskip("z3")
    every = {obligation.name: obligation for obligation in Equivalence(SPEC, FACTS).proof.obligations()}
    assert {o.name for o in Proof(SPEC).obligations()} - {*every} == {
        "RETRY reaches", "RESTART reaches", "RERUN reaches", "at rest"}
    assert asked(every.values()) == (len(every) * (len(FACTS.lemmas) + 2), [])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_changes_something_is_not_proved() -> None:
    """Without a guard that matters z3 finds a world in which the step is enabled, and was not."""
    pytest.importorskip("z3")
    (mutant,) = (each for each in EVERY if each.name.startswith("task POLL ") and "'workflow RUNNING'" in each.name)
    obligation = next(Equivalence(SPEC).obligations(mutant.spec) or iter(()))
    enabled = evolve(obligation, goals=obligation.goals[:1])
    assert prove_z3(enabled, sizes=(8,)).open == ("enabled: sat",)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_does_not_follow_is_not_taken_for_known() -> None:
    """Two workflows may be asked to end at once; where the rules that end them were said to be apart, some step breaks it."""
    pytest.importorskip("z3")
    wrong = Facts(apart=(("ASKED_FAILED", "END_FAILED"),))
    resume = next(o for o in Equivalence(SPEC, wrong).proof.obligations() if o.name == "RESUME")
    assert prove_z3(resume, sizes=(8,)).open == ("ASKED_FAILED meets END_FAILED: sat",)


def test_what_the_proof_is_not_about_is_not_asked() -> None:
    """What re-opening brings with it, other commands, other rules."""
    equivalence = Equivalence(SPEC)
    asked = {mutant.name: equivalence.obligations(mutant.spec) is not None for mutant in EVERY
             if mutant.name.startswith(BEYOND)}
    assert len(asked) > 20
    assert not any(asked.values())


def test_the_tables_themselves_are_not_noticed() -> None:
    """What is not edited passes every static check, and takes no other step."""
    same = Mutant("none", SPEC, (("step", "TERMINATE"),))
    verdict = tried(same, [played(SPEC, SCENES[0])])
    assert not verdict.killed
    assert row_of(verdict) == Judged("none", "static check ``", "")


def test_a_table_that_makes_no_sense_is_told() -> None:
    """By the first static check that sees it."""
    assert static(evolve(SPEC, kinds={})) == "named: link wf: unknown kind 'task'"
