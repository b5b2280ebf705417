"""SQL stands in files: statements by name, and numbered migrations. What two dialects say alike stands there once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from itertools import count

NAME = "-- name: "
STATEMENTS = ("queries.sql", "outbox.sql", "waiting.sql", "moving.sql", "late.sql", "purge.sql", "audit.sql")


class Dialect(StrEnum):
    """Whose SQL it is: the value begins the names of files that are for one dialect only."""

    SQLITE = ""
    POSTGRES = "postgres"


SPELLINGS = tuple((re.compile(pattern), spelled) for pattern, spelled in (
    (r" INDEXED BY \w+", ""),
    (r"CROSS JOIN", "JOIN"),
    (r"COLLATE BINARY", 'COLLATE "C"'),
    (r"\bmax\((?=:|paused_at)", "greatest("),
    (r"(?<!value FROM )json_each\(:(\w+)\)", r"jsonb_array_elements(:\1::jsonb)"),
    (r"SELECT value FROM json_each\(:sources\)", "SELECT jsonb_array_elements_text(:sources::jsonb)"),
    (r"SELECT value FROM json_each\(:(\w+)\)", r"SELECT jsonb_array_elements(:\1::jsonb)::bigint"),
))
"""How PostgreSQL spells what both say: it chooses indexes and orders joins itself; lists look otherwise."""
FEW = 8
"""So many rows are given to PostgreSQL at once as they are; more of them are given column by column."""
AT_ONCE = "insert_history"
"""The statement that several rows are given to: all in one, whose name ends with their number."""
PARAMETER = re.compile(r"\?|(?<!:):([a-z]+)")


@cache
def statements(dialect: Dialect = Dialect.SQLITE) -> Mapping[str, str]:
    """Every statement of the files in STATEMENTS under its name, without comments, as a dialect has it.

    PostgreSQL's parameters are numbers: those with a name have the place that `places` gives it.
    """
    if dialect is Dialect.SQLITE:
        return {name: sql for file in STATEMENTS for name, sql in _read(file).items()}
    return {name: _numbered(sql)[0] for name, sql in _spelled().items()}


@cache
def places() -> Mapping[str, tuple[str, ...]]:
    """Of each statement of PostgreSQL the names of its parameters, in order; none where they have no names."""
    return {name: _numbered(sql)[1] for name, sql in _spelled().items()}


def _spelled() -> dict[str, str]:
    found = {**statements(), **_read("postgres.sql")}
    for pattern, spelled in SPELLINGS:
        found = {name: pattern.sub(spelled, sql) for name, sql in found.items()}
    head, values, row = found[AT_ONCE].partition("VALUES ")
    return found | {f"{AT_ONCE} {count}": head + values + ", ".join([row] * count) for count in range(2, FEW + 1)}


def _numbered(sql: str) -> tuple[str, tuple[str, ...]]:
    """A statement with numbers for parameters, and the names that these had."""
    names: dict[str, int] = {}
    plain = count()

    def number(found: re.Match[str]) -> str:
        return f"${names.setdefault(found[1], len(names)) + 1 if found[1] else next(plain) + 1}"

    return PARAMETER.sub(number, sql), tuple(names)


def _read(file: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in (files("kernel.stores") / "sql" / file).read_text("utf-8").splitlines():
        if line.startswith(NAME):
            name = line.removeprefix(NAME).strip()
            found[name] = []
        elif name and not line.startswith("--") and line.strip():
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


@cache
def migrations(dialect: Dialect = Dialect.SQLITE) -> tuple[tuple[int, str, str], ...]:
    """The migrations of a dialect in order: number, name, script."""
    folder, begin = files("kernel.stores") / "sql", f"{dialect}_" if dialect else ""
    pattern = re.compile(rf"{begin}(\d{{4}}_\w+)\.sql")
    names = sorted(match[1] for file in folder.iterdir() if (match := pattern.fullmatch(file.name)))
    return tuple((int(name[:4]), name, (folder / f"{begin}{name}.sql").read_text("utf-8")) for name in names)
