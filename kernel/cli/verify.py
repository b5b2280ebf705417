"""The command that replays histories: verify."""

from __future__ import annotations

import click

from kernel.cli.common import Place, StoreCommand
from kernel.cli.reads import FINDINGS_SHOWN
from kernel.cli.text import Live, faint, number, safe, say
from kernel.engine.entities import Verification
from kernel.formal.told import Misstep

BATCH = 200
"""Trees between two lines of progress."""


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="[ID]", required=False)
@click.pass_context
def verify(ctx: click.Context, place: Place, workflow_id: str | None) -> None:
    """Replay histories against the specification.

    Of each tree, or of that of the workflow ID: the first step that is not allowed, where its row stood, what forbids it and
    why; and where the rows are not as the history tells. Exits with 1 when there is anything.
    """
    live = Live(err=True)
    with place.open() as k:
        done = k.verify(workflow_id, limit=BATCH)
        while done.after is not None:
            live.show(f"{number(done.trees, 'tree')}, {number(done.lines, 'line')} ...")
            more = k.verify(after=done.after, limit=BATCH)
            done = Verification(done.missteps + more.missteps, done.trees + more.trees, done.lines + more.lines,
                                done.transitions + more.transitions, more.after)
        live.clear()
    place.answer(done, lambda: _show(done))
    if not done.clean:
        ctx.exit(1)


def _show(done: Verification) -> None:
    found = len(done.missteps)
    verdict = click.style("every step is allowed", fg="green") if done.clean else click.style(
        f"{number(found, 'tree')} with a step that is not allowed", fg="red")
    say(f"verify: {verdict} in {number(done.trees, 'tree')}, {number(done.lines, 'line')}, "
        f"{number(done.transitions, 'transition')}")
    for misstep in done.missteps[:FINDINGS_SHOWN]:
        _tell(misstep)
    if found > FINDINGS_SHOWN:
        say(faint(f"  and {found - FINDINGS_SHOWN:,} more: --json gives all"))


def _tell(step: Misstep) -> None:
    """One misstep: where, what, what forbids it."""
    what = f"{safe(step.workflow_id)}{', ' + safe(step.subject) if step.subject else ''}"
    said = f"{safe(step.event)} of {what}, by {safe(step.by)}" if step.event else f"the rows of {what}"
    say(f"  {safe(step.root)}  line {step.line} (version {step.version}): {said}")
    if step.stands:
        say(f"    stands:  {safe(step.stands)}")
    say(f"    rule:    {safe(step.rule)}")
    say(f"    why:     {safe(step.why, 300)}")
