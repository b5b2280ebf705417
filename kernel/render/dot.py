"""DOT text of a drawing: the same from run to run, so that a change of the text is a change of the specification.

Every place is given, so `dot -Kneato -n2` draws exactly what was laid out; plain `dot` lays the same graph out anew.
"""

from __future__ import annotations

from html import escape

from kernel.render.drawing import Card, Curve, Drawing, Frame, Line, Point, Shape, Span, leading

FONT = "Helvetica,Arial,sans-serif"
POINTS_PER_INCH = 72
BORDER = 16
HEAD = """\
// {title}. Written from the specification by `make diagrams`; drawn by `dot -Kneato -n2`.
digraph {name} {{
  graph [bb="0,0,{width},{height}" bgcolor=white compound=true fontname="{font}" fontsize=11 rankdir=LR]
  node [fixedsize=true fontname="{font}" fontsize=11 label="" shape=none]
  edge [arrowsize=0.7 fontname="{font}"]
"""
SHAPES = {
    Shape.PLAIN: {},
    Shape.STATE: {"shape": "box", "style": '"rounded,filled"'},
    Shape.TERMINAL: {"shape": "box", "style": '"rounded,filled"', "peripheries": "2"},
    Shape.START: {"shape": "circle", "style": "filled"},
    Shape.GONE: {"shape": "doublecircle", "style": "filled"},
    Shape.NOTE: {"shape": "box", "style": "rounded"},
}


def number(value: float) -> str:
    """A length with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0").replace("-0", "-0" if value <= -0.05 else "0")


def attributes(values: dict[str, str]) -> str:
    """DOT attributes, sorted by name."""
    return "[" + " ".join(f"{name}={value}" for name, value in sorted(values.items())) + "]"


def quoted(text: str) -> str:
    """A DOT string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def html(span: Span) -> str:
    """Words as part of an HTML-like label; leading spaces stay."""
    text = escape(span.text, quote=False)
    shown = "&#160;" * (len(text) - len(text.lstrip(" "))) + text.lstrip(" ")
    shown = f"<B>{shown}</B>" if span.bold else shown
    return f'<FONT COLOR="{span.color}" POINT-SIZE="{span.size}">{shown}</FONT>'


def label(card: Card) -> str:
    """The lines of a card as an HTML-like label."""
    width = number(card.width - (0 if card.shape is Shape.PLAIN else BORDER))

    def row(place: int, line: Line) -> str:
        align = "CENTER" if place < card.titles else "LEFT"
        size = f'HEIGHT="{number(leading(line))}" WIDTH="{width}"'
        return f'<TR><TD ALIGN="{align}" {size}>{"".join(map(html, line))}</TD></TR>'

    rows = "".join(row(place, line) for place, line in enumerate(card.lines))
    return f'<<TABLE BORDER="0" CELLBORDER="0" CELLPADDING="0" CELLSPACING="0">{rows}</TABLE>>'


def card_text(card: Card, height: float) -> str:
    """A card as a node."""
    x, y = card.middle
    values = {
        "pos": f'"{number(x)},{number(height - y)}"',
        "width": f"{card.width / POINTS_PER_INCH:.3f}",
        "height": f"{card.height / POINTS_PER_INCH:.3f}",
        **SHAPES[card.shape],
    }
    if card.lines:
        values["label"] = label(card)
    if card.fill:
        values["fillcolor"] = quoted(card.fill)
    if card.edge:
        values["color"] = quoted(card.edge)
    return f"{quoted(card.name)} {attributes(values)}"


def frame_text(frame: Frame, drawing: Drawing, margin: str) -> list[str]:
    """A frame as a cluster, with the frames inside it."""
    title = Span(frame.title)
    top, bottom = drawing.height - frame.y, drawing.height - frame.bottom
    values = {
        "bb": f'"{number(frame.x)},{number(bottom)},{number(frame.right)},{number(top)}"',
        "color": quoted(frame.edge),
        "fillcolor": quoted(frame.fill),
        "fontcolor": quoted(frame.ink),
        "label": quoted(frame.title),
        "lp": f'"{number(frame.x + 10 + title.width / 2)},{number(top - 10)}"',
        "style": '"rounded,filled"',
    }
    lines = [f"subgraph {quoted('cluster_' + frame.name)} {{", f"  graph {attributes(values)}"]
    for inner in sorted((f for f in drawing.frames if f.inside == frame.name), key=lambda f: f.name):
        lines += frame_text(inner, drawing, "  ")
    lines += [f"  {quoted(name)}" for name in sorted(frame.cards)]
    return [margin + line for line in (*lines, "}")]


def path(curve: Curve, height: float) -> str:
    """The points of a curve; with an arrow, the last stretch is left to its head."""

    def point(at: Point) -> str:
        return f"{number(at[0])},{number(height - at[1])}"

    points = list(curve.points)
    if not curve.arrow:
        return " ".join(map(point, points))
    (x, y), (u, v) = points[-2:]
    tip, length = points[-1], max(abs(u - x) + abs(v - y), 1)
    points[-1] = (u - (u - x) / length * 7, v - (v - y) / length * 7)
    return " ".join((f"e,{point(tip)}", *map(point, points)))


def curve_text(curve: Curve, height: float) -> str:
    """A curve as an edge."""
    values = {"pos": f'"{path(curve, height)}"', "color": quoted(curve.color)}
    if not curve.arrow:
        values["arrowhead"] = "none"
    if curve.bold:
        values["penwidth"] = "2"
    if curve.dashed:
        values["style"] = "dashed"
    if curve.frame:
        values["ltail"] = quoted("cluster_" + curve.frame)
    return f"{quoted(curve.tail)} -> {quoted(curve.head)} {attributes(values)}"


def dot(drawing: Drawing) -> str:
    """The whole picture as DOT text, every part sorted."""
    head = HEAD.format(
        title=drawing.title, name=drawing.name, width=number(drawing.width), height=number(drawing.height), font=FONT
    )
    lines: list[str] = []
    for frame in sorted((f for f in drawing.frames if not f.inside), key=lambda f: f.name):
        lines += frame_text(frame, drawing, "  ")
    lines += sorted(f"  {card_text(card, drawing.height)}" for card in drawing.cards)
    lines += sorted(f"  {curve_text(curve, drawing.height)}" for curve in drawing.curves)
    return head + "\n".join(lines) + "\n}\n"
