"""Static checks of a specification. Each flaw names the row, the cell or the rule that has it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, combinations_with_replacement

from kernel.errors import InvalidDefinition
from kernel.spec.below import alternatives, covered, entered_singly, once
from kernel.spec.language import YES, Expr, F, Fire, Guard, Lock, Op, Row, Spec, Step, both, lt, plus
from kernel.spec.logic import facts, fixed, over, quantifiers, reads, satisfiable, truth, valuations
from kernel.spec.names import answers, entering, fired, following, named, reached, where
from kernel.spec.vocabulary import ABSENT

STATE = F("state")


def fires(spec: Spec) -> Iterator[tuple[Step, Fire]]:
    """Every Fire of the commands and rules, those on entering a state, and those that events bring with them."""
    for step in (*spec.commands, *spec.progress, *entering(spec), *following(spec)):
        for fire in step.do:
            yield step, fire


def cells(spec: Spec) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Every cell that has rows: how messages name it, and its rows."""
    for table in spec.tables.values():
        for event in table.events:
            for state in table.kind.states:
                if rows := table.rows_for(event, state):
                    yield f"{table.kind.name} {event} in {state}", rows


# ---- the tables ------------------------------------------------------------------------------------------------------
def decided(spec: Spec) -> Iterator[str]:
    """Every state x event cell is a row, a no-op or a refusal: one of them, with a reason of its own."""
    for table in spec.tables.values():
        for event in table.events:
            for state in table.kind.states:
                cell = f"{table.kind.name} {event} in {state}"
                found = [a for a in answers(table) if a.event == event and state in a.source]
                if table.rows_for(event, state):
                    if found:
                        yield f"{cell}: both a row and {found[0].why!r}"
                elif len(found) != 1:
                    yield f"{cell}: {'decided twice' if found else 'not decided: add a row, a no-op or a refusal'}"
        for answer in answers(table):
            place = f"{table.kind.name} {answer.event} in {'/'.join(answer.source)}"
            if answer.event not in table.events:
                yield f"{place}: answered, but no row has this event"
            if not answer.why.strip():
                yield f"{place}: answered without a reason"
            if ABSENT in answer.source and len(answer.source) > 1:
                yield f"{place}: {answer.why!r} is a catch-all: that there is no row is a reason of its own"
        for a, b in combinations(answers(table), 2):
            if a.event == b.event and a.why == b.why:
                yield f"{table.kind.name} {a.event}: the reason {a.why!r} stands twice"


def explained(spec: Spec) -> Iterator[str]:
    """Every guard that can refuse a command says why, and in one table a name means one condition."""
    for table in spec.tables.values():
        meaning: dict[str, Guard] = {}
        for row in table.rows:
            for guard in row.guards:
                if not guard.why.strip():
                    yield f"{where(table, row)}: the guard {guard.name!r} has no reason"
                if meaning.setdefault(guard.name, guard) != guard:
                    yield f"{where(table, row)}: the name {guard.name!r} means another condition elsewhere"
    for step in spec.commands:
        for guard in step.guards:
            if not guard.why.strip():
                yield f"{step.name}: the guard {guard.name!r} has no reason"


def exclusive(spec: Spec) -> Iterator[str]:
    """At most one row of a cell is enabled, whatever its atoms are."""
    for cell, rows in cells(spec):
        for a, b in combinations(rows, 2):
            if satisfiable(*(g.holds for g in (*a.guards, *b.guards))):
                yield f"{cell}: both {a.target} ({_guards(a)}) and {b.target} ({_guards(b)}) can be enabled"


def exhaustive(spec: Spec) -> Iterator[str]:
    """Alternatives leave no gap: where the guards that all rows of a cell share hold, one of the rows is enabled."""
    for cell, rows in cells(spec):
        if len(rows) == 1:
            continue
        shared = [g.holds for g in rows[0].guards if all(g in r.guards for r in rows)]
        names = {g.name: g.holds for r in rows for g in r.guards}
        for v in valuations(*names.values(), given=fixed(*shared)):
            if all(truth(c, v) for c in shared) and not any(all(truth(g.holds, v) for g in r.guards) for r in rows):
                true = [name for name, holds in names.items() if truth(holds, v)]
                yield f"{cell}: no row is enabled where just these guards hold: {', '.join(true) or 'none'}"
                break


def _guards(row: Row) -> str:
    return ", ".join(g.name for g in row.guards) or "no guard"


def reachable(spec: Spec) -> Iterator[str]:
    """Every row can be enabled, and over such rows every state is reached from ABSENT."""
    for table in spec.tables.values():
        alive = [r for r in table.rows if satisfiable(*(g.holds for g in r.guards))]
        for row in table.rows:
            if row not in alive:
                yield f"{where(table, row)}: its guards contradict each other"
        seen = {ABSENT}
        while more := {r.target for r in alive if seen & set(r.source)} - seen:
            seen |= more
        for state in table.kind.states:
            if state not in seen:
                yield f"{table.kind.name} {state}: no row leads there"


def absorbing(spec: Spec) -> Iterator[str]:
    """Terminal states are left, or rewritten, only by re-opening events, and these do nothing else."""
    for table in spec.tables.values():
        for row in table.rows:
            ended = set(row.source) & set(table.kind.terminal)
            if ended and row.event not in table.reopening:
                yield f"{where(table, row)}: leaves a terminal state and is not a re-opening event"
            if row.event in table.reopening and ended != set(row.source):
                yield f"{where(table, row)}: a re-opening event that leaves a state which is not terminal"


# ---- cascades --------------------------------------------------------------------------------------------------------
def total_cascades(spec: Spec) -> Iterator[str]:
    """No way into a terminal state is without its cascade, and a cascade ends all that is below and has not ended.

    It is declared for every terminal state, reaches everything further down, and is total and unguarded on open states.
    """
    for enter, step in ((enter, step) for enter, step in zip(spec.on_enter, entering(spec), strict=True) if enter.cascade):
        same = [e for e in spec.on_enter if e.cascade == enter.cascade]
        for state in spec.kinds[enter.kind].terminal:
            if not any(state in e.states for e in same):
                yield f"{step.name}: {enter.kind} {state} is entered without this cascade"
        for fire in enter.cascade:
            place = f"{step.name}: {fire.event} over {fire.at!r}"
            if fire.at == "self" or fire.at not in spec.links[fire.at].covers:
                yield f"{place}: the link does not hold what is further down"
                continue
            if fire.where != YES:
                yield f"{place}: a cascade picks no rows"
            table = reached(spec, step, fire)
            for state in (s for s in table.kind.states if s != ABSENT and s not in table.kind.terminal):
                rows = table.rows_for(fire.event, state)
                if len(rows) != 1 or rows[0].guards or rows[0].target not in table.kind.terminal:
                    yield f"{place}: {table.kind.name} {fire.event} in {state} must be one row, unguarded, that ends it"


def set_based(spec: Spec, step: Step, fire: Fire) -> bool:
    """Whether a Fire over a set link may be one UPDATE.

    Its rows are unguarded and alike, it reaches only what exists, and what it picks and sets is read from the row, over
    a join, or presented.
    """
    rows = fired(spec, step, fire)
    return (
        fire.at != "self"
        and not spec.links[fire.at].one
        and len({(r.target, r.guards, r.set) for r in rows}) == 1
        and not any(r.guards or ABSENT in r.source for r in rows)
        and not quantifiers(fire.where)
    )


def creation(spec: Spec, step: Step, fire: Fire) -> bool:
    """Whether a Fire makes the rows that a definition gives: one row from ABSENT, unguarded.

    What is emitted may be guarded by what the row alone can see: a policy may ask for less than all of it.
    """
    rows = fired(spec, step, fire)
    if len(rows) != 1 or rows[0].source != (ABSENT,):
        return False
    emitted = any(fire in enter.emit for enter in spec.on_enter)
    return not any(quantifiers(g.holds) or not emitted for g in rows[0].guards)


def cascades(spec: Spec) -> Iterator[str]:
    """A Fire over a set link is set-based or a creation, and set-based ones can be put in an order.

    Every part of a step reads what was before the step. So of two set-based ones each of which reads what the other
    changes, neither can go first; and one that reads over a link what it changes itself cannot be one statement.
    """
    for step in (*spec.commands, *spec.progress, *entering(spec)):
        sets = [fire for fire in step.do if set_based(spec, step, fire)]
        for fire in step.do:
            several = fire.at != "self" and not spec.links[fire.at].one
            if several and fire not in sets and not creation(spec, step, fire):
                yield f"{step.name}: {fire.event} over {fire.at!r} is neither set-based nor a creation"
        for a, b in combinations_with_replacement(sets, 2):
            if _reads_changed(spec, step, a, b) and _reads_changed(spec, step, b, a):
                yield f"{step.name}: {a.event} over {a.at!r} and {b.event} over {b.at!r} read what the other changes"


def _reads_changed(spec: Spec, step: Step, reader: Fire, writer: Fire) -> bool:
    """Whether a Fire reads, over a link, a field that another one changes."""
    parts = (reader.where, *(value for row in fired(spec, step, reader) for _, value in row.set))
    far = {(spec.links[f.via[-1]].target, f.name) for part in parts for f in reads(part) if f.via}
    changed = {"state", *(name for row in fired(spec, step, writer) for name, _ in row.set)}
    return any((reached(spec, step, writer).kind.name, name) in far for name in changed)


# ---- absent links ----------------------------------------------------------------------------------------------------
def _unguarded(spec: Spec, expr: Expr, known: tuple[Expr, ...]) -> Iterator[str]:
    """Readings over a link that may be absent, where neither `known` nor what is read before says that it is there.

    `and` and `or` are read from left to right and no further than needed: what follows in an `and` is read where the
    parts before it hold, what follows in an `or` where they do not. The condition of a quantifier reads over no link.
    """
    if isinstance(expr, F):
        for i, link in enumerate(spec.links[name] for name in expr.via):
            if not set(facts(over(expr.via[:i], link.present))) <= set(known):
                yield f"reads {'.'.join((*expr.via, expr.name))} where {link.name!r} may be absent"
    elif isinstance(expr, Op):
        for arg in expr.args:
            yield from _unguarded(spec, arg, known)
            if expr.op in ("and", "or"):
                known += facts(arg, expr.op == "and")


def _moved_by(spec: Spec, step: Step) -> tuple[Guard, ...]:
    """What is known of a row that an event moved: the guards that all rows of the event share. Nothing of other steps."""
    found: set[Guard] = set()
    for follow in spec.follows:
        if (f"after {follow.event}", follow.kind) == (step.name, step.on):
            rows = [r for r in spec.tables[follow.kind].rows if r.event == follow.event]
            found = set.intersection(*(set(r.guards) for r in rows)) if rows else set()
    return tuple(found)


def present(spec: Spec) -> Iterator[str]:
    """No reading and no Fire over a link that may be absent without the condition that it is there."""
    for table in spec.tables.values():
        for row in table.rows:
            guard = both(*row.guards)
            for expr, known in ((guard, ()), *((value, facts(guard)) for _, value in row.set)):
                for flaw in _unguarded(spec, expr, known):
                    yield f"{where(table, row)}: {flaw}"
    for step in (*spec.commands, *spec.progress):
        for flaw in _unguarded(spec, both(*step.guards), ()):
            yield f"{step.name}: {flaw}"
    for step, fire in fires(spec):
        for flaw in _unguarded(spec, fire.where, ()):
            yield f"{step.name} {fire.event}: {flaw}"
        known = facts(both(*step.guards, *_moved_by(spec, step)))
        if fire.at != "self" and not set(facts(spec.links[fire.at].present)) <= set(known):
            yield f"{step.name} {fire.event}: fires over {fire.at!r}, which may be absent"
    for prop in spec.properties:
        for expr in (prop.body, *prop.measure):
            for flaw in _unguarded(spec, expr, ()):
                yield f"{prop.id}: {flaw}"


# ---- progress --------------------------------------------------------------------------------------------------------
def possible(step: Step, state: str) -> bool:
    """Whether the guards of a step can hold in this state of the row that it is on."""
    return satisfiable(*(g.holds for g in step.guards), given={STATE: state})


FURTHER = ("attempt", plus(F("attempt"), 1))
LEFT = lt(F("attempt"), F("tries"))


def descending(spec: Spec) -> Iterator[str]:
    """Each progress rule moves every row that it touches to a smaller rank, or to a further attempt while one is left.

    Attempts are counted from the creation of a row, and nothing in progress takes a row back to ABSENT: so the pair
    (attempts left, rank) falls with every move, and progress ends.
    """
    for rule in (*spec.progress, *entering(spec)):
        if not rule.do:
            yield f"{rule.name}: moves nothing, so it would be enabled for ever"
        for fire in rule.do:
            table = reached(spec, rule, fire)
            for row in fired(spec, rule, fire):
                guards = [g.holds for g in row.guards] + [g.holds for g in rule.guards if fire.at == "self"]
                place = f"{rule.name}: {where(table, row)}"
                again = FURTHER in row.set and LEFT in facts(both(*guards))
                if row.target == ABSENT:
                    yield f"{place} takes a row back to ABSENT"
                for state in row.source:
                    if not satisfiable(*guards, given={STATE: state}):
                        continue
                    if not again and "attempt" in dict(row.set) and state != ABSENT:
                        yield f"{place} sets the attempt, which progress may only raise while one is left"
                    if not again and table.kind.rank[row.target] >= table.kind.rank[state]:
                        yield f"{place} does not descend from {state}"


# ---- what may run side by side ---------------------------------------------------------------------------------------
def kinds_read(spec: Spec, kind: str, expr: Expr) -> set[str]:
    """The kinds of the rows that an expression is read from, when it is read from a row of this kind."""
    own = {spec.links[f.via[-1]].target if f.via else kind for f in reads(expr)}
    return own | {spec.links[q.link].target for q in quantifiers(expr)}


def footprint(spec: Spec, step: Step) -> set[str]:
    """The kinds of row that a step reads or writes, without what happens on entering a state."""
    found = set[str]()
    for guard in step.guards:
        found |= kinds_read(spec, step.on, guard.holds)
    for fire in step.do:
        kind = reached(spec, step, fire).kind.name
        found |= {kind} | kinds_read(spec, kind, fire.where)
        for row in fired(spec, step, fire):
            for part in (*(g.holds for g in row.guards), *(value for _, value in row.set)):
                found |= kinds_read(spec, kind, part)
    return found


def apart(spec: Spec) -> Iterator[str]:
    """A step of the tree neither reads nor writes deliveries, it creates them; a delivery step touches nothing else.

    A command that takes the tree away looks at them, too: it needs the tree alone.
    """
    for step in (*spec.commands, *spec.progress, *following(spec)):
        touched = {step.on} | footprint(spec, step)
        if step.on == "delivery" and touched != {"delivery"}:
            yield f"{step.name}: a delivery step touches {', '.join(sorted(touched - {'delivery'}))}"
        if step.on != "delivery" and "delivery" in touched and not _removes(spec, step):
            yield f"{step.name}: a step of the tree touches a delivery"
    for enter, step in zip(spec.on_enter, entering(spec), strict=True):
        if enter.kind == "delivery":
            yield f"{step.name}: a delivery that changes reaches nothing else"
        for fire in enter.cascade:
            if reached(spec, step, fire).kind.name == "delivery":
                yield f"{step.name}: {fire.event} over {fire.at!r} cascades to deliveries; only CREATE may reach one"
        for fire in enter.emit:
            if reached(spec, step, fire).kind.name != "delivery" or fire.event != "CREATE":
                yield f"{step.name}: emits {fire.event} over {fire.at!r}; what is emitted is the CREATE of deliveries"


def _removes(spec: Spec, step: Step) -> bool:
    """Whether all that a step does, with the tree alone, is to take a workflow away."""
    targets = {row.target for fire in step.do for row in fired(spec, step, fire) if fire.at == "self"}
    return step.lock is Lock.TREE and len(step.do) == 1 and targets == {ABSENT}


def locks(spec: Spec) -> Iterator[str]:
    """A command that does not hold its tree alone moves one row, ends nothing, changes nothing that progress counts.

    One that holds only its row does not even change the row's state.
    """
    counted = [q for rule in spec.progress for g in _conditions(spec, rule) for q in quantifiers(g.holds)]
    entered = {(e.kind, state) for e in spec.on_enter for state in e.states}
    for step in (s for s in spec.commands if s.lock is not Lock.TREE):
        bodies = [q.body for q in counted if spec.links[q.link].target == step.on]
        for fire in step.do:
            if fire.at != "self":
                yield f"{step.name}: {fire.event} over {fire.at!r} needs the tree alone"
            table = reached(spec, step, fire)
            for row in fired(spec, step, fire):
                place = f"{step.name}: {where(table, row)}"
                if (step.on, row.target) in entered:
                    yield f"{place} ends it, which needs the tree alone"
                if step.lock is Lock.ROW and row.source != (row.target,):
                    yield f"{place} changes a state, which needs more than its row"
                for body in bodies:
                    if _recounts(row, body):
                        yield f"{place} changes whether it is counted as {body.name!r}, which needs the tree alone"


def _conditions(spec: Spec, step: Step) -> Sequence[Guard]:
    return (*step.guards, *(g for fire in step.do for row in fired(spec, step, fire) for g in row.guards))


def _recounts(row: Row, body: Guard) -> bool:
    """Whether a row of a table can change the truth of the condition."""
    if {f.name for f in reads(body.holds)} & {name for name, _ in row.set}:
        return True
    return any(
        truth(body.holds, {**v, STATE: state}) != truth(body.holds, {**v, STATE: row.target})
        for state in row.source for v in valuations(body.holds)
    )


CHECKS: tuple[Callable[[Spec], Iterator[str]], ...] = (
    named, decided, explained, exclusive, exhaustive, reachable, absorbing, total_cascades, entered_singly, covered,
    cascades, present, descending, apart, locks, once, alternatives,
)


def flaws(spec: Spec) -> tuple[str, ...]:
    """Everything that is wrong with a specification; the names are checked first, the rest only when they are right."""
    unknown = tuple(f"{named.__name__}: {flaw}" for flaw in named(spec))
    return unknown or tuple(f"{check.__name__}: {flaw}" for check in CHECKS if check is not named for flaw in check(spec))


def checked(spec: Spec) -> Spec:
    """The specification, when nothing is wrong with it. Raises InvalidDefinition that names every flaw."""
    found = flaws(spec)
    if found:
        raise InvalidDefinition("the specification", why="; ".join(found), hint="mend the rows named here")
    return spec
