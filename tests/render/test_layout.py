"""The pictures can be looked at: nothing lies on anything else, everything is inside, and it fits a page."""

from __future__ import annotations

from itertools import combinations

import pytest

from kernel.render.columns import depth
from kernel.render.drawing import COLOR, Drawing, Shape, extent, height_of
from kernel.render.extract import Cause, Look, picture
from kernel.render.layout import Sides, lay_out, sides
from kernel.spec import DELIVERY, SPEC, TASK, WORKFLOW, Lifecycle
from kernel.spec.language import Row
from kernel.spec.vocabulary import ABSENT
from tests.render.pictures import DRAWINGS, holds, overlap, passed
from tests.render.test_extract import with_row

PAGE = 945
"""How wide a README shows a picture, in points."""
every_drawing = pytest.mark.parametrize("drawn", DRAWINGS.values(), ids=DRAWINGS)


@every_drawing
def test_nothing_lies_on_anything(drawn: Drawing) -> None:
    """No two cards overlap, and no two have one name."""
    assert [(a.name, b.name) for a, b in combinations(drawn.cards, 2) if overlap(a, b)] == []
    assert len({card.name for card in drawn.cards}) == len(drawn.cards)


@every_drawing
def test_everything_fits_the_page(drawn: Drawing) -> None:
    """A picture is not wider than a page, and all cards, frames and curves are inside it."""
    assert drawn.width <= PAGE
    corners = [(c.x, c.y, c.right, c.bottom) for c in drawn.cards]
    corners += [(f.x, f.y, f.right, f.bottom) for f in drawn.frames]
    for x, y, right, bottom in corners:
        assert 0 <= x < right <= drawn.width
        assert 0 <= y < bottom <= drawn.height
    for curve in drawn.curves:
        assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for x, y in passed(curve))


@every_drawing
def test_words_fit_their_cards(drawn: Drawing) -> None:
    """Every card has room for its lines."""
    for card in drawn.cards:
        assert card.width >= extent(card.lines)
        assert card.height >= height_of(card.lines)


@every_drawing
def test_frames_hold_their_cards(drawn: Drawing) -> None:
    """A frame is around its cards and around the frames inside it, and around no state that is not its own."""
    frames = {frame.name: frame for frame in drawn.frames}
    cards = {card.name: card for card in drawn.cards}
    for frame in drawn.frames:
        inner = [f for f in drawn.frames if f.inside == frame.name]
        held = [cards[name] for name in frame.cards]
        assert all(frame.x < x for x in [*(c.x for c in held), *(f.x for f in inner)])
        assert all(frame.y < y for y in [*(c.y for c in held), *(f.y for f in inner)])
        assert all(frame.right > right for right in [*(c.right for c in held), *(f.right for f in inner)])
        assert all(frame.bottom > bottom for bottom in [*(c.bottom for c in held), *(f.bottom for f in inner)])
        own = {name for f in (frame, *inner) for name in f.cards}
        inside = {c.name for c in drawn.cards if c.shape in (Shape.STATE, Shape.TERMINAL) and holds(c, c.middle)
                  and frame.x < c.x < frame.right and frame.y < c.y < frame.bottom}
        assert inside == own
        assert not frame.inside or frame.inside in frames


@every_drawing
def test_no_curve_crosses_words(drawn: Drawing) -> None:
    """No curve goes through a card, but where it begins or ends at its rim."""
    crossed = {
        (curve.tail, curve.head, card.name)
        for curve in drawn.curves
        for card in drawn.cards
        if any(holds(card, point, slack=1) for point in passed(curve))
    }
    assert crossed == set()


@every_drawing
def test_curves_join_what_they_name(drawn: Drawing) -> None:
    """Every curve begins and ends beside the cards that it names, or leaves a frame that holds the first."""
    cards = {card.name: card for card in drawn.cards}
    for curve in drawn.curves:
        tail, head, near = cards[curve.tail], cards[curve.head], 14
        (x, y), (u, v) = curve.points[0], curve.points[-1]
        if not curve.frame:
            assert tail.x - near <= x
            assert tail.y - near <= y <= tail.bottom + near
        if curve.arrow:
            assert head.x - near <= u <= head.right + near
            assert head.y - near <= v <= head.bottom + near


@pytest.mark.parametrize("name", ["workflow", "task", "delivery"])
def test_terminal_states_are_told_apart(name: str) -> None:
    """Terminal states have a double border and stand right of all live ones; live ones have a single one."""
    kind, drawn = SPEC.kinds[name], DRAWINGS[name]
    states = {card.name: card for card in drawn.cards if card.shape in (Shape.STATE, Shape.TERMINAL)}
    assert set(states) == set(kind.states) - {ABSENT}
    assert {n for n, card in states.items() if card.shape is Shape.TERMINAL} == set(kind.terminal)
    live = [card for n, card in states.items() if n not in kind.terminal]
    assert max(card.right for card in live) < min(states[n].x for n in kind.terminal)


def test_cascades_are_told_apart() -> None:
    """Ways that a cascade takes, and only those, are bold and in its colour, all the way to the state."""
    for drawn in DRAWINGS.values():
        assert all(curve.bold == (curve.color == COLOR[Cause.CASCADE]) for curve in drawn.curves)
    bold = {curve.head for name in ("workflow", "task") for curve in DRAWINGS[name].curves if curve.bold and curve.arrow}
    assert bold == {"TERMINATED", "CANCELED", "entering"}


def test_reopening_is_dashed() -> None:
    """Ways back, and only those, are dashed."""
    assert {c.head for c in DRAWINGS["workflow"].curves if c.dashed} == {"RUNNING", "GONE"}
    assert {c.head for c in DRAWINGS["task"].curves if c.dashed} == {"PENDING", "IN_PROGRESS", "GONE"}
    assert {c.head for c in DRAWINGS["delivery"].curves if c.dashed} == {"PENDING"}
    assert not any(c.dashed for c in DRAWINGS["cascade"].curves)


@pytest.mark.parametrize("lifecycle", [WORKFLOW, TASK, DELIVERY], ids=["workflow", "task", "delivery"])
def test_every_event_stands_in_the_picture(lifecycle: Lifecycle) -> None:
    """Each event of the lifecycle, and each guard, is written somewhere."""
    told = " ".join(words(DRAWINGS[lifecycle.table.kind.name]))
    assert [event for event in lifecycle.table.events if event not in told] == []
    assert [g.name for row in lifecycle.table.rows for g in row.guards if g.name not in told] == []


def words(drawn: Drawing) -> list[str]:
    """All words of a picture."""
    return [span.text for card in drawn.cards for line in card.lines for span in line]


def test_arrows_are_sorted_by_where_they_lead() -> None:
    """Every arrow that is not a loop is of one side."""
    drawn = picture(SPEC, TASK)
    found = sides(drawn)
    assert isinstance(found, Sides)
    every = (*found.first, *found.onward, *found.closing, *found.reopening)
    assert len(every) == len(set(every)) == sum(a.source != a.target for a in drawn.arrows)
    assert {a.target for a in found.onward} == {"SCHEDULED", "IN_PROGRESS"}
    assert {drawn.states[a.target] for a in found.closing} == {Look.WELL, Look.BADLY}


ROWS = [
    Row("POLL", ("PENDING",), "IN_PROGRESS"),
    Row("JUMP", ("PENDING", "SCHEDULED"), "IN_PROGRESS"),
    Row("FAIL", ("IN_PROGRESS",), "PENDING"),
    Row("RESET", ("FAILED",), "SCHEDULED"),
    Row("SET_ASIDE", ("PENDING",), ABSENT),
    Row("CREATE", (ABSENT,), "SCHEDULED"),
    Row("CREATE", (ABSENT,), "SKIPPED"),
    Row("RESET", ("FAILED",), "SKIPPED"),
    Row("SKIP", ("IN_PROGRESS",), "SKIPPED"),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.event}-{row.source[0]}-{row.target}")
def test_a_new_row_is_laid_out(row: Row) -> None:
    """Whatever row is added to a table, its way is drawn, inside the picture."""
    spec, lifecycle = with_row(TASK, row)
    drawn = lay_out(picture(spec, lifecycle))
    assert row.event in words(drawn)
    assert len(drawn.curves) > len(DRAWINGS["task"].curves)
    assert all(0 <= x <= drawn.width and 0 <= y <= drawn.height for c in drawn.curves for x, y in c.points)


def test_boxes_are_nested_as_declared() -> None:
    """A state of the task is in at most two boxes."""
    assert depth(picture(SPEC, TASK), ["PENDING"]) == 2
    assert depth(picture(SPEC, TASK), []) == 0
