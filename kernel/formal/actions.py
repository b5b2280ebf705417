"""What is made of the tables on a shape: guarded assignments to numbered variables, made together or one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from kernel.formal.terms import Ground, Local, slots


@frozen
class Move:
    """One row moves by one line where the condition holds. `flag` is set when that brings something with it."""

    row: int
    condition: Ground
    sets: tuple[tuple[int, Ground], ...]
    flag: int | None = None


@frozen
class Block:
    """Moves that are made together, all read before any is made; only where the flag was set."""

    moves: tuple[Move, ...]
    flag: int | None = None

    @property
    def flags(self) -> tuple[int, ...]:
        """The flags that its moves set."""
        return tuple(move.flag for move in self.moves if move.flag is not None)


@frozen
class Action:
    """One thing that can happen: a command with what is presented, or a rule of progress."""

    label: str
    guard: Ground
    blocks: tuple[Block, ...]
    fenced: bool = False
    """A lease is presented that is not the stored one: it must never be enabled."""


@frozen
class Let:
    """A name for a value that a later assignment changes."""

    name: str
    value: Ground


@frozen
class When:
    """Assignments, one after the other, where the condition holds; then the flag is set."""

    condition: Ground
    sets: tuple[tuple[int, Ground], ...]
    flag: int | None = None


def sequenced(moves: Sequence[Move]) -> Iterator[Let | When]:
    """Moves that are made together as statements one after the other: what another one changes is read first."""
    written = [slot for move in moves for slot, _ in move.sets]
    late: list[When] = []
    for number, move in enumerate(moves):
        condition = move.condition
        if not {*written}.isdisjoint(slots(condition)) and len(moves) > 1:
            yield Let(f"c{number}", condition)
            condition = Local(f"c{number}")
        sets = []
        for place, (slot, value) in enumerate(move.sets):
            if not ({*written} - {slot}).isdisjoint(slots(value)):
                yield Let(f"v{number}_{place}", value)
                value = Local(f"v{number}_{place}")  # noqa: PLW2901 - what is assigned
            sets.append((slot, value))
        late.append(When(condition, tuple(sets), move.flag))
    yield from late
