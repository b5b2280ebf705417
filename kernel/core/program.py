"""The tables, compiled once: what the decision runs on.

`compile_program(SPEC)` reads the `transitions` Machines of the lifecycles and builds a flat dispatch table; it derives the
counters from the quantifiers of the progress rules, and from what each rule reads which rows a transition wakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from attrs import frozen

from kernel.errors import InvalidDefinition
from kernel.spec import SPEC, Lifecycle, Spec
from kernel.spec.check import possible
from kernel.spec.evaluate import Function, function
from kernel.spec.language import Expr, F, Fire, Guard, Lit, Op, Q, Row, Sort, Step, both, no
from kernel.spec.logic import quantifiers, reads
from kernel.spec.machine import Condition, rows_of
from kernel.spec.vocabulary import ABSENT, closed


@frozen(eq=False)
class Line:
    """One row of a table, ready to run."""

    event: str
    target: str
    holds: Function
    guards: tuple[tuple[Guard, Function], ...]
    sets: tuple[tuple[str, Function], ...]
    row: Row


@frozen(eq=False)
class Part:
    """One Fire of a step, ready to run; `link` is empty for self."""

    event: str
    link: str
    kind: str
    one: bool
    creates: bool
    where: Function
    wakes: bool
    fire: Fire


@frozen(eq=False)
class Action:
    """A command or rule, ready to run."""

    index: int
    step: Step
    holds: Function
    guards: tuple[tuple[Guard, Function], ...]
    parts: tuple[Part, ...]


@frozen
class Counter:
    """How many rows behind `link` satisfy `body` (against `every`: do not). Lives on the row that asks, at `place`."""

    name: str
    owner: str
    link: str
    kind: str
    place: int
    body: Expr


Deltas = tuple[tuple[str, tuple[tuple[int, int], ...]], ...]
"""For each link: which counters of the rows that ask over it move, and by how much."""


@frozen(eq=False)
class Program:
    """The specification, ready to run."""

    spec: Spec
    cells: Mapping[str, Mapping[tuple[str, str], tuple[Line, ...]]]
    commands: Mapping[str, Action]
    rules: Mapping[str, Mapping[str, tuple[Action, ...]]]
    counters: tuple[Counter, ...]
    places: Mapping[Q, int]
    signature: Mapping[str, Any]
    deltas: Mapping[str, Mapping[tuple[Any, str, str], Deltas]]
    wakes: Mapping[tuple[str, str, str, str], tuple[str, ...]]
    entering: Mapping[tuple[str, str], tuple[tuple[Part, ...], tuple[Part, ...]]]

    open_tasks: int | None
    """The counter of a workflow's tasks that are not closed, when the rules count them."""

    def counters_of(self, kind: str) -> tuple[Counter, ...]:
        """The counters that rows of a kind hold, by place."""
        return tuple(c for c in self.counters if c.owner == kind)


def slug(text: str) -> str:
    """A guard's name as part of a counter's name."""
    return text.lower().replace(" ", "_")


def derive_counters(spec: Spec) -> tuple[tuple[Counter, ...], dict[Q, int]]:
    """One counter for each quantifier of the progress rules and of the rows that they fire."""
    counters: dict[tuple[str, Expr], Counter] = {}
    places: dict[Q, int] = {}
    for rule in spec.progress:
        conditions = [(rule.on, g.holds) for g in rule.guards]
        for fire in rule.do:
            kind = rule.on if fire.at == "self" else spec.links[fire.at].target
            conditions += [(kind, g.holds) for r in spec.tables[kind].rows if r.event == fire.event for g in r.guards]
        for owner, condition in conditions:
            for q in quantifiers(condition):
                body = no(q.body) if q.op == "every" else q.body.holds
                link = spec.links[q.link]
                if (q.link, body) not in counters:
                    name = f"{q.link}_{'not_' if q.op == 'every' else ''}{slug(q.body.name)}"
                    place = sum(1 for c in counters.values() if c.owner == owner)
                    counters[q.link, body] = Counter(name, owner, q.link, link.target, place, body)
                places[q] = counters[q.link, body].place
    return tuple(counters.values()), places


def derive_deltas(spec: Spec, counters: tuple[Counter, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """By how much each transition changes whether its row counts: for each kind a reader of the attributes that matter, and
    a table (those attributes, source, target) -> deltas."""
    signature: dict[str, Any] = {}
    deltas: dict[str, Any] = {}
    for kind in {c.kind for c in counters}:
        mine = [c for c in counters if c.kind == kind]
        declared = {a.name: (a.choices if a.sort is Sort.CHOICE else (0, 1)) for a in spec.kinds[kind].attributes}
        read = sorted({f.name for c in mine for f in reads(c.body)} - {"state"})
        for name in read:
            if name not in declared:
                raise InvalidDefinition(f"a counter over {kind} rows", why=f"it reads {name!r}, which is not an attribute",
                                        hint="read the state and attributes of the far row only")
        signature[kind] = attrgetter(*read) if len(read) > 1 else (lambda row, names=tuple(read): tuple(
            getattr(row, n) for n in names))
        counts = [(c, function(c.body, {})) for c in mine]
        table: dict[tuple[Any, str, str], Deltas] = {}
        for values in product(*(declared[n] for n in read)):
            row = SimpleNamespace(**dict(zip(read, values, strict=True)))

            def counted(state: str, row: Any = row, counts: Any = counts) -> list[int]:
                row.state = state
                return [int(state != ABSENT and f(row, {})) for _, f in counts]

            vectors = {s: counted(s) for s in spec.kinds[kind].states}
            for source, target in product(spec.kinds[kind].states, repeat=2):
                moved: dict[str, list[tuple[int, int]]] = {}
                for (c, _), a, b in zip(counts, vectors[source], vectors[target], strict=True):
                    if a != b:
                        moved.setdefault(c.link, []).append((c.place, b - a))
                table[values, source, target] = tuple((link, tuple(ds)) for link, ds in moved.items())
        deltas[kind] = table
    return signature, deltas


REVERSE = {("wf",): "tasks", ("up",): "child", ("up", "wf"): "children"}
"""Which rows read a changed row over a path: the tasks of a workflow, the child of a task, the children of a workflow."""


def _atoms(expr: Expr) -> tuple[Expr, ...]:
    """The conjuncts of a condition."""
    return sum((_atoms(a) for a in expr.args), ()) if isinstance(expr, Op) and expr.op == "and" else (expr,)


def _over(path: tuple[str, ...], expr: Expr) -> Expr:
    """The expression as read from the row at the start of the path."""
    if isinstance(expr, F):
        return F(expr.name, path + expr.via, expr.then)
    return Op(expr.op, tuple(_over(path, a) for a in expr.args)) if isinstance(expr, Op) else expr


def readings(spec: Spec, rule: Step) -> tuple[Expr, ...]:
    """Everything that a rule needs, as conjuncts read from the row that it is on."""
    found = [a for g in rule.guards for a in _atoms(g.holds)]
    for fire in rule.do:
        if fire.at != "self" and not spec.links[fire.at].one:
            continue
        path = () if fire.at == "self" else (fire.at,)
        kind = rule.on if fire.at == "self" else spec.links[fire.at].target
        rows = [r for r in spec.tables[kind].rows if r.event == fire.event]
        states = tuple(dict.fromkeys(s for r in rows for s in r.source))
        found.append(_over(path, Op("or", tuple(Op("eq", (F("state"), Lit(s))) for s in states))))
        shared = set.intersection(*({a for g in r.guards for a in _atoms(g.holds)} for r in rows))
        found += [_over(path, a) for a in shared]
    return tuple(found)


def _states(atom: Expr, path: tuple[str, ...]) -> set[str] | None:
    """The states that the atom asks of the row at the end of the path, when that is all it asks."""
    if not isinstance(atom, Op) or atom.op not in ("eq", "or") or any(f != F("state", path) for f in reads(atom)):
        return None
    comparisons = (atom,) if atom.op == "eq" else atom.args
    if not comparisons or not all(isinstance(c, Op) and c.op == "eq" for c in comparisons):
        return None
    return {c.args[1].value for c in comparisons if isinstance(c, Op) and hasattr(c.args[1], "value")}


def derive_wakes(spec: Spec) -> dict[tuple[str, str, str, str], tuple[str, ...]]:
    """Which rows to look at after a transition, besides the row itself: those that read it over a path of links, when the
    transition can make true something that their rules need."""
    wakes: dict[tuple[str, str, str, str], dict[str, None]] = {}
    needs = [(rule, path, [a for a in readings(spec, rule) if any(f.via == path for f in reads(a))])
             for rule in spec.progress for path in REVERSE]
    for table in spec.tables.values():
        for row in table.rows:
            changed = {name for name, _ in row.set} | {"state"}
            for source in row.source:
                found = wakes.setdefault((table.kind.name, row.event, source, row.target), {})
                for _rule, path, atoms in needs:
                    end = spec.links[path[-1]].target
                    if not atoms or end != table.kind.name:
                        continue
                    asked = [s for a in atoms if (s := _states(a, path)) is not None]
                    possible_now = all(row.target in s for s in asked)
                    turned = any(source not in s for s in asked)
                    others = any(f.via == path and f.name in changed - {"state"} for a in atoms for f in reads(a))
                    if possible_now and (turned or others):
                        found[REVERSE[path]] = None
    return {key: tuple(links) for key, links in wakes.items()}


def _compile_cells(lifecycle: Lifecycle, places: Mapping[Q, int]) -> dict[tuple[str, str], tuple[Line, ...]]:
    cells: dict[tuple[str, str], list[Line]] = {}
    lines: dict[int, Line] = {}
    for event, source, target, row, conditions in rows_of(lifecycle.machine(places)):
        if id(row) not in lines:
            lines[id(row)] = Line(
                event, target, _all(conditions), tuple((c.guard, c.function) for c in conditions),
                tuple((name, function(value, places)) for name, value in row.set), row,
            )
        cells.setdefault((source, event), []).append(lines[id(row)])
    return {key: tuple(found) for key, found in cells.items()}


def _all(conditions: tuple[Condition, ...]) -> Function:
    functions = [c.function for c in conditions]
    if not functions:
        return lambda row, given: True
    if len(functions) == 1:
        return functions[0]
    if len(functions) == 2:
        first, second = functions
        return lambda row, given: first(row, given) and second(row, given)
    first, second, rest = functions[0], functions[1], tuple(functions[2:])

    def every(row: Any, given: Mapping[str, Any]) -> bool:
        if not (first(row, given) and second(row, given)):
            return False
        return all(f(row, given) for f in rest)

    return every


def _compile_part(spec: Spec, on: str, fire: Fire, places: Mapping[Q, int]) -> Part:
    own = fire.at == "self"
    kind = on if own else spec.links[fire.at].target
    rows = [r for r in spec.tables[kind].rows if r.event == fire.event]
    targets = {r.target for r in rows}
    return Part(
        fire.event, "" if own else fire.at, kind, own or spec.links[fire.at].one, all(r.source == (ABSENT,) for r in rows),
        function(fire.where, places),
        kind == "workflow" and any(possible(rule, t) for rule in spec.progress if rule.on == kind for t in targets), fire,
    )


def _compile_step(spec: Spec, index: int, step: Step, places: Mapping[Q, int]) -> Action:
    guards = tuple((g, function(g.holds, places)) for g in step.guards)
    return Action(index, step, function(both(*step.guards), places), guards,
                  tuple(_compile_part(spec, step.on, f, places) for f in step.do))


def _rules_of(spec: Spec, kind: str, state: str, actions: list[Action]) -> tuple[Action, ...]:
    """The rules that a row in this state can enable, in order."""
    return tuple(
        a for a in actions
        if a.step.on == kind and possible(a.step, state) and (
            a.step.do[0].at != "self" or spec.tables[kind].rows_for(a.step.do[0].event, state))
    )


def compile_program(spec: Spec) -> Program:
    """Compile a specification: flat dispatch, derived counters, derived wake-ups."""
    counters, places = derive_counters(spec)
    signature, deltas = derive_deltas(spec, counters)
    rules = [_compile_step(spec, i, s, places) for i, s in enumerate(spec.progress)]
    return Program(
        spec=spec,
        open_tasks=next((c.place for c in counters if c.link == "tasks" and c.body == no(closed)), None),
        cells={k: _compile_cells(Lifecycle(t), places) for k, t in spec.tables.items()},
        commands={s.name: _compile_step(spec, -1, s, places) for s in spec.commands},
        rules={k: {s: _rules_of(spec, k, s, rules) for s in t.kind.states} for k, t in spec.tables.items()},
        counters=counters,
        places=places,
        signature=signature,
        deltas=deltas,
        wakes=derive_wakes(spec),
        entering={
            (e.kind, s): (tuple(_compile_part(spec, e.kind, f, places) for f in e.cascade),
                          tuple(_compile_part(spec, e.kind, f, places) for f in e.emit))
            for e in spec.on_enter for s in e.states
        },
    )


@cache
def standard_program() -> Program:
    """The program of the declared specification."""
    return compile_program(SPEC)
