"""A workflow whose tasks are not any more those that it was started with: some were spawned, some stayed behind with a run."""

from __future__ import annotations

from collections.abc import Callable

from kernel.formal.told import Flow, Job, Outline, TaskOutline
from kernel.spec.vocabulary import ABSENT


def renew(flow: Flow, outline: Outline, job_of: Callable[[Flow, int, TaskOutline], Job]) -> None:
    """Give a workflow another outline. A task that is there stays; any other is ABSENT, and counts what stands before it.

    What is ABSENT is counted by nobody, so that the counters of those who stay are right as they are.
    """
    if outline is flow.outline:
        return
    there = {(job.no, job.ref): job for job in flow.tasks if job.state != ABSENT}
    fresh = {no: job_of(flow, no, task) for no, task in enumerate(outline.tasks) if (no, task.ref) not in there}
    flow.tasks = [fresh[no] if no in fresh else there[no, task.ref] for no, task in enumerate(outline.tasks)]
    flow.outline = outline
    for job in there.values():
        for no in outline.successors[job.no]:
            if no in fresh:
                for place, by_how_much in job.moves[1][ABSENT, job.state]:
                    fresh[no].counts[place] += by_how_much
