"""The stateful machine: Hypothesis chooses commands and faults, and finds the shortest history that breaks a promise.

To run it on stores of your own, subclass it and let pytest collect its TestCase::

    class MyMachine(KernelMachine):
        stores = MyStores()  # anything with open, reopen and remove

    TestMyStore = MyMachine.TestCase

A subclass may have further rules: any method with Hypothesis's `@rule` that drives `self.driver`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from kernel.engine.kernel import Kernel
from kernel.testing import scenes
from kernel.testing.driver import Driver
from kernel.testing.pool import NESTED
from kernel.testing.rules import RULES, START
from kernel.testing.stores import MemoryStores, Stores
from kernel.testing.world import KernelFactory, Tally


def below(count: int) -> st.SearchStrategy[int]:
    """A choice among `count`."""
    return st.integers(0, count - 1)


def a_rule(act: Callable[..., None]) -> Any:
    """The row of the table of rules that does this, as Hypothesis wants it: its need a precondition, its numbers drawn."""
    (row,) = (row for row in RULES if row.act is act)
    names = [*inspect.signature(act).parameters][1:]

    def taken(self: KernelMachine, **numbers: int) -> None:
        act(self.driver, **numbers)

    taken.__name__, taken.__doc__ = act.__name__, act.__doc__  # by these names Hypothesis tells rules apart
    numbers: dict[str, Any] = {name: below(count) for name, count in zip(names, row.choices, strict=True)}
    drawn: Callable[[Callable[..., None]], Callable[..., None]] = rule(**numbers)
    return precondition(lambda self: bool(row.needs(self.driver)))(drawn(taken))


class KernelMachine(RuleBasedStateMachine):
    """A rule for every command and every fault, and for scenes made of them. Subclass it to name stores and a kernel.

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

    @initialize(which=below(START.choices[0]), nested=below(len(NESTED)), input=below(START.choices[1]))
    def first(self, which: int, nested: int, input: int) -> None:
        """There is always a tree, and one with sub-workflows."""
        self.driver.start(which, input)
        self.driver.start_nested(nested, input)

    # ---- workflows --------------------------------------------------------------------------------------------------------
    start = a_rule(Driver.start)
    start_nested = a_rule(Driver.start_nested)
    start_again = a_rule(Driver.start_again)
    pause = a_rule(Driver.pause)
    resume = a_rule(Driver.resume)
    terminate = a_rule(Driver.terminate)
    retry = a_rule(Driver.retry)
    restart = a_rule(Driver.restart)
    rerun = a_rule(Driver.rerun)
    purge = a_rule(Driver.purge)
    signal = a_rule(Driver.signal)
    skip = a_rule(Driver.skip)
    postpone = a_rule(Driver.postpone)
    again = a_rule(Driver.again)

    # ---- workers ------------------------------------------------------------------------------------------------------------
    poll = a_rule(Driver.poll)
    work = a_rule(Driver.work)
    complete = a_rule(Driver.complete)
    fail = a_rule(Driver.fail)
    heartbeat = a_rule(Driver.heartbeat)
    present_stale = a_rule(Driver.present_stale)

    # ---- clock, relay, faults -----------------------------------------------------------------------------------------------
    advance = a_rule(Driver.advance)
    tick = a_rule(Driver.tick)
    deliver = a_rule(Driver.deliver)
    deliver_now = a_rule(Driver.deliver_now)
    redrive = a_rule(Driver.redrive)
    break_sink = a_rule(Driver.break_sink)
    crash = a_rule(Driver.crash)
    set_clock_back = a_rule(Driver.set_clock_back)

    # ---- scenes -------------------------------------------------------------------------------------------------------------
    stall = a_rule(scenes.stall)
    put_off = a_rule(scenes.put_off)
    end_below = a_rule(scenes.end_below)
    meddle = a_rule(scenes.meddle)
    defer = a_rule(scenes.defer)
    foresee = a_rule(scenes.foresee)
    outage = a_rule(scenes.outage)
    put_away = a_rule(scenes.put_away)
    crash_during = a_rule(scenes.crash_during)
