"""The stateful machine as others use it: subclassed, with stores of their own."""

from __future__ import annotations

import inspect
import unittest

from hypothesis import HealthCheck, settings

from kernel.engine.ports import Store
from kernel.testing.rules import RULES
from kernel.testing.stateful import KernelMachine
from kernel.testing.stores import MemoryStores


def test_it_runs_on_stores_of_others() -> None:
    """A subclass that names its stores is a test case that opens, uses and removes them."""

    class Counting(MemoryStores):
        opened = removed = 0

        def open(self) -> Store:
            self.opened += 1
            return super().open()

        def remove(self, store: Store) -> None:
            self.removed += 1

    class Mine(KernelMachine):
        stores = Counting()

    Mine.TestCase.settings = settings(
        max_examples=5, stateful_step_count=20, suppress_health_check=list(HealthCheck))
    result = unittest.TextTestRunner(verbosity=0).run(unittest.TestSuite([Mine.TestCase("runTest")]))
    assert result.wasSuccessful()
    assert result.testsRun == 1
    assert Mine.stores.opened == Mine.stores.removed >= 5
    assert Mine.tally.steps > 50
    assert KernelMachine.tally.steps == 0, "each machine counts for itself"


def test_it_has_the_rules_of_the_campaign() -> None:
    """Whatever the campaign draws, Hypothesis can draw, too, and nothing else."""
    rules = {name for name, member in inspect.getmembers(KernelMachine) if hasattr(member, "hypothesis_stateful_rule")}
    assert rules == {rule.act.__name__ for rule in RULES}
