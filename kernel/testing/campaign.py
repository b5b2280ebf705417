"""The fault campaign: a seeded random run over the rules of the stateful tests, and the shortest history when it fails.

A campaign is a row of episodes. Each has a fresh store and its own seed, one more than the episode before, so that a failed
one can be run again alone. It needs nothing but the kernel: Hypothesis is for `kernel.testing.stateful`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator

from attrs import define, field, frozen

from kernel.engine.kernel import Kernel
from kernel.testing.driver import Driver
from kernel.testing.rules import RULES, START, START_NESTED, Rule
from kernel.testing.stores import MemoryStores, Stores
from kernel.testing.story import Violated
from kernel.testing.taken import Entry
from kernel.testing.world import KernelFactory, Tally

EPISODE = 60
"""Rules drawn in one episode; what lets everything settle at its end comes on top."""
BUDGET = 20_000
"""Steps of a campaign, when nobody says otherwise."""
REPLAYS = 3000
"""Tries to make a failed episode shorter, when nobody says otherwise."""
DRAWN = tuple(rule for rule in RULES for _ in range(rule.weight))
Step = tuple[Rule, tuple[int, ...]]
PLAIN: tuple[Step, ...] = (
    (Rule(Driver.poll, 0), (0, 3)), (Rule(Driver.poll, 0), (1, 3)), (Rule(Driver.tick, 0), ()),
    (Rule(Driver.pause, 0, (), lambda d: d.lively), (0,)), (Rule(Driver.terminate, 0, (), lambda d: d.lively), (0,)),
)
"""What a step that does several things may be replaced with, when a history is made shorter."""


def drawn(seed: int) -> list[Step]:
    """The steps of one episode."""
    chance = random.Random(seed)
    rules = (START, START_NESTED, *(chance.choice(DRAWN) for _ in range(EPISODE - 2)))
    return [(rule, tuple(chance.randrange(count) for count in rule.choices)) for rule in rules]


@frozen
class Stage:
    """Where episodes are played."""

    stores: Stores
    kernel: KernelFactory
    replays: int = REPLAYS
    """How often a failed episode is tried in shorter forms."""

    def play(self, steps: list[Step], tally: Tally) -> Violated | None:
        """Play an episode to its end; what it found. A step that has nothing to act on is left out."""
        driver = Driver(self.stores, kernel=self.kernel, tally=tally)
        try:
            for rule, numbers in steps:
                if rule.needs(driver):
                    rule.act(driver, *numbers)
            driver.finish()
        except Violated as violated:
            return violated
        finally:
            driver.close()
        return None

    def shortest(self, steps: list[Step], found: Violated) -> Violated:
        """The shortest history with the same kind of finding that leaving out steps and choosing smaller numbers leads to."""
        wanted, left = found.kind, self.replays
        size = max(1, len(steps) // 2)
        while left > 0:
            simpler = (*_plainer(steps), *_smaller(steps)) if size == 1 else ()
            for shorter in (*_without(steps, size), *simpler):
                left -= 1
                violated = self.play(shorter, Tally())
                if violated is not None and violated.kind == wanted:
                    steps, found = shorter, violated
                    break
                if left <= 0:
                    break
            else:
                if size == 1:
                    break
                size //= 2
        return found


def _without(steps: list[Step], size: int) -> Iterator[list[Step]]:
    """The steps less some that follow each other, the last ones first."""
    for start in range(len(steps) - size, -1, -size):
        yield steps[:start] + steps[start + size:]


def _plainer(steps: list[Step]) -> Iterator[list[Step]]:
    """The steps with one that does several things replaced by one that does one of them."""
    for place, step in enumerate(steps):
        if all(step[0].act is not plain[0].act for plain in PLAIN):
            yield from ([*steps[:place], plain, *steps[place + 1:]] for plain in PLAIN)


def _smaller(steps: list[Step]) -> Iterator[list[Step]]:
    """The steps with one number made smaller."""
    for place, (rule, numbers) in enumerate(steps):
        for which, number in enumerate(numbers):
            for less in sorted({0, number // 2, number - 1}):
                if 0 <= less < number:
                    yield [*steps[:place], (rule, (*numbers[:which], less, *numbers[which + 1:])), *steps[place + 1:]]


@define
class CampaignResult:
    """What a campaign did and found. `fired` counts faults by kind; a kind that `never_fired` fails the run, too."""

    seed: int
    store: str
    steps: int = 0
    episodes: int = 0
    fired: dict[str, int] = field(factory=dict)
    outcomes: dict[str, int] = field(factory=dict)
    workflows: int = 0
    deliveries: dict[str, int] = field(factory=dict)
    taken: dict[Entry, int] = field(factory=dict)
    """How often each row of the tables was taken, where it was."""
    terminations_under_fault: int = 0
    open_under_terminated: int = 0
    violations: int = 0
    never_fired: tuple[str, ...] = ()
    story: str | None = None
    found_in: int | None = None
    """The step of the campaign in which the violation was found."""
    replay_command: str = ""

    @property
    def ok(self) -> bool:
        """Nothing was broken, and every kind of fault was there to break it."""
        return not self.violations and not self.never_fired


def run_campaign(
    steps: int = BUDGET, seed: int = 0, stores: Stores | None = None, progress: Callable[[int], None] | None = None, *,
    kernel: KernelFactory = Kernel, replays: int = REPLAYS, where: str | None = None,
) -> CampaignResult:
    """Run at least `steps` steps; stops at the first violation. `progress` is told the number of steps after each episode.

    `kernel` makes the kernel under test. The history in which a violation was found is tried in shorter forms `replays`
    times, or until nothing makes it shorter; the command that repeats it names the store by the options `where`.
    """
    stage, tally = Stage(stores or MemoryStores(), kernel, replays), Tally()
    result = CampaignResult(seed, stage.stores.name)
    while tally.steps < steps:
        episode = drawn(seed + result.episodes)
        violated = stage.play(episode, tally)
        result.episodes += 1
        if violated is not None:
            result.violations, result.found_in = 1, tally.steps
            shown = stage.shortest(episode, violated)
            result.story, result.open_under_terminated = shown.told(), shown.open_under_terminated
            place = where or f"--store {result.store}"
            result.replay_command = f"kernel faults {place} --seed {seed + result.episodes - 1} --steps 1"
            break
        if progress is not None:
            progress(tally.steps)
    result.steps, result.fired, result.deliveries = tally.steps, dict(tally.fired), dict(tally.deliveries)
    result.outcomes = dict(_summed(tally.outcomes))
    result.workflows, result.terminations_under_fault = tally.workflows, tally.terminations_under_fault
    result.taken = dict(tally.taken)
    result.never_fired = tuple(tally.missing())
    return result


def _summed(outcomes: Counter[str]) -> Counter[str]:
    """Outcomes by kind: all crashes are one."""
    summed: Counter[str] = Counter()
    for outcome, count in outcomes.items():
        summed["killed" if outcome.startswith("killed") else outcome] += count
    return summed
