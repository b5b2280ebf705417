"""SQL stands in files: statements by name, and numbered migrations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

NAME = "-- name: "
STATEMENTS = ("queries.sql", "waiting.sql", "moving.sql", "late.sql", "purge.sql", "audit.sql")


@cache
def statements() -> Mapping[str, str]:
    """Every statement of the files in STATEMENTS under its name, without comments."""
    found: dict[str, list[str]] = {}
    name, folder = "", files("kernel.stores") / "sql"
    for line in (line for file in STATEMENTS for line in (folder / file).read_text("utf-8").splitlines()):
        if line.startswith(NAME):
            name = line.removeprefix(NAME).strip()
            found[name] = []
        elif name and not line.startswith("--") and line.strip():
            found[name].append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


@cache
def migrations() -> tuple[tuple[int, str, str], ...]:
    """The migrations in order: number, name, script."""
    names = sorted(f.name for f in (files("kernel.stores") / "sql").iterdir() if f.name[:4].isdigit())
    return tuple((int(name[:4]), name.removesuffix(".sql"), (files("kernel.stores") / "sql" / name).read_text("utf-8"))
                 for name in names)
