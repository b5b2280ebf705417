"""From the first look to the script: what a transaction gathered is sent, or forgotten."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from kernel.core.plan import Tally
from kernel.engine.contention import Overtaken
from kernel.errors import Conflict, KernelError, SchemaMismatch, StoreError, StoreUnavailable, quoted
from kernel.stores.known import UNEXPECTED
from kernel.stores.redis_transaction import RedisTransaction

if TYPE_CHECKING:
    from kernel.stores.redis import RedisStore

UNKNOWN = "definition "
NOTHING = Tally()
"""What no cascade reaches."""


class Span:
    """One transaction as a context: runs the script on leaving, and forgets everything when an exception leaves."""

    __slots__ = ("store", "transaction", "write")

    def __init__(self, store: RedisStore, write: bool) -> None:
        self.store, self.write = store, write

    def __enter__(self) -> RedisTransaction:
        self.transaction = RedisTransaction(self.store, write=self.write)
        return self.transaction

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        transaction = self.transaction
        try:
            if error is None and self.write:
                self._check_recalled()
                for partition in sorted(transaction.parts, reverse=True):
                    self._commit(partition)
            elif isinstance(error, (KernelError, *UNEXPECTED)) and not isinstance(error, Conflict | StoreUnavailable):
                self._doubt(error)
        except BaseException:
            self._let_go()
            raise
        if error is not None:
            self._let_go()

    def _let_go(self) -> None:
        """Nothing was handed out: let others see it. Where they cannot be told, they see it before long."""
        with suppress(StoreError):
            self.transaction.let_go({partition for partition, _ in self.transaction.taking})

    def _commit(self, partition: int) -> None:
        """One partition: everything or nothing. A transaction on several is one commit for each, the first partition last: what
        was set there is set everywhere.
        """
        transaction, store = self.transaction, self.store
        for number, name in transaction.taking:
            transaction.part(number).leave(transaction.head(number, "r"), name)
        part = transaction.parts[partition]
        told, *rest = store.link.commit(
            part, transaction.operations(partition), (transaction.command_id, transaction.workflow_id))
        if transaction.polled:
            store.lately.polled(transaction.polled, overtaken=told == "stopped")
        if told == "stopped":
            self._stopped(partition, str(rest[0]))
        if transaction.queued:
            store.lately.queue(transaction.queued)
        for plan, (version, lines, *more) in zip(part.plans, rest, strict=True):
            root, plan.tree.version = plan.tree.root, version
            plan.reached = Tally(*more[0]) if part.script == "cascade" else NOTHING
            if transaction.latest[root] is plan:
                self._keep(root, version, lines, more)

    def _keep(self, root: str, version: int, lines: int, more: list[Any]) -> None:
        """Remember how a commit left a tree, unless its script moved rows that nobody read."""
        transaction, lately = self.transaction, self.store.lately
        if root in transaction.moved:
            lately.forget([root], ())
        else:
            began = transaction.original[root][4] if root in transaction.original else 0
            lately.keep(root, transaction.left(root, version, lines, *more), began, transaction.sure)

    def _check_recalled(self) -> None:
        """Who decided on what was remembered, and writes nothing there, learns whether it still stands."""
        transaction = self.transaction
        if not transaction.recalled <= transaction.parts.keys():
            unwritten = transaction.recalled - transaction.parts.keys()
            for partition, compared in transaction.comparisons():
                if partition in unwritten:
                    self._compare(partition, compared, "writing nothing")

    def _doubt(self, error: BaseException) -> None:
        """What led to an error was read in several looks: where it was changed meanwhile, it may never have been so."""
        asked = error.asked if isinstance(error, KernelError) else f"reading {quoted(self.store.place)}"
        for partition, compared in self.transaction.comparisons():
            self._compare(partition, compared, asked, error)

    def _compare(self, partition: int, compared: list[Any], asked: str, error: BaseException | None = None) -> None:
        """Raises Overtaken where something is not as it was read."""
        told, *rest = self.store.link.run("commit", self.store.prefixes[partition], *compared, reading=True)
        if told == "stopped":
            self.store.lately.forget(self.transaction.trees, self.transaction.guessed)
            raise Overtaken(asked, stands="nothing was applied", hint="try again",
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
        store.lately.forget(self.transaction.trees, self.transaction.guessed)
        raise Overtaken(f"writing {quoted(store.place)}", stands="nothing was applied",
                        why=f"somebody changed {quoted(why)} meanwhile", hint="try again")
