"""What has to be shown for trees of any shape, depth and size, with any number of attempts and runs.

A commit is a command and then rules of progress until none is enabled. The induction goes over these small steps: between two
of them the invariants of the place MID hold, in a committed state those of REST, too. Each obligation is a set of formulas
that must have no model: the hypotheses, and that what is claimed does not hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from kernel.formal.shape import blank, columns, without_notices, without_spawning
from kernel.formal.smt import Smt, World, joined
from kernel.formal.smt_follow import Following
from kernel.spec.language import NEVER, YES, Nature, Place, Property, Spec, Step
from kernel.spec.logic import quantifiers
from kernel.spec.names import fired, reached
from kernel.spec.vocabulary import OPEN

STATE = (Nature.STATE, Nature.LIVENESS)
TREE = """
(forall ((x workflow)) (not (above x x)))
(forall ((x workflow) (y workflow) (z workflow)) (=> (and (above x y) (above y z)) (above x z)))
(forall ((x workflow) (y workflow)) (=> (workflow_root x) (not (above y x))))
(forall ((x workflow)) (=> (not (workflow_root x)) (above (wf (up x)) x)))
(forall ((x workflow) (y workflow)) (=> (and (above y x) (not (= y (wf (up x))))) (above y (wf (up x)))))
(forall ((x workflow)) (and (workflow_root (top x)) (or (= (top x) x) (above (top x) x))))
(forall ((x workflow) (y workflow)) (=> (and (workflow_root y) (above y x)) (= (top x) y)))
(forall ((x workflow)) (ite (workflow_root x) (= (top x) x) (= (top x) (top (wf (up x))))))
(forall ((x workflow) (y workflow) (z workflow)) (=> (and (above y x) (above z x)) (or (= y z) (above y z) (above z y))))
(forall ((x workflow)) (=> (not (workflow_root x)) (and (<= 1 (workflow_slot x) (task_tries (up x)))
    (= (child (up x) (workflow_slot x)) x))))
(forall ((x workflow)) (=> (not (workflow_root x)) (= (task_mode (up x)) task.mode.WORKFLOW)))
(forall ((t task) (n Int)) (=> (and (= (task_mode t) task.mode.WORKFLOW) (<= 1 n (task_tries t)))
    (and (not (workflow_root (child t n))) (= (up (child t n)) t) (= (workflow_slot (child t n)) n))))
(forall ((t task) (p task)) (=> (after t p) (and (= (wf t) (wf p)) (not (= t p)))))
(forall ((t task)) (>= (task_tries t) 1))
(forall ((d delivery)) (and (>= (delivery_run d) 1) (>= (delivery_sends d) 1)))
(forall ((t task) (x workflow)) (= (below t x) (and (not (workflow_root x)) (or (= (up x) t) (below t (wf (up x)))))))
(forall ((t task) (x workflow)) (=> (below t x) (above (wf t) x)))
(forall ((t task) (x workflow)) (=> (below t x) (and (not (workflow_root (toward t x))) (= (up (toward t x)) t)
    (or (= (toward t x) x) (above (toward t x) x)))))
(forall ((t task) (x workflow) (y workflow)) (=> (and (below t x) (above x y)) (below t y)))
(forall ((x workflow) (y workflow)) (=> (= (workflow_id x) (workflow_id y)) (= x y)))
(forall ((x workflow)) (not (= (workflow_id x) text.empty)))
"""
"""What is given: the shape of trees. `above` is a strict order in which the ancestors of a row form a chain."""
CHOICES = ("from_task", "resume")
"""What some commands that re-open name, and the others do not."""
PARAMS = {"origin": "Text", "proof": "Text", "error": "Text", "from_task": "task"}


@frozen
class Obligation:
    """The hypotheses of one step with what follows from them, each of `goals` to be shown by itself."""

    name: str
    hypotheses: tuple[str, ...]
    """Declarations, definitions and assertions, in order."""
    goals: tuple[tuple[str, str], ...]
    """What is to be shown: a name, a formula."""
    kinds: tuple[str, ...]
    """The sorts of rows."""

    def script(self, goal: str) -> str:
        """The question to a prover: unsatisfiable when the goal follows."""
        return "\n".join([*self.hypotheses, f"(assert (not {goal}))"])


    def file(self) -> str:
        """All goals in one file: each is asked between push and pop, and the answer must be unsat."""
        asked = [f"(push)\n; {name}\n(assert (not {goal}))\n(check-sat)\n(pop)" for name, goal in self.goals]
        return "\n".join(("(set-logic ALL)", *self.hypotheses, *asked, ""))


class Proof:
    """Every obligation of a specification."""

    def __init__(self, spec: Spec) -> None:
        """Rules with a quantifier are not among the hypotheses of commands; nothing needs them there."""
        self.spec = without_spawning(without_notices(spec) if "notices" in spec.links else spec)
        self.smt = Smt(self.spec)
        every = (*spec.properties, *spec.lemmas)
        properties = [p for p in every if p.nature in STATE or (p.nature is Nature.STEP and p.body != YES)]
        self.mid = [p for p in properties if p.nature in STATE and p.place is Place.MID]
        self.rest = [p for p in properties if p.nature in STATE and p.place is Place.REST]
        self.steps = [p for p in properties if p.nature is Nature.STEP]
        cascades = [Step("", e.kind, e.cascade) for e in spec.on_enter]
        self.moved = tuple(dict.fromkeys(
            reached(spec, step, fire).kind.name for step in (*spec.progress, *cascades) for fire in step.do))
        self.plain = [rule for rule in self.spec.progress if not self.quantified(rule)]
        self.first = [rule for rule in self.spec.progress if rule.name.startswith("HAND_")]

    def quantified(self, rule: Step) -> bool:
        """Whether a rule or a row that it fires counts rows."""
        rows = [row for fire in rule.do for row in fired(self.spec, rule, fire)]
        return any(quantifiers(g.holds) for g in (*rule.guards, *(g for row in rows for g in row.guards)))

    # ---- formulas -----------------------------------------------------------------------------------------------------
    def assertions(self, formulas: Iterable[str]) -> list[str]:
        """Hypotheses."""
        return [f"(assert {formula})" for formula in formulas]

    def theory(self) -> list[str]:
        """Declarations and what is given."""
        return [*self.smt.declarations(), "(declare-const p.now Int)", f"(assert (< 0 p.now {NEVER}))",
                "(declare-const p.chance Int)",
                *self.assertions(TREE.strip().replace("\n    ", " ").split("\n") if self.smt.trees else ()),
                *self.assertions(self.holding(self.spec.given, World()))]

    def holding(self, properties: Iterable[Property], world: World) -> list[str]:
        """The invariants in a world."""
        return [self.smt.property(p, world) for p in properties]

    def off(self, rule: Step) -> str:
        """That a rule is enabled nowhere."""
        return f"(forall ((r {rule.on})) (not {self.smt.guard(rule, 'r', World())}))"

    def goals(self, properties: Iterable[Property], world: World, then: World | None = None) -> list[tuple[str, str]]:
        """The invariants to be shown, by id."""
        return [(p.id, self.smt.property(p, world, then)) for p in properties]

    def known(self, world: World) -> list[str]:
        """What holds in a world between two rules."""
        return self.holding(self.mid, world)

    def shown(self, world: World) -> list[tuple[str, str]]:
        """What is to be shown of a world between two rules."""
        return self.goals(self.mid, world)

    def earlier(self, rule: Step) -> list[Step]:
        """Rules that are enabled nowhere where this one is taken, as far as that is needed: no hand-over waits."""
        return [] if rule in self.first else self.first

    # ---- obligations --------------------------------------------------------------------------------------------------
    def obligations(self) -> Iterator[Obligation]:
        """All of them."""
        yield self.initially()
        for command in (c for c in self.spec.commands if c.do):
            at_rest = [*self.holding(self.rest, World()), *(self.off(rule) for rule in self.plain)]
            if any((f.kind, f.event) == (command.on, fire.event) for f in self.spec.follows for fire in command.do):
                yield from self.reaching(command, at_rest)
            else:
                yield self.taken(command, at_rest)
        for rule in self.spec.progress:
            yield self.taken(rule, [self.off(first) for first in self.earlier(rule)], descends=True)
        yield self.at_rest()

    def initially(self) -> Obligation:
        """Where no row exists every invariant holds."""
        nothing = []
        for kind in self.spec.kinds.values():
            for name, value in zip(columns(kind), blank(kind), strict=True):
                constant = self.smt.constant(value, kind.name, name)
                nothing.append(f"(forall ((x {kind.name})) (= ({kind.name}_{name} x) {constant}))")
        return Obligation("initially", (*self.theory(), *self.assertions(nothing)), tuple(self.shown(World())),
                          tuple(self.spec.kinds))

    def presented(self, step: Step) -> Iterator[str]:
        """What is presented with a step; what another one names, this one does not."""
        choices = CHOICES if self.smt.trees else ()
        for name in dict.fromkeys((*step.params, *choices)):
            yield f"(declare-const p.{name} {PARAMS.get(name, 'Int')})"
        if choices:
            yield f"(define-fun p.from_task.named () Bool {str('from_task' in step.params).lower()})"
        if "resume" in choices and "resume" not in step.params:
            yield "(assert (= p.resume 0))"
        if "origin" in step.params:
            yield "(assert (= p.origin (workflow_id me)))"

    def before(self, step: Step, more: list[str]) -> list[str]:
        """The hypotheses of a step."""
        asserted = [*self.known(World()), *more, self.smt.guard(step, "me", World())]
        return [*self.theory(), f"(declare-const me {step.on})", *self.presented(step), *self.assertions(asserted)]

    def reaching(self, step: Step, more: list[str]) -> Iterator[Obligation]:
        """A command that brings more with it keeps every invariant: first what it reaches, by induction over the depth."""
        definitions, world = self.smt.step(step)
        following = Following(self.smt, step, world)
        hypotheses = (*self.before(step, more), *definitions, *following.definitions())
        parent = [f"(=> (not (workflow_root one)) {fact})" for _, fact in following.reach("(wf (up one))")]
        yield Obligation(f"{step.name} reaches", (*hypotheses, "(declare-const one workflow)", *self.assertions(parent)),
                         tuple(following.reach("one")), tuple(self.spec.kinds))
        reached = [f"(forall ((x workflow)) {fact})" for _, fact in following.reach("x")]
        goals = [*self.shown(following.after), *self.goals(self.steps, World(), following.after)]
        yield Obligation(step.name, (*hypotheses, *self.assertions(reached)), tuple(goals), tuple(self.spec.kinds))

    def taken(self, step: Step, more: list[str], *, descends: bool = False) -> Obligation:
        """A command or a rule keeps every invariant; a rule moves every row that it moves down its rank."""
        definitions, after = self.smt.step(step)
        goals = [*self.shown(after), *self.goals(self.steps, World(), after)]
        if descends:
            goals += [(f"descends {kind}", self.descends(kind, after)) for kind in self.moved]
        return Obligation(step.name, (*self.before(step, more), *definitions), tuple(goals), tuple(self.spec.kinds))

    def descends(self, kind: str, after: World) -> str:
        """Every row that changes its state goes down its rank, or goes on to a further attempt that it has."""
        name = f"{kind}_state{after.suffix(kind, 'state')}"
        rank = "0"
        for state, number in self.spec.kinds[kind].rank.items():
            rank = f"(ite (= s {self.smt.constant(state, kind, 'state')}) {number} {rank})"
        lower = f"(let ((s ({name} x))) (let ((now {rank})) (let ((s ({kind}_state x))) (< now {rank}))))"
        if self.smt.trees and kind == "task":
            attempt = f"(task_attempt{after.suffix('task', 'attempt')} x)"
            lower = f"(or {lower} (and (< (task_attempt x) {attempt}) (<= {attempt} (task_tries x))))"
        return f"(forall ((x {kind})) (=> (not (= ({name} x) ({kind}_state x))) {lower}))"

    def at_rest(self) -> Obligation:
        """Where no rule is enabled the invariants of committed states hold, too.

        Tasks are finite and their order has no cycle: where one is open there is one all of whose predecessors are closed.
        """
        first, order = self.order() if self.smt.trees else ([], [])
        asserted = [*order, *self.known(World()), *(self.off(rule) for rule in self.spec.progress)]
        hypotheses = [*self.theory(), *first, *self.assertions(asserted)]
        return Obligation("at rest", tuple(hypotheses), tuple(self.goals(self.rest, World())), tuple(self.spec.kinds))

    def order(self) -> tuple[list[str], list[str]]:
        """That where a task of a workflow is open there is a first one: a name for it, and what is true of it."""
        def opened(row: str) -> str:
            return joined("or", [f"(= (task_state {row}) {self.smt.constant(s, 'task', 'state')})" for s in OPEN])

        some_open = f"(and (= (wf (first w)) w) {opened('(first w)')})"
        return ["(declare-fun first (workflow) task)"], [
            f"(forall ((w workflow) (t task)) (=> (and (= (wf t) w) {opened('t')}) {some_open}))",
            f"(forall ((w workflow) (t task)) (=> (after (first w) t) (not {opened('t')})))",
        ]
