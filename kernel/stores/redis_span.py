"""From the first look to the script: what a transaction gathered is sent, or forgotten."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from kernel.core.plan import Tally
from kernel.engine.contention import Overtaken
from kernel.errors import Conflict, KernelError, SchemaMismatch, StoreUnavailable, quoted
from kernel.stores.redis_transaction import RedisTransaction

if TYPE_CHECKING:
    from kernel.stores.redis import RedisStore

UNKNOWN = "definition "
CROWD = 30
"""How many tasks more than are asked for a poll looks at, at most."""


class Span:
    """One transaction as a context: runs the script on leaving, and forgets everything when an exception leaves."""

    __slots__ = ("store", "transaction", "write")

    def __init__(self, store: RedisStore, write: bool) -> None:
        self.store, self.write = store, write

    def __enter__(self) -> RedisTransaction:
        self.transaction = RedisTransaction(self.store, write=self.write)
        return self.transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and self.write:
            for partition in sorted(self.transaction.parts):
                self._commit(partition)
        elif isinstance(error, KernelError) and not isinstance(error, Conflict | StoreUnavailable):
            self._doubt(error)

    def _commit(self, partition: int) -> None:
        """One partition: everything or nothing. A transaction on several is one commit for each, in order."""
        transaction, store = self.transaction, self.store
        told, *rest = store.link.commit(
            store.prefixes[partition], transaction.parts[partition].keys, transaction.operations(partition),
            transaction.command_id, transaction.workflow_id)
        if transaction.polled:
            store.crowd = min(store.crowd + 2, CROWD) if told == "stopped" else max(store.crowd - 1, 0)
        if told == "stopped":
            self._stopped(partition, str(rest[0]))
        for plan, (version, reached) in zip(transaction.parts[partition].plans, rest, strict=True):
            plan.tree.version = int(version)
            plan.reached = Tally(*map(int, reached))

    def _doubt(self, error: KernelError) -> None:
        """What led to an error was read in several looks: where it was changed meanwhile, it may never have been so."""
        transaction, store = self.transaction, self.store
        for partition, compared in transaction.comparisons():
            told, *rest = store.link.run("commit", store.prefixes[partition], *compared, reading=True)
            if told == "stopped":
                raise Overtaken(error.asked, stands="nothing was applied", hint="try again",
                                why=f"somebody changed {quoted(rest[0])} meanwhile") from error

    def _stopped(self, partition: int, why: str) -> None:
        """Nothing was written: something is not as it was read."""
        store = self.store
        if why == f"{store.prefixes[partition]}head schema":
            raise SchemaMismatch(
                f"writing {quoted(store.place)}", stands="nothing was applied", hint="restart this process",
                why="the store is gone, or another version of the program made it")
        if why.startswith(UNKNOWN):
            store.prepared(int(why.removeprefix(UNKNOWN)))
        raise Overtaken(f"writing {quoted(store.place)}", stands="nothing was applied",
                        why=f"somebody changed {quoted(why)} meanwhile", hint="try again")
