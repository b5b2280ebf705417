"""Writes the pictures, and the generated parts of the pages that read the law aloud."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import frozen

from kernel.errors import InvalidInput, KernelError
from kernel.render import cascade_layout, layout, mermaid
from kernel.render.cascade import cascade
from kernel.render.dot import dot
from kernel.render.extract import picture
from kernel.render.svg import svg_of
from kernel.render.tables import PARTS
from kernel.spec import SPEC, Lifecycle, Spec

PART = re.compile(r"(<!-- generated: (?P<name>[^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
MARKS = re.compile(r"<!-- (?:(generated: )[^>]*|end) -->")


@frozen
class Written:
    """The files that were written, and those that were not, each with the reason."""

    paths: tuple[Path, ...]
    skipped: tuple[tuple[Path, str], ...] = ()


def diagrams(spec: Spec = SPEC) -> Mapping[str, str]:
    """The text of every picture, by file name: one for each lifecycle and one for the cascade, in DOT and Mermaid."""
    texts = {}
    for table in spec.tables.values():
        drawn = picture(spec, Lifecycle(table))
        texts[f"{drawn.name}.dot"] = dot(layout.lay_out(drawn))
        texts[f"{drawn.name}.mmd"] = mermaid.lifecycle(drawn)
    reach = cascade(spec)
    return {**texts, "cascade.dot": dot(cascade_layout.lay_out(reach)), "cascade.mmd": mermaid.cascade(reach)}


def write_text(path: Path, text: str) -> Path:
    """Write a file with the same bytes on every system."""
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def write_diagrams(folder: Path, spec: Spec = SPEC) -> Written:
    """Write every picture as DOT, Mermaid and SVG. Without the `dot` program the SVG files are skipped, and said so."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = diagrams(spec)
    paths = [write_text(folder / name, text) for name, text in texts.items()]
    skipped = []
    for name, text in texts.items():
        if name.endswith(".dot"):
            path = folder / name.replace(".dot", ".svg")
            try:
                paths.append(write_text(path, svg_of(text)))
            except KernelError as error:
                skipped.append((path, str(error)))
    return Written(tuple(sorted(paths)), tuple(skipped))


def filled(page: str, parts: Mapping[str, Callable[[], str]], *, name: str) -> str:
    """A page with its generated parts written anew; `name` is how errors call it.

    Raises InvalidInput for a part that is not known, and for a mark without its counterpart.
    """

    def write(found: re.Match[str]) -> str:
        part = found["name"]
        if part not in parts:
            raise InvalidInput(asked, why=f"no part is called {part!r}", allowed=tuple(parts))
        return f"{found[1]}\n{parts[part]()}\n\n{found[3]}"

    asked = f"write the generated parts of {name}"
    if [bool(mark) for mark in MARKS.findall(page)] != [True, False] * len(PART.findall(page)):
        raise InvalidInput(asked, why="a `generated` mark has no `end`, or an `end` no `generated`")
    return PART.sub(write, page)


def write_specs(folder: Path) -> Written:
    """Write the parts of the pages in a folder that stand between `<!-- generated: NAME -->` and `<!-- end -->`."""
    pages = {path: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.md"))}
    texts = {path: filled(page, PARTS, name=path.name) for path, page in pages.items()}
    return Written(tuple(write_text(path, text) for path, text in texts.items() if text != pages[path]))
