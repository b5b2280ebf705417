"""`python -m kernel.render` writes, says what it wrote, and what it could not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kernel.render.__main__ import USAGE, main
from tests.render.test_svg import needs_dot


@needs_dot
def test_diagrams_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each file that is written is named."""
    assert main(["diagrams", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(list(tmp_path.iterdir())) == 12


def test_skipped_files_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `dot` the exit code is 1 and the reason is told; the folder defaults to that of the same name."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    assert main(["diagrams"]) == 1
    assert "apt install graphviz" in capsys.readouterr().err
    assert (tmp_path / "diagrams" / "task.dot").exists()


def test_specs_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The pages of a folder get their parts."""
    shutil.copy(Path(__file__).parents[2] / "specs" / "task.md", tmp_path)
    page = tmp_path / "task.md"
    page.write_text(page.read_text().replace("`POLL`", "gone"))
    assert main(["specs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"wrote {page}\n"
    assert "`POLL`" in page.read_text()


@pytest.mark.parametrize("arguments", [[], ["pictures"], ["specs", "a", "b"]])
def test_wrong_arguments_get_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Anything else is answered with the usage and exit code 2."""
    assert main(arguments) == 2
    assert capsys.readouterr().err == USAGE
