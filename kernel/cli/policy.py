"""The archive policy that an operator sets for a whole store."""

from __future__ import annotations

from typing import Any

import click

from kernel.cli.common import Place, StoreCommand
from kernel.cli.text import duration, safe, say
from kernel.core.archive import ArchivePolicy

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
