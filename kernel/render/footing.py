"""What stands around the states of a lifecycle: the ways back that only a re-opening takes, what entering a terminal
state does to other rows, what each event always asks, and the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from attrs import evolve

from kernel.render.drawing import (
    COLOR,
    INK,
    MARGIN,
    QUIET,
    SMALL,
    Card,
    Curve,
    Line,
    Part,
    Point,
    Shape,
    Span,
    arm_lines,
    rounded,
    straight,
    text_card,
    wrapped,
)
from kernel.render.extract import Arrow, Cause, Picture
from kernel.spec.vocabulary import ABSENT

LANE, ROUND, GONE = 12.0, 14.0, "GONE"
"""How far ways back stand apart; the size of the point where rows go; its name."""
FIRST_LANE = 34.0
"""How far from the corner of a frame the first way back leaves it."""
NOTE = "on entering any of these,", "in the same commit:"
NOTE_WORDS, NOTE_AWAY, NOTE_PAD = 25, 34.0, 16.0
VIOLET, GREY = COLOR[Cause.CASCADE], COLOR[Cause.REOPENING]
KEY = (
    Span("command", COLOR[Cause.COMMAND], SMALL, bold=True),
    Span("progress, in the same commit", COLOR[Cause.PROGRESS], SMALL, bold=True),
    Span("cascade, in the same commit", VIOLET, SMALL, bold=True),
)
MORE = (
    Span("re-opening", GREY, SMALL, bold=True),
    Span("small: what it asks", QUIET, SMALL),
    Span("double border: terminal", QUIET, SMALL),
)
ASKED = "What every row of an event asks (on the arrows: what it asks besides)"


def lanes(arrows: Sequence[Arrow], live: Part, closing: Part) -> Part:
    """The ways back, one lane below the other; what leaves for good ends in a point of its own, above the others."""
    whole = Part((*live.cards, *closing.cards), (*live.frames, *closing.frames))
    parts, y = [], whole.bottom + 8
    order = sorted(arrows, key=lambda a: (a.target != ABSENT, a.source, a.target))
    for place, arrow in enumerate(order):
        frame = whole.frame(arrow.source)
        if frame is None:
            card = whole.card(arrow.source)
            begin = card.middle[0], card.bottom
        else:
            begin = frame.x + FIRST_LANE + LANE * place, frame.bottom
        lines = arm_lines(arrow.arms, abs(begin[0] - live.right) - LANE)
        text = text_card(f"{arrow.source}_{arrow.target}", lines, live.right, y)
        left = MARGIN + LANE * (len(order) - 1 - place)
        parts.append(back(arrow, whole.member(arrow.source), whole, text, begin, left))
        y = text.bottom + 12
    return Part(tuple(c for p in parts for c in p.cards), (), tuple(c for p in parts for c in p.curves))


def back(arrow: Arrow, tail: str, whole: Part, text: Card, begin: Point, left: float) -> Part:
    """One way back: down from where it begins, left below its text, and up to the state; or to the point outside."""
    x, y, frame = begin[0], text.bottom + 5, arrow.source if arrow.source != tail else ""
    if arrow.target == ABSENT:
        gone = Card(GONE, (), text.x - ROUND - 8, y - ROUND / 2, ROUND, ROUND, Shape.GONE, INK, INK)
        way = rounded(begin, (x, y), (gone.right + 3, y))
        return Part((text, gone), (), (Curve(tail, GONE, way, GREY, dashed=True, frame=frame),))
    head = whole.card(arrow.target)
    way = rounded(begin, (x, y), (left, y), (left, head.middle[1]), (head.x, head.middle[1]))
    return Part((text,), (), (Curve(tail, head.name, way, GREY, dashed=True, frame=frame),))


def note(picture: Picture, closing: Part) -> Part:
    """What every way into a terminal state does to other rows, beside the states."""
    if not picture.entering:
        return Part()
    frame = max(closing.frames, key=lambda f: f.bottom - f.y)
    lines: list[Line] = [(Span(words, VIOLET, SMALL),) for words in NOTE]
    for event, rows in picture.entering:
        lines.append((Span(event, VIOLET, bold=True),))
        lines += [(Span(f"  {part}", QUIET, SMALL),) for part in wrap(rows, NOTE_WORDS)]
    text = text_card("entering", lines)
    card = evolve(
        text, x=frame.right + NOTE_AWAY, y=(frame.y + frame.bottom - text.height - NOTE_PAD) / 2,
        width=text.width + NOTE_PAD, height=text.height + NOTE_PAD, shape=Shape.NOTE, edge=VIOLET,
    )
    way = straight((frame.right, card.middle[1]), (card.x, card.middle[1]))
    return Part((card,), (), (Curve(closing.member(frame.name), card.name, way, VIOLET, bold=True, frame=frame.name),))


def footing(picture: Picture, y: float, right: float) -> Part:
    """What each event always asks, in two columns, and the key."""
    cards: list[Card] = []
    if picture.asked:
        head = text_card("asked", [(Span(ASKED, QUIET, SMALL),)], MARGIN, y)
        middle = (MARGIN + right) / 2
        entries = [
            wrapped(Span(", ".join(a.events), INK, SMALL, bold=True), a.guards or ("nothing",), middle - MARGIN - 12)
            for a in picture.asked
        ]
        left: list[Line] = []
        rest: list[Line] = []
        for entry in entries:
            (rest if 2 * len(left) >= sum(map(len, entries)) else left).extend(entry)
        cards = [head, text_card("asked_left", left, MARGIN, head.bottom + 4)]
        cards.append(text_card("asked_right", rest, middle, head.bottom + 4))
        y = cards[1].bottom + 10
    return Part((*cards, key((*KEY, *MORE), y)))


def key(words: Sequence[Span], y: float) -> Card:
    """What the colours say."""
    line = tuple(part for word in words for part in (word, Span("   ·   ", GREY, SMALL)))[:-1]
    return text_card("key", [line], MARGIN, y)
