"""The obligations: what they are made of, and that they are not empty talk."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.formal.proof import Proof
from kernel.formal.shape import without_notices, without_spawning
from kernel.formal.smt import Smt, World, joined
from kernel.spec import SPEC
from kernel.spec.language import F, Guard, Nature, Place, eq, every, implies, is_, no, some
from kernel.spec.vocabulary import is_root

OBLIGATIONS = {obligation.name: obligation for obligation in Proof(SPEC).obligations()}


def test_there_is_an_obligation_for_every_step() -> None:
    """The first state, every command, every rule, and the committed states: each keeps every invariant and every lemma."""
    steps = [*(c.name for c in SPEC.commands if c.do), *(r.name for r in SPEC.progress)]
    assert [name for name in OBLIGATIONS if not name.endswith("reaches")] == ["initially", *steps, "at rest"]
    assert [name for name in OBLIGATIONS if name.endswith("reaches")] == ["RETRY reaches", "RESTART reaches", "RERUN reaches"]
    mid = {p.id for p in (*SPEC.properties, *SPEC.lemmas) if p.place is Place.MID and p.nature is Nature.STATE}
    for name in steps:
        assert mid <= {goal for goal, _ in OBLIGATIONS[name].goals}
    rest = {p.id for p in SPEC.properties if p.nature is Nature.STATE and p.place is Place.REST}
    assert {goal for goal, _ in OBLIGATIONS["at rest"].goals} == rest


def test_rules_descend() -> None:
    """Of each rule, and of no command, it is to be shown that it moves rows down their rank: progress ends."""
    for name, obligation in OBLIGATIONS.items():
        asked = {goal for goal, _ in obligation.goals if goal.startswith("descends")}
        assert asked == ({"descends workflow", "descends task"} if name in {r.name for r in SPEC.progress} else set())


def test_nothing_is_bounded() -> None:
    """No obligation names a number of rows: sorts are uninterpreted, and there is no constant but the row of the step."""
    script = OBLIGATIONS["TERMINATE"].script("true")
    assert script.count("(declare-const me workflow)") == 1
    assert "(declare-sort workflow 0)" in script
    assert "(declare-sort task 0)" in script


@pytest.mark.parametrize(("expr", "text"), [
    (is_("RUNNING"), "(= (workflow_state w) workflow.state.RUNNING)"),
    (is_("RUNNING", "PAUSED", of=("up", "wf")),
     "(or (= (workflow_state (wf (up w))) workflow.state.RUNNING) (= (workflow_state (wf (up w))) workflow.state.PAUSED))"),
    (eq(F("paused_by"), ""), "(= (workflow_paused_by w) text.empty)"),
    (no(is_root), "(not (= (workflow_root w) true))"),
    (every("tasks", Guard("well", is_("COMPLETED"))),
     "(forall ((t1 task)) (=> (= (wf t1) w) (= (task_state t1) task.state.COMPLETED)))"),
    (some("subs", Guard("live", is_("RUNNING"))),
     "(exists ((w1 workflow)) (and (above w w1) (= (workflow_state w1) workflow.state.RUNNING)))"),
])
def test_expressions(expr: object, text: str) -> None:
    """An expression read from a row becomes a formula about that row."""
    assert Smt(SPEC).text(expr, "workflow", "w", World()) == text  # type: ignore[arg-type]


def test_a_step_makes_worlds() -> None:
    """TERMINATE writes the workflow, then what is below, then the deliveries: each block reads the world before it."""
    definitions, world = Smt(without_spawning(without_notices(SPEC))).step(SPEC.command("TERMINATE"))
    heads = [line.split(" ", 2)[1] for line in definitions]
    assert heads[:2] == ["workflow_changed@1", "workflow_state@1"] or heads[:2] == ["workflow_state@1", "workflow_changed@1"]
    assert world.suffix("workflow", "state") == "@2"
    assert world.suffix("task", "state") == "@3"
    assert world.suffix("delivery", "state") == "@4"
    assert world.suffix("task", "attempt") == ""


def test_a_purge_leaves_nothing() -> None:
    """PURGE writes every field of the workflows, tasks and deliveries of the tree; only the root keeps that it was purged."""
    definitions, world = Smt(without_spawning(without_notices(SPEC))).step(SPEC.command("PURGE"))
    assert {name.split("_", 1)[0] for name in world.names} == {"workflow", "task", "delivery"}
    assert set(world.names.values()) == {"@1"}
    (purged,) = [line for line in definitions if "workflow_purged@1" in line]
    assert purged.endswith("(ite (above me x) false (workflow_purged x))))")


def test_joined() -> None:
    """Nothing joined is neutral, one thing is itself."""
    assert joined("and", []) == "true"
    assert joined("or", ["false", "x"]) == "x"
    assert joined("and", ["x", "true", "y"]) == "(and x y)"


def test_a_lemma_is_an_invariant_like_any_other() -> None:
    """Without the lemmas fewer goals are asked, and fewer hypotheses are at hand."""
    fewer = {o.name: o for o in Proof(evolve(SPEC, lemmas=())).obligations()}
    assert len(OBLIGATIONS["POLL"].goals) - len(fewer["POLL"].goals) == len(SPEC.lemmas)
    assert len(fewer["POLL"].hypotheses) < len(OBLIGATIONS["POLL"].hypotheses)
    assert implies(is_root, is_root).args
