"""The command that takes whole trees away, with the answer that it should get, and what is left when they are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kernel.core.records import root_of
from kernel.errors import NotFound, Refused
from kernel.testing.checks import LIVE, asked_for
from kernel.testing.inventory import chosen
from kernel.testing.pool import ARCHIVE
from kernel.testing.reopening import Reopening


class Purging(Reopening):
    """A world whose trees can be purged."""

    def purge(self, number: int, how: int) -> None:
        """Purge any tree; with `how` = 1, also what its policy asks no archive of. Every fourth number chooses any workflow."""
        name = chosen((number % 4 != 3 and self.over) or self.workflows(), number // 4)
        workflow, unarchived = self.workflow(name), how == 1
        allowed = not workflow.parent and workflow.state not in LIVE and self._settled(name, unarchived)
        leases = [lease for lease in self.leases if root_of(lease.workflow_id) == name]

        def effect(result: Any) -> Iterator[str]:
            self.bury(name)
            yield from self._remains(name)
            if leases:
                yield from _refused(f"a lease of {name}, which was purged", lambda: self.kernel.complete(leases[-1]))

        self.going = {name} if allowed else set()
        self._command(number, name, f"purge {name}{' although unarchived' if unarchived else ''}",
                      lambda **id: self.kernel.purge(name, unarchived=unarchived, **id),
                      expect="applied" if allowed else "refused", effect=effect)
        self.going = set()

    def _settled(self, root: str, unarchived: bool) -> bool:
        """Whether everything of a tree is delivered, and each of its runs is archived as it must be."""
        deliveries = self.dump[root].deliveries
        if any(facts.state != "DELIVERED" for facts in deliveries.values()):
            return False
        return all((name, run, ARCHIVE) in deliveries
                   or (unarchived and ARCHIVE not in asked_for(self.definitions[name].source, state))
                   for (name, run), (state, _) in self.frozen.items() if root_of(name) == root)

    def bury(self, root: str) -> None:
        """Forget what was known of a tree that is gone, but how it ended."""
        self.purged.add(root)
        self.leases = [lease for lease in self.leases if root_of(lease.workflow_id) != root]
        self.named = [each for each in self.named if each.root != root]

    def _remains(self, root: str) -> Iterator[str]:
        """What is wrong with what a purge left: the id is kept, and whoever asks is told."""
        start = self.definitions[root].source.name
        yield from _refused(f"a start of {root}, which was purged", lambda: self.kernel.start(start, workflow_id=root))
        yield from _refused(f"another purge of {root}", lambda: self.kernel.purge(root))
        yield from _refused(f"terminate of {root}, which was purged", lambda: self.kernel.terminate(root))
        yield from self.told_of(root)


def _refused(text: str, call: Callable[[], Any]) -> Iterator[str]:
    """What is wrong when this is accepted."""
    try:
        call()
    except (NotFound, Refused):
        return
    yield f"INV-05: {text}, was accepted"
