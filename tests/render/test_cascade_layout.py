"""The picture of the cascade: sources left, rows right, the rules of progress below in three steps."""

from __future__ import annotations

from kernel.render.cascade import cascade
from kernel.spec import SPEC
from tests.render.pictures import DRAWINGS

MODEL, DRAWN = cascade(SPEC), DRAWINGS["cascade"]
CARDS = {card.name: card for card in DRAWN.cards}


def test_sources_stand_left_of_rows() -> None:
    """All sources are equally wide, and so are all targets; events stand between them."""
    sources = [CARDS[source.name] for source in MODEL.sources]
    targets = [CARDS[f"at_{target.link}"] for target in MODEL.targets]
    assert len({card.width for card in sources}) == len({card.width for card in targets}) == 1
    assert max(card.right for card in sources) < min(card.x for card in targets)
    for reach in MODEL.reaches:
        text = CARDS[f"{reach.source}_{reach.link}"]
        assert CARDS[reach.source].right < text.x < text.right < CARDS[f"at_{reach.link}"].x


def test_every_reach_is_two_curves() -> None:
    """From its source to the text of its events, and on to the rows."""
    ends = [(curve.tail, curve.head) for curve in DRAWN.curves]
    for reach in MODEL.reaches:
        text = f"{reach.source}_{reach.link}"
        assert ends.count((reach.source, text)) == ends.count((text, f"at_{reach.link}")) == 1


def test_progress_goes_round() -> None:
    """The groups of rules stand in their order from left to right, and the last leads back to the first."""
    names = [group.name for group in MODEL.groups]
    assert sorted(names, key=lambda name: CARDS[name].x) == names
    ways = {(curve.tail, curve.head) for curve in DRAWN.curves}
    assert {(names[0], names[1]), (names[1], names[2]), (names[2], names[0])} <= ways
    for group in MODEL.groups:
        words = [span.text for line in CARDS[group.name].lines for span in line]
        assert all(f"{rule.place}  {rule.name}" in words for rule in group.rules)
