"""Expressions as Python functions: closures over slotted rows, built once from the tables.

A row is any object with the fields of its kind as attributes and its single links as attributes (`row.wf.state`); a
quantifier that has a counter reads `row.counts[place]`, any other asks `row.behind(link)`; what a step property reads
after the step is read from `row.then`, the same row as the step left it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from kernel.spec.language import Expr, F, Guard, Linked, Lit, Param, Q
from kernel.spec.logic import choice, facts

NOTHING = ""
"""What is read of a parameter that is not presented."""
Function = Callable[[Any, Mapping[str, Any]], Any]
Counters = Mapping[Q, int]
"""The place of each counted quantifier: how many rows behind its link decide, against `every` or for `some`."""


def _getter(field: F) -> Callable[[Any], Any]:
    path = (*field.via, field.name)
    return attrgetter(".".join(("then", *path) if field.then else path))


def _membership(args: tuple[Expr, ...]) -> Function | None:
    """`x == a or x == b or ...` over one field as a single look-up."""
    choices = [choice(arg) for arg in args]
    fields = {chosen[0] if chosen else None for chosen in choices}
    field = fields.pop() if len(fields) == 1 else None
    if not isinstance(field, F):
        return None
    get, values = _getter(field), frozenset(chosen[1] for chosen in choices if chosen)
    if len(values) == 1:
        (only,) = values
        return lambda row, given: get(row) == only
    return lambda row, given: get(row) in values


def _conjunction(parts: list[Function]) -> Function:
    if not parts:
        return lambda row, given: True
    first, rest = parts[0], parts[1:]
    if not rest:
        return first
    if len(rest) == 1:
        (second,) = rest
        return lambda row, given: first(row, given) and second(row, given)
    if len(rest) == 2:
        second, third = rest
        return lambda row, given: first(row, given) and second(row, given) and third(row, given)
    second, third, others = rest[0], rest[1], _conjunction(rest[2:])
    return lambda row, given: first(row, given) and second(row, given) and third(row, given) and others(row, given)


def _disjunction(parts: list[Function]) -> Function:
    if not parts:
        return lambda row, given: False
    first, rest = parts[0], parts[1:]
    if not rest:
        return first
    others = _disjunction(rest)
    return lambda row, given: first(row, given) or others(row, given)


def _comparison(op: str, left: Expr, right: Expr, counters: Counters) -> Function:
    if isinstance(left, F) and isinstance(right, Lit):
        get, value = _getter(left), right.value
        if op == "eq":
            return lambda row, given: get(row) == value
        if op == "add":
            return lambda row, given: get(row) + value
    if isinstance(left, Param) and isinstance(right, F):
        name, read = left.name, _getter(right)
        if op == "eq":
            return lambda row, given: given[name] == read(row)
        if op == "lt":
            return lambda row, given: given[name] < read(row)
        if op == "add":
            return lambda row, given: given[name] + read(row)
    a, b = function(left, counters), function(right, counters)
    operations: dict[str, Function] = {
        "eq": lambda row, given: a(row, given) == b(row, given),
        "lt": lambda row, given: a(row, given) < b(row, given),
        "add": lambda row, given: a(row, given) + b(row, given),
        "sub": lambda row, given: a(row, given) - b(row, given),
        "part": lambda row, given: a(row, given) * b(row, given) // 1_000_000,
    }
    return operations[op]


def _extreme(op: str, parts: list[Function]) -> Function:
    first, *others = parts

    def least(row: Any, given: Mapping[str, Any]) -> Any:
        found = first(row, given)
        for other in others:  # a call of min would take longer than all else here
            value = other(row, given)
            if value < found:
                found = value
        return found

    def most(row: Any, given: Mapping[str, Any]) -> Any:
        found = first(row, given)
        for other in others:
            value = other(row, given)
            if value > found:
                found = value
        return found

    return least if op == "min" else most


def _quantifier(q: Q, counters: Counters) -> Function:
    every = q.op == "every"
    if q in counters:
        place = counters[q]
        if every:
            return lambda row, given: row.counts[place] == 0
        return lambda row, given: row.counts[place] > 0
    body, link = function(q.body.holds, counters), q.link
    if every:
        return lambda row, given: all(body(other, given) for other in row.behind(link))
    return lambda row, given: any(body(other, given) for other in row.behind(link))


def function(expr: Expr, counters: Counters) -> Function:
    """The expression as a function of a row and of what the caller presents."""
    if isinstance(expr, Lit):
        value = expr.value
        return lambda row, given: value
    if isinstance(expr, F):
        get = _getter(expr)
        return lambda row, given: get(row)
    if isinstance(expr, Param):
        name = expr.name
        return lambda row, given: given.get(name, NOTHING)
    if isinstance(expr, Q):
        return _quantifier(expr, counters)
    if isinstance(expr, Linked):
        link, chosen = expr.link, expr.param
        return lambda row, given: given.get(chosen) is not None and row in given[chosen].behind(link)
    if expr.op == "not":
        inner = function(expr.args[0], counters)
        return lambda row, given: not inner(row, given)
    if expr.op == "and":
        return _conjunction([function(fact, counters) for fact in facts(expr)])
    if expr.op == "or":
        return _membership(expr.args) or _disjunction([function(a, counters) for a in expr.args])
    if expr.op in ("min", "max"):
        return _extreme(expr.op, [function(a, counters) for a in expr.args])
    return _comparison(expr.op, expr.args[0], expr.args[1], counters)


def guard_function(guard: Guard, counters: Counters) -> Function:
    """A named condition as a function."""
    return function(guard.holds, counters)
