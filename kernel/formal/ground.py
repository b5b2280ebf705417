"""A specification on a shape, written out: links followed, quantifiers expanded, names coded as small numbers.

What is left are variables, one for each stored field of each row that can exist, and over them guarded assignments. The
generated models of one shape are all made from these, so that their state spaces can be compared number by number.
Time stands still; a clock that was set has run out or never will.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial, reduce
from itertools import product

from attrs import define, evolve

from kernel.formal.actions import Action, Block, Move
from kernel.formal.explore import Request, requests
from kernel.formal.rows import Rows
from kernel.formal.shape import Shape, Tree, fitting
from kernel.formal.terms import LATER, Ground, Read, Term, compared, conjunction, disjunction, negation, summed
from kernel.spec.evaluate import NOTHING
from kernel.spec.language import NEVER, Enter, Expr, F, Fire, Follow, Linked, Lit, Nature, Op, Param, Place, Q, Row, Spec, Step
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


@define
class _Flags:
    """Numbers for the flags of one action."""

    count: int = 0

    def new(self) -> int:
        self.count += 1
        return self.count - 1


Moved = tuple[Move, Row]
"""A move, and the line of its table that it is made by."""
Reached = list[tuple[Ground, int]]
"""Rows that may be meant, each with when it is."""


class Grounding:
    """Every variable, command, rule and property of a specification on a shape."""

    def __init__(self, spec: Spec, shape: Shape | Rows, *, kinds: Collection[str] = ("workflow", "task")) -> None:
        """Commands are those on rows of these kinds. Deliveries are created at least; a static check keeps them apart."""
        self.spec, self.tree, self.kinds = fitting(spec, shape), Tree(spec, shape), kinds
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

    def ends(self, row: int, path: Sequence[str], *, then: bool = False) -> Reached:
        """The row at the end of a path of single links: which one it is, and when. A task's child is that of its attempt."""
        found: Reached = [(True, row)]
        for link in path:
            found = [
                (conjunction((when, here)), end) for when, at in found for here, end in self.behind_one(at, link, then=then)]
        return found

    def behind_one(self, row: int, link: str, *, then: bool = False) -> Reached:
        """The row behind a single link: which one, and when."""
        if link != "child":
            return [(True, self.places[row].one[link])]
        attempt = self.value(row, "attempt", then=then)
        return [(compared("eq", attempt, number), child) for number, child in self.places[row].children.items()]

    def behind(self, row: int, link: str) -> Reached:
        """The rows behind a set link, each with when it is."""
        if link == "child_tasks":
            return [(when, task) for when, child in self.behind_one(row, "child") for task in self.places[child].sets["tasks"]]
        if link == "tree":
            return [self.root_of_present(row)]
        return [(self.is_behind(row, link, other), other) for other in self.places[row].sets[link]]

    def is_behind(self, row: int, link: str, other: int) -> Ground:
        """When a row that can be behind a set link is: in the outbox those of the present run, of archives those to be had."""
        if link == "outbox":
            return compared("eq", self.value(row, "run"), self.value(other, "run"))
        if link != "archives":
            return True
        of = self.places[other].one["of"]
        been = negation(compared("lt", self.value(of, "run"), self.value(other, "run")))
        return conjunction((self.exists(of), been))

    def exists(self, row: int) -> Ground:
        """That a row is there."""
        return negation(compared("eq", self.value(row, "state"), self.code(ABSENT)))

    def root_of_present(self, task: int) -> tuple[Ground, int]:
        """The root above a task, when every sub-workflow on the way is that of the present attempt."""
        wf, present = self.places[task].one["wf"], list[Ground]()
        for up in self.places[task].sets["above"]:
            present.append(compared("eq", self.value(up, "attempt"), self.value(wf, "slot")))
            wf = self.places[up].one["wf"]
        return conjunction(present), wf

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
            return given.get(expr.name, self.code(NOTHING))
        if isinstance(expr, Q):
            body, ends = expr.body.holds, self.behind(row, expr.link)
            if expr.op == "every":
                return conjunction(disjunction((negation(when), self.term(body, end, given))) for when, end in ends)
            return disjunction(conjunction((when, self.term(body, end, given))) for when, end in ends)
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

    def _linked(self, expr: Linked, row: int, given: Given) -> Ground:
        chosen = given.get(expr.param)
        if not isinstance(chosen, int):
            return False
        return conjunction((self.exists(chosen), disjunction(
            when for when, other in self.behind(chosen, expr.link) if other == row)))

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

    def moved(self, line: Row, row: int, condition: Ground, given: Given, flags: _Flags) -> Moved:
        """A row moves by a line: its fields, when it changed, its state. It has a flag where that may bring something with it.

        A row that goes leaves nothing but what its line sets; a root takes its tree with it.
        """
        sets: dict[int, Ground] = {self.at[row, name]: self.term(expr, row, given) for name, expr in line.set}
        if line.target == ABSENT:
            whole = bool(self.places[row].fixed.get("root"))
            sets = {slot: value for slot, value in enumerate(self.start) if whole or self.slots[slot][0] == row} | sets
        else:
            if (row, "changed") in self.at:
                sets[self.at[row, "changed"]] = NOW
            sets[self.at[row, "state"]] = self.code(line.target)
        kept = tuple((slot, value) for slot, value in sets.items() if value != Read(slot))
        brings = self.follows(line, row) or any(self.enters(enter, line, row) for enter in self.spec.on_enter)
        return Move(row, condition, kept, flags.new() if brings and condition is not True else None), line

    def follows(self, line: Row, row: int) -> tuple[Follow, ...]:
        """What the event of a line brings with it."""
        return tuple(f for f in self.spec.follows if (f.kind, f.event) == (self.places[row].kind, line.event))

    def enters(self, enter: Enter, line: Row, row: int) -> bool:
        """Whether a line leads into a state that brings something with it."""
        return enter.kind == self.places[row].kind and line.target in enter.states and not {*line.source} & {*enter.states}

    def fired(self, fire: Fire, targets: Reached, given: Given, flags: _Flags) -> list[Moved]:
        """Of some rows those move that have a line for the event and satisfy the condition."""
        found = []
        for when, row in targets:
            where = conjunction((when, self.term(fire.where, row, given)))
            for line, condition in self.lines(fire.event, row, given):
                both = conjunction((where, condition))
                if both is not False:
                    found.append(self.moved(line, row, both, given, flags))
        return found

    def actions(self, step: Step, row: int, given: Given, label: str, *, fenced: bool = False) -> Iterator[Action]:
        """A step on a row, once for each combination of lines that self and the rows behind single links can take."""
        attempts = self.places[row].children if any(fire.at in CHILD for fire in step.do) else {0: row}
        for attempt, child in attempts.items():
            asked = conjunction(self.term(g.holds, row, given) for g in step.guards)
            if attempt:
                asked = conjunction((asked, compared("eq", self.value(row, "attempt"), attempt)))
            elif not step.do:
                asked = conjunction((asked, self.exists(row)))
            if asked is False:
                continue
            one = {fire.at: self._target(fire, row, child) for fire in step.do if self._single(fire)}
            ways = [[(at, line, when) for line, when in self.lines(fire.event, one[at], given)]
                    for fire in step.do if (at := fire.at) in one]
            for way in product(*ways):
                guard = conjunction((asked, *(when for _, _, when in way)))
                if guard is not False:
                    flags = _Flags()
                    moves = [self.moved(line, one[at], True, given, flags) for at, line, _ in way]
                    for fire in step.do:
                        if not self._single(fire):
                            moves += self.fired(fire, self._set(fire, row, child), given, flags)
                    yield Action(label, guard, tuple(self.applied(moves, given, flags)), fenced)

    def _single(self, fire: Fire) -> bool:
        return fire.at == "self" or self.spec.links[fire.at].one

    def _target(self, fire: Fire, row: int, child: int) -> int:
        return row if fire.at == "self" else child if fire.at == "child" else self.places[row].one[fire.at]

    def _set(self, fire: Fire, row: int, child: int) -> Reached:
        return self.behind(child, "tasks") if fire.at == "child_tasks" else self.behind(row, fire.at)

    def applied(self, moves: Sequence[Moved], given: Given, flags: _Flags, under: int | None = None) -> Iterator[Block]:
        """Rows move together, where the flag is set; then, one by one, what their events bring; then what entering does."""
        yield Block(tuple(move for move, _ in moves), under)
        for move, line in moves:
            for follow in self.follows(line, move.row):
                brought = [m for fire in follow.do for m in self.fired(fire, self.reached(fire, move.row), given, flags)]
                if brought:
                    yield from self.applied(brought, given, flags, under if move.flag is None else move.flag)
        for enter in self.spec.on_enter:
            yield from self.entered(enter, moves, given, flags, under)

    def reached(self, fire: Fire, row: int) -> Reached:
        """The rows that something which follows is at."""
        if fire.at == "self":
            return [(True, row)]
        return self.behind_one(row, fire.at) if self._single(fire) else self.behind(row, fire.at)

    def entered(
        self, enter: Enter, moves: Sequence[Moved], given: Given, flags: _Flags, under: int | None
    ) -> Iterator[Block]:
        """What entering its states brings with it: first the cascades, then what is emitted, also for what they moved."""
        def raised(found: Sequence[Moved], otherwise: int | None) -> list[tuple[int, int | None]]:
            return [(move.row, otherwise if move.flag is None else move.flag)
                    for move, line in found if self.enters(enter, line, move.row)]

        ended = raised(moves, under)
        for (row, flag), fire in product(tuple(ended), enter.cascade):
            fired = self.fired(fire, self.behind(row, fire.at), given, flags)
            yield Block(tuple(move for move, _ in fired), flag)
            ended += raised(fired, flag)
        for (row, flag), fire in product(ended, enter.emit):
            yield Block(tuple(move for move, _ in self.fired(fire, self.behind(row, fire.at), given, flags)), flag)

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
        """Every command on every row, with everything that can be presented; one that re-opens while there is room."""
        return [
            evolve(action, guard=conjunction((action.guard, self.room(request.step))))
            for request in requests(self.spec, self.tree, self.kinds)
            for action in self.actions(request.step, request.row, self.presented(request), request.label(self.tree),
                                       fenced=request.fenced)
        ]

    def room(self, step: Step) -> Ground:
        """That the shape has room for the run that a command begins."""
        if not any((f.kind, f.event) == (step.on, fire.event) for f in self.spec.follows for fire in step.do):
            return True
        return compared("lt", self.value(self.tree.rows["workflow"][0], "run"), self.tree.shape.runs)

    def rules(self) -> list[Action]:
        """Every rule of progress on every row, in the order in which they are tried."""
        return [
            action for rule in self.spec.progress for row in self.tree.rows[rule.on]
            for action in self.actions(rule, row, AMBIENT, f"{rule.name} {self.places[row].id}")
        ]

    def properties(self, *natures: Nature, place: Place | None = None) -> list[tuple[str, Ground]]:
        """The invariants on every row, by id: those of a step speak of rows that were there before it."""
        found = []
        for prop in (*self.spec.properties, *self.spec.lemmas, *self.spec.given):
            if prop.nature in natures and place in (None, prop.place):
                for row in self.tree.rows[prop.on]:
                    body = self.term(prop.body, row, AMBIENT)
                    if prop.nature is Nature.STEP:
                        body = disjunction((compared("eq", self.value(row, "state"), self.code(ABSENT)), body))
                    if body is not True:
                        found.append((f"{prop.id} {self.places[row].id}", body))
        return found
