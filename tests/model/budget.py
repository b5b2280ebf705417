"""What the suite gives the stateful machine to find something with: the same for the kernel and for every planted bug."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from kernel.engine.kernel import Kernel
from kernel.testing.stateful import KernelMachine
from kernel.testing.stores import Stores
from kernel.testing.world import KernelFactory, Tally

SEEDS = (1, 2, 3, 4, 5)
EXAMPLES = {"memory": 200, "sqlite": 120, "postgres": 4, "redis": 4}
"""Histories, by store; each planted bug was found within 100 with each of some twenty seeds. Of a server's rows each look costs
more, and most that can go wrong is shared.
"""
STEPS = 50
"""Rules of one history."""


def run_machine(stores: Stores, seed_: int, *, kernel: KernelFactory = Kernel, shrink: bool = False) -> Tally:
    """Run the stateful machine with the budget of the suite. Raises Violated."""

    class Machine(KernelMachine):
        pass

    Machine.stores, Machine.kernel = stores, staticmethod(kernel)
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    run_state_machine_as_test(seed(seed_)(Machine), settings=settings(
        max_examples=EXAMPLES[stores.name], stateful_step_count=STEPS, database=None, phases=phases,
        suppress_health_check=list(HealthCheck)))
    return Machine.tally
