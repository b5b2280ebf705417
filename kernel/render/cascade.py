"""The drawing model of what a commit does beyond its own row: who fires what over which link; the order of progress."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from kernel.render.extract import Arm, Cause
from kernel.render.words import Reader, one, reader
from kernel.spec.language import Fire, Spec, Step

GROUPS = {
    "hand-overs": "a sub-workflow's end reaches its parent's task",
    "ends": "a workflow ends on its own account",
    "starts": "a task goes on",
}


@frozen
class Source:
    """Who fires: a command, events that bring more with them, entering a state, or rules of progress that reach the same."""

    name: str
    titles: tuple[str, ...]
    about: tuple[str, ...]
    cause: Cause


@frozen
class Target:
    """The rows behind a link."""

    link: str
    about: str


@frozen
class Reach:
    """What a source fires over a link."""

    source: str
    link: str
    arms: tuple[Arm, ...]


@frozen
class Rule:
    """A rule of progress: its place in the order, what it fires, and what it asks."""

    place: int
    name: str
    does: tuple[str, ...]
    guards: tuple[str, ...]


@frozen
class Group:
    """Rules that follow each other and are of one nature: what they are for, what all of them ask."""

    name: str
    about: str
    guards: tuple[str, ...]
    rules: tuple[Rule, ...]


@frozen
class Cascade:
    """The whole picture."""

    sources: tuple[Source, ...]
    targets: tuple[Target, ...]
    reaches: tuple[Reach, ...]
    groups: tuple[Group, ...]


def group_of(spec: Spec, rule: Step) -> str:
    """Whether a rule hands over, ends a workflow, or starts a task; of a lifecycle of one's own: what it is on."""
    if "workflow" not in spec.kinds:
        return f"{rule.on}-rules"
    if rule.on == "task":
        return "starts"
    return "hand-overs" if far(rule) else "ends"


def far(step: Step) -> tuple[Fire, ...]:
    """What a step fires at other rows than its own."""
    return tuple(fire for fire in step.do if fire.at != "self")


def groups(spec: Spec) -> tuple[Group, ...]:
    """The rules of progress in their order, what all rules of a group ask told once."""
    found = []
    names = GROUPS | {f"{kind}-rules": f"what {one(kind)} does by itself" for kind in spec.kinds}
    for name, about in names.items():
        steps = [(place, s) for place, s in enumerate(spec.progress, start=1) if group_of(spec, s) == name]
        if not steps:
            continue
        same = tuple(g for g in steps[0][1].guards if all(g in s.guards for _, s in steps))
        rules = tuple(
            Rule(place, s.name, does(s), tuple(g.name for g in s.guards if g not in same)) for place, s in steps
        )
        found.append(Group(name, about, tuple(g.name for g in same), rules))
    return tuple(found)


def does(step: Step) -> tuple[str, ...]:
    """What a step fires, and over which links."""
    return tuple(fire.event if fire.at == "self" else f"{fire.event} over {fire.at}" for fire in step.do)


def rule_text(rule: Rule) -> str:
    """What a rule fires and asks, besides its name."""
    fires = "" if rule.does == (rule.name,) else ", ".join(rule.does)
    asks = f"where {', '.join(rule.guards)}" if rule.guards else ""
    return " ".join(part for part in (fires, asks) if part)


Fired = tuple[Source, tuple[tuple[str, Arm], ...]]
"""A source, and what it fires over which links."""


def arm(read: Reader, fire: Fire, cause: Cause) -> tuple[str, Arm]:
    """A Fire over a link, with which of the rows it reaches."""
    where = read.where(fire, read.spec.links[fire.at].target)
    return fire.at, Arm(fire.event, (where,) if where else (), cause)


def commands(read: Reader) -> Iterator[Fired]:
    """Commands that reach other rows."""
    for step in (s for s in read.spec.commands if far(s)):
        source = Source(step.name, (step.name,), tuple(g.name for g in step.guards), Cause.COMMAND)
        yield source, tuple(arm(read, fire, Cause.COMMAND) for fire in far(step))


def entrances(read: Reader) -> Iterator[Fired]:
    """Entering a state, whoever led there; states with which the same comes are taken together."""
    spec = read.spec
    for place, (kind, fires, emit) in enumerate(dict.fromkeys((e.kind, e.cascade, e.emit) for e in spec.on_enter), start=1):
        states = tuple(s for e in spec.on_enter if (e.kind, e.cascade, e.emit) == (kind, fires, emit) for s in e.states)
        lead = {r.event for r in spec.tables[kind].rows if r.target in states}
        by = [s.name for s in spec.commands if s.on == kind and lead & {f.event for f in s.do if f.at == "self"}]
        ends = [number for number, s in enumerate(spec.progress, start=1)
                if fires and s.on == kind and lead & {f.event for f in s.do if f.at == "self"}]
        about = (f"by {', '.join(by)}", *(f"by progress, rules {n} to {ends[-1]}" for n in ends[:1]))
        moved = tuple(f"also for each of {f.at} that it ends" for f in fires if spec.links[f.at].target == kind)
        yield (
            Source(f"entering_{place}", (f"{one(kind)} becomes", *states), about if fires else ("whoever brings it there",),
                   Cause.CASCADE),
            (
                *(arm(read, fire, Cause.CASCADE) for fire in fires),
                *((fire.at, Arm(fire.event, moved, Cause.CASCADE)) for fire in emit),
            ),
        )


def followers(read: Reader) -> Iterator[Fired]:
    """Events that bring something with them, wherever they happen; those that bring the same are taken together."""
    for kind, do in dict.fromkeys((f.kind, f.do) for f in read.spec.follows):
        events = tuple(f.event for f in read.spec.follows if (f.kind, f.do) == (kind, do))
        source = Source(f"{kind}_{events[0]}", (*events, f"of {one(kind)}"), ("wherever it happens",), Cause.COMMAND)
        yield source, tuple(arm(read, fire, Cause.COMMAND) for fire in do)


def rules(read: Reader) -> Iterator[Fired]:
    """Rules of progress that reach other rows; those that reach the same are taken together."""
    reaching = [s for s in read.spec.progress if far(s)]
    for links in dict.fromkeys(tuple(f.at for f in far(s)) for s in reaching):
        steps = [s for s in reaching if tuple(f.at for f in far(s)) == links]
        same = tuple(g.name for g in steps[0].guards if all(g in s.guards for s in steps))
        source = Source(steps[0].name, tuple(s.name for s in steps), same, Cause.PROGRESS)
        yield source, tuple(arm(read, fire, Cause.PROGRESS) for s in steps for fire in far(s))


def cascade(spec: Spec) -> Cascade:
    """The drawing model, sources and targets in the order of the specification."""
    read = reader(spec)
    found = [*commands(read), *followers(read), *entrances(read), *rules(read)]
    links = dict.fromkeys(link for _, fires in found for link, _ in fires)
    return Cascade(
        sources=tuple(source for source, _ in found),
        targets=tuple(Target(link, spec.links[link].about) for link in links),
        reaches=tuple(
            Reach(source.name, link, tuple(arm for at, arm in fires if at == link))
            for source, fires in found
            for link in dict.fromkeys(at for at, _ in fires)
        ),
        groups=groups(spec),
    )
