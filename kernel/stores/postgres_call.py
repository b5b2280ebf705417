"""A whole command as one call of a function on the server: what it takes for granted, and the rows that it writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from attrs import field, frozen

Value = str | int | bool | None
MARKS = {"t": '\\"%s\\"', "n": "%s"}
"""How values are written in a row: texts, and all others."""
NULL = ""
"""What is written for a number that there is none of."""
LARGEST = 100_000
"""Characters of a call that is sent together with others; a longer one goes by itself."""


@frozen
class Form:
    """How the rows of a statement are written. `columns` says of each value whether it is a text, by letters of MARKS."""

    columns: str
    pattern: str = field(init=False)
    quotes: int = field(init=False)
    """How many quotes a row has whose texts have none; and how many backslashes."""
    slashes: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        pattern = f'"({",".join(MARKS[kind] for kind in self.columns)})"'
        object.__setattr__(self, "pattern", pattern)
        object.__setattr__(self, "quotes", pattern.count('"'))
        object.__setattr__(self, "slashes", pattern.count("\\"))

    def written(self, row: tuple[Value, ...]) -> str:
        """A row as an element of a list of rows: a quoted one, so that quotes in it are marked, and again in its texts."""
        text = self.pattern % row
        if text.count('"') == self.quotes and text.count("\\") == self.slashes and "None" not in text:
            return text  # at once, and not value by value: nothing in it must be marked, or is NULL
        return f'"({",".join(map(_marked, self.columns, row))})"'


def _marked(kind: str, value: Value) -> str:
    """One value, whatever is in it."""
    return NULL if value is None else MARKS[kind] % _escaped(_escaped(str(value)))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


TASK, COUNTERS = "tntnnnnnnnnnttn", "nnnnnnnnn"
FORMS = {name: Form(columns) for name, columns in {
    "hold": "ttnttnnn",
    "insert_tree": "tnn",
    "insert_workflow": f"ntntttnnnnnnntntnt{COUNTERS}",
    "insert_task": f"nnt{TASK}",
    "update_workflow": f"tnntntt{COUNTERS}n",
    "update_task": f"{TASK}nntnnn",
    "put_payload": "nntt",
    "insert_delivery": "nttnnnnttnnnntt",
    "insert_history": "tnnnnttttttnntttt",
}.items()}
"""The statements that a call may hold: `apply` takes the rows of each as a parameter, in this order, behind the stamp."""
PLACES = {name: place for place, name in enumerate(FORMS, 1)}
"""The place of each among the parameters."""
NO_ROWS = ["{}"] * len(FORMS)


class Call:
    """What one command, or several on trees of their own, asks for. Its rows are texts, as the server writes them in a list."""

    __slots__ = ("rows", "stamp")

    def __init__(self, stamp: str) -> None:
        """`stamp` is that of the store when it was decided."""
        self.stamp = stamp
        self.rows: dict[str, list[str]] = {}

    @property
    def size(self) -> int:
        """How many characters its rows have."""
        return sum(map(len, chain.from_iterable(self.rows.values())))

    def add(self, name: str, rows: Iterable[tuple[Value, ...]]) -> None:
        """Rows for a statement of FORMS."""
        self.rows.setdefault(name, []).extend(map(FORMS[name].written, rows))

    def take_in(self, other: Call) -> None:
        """What another command asks for, too."""
        for name, rows in other.rows.items():
            self.rows.setdefault(name, []).extend(rows)

    def values(self) -> Sequence[str]:
        """The parameters of `apply`."""
        found = [self.stamp, *NO_ROWS]
        for name, rows in self.rows.items():
            found[PLACES[name]] = f"{{{','.join(rows)}}}"
        return found
