"""The first static check: every name in a specification is declared, and every expression is well put together."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.spec.language import (
    YES,
    Expr,
    F,
    Field,
    Fire,
    Kind,
    Link,
    Linked,
    Lit,
    Nature,
    NoOp,
    Op,
    Param,
    Q,
    Refusal,
    Row,
    Sort,
    Spec,
    Step,
    Table,
)
from kernel.spec.logic import choice, params, walk
from kernel.spec.vocabulary import ABSENT

AMBIENT = ("now", "chance")
"""What is presented with every command and rule: the time of the commit, and chance: a number of millionths below a million."""
UNREAD = "presents"
CONDITIONS, VALUES = ("and", "or", "not"), ("add", "sub", "part", "min", "max")
ANY = 1_000
ARGUMENTS = {
    "not": range(1, 2), **dict.fromkeys(("and", "or"), range(ANY)), **dict.fromkeys(("min", "max"), range(1, ANY)),
    **dict.fromkeys(("eq", "lt", "add", "sub", "part"), range(2, 3)),
}
"""How many arguments an operation has."""


def where(table: Table, row: Row) -> str:
    """A row as messages name it."""
    guards = ", ".join(g.name for g in row.guards) or "no guard"
    return f"{table.kind.name} {row.event} {'/'.join(row.source)} -> {row.target} ({guards})"


def answers(table: Table) -> tuple[NoOp | Refusal, ...]:
    """The no-ops and refusals of a table."""
    return (*table.no_ops, *table.refusals)


def entering(spec: Spec) -> tuple[Step, ...]:
    """What happens on entering a state, in the shape of steps: first each cascade, then what is emitted."""
    return tuple(Step(f"entering {'/'.join(e.states)}", e.kind, (*e.cascade, *e.emit)) for e in spec.on_enter)


def following(spec: Spec) -> tuple[Step, ...]:
    """What events bring with them, in the shape of steps. They read what the commands present whose events bring something.

    What one of these commands does not present is nothing to them: no task is named, no choice is made.
    """
    bringing = {(f.kind, f.event) for f in spec.follows}
    given = dict.fromkeys(
        name for step in spec.commands if any((_kind_of(spec, step, fire), fire.event) in bringing for fire in step.do)
        for name in step.params)
    return tuple(Step(f"after {f.event}", f.kind, f.do, params=tuple(given)) for f in spec.follows)


def _kind_of(spec: Spec, step: Step, fire: Fire) -> str:
    """The kind of the rows that a Fire is at; empty when there is no such link."""
    link = spec.links.get(fire.at)
    return step.on if fire.at == "self" else link.target if link else ""


def reached(spec: Spec, step: Step, fire: Fire) -> Table:
    """The lifecycle of the rows that a Fire of a step reaches."""
    return spec.tables[step.on if fire.at == "self" else spec.links[fire.at].target]


def fired(spec: Spec, step: Step, fire: Fire) -> tuple[Row, ...]:
    """The rows that may answer a Fire of a step."""
    return tuple(r for r in reached(spec, step, fire).rows if r.event == fire.event)


def _declared(kind: Kind) -> dict[str, Field]:
    state = Field("state", Sort.CHOICE, "its state", kind.states)
    return {f.name: f for f in (state, *kind.fields, *kind.attributes)}


def _end(spec: Spec, kind: str, via: tuple[str, ...]) -> str | None:
    """The kind at the end of a path of single links, or nothing when there is no such path."""
    for name in via:
        link = spec.links.get(name)
        if link is None or not link.one or link.source != kind:
            return None
        kind = link.target
    return kind


def _field(spec: Spec, kind: str, field: F) -> Field | None:
    end = _end(spec, kind, field.via)
    return None if end is None else _declared(spec.kinds[end]).get(field.name)


def _fits(field: Field, value: str | int) -> bool:
    """Whether the field can ever hold the value."""
    if field.sort is Sort.CHOICE:
        return value in field.choices
    if field.sort is Sort.FLAG:
        return value in (0, 1)
    return isinstance(value, str) == (field.sort is Sort.TEXT)


def _shaped(expr: Expr, condition: bool) -> Iterator[str]:
    """Where a condition is meant there is one, where a value is meant there is one; operations have their arguments."""
    if condition != (isinstance(expr, Q | Linked) or (isinstance(expr, Op) and expr.op not in VALUES)):
        yield f"{'a condition' if condition else 'a value'} is meant, not {expr}"
    elif isinstance(expr, Op):
        if expr.op not in ARGUMENTS:
            yield f"unknown operation {expr.op!r}"
        elif len(expr.args) not in ARGUMENTS[expr.op]:
            yield f"{expr.op!r} has {len(expr.args)} arguments"
        for arg in expr.args:
            yield from _shaped(arg, expr.op in CONDITIONS)
    elif isinstance(expr, Q):
        if expr.op not in ("every", "some"):
            yield f"unknown quantifier {expr.op!r}"
        yield from _shaped(expr.body.holds, True)


def _unknown(spec: Spec, kind: str, expr: Expr, *, then: bool) -> Iterator[str]:
    """What an expression that is read from a row of this kind names and is not declared."""
    for part in walk(expr):
        if isinstance(part, F):
            if _field(spec, kind, part) is None:
                yield f"reads the unknown field {'.'.join((*part.via, part.name))!r}"
            if part.then and not then:
                yield f"reads {part.name!r} after the step, which only a step property does"
        elif isinstance(part, Q):
            link = spec.links.get(part.link)
            if link is None or link.one or link.source != kind:
                yield f"{part.op} over {part.link!r}, which is no set link of a {kind}"
                continue
            for inner in walk(part.body.holds):
                if isinstance(inner, Param | Linked | Q) or (isinstance(inner, F) and inner.via):
                    yield f"{part.body.name!r}, counted over {part.link!r}, reads more than the fields of its row"
            yield from _unknown(spec, link.target, part.body.holds, then=then)
        elif isinstance(part, Linked):
            link = spec.links.get(part.link)
            if link is None or link.target != kind:
                yield f"asks for {part.link!r}, which is no link to a {kind}"
        elif (chosen := choice(part)) is not None and isinstance(chosen[0], F):
            field = _field(spec, kind, chosen[0])
            if field is not None and not _fits(field, chosen[1]):
                yield f"compares {field.name!r} with {chosen[1]!r}, which it never is"


def _malformed(spec: Spec, kind: str, expr: Expr, *, condition: bool = True, then: bool = False) -> Iterator[str]:
    shape = tuple(_shaped(expr, condition))
    yield from shape or _unknown(spec, kind, expr, then=then)


def _names(spec: Spec) -> Iterator[str]:
    """What things are called, in every language that a specification is written out in."""
    for name, table in spec.tables.items():
        kind = table.kind
        yield from (name, *kind.states, *(f.name for f in (*kind.fields, *kind.attributes)), *table.events)
    yield from (*spec.links, *(step.name for step in (*spec.commands, *spec.progress)))


def _kinds(spec: Spec) -> Iterator[str]:
    """Kinds that something is of and that do not exist."""
    for name in dict.fromkeys(_names(spec)):
        if not name.isidentifier():
            yield f"{name!r} is no plain name: letters, digits and underscores"
    places = [(f"link {k.name}", kind) for k in spec.links.values() for kind in (k.source, k.target)]
    places += [(s.name, s.on) for s in (*spec.commands, *spec.progress, *entering(spec))]
    places += [(f"after {f.event}", f.kind) for f in spec.follows]
    places += [(p.id, p.on) for p in (*spec.properties, *spec.lemmas, *spec.given)]
    for place, kind in places:
        if kind not in spec.kinds:
            yield f"{place}: unknown kind {kind!r}"
    for kind in sorted(spec.kinds.keys() | spec.tables.keys()):
        if kind not in spec.tables or spec.tables[kind].kind != spec.kinds.get(kind):
            yield f"{kind}: the kind and its table do not belong together"
        elif kind in spec.links:
            yield f"{kind}: a link has the name of a kind"


def _tables(spec: Spec) -> Iterator[str]:
    """States and fields of the lifecycles, and the expressions of their rows."""
    for table in spec.tables.values():
        kind, states = table.kind, set(table.kind.states)
        if kind.states[:1] != (ABSENT,):
            yield f"{kind.name}: its first state is not {ABSENT}"
        for state in sorted({*kind.terminal, *kind.rank, *kind.badly} - states):
            yield f"{kind.name}: unknown state {state}"
        for state in sorted(states - set(kind.rank)):
            yield f"{kind.name}: {state} has no rank"
        for event in sorted(set(table.reopening) - set(table.events)):
            yield f"{kind.name}: unknown re-opening event {event}"
        for row in table.rows:
            yield from (f"{where(table, row)}: {flaw}" for flaw in _row(spec, kind, row))
        for answer in answers(table):
            for state in sorted(set(answer.source) - states):
                yield f"{kind.name} {answer.event}: answered in the unknown state {state}"
    for enter in spec.on_enter:
        kind = spec.kinds[enter.kind]
        for state in sorted(set(enter.states) - set(kind.terminal if enter.cascade else kind.states)):
            yield f"entering {state}: not a {'terminal ' if enter.cascade else ''}state of a {enter.kind}"


def _row(spec: Spec, kind: Kind, row: Row) -> Iterator[str]:
    for state in sorted({*row.source, row.target} - set(kind.states)):
        yield f"unknown state {state}"
    for guard in row.guards:
        yield from _malformed(spec, kind.name, guard.holds)
    for name, value in row.set:
        if name not in {f.name for f in kind.fields}:
            yield f"sets {name!r}, which is not a stored field"
        elif isinstance(value, Lit) and not _fits(_declared(kind)[name], value.value):
            yield f"sets {name!r} to {value.value!r}, which it never is"
        yield from _malformed(spec, kind.name, value, condition=False)


def _step(spec: Spec, step: Step) -> Iterator[str]:
    """The links, events and conditions of a step, and what the caller must present for all that it fires."""
    used = {name: f"guard {guard.name!r}" for guard in step.guards for name in params(guard.holds)}
    for guard in step.guards:
        yield from _malformed(spec, step.on, guard.holds)
    for fire in step.do:
        link = spec.links.get(fire.at)
        if fire.at != "self" and (link is None or link.source != step.on):
            yield f"{fire.event} over {fire.at!r}, which is no link of a {step.on}"
        elif fire.event not in (table := reached(spec, step, fire)).events:
            yield f"unknown event {fire.event} of a {table.kind.name}"
        else:
            yield from (f"{fire.event}: {flaw}" for flaw in _malformed(spec, table.kind.name, fire.where))
            used |= dict.fromkeys(params(fire.where), f"{fire.event} over {fire.at!r}")
            for row in fired(spec, step, fire):
                for expr in (*(g.holds for g in row.guards), *(value for _, value in row.set)):
                    used |= dict.fromkeys(params(expr), where(table, row))
    for name, place in used.items():
        if name not in (*step.params, *AMBIENT):
            yield f"{place} asks for {name!r}, which nobody presents"
    passed_on = {name for fire in step.do for name in _passed_on(spec, _kind_of(spec, step, fire), fire.event)}
    for name in step.params:
        if name not in used and name not in passed_on:
            yield f"{UNREAD} {name!r}, which nothing reads"


def _passed_on(spec: Spec, kind: str, event: str, seen: tuple[tuple[str, str], ...] = ()) -> Iterator[str]:
    """What all that an event brings with it reads of what is presented."""
    for follow in spec.follows if (kind, event) not in seen else ():
        if (follow.kind, follow.event) == (kind, event):
            for fire in follow.do:
                yield from params(fire.where)
                target = _kind_of(spec, Step("", kind, ()), fire)
                yield from _passed_on(spec, target, fire.event, (*seen, (kind, event)))


def _uses(spec: Spec) -> Iterator[str]:
    """The links, the steps and the properties."""
    for link in spec.links.values():
        yield from (f"link {link.name}: {flaw}" for flaw in (*_malformed(spec, link.source, link.present), *_back(spec, link)))
    names = [s.name for s in (*spec.commands, *spec.progress)]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"{name}: two steps have this name"
    for step in (*spec.commands, *spec.progress, *entering(spec)):
        yield from (f"{step.name}: {flaw}" for flaw in _step(spec, step))
    for step, follow in zip(following(spec), spec.follows, strict=True):
        if follow.event not in spec.tables[follow.kind].events:
            yield f"{step.name}: a {follow.kind} has no such event"
        yield from (f"{step.name}: {flaw}" for flaw in _step(spec, step) if not flaw.startswith(UNREAD))
    for prop in spec.given:
        attributes = {f.name for f in spec.kinds[prop.on].attributes}
        if not all(isinstance(p, Op | Lit) or (isinstance(p, F) and p.name in attributes) for p in walk(prop.body)):
            yield f"{prop.id}: what is given is about the attributes of one row"
    for prop in (*spec.properties, *spec.lemmas, *spec.given):
        then = prop.nature is Nature.STEP
        yield from (f"{prop.id}: {flaw}" for flaw in _malformed(spec, prop.on, prop.body, then=then))
        for value in prop.measure:
            yield from (f"{prop.id}: {flaw}" for flaw in _malformed(spec, prop.on, value, condition=False))
        known = AMBIENT if prop in spec.lemmas else ()  # between two rules the time of their commit is at hand
        for name in sorted({n for e in (prop.body, *prop.measure) for n in params(e)} - {*known}):
            yield f"{prop.id}: asks for {name!r}, which nobody presents"


def _back(spec: Spec, link: Link) -> Iterator[str]:
    """The path that a set link is the way back of."""
    path = [spec.links[name] for name in link.back if name in spec.links]
    if link.back and (link.one or _end(spec, link.target, link.back) != link.source or any(p.present != YES for p in path)):
        yield f"{'.'.join(link.back)} is no path of single links, each always there, from a {link.target} to a {link.source}"


def named(spec: Spec) -> Iterator[str]:
    """Every name that is used is declared: states, fields, links, events, and what the caller presents.

    Conditions stand where conditions are meant, and the condition of a quantifier reads only the fields of its row.
    """
    unknown = tuple(_kinds(spec))
    yield from unknown or (*_tables(spec), *_uses(spec))
