"""What workers of the command line run: functions of a module that the user named, scripts of a case, or an echo."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from inspect import getmodule, isroutine
from typing import Any

from kernel.cli.files import Outcome
from kernel.engine.attempt import Attempt, TaskFailed
from kernel.engine.worker import Function
from kernel.errors import InvalidInput, quoted


def functions_of(module: str) -> dict[str, Function]:
    """The functions of a module that the user named, by name: those of its `__all__`, or else its own public ones.

    It is found from the current folder, too. Raises InvalidInput.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        loaded = import_module(module)
    except Exception as error:  # importing runs the user's code
        raise InvalidInput(f"the handlers {quoted(module)}", why=f"importing it raises {type(error).__name__}: {error}",
                           hint="name a module, such as handlers for ./handlers.py") from error
    found = {name: each for name, each in vars(loaded).items() if isroutine(each)}
    chosen = vars(loaded).get("__all__") or [
        name for name, each in found.items() if not name.startswith("_") and getmodule(each) is loaded]
    return {name: found[name] for name in chosen if name in found}


def functions_for(
    types: Iterable[str], scripted: Mapping[str, Sequence[Outcome]], module: Mapping[str, Function]
) -> dict[str, Function]:
    """For each type the function of the module named like it, else the script of the case, else an echo."""
    return {each: module.get(each) or (played(scripted[each]) if scripted.get(each) else echo) for each in types}


def echo(given: Any) -> Any:
    """Completes a task with its own input."""
    return given


def played(script: Sequence[Outcome]) -> Function:
    """A function that does what a script says of each attempt; the last outcome repeats."""

    def play(_: Any, attempt: Attempt) -> Any:
        outcome = script[min(attempt.lease.attempt, len(script)) - 1]
        if outcome.failure is not None:
            raise TaskFailed(outcome.failure, retryable=outcome.retryable)
        return outcome.output

    return play
