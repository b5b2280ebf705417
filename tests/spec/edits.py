"""Small edits of a specification, to see that the checks name what they break."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve

from kernel.spec.language import Follow, NoOp, Property, Refusal, Row, Spec, Step

Edit = Callable[[Spec], Spec]


def table(kind: str, **parts: Any) -> Edit:
    """Replace parts of a lifecycle; each part is a function of what it was."""
    def edited(spec: Spec) -> Spec:
        old = spec.tables[kind]
        new = evolve(old, **{name: change(getattr(old, name)) for name, change in parts.items()})
        return evolve(spec, tables={**spec.tables, kind: new})

    return edited


def _matching(items: tuple[Any, ...], matches: Callable[[Any], bool]) -> list[int]:
    found = [i for i, item in enumerate(items) if matches(item)]
    assert found, "the edit finds nothing to change"
    return found


def row(kind: str, event: str, to: str = "", **changes: Any) -> Edit:
    """Change the rows of an event (that lead to a target)."""
    def change(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        found = _matching(rows, lambda r: r.event == event and to in ("", r.target))
        return tuple(evolve(r, **changes) if i in found else r for i, r in enumerate(rows))

    return table(kind, rows=change)


def without_guard(kind: str, event: str, target: str, guard: str) -> Edit:
    """Drop a guard from the row of an event that leads to a target."""
    def change(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        found = _matching(rows, lambda r: (r.event, r.target) == (event, target))
        left = {i: tuple(g for g in rows[i].guards if g.name != guard) for i in found}
        assert all(len(left[i]) < len(rows[i].guards) for i in found), "the edit finds no guard to drop"
        return tuple(evolve(r, guards=left[i]) if i in left else r for i, r in enumerate(rows))

    return table(kind, rows=change)


def without_row(kind: str, event: str, target: str) -> Edit:
    """Drop the rows of an event that lead to a target."""
    def change(rows: tuple[Row, ...]) -> tuple[Row, ...]:
        found = _matching(rows, lambda r: (r.event, r.target) == (event, target))
        return tuple(r for i, r in enumerate(rows) if i not in found)

    return table(kind, rows=change)


def with_row(kind: str, *rows: Row) -> Edit:
    """Add rows."""
    return table(kind, rows=lambda old: (*old, *rows))


def answer(kind: str, event: str, state: str, **changes: Any) -> Edit:
    """Change the refusal or no-op of a cell."""
    def change(old: tuple[Refusal, ...] | tuple[NoOp, ...]) -> tuple[Any, ...]:
        return tuple(evolve(a, **changes) if a.event == event and state in a.source else a for a in old)

    return table(kind, refusals=change, no_ops=change)


def unanswered(kind: str, event: str, state: str) -> Edit:
    """Drop the refusal of a cell."""
    def change(old: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
        found = _matching(old, lambda a: a.event == event and state in a.source)
        return tuple(a for i, a in enumerate(old) if i not in found)

    return table(kind, refusals=change)


def with_refusal(kind: str, event: str, *states: str, why: str = "for a reason") -> Edit:
    """Add a refusal."""
    return table(kind, refusals=lambda old: (*old, Refusal(event, states, why)))


def step(name: str, **changes: Any) -> Edit:
    """Change a command or a rule."""
    def edited(spec: Spec) -> Spec:
        _matching((*spec.commands, *spec.progress), lambda s: s.name == name)
        commands = tuple(evolve(s, **changes) if s.name == name else s for s in spec.commands)
        progress = tuple(evolve(s, **changes) if s.name == name else s for s in spec.progress)
        return evolve(spec, commands=commands, progress=progress)

    return edited


def with_rule(rule: Step) -> Edit:
    """Add a progress rule."""
    return lambda spec: evolve(spec, progress=(*spec.progress, rule))


def with_command(command: Step) -> Edit:
    """Add a command."""
    return lambda spec: evolve(spec, commands=(*spec.commands, command))


def with_follow(follow: Follow) -> Edit:
    """Let an event bring something with it."""
    return lambda spec: evolve(spec, follows=(*spec.follows, follow))


def with_property(prop: Property) -> Edit:
    """Add a property."""
    return lambda spec: evolve(spec, properties=(*spec.properties, prop))


def enter(**changes: Any) -> Edit:
    """Change what happens on entering a terminal state of a workflow."""
    return lambda spec: evolve(spec, on_enter=(evolve(spec.on_enter[0], **changes), *spec.on_enter[1:]))


def link(name: str, **changes: Any) -> Edit:
    """Change a link."""
    return lambda spec: evolve(spec, links={**spec.links, name: evolve(spec.links[name], **changes)})


def kind(name: str, **changes: Any) -> Edit:
    """Change a kind, also in its table."""
    def edited(spec: Spec) -> Spec:
        new = evolve(spec.kinds[name], **changes)
        tables = {**spec.tables, name: evolve(spec.tables[name], kind=new)}
        return evolve(spec, kinds={**spec.kinds, name: new}, tables=tables)

    return edited


def all_of(*edits: Edit) -> Edit:
    """One edit after the other."""
    def edited(spec: Spec) -> Spec:
        for edit in edits:
            spec = edit(spec)
        return spec

    return edited
