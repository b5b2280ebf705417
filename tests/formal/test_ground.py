"""A specification written out over a shape."""

from __future__ import annotations

import pytest

from kernel.formal.configurations import AGAIN, CHAIN, NESTED, ONE
from kernel.formal.ground import COUNTED_UP, Block, Grounding, Let, Move, When, sequenced
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
