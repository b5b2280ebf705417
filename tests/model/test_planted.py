"""The planted bugs: the tests that pass on the kernel fail on every kernel that has one of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from kernel.engine.kernel import Kernel
from kernel.testing.campaign import BUDGET, run_campaign
from kernel.testing.planted import Planted, planted
from kernel.testing.stateful import KernelMachine
from kernel.testing.stores import SqliteStores, quick_folder
from kernel.testing.story import Violated

BUGS = planted()
SEEDS = (1, 100_001, 200_001, 300_001, 400_001)
every_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


def test_there_is_a_bug_for_each_that_was_named() -> None:
    """Eight bugs, each said in one line, each another one."""
    assert [bug.name for bug in BUGS] == [
        "eleven-steps", "forgets-grandchildren", "heartbeat-unchecked", "late-outbox", "told-later", "poll-ignores-paused",
        "starts-before-ends", "resume-under-paused"]
    assert all(bug.says and "\n" not in bug.says for bug in BUGS)


@pytest.mark.parametrize("seed", SEEDS)
@every_bug
def test_a_campaign_finds_the_bug(bug: Planted, seed: int) -> None:
    """The campaign that passes on the kernel finds the bug within its budget, whatever the seed, and says what is broken."""
    result = run_campaign(seed=seed, kernel=bug.kernel, shrink=False)
    assert result.violations == 1
    assert not result.ok
    assert result.found_in is not None
    assert result.found_in <= BUDGET
    print(f"{bug.name}, seed {seed}: found in step {result.found_in}")  # noqa: T201 - shown with -s
    assert result.story is not None
    assert any(f"  {invariant}:" in result.story for invariant in bug.breaks)


@every_bug
def test_a_campaign_on_sqlite_finds_the_bug(bug: Planted) -> None:
    """The bugs are as real on SQLite."""
    with quick_folder() as folder:
        result = run_campaign(BUDGET, SEEDS[0], SqliteStores(folder), kernel=bug.kernel, shrink=False)
    assert result.story is not None
    assert any(f"  {invariant}:" in result.story for invariant in bug.breaks)


@every_bug
def test_the_shortest_history_is_short(bug: Planted) -> None:
    """A found bug is told in a handful of lines, ends where the promise breaks, and names the command that replays it."""
    result = run_campaign(seed=SEEDS[1], kernel=bug.kernel)
    assert result.story is not None
    told = result.story.partition("what happened:\n")[2].splitlines()
    print(f"{bug.name}: {bug.says}\n{result.story}")  # noqa: T201 - shown with -s
    assert 2 <= len(told) <= 8
    assert told[0].startswith("    1. start w1 from ")
    assert any(f"  {invariant}:" in result.story for invariant in bug.breaks)
    seed = int(result.replay_command.split()[5])
    assert result.replay_command == f"kernel faults --store memory --seed {seed} --steps 1"
    again = run_campaign(1, seed, kernel=bug.kernel)
    assert again.story == result.story


def found_by_hypothesis(bug: Planted, *phases: Phase) -> Violated:
    """What the stateful machine says of a kernel with the bug."""

    class Machine(KernelMachine):
        kernel = staticmethod(bug.kernel)

    with pytest.raises(Violated) as violated:
        run_state_machine_as_test(Machine, settings=settings(
            max_examples=1500, stateful_step_count=50, suppress_health_check=list(HealthCheck), phases=phases))
    print(f"{bug.name}: found in step {Machine.tally.steps}")  # noqa: T201 - shown with -s
    return violated.value


@pytest.mark.slow
@every_bug
def test_hypothesis_finds_the_bug(bug: Planted) -> None:
    """The stateful machine that passes on the kernel fails on it."""
    problems = found_by_hypothesis(bug, Phase.generate).problems
    assert {problem.partition(":")[0] for problem in problems} & set(bug.breaks)


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS[:2], ids=lambda bug: bug.name)
def test_hypothesis_shortens_the_history(bug: Planted) -> None:
    """What Hypothesis shows in the end is that a tree or two are started and terminated, and nothing else."""
    story = found_by_hypothesis(bug, Phase.generate, Phase.shrink).story
    assert {line.split()[0] for line in story} == {"start", "terminate"}
    assert len(story) <= 4


def test_the_kernel_itself_passes() -> None:
    """The same campaign finds nothing in the kernel without a bug."""
    assert run_campaign(2_000, SEEDS[0], kernel=Kernel).story is None
