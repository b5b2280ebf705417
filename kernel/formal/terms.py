"""Ground terms: expressions over numbered variables, folded as far as what is known allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from attrs import frozen

LATER = 100
"""A time that never comes: no sum is greater."""


@frozen
class Read:
    """A variable; `then`: after the step."""

    slot: int
    then: bool = False


@frozen
class Local:
    """Something that was read before it was changed."""

    name: str


@frozen
class Term:
    """eq, lt, add, sub, not, and, or, or if (condition, value, other value)."""

    op: str
    args: tuple[Ground, ...]


Ground: TypeAlias = "bool | int | Read | Local | Term"
"""A condition is True, False or a term; a value a number, a variable or a term."""


def conjunction(parts: Iterable[Ground]) -> Ground:
    """All hold; False as soon as one is known not to."""
    return _joined("and", parts, neutral=True)


def disjunction(parts: Iterable[Ground]) -> Ground:
    """One holds; True as soon as one is known to."""
    return _joined("or", parts, neutral=False)


def _joined(op: str, parts: Iterable[Ground], *, neutral: bool) -> Ground:
    kept: dict[Ground, None] = {}
    for part in parts:
        if isinstance(part, bool):
            if part is not neutral:
                return part
        else:
            kept.update(dict.fromkeys(part.args if isinstance(part, Term) and part.op == op else (part,)))
    if not kept:
        return neutral
    return next(iter(kept)) if len(kept) == 1 else Term(op, tuple(kept))


def negation(part: Ground) -> Ground:
    """It does not hold."""
    if isinstance(part, bool):
        return not part
    return part.args[0] if isinstance(part, Term) and part.op == "not" else Term("not", (part,))


def compared(op: str, a: Ground, b: Ground) -> Ground:
    """Eq or lt of two values; a value that depends on a condition is taken apart, so that none is left in a comparison."""
    for side, other, flip in ((a, b, False), (b, a, True)):
        if isinstance(side, Term) and side.op == "if":
            condition, value, otherwise = side.args
            pair = [(other, v) if flip else (v, other) for v in (value, otherwise)]
            return disjunction((conjunction((condition, compared(op, *pair[0]))),
                                conjunction((negation(condition), compared(op, *pair[1])))))
    base_a, offset_a = _apart(a)
    base_b, offset_b = _apart(b)
    if base_a == base_b:
        return offset_a == offset_b if op == "eq" else offset_a < offset_b
    return Term(op, (a, b))


def _apart(value: Ground) -> tuple[Ground, int]:
    """A value as something unknown (0 when nothing is) and a number added to it."""
    if isinstance(value, int):
        return 0, value
    if isinstance(value, Term) and value.op in ("add", "sub") and isinstance(value.args[1], int):
        base, offset = _apart(value.args[0])
        return base, offset + (value.args[1] if value.op == "add" else -value.args[1])
    return value, 0


def summed(op: str, a: Ground, b: Ground) -> Ground:
    """The sum, difference, smaller or greater of two values, or so many millionths; nothing is later than never."""
    if op in ("min", "max"):
        return _extreme(op, a, b)
    if op == "part":
        return a * b // 1_000_000 if isinstance(a, int) and isinstance(b, int) else 0 if b == 0 else Term(op, (a, b))
    if isinstance(a, int) and isinstance(b, int):
        return max(0, min(LATER, a + b if op == "add" else a - b))
    if isinstance(b, int) and b == 0:
        return a
    if isinstance(a, int) and a == 0 and op == "add":
        return b
    return Term(op, (a, b))


def _extreme(op: str, a: Ground, b: Ground) -> Ground:
    if isinstance(a, int) and isinstance(b, int):
        return min(a, b) if op == "min" else max(a, b)
    least = Term("if", (compared("lt", a, b), a, b)) if op == "min" else Term("if", (compared("lt", a, b), b, a))
    return a if a == b else least


def slots(part: Ground) -> Iterator[int]:
    """The variables whose value before the step a term reads."""
    if isinstance(part, Read) and not part.then:
        yield part.slot
    elif isinstance(part, Term):
        for arg in part.args:
            yield from slots(arg)
