"""A lifecycle of one's own is drawn as the law is: its states in boxes, its cascades, its rules by what they are on."""

from __future__ import annotations

from kernel.render.cascade import cascade
from kernel.render.extract import Look, boxes_of, picture
from kernel.render.words import one
from kernel.render.write import diagrams
from kernel.spec import ABSENT, Kind, Lifecycle
from tests.examples import order


def test_states_stand_in_boxes() -> None:
    """What is open, what is closed, and what is so badly; where nothing is a bad end there is no such box."""
    found = {box.name: box for box in boxes_of(order.PARCEL)}
    assert found["open"].states == ("WAITING", "PACKED")
    assert found["closed"].states == order.SETTLED
    assert (found["closed_badly"].states, found["closed_badly"].inside) == (("MISSING", "RETURNED"), "closed")
    light = Kind("light", (ABSENT, "ON", "OFF"), ("OFF",), (), (), {ABSENT: 2, "ON": 1, "OFF": 0})
    assert [box.name for box in boxes_of(light)] == ["open", "closed"]


def test_looks_and_what_entering_reaches() -> None:
    """A bad end looks bad; every end of a shipment reaches its parcels."""
    drawn = picture(order.SPEC, Lifecycle(order.SPEC.tables["shipment"]))
    assert drawn.states["LOST"] is Look.BADLY
    assert drawn.states["ARRIVED"] is Look.WELL
    assert drawn.entering == (("RETURN", "its parcels"),)


def test_rules_are_grouped_by_what_they_are_on() -> None:
    """In their order; an end says which command and which rules lead to it."""
    reach = cascade(order.SPEC)
    assert [(group.name, [rule.place for rule in group.rules]) for group in reach.groups] == [
        ("order-rules", [1, 2]), ("shipment-rules", [3, 4, 5])]
    assert [group.about for group in reach.groups] == ["what an order does by itself", "what a shipment does by itself"]
    entering = {source.titles[0]: source.about for source in reach.sources}
    assert entering["an order becomes"] == ("by CANCEL", "by progress, rules 1 to 2")
    assert entering["a shipment becomes"] == ("by CALL_OFF", "by progress, rules 3 to 4")


def test_every_picture_is_there() -> None:
    """One of each lifecycle and one of the cascades, in DOT and Mermaid."""
    names = ("order", "shipment", "parcel", "cascade")
    assert {*diagrams(order.SPEC)} == {f"{name}.{ending}" for name in names for ending in ("dot", "mmd")}
    assert "The lifecycle of an order." in diagrams(order.SPEC)["order.mmd"]


def test_articles() -> None:
    """As people say it."""
    assert (one("order"), one("parcel")) == ("an order", "a parcel")
