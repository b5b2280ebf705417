"""`kernel demo`: one story, told twice. A workflow is terminated while its archive is broken: first in the order of
Conductor 3.13.5, planted in our own kernel, then by the kernel. Start, fault and audit are the same; all of it happens.
"""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from signal import SIGKILL
from typing import Any

import attrs
import click

import kernel
from kernel.cli.common import ACTOR, ARCHIVE, SQLITE, json_text
from kernel.cli.text import duration, faint, heading, number, safe_lines, say, state
from kernel.cli.tree import branches
from kernel.engine.document import checked_document
from kernel.engine.entities import Lease, Node
from kernel.engine.kernel import Kernel
from kernel.sinks.directory import file_name
from kernel.spec.vocabulary import CLOSED, ENDED, OPEN
from kernel.stores.sqlite import SqliteStore
from kernel.testing.planted import ElevenStepKernel
from kernel.testing.sinks import Behaviour, FaultySink

ORDER = "order-7"
DEFINITIONS = (
    kernel.WorkflowDef("customs", tasks=[kernel.TaskDef("declare")], topics=(ARCHIVE,)),
    kernel.WorkflowDef("shipping", tasks=[kernel.TaskDef("label"), kernel.TaskDef("customs", workflow="customs")],
                       topics=(ARCHIVE,)),
    kernel.WorkflowDef("order", tasks=[
        kernel.TaskDef("reserve"),
        kernel.TaskDef("pick", after=["reserve"]),
        kernel.TaskDef("shipping", workflow="shipping", after=["reserve"]),
        kernel.TaskDef("hand-over", after=["pick", "shipping"]),
    ], topics=(ARCHIVE,)),
)
LEASE = 60.0  # seconds that a relay holds a claim
COLUMN = 18


class AheadClock:
    """The computer's clock, and how far the story is ahead of it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> int:
        """Microseconds since the Unix epoch, UTC."""
        return time.time_ns() // 1000 + round(self.ahead * 1_000_000)


@attrs.define
class Story:
    """What is told, line by line, and the facts behind it."""

    silent: bool
    facts: dict[str, Any] = attrs.field(factory=dict)
    untrue: list[str] = attrs.field(factory=list)

    def tell(self, text: str = "") -> None:
        """A line."""
        if not self.silent:
            say(text)

    def wrong(self, text: str) -> None:
        """A line of the old order: what went wrong."""
        self.tell(f"   {click.style('✗', fg='red')} {text}")

    def quote(self, text: str) -> None:
        """An error as it prints itself."""
        for line in safe_lines(text).split("\n"):
            self.tell(f"       {faint('│')} {line}")

    def right(self, holds: bool, text: str) -> None:
        """A line of the kernel: what was checked, and found to hold."""
        mark = click.style("✓", fg="green") if holds else click.style("✗ not so:", fg="red")
        self.tell(f"   {mark} {text}")
        if not holds:
            self.untrue.append(text)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON value on standard output: the facts of the story.")
@click.pass_context
def demo(ctx: click.Context, as_json: bool) -> None:
    """Tell a story: terminate under a broken archive, then and now.

    Makes a fresh temporary folder, names it and keeps it. Takes a few seconds. Exits with 1 if anything is not as told.
    """
    folder = Path(tempfile.mkdtemp(prefix="kernel-demo-"))
    story = Story(as_json)
    before, after_a = _old_order(story, folder)
    after_b = _ours(story, folder, before)
    _show_trees(story, before, after_a, after_b)
    db = _url(folder, "b")
    story.facts |= {"folder": str(folder), "db": db, "untrue": story.untrue}
    story.tell(f"\nLook: kernel tree {ORDER} --db {db}")
    story.tell(faint(f"      kernel history {ORDER} --below --db {db}"))
    story.tell(faint(f"      kernel tree {ORDER} --db {_url(folder, 'a')}"))
    if as_json:
        click.echo(json_text(story.facts))
    ctx.exit(int(bool(story.untrue)))


def _url(folder: Path, which: str) -> str:
    return f"{SQLITE}{folder / which}.db"


def _start(k: Kernel) -> Lease:
    """Bring order-7 to where the story begins; gives the lease of the worker w1 on 'pick'."""
    k.register(*DEFINITIONS)
    k.start("order", workflow_id=ORDER, input={"sku": 7})
    (reserved,) = k.poll("reserve", worker="w0")
    k.complete(reserved, output={"shelf": 3})
    (pick,) = k.poll("pick", worker="w1")
    k.poll("label", worker="w2")
    return pick


def nodes(top: Node) -> Iterator[Node]:
    """A workflow and all below it."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children


def open_tasks(top: Node) -> int:
    """Open tasks of a tree."""
    return sum(task.state in OPEN for node in nodes(top) for task in node.tasks)


def stranded(top: Node) -> int:
    """Open tasks that are under a terminal workflow, at any depth."""
    if top.workflow.state in ENDED:
        return open_tasks(top)
    return sum(stranded(child) for child in top.children)


def _broken(folder: Path, which: str) -> FaultySink:
    """The archive of the story: every write raises, in the middle."""
    return FaultySink(kernel.DirectoryArchive(folder / f"archive-{which}"), repeat(Behaviour.HALF))


def _shape(top: Node) -> list[tuple[str, str]]:
    """Names and states of a tree: what two stores have in common."""
    return [(branch.name, str(branch.row.state)) for branch in branches(top)]


def _old_order(story: Story, folder: Path) -> tuple[Node, Node]:
    """A: the eleven steps, in their order. Gives the tree before and after."""
    with ElevenStepKernel(SqliteStore(str(folder / "a.db")), sinks={ARCHIVE: _broken(folder, "a")}, actor=ACTOR) as k:
        _start(k)
        before = k.tree(ORDER)
        _set_the_scene(story, before)
        place = faint("(planted in our own kernel, same SQLite store)")
        story.tell(f"\n{heading('A')}  the order of Conductor 3.13.5 {place}")
        try:
            k.terminate(ORDER, reason="customer withdrew")
            raised = ""
        except OSError as error:
            raised = str(error)
    with kernel.open(_url(folder, "a")) as k:
        after, report = k.tree(ORDER), k.audit()
    broken = sorted({finding.invariant for finding in report.findings})
    story.facts["a"] = {"state": after.workflow.state, "raised": raised, "stranded": stranded(after), "broken": broken,
                        "findings": len(report.findings)}
    story.wrong(f"{after.workflow.state} written; archive raised; the cancellation never ran")
    story.quote(raised)
    story.wrong(f"audit: {', '.join(broken)} broken, {number(stranded(after), 'open task')} under terminated workflows")
    return before, after


def _set_the_scene(story: Story, before: Node) -> None:
    """The start that both orders have."""
    held = sum(t.state == "IN_PROGRESS" and t.mode == "WORKER" for node in nodes(before) for t in node.tasks)
    count = sum(1 for _ in nodes(before))
    story.facts |= {"workflows": count, "open": open_tasks(before), "held": held}
    story.tell(f"{heading(ORDER)}: {number(count, 'workflow')}, {number(open_tasks(before), 'open task')}, {held} held "
               "by workers. The archive is broken: every write raises.")


def _ours(story: Story, folder: Path, before: Node) -> Node:
    """B: the kernel. Gives the tree after."""
    story.tell(f"\n{heading('B')}  kernel")
    clock = AheadClock()
    with kernel.open(_url(folder, "b"), actor=ACTOR, sinks={ARCHIVE: _broken(folder, "b")}, clock=clock,
                     chance=random.Random(7)) as k:
        lease = _start(k)
        story.untrue += [] if _shape(k.tree(ORDER)) == _shape(before) else ["both begin alike"]
        _terminate(story, k)
        _relay_fails(story, k)
        _relay_is_killed(story, k, folder)
        _worker_is_fenced(story, k, lease)
    with kernel.open(_url(folder, "b"), actor=ACTOR, sinks={ARCHIVE: kernel.DirectoryArchive(folder / "archive-b")},
                     clock=clock) as k:
        _archive_is_mended(story, k, clock, folder / "archive-b")
        report, after = k.audit(), k.tree(ORDER)
        story.facts["b"] |= {"findings": len(report.findings), "stranded": stranded(after)}
        story.right(report.clean and not stranded(after), f"audit: {number(len(report.findings), 'finding')}, "
                    f"{number(stranded(after), 'open task')} under terminated workflows")
        return after


def _terminate(story: Story, k: Kernel) -> None:
    version = k.get(ORDER).version
    applied = k.terminate(ORDER, reason="customer withdrew")
    after = k.tree(ORDER)
    terminated = sum(node.workflow.state == "TERMINATED" for node in nodes(after))
    canceled = sum(task.state == "CANCELED" for node in nodes(after) for task in node.tasks)
    pending = len(k.deliveries(state="PENDING"))
    commits = after.workflow.version - version
    story.facts["b"] = {"commits": commits, "terminated": terminated, "canceled": canceled, "pending": pending}
    story.right((commits, terminated, canceled, pending) == (1, applied.ended, applied.canceled, applied.deliveries),
                f"terminate: {number(commits, 'commit')}, {terminated} TERMINATED, {canceled} CANCELED, "
                f"{number(pending, 'delivery', 'deliveries')} PENDING")


def _relay_fails(story: Story, k: Kernel) -> None:
    before = k.tree(ORDER)
    outcomes = k.deliver().outcomes
    retry = max(outcome.retry_in for outcome in outcomes)
    error = outcomes[0].error.partition(":")[0]
    story.facts["b"] |= {"error": error, "retry_in": retry}
    story.right(k.tree(ORDER) == before and {o.state for o in outcomes} == {"PENDING"},
                f"relay: {error}, workflow state unchanged, retry in {duration(retry)}")


def _relay_is_killed(story: Story, k: Kernel, folder: Path) -> None:
    """A relay in a process of its own, killed with half of a document written."""
    before, archive = k.tree(ORDER), folder / "archive-b"
    command = [sys.executable, "-m", "kernel.cli.half_relay", _url(folder, "b"), str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:  # noqa: S603 - our own module
        written = relay.stdout.readline().strip() if relay.stdout else ""
        relay.kill()
    found = k.deliveries()
    left = sum(d.state in ("PENDING", "LEASED") for d in found)
    lost = len(found) - left + len(list(archive.glob("*.json")))
    story.facts["b"] |= {"killed": relay.returncode, "written": written, "kept": left}
    story.right(relay.returncode == -SIGKILL and bool(written) and k.tree(ORDER) == before and not lost,
                f"relay killed (SIGKILL) in the middle of a write {faint(f'({written} bytes)')}: nothing lost")


def _worker_is_fenced(story: Story, k: Kernel, lease: Lease) -> None:
    before = k.tree(ORDER)
    try:
        k.complete(lease, output={"picked": True})
        refused = None
    except kernel.Refused as error:
        refused = error
    story.facts["b"]["refused"] = str(refused)
    story.right(isinstance(refused, kernel.Fenced) and k.tree(ORDER) == before,
                f"worker {lease.worker} completes '{lease.ref}', which it holds no longer: Fenced, nothing changed")
    story.quote(f"{type(refused).__name__}: {refused}")


def _archive_is_mended(story: Story, k: Kernel, clock: AheadClock, archive: Path) -> None:
    clock.ahead += LEASE + 1
    released = k.tick().released
    later = f"{duration(LEASE)} later {faint('(by the clock of the story)')}"
    story.right(released > 0, f"{later} the dead relay's claim runs out: {released} PENDING again")
    outcomes = k.deliver().outcomes
    delivered = equal = 0
    for delivery in k.deliveries():
        document = (archive / file_name(delivery.workflow_id, delivery.run)).read_bytes()
        delivered += delivery.state == "DELIVERED"
        equal += delivery.proof == f"sha256:{hashlib.sha256(document).hexdigest()}"
        still_open = [t for t in checked_document(document)["tasks"] if t["state"] in OPEN]
        story.untrue += [f"{delivery.id} holds open tasks"] if still_open else []
    story.facts["b"] |= {"delivered": delivered, "equal": equal}
    story.right(len(outcomes) == delivered == equal > 0,
                f"archive mended: {delivered} DELIVERED, read back, digests equal")


def _show_trees(story: Story, before: Node, after_a: Node, after_b: Node) -> None:
    """The tree before, and what each order made of it, side by side."""
    drawn = [list(branches(top)) for top in (before, after_a, after_b)]
    width = max(branch.width for branch in drawn[0]) + 2
    story.tell("\n" + " " * width + faint(f"{'before':{COLUMN}}{'A after':{COLUMN}}B after"))
    ended = after_a.workflow.state in ENDED
    for was, old, new in zip(*drawn, strict=True):
        lost = ended and old.row.state not in (*ENDED, *CLOSED)
        then = f"{state(old.row.state)}{click.style(' ✗', fg='red')}" if lost else state(old.row.state)
        padding = " " * (COLUMN - len(click.unstyle(then)))
        story.tell(f"{was.label(width)}{state(was.row.state, COLUMN)}{then}{padding}{state(new.row.state)}")
    first, second = stranded(after_a), stranded(after_b)
    story.tell(f"\nopen tasks under terminated workflows: {click.style(str(first), fg='red')} vs "
               f"{click.style(str(second), fg='green')}")
    story.facts["stranded"] = [first, second]
