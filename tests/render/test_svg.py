"""SVG carries the digest of its DOT; without `dot` the error says what to install."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from kernel.errors import KernelError
from kernel.render.dot import dot
from kernel.render.drawing import Drawing
from kernel.render.svg import digest_of, marked_digest, svg_of
from tests.render.pictures import DRAWINGS

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="the `dot` program is not installed")


@needs_dot
@pytest.mark.parametrize("drawn", DRAWINGS.values(), ids=DRAWINGS)
def test_svg_shows_the_words_of_its_dot(drawn: Drawing) -> None:
    """The SVG is well formed, in pixels, has every word of the picture, and the digest of the text that it was made from."""
    text = dot(drawn)
    svg = svg_of(text)
    assert marked_digest(svg) == digest_of(text)
    root = ElementTree.fromstring(svg)  # noqa: S314 made by ourselves
    assert root.get("width", "").endswith("px")
    shown = {(element.text or "").replace("\xa0", " ").strip() for element in root.iter() if element.tag.endswith("}text")}
    assert {span.text.strip() for card in drawn.cards for line in card.lines for span in line} - {""} <= shown


@needs_dot
@pytest.mark.parametrize("drawn", DRAWINGS.values(), ids=DRAWINGS)
def test_curves_are_drawn_as_they_were_laid_out(drawn: Drawing) -> None:
    """Graphviz finds no ways of its own: every curve without an arrow has the extent that it was given."""
    root = ElementTree.fromstring(svg_of(dot(drawn)))  # noqa: S314 made by ourselves
    shown = []
    for edge in (element for element in root.iter() if element.get("class") == "edge"):
        numbers = [[float(n) for n in re.findall(r"-?[0-9.]+", part.get("d", ""))] for part in edge if part.get("d")]
        shown += [(abs(n[-2] - n[0]), abs(n[-1] - n[1])) for n in numbers]
    for points in (curve.points for curve in drawn.curves if not curve.arrow):
        extent = abs(points[-1][0] - points[0][0]), abs(points[-1][1] - points[0][1])
        assert any(extent == pytest.approx(found, abs=0.3) for found in shown)


@needs_dot
def test_svg_does_not_name_the_program() -> None:
    """The version of Graphviz is not in the file, so that it changes only with the picture."""
    assert "graphviz" not in svg_of("digraph { A [pos=\"1,1\"] }").lower()


def test_without_dot_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is no `dot` program the error names the package."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(KernelError) as caught:
        svg_of("digraph {}")
    assert "apt install graphviz" in str(caught.value)
    assert "not on the PATH" in str(caught.value)


@needs_dot
def test_what_dot_cannot_read_is_an_error() -> None:
    """Text that is not DOT is an error that quotes the program."""
    with pytest.raises(KernelError, match="syntax error"):
        svg_of("digraph {")


def test_a_file_without_digest_has_none() -> None:
    """Only the mark that we write is a digest."""
    assert marked_digest("<svg/>") == marked_digest("<!-- DOT sha256: 12 -->") == ""
