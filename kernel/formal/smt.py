"""The specification as SMT-LIB: rows of any number, in trees of any shape and depth; what a step makes of all of them.

Sorts are uninterpreted, links are functions and relations with the axioms of a tree. A world is the state of every row at one
moment: world 0 is before a step, each block of moves makes the next one. Nothing is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import product

from attrs import define, field, frozen

from kernel.formal.shape import blank, columns
from kernel.spec.language import Enter, Expr, F, Field, Fire, Linked, Lit, Op, Param, Property, Q, Row, Sort, Spec, Step
from kernel.spec.vocabulary import ABSENT

TEXTS = ("origin", "proof", "error")
"""What is presented and is a text; all else that is presented is a number."""
UPWARD = ("wf", "up", "of", "top")
"""Links that lead to a row above."""
JOINS = {"and": "true", "or": "false"}
CALLS = {"lt": "<", "add": "+", "sub": "-", "not": "not", "min": "least", "max": "greatest", "part": "part"}
LINKS: Mapping[str, str] = {
    "tasks": "(= (wf {y}) {x})",
    "all_tasks": "(or (= (wf {y}) {x}) (above {x} (wf {y})))",
    "subs": "(above {x} {y})",
    "children": "(and (not (workflow_root {y})) (= (wf (up {y})) {x}))",
    "after": "(after {x} {y})",
    "child_tasks": "(= (wf {y}) (child {x} (task_attempt{w} {x})))",
    "outbox": "(and (= (of {y}) {x}) (= (delivery_run {y}) (workflow_run{w} {x})))",
    "all_outboxes": "(or (= (of {y}) {x}) (above {x} (of {y})))",
    "archives": "(archives {x} {y})",
    "above": "(below {y} (wf {x}))",
    "under": "(below {x} {y})",
    "under_tasks": "(below {x} (wf {y}))",
    "reach": "(reach {x} {y})",
    "progeny": "false",  # what definitions give nothing spawned
    "tree": "(and (= {y} (top (wf {x}))) (forall ((z workflow)) (=> (and (or (= z (wf {x})) (above z (wf {x}))) "
            "(not (workflow_root z))) (= (workflow_slot z) (task_attempt{w} (up z))))))",
}
"""When y is behind a set link of x, in the world w."""


def joined(op: str, parts: Sequence[str]) -> str:
    """Conditions joined; none is the neutral one."""
    kept = [part for part in parts if part != JOINS[op]]
    return JOINS[op] if not kept else kept[0] if len(kept) == 1 else f"({op} {' '.join(kept)})"


@frozen
class Taken:
    """Rows x of a kind move by a line where the condition holds in the world before."""

    kind: str
    condition: str
    line: Row


@define
class World:
    """Which fields were written last in which world: a name for each."""

    names: dict[str, str] = field(factory=dict)
    above: World | None = None
    """The world in which rows above are seen, where that is another one."""

    def suffix(self, kind: str, name: str) -> str:
        """What to put behind the name of a field to read it in this world."""
        return self.names.get(f"{kind}_{name}", "")


class Smt:
    """Writes a specification and its steps as SMT-LIB."""

    def __init__(self, spec: Spec) -> None:
        """Nothing but the tables is read."""
        self.spec = spec
        self.fields: dict[tuple[str, str], Field] = {}
        for kind in spec.kinds.values():
            self.fields[kind.name, "state"] = Field("state", Sort.CHOICE, "", kind.states)
            self.fields |= {(kind.name, f.name): f for f in (*kind.fields, *kind.attributes)}
        self.stored = {(k.name, n) for k in spec.kinds.values() for n in ("state", *(f.name for f in k.fields))}
        self.trees = not all(link.one or link.back for link in spec.links.values())
        """Whether rows stand in trees of workflows; else every link is single, or the way back of such."""
        self.serial = 0

    # ---- declarations -------------------------------------------------------------------------------------------------
    def sort(self, kind: str, name: str) -> str:
        """The sort of a field."""
        found = self.fields[kind, name].sort
        if found is Sort.CHOICE:
            return f"{kind}-{name}"
        return {Sort.FLAG: "Bool", Sort.TEXT: "Text"}.get(found, "Int")

    def constant(self, value: str | int, kind: str, name: str) -> str:
        """A constant of the sort of a field."""
        found = self.fields[kind, name].sort
        if found is Sort.CHOICE:
            return f"{kind}.{name}.{value or 'none'}"
        if found is Sort.FLAG:
            return "true" if value else "false"
        if found is Sort.TEXT:
            return f"text.{value or 'empty'}"
        return str(value)

    def declarations(self) -> Iterator[str]:
        """Sorts, fields and links."""
        yield "(declare-sort Text 0)\n(declare-const text.empty Text)"
        for kind in self.spec.kinds:
            yield f"(declare-sort {kind} 0)"
        for (kind, name), found in self.fields.items():
            if found.sort is Sort.CHOICE:
                values = " ".join(f"({self.constant(v, kind, name)})" for v in found.choices)
                yield f"(declare-datatypes (({kind}-{name} 0)) (({values})))"
            yield f"(declare-fun {kind}_{name} ({kind}) {self.sort(kind, name)})"
        for link in self.spec.links.values():
            if link.name == "child":
                yield "(declare-fun child (task Int) workflow)"
            elif link.one:
                yield f"(declare-fun {link.name} ({link.source}) {link.target})"
        if self.trees:
            yield "(declare-fun above (workflow workflow) Bool)\n(declare-fun after (task task) Bool)"
            yield "(declare-fun below (task workflow) Bool)\n(declare-fun reach (task task) Bool)"
            yield "(declare-fun toward (task workflow) workflow)"
            yield "(declare-fun archives (workflow delivery) Bool)"
        yield "(declare-fun part (Int Int) Int)"
        yield "(define-fun least ((a Int) (b Int)) Int (ite (< a b) a b))"
        yield "(define-fun greatest ((a Int) (b Int)) Int (ite (< a b) b a))"

    # ---- expressions --------------------------------------------------------------------------------------------------
    def fresh(self, kind: str) -> str:
        """A variable that nothing else is called."""
        self.serial += 1
        return f"{kind[0]}{self.serial}"

    def end(self, kind: str, row: str, via: Sequence[str], world: World) -> tuple[str, str]:
        """The row at the end of a path of single links, and its kind."""
        for link in via:
            if link == "child":
                row = f"(child {row} (task_attempt{world.suffix('task', 'attempt')} {row}))"
            else:
                row = f"({link} {row})"
            kind = self.spec.links[link].target
        return kind, row

    def behind(self, link: str, row: str, other: str, world: World) -> str:
        """That `other` is behind a set link of `row`."""
        if path := self.spec.links[link].back:
            return f"(= {self.end(self.spec.links[link].target, other, path, world)[1]} {row})"
        field_of = {"child_tasks": ("task", "attempt"), "tree": ("task", "attempt"), "outbox": ("workflow", "run")}.get(link)
        suffix = world.suffix(*field_of) if field_of else ""
        return LINKS[link].format(x=row, y=other, w=suffix)

    def text(self, expr: Expr, kind: str, row: str, world: World, then: World | None = None) -> str:
        """An expression read from a row in a world; `then` is the world after the step."""
        if isinstance(expr, F):
            at = then if expr.then and then is not None else world
            at = at.above if at.above is not None and expr.via and expr.via[0] in UPWARD else at
            end, there = self.end(kind, row, expr.via, at)
            suffix = at.suffix(end, expr.name) if (end, expr.name) in self.stored else ""
            return f"({end}_{expr.name}{suffix} {there})"
        if isinstance(expr, Lit):
            return str(expr.value)
        if isinstance(expr, Param):
            return f"p.{expr.name}"
        if isinstance(expr, Linked):
            named, target = f"p.{expr.param}", self.spec.links[expr.link].source
            there = f"({target}_state{world.suffix(target, 'state')} {named})"
            return joined("and", [f"{named}.named", f"(not (= {there} {self.constant(ABSENT, target, 'state')}))",
                                  self.behind(expr.link, named, row, world)])
        if isinstance(expr, Q):
            target = self.spec.links[expr.link].target
            x = self.fresh(target)
            body, here = self.text(expr.body.holds, target, x, world, then), self.behind(expr.link, row, x, world)
            if expr.op == "every":
                return f"(forall (({x} {target})) (=> {here} {body}))"
            return f"(exists (({x} {target})) (and {here} {body}))"
        if expr.op in JOINS:
            return joined(expr.op, [self.text(arg, kind, row, world, then) for arg in expr.args])
        if expr.op == "eq":
            return self.equal(expr, kind, row, world, then)
        args = [self.text(arg, kind, row, world, then) for arg in expr.args]
        return f"(not {args[0]})" if expr.op == "not" else reduce(lambda a, b: f"({CALLS[expr.op]} {a} {b})", args)

    def equal(self, expr: Op, kind: str, row: str, world: World, then: World | None) -> str:
        """Two values are equal; a constant is of the sort of what it is compared with."""
        a, b = expr.args
        said = [self.text(a, kind, row, world, then), self.text(b, kind, row, world, then)]
        for place, (mine, other) in enumerate(((a, b), (b, a))):
            if isinstance(mine, Lit) and isinstance(other, F):
                said[place] = self.constant(mine.value, self.end(kind, row, other.via, world)[0], other.name)
            elif isinstance(mine, Lit) and isinstance(other, Param) and other.name in TEXTS:
                said[place] = f"text.{mine.value or 'empty'}"
        return f"(= {said[0]} {said[1]})"

    def property(self, prop: Property, world: World, then: World | None = None) -> str:
        """An invariant of every row of its kind."""
        x = self.fresh(prop.on)
        body = self.text(prop.body, prop.on, x, world, then)
        if then is not None:
            state = f"({prop.on}_state{world.suffix(prop.on, 'state')} {x})"
            body = f"(=> (not (= {state} {self.constant(ABSENT, prop.on, 'state')})) {body})"
        return f"(forall (({x} {prop.on})) {body})"

    # ---- steps --------------------------------------------------------------------------------------------------------
    def fits(self, line: Row, kind: str, row: str, world: World) -> str:
        """That a row has this line: its state is a source, its guards hold."""
        state = f"({kind}_state{world.suffix(kind, 'state')} {row})"
        here = joined("or", [f"(= {state} {self.constant(source, kind, 'state')})" for source in line.source])
        return joined("and", [here, *(self.text(g.holds, kind, row, world) for g in line.guards)])

    def lines(self, kind: str, event: str) -> list[Row]:
        """The lines of an event."""
        return [row for row in self.spec.tables[kind].rows if row.event == event]

    def guard(self, step: Step, row: str, world: World) -> str:
        """That a step is enabled on a row."""
        asked = [self.text(g.holds, step.on, row, world) for g in step.guards]
        for fire in step.do:
            if fire.at == "self" or self.spec.links[fire.at].one:
                kind, there = self.end(step.on, row, () if fire.at == "self" else (fire.at,), world)
                asked.append(joined("or", [self.fits(line, kind, there, world) for line in self.lines(kind, fire.event)]))
        return joined("and", asked)

    def taken(self, step: Step, row: str, world: World) -> list[Taken]:
        """The rows that the parts of a step move, where its guard holds."""
        found = []
        for fire in step.do:
            if fire.at == "self" or self.spec.links[fire.at].one:
                kind, there = self.end(step.on, row, () if fire.at == "self" else (fire.at,), world)
                lines = self.lines(kind, fire.event)
                if len(lines) == 1:  # the guard of the step says that this row has it
                    found.append(Taken(kind, f"(= x {there})", lines[0]))
                else:
                    found += self.fire(fire, kind, f"(= x {there})", world)
            else:
                kind = self.spec.links[fire.at].target
                found += self.fire(fire, kind, self.behind(fire.at, row, "x", world), world)
        return found

    def fire(self, fire: Fire, kind: str, here: str, world: World) -> list[Taken]:
        """The rows x that a Fire moves, where `here` says which it reaches."""
        where = self.text(fire.where, kind, "x", world)
        return [Taken(kind, joined("and", [here, where, self.fits(line, kind, "x", world)]), line)
                for line in self.lines(kind, fire.event)]

    def move(self, taken: Sequence[Taken], world: World, number: int) -> tuple[list[str], World]:
        """The next world, after moves that are made together: definitions of the fields that they write."""
        after = World({**world.names})
        written: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for move in taken:
            for name, expr in self.sets(move.kind, move.line).items():
                value = self.text(expr, move.kind, "x", world)
                if isinstance(expr, Lit):
                    value = self.constant(expr.value, move.kind, name)
                written.setdefault((move.kind, name), []).append((move.condition, value))
        definitions = []
        for (kind, name), cases in written.items():
            value = f"({kind}_{name}{world.suffix(kind, name)} x)"
            for condition, new in reversed(cases):
                value = f"(ite {condition} {new} {value})"
            after.names[f"{kind}_{name}"] = f"@{number}"
            definitions.append(f"(define-fun {kind}_{name}@{number} ((x {kind})) {self.sort(kind, name)} {value})")
        return definitions, after

    def sets(self, kind: str, line: Row) -> dict[str, Expr]:
        """All that a line sets; nothing is left of a row that goes but what the line says."""
        if line.target != ABSENT:
            stamp = {"changed": Param("now")} if (kind, "changed") in self.stored else {}
            return {**dict(line.set), **stamp, "state": Lit(line.target)}
        left = self.spec.kinds[kind]
        return {name: Lit(value) for name, value in zip(columns(left), blank(left), strict=True)} | dict(line.set)

    def gone(self, step: Step, row: str) -> Iterator[Taken]:
        """The tree of a root that goes."""
        rows = [line for fire in step.do if fire.at == "self" for line in self.lines(step.on, fire.event)]
        if self.trees and any(line.target == ABSENT for line in rows):
            for kind, link in (("workflow", "subs"), ("task", "all_tasks"), ("delivery", "all_outboxes")):
                yield Taken(kind, self.behind(link, row, "x", World()), Row("", (), ABSENT))

    def step(self, step: Step, row: str = "me") -> tuple[list[str], World]:
        """What a step and what it enters make of world 0: definitions, and the world in the end."""
        start = World()
        definitions, world = self.move([*self.taken(step, row, start), *self.gone(step, row)], start, 1)
        number = 2
        for enter in self.spec.on_enter:
            if not any(move.kind == enter.kind and move.line.target in enter.states for move in self.taken(step, row, start)):
                continue
            for there, fire in product(self.may_enter(step, row, enter, start), enter.cascade):
                kind = self.spec.links[fire.at].target
                here = joined("and", [self.entered(enter.kind, enter.states, there, world),
                                      self.behind(fire.at, there, "x", world)])
                more, world = self.move(self.fire(fire, kind, here, world), world, number)
                definitions, number = definitions + more, number + 1
            for fire in enter.emit:
                kind = self.spec.links[fire.at].target
                here = joined("and", [self.entered(enter.kind, enter.states, "(of x)", world),
                                      self.behind(fire.at, "(of x)", "x", world)])
                more, world = self.move(self.fire(fire, kind, here, world), world, number)
                definitions, number = definitions + more, number + 1
        return definitions, world

    def may_enter(self, step: Step, row: str, enter: Enter, world: World) -> Iterator[str]:
        """The rows that the step itself may take into one of the states: none by a set, a static check says."""
        for fire in step.do:
            if fire.at == "self" or self.spec.links[fire.at].one:
                kind, there = self.end(step.on, row, () if fire.at == "self" else (fire.at,), world)
                if kind == enter.kind and any(line.target in enter.states for line in self.lines(kind, fire.event)):
                    yield there

    def entered(self, kind: str, states: Sequence[str], row: str, world: World) -> str:
        """That a row was elsewhere in world 0 and is in one of the states now."""
        def among(suffix: str) -> str:
            return joined("or", [f"(= ({kind}_state{suffix} {row}) {self.constant(s, kind, 'state')})" for s in states])
        return f"(and {among(world.suffix(kind, 'state'))} (not {among('')}))"
