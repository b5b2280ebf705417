"""States one below the other, in the boxes that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from kernel.render.drawing import (
    BIG,
    EDGE,
    FILL,
    QUIET,
    RIM,
    TINT,
    Card,
    Frame,
    Line,
    Shape,
    Span,
    arm_lines,
    extent,
    height_of,
)
from kernel.render.extract import Look, Picture

ORDER = (
    "RUNNING", "PAUSED", "PENDING", "SCHEDULED", "IN_PROGRESS", "LEASED",
    "SKIPPED", "COMPLETED_WITH_ERRORS", "COMPLETED", "DELIVERED",
    "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "FAILED", "CANCELED", "TERMINATED", "DEAD",
)
"""From top to bottom, so that few curves cross; states that are not named come last, as their lifecycle
has them."""
PAD, TITLE = 10.0, 16.0
"""The space inside a frame; what its title needs."""
STAYING = 170.0
"""How wide the text inside a state may be."""
LONG_NAME = 15


def rank(picture: Picture, state: str) -> tuple[int, int]:
    """A key that sorts states from top to bottom."""
    return ORDER.index(state) if state in ORDER else len(ORDER), [*picture.states].index(state)


def states_of(picture: Picture, *looks: Look) -> list[str]:
    """The states of these looks, from top to bottom."""
    return sorted((s for s, look in picture.states.items() if look in looks), key=lambda state: rank(picture, state))


def around(picture: Picture, state: str) -> tuple[str, ...]:
    """The boxes that a state is in, the outermost first."""
    boxes = [b for b in picture.boxes if state in b.states]
    return tuple(b.name for b in sorted(boxes, key=lambda b: -len(b.states)))


def depth(picture: Picture, states: Sequence[str]) -> int:
    """How many boxes are around one state, at most."""
    return max((len(around(picture, s)) for s in states), default=0)


def name_lines(state: str) -> tuple[Line, ...]:
    """The name of a state; a long one is broken at the underscore nearest to its middle."""
    breaks = [i + 1 for i, c in enumerate(state) if c == "_"]
    if len(state) < LONG_NAME or not breaks:
        return ((Span(state, size=BIG),),)
    cut = min(breaks, key=lambda i: (abs(i - len(state) / 2), i))
    return (Span(state[:cut], size=BIG),), (Span(state[cut:], size=BIG),)


def state_card(picture: Picture, state: str) -> Card:
    """A state, with the events that leave a row in it."""
    look, names = picture.states[state], name_lines(state)
    stays = arm_lines((arm for a in picture.arrows if a.source == a.target == state for arm in a.arms), STAYING)
    return Card(
        state, names + stays, width=extent(names + stays) + 28, height=height_of(names + stays) + 12,
        titles=len(names), shape=Shape.STATE if look is Look.LIVE else Shape.TERMINAL, fill=FILL[look], edge=EDGE[look],
    )


@frozen
class Column:
    """The upper sides of the states, and from where to where each box reaches."""

    tops: Mapping[str, float]
    spans: Mapping[str, tuple[float, float]]
    bottom: float


def column(picture: Picture, slots: Mapping[str, float], gaps: Mapping[str, float], top: float) -> Column:
    """Stack slots of these heights, each with a gap below it; boxes open and close between them."""
    titles = {b.name: TITLE if b.title else 0.0 for b in picture.boxes}
    tops: dict[str, float] = {}
    spans: dict[str, tuple[float, float]] = {}
    y, inside, states = top, tuple[str, ...](), list(slots)
    for state, after in zip(states, [*states[1:], ""], strict=True):
        for box in (b for b in around(picture, state) if b not in inside):
            spans[box] = (y, y)
            y += PAD + titles[box]
        inside, tops[state] = around(picture, state), y
        y += slots[state]
        for box in (b for b in reversed(inside) if b not in around(picture, after)):
            y += PAD
            spans[box] = (spans[box][0], y)
        y += gaps[state] if after else 0
    return Column(tops, spans, y)


def stretched(
    picture: Picture, slots: Mapping[str, float], gaps: Mapping[str, float], top: float, height: float
) -> Column:
    """A column that reaches this height, if need be with wider gaps."""
    short = height - column(picture, slots, gaps, top).bottom
    more = max(short, 0) / max(len(slots) - 1, 1)
    return column(picture, slots, {s: g + more for s, g in gaps.items()}, top)


def frames(picture: Picture, stack: Column, x: float, right: float) -> tuple[Frame, ...]:
    """The boxes of a column around what stands between `x` and `right`, each a little wider than those inside it."""
    deepest = depth(picture, list(stack.tops))
    found = []
    for box in (b for b in picture.boxes if b.name in stack.spans):
        pad = PAD * (deepest - around(picture, box.states[0]).index(box.name))
        top, bottom = stack.spans[box.name]
        direct = tuple(s for s in box.states if around(picture, s)[-1] == box.name)
        look = RIM[box.look], TINT[box.look], EDGE[box.look] if box.look else QUIET
        found.append(Frame(box.name, box.title, x - pad, top, right + pad, bottom, *look, direct, box.inside))
    return tuple(found)
