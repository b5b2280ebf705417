"""Rows that can exist, one by one: what a shape is written out to, and how the shape of a lifecycle of one's own is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import define, field, frozen

from kernel.errors import InvalidInput
from kernel.spec.language import Spec

Value = str | int


@define
class Place:
    """One row that can exist: what never changes of it, and the other places that it sees."""

    kind: str
    id: str
    order: tuple[str, int]
    """The id of its workflow, and its position in it; workflows come before their tasks."""
    fixed: dict[str, Value | tuple[int, ...]]
    """A tuple has a value for each attempt."""
    one: dict[str, int] = field(factory=dict)
    sets: dict[str, tuple[int, ...]] = field(factory=dict)
    spawned: bool = False
    """A task that a result adds: nothing sees it as long as it does not exist."""
    children: dict[int, int] = field(factory=dict)
    """For a sub-workflow task the place of each attempt's sub-workflow."""


@frozen
class One:
    """One row that can exist of a lifecycle of one's own: its kind, its id, by name the rows behind its single links, and
    its attributes.
    """

    kind: str
    id: str
    links: Mapping[str, str] = field(factory=dict)
    given: Mapping[str, Value] = field(factory=dict)


@frozen
class Rows:
    """The shape of a lifecycle of one's own, row by row. What is behind its set links follows from the single ones.

    `presented`: the numbers that are presented for a parameter of a command, each of them. A command that is called START
    is given to the first row of its kind only.
    """

    rows: tuple[One, ...]
    presented: Mapping[str, tuple[int, ...]] = field(factory=dict)
    runs: ClassVar[int] = 1
    notices: ClassVar[int] = 0
    purge: ClassVar[int] = 0

    def places(self, spec: Spec) -> list[Place]:
        """Every row, linked. Raises InvalidInput where the rows are not those of the specification."""
        plain(spec)
        for step in spec.commands:
            for name in step.params:
                if name not in self.presented:
                    raise InvalidInput(f"the command {step.name} on a shape", why=f"nothing is presented for {name!r}",
                                       hint="say in `presented` which numbers are")
        at = {row.id: number for number, row in enumerate(self.rows)}
        if len(at) < len(self.rows) or not all(id.isidentifier() for id in at):
            raise InvalidInput("the rows of a shape", why="their ids are not different plain names",
                               hint="call each row by letters, digits and underscores, and none twice")
        places = [
            Place(row.kind, row.id, (row.id, at[row.id]), dict(row.given), self._ones(spec, row, at)) for row in self.rows]
        for link in (link for link in spec.links.values() if not link.one):
            for number, place in enumerate(places):
                if place.kind == link.source:
                    place.sets[link.name] = tuple(
                        far for far, other in enumerate(places)
                        if other.kind == link.target and self._end(places, far, link.back) == number)
        return places

    def _ones(self, spec: Spec, row: One, at: Mapping[str, int]) -> dict[str, int]:
        """The rows behind the single links of a row."""
        asked = f"the row {row.id} of a shape"
        if row.kind not in spec.kinds:
            raise InvalidInput(asked, why=f"there is no kind {row.kind!r}", allowed=tuple(spec.kinds))
        names = tuple(f.name for f in spec.kinds[row.kind].attributes)
        if {*row.given} != {*names}:
            raise InvalidInput(asked, why=f"its attributes are not those of the kind {row.kind}", allowed=names)
        single = {link.name: link for link in spec.links.values() if link.one and link.source == row.kind}
        for name, link in single.items():
            if row.links.get(name) not in at or self.rows[at[row.links[name]]].kind != link.target:
                raise InvalidInput(asked, why=f"its {name} is no row of the kind {link.target}")
        return {name: at[row.links[name]] for name in single}

    def _end(self, places: list[Place], row: int, path: tuple[str, ...]) -> int:
        for name in path:
            row = places[row].one[name]
        return row


LAW = ("workflow", "task", "delivery", "child", "child_tasks", "tree", "outbox", "archives")
"""Kinds and links of the law that mean more than their declaration says."""
AT_HAND = ("now", "chance", "origin", "run", "handouts", "claims", "from_task")
"""What is presented and found where things stand."""


def plain(spec: Spec) -> None:
    """Refuse what only the law's own shapes know. Raises InvalidInput for a specification that uses any of it."""
    asked = "a specification of one's own"
    for name in (*spec.kinds, *spec.links):
        if name in LAW:
            raise InvalidInput(asked, why=f"{name} is a word of the kernel's own specification", hint="choose another word")
    for link in spec.links.values():
        if not link.one and not link.back:
            raise InvalidInput(asked, why=f"its set link {link.name} does not say of which path it is the way back",
                               hint="give it back=, the names of single links")
    if spec.follows or any(enter.emit for enter in spec.on_enter) or any(t.reopening for t in spec.tables.values()):
        raise InvalidInput(asked, why="it has events that bring others with them, re-open, or emit",
                           hint="cascades and rules of progress are what can be explored and proved")
    for step in spec.commands:
        for name in step.params:
            if name in AT_HAND:
                raise InvalidInput(asked, why=f"its command {step.name} presents {name!r}, a word of the kernel's own",
                                   hint="choose another word")
