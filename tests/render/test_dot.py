"""DOT text: sorted, the same from run to run, safe, and accepted by `dot` without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from kernel.render.dot import dot, html, number, quoted
from kernel.render.drawing import Drawing, Shape, Span
from kernel.spec import SPEC
from tests.render.pictures import DRAWINGS

every_drawing = pytest.mark.parametrize("drawn", DRAWINGS.values(), ids=DRAWINGS)


def parts(text: str) -> tuple[list[str], list[str]]:
    """The lines of nodes and those of edges."""
    lines = [line for line in text.splitlines() if re.match(r'  "[^"]+"', line)]
    return [line for line in lines if '" -> "' not in line], [line for line in lines if '" -> "' in line]


@every_drawing
def test_text_is_sorted(drawn: Drawing) -> None:
    """Nodes and edges are sorted, so that a small change of the law is a small change of the text."""
    nodes, edges = parts(dot(drawn))
    assert nodes == sorted(nodes)
    assert edges == sorted(edges)
    assert (len(nodes), len(edges)) == (len(drawn.cards), len(drawn.curves))


@every_drawing
def test_frames_are_clusters(drawn: Drawing) -> None:
    """Each frame is a cluster with its place, and holds its states."""
    text = dot(drawn)
    assert text.count("subgraph") == len(drawn.frames)
    for frame in drawn.frames:
        body = text.partition(f'subgraph "cluster_{frame.name}"')[2]
        assert re.match(r" \{\n\s+graph \[bb=\"[-0-9.,]+\"", body)
        assert all(f'"{name}"' in body for name in frame.cards)


@every_drawing
def test_looks_are_written(drawn: Drawing) -> None:
    """Terminal states get two borders, ways back dashes, cascades a thicker pen, and only they."""
    nodes, edges = parts(dot(drawn))
    assert sum("peripheries=2" in line for line in nodes) == sum(c.shape is Shape.TERMINAL for c in drawn.cards)
    assert sum("style=dashed" in line for line in edges) == sum(c.dashed for c in drawn.curves)
    assert sum("penwidth=2" in line for line in edges) == sum(c.bold for c in drawn.curves)
    assert sum("arrowhead=none" in line for line in edges) == sum(not c.arrow for c in drawn.curves)


SAY = "from kernel.render.write import diagrams; import sys; sys.stdout.write(repr(sorted(diagrams().items())))"


def test_text_does_not_depend_on_the_run() -> None:
    """Two processes with different hash seeds write the same text."""
    said = {
        subprocess.run(
            [sys.executable, "-c", SAY], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "77")
    }
    assert len(said) == 1


def test_words_cannot_break_out() -> None:
    """Quotes, backslashes and angle brackets stay text."""
    assert quoted('a"b\\') == '"a\\"b\\\\"'
    assert "&lt;b&gt;&amp;" in html(Span("<b>&"))
    assert html(Span("  two")).count("&#160;") == 2


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (2.25, "2.2"), (0.04, "0"), (-0.04, "0"), (-1.26, "-1.3"), (100, "100"), (-10, "-10")]
)
def test_lengths_are_short(value: float, text: str) -> None:
    """A length has at most one decimal, and no minus before nothing."""
    assert number(value) == text


@pytest.mark.skipif(shutil.which("dot") is None, reason="the `dot` program is not installed")
@every_drawing
def test_dot_accepts_the_text(drawn: Drawing) -> None:
    """Graphviz draws the picture without a word of complaint, with the size and the states that were laid out."""
    command = ["dot", "-Kneato", "-n2", "-Tplain"]
    done = subprocess.run(command, input=dot(drawn), text=True, capture_output=True, check=True)
    assert done.stderr == ""
    lines = [line.split(" ") for line in done.stdout.splitlines()]
    assert [float(size) * 72 for size in lines[0][2:4]] == pytest.approx([drawn.width, drawn.height], abs=40)
    assert sum(line[0] == "node" for line in lines) == len(drawn.cards)
    if drawn.name in SPEC.kinds:
        assert set(SPEC.kinds[drawn.name].states) <= {line[1].strip('"') for line in lines if line[0] == "node"}
