"""Conductor's JSON: the 30 real files, and every rule of what is read, warned of and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.core.conductor import DEEPEST, Parsed, parse
from kernel.core.conductor_fields import KINDS
from kernel.core.definitions import ExpiryPolicy, RetryLogic, TaskDef, TaskKind, WorkflowDef
from kernel.core.structure import compile_definition, flatten
from kernel.errors import InvalidDefinition

FOLDER = Path(__file__).parent.parent / "data" / "conductor"
RUN = (
    "dynamic_fork_join_integration_test", "exec_limit_workflow", "fork_join_integration_test", "fork_join_sub_workflow",
    "nested_fork_join_integration_test", "nested_fork_join_swf", "set_variable_workflow_integration_test",
    "simple_one_task_sub_workflow_integration_test", "simple_switch_task_integration_test",
    "switch_and_fork_join_integration_test", "simple_workflow_1_input_template_integration_test",
    "simple_workflow_1_integration_test", "simple_workflow_3_integration_test",
    "simple_workflow_with_optional_task_integration_test", "simple_workflow_with_permissive_task_integration_test",
    "simple_workflow_with_resp_time_out_integration_test", "sub_flow_1", "sub_workflow_tests",
    "terminate_task_sub_workflow", "timed-out-tasks-not-removed", "wait_workflow_integration_test", "wf2",
    "workflow_with_sub_workflow_1_integration_test",
)
REFUSED = {
    "do_while_integration_test": ("loopTask", "DO_WHILE"),
    "failure_workflow_for_terminate_task_workflow": ("lambda0", "LAMBDA"),
    "kitchensink": ("event_0", "EVENT"),
    "re_run_test_workflow": ("jq", "JSON_JQ_TRANSFORM"),
    "terminate_task_completed_workflow_integration_test": ("lambda0", "LAMBDA"),
    "terminate_task_failed_workflow_integration": ("lambda0", "LAMBDA"),
    "terminate_task_parent_workflow": ("lambdaTask1", "LAMBDA"),
}
POLICY = "TIME_OUT_WF also says what follows when responseTimeoutSeconds end; Conductor would retry then"
UNKNOWN = "has no effect: there is no such field"
NO_DELAY = "'startDelay' has no effect: the task starts without delay"
WARNINGS = {
    "dynamic_fork_join_integration_test": [
        f", tasks 'dt1', 'task4': 'taskDefinition.timeoutPolicy' {POLICY}",
    ],
    "simple_workflow_with_permissive_task_integration_test": [
        f", tasks 't1', 't2': 'taskDefinition.timeoutPolicy' {POLICY}",
    ],
    "wf2": [
        f", tasks 'task_5', 'task_28', 'forkx', 'task_10', 'task_11' and 4 more: 'callbackFromWorker' {UNKNOWN}",
    ],
}


def content_of(name: str) -> Any:
    """The content of one of the real files."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def task(ref: str, type_: object = "SIMPLE", **fields: Any) -> dict[str, Any]:
    """A task as Conductor writes it."""
    return {"name": f"{ref}_type", "taskReferenceName": ref, "type": type_, **fields}


def fork(ref: str, *branches: list[Any], **fields: Any) -> dict[str, Any]:
    """A FORK_JOIN as Conductor writes it."""
    return task(ref, "FORK_JOIN", forkTasks=list(branches), **fields)


def read(*tasks: Any, **fields: Any) -> Parsed:
    """What a file with one definition of these tasks holds."""
    return parse({"name": "order", "tasks": list(tasks), **fields}, file="f.json")


def tasks_of(*tasks: Any) -> list[TaskDef]:
    """The tasks that these become, without a warning."""
    parsed = read(*tasks)
    assert parsed.warnings == ()
    return list(parsed.definitions[0].tasks)


def refused(*tasks: Any, **fields: Any) -> InvalidDefinition:
    """What a file with one definition of these tasks is refused with."""
    with pytest.raises(InvalidDefinition) as caught:
        read(*tasks or [task("a")], **fields)
    assert "'f.json', definition 'order'" in caught.value.asked
    return caught.value


def test_every_real_file_is_decided() -> None:
    """23 run and 7 do not; there are no others."""
    found = {path.stem for path in FOLDER.glob("*.json")} - {"cases", "TaskDef.schema", "WorkflowDef.schema"}
    assert found == {*RUN, *REFUSED}
    assert (len(RUN), len(REFUSED)) == (23, 7)


@pytest.mark.parametrize("name", RUN)
def test_a_real_file_that_can_run_is_read(name: str) -> None:
    """With exactly the warnings that it deserves: none is missing, and none is noise."""
    parsed = parse(content_of(name), file=f"{name}.json", topics=["archive"])
    assert all(definition.topics == ("archive",) for definition in parsed.definitions)
    expected = WARNINGS.get(name, [])
    assert len(parsed.warnings) == len(expected)
    for text, end in zip(parsed.warnings, expected, strict=True):
        assert text.startswith(f"'{name}.json', definition '")
        assert text.endswith(end)


@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_that_cannot_run_is_refused(name: str) -> None:
    """Naming file, definition, task reference, type and what is supported."""
    ref, type_ = REFUSED[name]
    with pytest.raises(InvalidDefinition) as caught:
        parse(content_of(name), file=f"{name}.json")
    assert caught.value.asked.startswith(f"'{name}.json', definition '")
    assert caught.value.asked.endswith(f"task '{ref}' cannot be read")
    assert caught.value.why.startswith(f"its type '{type_}' is not supported")
    assert caught.value.allowed == tuple(KINDS)
    assert caught.value.hint


def test_all_unsupported_tasks_are_named_at_once() -> None:
    """Wherever they stand: the reader sees how far the file is from running."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(content_of("kitchensink"), file="kitchensink.json")
    assert caught.value.why == "its type 'EVENT' is not supported; nor are those of 'task_2' ('DYNAMIC'), 'get_es_1' ('HTTP')"
    assert refused(task("a"), task("b", "HTTP")).why == "its type 'HTTP' is not supported"
    with pytest.raises(InvalidDefinition, match="'fact_length' \\('SWITCH' with evaluatorType 'javascript'\\)"):
        parse(content_of("re_run_test_workflow"), file="re_run_test_workflow.json")


def test_a_sequence_becomes_after() -> None:
    """Each task comes after the one before it; the name is what workers poll for."""
    assert tasks_of(task("a"), task("b", "WAIT"), task("c", "HUMAN")) == [
        TaskDef("a", type="a_type"), TaskDef("b", type="b_type", kind="wait", after=["a"]),
        TaskDef("c", type="c_type", kind="wait", after=["b"]),
    ]


def test_a_type_that_is_not_given_is_simple() -> None:
    """As in the schema, also where it is null or empty."""
    assert tasks_of({"name": "x", "taskReferenceName": "a"}, task("b", None), task("c", "")) == [
        TaskDef("a", type="x"), TaskDef("b", type="b_type", after=["a"]), TaskDef("c", type="c_type", after=["b"]),
    ]


def test_a_fork_and_its_join() -> None:
    """Branches come after the fork, the join after what it names, what follows after the join."""
    made = tasks_of(
        task("a"), fork("f", [task("b"), task("c")], [task("d")]), task("j", "JOIN", joinOn=["d", "c"]), task("e"),
    )
    assert [(each.ref, each.kind, each.after) for each in made] == [
        ("a", TaskKind.WORKER, ()), ("f", TaskKind.FORK, ("a",)), ("b", TaskKind.WORKER, ("f",)),
        ("c", TaskKind.WORKER, ("b",)), ("d", TaskKind.WORKER, ("f",)), ("j", TaskKind.JOIN, ("d", "c")),
        ("e", TaskKind.WORKER, ("j",)),
    ]


def test_a_join_without_names_waits_for_every_branch() -> None:
    """For the last task of each; an empty branch ends at the fork itself, and a name counts once."""
    made = tasks_of(fork("f", [task("b"), task("c")], [], [], [task("d")]), task("j", "JOIN"))
    assert made[-1].after == ("c", "f", "d")
    assert tasks_of(fork("f", [task("b")]), task("j", "JOIN", joinOn=["b", "b"]))[-1].after == ("b",)


def test_forks_in_forks() -> None:
    """A join may name any task in the branches of its fork, however deep."""
    inner = [fork("g", [task("b")], [task("c")]), task("k", "JOIN", joinOn=["b", "c"])]
    made = tasks_of(fork("f", inner, [task("d")]), task("j", "JOIN", joinOn=["c", "k", "d"]))
    assert {each.ref: each.after for each in made} == {
        "f": (), "g": ("f",), "b": ("g",), "c": ("g",), "k": ("b", "c"), "d": ("f",), "j": ("c", "k", "d"),
    }


ORDER = "the join of this FORK_JOIN is missing"
OUT_OF_ORDER: list[tuple[list[Any], str, str]] = [
    ([fork("f", [task("b")])], "'f'", f"{ORDER}: nothing follows it"),
    ([fork("f", [task("b")]), task("c")], "'f'", f"{ORDER}: 'c' follows it"),
    ([fork("f", [task("b")]), fork("g", [task("c")]), task("j", "JOIN")], "'f'", f"{ORDER}: 'g' follows it"),
    ([fork("f", [fork("g", [task("b")])]), task("j", "JOIN")], "'g'", f"{ORDER}: nothing follows it"),
    ([task("j", "JOIN")], "'j'", "this JOIN has no fork in front of it"),
    ([fork("f", [task("b")]), task("j", "JOIN"), task("k", "JOIN")], "'k'", "this JOIN has no fork in front of it"),
    ([fork("f", [task("b")]), task("j", "JOIN", joinOn=["a"])], "'j', field 'joinOn'", "'a' is not a task in a branch"),
    ([fork("f", [task("b")]), task("j", "JOIN", joinOn=["f"])], "'j', field 'joinOn'", "'f' is not a task in a branch"),
    ([fork("f", [task("b")]), task("j", "JOIN", joinOn=[7])], "'j', field 'joinOn'", "7 is not a task in a branch"),
    ([fork("f", [task("b")]), task("j", "JOIN", joinOn=[["b"]])], "'j', field 'joinOn'", "type list"),
    ([fork("f"), task("j", "JOIN")], "'f', field 'forkTasks'", "missing or empty"),
    ([task("f", "FORK_JOIN"), task("j", "JOIN")], "'f', field 'forkTasks'", "missing or empty"),
    ([task("f", "FORK_JOIN", forkTasks=[task("b")]), task("j", "JOIN")], "", "stand in a list"),
    ([task("f", "FORK_JOIN", forkTasks=[[7]]), task("j", "JOIN")], "", "a task must be an object, not 7"),
]


@pytest.mark.parametrize(("tasks", "place", "why"), OUT_OF_ORDER)
def test_forks_and_joins_out_of_order_are_refused(tasks: list[Any], place: str, why: str) -> None:
    """The message names the fork or the join, and what is wrong with it."""
    error = refused(*tasks)
    assert place in error.asked
    assert why in str(error)


def test_a_join_that_is_nearly_right_gets_a_hint() -> None:
    """The nearest name among the branches."""
    assert refused(fork("f", [task("pick")]), task("j", "JOIN", joinOn=["pik"])).hint == "did you mean 'pick'?"


def test_input_is_taken_over() -> None:
    """With its expressions; null is no input."""
    given = {"x": "${workflow.input.x}", "y": [1]}
    assert tasks_of(task("a", inputParameters=given), task("b", inputParameters=None)) == [
        TaskDef("a", type="a_type", input=given), TaskDef("b", type="b_type", after=["a"]),
    ]


def test_a_data_dependency_without_an_order_is_refused() -> None:
    """Reading a task of another branch gives null in Conductor, or not: here it is an error."""
    reader = task("c", inputParameters={"x": "${b.output.y}"})
    error = refused(fork("f", [task("b")], [reader]), task("j", "JOIN", joinOn=["b", "c"]))
    assert "task 'c', field 'input'" in error.asked
    assert "reads the output of 'b'" in error.why


def test_optional_and_permissive() -> None:
    """Are taken over where a task can fail: with a worker, a child, a signal, or an input that cannot be resolved."""
    made = tasks_of(task("a", optional=True), task("b", "WAIT", permissive=True), task("c", optional=False),
                    task("d", "SET_VARIABLE", optional=True))
    assert [(each.optional, each.permissive) for each in made] == [
        (True, False), (False, True), (False, False), (True, False)]


# ---- switches, variables, ends
def switch(ref: str, cases: dict[str, Any], default: object = None, **fields: Any) -> dict[str, Any]:
    """A SWITCH as Conductor writes it."""
    given = {"inputParameters": {"by": "${workflow.input.x}"}, "evaluatorType": "value-param", "expression": "by"}
    return task(ref, "SWITCH", decisionCases=cases, defaultCase=default, **{**given, **fields})


def test_a_switch_and_its_branches() -> None:
    """Each task of a branch says when; what follows waits for the switch and for the last task of each branch."""
    made = tasks_of(task("a"), switch("s", {"x": [task("b"), task("c")], "": [task("d")]}, [task("e")]), task("z"))
    assert [(each.ref, each.after, each.when) for each in made] == [
        ("a", (), None), ("s", ("a",), None), ("b", ("s",), ("s", "x")), ("c", ("b",), ("s", "x")), ("d", ("s",), ("s", "")),
        ("e", ("s",), ("s", None)), ("z", ("s", "c", "d", "e"), None)]
    assert (made[1].kind, made[1].on, made[1].input) == (
        TaskKind.SWITCH, "${workflow.input.x}", {"by": "${workflow.input.x}"})


def test_a_decision_is_a_switch() -> None:
    """By the input that caseValueParam names."""
    (made, inside) = tasks_of(
        task("d", "DECISION", caseValueParam="by", inputParameters={"by": "x"}, decisionCases={"x": [task("b")]}))
    assert (made.kind, made.on, inside.when) == (TaskKind.SWITCH, "x", ("d", "x"))


@pytest.mark.parametrize(("value", "on"), [("x", "x"), (7, "7"), (True, "true"), (None, "null"), (1.5, "1.5")])
def test_a_fixed_value_chooses_as_text(value: object, on: str) -> None:
    """Branches have names; whatever the value is, it is compared as text."""
    assert tasks_of(switch("s", {}, inputParameters={"by": value}))[0].on == on


def test_an_empty_branch_is_the_default_one() -> None:
    """As in Conductor; a switch without any tasks is passed."""
    made = tasks_of(switch("s", {"x": [], "n": None, "y": [task("b")]}, [task("c")]), task("z"))
    assert compile_definition(WorkflowDef("w", tasks=made)).cases == {0: ("y",)}
    assert tasks_of(switch("s", {"x": []}, []), task("z"))[1].after == ("s",)
    assert tasks_of(switch("s", {}, None, evaluatorType=None), task("z"))[1].after == ("s",)


def test_switches_and_forks_in_one_another() -> None:
    """The nearest switch counts; a join may name a task of a branch of a switch in a branch of its fork."""
    split = fork("f", [task("b")], [switch("u", {"v": [task("c")]})])
    inner = switch("t", {"y": [split, task("j", "JOIN", joinOn=["c", "b"])]})
    made = tasks_of(switch("s", {"x": [inner, task("d")]}))
    assert {each.ref: each.when for each in made} == {
        "s": None, "t": ("s", "x"), "f": ("t", "y"), "b": ("t", "y"), "u": ("t", "y"), "c": ("u", "v"), "j": ("t", "y"),
        "d": ("s", "x")}
    assert made[-1].after == ("t", "j")


SWITCHES: list[tuple[dict[str, Any], str, str]] = [
    ({"expression": None}, "task 's', field 'expression'", "missing"),
    ({"expression": "bye"}, "task 's', field 'expression'", "names 'bye', which inputParameters do not hold"),
    ({"inputParameters": None}, "task 's', field 'expression'", "names 'by', which"),
    ({"inputParameters": {"by": ["x"]}}, "task 's', field 'inputParameters.by'", "no branch can be chosen by"),
    ({"expression": 7}, "task 's', field 'expression'", "text, not 7"),
    ({"decisionCases": [1]}, "task 's', field 'decisionCases'", "an object"),
    ({"decisionCases": {"x": 7}}, "tasks must stand in a list, not in 7", ""),
    ({"decisionCases": {"x" * 201: [task("a")]}}, "task 'a', field 'when'", "200 characters"),
    ({"defaultCase": {"a": 1}}, "task 's', field 'defaultCase'", "a list"),
    ({"evaluatorType": "javascript"}, "task 's' cannot be read", "'SWITCH' with evaluatorType 'javascript' is not supported"),
    ({"evaluatorType": ["x"]}, "task 's', field 'evaluatorType'", "text, not a value of type list"),
    ({"type": "DECISION"}, "task 's', field 'caseValueParam'", "missing"),
    ({"type": "DECISION", "caseExpression": "$.x == 1"}, "task 's' cannot be read", "'DECISION' with a caseExpression is"),
]


@pytest.mark.parametrize(("fields", "place", "why"), SWITCHES)
def test_a_bad_switch_is_refused(fields: dict[str, Any], place: str, why: str) -> None:
    """The message names task and field; scripts are refused as types are."""
    error = refused(switch("s", {"x": [task("b")]}) | fields)
    assert place in error.asked
    assert why in error.why


def test_a_dynamic_fork() -> None:
    """It makes its tasks of the inputs that it names; its join comes after it, and names nothing."""
    fields = {"dynamicForkTasksParam": "t", "dynamicForkTasksInputParamName": "i"}
    given = {"t": "${a.output.tasks}", "i": "${a.output.inputs}", "more": 1}
    fan = task("f", "FORK_JOIN_DYNAMIC", inputParameters=given, **fields)
    made = tasks_of(task("a"), fan, task("j", "JOIN"), task("z"))
    assert [(each.ref, each.kind, each.after) for each in made[1:]] == [
        ("f", TaskKind.DYNAMIC, ("a",)), ("j", TaskKind.JOIN, ("f",)), ("z", TaskKind.WORKER, ("j",))]
    assert made[1].input == {"tasks": "${a.output.tasks}", "inputs": "${a.output.inputs}"}
    assert "the join of this FORK_JOIN is missing" in refused(task("a"), fan, task("z")).why
    assert "is not a task in a branch" in refused(task("a"), fan, task("j", "JOIN", joinOn=["a"])).why
    for field in fields:
        assert f"task 'f', field '{field}'" in refused(task("a"), {**fan, field: None}, task("j", "JOIN")).asked
        error = refused(task("a"), {**fan, field: "x"}, task("j", "JOIN"))
        assert (f"task 'f', field '{field}'" in error.asked, "names 'x', which" in error.why) == (True, True)


def test_variables_and_nothing() -> None:
    """SET_VARIABLE and NOOP; the variables that a workflow begins with."""
    made = tasks_of(task("v", "SET_VARIABLE", inputParameters={"x": "${workflow.input.x}"}), task("n", "NOOP"))
    assert [(each.kind, each.input, each.after) for each in made] == [
        (TaskKind.SET, {"x": "${workflow.input.x}"}, ()), (TaskKind.NOOP, {}, ("v",))]
    assert read(task("a"), variables={"x": 1}).definitions[0].variables == {"x": 1}


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "TERMINATED"])
def test_a_terminate_task(status: str) -> None:
    """Its status is honoured; reason and output become those of the end, other inputs nothing."""
    given = {"terminationStatus": status, "terminationReason": "${workflow.input.why}", "workflowOutput": {"x": 1}, "reason": 7}
    (made,) = tasks_of(task("t", "TERMINATE", inputParameters=given))
    assert (made.kind, made.asks, made.input) == (
        TaskKind.TERMINATE, status, {"reason": "${workflow.input.why}", "output": {"x": 1}})
    assert tasks_of(task("t", "TERMINATE", inputParameters={"terminationStatus": status}))[0].input == {}


@pytest.mark.parametrize("status", [None, "TIMED_OUT", "completed", "${workflow.input.status}", 7, ["FAILED"]])
def test_any_other_end_is_refused(status: object) -> None:
    """By name: what is not understood must not become success."""
    error = refused(task("t", "TERMINATE", inputParameters={"terminationStatus": status}))
    assert "task 't', field 'inputParameters.terminationStatus'" in error.asked
    assert error.allowed == ("COMPLETED", "FAILED", "TERMINATED")
    assert "inputParameters.terminationStatus" in refused(task("t", "TERMINATE")).asked


def test_outputs_defaults_and_the_workflow_for_failures() -> None:
    """Are the definition's; an output that no expression can give is refused."""
    made = read(task("a"), outputParameters={"x": "${a.output.x}"}, inputTemplate={"p": 1}, failureWorkflow="mend")
    definition = made.definitions[0]
    assert (definition.output, definition.defaults, definition.failure_workflow) == ({"x": "${a.output.x}"}, {"p": 1}, "mend")
    assert made.warnings == ()
    assert "field 'output'" in refused(task("a"), outputParameters={"x": "${b.output.x}"}).asked


# ---- task definitions


def test_an_embedded_task_definition() -> None:
    """Gives retries, lease and time-outs; what it leaves out has the default of Conductor's schema."""
    embedded = {
        "retryCount": 2, "retryDelaySeconds": 5, "responseTimeoutSeconds": 30, "pollTimeoutSeconds": 7,
        "timeoutPolicy": "RETRY",
    }
    assert tasks_of(task("a", taskDefinition=embedded)) == [
        TaskDef("a", type="a_type", retries=2, retry_delay=5, lease=30, poll_timeout=7, on_expiry="RETRY"),
    ]
    assert tasks_of(task("a", taskDefinition={**embedded, "pollTimeoutSeconds": 0}))[0].poll_timeout is None
    assert read(task("a", taskDefinition={"name": "x"})).definitions[0].tasks == (
        TaskDef("a", type="a_type", retries=3, retry_delay=60, lease=3600),
    )


def test_the_clocks_of_a_task_definition() -> None:
    """Those of an attempt and of all of them; how delays grow, up to where, and how much comes by chance."""
    embedded = {
        "timeoutSeconds": 90, "totalTimeoutSeconds": 600, "timeoutPolicy": "ALERT_ONLY", "retryDelaySeconds": 2,
        "retryLogic": "LINEAR_BACKOFF", "backoffScaleFactor": 3, "maxRetryDelaySeconds": 20, "backoffJitterMs": 250,
    }
    parsed = read(task("a", taskDefinition=embedded))
    assert parsed.definitions[0].tasks == (TaskDef(
        "a", type="a_type", retries=3, lease=3600, attempt_timeout=90, total_timeout=600, on_expiry=ExpiryPolicy.ALERT_ONLY,
        retry_delay=6, retry_logic=RetryLogic.LINEAR_BACKOFF, retry_delay_max=20, retry_jitter=0.25),)
    (warning,) = parsed.warnings
    assert warning.endswith("'taskDefinition.timeoutPolicy' ALERT_ONLY also says what follows when responseTimeoutSeconds end; "
                            "Conductor would retry then")
    (made,) = tasks_of(task("a", taskDefinition={**embedded, "retryLogic": "EXPONENTIAL_BACKOFF", "timeoutPolicy": "RETRY"}))
    assert (made.retry_delay, made.retry_logic) == (2.0, RetryLogic.EXPONENTIAL_BACKOFF)
    nothing = {"timeoutSeconds": 0, "totalTimeoutSeconds": 0, "maxRetryDelaySeconds": 0, "backoffJitterMs": 0}
    (made,) = tasks_of(task("a", taskDefinition=nothing))
    assert made == TaskDef("a", type="a_type", retries=3, retry_delay=60, lease=3600)


@pytest.mark.parametrize("limit", ["timeoutSeconds", "totalTimeoutSeconds", "pollTimeoutSeconds"])
@pytest.mark.parametrize(("policy", "count"), [("RETRY", 0), ("TIME_OUT_WF", 1), ("ALERT_ONLY", 1)])
def test_the_policy_of_a_task_definition(limit: str, policy: str, count: int) -> None:
    """Holds for the clocks that are given; with none but the response time-out a silent worker is retried, as in Conductor."""
    for given, expected, warned in (({limit: 5}, policy, count), ({}, "RETRY", 0)):
        parsed = read(task("a", taskDefinition={**given, "timeoutPolicy": policy}))
        assert (parsed.definitions[0].tasks[0].on_expiry, len(parsed.warnings)) == (expected, warned)


def test_a_task_without_one_has_our_defaults() -> None:
    """Conductor keeps task definitions apart; a file does not hold them."""
    assert tasks_of(task("a")) == [TaskDef("a", type="a_type")]


def test_the_defaults_of_a_tasks_input() -> None:
    """Are filled in key by key."""
    embedded = {"timeoutPolicy": "RETRY", "inputTemplate": {"x": 1, "y": "${workflow.input.y}"}}
    (made,) = tasks_of(task("a", taskDefinition=embedded, inputParameters={"x": 2, "z": 3}))
    assert made.input == {"x": 2, "y": "${workflow.input.y}", "z": 3}
    assert tasks_of(task("a", taskDefinition=embedded))[0].input == embedded["inputTemplate"]


def test_task_definitions_of_a_second_file() -> None:
    """Are for the tasks of their name that have none embedded; one that cannot be used is warned of."""
    known = [
        {"name": "a_type", "retryCount": 4, "retryDelaySeconds": 0, "timeoutPolicy": "RETRY", "responseTimeoutSeconds": 9},
        {"name": "w_type", "concurrentExecLimit": 5}, {"name": "unused", "concurrentExecLimit": 5}]
    tasks = [task("a"), task("b", taskDefinition={"retryCount": 1, "timeoutPolicy": "RETRY"}), task("w", "WAIT"), task("c"),
             {**task("d"), "name": "a_type", "retryCount": 2}]
    parsed = parse({"name": "order", "tasks": tasks}, file="f.json", task_defs=known, task_defs_file="t.json")
    assert [(each.retries, each.lease) for each in parsed.definitions[0].tasks] == [
        (4, 9.0), (1, 3600.0), (0, 60.0), (0, 60.0), (2, 9.0)]
    (warning,) = parsed.warnings
    assert warning == (
        "'f.json', definition 'order', task 'w': 't.json', task definition 'w_type' has no effect: only a SIMPLE task uses one")
    one = parse({"name": "order", "tasks": [task("a")]}, file="f.json", task_defs={"name": "a_type", "concurrentExecLimit": 5},
                task_defs_file="t.json")
    assert one.warnings[0].startswith("'t.json', task definition 'a_type': 'concurrentExecLimit' has no effect")


TASK_DEFS: list[tuple[object, str, str]] = [
    ([7], "'t.json': a task definition must be an object, not 7", ""),
    (None, "'t.json': a task definition must be an object, not None", ""),
    ([{"retryCount": 1}], "'t.json', task definition None, field 'name'", "missing"),
    ([{"name": ["a"]}], "'t.json', task definition a value of type list, field 'name'", "missing"),
    ([{"name": "a_type"}, {"name": "a_type"}], "'t.json' is not acceptable", "'a_type' twice"),
    ({"name": "a_type", "retryCount": "3"}, "'t.json', task definition 'a_type', field 'retryCount'", "whole number"),
    ({"name": "a_type", "timeoutPolicy": "X"}, "'t.json', task definition 'a_type', field 'timeoutPolicy'", "'X'"),
]


@pytest.mark.parametrize(("content", "place", "why"), TASK_DEFS)
def test_bad_task_definitions_are_refused(content: object, place: str, why: str) -> None:
    """The message names their file."""
    with pytest.raises(InvalidDefinition) as caught:
        parse({"name": "order", "tasks": [task("a")]}, file="f.json", task_defs=content, task_defs_file="t.json")
    assert place in caught.value.asked
    assert why in caught.value.why


def test_the_retries_of_a_task_go_before_those_of_its_definition() -> None:
    """0 included."""
    embedded = {"retryCount": 5, "timeoutPolicy": "RETRY"}
    assert tasks_of(task("a", taskDefinition=embedded, retryCount=0))[0].retries == 0
    assert tasks_of(task("a", retryCount=4))[0].retries == 4


def test_sub_workflows_by_name() -> None:
    """A name or an expression, with a version or without; 0 and null mean the newest."""
    made = tasks_of(
        task("a", "SUB_WORKFLOW", subWorkflowParam={"name": "x", "version": 2}),
        task("b", "SUB_WORKFLOW", subWorkflowParam={"name": "${workflow.input.w}", "version": None}),
        task("c", "SUB_WORKFLOW", subWorkflowParam={"name": "x", "version": 0}, inputParameters={"p": 1}),
    )
    assert [(each.kind, each.workflow, each.workflow_version, each.type) for each in made] == [
        (TaskKind.WORKFLOW, "x", 2, "a_type"), (TaskKind.WORKFLOW, "${workflow.input.w}", None, "b_type"),
        (TaskKind.WORKFLOW, "x", None, "c_type"),
    ]
    assert made[2].input == {"p": 1}


def test_sub_workflows_inline() -> None:
    """The definition stands in the place of the name, and is read by the same rules."""
    inner = {"name": "in", "version": 3, "tasks": [task("b", startDelay=9)], "timeoutSeconds": 8}
    inner["timeoutPolicy"] = "TIME_OUT_WF"
    parsed = read(task("a", "SUB_WORKFLOW", subWorkflowParam={"name": "x", "version": 7, "workflowDefinition": inner}))
    expected = WorkflowDef("in", version=3, tasks=[TaskDef("b", type="b_type")], timeout=8)
    assert parsed.definitions[0].tasks == (TaskDef("a", type="a_type", workflow=expected),)
    assert parsed.warnings == (f"'f.json', definition 'order', task 'a', definition 'in', task 'b': {NO_DELAY}",)


def test_retries_of_a_sub_workflow_are_used_and_warned_of() -> None:
    """Conductor never retries one; here a retry starts a new child."""
    parsed = read(task("a", "SUB_WORKFLOW", subWorkflowParam={"name": "x"}, retryCount=2))
    assert parsed.definitions[0].tasks[0].retries == 2
    assert len(parsed.warnings) == 1
    assert "'retryCount' starts a new child" in parsed.warnings[0]


CHILDREN: list[tuple[dict[str, Any], str, str]] = [
    ({}, "field 'subWorkflowParam'", "missing"),
    ({"subWorkflowParam": None}, "field 'subWorkflowParam'", "missing"),
    ({"subWorkflowParam": "x"}, "field 'subWorkflowParam'", "an object, not 'x'"),
    ({"subWorkflowParam": {}}, "field 'subWorkflowParam'", "neither a name nor"),
    ({"subWorkflowParam": {"name": ""}}, "field 'subWorkflowParam'", "neither a name nor"),
    ({"subWorkflowParam": {"name": 7}}, "field 'subWorkflowParam.name'", "text, not 7"),
    ({"subWorkflowParam": {"name": "a/b"}}, "field 'workflow'", "reserved"),
    ({"subWorkflowParam": {"name": "x", "version": "1"}}, "field 'subWorkflowParam.version'", "whole number, not '1'"),
    ({"subWorkflowParam": {"workflowDefinition": "${x.output.d}"}}, "subWorkflowParam.workflowDefinition", "computed"),
    ({"subWorkflowParam": {"workflowDefinition": []}}, "subWorkflowParam.workflowDefinition", "an object or text"),
    ({"subWorkflowParam": {"workflowDefinition": {}}}, "definition None, field 'name'", "missing"),
]


@pytest.mark.parametrize(("fields", "place", "why"), CHILDREN)
def test_a_bad_sub_workflow_is_refused(fields: dict[str, Any], place: str, why: str) -> None:
    """The message names task and field."""
    error = refused(task("a", "SUB_WORKFLOW", **fields))
    assert "task 'a'" in error.asked
    assert place in error.asked
    assert why in error.why


def test_what_is_wrong_in_an_inline_definition_is_placed() -> None:
    """From the file inwards."""
    inner = {"name": "in", "tasks": [task("b", inputParameters={"x": "${c.output}"})]}
    error = refused(task("a", "SUB_WORKFLOW", subWorkflowParam={"workflowDefinition": inner}))
    assert error.asked == (
        "'f.json', definition 'order', task 'a', definition 'in', task 'b', field 'input' is not acceptable"
    )
    foreign = {"name": "in", "tasks": [task("b", "HTTP")]}
    error = refused(task("a", "SUB_WORKFLOW", subWorkflowParam={"workflowDefinition": foreign}))
    assert error.asked == "'f.json', definition 'order', task 'a', definition 'in', task 'b' cannot be read"


@pytest.mark.parametrize(("field", "ours", "value"), [
    ("duration", "wait_for", "1 seconds"), ("duration", "wait_for", 30), ("duration", "wait_for", "${workflow.input.d}"),
    ("until", "wait_until", "2026-12-31 23:59 UTC"), ("until", "wait_until", "${workflow.input.u}")])
def test_a_timer(field: str, ours: str, value: Any) -> None:
    """A WAIT may end by itself; what another type of task has under that name is input like any other."""
    given = {field: value, "x": 1}
    assert tasks_of(task("a", "WAIT", inputParameters=given)) == [
        TaskDef("a", type="a_type", kind=TaskKind.WAIT, input=given, **{ours: value})]
    assert tasks_of(task("a", "WAIT", inputParameters={field: None, "x": 1}))[0].kind is TaskKind.WAIT
    assert tasks_of(task("a", "HUMAN", inputParameters=given)) == [TaskDef("a", type="a_type", kind=TaskKind.WAIT, input=given)]
    split = fork("f", [task("b", inputParameters=given)], inputParameters=given)
    assert [each.input for each in tasks_of(split, task("j", "JOIN", inputParameters=given))] == [given] * 3


def test_a_bad_timer_is_refused() -> None:
    """One that cannot be read, and two at once."""
    error = refused(task("a", "WAIT", inputParameters={"duration": "soon"}))
    assert "task 'a', field 'wait_for'" in error.asked
    error = refused(task("a", "WAIT", inputParameters={"duration": 5, "until": "2026-12-31"}))
    assert "task 'a', field 'inputParameters.until'" in error.asked
    assert "one of the two" in error.hint


def test_the_time_out_of_a_workflow() -> None:
    """TIME_OUT_WF ends it; ALERT_ONLY is the default and records it."""
    def timeout(**fields: Any) -> tuple[float | None, str]:
        parsed = read(task("a"), **fields)
        assert parsed.warnings == ()
        return parsed.definitions[0].timeout, parsed.definitions[0].on_timeout

    assert timeout(timeoutSeconds=5, timeoutPolicy="TIME_OUT_WF") == (5.0, "TIME_OUT_WF")
    assert timeout(timeoutSeconds=0, timeoutPolicy="ALERT_ONLY") == (None, "TIME_OUT_WF")
    assert timeout(timeoutPolicy="ALERT_ONLY") == (None, "TIME_OUT_WF")
    assert timeout(timeoutSeconds=5, timeoutPolicy="ALERT_ONLY") == (5.0, "ALERT_ONLY")
    assert timeout(timeoutSeconds=5) == (5.0, "ALERT_ONLY")
    assert timeout() == (None, "TIME_OUT_WF")


def test_what_else_a_workflow_says() -> None:
    """Version, and whether it may be restarted."""
    made = read(task("a"), version=4, restartable=False, schemaVersion=2).definitions[0]
    assert made == WorkflowDef("order", version=4, restartable=False, tasks=[TaskDef("a", type="a_type")])


BAD: list[tuple[list[Any], dict[str, Any], str, str]] = [
    ([], {"tasks": None}, "field 'tasks'", "missing or empty"),
    ([], {"tasks": []}, "field 'tasks'", "missing or empty"),
    ([], {"tasks": {"a": 1}}, "field 'tasks'", "a list"),
    ([], {"tasks": [None]}, "", ""),
    ([], {"version": "1"}, "field 'version'", "whole number, not '1'"),
    ([], {"version": True}, "field 'version'", "whole number, not True"),
    ([], {"version": 0}, "field 'version'", "from 1"),
    ([], {"version": -1}, "field 'version'", "from 0"),
    ([], {"schemaVersion": 1}, "field 'schemaVersion'", "'1'"),
    ([], {"restartable": "yes"}, "field 'restartable'", "true or false"),
    ([], {"timeoutPolicy": "RETRY"}, "field 'timeoutPolicy'", "'RETRY'"),
    ([], {"timeoutSeconds": -5, "timeoutPolicy": "TIME_OUT_WF"}, "field 'timeoutSeconds'", "-5"),
    ([], {"timeoutSeconds": 1.5}, "field 'timeoutSeconds'", "1.5"),
    ([{"taskReferenceName": "a"}], {}, "task 'a', field 'name'", "missing"),
    ([{"name": "a"}], {}, "field 'taskReferenceName'", "missing"),
    ([{"name": "a", "taskReferenceName": ["a"]}], {}, "field 'taskReferenceName'", "text"),
    ([task("a", ["SIMPLE"])], {}, "task 'a', field 'type'", "text"),
    ([task("a", 7)], {}, "task 'a', field 'type'", "text, not 7"),
    ([task("a/b")], {}, "'f.json', definition 'order', task reference 'a/b'", "reserved"),
    ([task("a"), task("a")], {}, "task 'a', field 'ref'", "tasks 1 and 2"),
    ([task("a", inputParameters=["x"])], {}, "task 'a', field 'inputParameters'", "an object"),
    ([task("a", inputParameters={"x": "${get_es_1.output..status}"})], {}, "task 'a', field 'input'", "..status"),
    ([task("a", inputParameters={"x": "${workflow.output.y}"})], {}, "task 'a', field 'input'", "cannot read"),
    ([task("a", retryCount="3")], {}, "task 'a', field 'retryCount'", "whole number, not '3'"),
    ([task("a", retryCount=-1)], {}, "task 'a', field 'retryCount'", "-1"),
    ([task("a", optional="yes")], {}, "task 'a', field 'optional'", "true or false"),
    ([task("a", taskDefinition=[])], {}, "task 'a', field 'taskDefinition'", "an object"),
    ([task("a", taskDefinition={"retryCount": None, "retryLogic": "NONE"})], {}, "taskDefinition.retryLogic", "'NONE'"),
    ([task("a", taskDefinition={"timeoutPolicy": "FAIL"})], {}, "taskDefinition.timeoutPolicy", "'FAIL'"),
    ([task("a", taskDefinition={"responseTimeoutSeconds": 0})], {}, "taskDefinition.responseTimeoutSeconds", "from 1"),
    ([task("a", taskDefinition={"retryDelaySeconds": -1})], {}, "taskDefinition.retryDelaySeconds", "-1"),
    ([task("a", decisionCases={"x": [task("b")]})], {}, "task 'a', field 'decisionCases'", "never run"),
    ([task("a", defaultCase=[task("b")])], {}, "task 'a', field 'defaultCase'", "never run"),
    ([task("a", loopOver=[task("b")])], {}, "task 'a', field 'loopOver'", "never run"),
    ([task("a", forkTasks=[[task("b")]])], {}, "task 'a', field 'forkTasks'", "never run"),
    ([task("a", decisionCases=7)], {}, "task 'a', field 'decisionCases'", "never run"),
]


@pytest.mark.parametrize(("tasks", "fields", "place", "why"), BAD)
def test_a_bad_definition_is_refused(tasks: list[Any], fields: dict[str, Any], place: str, why: str) -> None:
    """The message names file, definition, task and the field as the file calls it."""
    error = refused(*tasks, **fields)
    assert place in error.asked
    assert why in error.why


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (7, "'f.json': a definition must be an object, not 7"),
        (None, "'f.json': a definition must be an object, not None"),
        ([[]], "'f.json': a definition must be an object, not a value of type list"),
        ([], "'f.json' is not acceptable"),
        ({}, "'f.json', definition None, field 'name' is not acceptable"),
        ({"tasks": [task("a")]}, "'f.json', definition None, field 'name' is not acceptable"),
        ({"name": 5, "tasks": [task("a")]}, "'f.json', definition 5, field 'name' is not acceptable"),
        ({"name": "a\nb", "tasks": [task("a")]}, "'f.json', definition name 'a\\nb' is not acceptable"),
    ],
)
def test_what_holds_no_definition_is_refused(content: object, asked: str) -> None:
    """In the words of the file."""
    with pytest.raises(InvalidDefinition) as caught:
        parse(content, file="f.json")
    assert caught.value.asked == asked


def test_several_definitions_keep_their_order() -> None:
    """One name may have several versions, but each of them once."""
    one, two = ({"name": "x", "version": version, "tasks": [task("a")]} for version in (2, 1))
    assert [each.version for each in parse([one, two], file="f.json").definitions] == [2, 1]
    with pytest.raises(InvalidDefinition, match="'x' version 2 twice"):
        parse([one, two, one], file="f.json")


def test_what_says_nothing_is_passed_over() -> None:
    """Null, empty, false and 0 are what tools write into fields that nobody filled in; unknown fields must be empty."""
    empty: dict[str, Any] = {
        "decisionCases": {}, "defaultCase": [], "forkTasks": [], "startDelay": 0, "joinOn": [], "optional": False,
        "defaultExclusiveJoinTask": [], "asyncComplete": False, "loopOver": [], "onStateChange": {}, "sink": None,
        "subWorkflowParam": None, "taskDefinition": None, "retryCount": None, "unknown": None, "other": [], "third": "",
    }
    workflow: dict[str, Any] = {
        "failureWorkflow": "", "outputParameters": {}, "inputTemplate": {}, "variables": {}, "onStateChange": {},
        "timeoutPolicy": None, "timeoutSeconds": None, "version": None, "restartable": None, "schemaVersion": None,
        "createTime": 1694587631906, "ownerEmail": "a@b.c", "inputParameters": ["x"],
    }
    parsed = read(task("a", **empty), **workflow)
    assert parsed.warnings == ()
    assert parsed.definitions == (WorkflowDef("order", tasks=[TaskDef("a", type="a_type")]),)


@pytest.mark.parametrize("value", [0, False, 1, "x", {"a": 1}])
def test_an_unknown_field_is_warned_of(value: object) -> None:
    """Also where it is false: nobody knows what it would have meant."""
    assert read(task("a", newThing=value)).warnings == (
        f"'f.json', definition 'order', task 'a': 'newThing' {UNKNOWN}",
    )
    assert len(read(task("a"), newThing=value).warnings) == 1


def test_one_warning_stands_for_many_tasks() -> None:
    """Tasks are counted, not listed without end."""
    parsed = read(*(task(f"t{number}", startDelay=5) for number in range(100)))
    tasks = "tasks 't0', 't1', 't2', 't3', 't4' and 95 more"
    assert parsed.warnings == (f"'f.json', definition 'order', {tasks}: {NO_DELAY}",)
    parsed = read(*(task(f"t{number}", startDelay=5) for number in range(5)))
    tasks = "tasks 't0', 't1', 't2', 't3', 't4'"
    assert parsed.warnings == (f"'f.json', definition 'order', {tasks}: {NO_DELAY}",)


def nested_forks(depth: int) -> list[Any]:
    """Forks in one another."""
    tasks = [task("a")]
    for level in range(depth):
        tasks = [fork(f"f{level}", tasks), task(f"j{level}", "JOIN")]
    return tasks


def test_nesting_is_bounded() -> None:
    """Forks, switches and inline definitions, as deep as a reader could follow and far deeper: no recursion error."""
    assert len(read(*nested_forks(DEEPEST)).definitions[0].tasks) == 2 * DEEPEST + 1
    inner = nested_forks(30)
    for _ in range(20):
        child = {"workflowDefinition": {"name": "in", "tasks": inner}}
        inner = [task("a", "SUB_WORKFLOW", subWorkflowParam=child)]
    assert len(flatten(read(*inner).definitions[0])) == 21
    assert "nested more than 50 levels" in refused(*nested_forks(DEEPEST + 1)).why
    assert "nested more than 50 levels" in refused(*nested_forks(20_000)).why
    content: dict[str, Any] = {"name": "order", "tasks": [task("a")]}
    for _ in range(20_000):
        child = task("a", "SUB_WORKFLOW", subWorkflowParam={"workflowDefinition": content})
        content = {"name": "order", "tasks": [child]}
    with pytest.raises(InvalidDefinition, match="nested more than 50 levels"):
        parse(content, file="f.json")


def test_a_reference_of_any_kind_is_refused() -> None:
    """Also one whose own repr would fail."""
    deep: Any = "a"
    for _ in range(20_000):
        deep = [deep]
    assert "task '?', field 'taskReferenceName'" in refused(task("a") | {"taskReferenceName": deep}).asked


def test_messages_hold_no_control_characters() -> None:
    """Whatever names a file has."""
    odd = "\x1b[31m\r\n\ud800" + "x" * 5_000
    with pytest.raises(InvalidDefinition) as caught:
        parse({"name": odd, "tasks": [task(odd, odd)]}, file=odd)
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    assert len(str(caught.value)) < 1_000
    (warning,) = parse({"name": "x", "tasks": [task("a")], odd: 1}, file=odd).warnings
    assert warning.isprintable()
    assert len(warning) < 500


def test_the_cases_cover_the_files_that_run() -> None:
    """Each has its inputs, the companions that define its children, a worker for each type, and an end."""
    cases = json.loads((FOLDER / "cases.json").read_text(encoding="utf-8"))["cases"]
    assert {name.removesuffix(".json") for name in cases} == set(RUN)
    for name, case in cases.items():
        assert set(case) - {"start"} == {"input", "with", "handlers", "expect"}
        files = [parse(content_of(each.removesuffix(".json")), file=each) for each in [name, *case["with"]]]
        known = {definition.name: definition for parsed in files for definition in parsed.definitions}
        waiting = [known[case.get("start", files[0].definitions[0].name)]]
        types: set[str] = set()
        while waiting:
            for each in waiting.pop().tasks:
                types |= {each.type} if each.kind is TaskKind.WORKER else set()
                if isinstance(each.workflow, str):
                    waiting.append(known[case["input"]["subwf"] if "${" in each.workflow else each.workflow])
        made = {"integration_task_2", "integration_task_3"} if name.startswith("dynamic") else set()  # at run time
        assert set(case["handlers"]) == types | made, name
        assert case["expect"] in ("COMPLETED", "FAILED")
        outcomes = [outcome for script in case["handlers"].values() for outcome in script]
        assert {kind for outcome in outcomes for kind in outcome} <= {"complete", "fail", "fail_terminally"}
        assert all(len(outcome) == 1 for outcome in outcomes)
