"""What every store is held to: the stores that come with the kernel pass, and a store that breaks a promise does not."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar

import pytest

from kernel.core.plan import Plan, Tally
from kernel.core.records import Policy, TaskRow, WorkflowRow
from kernel.core.structure import Definition
from kernel.engine.ports import Recorded, Store, Violation, Waiting
from kernel.errors import KernelError, StoreUnavailable
from kernel.stores.memory import MemoryStore
from kernel.stores.memory_transaction import MemoryTransaction
from kernel.testing import conformance
from kernel.testing.conformance import CHECKS, Check
from kernel.testing.stores import POLICY, MemoryStores, Stores, quick_folder
from tests.stores.servers import stores_of
from tests.stores.stand import STORES


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Every kind."""
    with quick_folder() as folder:
        yield stores_of(request.param, folder)


@pytest.mark.slow
@pytest.mark.timeout(600)  # each command meets each other one: 306 times a new store
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_stores_conform(check: Check, stores: Stores) -> None:
    """Every check, on each store that comes with the kernel."""
    check(stores)


# ---- stores that break a promise ----------------------------------------------------------------------------------------
class Broken(MemoryStores):
    """Memory stores of another class."""

    def __init__(self, store: type[MemoryStore]) -> None:
        self.store = store

    def open(self) -> Store:
        """A new, empty one."""
        return self.store(policy=POLICY)


class OnMemory(MemoryStore):
    """A memory store whose transactions are of another class; as a whole it is sound."""

    kind: ClassVar[type[MemoryTransaction]] = MemoryTransaction

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[MemoryTransaction]:
        """As ever."""
        with self.lock:
            transaction = self.kind(self)
            try:
                yield transaction
            except BaseException:
                transaction.undo()
                raise


def broken(kind: type[MemoryTransaction]) -> Broken:
    """Stores with such transactions."""
    return Broken(type("Planted", (OnMemory,), {"kind": kind}))


class Namesake(MemoryStore):
    """All stores have the same id."""

    def __init__(self, *, policy: Policy | None = None) -> None:
        super().__init__(policy=policy)
        self.id = "same"


class Overwriting(MemoryTransaction):
    """A definition that is registered replaces the one that is there."""

    def register(self, definition: Definition, at: int) -> None:
        self.store.definitions.pop((definition.source.name, definition.source.version), None)
        super().register(definition, at)


class Forgetting(MemoryStores):
    """After a crash nothing is left."""

    def reopen(self, store: Store) -> Store:
        return self.open()


class Unforgiving(MemoryTransaction):
    """An exception undoes nothing."""

    def undo(self) -> None:
        pass


class Shared(MemoryTransaction):
    """Who reads gets the rows themselves."""

    def find(self, state: str | None, name: str | None, after: str, limit: int) -> list[WorkflowRow]:
        return [self.store.workflows[row.id, row.run] for row in super().find(state, name, after, limit)]


class Mute(MemoryTransaction):
    """Deliveries are lost."""

    def write(self, plan: Plan) -> Tally:
        plan.created_deliveries.clear()
        return super().write(plan)


class Idle(MemoryTransaction):
    """It says that nothing waits."""

    def backlog(self, now: int) -> Waiting:
        return Waiting(0, 0, 0, 0, 0, None)


class Careless(OnMemory):
    """Nobody waits for anybody: what a transaction decided is written when it ends, whatever was written meanwhile."""

    class Later(MemoryTransaction):
        """Writes at its end."""

        def __init__(self, store: MemoryStore) -> None:
            super().__init__(store)
            self.plans: list[Plan] = []

        def write(self, plan: Plan) -> Tally:
            self.plans.append(plan)
            return Tally()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[MemoryTransaction]:
        """Without the lock."""
        transaction = self.Later(self)
        yield transaction
        for plan in transaction.plans:
            MemoryTransaction.write(transaction, plan)


class Open(OnMemory):
    """Nobody waits for anybody, and what is written is there for others at once."""

    def __init__(self, *, policy: Policy | None = None) -> None:
        super().__init__(policy=policy)
        self.lock: Any = nullcontext()


class Forgetful(MemoryTransaction):
    """It does not know which commands it was given."""

    def recorded(self, root: str, command_id: str) -> Recorded | None:
        return None


class Repeating(MemoryTransaction):
    """A page begins with the last row of the one before."""

    def tasks(self, workflow_id: str, run: int, after: int = -1, limit: int = 2**31) -> Iterable[TaskRow]:
        rows = list(super().tasks(workflow_id, run, max(after - 1, -1), limit))
        return rows if limit > 1 or after < 0 else list(super().tasks(workflow_id, run, after, limit))


class Blind(MemoryTransaction):
    """Its audit sees nothing."""

    def violations(self) -> Iterable[Violation]:
        return ()


class Short(MemoryTransaction):
    """A cascade stops after so many rows."""

    def write(self, plan: Plan) -> Tally:
        tally = super().write(plan)
        return tally._replace(canceled=min(tally.canceled, 1_000)) if tally.canceled else tally


class Tidy(MemoryTransaction):
    """It keeps texts as Unicode would like them."""

    def payload(self, workflow_id: str, run: int, no: int, what: str) -> str | None:
        text = super().payload(workflow_id, run, no, what)
        return None if text is None else unicodedata.normalize("NFC", text)


class Attached(MemoryStore):
    """Only the thread that made it may use it."""

    def __init__(self, *, policy: Policy | None = None) -> None:
        super().__init__(policy=policy)
        self.thread = threading.get_ident()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[MemoryTransaction]:
        """Refused to others."""
        if threading.get_ident() != self.thread:
            raise StoreUnavailable("using the store", why="it belongs to another thread", hint="use that thread")
        with super().transaction(write=write) as transaction:
            yield transaction


PLANTS: dict[Check, Stores] = {
    conformance.stores_are_told_apart: Broken(Namesake), conformance.definitions_are_kept_once: broken(Overwriting),
    conformance.what_was_committed_is_there_afterwards: Forgetting(),
    conformance.an_exception_undoes_every_write: broken(Unforgiving), conformance.what_is_read_is_private: broken(Shared),
    conformance.rows_are_equal_after_every_step: broken(Mute), conformance.every_question_has_one_answer: broken(Idle),
    conformance.commands_that_meet_are_as_if_in_turn: Broken(Careless),
    conformance.what_is_undone_is_seen_by_nobody: Broken(Open),
    conformance.the_same_id_applies_once: broken(Forgetful), conformance.of_many_callers_one_applies: broken(Forgetful),
    conformance.pages_make_a_whole: broken(Repeating), conformance.audits_find_what_is_wrong: broken(Blind),
    conformance.large_trees_end_in_one_commit: broken(Short), conformance.odd_texts_come_back_as_they_went: broken(Tidy),
    conformance.threads_share_a_store: Broken(Attached),
}


@pytest.mark.slow
@pytest.mark.timeout(600)  # each command meets each other one: 306 times a new store
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_check_sees_what_it_is_for(check: Check) -> None:
    """A store with one thing wrong fails the check that is about it."""
    with pytest.raises((AssertionError, KernelError)):
        check(PLANTS[check])
