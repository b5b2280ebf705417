"""A cascade that forgets what is below, and a set that would need a cascade each, are found."""

from __future__ import annotations

from attrs import evolve

from kernel.spec import SPEC
from kernel.spec.below import covered, entered_singly
from kernel.spec.language import Enter, Fire, Spec, Step
from tests.examples import order


def cascading(*cascade: Fire) -> Spec:
    """The order with another cascade on its end."""
    first, second = order.SPEC.on_enter
    return evolve(order.SPEC, on_enter=(evolve(first, cascade=cascade), second))


def test_the_law_and_the_example_are_accepted() -> None:
    """Both cascades of the example reach all that is below, and so does that of a workflow."""
    for spec in (SPEC, order.SPEC):
        assert [*covered(spec), *entered_singly(spec)] == []


def test_what_a_cascade_forgets_is_named() -> None:
    """Where shipments are called off their parcels have to be returned: by the same event, over a link that holds them."""
    called_off = Fire("CALL_OFF", "shipments")
    said = ("entering COMPLETED/FAILED/CANCELED: CALL_OFF over 'shipments' does not bring RETURN over 'parcels' with it; "
            "add RETURN over a link that covers 'parcels'")
    assert list(covered(cascading(called_off))) == [said]
    assert list(covered(cascading(called_off, Fire("CREATE", "contents")))) == [said]
    assert list(covered(cascading(Fire("RETURN", "contents")))) == []
    wrong = evolve(order.SPEC.links["contents"], covers=("contents",))
    assert list(covered(evolve(order.SPEC, links={**order.SPEC.links, "contents": wrong}))) == [said]
    elsewhere = evolve(order.SPEC.links["contents"], back=("packed_in", "part_of", "part_of"))
    assert list(covered(evolve(order.SPEC, links={**order.SPEC.links, "contents": elsewhere}))) == [said]


def test_a_set_that_ends_is_named() -> None:
    """A command or rule ends rows one by one; what has no cascade may end many at a time."""
    many = Step("CALL_ALL_OFF", "order", (Fire("CALL_OFF", "shipments"), Fire("RETURN", "contents")))
    said = "CALL_ALL_OFF: CALL_OFF over 'shipments' takes a set of rows into a state with a cascade"
    assert list(entered_singly(evolve(order.SPEC, commands=(*order.SPEC.commands, many)))) == [said]
    assert list(entered_singly(evolve(order.SPEC, progress=(many,)))) == [said]
    assert list(entered_singly(evolve(order.SPEC, progress=(many,), on_enter=(
        Enter("shipment", order.CLOSED, (), ()),)))) == []
