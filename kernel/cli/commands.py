"""Commands that change something: start, pause, resume, terminate, signal, tick, deliver, redrive; and outcome, of these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from kernel.cli.common import ARCHIVE, Json, Place, StoreCommand, command_options, notices_option, warn, warn_of_notices
from kernel.cli.files import Reading, family, load, task_defs_option
from kernel.cli.reads import State
from kernel.cli.text import duration, faint, heading, number, safe, say, state, when
from kernel.core.checks import check_name
from kernel.core.definitions import WorkflowDef
from kernel.engine.entities import Applied, Expired, NotApplied, Purged, Task, Workflow
from kernel.engine.inputs import workflow_input
from kernel.engine.outcomes import Outcome as CommandOutcome
from kernel.engine.relay import Outcome, RelayOptions, Settled
from kernel.engine.states import WorkflowState
from kernel.errors import InvalidInput, NotFound, quoted
from kernel.spec.vocabulary import CLOSED_BADLY, ENDED_BADLY


@click.command(cls=StoreCommand)
@click.argument("name", required=False)
@click.option("--file", "files", multiple=True, metavar="FILE", help="Register the definitions of a file; repeatable.")
@task_defs_option
@click.option("--version", type=click.IntRange(1), metavar="N", help="Of the definition; the newest when not given.")
@click.option("--input", "given", type=Json(), metavar="JSON", help="The workflow's input, or @FILE with it.")
@click.option("--id", "workflow_id", help="The workflow's id; made up when not given.")
@click.option("--topic", "topics", multiple=True, default=(ARCHIVE,), show_default=True, metavar="TOPIC",
              help="Topics that hear of the end of what --file defines; repeatable.")
@click.option("--notify", multiple=True, type=State([*WorkflowState]), metavar="STATUS",
              help="Topic 'notify' is told each time that one of what --file defines comes to this status; repeatable.")
@command_options
def start(
    place: Place, name: str | None, files: tuple[str, ...], task_defs: str | None, version: int | None, given: Any,
    workflow_id: str | None, topics: tuple[str, ...], notify: tuple[str, ...], **options: Any,
) -> None:
    """Start a workflow.

    NAME is that of a registered definition, or of one in a --file; it can be left out when the file has only one. Children
    that no --file and no registered definition defines come from the folder of the first --file.
    """
    if notify and not files:
        raise click.UsageError("--notify is for what --file defines: a definition that is registered stays as it is")
    how = Reading(topics, task_defs, notify)
    loaded = [load(path, how) for path in files]
    own = [each for found, _ in loaded for each in found]
    if name is None:
        name, version = chosen(own, files)
    _check_before_anything_is_written(given, workflow_id)
    with place.open(create=bool(files)) as k:
        with k.store.transaction(write=False) as transaction:
            registered = transaction.names()
        found = family(own, given, [Path(file) for file in files], how, registered=registered)
        for text in (*(text for _, texts in loaded for text in texts), *found.warnings):
            warn(text)
        for text in found.notes:
            say(safe(text), err=True)
        k.register(*found.definitions)
        try:
            workflow = k.start(name, version=version, input=given, workflow_id=workflow_id, **options)
        except NotFound as error:
            error.hint = "kernel start NAME --file FILE.json registers the definitions of a file"
            raise
        tasks = k.tasks(workflow.id) if workflow.state in ENDED_BADLY else []
    place.answer(workflow, lambda: _show_started(workflow, tasks))


def _check_before_anything_is_written(given: Any, workflow_id: str | None) -> None:
    """So that a mistake leaves neither a new store nor a new definition behind."""
    if workflow_id is not None:
        check_name(workflow_id, what="the workflow id", error=InvalidInput)
    if given is not None:
        workflow_input(given)


def chosen(definitions: list[WorkflowDef], files: tuple[str, ...]) -> tuple[str, int]:
    """The one definition that is meant when none is named. Raises UsageError."""
    if len(definitions) == 1:
        return definitions[0].name, definitions[0].version
    names = ", ".join(quoted(d.name) for d in definitions)
    raise click.UsageError(f"name one of the definitions of {', '.join(map(quoted, files))}: {names}" if files else
                           "name a definition, or give --file FILE.json")


def _show_started(workflow: Workflow, tasks: list[Task]) -> None:
    """Which workflow there is; and if it has failed already, why."""
    definition = f"{safe(workflow.name)} version {workflow.definition_version}"
    say(f"{heading(safe(workflow.id))}  {state(workflow.state)}  {definition}")
    if tasks:
        say(f"  reason   {safe(workflow.reason, 400)}")
    for task in tasks:
        if task.state in CLOSED_BADLY and task.reason and task.reason not in workflow.reason:
            say(f"  {safe(task.ref, 60)}  {state(task.state)}  {safe(task.reason, 200)}")


def _show_applied(done: str, workflow_id: str, applied: Applied) -> None:
    """What a command did, in one line."""
    if applied.no_op:
        say(f"{safe(workflow_id)}: {applied.why}; nothing changed")
        return
    parts = [f"{done}", f"1 commit (version {applied.version})"]
    if applied.ended:
        parts.append(f"{number(applied.ended, 'workflow')} ended")
    if applied.canceled:
        parts.append(f"{applied.canceled:,} CANCELED")
    if applied.deliveries:
        parts.append(f"{number(applied.deliveries, 'delivery', 'deliveries')} PENDING")
    say(f"{safe(workflow_id)}: {', '.join(parts)}")


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@command_options
def pause(place: Place, workflow_id: str, **options: Any) -> None:
    """Hand out and start nothing more, there and below."""
    with place.open() as k:
        applied = k.pause(workflow_id, **options)
    place.answer(applied, lambda: _show_applied("PAUSED", workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@command_options
def resume(place: Place, workflow_id: str, **options: Any) -> None:
    """Undo a pause, and do what waited for it."""
    with place.open() as k:
        applied = k.resume(workflow_id, **options)
    place.answer(applied, lambda: _show_applied("RUNNING", workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@command_options
def terminate(place: Place, workflow_id: str, **options: Any) -> None:
    """End a workflow now, with all below it, in one commit.

    The workflow, every descendant, every open task, history and outbox change together or not at all.
    """
    with place.open() as k:
        applied = k.terminate(workflow_id, **options)
    place.answer(applied, lambda: _show_applied("TERMINATED", workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("task")
@click.option("--output", type=Json(), metavar="JSON", help="The task's output, or @FILE with it.")
@command_options
def signal(place: Place, workflow_id: str, task: str, output: Any, **options: Any) -> None:
    """Complete a waiting task; a signal that comes early is kept."""
    with place.open() as k:
        applied = k.signal(workflow_id, task, output=output, **options)
    place.answer(applied, lambda: _show_applied(f"{quoted(task)} signalled", workflow_id, applied))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("task")
@command_options
def skip(place: Place, workflow_id: str, task: str, **options: Any) -> None:
    """Close a task that has not started as SKIPPED.

    That is a good end: what comes after the task goes on, at once if it waits for nothing else, even while what comes before
    the task is still open.
    """
    with place.open() as k:
        applied = k.skip(workflow_id, task, **options)
    place.answer(applied, lambda: _show_applied(f"{quoted(task)} SKIPPED", workflow_id, applied))


@click.command(cls=StoreCommand)
@click.option("--limit", type=click.IntRange(1, 1_000_000), metavar="N", default=10_000, show_default=True,
              help="At most so many timers.")
def tick(place: Place, limit: int) -> None:
    """Do what the clock has to do.

    That is: retries that are due, leases that expired, workflows that timed out, claims of relays that vanished.
    """
    with place.open() as k:
        fired = k.tick(limit=limit)
    place.answer(fired, lambda: say(
        f"{number(fired.total, 'timer')}: {fired.expired} expired, {fired.woken} woken, {fired.timed_out} timed out, "
        f"{fired.released} released"))


@click.command(cls=StoreCommand)
@click.option("--limit", type=click.IntRange(1, 1_000_000), metavar="N", default=100, show_default=True,
              help="At most so many deliveries.")
@click.option("--timeout", type=click.FloatRange(0, 86_400, min_open=True), metavar="S", default=10.0, show_default=True,
              help="Seconds that the archive may take for one.")
@click.pass_context
@click.option("--now", is_flag=True, help="Also what waits for its window, its round or its next attempt; each once.")
@notices_option
def deliver(ctx: click.Context, place: Place, limit: int, timeout: float, now: bool, notices: str | None) -> None:
    """Drain the outbox into the archive, once.

    Claims what is due of topic 'archive', writes it into --archive, reads it back, confirms; so it does with notices of changes
    of status, into --notices. What fails is tried again by a later call, a little later each time; after its last attempt it is
    DEAD, until kernel redrive. While --archive cannot be written nothing is claimed, and no attempt counts. Failure workflows
    that are asked for are started.

    Exits with 0 when all that was due is delivered, with 1 when something failed or the archive cannot be written.
    """
    if place.archive is None:
        warn("no --archive DIR, nor KERNEL_ARCHIVE: deliveries of topic 'archive' stay PENDING")
    with place.open(relay=RelayOptions(timeout=timeout), notices=notices) as k:
        warn_of_notices(k, notices)
        settled = k.deliver(limit=limit, now=now)
    place.answer(settled, lambda: show_settled(settled))
    ctx.exit(int(bool(settled.released or settled.dead or settled.obstacles)))


def show_settled(settled: Settled) -> None:
    """What became of the deliveries of a pass."""
    for outcome in settled.outcomes:
        say(f"{safe(outcome.id)}  {_outcome(outcome)}")
    for obstacle in settled.obstacles:
        say(f"topic {quoted(obstacle.topic)} takes nothing now: {safe(obstacle.why)}; what is due waits, no attempt counts")
    say(f"{settled.delivered} DELIVERED, {settled.released} to be tried again, {settled.dead} DEAD")


def _outcome(outcome: Outcome) -> str:
    if outcome.state == "DELIVERED":
        return f"{state('DELIVERED')}  {faint(safe(outcome.proof, 40))}"
    retry = f"; again in {duration(outcome.retry_in)}" if outcome.retry_in else ""
    return f"{state(outcome.state)}  {safe(outcome.error)}{retry}"


@click.command(cls=StoreCommand)
@click.argument("delivery_ids", metavar="[DELIVERY]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Every DEAD delivery of the store.")
@command_options
def redrive(place: Place, delivery_ids: tuple[str, ...], every: bool, **options: Any) -> None:
    """Try DEAD deliveries again, with all their attempts."""
    if every == bool(delivery_ids):
        raise click.UsageError("name the deliveries, or give --all")
    if options["command_id"] is not None and len(delivery_ids) != 1:
        raise click.UsageError("a --command-id is for one delivery: name it")
    with place.open() as k:
        if every:
            delivery_ids = tuple(d.id for d in k.deliveries(state="DEAD", limit=1_000_000))
        applied = [k.redrive(each, **options) for each in delivery_ids]
    place.answer(applied, lambda: _show_redriven(delivery_ids, applied))


def _show_redriven(delivery_ids: tuple[str, ...], applied: list[Applied]) -> None:
    for name, each in zip(delivery_ids, applied, strict=True):
        say(f"{safe(name)}: {f'{each.why}; nothing changed' if each.no_op else 'PENDING again'}")
    if not applied:
        say("no delivery is DEAD")


@click.command(cls=StoreCommand)
@click.argument("command_id", metavar="ID")
@click.option("--workflow", "workflow_id", metavar="ID",
              help="Any workflow of the command's tree; not needed for a start that named no --id.")
@click.pass_context
def outcome(ctx: click.Context, place: Place, command_id: str, workflow_id: str | None) -> None:
    """Tell what became of a command whose answer was lost, for good.

    ID is the --command-id that was given, or the one that a CommitUnknown names. Waits for a twin that is still under way. A
    command that was not applied can never be under this id: give it again under another.

    Exits with 0 when it was applied, with 1 when not, with 9 when that was too long ago, or its tree was purged, to know more.
    """
    with place.open() as k:
        found = k.outcome(command_id, workflow_id=workflow_id)
    place.answer({"outcome": type(found).__name__, **attrs.asdict(found)}, lambda: _show_outcome(found))
    ctx.exit({Applied: 0, NotApplied: 1, Expired: 9, Purged: 9}[type(found)])


def _show_outcome(found: CommandOutcome) -> None:
    name = safe(found.command_id)
    match found:
        case Applied():
            _show_applied("applied", name, found)
        case Expired():
            say(f"{name}: applied at {when(found.at)} UTC; what came of it is no longer kept")
        case Purged():
            say(f"{name}: its tree was purged at {when(found.at)} UTC; what came of its commands is no longer kept")
        case NotApplied():
            say(f"{name}: not applied, and under this id it never will be")
