"""What any input may be: bounds, names, JSON values, and the checks of single fields.

Each check returns or raises; none changes anything. Authors of definitions and callers of commands both give names and
JSON values: there, the class of the error is an argument.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable
from itertools import islice
from typing import Any, NoReturn

import attrs

from kernel.errors import InvalidDefinition, InvalidInput, KernelError, quoted


@attrs.frozen
class Limits:
    """Upper bounds. Everything that a user gives has one, so that no input can exhaust memory or overflow a store."""

    tasks: int = 200_000  # of one definition, those of its inline definitions included
    inline: int = 20  # levels of inline definitions in one another
    name: int = 200  # characters
    depth: int = 100  # levels of arrays and objects in one another
    payload: int = 1024 * 1024  # bytes of a payload's JSON text
    digits: int = 4_000  # of a whole number; Python refuses to print much longer ones
    whole: int = 2**31 - 1  # versions and retries
    seconds: float = 100 * 365 * 86_400.0  # a hundred years
    tick: float = 1e-6  # the shortest duration that is kept apart from none


LIMITS = Limits()
RESERVED = "/\\~#"  # ids of children and names of inline definitions are made with these
_NESTED = (dict, list, tuple)
_HUGE = 10**LIMITS.digits
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_NEAR = 2_000  # names among which the nearest one is looked for: a search through all would take minutes

def check_name(
    text: object, *, what: str, error: type[KernelError] = InvalidDefinition, longest: int = LIMITS.name
) -> str:
    """The text, if it can be a name or an id in every store, file name, log and terminal; raises `error` otherwise."""
    if not isinstance(text, str):
        raise error(f"{what} must be text, not {shown(text)}")
    if not text:
        why = "it is empty"
    elif len(text) > longest:
        why = f"it has {len(text):,} characters; at most {longest:,} are allowed"
    elif not text.isprintable():
        odd = next(c for c in text if not c.isprintable())
        why = f"it holds the character U+{ord(odd):04X}, which does not print"
    elif text != text.strip():
        why = "it begins or ends with a blank"
    elif held := next((c for c in RESERVED if c in text), ""):
        why = f"it holds {quoted(held)}, which is reserved"
    elif text in (".", ".."):
        why = "it means a folder"
    else:
        return text
    raise error(f"{what} {quoted(text)} is not acceptable", why=why, hint="use letters, digits, '-', '_', '.' and ':'")


def check_json(value: object, *, what: str, error: type[KernelError] = InvalidInput) -> str:
    """The compact canonical JSON text of a value; raises `error` for what is not JSON or not within LIMITS.

    Takes None, bool, int, float, str, list, tuple, and dict with text keys. Looks at one item after the other before it
    encodes anything, so that neither depth, nor a value that holds itself, nor one that repeats a large part can hurt.
    """
    room = LIMITS.payload
    waiting: list[tuple[Iterable[tuple[Any, object]], int, int, Any]] = [([(None, value)], 0, 0, None)]
    while waiting and room >= 0:
        items, size, depth, trail = waiting.pop()
        room -= size
        for place, item in items:
            if isinstance(item, _NESTED):
                size, fault = _keys(item) if isinstance(item, dict) else (len(item), "")
                if depth == LIMITS.depth:
                    fault = f"it is nested more than {LIMITS.depth} levels deep, or holds itself"
                inner: Iterable[tuple[Any, object]] = item.items() if isinstance(item, dict) else enumerate(item)
                waiting.append((inner if size <= room else (), size, depth + 1, (trail, place)))
            else:
                size, fault = _leaf(item)
                room -= size
            if fault:
                raise error(f"{what} is not acceptable", why=f"at {_path((trail, place))}: {fault}",
                            hint="give a plain JSON value")
    text = canonical(value) if room >= 0 else ""
    if room < 0 or len(text.encode()) > LIMITS.payload:
        raise error(
            f"{what} is not acceptable", why=f"its JSON text is longer than {LIMITS.payload:,} bytes",
            hint="keep large data elsewhere and pass a reference to it",
        )
    return text


def canonical(value: object) -> str:
    """The one JSON text of a JSON value, whoever writes it: digests and comparisons are made of it."""
    return _ENCODER.encode(value)


def _keys(item: dict[Any, object]) -> tuple[int, str]:
    """The least number of bytes that the keys of an object take, and what is wrong with them ("" for nothing)."""
    try:
        size, fault = _leaf("".join(item))
    except TypeError:
        return 0, "a key of an object is not text"
    return size + len(item), fault


def _leaf(item: object) -> tuple[int, str]:
    """The same of an item without parts."""
    if isinstance(item, str):
        try:
            return len(item) if item.isascii() else len(item.encode()), ""
        except UnicodeEncodeError:
            return 0, f"the text {quoted(item)} holds a lone surrogate"
    if isinstance(item, int):
        fault = "" if abs(item) < _HUGE else f"the number has more than {LIMITS.digits:,} digits"
        return item.bit_length() // 4, fault
    if isinstance(item, float):
        return 1, "" if math.isfinite(item) else f"{item!r} is not a JSON number"
    return 1, "" if item is None else f"a value of type {type(item).__name__} is not JSON"


def _path(trail: Any) -> str:
    steps: list[str] = []
    while trail:
        trail, step = trail
        steps.append("$" if step is None else f".{step}" if isinstance(step, str) else f"[{step}]")
    return quoted("".join(reversed(steps)))


def shown(value: object) -> str:
    """A value for a message: short, and never at the mercy of its own repr."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, float | bool) or (isinstance(value, int) and abs(value) < 10**18):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def nearest(word: str, names: Iterable[str]) -> str:
    """A hint that names the name most like `word`, or "" when none is like it."""
    close = difflib.get_close_matches(word, islice(names, _NEAR), n=1)
    return f"did you mean {quoted(close[0])}?" if close else ""


def placed(error: KernelError, place: str) -> InvalidDefinition:
    """The same complaint about a definition, with the place where it was found in front."""
    return InvalidDefinition(
        f"{place}, {error.asked}", stands=error.stands, why=error.why, allowed=error.allowed, hint=error.hint
    )


def refuse(place: str, field: str, why: str, hint: str = "", allowed: Iterable[str] = ()) -> NoReturn:
    """Raise InvalidDefinition for a field of what `place` names."""
    asked = f"{place}, field {quoted(field)} is not acceptable"
    raise InvalidDefinition(asked, why=why, allowed=tuple(allowed), hint=hint)


def whole(place: str, field: str, value: object, *, least: int) -> None:
    """A whole number from `least` to LIMITS.whole."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LIMITS.whole:
        refuse(place, field, f"it must be a whole number from {least} to {LIMITS.whole}, not {shown(value)}")


def seconds(place: str, field: str, value: object, *, least: float) -> None:
    """A duration from `least` to LIMITS.seconds; NaN lies between no bounds."""
    if not isinstance(value, float) or not least <= value <= LIMITS.seconds:
        bounds = f"from {least:g} to {LIMITS.seconds:,.0f}"
        refuse(place, field, f"it must be a number of seconds {bounds}, not {shown(value)}")


def flag(place: str, field: str, value: object) -> None:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool):
        refuse(place, field, f"it must be True or False, not {shown(value)}")


def choice(place: str, field: str, value: object, choices: Iterable[str]) -> None:
    """One of the choices."""
    allowed = [str(each) for each in choices]
    if value not in allowed:
        hint = nearest(value, allowed) if isinstance(value, str) else ""
        refuse(place, field, f"{shown(value)} is not a value that it can have", hint, allowed)


def names(place: str, field: str, values: object) -> None:
    """A tuple of names, each once."""
    if not isinstance(values, tuple):
        refuse(place, field, f"it must be a list of names, not {shown(values)}", "put a single name in a list, too")
    for value in values:
        check_name(value, what=f"{place}, field {quoted(field)}: name")
    if len(set(values)) < len(values):
        seen: set[str] = set()
        twice = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        refuse(place, field, f"it names {quoted(twice)} twice", "name each once")
