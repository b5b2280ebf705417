"""Witnesses: for everything that the tables declare, the shortest way to where it is taken: nothing is true of nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from kernel.formal.stage import Part, Stage, branches
from kernel.spec.language import Expr, F, Linked, Lit, Op, Param, Q, Spec
from kernel.spec.names import where
from kernel.spec.vocabulary import ABSENT


@frozen
class Witness:
    """Something declared, and where it was seen: nowhere, when `stage` is empty."""

    what: str
    says: str
    stage: str = ""
    trace: tuple[str, ...] = ()


def declared(spec: Spec) -> Iterator[tuple[str, str, Part]]:
    """Every row in each of its states, every command and rule, every alternative of their guards."""
    for kind, table in spec.tables.items():
        for number, row in enumerate(table.rows):
            name = where(table, row)
            for source in row.source:
                yield "row", name if len(row.source) == 1 else f"{name}, from {source}", ("row", kind, str(number), source)
            for guard in row.guards:
                for branch, expr in enumerate(branches(guard)):
                    says = f"{name}: {guard.name}: {told(expr)}"
                    yield "branch", says, ("branch", f"{kind} {number}", guard.name, str(branch))
    for word, steps in (("command", spec.commands), ("rule", spec.progress)):
        for step in steps:
            yield word, step.name, ("step", step.name)
            for guard in step.guards:
                for branch, expr in enumerate(branches(guard)):
                    says = f"{word} {step.name}: {guard.name}: {told(expr)}"
                    yield "branch", says, ("branch", step.name, guard.name, str(branch))


def told(expr: Expr) -> str:
    """An alternative in words that are short."""
    if isinstance(expr, F):
        return ".".join((*expr.via, expr.name))
    if isinstance(expr, Lit):
        return str(expr.value)
    if isinstance(expr, Param):
        return f"given {expr.name}"
    if isinstance(expr, Q):
        return f"{expr.op} of {expr.link} {expr.body.name}"
    if isinstance(expr, Linked):
        return f"in {expr.link} of {expr.param}"
    return _operation(expr)


def _operation(expr: Op) -> str:
    words = {"eq": " = ", "lt": " < ", "add": " + ", "sub": " - ", "and": " and ", "or": " or ", "part": " of "}
    if expr.op == "not":
        return f"not ({told(expr.args[0])})"
    if expr.op in words:
        joined = (f"({told(a)})" if isinstance(a, Op) and a.op in ("and", "or") else told(a) for a in expr.args)
        return words[expr.op].join(joined)
    return f"{expr.op} of {', '.join(map(told, expr.args))}"


def witnesses(spec: Spec, stages: Sequence[Stage]) -> Iterator[Witness]:
    """Where everything that is declared was seen first, on the stages in their order; then every state."""
    for what, says, part in declared(spec):
        yield _seen(what, says, [(stage, stage.at([part])[:1]) for stage in stages])
    for kind in spec.kinds.values():
        for state in kind.states:
            if state != ABSENT:
                yield _in_state(kind.name, state, stages)


def _seen(what: str, says: str, places: Sequence[tuple[Stage, Sequence[int]]]) -> Witness:
    """The shortest of the ways to these places."""
    found = [(stage.trace(place), stage.scene.name) for stage, some in places for place in some]
    if not found:
        return Witness(what, says)
    trace, name = min(found, key=lambda each: len(each[0]))
    return Witness(what, says, name, trace)


def _in_state(kind: str, state: str, stages: Sequence[Stage]) -> Witness:
    found = []
    for stage in stages:
        rows = stage.explorer.tree.rows[kind]
        reached = next((each for each in stage.explorer.seen.found if any(each[row][0] == state for row in rows)), None)
        if reached is not None:
            found.append((stage.explorer.path(reached), stage.scene.name))
    if not found:
        return Witness("state", f"{kind} {state}")
    trace, name = min(found, key=lambda each: len(each[0]))
    return Witness("state", f"{kind} {state}", name, trace)
