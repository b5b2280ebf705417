"""The real kernel under every command and every fault, on memory and on SQLite, with every check after every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from kernel.testing.campaign import BUDGET, run_campaign
from kernel.testing.stores import Stores
from kernel.testing.taken import Entry, report
from kernel.testing.world import KINDS
from tests.model.budget import EXAMPLES, SEEDS, STEPS, run_machine
from tests.stores.servers import stores_of
from tests.stores.stand import EMBEDDED, STORES

SERVERS = [kind for kind in STORES if kind not in EMBEDDED]


@pytest.mark.slow
def test_no_history_breaks_a_promise(stores: Stores) -> None:
    """Whatever Hypothesis makes the kernel and its surroundings do, every check holds after every step, and at the end.

    With the same budget it finds each of the planted bugs.
    """
    tally = run_machine(stores, SEEDS[0])
    assert tally.steps > EXAMPLES[stores.name] * STEPS
    if stores.name == "memory":
        assert tally.missing() == []


def with_more(taken: Mapping[Entry, int]) -> Counter[Entry]:
    """The rows that a campaign took; where chance left one out, with those of a few more."""
    taken = Counter(taken)
    for seed in SEEDS:
        if all(row.times or row.excuse for row in report(taken)):
            break
        taken += Counter(run_campaign(BUDGET // 4, 1_000 * seed).taken)
    return taken


@pytest.mark.slow
def test_a_campaign_breaks_no_promise(stores: Stores) -> None:
    """A seeded random run with every kind of fault finds nothing. It is no proof of what it never did: on memory, where it
    is longer, it takes every row of the tables but those that have an excuse, and those it does not take; `-s` shows how often.
    """
    result = run_campaign(BUDGET if stores.name == "memory" else BUDGET // 5, 5, stores)
    assert result.story is None
    assert result.never_fired == ()
    assert result.ok
    assert set(result.fired) == set(KINDS)
    assert result.open_under_terminated == 0 < result.terminations_under_fault
    assert result.deliveries["DELIVERED"] > result.deliveries["DEAD"] > 0
    assert result.replay_command == ""
    if stores.name == "memory":
        found = report(with_more(result.taken))
        print(*(f"{row.times:>9,}  {row.entry.table:<9} {row.entry.says}  {row.excuse}" for row in found), sep="\n")  # noqa: T201
        assert [row.entry for row in found if bool(row.times) == bool(row.excuse)] == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_keeps_the_same_promises(kind: str, tmp_path: Path) -> None:
    """The same on PostgreSQL and on Redis, in short: histories of Hypothesis, and a campaign with faults."""
    stores = stores_of(kind, tmp_path)
    assert run_machine(stores, SEEDS[1]).steps > EXAMPLES[kind] * STEPS
    result = run_campaign(BUDGET // 80, 5, stores)
    assert (result.story, result.open_under_terminated) == (None, 0)


@pytest.mark.slow
def test_the_same_seed_is_the_same_campaign(stores: Stores) -> None:
    """A campaign can be repeated: the same steps, faults and outcomes."""
    first = run_campaign(300, 42, stores)
    assert first == run_campaign(300, 42, stores)
    assert first.outcomes != run_campaign(300, 43, stores).outcomes
