"""Whether a task can be prepared: its input resolved, its sub-workflow or branch known, the limits of the tree kept.

Progress never raises: what cannot be prepared is judged unsound, and the tables REJECT it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from kernel.core.checks import canonical, check_json
from kernel.core.definitions import TaskDef, TaskKind
from kernel.core.dynamic import made_by
from kernel.core.extension import WAITING, Spawn, added
from kernel.core.moments import duration, moment
from kernel.core.outputs import Outputs
from kernel.core.records import OWN, Payload, Prepared, TaskRow, WorkflowRow, child_id, microseconds
from kernel.core.template import Source, resolve
from kernel.errors import Conflict, KernelError, StoreUnavailable, quoted
from kernel.spec.language import NEVER

if TYPE_CHECKING:
    from kernel.core.working_set import WorkingSet

DEPTH_MAX = 20
"""Levels of sub-workflows, the root included."""
TREE_TASKS_MAX = 1_000_000
"""Tasks of one tree."""
ID_MAX = 2_000
"""Characters of a sub-workflow's id, which is a path."""


@define
class Judged:
    """The verdict; `input` is the resolved input as JSON text where it differs from the definition's.

    Of a control task: `writes`, `says` and `spawn` are the payloads, the reason for an end and the tasks that come with its
    being passed.
    """

    sound: int
    why: str = ""
    input: str | None = None
    child: Prepared | None = None
    tasks: int = 0
    """Of what makes tasks, a sub-workflow or a dynamic fork: how many the tree had when it was judged."""
    spawn: Spawn | None = None
    writes: tuple[Payload, ...] = ()
    says: str = ""
    wait_for: int = NEVER
    wait_until: int = NEVER
    """Of a wait that depends on expressions: how long, in microseconds, and until when."""
    variables: str | None = None
    """Of a set task: the variables that it was judged with."""

    def outdated(self, view: WorkingSet, task: TaskRow) -> bool:
        """Whether what the verdict stands on changed since: the tree grew, another task set variables."""
        if self.variables is not None:
            return self.variables != variables_of(view, task.wf)
        return (self.child is not None or self.spawn is not None) and self.tasks != view.tree.tasks


@frozen
class Scope:
    """Where the expressions of a task's input are read from."""

    view: WorkingSet
    workflow: WorkflowRow
    task: TaskRow | None = None
    """Whose expressions they are; None for those of the workflow's output."""

    def of_workflow(self, source: Source) -> Any:
        """The input, the variables, or a fact of the workflow; of the task itself its id."""
        workflow, definition = self.workflow, self.workflow.prepared.definition.source
        match source:
            case Source.INPUT:
                return json.loads(self.view.payload(workflow.id, OWN, "input") or "{}")
            case Source.VARIABLES:
                return json.loads(variables_of(self.view, workflow))
            case Source.TASK_ID:
                return f"{workflow.id}/{self.task.ref}" if self.task else None
            case Source.PARENT_ID:
                return workflow.parent or None
            case Source.TYPE:
                return definition.name
            case Source.VERSION:
                return definition.version
        return workflow.id

    def of_task(self, ref: str, source: Source) -> Any:
        """The output, the input, or a fact of another task of the workflow."""
        definition = self.workflow.prepared.definition
        no = definition.index.get(ref)
        if no is None:
            return {} if source is Source.OUTPUT else None  # it was spawned, and its spawner started again
        match source:
            case Source.STATUS:
                return self.view.task(self.workflow.id, no).state
            case Source.TASK_ID:
                return f"{self.workflow.id}/{ref}"
            case Source.INPUT if definition.templated[no]:
                return json.loads(self.view.payload(self.workflow.id, no, "input") or "{}")
            case Source.INPUT:
                return definition.source.tasks[no].input
        given = outputs(self.view, self.workflow).task(no)
        return {} if given is None else given


def variables_of(view: WorkingSet, workflow: WorkflowRow) -> str:
    """The variables of a workflow, as JSON text."""
    return view.payload(workflow.id, OWN, "variables") or canonical(workflow.prepared.definition.source.variables)


def outputs(view: WorkingSet, workflow: WorkflowRow) -> Outputs:
    """What the tasks of a workflow gave."""
    return Outputs(workflow.prepared.definition, lambda no: view.payload(workflow.id, no, "output"))


def full(view: WorkingSet, more: int, workflows: int = 0) -> str:
    """Why so many more tasks, and workflows, are too many for the tree, or for its store; empty when they are not."""
    policy, tasks = view.snapshot.policy, view.tree.tasks + more
    most, each = min(TREE_TASKS_MAX, policy.tree_tasks), policy.workflow_tasks
    if tasks > most:
        return f"the tree would have more than {most:,} tasks"
    if tasks * (1 + each) <= most:  # it has no more workflows than tasks
        return ""
    workflows += view.snapshot.count_workflows() + len(view.plan.created_workflows) - len(view.plan.aside)
    if tasks + each * workflows <= most:
        return ""
    return f"the tree would have more than {most:,} tasks, where each workflow counts for {each}"


def _limits(view: WorkingSet, task: TaskRow, child: Prepared, name: str) -> str:
    """Which limit the sub-workflow would pass; empty when it passes none."""
    if view.child(task) is not None:
        return f"workflow {quoted(child_id(task))} is there already"
    if task.wf.depth + 1 >= DEPTH_MAX:
        return f"sub-workflows nest deeper than {DEPTH_MAX} levels"
    if too_many := full(view, len(child.facts), 1):
        return too_many
    if len(child_id(task)) > ID_MAX:
        return f"the id of the sub-workflow would be longer than {ID_MAX} characters"
    above = task.wf
    while True:
        if above.prepared.digest == child.digest:
            return f"recursion: workflow {quoted(above.id)} above is {quoted(name)} too"
        if not above.parent:
            return ""
        above = above.up.wf


def _judge_child(view: WorkingSet, task: TaskRow, text: str) -> Judged:
    definition = task.wf.prepared.definition.source.tasks[task.no]
    name = resolve(definition.workflow, Scope(view, task.wf, task))
    if not isinstance(name, str):
        return Judged(0, f"the name of its sub-workflow is {quoted(name)}, not a text")
    child = view.snapshot.definition(name, definition.workflow_version)
    if child is None:
        version = "" if definition.workflow_version is None else f" version {definition.workflow_version}"
        return Judged(0, f"no definition {quoted(name)}{version} is registered")
    limit = _limits(view, task, child, name)
    return Judged(0, limit) if limit else Judged(1, "", text, child, view.tree.tasks)


def _judge_wait(view: WorkingSet, task: TaskRow, source: TaskDef, value: object) -> Judged:
    scope = Scope(view, task.wf, task)
    found = (None if given is None else resolve(given, scope) for given in (source.wait_for, source.wait_until))
    seconds, until = found
    return Judged(1, wait_for=NEVER if seconds is None else microseconds(duration(seconds)),
                  wait_until=NEVER if until is None else moment(until))


# ---- what a control task writes when it is passed --------------------------------------------------------------------------
def _judge_switch(view: WorkingSet, task: TaskRow, source: TaskDef, value: dict[str, Any]) -> Judged:
    on = resolve(source.on, Scope(view, task.wf, task))
    if isinstance(on, dict | list):
        return Judged(0, f"no branch can be chosen by its value, {'an object' if isinstance(on, dict) else 'a list'}")
    chosen = on if isinstance(on, str) else canonical(on)
    output = {"selectedCase": chosen, "evaluationResult": [chosen], "caseOutput": [chosen]}
    return Judged(1, writes=(Payload(task.workflow, task.no, "output", canonical(output)),))


def _judge_set(view: WorkingSet, task: TaskRow, source: TaskDef, value: dict[str, Any]) -> Judged:
    before = variables_of(view, task.wf)
    after = check_json({**json.loads(before), **value}, what=f"the variables of workflow {quoted(task.workflow)}")
    return Judged(1, writes=(Payload(task.workflow, OWN, "variables", after),), variables=before)


def _judge_terminate(view: WorkingSet, task: TaskRow, source: TaskDef, value: dict[str, Any]) -> Judged:
    reason, output = value.get("reason"), value.get("output")
    says = "" if reason is None else reason if isinstance(reason, str) else canonical(reason)
    if output is None:
        return Judged(1, says=says)
    text = canonical(output if isinstance(output, dict) else {"output": output})
    return Judged(1, says=says, writes=(Payload(task.workflow, OWN, "output", text),))


def _judge_dynamic(view: WorkingSet, task: TaskRow, source: TaskDef, value: dict[str, Any]) -> Judged:
    prepared = task.wf.prepared
    tasks = made_by(source, value)
    if not tasks:
        return Judged(1)
    if too_many := full(view, len(tasks)):
        return Judged(0, too_many)
    behind = (view.task(task.workflow, no) for no in prepared.definition.successors[task.no])
    spawn = Spawn(tasks, tuple(each.ref for each in behind if each.state in WAITING))
    added(prepared, task.no, spawn)  # refuses what could not run in this workflow
    return Judged(1, spawn=spawn, tasks=view.tree.tasks)


_CONTROLS = {
    TaskKind.SWITCH: _judge_switch, TaskKind.SET: _judge_set, TaskKind.TERMINATE: _judge_terminate,
    TaskKind.DYNAMIC: _judge_dynamic, TaskKind.WAIT: _judge_wait,
}


def judge(view: WorkingSet, task: TaskRow) -> Judged:
    """Whether a task that has something to judge can be prepared as things stand in the view."""
    try:
        definition = task.wf.prepared.definition
        source = definition.source.tasks[task.no]
        value: Any = resolve(source.input, Scope(view, task.wf, task))
        text = check_json(value, what=f"the input of task {quoted(task.ref)}")
        if task.facts.mode == "WORKFLOW":
            return _judge_child(view, task, text)
        control = _CONTROLS.get(source.kind)
        verdict = control(view, task, source, value) if control else Judged(1)
        if definition.templated[task.no]:
            verdict.input = text
        return verdict
    except (Conflict, StoreUnavailable):
        raise  # the store could not tell: that is no property of what is judged
    except KernelError as error:
        return Judged(0, f"{error.asked}: {error.why}" if error.why else error.asked)


# ---- what a workflow gives ---------------------------------------------------------------------------------------------
def own_output(view: WorkingSet, workflow: WorkflowRow) -> str | None:
    """What the output of a workflow that COMPLETES comes to, JSON text; None when it has none of its own.

    Nothing can keep a workflow from completing: an output that cannot be made says so in the place of what it was to be.
    """
    template = workflow.prepared.definition.source.output
    if not template or view.payload(workflow.id, OWN, "output") is not None:
        return None
    try:
        return check_json(resolve(template, Scope(view, workflow)), what=f"the output of workflow {quoted(workflow.id)}")
    except (Conflict, StoreUnavailable):
        raise  # the store could not tell: that is no property of what is judged
    except KernelError as error:
        return canonical({"error": f"{error.asked}: {error.why}"})


def handed_over(view: WorkingSet, child_id: str) -> str:
    """What a task gives whose sub-workflow ended: the sub-workflow's output, and its id."""
    given, child = json.loads(view.payload(child_id, OWN, "output") or "null"), view.workflow(child_id)
    if given is None and child is not None and child.state == "COMPLETED":
        given = outputs(view, child).workflow(lambda no: view.task(child_id, no).state)
    given = given if isinstance(given, dict) else {} if given is None else {"output": given}
    return canonical({**given, "subWorkflowId": child_id})
