"""Mutants: every small edit of the tables, so that each check can be seen to notice, or the edit be shown to change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, frozen

from kernel.formal.stage import Part
from kernel.spec.language import YES, Enter, Fire, Follow, Guard, Op, Row, Spec, Step, Table, both
from kernel.spec.names import where
from kernel.spec.vocabulary import ended

NEAR = {"subs": "children", "all_tasks": "tasks", "under": "child", "under_tasks": "child_tasks"}
"""Links that reach less."""


@frozen
class Mutant:
    """A specification with one edit, what was edited, and what a step is made of that may be another one then."""

    name: str
    spec: Spec
    parts: tuple[Part, ...]


def eleven_steps(spec: Spec) -> Mutant:
    """Conductor's order: TERMINATED is written, then the archive hears of it, then tasks and sub-workflows are ended."""
    enter = next(each for each in spec.on_enter if each.cascade)
    later = (*enter.emit, *enter.cascade)
    steps = tuple(Step(f"{fire.event}_{fire.at}".upper(), enter.kind, (fire,), (ended,)) for fire in later)
    return Mutant(
        "the eleven steps of Conductor: the state is written, then the archive is told, then the tasks are canceled",
        evolve(spec, on_enter=tuple(each for each in spec.on_enter if each is not enter),
               commands=(*spec.commands, *steps)), (("enter", enter.kind),))


def mutants(spec: Spec) -> Iterator[Mutant]:
    """Every mutant: Conductor's order first, then in the order of the tables."""
    yield eleven_steps(spec)
    for kind, table in spec.tables.items():
        for number, row in enumerate(table.rows):
            for what, rows, guard in _row(table, row):
                edited = (*table.rows[:number], *rows, *table.rows[number + 1:])
                parts = [("alone", f"{kind} {number}", guard)] if guard else [("row", kind, str(number), s) for s in row.source]
                yield Mutant(f"{where(table, row)}: {what}", evolve(
                    spec, tables={**spec.tables, kind: evolve(table, rows=edited)}), tuple(parts))
    for number, step in enumerate(spec.commands):
        for what, steps, part in _step(step):
            edited_steps = (*spec.commands[:number], *steps, *spec.commands[number + 1:])
            yield Mutant(f"command {step.name}: {what}", evolve(spec, commands=edited_steps), (part,))
    yield from _progress(spec)
    for number, enter in enumerate(spec.on_enter):
        for what, changed in _enter(enter):
            entering = (*spec.on_enter[:number], changed, *spec.on_enter[number + 1:])
            yield Mutant(f"entering {'/'.join(enter.states)}: {what}", evolve(spec, on_enter=entering),
                         (("enter", enter.kind),))
    for number, follow in enumerate(spec.follows):
        for what, follows in _follow(follow):
            yield Mutant(f"after {follow.event} of a {follow.kind}: {what}", evolve(
                spec, follows=(*spec.follows[:number], *follows, *spec.follows[number + 1:])),
                (("line", follow.kind, follow.event),))


def _row(table: Table, row: Row) -> Iterator[tuple[str, tuple[Row, ...], str]]:
    """Without the row; without one of its guards, which is named; without a source; to another state; without a field."""
    yield "dropped", (), ""
    for guard in row.guards:
        kept = evolve(row, guards=tuple(g for g in row.guards if g is not guard))
        yield f"without the guard {guard.name!r}", (kept,), guard.name
        for what, weaker in _weaker(guard):
            yield what, (evolve(row, guards=tuple(weaker if g is guard else g for g in row.guards)),), guard.name
    if len(row.source) > 1:
        for source in row.source:
            yield f"not from {source}", (evolve(row, source=tuple(s for s in row.source if s != source)),), ""
    states = [s for s in table.kind.states if s != row.target and s not in row.source]
    if states:
        yield f"to {states[0]}", (evolve(row, target=states[0]),), ""
        if states[-1] != states[0]:
            yield f"to {states[-1]}", (evolve(row, target=states[-1]),), ""
    for name, _ in row.set:
        yield f"without setting {name!r}", (evolve(row, set=tuple(pair for pair in row.set if pair[0] != name)),), ""


def _weaker(guard: Guard) -> Iterator[tuple[str, Guard]]:
    """A guard that asks for several things, without one of them."""
    if isinstance(guard.holds, Op) and guard.holds.op == "and" and len(guard.holds.args) > 1:
        for number in range(len(guard.holds.args)):
            kept = (*guard.holds.args[:number], *guard.holds.args[number + 1:])
            yield f"the guard {guard.name!r} without its part {number + 1}", evolve(guard, holds=both(*kept))


def _fires(do: tuple[Fire, ...]) -> Iterator[tuple[str, tuple[Fire, ...]]]:
    """Without one of its parts; with one that reaches less; with one that asks nothing of the rows that it reaches."""
    for number, fire in enumerate(do):
        if len(do) > 1:
            yield f"without {fire.event} at {fire.at}", (*do[:number], *do[number + 1:])
        if fire.at in NEAR:
            yield f"{fire.event} at {NEAR[fire.at]} only", (*do[:number], evolve(fire, at=NEAR[fire.at]), *do[number + 1:])
        if fire.where != YES:
            yield f"{fire.event} at all {fire.at}", (*do[:number], evolve(fire, where=YES), *do[number + 1:])


def _step(step: Step) -> Iterator[tuple[str, tuple[Step, ...], Part]]:
    """Without one of its guards; with another set of parts; in two commits instead of one."""
    for guard in step.guards:
        kept = evolve(step, guards=tuple(g for g in step.guards if g is not guard))
        yield f"without the guard {guard.name!r}", (kept,), ("alone", step.name, guard.name)
        for what, weaker in _weaker(guard):
            edited = evolve(step, guards=tuple(weaker if g is guard else g for g in step.guards))
            yield what, (edited,), ("alone", step.name, guard.name)
    for what, do in _fires(step.do):
        yield what, (evolve(step, do=do),), ("asked", step.name)
    if len(step.do) > 1:
        rest = Step(f"{step.name}_REST", step.on, step.do[1:], params=step.params)
        yield "in two commits", (evolve(step, do=step.do[:1]), rest), ("asked", step.name)


def _progress(spec: Spec) -> Iterator[Mutant]:
    """Without a rule; a rule in a commit of its own; two rules in the other order; a rule edited as a command is."""
    rules: tuple[Step, ...] = spec.progress
    for number, rule in enumerate(rules):
        rest = (*rules[:number], *rules[number + 1:])
        taken: tuple[Part, ...] = (("step", rule.name),)
        yield Mutant(f"rule {rule.name}: dropped", evolve(spec, progress=rest), taken)
        yield Mutant(f"rule {rule.name}: in a commit of its own",
                     evolve(spec, progress=rest, commands=(*spec.commands, rule)), taken)
        if number + 1 < len(rules):
            swapped = (*rules[:number], rules[number + 1], rule, *rules[number + 2:])
            yield Mutant(f"rule {rule.name}: behind {rules[number + 1].name}", evolve(spec, progress=swapped),
                         (("before", rule.name),))
        for what, (edited, *more), part in _step(rule):
            if not more:
                changed = (*rules[:number], edited, *rules[number + 1:])
                yield Mutant(f"rule {rule.name}: {what}", evolve(spec, progress=changed),
                             (part,) if part[0] == "alone" else taken)


def _enter(enter: Enter) -> Iterator[tuple[str, Enter]]:
    """Without a state; without a cascade or what is emitted; with one that reaches less."""
    for state in enter.states:
        yield f"not {state}", evolve(enter, states=tuple(s for s in enter.states if s != state))
    for what, cascade in _fires(enter.cascade):
        yield what, evolve(enter, cascade=cascade)
    if enter.cascade:
        yield "without any cascade", evolve(enter, cascade=())
    yield "without what is emitted", evolve(enter, emit=())


def _follow(follow: Follow) -> Iterator[tuple[str, tuple[Follow, ...]]]:
    """Without it; without one of its parts; with one that asks nothing of the rows that it reaches."""
    yield "nothing follows", ()
    for what, do in _fires(follow.do):
        yield what, (evolve(follow, do=do),)
