"""What must hold of every committed state and of every step, written down a second time.

The audit evaluates the specification's own invariants. These checks read only what a store keeps and the definitions, in
plain Python and with lists of states of their own, so that a mistake in the tables cannot hide itself. Each problem is one
line that begins with the invariant that is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

from kernel.core.archive import COMPENSATION
from kernel.core.definitions import Mode, TaskDef, WorkflowDef
from kernel.core.extension import HOLE
from kernel.core.records import entry_of
from kernel.core.structure import Definition
from kernel.engine.entities import Applied
from kernel.testing.dump import Definitions, DeliveryFacts, Dump, TaskFacts, TreeDump, WorkflowFacts

LIVE = ("RUNNING", "PAUSED")
OPEN = ("PENDING", "SCHEDULED", "IN_PROGRESS")
WELL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED")
AGREES = {  # the end of a sub-workflow, and what became of the task that started it
    "COMPLETED": ("COMPLETED",),
    "FAILED": ("FAILED", "COMPLETED_WITH_ERRORS"),
    "TIMED_OUT": ("TIMED_OUT", "COMPLETED_WITH_ERRORS"),
    "TERMINATED": ("CANCELED", "COMPLETED_WITH_ERRORS"),
}


def must_end(tasks: Sequence[TaskDef], states: Sequence[str]) -> str:
    """Why a RUNNING workflow with tasks in these states has to end before anything else starts; empty when it has not."""
    for task, state in zip(tasks, states, strict=True):
        if task.asks and state == "COMPLETED":
            return f"{task.ref} asks for {task.asks}"
        if state not in OPEN and state not in WELL and not task.optional and not task.permissive:
            return f"{task.ref} is {state}"
    return "every task is closed" if not any(state in OPEN for state in states) else ""


def asked_for(definition: WorkflowDef, state: str) -> set[str]:
    """The topics that a workflow in this state owes a delivery to, but for that of its failure workflow."""
    wanted = set() if state in LIVE else set(definition.topics)
    policy = definition.archive
    if policy is not None and (policy.off or (policy.unsuccessful_only and state == "COMPLETED")):
        wanted.discard("archive")
    return wanted


@frozen(eq=False)
class Tree:
    """One tree to be checked: what a store keeps of it, and the definitions of its workflows."""

    dump: TreeDump
    definitions: Definitions

    def own(self, workflow: str) -> dict[int, TaskFacts]:
        """The tasks of a workflow, by position."""
        tasks = self.dump.tasks
        return {no: tasks[workflow, no]
                for no, task in enumerate(self.definitions[workflow].source.tasks) if task is not HOLE}

    def problems(self) -> Iterator[str]:
        """Everything that is wrong with the tree as it stands."""
        children = {(w.parent, w.parent_no, w.slot): w for w in self.dump.workflows.values() if w.parent}
        for name, workflow in self.dump.workflows.items():
            own, definition = self.own(name), self.definitions[name]
            yield from self._outbox(name, workflow, definition.source)
            if workflow.parent:
                yield from self._under_parent(name, workflow)
            if workflow.state not in LIVE:
                for no, facts in own.items():
                    if facts.state in OPEN:
                        ref = definition.source.tasks[no].ref
                        yield f"INV-01: {name} is {workflow.state}, and its task {ref} is {facts.state}"
            elif workflow.state == "RUNNING":
                yield from _settled(name, definition, own)
            elif not (name + "/").startswith(workflow.paused_by + "/"):
                yield f"INV-07: {name} is PAUSED by {workflow.paused_by!r}, which is not above it"
            for no, facts in own.items():
                place = f"{name} {definition.source.tasks[no].ref}"
                yield from _task(place, definition, no, facts, children.get((name, no, facts.attempt)))
        for (name, _, topic), delivery in self.dump.deliveries.items():
            yield from _delivery(f"{name} {topic}", delivery)

    def _outbox(self, name: str, workflow: WorkflowFacts, definition: WorkflowDef) -> Iterator[str]:
        there = {topic for owner, run, topic in self.dump.deliveries
                 if (owner, run) == (name, workflow.run) and "@" not in topic}
        yield from self._compensation(name, workflow, definition, COMPENSATION in there)
        there.discard(COMPENSATION)
        wanted = asked_for(definition, workflow.state)
        if there != wanted:
            yield f"INV-03: {name} is {workflow.state} and has deliveries {sorted(there)}, not {sorted(wanted)}"

    def _compensation(self, name: str, workflow: WorkflowFacts, definition: WorkflowDef, there: bool) -> Iterator[str]:
        """A failure workflow is asked for by each bad end on a workflow's own account, and by no other end."""
        bad = workflow.state in ("FAILED", "TIMED_OUT") or (workflow.state == "TERMINATED" and definition.failure_on_terminate)
        wanted = bad and definition.failure_workflow is not None
        if workflow.parent and wanted:
            if workflow.state == "TERMINATED":
                return  # by itself, or with all above it: its rows do not tell
            wanted = self.dump.tasks[workflow.parent, workflow.parent_no].attempt == workflow.slot
        if there != wanted:
            yield f"INV-03: {name} is {workflow.state} and has {'a' if there else 'no'} delivery that starts a failure workflow"

    def _under_parent(self, name: str, workflow: WorkflowFacts) -> Iterator[str]:
        """How a sub-workflow and what started it fit together."""
        parent, task = self.dump.workflows[workflow.parent], self.dump.tasks[workflow.parent, workflow.parent_no]
        if workflow.state in LIVE:
            if parent.state not in LIVE:
                yield f"INV-01: {workflow.parent} is {parent.state}, and its sub-workflow {name} is {workflow.state}"
            elif workflow.state == "RUNNING" and parent.state != "RUNNING":
                yield f"INV-07: {name} is RUNNING under {workflow.parent}, which is {parent.state}"
            if task.state != "IN_PROGRESS" or task.attempt != workflow.slot:
                yield (f"INV-13: {name} is live for attempt {workflow.slot} of a task that is {task.state} in attempt "
                       f"{task.attempt}")
        elif workflow.slot == task.attempt and task.state not in AGREES[workflow.state]:
            yield f"INV-09: {name} is {workflow.state}, and the task that started it is {task.state}"


def _settled(name: str, definition: Definition, own: dict[int, TaskFacts]) -> Iterator[str]:
    """A RUNNING workflow has done all that it can do by itself, and something can still move it."""
    tasks, states = definition.source.tasks, {no: facts.state for no, facts in own.items()}
    if why := must_end([tasks[no] for no in states], [*states.values()]):
        yield f"progress: {name} is RUNNING although {why}"
        return
    if not any(state in ("SCHEDULED", "IN_PROGRESS") for state in states.values()):
        yield f"INV-10: {name} is RUNNING and nothing can move it: {[*states.values()]}"
    for no, facts in own.items():
        task = tasks[no]
        passed = all(states[p] in WELL or (states[p] not in OPEN and tasks[p].permissive)
                     for p in definition.predecessors[no])
        first = facts.state == "SCHEDULED" and facts.attempt == 1 and task.mode is not Mode.WORKER
        if (facts.state == "PENDING" and passed) or first:
            yield f"progress: {name} {task.ref} is still {facts.state} although its predecessors passed"
        if facts.state != "PENDING" and not passed and facts.state in OPEN:
            yield f"progress: {name} {task.ref} is {facts.state} although a predecessor did not pass"
        if facts.signalled and facts.state == "IN_PROGRESS":
            yield f"progress: {name} {task.ref} was signalled and is still IN_PROGRESS"


def _task(name: str, definition: Definition, no: int, facts: TaskFacts, child: WorkflowFacts | None) -> Iterator[str]:
    """One task by itself, and with the sub-workflow of its present attempt."""
    task = definition.source.tasks[no]
    if not 1 <= facts.attempt <= task.retries + 1:
        yield f"INV-13: {name} is in attempt {facts.attempt} of {task.retries + 1}"
    if task.mode is Mode.WORKER and facts.state == "IN_PROGRESS" and not facts.handouts:
        yield f"INV-06: {name} is IN_PROGRESS and was never handed out"
    if task.mode is Mode.WORKFLOW:
        state = "missing" if child is None else child.state
        if facts.state == "IN_PROGRESS" and state not in LIVE:
            yield f"INV-09: {name} is IN_PROGRESS, and its sub-workflow is {state}"
        if facts.state == "COMPLETED" and state != "COMPLETED":
            yield f"INV-09: {name} is COMPLETED, and its sub-workflow is {state}"
        if facts.state in ("PENDING", "SCHEDULED") and child is not None:
            yield f"INV-09: {name} is {facts.state}, and its sub-workflow is {state}"


def _delivery(name: str, facts: DeliveryFacts) -> Iterator[str]:
    """One delivery by itself."""
    if facts.attempt > facts.sends or (facts.state == "LEASED" and not facts.attempt):
        yield f"INV-14: delivery {name} is {facts.state} in attempt {facts.attempt} of {facts.sends}"
    if facts.state == "DELIVERED" and not facts.proof:
        yield f"INV-04: delivery {name} is DELIVERED without a proof"
    if facts.state == "DEAD" and not (facts.error and facts.attempt == facts.sends):
        yield f"INV-14: delivery {name} is DEAD after {facts.attempt} of {facts.sends} attempts, error {facts.error!r}"


def steps(before: TreeDump, after: TreeDump, definitions: Definitions) -> Iterator[str]:
    """Everything that is wrong with what happened to a tree between two looks at it."""
    if after.version < before.version or after.clock < before.clock:
        yield (f"INV-08: the version went from {before.version} to {after.version}, the clock from {before.clock} to "
               f"{after.clock}")
    reopened = after.run != before.run
    if reopened:
        yield from _reopened(before, after)
    for name, workflow in before.workflows.items():
        now = after.workflows.get(name)
        if now is None:
            if not reopened:
                yield f"INV-05: {name} is gone"
        elif workflow.state not in LIVE and workflow != now and not (reopened and now.run == after.run):
            yield f"INV-02: {name} had ended as {workflow.state} and was changed: {workflow} -> {now}"
    for (name, no), task in before.tasks.items():
        later = after.tasks.get((name, no))
        if later is None:
            if not reopened:
                yield f"INV-05: task {no} of {name} is gone"
        elif later != task and not (reopened and after.workflows[name].run == after.run):
            worker = definitions[name].source.tasks[no].mode is Mode.WORKER
            yield from _task_step(f"{name} task {no}", task, later, worker, before.workflows[name].state)
    for place, delivery in before.deliveries.items():
        entry = after.deliveries.get(place)
        if entry is None or entry.claims < delivery.claims:
            yield f"INV-14: delivery {place} is lost: {delivery} -> {entry}"
        elif entry.claims > delivery.claims and (first := _before(place, after)):
            yield f"INV-03: notice {place} was claimed while {first} is open"
        elif delivery.state == "DELIVERED" and entry != delivery:
            yield f"INV-04: delivery {place} was DELIVERED and was changed: {delivery} -> {entry}"


def _before(place: tuple[str, int, str], tree: TreeDump) -> str:
    """An open notice of the same workflow that comes before a notice; empty when there is none."""
    workflow, _, name = place
    turn = _turn(name)
    return next((other for (owner, _, other), facts in tree.deliveries.items() if turn[0] and owner == workflow
                 and facts.state in ("PENDING", "LEASED") and (0, True) < _turn(other) < turn), "")


def _turn(name: str) -> tuple[int, bool]:
    """The place of a notice among those of its workflow; (0, True) for what is none."""
    _, version, status = entry_of(name)
    return version, status != "RUNNING"


def _reopened(before: TreeDump, after: TreeDump) -> Iterator[str]:
    """What is wrong with the beginning of a tree's next run."""
    (root,) = (name for name, workflow in before.workflows.items() if not workflow.parent)
    if after.run != before.run + 1:
        yield f"INV-02: the run went from {before.run} to {after.run}"
    if before.workflows[root].state in LIVE:
        yield f"INV-02: {root} began run {after.run} while it was {before.workflows[root].state}"
    for name, workflow in after.workflows.items():
        if workflow.run > after.run or (workflow.state in LIVE and workflow.run != after.run):
            yield f"INV-02: {name} is {workflow.state} in run {workflow.run} of {after.run}"
    for (name, no), task in after.tasks.items():
        if task.state not in OPEN and after.workflows[name].run == before.run and task != before.tasks.get((name, no)):
            yield f"INV-02: task {no} of {name} was kept and was changed"


def _task_step(name: str, before: TaskFacts, after: TaskFacts, worker: bool, state: str) -> Iterator[str]:
    if before.state not in OPEN:
        yield f"INV-02: {name} was closed as {before.state} and was changed: {before} -> {after}"
    if after.handouts < before.handouts or after.attempt < before.attempt:
        yield f"INV-06: {name} counts backwards: {before} -> {after}"
    if after.handouts > before.handouts and state != "RUNNING":
        yield f"INV-07: {name} was handed out while its workflow was {state}"
    if worker and after.state == "IN_PROGRESS" != before.state and after.handouts == before.handouts:
        yield f"INV-06: {name} was handed out under an old token"


def counted(applied: Applied, before: Dump, after: Dump) -> Iterator[str]:
    """What a command says that it did is what was done."""
    ended = canceled = deliveries = 0
    for root, tree in after.items():
        known = before.get(root)
        if known is tree or known is None or known == tree:
            continue
        kept = {i for i, w in tree.workflows.items() if i in known.workflows and w.run == known.workflows[i].run}
        ended += sum(w.state not in LIVE and (i not in kept or known.workflows[i].state in LIVE)
                     for i, w in tree.workflows.items())
        canceled += sum(
            t.state == "CANCELED" and (i[0] not in kept or i not in known.tasks or known.tasks[i].state != "CANCELED")
            for i, t in tree.tasks.items())
        deliveries += len(tree.deliveries) - len(known.deliveries)
    if (applied.ended, applied.canceled, applied.deliveries) != (ended, canceled, deliveries):
        yield (f"answer: it tells of {applied.ended} ended, {applied.canceled} canceled, {applied.deliveries} deliveries; "
               f"there are {ended}, {canceled}, {deliveries}")
