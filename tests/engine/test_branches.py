"""Switches, variables and outputs, as callers see them, on every store."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import kernel
from kernel.core import judge as judging
from kernel.engine.document import checked_document, document
from kernel.engine.kernel import Kernel
from kernel.errors import GuardRefused, InvalidDefinition
from tests.engine.test_kernel import one, started, states, task
from tests.stores.stand import Stand

Task = kernel.TaskDef
ROUTE = [
    Task("route", kind="switch", on="${workflow.input.speed}"),
    Task("fly", after=["route"], when=("route", "express")),
    Task("track", after=["fly"], when=("route", "express")),
    Task("drive", after=["route"], when=("route", "7")),
    Task("walk", after=["route"], when=("route", None)),
    Task("bill", after=["route", "track", "drive", "walk"]),
]


def begun(k: Kernel, input: dict[str, Any], tasks: list[kernel.TaskDef] = ROUTE, **options: Any) -> str:
    """A workflow of these tasks with this input."""
    k.register(kernel.WorkflowDef("w", tasks=tasks, **options))
    return k.start("w", workflow_id="w", input=input).id


@pytest.mark.parametrize(("speed", "branch"), [
    ("express", {"fly", "track"}), (7, {"drive"}), ("7", {"drive"}), ("slow", {"walk"}), (True, {"walk"}), (None, {"walk"}),
])
def test_a_switch_chooses_a_branch(k: Kernel, speed: object, branch: set[str]) -> None:
    """The tasks of the others are skipped, at once and for good; what follows goes on when the chosen branch is done."""
    begun(k, {"speed": speed})
    skipped = {ref for ref, state in states(k, "w").items() if state == "SKIPPED"}
    assert skipped == {"fly", "track", "drive", "walk"} - branch
    text = speed if isinstance(speed, str) else {7: "7", True: "true", None: "null"}[speed]  # type: ignore[index]
    assert task(k, "w", "route").output == {"selectedCase": text, "evaluationResult": [text], "caseOutput": [text]}
    for ref in ("fly", "track", "drive", "walk"):
        if ref in branch:
            assert states(k, "w")["bill"] == "PENDING"
            k.complete(one(k, ref))
    k.complete(one(k, "bill"))
    assert k.get("w").state == "COMPLETED"
    assert k.audit().clean


@pytest.mark.parametrize("speed", [["express"], {"a": 1}])
def test_a_value_that_chooses_no_branch_is_rejected(k: Kernel, speed: object) -> None:
    """A list or an object names no branch: the switch fails, and its workflow with it."""
    begun(k, {"speed": speed})
    assert (k.get("w").state, states(k, "w")["route"]) == ("FAILED", "FAILED_WITH_TERMINAL_ERROR")
    assert "no branch can be chosen by its value" in k.get("w").reason


def test_an_optional_switch_without_a_choice_skips_every_branch(k: Kernel) -> None:
    """What could not be chosen is not run; what follows is."""
    tasks = [Task("s", kind="switch", on="${workflow.input}", optional=True), Task("a", after=["s"], when=("s", None)),
             Task("b", after=["a"])]
    begun(k, {}, tasks)
    assert states(k, "w") == {"s": "COMPLETED_WITH_ERRORS", "a": "SKIPPED", "b": "SCHEDULED"}


def test_a_branch_that_is_not_chosen_skips_all_that_is_in_it(k: Kernel) -> None:
    """A switch in it, its branches, a sub-workflow, a waiting task, a fork: nothing of it starts."""
    tasks = [
        Task("s", kind="switch", on="a"), Task("x", after=["s"], when=("s", "a")),
        Task("f", kind="fork", after=["s"], when=("s", "b")),
        Task("inner", kind="switch", on="z", after=["f"], when=("s", "b")),
        Task("deep", after=["inner"], when=("inner", "z")), Task("wait", kind="wait", after=["f"], when=("s", "b")),
        Task("sub", workflow="nowhere", after=["inner"], when=("inner", None)),
        Task("j", kind="join", after=["deep", "wait", "sub"], when=("s", "b")), Task("end", after=["x", "j"]),
    ]
    begun(k, {}, tasks)
    assert {ref for ref, state in states(k, "w").items() if state == "SKIPPED"} == {"f", "inner", "deep", "wait", "sub", "j"}
    k.complete(one(k, "x"))
    k.complete(one(k, "end"))
    assert k.get("w").state == "COMPLETED"


def test_nothing_is_skipped_under_a_pause(k: Kernel) -> None:
    """A choice that was made waits for RESUME like every start."""
    tasks = [Task("a"), Task("s", kind="switch", on="${a.output.to}", after=["a"]), Task("b", after=["s"], when=("s", "b")),
             Task("c", after=["s"], when=("s", None))]
    begun(k, {}, tasks)
    lease = one(k, "a")
    k.pause("w")
    k.complete(lease, output={"to": "b"})
    assert states(k, "w") == {"a": "COMPLETED", "s": "PENDING", "b": "PENDING", "c": "PENDING"}
    k.resume("w")
    assert states(k, "w") == {"a": "COMPLETED", "s": "COMPLETED", "b": "SCHEDULED", "c": "SKIPPED"}


# ------------------------------------------------------------------------------------------------------------ variables
def test_set_tasks_set_variables(k: Kernel) -> None:
    """They are merged, the later one wins, and expressions read them."""
    tasks = [
        Task("one", kind="set", input={"a": 1, "b": "${workflow.variables.b}!"}),
        Task("two", kind="set", input={"a": "${workflow.input.n}", "c": [1]}, after=["one"]),
        Task("use", input={"all": "${workflow.variables}", "a": "${workflow.variables.a}"}, after=["two"]),
    ]
    begun(k, {"n": 2}, tasks, variables={"b": "x", "z": None})
    after = {"a": 2, "b": "x!", "c": [1], "z": None}
    assert k.get("w").variables == after
    assert one(k, "use").input == {"all": after, "a": 2}


def test_set_tasks_beside_each_other_lose_nothing(k: Kernel) -> None:
    """Both of one commit are kept."""
    begun(k, {}, [Task("a"), *(Task(ref, kind="set", input={ref: n}, after=["a"]) for n, ref in enumerate("xy", start=1)),
                  Task("b", after=["x", "y"])])
    k.complete(one(k, "a"))
    assert k.get("w").variables == {"x": 1, "y": 2}


def test_variables_have_a_limit(k: Kernel) -> None:
    """A set task that would make them too large is rejected, also when one beside it filled them in the same commit."""
    large = {"v": "x" * 600_000}
    tasks = [Task(ref, kind="set", input={ref: "${workflow.input.v}"}, optional=True) for ref in ("x", "y")]
    begun(k, large, [*tasks, Task("b", after=["x", "y"])])
    assert states(k, "w") == {"x": "COMPLETED", "y": "COMPLETED_WITH_ERRORS", "b": "SCHEDULED"}
    assert "longer than 1,048,576 bytes" in task(k, "w", "y").reason
    assert k.get("w").variables == {"x": large["v"]}


def test_before_they_are_set_variables_are_those_of_the_definition(k: Kernel) -> None:
    """A reader may change what it gets."""
    begun(k, {}, [Task("a")], variables={"v": [1]})
    k.get("w").variables["v"].append(2)
    assert k.get("w").variables == {"v": [1]}


# --------------------------------------------------------------------------------------------------------------- outputs
def test_a_workflow_gives_what_its_output_says(k: Kernel) -> None:
    """It is made when it completes; before that there is none."""
    begun(k, {"n": 1}, [Task("a"), Task("b", after=["a"])], output={"n": "${workflow.input.n}", "a": "${a.output.x}", "c": 3})
    k.complete(one(k, "a"), output={"x": [5]})
    assert k.get("w").output is None
    k.complete(one(k, "b"), output={"x": 0})
    assert k.get("w").output == {"n": 1, "a": [5], "c": 3}
    assert k.tree("w").workflow.output == k.get("w").output


def test_a_workflow_without_an_output_gives_that_of_its_last_task(k: Kernel) -> None:
    """Of the last one, as declared, that was done: skipped ones gave nothing."""
    begun(k, {"speed": "7"}, ROUTE[:-1])
    k.complete(one(k, "drive"), output={"km": 9})
    assert k.get("w").output == {"km": 9}


def test_a_workflow_that_did_not_complete_gives_nothing(k: Kernel) -> None:
    """Not even what its tasks gave so far."""
    begun(k, {}, [Task("a"), Task("b", after=["a"])], output={"a": 1})
    k.complete(one(k, "a"), output={"x": 1})
    k.terminate("w")
    assert k.get("w").output is None


def test_an_output_that_cannot_be_made_says_so(k: Kernel) -> None:
    """The workflow completes all the same."""
    begun(k, {"v": "x" * 600_000}, [Task("a")], output={"twice": ["${workflow.input.v}", "${workflow.input.v}"]})
    k.complete(one(k, "a"))
    assert k.get("w").state == "COMPLETED"
    assert "longer than 1,048,576 bytes" in k.get("w").output["error"]


@pytest.mark.parametrize("given", [{"x": 1}, [1], None])
def test_a_task_gives_what_its_sub_workflow_gave(k: Kernel, given: Any) -> None:
    """And the id of the sub-workflow; what is no object stands under "output"."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("print")]))
    begun(k, {}, [Task("sub", workflow="leaf"), Task("b", input={"x": "${sub.output}"}, after=["sub"])])
    k.complete(one(k, "print"), output=given)
    whole = {**(given if isinstance(given, dict) else {} if given is None else {"output": given}), "subWorkflowId": "w/sub"}
    assert task(k, "w", "sub").output == whole
    assert one(k, "b").input == {"x": whole}


def test_a_sub_workflow_that_failed_gives_what_it_was_asked_to(k: Kernel) -> None:
    """Only a TERMINATE task gives an output to a bad end."""
    end = Task("end", kind="terminate", asks="FAILED", input={"reason": {"code": 3}, "output": {"at": "${workflow.id}"}})
    k.register(kernel.WorkflowDef("leaf", tasks=[end]))
    begun(k, {}, [Task("sub", workflow="leaf", optional=True), Task("b", after=["sub"])])
    assert task(k, "w", "sub").output == {"at": "w/sub", "subWorkflowId": "w/sub"}
    assert (k.get("w/sub").reason, k.get("w/sub").output) == ('{"code":3}', {"at": "w/sub"})


@pytest.mark.parametrize("end", ["COMPLETED", "FAILED", "TERMINATED"])
def test_a_terminate_task_gives_a_reason_and_an_output(k: Kernel, end: str) -> None:
    """Its input says both; an output that is no object stands under "output"; the definition's own does not count."""
    given = {"reason": "sold ${workflow.input.what}", "output": 7}
    begun(k, {"what": "out"}, [Task("a"), Task("end", kind="terminate", asks=end, after=["a"], input=given)], output={"x": 1})
    k.complete(one(k, "a"))
    found = k.get("w")
    assert (found.state, found.reason, found.output) == (end, "sold out", {"output": 7})


def test_what_joins_gave_is_read_together(k: Kernel) -> None:
    """The output of a join is that of the tasks that it joins."""
    tasks = [Task("a"), Task("b"), Task("j", kind="join", after=["a", "b"]),
             Task("c", input={"all": "${j.output}"}, after=["j"])]
    begun(k, {}, tasks)
    k.complete(one(k, "a"), output={"n": 1})
    k.complete(one(k, "b"))
    assert one(k, "c").input == {"all": {"a": {"n": 1}, "b": None}}


def test_the_archive_has_output_and_variables(each: Stand, k: Kernel) -> None:
    """The document of a run shows both."""
    begun(k, {}, [Task("s", kind="set", input={"v": 1}), Task("a", after=["s"])], output={"v": "${workflow.variables.v}"})
    k.complete(one(k, "a"))
    found = checked_document(b"".join(document(each.store, "w", 1)))["workflow"]
    assert (found["output"], found["variables"]) == ({"v": 1}, {"v": 1})


# -------------------------------------------------------------------------------------------------------- dynamic forks
FAN = [
    Task("plan"),
    Task("fan", kind="dynamic", input={"tasks": "${plan.output.tasks}", "inputs": "${plan.output.inputs}"}, after=["plan"]),
    Task("meet", kind="join", after=["fan"]),
    Task("end", input={"all": "${meet.output}"}, after=["meet"]),
]


def test_a_dynamic_fork_makes_tasks(k: Kernel) -> None:
    """Of a worker's result, in the commit of the result; what comes after the fork waits for all of them."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("print")]))
    begun(k, {"n": 1}, FAN)
    made = [{"ref": "a", "input": {"n": "${workflow.input.n}"}}, {"ref": "b", "after": ["a"]}, {"ref": "s", "workflow": "leaf"},
            {"name": "t", "taskReferenceName": "c", "type": "WAIT"}]
    k.complete(one(k, "plan"), output={"tasks": made, "inputs": {"a": {"x": "${workflow.input.n}"}}})
    assert states(k, "w") == {
        "plan": "COMPLETED", "fan": "COMPLETED", "meet": "PENDING", "end": "PENDING", "a": "SCHEDULED", "b": "PENDING",
        "s": "IN_PROGRESS", "c": "IN_PROGRESS"}
    lease = one(k, "a")
    assert lease.input == {"n": 1, "x": "${workflow.input.n}"}
    k.complete(lease, output={"a": 1})
    k.complete(one(k, "b"))
    k.signal("w", "c", output={"by": "ada"})
    assert states(k, "w")["meet"] == "PENDING"
    k.complete(one(k, "print"), output={"p": 2})
    assert one(k, "end").input == {
        "all": {"a": {"a": 1}, "b": None, "c": {"by": "ada"}, "s": {"p": 2, "subWorkflowId": "w/s"}}}
    assert k.audit().clean


def test_a_join_that_was_skipped_joins_when_it_starts_again(k: Kernel) -> None:
    """What a fork made meanwhile comes before it, whatever an operator did."""
    begun(k, {}, FAN)
    k.skip("w", "meet")
    k.complete(one(k, "end"))
    k.complete(one(k, "plan"), output={"tasks": [{"ref": "a"}]})
    k.complete(one(k, "a"), output={"n": 1})
    assert k.get("w").state == "COMPLETED"
    k.rerun("w", from_task="meet")
    assert one(k, "end").input == {"all": {"a": {"n": 1}}}


def test_a_dynamic_fork_may_make_nothing(k: Kernel) -> None:
    """Then what comes after it goes on at once."""
    begun(k, {}, FAN)
    k.complete(one(k, "plan"), output={"tasks": []})
    assert (states(k, "w")["meet"], one(k, "end").input) == ("COMPLETED", {"all": {}})


@pytest.mark.parametrize(("made", "why"), [
    (None, "its input 'tasks' must be a list, not None"),
    ([{"ref": "plan"}], "the workflow has another task of the same reference"),
    ([{"ref": "a"}, {"ref": "a"}], "same reference"),
    ([{"ref": "a", "after": ["nobody"]}], "there is no such task"),
    ([{"ref": "a", "after": ["end"]}], "tasks wait for each other"),
    ([{"ref": "a", "when": ["fan", "x"]}], "stands in no branch"),
    ([{"ref": "a", "input": {"x": "${end.output}"}}], "need not be there yet"),
    ([{"ref": "a", "retries": -1}], "task 'a', field 'retries' is not acceptable: it must be a whole number"),
    ([{"name": "a", "taskReferenceName": "a", "type": "HTTP"}], "task 'a' cannot be read: its type 'HTTP' is not supported"),
])
def test_a_dynamic_fork_that_cannot_make_its_tasks_is_rejected(k: Kernel, made: object, why: str) -> None:
    """Progress never raises: the result that it reads counts, the fork says why, and the workflow fails."""
    begun(k, {}, FAN)
    k.complete(one(k, "plan"), output={"tasks": made})
    assert states(k, "w")["fan"] == "FAILED_WITH_TERMINAL_ERROR"
    assert why in task(k, "w", "fan").reason
    assert (k.get("w").state, len(k.tasks("w"))) == ("FAILED", 4)


def test_dynamic_forks_beside_each_other_do_not_collide(k: Kernel) -> None:
    """Of two that would make a task of the same name in one commit the second is rejected."""
    made = {"tasks": [{"ref": "a"}]}
    begun(k, {}, [Task("f", kind="dynamic", input=made, optional=True), Task("g", kind="dynamic", input=made, optional=True)])
    assert states(k, "w") == {"f": "COMPLETED", "g": "COMPLETED_WITH_ERRORS", "a": "SCHEDULED"}


def test_a_tree_has_a_limit_for_dynamic_forks(k: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that would make the tree too large is rejected."""
    monkeypatch.setattr(judging, "TREE_TASKS_MAX", 2)
    begun(k, {}, [Task("f", kind="dynamic", input={"tasks": [{"ref": "a"}, {"ref": "b"}]})])
    assert task(k, "w", "f").reason == "the tree would have more than 2 tasks"


def test_a_store_has_a_limit_for_what_is_made_meanwhile(each: Stand, k: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fork that would make a tree too large for its store is rejected, and the result before it counts."""
    monkeypatch.setattr(each.store, "policy", attrs.evolve(each.store.policy, tree_tasks=4))
    begun(k, {}, FAN[:2])
    lease = one(k, "plan")
    with pytest.raises(InvalidDefinition, match="the tree would have more than 4 tasks"):
        k.complete(lease, spawn=[Task(ref) for ref in "abc"])
    k.complete(lease, output={"tasks": [{"ref": ref} for ref in "abc"]})
    assert task(k, "w", "fan").reason == "the tree would have more than 4 tasks"
    assert k.get("w").state == "FAILED"


@pytest.mark.parametrize(("name", "most", "fits"), [
    ("top", 15, True), ("top", 14, False), ("late", 11, True), ("late", 10, False)])
def test_workflows_count_where_a_store_has_a_limit(
    each: Stand, k: Kernel, monkeypatch: pytest.MonkeyPatch, name: str, most: int, fits: bool,
) -> None:
    """Each for so many tasks besides its own, those of this decision and those of the present run: one too many is rejected."""
    monkeypatch.setattr(each.store, "policy", attrs.evolve(each.store.policy, tree_tasks=most, workflow_tasks=2))
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("a")]),
               kernel.WorkflowDef("top", tasks=[Task("g"), *[Task(f"s{no}", workflow="leaf", after=["g"]) for no in range(3)]]),
               kernel.WorkflowDef("late", tasks=[
                   Task("s0", workflow="leaf"), Task("g"), Task("s1", workflow="leaf", after=["g"])]))
    k.start(name, workflow_id="w")
    k.complete(one(k, "g"))
    launched = [task for task in k.tasks("w") if task.ref != "g"]
    if fits:
        assert {task.state for task in launched} == {"IN_PROGRESS"}
        k.terminate("w")
        k.retry("w")  # those of the run before do not count
        assert k.tree("w").workflow.state == "RUNNING"
    else:
        assert k.get("w").state == "FAILED"
        assert launched[-1].reason == f"the tree would have more than {most} tasks, where each workflow counts for 2"
    assert k.audit().clean


# ---------------------------------------------------------------------------------------------------- inputs and facts
def test_defaults_fill_in_what_is_not_given(k: Kernel) -> None:
    """Key by key, for a root and for a sub-workflow; the same start again is the same workflow."""
    k.register(kernel.WorkflowDef("leaf", tasks=[Task("print")], defaults={"n": 1, "m": [2]}))
    first = k.start("leaf", workflow_id="l", input={"n": None})
    assert first.input == {"n": None, "m": [2]}
    assert k.start("leaf", workflow_id="l", input={"n": None}) == first
    with pytest.raises(GuardRefused):
        k.start("leaf", workflow_id="l")
    assert k.start("leaf", workflow_id="m").input == {"n": 1, "m": [2]}
    begun(k, {}, [Task("sub", workflow="leaf", input={"m": 3})])
    assert k.get("w/sub").input == {"n": 1, "m": 3}


def test_expressions_read_facts(k: Kernel) -> None:
    """Of the workflow, of the task itself, and of the tasks before it."""
    facts = {
        "id": "${workflow.workflowId}", "up": "${workflow.parentWorkflowId}", "type": "${workflow.workflowType}",
        "version": "${workflow.version}", "me": "${CPEWF_TASK_ID}", "status": "${a.status}", "task": "${a.taskId}",
        "given": "${a.input.x}", "plain": "${b.input.y}",
    }
    output = {"me": "${CPEWF_TASK_ID}", "up": "${workflow.parentWorkflowId}"}
    k.register(kernel.WorkflowDef("leaf", version=3, output=output, tasks=[
        Task("a", input={"x": "${workflow.input.n}"}), Task("b", input={"y": 2}),
        Task("c", input=facts, after=["a", "b"], optional=True)]))
    started(k, Task("sub", workflow="leaf", input={"n": 1}), name="w")
    k.complete(one(k, "a"))
    k.complete(one(k, "b"))
    lease = one(k, "c")
    assert lease.input == {
        "id": "w/sub", "up": "w", "type": "leaf", "version": 3, "me": "w/sub/c", "status": "COMPLETED", "task": "w/sub/a",
        "given": 1, "plain": 2}
    k.complete(lease)
    assert k.get("w/sub").output == {"me": None, "up": "w"}
