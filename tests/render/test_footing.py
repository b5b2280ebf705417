"""Around the states: the ways back, what entering does, what is always asked, and the key."""

from __future__ import annotations

from attrs import evolve

from kernel.render.drawing import Card, Part, Shape
from kernel.render.extract import picture
from kernel.render.footing import GONE, KEY, MORE, footing, key, note
from kernel.spec import SPEC, TASK, WORKFLOW
from tests.render.pictures import DRAWINGS


def words(card: Card) -> str:
    """The text of a card."""
    return " ".join("".join(span.text for span in line).strip() for line in card.lines)


def test_ways_back_are_below_everything() -> None:
    """The texts of re-opening stand below all states, and what leaves for good ends in a point."""
    ways = {"workflow": ["ended_ABSENT", "ended_RUNNING", "ended_badly_RUNNING"], "delivery": ["DEAD_PENDING"]}
    for name, back in ways.items():
        drawn = DRAWINGS[name]
        cards = {card.name: card for card in drawn.cards}
        lowest = max(frame.bottom for frame in drawn.frames)
        assert all(cards[text].y > lowest for text in back)
    gone = next(card for card in DRAWINGS["workflow"].cards if card.name == GONE)
    assert gone.shape is Shape.GONE
    assert GONE not in {card.name for card in DRAWINGS["delivery"].cards}


def test_note_tells_the_cascade() -> None:
    """Beside the terminal states of a workflow stands what every ending does; a lifecycle without that has no note."""
    drawn = DRAWINGS["workflow"]
    told = next(card for card in drawn.cards if card.name == "entering")
    assert told.shape is Shape.NOTE
    for event, rows in picture(SPEC, WORKFLOW).entering:
        assert f"{event} {rows}" in words(told)
    assert note(picture(SPEC, TASK), Part()) == Part()


def test_what_is_always_asked_is_told_once() -> None:
    """Every event of the task stands in the two columns, with all that its rows share."""
    drawn = picture(SPEC, TASK)
    part = footing(drawn, 100, 800)
    told = " ".join(words(card) for card in part.cards)
    for asked in drawn.asked:
        expected = f"{', '.join(asked.events)} {', '.join(asked.guards) or 'nothing'}"
        assert expected in " ".join(told.split())
    assert [card.name for card in footing(evolve(drawn, asked=()), 100, 800).cards] == ["key"]


def test_key_names_the_colours() -> None:
    """The key names each cause in its own colour."""
    line = key((*KEY, *MORE), 0).lines[0]
    assert [span for span in line if span in KEY] == list(KEY)
    assert words(key(KEY, 0)).startswith("command")
