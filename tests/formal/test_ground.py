"""A specification written out over a shape."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.formal.actions import Block, Let, Move, When, sequenced
from kernel.formal.configurations import AGAIN, CHAIN, NESTED, ONE
from kernel.formal.ground import COUNTED_UP, Grounding
from kernel.formal.terms import Local, Read, Term
from kernel.spec import SPEC
from kernel.spec.language import Nature
from kernel.spec.logic import walk


def test_every_stored_field_has_a_variable() -> None:
    """A variable for each field of each row that can exist; those that only grow stand behind the state."""
    ground = Grounding(SPEC, NESTED)
    fields = sum(len(ground.tree.columns[place.kind]) for place in ground.places)
    assert len(ground.slots) == len(set(ground.slots)) == len(ground.start) == fields
    hidden = {(ground.places[row].kind, name) for row, name in ground.slots[ground.size:]}
    assert hidden == {*COUNTED_UP}
    assert not {(ground.places[row].kind, name) for row, name in ground.slots[:ground.size]} & {*COUNTED_UP}


def test_what_only_grows_is_compared_with_nothing_else() -> None:
    """No state can tell how often a task was handed out: it is presented back, raised by one, or compared over a step."""
    for kind, name in COUNTED_UP:
        for prop in SPEC.properties:
            for part in walk(prop.body):
                if prop.on == kind and prop.nature is not Nature.STEP:
                    assert getattr(part, "name", None) != name


def test_a_stale_lease_is_refused_on_paper() -> None:
    """That another lease than the stored one enables nothing is known without looking at a single state."""
    for shape in (ONE, CHAIN, NESTED):
        commands = Grounding(SPEC, shape).commands()
        assert commands
        assert not any(command.fenced for command in commands)


def test_an_action_for_each_line() -> None:
    """FAIL of a task that has another attempt leads elsewhere than that of one that has none: these are two actions."""
    labels = [command.label for command in Grounding(SPEC, CHAIN).commands()]
    assert labels.count("POLL w.a") == 1
    assert labels.count("FAIL w.a") == 2
    assert labels.count("FAIL w.a for good") == 1


def test_a_child_is_that_of_the_present_attempt() -> None:
    """A sub-workflow task with two attempts starts one child or the other, never both."""
    ground = Grounding(SPEC, AGAIN)
    starts = [rule for rule in ground.rules() if rule.label == "LAUNCH_CHILD w.s"]
    started = [{ground.places[move.row].id for block in rule.blocks for move in block.moves} for rule in starts]
    assert started == [{"w.s", "w/s", "w/s.x", "w/s.y"}, {"w.s", "w/s~2", "w/s~2.x", "w/s~2.y"}]


def test_rules_stand_in_their_order() -> None:
    """Rule by rule as the table has them, row by row within a rule."""
    labels = [rule.label.split()[0] for rule in Grounding(SPEC, NESTED).rules()]
    assert [*dict.fromkeys(labels)] == [rule.name for rule in SPEC.progress if rule.name in labels]
    assert labels == sorted(labels, key=[rule.name for rule in SPEC.progress].index)


def test_an_ending_brings_its_cascade() -> None:
    """TERMINATE of the root moves it, then what is below, then writes the deliveries of all that ended."""
    ground = Grounding(SPEC, NESTED)
    terminate = next(c for c in ground.commands() if c.label == "TERMINATE w")
    moved = [[ground.places[move.row].id for move in block.moves] for block in terminate.blocks]
    assert moved == [["w"], ["w/s"], ["w.s", "w/s.a"], ["w>archive"], ["w/s>archive"]]
    assert [block.flag is None for block in terminate.blocks] == [True, True, True, True, False]


def test_what_an_event_brings_is_written_out_depth_first() -> None:
    """RETRY moves the root, then its tasks; then for each of them, where it moved, what is below it."""
    ground = Grounding(SPEC, evolve(NESTED, runs=2))
    retry = next(c for c in ground.commands() if c.label == "RETRY w and its sub-workflows in place")
    moved = [[ground.places[move.row].id for move in block.moves] for block in retry.blocks]
    assert moved == [["w"], ["w.s", "w.s"], ["w/s"], ["w/s.a"], ["w/s.a", "w/s"]]
    on, again, child, *_ = [move.flag for block in retry.blocks for move in block.moves if move.flag is not None]
    assert [block.flag for block in retry.blocks] == [None, None, on, child, again]


def test_a_command_that_reopens_asks_for_room() -> None:
    """Where the tree has one run nothing re-opens it; otherwise the root's run must be less than the last one."""
    names = {name: {c.label.split()[0] for c in Grounding(SPEC, shape, kinds=SPEC.kinds).commands()}
             for name, shape in {"once": ONE, "twice": evolve(ONE, runs=2), "grave": evolve(ONE, purge=1)}.items()}
    assert names["twice"] - names["once"] == {"RETRY", "RESTART", "RERUN"}
    assert names["grave"] - names["once"] == {"PURGE"}
    ground = Grounding(SPEC, evolve(ONE, runs=2))
    assert ground.room(SPEC.command("RETRY")) == Term("lt", (Read(ground.at[0, "run"]), 2))
    assert ground.room(SPEC.command("PAUSE")) is True


def test_a_root_that_goes_takes_its_tree() -> None:
    """PURGE sets every variable back, but for the tombstone."""
    ground = Grounding(SPEC, evolve(NESTED, purge=1), kinds=SPEC.kinds)
    purge = next(c for c in ground.commands() if c.label == "PURGE w")
    ((move,),) = [block.moves for block in purge.blocks]
    assert dict(move.sets) == {**dict(enumerate(ground.start)), ground.at[0, "purged"]: 1}


@pytest.mark.parametrize(("moves", "statements"), [
    ((Move(0, True, ((1, 2),)),), [When(True, ((1, 2),))]),
    ((Move(0, True, ((1, Read(2)), (2, Read(1)))),),
     [Let("v0_0", Read(2)), Let("v0_1", Read(1)), When(True, ((1, Local("v0_0")), (2, Local("v0_1"))))]),
    ((Move(0, Term("eq", (Read(2), 1)), ((1, 5),), 7), Move(1, True, ((2, 3),))),
     [Let("c0", Term("eq", (Read(2), 1))), When(Local("c0"), ((1, 5),), 7), When(True, ((2, 3),))]),
])
def test_together_becomes_one_after_the_other(moves: tuple[Move, ...], statements: list[Let | When]) -> None:
    """What another assignment of the same block changes is read before it is changed."""
    assert [*sequenced(moves)] == statements
    assert Block(moves).flag is None


def test_properties_speak_of_rows_by_name() -> None:
    """Each property has a condition for each row of its kind, but where it is known to hold."""
    found = dict(Grounding(SPEC, NESTED).properties(Nature.STATE))
    assert "INV-01 w" in found
    assert "INV-07 w" not in found  # a root is below nothing
    assert "INV-07 w/s" in found
