"""What follows from the tables: counters from quantifiers, their changes from transitions, wake-ups from what rules read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import SimpleNamespace
from typing import Any

from attrs import frozen

from kernel.errors import InvalidDefinition
from kernel.spec.evaluate import function
from kernel.spec.language import Expr, F, Lit, Op, Q, Row, Sort, Spec, Step, no
from kernel.spec.logic import choice, facts, over, quantifiers, reads
from kernel.spec.names import entering, fired
from kernel.spec.vocabulary import ABSENT

COUNTED = ("tasks", "after")
"""The links over which rows may be counted: whoever changes a task knows who counts it over these."""
REVERSE = {("wf",): "tasks", ("up",): "child"}
"""Which rows read a changed row over a path: the tasks of a workflow, the sub-workflow of a task."""


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
"""For each link: which counters of the rows that count over it move, and by how much."""


def slug(text: str) -> str:
    """A guard's name as part of a counter's name."""
    return text.lower().replace(" ", "_")


# ---- counters -----------------------------------------------------------------------------------------------------------
def derive_counters(spec: Spec) -> tuple[tuple[Counter, ...], dict[Q, int]]:
    """One counter for each quantifier of the progress rules and of the rows that they fire; and the place of each."""
    counters: dict[tuple[str, Expr], Counter] = {}
    places: dict[Q, int] = {}
    for rule in spec.progress:
        conditions = [(rule.on, g.holds) for g in rule.guards]
        for fire in rule.do:
            kind = rule.on if fire.at == "self" else spec.links[fire.at].target
            conditions += [(kind, g.holds) for row in fired(spec, rule, fire) for g in row.guards]
        for owner, condition in conditions:
            for q in quantifiers(condition):
                if q.link not in COUNTED:
                    raise InvalidDefinition(f"{rule.name} counts over {q.link!r}", allowed=COUNTED,
                                            why="whoever changes a row behind it does not know who counts it")
                body = no(q.body) if q.op == "every" else q.body.holds
                if (q.link, body) not in counters:
                    name = f"{q.link}_{'not_' if q.op == 'every' else ''}{slug(q.body.name)}"
                    place = sum(1 for c in counters.values() if c.owner == owner)
                    counters[q.link, body] = Counter(name, owner, q.link, spec.links[q.link].target, place, body)
                places[q] = counters[q.link, body].place
    return tuple(counters.values()), places


def signature(spec: Spec, counters: tuple[Counter, ...]) -> tuple[str, ...]:
    """The attributes of a task that decide whether it counts."""
    read = {f for c in counters for f in reads(c.body)} - {F("state")}
    finite = (Sort.CHOICE, Sort.FLAG)
    known = {F(a.name) for a in spec.kinds["task"].attributes if a.sort in finite and not a.judged}
    for f in read - known:
        raise InvalidDefinition(
            f"a counter that reads {'.'.join((*f.via, f.name))!r} of a task", why="counters move with transitions only",
            hint="read its state, and flags and choices that its definition gives")
    return tuple(sorted(f.name for f in read))


def derive_deltas(
    spec: Spec, counters: tuple[Counter, ...], names: tuple[str, ...]
) -> dict[tuple[str, str], dict[tuple[Any, ...], Deltas]]:
    """By how much each transition of a task changes whether it counts: (source, target) -> its signature -> deltas."""
    declared = {a.name: a.choices if a.sort is Sort.CHOICE else (0, 1) for a in spec.kinds["task"].attributes}
    states = spec.kinds["task"].states
    counts = [(c, function(c.body, {})) for c in counters]
    table: dict[tuple[str, str], dict[tuple[Any, ...], Deltas]] = {(a, b): {} for a in states for b in states}
    for values in product(*(declared[n] for n in names)):
        vectors = {}
        for state in states:
            row = SimpleNamespace(state=state, **dict(zip(names, values, strict=True)))
            vectors[state] = [int(state != ABSENT and bool(counted(row, {}))) for _, counted in counts]
        for (source, target), found in table.items():
            moved: dict[str, list[tuple[int, int]]] = {}
            for (c, _), before, after in zip(counts, vectors[source], vectors[target], strict=True):
                if before != after:
                    moved.setdefault(c.link, []).append((c.place, after - before))
            if moved:
                found[values] = tuple((link, tuple(ds)) for link, ds in moved.items())
    return table


# ---- what is known decides ----------------------------------------------------------------------------------------------
def established(spec: Spec, kind: str, row: Row) -> dict[Expr, object]:
    """What the guards of a row say of attributes: it stays true after the row was taken."""
    attributes = {F(a.name) for a in spec.kinds[kind].attributes}
    choices = [choice(fact) for g in row.guards for fact in facts(g.holds)]
    return {chosen[0]: chosen[1] for chosen in choices if chosen is not None and chosen[0] in attributes}


# ---- wake-ups -----------------------------------------------------------------------------------------------------------
def readings(spec: Spec, rule: Step) -> tuple[Expr, ...]:
    """Everything that a rule needs, as conjuncts read from the row that it is on."""
    found = [fact for g in rule.guards for fact in facts(g.holds)]
    for fire in rule.do:
        if fire.at != "self" and not spec.links[fire.at].one:
            continue
        path = () if fire.at == "self" else (fire.at,)
        rows = fired(spec, rule, fire)
        states = tuple(dict.fromkeys(s for r in rows for s in r.source))
        found.append(over(path, Op("or", tuple(Op("eq", (F("state"), Lit(s))) for s in states))))
        shared = set.intersection(*({fact for g in r.guards for fact in facts(g.holds)} for r in rows))
        found += [over(path, fact) for fact in shared]
    return tuple(found)


def _states(atom: Expr, path: tuple[str, ...]) -> set[str | int] | None:
    """The states that the atom asks of the row at the end of the path, when that is all it asks."""
    comparisons = atom.args if isinstance(atom, Op) and atom.op == "or" else (atom,)
    choices = [choice(c) for c in comparisons]
    if not all(chosen is not None and chosen[0] == F("state", path) for chosen in choices):
        return None
    return {chosen[1] for chosen in choices if chosen is not None}


@frozen
class Need:
    """What a rule needs of the row at the end of a path: that its state is among each of these, and some of its fields."""

    path: tuple[str, ...]
    states: tuple[set[str | int], ...]
    fields: frozenset[str]

    @classmethod
    def of(cls, path: tuple[str, ...], read: tuple[Expr, ...]) -> Need:
        """What these conditions need of that row."""
        found = [(atom, [f.name for f in reads(atom) if f.via == path]) for atom in read]
        states = [_states(atom, path) for atom, names in found if names]
        return cls(path, tuple(s for s in states if s is not None), frozenset(name for _, names in found for name in names))

    def met_by(self, row: Row, source: str) -> bool:
        """Whether a transition can make it true."""
        changed = any(source not in s for s in self.states) or any(name in self.fields for name, _ in row.set)
        return changed and all(row.target in s for s in self.states)


def _fired(spec: Spec) -> set[tuple[str, str]]:
    """The kinds and events that a command, a rule or an ending fires.

    One that brings more with it is left out: it moves, and so wakes, itself every row that may go on.
    """
    return {
        (step.on if fire.at == "self" else spec.links[fire.at].target, fire.event)
        for step in (*spec.commands, *spec.progress, *entering(spec)) for fire in step.do
    } - {(follow.kind, follow.event) for follow in spec.follows}


def derive_wakes(spec: Spec) -> Mapping[tuple[str, str, str, str], tuple[str, ...]]:
    """Which rows to look at after a transition, besides the row itself.

    They are those that read it over a path of links, when the transition can make true something that their rules need. A row
    that begins to exist is read by none that is older; one that goes takes those that read it with it.
    """
    needs = [Need.of(path, read) for read in (readings(spec, rule) for rule in spec.progress)
             for path in dict.fromkeys(f.via for a in read for f in reads(a) if f.via)]
    wakes: dict[tuple[str, str, str, str], dict[str, None]] = {}
    for table in spec.tables.values():
        moves = [(r, s) for r in table.rows for s in r.source
                 if ABSENT not in (s, r.target) and (table.kind.name, r.event) in _fired(spec)]
        for row, source in moves:
            found = wakes.setdefault((table.kind.name, row.event, source, row.target), {})
            for need in needs:
                if spec.links[need.path[-1]].target == table.kind.name and need.met_by(row, source):
                    if need.path not in REVERSE:
                        raise InvalidDefinition(f"progress reads over {'.'.join(need.path)!r}", allowed=tuple(REVERSE.values()),
                                                why=f"nobody knows whom {row.event} wakes over it")
                    found[REVERSE[need.path]] = None
    return {key: tuple(links) for key, links in wakes.items() if links}
