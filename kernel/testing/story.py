"""How a run that broke a promise is told: what is wrong, then what happened, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kernel.engine.entities import Applied, Lease, Workflow
from kernel.engine.relay import Settled
from kernel.engine.timers import Ticked

SHOWN = 6
"""Problems that a story begins with."""


class Violated(AssertionError):
    """A promise was broken. Carries what is wrong, and the story of how it came to that."""

    def __init__(self, problems: Iterable[str], story: Iterable[str], open_under_terminated: int) -> None:
        self.problems, self.story = tuple(problems), tuple(story)
        self.open_under_terminated = open_under_terminated
        super().__init__(self.told())

    @property
    def kind(self) -> str:
        """The invariant that is broken, or `answer` for a command that answered wrongly."""
        return self.problems[0].partition(":")[0]

    def told(self) -> str:
        """The story, numbered."""
        lines = [f"  {number:3}. {line}" for number, line in enumerate(self.story, 1)]
        shown = [f"  {problem}" for problem in self.problems[:SHOWN]]
        more = [f"  ... and {len(self.problems) - SHOWN} more"] if len(self.problems) > SHOWN else []
        return "\n".join([f"a promise was broken in step {len(lines)}:", *shown, *more, "what happened:", *lines])


def in_words(result: Any) -> str:
    """What a command did, as its line of the story says it."""
    if isinstance(result, Applied):
        done = (f"{result.ended} ended" if result.ended else "", f"{result.canceled} canceled" if result.canceled else "",
                f"{result.deliveries} to deliver" if result.deliveries else "")
        return result.why if result.no_op else ", ".join(filter(None, done)) or "done"
    if isinstance(result, Workflow):
        return str(result.state)
    if isinstance(result, Lease):
        return "held"
    if isinstance(result, Settled):
        return ", ".join(f"{o.id} {o.state}" + (f" ({o.error})" if o.error else "") for o in result.outcomes) or "nothing due"
    if isinstance(result, Ticked):
        parts = (f"{result.expired} expired", f"{result.woken} woken", f"{result.timed_out} timed out",
                 f"{result.released} released")
        return ", ".join(part for part in parts if part[0] != "0") or "nothing due"
    if isinstance(result, list) and result and not isinstance(result[0], Lease):
        return ", ".join(f"{type(each).__name__}: {in_words(each)}" for each in result)
    return ", ".join(f"{lease.workflow_id} {lease.ref} (hand-out {lease.handouts})" for lease in result) or "nothing"
