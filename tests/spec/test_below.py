"""A cascade that forgets what is below, and a set that would need a cascade each, are found."""

from __future__ import annotations

from attrs import evolve

from kernel.spec import SPEC
from kernel.spec.below import alternatives, covered, entered_singly, once
from kernel.spec.language import Enter, Fire, Follow, Guard, Spec, Step, is_
from kernel.spec.vocabulary import is_child
from tests.examples import order


def cascading(*cascade: Fire) -> Spec:
    """The order with another cascade on its end."""
    first, second = order.SPEC.on_enter
    return evolve(order.SPEC, on_enter=(evolve(first, cascade=cascade), second))


def test_the_law_and_the_example_are_accepted() -> None:
    """Both cascades of the example reach all that is below, and so does that of a workflow."""
    for spec in (SPEC, order.SPEC):
        assert [*covered(spec), *entered_singly(spec), *once(spec), *alternatives(spec)] == []


def test_a_row_that_is_moved_twice_is_named() -> None:
    """Two parts over one link that pick the same rows; not where these are elsewhere, or where what is picked is not."""
    def restart(*do: Fire) -> Spec:
        return evolve(SPEC, follows=(Follow("workflow", "RESTART", do),))

    reset, aside = Fire("RESET", "tasks"), Fire("SET_ASIDE", "tasks", is_("COMPLETED"))
    assert list(once(restart(reset, aside))) == ["after RESTART: RESET and SET_ASIDE over 'tasks' can move the same row"]
    assert list(once(restart(evolve(reset, where=is_("SKIPPED")), aside))) == []
    assert list(once(restart(reset, Fire("CANCEL", "tasks")))) == []
    assert list(once(restart(reset, evolve(aside, at="all_tasks")))) == []


def test_rules_that_meet_on_one_row_are_named() -> None:
    """Two of them that can be enabled on one row, whether they move it or others; not where both of them end it."""
    def ruled(*rules: Step) -> list[str]:
        return list(alternatives(evolve(SPEC, progress=rules)))

    skip, launch = Step("SKIP", "task", (Fire("SKIP"),)), Step("LAUNCH", "task", (Fire("LAUNCH"),))
    told = Step("TELL", "workflow", (Fire("SIGNAL", "up"),), (is_child,))
    assert ruled(skip, launch) == ["SKIP and LAUNCH can be enabled on the same task"]
    assert ruled(evolve(skip, guards=(Guard("new", is_("PENDING")),)), launch) == []
    assert ruled(told, evolve(told, name="TELL_AGAIN")) == ["TELL and TELL_AGAIN can be enabled on the same workflow"]
    fail, complete = Step("END_BADLY", "workflow", (Fire("FAIL"),)), Step("END_WELL", "workflow", (Fire("COMPLETE"),))
    assert ruled(told, fail) == ["TELL and END_BADLY can be enabled on the same workflow"]
    assert ruled(fail, complete) == []
    assert ruled(told, skip) == []


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
