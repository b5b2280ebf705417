"""Draws a tree of workflows and tasks with box characters."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from kernel.cli.text import faint, heading, safe, say, state, when
from kernel.engine.entities import Node, Task, Workflow
from kernel.engine.reading import ref_of

WIDEST_NAME = 48


@attrs.frozen
class Branch:
    """One line of a drawn tree: `stem` leads to it, `row` is what stands there."""

    stem: str
    row: Workflow | Task

    @property
    def name(self) -> str:
        """The workflow's id or the task's reference."""
        return self.row.id if isinstance(self.row, Workflow) else self.row.ref

    @property
    def width(self) -> int:
        """Columns up to the end of the name."""
        return len(self.stem) + len(safe(self.name))

    def label(self, width: int = 0) -> str:
        """Stem and name, padded to `width` columns."""
        name = safe(self.name)
        styled = heading(name) if isinstance(self.row, Workflow) else name
        return faint(self.stem) + styled + " " * max(0, width - self.width)


def branches(top: Node) -> Iterator[Branch]:
    """The lines of a tree, each task followed by the sub-workflows that it started."""
    waiting: list[tuple[str, str, Workflow | Task, Node]] = [("", "", top.workflow, top)]
    while waiting:
        stem, below, row, node = waiting.pop()
        yield Branch(stem, row)
        if isinstance(row, Workflow):
            inner: list[tuple[Workflow | Task, Node]] = [(task, node) for task in node.tasks]
        else:
            inner = [(child.workflow, child) for child in node.children if ref_of(child.workflow.id) == row.ref]
        for place, (each, owner) in enumerate(reversed(inner)):
            corner, onward = ("└─ ", "   ") if place == 0 else ("├─ ", "│  ")
            waiting.append((below + corner, below + onward, each, owner))


def draw(top: Node) -> None:
    """Print a tree: name, state, and what there is to say about it."""
    lines = list(branches(top))
    width = min(max(line.width for line in lines), WIDEST_NAME) + 2
    for line in lines:
        remark = _remark(line.row)
        say(f"{line.label(width)}{state(line.row.state, 13 if remark else 0)}{faint(f'  {remark}') if remark else ''}")


def _remark(row: Workflow | Task) -> str:
    """Definition and reason of a workflow; attempt, worker, times and reason of a task."""
    if isinstance(row, Workflow):
        parts = [f"{safe(row.name)} version {row.definition_version}"]
        if row.parent is None:
            parts.append(f"run {row.run}, version {row.version}")
        if row.paused_by and row.paused_by != row.id:
            parts.append(f"paused by {safe(row.paused_by)}")
    else:
        parts = [f"spawned by {safe(row.spawned_by)}"] if row.spawned_by else []
        parts += [f"attempt {row.attempt}"] if row.attempt > 1 else []
        if row.state == "IN_PROGRESS" and row.mode == "WORKER":
            parts.append(f"{safe(row.worker) or 'a worker'} until {when(row.expires)}")
        elif row.state == "IN_PROGRESS" and row.mode == "WAIT":
            parts.append("waits for a signal")
        elif row.state == "SCHEDULED" and row.mode == "WORKER":
            parts.append(f"type {safe(row.type)}")
            parts += [f"not before {when(row.not_before)}"] if row.not_before and row.not_before > row.changed else []
    if row.reason:
        parts.append(safe(row.reason, 60))
    return ", ".join(parts)
