"""The evidence about mutants and witnesses: `specs/evidence/mutants.md` and `witnesses.md`.

`python -m tests.formal.judged` tries every mutant and writes both pages, in a quarter of an hour; with the argument `new` it
keeps what the page says of the mutants that are on it.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import frozen

from kernel.formal.equivalent import FACTS, Equivalence
from kernel.formal.mutants import Mutant, mutants
from kernel.formal.proof import Obligation
from kernel.formal.provers import prove_z3
from kernel.formal.trial import Verdict, tried
from kernel.formal.witness import Witness, witnesses
from kernel.spec import SPEC
from kernel.spec.language import YES, Nature
from tests.drift.test_evidence import EVIDENCE, filled, table
from tests.formal.scenes import stages

MUTANTS, WITNESSES = EVIDENCE / "mutants.md", EVIDENCE / "witnesses.md"
OPEN = "nothing"
SAME = "z3"
LATER = {"AUX-14": "delivery CREATE ABSENT -> PENDING (asked for): without the guard 'asked for'"}
"""Invariants that are broken only behind steps that break nothing, by which mutant."""
BEYOND_TEXT = "it is about spawning, notices or what re-opening brings with it, of which z3 is not asked"


@frozen
class Judged:
    """One row of the page: a mutant, what notices it, and the shortest way there."""

    mutant: str
    noticed: str
    way: str

    @property
    def broken(self) -> list[str]:
        """The invariants that it breaks first."""
        return re.findall(r"(?:INV|AUX)-\d\d", self.noticed)

    @property
    def sort(self) -> str:
        """How it was judged."""
        first = self.noticed.partition(" ")[0]
        return first if first in (OPEN, SAME, "static") else "step" if not self.broken else "invariant"


def judged(mutant: Mutant) -> Judged:
    """What notices a mutant; where nothing does, whether it is proved to change nothing."""
    verdict = tried(mutant, stages())
    if verdict.killed:
        return row_of(verdict)
    goals, left = asked(Equivalence(SPEC, FACTS).obligations(mutant.spec) or ())
    if not goals:
        return Judged(mutant.name, OPEN, BEYOND_TEXT)
    if left:
        return Judged(mutant.name, OPEN, f"not proved: {'; '.join(left)}")
    return Judged(mutant.name, f"{SAME} proves that it changes nothing, {goals} goals", "")


def asked(obligations: Iterable[Obligation]) -> tuple[int, list[str]]:
    """How many goals z3 is asked for, and what it does not prove."""
    proved = [(obligation.name, prove_z3(obligation)) for obligation in obligations]
    left = [f"{name}, {goal.partition(':')[0]}" for name, verdict in proved for goal in verdict.open]
    return sum(verdict.goals for _, verdict in proved), left


def row_of(verdict: Verdict) -> Judged:
    """A mutant that was noticed."""
    name = verdict.static.partition(":")[0]
    static = f"; static check `{name}`" if name else ""
    if verdict.broken:
        broken = ", ".join(verdict.broken)
        return Judged(verdict.mutant, f"{broken} on `{verdict.stage}`{static}", way(verdict.way))
    if verdict.trace:
        return Judged(verdict.mutant, f"another step on `{verdict.stage}`{static}", way(verdict.trace))
    return Judged(verdict.mutant, f"static check `{name}`", verdict.static.partition(": ")[2])


def way(trace: Iterable[str]) -> str:
    """Commands, one after the other."""
    return " · ".join(trace)


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def summary(rows: Sequence[Judged]) -> str:
    """How many there are of each sort."""
    counts = Counter(row.sort for row in rows)
    says = {
        "invariant": "break an invariant", "step": "take another step, and break no invariant that was looked at",
        "static": "do not pass a static check, and take no other step on these stages",
        SAME: "change nothing, z3 proves", OPEN: "are not judged"}
    found: list[tuple[object, ...]] = [(f"{counts[sort]:,}", words) for sort, words in says.items()]
    return table(("mutants", ""), [*found, (f"{len(rows):,}", "all")])


def properties(rows: Sequence[Judged]) -> str:
    """Each invariant and lemma with the mutant that breaks it by the shortest way."""
    found: list[tuple[object, ...]] = []
    for name in invariants():
        breaking = [row for row in rows if name in row.broken]
        if breaking:
            best = min(breaking, key=lambda row: (row.way.count("·"), rows.index(row)))
            found.append((name, f"{len(breaking):,}", cell(best.mutant), cell(best.way)))
        else:
            found.append((name, "0", LATER.get(name, ""), "behind others that break nothing" if name in LATER else ""))
    return table(("invariant", "mutants that break it first", "one of them", "the way"), found)


def facts() -> str:
    """What z3 takes for known besides the invariants, after it has proved it."""
    found = [f"- of every {lemma.on}: {lemma.text}" for lemma in FACTS.lemmas]
    found += [f"- Of the rules {', '.join(FACTS.lone)} one is enabled at a time, on one row."]
    return "\n".join([*found, *(f"- {one} and {other} are never enabled at once." for one, other in FACTS.apart)])


def invariants() -> list[str]:
    """The invariants and lemmas that an expression states."""
    return list(dict.fromkeys(p.id for p in (*SPEC.properties, *SPEC.lemmas)
                              if p.nature is not Nature.ENVIRONMENT and p.body != YES))


def mutants_page(rows: Sequence[Judged]) -> Mapping[str, str]:
    """The generated parts."""
    every: list[tuple[object, ...]] = [(cell(r.mutant), cell(r.noticed), cell(r.way)) for r in rows]
    left = [f"- {cell(r.mutant)}: {cell(r.way)}" for r in rows if r.sort == OPEN]
    return {"summary": summary(rows), "facts": facts(), "properties": properties(rows), "open": "\n".join(left) or "None.",
            "mutants": table(("mutant", "noticed by", "the shortest way"), every)}


def witnesses_page(found: Sequence[Witness]) -> Mapping[str, str]:
    """The generated parts."""
    rows: list[tuple[object, ...]] = [
        (w.what, cell(w.says), f"`{w.stage}`" if w.stage else "", cell(way(w.trace))) for w in found]
    return {"witnesses": table(("", "declared", "stage", "the shortest way"), rows)}


def shown() -> dict[str, Judged]:
    """What the page says of each mutant."""
    text = MUTANTS.read_text(encoding="utf-8").partition("<!-- generated: mutants -->")[2]
    rows = [line[2:-2].split(" | ") for line in text.splitlines() if line.startswith("| ")][2:]
    return {name: Judged(name, noticed, way) for name, noticed, way in rows}


def main() -> None:
    """Write both pages. Raises ValueError where a fact does not follow."""
    _, left = asked(Equivalence(SPEC, FACTS).proof.obligations())
    if left:
        raise ValueError("; ".join(left))
    known = shown() if sys.argv[1:] == ["new"] else {}
    for path, parts in ((WITNESSES, witnesses_page([*witnesses(SPEC, stages())])),
                        (MUTANTS, mutants_page([known.get(cell(mutant.name)) or judged(mutant) for mutant in mutants(SPEC)]))):
        path.write_text(filled(path.read_text(encoding="utf-8"), parts), encoding="utf-8")


if __name__ == "__main__":
    main()
