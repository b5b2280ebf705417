"""Definitions from files: Conductor's workflow-definition JSON, one definition or a list of them in a file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import attrs

from kernel.core.conductor import parse
from kernel.core.definitions import WorkflowDef
from kernel.errors import LONGEST_QUOTE, InvalidDefinition, quoted

LARGEST_FILE = 64 * 1024 * 1024  # bytes
_WORDS = ("true", "false", "null")


class DefinitionWarning(UserWarning):
    """Something in a definition has no effect here. The text names file, definition, task and field."""


def load_definitions(
    path: str | os.PathLike[str], *, topics: Sequence[str] = (), notify: Sequence[str] = (),
    task_defs: str | os.PathLike[str] | None = None,
) -> list[WorkflowDef]:
    """Read the definitions of a file; each delivers its ends to `topics`, and its changes to the statuses in `notify`.

    `task_defs` is a second file, with Conductor's task definitions, for tasks that have none embedded.
    Raises InvalidDefinition, which names the file and what is wrong with it, and emits a DefinitionWarning for each
    thing in it that has no effect.
    """
    content, file = _read(path)
    known, known_file = ((), "") if task_defs is None else _read(task_defs)
    parsed = parse(content, file=file, topics=topics, task_defs=known, task_defs_file=known_file)
    for text in parsed.warnings:
        warnings.warn(DefinitionWarning(text), stacklevel=2)
    return [attrs.evolve(definition, notify=notify) for definition in parsed.definitions]


def _read(path: str | os.PathLike[str]) -> tuple[object, str]:
    """The content of a file, and its name for messages."""
    name = os.fspath(path)
    short = name if len(name) <= LONGEST_QUOTE else f"…{name[1 - LONGEST_QUOTE:]}"  # a path says most at its end
    return _content(_text(name, short), short), short


def _text(path: str, name: str) -> str:
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        _refuse(name, "there is no such file")
    except IsADirectoryError:
        _refuse(name, "it is a folder", "name a file in it")
    except (OSError, ValueError) as error:  # ValueError: the name holds a NUL
        _refuse(name, f"it cannot be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > LARGEST_FILE:
        _refuse(name, f"it is larger than {LARGEST_FILE:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _refuse(name, f"it is not UTF-8: byte {error.start + 1:,} cannot be read", "save it as UTF-8")
    if not text.strip():
        _refuse(name, "it is empty")
    return text


def _content(text: str, name: str) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                _refuse(name, f"an object in it has the key {quoted(key)} twice", "take one of them out")
            found[key] = value
        return found

    def constant(word: str) -> NoReturn:
        _refuse(name, f"{word} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except json.JSONDecodeError as error:
        rest = text[error.pos :].strip()
        if error.msg.startswith("Unterminated string") or any(w.startswith(rest) and w != rest for w in _WORDS):
            _refuse(name, f"it ends too early, in line {text.count(chr(10)) + 1}", "it is cut off: get the whole file")
        _refuse(name, f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}")
    except ValueError:  # a number with thousands of digits
        _refuse(name, "a number in it has too many digits")
    except RecursionError:
        _refuse(name, "it is nested too deep")


def _refuse(name: str, why: str, hint: str = "") -> NoReturn:
    raise InvalidDefinition(f"the definition file {quoted(name)} cannot be loaded", why=why, hint=hint)
