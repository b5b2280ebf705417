"""Pictures and generated parts are written as a whole, or the reason is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.errors import InvalidInput
from kernel.render import Written, write_diagrams, write_specs
from kernel.render.svg import digest_of, marked_digest
from kernel.render.write import diagrams, filled
from tests.render.test_svg import needs_dot

NAMES = ["cascade", "delivery", "task", "workflow"]
PARTS = {"one": lambda: "| 1 |", "two": lambda: "| 2 |"}


@needs_dot
def test_diagrams_are_written(tmp_path: Path) -> None:
    """One picture for each lifecycle and one for the cascade, as DOT, Mermaid and SVG; writing again changes nothing."""
    written = write_diagrams(tmp_path / "new" / "folder")
    assert [path.name for path in written.paths] == [f"{n}.{end}" for n in NAMES for end in ("dot", "mmd", "svg")]
    assert written.skipped == ()
    before = {path: path.read_bytes() for path in written.paths}
    assert write_diagrams(tmp_path / "new" / "folder") == written
    assert {path: path.read_bytes() for path in written.paths} == before
    for path in written.paths:
        if path.suffix == ".svg":
            assert marked_digest(path.read_text()) == digest_of(path.with_suffix(".dot").read_text())


def test_without_dot_the_texts_are_still_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the `dot` program DOT and Mermaid are there, no SVG is, and each SVG says what to install."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    written = write_diagrams(tmp_path / "out")
    assert {path.suffix for path in written.paths} == {".dot", ".mmd"}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(diagrams())
    assert [path.name for path, _ in written.skipped] == ["workflow.svg", "task.svg", "delivery.svg", "cascade.svg"]
    assert all("apt install graphviz" in why for _, why in written.skipped)


def test_only_generated_parts_are_replaced() -> None:
    """What stands between the marks is written anew, everything else stays to the letter."""
    page = "a\n<!-- generated: one -->\nold\n<!-- end -->\nb <b>\n<!-- generated: two -->\n<!-- end -->\n\nc"
    expected = (
        "a\n<!-- generated: one -->\n\n| 1 |\n\n<!-- end -->\nb <b>\n<!-- generated: two -->\n\n| 2 |\n\n<!-- end -->\n\nc"
    )
    assert filled(page, PARTS, name="page") == expected
    assert filled(expected, PARTS, name="page") == expected
    assert filled("no parts", PARTS, name="page") == "no parts"


BROKEN = [
    "<!-- generated: one -->\nno end",
    "<!-- end -->\n",
    "<!-- generated: one -->\n<!-- generated: two -->\n<!-- end -->\n",
    "<!-- generated: one -->\n<!-- end -->\n<!-- end -->\n",
    "<!-- end -->\n<!-- generated: one -->\n<!-- end -->\n<!-- generated: two -->",
]


@pytest.mark.parametrize("page", BROKEN)
def test_marks_come_in_pairs(page: str) -> None:
    """A mark without its counterpart is an error, not a part that silently goes stale."""
    with pytest.raises(InvalidInput, match="mark"):
        filled(page, PARTS, name="page")


def test_unknown_part_is_named() -> None:
    """A part that nobody can write is an error that lists those that exist."""
    with pytest.raises(InvalidInput) as caught:
        filled("<!-- generated: three -->\n<!-- end -->", PARTS, name="page.md")
    assert "page.md" in str(caught.value)
    assert caught.value.allowed == ("one", "two")


def test_pages_are_written_where_they_changed(tmp_path: Path) -> None:
    """Only pages whose parts changed are written; a page with an error leaves all of them as they were."""
    page, still = tmp_path / "a.md", tmp_path / "b.md"
    page.write_text("# A\n<!-- generated: totals -->\nold\n<!-- end -->\n")
    still.write_text("# B\n")
    assert write_specs(tmp_path) == Written((page,))
    assert "| lifecycle |" in page.read_text()
    assert write_specs(tmp_path) == Written(())
    page.write_text("# A\n<!-- generated: totals -->\nold\n<!-- end -->\n")
    still.write_text("<!-- generated: unknown -->\n<!-- end -->\n")
    with pytest.raises(InvalidInput):
        write_specs(tmp_path)
    assert "old" in page.read_text()
