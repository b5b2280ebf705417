"""All exhibits, and the table that tells of them: specs/evidence/zoo.md, written by `python -m tests.zoo.house`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kernel.testing.stores import MemoryStores
from tests.zoo import keeping, latent, racing, removing, reopening, stopping, telling, terminating, timing
from tests.zoo.stand import Exhibit, on_stage

HALLS = (keeping, latent, racing, removing, reopening, stopping, telling, terminating, timing)
EXHIBITS: tuple[Exhibit, ...] = tuple(sorted(
    (exhibit for hall in HALLS for exhibit in hall.EXHIBITS), key=lambda exhibit: exhibit.id))
PAGE = Path(__file__).parents[2] / "specs" / "evidence" / "zoo.md"
READ = "nowhere: read in the code of conductor-oss/conductor"
HEAD = """# The bug zoo

Real bugs of real engines. Each is a scenario in `tests/zoo/` that is played, fault included, on the memory store and on SQLite:
on the kernel it passes. Then it is played on a kernel in which the bug was planted, and the same checks must fail. The last
column is what they said then, on the memory store. Where a bug is of something that the kernel does not have, the nearest thing
that it has stands for it, and a remark says so. `python -m tests.zoo.house` writes this page; the suite compares it.

| bug | reported as | what it was | test | planted | what the plant did |
|---|---|---|---|---|---|
"""


def link(issue: str) -> str:
    """An issue as a link."""
    repository, _, number = issue.partition("#")
    return f"[{issue}](https://github.com/{repository}/issues/{number})"


def failure(exhibit: Exhibit) -> str:
    """What the checks say of the planted kernel, on the memory store."""
    with on_stage(MemoryStores(), exhibit.plant) as stage:
        try:
            exhibit.scenario(stage)
        except AssertionError as error:
            return str(error)
    return "nothing"


def rows() -> Iterator[str]:
    """The rows of the table."""
    for exhibit in EXHIBITS:
        reported = ", ".join(map(link, exhibit.links)) or READ
        was = f"{exhibit.was} *{exhibit.remark}*" if exhibit.remark else exhibit.was
        cells = (exhibit.id, reported, was, f"`{exhibit.scenario.__name__}`", exhibit.says, failure(exhibit))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(rows()) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
