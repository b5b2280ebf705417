"""A whole command as one call of a function on the server: what it takes for granted, and the rows that it writes."""

from __future__ import annotations

from collections.abc import Sequence

Value = str | int | bool | None
PLACES = {name: place for place, name in enumerate((
    "hold", "insert_tree", "insert_workflow", "insert_task", "update_workflow", "update_task", "put_payload", "insert_delivery",
    "insert_history"))}
"""The statements that a call may hold: `apply` takes the rows of each as a parameter, in this order, behind the stamp."""
LARGEST = 100_000
"""Characters of a call that is sent together with others; a longer one goes by itself."""


class Call:
    """What one command, or several on trees of their own, asks for. Its rows are texts, as the server writes them in a list."""

    __slots__ = ("rows", "size", "stamp")

    def __init__(self, stamp: str) -> None:
        """`stamp` is that of the store when it was decided."""
        self.stamp = stamp
        self.rows = tuple(list[str]() for _ in PLACES)
        self.size = 0

    def add(self, name: str, row: tuple[Value, ...]) -> None:
        """A row for a statement of PLACES."""
        text = written(row)
        self.rows[PLACES[name]].append(text)
        self.size += len(text)

    def take_in(self, other: Call) -> None:
        """What another command asks for, too."""
        for mine, theirs in zip(self.rows, other.rows, strict=True):
            mine.extend(theirs)

    def values(self) -> Sequence[str]:
        """The parameters of `apply`."""
        return [self.stamp, *[f"{{{','.join(rows)}}}" if rows else "{}" for rows in self.rows]]


def written(row: tuple[Value, ...]) -> str:
    """A row as an element of a list of rows: a quoted one, so that quotes in it are marked, and marked again in its texts."""
    found = []
    for value in row:
        if value is None:
            found.append("")
        elif isinstance(value, str):
            text = _marked(_marked(value)) if '"' in value or "\\" in value else value
            found.append(f'\\"{text}\\"')
        else:
            found.append(str(value))
    return f'"({",".join(found)})"'


def _marked(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
