"""Markdown tables of the law: every part of the pages in `specs/` that is not prose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from kernel.render.words import SETS, Reader, guards_of, reader
from kernel.spec import SPEC
from kernel.spec.check import fires, set_based
from kernel.spec.language import YES, Field, Fire, Guard, Property, Step, Table
from kernel.spec.names import entering, following, reached

READ = reader(SPEC)
ALONE = "declared; no command yet"
NOTHING = "nothing: progress looks at it again"


# ---- Markdown --------------------------------------------------------------------------------------------------------
def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a cell that is empty stays empty."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def code(*words: str) -> str:
    """Names as code, with commas."""
    return ", ".join(f"`{word}`" for word in words)


def names(guards: Iterable[Guard]) -> str:
    """Named conditions, with commas."""
    return ", ".join(guard.name for guard in guards)


def among(law: Table, group: tuple[str, ...]) -> str:
    """States; a set that has a word by its word."""
    word = next((name for name, states in SETS[law.kind.name].items() if states == group), "")
    return f"any {word}" if word else code(*group)


# ---- a lifecycle -----------------------------------------------------------------------------------------------------
def states(law: Table) -> str:
    """The states, in the sets that have a word."""
    sets = {name: group for name, group in SETS[law.kind.name].items() if name != "closed" or law.kind.name != "task"}
    return table(("set", "states"), ((name, code(*group)) for name, group in sets.items()))


def rows(law: Table) -> str:
    """Every transition."""
    return table(
        ("event", "from", "to", "guards", "sets"),
        (
            (code(r.event), among(law, r.source), code(r.target), names(r.guards), code(*filter(None, [sets])))
            for r, sets in ((r, READ.sets(r, law.kind.name)) for r in law.rows)
        ),
    )


def answers(law: Table) -> str:
    """Every other cell: what is accepted and changes nothing, and what is refused, each with its reason."""
    entries = [(a, "no-op") for a in law.no_ops] + [(a, "refused") for a in law.refusals]
    entries.sort(key=lambda entry: law.events.index(entry[0].event))
    lines = ((code(a.event), among(law, a.source), what, a.why) for a, what in entries)
    return table(("event", "in", "answer", "because"), lines)


def fields(law: Table) -> str:
    """What a row holds: what transitions write, and what its definition or its place in the tree gives."""

    def line(field: Field, whence: str) -> tuple[str, str, str, str]:
        choices = f": {', '.join(c or 'nothing' for c in field.choices)}" if field.choices else ""
        return code(field.name), f"{field.sort}{choices}", "judged when asked" if field.judged else whence, field.about

    kind = law.kind
    return table(
        ("field", "holds", "comes from", "is"),
        [*(line(f, "transitions") for f in kind.fields), *(line(f, "definition, tree") for f in kind.attributes)],
    )


def conditions(law: Table) -> str:
    """The named conditions that are read from a row of this kind, and what a refusal says where they do not hold."""
    found = dict.fromkeys((g for kind, g in guards_of(SPEC) if kind == law.kind.name))
    lines = ((g, READ.definition(g, law.kind.name)) for g in found)
    return table(
        ("condition", "holds where", "refused because"),
        ((g.name, f"`{words}`", g.why) for g, words in lines if words != g.name),
    )


def causes(law: Table) -> str:
    """Who fires each event."""

    def who(event: str) -> Iterator[str]:
        for step in SPEC.commands:
            if hits(step, event):
                yield f"command {code(step.name)} ({step.by})"
        for place, step in enumerate(SPEC.progress, start=1):
            if hits(step, event):
                yield f"rule {place} {code(step.name)}"
        for step in following(SPEC):
            if hits(step, event):
                yield f"{code(step.name.removeprefix('after '))} of a {step.on}"
        for step, enter in zip(entering(SPEC), SPEC.on_enter, strict=True):
            if hits(step, event):
                yield f"a {step.on} that ends" if enter.cascade else f"one that comes to {code(*enter.states)}"

    def hits(step: Step, event: str) -> bool:
        return any(f.event == event and reached(SPEC, step, f) is law for f in step.do)

    return table(("event", "fired by"), ((code(e), "; ".join(who(e)) or ALONE) for e in law.events))


# ---- commands, cascades, progress ------------------------------------------------------------------------------------
def told(fire: Fire) -> str:
    """A Fire in words."""
    if fire.at == "self":
        return code(fire.event)
    where = READ.where(fire, SPEC.links[fire.at].target)
    return f"{code(fire.event)} over {code(fire.at)}" + (f" where `{where}`" if where else "")


def commands() -> str:
    """The commands: who gives them, what they fire, what they ask besides the rows, what they hold."""
    return table(
        ("command", "on", "by", "fires", "asks", "presents", "holds"),
        (
            (code(s.name), s.on, s.by, "; ".join(map(told, s.do)) or NOTHING, names(s.guards), code(*s.params), s.lock)
            for s in SPEC.commands
        ),
    )


def on_enter() -> str:
    """What every way into a state does."""
    return table(
        ("on entering", "fires", "over", "which is", "also for rows that the cascade moves"),
        (
            (f"{enter.kind} {code(*enter.states)}", code(fire.event), code(fire.at), SPEC.links[fire.at].about,
             "yes" if fire in enter.emit else "they are in it already")
            for enter in SPEC.on_enter
            for fire in (*enter.cascade, *enter.emit)
        ),
    )


def follows() -> str:
    """What events bring with them."""
    return table(
        ("event", "brings with it", "which is"),
        (
            (f"{code(follow.event)} of a {follow.kind}", told(fire), SPEC.links[fire.at].about)
            for follow in SPEC.follows for fire in follow.do
        ),
    )


def picked() -> str:
    """Which rows events reach with what they bring: each condition in full."""
    found = dict.fromkeys((fire, SPEC.links[fire.at].target) for follow in SPEC.follows for fire in follow.do)
    wheres = [(READ.where(fire, kind), Reader(SPEC, {}).where(fire, kind)) for fire, kind in found]
    return table(("where", "means"), ((name, f"`{text}`") for name, text in wheres if text))


def statements() -> str:
    """The Fires over many rows, and how a store may execute them."""

    def how(step: Step, fire: Fire) -> str:
        if step in following(SPEC):
            return "with the re-opening of its workflow"
        return "one UPDATE" if set_based(SPEC, step, fire) else "one INSERT of what a definition gives"

    several = ((s, f) for s, f in fires(SPEC) if f.at != "self" and not SPEC.links[f.at].one)
    return table(("step", "fires", "how"), ((s.name, told(f), how(s, f)) for s, f in several))


def progress() -> str:
    """The rules of progress in their order."""
    return table(
        ("", "rule", "on", "fires", "asks"),
        (
            (str(place), code(s.name), s.on, "; ".join(told(f) for f in s.do), names(s.guards))
            for place, s in enumerate(SPEC.progress, start=1)
        ),
    )


def links() -> str:
    """Which rows a row sees."""
    return table(
        ("link", "from", "to", "is", "there where"),
        (
            (code(link.name), link.source, f"{'one' if link.one else 'many'} {link.target}", link.about,
             "" if link.present == YES else f"`{READ.text(link.present, link.source)}`")
            for link in SPEC.links.values()
        ),
    )


# ---- invariants ------------------------------------------------------------------------------------------------------
def meaning(prop: Property) -> str:
    """The expression of an invariant, for liveness its measure; where no expression says all, what else shows it."""
    parts = [] if prop.body == YES else [f"`{READ.text(prop.body, prop.on)}`"]
    parts += [f"measure `{READ.text(measure, prop.on)}`" for measure in prop.measure]
    return "; ".join((*parts, *filter(None, [prop.known])))


def invariants(kind: str = "") -> str:
    """The invariants, all of them or those read from rows of a kind."""
    return table(
        ("id", "nature", "on", "holds", "in the specification"),
        (
            (p.id, p.nature, p.on, p.text, meaning(p))
            for p in SPEC.properties if kind in ("", p.on)
        ),
    )


def totals() -> str:
    """How large the law is."""

    def line(law: Table) -> tuple[str, ...]:
        cells = len(law.kind.states) * len(law.events)
        moves = sum(bool(law.rows_for(e, s)) for e in law.events for s in law.kind.states)
        quiet = sum(len(a.source) for a in law.no_ops)
        numbers = (len(law.kind.states) - 1, len(law.events), len(law.rows), cells, moves, quiet, cells - moves - quiet)
        return (f"[{law.kind.name}]({law.kind.name}.md)", *map(str, numbers))

    head = ("lifecycle", "states", "events", "rows", "cells", "that move", "no-ops", "refusals, each with its reason")
    return table(head, map(line, SPEC.tables.values()))


PARTS: Mapping[str, Callable[[], str]] = {
    **{
        f"{kind}-{name}": partial(write, law)
        for kind, law in SPEC.tables.items()
        for name, write in {
            "states": states, "rows": rows, "answers": answers, "fields": fields, "conditions": conditions,
            "causes": causes,
        }.items()
    },
    **{f"{kind}-invariants": partial(invariants, kind) for kind in SPEC.tables},
    "commands": commands, "follows": follows, "invariants": invariants, "links": links, "on-enter": on_enter,
    "picked": picked, "progress": progress, "statements": statements, "totals": totals,
}
"""Every part by its name."""
