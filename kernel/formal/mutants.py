"""Mutants: every small edit of the tables, so that each check can be seen to notice, or the edit be shown to change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import evolve, frozen

from kernel.spec.language import YES, Enter, Fire, Row, Spec, Step, Table
from kernel.spec.names import where

NEAR = {"subs": "children", "all_tasks": "tasks"}
"""Links that reach less."""


@frozen
class Mutant:
    """A specification with one edit, and what was edited."""

    name: str
    spec: Spec


def mutants(spec: Spec) -> Iterator[Mutant]:
    """Every mutant, in the order of the tables."""
    for kind, table in spec.tables.items():
        for number, row in enumerate(table.rows):
            for what, rows in _row(table, row):
                edited = (*table.rows[:number], *rows, *table.rows[number + 1:])
                yield Mutant(f"{where(table, row)}: {what}", evolve(
                    spec, tables={**spec.tables, kind: evolve(table, rows=edited)}))
    for number, step in enumerate(spec.commands):
        for what, steps in _step(step):
            edited_steps = (*spec.commands[:number], *steps, *spec.commands[number + 1:])
            yield Mutant(f"command {step.name}: {what}", evolve(spec, commands=edited_steps))
    yield from _progress(spec)
    for number, enter in enumerate(spec.on_enter):
        for what, changed in _enter(enter):
            yield Mutant(f"entering {'/'.join(enter.states)}: {what}", evolve(
                spec, on_enter=(*spec.on_enter[:number], changed, *spec.on_enter[number + 1:])))


def _row(table: Table, row: Row) -> Iterator[tuple[str, tuple[Row, ...]]]:
    """Without the row; without one of its guards; without one of its sources; to another state; without one of its fields."""
    yield "dropped", ()
    for guard in row.guards:
        yield f"without the guard {guard.name!r}", (evolve(row, guards=tuple(g for g in row.guards if g is not guard)),)
    if len(row.source) > 1:
        for source in row.source:
            yield f"not from {source}", (evolve(row, source=tuple(s for s in row.source if s != source)),)
    states = [s for s in table.kind.states if s != row.target and s not in row.source]
    if states:
        yield f"to {states[0]}", (evolve(row, target=states[0]),)
        if states[-1] != states[0]:
            yield f"to {states[-1]}", (evolve(row, target=states[-1]),)
    for name, _ in row.set:
        yield f"without setting {name!r}", (evolve(row, set=tuple(pair for pair in row.set if pair[0] != name)),)


def _fires(do: tuple[Fire, ...]) -> Iterator[tuple[str, tuple[Fire, ...]]]:
    """Without one of its parts; with one that reaches less; with one that asks nothing of the rows that it reaches."""
    for number, fire in enumerate(do):
        if len(do) > 1:
            yield f"without {fire.event} at {fire.at}", (*do[:number], *do[number + 1:])
        if fire.at in NEAR:
            yield f"{fire.event} at {NEAR[fire.at]} only", (*do[:number], evolve(fire, at=NEAR[fire.at]), *do[number + 1:])
        if fire.where != YES:
            yield f"{fire.event} at all {fire.at}", (*do[:number], evolve(fire, where=YES), *do[number + 1:])


def _step(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Without one of its guards; with another set of parts; in two commits instead of one."""
    for guard in step.guards:
        yield f"without the guard {guard.name!r}", (evolve(step, guards=tuple(g for g in step.guards if g is not guard)),)
    for what, do in _fires(step.do):
        yield what, (evolve(step, do=do),)
    if len(step.do) > 1:
        rest = Step(f"{step.name}_REST", step.on, step.do[1:], params=step.params)
        yield "in two commits", (evolve(step, do=step.do[:1]), rest)


def _progress(spec: Spec) -> Iterator[Mutant]:
    """Without a rule; a rule in a commit of its own; two rules in the other order; a rule edited as a command is."""
    rules: tuple[Step, ...] = spec.progress
    for number, rule in enumerate(rules):
        rest = (*rules[:number], *rules[number + 1:])
        yield Mutant(f"rule {rule.name}: dropped", evolve(spec, progress=rest))
        yield Mutant(f"rule {rule.name}: in a commit of its own", evolve(spec, progress=rest, commands=(*spec.commands, rule)))
        if number + 1 < len(rules):
            swapped = (*rules[:number], rules[number + 1], rule, *rules[number + 2:])
            yield Mutant(f"rule {rule.name}: behind {rules[number + 1].name}", evolve(spec, progress=swapped))
        for what, (edited, *more) in _step(rule):
            if not more:
                yield Mutant(f"rule {rule.name}: {what}", evolve(spec, progress=(*rules[:number], edited, *rules[number + 1:])))


def _enter(enter: Enter) -> Iterator[tuple[str, Enter]]:
    """Without a state; without a cascade or what is emitted; with one that reaches less."""
    for state in enter.states:
        yield f"not {state}", evolve(enter, states=tuple(s for s in enter.states if s != state))
    for what, cascade in _fires(enter.cascade):
        yield what, evolve(enter, cascade=cascade)
    yield "without any cascade", evolve(enter, cascade=())
    yield "without what is emitted", evolve(enter, emit=())

