"""The commands that begin the next run of a tree: retry, restart, rerun, each with the answer that it should get."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kernel.core.records import root_of
from kernel.engine.entities import Applied
from kernel.testing.checks import LIVE, WELL
from kernel.testing.inventory import chosen
from kernel.testing.named import Ids


class Reopening(Ids):
    """A world whose trees can be re-opened."""

    @property
    def over(self) -> list[str]:
        """The roots that have ended."""
        return [root for root in self.dump if self.workflow(root).state not in LIVE]

    def _root(self, number: int) -> str:
        """A root that has ended, if there is one; every fourth number chooses among all workflows."""
        return chosen((number % 4 != 3 and self.over) or self.workflows(), number // 4)

    def _reopen(self, number: int, text: str, name: str, allowed: bool, call: Callable[..., Applied]) -> None:
        run = self.workflow(name).run

        def effect(result: Any) -> Iterator[str]:
            if self.workflow(name).run != run + 1:
                yield f"answer: {name} should be in run {run + 1}; it is in run {self.workflow(name).run}"

        self._command(number, name, text, call, expect="applied" if allowed else "refused", effect=effect)

    def retry(self, number: int, how: int) -> None:
        """Retry any workflow; with `how` = 1, its sub-workflows go on in place."""
        name = self._root(number)
        workflow, places = self.workflow(name), [place for place in self.dump[root_of(name)].tasks if place[0] == name]
        states = [self.task(*place).state for place in places]
        asked = any(self.task_def(*place).asks and self.task(*place).state == "COMPLETED" for place in places)
        allowed = (not workflow.parent and workflow.state not in (*LIVE, "COMPLETED") and not asked
                   and any(state not in WELL for state in states))
        self._reopen(number, f"retry {name}{' in place' if how else ''}", name, allowed,
                     lambda **id: self.kernel.retry(name, resume_children=bool(how), **id))

    def restart(self, number: int) -> None:
        """Restart any workflow."""
        name = self._root(number)
        workflow = self.workflow(name)
        self._reopen(number, f"restart {name}", name, not workflow.parent and workflow.state not in LIVE,
                     lambda **id: self.kernel.restart(name, **id))

    def rerun(self, number: int, which: int) -> None:
        """Rerun any tree from any of its tasks, also from one of an attempt that is past, which is refused."""
        name = self._root(number)
        workflow, tree = self.workflow(name), self.dump[name.partition("/")[0]]
        place, no = chosen(sorted(tree.tasks), which)
        ref = self.task_def(place, no).ref
        self._reopen(number, f"rerun {name} from {place} {ref}", name,
                     not workflow.parent and workflow.state not in LIVE and self._current(place),
                     lambda **id: self.kernel.rerun(name, from_task=ref, in_workflow=place, **id))

    def _current(self, name: str) -> bool:
        """Whether a workflow, and each above it, is that of the present attempt of the task that started it."""
        while (workflow := self.workflow(name)).parent:
            if self.task(workflow.parent, workflow.parent_no).attempt != workflow.slot:
                return False
            name = workflow.parent
        return True
