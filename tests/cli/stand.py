"""What the tests of the command line share: how they call it, and small definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

CONDUCTOR = Path(__file__).resolve().parents[1] / "data" / "conductor"


@attrs.frozen
class Ran:
    """One call of the command: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)


Cli = Callable[..., Ran]


def task(ref: str, **fields: Any) -> dict[str, Any]:
    """A SIMPLE task as Conductor writes it; its type is its reference."""
    return {"name": ref, "taskReferenceName": ref, "type": "SIMPLE", **fields}


def wait(ref: str) -> dict[str, Any]:
    """A waiting task."""
    return task(ref, type="WAIT")


def child(ref: str, name: str) -> dict[str, Any]:
    """A task that starts a sub-workflow."""
    return task(ref, type="SUB_WORKFLOW", subWorkflowParam={"name": name})


def definition(name: str, *tasks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A definition as Conductor writes it."""
    return {"name": name, "version": 1, "schemaVersion": 2, "tasks": [*tasks], **fields}


def write(path: Path, *definitions: dict[str, Any]) -> str:
    """Write definitions into a file; gives its path."""
    path.write_text(json.dumps([*definitions]))
    return str(path)
