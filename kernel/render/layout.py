"""Where things stand in the picture of a lifecycle: open states on the left, terminal ones on the right, between them
what leads there. An event that leaves its row in the same state stands inside the state; re-opening goes back below.
"""

from __future__ import annotations

from attrs import frozen

from kernel.render.columns import PAD, depth, frames, rank, state_card, states_of, stretched
from kernel.render.drawing import (
    COLOR,
    EDGE,
    FILL,
    MARGIN,
    QUIET,
    Card,
    Curve,
    Drawing,
    Part,
    Shape,
    arm_lines,
    joined,
    straight,
    text_card,
)
from kernel.render.extract import Arrow, Cause, Look, Picture
from kernel.render.footing import LANE, footing, lanes, note
from kernel.render.gates import Door, fanned, opened, stacked, tall
from kernel.render.words import one
from kernel.spec.vocabulary import ABSENT

GAP = 18.0
"""How far terminal states stand apart."""
GATE, INNER = 250.0, 120.0
"""How wide the text before a terminal state may be, and that between two open ones."""
REACH, STEM, SIDE = 56.0, 42.0, 12.0
"""How far a curve swings to a gate; how far behind it the state is; how far ways up and down are from the middle."""


@frozen
class Sides:
    """The arrows of a picture by where they lead."""

    first: tuple[Arrow, ...]
    onward: tuple[Arrow, ...]
    closing: tuple[Arrow, ...]
    reopening: tuple[Arrow, ...]


def sides(picture: Picture) -> Sides:
    """Sort the arrows: from nowhere, between live states, to terminal states; back from them, and to nowhere."""
    members = {b.name: b.states for b in picture.boxes}
    ended = {Look.WELL, Look.BADLY}

    def look(end: str) -> Look:
        return picture.states[members.get(end, (end,))[0]]

    def ways(source: set[Look], target: set[Look]) -> tuple[Arrow, ...]:
        return tuple(
            a for a in picture.arrows if a.source != a.target and look(a.source) in source and look(a.target) in target
        )

    return Sides(
        first=ways({Look.START}, {Look.LIVE}),
        onward=ways({Look.LIVE}, {Look.LIVE}),
        closing=ways({Look.START, Look.LIVE}, ended),
        reopening=ways(ended, set(Look)) + ways({Look.LIVE}, {Look.START}),
    )


def label_of(arrow: Arrow, width: float) -> Card:
    """The text of an arrow."""
    return text_card(f"{arrow.source}_{arrow.target}", arm_lines(arrow.arms, width))


def is_cascade(arrow: Arrow) -> bool:
    """Whether a cascade takes this way."""
    return any(arm.cause is Cause.CASCADE for arm in arrow.arms)


# ---- the left side ---------------------------------------------------------------------------------------------------
def live_part(picture: Picture, ways: Sides, x: float, height: float) -> Part:
    """The states that are not terminal, one below the other in at least this height, with the ways between them."""
    states = states_of(picture, Look.LIVE)
    cards = {s: state_card(picture, s) for s in states}
    labels = {a: label_of(a, INNER) for a in (*ways.first, *ways.onward)}
    up, down = [0.0], [0.0]
    for arrow in ways.onward:
        (down if rank(picture, arrow.target) > rank(picture, arrow.source) else up).append(SIDE + 6 + labels[arrow].width)
    half = max(c.width for c in cards.values()) / 2
    left, right = max(half, *up), max(half, *down)
    spine = x + PAD * depth(picture, states) + left
    start = Card(ABSENT, (), spine - 7, MARGIN, 14, 14, Shape.START, FILL[Look.START], EDGE[Look.START])
    top = start.bottom + max((labels[a].height for a in ways.first), default=0) + 12
    gaps = {
        s: 26 + max((labels[a].height for a in ways.onward if {a.source, a.target} == {s, after}), default=0)
        for s, after in zip(states, [*states[1:], ""], strict=True)
    }
    stack = stretched(picture, {s: c.height for s, c in cards.items()}, gaps, top, height)
    placed = {ABSENT: start, **{s: c.at(spine - c.width / 2, stack.tops[s]) for s, c in cards.items()}}
    hung = [hang(placed[a.source], placed[a.target], labels[a], is_cascade(a)) for a in labels]
    return Part(
        (*placed.values(), *(label for label, _ in hung)),
        frames(picture, stack, spine - left, spine + right),
        tuple(curve for _, curve in hung),
    )


def hang(tail: Card, head: Card, label: Card, cascade: bool) -> tuple[Card, Curve]:
    """A way between two cards of a column: down on the right, up on the left, its label on the outer side."""
    down, first = tail.y < head.y, tail.shape is Shape.START
    at = head.middle[0] + (0 if first else SIDE if down else -SIDE)
    begin, end = (tail.bottom, head.y) if down else (tail.y, head.bottom)
    y = begin + 2 if first else (begin + end - label.height) / 2
    curve = Curve(
        tail.name, head.name, straight((at, begin), (at, end)), COLOR[Cause.CASCADE] if cascade else QUIET, bold=cascade
    )
    return label.at(at + 7 if down else at - 6 - label.width, y), curve


# ---- the right side --------------------------------------------------------------------------------------------------
def closing_part(picture: Picture, ways: Sides, x: float, height: float) -> Part:
    """The terminal states, one below the other in at least this height, before each its gate: all that leads there."""
    states = states_of(picture, Look.WELL, Look.BADLY)
    cards = {s: state_card(picture, s) for s in states}
    gates = {s: gate(picture, ways, s) for s in states}
    widest = max(c.width for c in cards.values())
    slots = {s: max(cards[s].height, tall(gates[s])) for s in states}
    stack = stretched(picture, slots, dict.fromkeys(states, GAP), MARGIN, height)
    reach = max((text.width for texts in gates.values() for text in texts), default=0)
    begin = x + reach + STEM + PAD * depth(picture, states)
    placed: list[Card] = []
    curves: list[Curve] = []
    for state in states:
        middle, card = stack.tops[state] + slots[state] / 2, cards[state]
        card = card.at(begin + (widest - card.width) / 2, middle - card.height / 2)
        texts = stacked(gates[state], x, middle - tall(gates[state]) / 2)
        placed += [card, *texts]
        curves += opened(card, texts, EDGE[picture.states[state]])
    return Part(tuple(placed), frames(picture, stack, begin, begin + widest), tuple(curves))


def gate(picture: Picture, ways: Sides, state: str) -> tuple[Card, ...]:
    """What leads to a terminal state, one text for each arrow, in the order of where they begin."""
    members = {b.name: b.states for b in picture.boxes}

    def begins(arrow: Arrow) -> tuple[tuple[int, int], str]:
        return rank(picture, members.get(arrow.source, (arrow.source,))[-1]), arrow.source

    return tuple(label_of(a, GATE) for a in sorted(ways.closing, key=begins) if a.target == state)


# ---- between them ----------------------------------------------------------------------------------------------------
def door(live: Part, source: str) -> Door:
    """The right side of a state; of an inner box its middle; of an outer box, where nothing else is, its lower end."""
    frame = live.frame(source)
    if frame is None:
        card = live.card(source)
        return Door(source, card.right, card.middle[1], card.height - 14)
    if frame.inside:
        return Door(live.member(source), frame.right, (frame.y + frame.bottom) / 2, 60, source)
    return Door(live.member(source), frame.right, frame.bottom - 14, 12, source)


def reaching(picture: Picture, ways: Sides, live: Part, closing: Part) -> Part:
    """The curves from the open states and boxes to the gates."""
    edge = max((f.right for f in live.frames), default=live.right)
    curves: list[Curve] = []
    for source in sorted({a.source for a in ways.closing}):
        ends = [
            (closing.card(label_of(a, GATE).name), EDGE[picture.states[a.target]])
            for a in ways.closing if a.source == source
        ]
        curves += fanned(door(live, source), edge, ends)
    return Part(curves=tuple(curves))


def lay_out(picture: Picture) -> Drawing:
    """The picture of a lifecycle."""
    ways = sides(picture)
    left = MARGIN + LANE * len(ways.reopening)
    least = live_part(picture, ways, left, 0)
    closing = closing_part(picture, ways, least.right + REACH, least.bottom)
    live = live_part(picture, ways, left, closing.bottom)
    back = lanes(ways.reopening, live, closing)
    below = footing(picture, max(part.bottom for part in (live, closing, back)) + GAP, closing.right)
    return joined(
        picture.name, f"The lifecycle of {one(picture.name)}",
        live, closing, reaching(picture, ways, live, closing), note(picture, closing), back, below,
    )
