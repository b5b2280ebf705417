"""The pictures in `diagrams/` are those of the law."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.render.svg import digest_of, marked_digest
from kernel.render.write import diagrams

FOLDER = Path(__file__).parents[2] / "diagrams"
ANEW = "the pictures are not those of the specification: run `make diagrams` and look at the difference"
TEXTS = diagrams()


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_that_of_the_law(name: str) -> None:
    """DOT and Mermaid are byte for byte what the specification gives."""
    assert (FOLDER / name).read_bytes() == TEXTS[name].encode(), ANEW


@pytest.mark.parametrize("name", [name for name in TEXTS if name.endswith(".dot")])
def test_svg_was_drawn_from_its_dot(name: str) -> None:
    """Each SVG carries the digest of the DOT beside it."""
    svg = (FOLDER / name).with_suffix(".svg").read_text(encoding="utf-8")
    assert marked_digest(svg) == digest_of(TEXTS[name]), ANEW


def test_nothing_else_is_there() -> None:
    """No picture stays behind when its lifecycle is gone."""
    expected = {*TEXTS, *(name.replace(".dot", ".svg") for name in TEXTS)}
    assert {path.name for path in FOLDER.iterdir()} == expected, ANEW
