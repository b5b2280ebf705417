"""Planted bugs: each breaks one promise, as small as possible, so that the tests can be seen to fail.

Where the tables can say it, a bug is an edit of the specification, compiled as ever; else a kernel that does one thing wrong.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from typing import Any, Unpack, cast

import attrs
from attrs import frozen

from kernel.core.archive import COMPENSATION
from kernel.core.plan import Command, Plan, Subject, Tally
from kernel.core.program import Program, compile_program
from kernel.core.records import Change, DeliveryRow, TaskRow, TreeRow, root_of
from kernel.core.snapshot import Snapshot
from kernel.engine import reading
from kernel.engine.courier import Failed
from kernel.engine.document import document
from kernel.engine.entities import Applied, Lease, Workflow
from kernel.engine.explain import delivery_id
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel, Options
from kernel.engine.ports import Store, Transaction
from kernel.engine.sinks import Parcel
from kernel.spec import SPEC, Spec
from kernel.spec.language import NEVER, Fire, Lock, Row, Step
from kernel.spec.vocabulary import ABSENT, ENDED
from kernel.testing.world import KernelFactory

TOP = 1_000_000


# ---- edits of the specification -----------------------------------------------------------------------------------------
def _with_rows(spec: Spec, kind: str, event: str, *guards: str) -> Spec:
    """The specification with these guards, by name, taken out of the rows of an event."""
    def edited(row: Row) -> Row:
        if row.event != event:
            return row
        return attrs.evolve(row, guards=tuple(g for g in row.guards if g.name not in guards))

    table = attrs.evolve(spec.tables[kind], rows=tuple(edited(row) for row in spec.tables[kind].rows))
    return attrs.evolve(spec, tables={**spec.tables, kind: table})


def _with_cascade(*cascade: Fire) -> Spec:
    """The specification with another cascade on entering a terminal state."""
    entering, *rest = SPEC.on_enter
    return attrs.evolve(SPEC, on_enter=(attrs.evolve(entering, cascade=cascade), *rest))


def _with_commands(spec: Spec, *added: Step) -> Spec:
    """The specification with further commands, in the place of those of the same name."""
    names = {step.name for step in added}
    return attrs.evolve(spec, commands=(*(step for step in spec.commands if step.name not in names), *added))


@cache
def _forgetful() -> Program:
    """Endings reach sub-workflows one level down only."""
    return compile_program(_with_cascade(Fire("TERMINATE", "children"), Fire("CANCEL", "all_tasks")))


@cache
def _trusting() -> Program:
    """HEARTBEAT asks for no lease."""
    return compile_program(_with_rows(SPEC, "task", "HEARTBEAT", "lease held"))


@cache
def _hasty() -> Program:
    """Starts come before ends."""
    first = tuple(rule for rule in SPEC.progress if rule.on == "workflow" and rule.name.startswith("HAND_"))
    starts = tuple(rule for rule in SPEC.progress if rule.on == "task")
    rest = tuple(rule for rule in SPEC.progress if rule not in first and rule not in starts)
    return compile_program(attrs.evolve(SPEC, progress=(*first, *starts, *rest)))


@cache
def _unparented() -> Program:
    """RESUME does not ask for the parent."""
    return compile_program(_with_commands(SPEC, attrs.evolve(SPEC.command("RESUME"), guards=())))


@cache
def _pause_blind() -> Program:
    """POLL does not ask for the workflow."""
    return compile_program(_with_rows(SPEC, "task", "POLL", "workflow RUNNING"))


@cache
def _silent() -> Program:
    """A sub-workflow's end is handed over by no rule."""
    return compile_program(attrs.evolve(
        SPEC, progress=tuple(rule for rule in SPEC.progress if not rule.name.startswith("HAND_"))))


@cache
def _telling() -> Program:
    """A command that does nothing but let progress look at a workflow."""
    return compile_program(_with_commands(SPEC, Step("TELL", "workflow", ())))


@cache
def _without_cascade() -> Program:
    """TERMINATE writes one workflow; a command of its own, later, reaches what is below."""
    entering = SPEC.on_enter[0]
    return compile_program(_with_commands(_with_cascade(), Step("CANCEL_REST", "workflow", entering.cascade)))


# ---- kernels that do one thing wrong ------------------------------------------------------------------------------------
class ElevenStepKernel(Kernel):
    """Terminates in the order of Conductor 3.13.5, in two commits.

    TERMINATED is written, the archive is called in line, then the tasks are cancelled. When the archive raises, the
    cancellation never runs.
    """

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **options)
        self._steps = Kernel(store, **{**options, "program": _without_cascade()})

    def terminate(self, workflow_id: str, **options: Any) -> Applied:
        """Write, call, cancel. Raises OSError when the archive fails in the middle."""
        written = self._steps.terminate(workflow_id, **options)
        if written.no_op:
            return written
        self._call_listeners(workflow_id)
        rest = self._steps.commit(self._steps.command("CANCEL_REST", Subject(workflow_id)))
        return _together(written, rest)

    def _call_listeners(self, workflow_id: str) -> None:
        run, courier = self.get(workflow_id).run, self._relay.courier
        for topic in sorted(courier.topics - {COMPENSATION}):
            answer = courier.carry(Parcel(
                key=f"{self.store.id}:{delivery_id(workflow_id, run, topic)}", topic=topic, workflow_id=workflow_id, run=run,
                attempt=1, open=lambda: document(self.store, workflow_id, run)))
            if isinstance(answer, Failed):
                raise OSError(answer.error)


def _together(first: Applied, second: Applied) -> Applied:
    """Two commits told as one."""
    return attrs.evolve(
        second, command_id=first.command_id, ended=first.ended + second.ended, canceled=first.canceled + second.canceled,
        deliveries=first.deliveries + second.deliveries, no_op=first.no_op, why=first.why)


Answers = dict[tuple[str, str], Applied]
"""What commands were answered, by store and command id."""


class _AfterwardsKernel(Kernel):
    """A kernel that does something more in a second commit, after every command."""

    def __init__(self, store: Store, answers: Answers, **options: Any) -> None:
        """As `Kernel`. `answers` is what keeps the bug small: a command that comes again is answered as the first time."""
        super().__init__(store, **options)
        self._answers = answers

    def afterwards(self, applied: Applied, root: str) -> Applied:
        """The second commit; gives what both did."""
        raise NotImplementedError

    def commit(self, command: Command) -> Applied:
        """Commit twice, unless the command came before."""
        first, key = super().commit(command), (self.store.id, command.id)
        if key not in self._answers:
            self._answers[key] = self.afterwards(first, root_of(command.subject.workflow))
        return self._answers[key]

    def start(self, name: str, **options: Any) -> Workflow:
        """Commit twice."""
        started = super().start(name, **options)
        self.afterwards(Applied("", started.version), root_of(started.id))
        return self.get(started.id)


class ToldLaterKernel(_AfterwardsKernel):
    """Tells the parent's task of a sub-workflow's end in a commit of its own."""

    def __init__(self, store: Store, answers: Answers, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, answers, **{**options, "program": _silent()})
        self._teller = Kernel(store, **{**options, "program": _telling()})

    def afterwards(self, applied: Applied, root: str) -> Applied:
        """Tell the parents of all that ended."""
        with self.store.transaction(write=False) as transaction:
            tree = transaction.tree(root)
            rows = [] if tree is None else transaction.below(root, tree.run)
        for row in sorted(rows, key=lambda row: -row.depth):
            if row.parent and row.state in ENDED:
                applied = _together(applied, self._teller.commit(self._teller.command("TELL", Subject(row.id))))
        return applied


@frozen
class _WithoutOutbox:
    """A transaction that writes everything of a plan but its deliveries; `missing` are those of all that have ended."""

    inner: Transaction

    def snapshot(self, subject: Subject, lock: Lock = Lock.TREE) -> Snapshot:
        """As the transaction."""
        return self.inner.snapshot(subject, lock)

    def task(self, workflow_id: str, run: int, no: int) -> TaskRow | None:
        """As the transaction."""
        return self.inner.task(workflow_id, run, no)

    def write(self, plan: Plan) -> Tally:
        """Write the plan, less its outbox; tell of it all the same."""
        kept = copy(plan)
        kept.created_deliveries = []
        kept.first = [attrs.evolve(cascade, emits=()) for cascade in plan.first]
        kept.last = [attrs.evolve(cascade, emits=()) for cascade in plan.last]
        kept.changes = [change for change in plan.changes if change.kind != "delivery" or change.event != "CREATE"]
        tally = self.inner.write(kept)
        return tally._replace(deliveries=len(_missing(self.inner, plan.tree)) - len(plan.created_deliveries))


def _missing(transaction: Transaction, tree: TreeRow) -> list[tuple[str, str]]:
    """The deliveries that ended workflows of a tree should have and have not: workflow and topic."""
    return [(row.id, topic) for row in transaction.below(tree.root, tree.run) if row.state in ENDED
            for topic in row.prepared.topics if transaction.delivery(row.id, row.run, topic) is None]


class LateOutboxKernel(_AfterwardsKernel):
    """Writes the deliveries of a run after the commit that ended it."""

    def apply(self, transaction: Transaction, command: Command, now: int | None = None) -> tuple[Tally, Plan]:
        """Apply everything but the outbox."""
        return super().apply(cast(Transaction, _WithoutOutbox(transaction)), command, now)

    def afterwards(self, applied: Applied, root: str) -> Applied:
        """Write the deliveries that are missing."""
        with self.store.transaction(write=True) as transaction:
            tree = transaction.tree(root)
            if tree is None or not (missing := _missing(transaction, tree)):
                return applied
            policy, now = transaction.snapshot(Subject(root)).policy, max(self.clock.now(), tree.clock)
            plan = Plan(Command("OUTBOX", Subject(root), id=applied.command_id), now, tree, False)
            for workflow, topic in missing:
                plan.created_deliveries.append(DeliveryRow(
                    workflow, tree.run, topic, "PENDING", 0, 0, now, NEVER, "", "", now, policy.sends, policy.lease))
                plan.changes.append(Change("delivery", workflow, topic, "CREATE", ABSENT, "PENDING", 0, 1, "CREATE", ""))
            transaction.write(plan)
            self.faults(FaultPoint.BEFORE_COMMIT, "OUTBOX")
        return applied


@frozen
class _WithoutNotices(_WithoutOutbox):
    """A transaction that writes everything of a plan but the notices of those that its cascades move."""

    def write(self, plan: Plan) -> Tally:
        """Write the plan; a cascade fills the outbox of ends, and nothing else."""
        kept = copy(plan)
        kept.first, kept.last = ([attrs.evolve(each, emits=tuple(link for link in each.emits if link != "notices"))
                                  for each in cascades] for cascades in (plan.first, plan.last))
        tally = self.inner.write(kept)
        plan.reached = kept.reached
        return tally


class UntoldKernel(Kernel):
    """Tells of no change of status that a cascade brought."""

    def apply(self, transaction: Transaction, command: Command, now: int | None = None) -> tuple[Tally, Plan]:
        """Apply everything but the notices of cascades."""
        return super().apply(cast(Transaction, _WithoutNotices(transaction)), command, now)


class PauseBlindKernel(Kernel):
    """Hands out tasks of PAUSED workflows, too."""

    def __init__(self, store: Store, **options: Any) -> None:
        """As `Kernel`."""
        super().__init__(store, **{**options, "program": _pause_blind()})

    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """Poll, then look into the workflows that the store leaves out."""
        leases = super().poll(type, worker=worker, limit=limit, **options)
        with self.store.transaction(write=True) as transaction:
            for row in transaction.find("PAUSED", None, "", TOP):
                for task in transaction.tasks(row.id, row.run):
                    ready = task.state == "SCHEDULED" and task.mode == "WORKER" and task.facts.type == type
                    if ready and task.not_before <= self.clock.now() and len(leases) < limit:
                        command = self.command("POLL", Subject(row.id, task.no), worker=worker)
                        leases.append(reading.lease(transaction, self.apply(transaction, command)[1].tasks[0]))
        return leases


@frozen
class Planted:
    """A bug: what it does wrong, a kernel that has it, and the invariants of which one is found broken first."""

    name: str
    says: str
    kernel: KernelFactory
    breaks: tuple[str, ...]


def _running(program: Any) -> KernelFactory:
    """A kernel on another program."""
    def make(store: Store, **options: Any) -> Kernel:
        return Kernel(store, **{**options, "program": program()})
    return make


def _twice(kernel: type[_AfterwardsKernel]) -> KernelFactory:
    """Kernels that commit twice, and remember together."""
    answers: Answers = {}

    def make(store: Store, **options: Any) -> Kernel:
        return kernel(store, answers, **options)
    return make


def planted() -> tuple[Planted, ...]:
    """Every planted bug."""
    return (
        Planted("eleven-steps", "terminate writes, calls the archive in line, then cancels", ElevenStepKernel,
                ("INV-01", "INV-04")),
        Planted("forgets-grandchildren", "an ending reaches sub-workflows one level down only", _running(_forgetful),
                ("INV-01",)),
        Planted("heartbeat-unchecked", "a heartbeat asks for no lease", _running(_trusting), ("INV-06",)),
        Planted("late-outbox", "deliveries are written after the commit that ended the run", _twice(LateOutboxKernel),
                ("INV-03",)),
        Planted("told-later", "a parent is not told in its sub-workflow's commit", _twice(ToldLaterKernel),
                ("INV-08", "INV-09", "answer")),
        Planted("poll-ignores-paused", "poll hands out tasks of PAUSED workflows", PauseBlindKernel, ("INV-07",)),
        Planted("starts-before-ends", "progress starts tasks of a workflow that has to end", _running(_hasty), ("INV-08",)),
        Planted("resume-under-paused", "a sub-workflow is resumed while its parent is PAUSED", _running(_unparented),
                ("INV-07",)),
        Planted("cascade-untold", "a cascade writes no notice of what it moves", UntoldKernel, ("INV-03",)),
    )
