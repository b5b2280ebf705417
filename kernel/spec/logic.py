"""Expressions as logic: what they read, their atoms, and their truth under every valuation of the atoms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product

from kernel.spec.language import YES, Expr, F, Linked, Lit, Op, Param, Q

Atom = Expr
Valuation = Mapping[Atom, object]
OTHER = "(any other value)"
NEVER_HOLDS = Op("or", ())


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and its parts, outermost first; a quantifier's body is read from another row and left out."""
    yield expr
    if isinstance(expr, Op):
        for arg in expr.args:
            yield from walk(arg)


def quantifiers(expr: Expr) -> tuple[Q, ...]:
    """The quantifiers in an expression, from left to right."""
    return tuple(e for e in walk(expr) if isinstance(e, Q))


def reads(expr: Expr) -> tuple[F, ...]:
    """The fields that an expression reads from self or over single links."""
    return tuple(e for e in walk(expr) if isinstance(e, F))


def params(expr: Expr) -> tuple[str, ...]:
    """What the caller must present for the expression to be read."""
    return tuple(e.name if isinstance(e, Param) else e.param for e in walk(expr) if isinstance(e, Param | Linked))


def over(path: tuple[str, ...], expr: Expr) -> Expr:
    """The expression of a row's own fields, as read from the row at the start of the path that leads there."""
    if isinstance(expr, F):
        return F(expr.name, (*path, *expr.via), expr.then)
    return Op(expr.op, tuple(over(path, a) for a in expr.args)) if isinstance(expr, Op) else expr


def facts(expr: Expr, holds: bool = True) -> tuple[Expr, ...]:
    """Conditions that are true wherever the expression is true (or, with `holds=False`, wherever it is false)."""
    if isinstance(expr, Op):
        if expr.op == "not":
            return facts(expr.args[0], not holds)
        if expr.op == ("and" if holds else "or") or len(expr.args) == 1:
            return tuple(fact for arg in expr.args for fact in facts(arg, holds))
    return (expr,) if holds else (Op("not", (expr,)),)


def choice(expr: Expr) -> tuple[Expr, str | int] | None:
    """`x == literal` as (x, literal)."""
    if isinstance(expr, Op) and expr.op == "eq" and isinstance(expr.args[1], Lit):
        return expr.args[0], expr.args[1].value
    return None


def fold(expr: Expr, known: Mapping[Expr, object]) -> Expr:
    """The condition as far as it is open where some values are known; YES or NEVER_HOLDS when nothing is."""
    chosen = choice(expr)
    if chosen is not None and chosen[0] in known:
        return YES if chosen[1] == known[chosen[0]] else NEVER_HOLDS
    if not isinstance(expr, Op) or expr.op not in ("and", "or", "not"):
        return expr
    args = [fold(a, known) for a in expr.args]
    if expr.op == "not":
        return NEVER_HOLDS if args[0] == YES else YES if args[0] == NEVER_HOLDS else Op("not", (args[0],))
    neutral, decisive = (YES, NEVER_HOLDS) if expr.op == "and" else (NEVER_HOLDS, YES)
    if decisive in args:
        return decisive
    return Op(expr.op, tuple(a for a in args if a != neutral))


def hedged(expr: Expr, known: Callable[[Expr], bool], *, holds: bool) -> Expr:
    """The condition without what is not known: where `holds`, as if that let it hold, otherwise as if that kept it from it.

    The first must be true wherever the condition is; where the second is true, the condition is, whatever is not known.
    """
    if isinstance(expr, Op) and expr.op in ("and", "or"):
        return Op(expr.op, tuple(hedged(a, known, holds=holds) for a in expr.args))
    if isinstance(expr, Op) and expr.op == "not":
        return Op("not", (hedged(expr.args[0], known, holds=not holds),))
    if known(expr):
        return expr
    return YES if holds else NEVER_HOLDS


def domains(*exprs: Expr) -> dict[Atom, tuple[object, ...]]:
    """What each atom can be: a compared value one of its literals or another, any other condition true or false.

    Atoms are taken as independent of each other. Where they are not, some valuations stand for nothing that can happen;
    what holds in every valuation still holds always.
    """
    found: dict[Atom, dict[object, None]] = {}

    def visit(expr: Expr) -> None:
        if isinstance(expr, Op) and expr.op in ("and", "or", "not"):
            for arg in expr.args:
                visit(arg)
        elif (chosen := choice(expr)) is not None:
            found.setdefault(chosen[0], {})[chosen[1]] = None
        else:
            found.setdefault(expr, {})

    for expr in exprs:
        visit(expr)
    return {atom: (*values, OTHER) if values else (True, False) for atom, values in found.items()}


def fixed(*conditions: Expr) -> Valuation | None:
    """What some atoms must be where all conditions are true; None when they contradict each other in that."""
    found: dict[Atom, object] = {}
    for fact in (fact for condition in conditions for fact in facts(condition)):
        denied = isinstance(fact, Op) and fact.op == "not"
        atom = fact.args[0] if isinstance(fact, Op) and denied else fact
        chosen = choice(atom)
        if (chosen is not None and denied) or (isinstance(atom, Op) and atom.op in ("and", "or", "not")):
            continue
        place, value = chosen if chosen is not None else (atom, not denied)
        if found.setdefault(place, value) != value:
            return None
    return found


def valuations(*exprs: Expr, given: Valuation | None = None) -> Iterator[Valuation]:
    """Every combination of what the atoms of the expressions can be; `given` fixes what some are."""
    known = given or {}
    atoms = {atom: (known[atom],) if atom in known else values for atom, values in domains(*exprs).items()}
    for values in product(*atoms.values()):
        yield dict(zip(atoms, values, strict=True))


def truth(expr: Expr, valuation: Valuation) -> bool:
    """The truth of a condition where its atoms have these values."""
    if isinstance(expr, Op):
        if expr.op == "and":
            return all(truth(a, valuation) for a in expr.args)
        if expr.op == "or":
            return any(truth(a, valuation) for a in expr.args)
        if expr.op == "not":
            return not truth(expr.args[0], valuation)
    chosen = choice(expr)
    return valuation[chosen[0]] == chosen[1] if chosen is not None else bool(valuation[expr])


def satisfiable(*conditions: Expr, given: Valuation | None = None) -> bool:
    """Whether all conditions are true in some valuation; `given` fixes what some atoms are."""
    known = fixed(*conditions)
    if known is None or any(known.get(atom, value) != value for atom, value in (given or {}).items()):
        return False
    return any(all(truth(c, v) for c in conditions) for v in valuations(*conditions, given={**known, **(given or {})}))
