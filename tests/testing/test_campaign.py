"""The fault campaign: seeded, counted, told while it runs, and made short when it fails."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import attrs
import pytest

from kernel.engine.kernel import Kernel
from kernel.testing.campaign import EPISODE, Stage, drawn, run_campaign
from kernel.testing.driver import Driver
from kernel.testing.planted import planted
from kernel.testing.rules import RULES
from kernel.testing.stores import MemoryStores
from kernel.testing.world import Tally

BUG = next(bug for bug in planted() if bug.name == "poll-ignores-paused")


def test_an_episode_is_drawn_from_its_seed() -> None:
    """The same seed gives the same steps, beginning with a start; arguments lie within their choices; all rules are drawn."""
    assert drawn(3) == drawn(3) != drawn(4)
    seen = set()
    for seed in range(200):
        steps = drawn(seed)
        assert len(steps) == EPISODE
        assert steps[0][0].act is Driver.start
        for rule, numbers in steps:
            seen.add(rule.act)
            assert len(numbers) == len(rule.choices)
            assert all(0 <= number < count for number, count in zip(numbers, rule.choices, strict=True))
    assert seen == {rule.act for rule in RULES}


def test_progress_is_told_after_each_episode() -> None:
    """The number of steps rises until it is enough."""
    told: list[int] = []
    result = run_campaign(400, 1, progress=told.append)
    assert told == sorted(set(told))
    assert len(told) == result.episodes > 2
    assert told[-1] == result.steps >= 400 > told[-2]


def test_a_campaign_that_did_too_little_is_not_ok() -> None:
    """A kind of fault that never fired fails the run, though nothing was broken."""
    result = run_campaign(1, 2)
    assert (result.violations, result.story, result.episodes) == (0, None, 1)
    assert result.never_fired
    assert not result.ok


def test_a_violation_stops_the_campaign() -> None:
    """It is counted, told in short, and can be replayed by the one episode that it was found in."""
    result = run_campaign(20_000, 1, kernel=BUG.kernel)
    assert (result.violations, result.ok) == (1, False)
    assert result.found_in == result.steps < 20_000
    assert result.story is not None
    assert [line.split(".")[0].strip() for line in result.story.split("what happened:\n")[1].splitlines()] == ["1", "2", "3"]
    assert result.replay_command == f"kernel faults --store memory --seed {1 + result.episodes - 1} --steps 1"
    again = run_campaign(1, 1 + result.episodes - 1, kernel=BUG.kernel)
    assert (again.episodes, again.story) == (1, result.story)


def test_a_history_stays_as_it_was_found_when_asked() -> None:
    """Without shortening the story is the whole episode."""
    whole = run_campaign(20_000, 1, kernel=BUG.kernel, replays=0)
    short = run_campaign(20_000, 1, kernel=BUG.kernel)
    assert whole.story is not None
    assert short.story is not None
    assert whole.story.count("\n") > short.story.count("\n")


def test_shortening_keeps_to_the_same_finding_and_ends() -> None:
    """However few tries there are, what comes out is a finding of the same kind that was really played."""
    stage = Stage(MemoryStores(), BUG.kernel)
    seed = next(seed for seed in range(500) if stage.play(drawn(seed), Tally()) is not None)
    found = stage.play(drawn(seed), Tally())
    assert found is not None
    lengths = []
    for tries in (0, 5, 3000):
        shorter = attrs.evolve(stage, replays=tries).shortest(drawn(seed), found)
        assert shorter.kind == found.kind
        lengths.append(len(shorter.story))
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == len(found.story)
    assert lengths[2] == 3


def test_stores_are_removed_whatever_happens() -> None:
    """Each episode removes its store, a failed one too, and an interrupt passes."""
    class Counting(MemoryStores):
        opened = removed = 0

        def open(self) -> Any:
            self.opened += 1
            return super().open()

        def remove(self, store: Any) -> None:
            self.removed += 1

    def interrupted(store: Any, **options: Any) -> Kernel:
        raise KeyboardInterrupt

    stores = Counting()
    run_campaign(20_000, 7, stores, kernel=BUG.kernel, replays=0)
    assert stores.opened == stores.removed > 0
    with pytest.raises(KeyboardInterrupt):
        run_campaign(1, 1, stores, kernel=interrupted)


@pytest.mark.slow
def test_hypothesis_is_not_needed() -> None:
    """The command line runs it on a plain installation."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import kernel.testing.campaign as c; print(c.run_campaign(1).episodes)")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
