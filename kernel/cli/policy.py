"""The archive policy that an operator sets for a whole store, and the purge of what is no longer needed."""

from __future__ import annotations

from typing import Any

import click

from kernel.cli.common import Place, StoreCommand, command_options
from kernel.cli.text import duration, number, safe, say
from kernel.core.archive import ArchivePolicy
from kernel.engine.entities import Kept
from kernel.engine.kernel import Kernel

SECONDS = click.FloatRange(0, 100 * 365 * 86_400.0)


@click.command(cls=StoreCommand)
@click.option("--at-once", is_flag=True, help="Every run, as soon as it has ended.")
@click.option("--off", is_flag=True, help="No run.")
@click.option("--every", type=SECONDS, metavar="S", help="In rounds, each so many seconds after the one before.")
@click.option("--daily", "daily_at", metavar="HH:MM", help="Once a day, from this local time on.")
@click.option("--window", type=SECONDS, metavar="S", help="With --daily: for so many seconds.  [default: 3600]")
@click.option("--zone", metavar="ZONE", help="With --daily: the IANA zone of the local time.  [default: UTC]")
@click.option("--unsuccessful-only", is_flag=True, help="Only runs that end FAILED, TIMED_OUT or TERMINATED.")
@click.option("--retention", type=SECONDS, metavar="S", help="Keep the rows for so many seconds after a run's end.")
@click.option("--of-definitions", is_flag=True, help="Give it back: each definition has its own policy.")
def policy(place: Place, at_once: bool, of_definitions: bool, **given: Any) -> None:
    """Show or set the archive policy of the whole store.

    It is kept in the store and holds for every process, from now on, for every definition with topic 'archive'. Without
    an option that sets one it is only shown.
    """
    chosen = {name: value for name, value in given.items() if value not in (None, False)}
    if of_definitions and (at_once or chosen):
        raise click.UsageError("--of-definitions leaves it to the definitions: give nothing else")
    if at_once and chosen.keys() & {"off", "every", "daily_at"}:
        raise click.UsageError("--at-once, --off, --every and --daily exclude each other")
    with place.open() as k:
        if of_definitions or at_once or chosen:
            k.set_archive_policy(None if of_definitions else ArchivePolicy(**chosen))
        held = k.archive_policy()
    place.answer(held, lambda: say(told(held)))


def told(policy: ArchivePolicy | None) -> str:
    """A policy in words."""
    if policy is None:
        return "archive policy: that of each definition"
    if policy.off:
        return "archive policy: nothing is archived"
    when = "at once"
    if policy.every is not None:
        when = f"in rounds every {duration(policy.every)}"
    elif policy.daily_at is not None:
        when = f"daily from {policy.daily_at} {safe(policy.zone)} for {duration(policy.window)}"
    what = "runs that end unsuccessfully" if policy.unsuccessful_only else "every run"
    kept = f"; rows are kept for {duration(policy.retention)}" if policy.retention else ""
    return f"archive policy: {what}, {when}{kept}"


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="[ID]", required=False)
@click.option("--older-than", type=SECONDS, metavar="S", help="Every tree that ended at least so many seconds ago.")
@click.option("--unarchived", is_flag=True, help="Also runs that the archive policy in force now asks no archive of.")
@click.option("--batch", type=click.IntRange(1, 1_000_000), metavar="N", default=1_000, show_default=True,
              help="With --older-than: trees between two lines of progress.")
@command_options
def purge(
    place: Place, workflow_id: str | None, older_than: float | None, unarchived: bool, batch: int,
    **options: Any,
) -> None:
    """Remove trees that ended, with all their runs, for good.

    Only what is delivered, and archived by a sink that gives a copy; a tombstone keeps the id. Give an ID, or --older-than
    for all that may go: progress goes to the error output.

    Exits with 0 when it is gone, with 3 when ID may not be purged, with 1 when --older-than left some trees where they are.
    """
    if (workflow_id is None) == (older_than is None):
        raise click.UsageError("name one workflow, or give --older-than for many; not both")
    if older_than is not None and options["command_id"] is not None:
        raise click.UsageError("a --command-id is for one workflow: name it")
    with place.open() as k:
        if older_than is None:
            applied = k.purge(workflow_id or "", unarchived=unarchived, **options)
            place.answer(applied, lambda: say(f"{safe(workflow_id)}: purged, 1 commit"))
            return
        del options["command_id"]
        purged, kept = _purge_all(k, older_than, batch, unarchived=unarchived, **options)
    place.answer({"purged": purged, "kept": kept}, lambda: _show_purged(purged, kept))
    click.get_current_context().exit(int(bool(kept)))


def _purge_all(k: Kernel, older_than: float, batch: int, **options: Any) -> tuple[int, list[Kept]]:
    """Purge all that may be, a batch at a time; tells how far it is."""
    purged, kept, after = 0, list[Kept](), None
    while True:
        done = k.purge_ended(older_than=older_than, after=after, limit=batch, **options)
        purged, after = purged + done.purged, done.after
        kept += done.kept
        if after is None:
            return purged, kept
        say(f"{purged:,} purged, {len(kept):,} left, up to {safe(after, 60)}", err=True)


def _show_purged(purged: int, kept: list[Kept]) -> None:
    for each in kept:
        say(f"{safe(each.workflow_id)}  left: {each.why}")
    say(f"{number(purged, 'tree')} purged, {len(kept):,} left")
