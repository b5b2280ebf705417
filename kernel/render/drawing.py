"""What a picture is made of: cards with lines of text, frames around them, curves between them. In points; y grows
downwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import pairwise

from attrs import evolve, frozen

from kernel.render.extract import Arm, Cause, Look

INK, QUIET, GREY = "#1f2933", "#5b6673", "#7b8794"
FILL = {Look.START: INK, Look.LIVE: "#e3eefb", Look.WELL: "#e2f3e6", Look.BADLY: "#fbe6e3"}
EDGE = {Look.START: INK, Look.LIVE: "#2563a8", Look.WELL: "#256b3b", Look.BADLY: "#b3402f"}
TINT = {Look.LIVE: "#f7fafd", Look.WELL: "#f8fbf8", Look.BADLY: "#fdf8f7", None: "#fafbfc"}
RIM = {Look.LIVE: "#a9c4e4", Look.WELL: "#a6cdb2", Look.BADLY: "#e0b3aa", None: "#c3cad1"}
COLOR = {Cause.COMMAND: INK, Cause.PROGRESS: "#0b7285", Cause.CASCADE: "#7b2fa8", Cause.REOPENING: "#59636e"}
BIG, MIDDLE, SMALL = 13, 11, 10
LEADING, MARGIN = 14.0, 12.0
"""The height of a line of text, in a title one and a quarter times that; the space around a picture."""
BREADTHS = {
    0.222: "ijl'|", 0.278: " tfI.,:;/!()[]·", 0.333: "r-", 0.5: "ckszvxyJ", 0.611: "FTZ", 0.667: "ABEKPSVXY",
    0.722: "CDHNRUw", 0.778: "GOQ", 0.833: "mM", 0.944: "W",
}
BREADTH = {char: breadth for breadth, chars in BREADTHS.items() for char in chars}
"""How wide a character of the usual sans-serif fonts is, in parts of its size; those not named 0.556."""

Point = tuple[float, float]


@frozen
class Span:
    """Words in one colour and size."""

    text: str
    color: str = INK
    size: int = MIDDLE
    bold: bool = False

    @property
    def width(self) -> float:
        """About how wide the words are."""
        return self.size * sum(BREADTH.get(c, 0.556) for c in self.text) * (1.06 if self.bold else 1)


Line = tuple[Span, ...]


class Shape(StrEnum):
    """How a card is drawn."""

    PLAIN = "plain"
    STATE = "state"
    TERMINAL = "terminal"
    START = "start"
    GONE = "gone"
    NOTE = "note"


@frozen
class Card:
    """A rectangle with lines of text; `x`, `y` is its upper left corner."""

    name: str
    lines: tuple[Line, ...]
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0
    shape: Shape = Shape.PLAIN
    fill: str = ""
    edge: str = ""
    titles: int = 0
    """How many of the first lines are centred; the others begin at the left."""

    @property
    def right(self) -> float:
        """The x of its right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of its lower side."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def at(self, x: float, y: float) -> Card:
        """The card with its upper left corner here."""
        return evolve(self, x=x, y=y)


@frozen
class Frame:
    """A rounded rectangle around cards and other frames."""

    name: str
    title: str
    x: float
    y: float
    right: float
    bottom: float
    edge: str
    fill: str
    ink: str
    cards: tuple[str, ...]
    inside: str = ""


@frozen
class Curve:
    """A piecewise cubic Bézier curve: one point, then three for each piece. `frame`: it begins at this frame."""

    tail: str
    head: str
    points: tuple[Point, ...]
    color: str
    bold: bool = False
    dashed: bool = False
    arrow: bool = True
    frame: str = ""


@frozen
class Part:
    """Some cards, frames and curves in their places."""

    cards: tuple[Card, ...] = ()
    frames: tuple[Frame, ...] = ()
    curves: tuple[Curve, ...] = ()

    def card(self, name: str) -> Card:
        """The card of this name."""
        return next(c for c in self.cards if c.name == name)

    def frame(self, name: str) -> Frame | None:
        """The frame of this name, if there is one."""
        return next((f for f in self.frames if f.name == name), None)

    def member(self, name: str) -> str:
        """The card itself, or the last card in the frame of this name."""
        frame = self.frame(name)
        if frame is None or frame.cards:
            return frame.cards[-1] if frame else name
        return next(self.member(f.name) for f in self.frames if f.inside == name)

    @property
    def right(self) -> float:
        """Where it ends on the right."""
        return max([*(c.right for c in self.cards), *(f.right for f in self.frames), 0])

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return max([*(c.bottom for c in self.cards), *(f.bottom for f in self.frames), 0])


@frozen
class Drawing:
    """A whole picture."""

    name: str
    title: str
    width: float
    height: float
    cards: tuple[Card, ...]
    frames: tuple[Frame, ...]
    curves: tuple[Curve, ...]


def joined(name: str, title: str, *parts: Part) -> Drawing:
    """A picture of all its parts, with a margin around them."""
    return Drawing(
        name, title, max(p.right for p in parts) + MARGIN, max(p.bottom for p in parts) + MARGIN,
        tuple(c for p in parts for c in p.cards), tuple(f for p in parts for f in p.frames),
        tuple(c for p in parts for c in p.curves),
    )


def leading(line: Line) -> float:
    """The height of a line."""
    return LEADING * (1.25 if any(span.size > MIDDLE for span in line) else 1)


def height_of(lines: Iterable[Line]) -> float:
    """The height of some lines."""
    return sum(map(leading, lines))


def extent(lines: Iterable[Line]) -> float:
    """The width of the widest line."""
    return max((sum(span.width for span in line) for line in lines), default=0)


def wrapped(first: Span, rest: Sequence[str], width: float) -> tuple[Line, ...]:
    """A bold word and, small, a list after it, in lines of about this width; further lines are indented."""
    lines: list[Line] = []
    line: Line = (first,)
    for place, item in enumerate(rest, start=1):
        text = item if place == len(rest) else f"{item},"
        word = Span(f"{'  ' if line == (first,) else ' '}{text}", QUIET, SMALL)
        if extent([(*line, word)]) > width:
            lines.append(line)
            line, word = (), evolve(word, text=f"    {text}")
        line = (*line, word)
    return (*lines, line)


def arm_lines(arms: Iterable[Arm], width: float) -> tuple[Line, ...]:
    """The events of an arrow, each with what it asks."""
    return tuple(line for a in arms for line in wrapped(Span(a.event, COLOR[a.cause], bold=True), a.guards, width))


def text_card(name: str, lines: Sequence[Line], x: float = 0, y: float = 0) -> Card:
    """Lines without a border, as large as they are."""
    return Card(name, tuple(lines), x, y, width=extent(lines) * 1.02 + 6, height=height_of(lines))


def straight(*points: Point) -> tuple[Point, ...]:
    """A path of straight pieces, as Bézier points."""
    path = [points[0]]
    for (x, y), (u, v) in pairwise(points):
        path += [(x + (u - x) / 3, y + (v - y) / 3), (x + 2 * (u - x) / 3, y + 2 * (v - y) / 3), (u, v)]
    return tuple(path)


def swung(begin: Point, end: Point) -> tuple[Point, ...]:
    """A curve that leaves and arrives horizontally, as Bézier points."""
    middle = (begin[0] + end[0]) / 2
    return begin, (middle, begin[1]), (middle, end[1]), end


def rounded(*corners: Point, radius: float = 10) -> tuple[Point, ...]:
    """A path of horizontal and vertical pieces with round corners, as Bézier points."""
    path = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        start, end = towards(corner, before, radius), towards(corner, after, radius)
        path += straight(path[-1], start)[1:]
        path += [towards(corner, start, radius / 2), towards(corner, end, radius / 2), end]
    return (*path, *straight(path[-1], corners[-1])[1:])


def towards(here: Point, there: Point, distance: float) -> Point:
    """The point at this distance from one towards the other, at most half of the way."""
    (x, y), (u, v) = here, there
    length = abs(u - x) + abs(v - y)
    part = min(distance / length, 0.5) if length else 0
    return x + (u - x) * part, y + (v - y) * part
