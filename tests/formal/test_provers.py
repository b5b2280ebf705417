"""The proof: every obligation by both provers; and what is false is not proved."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from attrs import evolve

from kernel.errors import NotFound
from kernel.formal import provers
from kernel.formal.proof import Proof
from kernel.formal.provers import ask_cvc5, prove_cvc5, prove_z3
from kernel.spec import SPEC
from kernel.spec.language import Fire, Spec
from kernel.spec.vocabulary import outbox_settled, wf_running

OBLIGATIONS = {obligation.name: obligation for obligation in Proof(SPEC).obligations()}
needs_cvc5 = pytest.mark.skipif(find_spec("cvc5") is None, reason="the package cvc5 is not installed")
needs_z3 = pytest.mark.skipif(find_spec("z3") is None, reason="the package z3-solver is not installed")


@needs_cvc5
@pytest.mark.slow
@pytest.mark.parametrize("name", OBLIGATIONS)
def test_cvc5_proves(name: str) -> None:
    """Quantified as it is, each goal follows."""
    assert prove_cvc5(OBLIGATIONS[name]).open == ()


@needs_z3
@pytest.mark.slow
@pytest.mark.parametrize("name", OBLIGATIONS)
def test_z3_proves(name: str) -> None:
    """From instances of the hypotheses each goal follows."""
    assert prove_z3(OBLIGATIONS[name]).open == ()


@needs_cvc5
@pytest.mark.slow
@pytest.mark.parametrize("name", OBLIGATIONS)
def test_the_hypotheses_have_a_model(name: str) -> None:
    """What is assumed of a step can be: a contradiction would prove anything."""
    assert ask_cvc5(OBLIGATIONS[name].script("false"), 30.0, "finite-model-find", "fmf-bound") == "sat"


def rows(kind: str, event: str, *without: object) -> Spec:
    """The specification without some guards of an event's rows."""
    table = SPEC.tables[kind]
    edited = tuple(
        evolve(r, guards=tuple(g for g in r.guards if g not in without)) if r.event == event else r for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, kind: evolve(table, rows=edited)})


def old_run() -> Spec:
    """The specification in which RETRY begins no new run."""
    table = SPEC.tables["workflow"]
    edited = tuple(
        evolve(r, set=tuple(pair for pair in r.set if pair[0] != "run")) if r.event == "RETRY" else r for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, "workflow": evolve(table, rows=edited)})


def uncounted() -> Spec:
    """The specification in which nothing counts hand-outs."""
    table = SPEC.tables["task"]
    edited = tuple(evolve(r, set=tuple(pair for pair in r.set if pair[0] != "handouts")) for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, "task": evolve(table, rows=edited)})


BROKEN = {
    "a cascade that forgets grandchildren": (
        evolve(SPEC, on_enter=(evolve(
            SPEC.on_enter[0], cascade=(Fire("TERMINATE", "children"), Fire("CANCEL", "all_tasks"))), *SPEC.on_enter[1:])),
        "TERMINATE", "INV-01"),
    "no delivery": (evolve(SPEC, on_enter=tuple(evolve(e, emit=()) for e in SPEC.on_enter)), "END_COMPLETED", "INV-03"),
    "a poll that ignores PAUSED": (rows("task", "POLL", wf_running), "POLL", "INV-07"),
    "hand-outs not counted": (uncounted(), "POLL", "INV-06"),
    "a child resumed under a paused parent": (
        evolve(SPEC, commands=tuple(evolve(c, guards=()) if c.name == "RESUME" else c for c in SPEC.commands)),
        "RESUME", "INV-07"),
    "a retry without a new run": (old_run(), "RETRY", "INV-02"),
    "a restart that keeps sub-workflows": (
        evolve(SPEC, follows=tuple(f for f in SPEC.follows if f.event != "RESET")), "RESTART", "AUX-03"),
    "a purge of what is not delivered": (rows("workflow", "PURGE", outbox_settled), "PURGE", "INV-05"),
}


@needs_cvc5
@needs_z3
@pytest.mark.slow
@pytest.mark.parametrize("bug", BROKEN)
def test_what_is_false_is_left_open(bug: str) -> None:
    """Neither prover proves what a planted bug breaks."""
    spec, name, goal = BROKEN[bug]
    obligation = next(o for o in Proof(spec).obligations() if o.name == name)
    only = evolve(obligation, goals=tuple(g for g in obligation.goals if g[0] == goal))
    for verdict in (prove_cvc5(only, limit=1.0), prove_z3(only, limit=2.0, sizes=(8,))):
        assert [left.split(":")[0] for left in verdict.open]
        assert {left.split(":")[0] for left in verdict.open} == {goal}


NEEDED = {
    "AUX-01": ("LAUNCH_CHILD", "AUX-06"), "AUX-02": ("LAUNCH_CHILD", "AUX-03"), "AUX-03": ("HAND_FAILED", "AUX-04"),
    "AUX-04": ("at rest", "INV-09"), "AUX-05": ("at rest", "INV-09"), "AUX-06": ("at rest", "INV-10"),
    "AUX-07": ("RESUME", "INV-07"), "AUX-08": ("RESTART", "AUX-09"), "AUX-09": ("LAUNCH_CHILD", "INV-03"),
    "AUX-10": ("LAUNCH_CHILD", "INV-01"), "AUX-11": ("RESTART", "AUX-08"), "AUX-12": ("at rest", "INV-10"),
    "AUX-13": ("CLAIM", "INV-14"), "AUX-14": ("at rest", "INV-03"),
}
"""For each lemma a step and a goal of it that does not follow without the lemma."""


@needs_cvc5
@pytest.mark.slow
@pytest.mark.parametrize("lemma", [lemma.id for lemma in SPEC.lemmas])
def test_each_lemma_is_needed(lemma: str) -> None:
    """Without it there is a finite world in which all other hypotheses of the step hold, and the goal does not."""
    name, goal = NEEDED[lemma]
    fewer = evolve(SPEC, lemmas=tuple(each for each in SPEC.lemmas if each.id != lemma))
    (obligation,) = [o for o in Proof(fewer).obligations() if o.name == name]
    asked = (ask_cvc5(obligation.script(text), 30.0, "finite-model-find", "fmf-bound")
             for id, text in obligation.goals if id == goal)
    assert "sat" in asked


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prover that is missing is said, with what to install."""
    monkeypatch.setattr(provers, "find_spec", lambda _: None)
    for prove in (prove_cvc5, prove_z3):
        with pytest.raises(NotFound, match="lifecycle-kernel\\[formal\\]"):
            prove(OBLIGATIONS["initially"])
