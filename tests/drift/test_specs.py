"""The pages in `specs/` say what the law says, and what they point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kernel.render.tables import PARTS
from kernel.render.write import PART, filled
from kernel.spec import SPEC

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "specs"
PAGES = sorted(FOLDER.rglob("*.md"))
ANEW = "the page does not say what the specification says: run `make specs` and look at the difference"
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(FOLDER)))


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page, as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.name != "evidence"], ids=lambda page: str(page.relative_to(FOLDER)))
def test_generated_parts_are_those_of_the_law(page: Path) -> None:
    """Every generated part is byte for byte what the specification gives."""
    text = page.read_text(encoding="utf-8")
    assert text == filled(text, PARTS, name=page.name), ANEW


def test_every_part_is_on_a_page() -> None:
    """No part of the law is left out: each stands on exactly one page."""
    pages = [page for page in PAGES if page.parent.name != "evidence"]
    shown = [found["name"] for page in pages for found in PART.finditer(page.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(PARTS)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file or a heading finds it; what is on the web is not asked for."""
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if path.startswith("https://"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), path
        assert not anchor or anchor in anchors(target), f"{path}#{anchor}"


def guarantees() -> list[list[str]]:
    """The rows of the table of guarantees: guarantee, invariant, how it is known, where."""
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = text.partition("| guarantee |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_invariant_is_a_guarantee() -> None:
    """The first page has every invariant, and says of each row how it is known, in the words that it explains."""
    assert {row[1] for row in guarantees()} - {""} == {prop.id for prop in SPEC.properties}
    words = re.compile(r"\b(checked|proved|explored|tested|audited|verified|assumed)\b")
    assert [row for row in guarantees() if not words.search(row[2])] == []
    assert [row for row in guarantees() if not row[3] and "assumed" not in row[2]] == []


@pytest.mark.parametrize("row", guarantees(), ids=lambda row: row[0][:40])
def test_what_shows_a_guarantee_is_there(row: list[str]) -> None:
    """A file that a guarantee names exists; a folder of tests that it names has tests."""
    for name in re.findall(r"`([^`]+)`", row[3]):
        path = ROOT / name
        assert path.exists(), name
        assert path.is_file() or not name.startswith("tests/") or list(path.rglob("test_*.py")), f"{name} has no tests"


def test_decisions_are_numbered() -> None:
    """Decisions are numbered without a gap, and each says its context, what was decided, and why."""
    pages = sorted((FOLDER / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{number:04}" for number in range(1, len(pages) + 1)]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE) == ["Context", "Decision", "Why"]
