"""The pieces of a picture: text is measured and wrapped, curves go where they should, colours can be read."""

from __future__ import annotations

from itertools import pairwise

import pytest

from kernel.render import drawing
from kernel.render.drawing import (
    COLOR,
    EDGE,
    FILL,
    INK,
    LEADING,
    MIDDLE,
    QUIET,
    SMALL,
    TINT,
    Card,
    Frame,
    Part,
    Span,
    extent,
    height_of,
    joined,
    rounded,
    straight,
    swung,
    text_card,
    wrapped,
)
from kernel.render.extract import Look

WHITE = "#ffffff"
READABLE = 4.5
"""The contrast that the Web Content Accessibility Guidelines ask of text (AA)."""


def luminance(color: str) -> float:
    """The relative luminance of `#rrggbb`."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(ink: str, ground: str) -> float:
    """How well a colour is told from another, 1 to 21."""
    light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ink", [INK, QUIET, *COLOR.values(), *EDGE.values()])
@pytest.mark.parametrize("ground", [WHITE, *TINT.values(), *(FILL[look] for look in Look if look is not Look.START)])
def test_words_can_be_read(ink: str, ground: str) -> None:
    """Every colour of words has enough contrast on every ground that they may stand on."""
    assert contrast(ink, ground) >= READABLE


def test_causes_look_different() -> None:
    """Commands, progress, cascades and re-openings have colours of their own, and so do the looks of states."""
    assert len(set(COLOR.values())) == len(COLOR)
    assert len({FILL[look] for look in Look}) == len({EDGE[look] for look in Look}) == len(Look)


def test_width_follows_the_letters() -> None:
    """Wide letters, more letters, larger and bolder ones take more room."""
    assert Span("iii").width < Span("nnn").width < Span("mmm").width < Span("mmmm").width
    assert Span("abc", size=SMALL).width < Span("abc", size=MIDDLE).width < Span("abc", size=MIDDLE, bold=True).width
    assert Span("MMMM", size=10).width == pytest.approx(33.3, abs=0.1)
    assert extent([(Span("ab"), Span("c")), (Span("d"),)]) == Span("abc").width
    assert extent([]) == 0


def test_list_is_wrapped_after_commas() -> None:
    """A word with a list after it takes one line where there is room, else more lines, indented, none too wide."""
    word, guards = Span("EXPIRE", bold=True), ["not ALERT_ONLY", "expiry final", "mandatory"]
    (line,) = wrapped(word, guards, 400)
    assert "".join(span.text for span in line) == "EXPIRE  not ALERT_ONLY, expiry final, mandatory"
    lines = wrapped(word, guards, 130)
    assert len(lines) > 1
    assert extent(lines) <= 130
    assert all(line[0].text.startswith("    ") for line in lines[1:])
    words = "".join(span.text for line in lines for span in line)
    assert words.split() == ["EXPIRE", "not", "ALERT_ONLY,", "expiry", "final,", "mandatory"]
    assert wrapped(word, [], 10) == ((word,),)


def test_text_is_as_large_as_its_lines() -> None:
    """A card of text has room for its widest line and for all lines; large words take more height."""
    lines = ((Span("a title", size=13),), (Span("and more"),))
    card = text_card("name", lines, 3, 4)
    assert card.width > extent(lines)
    assert card.height == height_of(lines) > 2 * LEADING
    assert (card.right, card.bottom) == (3 + card.width, 4 + card.height)
    assert card.at(0, 0).middle == (card.width / 2, card.height / 2)


def on(points: tuple[drawing.Point, ...]) -> list[drawing.Point]:
    """The points that a path passes: every third."""
    assert len(points) % 3 == 1
    return list(points[::3])


def test_paths_pass_their_points() -> None:
    """A straight path passes all its points; a swung one leaves and arrives horizontally."""
    assert on(straight((0, 0), (3, 3), (9, 3))) == [(0, 0), (3, 3), (9, 3)]
    begin, leaves, arrives, end = swung((0, 0), (10, 8))
    assert (begin, end) == ((0, 0), (10, 8))
    assert (leaves[1], arrives[1]) == (0, 8)


def test_corners_are_rounded() -> None:
    """A rounded path keeps its ends, misses its corners, and never leaves their box; short legs get smaller corners."""
    path = rounded((0, 0), (0, 50), (80, 50), (80, 48), radius=10)
    passed = on(path)
    assert (passed[0], passed[-1]) == ((0, 0), (80, 48))
    assert {(0, 50), (80, 50)}.isdisjoint(passed)
    assert all(0 <= x <= 80 and 0 <= y <= 50 for x, y in path)
    assert all(a != b for a, b in pairwise(passed))


def test_parts_are_joined_with_a_margin() -> None:
    """A picture is as large as its parts with a margin; a frame is known by its name, and by a card inside it."""
    frame = Frame("outer", "", 0, 0, 90, 70, INK, INK, INK, ())
    inner = Frame("inner", "", 0, 0, 80, 60, INK, INK, INK, ("a", "b"), "outer")
    part = Part((Card("a", (), 10, 10, 30, 30), Card("b", (), 10, 10, 100, 10)), (frame, inner))
    whole = joined("x", "X", part, Part())
    assert (whole.width, whole.height) == (110 + drawing.MARGIN, 70 + drawing.MARGIN)
    assert (part.member("inner"), part.member("outer"), part.member("a")) == ("b", "b", "a")
    assert part.card("b").width == 100
    assert part.frame("nothing") is None
