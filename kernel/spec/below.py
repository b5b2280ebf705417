"""Static checks of what steps reach.

Each row once; by one rule, unless all that could end it; and by a cascade, which is one level of moves, all that is below.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from kernel.spec.language import F, Fire, Row, Spec, Step
from kernel.spec.logic import satisfiable
from kernel.spec.names import entering, fired, following

STATE = F("state")


def once(spec: Spec) -> Iterator[str]:
    """A row is moved by one part of a step: what two of them pick from behind the same link excludes each other."""
    for step in (*spec.commands, *spec.progress, *entering(spec), *following(spec)):
        for a, b in combinations(step.do, 2):
            sources = [{state for row in fired(spec, step, fire) for state in row.source} for fire in (a, b)]
            if a.at == b.at and not sources[0].isdisjoint(sources[1]) and satisfiable(a.where, b.where):
                yield f"{step.name}: {a.event} and {b.event} over {a.at!r} can move the same row"


def alternatives(spec: Spec) -> Iterator[str]:
    """Two rules that can be enabled on one row both end it, and their order says how; all others exclude each other."""
    ways = [(rule, way) for rule in spec.progress for way in _ways(spec, rule)]
    for (a, one), (b, other) in combinations(ways, 2):
        if a is b or a.on != b.on or {one.target, other.target} <= {*spec.kinds[a.on].terminal}:
            continue
        guards = (*a.guards, *one.guards, *b.guards, *other.guards)
        states = [state for state in one.source if state in other.source]
        if any(satisfiable(*(g.holds for g in guards), given={STATE: state}) for state in states):
            yield f"{a.name} and {b.name} can be enabled on the same {a.on}"


def _ways(spec: Spec, rule: Step) -> Iterator[Row]:
    """The rows by which a rule moves the row that it is on; where it moves others only, that row stays where it is."""
    if not any(fire.at == "self" for fire in rule.do):
        yield Row("", spec.kinds[rule.on].states, "")
    for fire in rule.do:
        if fire.at == "self":
            yield from fired(spec, rule, fire)


def entered_singly(spec: Spec) -> Iterator[str]:
    """No command and no rule takes a set of rows into a state that brings a cascade with it: it would need many cascades."""
    cascading = {(enter.kind, state) for enter in spec.on_enter if enter.cascade for state in enter.states}
    for step in (*spec.commands, *spec.progress):
        for fire in step.do:
            if fire.at != "self" and not spec.links[fire.at].one:
                kind = spec.links[fire.at].target
                if any((kind, row.target) in cascading for row in fired(spec, step, fire)):
                    yield f"{step.name}: {fire.event} over {fire.at!r} takes a set of rows into a state with a cascade"


def covered(spec: Spec) -> Iterator[str]:
    """What a cascade ends has no cascade of its own: what that would reach, the first one reaches, too, with the same event."""
    for enter in spec.on_enter:
        for fire in enter.cascade:
            ending = [e for e in spec.on_enter if e.kind == spec.links[fire.at].target]
            for further in dict.fromkeys(f for e in ending for f in e.cascade):
                if not any(_holds(spec, wide, fire, further) for wide in enter.cascade):
                    yield (f"entering {'/'.join(enter.states)}: {fire.event} over {fire.at!r} does not bring {further.event} "
                           f"over {further.at!r} with it; add {further.event} over a link that covers {further.at!r}")


def _holds(spec: Spec, wide: Fire, fire: Fire, further: Fire) -> bool:
    """Whether the link of a Fire holds what a further one reaches of the rows that a cascade moves."""
    link, path = spec.links[wide.at], (*spec.links[further.at].back, *spec.links[fire.at].back)
    return wide.event == further.event and further.at in link.covers and link.back in ((), path, spec.links[further.at].back)
