"""Trials of mutants: what notices a small edit of the tables, and by which shortest way.

Three things may: a static check, which names the row; a step that is another one than that of the specification, with the
commands that lead there; and an invariant that this step, or one soon after it, breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve, frozen

from kernel.formal.explore import Request
from kernel.formal.mutants import Mutant
from kernel.formal.oracle import Stuck
from kernel.formal.shape import State
from kernel.formal.stage import EndlessError, Stage, explorer_of
from kernel.spec.check import CHECKS
from kernel.spec.language import Spec

FOLLOWED = 40
"""States behind the first difference in which invariants are looked at."""
FAULTS = (KeyError, TypeError, IndexError, ValueError)
"""What the interpreter raises where an expression reads what is not there."""


@frozen
class Verdict:
    """What a mutant is noticed by."""

    mutant: str
    static: str = ""
    """The static check, and what it says first."""
    stage: str = ""
    """The stage on which a step differs; `trace` leads to it."""
    trace: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    """The invariants that are broken first behind it, and the way there."""
    way: tuple[str, ...] = ()

    @property
    def killed(self) -> bool:
        """Whether anything notices it."""
        return bool(self.static or self.trace)


def static(spec: Spec) -> str:
    """The first static check that a specification does not pass, with what it says; empty when it passes all."""
    for check in CHECKS:
        try:
            found = next(iter(check(spec)), None)
        except FAULTS as error:
            found = f"it cannot be read: {type(error).__name__}"
        if found is not None:
            return f"{check.__name__}: {found}"
    return ""


class Trial:
    """One mutant on one stage."""

    def __init__(self, mutant: Mutant, stage: Stage) -> None:
        """The same shape, under the mutant; its lemmas are looked at as invariants."""
        self.mutant, self.stage = mutant, stage
        spec = evolve(mutant.spec, properties=(*mutant.spec.properties, *mutant.spec.lemmas))
        self.explorer = explorer_of(spec, stage.scene)
        self.steps = {step.name: step for step in spec.commands}

    def after(self, request: Request, state: State) -> State | str | None:
        """What the mutant makes of a request; in words, where it makes nothing that can be told."""
        step = self.steps.get(request.step.name)
        if step is None:
            return None
        try:
            after = self.explorer.oracle.commit(step, request.row, self.explorer.given(request, state), state)
        except EndlessError:
            return "progress goes on for ever"
        except FAULTS:
            return "what it reads is not there"
        return None if isinstance(after, Stuck) else after

    def difference(self) -> int | None:
        """The nearest step that is another one."""
        for place in self.stage.at(self.mutant.parts):
            taken = self.stage.steps[place]
            if self.after(taken.request, taken.state) != taken.after:
                return place
        return None

    def broken(self, place: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The invariants that this step breaks, or the next one after it that breaks any; and the way there."""
        taken, seen = self.stage.steps[place], self.explorer.seen
        first = Request(self.steps.get(taken.request.step.name, taken.request.step), taken.request.row, taken.request.choices)
        line: list[tuple[State, tuple[str, ...]]] = []
        known = set[State]()
        asked: Iterable[tuple[State, Request, tuple[str, ...]]] = [(taken.state, first, self.stage.trace(place)[:-1])]
        left = FOLLOWED
        while True:
            for state, request, way in asked:
                here = (*way, request.label(self.explorer.tree))
                try:
                    after = self.explorer.commit(request, state)
                except (EndlessError, *FAULTS):
                    continue
                if seen.broken:
                    return tuple(dict.fromkeys(name.split()[0] for name in seen.broken)), here
                if not isinstance(after, Stuck) and after not in known:
                    known.add(after)
                    if self.explorer.bounded(after):
                        line.append((after, here))
            if not line or not left:
                return (), ()
            left -= 1
            state, way = line.pop(0)
            asked = [(state, r, way) for r in self.explorer.requests if self.following(r, state)]

    def following(self, request: Request, state: State) -> bool:
        """Whether to follow a request."""
        try:
            return not self.explorer.beyond(request, state)
        except FAULTS:
            return False


def tried(mutant: Mutant, stages: Sequence[Stage]) -> Verdict:
    """Everything that notices a mutant."""
    verdict = Verdict(mutant.name, static(mutant.spec))
    for stage in stages:
        if stage.at(mutant.parts):
            trial = Trial(mutant, stage)
            place = trial.difference()
            if place is not None:
                broken, way = trial.broken(place)
                return evolve(verdict, stage=stage.scene.name, trace=stage.trace(place), broken=broken, way=way)
    return verdict


def verdicts(mutants: Iterable[Mutant], stages: Sequence[Stage]) -> Iterator[Verdict]:
    """One after the other."""
    return (tried(mutant, stages) for mutant in mutants)
