"""Walks over a written-out specification, action by action: slow, small, and open to comparison."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from kernel.formal.actions import Action, Block
from kernel.formal.ground import Grounding
from kernel.formal.terms import Ground, Read, Term

Values = tuple[int, ...]
"""The value of each variable; those that only a step shows are 0 between steps."""


def meaning(part: Ground, values: Sequence[int]) -> int:
    """A term under values of its variables; a condition is 0 or 1."""
    if isinstance(part, Read):
        return values[part.slot]
    if not isinstance(part, Term):
        return int(part)  # type: ignore[arg-type]  # a name for a value stands in statements only
    if part.op == "and":
        return all(meaning(arg, values) for arg in part.args)
    if part.op == "or":
        return any(meaning(arg, values) for arg in part.args)
    if part.op == "not":
        return not meaning(part.args[0], values)
    if part.op == "if":
        return meaning(part.args[1 if meaning(part.args[0], values) else 2], values)
    a, b = meaning(part.args[0], values), meaning(part.args[1], values)
    return a == b if part.op == "eq" else a < b if part.op == "lt" else a + b if part.op == "add" else a - b


def done(blocks: Iterable[Block], values: list[int]) -> list[int]:
    """What the blocks of an action make of a state."""
    flags: set[int] = set()
    for block in blocks:
        if block.flag is None or block.flag in flags:
            before = tuple(values)
            for move in block.moves:
                if meaning(move.condition, before):
                    for slot, value in move.sets:
                        values[slot] = meaning(value, before)
                    if move.flag is not None:
                        flags.add(move.flag)
    return values


class Walker:
    """The commands and rules of one grounding, ready to be taken."""

    def __init__(self, ground: Grounding) -> None:
        """Rules are tried in their order."""
        self.size, self.width = ground.size, len(ground.slots)
        self.start: Values = tuple(ground.start)
        self.commands, self.rules = ground.commands(), ground.rules()

    def after(self, action: Action, values: Values) -> Values | None:
        """What a command makes of a state, progress included; None when it is not enabled."""
        if not meaning(action.guard, values):
            return None
        found = done(action.blocks, [*values])
        while (rule := next((r for r in self.rules if meaning(r.guard, found)), None)) is not None:
            found = done(rule.blocks, found)
        return (*found[:self.size], *(0,) * (self.width - self.size))

    def steps(self, values: Values, commands: Iterable[Action] | None = None) -> Iterator[tuple[str, Values]]:
        """Every command that is enabled, by label, and where it leads."""
        for action in self.commands if commands is None else commands:
            after = self.after(action, values)
            if after is not None:
                yield action.label, after


Found = Mapping[Values, tuple[Values, str] | None]
"""Every state that was reached, in the order of its distance, with how it was first reached."""


def reachable(walker: Walker) -> Found:
    """Every state that can be reached, nearest first."""
    found: dict[Values, tuple[Values, str] | None] = {walker.start: None}
    line = [walker.start]
    for state in line:
        for label, after in walker.steps(state):
            if after not in found:
                found[after] = (state, label)
                line.append(after)
    return found


def way(found: Found, state: Values) -> tuple[str, ...]:
    """The commands that first led to a state."""
    labels: list[str] = []
    while (step := found[state]) is not None:
        state, label = step
        labels.append(label)
    return tuple(reversed(labels))


def difference(one: Walker, found: Found, other: Walker) -> tuple[str, ...] | None:
    """The shortest commands after which another specification of the same shape does something else; None: there are none.

    `found` are the states that the first one reaches. Up to the first difference both reach the same.
    """
    if one.rules == other.rules:
        mine = [c for c in one.commands if c not in other.commands]
        theirs = [c for c in other.commands if c not in one.commands]
    else:
        mine, theirs = one.commands, other.commands
    if not mine and not theirs:
        return None
    for state in found:
        here, there = sorted(one.steps(state, mine)), sorted(other.steps(state, theirs))
        if here != there:
            label = next(iter([*(s for s in here if s not in there), *(s for s in there if s not in here)]))[0]
            return (*way(found, state), label)
    return None
