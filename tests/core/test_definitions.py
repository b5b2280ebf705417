"""Definitions: what is accepted, what is refused and how, and the forms that they are turned into."""

from __future__ import annotations

import hashlib
import json
import pickle
from datetime import datetime
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.core import definitions
from kernel.core.content import from_content, to_content
from kernel.core.definitions import LIMITS, ExpiryPolicy, Mode, TaskDef, TaskKind, WorkflowDef
from kernel.core.structure import Definition, compile_definition, flatten, inline
from kernel.errors import InvalidDefinition

ORDER = WorkflowDef(
    "order",
    version=2,
    tasks=[
        TaskDef(
            "reserve", type="stock", retries=3, retry_delay=2, lease=30.0, poll_timeout=5,
            input={"sku": "${workflow.input.sku}"}, on_expiry=ExpiryPolicy.ALERT_ONLY, permissive=True,
        ),
        TaskDef("split", kind="fork", after=["reserve"]),
        TaskDef("approve", kind="wait", after=["split"]),
        TaskDef("invoice", workflow="${reserve.output.invoice}", after=["split"], optional=True),
        TaskDef("ship", workflow="shipping", workflow_version=7, after=["split"], input={"at": "${reserve.output.at}"}),
        TaskDef("meet", kind="join", after=["approve", "invoice", "ship"]),
        TaskDef("end", kind="terminate", asks="FAILED", after=["meet"]),
    ],
    topics=("archive", "mail"), notify=("PAUSED", "FAILED"),
    timeout=3600,
    restartable=False,
)


def chain(*refs: str, **options: Any) -> list[TaskDef]:
    """Tasks that follow each other."""
    return [TaskDef(ref, after=[before] if before else [], **options) for before, ref in pairwise(("", *refs))]


def within(depth: int) -> WorkflowDef:
    """A definition with `depth` levels of inline ones in it."""
    made = WorkflowDef("level", tasks=[TaskDef("a")])
    for _ in range(depth):
        made = WorkflowDef("level", tasks=[TaskDef("sub", workflow=made)])
    return made


def refusal(**fields: Any) -> InvalidDefinition:
    """What a task with these fields is refused with."""
    with pytest.raises(InvalidDefinition) as caught:
        TaskDef(**{"ref": "b", **fields})
    return caught.value


def refused(*tasks: TaskDef, **fields: Any) -> InvalidDefinition:
    """What a definition of these tasks, or with these fields, is refused with."""
    with pytest.raises(InvalidDefinition) as caught:
        WorkflowDef(**{"name": "order", "tasks": tasks or [TaskDef("a")], **fields})
    return caught.value


def test_a_task_has_defaults() -> None:
    """A reference is enough: a worker's task whose type is its reference."""
    task = TaskDef("a")
    assert task == TaskDef("a", type="a", kind=TaskKind.WORKER, after=[], input={}, lease=60.0, retries=0)
    assert (task.mode, task.on_expiry) == (Mode.WORKER, ExpiryPolicy.RETRY)
    assert (task.workflow, task.poll_timeout) == (None, None)
    made = WorkflowDef("x", tasks=[task])
    assert (made.version, made.topics, made.timeout, made.restartable, made.within) == (1, (), None, True, None)


@pytest.mark.parametrize("kind", [TaskDef, WorkflowDef, Definition])
def test_only_the_first_field_is_positional(kind: type[Any]) -> None:
    """All others are named where they are given, so that fields can be added."""
    assert [each.name for each in attrs.fields(kind) if not each.kw_only] == [attrs.fields(kind)[0].name]


def test_values_are_put_into_their_form() -> None:
    """Names of enums become members, lists tuples, whole seconds floats."""
    task = TaskDef("a", kind="wait", after=iter(["b"]), retry_delay=2, lease=3, poll_timeout=4, on_expiry="TIME_OUT_WF")
    assert task.kind is TaskKind.WAIT
    assert task.after == ("b",)
    assert [type(each) for each in (task.retry_delay, task.lease, task.poll_timeout)] == [float] * 3
    assert task.on_expiry is ExpiryPolicy.TIME_OUT_WF
    assert TaskDef("a", lease=int(LIMITS.seconds)).lease == LIMITS.seconds
    assert WorkflowDef("x", tasks=iter([TaskDef("a")]), topics=["t"], timeout=9) == WorkflowDef(
        "x", tasks=(TaskDef("a"),), topics=("t",), timeout=9.0
    )


def test_a_task_with_a_workflow_is_of_that_kind() -> None:
    """Said or not; and each kind has the mode that the task lifecycle knows."""
    assert TaskDef("a", workflow="x").kind is TaskKind.WORKFLOW
    assert TaskDef("a", kind="workflow", workflow="x") == TaskDef("a", workflow="x")
    assert [task.mode for task in ORDER.tasks] == [
        Mode.WORKER, Mode.CONTROL, Mode.WAIT, Mode.WORKFLOW, Mode.WORKFLOW, Mode.CONTROL, Mode.CONTROL,
    ]


def test_the_name_of_a_child_may_be_any_expression() -> None:
    """It may hold what a name cannot, and be longer than one, within the longest name that there is."""
    assert TaskDef("a", workflow="${workflow.input.a/b~c}").kind is TaskKind.WORKFLOW
    longest = "${workflow.input." + "x" * (4_221 - 18) + "}"
    assert TaskDef("a", workflow=longest).workflow == longest
    assert "it has 4,222 characters; 4,221 are allowed" in refusal(workflow=longest + "x").why


def test_definitions_are_values() -> None:
    """Equal by content, not to be changed, and safe from later changes of what they were made from."""
    given_input = {"a": [1]}
    task = TaskDef("a", input=given_input)
    given_input["a"].append(2)
    assert task.input == {"a": [1]}
    empty: dict[str, Any] = {}
    task = TaskDef("a", input=empty)
    empty["a"] = float("nan")
    assert task.input == {}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        task.lease = 1.0  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ORDER.version = 3  # type: ignore[misc]
    assert not hasattr(task, "__dict__")
    assert pickle.loads(pickle.dumps(ORDER)) == ORDER  # noqa: S301


TASKS: list[tuple[dict[str, Any], str, str]] = [
    ({"ref": ""}, "task reference", "empty"),
    ({"ref": 7}, "task reference must be text", ""),
    ({"ref": "a/b"}, "task reference", "reserved"),
    ({"ref": "x" * 201}, "task reference", "201 characters"),
    ({"type": "a\0"}, "task 'b', field 'type'", "U+0000"),
    ({"type": None}, "task 'b', field 'type'", ""),
    ({"kind": "wrker"}, "task 'b', field 'kind'", "'wrker'"),
    ({"kind": None}, "task 'b', field 'kind'", "None"),
    ({"kind": ["worker"]}, "task 'b', field 'kind'", "type list"),
    ({"after": "a"}, "task 'b', field 'after'", "a list of names"),
    ({"after": b"a"}, "task 'b', field 'after'", "a list of names"),
    ({"after": {"a": 1}}, "task 'b', field 'after'", "a list of names"),
    ({"after": 7}, "task 'b', field 'after'", "a list of names"),
    ({"after": ["a", "a"]}, "task 'b', field 'after'", "'a' twice"),
    ({"after": [7]}, "task 'b', field 'after'", ""),
    ({"after": ["a/b"]}, "task 'b', field 'after'", "reserved"),
    ({"kind": "join"}, "task 'b', field 'after'", "a join waits"),
    ({"input": [1]}, "task 'b', field 'input'", "an object"),
    ({"input": None}, "task 'b', field 'input'", "an object"),
    ({"input": {"a": float("nan")}}, "task 'b', field 'input'", "nan"),
    ({"input": {1: 2}}, "task 'b', field 'input'", "key"),
    ({"input": {"a": b""}}, "task 'b', field 'input'", "bytes"),
    ({"input": {"a": "x" * LIMITS.payload}}, "task 'b', field 'input'", "longer"),
    ({"kind": "workflow"}, "task 'b', field 'workflow'", "needs one"),
    ({"kind": "wait", "workflow": "x"}, "task 'b', field 'workflow'", "wait task"),
    ({"workflow": 7}, "task 'b', field 'workflow'", "7"),
    ({"workflow": ""}, "task 'b', field 'workflow'", "empty"),
    ({"workflow": "a/b"}, "task 'b', field 'workflow'", "reserved"),
    ({"workflow": "a##b"}, "task 'b', field 'workflow'", "empty"),
    ({"workflow": "${" + "x" * 10_000 + "}"}, "task 'b', field 'workflow'", "10,003 characters"),
    ({"workflow_version": 1}, "task 'b', field 'workflow_version'", "by name"),
    ({"workflow": within(0), "workflow_version": 1}, "task 'b', field 'workflow_version'", "by name"),
    ({"workflow": "x", "workflow_version": 0}, "task 'b', field 'workflow_version'", "from 1"),
    ({"retries": -1}, "task 'b', field 'retries'", "from 0"),
    ({"retries": 1.0}, "task 'b', field 'retries'", "whole number"),
    ({"retries": True}, "task 'b', field 'retries'", "True"),
    ({"retry_delay": -0.1}, "task 'b', field 'retry_delay'", "-0.1"),
    ({"retry_delay": float("nan")}, "task 'b', field 'retry_delay'", "nan"),
    ({"retry_delay": "2"}, "task 'b', field 'retry_delay'", "'2'"),
    ({"lease": 0}, "task 'b', field 'lease'", "0.0"),
    ({"lease": float("inf")}, "task 'b', field 'lease'", "inf"),
    ({"lease": 10**400}, "task 'b', field 'lease'", "type int"),
    ({"lease": None}, "task 'b', field 'lease'", "None"),
    ({"poll_timeout": 0}, "task 'b', field 'poll_timeout'", "0.0"),
    ({"poll_timeout": True}, "task 'b', field 'poll_timeout'", "True"),
    ({"attempt_timeout": 0}, "task 'b', field 'attempt_timeout'", "0.0"),
    ({"total_timeout": "1h"}, "task 'b', field 'total_timeout'", "'1h'"),
    ({"retry_delay_max": -1}, "task 'b', field 'retry_delay_max'", "-1.0"),
    ({"retry_jitter": None}, "task 'b', field 'retry_jitter'", "None"),
    ({"retry_logic": "LINEAR"}, "task 'b', field 'retry_logic'", "'LINEAR' is not a value"),
    ({"wait_for": 5}, "task 'b', field 'wait_for'", "only a wait task waits"),
    ({"wait_until": "2026-12-31"}, "task 'b', field 'wait_until'", "only a wait task waits"),
    ({"kind": "wait", "wait_for": "soon"}, "task 'b', field 'wait_for'", "'soon': it is no time"),
    ({"kind": "wait", "wait_until": "soon"}, "task 'b', field 'wait_until'", "'soon': it is no date"),
    ({"kind": "wait", "wait_until": datetime(2026, 12, 31)}, "task 'b', field 'wait_until'", "it is no date"),  # noqa: DTZ001
    ({"optional": 1}, "task 'b', field 'optional'", "True or False"),
    ({"permissive": None}, "task 'b', field 'permissive'", "True or False"),
    ({"on_expiry": "RETRYY"}, "task 'b', field 'on_expiry'", "'RETRYY'"),
    ({"asks": "FAILED"}, "task 'b', field 'asks'", "worker task"),
    ({"kind": "terminate"}, "task 'b', field 'asks'", "None"),
    ({"kind": "terminate", "asks": "TIMED_OUT"}, "task 'b', field 'asks'", "'TIMED_OUT'"),
    ({"kind": "switch"}, "task 'b', field 'on'", "needs it"),
    ({"on": "x"}, "task 'b', field 'on'", "this is a worker task"),
    ({"kind": "switch", "on": ["x"]}, "task 'b', field 'on'", "it must be a text"),
    ({"kind": "switch", "on": "\ud800"}, "task 'b', field 'on'", "surrogate"),
    ({"when": "route"}, "task 'b', field 'when'", "a pair (switch, value), not 'route'"),
    ({"when": ["route"]}, "task 'b', field 'when'", "a pair"),
    ({"when": ("route", "a", "b")}, "task 'b', field 'when'", "a pair"),
    ({"when": ("", "a")}, "task 'b', field 'when': name", "empty"),
    ({"when": ("route", 7)}, "task 'b', field 'when'", "printable text of at most 200 characters, not 7"),
    ({"when": ("route", "x" * 201)}, "task 'b', field 'when'", "200 characters"),
    ({"when": ("route", "a\n")}, "task 'b', field 'when'", "printable"),
]


@pytest.mark.parametrize(("fields", "asked", "why"), TASKS)
def test_a_bad_task_is_refused(fields: dict[str, Any], asked: str, why: str) -> None:
    """The message names task and field, and what is wrong."""
    error = refusal(**fields)
    assert asked in error.asked
    assert why in error.why


WORKFLOWS: list[tuple[dict[str, Any], str, str]] = [
    ({"name": "a#b"}, "definition name", "reserved"),
    ({"name": None}, "definition name must be text", ""),
    ({"name": "x\ud800"}, "definition name", "U+D800"),
    ({"version": 0}, "definition 'order', field 'version'", "from 1"),
    ({"version": "1"}, "definition 'order', field 'version'", "'1'"),
    ({"tasks": []}, "definition 'order', field 'tasks'", "none"),
    ({"tasks": None}, "definition 'order', field 'tasks'", "None"),
    ({"tasks": "abc"}, "definition 'order', field 'tasks'", "'abc'"),
    ({"tasks": [None]}, "definition 'order', field 'tasks'", "None"),
    ({"tasks": [TaskDef("a"), {"ref": "b"}]}, "definition 'order', field 'tasks'", "type dict"),
    ({"topics": "archive"}, "definition 'order', field 'topics'", "a list of names"),
    ({"topics": ["a", "a"]}, "definition 'order', field 'topics'", "'a' twice"),
    ({"topics": ["x" * 201]}, "definition 'order', field 'topics'", "201"),
    ({"topics": ["a", "mail@2.RUNNING"]}, "definition 'order', field 'topics'", "'mail@2.RUNNING' holds '@'"),
    ({"timeout": 0}, "definition 'order', field 'timeout'", "0.0"),
    ({"timeout": -1.0}, "definition 'order', field 'timeout'", "-1.0"),
    ({"timeout": float("nan")}, "definition 'order', field 'timeout'", "nan"),
    ({"defaults": [1]}, "definition 'order', field 'defaults'", "an object"),
    ({"output": None}, "definition 'order', field 'output'", "an object"),
    ({"output": {"x": "${workflow.output}"}}, "definition 'order', field 'output'", "cannot read"),
    ({"output": {"x": "${nothing.output}"}}, "definition 'order', field 'output'", "no such task"),
    ({"variables": {"a": float("nan")}}, "definition 'order', field 'variables'", "nan"),
    ({"failure_workflow": "a/b"}, "definition 'order', field 'failure_workflow': name", "reserved"),
    ({"failure_workflow": 7}, "definition 'order', field 'failure_workflow': name must be text", ""),
    ({"restartable": 1}, "definition 'order', field 'restartable'", "True or False"),
    ({"within": "other"}, "definition 'order', field 'within'", "'other'"),
    ({"within": 7}, "definition 'order', field 'within'", "7"),
    ({"name": "7#a", "within": 7}, "definition '7#a', field 'within'", "7"),
    ({"name": 7, "within": "a"}, "definition 7, field 'within'", "'a'"),
    ({"name": "a#", "within": "a"}, "definition name", "empty"),
    ({"name": "a#b/c", "within": "a"}, "definition name", "reserved"),
]


@pytest.mark.parametrize(("fields", "asked", "why"), WORKFLOWS)
def test_a_bad_definition_is_refused(fields: dict[str, Any], asked: str, why: str) -> None:
    """The message names definition and field, and what is wrong."""
    error = refused(**fields)
    assert asked in error.asked
    assert why in error.why


def test_duplicate_references_are_refused() -> None:
    """With the reference."""
    error = refused(TaskDef("a"), TaskDef("b"), TaskDef("a"))
    assert error.asked == "definition 'order', task 'a', field 'ref' is not acceptable"
    assert "tasks 1 and 3" in error.why


def test_unknown_predecessors_are_refused_with_the_nearest_name() -> None:
    """As the issue of a slip of the pen asks for."""
    error = refused(TaskDef("reserve"), TaskDef("ship", after=["reserv"]))
    assert error.asked == "definition 'order', task 'ship', field 'after' is not acceptable"
    assert error.hint == "did you mean 'reserve'?"


def test_cycles_are_refused_by_name() -> None:
    """The tasks of the cycle in their order."""
    error = refused(TaskDef("a", after=["c"]), TaskDef("b", after=["a"]), TaskDef("c", after=["b"]))
    assert error.asked == "definition 'order', field 'after' is not acceptable"
    assert "'a' -> 'b' -> 'c' -> 'a'" in error.why


def test_an_expression_that_reads_an_unknown_task_is_refused() -> None:
    """In the input and in the name of the child, with the nearest name."""
    error = refused(*chain("reserve"), TaskDef("ship", after=["reserve"], input={"a": "${reserv.output.x}"}))
    assert error.asked == "definition 'order', task 'ship', field 'input' is not acceptable"
    assert error.hint == "did you mean 'reserve'?"
    error = refused(*chain("reserve"), TaskDef("ship", after=["reserve"], workflow="${reserv.output.x}"))
    assert error.asked == "definition 'order', task 'ship', field 'workflow' is not acceptable"


def test_an_expression_that_cannot_be_read_is_refused_with_its_place() -> None:
    """Definition, task, field and expression."""
    error = refused(TaskDef("a", input={"x": ["${workflow.output.y}"]}))
    assert error.asked.startswith("definition 'order', task 'a', field 'input', the expression '${workflow.out")
    assert error.allowed


def test_a_read_without_an_order_is_refused() -> None:
    """Data that need not be there yet; over any number of steps it is fine."""
    error = refused(TaskDef("a"), TaskDef("b", input={"x": "${a.output}"}))
    assert error.hint == "add 'a' to after"
    assert refused(*chain("a", "b"), TaskDef("c", after=["a"], workflow="${b.output}")).hint == "add 'b' to after"
    far = TaskDef("d", after=["c"], input={"x": "${a.output}", "y": "${b.output.z}"})
    assert WorkflowDef("order", tasks=[*chain("a", "b", "c"), far]).tasks[3] is far


def test_a_branch_stands_behind_its_switch() -> None:
    """What `when` names exists, is a switch, and comes before; over any number of steps it is fine."""
    route = TaskDef("route", kind="switch", on="x", after=["a"])
    error = refused(TaskDef("a"), route, TaskDef("b", after=["route"], when=("rout", "x")))
    assert (error.asked, error.hint) == (
        "definition 'order', task 'b', field 'when' is not acceptable", "did you mean 'route'?")
    error = refused(TaskDef("a"), route, TaskDef("b", after=["route"], when=("a", "x")))
    assert error.why == "'a' is a worker task, and only a switch has branches"
    error = refused(TaskDef("a"), route, TaskDef("b", after=["a"], when=("route", "x")))
    assert (error.asked, error.hint) == (
        "definition 'order', task 'b', field 'when' is not acceptable", "add 'route' to after")
    far = [TaskDef("b", after=["route"]), TaskDef("c", after=["b"], when=("route", "x"))]
    assert compile_definition(WorkflowDef("order", tasks=[TaskDef("a"), route, *far])).switches == ((), (), (), (1, 2))


def test_what_a_workflow_is_given_is_its_own() -> None:
    """Whoever made the definition cannot change it behind its back."""
    given = {"a": [1]}
    made = WorkflowDef("x", tasks=[TaskDef("a")], defaults=given, output=given, variables=given)
    given["a"].append(2)
    assert made.defaults == made.output == made.variables == {"a": [1]}


def test_the_order_of_declaration_is_free() -> None:
    """A task may stand before those that it comes after."""
    made = WorkflowDef("order", tasks=[TaskDef("b", after=["a"], input={"x": "${a.output}"}), TaskDef("a")])
    assert compile_definition(made).predecessors == ((1,), ())


def test_the_number_of_tasks_is_bounded() -> None:
    """Also counting inline definitions, where a few lines can stand for any number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(definitions, "LIMITS", attrs.evolve(LIMITS, tasks=3))
        assert len(WorkflowDef("order", tasks=chain("a", "b", "c")).tasks) == 3
        assert "at most 3" in refused(*chain("a", "b", "c", "d")).why
    twice = WorkflowDef("x", tasks=[TaskDef("a")])
    for _ in range(15):
        twice = WorkflowDef("x", tasks=[TaskDef("a", workflow=twice), TaskDef("b", workflow=twice)])
    assert "at most 200,000" in refused(*(TaskDef(f"t{n}", workflow=twice) for n in range(4))).why


def test_inline_definitions_are_nested_so_deep_and_no_deeper() -> None:
    """Twenty levels."""
    assert len(flatten(within(20))) == 21
    with pytest.raises(InvalidDefinition, match="more than 20 levels"):
        within(21)


@pytest.mark.no_cover
def test_many_tasks_in_a_row_need_no_recursion() -> None:
    """A long chain is only longer; so are its content and its compiled form."""
    count = 20_000
    made = WorkflowDef("long", tasks=chain(*(f"t{number}" for number in range(count))))
    compiled = compile_definition(made)
    assert compiled.predecessors[-1] == (count - 2,)
    assert from_content(to_content(made)) == made


def test_a_compiled_definition_works_with_positions() -> None:
    """In the order of declaration; references are what expressions read, each once."""
    compiled = compile_definition(ORDER)
    assert compiled.source is ORDER
    assert compiled.index == {"reserve": 0, "split": 1, "approve": 2, "invoice": 3, "ship": 4, "meet": 5, "end": 6}
    assert compiled.predecessors == ((), (0,), (1,), (1,), (1,), (2, 3, 4), (5,))
    assert compiled.successors == ((1,), (2, 3, 4), (5,), (5,), (5,), (6,), ())
    assert compiled.references == ((), (), (), (0,), (0,), (), ())
    assert compiled.templated == (True, False, False, True, True, False, False)
    both = TaskDef("b", after=["a"], workflow="${a.output.w}", input={"x": "${a.output.x}", "y": "${a.output.y}"})
    assert compile_definition(WorkflowDef("x", tasks=[TaskDef("a"), both])).references == ((), (0,))


def test_an_escape_makes_a_template_too() -> None:
    """It reads nothing, but has to be resolved."""
    compiled = compile_definition(WorkflowDef("x", tasks=[TaskDef("a", input={"x": "$${y}"}), TaskDef("b")]))
    assert (compiled.templated, compiled.references) == ((True, False), ((), ()))


def test_the_digest_is_of_the_content() -> None:
    """Equal for equal definitions however they were written, different as soon as anything differs."""

    def digest(**options: Any) -> str:
        return compile_definition(WorkflowDef("x", tasks=[TaskDef("a", **options)])).digest

    assert digest() == digest(type="a", kind="worker", lease=60) == digest(input={}, after=())
    assert digest(input={"a": 1, "b": 2}) == digest(input={"b": 2, "a": 1})
    others: list[dict[str, Any]] = [
        {"type": "b"}, {"kind": "wait"}, {"input": {"a": 1}}, {"input": {"a": 1.0}}, {"input": {"a": "1"}},
        {"retries": 1}, {"retry_delay": 1}, {"lease": 1}, {"poll_timeout": 1}, {"optional": True},
        {"permissive": True}, {"on_expiry": "ALERT_ONLY"}, {"workflow": "x"}, {"workflow": within(0)},
        {"workflow": "x", "workflow_version": 1}, {"kind": "terminate", "asks": "FAILED"},
        {"kind": "terminate", "asks": "COMPLETED"},
    ]
    assert len({digest(), *(digest(**options) for options in others)}) == len(others) + 1
    assert digest() == hashlib.sha256(b'{"name":"x","tasks":[{"ref":"a"}]}').hexdigest()


def test_content_leaves_defaults_out() -> None:
    """What is stored is short, and plain JSON."""
    assert to_content(WorkflowDef("x", tasks=chain("a", "b"))) == {
        "name": "x", "tasks": [{"ref": "a"}, {"ref": "b", "after": ["a"]}],
    }
    assert to_content(WorkflowDef("x", tasks=[TaskDef("s", workflow=within(0), lease=1)], topics=["t"])) == {
        "name": "x", "topics": ["t"], "tasks": [
            {"ref": "s", "kind": "workflow", "lease": 1.0, "workflow": {"name": "level", "tasks": [{"ref": "a"}]}},
        ],
    }


@pytest.mark.parametrize("definition", [ORDER, within(20), *flatten(within(3))])
def test_content_comes_back_as_the_same_definition(definition: WorkflowDef) -> None:
    """Through JSON text, inline and flattened definitions included."""
    assert from_content(json.loads(json.dumps(to_content(definition)))) == definition


NAMES = st.text(alphabet="abcxyz-_.é", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
TEXTS = st.text(alphabet="abcé $", max_size=3)
OBJECTS = st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2)
SECONDS = st.floats(LIMITS.tick, LIMITS.seconds)


@st.composite
def any_definition(draw: st.DrawFn, depth: int = 2) -> WorkflowDef:
    """Any definition of a few tasks of any kind, each after some of those before it."""
    tasks: list[TaskDef] = []
    for ref in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        kind = draw(st.sampled_from(list(TaskKind)))
        earlier = [task.ref for task in tasks]
        if kind is TaskKind.JOIN and not earlier:
            kind = TaskKind.FORK
        after = draw(st.lists(st.sampled_from(earlier), unique=True, min_size=kind is TaskKind.JOIN)) if earlier else []
        switches = [(task.ref, draw(st.none() | TEXTS)) for task in tasks if task.ref in after and task.kind is TaskKind.SWITCH]
        child: Any = None
        if kind is TaskKind.WORKFLOW:
            child = draw(NAMES | any_definition(depth - 1) if depth else NAMES)
        tasks.append(TaskDef(
            ref, kind=kind, after=after, workflow=child, type=draw(NAMES),
            workflow_version=draw(st.none() | st.integers(1, 9)) if isinstance(child, str) else None,
            input=draw(st.dictionaries(st.text(alphabet="ab$"), st.integers() | st.floats(0, 1), max_size=2)),
            retries=draw(st.integers(0, LIMITS.whole)), retry_delay=draw(SECONDS | st.just(0)), lease=draw(SECONDS),
            poll_timeout=draw(st.none() | SECONDS), optional=draw(st.booleans()), permissive=draw(st.booleans()),
            on_expiry=draw(st.sampled_from(list(ExpiryPolicy))),
            asks=draw(st.sampled_from(["COMPLETED", "FAILED", "TERMINATED"])) if kind is TaskKind.TERMINATE else None,
            on=draw(TEXTS) if kind is TaskKind.SWITCH else None,
            when=draw(st.sampled_from(switches)) if switches else None,
        ))
    return WorkflowDef(
        draw(NAMES), version=draw(st.integers(1, 9)), tasks=tasks,
        topics=draw(st.lists(NAMES, unique=True, max_size=2)),
        timeout=draw(st.none() | SECONDS), restartable=draw(st.booleans()),
        failure_workflow=draw(st.none() | NAMES.map("undo-{}".format)),
        defaults=draw(OBJECTS), output=draw(OBJECTS), variables=draw(OBJECTS),
    )


@given(any_definition())
def test_any_definition_survives(definition: WorkflowDef) -> None:
    """Content and back gives the same; the parts of a flattened one hold none inline and differ in name."""
    assert from_content(json.loads(json.dumps(to_content(definition)))) == definition
    parts = flatten(definition)
    assert len({part.name for part in parts}) == len(parts)
    assert not any(isinstance(task.workflow, WorkflowDef) for part in parts for task in part.tasks)
    assert all(isinstance(compile_definition(part), Definition) for part in parts)


CONTENTS: list[tuple[Any, str, str]] = [
    (None, "a WorkflowDef must be an object, not None", ""),
    ([], "a WorkflowDef must be an object", ""),
    ({}, "WorkflowDef (None), field 'name'", "missing"),
    ({"name": "x"}, "WorkflowDef ('x'), field 'tasks'", "missing"),
    ({"name": "x", "tasks": None}, "definition 'x', field 'tasks'", "None"),
    ({"name": "x", "tasks": "abc"}, "definition 'x', field 'tasks'", "'abc'"),
    ({"name": "x", "tasks": {"ref": "a"}}, "definition 'x', field 'tasks'", "type dict"),
    ({"name": "x", "tasks": [None]}, "a TaskDef must be an object, not None", ""),
    ({"name": "x", "tasks": [{"ref": "a"}], "verson": 1}, "WorkflowDef ('x'), field 'verson'", "no such field"),
    ({"name": "x", "tasks": [{"ref": "a", "retrys": 1}]}, "TaskDef ('a'), field 'retrys'", "no such field"),
    ({"name": "x", "tasks": [{"type": "a"}]}, "TaskDef (None), field 'ref'", "missing"),
    ({"name": "x", "tasks": [{"ref": "a", 7: 1}]}, "TaskDef ('a'), field '7'", "no such field"),
    ({"name": "x", "tasks": [{"ref": 5}]}, "task reference must be text", ""),
    ({"name": "x", "tasks": [{"ref": "a", "retries": "3"}]}, "task 'a', field 'retries'", "'3'"),
    ({"name": "x", "tasks": [{"ref": "a", "optional": "no"}]}, "task 'a', field 'optional'", "'no'"),
    ({"name": "x", "tasks": [{"ref": "a", "after": "b"}]}, "task 'a', field 'after'", "list of names"),
    ({"name": "x", "tasks": [{"ref": "a", "workflow": {"name": "y"}}]}, "WorkflowDef ('y'), field 'tasks'", "missing"),
]


@pytest.mark.parametrize(("content", "asked", "why"), CONTENTS)
def test_other_content_is_refused(content: object, asked: str, why: str) -> None:
    """Nothing is guessed, turned into another type, or left out."""
    with pytest.raises(InvalidDefinition) as caught:
        from_content(content)
    assert asked in caught.value.asked
    assert why in caught.value.why


def test_content_that_is_nested_without_end_is_refused() -> None:
    """5,000 inline definitions in one another end in the error of the others."""
    content: dict[str, Any] = {"name": "x", "tasks": [{"ref": "a"}]}
    for _ in range(5_000):
        content = {"name": "x", "tasks": [{"ref": "a", "kind": "workflow", "workflow": content}]}
    with pytest.raises(InvalidDefinition, match="nested too deep"):
        from_content(content)


def test_inline_definitions_get_names_of_their_own() -> None:
    """`outer#task`, with the version of the outer one, and its topics unless they have some."""
    own = WorkflowDef("own", version=9, tasks=[TaskDef("x")], topics=["mine"], timeout=5, restartable=False)
    outer = WorkflowDef(
        "order", version=3, topics=["archive"],
        tasks=[TaskDef("a", workflow=within(1)), TaskDef("b", workflow=own), TaskDef("c", workflow="named")],
    )
    first, second = inline(outer)
    assert (first.name, first.version, first.topics, first.within) == ("order#a", 3, ("archive",), "order")
    assert (second.name, second.version, second.topics, second.within) == ("order#b", 3, ("mine",), "order")
    assert (second.timeout, second.restartable) == (5.0, False)


def test_flatten_puts_names_in_the_place_of_inline_definitions() -> None:
    """The outer one first, then each inline one with those in it; the children are named with their version."""
    outer = WorkflowDef("order", version=3, tasks=[TaskDef("a", workflow=within(1), retries=2), TaskDef("b")])
    plain, first, second = flatten(outer)
    assert (plain.name, plain.within) == ("order", None)
    assert plain.tasks[0] == TaskDef("a", workflow="order#a", workflow_version=3, retries=2)
    assert (first.name, first.tasks[0].workflow, first.tasks[0].workflow_version) == ("order#a", "order#a#sub", 3)
    assert (second.name, second.within, second.tasks) == ("order#a#sub", "order#a", (TaskDef("a"),))
    assert flatten(plain)[0] is plain


def test_generated_names_may_be_long() -> None:
    """The longest names at the deepest level still make definitions that can be stored and read back."""
    made = WorkflowDef("d" * LIMITS.name, tasks=[TaskDef("a")])
    for _ in range(LIMITS.inline):
        made = WorkflowDef("d" * LIMITS.name, tasks=[TaskDef("t" * LIMITS.name, workflow=made)])
    for part in flatten(made):
        assert from_content(to_content(part)) == part
