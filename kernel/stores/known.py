"""What every store outside memory shares: definitions and archive policies once read, and errors that mean the same in each."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable

from kernel.core.archive import ArchivePolicy, Hearing, compiled
from kernel.core.content import from_content, policy_from_content
from kernel.core.extension import extended, spawned_from
from kernel.core.facts import Spawned
from kernel.core.plan import Plan
from kernel.core.records import Prepared, prepare
from kernel.core.structure import compile_definition
from kernel.engine.reading import damaged, loaded
from kernel.engine.zones import offsets
from kernel.errors import CommitUnknown, InvalidDefinition, SchemaMismatch, StoreUnavailable, quoted

MOST_EXTENDED = 100_000
"""Tasks of definitions with spawned ones that are kept compiled; and spawned tasks that are kept read."""
UNEXPECTED = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What rows may lead to that no program of ours wrote, or that were never there together."""


class Known:
    """A store as one process uses it: what was read of it for good, and whether it may be used."""

    place: str
    """What a message calls it."""

    def __init__(self) -> None:
        self.closed = False
        self._process = os.getpid()
        self._prepared: dict[int, Prepared] = {}
        self.numbers: dict[Prepared, int] = {}
        """The row number of each definition that was read."""
        self._extended: dict[tuple[Prepared, str], Prepared] = {}
        """Definitions with the tasks that running workflows have beyond them, by the name of the extension."""
        self._extended_tasks = 0
        self._spawned: dict[tuple[int, str], Spawned] = {}
        """Spawned tasks, by position and text."""
        self._hearings: dict[str, tuple[ArchivePolicy, Hearing]] = {}

    def extend(self, base: Prepared, extension: str, read: Callable[[], Iterable[tuple[int, str]]]) -> Prepared:
        """A definition with the tasks that a workflow has beyond it; what has one name has one content.

        `read` gives the positions and the texts of these tasks. Raises StoreCorrupt.
        """
        found = self._extended.get((base, extension))
        if found is None:
            try:
                found = extended(base, [self._read_spawned(no, text) for no, text in read()])
            except (InvalidDefinition, LookupError, TypeError, ValueError) as error:
                raise damaged(f"the spawned tasks {extension[:12]}", str(error)) from error
            self._keep(extension, found)
        return found

    def remember(self, plan: Plan) -> None:
        """Keep what a decision has compiled. Its names are those of its content, whatever becomes of the commit."""
        for row in plan.workflows:
            if row.extension and (row.prepared.registered, row.extension) not in self._extended:
                self._keep(row.extension, row.prepared)

    def _keep(self, extension: str, prepared: Prepared) -> None:
        size = len(prepared.facts)
        if self._extended_tasks + size > MOST_EXTENDED:
            self._extended, self._extended_tasks = {}, 0
        self._extended[prepared.registered, extension] = prepared
        self._extended_tasks += size

    def _read_spawned(self, no: int, text: str) -> Spawned:
        found = self._spawned.get((no, text))
        if found is None:
            if len(self._spawned) >= MOST_EXTENDED:
                self._spawned = {}
            found = self._spawned[no, text] = spawned_from(no, text)
        return found

    def learn(self, key: int, digest: str, content: str) -> Prepared:
        """A definition, ready to run. Raises StoreCorrupt."""
        try:
            definition = compile_definition(from_content(loaded(content)))
        except InvalidDefinition as error:
            raise damaged(f"definition number {key}", error.why) from error
        if definition.digest != digest:
            raise damaged(f"definition number {key}", "its content is not that of its digest")
        found = self._prepared[key] = prepare(definition, offsets)
        self.numbers[found] = key
        return found

    def hearing(self, content: str) -> tuple[ArchivePolicy | None, Hearing | None]:
        """An archive policy of the store itself, as it was given and ready to decide by."""
        if not content:
            return None, None
        found = self._hearings.get(content)
        if found is None:
            try:
                policy = policy_from_content(loaded(content))
            except InvalidDefinition as error:
                raise damaged("the archive policy of the store", error.why) from error
            found = self._hearings[content] = policy, compiled(policy, offsets)
        return found

    def check_usable(self) -> None:
        """Raises StoreUnavailable when the store is closed, or another process opened it."""
        if self.closed:
            raise StoreUnavailable(f"using {quoted(self.place)}", why="the kernel was closed", hint="open it again")
        if os.getpid() != self._process:
            raise StoreUnavailable(f"using {quoted(self.place)}", why="it was opened by the parent process before a fork",
                                   hint="open a kernel of its own in each process")


def unknown(place: str, command_id: str, workflow_id: str, why: str) -> CommitUnknown:
    """A commit was begun, and nobody can say now whether it happened: its answer was cut off, or it failed half way."""
    where = f" --workflow {shlex.quote(workflow_id)}" if workflow_id else ""
    return CommitUnknown(
        f"committing to {quoted(place)}", command_id=command_id, workflow_id=workflow_id, why=why,
        stands="it may or may not have been applied",
        hint=f"kernel outcome {shlex.quote(command_id)}{where} tells" if command_id else "do it again: twice is once")


def outlived(place: str, version: object) -> SchemaMismatch:
    """The error of a process that read the schema before another one migrated it; `version` is what it is now."""
    return SchemaMismatch(
        f"writing {quoted(place)}", stands=f"its schema is number {version} now",
        why="another process migrated it while this one ran", hint="restart this process with the newer program")
