"""Real bugs of real engines: each scenario passes on the kernel, and fails on a kernel that has the bug."""

from __future__ import annotations

import re

import pytest

from kernel.testing.stores import Stores
from tests.zoo.house import EXHIBITS, PAGE, page
from tests.zoo.stand import Exhibit, on_stage

every_bug = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)


@every_bug
def test_the_kernel_does_not_have_it(exhibit: Exhibit, stores: Stores) -> None:
    """What happened there, fault included, ends here as it should."""
    with on_stage(stores) as stage:
        exhibit.scenario(stage)


@every_bug
def test_a_kernel_that_has_it_is_caught(exhibit: Exhibit, stores: Stores) -> None:
    """The same checks fail on a kernel in which the bug was planted."""
    with on_stage(stores, exhibit.plant) as stage, pytest.raises(AssertionError):
        exhibit.scenario(stage)


@every_bug
def test_it_says_where_it_comes_from(exhibit: Exhibit) -> None:
    """The scenario's text says what it was, and names the issue."""
    text = exhibit.scenario.__doc__ or ""
    assert exhibit.was.endswith((".", "ended."))
    assert [issue for issue in exhibit.links if issue not in text] == []
    assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", issue) for issue in exhibit.links)


def test_each_bug_is_there_once() -> None:
    """Numbers, scenarios and names are unique."""
    assert len({exhibit.id for exhibit in EXHIBITS}) == len({exhibit.scenario for exhibit in EXHIBITS}) == len(EXHIBITS)


def test_none_is_missing() -> None:
    """All forty that are known are there."""
    assert {int(exhibit.id[1:3]) for exhibit in EXHIBITS} == set(range(1, 41))


@pytest.mark.slow
def test_the_page_tells_what_is_there() -> None:
    """specs/evidence/zoo.md has a row for each, with what its plant does today."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run `python -m tests.zoo.house` and look at the difference"
