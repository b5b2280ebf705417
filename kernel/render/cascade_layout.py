"""Where things stand in the picture of the cascade: who fires on the left, the rows that it reaches on the right,
between them the events; below, the rules of progress in their order.
"""

from __future__ import annotations

from itertools import pairwise
from textwrap import wrap

from attrs import evolve

from kernel.render.cascade import Cascade, Group, Reach, Source, Target, rule_text
from kernel.render.drawing import (
    COLOR,
    EDGE,
    FILL,
    MARGIN,
    QUIET,
    SMALL,
    Card,
    Curve,
    Drawing,
    Line,
    Part,
    Shape,
    Span,
    arm_lines,
    extent,
    height_of,
    joined,
    rounded,
    straight,
    text_card,
)
from kernel.render.extract import Cause, Look
from kernel.render.footing import KEY, key
from kernel.render.gates import Door, fanned, opened, stacked, tall

GAP, SWING, STEM, GATE = 16.0, 70.0, 44.0, 180.0
WASH = {Cause.COMMAND: "#f3f4f6", Cause.PROGRESS: "#e6f4f6", Cause.CASCADE: "#f5edfa"}
WORDS = 44
TEAL = COLOR[Cause.PROGRESS]
PROGRESS = "Progress, in the same commit: the first rule that is enabled, then again the first, until none is enabled."


def bordered(name: str, lines: tuple[Line, ...], fill: str, edge: str) -> Card:
    """Lines in a box of their own."""
    return Card(
        name, lines, width=extent(lines) * 1.02 + 28, height=height_of(lines) + 12, shape=Shape.STATE, fill=fill,
        edge=edge,
    )


def source_card(source: Source) -> Card:
    """Who fires."""
    color = COLOR[source.cause]
    lines = tuple((Span(title, color, bold=True),) for title in source.titles)
    lines += tuple((Span(about, QUIET, SMALL),) for about in source.about)
    return bordered(source.name, lines, WASH[source.cause], color)


def target_card(target: Target) -> Card:
    """The rows behind a link."""
    lines = ((Span(target.link, bold=True),), (Span(target.about, QUIET, SMALL),))
    return bordered(f"at_{target.link}", lines, FILL[Look.LIVE], EDGE[Look.LIVE])


def reach_card(reach: Reach) -> Card:
    """What is fired."""
    return text_card(f"{reach.source}_{reach.link}", arm_lines(reach.arms, GATE))


def columns(picture: Cascade) -> Part:
    """Sources, events and targets."""
    sources = level([source_card(s) for s in picture.sources])
    targets = level([target_card(t) for t in picture.targets])
    gates = [[reach_card(r) for r in picture.reaches if r.link == t.link] for t in picture.targets]
    x = MARGIN + sources[0].width + SWING
    right = x + max(text.width for texts in gates for text in texts) + STEM
    y, placed, curves = MARGIN, list[Card](), list[Curve]()
    for target, ways in zip(targets, gates, strict=True):
        slot = max(target.height, tall(ways))
        card = target.at(right, y + (slot - target.height) / 2)
        texts = stacked(ways, x, y + (slot - tall(ways)) / 2)
        placed += [card, *texts]
        curves += opened(card, texts, QUIET)
        y += slot + GAP
    y = MARGIN - GAP
    for source, card in zip(picture.sources, sources, strict=True):
        names = {reach_card(r).name for r in picture.reaches if r.source == source.name}
        ends = [text for text in placed if text.name in names]
        middle = sum(text.middle[1] for text in ends) / len(ends)
        placed.append(card.at(MARGIN, max(middle - card.height / 2, y + GAP)))
        y = placed[-1].bottom
        door = Door(card.name, placed[-1].right, placed[-1].middle[1], card.height - 14)
        curves += fanned(door, placed[-1].right, [(text, COLOR[source.cause]) for text in ends])
    return Part(tuple(placed), (), tuple(curves))


def level(cards: list[Card]) -> list[Card]:
    """The cards, all as wide as the widest."""
    return [evolve(card, width=max(c.width for c in cards)) for card in cards]


def group_lines(group: Group) -> tuple[Line, ...]:
    """Rules of progress, each with its place in the order."""
    lines: list[Line] = [(Span(group.name, TEAL, bold=True),), (Span(group.about, QUIET, SMALL),)]
    if group.guards:
        lines.append((Span("asks: " + ", ".join(group.guards), QUIET, SMALL),))
    for rule in group.rules:
        lines.append(((Span(f"{rule.place}  {rule.name}", TEAL, SMALL, bold=True)),))
        lines += [(Span(f"     {part}", QUIET, SMALL),) for part in wrap(rule_text(rule), WORDS)]
    return tuple(lines)


def order(picture: Cascade, y: float) -> Part:
    """The rules of progress, group after group, and again until no rule is enabled."""
    title = text_card("progress", [(Span(PROGRESS, QUIET, SMALL),)], MARGIN, y)
    texts = [group_lines(group) for group in picture.groups]
    longest = max(map(len, texts))
    cards: list[Card] = []
    for group, lines in zip(picture.groups, texts, strict=True):
        filled = lines + ((Span(" "),),) * (longest - len(lines))
        card = bordered(group.name, filled, WASH[Cause.PROGRESS], TEAL)
        cards.append(card.at(cards[-1].right + STEM if cards else MARGIN, title.bottom + 6))
    ways = [straight((a.right, a.middle[1]), (b.x - 2, b.middle[1])) for a, b in pairwise(cards)]
    below = cards[0].bottom + 20
    again = rounded(
        (cards[-1].middle[0], cards[0].bottom), (cards[-1].middle[0], below), (cards[0].middle[0], below),
        (cards[0].middle[0], cards[0].bottom + 2),
    )
    curves = [Curve(a.name, b.name, way, TEAL) for (a, b), way in zip(pairwise(cards), ways, strict=True)]
    curves.append(Curve(cards[-1].name, cards[0].name, again, TEAL))
    return Part((title, *cards), (), tuple(curves))


def lay_out(picture: Cascade) -> Drawing:
    """The picture of the cascade."""
    above = columns(picture)
    below = order(picture, above.bottom + GAP + 6)
    keys = Part((key(KEY, below.bottom + 34),))
    return joined("cascade", "What a commit does beyond its own row", above, below, keys)
