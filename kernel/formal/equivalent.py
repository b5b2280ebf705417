"""Mutants that change nothing: a prover shows that every step that differs on paper leads where it led, in trees of any size.

Each command and each rule that is another text under the mutant is written out twice, from the same world, in which the
invariants hold. Enabled in the same worlds, and equal in every field of every row: then what commits make is the same, too.
Of rules in another order it is shown that they are never enabled at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

from attrs import evolve, frozen

from kernel.formal.proof import Obligation, Proof
from kernel.formal.shape import without_notices, without_spawning
from kernel.formal.smt import Smt, World, joined
from kernel.formal.smt_follow import Following
from kernel.spec.language import Property, Spec, Step
from kernel.spec.lemmas import SPARE


@frozen
class Facts:
    """What follows from the tables and no invariant needs. It is shown by the same induction over the steps as they are."""

    lemmas: Sequence[Property] = ()
    lone: Sequence[str] = ()
    """Of these rules, on rows of one kind, one is enabled at a time, and on one row."""
    apart: Sequence[tuple[str, str]] = ()
    """These are never enabled at once."""


HANDS = ("HAND_COMPLETED", "HAND_FAILED", "HAND_TIMED_OUT", "HAND_TERMINATED")
FACTS = Facts(SPARE, HANDS, (("HAND_TERMINATED", "ASKED_COMPLETED"),))
"""Those of the law."""


class Known(Proof):
    """The proof of facts: what is known of every world are the invariants, the lemmas, and the facts."""

    def __init__(self, spec: Spec, facts: Facts) -> None:
        """Rules that facts are about are enabled nowhere at rest, nor where a later rule is taken."""
        super().__init__(evolve(spec, lemmas=(*spec.lemmas, *facts.lemmas)))
        self.rules = {rule.name: rule for rule in self.spec.progress}
        self.lone, self.apart = [self.rules[name] for name in facts.lone], facts.apart
        told = {*facts.lone, *(name for pair in facts.apart for name in pair)}
        self.plain = [rule for rule in self.spec.progress if rule in self.plain or rule.name in told]
        self.first = [rule for rule in self.spec.progress if rule in self.first or rule.name in told]
        self.facts = {*(lemma.id for lemma in facts.lemmas), *(name for name, _ in self.meetings(World()))}

    def known(self, world: World) -> list[str]:
        """And that some rules are not enabled at once."""
        return [*super().known(world), *(text for _, text in self.meetings(world))]

    def shown(self, world: World) -> list[tuple[str, str]]:
        """The facts, among all else."""
        return [*super().shown(world), *self.meetings(world)]

    def earlier(self, rule: Step) -> list[Step]:
        """Those before it."""
        order = self.spec.progress
        return [first for first in self.first if order.index(first) < order.index(rule)]

    def obligations(self) -> Iterator[Obligation]:
        """Of the facts alone."""
        for obligation in super().obligations():
            goals = tuple(goal for goal in obligation.goals if goal[0] in self.facts)
            if goals:
                yield evolve(obligation, goals=goals)

    def meetings(self, world: World) -> Iterator[tuple[str, str]]:
        """That rules are not enabled at once."""
        if self.lone:
            x, y = (joined("or", [self.smt.guard(rule, row, world) for rule in self.lone]) for row in "xy")
            on = self.lone[0].on
            yield "one at a time", f"(forall ((x {on}) (y {on})) (=> (and {x} {y}) (= x y)))"
        for one, other in self.apart:
            yield f"{one} meets {other}", self.never(self.rules[one], self.rules[other], world)

    def never(self, one: Step, other: Step, world: World) -> str:
        """That two rules are not enabled at once."""
        both = f"(and {self.smt.guard(one, 'x', world)} {self.smt.guard(other, 'y', world)})"
        return f"(forall ((x {one.on}) (y {other.on})) (not {both}))"


class Equivalence:
    """What has to be shown for a mutant of a specification to do the same."""

    def __init__(self, spec: Spec, facts: Facts | None = None) -> None:
        """The hypotheses are those of the proof of the specification, and what facts say."""
        self.proof = Known(spec, facts or Facts())
        self.spec = self.proof.spec

    def obligations(self, mutant: Spec) -> Iterator[Obligation] | None:
        """One for each step that is another text; None where the mutant cannot be told step by step.

        That is so where it has other steps, or where it changes what they bring with them, down the tree. What is spawned and
        what notices tell is not looked at: a mutant of it alone has no step that is another text.
        """
        mutated = without_spawning(without_notices(mutant) if "notices" in mutant.links else mutant)
        if any(sorted(_names(here)) != sorted(_names(there)) for here, there in
               ((self.spec.commands, mutated.commands), (self.spec.progress, mutated.progress))):
            return None
        if any(self.brought(self.spec, c) != self.brought(mutated, mutated.command(c.name)) for c in self.spec.commands):
            return None
        return self._obligations(mutated)

    def brought(self, spec: Spec, step: Step) -> list[str]:
        """What follows from a step."""
        if not any((f.kind, f.event) == (step.on, fire.event) for f in spec.follows for fire in step.do):
            return []
        smt = Smt(spec)
        return [*Following(smt, step, smt.step(step)[1]).definitions()]

    def _obligations(self, mutant: Spec) -> Iterator[Obligation]:
        theirs = {step.name: step for step in (*mutant.commands, *mutant.progress)}
        for step in self.spec.commands:
            if step.do:
                yield from self.step(mutant, step, theirs[step.name], at_rest=True)
        order, rules = _names(mutant.progress), self.spec.progress
        for place, rule in enumerate(rules):
            yield from self.step(mutant, rule, theirs[rule.name], before=rules[:place])
        for one, other in combinations(rules, 2):
            if order.index(other.name) < order.index(one.name):
                yield from self.swapped(one, other)

    def swapped(self, one: Step, other: Step) -> Iterator[Obligation]:
        """That two rules are not enabled at once, where none before the first one is."""
        proof, rules = self.proof, self.spec.progress
        off = [proof.off(rule) for rule in rules[:rules.index(one)]]
        hypotheses = (*proof.theory(), *proof.assertions([*proof.known(World()), *off]))
        goal = f"{one.name} meets {other.name}", proof.never(one, other, World())
        yield Obligation(f"{one.name} behind {other.name}", hypotheses, (goal,), tuple(self.spec.kinds))

    def step(
        self, mutant: Spec, step: Step, other: Step, *, at_rest: bool = False, before: Sequence[Step] = ()
    ) -> Iterator[Obligation]:
        """That a step is enabled where the mutant's is, and leads to the same world; nothing, where both are one text."""
        mine, theirs = Smt(self.spec), Smt(mutant)
        guards = mine.guard(step, "me", World()), theirs.guard(other, "me", World())
        (here, world), (there, mutated) = mine.step(step), theirs.step(other)
        if (guards[0], here) == (guards[1], there):
            return
        proof = self.proof
        known = proof.known(World())
        known += [proof.off(rule) for rule in before if rule in proof.plain or rule.on == step.on]
        if at_rest:
            known += [*proof.holding(proof.rest, World()), *(proof.off(rule) for rule in proof.plain)]
        hypotheses = [*proof.theory(), f"(declare-const me {step.on})", *proof.presented(step), *proof.assertions(known), *here,
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
