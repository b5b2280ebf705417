"""The planted bugs: the tests that pass on the kernel fail on every kernel that has one of them."""

from __future__ import annotations

import pytest

from kernel.engine.kernel import Kernel
from kernel.testing.campaign import run_campaign
from kernel.testing.planted import Planted, planted
from kernel.testing.stores import MemoryStores, Stores
from kernel.testing.story import Violated
from tests.model.budget import SEEDS, run_machine

BUGS = planted()
every_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


def test_there_is_a_bug_for_each_that_was_named() -> None:
    """Nine bugs, each said in one line, each another one."""
    assert [bug.name for bug in BUGS] == [
        "eleven-steps", "forgets-grandchildren", "heartbeat-unchecked", "late-outbox", "told-later", "poll-ignores-paused",
        "starts-before-ends", "resume-under-paused", "cascade-untold"]
    assert all(bug.says and "\n" not in bug.says for bug in BUGS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
@every_bug
def test_hypothesis_finds_the_bug(bug: Planted, seed: int, stores: Stores) -> None:
    """The stateful machine that passes on the kernel fails on it with the same budget, whatever the seed and the store."""
    with pytest.raises(Violated) as violated:
        run_machine(stores, seed, kernel=bug.kernel)
    assert {problem.partition(":")[0] for problem in violated.value.problems} & set(bug.breaks)


@pytest.mark.slow
@every_bug
def test_the_shortest_history_is_short(bug: Planted) -> None:
    """A campaign finds the bug, too, tells it in a handful of lines that end where the promise breaks, and can be replayed."""
    result = run_campaign(seed=100_001, kernel=bug.kernel)
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


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS[:2], ids=lambda bug: bug.name)
def test_hypothesis_shortens_the_history(bug: Planted) -> None:
    """What Hypothesis shows in the end is that trees are started and terminated, and nothing else: three trees at most."""
    with pytest.raises(Violated) as violated:
        run_machine(MemoryStores(), SEEDS[0], kernel=bug.kernel, shrink=True)
    assert {line.split()[0] for line in violated.value.story} == {"start", "terminate"}
    assert len(violated.value.story) <= 6


def test_the_kernel_itself_passes() -> None:
    """The same campaign finds nothing in the kernel without a bug."""
    assert run_campaign(2_000, 100_001, kernel=Kernel).story is None
