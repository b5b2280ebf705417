"""Small definitions that between them use everything that a definition can ask for: what the stateful tests run."""

from __future__ import annotations

from typing import Any

from kernel.core.archive import ArchivePolicy
from kernel.core.definitions import ExpiryPolicy, TaskDef, WorkflowDef
from kernel.spec.vocabulary import STATUSES

TYPES = ("pick", "pack")
"""What the workers of the tests poll for."""
INPUTS: tuple[dict[str, Any], ...] = ({"sku": 7, "child": "leaf"}, {"sku": "x", "child": "nowhere"}, {"sku": None, "child": 3})
"""What workflows are started with; only 'dynamic' cares which one."""
ARCHIVE, MAIL = "archive", "mail"


def pick(ref: str, *after: str, retries: int = 2, **options: Any) -> TaskDef:
    """A task for the workers of the first type, who may try it three times."""
    return TaskDef(ref, type=TYPES[0], after=after, retries=retries, **options)


def pack(ref: str, *after: str, retries: int = 0, **options: Any) -> TaskDef:
    """A task for the workers of the second type, who have one try."""
    return TaskDef(ref, type=TYPES[1], after=after, retries=retries, **options)


def child(ref: str, workflow: str, *after: str, **options: Any) -> TaskDef:
    """A task that starts a sub-workflow."""
    return TaskDef(ref, workflow=workflow, after=after, **options)


def defined(
    name: str, *tasks: TaskDef, topics: tuple[str, ...] = (ARCHIVE,), **options: Any
) -> WorkflowDef:
    """A definition whose end is archived."""
    return WorkflowDef(name, tasks=tasks, topics=topics, **options)


def asking(end: str) -> WorkflowDef:
    """A TERMINATE task ends the workflow while a worker and a sub-workflow beside it could start."""
    return defined(
        f"asks-{end.lower()}", pick("a"), child("beside", "leaf", "a"), pack("b", "a"),
        TaskDef("end", kind="terminate", asks=end, after=("a",)))


def routed() -> WorkflowDef:
    """A switch in a branch of a switch, a sub-workflow and a waiting task in others, and variables that tell of it."""
    return defined(
        "routed", TaskDef("route", kind="switch", on="${workflow.input.sku}"),
        pick("a", "route", when=("route", "7")),
        TaskDef("inner", kind="switch", on="${a.status}", after=("a",), when=("route", "7")),
        child("sub", "leaf", "inner", when=("inner", "COMPLETED")), pack("lost", "inner", when=("inner", None)),
        TaskDef("ok", kind="wait", after=("route",), when=("route", None)),
        TaskDef("seen", kind="set", input={"sub": "${sub.output}", "ok": "${ok.status}"}, after=("route", "sub", "lost", "ok")),
        pack("b", "seen", input={"seen": "${workflow.variables}"}))


def fanned() -> WorkflowDef:
    """A dynamic fork makes a task, a sub-workflow and a waiting task; another one cannot make what it should."""
    made = [{"ref": "x", "type": TYPES[0], "retries": 1}, {"ref": "s", "workflow": "leaf"}, {"ref": "w", "kind": "wait"}]
    return defined(
        "fanned", pick("a"), TaskDef("fan", kind="dynamic", input={"tasks": made, "inputs": {"x": {"n": 1}}}, after=("a",)),
        TaskDef("none", kind="dynamic", input={"tasks": "${a.output}"}, after=("a",), optional=True),
        TaskDef("meet", kind="join", after=("fan", "none")), pack("b", "meet", input={"all": "${meet.output}"}))


POOL = (
    defined("leaf", pick("x"), pack("y")),
    defined("middle", child("leaf", "leaf"), pick("m")),
    defined("outer", child("middle", "middle"), pack("o"), child("late", "leaf", "o", optional=True)),
    defined("tower", child("outer", "outer"), TaskDef("go", kind="wait"), topics=(ARCHIVE, MAIL)),
    defined("line", pick("a", input={"sku": "${workflow.input.sku}"}), pack("b", "a", input={"got": "${a.output.n}"})),
    defined("fork", TaskDef("f", kind="fork"), pick("a", "f"), pack("b", "f", optional=True),
            pick("c", "f", permissive=True), TaskDef("j", kind="join", after=("a", "b", "c")), pack("d", "j"),
            topics=(ARCHIVE, MAIL)),
    defined("patient", pick("a", retry_delay=5.0, lease=30.0, poll_timeout=40.0), pack("b", "a", optional=True, retries=1),
            pick("c", "b")),
    defined("permissive", pick("a", permissive=True, retries=0), pack("b", "a"), pick("c", permissive=True, retries=0)),
    defined("approval", pick("a"), TaskDef("ok", kind="wait", after=("a",)), TaskDef("now", kind="wait"),
            pack("b", "ok", "now"), topics=(MAIL,)),
    asking("COMPLETED"), asking("FAILED"), asking("TERMINATED"), routed(), fanned(),
    defined("enough", child("below", "leaf"), pick("a"), TaskDef("end", kind="terminate", asks="COMPLETED", after=("a",))),
    defined("dynamic", pick("a"), child("made", "${workflow.input.child}", "a"), pack("b", "made")),
    defined("rejects", child("gone", "nowhere", optional=True), pick("a", "gone"), child("lost", "nowhere", "a")),
    defined("again", child("try", "leaf", retries=1, retry_delay=3.0), pick("z", "try")),
    defined("brief", pick("a"), pack("b", poll_timeout=10.0, on_expiry=ExpiryPolicy.TIME_OUT_WF), timeout=15.0),
    defined("clocks", pick("a", lease=10.0, poll_timeout=30.0, retries=1, retry_delay=2.0),
            child("timed", "brief", optional=True),
            pack("b", poll_timeout=20.0, on_expiry=ExpiryPolicy.TIME_OUT_WF, optional=True),
            pick("c", lease=10.0, poll_timeout=25.0, on_expiry=ExpiryPolicy.ALERT_ONLY), timeout=90.0),
    defined("late", pick("a", lease=10.0, poll_timeout=8.0, attempt_timeout=20.0, total_timeout=60.0,
                         on_expiry=ExpiryPolicy.ALERT_ONLY), TaskDef("soon", kind="wait", wait_for=12.0, attempt_timeout=40.0),
            child("slow", "overdue", retries=1, retry_delay=1.0, attempt_timeout=25.0, optional=True)),
    WorkflowDef("overdue", tasks=[pick("x", total_timeout=60.0, retry_delay=2.0, retry_jitter=2.0)], topics=(ARCHIVE,),
                timeout=15.0, on_timeout="ALERT_ONLY"),
    defined("quiet", pick("a"), pack("b"), pick("c", "a"), topics=()),
    defined("mended", pick("a", retries=0), child("try", "undone", retries=1), failure_workflow="quiet"),
    defined("undone", pick("a", retries=0), pack("b", optional=True), failure_workflow="leaf", failure_on_terminate=False,
            timeout=60.0),
    defined("nightly", pick("a"), child("day", "middle"), archive=ArchivePolicy(daily_at="01:46", window=60.0)),
    defined("rounds", pick("a"), pack("b", "a"), topics=(MAIL,),
            archive=ArchivePolicy(every=45.0, unsuccessful_only=True)),
    defined("heard", pick("x"), pack("y"), timeout=60.0, notify=STATUSES),
    defined("hears", child("sub", "heard"), pick("m"), child("late", "heard", "m", optional=True), topics=(),
            notify=("TERMINATED", "PAUSED", "RUNNING")),
)
NESTED = tuple(each for each in POOL if any(task.workflow == other.name for task in each.tasks for other in POOL))
"""Those with sub-workflows."""


def family(definition: WorkflowDef) -> tuple[WorkflowDef, ...]:
    """A definition, and those of the pool that its tasks start, whatever their input says."""
    names = {definition.name, *(each["child"] for each in INPUTS)}
    while more := {str(name) for each in POOL if each.name in names
                   for name in (each.failure_workflow, *(task.workflow for task in each.tasks))} - names:
        names |= more
    return tuple(each for each in POOL if each.name in names)
