"""Mermaid text shows what the drawing model holds, quoted and styled."""

from __future__ import annotations

import re

import pytest

from kernel.render import mermaid
from kernel.render.cascade import cascade
from kernel.render.extract import Cause, Picture
from kernel.spec import SPEC
from kernel.spec.vocabulary import ABSENT
from tests.render.test_extract import PICTURES

EDGE = re.compile(r'^  (\w+) (-->|-\.->)(?:\|"(.*)"\|)? (\w+)$')
CASCADE = cascade(SPEC)


def edges(text: str) -> list[tuple[str, str, str, str]]:
    """The edges of a text in their order: source, arrow, label, target."""
    return [(m[1], m[2], m[3], m[4]) for m in map(EDGE.match, text.splitlines()) if m]


def strokes(text: str) -> dict[int, str]:
    """The styles of edges, by their number."""
    return {int(m[1]): m[2] for m in re.finditer(r"^  linkStyle (\d+) (.*)$", text, flags=re.MULTILINE)}


@pytest.mark.parametrize("drawn", PICTURES.values(), ids=PICTURES)
def test_every_arrow_is_an_edge(drawn: Picture) -> None:
    """One edge for each arrow, with every event and what it asks; what leaves for good goes to a point of its own."""
    shown = edges(mermaid.lifecycle(drawn))
    ends = [(a.source, "GONE" if a.target == ABSENT else a.target) for a in drawn.arrows]
    assert [(source, target) for source, _, _, target in shown] == ends
    for arrow, (_, _, label, _) in zip(drawn.arrows, shown, strict=True):
        assert label.split("<br/>") == [": ".join(filter(None, (a.event, ", ".join(a.guards)))) for a in arrow.arms]


@pytest.mark.parametrize("drawn", PICTURES.values(), ids=PICTURES)
def test_edges_look_like_their_cause(drawn: Picture) -> None:
    """Re-opening is dashed, a cascade is thick, all else is plain: the numbers of the styles fit the edges."""
    text = mermaid.lifecycle(drawn)
    styles = strokes(text)
    for number, (arrow, edge) in enumerate(zip(drawn.arrows, edges(text), strict=True)):
        found = {arm.cause for arm in arrow.arms}
        assert ("dasharray" in styles.get(number, "")) == (Cause.REOPENING in found) == (edge[1] == "-.->")
        assert ("stroke-width:3px" in styles.get(number, "")) == (Cause.CASCADE in found)


@pytest.mark.parametrize("drawn", PICTURES.values(), ids=PICTURES)
def test_every_state_is_a_node_once(drawn: Picture) -> None:
    """Each state is declared once, with the class of its look; a terminal one has double sides. Each box closes."""
    text = mermaid.lifecycle(drawn)
    for state, look in drawn.states.items():
        declared = re.findall(rf"^ +{state}(\(\[|\[\[|\(\().*:::(\w+)$", text, flags=re.MULTILINE)
        terminal = state in SPEC.kinds[drawn.name].terminal
        expected = ("((", "point") if state == ABSENT else ("[[" if terminal else "([", look.value)
        assert declared == [expected]
    assert len(re.findall(r"^ +subgraph ", text, flags=re.MULTILINE)) == len(drawn.boxes)
    assert len(re.findall(r"^ +end$", text, flags=re.MULTILINE)) == len(drawn.boxes)


def test_what_is_always_asked_is_told() -> None:
    """Where the arrows leave out what every row of an event asks, a box beside them tells it."""
    text = mermaid.lifecycle(PICTURES["task"])
    for asked in PICTURES["task"].asked:
        assert f"<br/>{', '.join(asked.events)}: {', '.join(asked.guards) or 'nothing'}" in text
    assert "asked[" not in mermaid.lifecycle(PICTURES["workflow"])


def test_cascade_shows_reaches_and_rules() -> None:
    """Every reach is an edge, the groups of rules go round, and each rule stands there with its place."""
    text = mermaid.cascade(CASCADE)
    shown = edges(text)
    reaches = sorted((reach.source, f"at_{reach.link}") for reach in CASCADE.reaches)
    assert [(source, target) for source, _, label, target in shown if label] == reaches
    assert [(s, t) for s, _, label, t in shown if not label] == [
        ("hand_overs", "ends"), ("ends", "starts"), ("starts", "hand_overs")
    ]
    for place, step in enumerate(SPEC.progress, start=1):
        assert f"<br/>{place} {step.name}" in text
    violet = {shown[number][0] for number in strokes(text)}
    assert violet == {source.name for source in CASCADE.sources if source.cause is Cause.CASCADE}


def test_labels_are_quoted() -> None:
    """Quotes and hashes in a label are written as entities."""
    assert mermaid.quoted('a "b" #1') == '"a #quot;b#quot; #35;1"'
