"""Handlers: functions of a module, scripts of a case, or an echo."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.cli.files import Outcome
from kernel.cli.handlers import functions_for, functions_of
from kernel.engine.attempt import Attempt, TaskFailed
from kernel.engine.entities import Lease
from kernel.engine.kernel import Kernel
from kernel.engine.worker import Worker
from kernel.errors import InvalidInput
from kernel.stores.memory import MemoryStore


def attempt(number: int) -> Attempt:
    """An attempt as a function gets it."""
    worker = Worker(Kernel(MemoryStore()), {"t": repr})
    return Attempt(worker, Lease("wf", "t", "t", number, 1, 1, "w1", datetime.now(UTC), None, 0))


def test_scripts_by_attempt() -> None:
    """Attempt after attempt; the last outcome repeats; a type without a script is echoed."""
    script = (Outcome(failure="1", retryable=False), Outcome({"n": 2}))
    functions = functions_for(["t", "other"], {"t": script, "other": ()}, {})
    with pytest.raises(TaskFailed) as caught:
        functions["t"](None, attempt(1))
    assert (caught.value.reason, caught.value.retryable) == ("1", False)
    assert [functions["t"](None, attempt(n)) for n in (2, 3)] == [{"n": 2}, {"n": 2}]
    assert functions["other"]({"x": 1}) == {"x": 1}


def test_functions_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own public functions, by name; they come before scripts; the current folder is looked at."""
    (tmp_path / "handlers_of_test.py").write_text(
        "from os import getcwd\nnumber = 1\ndef good(input): return {'got': input}\ndef _hidden(input): return None\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    functions = functions_of("handlers_of_test")
    assert {*functions} == {"good"}
    assert functions_for(["good"], {"good": (Outcome(failure="script"),)}, functions)["good"](7) == {"got": 7}
    monkeypatch.delitem(sys.modules, "handlers_of_test")


def test_a_module_may_say_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`__all__` names them, also such as come from elsewhere; what is no function is left out."""
    (tmp_path / "handlers_with_all.py").write_text(
        "from os import getcwd\n__all__ = ['getcwd', 'number', 'none']\nnumber = 1\ndef other(input): return input\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert {*functions_of("handlers_with_all")} == {"getcwd"}
    monkeypatch.delitem(sys.modules, "handlers_with_all")


@pytest.mark.parametrize(("text", "words"), [(None, "ModuleNotFoundError"), ("1/0", "ZeroDivisionError")])
def test_a_module_that_cannot_be_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, words: str
) -> None:
    """What importing raised is said."""
    if text is not None:
        (tmp_path / "broken_handlers.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput) as caught:
        functions_of("broken_handlers")
    assert words in str(caught.value)


def test_handlers_are_plain_functions() -> None:
    """The same functions are what `Worker` takes."""
    assert Worker(Kernel(MemoryStore()), functions_for(["t"], {}, {})).functions.keys() == {"t"}
    assert kernel.__version__
    found: Any = functions_for(["t"], {}, {"t": repr})
    assert found == {"t": repr}
