"""Re-opening decided: what starts again, what goes on in place, what is kept, and what stays behind, with exact counters."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.core.decide import decide
from kernel.core.plan import Command, Plan, Refusal, Subject
from kernel.core.program import standard_program
from kernel.core.reach import Positions, behind, path
from kernel.core.records import TreeRow
from kernel.core.view import View
from kernel.formal.explore import NOW, Explorer
from kernel.formal.shape import Shape, State, Task
from kernel.spec import SPEC
from tests.model.bridge import Bridge
from tests.model.shapes import CHAIN, nesting
from tests.model.world import World

TREE = Shape((Task("a"), nesting("s", Shape((Task("x"), nesting("u", CHAIN, "x"), Task("y", ("u",)))), "a"), Task("z", ("s",))),
             runs=3)


def settled(*ended: str, shape: Shape = TREE) -> tuple[World, Bridge]:
    """A tree whose worker tasks were completed in order, or failed for good when their names are given; then terminated."""
    explorer = Explorer(SPEC, shape)
    bridge = Bridge.over(explorer, standard_program())
    state = explorer.tree.start
    state = step(explorer, state, "START", "w")
    for _ in range(20):
        todo = [p for p, row in zip(explorer.tree.places, state, strict=True)
                if p.kind == "task" and row[0] == "SCHEDULED" and p.fixed["mode"] == "WORKER"]
        if not todo:
            break
        name = todo[0].id
        state = step(explorer, step(explorer, state, "POLL", name), "FAIL" if name in ended else "COMPLETE", name)
    return bridge.world(state), bridge


def step(explorer: Explorer, state: State, name: str, place: str) -> State:
    """What a command makes of a state, with the stored lease, a failure for good."""
    request = next(r for r in explorer.requests if r.step.name == name and explorer.tree.places[r.row].id == place
                   and dict(r.choices).get("lease", "held") == "held" and dict(r.choices).get("retryable", 0) == 0)
    after = explorer.commit(request, state)
    assert isinstance(after, tuple)
    return after


def given(world: World, name: str, chosen: Subject | None = None, **given: int) -> Plan | Refusal:
    """The decision on a command for the root."""
    answer = decide(standard_program(), world, Command(name, Subject("w"), given, reason="again", chosen=chosen), NOW + 5)
    assert answer is not None
    return answer


def told(world: World) -> dict[str, str]:
    """The state of every row that is there."""
    return {w.id: f"{w.state} {w.run}" for w in world.workflows.values()} | {
        f"{t.workflow}.{t.ref}": t.state for t in world.own.values()}


def reopened(world: World, name: str, chosen: Subject | None = None, **values: int) -> dict[str, str]:
    """What the rows are after the command; the ones that did not change are left out."""
    plan = given(world, name, chosen, **values)
    assert isinstance(plan, Plan)
    before, after = told(world), told(world.after(plan)[0])
    return {place: after.get(place, "-") for place in (before | after) if after.get(place) != before.get(place)}


def test_retry_starts_what_is_not_closed_well() -> None:
    """A failure three levels down: the root's task starts a fresh sub-workflow, what came before it is kept."""
    world, _ = settled("w/s/u.y")
    assert reopened(world, "RETRY", resume=0) == {
        "w": "RUNNING 2", "w/s": "RUNNING 2", "w/s/u": "-", "w.s": "IN_PROGRESS", "w.z": "PENDING",
        "w/s.x": "SCHEDULED", "w/s.u": "PENDING", "w/s.y": "PENDING", "w/s/u.x": "-", "w/s/u.y": "-"}


def test_retry_resumes_children_down_the_tree() -> None:
    """The same failure retried in place: only the task that failed starts again, and what waits for it."""
    world, _ = settled("w/s/u.y")
    assert reopened(world, "RETRY", resume=1) == {
        "w": "RUNNING 2", "w/s": "RUNNING 2", "w/s/u": "RUNNING 2", "w.s": "IN_PROGRESS", "w.z": "PENDING",
        "w/s.u": "IN_PROGRESS", "w/s.y": "PENDING", "w/s/u.y": "SCHEDULED"}


def test_restart_starts_all() -> None:
    """Everything of the root starts again; every sub-workflow stays behind."""
    world, _ = settled("w.z")
    assert reopened(world, "RESTART") == {
        "w": "RUNNING 2", "w/s": "-", "w/s/u": "-", "w.a": "SCHEDULED", "w.s": "PENDING", "w.z": "PENDING",
        **dict.fromkeys(("w/s.x", "w/s.u", "w/s.y", "w/s/u.x", "w/s/u.y"), "-")}


RERUNS = {
    "of the root's first": (Subject("w", 0), {
        "w": "RUNNING 2", "w/s": "-", "w/s/u": "-", "w.a": "SCHEDULED", "w.s": "PENDING", "w.z": "PENDING",
        **dict.fromkeys(("w/s.x", "w/s.u", "w/s.y", "w/s/u.x", "w/s/u.y"), "-")}),
    "of the root's last": (Subject("w", 2), {"w": "RUNNING 2", "w.z": "SCHEDULED"}),
    "one level down": (Subject("w/s", 2), {
        "w": "RUNNING 2", "w/s": "RUNNING 2", "w.s": "IN_PROGRESS", "w.z": "PENDING", "w/s.y": "SCHEDULED"}),
    "two levels down": (Subject("w/s/u", 1), {
        "w": "RUNNING 2", "w/s": "RUNNING 2", "w/s/u": "RUNNING 2", "w.s": "IN_PROGRESS", "w.z": "PENDING",
        "w/s.u": "IN_PROGRESS", "w/s.y": "PENDING", "w/s/u.y": "SCHEDULED"}),
    "of a sub-workflow's task": (Subject("w/s", 1), {
        "w": "RUNNING 2", "w/s": "RUNNING 2", "w.s": "IN_PROGRESS", "w.z": "PENDING", "w/s.u": "IN_PROGRESS",
        "w/s.y": "PENDING", "w/s/u": "RUNNING 2", "w/s/u.x": "SCHEDULED", "w/s/u.y": "PENDING"}),
}


@pytest.mark.parametrize("name", RERUNS)
def test_rerun_starts_the_chosen_task_and_all_after_it(name: str) -> None:
    """Anywhere in the tree; the tasks and workflows above it go on in place, what comes after those starts again."""
    chosen, expected = RERUNS[name]
    assert reopened(settled()[0], "RERUN", chosen) == expected


REFUSED: dict[str, tuple[tuple[str, ...], str, Subject | None, dict[str, int], str]] = {
    "nothing failed": ((), "RETRY", None, {"resume": 0}, ""),
    "no such row": ((), "RERUN", Subject("w", 9), {}, "chosen task exists"),
    "no task": ((), "RERUN", Subject("w"), {}, "chosen task exists"),
    "no such workflow": ((), "RERUN", Subject("v", 0), {}, "chosen task exists"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    """A task that is not in the tree cannot be chosen; what completed cannot be retried."""
    ended, command, chosen, values, guard = REFUSED[name]
    answer = given(settled(*ended)[0], command, chosen, **values)
    assert isinstance(answer, Refusal)
    assert answer.guard == guard


def test_a_past_attempt_is_not_chosen() -> None:
    """A task of a sub-workflow whose task went on to another attempt is in the tree, and not in what stands."""
    shape = Shape((nesting("s", Shape((Task("x"),)), tries=2),), runs=2)
    world, _ = settled("w/s.x", shape=shape)
    assert world.workflows["w/s~2"].state == "COMPLETED"
    answer = given(world, "RERUN", Subject("w/s", 0))
    assert isinstance(answer, Refusal)
    assert (answer.guard, "attempt that is past" in answer.why) == ("chosen task exists", True)
    assert reopened(world, "RERUN", Subject("w/s~2", 0)) == {
        "w": "RUNNING 2", "w.s": "IN_PROGRESS", "w/s~2": "RUNNING 2", "w/s~2.x": "SCHEDULED"}
    assert reopened(world, "RESTART") == {
        "w": "RUNNING 2", "w.s": "IN_PROGRESS", "w/s": "RUNNING 2", "w/s.x": "SCHEDULED", "w/s~2": "-", "w/s~2.x": "-"}


def test_a_terminate_task_forbids_a_retry() -> None:
    """What a TERMINATE task ended it would only end again; a restart or a rerun before it is another matter."""
    shape = Shape((Task("a"), Task("t", ("a",), "CONTROL", asks="FAILED"), Task("b")), runs=2)
    world, _ = settled(shape=shape)
    answer = given(world, "RETRY", resume=0)
    assert isinstance(answer, Refusal)
    assert answer.guard == "not ended by a TERMINATE task"
    assert reopened(world, "RERUN", Subject("w", 0)) == {
        "w": "RUNNING 2", "w.a": "SCHEDULED", "w.t": "PENDING", "w.b": "SCHEDULED"}
    assert reopened(world, "RERUN", Subject("w", 2)) == {"w": "FAILED 2"}  # it asks again, at once


def test_what_passed_over_a_permissive_task_is_kept_and_counted() -> None:
    """A task that went on after a permissive one had failed stays COMPLETED; its counter waits for the one that runs again."""
    shape = Shape((Task("p", permissive=1), Task("q", ("p",)), Task("r", ("q",))), runs=2)
    world, bridge = settled("w.p", shape=shape)
    plan = given(world, "RETRY", resume=0)
    assert isinstance(plan, Plan)
    after, _ = world.after(plan)
    assert told(after) == {"w": "RUNNING 2", "w.p": "SCHEDULED", "w.q": "COMPLETED", "w.r": "COMPLETED"}
    assert [after.own["w", no].counts for no in range(3)] == [[0], [1], [0]]
    assert bridge.miscounted(after, bridge.state(after)) == ""


def test_the_plan_says_what_it_takes_over() -> None:
    """New rows for what starts again, copies of the rest; the tree counts its tasks; leases and reasons do not come along."""
    world, _ = settled("w/s/u.y")
    assert world.root is not None
    tasks = world.root.tasks
    plan = given(world, "RETRY", resume=0)
    assert isinstance(plan, Plan)
    begun = plan.reopened[0]
    assert ([r.workflow.id for r in plan.reopened], begun.was, begun.again) == (["w"], 1, [1, 2])
    assert sorted(row.id for row in plan.aside) == ["w/s", "w/s/u"]
    assert (plan.tree.run, plan.tree.tasks) == (2, tasks - 2)  # the fresh w/s/u has not started
    assert (begun.workflow.reason, begun.workflow.started) == ("again", NOW + 5)
    assert begun.workflow not in plan.workflows
    assert {(t.worker, t.reason, t.attempt, t.run) for t in plan.created_tasks if t.workflow == "w"} == {("", "", 1, 2)}
    lines = [(c.event, c.subject, c.source, c.count) for c in plan.changes if c.workflow == "w" and c.by == "RETRY"]
    assert lines == [("RETRY", "", "FAILED", 1), ("RESET", "", "CANCELED", 1), ("RESET", "", "FAILED", 1)]


def test_history_names_tasks_where_some_in_their_state_are_kept() -> None:
    """One line stands for all tasks of a state; where only some start again, each has its own."""
    plan = given(settled()[0], "RERUN", Subject("w", 2))
    assert isinstance(plan, Plan)
    assert [(c.subject, c.count) for c in plan.changes if c.event == "RESET"] == [("z", 1)]


def test_outputs_of_an_earlier_run_do_not_count() -> None:
    """Within the commit nothing reads what a task that starts again, or a sub-workflow set aside, had taken in or given."""
    world, _ = settled("w/s/u.y")
    world.payloads["w", 1, "output"] = world.payloads["w/s", 0, "output"] = world.payloads["w", 0, "output"] = "1"
    view = View(standard_program(), world, Command("", Subject("w")), TreeRow("w", 1, 1, NOW, 9), NOW)
    view.anew |= {("w", 1)}
    view.gone |= {"w/s"}
    assert [view.payload("w", 1, "output"), view.payload("w/s", 0, "output"), view.payload("w", 0, "output")] == [
        None, None, "1"]
    assert view.workflow("w/s") is None


def test_what_a_task_is_linked_to() -> None:
    """The tasks above it, the tasks after it, and the root; looked up once."""
    world, _ = settled()
    view = View(standard_program(), world, Command("", Subject("w")), TreeRow("w", 1, 1, NOW, 9), NOW)
    task = view.named(Subject("w/s/u", 0))
    assert task is not None
    assert [step.ref for step in path(task)] == ["x", "u", "s"]
    assert behind(task, "above") == Positions({"w/s": frozenset({1}), "w": frozenset({1})})
    assert behind(task, "reach") == Positions({
        "w/s/u": frozenset({0, 1}), "w/s": frozenset({1, 2}), "w": frozenset({1, 2})})
    assert behind(task, "tree") == (view.workflow("w"),)
    assert task.behind("reach") is task.behind("reach")
    assert task not in task.behind("above")


def test_a_shape_bounds_its_runs() -> None:
    """The oracle re-opens a tree as often as the shape says, and no more."""
    shape = Shape((Task("a"),))
    for runs in (1, 2):
        seen = Explorer(SPEC, evolve(shape, runs=runs)).run()
        assert max(int(state[0][1]) for state in seen.found) == runs
