"""Static checks of what entering a state reaches: a cascade is one level of moves, so it has to reach all that is below."""

from __future__ import annotations

from collections.abc import Iterator

from kernel.spec.language import Fire, Spec
from kernel.spec.names import fired


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
