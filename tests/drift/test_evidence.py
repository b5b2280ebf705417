"""The evidence in `specs/evidence/` and the models in `specs/models/` are those of today. Run as a module, it writes them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from kernel.formal.configurations import LARGE, SHOWN, SMALL
from kernel.formal.engines import models
from kernel.formal.proof import Proof
from kernel.render.write import PART
from kernel.spec import SPEC
from tests.conformance.cases import PINNED
from tests.formal.test_engines import COUNTS, VAST_COUNTS
from tests.formal.test_provers import NEEDED

ROOT = Path(__file__).parents[2]
EVIDENCE, MODELS = ROOT / "specs" / "evidence", ROOT / "specs" / "models"
ANEW = "it is not what the specification gives: run `make specs` and look at the difference"


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """A table in Markdown."""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def obligations() -> str:
    """How many goals each step has."""
    found = list(Proof(SPEC).obligations())
    rows: list[tuple[object, ...]] = [(o.name, len(o.goals)) for o in found]
    return table(("step", "goals"), [*rows, ("all", sum(len(o.goals) for o in found))])


def lemmas() -> str:
    """The auxiliary invariants."""
    needed = {lemma: f"{goal} ({step})" for lemma, (step, goal) in NEEDED.items()}
    return table(("lemma", "of every", "what it says", "without it"), [(p.id, p.on, p.text, needed[p.id]) for p in SPEC.lemmas])


def counts() -> str:
    """What the engines see of each shape: they agree on it, which is tested for each of them."""
    rows: list[tuple[object, ...]] = []
    for config in (*SMALL, *LARGE):
        states, transitions = COUNTS[config.name]
        engines = "Python, Spin" if config in LARGE else "Python, Spin, TLC"
        rows.append((config.name, f"{states:,}", f"{transitions:,}", engines))
    rows += [(name, f"{states:,}", f"{transitions:,}", "Python") for name, (states, transitions) in VAST_COUNTS.items()]
    return table(("shape", "states", "transitions", "seen by"), rows)


def driven() -> str:
    """What the kernel is driven through; the test that drives it compares it with what it sees."""
    rows: list[tuple[object, ...]] = [(name, *(f"{count:,}" for count in counts)) for name, counts in PINNED.items()]
    every = [f"{sum(column):,}" for column in zip(*PINNED.values(), strict=True)]
    return table(("shape", "states", "transitions made, on each store", "refused or a no-op, on each store"),
                 [*rows, ("all", *every)])


def pages() -> Mapping[str, Mapping[str, str]]:
    """The generated parts of each page."""
    return {"proof.md": {"obligations": obligations(), "lemmas": lemmas()}, "models.md": {"counts": counts()},
            "conformance.md": {"driven": driven()}}


def filled(text: str, parts: Mapping[str, str]) -> str:
    """A page with its generated parts."""
    return PART.sub(lambda found: f"<!-- generated: {found['name']} -->\n\n{parts[found['name']]}\n\n<!-- end -->", text)


def shown() -> dict[str, str]:
    """The models that are shown, by file."""
    every = {config.name: config for config in SMALL}
    return {name: text for shape in SHOWN for name, text in models(SPEC, every[shape]).items()}


def test_pages() -> None:
    """Counts, goals and lemmas are those of today."""
    for name, parts in pages().items():
        text = (EVIDENCE / name).read_text(encoding="utf-8")
        assert text == filled(text, parts), f"specs/evidence/{name}: {ANEW}"
        assert {found["name"] for found in PART.finditer(text)} == set(parts)


def test_models() -> None:
    """Every model that is shown is byte for byte what the tables give, and there is no other."""
    wanted = shown()
    assert {path.name for path in MODELS.iterdir()} == set(wanted)
    for name, text in wanted.items():
        assert (MODELS / name).read_text(encoding="utf-8") == text, f"specs/models/{name}: {ANEW}"


def write() -> None:
    """Write pages and models anew."""
    for name, parts in pages().items():
        path = EVIDENCE / name
        path.write_text(filled(path.read_text(encoding="utf-8"), parts), encoding="utf-8")
    MODELS.mkdir(exist_ok=True)
    for path in MODELS.iterdir():
        path.unlink()
    for name, text in shown().items():
        (MODELS / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(pages())} pages and {len(shown())} models\n")


if __name__ == "__main__":
    write()
