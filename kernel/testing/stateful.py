"""The stateful machine: Hypothesis chooses commands and faults, and finds the shortest history that breaks a promise.

To run it on stores of your own, subclass it and let pytest collect its TestCase::

    class MyMachine(KernelMachine):
        stores = MyStores()  # anything with open, reopen and remove

    TestMyStore = MyMachine.TestCase
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kernel.engine.kernel import Kernel
from kernel.testing.driver import FAULTS, POINTS, SECONDS, Driver
from kernel.testing.pool import INPUTS, POOL, TYPES
from kernel.testing.stores import MemoryStores, Stores
from kernel.testing.world import KernelFactory, Tally

SOME = st.integers(0, 23)
"""Chooses among workflows, tasks, leases, deliveries."""


def below(count: int) -> st.SearchStrategy[int]:
    """A choice among `count`."""
    return st.integers(0, count - 1)


class KernelMachine(RuleBasedStateMachine):
    """A rule for every command and every fault. Subclass it to name stores and a kernel.

    `tally` counts what the runs of the class did; `tally.missing()` names the kinds of fault that never fired.
    """

    stores: ClassVar[Stores] = MemoryStores()
    kernel: ClassVar[KernelFactory] = Kernel
    tally: ClassVar[Tally] = Tally()

    def __init_subclass__(cls) -> None:
        """Every machine counts for itself."""
        super().__init_subclass__()
        cls.tally = Tally()

    def __init__(self) -> None:
        super().__init__()
        kind = type(self)
        self.driver = Driver(kind.stores, kernel=kind.kernel, tally=kind.tally)

    def teardown(self) -> None:
        """Let everything settle, and check the end; then let go of the store."""
        try:
            if not self.driver.failed:
                self.driver.finish()
        finally:
            self.driver.close()

    # ---- workflows --------------------------------------------------------------------------------------------------------
    @initialize(which=below(len(POOL)), input=below(len(INPUTS)))
    def first(self, which: int, input: int) -> None:
        """There is always one tree."""
        self.driver.start(which, input)

    @precondition(lambda self: self.driver.room)
    @rule(which=below(len(POOL)), input=below(len(INPUTS)))
    def start(self, which: int, input: int) -> None:
        """Start another tree."""
        self.driver.start(which, input)

    @precondition(lambda self: self.driver.dump)
    @rule(number=SOME, input=below(len(INPUTS)))
    def start_again(self, number: int, input: int) -> None:
        """Use an id twice."""
        self.driver.start_again(number, input)

    @precondition(lambda self: self.driver.lively)
    @rule(number=SOME)
    def pause(self, number: int) -> None:
        """Pause any workflow."""
        self.driver.pause(number)

    @precondition(lambda self: self.driver.paused)
    @rule(number=SOME)
    def resume(self, number: int) -> None:
        """Resume any workflow."""
        self.driver.resume(number)

    @precondition(lambda self: self.driver.lively)
    @rule(number=SOME)
    def terminate(self, number: int) -> None:
        """Terminate any workflow."""
        self.driver.terminate(number)

    @precondition(lambda self: self.driver.waits)
    @rule(number=SOME)
    def signal(self, number: int) -> None:
        """Signal a task."""
        self.driver.signal(number)

    @precondition(lambda self: self.driver.named)
    @rule(number=SOME)
    def repeat(self, number: int) -> None:
        """Give a command a second time."""
        self.driver.repeat(number)

    # ---- workers ------------------------------------------------------------------------------------------------------------
    @precondition(lambda self: self.driver.lively)
    @rule(which=below(len(TYPES)), more=below(4))
    def poll(self, which: int, more: int) -> None:
        """Take some work."""
        self.driver.poll(which, more)

    @precondition(lambda self: self.driver.lively)
    @rule(which=below(len(TYPES)))
    def work(self, which: int) -> None:
        """Take some work and do it."""
        self.driver.work(which)

    @precondition(lambda self: self.driver.lively)
    @rule(number=SOME)
    def complete(self, number: int) -> None:
        """Do some work."""
        self.driver.complete(number)

    @precondition(lambda self: self.driver.lively)
    @rule(number=SOME, how=below(4))
    def fail(self, number: int, how: int) -> None:
        """Fail to do it."""
        self.driver.fail(number, how)

    @precondition(lambda self: self.driver.lively)
    @rule(number=SOME)
    def heartbeat(self, number: int) -> None:
        """Hold it longer."""
        self.driver.heartbeat(number)

    @precondition(lambda self: self.driver.held)
    @rule(number=SOME, how=below(4))
    def stall(self, number: int, how: int) -> None:
        """Fall asleep over it, and wake up."""
        self.driver.stall(number, how)

    @precondition(lambda self: self.driver.stale)
    @rule(number=SOME, how=below(4))
    def present_stale(self, number: int, how: int) -> None:
        """Come too late."""
        self.driver.present_stale(number, how)

    # ---- clock, relay, faults -----------------------------------------------------------------------------------------------
    @rule(number=below(len(SECONDS)))
    def advance(self, number: int) -> None:
        """Wait."""
        self.driver.advance(number)

    @rule()
    def tick(self) -> None:
        """Let timers fire."""
        self.driver.tick()

    @precondition(lambda self: self.driver.outbox)
    @rule(more=below(3))
    def deliver(self, more: int) -> None:
        """Empty the outbox."""
        self.driver.deliver(more)

    @rule(behaviour=below(len(FAULTS)))
    def break_sink(self, behaviour: int) -> None:
        """The next call of a sink goes wrong."""
        self.driver.break_sink(behaviour)

    @precondition(lambda self: self.driver.outbox)
    @rule(behaviour=below(len(FAULTS)))
    def outage(self, behaviour: int) -> None:
        """A sink goes wrong again and again."""
        self.driver.outage(behaviour)

    @precondition(lambda self: self.driver.dead)
    @rule(number=SOME)
    def redrive(self, number: int) -> None:
        """Try a delivery again."""
        self.driver.redrive(number)

    @precondition(lambda self: self.driver.lively)
    @rule(point=below(2), command=below(7), number=SOME)
    def crash_during(self, point: int, command: int, number: int) -> None:
        """The process dies in the middle of a command."""
        self.driver.crash_during(point, command, number)

    @rule(point=below(len(POINTS)), passes=below(2))
    def crash(self, point: int, passes: int) -> None:
        """The process will die."""
        self.driver.crash(point, passes)

    @rule(number=below(len(SECONDS)))
    def set_clock_back(self, number: int) -> None:
        """The clock goes back."""
        self.driver.set_clock_back(number)
