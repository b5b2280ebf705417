"""Definitions and archive policies of a store, once they were read: they never change."""

from __future__ import annotations

from kernel.core.archive import ArchivePolicy, Hearing, compiled
from kernel.core.content import from_content, policy_from_content
from kernel.core.records import Prepared, prepare
from kernel.core.structure import compile_definition
from kernel.engine.reading import damaged, loaded
from kernel.engine.zones import offsets
from kernel.errors import InvalidDefinition


class Known:
    """What one process has read of a store for good."""

    def __init__(self) -> None:
        self._prepared: dict[int, Prepared] = {}
        self.numbers: dict[Prepared, int] = {}
        """The row number of each definition that was read."""
        self._hearings: dict[str, tuple[ArchivePolicy, Hearing]] = {}

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
