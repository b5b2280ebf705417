"""The tables as far as a history knows them.

A line of history tells states, attempts and runs; ids and definitions tell what else is in `KNOWN`. Times, tokens, payloads and
what is judged from them are open: what a condition asks of them is left out, so that nothing is held against a history that
could be right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product
from types import SimpleNamespace
from typing import Any

from attrs import frozen

from kernel.spec import SPEC
from kernel.spec.evaluate import Function, function
from kernel.spec.language import (
    YES,
    Expr,
    F,
    Fire,
    Guard,
    Linked,
    Lock,
    Nature,
    Op,
    Param,
    Property,
    Q,
    Row,
    Spec,
    Step,
    both,
    either,
    is_,
    no,
)
from kernel.spec.logic import NEVER_HOLDS, fold, hedged, over, quantifiers
from kernel.spec.vocabulary import ABSENT

KNOWN: Mapping[str, frozenset[str]] = {
    "workflow": frozenset(("state", "run", "id", "root", "slot", "on_timeout", "restartable")),
    "task": frozenset((
        "state", "attempt", "signalled", "mode", "optional", "permissive", "tries", "on_expiry", "asks", "branch",
        "added")),
    "delivery": frozenset(("state", "attempt", "run", "hears", "own", "news")),
}
"""The fields and attributes of each kind that a history, ids and definitions tell."""
COUNTED = ("tasks", "after", "subs")
"""The links over which rows are counted: the rows that ask for them are few, and known."""
LISTED = ("earlier",)
"""The links over which rows are looked at one by one: what is behind them is settled soon."""
TOLD = ("optional", "permissive", "asks", "mode")
"""The attributes of a task by which rows may be counted."""
UNJUDGED: Mapping[Expr, object] = {F("sound"): 1, F("branch"): 0}
"""What is known of a task that nothing can prevent."""
Guards = tuple[tuple[Guard, Function], ...]
"""Guards with what is known of each."""
Cell = tuple[str, str, str, str, bool]
"""Kind, event, source, target, and whether the row is judged."""
Sort = tuple[str, str, bool]
"""Kind, mode (empty for what has none), and whether the row is judged."""
Agenda = Mapping[str, tuple[tuple[int, Function], ...]]
"""For each state the rules, by their place in the order, with what certainly enables them on a row that stands there."""
Laws = Mapping[str, tuple[tuple[Property, Function], ...]]
"""For each state what must be true of a row that stands there."""
Shifts = tuple[tuple[int, int], ...]
"""Which counters a move changes, and by how much."""
Moves = tuple[Mapping[tuple[str, str], Shifts], Mapping[tuple[str, str], Shifts]]
"""What a move of a task, from state to state, changes for its workflow, and for each task after it."""


@frozen(eq=False)
class Taking:
    """One row of a table that a line of history can be: its guards, and what of the fields that it sets is known."""

    row: Row
    guards: Guards
    attempt: Function | None
    signalled: Function | None
    run: Function | None


@frozen(eq=False)
class Stepping:
    """A step that can stand behind a line: as what, what it must find, and what it can bring about."""

    step: Step
    index: int
    """Of a rule of progress its place in their order; -1 for a command."""
    guards: Guards
    causes: frozenset[tuple[str, str]]
    """The kinds and events of its lines."""
    first: tuple[str, str]
    """Those of the line of the row that it begins with; empty where it moves none."""
    raises: bool
    """Whether the version of the tree rises."""


@frozen(eq=False)
class Knowledge:
    """A specification as far as a history knows it."""

    spec: Spec
    cells: Mapping[Cell, tuple[Taking, ...]]
    steps: Mapping[str, Stepping]
    silent: frozenset[tuple[str, str]]
    """The kinds and events that have no line in a history: they change no state."""
    agenda: Mapping[Sort, Agenda]
    """The rules that can be enabled on rows."""
    laws: Mapping[Sort, Laws]
    """What must be true of rows whenever a commit is complete."""
    counters: Mapping[tuple[str, str], tuple[tuple[int, Function], ...]]
    """For the kind of who counts and the link: the place of each counter, and whether a row counts."""
    ending: frozenset[str]
    """The states of a workflow that topics hear of as its end."""
    reopening: frozenset[str]
    """The events with which a tree begins a run, until progress goes on."""

    def width(self, kind: str) -> int:
        """How many counters a row of a kind has."""
        return sum(len(found) for (owner, _), found in self.counters.items() if owner == kind)

    def shifts(self, kind: str, link: str, told: Mapping[str, Any]) -> Mapping[tuple[str, str], Shifts]:
        """What changes for those who count rows over a link when one of these attributes moves, from state to state."""
        counters = self.counters.get((self.spec.links[link].source, link), ())
        states = self.spec.kinds[kind].states
        adds = {state: [int(state != ABSENT and bool(counts(SimpleNamespace(state=state, **told), {})))
                        for _, counts in counters] for state in states}
        return {
            (a, b): tuple((place, after - before) for (place, _), before, after in zip(counters, adds[a], adds[b], strict=True)
                          if before != after)
            for a, b in product(states, states)}


class _Compiler:
    """Reads a specification, and counts places as it finds quantifiers."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.places: dict[Q, int] = {}
        self.counted: dict[tuple[str, str], list[tuple[int, Function]]] = {}

    # ---- conditions -----------------------------------------------------------------------------------------------------
    def known(self, kind: str, expr: Expr) -> bool:
        """Whether all that an expression reads is known."""
        if isinstance(expr, F):
            for link in expr.via:
                kind = self.spec.links[link].target
            return expr.name in KNOWN[kind]
        if isinstance(expr, Q):
            return expr.link in (*COUNTED, *LISTED) and self.known(self.spec.links[expr.link].target, expr.body.holds)
        if isinstance(expr, Op):
            return all(self.known(kind, a) for a in expr.args)
        return not isinstance(expr, Param | Linked)

    def narrowed(self, kind: str, expr: Expr, given: Mapping[Expr, object], *, holds: bool) -> Expr:
        """A condition on a row of which something is given, without what is not known."""
        return fold(hedged(fold(expr, given), lambda e: self.known(kind, e), holds=holds), {})

    def compiled(self, kind: str, expr: Expr) -> Function:
        """A condition as a function; its quantifiers are counters."""
        for q in quantifiers(expr):
            if q.link in COUNTED and q not in self.places:
                counted = self.counted.setdefault((kind, q.link), [])
                self.places[q] = sum(len(found) for (owner, _), found in self.counted.items() if owner == kind)
                counted.append((self.places[q], function(no(q.body) if q.op == "every" else q.body.holds, {})))
        return function(expr, self.places)

    def guards(self, kind: str, guards: tuple[Guard, ...], given: Mapping[Expr, object]) -> Guards:
        """What is known of guards: each with what must hold where it does."""
        found = [(g, self.narrowed(kind, g.holds, given, holds=True)) for g in guards]
        return tuple((g, self.compiled(kind, expr)) for g, expr in found if expr != YES)

    # ---- lines ----------------------------------------------------------------------------------------------------------
    def cells(self) -> dict[Cell, tuple[Taking, ...]]:
        """Which rows of the tables a line of history can be."""
        found: dict[Cell, tuple[Taking, ...]] = {}
        for kind, table in self.spec.tables.items():
            for row, judged in product(table.rows, (False, True) if kind == "task" else (False,)):
                given = {} if judged or kind != "task" else UNJUDGED
                for source in row.source:
                    guards = self.guards(kind, row.guards, {**given, F("state"): source})
                    cell = kind, row.event, source, row.target, judged
                    found[cell] = (*found.get(cell, ()), self.taking(kind, row, guards))
        return found

    def taking(self, kind: str, row: Row, guards: Guards) -> Taking:
        """One row of a table, with the fields that are known after it."""
        sets = {name: self.compiled(kind, value) for name, value in row.set if self.known(kind, value)}
        return Taking(row, guards, *(sets.get(name) for name in ("attempt", "signalled", "run")))

    def silent(self) -> Iterator[tuple[str, str]]:
        """What has no line: the events of commands on one row alone, and those of whole sets that stay where they are."""
        for step in self.spec.commands:
            for fire in step.do:
                kind = self.target(step.on, fire)
                rows = [row for row in self.spec.tables[kind].rows if row.event == fire.event]
                whole = fire.at != "self" and not self.spec.links[fire.at].one
                if step.lock is Lock.ROW or (whole and all(row.source == (row.target,) for row in rows)):
                    yield kind, fire.event

    # ---- steps ----------------------------------------------------------------------------------------------------------
    def target(self, kind: str, fire: Fire) -> str:
        """The kind that a Fire of a row of this kind is at."""
        return kind if fire.at == "self" else self.spec.links[fire.at].target

    def causes(self, kind: str, fires: tuple[Fire, ...], known: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """All that these Fires bring about under the name of their step, with what is known already."""
        for fire in fires:
            cause = on, event = self.target(kind, fire), fire.event
            if cause in known:
                continue
            known |= {cause}
            for follow in (f for f in self.spec.follows if (f.kind, f.event) == cause):
                known = self.causes(on, follow.do, known)
            targets = {row.target for row in self.spec.tables[on].rows if row.event == event}
            for enter in (e for e in self.spec.on_enter if e.kind == on and targets & {*e.states}):
                known = self.causes(on, enter.cascade, known)
        return known

    def steps(self) -> Iterator[tuple[str, Stepping]]:
        """Everything that can stand behind a line, by name; what is emitted stands for itself."""
        order = {step.name: index for index, step in enumerate(self.spec.progress)}
        for step in (*self.spec.commands, *self.spec.progress):
            first = (self.target(step.on, step.do[0]), step.do[0].event) if step.do else ("", "")
            yield step.name, Stepping(step, order.get(step.name, -1), self.guards(step.on, step.guards, {}),
                                      self.causes(step.on, step.do, frozenset()), first,
                                      step.name in order or step.lock is Lock.TREE)
        for enter in self.spec.on_enter:
            for fire in enter.emit:
                step = Step(fire.event, self.target(enter.kind, fire), ())
                yield fire.event, Stepping(step, -1, (), frozenset({(step.on, fire.event)}), ("", ""), True)

    # ---- rows -----------------------------------------------------------------------------------------------------------
    def sorts(self) -> Iterator[tuple[Sort, Mapping[Expr, object]]]:
        """The sorts of rows, and what is known of each."""
        for kind in self.spec.kinds.values():
            modes = next((a.choices for a in kind.attributes if a.name == "mode"), ("",))
            for mode, judged in product(modes, (False, True) if kind.name == "task" else (False,)):
                yield (kind.name, mode, judged), {**({} if judged or kind.name != "task" else UNJUDGED), F("mode"): mode}

    def enabling(self, step: Step) -> Expr:
        """What enables a rule: its guards, and those of a row for each Fire at self or at a row behind a single link."""
        needed = [g.holds for g in step.guards]
        for fire in step.do:
            rows = [r for r in self.spec.tables[self.target(step.on, fire)].rows if r.event == fire.event]
            if fire.at == "self" or (self.spec.links[fire.at].one and not any(ABSENT in r.source for r in rows)):
                path = () if fire.at == "self" else (fire.at,)
                needed.append(either(*(over(path, both(is_(*r.source), *r.guards)) for r in rows)))
        return both(*needed)

    def agenda(self, kind: str, given: Mapping[Expr, object]) -> Agenda:
        """The rules that are certainly enabled on such a row, where their conditions hold."""
        found: dict[str, tuple[tuple[int, Function], ...]] = {}
        for state in self.spec.kinds[kind].states:
            rules = [(index, self.narrowed(kind, self.enabling(rule), {**given, F("state"): state}, holds=False))
                     for index, rule in enumerate(self.spec.progress) if rule.on == kind]
            found[state] = tuple((index, self.compiled(kind, expr)) for index, expr in rules if expr != NEVER_HOLDS)
        return found

    def laws(self, kind: str, given: Mapping[Expr, object]) -> Laws:
        """The state properties of such a row."""
        found: dict[str, tuple[tuple[Property, Function], ...]] = {}
        for state in self.spec.kinds[kind].states:
            props = [(prop, self.narrowed(kind, prop.body, {**given, F("state"): state}, holds=True))
                     for prop in self.spec.properties if prop.nature in (Nature.STATE, Nature.LIVENESS) and prop.on == kind]
            found[state] = tuple((prop, self.compiled(kind, expr)) for prop, expr in props if expr != YES)
        return found

    def knowledge(self) -> Knowledge:
        """All of it."""
        cells, steps, sorts = self.cells(), dict(self.steps()), dict(self.sorts())
        agenda = {sort: self.agenda(sort[0], given) for sort, given in sorts.items()}
        laws = {sort: self.laws(sort[0], given) for sort, given in sorts.items()}
        ending = frozenset(s for e in self.spec.on_enter if any(f.at == "outbox" for f in e.emit) for s in e.states)
        counters = {key: tuple(found) for key, found in self.counted.items()}
        reopening = frozenset(event for table in self.spec.tables.values() for event in table.reopening)
        return Knowledge(self.spec, cells, steps, frozenset(self.silent()), agenda, laws, counters, ending, reopening)


@cache
def moves(knowledge: Knowledge, told: tuple[Any, ...]) -> Moves:
    """What tasks of these attributes, those that are `TOLD`, change when they move."""
    named = dict(zip(TOLD, told, strict=True))
    return knowledge.shifts("task", "tasks", named), knowledge.shifts("task", "after", named)


@cache
def turns(knowledge: Knowledge) -> Mapping[tuple[str, str], Shifts]:
    """What a sub-workflow that moves changes for all that it is below."""
    return knowledge.shifts("workflow", "subs", {})


@cache
def standard_knowledge() -> Knowledge:
    """That of the declared specification."""
    return _Compiler(SPEC).knowledge()
