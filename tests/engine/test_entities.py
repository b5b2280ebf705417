"""What callers get: frozen values, times that say where they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

import kernel
from kernel.engine import entities
from kernel.engine.entities import Applied, Finding, Report, moment, moment_or_none
from kernel.engine.kernel import Kernel
from kernel.errors import StoreCorrupt
from kernel.spec.language import NEVER

VALUES = [value for value in vars(entities).values() if isinstance(value, type) and attrs.has(value)]


def test_a_stored_time_is_an_aware_datetime() -> None:
    """Microseconds since 1970, to the microsecond, in UTC; before 1970, too."""
    assert moment(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert moment(1_000_000_000_123_456) == datetime(2001, 9, 9, 1, 46, 40, 123456, tzinfo=UTC)
    assert moment(-1) == datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    assert moment(0).utcoffset() == timedelta(0)


@pytest.mark.parametrize("stored", [2**63 - 1, -(2**63), 10**18])
def test_a_time_that_no_clock_shows(stored: int) -> None:
    """A year that datetime does not have was not written by us."""
    with pytest.raises(StoreCorrupt, match="in no year"):
        moment(stored)


@pytest.mark.parametrize(("stored", "shown"), [
    (NEVER, None), (NEVER + 10**15, None), (0, None), (-5, None), (1, moment(1)), (10**15, moment(10**15)),
])
def test_a_time_that_never_comes_is_none(stored: int, shown: datetime | None) -> None:
    """NEVER, what is later than that, and a time that was not set."""
    assert moment_or_none(stored) == shown


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value.__name__)
def test_values_are_frozen_and_slotted(value: type) -> None:
    """Nobody changes what was read; every field is documented by its name and type."""
    made: Any = object.__new__(value)
    assert not hasattr(made, "__dict__")
    assert all(field.type for field in attrs.fields(value))
    for field in attrs.fields(value):
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(made, field.name, 1)


def test_an_unchanged_entity_is_equal(k: Kernel) -> None:
    """Values compare by their content, so that a caller sees a change."""
    k.register(kernel.WorkflowDef("w", tasks=[kernel.TaskDef("a")]))
    first = k.start("w", workflow_id="w", input={"a": [1]})
    assert k.get("w") == first
    assert k.tree("w") == k.tree("w")
    k.pause("w")
    assert k.get("w") != first


def test_a_report_is_clean_without_findings() -> None:
    """And only then."""
    assert Report((), 1, 2, 3).clean
    assert not Report((Finding("INV-01", "w", 1, "", "broken"),), 1, 2, 3).clean


def test_an_answer_says_least_by_default() -> None:
    """A command that did nothing more than move its own row."""
    assert Applied("c", 1) == Applied("c", 1, ended=0, canceled=0, deliveries=0, no_op=False, why="")
