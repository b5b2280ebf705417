"""The decision: one plan for one command, progress included; refusals that say why; a cost that does not grow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pytest
from attrs import evolve

from kernel.core.decide import Choice, choices, decide, presented
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Command, Plan, Refusal, Subject
from kernel.core.program import compile_program, standard_program
from kernel.core.records import Prepared, Record, TaskRow, TreeRow, WorkflowRow
from kernel.core.view import View
from kernel.errors import InvalidDefinition, StoreCorrupt
from kernel.spec import SPEC
from tests.model.driver import NOW, decided, does, planned, refused, states, world_of
from tests.model.world import World

LEAF = WorkflowDef("leaf", tasks=[TaskDef("x")])
ORDER = WorkflowDef("w", tasks=[TaskDef("a", retries=1), TaskDef("b", after=["a"])], topics=["archive"], timeout=60.0)


@pytest.fixture
def world() -> World:
    """Two tasks in sequence, the first one SCHEDULED."""
    return does(world_of(ORDER), "START", "w")


def lines(plan: Plan) -> list[tuple[str, str, str]]:
    """History in short: which row, which event, where to."""
    return [(f"{c.workflow}.{c.subject}" if c.subject else c.workflow, c.event, c.target) for c in plan.changes]


# ---- plans ------------------------------------------------------------------------------------------------------------------
def test_a_plan_holds_everything_that_one_commit_writes() -> None:
    """START creates the tree, its workflow, its tasks, their history, its input; progress schedules what can begin."""
    plan = planned(world_of(ORDER), "START", "w", input='{"sku":7}')
    assert lines(plan) == [("w", "START", "RUNNING"), ("w", "CREATE", "PENDING"), ("w.a", "SCHEDULE", "SCHEDULED")]
    assert (plan.born, plan.raises, plan.tree) == (True, True, plan.tree)
    assert (plan.tree.root, plan.tree.run, plan.tree.version, plan.tree.clock, plan.tree.tasks) == ("w", 1, 1, NOW, 2)
    assert [(p.workflow, p.no, p.what, p.text) for p in plan.payloads] == [("w", -1, "input", '{"sku":7}')]
    assert [w.deadline for w in plan.created_workflows] == [NOW + 60_000_000]
    assert [(t.ref, t.state, t.counts) for t in plan.created_tasks] == [("a", "SCHEDULED", [0]), ("b", "PENDING", [1])]
    assert (plan.workflows, plan.tasks) == ([], [])


def test_an_input_that_is_not_given_is_not_kept() -> None:
    """A workflow without an input has none stored."""
    assert planned(world_of(ORDER), "START", "w", input=None).payloads == []


def test_progress_runs_in_the_same_commit(world: World) -> None:
    """The end of a task schedules its successor; the end of the last one ends the workflow and writes its delivery."""
    world = does(world, "POLL", "w.a", worker="ada")
    assert world.own["w", 0].worker == "ada"
    plan = planned(world, "COMPLETE", "w.a", payload='{"n":1}')
    assert lines(plan) == [("w.a", "COMPLETE", "COMPLETED"), ("w.b", "SCHEDULE", "SCHEDULED")]
    assert [p.text for p in plan.payloads] == ['{"n":1}']
    last = planned(does(world.after(plan)[0], "POLL", "w.b"), "COMPLETE", "w.b")
    assert lines(last) == [
        ("w.b", "COMPLETE", "COMPLETED"), ("w", "COMPLETE", "COMPLETED"), ("w.archive", "CREATE", "PENDING")]


def test_versions_rise_with_what_changes_the_tree(world: World) -> None:
    """A command that has the tree to itself raises its version; a shared one and a heartbeat do not; nothing done, no rise."""
    polled = does(world, "POLL", "w.a")
    assert [planned(w, n, r).raises for w, n, r in (
        (world, "POLL", "w.a"), (polled, "HEARTBEAT", "w.a"), (polled, "WAKE", "w.a"), (polled, "COMPLETE", "w.a"))
    ] == [False, False, False, True]
    assert planned(polled, "COMPLETE", "w.a").tree.version == 2


def test_what_new_tasks_count_for_is_found_out_once() -> None:
    """For each definition; and no decision changes what the next one begins with."""
    world, found = world_of(ORDER), []
    for _ in range(2):
        plan = planned(world, "START", "w")
        found.append(([[*t.counts] for t in plan.created_tasks], [[*w.counts] for w in plan.created_workflows]))
        for counts in [*[t.counts for t in plan.created_tasks], *[w.counts for w in plan.created_workflows]]:
            counts[0] += 7
    assert found[0] == found[1]
    assert len(world.definitions["w"].counted) == 1


class Kept(World):
    """A snapshot that gives the rows themselves."""

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A workflow."""
        return self.workflows.get(workflow_id)

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """A task."""
        return self.own.get((workflow_id, no))

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> list[TaskRow]:
        """Several tasks."""
        return [self.own[workflow_id, no] for no in nos]


def test_rows_of_a_plan_serve_the_next_decision() -> None:
    """They know nothing of the decision that changed them: who keeps them and gives them again gets what copies give."""
    world, fresh = (does(world_of(ORDER), "START", "w") for _ in range(2))
    kept = Kept(world.root, world.workflows, world.own)
    for name, row in (("POLL", "w.a"), ("COMPLETE", "w.a"), ("POLL", "w.b"), ("COMPLETE", "w.b")):
        plan, expected = planned(kept, name, row), planned(fresh, name, row)
        assert (lines(plan), len(plan.tasks)) == (lines(expected), len(expected.tasks))
        assert len(plan.workflows) == len(expected.workflows)
        assert all(task.view is None and task.verdict is None for task in plan.tasks)
        kept.root, fresh = plan.tree, fresh.after(expected)[0]
        assert states(kept).items() <= states(fresh).items()


def test_a_heartbeat_writes_one_row_and_no_history(world: World) -> None:
    """A heartbeat prolongs the lease and changes no state."""
    plan = planned(does(world, "POLL", "w.a"), "HEARTBEAT", "w.a", now=NOW + 5)
    assert (plan.changes, [t.expires for t in plan.tasks]) == ([], [NOW + 5 + 60_000_000])


def test_a_trees_clock_never_goes_back(world: World) -> None:
    """A command whose clock is behind the tree's is decided at the tree's time."""
    plan = planned(world, "PAUSE", "w", now=NOW - 500)
    assert (plan.now, plan.tree.clock, plan.workflows[0].paused_at) == (NOW, NOW, NOW)


def test_a_task_that_waits_for_its_time_is_woken() -> None:
    """WAKE lets progress look again at a task that has become due; before that nothing happens."""
    nesting = TaskDef("s", workflow="leaf", retries=1, retry_delay=0.001)
    world = does(world_of(WorkflowDef("w", tasks=[nesting]), LEAF), "START", "w")
    world = does(does(world, "POLL", "w/s.x"), "FAIL", "w/s.x", retryable=0)
    assert states(world)["w.s"] == "SCHEDULED"
    assert lines(planned(world, "WAKE", "w.s", now=NOW + 999)) == []
    plan = planned(world, "WAKE", "w.s", now=NOW + 1_000)
    assert lines(plan)[0] == ("w.s", "LAUNCH", "IN_PROGRESS")
    assert [w.id for w in plan.created_workflows] == ["w/s~2"]


def test_deliveries_are_commanded_alone(world: World) -> None:
    """A command on a delivery touches that delivery only."""
    ended = does(world, "TERMINATE", "w")
    claimed = does(ended, "CLAIM", "w>archive", anyway=0)
    assert states(claimed)["w>archive"] == "LEASED"
    plan = planned(claimed, "RELEASE", "w>archive", claims=1, delay=7, error="the disk is full")
    assert [(d.state, d.due, d.error) for d in plan.deliveries] == [("PENDING", NOW + 7, "the disk is full")]
    assert (plan.raises, plan.tasks, plan.workflows, lines(plan)) == (False, [], [], [("w.archive", "RELEASE", "PENDING")])
    assert decided(ended, "CLAIM", "w>elsewhere", anyway=0) is None


def test_the_time_of_a_sub_workflows_task_ends_it() -> None:
    """OVERRUN times the sub-workflow out, and progress tells its task; without its row the store is damaged."""
    outer = WorkflowDef("w", tasks=[TaskDef("s", workflow="leaf", attempt_timeout=1.0), TaskDef("b")])
    world, later = does(world_of(outer, LEAF), "START", "w"), NOW + 1_000_000
    assert refused(world, "OVERRUN", "w.s").guard == "expired"
    assert refused(world, "EXPIRE", "w.s", now=later).guard == "no sub-workflow"
    assert lines(planned(world, "OVERRUN", "w.s", now=later))[:2] == [
        ("w/s", "TIME_OUT", "TIMED_OUT"), ("w.s", "CHILD_TIMED_OUT", "TIMED_OUT")]
    del world.workflows["w/s"]
    with pytest.raises(StoreCorrupt, match="the child of task 's'"):
        decided(world, "OVERRUN", "w.s", now=later)


# ---- reasons ----------------------------------------------------------------------------------------------------------------
def test_what_went_wrong_is_told_up_the_tree() -> None:
    """A failure below gives the reason of every row that ends for it, and of every line of history that tells of a retry."""
    inner = WorkflowDef("inner", tasks=[TaskDef("x")])
    outer = WorkflowDef("w", tasks=[TaskDef("s", workflow="inner", retries=1), TaskDef("b")])
    world = does(world_of(outer, inner), "START", "w")
    world = does(world, "POLL", "w/s.x")
    plan = planned(world, "FAIL", "w/s.x", retryable=0, reason="no paper")
    (retried,) = [change for change in plan.changes if change.event == "CHILD_FAILED"]
    assert retried.reason == "sub-workflow 'w/s' FAILED: task 'x' FAILED_WITH_TERMINAL_ERROR: no paper"
    world, _ = world.after(plan)
    world = does(does(world, "POLL", "w/s~2.x"), "FAIL", "w/s~2.x", retryable=0)
    assert world.workflows["w"].reason == (
        "task 's' FAILED: sub-workflow 'w/s~2' FAILED: task 'x' FAILED_WITH_TERMINAL_ERROR")
    assert world.own["w", 1].reason == ""  # a cascade writes the reason once, in the workflow


def test_an_end_that_was_put_off_says_what_it_is_for(world: World) -> None:
    """A workflow that ends on RESUME, for what happened while it was PAUSED, names the rule that ends it."""
    world = does(does(does(world, "POLL", "w.a"), "PAUSE", "w"), "FAIL", "w.a", retryable=0)
    assert states(world)["w"] == "PAUSED"
    resumed = does(world, "RESUME", "w")
    assert (resumed.workflows["w"].state, resumed.workflows["w"].reason) == ("FAILED", "a task failed")


def test_a_permissive_end_names_the_task_that_failed() -> None:
    """Though it failed long before the last task was done; and not another that did well."""
    definition = WorkflowDef("w", tasks=[TaskDef("good", permissive=True), TaskDef("bad", permissive=True),
                                         TaskDef("last", after=["good", "bad"])])
    world = does(world_of(definition), "START", "w")
    world = does(does(world, "POLL", "w.bad"), "FAIL", "w.bad", retryable=0, reason="no paper")
    for ref in ("good", "last"):
        world = does(does(world, "POLL", f"w.{ref}"), "COMPLETE", f"w.{ref}")
    assert world.workflows["w"].state == "FAILED"
    assert world.workflows["w"].reason == "task 'bad' FAILED_WITH_TERMINAL_ERROR: no paper"


@pytest.mark.parametrize("asked", ["COMPLETED", "FAILED", "TERMINATED"])
def test_an_end_that_was_asked_for_names_the_task(asked: str) -> None:
    """The TERMINATE task, and what it asks."""
    definition = WorkflowDef("w", tasks=[TaskDef("x"), TaskDef("stop", kind="terminate", asks=asked, after=["x"])])
    world = does(world_of(definition), "START", "w")
    world = does(does(world, "POLL", "w.x"), "COMPLETE", "w.x")
    assert (world.workflows["w"].state, world.workflows["w"].reason) == (asked, f"task 'stop' asks {asked}")


def test_a_good_end_needs_no_reason() -> None:
    """A sub-workflow that COMPLETED hands over nothing but its end."""
    world = does(world_of(WorkflowDef("w", tasks=[TaskDef("s", workflow="leaf")]), LEAF), "START", "w")
    world = does(does(world, "POLL", "w/s.x"), "COMPLETE", "w/s.x")
    assert {w.reason for w in world.workflows.values()} | {t.reason for t in world.own.values()} == {""}


def test_a_child_of_a_closed_task_hands_over_nothing() -> None:
    """A sub-workflow whose task has been closed otherwise ends for itself."""
    outer = WorkflowDef("w", tasks=[TaskDef("s", workflow="leaf"), TaskDef("b")])
    world = does(does(world_of(outer, LEAF), "START", "w"), "POLL", "w/s.x")
    world.own["w", 0].state = "SKIPPED"
    plan = planned(world, "COMPLETE", "w/s.x")
    assert lines(plan) == [("w/s.x", "COMPLETE", "COMPLETED"), ("w/s", "COMPLETE", "COMPLETED")]


# ---- refusals ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("commands", "asked", "answer"), [
    ([], ("COMPLETE", "w.a", {}), ("COMPLETE", "SCHEDULED", "", True)),
    ([("POLL", "w.a")], ("COMPLETE", "w.a", {"handouts": 0}), ("COMPLETE", "IN_PROGRESS", "lease held", True)),
    ([("POLL", "w.a")], ("FAIL", "w.a", {"handouts": 0, "retryable": 1}), ("FAIL", "IN_PROGRESS", "lease held", True)),
    ([("PAUSE", "w")], ("POLL", "w.a", {}), ("POLL", "SCHEDULED", "workflow RUNNING", False)),
    ([], ("SIGNAL", "w.a", {}), ("SIGNAL", "SCHEDULED", "waiting task", False)),
    ([], ("TIME_OUT", "w", {}), ("TIME_OUT", "RUNNING", "deadline passed", False)),
    ([("TERMINATE", "w")], ("PAUSE", "w", {}), ("PAUSE", "TERMINATED", "", False)),
    ([], ("START", "w", {}), ("START", "RUNNING", "", False)),
    ([], ("EXPIRE", "w.a", {}), ("EXPIRE", "SCHEDULED", "expired", False)),
])
def test_a_refusal_says_what_is_in_the_way(
    world: World, commands: list[tuple[str, str]], asked: tuple[str, str, dict[str, int]],
    answer: tuple[str, str, str, bool],
) -> None:
    """It names the event, the state, the guard that is false (none where the state has no such transition), and why."""
    for command in commands:
        world = does(world, *command)
    name, row, given = asked
    refusal = refused(world, name, row, **given)
    assert (refusal.event, refusal.state, refusal.guard, refusal.fenced) == answer
    assert refusal.why


def test_the_furthest_guard_is_named(world: World) -> None:
    """Of several rows the one that came furthest tells what is missing: a failure that is not retryable needs no retry."""
    spec = evolve(SPEC, tables={**SPEC.tables, "task": evolve(SPEC.tables["task"], rows=tuple(
        row for row in SPEC.tables["task"].rows if (row.event, row.target) != ("FAIL", "FAILED_WITH_TERMINAL_ERROR")))})
    refusal = refused(does(world, "POLL", "w.a"), "FAIL", "w.a", retryable=0, program=compile_program(spec))
    assert refusal.guard in ("optional", "retryable")


def test_a_declared_no_op_changes_nothing(world: World) -> None:
    """A repeated command that the table declares to be a no-op gives an empty plan that says why."""
    plan = planned(does(world, "PAUSE", "w"), "PAUSE", "w")
    assert plan.no_op == "it is already PAUSED"
    assert (plan.changes, plan.raises, plan.workflows, plan.first) == ([], False, [], [])


@pytest.mark.parametrize("subject", [Subject("v"), Subject("w", 7), Subject("w", topic="archive", run=1)])
def test_a_subject_that_does_not_exist_is_no_decision(world: World, subject: Subject) -> None:
    """A row that is not there is not found."""
    kind = "CLAIM" if subject.topic else "POLL" if subject.no else "TERMINATE"
    assert decide(standard_program(), world, Command(kind, subject), NOW) is None
    assert decide(standard_program(), world, Command("POLL", Subject("w")), NOW) is None  # a command on another kind of row


def test_a_child_starts_only_where_its_task_is_sound() -> None:
    """A table that launches what was not judged is a mistake of its author, and is named."""
    rows = tuple(
        evolve(row, guards=tuple(guard for guard in row.guards if guard.name != "sound")) for row in SPEC.tables["task"].rows)
    progress = tuple(rule for rule in SPEC.progress if rule.name != "REJECT")
    spec = evolve(SPEC, progress=progress, tables={**SPEC.tables, "task": evolve(SPEC.tables["task"], rows=rows)})
    world = world_of(WorkflowDef("w", tasks=[TaskDef("s", workflow="nowhere")]))
    with pytest.raises(InvalidDefinition, match="starting 'w/s'"):
        decided(world, "START", "w", program=compile_program(spec))


# ---- what is allowed --------------------------------------------------------------------------------------------------------
def allowed(row: Record | None, view: View) -> dict[str, str]:
    """Every choice with the guard that refuses it, empty where it is allowed, `-` where the state has no such transition."""
    assert row is not None
    view.given = presented(row, NOW)
    return {c.event: "" if c.allowed else c.guard or "-" for c in choices(view, row)}


def test_choices_say_what_could_be_done_now(world: World) -> None:
    """Each command of the row's kind is listed: whether its holder could give it; if not, which guard refuses it, and why."""
    world = does(world, "POLL", "w.a")
    view = View(standard_program(), world, Command("", Subject("w")), TreeRow("w", 1, 1, 0, 2), NOW)
    assert allowed(view.workflow("w"), view) == {
        "PAUSE": "", "RESUME": "-", "TERMINATE": "", "RETRY": "-", "RESTART": "-", "RERUN": "-", "PURGE": "-",
        "TIME_OUT": "deadline passed"}
    assert allowed(view.task("w", 0), view) == {
        "POLL": "-", "HEARTBEAT": "", "COMPLETE": "", "FAIL": "", "POSTPONE": "",
        "SIGNAL": "waiting task", "SKIP": "-", "EXPIRE": "expired"}
    assert allowed(view.task("w", 1), view)["POLL"] == "-"
    ended = does(world, "TERMINATE", "w")
    assert allowed(ended.delivery("w", 1, "archive"), view) == {
        "CLAIM": "", "CONFIRM": "-", "RELEASE": "-", "BURY": "-", "DEFER": "schedule closed", "REDRIVE": "-"}
    reason = next(c for c in choices(view, view.task("w", 1)) if c.event == "POLL")
    assert reason == Choice("POLL", False, "", reason.reason)
    assert "not SCHEDULED" in reason.reason


# ---- what it costs ----------------------------------------------------------------------------------------------------------
class Watched(World):
    """A world that counts the rows that are asked of it."""

    asked: ClassVar[Counter[str]] = Counter()

    def workflow(self, workflow_id: str) -> WorkflowRow | None:
        """A copy of one workflow."""
        self.asked["workflow"] += 1
        return super().workflow(workflow_id)

    def task(self, workflow_id: str, no: int) -> TaskRow | None:
        """A copy of one task."""
        self.asked["task"] += 1
        return super().task(workflow_id, no)

    def tasks(self, workflow_id: str, nos: Sequence[int]) -> list[TaskRow]:
        """Copies of several tasks."""
        self.asked["task"] += len(nos)
        return super().tasks(workflow_id, nos)

    def definition(self, name: str, version: int | None) -> Prepared | None:
        """A definition."""
        self.asked["definition"] += 1
        return super().definition(name, version)


@pytest.mark.no_cover
@pytest.mark.parametrize("size", [10, 10_000])
def test_the_cost_is_that_of_the_rows_touched(size: int) -> None:
    """Whatever the number of tasks, a poll reads one task and its workflow, and a completion also its direct successors."""
    chain = [TaskDef(f"t{i}", after=[f"t{i - 1}"] if i else []) for i in range(size)]
    world = does(world_of(WorkflowDef("w", tasks=chain)), "START", "w")
    watched = Watched(world.root, world.workflows, world.own, world.outbox, world.payloads, world.definitions)
    asked = []
    for name in ("POLL", "COMPLETE"):
        watched.asked.clear()
        plan = planned(watched, name, "w.t0")
        asked.append((dict(watched.asked), len(plan.tasks), len(plan.workflows)))
        watched.own.update({(t.workflow, t.no): t for t in plan.tasks})
    assert asked == [({"task": 1, "workflow": 1}, 1, 0), ({"task": 2, "workflow": 1}, 2, 1)]


@pytest.mark.no_cover
def test_progress_is_iterative() -> None:
    """Ten thousand control tasks in a row are passed in one commit, without recursion."""
    chain = [TaskDef(f"t{i}", kind="fork", after=[f"t{i - 1}"] if i else []) for i in range(10_000)]
    plan = planned(world_of(WorkflowDef("w", tasks=chain)), "START", "w")
    assert [w.state for w in plan.created_workflows] == ["COMPLETED"]
    events = Counter(c.event for c in plan.changes)
    assert events == {"START": 1, "CREATE": 1, "SCHEDULE": 10_000, "PASS": 10_000, "COMPLETE": 1}


def test_deep_trees_start_in_one_commit() -> None:
    """Sub-workflows start within sub-workflows down to the limit of depth; the one too deep is rejected, and all above fail."""
    deepest = WorkflowDef("d19", tasks=[TaskDef("x")])
    levels = [WorkflowDef("w" if i == 0 else f"d{i}", tasks=[TaskDef("s", workflow=f"d{i + 1}")]) for i in range(19)]
    world = does(world_of(*levels, deepest), "START", "w")
    assert len(world.workflows) == 20
    assert set(states(world).values()) == {"RUNNING", "IN_PROGRESS", "SCHEDULED"}
    further = [*levels, WorkflowDef("d19", tasks=[TaskDef("s", workflow="leaf")]), LEAF]
    failed = does(world_of(*further), "START", "w")
    assert {row.state for row in failed.workflows.values()} == {"FAILED"}
    assert "sub-workflows nest deeper than 20 levels" in failed.workflows["w"].reason
    assert isinstance(decided(failed, "PAUSE", "w"), Refusal)
