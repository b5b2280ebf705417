"""Commands under ids of ours: repeated, and asked for when nobody knows what came of them.

What each id stands for is kept here, too: the oracle of the kernel's own record of commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from kernel.core.records import root_of
from kernel.engine.entities import Applied, Lease, NotApplied, Purged, Workflow
from kernel.engine.faults import FaultPoint
from kernel.engine.outcomes import Outcome
from kernel.testing.inventory import Inventory, chosen

NAMED = 12
"""From this number on, a command is given under an id."""
Call = Callable[..., Applied | Workflow]


@define
class Named:
    """A command that was given under an id: whether it was applied, and its answer, where one came."""

    id: str
    root: str
    text: str
    call: Call
    expect: str
    applied: bool
    answer: Applied | Workflow | None
    given_up: bool = False

    @property
    def unknown(self) -> bool:
        """Whether the caller does not know what came of it: the process was killed in the middle of it."""
        return self.answer is None and not self.given_up


@define
class LostPoll:
    """A poll whose answer was lost: nobody knows which leases it gave, until it is repeated."""

    call: Callable[[], list[Lease]]
    text: str
    applied: bool


class Ids(Inventory):
    """A world whose commands have ids."""

    def __init__(self, *given: Any, **options: Any) -> None:
        """As `World`."""
        super().__init__(*given, **options)
        self.named: list[Named] = []
        self.lost: list[LostPoll] = []

    def _command(self, number: int, workflow: str, text: str, call: Call, **options: Any) -> None:
        """Give a command to a workflow; for large numbers under an id of ours, so that it can be repeated and asked for."""
        if number < NAMED:
            self.act(text, call, **options)
            return
        name = f"id{len(self.story)}"
        text = f"{text} (command id {name})"
        answer = self.act(text, lambda: call(command_id=name), **options)
        if answer is not None or self.killed is not None:
            applied = answer is not None or self.was_committed
            self.named.append(Named(name, root_of(workflow), text, call, options.get("expect", "applied"), applied, answer))

    @property
    def was_committed(self) -> bool:
        """Whether the process was killed when the command was already applied."""
        return self.killed is not None and self.killed.point is FaultPoint.AFTER_COMMIT

    def _unharmed(self, text: str, call: Callable[[], Any], **options: Any) -> Any:
        """Give a command in the middle of which nothing crashes."""
        crashed, self.crashes.point = self.crashes.point, None
        try:
            return self.act(text, call, **options)
        finally:
            self.crashes.point = crashed

    def again(self, number: int, how: int) -> None:
        """Come back to what was given under an id: repeat it (0), repeat a poll whose answer was lost (1), or ask for it."""
        if how == 0 and self.repeatable:
            self.repeat(number)
        elif self.lost and (how == 1 or not self.named):
            self.poll_again(number)
        else:
            self.ask(number)

    @property
    def repeatable(self) -> list[Named]:
        """The commands whose answer to a repetition is known: what was applied, and what was given up."""
        return [each for each in self.named if each.applied or each.given_up]

    def repeat(self, number: int) -> None:
        """Give a command a second time under the same id: the first answer again, and nothing more."""
        again = chosen(self.repeatable, number)
        before = self.dump

        def effect(result: Applied | Workflow | None) -> Iterator[str]:
            if self.dump != before:
                yield "answer: a repeated command changed something"
            if isinstance(again.answer, Applied) and isinstance(result, Applied) and result != again.answer:
                yield f"answer: the first was {again.answer}; now it is {result}"

        self._unharmed(f"again: {again.text}", lambda: again.call(command_id=again.id),
                       expect="refused" if again.given_up else again.expect, effect=effect, again=True)

    def ask(self, number: int) -> None:
        """Ask what came of a command, of all trees: the one that it was applied to tells, and what is absent is given up."""
        asked = chosen([each for each in self.named if each.unknown] or self.named, number)
        before = self.dump

        def outcomes() -> list[Outcome]:
            found = [self.kernel.outcome(asked.id, workflow_id=root) for root in {**self.dump, asked.root: None}]
            return [each for each in found if not isinstance(each, NotApplied | Purged)]

        def effect(found: list[Outcome]) -> Iterator[str]:
            if self.dump != before:
                yield "answer: asking for an outcome changed something"
            if len(found) != int(asked.applied):
                yield f"answer: it was {'' if asked.applied else 'not '}applied; the outcome that is told is {found}"
            if found and isinstance(asked.answer, Applied) and found[0] != asked.answer:
                yield f"answer: the first was {asked.answer}; the outcome that is told is {found[0]}"
            if found and asked.answer is None and isinstance(found[0], Applied):
                asked.answer = found[0]

        self._unharmed(f"what came of {asked.text}?", outcomes, effect=effect)
        asked.given_up = not asked.applied

    def poll_again(self, number: int) -> None:
        """Repeat a poll whose answer was lost: it gives the leases that it gave, as far as they hold, or polls now."""
        lost = self.lost.pop(number % len(self.lost))
        before = self.dump

        def effect(leases: list[Lease]) -> Iterator[str]:
            if lost.applied and self.dump != before:
                yield "answer: a repeated poll changed something"
            yield from self.handed_out(leases)

        self._unharmed(f"again: {lost.text}", lost.call, effect=effect)

    def handed_out(self, leases: list[Lease]) -> Iterator[str]:
        """Take leases; what is wrong with them."""
        self.leases += leases
        for lease in leases:
            token = (lease.workflow_id, lease.position, lease.run, lease.handouts)
            if token in self.tokens or not self.holds(lease):
                yield f"INV-06: {lease.workflow_id} {lease.ref} was handed out under the token {token[2:]}"
            self.tokens.add(token)
