"""Commands of the kit: diagram and faults."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import click

from kernel.cli.common import json_text
from kernel.cli.own import law_of, spec_option
from kernel.cli.text import Live, duration, faint, heading, number, safe, safe_lines, say, table
from kernel.render import write_diagrams
from kernel.testing.campaign import REPLAYS, CampaignResult, run_campaign
from kernel.testing.given import given_stores
from kernel.testing.stores import MemoryStores, SqliteStores, Stores
from kernel.testing.taken import report

FAR = 100
"""Tries to make a failed episode shorter on a server, where each takes a second or so."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON value on standard output, errors included.")


@click.command()
@click.argument("folder", default="diagrams", type=click.Path(file_okay=False, path_type=Path))
@spec_option
@json_option
@click.pass_context
def diagram(ctx: click.Context, folder: Path, path: Path | None, as_json: bool) -> None:
    """Draw the lifecycles and the cascade into FOLDER.

    Writes SVG, DOT and Mermaid, from the specification alone; into diagrams/ when no FOLDER is given. SVG needs the
    program 'dot' of Graphviz; without it DOT and Mermaid are written, and the exit code is 1.
    """
    written = write_diagrams(folder, law_of(path).spec)
    if as_json:
        click.echo(json_text({"written": [str(path) for path in written.paths],
                              "skipped": {str(path): why for path, why in written.skipped}}))
    else:
        for path in written.paths:
            say(f"wrote {safe(path)}")
        for why in dict.fromkeys(why for _, why in written.skipped):
            say(safe_lines(why), err=True)
        if written.skipped:
            say(f"left out: {number(len(written.skipped), 'picture')}", err=True)
    ctx.exit(int(bool(written.skipped)))


@click.command()
@click.option("--steps", type=click.IntRange(1), metavar="N", default=10_000, show_default=True,
              help="Commands and faults, at least.")
@click.option("--seed", type=click.IntRange(0), metavar="N", default=0, show_default=True,
              help="The same seed gives the same run.")
@click.option("--store", type=click.Choice(["memory", "sqlite"]), help="Where it runs; memory when not given.")
@click.option("--db", metavar="URL", help="Or a server that you run, postgresql:// or redis://; in a schema or namespace made "
              "for it and removed afterwards, or in an empty one that the URL names.")
@click.option("--rows", is_flag=True, help="Show how often each row of the tables was taken.")
@json_option
@click.pass_context
def faults(
    ctx: click.Context, steps: int, seed: int, store: str | None, db: str | None, rows: bool, as_json: bool,
) -> None:
    """Break everything that can break, and look for violations.

    Runs random commands, faults of the archive, crashes around each commit and a moving clock against the kernel, and checks
    every invariant after every step. Exits with 1 for a violation, told as the shortest history that leads to it, and for a
    kind of fault that never fired.
    """
    if store is not None and db is not None:
        raise click.UsageError("--store and --db both say where: give one of them")
    live, started = Live(err=True), time.monotonic()
    with _stores(store, db) as stores:
        result = run_campaign(steps, seed, stores, lambda done: live.show(f"{done:,} of {steps:,} steps"),
                              replays=FAR if db else REPLAYS, where="--db URL" if db else None)
    live.clear()
    if as_json:
        told = attrs.asdict(result, filter=lambda field, _: field.name != "taken")
        click.echo(json_text({**told, "rows": [
            {"table": entry.table, "row": entry.says, "taken": times, "why_not": excuse}
            for entry, times, excuse in report(result.taken)], "ok": result.ok}))
    else:
        _show_campaign(result, time.monotonic() - started)
        if rows:
            say()
            table((f"{'taken':>9}", "table", "row"), [
                (f"{times:>9,}", entry.table, entry.says + (f" ({excuse})" if excuse else ""))
                for entry, times, excuse in report(result.taken)])
    ctx.exit(int(not result.ok))


@contextmanager
def _stores(store: str | None, db: str | None) -> Iterator[Stores]:
    """Where the campaign runs."""
    if db is not None:
        with given_stores(db) as stores:
            yield stores
    elif store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="kernel-faults-") as folder:
            yield SqliteStores(Path(folder))
    else:
        yield MemoryStores()


def _show_campaign(result: CampaignResult, seconds: float) -> None:
    """What was done, what fired, what was found."""
    say(f"{heading('kernel faults')}: {result.steps:,} steps in {number(result.episodes, 'episode')}, seed {result.seed}, "
        f"{result.store}, {duration(seconds)} {faint(f'({result.steps / seconds:,.0f} a second)')}\n")
    table(("fault", f"{'fired':>9}"), [(name, f"{count:>9,}") for name, count in sorted(result.fired.items())])
    say()
    table(("outcome of a command", f"{'times':>9}"), [
        (name, f"{count:>9,}") for name, count in sorted(result.outcomes.items())])
    delivered = ", ".join(f"{count:,} {name}" for name, count in sorted(result.deliveries.items()))
    say(f"\n{number(result.workflows, 'workflow')}, deliveries: {delivered or 'none'}")
    say(f"terminations under fault               {result.terminations_under_fault:>9,}")
    say(f"open tasks under terminated workflows  {result.open_under_terminated:>9,}")
    found = report(result.taken)
    say(f"rows of the tables taken               {sum(row.times > 0 for row in found):>9,}  "
        f"{faint(f'of {len(found)}; {sum(bool(row.excuse) for row in found)} are out of reach')}")
    colour = "red" if result.violations else "green"
    say(f"violations                             {click.style(f'{result.violations:>9,}', fg=colour)}")
    if result.story is not None:
        say(f"\n{safe_lines(result.story)}\n\nfound in step {result.found_in} of the run; again: {result.replay_command}")
    if result.never_fired and not result.violations:
        say(f"\nnever fired: {', '.join(result.never_fired)}; so this run shows too little. Give more --steps")
