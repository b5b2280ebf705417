"""A kernel on an empty store, set up for a check: its clock stands still, its chance is known, all its rows can be compared."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from attrs import define, field

from kernel.core.records import Policy
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store, Transaction
from kernel.errors import CommitUnknown
from kernel.testing.clock import ManualClock
from kernel.testing.dump import Definitions, difference, everything
from kernel.testing.lockstep import LIMIT, Unlike
from kernel.testing.questions import answers
from kernel.testing.stores import Stores


@define(eq=False)
class Stand:
    """A store, a clock that stands still, and a kernel on both."""

    store: Store
    clock: ManualClock = field(factory=ManualClock)
    k: Kernel = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.k = self.kernel(0)

    def kernel(self, seed: int, **options: Any) -> Kernel:
        """Another kernel on the same store."""
        return Kernel(self.store, clock=self.clock, chance=random.Random(seed), **options)

    def rows(self) -> Any:
        """All that can be read of every tree."""
        with self.store.transaction(write=False) as transaction:
            roots = [w.id for w in transaction.find(None, None, "", LIMIT) if not w.parent]
        return everything(self.store, roots, Definitions())

    def answers(self, number: int) -> Iterator[tuple[str, Any]]:
        """The answers to every question."""
        with self.store.transaction(write=False) as transaction:
            yield from answers(transaction, random.Random(number), self.clock.now())


@contextmanager
def stands(*makers: Stores) -> Iterator[list[Stand]]:
    """A kernel on a new store of each kind, told the same by their clocks and by chance."""
    stores = [maker.open() for maker in makers]
    try:
        yield [Stand(store) for store in stores]
    finally:
        for maker, store in zip(makers, stores, strict=True):
            maker.remove(store)


def insist(holds: object, says: object) -> None:
    """It holds. Raises Unlike, which says what is wrong."""
    if not holds:
        raise Unlike(str(says))


def same(memory: Stand, other: Stand, after: str) -> None:
    """All that can be read of both is equal. Raises Unlike."""
    one, two = memory.rows(), other.rows()
    insist(one == two, f"after {after}, memory and {other.store.name}: {difference(one, two)}")


@define(eq=False)
class Cut:
    """A store whose answer to COMMIT is lost: after it has committed, or instead of it."""

    inner: Store
    committed: bool
    name: str = field(init=False)
    id: str = field(init=False)
    policy: Policy = field(init=False)
    durability: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.name, self.id = self.inner.name, self.inner.id
        self.policy, self.durability = self.inner.policy, self.inner.durability

    def transaction(self, *, write: bool) -> AbstractContextManager[Transaction]:
        """Reads are answered, writes are not."""
        return self._cut() if write else self.inner.transaction(write=False)

    @contextmanager
    def _cut(self) -> Iterator[Transaction]:
        lost = CommitUnknown("COMMIT", why="the connection was cut")
        with self.inner.transaction(write=True) as transaction:
            yield transaction
            if not self.committed:
                raise lost
        raise lost

    def close(self) -> None:
        """The store stays open for others."""


def in_threads(jobs: list[Callable[[], object]]) -> None:
    """Run them all at once; the first error of any is raised."""
    errors, together = list[BaseException](), threading.Barrier(len(jobs))

    def run(job: Callable[[], object]) -> None:
        try:
            together.wait(60.0)
            job()
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=run, args=(job,), daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    if errors:
        raise errors[0]
