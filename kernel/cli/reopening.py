"""Commands that begin the next run of a tree that has ended: retry, restart, rerun."""

from __future__ import annotations

from typing import Any

import click

from kernel.cli.common import Place, StoreCommand, command_options
from kernel.cli.text import number, safe, say
from kernel.engine.entities import Applied


def _show(workflow_id: str, applied: Applied) -> None:
    parts = [f"RUNNING again, run {applied.run}", f"1 commit (version {applied.version})",
             f"{number(applied.again, 'task')} to do again"]
    if applied.ended:
        parts.append(f"{number(applied.ended, 'workflow')} ended again at once")
    say(f"{safe(workflow_id)}: {', '.join(parts)}")


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--resume-children", is_flag=True, help="Sub-workflows that ended badly go on in place, not afresh.")
@command_options
def retry(place: Place, workflow_id: str, resume_children: bool, **options: Any) -> None:
    """Begin the next run of a tree that ended badly.

    What is closed well is kept; every other task starts again, a sub-workflow afresh.
    """
    with place.open() as k:
        applied = k.retry(workflow_id, resume_children=resume_children, **options)
    place.answer(applied, lambda: _show(workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@command_options
def restart(place: Place, workflow_id: str, **options: Any) -> None:
    """Begin the next run of a tree that ended, from the start."""
    with place.open() as k:
        applied = k.restart(workflow_id, **options)
    place.answer(applied, lambda: _show(workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--from", "from_task", required=True, metavar="TASK", help="The task from which on all is done again.")
@click.option("--in", "in_workflow", metavar="ID", help="The workflow of the tree that it belongs to; ID when not given.")
@command_options
def rerun(place: Place, workflow_id: str, from_task: str, in_workflow: str | None, **options: Any) -> None:
    """Begin the next run of a tree that ended, from a task on.

    The task and all after it start again, and all that is not closed well. What is above the task goes on in place.
    """
    with place.open() as k:
        applied = k.rerun(workflow_id, from_task=from_task, in_workflow=in_workflow, **options)
    place.answer(applied, lambda: _show(workflow_id, applied))
