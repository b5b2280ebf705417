"""Expressions as people read them: `both(held, wf_live)` is "lease held, workflow live", a set is "attempt + 1".

A name with dots is read over links: `up.wf RUNNING` says that the workflow of the parent's task is RUNNING. `next`
reads what is there after the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from kernel.spec.language import NEVER, YES, Expr, F, Fire, Guard, Linked, Lit, Op, Param, Q, Row, Sort, Spec, is_
from kernel.spec.logic import quantifiers
from kernel.spec.names import AMBIENT
from kernel.spec.vocabulary import (
    CLOSED,
    CLOSED_BADLY,
    CLOSED_WELL,
    ENDED,
    LIVE,
    OPEN,
    SETTLED,
    UNSETTLED,
    added,
    declared,
    goes_on,
    left_out,
    starts_again,
)

LOOSE, JOINED, COMPARED, ADDED, SINGLE = range(5)
"""How closely a reading binds, the loosest first; what binds less closely than its place asks stands in parentheses."""
COMPARISONS = {"eq": "=", "lt": "<"}
OPPOSITES = {"eq": "≠", "lt": "≥"}
SUMS = {"add": "+", "sub": "-", "part": "times"}
SETS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "workflow": {"live": LIVE, "ended": ENDED},
    "task": {"open": OPEN, "closed": CLOSED, "closed well": CLOSED_WELL, "closed badly": CLOSED_BADLY},
    "delivery": {"open": UNSETTLED, "closed": SETTLED},
}
"""The sets of states that have a word of their own."""


def guards_of(spec: Spec) -> Iterator[tuple[str, Guard]]:
    """Every named condition of a specification with the kind it is read from, those inside its quantifiers after it."""

    def all_in(kind: str, guard: Guard) -> Iterator[tuple[str, Guard]]:
        yield kind, guard
        yield from inside(kind, guard.holds)

    def inside(kind: str, expr: Expr) -> Iterator[tuple[str, Guard]]:
        for q in quantifiers(expr):
            yield from all_in(spec.links[q.link].target, q.body)

    for table in spec.tables.values():
        for row in table.rows:
            for guard in row.guards:
                yield from all_in(table.kind.name, guard)
    for step in (*spec.commands, *spec.progress):
        for guard in step.guards:
            yield from all_in(step.on, guard)
    for prop in spec.properties:
        yield from inside(prop.on, prop.body)


def state_tests(expr: Expr) -> tuple[F, tuple[str, ...]] | None:
    """`state = A or state = B` as the field that is read and (A, B); None for anything else."""
    parts = expr.args if isinstance(expr, Op) and expr.op == "or" else (expr,)
    read: set[F] = set()
    values: list[str] = []
    for part in parts:
        match part:
            case Op("eq", (F("state") as state, Lit(str() as value))):
                read.add(state)
                values.append(value)
            case _:
                return None
    return (read.pop(), tuple(values)) if len(read) == 1 else None


def unchanged(expr: Expr) -> str:
    """The state A of a condition `A and next A`, or nothing."""
    if isinstance(expr, Op) and expr.op == "and" and len(expr.args) == 2:
        before, after = (state_tests(a) for a in expr.args)
        if before is not None and after == (F("state", then=True), before[1]) and len(before[1]) == 1:
            return before[1][0]
    return ""


@frozen
class Reader:
    """Reads expressions aloud; `names` holds the conditions that have a name of their own, each with its kind."""

    spec: Spec
    names: Mapping[tuple[str, Expr], str]

    def text(self, expr: Expr, kind: str, around: int = LOOSE) -> str:
        """An expression on a row of this kind; in parentheses where its place binds closer than it does."""
        name = self.names.get((kind, expr))
        if name is not None:
            return name
        match expr:
            case Lit():
                return literal(expr)
            case F():
                return field(expr)
            case Param():
                return expr.name if expr.name in AMBIENT else f"presented {expr.name}"
            case Q():
                return f"{expr.op} row of {expr.link} [{expr.body.name}]"
            case Linked():
                return f"it is in {expr.link} of the presented {expr.param}"
            case Op():
                words, binds = self.operation(expr, kind)
                return f"({words})" if binds < around else words

    def operation(self, expr: Op, kind: str) -> tuple[str, int]:
        """An operation, and how closely it binds."""
        tests = state_tests(expr)
        if tests is not None:
            return self.states(*tests, kind), SINGLE
        match expr:
            case Op("or", (Op("not", (first,)) as denied, second)) if self.denies(denied, kind):
                return f"{self.text(first, kind, JOINED)} ⇒ {self.text(second, kind, JOINED)}", LOOSE
            case Op("or"):
                return " or ".join(self.alternatives(expr.args, kind)), JOINED
            case Op("and"):
                return " and ".join(self.text(a, kind, COMPARED) for a in expr.args), JOINED
            case Op("not", (inner,)):
                return self.opposite(inner, kind)
            case Op("min" | "max" as op, several):
                return f"{op}({', '.join(self.text(a, kind, LOOSE) for a in several)})", SINGLE
            case Op(op, (left, right)) if op in SUMS:
                return f"{self.text(left, kind, ADDED)} {SUMS[op]} {self.text(right, kind, SINGLE)}", ADDED
        return self.comparison(expr, kind, COMPARISONS[expr.op]), COMPARED

    def denies(self, expr: Expr, kind: str) -> bool:
        """Whether a negation is read as one: it has no name, or a name that says "not"."""
        return self.names.get((kind, expr), "not ").startswith("not ")

    def states(self, read: F, values: tuple[str, ...], kind: str) -> str:
        """A test of the state, of this row or over links: `live`, `up.wf RUNNING`, `FAILED/TIMED_OUT`."""
        owner = self.spec.links[read.via[-1]].target if read.via else kind
        name = self.names.get((owner, is_(*values)), "/".join(values))
        return " ".join(word for word in (".".join(read.via), "next" * read.then, name) if word)

    def alternatives(self, parts: tuple[Expr, ...], kind: str) -> Iterator[str]:
        """The parts of an `or`; those that say of one state each that it stays are taken together."""
        stays = tuple(state for state in map(unchanged, parts) if state)
        for part in parts:
            if not unchanged(part):
                yield self.text(part, kind, COMPARED)
            elif unchanged(part) == stays[0]:
                yield f"{'/'.join(stays)} unchanged"

    def opposite(self, expr: Expr, kind: str) -> tuple[str, int]:
        """What does not hold."""
        named = (kind, expr) in self.names or state_tests(expr) is not None
        if isinstance(expr, Op) and expr.op in OPPOSITES and not named:
            return self.comparison(expr, kind, OPPOSITES[expr.op]), COMPARED
        return f"not {self.text(expr, kind, SINGLE)}", SINGLE

    def comparison(self, expr: Op, kind: str, sign: str) -> str:
        """Two values; a flag compared with 1 or 0 is the flag, or not the flag."""
        left, right = expr.args
        if isinstance(right, Lit) and right.value in (0, 1) and self.is_flag(left, kind):
            return ("" if (right.value == 1) == (sign == "=") else "not ") + self.text(left, kind)
        return f"{self.text(left, kind, ADDED)} {sign} {self.text(right, kind, ADDED)}"

    def is_flag(self, read: Expr, kind: str) -> bool:
        """Whether this, compared with 0 or 1, is true or false: a flag of the row, or what the caller presents."""
        return isinstance(read, Param) or (isinstance(read, F) and self.sort(read, kind) is Sort.FLAG)

    def sort(self, read: F, kind: str) -> Sort | None:
        """What the field holds; None for the state."""
        owner = self.spec.kinds[self.spec.links[read.via[-1]].target if read.via else kind]
        return next((f.sort for f in (*owner.fields, *owner.attributes) if f.name == read.name), None)

    def definition(self, guard: Guard, kind: str) -> str:
        """What a named condition means, in other words than its own name."""
        others = {key: name for key, name in self.names.items() if name != guard.name}
        return Reader(self.spec, others).text(guard.holds, kind)

    def assignment(self, name: str, value: Expr, kind: str) -> str:
        """One field that a row writes."""
        match value:
            case Op("add", (F() as same, more)) if same == F(name):
                return f"{name} + {self.text(more, kind, SINGLE)}"
            case Lit(flag) if self.is_flag(F(name), kind):
                return name if flag else f"not {name}"
            case Lit(0) if self.sort(F(name), kind) is Sort.TIME:
                return f"{name} = nothing"
        return f"{name} = {self.text(value, kind)}"

    def sets(self, row: Row, kind: str) -> str:
        """What a row writes besides its state."""
        return ", ".join(self.assignment(name, value, kind) for name, value in row.set)

    def where(self, fire: Fire, kind: str) -> str:
        """Which of the rows behind the link a Fire reaches, or nothing where it reaches all."""
        return "" if fire.where == YES else self.text(fire.where, kind)


def guards(named: tuple[Guard, ...]) -> str:
    """The conditions of a row or a step, by name."""
    return ", ".join(guard.name for guard in named)


def one(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def literal(lit: Lit) -> str:
    """A constant."""
    return "never" if lit.value == NEVER else str(lit.value) or "nothing"


def field(read: F) -> str:
    """A field, over its links."""
    return "next " * read.then + ".".join((*read.via, read.name))


def reader(spec: Spec) -> Reader:
    """A reader who knows the sets of states and the named conditions; a single state needs no name."""
    names: dict[tuple[str, Expr], str] = {}
    for kind, sets in SETS.items():
        names.update({(kind, is_(*states)): name for name, states in sets.items()})
    for kind, guard in (*guards_of(spec), *(("task", guard) for guard in (declared, added, left_out, goes_on, starts_again))):
        tests = state_tests(guard.holds)
        if tests is None or len(tests[1]) > 1:
            names.setdefault((kind, guard.holds), guard.name)
    return Reader(spec, names)
