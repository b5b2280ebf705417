"""Mutants that change nothing: a prover shows that every step that differs on paper leads where it led, in trees of any size.

Each command and each rule that is another text under the mutant is written out twice, from the same world, in which the
invariants hold. Enabled in the same worlds, and equal in every field of every row: then what commits make is the same, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernel.formal.proof import PARAMS, Obligation, Proof
from kernel.formal.shape import Shape, fitting
from kernel.formal.smt import Smt, World
from kernel.spec.language import Fire, Row, Spec, Step


class Equivalence:
    """What has to be shown for a mutant of a specification to do the same."""

    def __init__(self, spec: Spec) -> None:
        """The hypotheses are those of the proof of the specification."""
        self.spec, self.base, self.proof = spec, fitting(spec, Shape(())), Proof(spec)
        self.beyond = _beyond(spec)

    def obligations(self, mutant: Spec) -> Iterator[Obligation] | None:
        """One for each step that is another text; None where the mutant cannot be told step by step.

        That is so where it has other steps, or where it changes what is not asked for here: what begins a run, or removes one.
        """
        if any(_names(here) != _names(there) for here, there in
               ((self.spec.commands, mutant.commands), (self.spec.progress, mutant.progress))):
            return None
        if mutant.follows != self.spec.follows or self.beyond & {(kind, row.event) for kind, row in _edited(self.spec, mutant)}:
            return None
        return self._obligations(fitting(mutant, Shape(())))

    def _obligations(self, mutant: Spec) -> Iterator[Obligation]:
        spec = self.base
        for step, other in zip(spec.commands, mutant.commands, strict=True):
            if step.do:
                yield from self.step(mutant, step, other, at_rest=True)
        for place, (rule, other) in enumerate(zip(spec.progress, mutant.progress, strict=True)):
            yield from self.step(mutant, rule, other, before=spec.progress[:place])

    def step(
        self, mutant: Spec, step: Step, other: Step, *, at_rest: bool = False, before: tuple[Step, ...] = ()
    ) -> Iterator[Obligation]:
        """That a step is enabled where the mutant's is, and leads to the same world; nothing, where both are one text."""
        mine, theirs = Smt(self.base), Smt(mutant)
        guards = mine.guard(step, "me", World()), theirs.guard(other, "me", World())
        (here, world), (there, mutated) = mine.step(step), theirs.step(other)
        if (guards[0], here) == (guards[1], there):
            return
        proof = self.proof
        known = proof.holding(proof.mid, World())
        known += [proof.off(rule) for rule in before if rule in proof.plain or rule.on == step.on]
        if at_rest:
            known += [*proof.holding(proof.rest, World()), *(proof.off(rule) for rule in proof.plain)]
        if "origin" in step.params:
            known.append("(= p.origin (workflow_id me))")
        named = [f"(declare-const p.{name} {PARAMS.get(name, 'Int')})" for name in step.params]
        hypotheses = [*proof.theory(), f"(declare-const me {step.on})", *named, *proof.assertions(known), *here,
                      *map(_renamed, there)]
        same = [("enabled", f"(= {guards[0]} {guards[1]})")]
        for kind, name in sorted(mine.stored):
            one, two = world.suffix(kind, name), _renamed(mutated.suffix(kind, name))
            if one or two:
                both = f"(= ({kind}_{name}{one} x) ({kind}_{name}{two} x))"
                same.append((f"{kind} {name}", f"(=> {guards[0]} (forall ((x {kind})) {both}))"))
        yield Obligation(step.name, tuple(hypotheses), tuple(same), tuple(proof.spec.kinds))


def _renamed(text: str) -> str:
    """A definition of the mutant's worlds."""
    return re.sub(r"@(\d)", r"@m\1", text)


def _names(steps: tuple[Step, ...]) -> list[str]:
    return [step.name for step in steps]


def _edited(spec: Spec, mutant: Spec) -> Iterator[tuple[str, Row]]:
    """The rows that only one of two specifications has."""
    for kind, table in spec.tables.items():
        rows, others = table.rows, mutant.tables[kind].rows
        yield from ((kind, row) for row in (*rows, *others) if (row in rows) != (row in others))


def _beyond(spec: Spec) -> set[tuple[str, str]]:
    """The events, by kind, that the proof is not about: those of the commands that it leaves out, and what these bring."""
    kept = {command.name for command in fitting(spec, Shape(())).commands}
    line: list[tuple[str, Fire]] = [(step.on, fire) for step in spec.commands if step.name not in kept for fire in step.do]
    found = set[tuple[str, str]]()
    for on, fire in line:  # grows while it is walked
        kind = on if fire.at == "self" else spec.links[fire.at].target
        if (kind, fire.event) not in found:
            found.add((kind, fire.event))
            line += [(kind, more) for follow in spec.follows if (follow.kind, follow.event) == (kind, fire.event)
                     for more in follow.do]
    return found

