"""All pictures, laid out, and what can be measured of them."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.render import cascade_layout, layout
from kernel.render.cascade import cascade
from kernel.render.drawing import Card, Curve, Drawing, Point
from kernel.render.extract import picture
from kernel.spec import DELIVERY, SPEC, TASK, WORKFLOW

DRAWINGS: dict[str, Drawing] = {
    **{lc.table.kind.name: layout.lay_out(picture(SPEC, lc)) for lc in (WORKFLOW, TASK, DELIVERY)},
    "cascade": cascade_layout.lay_out(cascade(SPEC)),
}
STEPS = 24


def passed(curve: Curve) -> Iterator[Point]:
    """Points along a curve, close together."""
    points = curve.points
    for i in range(0, len(points) - 1, 3):
        piece = points[i : i + 4]
        for step in range(STEPS + 1):
            t = step / STEPS
            weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
            x, y = (sum(w * p[axis] for w, p in zip(weights, piece, strict=True)) for axis in (0, 1))
            yield x, y


def holds(card: Card, point: Point, slack: float = 0.0) -> bool:
    """Whether a point is inside a card, its rim left out by `slack`."""
    (x, y), s = point, slack
    return card.x + s < x < card.right - s and card.y + s < y < card.bottom - s


def overlap(a: Card, b: Card) -> bool:
    """Whether two cards cover each other somewhere."""
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom
