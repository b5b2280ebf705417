"""A specification on a shape, written out: links followed, quantifiers expanded, names coded as small numbers.

What is left are variables, one for each stored field of each row that can exist, and over them guarded assignments. The
generated models of one shape are all made from these, so that their state spaces can be compared number by number.
Time stands still; a clock that was set has run out or never will.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import product

from attrs import define, field, frozen

from kernel.formal.explore import Request, requests
from kernel.formal.shape import Shape, Tree, within_a_run
from kernel.formal.terms import LATER, Ground, Local, Read, Term, compared, conjunction, disjunction, negation, slots, summed
from kernel.spec.language import NEVER, Expr, F, Fire, Linked, Lit, Nature, Op, Param, Place, Q, Row, Spec, Step
from kernel.spec.vocabulary import ABSENT

NOW = 1
"""The time that stands still."""
COUNTED_UP = (("task", "handouts"), ("delivery", "claims"))
"""Fields that only grow and are compared with themselves alone: no state holds them, a step shows how they grew."""
AMBIENT = {"now": NOW, "chance": 0}
"""What is presented with everything."""
CHILD = ("child", "child_tasks")
"""Links that lead to the sub-workflow of a task's present attempt."""

Given = Mapping[str, Ground]


@frozen
class Move:
    """One row moves by one line where the condition holds. `flag` is set when that brings something with it."""

    row: int
    condition: Ground
    sets: tuple[tuple[int, Ground], ...]
    flag: int | None = None


@frozen
class Block:
    """Moves that are made together, all read before any is made; only where the flag was set."""

    moves: tuple[Move, ...]
    flag: int | None = None


@frozen
class Action:
    """One thing that can happen: a command with what is presented, or a rule of progress."""

    label: str
    guard: Ground
    blocks: tuple[Block, ...]
    fenced: bool = False
    """A lease is presented that is not the stored one: it must never be enabled."""


@frozen
class Let:
    """A name for a value that a later assignment changes."""

    name: str
    value: Ground


@frozen
class When:
    """Assignments, one after the other, where the condition holds; then the flag is set."""

    condition: Ground
    sets: tuple[tuple[int, Ground], ...]
    flag: int | None = None


def sequenced(moves: Sequence[Move]) -> Iterator[Let | When]:
    """Moves that are made together as statements one after the other: what another one changes is read first."""
    written = [slot for move in moves for slot, _ in move.sets]
    late: list[When] = []
    for number, move in enumerate(moves):
        condition = move.condition
        if not {*written}.isdisjoint(slots(condition)) and len(moves) > 1:
            yield Let(f"c{number}", condition)
            condition = Local(f"c{number}")
        sets = []
        for place, (slot, value) in enumerate(move.sets):
            if not ({*written} - {slot}).isdisjoint(slots(value)):
                yield Let(f"v{number}_{place}", value)
                value = Local(f"v{number}_{place}")  # noqa: PLW2901 - what is assigned
            sets.append((slot, value))
        late.append(When(condition, tuple(sets), move.flag))
    yield from late


@define
class _Flags:
    """Numbers for the flags of one action."""

    count: int = 0
    raised: list[tuple[int, int | None]] = field(factory=list)
    """The rows that may have entered a state that brings something with it, each with its flag; None: it surely did."""

    def new(self) -> int:
        self.count += 1
        return self.count - 1


class Grounding:
    """Every variable, command, rule and property of a specification on a shape."""

    def __init__(self, spec: Spec, shape: Shape, *, kinds: Collection[str] = ("workflow", "task")) -> None:
        """Commands are those on rows of these kinds. Deliveries are created at least; a static check keeps them apart."""
        self.spec, self.tree, self.kinds = within_a_run(spec), Tree(spec, shape), kinds
        self.places = self.tree.places
        self.codes: dict[str, int] = {}
        for state in dict.fromkeys(state for kind in spec.kinds.values() for state in kind.states):
            self.code(state)
        named = [(i, name) for i, place in enumerate(self.places) for name in self.tree.columns[place.kind]]
        self.slots = sorted(named, key=lambda slot: self.counted_up(*slot))
        """The variables: first those of the state, then those that only a step shows."""
        self.size = sum(not self.counted_up(*slot) for slot in self.slots)
        self.at = {slot: number for number, slot in enumerate(self.slots)}
        rows = self.tree.start
        self.start = [self.code(rows[i][self.tree.columns[self.places[i].kind][name]]) for i, name in self.slots]

    def counted_up(self, row: int, name: str) -> bool:
        """Whether the field only grows and is compared with itself alone."""
        return (self.places[row].kind, name) in COUNTED_UP

    def code(self, value: str | int) -> int:
        """A value as a small number."""
        if isinstance(value, str):
            return self.codes.setdefault(value, len(self.codes))
        return LATER if value >= NEVER else value

    # ---- expressions --------------------------------------------------------------------------------------------------
    def value(self, row: int, name: str, *, then: bool = False) -> Ground:
        """A stored field or an attribute of a row."""
        slot = self.at.get((row, name))
        if slot is not None:
            return Read(slot, then)
        fixed = self.places[row].fixed[name]
        return self.by_attempt(row, fixed, then=then) if isinstance(fixed, tuple) else self.code(fixed)

    def by_attempt(self, row: int, values: Sequence[int], *, then: bool) -> Ground:
        """What differs from attempt to attempt."""
        found, attempt = self.code(values[-1]), self.value(row, "attempt", then=then)
        chosen: Ground = found
        for number, value in reversed([*enumerate(values, 1)][:-1]):
            chosen = Term("if", (compared("eq", attempt, number), self.code(value), chosen))
        return chosen

    def ends(self, row: int, path: Sequence[str], *, then: bool = False) -> list[tuple[Ground, int]]:
        """The row at the end of a path of single links: which one it is, and when. A task's child is that of its attempt."""
        found: list[tuple[Ground, int]] = [(True, row)]
        for link in path:
            found = [
                (conjunction((when, here)), end) for when, at in found for here, end in self.behind_one(at, link, then=then)]
        return found

    def behind_one(self, row: int, link: str, *, then: bool = False) -> list[tuple[Ground, int]]:
        """The row behind a single link: which one, and when."""
        if link != "child":
            return [(True, self.places[row].one[link])]
        attempt = self.value(row, "attempt", then=then)
        return [(compared("eq", attempt, number), child) for number, child in self.places[row].children.items()]

    def term(self, expr: Expr, row: int, given: Given) -> Ground:
        """An expression read from a row; a condition is a condition, a value a value."""
        if isinstance(expr, Op):
            return self._operation(expr, row, given)
        if isinstance(expr, F):
            found: Ground = 0
            for when, end in reversed(self.ends(row, expr.via, then=expr.then)):
                value = self.value(end, expr.name, then=expr.then)
                found = value if when is True else Term("if", (when, value, found))
            return found
        if isinstance(expr, Lit):
            return self.code(expr.value)
        if isinstance(expr, Param):
            return given[expr.name]
        if isinstance(expr, Q):
            joined = conjunction if expr.op == "every" else disjunction
            body = expr.body.holds
            return joined(self.term(body, other, given) for other in self.places[row].sets[expr.link])
        return self._linked(expr, row, given)

    def _operation(self, expr: Op, row: int, given: Given) -> Ground:
        parts = (self.term(arg, row, given) for arg in expr.args)  # one by one: the left ones protect the right ones
        if expr.op == "and":
            return conjunction(parts)
        if expr.op == "or":
            return disjunction(parts)
        if expr.op == "not":
            return negation(next(parts))
        if expr.op in ("eq", "lt"):
            return compared(expr.op, *parts)
        return reduce(partial(summed, expr.op), parts)

    def _linked(self, expr: Linked, row: int, given: Given) -> bool:
        chosen = given[expr.param]
        return isinstance(chosen, int) and self.places[chosen].one[expr.link] == row

    # ---- steps --------------------------------------------------------------------------------------------------------
    def lines(self, event: str, row: int, given: Given) -> Iterator[tuple[Row, Ground]]:
        """The lines of its table that the event can take on a row, each with its condition."""
        state = self.value(row, "state")
        for line in self.spec.tables[self.places[row].kind].rows:
            if line.event == event:
                here = disjunction(compared("eq", state, self.code(source)) for source in line.source)
                condition = conjunction((here, *(self.term(g.holds, row, given) for g in line.guards)))
                if condition is not False:
                    yield line, condition

    def move(self, line: Row, row: int, condition: Ground, given: Given, flags: _Flags) -> Move:
        """A row moves by a line: its fields, when it changed, its state."""
        sets = {self.at[row, name]: self.term(expr, row, given) for name, expr in line.set}
        sets[self.at[row, "changed"]] = NOW
        sets[self.at[row, "state"]] = self.code(line.target)
        kept = tuple((slot, value) for slot, value in sets.items() if value != Read(slot))
        entering = any(
            e.kind == self.places[row].kind and line.target in e.states and not {*line.source} & {*e.states}
            for e in self.spec.on_enter)
        if not entering:
            return Move(row, condition, kept)
        flag = None if condition is True else flags.new()
        flags.raised.append((row, flag))
        return Move(row, condition, kept, flag)

    def set_moves(self, fire: Fire, targets: Sequence[int], given: Given, flags: _Flags) -> tuple[Move, ...]:
        """Of a set of rows those move that have a line for the event and satisfy the condition."""
        found = []
        for row in targets:
            where = self.term(fire.where, row, given)
            for line, condition in self.lines(fire.event, row, given):
                both = conjunction((where, condition))
                if both is not False:
                    found.append(self.move(line, row, both, given, flags))
        return tuple(found)

    def actions(self, step: Step, row: int, given: Given, label: str, *, fenced: bool = False) -> Iterator[Action]:
        """A step on a row, once for each combination of lines that self and the rows behind single links can take."""
        attempts = self.places[row].children if any(fire.at in CHILD for fire in step.do) else {0: row}
        for attempt, child in attempts.items():
            asked = conjunction(self.term(g.holds, row, given) for g in step.guards)
            if attempt:
                asked = conjunction((asked, compared("eq", self.value(row, "attempt"), attempt)))
            elif not step.do:
                asked = conjunction((asked, negation(compared("eq", self.value(row, "state"), self.code(ABSENT)))))
            if asked is False:
                continue
            one = {fire.at: self._target(fire, row, child) for fire in step.do if self._single(fire)}
            ways = [[(at, line, when) for line, when in self.lines(fire.event, one[at], given)]
                    for fire in step.do if (at := fire.at) in one]
            for way in product(*ways):
                guard = conjunction((asked, *(when for _, _, when in way)))
                if guard is not False:
                    flags = _Flags()
                    moves = [self.move(line, one[at], True, given, flags) for at, line, _ in way]
                    for fire in step.do:
                        if not self._single(fire):
                            moves += self.set_moves(fire, self._set(fire, row, child), given, flags)
                    yield Action(label, guard, (Block(tuple(moves)), *self.entered(flags, given)), fenced)

    def _single(self, fire: Fire) -> bool:
        return fire.at == "self" or self.spec.links[fire.at].one

    def _target(self, fire: Fire, row: int, child: int) -> int:
        return row if fire.at == "self" else child if fire.at == "child" else self.places[row].one[fire.at]

    def _set(self, fire: Fire, row: int, child: int) -> tuple[int, ...]:
        return self.places[child].sets["tasks"] if fire.at == "child_tasks" else self.places[row].sets[fire.at]

    def entered(self, flags: _Flags, given: Given) -> Iterator[Block]:
        """What entering its states brings with it: first the cascades, then what is emitted, also for what they moved."""
        for enter in self.spec.on_enter:
            for (row, flag), fire in product(tuple(flags.raised), enter.cascade):
                yield Block(self.set_moves(fire, self.places[row].sets[fire.at], given, flags), flag)
            for (row, flag), fire in product(tuple(flags.raised), enter.emit):
                yield Block(self.set_moves(fire, self.places[row].sets[fire.at], given, flags), flag)

    # ---- what a model holds -------------------------------------------------------------------------------------------
    def presented(self, request: Request) -> Given:
        """What is presented with a request, in terms of what is stored."""
        chosen, given = dict(request.choices), dict[str, Ground](AMBIENT)
        for name in request.step.params:
            if name == "origin":
                given[name] = self.code(str(self.places[request.row].fixed["id"]))
            elif name == "run":
                run = self.value(self.places[request.row].one["wf"], "run")
                given[name] = summed("add", run, int(chosen["lease"] == "foreign"))
            elif name in ("handouts", "claims"):
                given[name] = summed("sub", self.value(request.row, name), int(chosen["lease"] == "stale"))
            else:
                given[name] = self.code(chosen[name])
        return given

    def commands(self) -> list[Action]:
        """Every command on every row, with everything that can be presented."""
        return [
            action for request in requests(self.spec, self.tree, self.kinds)
            for action in self.actions(request.step, request.row, self.presented(request), request.label(self.tree),
                                       fenced=request.fenced)
        ]

    def rules(self) -> list[Action]:
        """Every rule of progress on every row, in the order in which they are tried."""
        return [
            action for rule in self.spec.progress for row in self.tree.rows[rule.on]
            for action in self.actions(rule, row, AMBIENT, f"{rule.name} {self.places[row].id}")
        ]

    def properties(self, *natures: Nature, place: Place | None = None) -> list[tuple[str, Ground]]:
        """The invariants on every row, by id: those of a step speak of rows that were there before it."""
        found = []
        for prop in (*self.spec.properties, *self.spec.lemmas):
            if prop.nature in natures and place in (None, prop.place):
                for row in self.tree.rows[prop.on]:
                    body = self.term(prop.body, row, AMBIENT)
                    if prop.nature is Nature.STEP:
                        body = disjunction((compared("eq", self.value(row, "state"), self.code(ABSENT)), body))
                    if body is not True:
                        found.append((f"{prop.id} {self.places[row].id}", body))
        return found
