"""Gates: what leads to a card stands before it, one text for each way; curves swing to the texts from where they begin.

A gate keeps the words apart: arrows that end at one card share its gate, and no label lies on another arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from kernel.render.drawing import COLOR, Card, Curve, straight, swung
from kernel.render.extract import Cause

APART = 4.0
"""How far the texts of a gate stand apart."""


def tall(texts: Sequence[Card]) -> float:
    """The height of the texts of a gate."""
    return sum(text.height for text in texts) + APART * max(len(texts) - 1, 0)


def stacked(texts: Iterable[Card], x: float, y: float) -> list[Card]:
    """The texts of a gate in their places, the first one at x, y."""
    placed = []
    for text in texts:
        placed.append(text.at(x, y))
        y += text.height + APART
    return placed


def cascading(text: Card) -> bool:
    """Whether the text of a way names an event of a cascade."""
    return any(span.color == COLOR[Cause.CASCADE] for line in text.lines for span in line)


def opened(head: Card, texts: Sequence[Card], color: str) -> list[Curve]:
    """From a gate to its card: each text to the bar beside them; one, a cascade's if there is any, on to the card."""
    if not texts:
        return []
    bar, middle = max(text.right for text in texts) + 8, head.middle[1]
    arrow = next((text for text in texts if cascading(text)), texts[0])
    curves = []
    for text in texts:
        rail = [(bar, text.y + 2), (bar, text.bottom - 2), (bar, middle)]
        rail = rail[2:] if len(texts) == len(text.lines) == 1 else rail
        way = straight(*rail, (head.x - 4, middle)) if text is arrow else straight(*rail)
        stroke = COLOR[Cause.CASCADE] if cascading(text) else color
        curves.append(Curve(text.name, head.name, way, stroke, bold=cascading(text), arrow=text is arrow))
    return curves


@frozen
class Door:
    """Where curves leave a card or a frame: right of x, around y, at most `room` from the first to the last."""

    tail: str
    x: float
    y: float
    room: float
    frame: str = ""


def fanned(door: Door, edge: float, ends: Sequence[tuple[Card, str]]) -> list[Curve]:
    """Curves from a door, level as far as `edge`, then to texts with their colours, the upper one to the upper text."""
    ordered = sorted(ends, key=lambda end: end[0].y)
    step = min(door.room / max(len(ordered) - 1, 1), 9)
    curves = []
    for place, (text, color) in enumerate(ordered):
        y, cascade = door.y + (place - (len(ordered) - 1) / 2) * step, cascading(text)
        way = straight((door.x, y), (edge, y)) + swung((edge, y), (text.x - 5, text.middle[1]))[1:]
        stroke = COLOR[Cause.CASCADE] if cascade else color
        curves.append(Curve(door.tail, text.name, way, stroke, bold=cascade, arrow=False, frame=door.frame))
    return curves
