"""The tables, compiled once: what the decision runs on.

`compile_program(SPEC)` reads the `transitions` Machines of the lifecycles and builds a flat dispatch table; the counters, what
moves them and who wakes whom are derived from the same tables (`kernel.core.derive`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import product
from operator import attrgetter
from typing import Any

from attrs import field, frozen

from kernel.core.derive import Counter, Deltas, derive_counters, derive_deltas, derive_wakes, established, signature
from kernel.errors import InvalidDefinition
from kernel.spec import SPEC, Lifecycle, Spec
from kernel.spec.check import checked
from kernel.spec.evaluate import Function, function
from kernel.spec.language import YES, Expr, F, Fire, Guard, Q, Row, Step, both, no
from kernel.spec.logic import NEVER_HOLDS, facts, fold, quantifiers, reads
from kernel.spec.machine import rows_of
from kernel.spec.vocabulary import ABSENT, CLOSED_BADLY, ENDED_BADLY, closed

__all__ = ["Action", "Agenda", "Counter", "Deltas", "Line", "Part", "Program", "Way", "compile_program", "standard_program"]

STATE, MODE = F("state"), F("mode")
BADLY = (*CLOSED_BADLY, *ENDED_BADLY)
UNJUDGED: dict[Expr, object] = {F("sound"): 1, F("branch"): 0}

Guarded = tuple[tuple[Guard, Function], ...]


@frozen(eq=False)
class Line:
    """One row of a table in one of its source states, ready to run."""

    event: str
    source: str
    target: str
    holds: Function
    guards: Guarded
    sets: tuple[tuple[str, Function], ...]
    row: Row
    deltas: Mapping[tuple[Any, ...], Deltas]
    """For a task, by its signature: the counters that this transition moves."""
    wakes: tuple[str, ...]
    looks: frozenset[str]
    """The modes of a row that can have a rule enabled where the transition leads."""
    badly: bool
    """It leads to a bad end, which is the reason of what follows from it."""
    fresh: bool
    """A task begins a new attempt with it: without output."""
    reopens: bool
    """Whether it brings more with it: it begins the next run of a workflow."""
    emits: tuple[str, ...]
    """The links over which deliveries are written with it."""


@frozen(eq=False)
class Part:
    """One Fire of a step, ready to run; `link` is empty for self. `line` is what moves a whole set."""

    event: str
    link: str
    kind: str
    one: bool
    creates: bool
    where: Function
    wakes: bool
    fire: Fire
    line: Line | None = None


@frozen(eq=False)
class Action:
    """A command or rule, ready to run: its parts, and the same parts by how they are done."""

    index: int
    step: Step
    holds: Function
    guards: Guarded
    parts: tuple[Part, ...]
    culprit: Function | None = None
    """Of a rule for what became of some task: whether it is this one."""
    moves: tuple[Part, ...] = field(init=False)
    """Rows moved one by one: self, and those behind single links that exist."""
    births: tuple[Part, ...] = field(init=False)
    """Rows that begin to exist, other than self; without those that a result adds."""
    spawned: Part | None = field(init=False)
    """The tasks that a result may add."""
    alone: bool = field(init=False)
    """It moves the row that it is on, which is no workflow, and no other that exists."""
    cascades: tuple[Part, ...] = field(init=False)
    """Whole sets. Tasks come before workflows: a task may read its workflow, and all is read as it was before."""

    def __attrs_post_init__(self) -> None:
        born = [p for p in self.parts if p.creates and p.link]
        cascades = [p for p in self.parts if not p.one and not p.creates]
        moves = tuple(p for p in self.parts if p.one and p not in born)
        object.__setattr__(self, "moves", moves)
        object.__setattr__(self, "births", tuple(p for p in born if p.link != "spawned"))
        object.__setattr__(self, "spawned", next((p for p in born if p.link == "spawned"), None))
        object.__setattr__(self, "alone", self.step.on != "workflow" and not cascades and [p.link for p in moves] == [""])
        object.__setattr__(self, "cascades", tuple(sorted(cascades, key=lambda p: p.kind == "workflow")))


@frozen(eq=False)
class Way:
    """How a rule can be enabled on a row: only where `holds`.

    Where `line` is given, that is all there is to it: the rule moves nothing but the row itself, by this line.
    """

    action: Action
    line: Line | None
    holds: Function


@frozen(eq=False)
class Agenda:
    """The rules that can be enabled on a row of one state and mode, in order; none unless the `gate` holds that all share."""

    gate: Function | None
    ways: tuple[Way, ...]


Cells = Mapping[tuple[str, str], tuple[Line, ...]]


@frozen(eq=False)
class Program:
    """The specification, ready to run."""

    spec: Spec
    cells: Mapping[str, Cells]
    """For each kind, (state, event) -> the lines of the cell."""
    commands: Mapping[str, Action]
    agenda: Mapping[str, Mapping[tuple[str, str, bool], Agenda]]
    """For each kind, (state, mode, whether it is judged) -> which rules can be enabled there; a workflow's mode is empty."""
    counters: tuple[Counter, ...]
    places: Mapping[Q, int]
    width: Mapping[str, int]
    """How many counters a row of a kind holds."""
    signature: Callable[[Any], tuple[Any, ...]]
    """The attributes of a task that decide whether it counts."""
    standing: Mapping[str, Mapping[tuple[Any, ...], Deltas]]
    """For each state of a task and its signature what it adds to the counters by standing there."""
    follows: Mapping[tuple[str, str], tuple[Part, ...]]
    """What the events of a kind bring with them."""
    entering: Mapping[tuple[str, str], tuple[Part, ...]]
    """The cascades on entering a state of a kind."""
    open_tasks: int | None
    """The counter of a workflow's tasks that are not closed, when the rules count them."""

    def counters_of(self, kind: str) -> tuple[Counter, ...]:
        """The counters that rows of a kind hold, by place."""
        return tuple(c for c in self.counters if c.owner == kind)


def _signature(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A reader of these attributes as a tuple, whatever their number."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple(getattr(row, name) for name in names)


class _Compiler:
    """Builds a program from a specification, part by part."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.counters, self.places = derive_counters(spec)
        self.names = signature(spec, self.counters)
        self.deltas = derive_deltas(spec, self.counters, self.names)
        self.wakes = derive_wakes(spec)
        self.cells: dict[str, Cells] = {}
        for kind in spec.tables:
            self.cells[kind] = self.cells_of(kind)

    def function(self, expr: Expr) -> Function:
        """An expression as a function, counted quantifiers as counters."""
        return function(expr, self.places)

    def modes(self, kind: str) -> tuple[str, ...]:
        """The modes that rows of a kind can have."""
        return next((a.choices for a in self.spec.kinds[kind].attributes if a.name == "mode"), ("",))

    def openings(self, kind: str, known: Mapping[Expr, object]) -> Iterator[tuple[int, tuple[Row, ...], list[Expr]]]:
        """The rules that can be enabled on a row of which something is known.

        For each its index, the rows of the table that can then move the row, and conditions that must hold for any of them.
        """
        for index, rule in enumerate(self.spec.progress):
            if rule.on != kind:
                continue
            guards = [g.holds for g in rule.guards]
            own = [f.event for f in rule.do if f.at == "self"]
            rows = self.spec.tables[kind].rows_for(own[0], str(known[STATE])) if own else ()
            cases = [(row, facts(fold(both(*guards, *row.guards), known))) for row in rows]
            cases = [(row, needed) for row, needed in cases if NEVER_HOLDS not in needed]
            if own and cases:
                shared = [c for c in cases[0][1] if len(cases) == 1 or self.common(c, [needed for _, needed in cases])]
                yield index, tuple(row for row, _ in cases), shared
            elif not own and (condition := fold(both(*guards), known)) != NEVER_HOLDS:
                yield index, (), list(facts(condition))

    def looks(self, kind: str, row: Row) -> frozenset[str]:
        """The modes in which a rule can be enabled on a row that this row of the table has moved."""
        told = established(self.spec, kind, row)
        return frozenset(
            mode for mode in self.modes(kind)
            if told.get(MODE, mode) == mode and any(self.openings(kind, {**told, MODE: mode, STATE: row.target}))
        )

    def cells_of(self, kind: str) -> Cells:
        """The flat dispatch table of a lifecycle, from its Machine."""
        cells: dict[tuple[str, str], list[Line]] = {}
        bringing = {(f.kind, f.event) for f in self.spec.follows}
        looks = {id(row): self.looks(kind, row) for row in self.spec.tables[kind].rows}
        for row in self.spec.tables[kind].rows:
            self.check_fields(row)
        for event, source, target, row, conditions in rows_of(Lifecycle(self.spec.tables[kind]).machine(self.places)):
            line = Line(
                event, source, target, self.function(both(*(c.guard for c in conditions))),
                tuple((c.guard, c.function) for c in conditions),
                tuple((name, self.function(value)) for name, value in row.set), row,
                self.deltas[source, target] if kind == "task" else {},
                self.wakes.get((kind, event, source, target), ()), looks[id(row)],
                target in BADLY, source != ABSENT and "attempt" in dict(row.set), (kind, event) in bringing,
                tuple(fire.at for enter in self.spec.on_enter
                      if enter.kind == kind and target in enter.states and source not in enter.states for fire in enter.emit),
            )
            cells.setdefault((source, event), []).append(line)
        return {key: tuple(lines) for key, lines in cells.items()}

    def part(self, on: str, fire: Fire, *, alone: bool = False) -> Part:
        """One Fire of a step on a kind; `alone`: its rows are moved one by one, also those behind a set link."""
        own = fire.at == "self"
        kind = on if own else self.spec.links[fire.at].target
        one = own or self.spec.links[fire.at].one
        lines = [line for cell in self.cells[kind].values() for line in cell if line.event == fire.event]
        creates = all(line.source == ABSENT for line in lines)
        cascades = not one and not creates and not alone
        if cascades:
            self.check_set(on, fire, [fire.where, *(value for line in lines for _, value in line.row.set)])
        return Part(
            fire.event, "" if own else fire.at, kind, one, creates, self.function(fire.where),
            cascades and kind == "workflow" and any(line.looks for line in lines), fire, lines[0] if cascades else None,
        )

    def check_fields(self, row: Row) -> None:
        """Fields are set one after the other, though all are to be read before: so none may be read after it was set."""
        for i, (name, _) in enumerate(row.set):
            if any(F(name) in reads(value) for _, value in row.set[i + 1:]):
                raise InvalidDefinition(f"{row.event} sets {name!r} and then reads it", why="fields are read before any is set",
                                        hint=f"set {name!r} last")

    def check_set(self, on: str, fire: Fire, read: list[Expr]) -> None:
        """A whole set below a workflow is moved by one statement, which sees each row and its workflow and nothing else."""
        if on != "workflow":
            raise InvalidDefinition(f"{fire.event} over {fire.at!r}", why=f"a {on} has no rows below it that move as a set",
                                    hint="fire it on the workflow")
        for expr in read:
            if quantifiers(expr) or any(f.via not in ((), ("wf",)) for f in reads(expr)):
                raise InvalidDefinition(f"{fire.event} over {fire.at!r}", why="it reads further than a row and its workflow",
                                        hint="read fields of the row, and of its workflow over 'wf'")

    def step(self, index: int, step: Step) -> Action:
        """A command, or the rule with this index."""
        guards = tuple((g, self.function(g.holds)) for g in step.guards)
        last = step.guards[-1].holds if step.guards else None
        culprit = self.function(last.body.holds) if isinstance(last, Q) and (last.op, last.link) == ("some", "tasks") else None
        return Action(index, step, self.function(both(*step.guards)), guards,
                      tuple(self.part(step.on, f) for f in step.do), culprit)

    def agenda(self, kind: str, rules: list[Action]) -> Iterator[tuple[tuple[str, str, bool], Agenda]]:
        """For each state and mode of a kind the rules that can be enabled. What is not judged is sound and in no branch."""
        lines = {(line.source, id(line.row)): line for cell in self.cells[kind].values() for line in cell}
        for state, mode, judged in product(self.spec.kinds[kind].states, self.modes(kind), (False, True)):
            openings = list(self.openings(kind, {STATE: state, MODE: mode, **({} if judged else UNJUDGED)}))
            shared = openings[0][2] if len(openings) > 1 else []
            gate = [c for c in shared if self.common(c, [needed for _, _, needed in openings])]
            yield (state, mode, judged), Agenda(self.function(both(*gate)) if gate else None, tuple(
                Way(rules[index],
                    lines[state, id(rows[0])] if len(rows) == 1 and len(rules[index].moves) == 1 else None,
                    self.function(both(*(c for c in needed if c not in gate))))
                for index, rows, needed in openings
            ))

    def common(self, condition: Expr, cases: Iterable[Iterable[Expr]]) -> bool:
        """Whether a condition may be checked once for all cases: each of them needs it.

        It must read over no link that may be absent, so that no other condition need be checked before it.
        """
        readable = all(self.spec.links[name].present == YES for f in reads(condition) for name in f.via)
        return readable and all(condition in case for case in cases)

    def program(self) -> Program:
        """The whole program."""
        spec = self.spec
        rules = [self.step(i, s) for i, s in enumerate(spec.progress)]
        return Program(
            spec=spec,
            cells=self.cells,
            commands={s.name: self.step(-1, s) for s in spec.commands},
            agenda={kind: dict(self.agenda(kind, rules)) for kind in spec.kinds},
            counters=self.counters,
            places=self.places,
            width={kind: sum(c.owner == kind for c in self.counters) for kind in spec.kinds},
            signature=_signature(self.names),
            standing={state: self.deltas[ABSENT, state] for state in spec.kinds["task"].states},
            follows={(f.kind, f.event): tuple(self.part(f.kind, fire, alone=True) for fire in f.do) for f in spec.follows},
            entering={
                (e.kind, state): tuple(self.part(e.kind, fire) for fire in e.cascade)
                for e in spec.on_enter if e.cascade for state in e.states
            },
            open_tasks=next((c.place for c in self.counters if c.link == "tasks" and c.body == no(closed)), None),
        )


def compile_program(spec: Spec) -> Program:
    """Compile a specification: flat dispatch, derived counters, derived wake-ups."""
    return _Compiler(spec).program()


@cache
def standard_program() -> Program:
    """The program of the declared specification."""
    return compile_program(checked(SPEC))
