"""Gates gather what leads to a card; curves fan out to their texts without crossing each other at the start."""

from __future__ import annotations

from kernel.render.drawing import COLOR, INK, Card, Shape, Span, text_card
from kernel.render.extract import Cause
from kernel.render.gates import APART, Door, cascading, fanned, opened, stacked, tall

VIOLET = COLOR[Cause.CASCADE]
PLAIN = text_card("plain", [(Span("FAIL"),), (Span("EXPIRE"),)])
CASCADE = text_card("cascade", [(Span("CANCEL", VIOLET),)])
HEAD = Card("state", (), 200, 0, 50, 30, Shape.TERMINAL)


def test_texts_are_stacked() -> None:
    """The texts of a gate stand one below the other, a little apart."""
    first, second = stacked([PLAIN, CASCADE], 10, 20)
    assert (first.x, first.y, second.x, second.y) == (10, 20, 10, 20 + PLAIN.height + APART)
    assert second.bottom - first.y == tall([PLAIN, CASCADE])
    assert tall([]) == 0


def test_a_gate_has_one_arrow() -> None:
    """Every text has a curve to the state, one of them the arrow: that of a cascade, if there is one."""
    curves = opened(HEAD, stacked([PLAIN, CASCADE], 0, 0), INK)
    assert [(c.tail, c.head, c.arrow, c.bold, c.color) for c in curves] == [
        ("plain", "state", False, False, INK), ("cascade", "state", True, True, VIOLET),
    ]
    assert [c.arrow for c in opened(HEAD, stacked([PLAIN], 0, 0), INK)] == [True]
    assert opened(HEAD, [], INK) == []


def test_only_a_lone_line_has_no_bar() -> None:
    """A single line leads straight to the card; more of them are gathered by a bar as high as they are."""
    (single,) = opened(HEAD, stacked([CASCADE], 0, 0), INK)
    assert len(single.points) == 4
    (bar,) = opened(HEAD, stacked([PLAIN], 0, 0), INK)
    heights = {y for _, y in bar.points}
    assert max(heights) - min(heights) > PLAIN.height / 2


def test_cascade_is_known_by_its_colour() -> None:
    """A text is a cascade's if one of its events is."""
    assert cascading(CASCADE)
    assert not cascading(PLAIN)


def test_curves_fan_out_in_order() -> None:
    """The upper curve leads to the upper text, within the room of the door, and a cascade keeps its colour."""
    low, high = CASCADE.at(100, 80), PLAIN.at(100, 10)
    curves = fanned(Door("tail", 0, 50, 6, "frame"), 20, [(low, INK), (high, INK)])
    assert [c.head for c in curves] == ["plain", "cascade"]
    assert [c.points[0] for c in curves] == [(0, 47), (0, 53)]
    assert [c.points[-1] for c in curves] == [(95, high.middle[1]), (95, low.middle[1])]
    assert [(c.color, c.bold) for c in curves] == [(INK, False), (VIOLET, True)]
    assert all(c.frame == "frame" and not c.arrow for c in curves)
