"""Stand-ins for rows, every situation that expressions can be in, and a plain, slow interpreter of expressions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import product
from typing import Any

import attrs

from kernel.spec import SPEC
from kernel.spec.language import Expr, F, Field, Guard, Linked, Lit, Op, Param, Q, Sort
from kernel.spec.logic import OTHER, domains, over, reads, valuations, walk
from kernel.spec.logic import truth as true

PRESENTED: dict[str, tuple[Any, ...]] = {
    "now": (1,), "chance": (0, 500_000),
    "run": (0, 1), "handouts": (0, 1), "claims": (0, 1), "retryable": (0, 1), "delay": (0, 2),
    "proof": ("", "a"), "error": ("", "a"), "origin": ("", "a"), "from_task": (None,), "anyway": (0, 1),
    "resume": (0, 1),
    "unarchived": (0, 1),
}
"""What a caller may present. `now` is 1, so that a time is before, at or after it."""
VALUES: dict[Sort, tuple[Any, ...]] = {
    Sort.COUNT: (0, 1), Sort.FLAG: (0, 1), Sort.TIME: (0, 1, 2), Sort.DURATION: (0, 1, 2), Sort.TEXT: ("", "a"),
}


# ---- the interpreter -------------------------------------------------------------------------------------------------
def meaning(expr: Expr, row: Any, given: Mapping[str, Any]) -> Any:
    """What an expression says of a row, read straight from its definition; `and` and `or` go from left to right."""
    match expr:
        case Lit(value):
            return value
        case Param(name):
            return given.get(name, "")
        case F(name, via, then):
            for step in (*(["then"] if then else []), *via):
                row = getattr(row, step)
            return getattr(row, name)
        case Linked(link, param):
            return given.get(param) is not None and row in given[param].behind(link)
        case Q(quantifier, link, body):
            verdicts = [bool(meaning(body.holds, other, given)) for other in row.behind(link)]
            return False not in verdicts if quantifier == "every" else True in verdicts
        case Op(op, args):
            return _operation(op, args, row, given)


def _operation(op: str, args: tuple[Expr, ...], row: Any, given: Mapping[str, Any]) -> Any:
    if op in ("and", "or"):
        for arg in args:
            if bool(meaning(arg, row, given)) != (op == "and"):
                return op == "or"
        return op == "and"
    values = [meaning(arg, row, given) for arg in args]
    match op:
        case "not":
            return not values[0]
        case "eq":
            return values[0] == values[1]
        case "lt":
            return values[0] < values[1]
        case "add":
            return values[0] + values[1]
        case "sub":
            return values[0] - values[1]
        case "part":
            return int(values[0]) * int(values[1]) // 1_000_000
        case "min" | "max":
            return sorted(values)[0 if op == "min" else -1]
    raise AssertionError(op)


# ---- rows ------------------------------------------------------------------------------------------------------------
class Behind:
    """The rows behind the set links of a stand-in."""

    __slots__ = ()

    def behind(self: Any, link: str) -> list[Any]:
        """The rows behind a set link; it must have been given."""
        found: list[Any] = self.sets[link]
        return found


def fields_of(kind: str) -> dict[str, Field]:
    """The fields and attributes of a kind by name, its state among them."""
    declared = SPEC.kinds[kind]
    state = Field("state", Sort.CHOICE, "its state", declared.states)
    return {f.name: f for f in (state, *declared.fields, *declared.attributes)}


@cache
def stand_in(kind: str) -> type[Any]:
    """A slotted class with just the fields of a kind, each with a value of its own, and its single links, not set."""
    values: dict[str, Any] = {}
    for number, field in enumerate(fields_of(kind).values(), start=1000):
        text = field.name if field.sort is Sort.TEXT else number
        values[field.name] = field.choices[0] if field.choices else 0 if field.sort is Sort.FLAG else text
    values |= {link.name: None for link in SPEC.links.values() if link.source == kind and link.one}
    values |= {"then": None, "counts": None, "sets": None}
    made = {name: attrs.field(default=value) for name, value in values.items()}
    return attrs.make_class(f"{kind.title()}Stand", made, bases=(Behind,), slots=True, eq=False)


def make(kind: str, **values: Any) -> Any:
    """A row of a kind; what is not given has a default that is like no other."""
    return stand_in(kind)(**{"counts": [], "sets": {}, **values})


def put(row: Any, kind: str, field: F, value: Any) -> None:
    """Give a field its value, making the rows on the way to it."""
    path = (*(("then",) if field.then else ()), *field.via)
    for name in path:
        kind = kind if name == "then" else SPEC.links[name].target
        if getattr(row, name) is None:
            setattr(row, name, make(kind))
        row = getattr(row, name)
    setattr(row, field.name, value)


# ---- situations ------------------------------------------------------------------------------------------------------
@attrs.frozen(eq=False)
class Situation:
    """A row among its neighbours, and what the caller presents."""

    row: Any
    given: dict[str, Any]


def _end(kind: str, via: tuple[str, ...]) -> str:
    return SPEC.links[via[-1]].target if via else kind


def concrete(kind: str, leaf: Expr, exprs: Iterable[Expr]) -> tuple[Any, ...]:
    """The values that are tried for a leaf of expressions; of a choice those that they name, and two others."""
    match leaf:
        case F(name, via):
            field = fields_of(_end(kind, via))[name]
            asked = [v for v in field.choices if v in domains(*exprs).get(leaf, ())]
            others = [v for v in field.choices if v not in asked]
            return (*asked, *others[:2]) or VALUES[field.sort]
        case Param(name):
            return PRESENTED[name]
        case _:
            return (True, False)


def leaves(exprs: Iterable[Expr]) -> list[Expr]:
    """What expressions are made of: fields, presented values, quantifiers, memberships; each once."""
    return list(dict.fromkeys(e for x in exprs for e in walk(x) if isinstance(e, F | Param | Q | Linked)))


@cache
def far_rows(link: str, bodies: tuple[Guard, ...]) -> tuple[tuple[Any, tuple[bool, ...]], ...]:
    """Rows behind a link: two for each way in which they can stand to the conditions, where there are two."""
    kind = SPEC.links[link].target
    fields = list(dict.fromkeys(f for b in bodies for f in reads(b.holds)))
    found: dict[tuple[bool, ...], list[Any]] = {}
    for values in product(*(concrete(kind, f, [b.holds for b in bodies]) for f in fields)):
        row = make(kind, **{f.name: v for f, v in zip(fields, values, strict=True)})
        found.setdefault(tuple(bool(meaning(b.holds, row, {})) for b in bodies), []).append(row)
    return tuple((row, verdict) for verdict, rows in found.items() for row in dict.fromkeys((rows[0], rows[-1])))


def _gather(link: str, wanted: dict[Q, bool]) -> list[Any] | None:
    """As many rows behind a link as let the quantifiers over it have these truths, or None when no rows do."""
    bodies = tuple(dict.fromkeys(q.body for q in wanted))
    kept = [
        (row, verdict) for row, verdict in far_rows(link, bodies)
        if all(truth != (q.op == "every") or verdict[bodies.index(q.body)] == truth for q, truth in wanted.items())
    ]
    for q, truth in wanted.items():
        if truth == (q.op == "some") and not any(verdict[bodies.index(q.body)] == truth for _, verdict in kept):
            return None
    return [row for row, _ in kept]


def situations(kind: str, *exprs: Expr, state: str = "", along: Iterable[Expr] = ()) -> Iterator[Situation]:
    """Every situation that makes a difference to the expressions; those in `along` can be read, too.

    A link that is absent where the row stands leads nowhere.
    """
    varied = leaves(exprs)
    tried = [(state,) if state and leaf == F("state") else concrete(kind, leaf, exprs) for leaf in varied]
    still = [leaf for leaf in leaves(along) if leaf not in varied and isinstance(leaf, F) and leaf.via]
    ways = {name: SPEC.links[name] for f in (*varied, *still) if isinstance(f, F) for name in f.via}
    for values in product(*tried):
        row = make(kind, **({"state": state} if state else {}))
        given = {name: options[0] for name, options in PRESENTED.items()}
        wanted: dict[str, dict[Q, bool]] = {}
        for leaf, value in zip(varied, values, strict=True):
            match leaf:
                case F():
                    put(row, kind, leaf, value)
                case Param(name):
                    given[name] = value
                case Linked(link, param):
                    chosen = make(SPEC.links[link].source)
                    chosen.sets = {link: [make(kind), *([row] if value else [])]}
                    given[param] = chosen
                case Q():
                    wanted.setdefault(leaf.link, {})[leaf] = value
        for leaf in still:
            put(row, kind, F(leaf.name, leaf.via), VALUES[fields_of(_end(kind, leaf.via))[leaf.name].sort][-1] + 7)
        for name, way in ways.items():
            if way.source == kind and not meaning(way.present, row, {}):
                setattr(row, name, None)
        row.sets = {link: _gather(link, truths) for link, truths in wanted.items()}
        if None not in row.sets.values():
            yield Situation(row, given)


def count(row: Any, places: Mapping[Q, int], exprs: Iterable[Expr]) -> None:
    """Set the counters of a row as the rows behind it say: for `every` how many do not, for `some` how many do."""
    for q in (leaf for leaf in leaves(exprs) if isinstance(leaf, Q)):
        if q in places:
            row.counts += [0] * (places[q] + 1 - len(row.counts))
            verdicts = [bool(meaning(q.body.holds, other, {})) for other in row.behind(q.link)]
            row.counts[places[q]] = verdicts.count(q.op == "some")


def ways(kind: str, atom: Expr) -> Iterator[Expr]:
    """The conditions under which the links are there that an atom is read over."""
    for read in reads(atom):
        for i, name in enumerate(read.via):
            yield over(read.via[:i], SPEC.links[name].present)


def valuation(exprs: Iterable[Expr], situation: Situation, kind: str = "") -> frozenset[tuple[Expr, object]]:
    """The atoms of conditions as they are in a situation; those of a kind's row over a link that is absent are left out."""
    found: dict[Expr, object] = {}
    for atom, values in domains(*exprs).items():
        if kind and not all(meaning(way, situation.row, situation.given) for way in ways(kind, atom)):
            continue
        value = meaning(atom, situation.row, situation.given)
        if OTHER in values:
            found[atom] = value if value in values else OTHER
        else:
            found[atom] = bool(value)
    return frozenset(found.items())



def possible(kind: str, exprs: Iterable[Expr]) -> Iterator[dict[Expr, object]]:
    """Every valuation of the atoms of conditions on a row of a kind, without those over a link that is absent."""
    for values in valuations(*exprs):
        yield {atom: value for atom, value in values.items() if all(true(way, values) for way in ways(kind, atom))}
