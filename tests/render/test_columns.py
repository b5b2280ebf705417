"""States stand one below the other, inside their boxes."""

from __future__ import annotations

from attrs import evolve

from kernel.render.columns import (
    PAD,
    TITLE,
    around,
    column,
    frames,
    name_lines,
    state_card,
    states_of,
    stretched,
)
from kernel.render.drawing import Shape
from kernel.render.extract import Look, picture
from kernel.spec import SPEC, TASK

TASKS = picture(SPEC, TASK)
OPEN = ["PENDING", "SCHEDULED", "IN_PROGRESS"]


def test_states_have_an_order() -> None:
    """Known states stand in their declared order, others after them."""
    assert states_of(TASKS, Look.LIVE) == OPEN
    own = evolve(TASKS, states=dict.fromkeys(["NEW", "ELSE", "DEAD", "RUNNING"], Look.LIVE))
    assert states_of(own, Look.LIVE) == ["RUNNING", "DEAD", "NEW", "ELSE"]


def test_long_names_are_broken_in_the_middle() -> None:
    """A long name takes two lines, broken at an underscore; one without any stays whole."""

    def shown(state: str) -> list[str]:
        return ["".join(span.text for span in line) for line in name_lines(state)]

    assert shown("FAILED_WITH_TERMINAL_ERROR") == ["FAILED_WITH_", "TERMINAL_ERROR"]
    assert shown("COMPLETED_WITH_ERRORS") == ["COMPLETED_", "WITH_ERRORS"]
    assert shown("IN_PROGRESS") == ["IN_PROGRESS"]
    assert shown("X" * 40) == ["X" * 40]


def test_a_state_tells_what_keeps_it() -> None:
    """The events that leave a row in its state stand inside the state; the name above them is centred."""
    card = state_card(TASKS, "IN_PROGRESS")
    assert list(dict.fromkeys(line[0].text for line in card.lines)) == ["IN_PROGRESS", "ALERT", "HEARTBEAT"]
    assert card.titles == 1
    assert card.shape is Shape.STATE
    assert state_card(TASKS, "FAILED").shape is Shape.TERMINAL


def test_column_opens_and_closes_boxes() -> None:
    """Between two states stand the gap and the pads of the boxes that end or begin there."""
    assert around(TASKS, "PENDING") == ("open", "unstarted")
    stack = column(TASKS, dict.fromkeys(OPEN, 30.0), dict.fromkeys(OPEN, 20.0), 5.0)
    first = 5 + 2 * (PAD + TITLE)
    assert stack.tops == {"PENDING": first, "SCHEDULED": first + 50, "IN_PROGRESS": first + 50 + 30 + PAD + 20}
    assert stack.spans["unstarted"] == (5 + PAD + TITLE, first + 80 + PAD)
    assert stack.spans["open"] == (5.0, stack.bottom)
    assert stack.bottom == stack.tops["IN_PROGRESS"] + 30 + PAD


def test_column_is_stretched_not_squeezed() -> None:
    """A column reaches the height that is asked, with wider gaps; one that is taller stays as it is."""
    slots, gaps = dict.fromkeys(OPEN, 30.0), dict.fromkeys(OPEN, 20.0)
    least = column(TASKS, slots, gaps, 0)
    assert stretched(TASKS, slots, gaps, 0, least.bottom + 100).bottom == least.bottom + 100
    assert stretched(TASKS, slots, gaps, 0, 10) == least


def test_inner_frames_are_narrower() -> None:
    """A frame inside another is narrower by a pad on both sides, and names the one around it."""
    stack = column(TASKS, dict.fromkeys(OPEN, 30.0), dict.fromkeys(OPEN, 20.0), 0)
    found = {frame.name: frame for frame in frames(TASKS, stack, 100, 200)}
    assert set(found) == {"open", "unstarted"}
    assert (found["unstarted"].x, found["unstarted"].right) == (100 - PAD, 200 + PAD)
    assert (found["open"].x, found["open"].right) == (100 - 2 * PAD, 200 + 2 * PAD)
    assert (found["unstarted"].inside, found["open"].cards) == ("open", ("IN_PROGRESS",))
