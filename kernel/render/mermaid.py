"""Mermaid text of the drawing models, for places that draw Mermaid themselves. Sorted like the DOT text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kernel.render.cascade import Cascade, Group, rule_text
from kernel.render.drawing import COLOR, EDGE, FILL, INK, QUIET, RIM, TINT
from kernel.render.extract import Arm, Arrow, Box, Cause, Look, Picture
from kernel.render.words import one
from kernel.spec.vocabulary import ABSENT

GONE = "GONE"
CLASSES = {
    **{look.value: f"fill:{FILL[look]},stroke:{EDGE[look]},color:{INK}" for look in (Look.LIVE, Look.WELL, Look.BADLY)},
    "point": f"fill:{INK},stroke:{INK},color:{INK}",
}
STROKES = {
    Cause.REOPENING: f"stroke:{COLOR[Cause.REOPENING]},stroke-dasharray:4",
    Cause.CASCADE: f"stroke:{COLOR[Cause.CASCADE]},stroke-width:3px",
}


def quoted(text: str) -> str:
    """A Mermaid label: quoted, with the two characters that end one written as entities."""
    return '"' + text.replace("#", "#35;").replace('"', "#quot;") + '"'


def arm_text(arm: Arm) -> str:
    """An event and what it asks."""
    return f"{arm.event}: {', '.join(arm.guards)}" if arm.guards else arm.event


def link(source: str, target: str, lines: Iterable[str], *, dotted: bool = False) -> str:
    """One labelled edge."""
    return f"{source} {'-.->' if dotted else '-->'}|{quoted('<br/>'.join(lines))}| {target}"


def causes(arms: Iterable[Arm]) -> set[Cause]:
    """Who takes a way."""
    return {arm.cause for arm in arms}


def stroke(found: set[Cause]) -> str:
    """How an edge is drawn."""
    return next((style for cause, style in STROKES.items() if cause in found), "")


def styled(edges: Sequence[tuple[str, str]]) -> list[str]:
    """Edges, then a line for each that is not drawn plainly; Mermaid counts the edges."""
    return [text for text, _ in edges] + [f"linkStyle {n} {style}" for n, (_, style) in enumerate(edges) if style]


def node(picture: Picture, state: str) -> str:
    """A state: a rounded box, a terminal one with double sides."""
    look = picture.states[state]
    shown = f"([{quoted(state)}])" if look is Look.LIVE else f"[[{quoted(state)}]]"
    return f"{state}{shown}:::{look.value}"


def box_lines(picture: Picture, box: Box) -> Iterator[str]:
    """A box, with the boxes and states in it."""
    inner = sorted((b for b in picture.boxes if b.inside == box.name), key=lambda b: b.name)
    yield f"subgraph {box.name} [{quoted(box.title)}]"
    for other in inner:
        yield from (f"  {line}" for line in box_lines(picture, other))
    held = {state for other in inner for state in other.states}
    yield from (f"  {node(picture, state)}" for state in sorted(set(box.states) - held))
    yield "end"


def arrow_edge(arrow: Arrow) -> tuple[str, str]:
    """An arrow and how it is drawn; what goes for good goes to a point of its own."""
    target = GONE if arrow.target == ABSENT else arrow.target
    found = causes(arrow.arms)
    return link(arrow.source, target, map(arm_text, arrow.arms), dotted=Cause.REOPENING in found), stroke(found)


def document(kind: str, title: str, lines: Iterable[str]) -> str:
    """A whole Mermaid text."""
    head = [f"%% {title}. Written from the specification by `make diagrams`.", kind]
    return "\n".join([*head, *(f"  {line}" for line in lines)]) + "\n"


def lifecycle(picture: Picture) -> str:
    """The picture of a lifecycle."""
    lines = [f"classDef {name} {style}" for name, style in sorted(CLASSES.items())]
    lines.append(f'{ABSENT}((" ")):::point')
    if any(a.target == ABSENT for a in picture.arrows):
        lines.append(f'{GONE}(((" "))):::point')
    for box in sorted((b for b in picture.boxes if not b.inside), key=lambda b: b.name):
        lines += box_lines(picture, box)
    if picture.asked:
        told = (f"{', '.join(a.events)}: {', '.join(a.guards) or 'nothing'}" for a in picture.asked)
        lines.append(f"asked[{quoted('<br/>'.join(('What every row of an event asks:', *told)))}]")
    lines += styled([arrow_edge(arrow) for arrow in picture.arrows])
    lines += sorted(f"style {b.name} fill:{TINT[b.look]},stroke:{RIM[b.look]},color:{QUIET}" for b in picture.boxes)
    return document("flowchart LR", f"The lifecycle of {one(picture.name)}", lines)


def group_text(group: Group) -> str:
    """The rules of a group in their order."""
    named = ((f"{rule.place} {rule.name}", rule_text(rule)) for rule in group.rules)
    return "<br/>".join((f"{group.name}: {group.about}", *(": ".join(filter(None, pair)) for pair in named)))


def cascade(picture: Cascade) -> str:
    """The picture of the cascade."""
    lines = [f"classDef {c.value} fill:#ffffff,stroke:{COLOR[c]},color:{COLOR[c]}" for c in sorted(Cause)]
    lines.append(f"classDef rows {CLASSES[Look.LIVE.value]}")
    lines += sorted(f"{s.name}[{quoted('<br/>'.join((*s.titles, *s.about)))}]:::{s.cause}" for s in picture.sources)
    lines += sorted(f"at_{t.link}([{quoted(f'{t.link}: {t.about}')}]):::rows" for t in picture.targets)
    names = [group.name.replace("-", "_") for group in picture.groups]
    lines += [f"{name}[{quoted(group_text(g))}]:::progress" for name, g in zip(names, picture.groups, strict=True)]
    edges = [
        (link(r.source, f"at_{r.link}", map(arm_text, r.arms)), stroke(causes(r.arms)))
        for r in sorted(picture.reaches, key=lambda r: (r.source, r.link))
    ]
    edges += [(f"{a} --> {b}", "") for a, b in zip(names, [*names[1:], names[0]], strict=True)]
    return document("flowchart LR", "What a commit does beyond its own row", [*lines, *styled(edges)])
