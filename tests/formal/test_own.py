"""A lifecycle of one's own, the order with its shipments and parcels: explored, proved, and found out when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from attrs import evolve

from kernel.errors import InvalidInput
from kernel.formal.configurations import Config
from kernel.formal.engines import run_python, run_spin, run_tlc
from kernel.formal.explore import Explorer
from kernel.formal.proof import Proof
from kernel.formal.provers import ask_cvc5, prove_cvc5, prove_z3
from kernel.formal.rows import One, Rows
from kernel.formal.shape import Tree
from kernel.formal.story import Result
from kernel.spec import SPEC, flaws
from kernel.spec.language import F, Fire, Follow, Guard, Param, Spec, Step, lt
from tests.examples import order
from tests.formal.test_engines import needs_spin, needs_tlc

COUNTS = {"one": (7, 8), "two_parcels": (30, 39), "two_shipments": (34, 63), "several": (194, 477)}
"""States and transitions."""
EVERY = tuple(order.SPEC.kinds)
needs_provers = pytest.mark.skipif(
    find_spec("cvc5") is None or find_spec("z3") is None, reason="the packages cvc5 and z3-solver are not installed")


def config(name: str) -> Config:
    """A shape of the example."""
    return Config(name, order.SHAPES[name], EVERY)


def seen(result: Result) -> tuple[int, int]:
    """How many states and transitions, where nothing is broken."""
    assert result.broken == ()
    return result.states, result.transitions


# ---- explored and proved ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", COUNTS)
def test_interpreter_and_program_agree(name: str) -> None:
    """The plain interpreter and the generated program see the same of each shape."""
    found = Explorer(order.SPEC, order.SHAPES[name], kinds=EVERY).run()
    assert found.broken == ()
    assert (len(found.found), found.transitions) == seen(run_python(order.SPEC, config(name))) == COUNTS[name]


@needs_spin
@pytest.mark.slow
def test_spin_agrees() -> None:
    """So does Spin."""
    assert seen(run_spin(order.SPEC, config("several"))) == COUNTS["several"]


@needs_tlc
@pytest.mark.slow
def test_tlc_agrees() -> None:
    """So does TLC."""
    assert seen(run_tlc(order.SPEC, config("several"))) == COUNTS["several"]


@needs_provers
@pytest.mark.slow
def test_it_is_proved() -> None:
    """Each goal is proved twice, for any number of shipments and parcels; what is assumed can be."""
    for obligation in Proof(order.SPEC).obligations():
        assert prove_cvc5(obligation).open == ()
        assert prove_z3(obligation).open == ()
        assert ask_cvc5(obligation.script("false"), 30.0, "finite-model-find", "fmf-bound") == "sat"


def test_every_kind_that_progress_moves_descends() -> None:
    """Of the example these are all; of the law the workflows and their tasks."""
    assert Proof(order.SPEC).moved == ("order", "shipment", "parcel")
    assert {*Proof(SPEC).moved} == {"workflow", "task"}


# ---- found out when it is wrong -----------------------------------------------------------------------------------------
def without_guards(kind: str, event: str) -> Spec:
    """The example without the guards of an event."""
    table = order.SPEC.tables[kind]
    rows = tuple(evolve(row, guards=()) if row.event == event else row for row in table.rows)
    return evolve(order.SPEC, tables={**order.SPEC.tables, kind: evolve(table, rows=rows)})


def without_rule(name: str) -> Spec:
    """The example without a rule of progress."""
    return evolve(order.SPEC, progress=tuple(rule for rule in order.SPEC.progress if rule.name != name))


WRONG: dict[str, tuple[Callable[[], Spec], str, str]] = {
    "handed over too early": (lambda: without_guards("parcel", "HAND_OVER"), "SHOP-6", "HAND_OVER"),
    "nobody tells the order": (lambda: without_rule("ORDER_FAILS"), "SHOP-7", "at rest"),
    "complete without its shipments": (
        lambda: evolve(order.SPEC, progress=(Step("ORDER_COMPLETE", "order", (Fire("COMPLETE"),)),)),
        "SHOP-4", "ORDER_COMPLETE"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_found(name: str) -> None:
    """The shortest way to it is told, by the interpreter and by the program."""
    spec, broken, _ = WRONG[name]
    told = Explorer(spec(), order.SHAPES["several"], kinds=EVERY).run()
    result = run_python(spec(), config("several"))
    assert any(each.startswith(broken) for each in told.broken)
    assert any(each.startswith(broken) for each in result.broken)
    assert len(result.trace) == len(told.trace)


@needs_provers
@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_not_proved(name: str) -> None:
    """Neither prover proves it."""
    spec, broken, step = WRONG[name]
    (obligation,) = [o for o in Proof(spec()).obligations() if o.name == step]
    goal = evolve(obligation, goals=tuple(goal for goal in obligation.goals if goal[0] == broken))
    assert len(prove_cvc5(goal, limit=2.0).open) == 1
    assert len(prove_z3(goal, limit=2.0, sizes=(8,)).open) == 1


@needs_provers
@pytest.mark.slow
def test_what_is_given_is_needed() -> None:
    """Without a word about the carrier's patience what follows from it is not proved; a shape that breaks it is told."""
    (obligation,) = [o for o in Proof(evolve(order.SPEC, given=())).obligations() if o.name == "initially"]
    assert [each.partition(":")[0] for each in prove_cvc5(obligation, limit=2.0).open] == ["SHOP-8"]
    result = run_python(order.SPEC, Config("none", order.boxes((0,)), EVERY))
    assert "GIVEN-1 p11" in result.broken


# ---- rows ---------------------------------------------------------------------------------------------------------------
def test_set_links_are_ways_back() -> None:
    """What is behind a set link are the rows from which its path leads there."""
    tree = Tree(order.SPEC, order.SHAPES["several"])
    ids = [place.id for place in tree.places]
    placed = tree.places[ids.index("o")]
    assert [ids[i] for i in placed.sets["contents"]] == ["p11", "p12", "p21", "p22"]
    assert [ids[i] for i in tree.places[ids.index("s2")].sets["parcels"]] == ["p21", "p22"]


ONE, OTHER = One("order", "o"), One("shipment", "s", {"part_of": "o"})
BAD_ROWS: dict[str, tuple[One, ...]] = {
    "different plain names": (ONE, One("order", "o")),
    "letters, digits and underscores": (One("order", "o-1"),),
    "there is no kind 'job'": (One("job", "j"),),
    "its part_of is no row of the kind order": (ONE, One("shipment", "s", {"part_of": "x"})),
    "its packed_in is no row of the kind shipment": (ONE, One("parcel", "p", {"packed_in": "o"}, {"patience": 1})),
    "its attributes are not those of the kind parcel": (ONE, OTHER, One("parcel", "p", {"packed_in": "s"})),
    "its attributes are not those of the kind order": (One("order", "o", given={"color": 1}),),
}


@pytest.mark.parametrize("said", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused(said: str) -> None:
    """Whatever is wrong with a row of a shape is told."""
    with pytest.raises(InvalidInput, match=said):
        Tree(order.SPEC, Rows(BAD_ROWS[said]))


def linked(**changes: Any) -> Spec:
    """The example with another link."""
    links = [evolve(link, **changes) if link.name == "parcels" else link for link in order.SPEC.links.values()]
    return evolve(order.SPEC, links={link.name: link for link in links})


def asking(name: str) -> Spec:
    """The example with a command that presents something."""
    return evolve(order.SPEC, commands=(evolve(order.SPEC.commands[0], params=(name,)),))


NOT_PLAIN: dict[str, Spec] = {
    "parcels does not say of which path it is the way back": linked(back=()),
    "tree is a word of the kernel's own specification": linked(name="tree"),
    "workflow is a word of the kernel's own": SPEC,
    "events that bring others with them": evolve(order.SPEC, follows=(Follow("order", "CANCEL", ()),)),
    "command PLACE presents 'origin', a word of the kernel's own": asking("origin"),
    "nothing is presented for 'strength'": asking("strength"),
}


@pytest.mark.parametrize("said", NOT_PLAIN)
def test_what_only_the_law_has_is_refused(said: str) -> None:
    """A specification of one's own is made of single links, their ways back, cascades and rules."""
    with pytest.raises(InvalidInput, match=said):
        Tree(NOT_PLAIN[said], order.SHAPES["one"])


def test_numbers_are_presented() -> None:
    """A parameter of a command has the values that its shape gives, in every engine that there is."""
    loud = Guard("loud", lt(F("rung"), Param("strength")), "it was not heard")
    table = order.SPEC.tables["parcel"]
    rows = tuple(evolve(row, guards=(*row.guards, loud)) if row.event == "RING" else row for row in table.rows)
    spec = evolve(
        order.SPEC, tables={**order.SPEC.tables, "parcel": evolve(table, rows=rows)},
        commands=tuple(evolve(s, params=("strength",)) if s.name == "RING" else s for s in order.SPEC.commands))
    assert flaws(spec) == ()
    shape = evolve(order.boxes((3,)), presented={"strength": (0, 1, 9)})
    explorer = Explorer(spec, shape, kinds=EVERY)
    found = explorer.run()
    assert (len(found.found), found.transitions) == seen(run_python(spec, Config("loud", shape, EVERY)))
    assert {"RING p11 strength 1", "RING p11 strength 9"} <= {request.label(explorer.tree) for request in explorer.requests}
    only = Explorer(spec, evolve(shape, presented={"strength": (0,)}), kinds=EVERY).run()
    assert len(only.found) < len(found.found)
