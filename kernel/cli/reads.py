"""Commands that only read: list, show, tree, history, deliveries, audit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from typing import Any

import click

from kernel.cli.common import Place, StoreCommand
from kernel.cli.text import faint, heading, number, safe, say, state, table, when
from kernel.cli.tree import draw
from kernel.core.decide import Choice
from kernel.engine.entities import Delivery, HistoryRow, LateResult, Page, Report, Task, Workflow
from kernel.engine.kernel import Kernel
from kernel.engine.states import DeliveryState, WorkflowState
from kernel.errors import NotFound, quoted

FINDINGS_SHOWN = 20
limit_option = click.option("--limit", type=click.IntRange(1, 1_000_000), metavar="N", default=100, show_default=True,
                            help="At most so many lines.")


def after_option(what: str) -> Callable[[Any], Any]:
    """The option that continues a listing."""
    return click.option("--after", metavar=what.upper(), help=f"Continue behind this {what}.")


class State(click.Choice[str]):
    """A state of a lifecycle, in any case of letters."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The state's name."""
        return super().convert(str(value).upper(), param, ctx)


@click.command("list", cls=StoreCommand)
@click.option("--state", "wanted", type=State([*WorkflowState]), help="Only those in this state.")
@click.option("--name", help="Only those of this definition.")
@after_option("id")
@limit_option
def list_workflows(place: Place, wanted: str | None, name: str | None, after: str | None, limit: int) -> None:
    """List workflows by id, sub-workflows included."""
    with place.open() as k:
        page = k.find(state=wanted, name=name, after=after, limit=limit)
    place.answer(page, lambda: _show_page(page))


def _show_page(page: Page) -> None:
    if not page.items:
        say("no workflow")
        return
    table(("id", "state", "definition", "changed (UTC)", "reason"), [
        (safe(w.id), state(w.state), f"{safe(w.name)} {w.definition_version}", when(w.changed), safe(w.reason, 40))
        for w in page.items])
    if page.after:
        say(faint(f"more: --after {safe(page.after)}"))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.argument("task", metavar="[TASK]", required=False)
@click.option("--run", type=int, metavar="N", help="An earlier run.")
def show(place: Place, workflow_id: str, task: str | None, run: int | None) -> None:
    """Show a workflow or a task, and what is allowed now.

    And of everything that is not allowed, why.
    """
    with place.open() as k:
        workflow = k.get(workflow_id, run=run)
        if workflow.purged is not None and task is None:
            value = {"workflow": workflow, "tasks": [], "deliveries": [], "late": [], "choices": []}
            place.answer(value, lambda: _show_purged(workflow))
            return
        tasks = k.tasks(workflow_id, run=run)
        one = _named(task, tasks, workflow)
        choices = _allowed(k, workflow, task)
        deliveries = [d for d in k.deliveries(workflow_id=workflow_id) if d.run == workflow.run]
        late = [each for each in k.late(workflow_id) if each.run == workflow.run and task in (None, each.task)]
    if one is not None:
        place.answer({"task": one, "late": late, "choices": choices}, lambda: _show_task(one, late, choices))
        return
    value = {"workflow": workflow, "tasks": tasks, "deliveries": deliveries, "late": late, "choices": choices}
    place.answer(value, lambda: _show_workflow(workflow, tasks, deliveries, late, choices))


def _named(ref: str | None, tasks: list[Task], workflow: Workflow) -> Task | None:
    """The task of a run that is asked for; None when none is. Raises NotFound."""
    found = next((task for task in tasks if task.ref == ref), None)
    if found is None and ref is not None:
        raise NotFound(f"task {quoted(ref)} of workflow {quoted(workflow.id)}", why=f"run {workflow.run} has no such task",
                       hint=f"kernel tree {shlex.quote(workflow.id)} shows its tasks, those of an earlier run with --run")
    return found


def _allowed(k: Kernel, workflow: Workflow, task: str | None) -> list[Choice]:
    """What could be given now; nothing to what stayed behind with an earlier run."""
    try:
        return k.allowed(workflow.id, task)
    except NotFound:
        return []


def _facts(pairs: Iterable[tuple[str, str]]) -> None:
    for label, text in pairs:
        if text:
            say(f"  {label:<11}{text}")


def _json(value: object) -> str:
    return "" if value is None else safe(json.dumps(value), 200)


def _show_late(late: list[LateResult]) -> None:
    """What came too late, beside the history."""
    for each in late:
        what = f"failed: {safe(each.reason, 60)}" if each.event == "FAIL" else f"output {_json(each.output)}"
        if each.event == "COMPLETE" and each.size and each.output is None:
            what = f"{each.size:,} bytes, not kept"
        worker = safe(each.worker, 30) or "a worker"
        say(f"\nlate: {each.event} of {safe(each.task, 60)}, attempt {each.attempt}, by {worker} at {when(each.at)}: {what}")


def _show_workflow(
    workflow: Workflow, tasks: list[Task], deliveries: list[Delivery], late: list[LateResult], choices: list[Choice]
) -> None:
    say(f"{heading(safe(workflow.id))}  {state(workflow.state)}")
    _facts((
        ("definition", f"{safe(workflow.name)} version {workflow.definition_version}"),
        ("parent", safe(workflow.parent or "")), ("run", f"{workflow.run}, version {workflow.version}"),
        ("started", when(workflow.started)), ("changed", when(workflow.changed)),
        ("deadline", when(workflow.deadline) if workflow.deadline else ""),
        ("paused by", safe(workflow.paused_by or "")), ("reason", safe(workflow.reason, 200)),
        ("input", _json(workflow.input)), ("output", _json(workflow.output)), ("variables", _json(workflow.variables or None)),
    ))
    say()
    table(("task", "state", "kind", "attempt", "worker", "changed (UTC)", "reason"), [
        (safe(t.ref, 60), state(t.state), t.mode.lower(), str(t.attempt), safe(t.worker, 30), when(t.changed),
         safe(t.reason, 40)) for t in tasks])
    for delivery in deliveries:
        say(f"\ndelivery {safe(delivery.id)}  {state(delivery.state)}  {faint(_remark(delivery))}")
    _show_late(late)
    _show_choices(choices)


def _show_purged(workflow: Workflow) -> None:
    """A workflow of which the archive tells."""
    say(f"{heading(safe(workflow.id))}  {state(workflow.state)}  purged; this is what its archive tells")
    _facts((
        ("definition", f"{safe(workflow.name)} version {workflow.definition_version}"),
        ("parent", safe(workflow.parent or "")), ("run", str(workflow.run)), ("started", when(workflow.started)),
        ("changed", when(workflow.changed)), ("purged", when(workflow.purged) if workflow.purged else ""),
        ("reason", safe(workflow.reason, 200)), ("input", _json(workflow.input)), ("output", _json(workflow.output)),
        ("variables", _json(workflow.variables or None)),
    ))


def _show_task(task: Task, late: list[LateResult], choices: list[Choice]) -> None:
    say(f"{heading(safe(task.ref))} of {safe(task.workflow_id)}  {state(task.state)}")
    _facts((
        ("type", f"{safe(task.type)} ({task.mode.lower()})"), ("attempt", str(task.attempt)),
        ("spawned by", safe(task.spawned_by or "")), ("worker", safe(task.worker)),
        ("not before", when(task.not_before) if task.not_before and task.not_before > task.changed else ""),
        ("expires", when(task.expires) if task.expires else ""), ("changed", when(task.changed)),
        ("reason", safe(task.reason, 200)), ("input", _json(task.input)), ("output", _json(task.output)),
    ))
    _show_late(late)
    _show_choices(choices)


def _show_choices(choices: list[Choice]) -> None:
    """What could be given now, and the reason of everything that could not."""
    may = [c.event for c in choices if c.allowed]
    say(f"\nallowed now: {', '.join(may) or 'nothing'}")
    for choice in choices:
        if not choice.allowed:
            guard = faint(f"  (guard: {choice.guard})") if choice.guard else ""
            say(f"  not {choice.event:<11}{choice.reason}{guard}")


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--run", type=int, metavar="N", help="An earlier run.")
def tree(place: Place, workflow_id: str, run: int | None) -> None:
    """Draw a workflow, its tasks, and all below it."""
    with place.open() as k:
        top = k.tree(workflow_id, run=run)
    place.answer(top, lambda: draw(top))


@click.command(cls=StoreCommand)
@click.argument("workflow_id", metavar="ID")
@click.option("--run", type=int, metavar="N", help="Only of this run.")
@click.option("--below", is_flag=True, help="With everything that happened in its tree.")
@click.option("--after", type=click.IntRange(0), default=0, metavar="SEQ", help="Continue behind this line.")
@limit_option
def history(place: Place, workflow_id: str, run: int | None, below: bool, after: int, limit: int) -> None:
    """Print what happened, commit by commit.

    Results that came too late, which changed nothing, stand behind it.
    """
    with place.open() as k:
        lines = k.history(workflow_id, run=run, below=below, after=after, limit=limit)
        late = [each for each in k.late(workflow_id) if run in (None, each.run)] if len(lines) < limit else []
    place.answer(lines, lambda: _show_history(lines, late, workflow_id, limit))


def _show_history(lines: list[HistoryRow], late: list[LateResult], workflow_id: str, limit: int) -> None:
    table(("version", "when (UTC)", "what", "event", "state", "by", "reason"), [
        (str(line.version), when(line.at), _subject(line, workflow_id), line.event,
         f"{'' if line.source == 'ABSENT' else safe(line.source) + ' '}→ {state(line.target)}", _by(line),
         safe(line.reason, 40)) for line in lines])
    if len(lines) == limit:
        say(faint(f"more: --after {lines[-1].seq}"))
    _show_late(late)


def _subject(line: HistoryRow, workflow_id: str) -> str:
    place = "" if line.workflow_id == workflow_id else f" of {safe(line.workflow_id, 40)}"
    if line.kind == "workflow":
        return safe(line.workflow_id, 50)
    return f"{number(line.count, line.kind)}{place}" if not line.subject else f"{safe(line.subject, 40)}{place}"


def _by(line: HistoryRow) -> str:
    who = f" ({safe(line.actor, 20)})" if line.actor else ""
    return f"{line.by}{who}"


@click.command(cls=StoreCommand)
@click.option("--state", "wanted", type=State([*DeliveryState]), help="Only those in this state.")
@click.option("--workflow", "workflow_id", metavar="ID", help="Only those of this workflow.")
@after_option("delivery")
@limit_option
def deliveries(place: Place, wanted: str | None, workflow_id: str | None, after: str | None, limit: int) -> None:
    """List what is to be delivered, was delivered, or died."""
    with place.open() as k:
        found = k.deliveries(state=wanted, workflow_id=workflow_id, after=after, limit=limit)
    place.answer(found, lambda: _show_deliveries(found, limit))


def _show_deliveries(found: list[Delivery], limit: int) -> None:
    if not found:
        say("no delivery")
        return
    table(("delivery", "state", "attempt", "proof or error"), [
        (safe(d.id), state(d.state), f"{d.attempt} of {d.sends}", _remark(d)) for d in found])
    if len(found) == limit:
        say(faint(f"more: --after {safe(found[-1].id)}"))


def _remark(delivery: Delivery) -> str:
    if delivery.state == DeliveryState.DELIVERED:
        return safe(delivery.proof, 80)
    due = f"due {when(delivery.due)}" if delivery.due and delivery.attempt else ""
    return "; ".join(part for part in (safe(delivery.error, 80), due) if part)


@click.command(cls=StoreCommand)
@click.pass_context
def audit(ctx: click.Context, place: Place) -> None:
    """Check every state invariant on the whole store. Exits with 1 when one is broken."""
    with place.open() as k:
        report = k.audit()
    place.answer(report, lambda: show_report(report))
    if not report.clean:
        ctx.exit(1)


def show_report(report: Report, shown: int = FINDINGS_SHOWN) -> None:
    """Print what an audit found."""
    sizes = ", ".join((number(report.workflows, "workflow"), number(report.tasks, "task"),
                       number(report.deliveries, "delivery", "deliveries")))
    verdict = click.style("0 findings", fg="green") if report.clean else click.style(
        number(len(report.findings), "finding"), fg="red")
    say(f"audit: {verdict} in {sizes}")
    for finding in report.findings[:shown]:
        subject = f", {safe(finding.subject)}" if finding.subject else ""
        say(f"  {finding.invariant}  {safe(finding.workflow_id)}{subject} (run {finding.run}): {finding.text}")
    if len(report.findings) > shown:
        say(faint(f"  and {len(report.findings) - shown:,} more: --json gives all"))
