"""`kernel run`: real definitions from end to end, with workers, an operator, a relay and an archive that may fail."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import click

import kernel
from kernel.cli.common import ARCHIVE, MEMORY, FreshCommand, Json, Place, url_of
from kernel.cli.crew import Crew, Unreliable
from kernel.cli.exits import code_of
from kernel.cli.files import Case, Job, Reading, prepare, read_cases, task_defs_option
from kernel.cli.handlers import functions_for, functions_of
from kernel.cli.text import Live, duration, faint, heading, number, safe, state, table
from kernel.core.definitions import WorkflowDef
from kernel.core.records import root_of
from kernel.engine.entities import Report, Workflow
from kernel.engine.kernel import Kernel
from kernel.engine.relay import RelayOptions
from kernel.errors import KernelError, NotFound, quoted
from kernel.spec.vocabulary import ENDED

WIDEST_NAME = 44
RELAY = RelayOptions(first=0.05, longest=1.0)  # impatient: people are watching
ATTEMPTS = 8  # of a delivery, for the same reason


@attrs.frozen(kw_only=True)
class Settings:
    """What the user asked of all files."""

    place: Place
    how: Reading
    folder: Path
    workers: int
    functions: dict[str, Any]
    probability: float
    chance: random.Random
    terminate_after: int | None
    live: Live


@attrs.frozen(kw_only=True)
class Result:
    """How one file went."""

    file: str
    db: str = ""
    workflows: tuple[Workflow, ...] = ()
    tasks: int = 0
    closed: int = 0
    completed: int = 0
    deliveries: dict[str, int] = attrs.field(factory=dict)
    raised: int = 0
    expect: tuple[str, ...] = ()
    audit: Report | None = None
    seconds: float = 0.0
    planted: bool = False
    error: KernelError | None = None

    @property
    def faults(self) -> list[str]:
        """What did not end well."""
        found = [f"{safe(w.id)} is {w.state}" for w in self.workflows if w.state not in ENDED]
        found += [f"{safe(w.id)} ended {w.state}, not {' or '.join(self.expect)}"
                  for w in self.workflows if w.state in ENDED and self.expect and w.state not in self.expect]
        found += [f"{n} {name}" for name, n in self.deliveries.items() if name not in self._settled]
        findings = len(self.audit.findings) if self.audit else 0
        return found + ([number(findings, "audit finding")] if findings else [])

    @property
    def well(self) -> bool:
        """Whether all of it ended as it should."""
        return self.error is None and not self.faults

    @property
    def _settled(self) -> tuple[str, ...]:
        """DEAD is an end of a delivery, but a good one only where it was asked for."""
        return ("DELIVERED", "DEAD") if self.planted else ("DELIVERED",)


@click.command(cls=FreshCommand)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--input", "given", type=Json(), metavar="JSON", help="Input of each workflow, or @FILE with it.")
@click.option("--cases", metavar="FILE", help="JSON with input, companions, workers, expected end; by file name.")
@task_defs_option
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", default=2, show_default=True, help="Threads that poll.")
@click.option("--handlers", metavar="MODULE",
              help="Python module, found from the current folder, that is imported and runs: its function named like a "
                   "task's type gets the task's input and returns its output. Types without one are echoed.")
@click.option("--fail-archive", "probability", type=click.FloatRange(0, 1), default=0.0, metavar="P",
              help="The archive raises with this probability.")
@click.option("--terminate-after", type=click.IntRange(0), metavar="N",
              help="Terminate each workflow after N completed tasks.")
@click.option("--seed", type=int, metavar="N", default=1, show_default=True, help="Of the chance of --fail-archive.")
@click.pass_context
def run(
    ctx: click.Context, place: Place, files: tuple[str, ...], given: Any, cases: str | None, task_defs: str | None,
    workers: int, handlers: str | None, probability: float, terminate_after: int | None, seed: int,
) -> None:
    """Run definitions from end to end, and check their ends.

    Takes files of Conductor's JSON. Starts what no other definition of the same file starts. Children come from the files
    given, or else from the folder of the file. Workers echo the input of a task as its output. The command itself signals
    waiting tasks.

    Exits with 0 when every workflow is terminal (as its case expects), every delivery settled and the audit clean. DEAD
    counts as settled with --fail-archive only.
    """
    known = read_cases(cases)
    functions = functions_of(handlers) if handlers is not None else {}
    settings = Settings(
        place=place, how=Reading(task_defs=task_defs), folder=Path(tempfile.mkdtemp(prefix="kernel-run-")), workers=workers,
        functions=functions, probability=probability, chance=random.Random(seed), terminate_after=terminate_after,
        live=Live(err=place.as_json))
    others = {Path(each).absolute() for each in (cases, task_defs) if each is not None}
    paths = [path for path in map(Path, files) if path.absolute() not in others]
    results = []
    for number_, path in enumerate(paths, start=1):
        case = known.get(path.name, Case())
        if given is not None:
            case = attrs.evolve(case, input=given)
        settings.live.line(heading(f"[{number_}/{len(paths)}] {safe(path)}"))
        results.append(_one(path, paths, case, settings))
        settings.live.clear()
    with suppress(OSError):
        settings.folder.rmdir()  # nothing ran, so that it is empty
    place.answer(
        {"well": all(r.well for r in results), "folder": str(settings.folder), "runs": [_facts(r) for r in results]},
        lambda: _summary(results, settings))
    errors = [r.error for r in results if r.error is not None]
    ctx.exit(code_of(errors[0]) if errors else int(not all(r.well for r in results)))


def _facts(result: Result) -> dict[str, object]:
    """A result as JSON has it."""
    return {"file": result.file, "well": result.well, "faults": result.faults,
            **{each.name: getattr(result, each.name) for each in attrs.fields(Result)[1:]}}


def _one(path: Path, given: list[Path], case: Case, settings: Settings) -> Result:
    """Run one file. What the kernel refuses becomes part of the result, so that the other files still run."""
    tell = settings.live.line
    try:
        job = prepare(path, given, case, settings.how)
        for text in job.warnings:
            about = text.removeprefix(f"{quoted(str(path))}, ")
            tell(f"  {click.style('warning:', fg='yellow')} {safe(about)}")
        for text in job.notes:
            tell(f"  {safe(text)}")
        return _run(job, settings)
    except KernelError as error:
        for line in f"{type(error).__name__}: {error}".split("\n"):
            tell(f"  {click.style(safe(line), fg='red')}")
        return Result(file=path.name, error=error)


def _run(job: Job, settings: Settings) -> Result:
    started = time.monotonic()
    url = url_of(settings.place.db or f"{settings.folder / job.file.stem}.db")
    archive = Unreliable(
        kernel.DirectoryArchive(settings.place.archive or settings.folder / "archive" / job.file.stem),
        settings.probability, settings.chance)
    tell = settings.live.line
    with kernel.open(url, sinks={ARCHIVE: archive}, relay=RELAY, attempts=ATTEMPTS, actor="kernel run") as k:
        _refuse_foreign(k, url)
        k.register(*job.definitions)
        roots = [_start(k, definition, job.case, tell) for definition in job.start]
        crew = Crew(
            k, types=job.types, workers=settings.workers,
            functions=lambda types: functions_for(types, job.case.handlers, settings.functions),
            terminate_after=settings.terminate_after, tell=lambda text: tell(f"  {text}"), live=settings.live.show)
        crew.run(roots)
        found = k.deliveries(limit=1_000_000)
        deliveries = Counter(str(d.state) for d in found if root_of(d.workflow_id) in crew.trees)
        expect = (job.case.expect,) if job.case.expect else ()
        return Result(
            file=job.file.name, db=url, workflows=tuple(k.get(root) for root in roots), audit=k.audit(),
            tasks=sum(p.tasks for p in crew.trees.values()), closed=sum(p.closed for p in crew.trees.values()),
            completed=sum(p.well for p in crew.trees.values()),
            deliveries=dict(deliveries), raised=archive.raised, planted=settings.probability > 0,
            expect=(*expect, "TERMINATED") if expect and settings.terminate_after is not None else expect,
            seconds=time.monotonic() - started)


def _refuse_foreign(k: Kernel, url: str) -> None:
    """The workers take every task of a type: they must not work on what somebody else started."""
    live = [w for name in ("RUNNING", "PAUSED") for w in k.find(state=name, limit=3).items]
    if live:
        names = ", ".join(safe(w.id) for w in live)
        raise click.UsageError(f"{quoted(url)} holds live workflows that this run did not start ({names}); its workers "
                               "would take their tasks. Give another --db, or none.")


def _start(k: Kernel, definition: WorkflowDef, case: Case, tell: Callable[[str], None]) -> str:
    """Start a workflow under the first free id: the name of its definition, or that with a number."""
    tried = 1
    workflow_id = definition.name
    while _exists(k, workflow_id):
        tried += 1
        workflow_id = f"{definition.name}-{tried}"
    k.start(definition.name, version=definition.version, input=case.input, workflow_id=workflow_id)
    tell(f"  started {quoted(workflow_id)} ({safe(definition.name)} version {definition.version})")
    return workflow_id


def _exists(k: Kernel, workflow_id: str) -> bool:
    try:
        k.get(workflow_id)
    except NotFound:
        return False
    return True


def _summary(results: list[Result], settings: Settings) -> None:
    """The table at the end."""
    live = settings.live
    live.line("")
    table(("file", "ended", "tasks", "archive", "verdict"), [_row(r) for r in results])
    well, refused = sum(r.well for r in results), sum(r.error is not None for r in results)
    parts = [(well, "well", "green"), (len(results) - well - refused, "not well", "red"), (refused, "refused", "red")]
    verdict = ", ".join(click.style(f"{n} {name}", fg=colour) for n, name, colour in parts if n)
    delivered, raised = sum(r.deliveries.get("DELIVERED", 0) for r in results), sum(r.raised for r in results)
    live.line(f"\n{number(len(results), 'file')}: {verdict}; {number(delivered, 'document')} archived"
              f"{f', though the archive raised {raised:,} times' if raised else ''}")
    shown = next((r for r in results if r.workflows and r.db != MEMORY), None)
    if shown is not None:
        live.line(faint(f"Kept in {safe(settings.place.db or settings.folder)}"))
        for name, how in (("DEAD", "kernel redrive --all --db {}, then kernel deliver --archive DIR"),
                          ("PENDING", "kernel deliver --archive DIR --db {}")):
            left = next((r for r in results if name in r.deliveries), None)
            if left is not None:
                live.line(f"{name} ones: {how.format(safe(left.db))}")
        live.line(faint(f"Look: kernel tree {safe(shown.workflows[0].id)} --db {safe(shown.db)}"))


def _row(result: Result) -> tuple[str, ...]:
    name = safe(result.file.removesuffix(".json"))
    name = name if len(name) <= WIDEST_NAME else f"{name[:WIDEST_NAME - 16]}…{name[-15:]}"
    if result.error is not None:
        return name, "-", "-", "-", click.style("refused", fg="red")
    archive = ", ".join(f"{n} {each}" for each, n in sorted(result.deliveries.items())) or "-"
    return (
        name, ", ".join(state(each) for each in dict.fromkeys(w.state for w in result.workflows)),
        f"{result.completed} of {result.tasks}", archive + (f", {result.raised} raised" if result.raised else ""),
        click.style("well", fg="green") + faint(f"  {duration(result.seconds)}") if result.well
        else click.style(f"not well: {'; '.join(result.faults)}", fg="red"),
    )
