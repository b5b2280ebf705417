"""Expressions: what they read, how a value goes into its place, and what is refused when a definition is made."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from attrs import Factory, define
from hypothesis import given
from hypothesis import strategies as st

from kernel.core.template import LONGEST_KEPT, LONGEST_TEXT, Expression, Source, expressions, is_templated, resolve
from kernel.errors import InvalidDefinition, InvalidInput

INPUT = {
    "sku": 7, "name": "bolt", "none": None, "flag": True, "lines": [{"n": 1}, {"n": 2.5}], "größe": "M",
    "a-b c": {"": 1},
}
OUTPUTS = {
    "pick": {"shelf": 3, "at": ["x", ["y"]]}, "a.b": {"v": "dotted"}, "list": [10, 20], "text": "plain",
    "sizes": ["größer"],
}

OWN = {
    Source.INPUT: INPUT, Source.VARIABLES: {"seen": [3]}, Source.WORKFLOW_ID: "order-7", Source.PARENT_ID: None,
    Source.TYPE: "order", Source.VERSION: 2, Source.TASK_ID: "order-7/pick",
}


@define
class Stand:
    """A scope that notes what is asked of it."""

    asked: list[str] = Factory(list)

    def of_workflow(self, source: Source) -> object:
        """The facts above."""
        self.asked.append(f"workflow {source}")
        return OWN[source]

    def of_task(self, ref: str, source: Source) -> object:
        """One of the outputs above, or what was asked."""
        self.asked.append(f"{ref} {source}")
        return OUTPUTS.get(ref) if source is Source.OUTPUT else {"of": [ref, str(source)]}


WHOLE: list[tuple[str, Any]] = [
    ("${workflow.input}", INPUT),
    ("${workflow.input.sku}", 7),
    ("${workflow.input.name}", "bolt"),
    ("${workflow.input.flag}", True),
    ("${workflow.input.none}", None),
    ("${workflow.input.lines[1].n}", 2.5),
    ("${workflow.input.lines[0]}", {"n": 1}),
    ("${workflow.input.größe}", "M"),
    ("${workflow.input.a-b c}", {"": 1}),
    ("${ workflow.input.sku }", 7),
    ("${pick.output}", {"shelf": 3, "at": ["x", ["y"]]}),
    ("${pick.output.shelf}", 3),
    ("${pick.output.at[1][0]}", "y"),
    ("${list.output[1]}", 20),
    ("${a.b.output.v}", "dotted"),
    ("${workflow.id}", "order-7"),
    ("${workflow.workflowId}", "order-7"),
    ("${CPEWF_TASK_ID}", "order-7/pick"),
    ("${workflow.variables}", {"seen": [3]}),
    ("${workflow.variables.seen[0]}", 3),
    ("${workflow.parentWorkflowId}", None),
    ("${workflow.workflowType}", "order"),
    ("${workflow.version}", 2),
    ("${pick.input.of[1]}", "input"),
    ("${pick.input.output}", None),
    ("${a.b.status}", {"of": ["a.b", "status"]}),
    ("${pick.taskId}", {"of": ["pick", "taskId"]}),
    ("${pick.output['shelf']}", 3),
    ('${pick.output["at"][1][0]}', "y"),
    ("${workflow.input['a-b c']['']}", 1),
]
NOWHERE = [
    "${workflow.input.nothing}", "${workflow.input.sku.deeper}", "${workflow.input.lines[2]}",
    "${workflow.input.lines.n}", "${workflow.input.name[0]}", "${workflow.input.sku[0]}", "${workflow.input[0]}",
    "${pick.output.at[999999999]}", "${other.output}", "${other.output.x.y}", "${text.output.x}", "${list.output.x}",
]
WITHIN: list[tuple[str, str]] = [
    ("order ${workflow.id}", "order order-7"),
    ("${workflow.input.name}${workflow.input.sku}", "bolt7"),
    ("<${workflow.input.none}>", "<null>"),
    ("<${workflow.input.nothing}>", "<null>"),
    ("<${workflow.input.flag}>", "<true>"),
    ("<${workflow.input.lines}>", '<[{"n":1},{"n":2.5}]>'),
    ("<${pick.output}>", '<{"shelf":3,"at":["x",["y"]]}>'),
    ("${workflow.input.größe} $5 {x} }", "M $5 {x} }"),
    ("<${sizes.output}>", '<["größer"]>'),
    ("$${workflow.input.sku}", "${workflow.input.sku}"),
    ("$$${workflow.input.sku}", "$${workflow.input.sku}"),
    ("$${", "${"),
    ("a $${b} ${workflow.input.sku}", "a ${b} 7"),
    (" ${workflow.input.sku}", " 7"),
]
REFUSED: list[tuple[str, str]] = [
    ("${workflow.output.x}", "cannot read"),
    ("${workflow.status}", "cannot read"),
    ("${workflow}", "cannot read"),
    ("${workflow.inputs}", "cannot read"),
    ("${workflow.identity}", "cannot read"),
    ("${pick.status.x}", "cannot read"),
    ("${pick.inputs}", "cannot read"),
    ("${workflow.variable}", "cannot read"),
    ("${pick.outputs}", "cannot read"),
    ("${.output}", "cannot read"),
    ("${foo}", "cannot read"),
    ("${}", "cannot read"),
    ("${  }", "cannot read"),
    ("${CPEWF_WORKFLOW_ID}", "cannot read"),
    ("${get_es_1.output..status}", "'..status'"),
    ("${pick.output.}", "'.'"),
    ("${pick.output.a.*}", "'.*'"),
    ("${pick.output.at[*]}", "'[*]'"),
    ("${pick.output.at[-1]}", "'[-1]'"),
    ("${pick.output.at[1:2]}", "'[1:2]'"),
    ("${pick.output.at[?(@.x)]}", "'[?(@.x)]'"),
    ("${pick.output['shelf}", "['shelf"),
    ("${pick.output['shelf'x]}", "['shelf'x]"),
    ("${pick.output.at.length()}", "'()'"),
    ("${pick.output.at[0}", "'[0'"),
    ("${pick.output.at[9999999999]}", "'[9999999999]'"),
    ("${pick.output.at[٣]}", "'[٣]'"),
    ("${workflow.input.sku", "closing brace"),
    ("${", "closing brace"),
    ("a ${ b", "closing brace"),
    ("${workflow.input.${workflow.input.name}}", "closing brace"),
]


@pytest.mark.parametrize(("template", "value"), WHOLE)
def test_a_string_that_is_one_expression_becomes_the_value(template: str, value: object) -> None:
    """Whatever its JSON type; nothing is turned into text."""
    found = resolve(template, Stand())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("template", NOWHERE)
def test_a_path_that_leads_nowhere_gives_null(template: str) -> None:
    """A missing key, an index past the end, a key of a list: as in Conductor, null."""
    assert resolve(template, Stand()) is None


@pytest.mark.parametrize(("template", "text"), WITHIN)
def test_an_expression_in_a_longer_string_is_written_into_it(template: str, text: str) -> None:
    """Strings as they are, everything else as JSON; $${ stands for ${ itself."""
    assert resolve(template, Stand()) == text


@pytest.mark.parametrize(("template", "why"), REFUSED)
def test_a_bad_expression_is_refused(template: str, why: str) -> None:
    """The message quotes the expression or its bad part, and says what is supported."""
    with pytest.raises(InvalidDefinition) as caught:
        expressions({"a": [template]})
    assert why in caught.value.why
    assert "${workflow.input.<path>}" in caught.value.allowed
    assert caught.value.hint


def test_templates_are_resolved_at_any_depth() -> None:
    """In lists and objects; other values and keys stay, and the template is not changed."""
    template = {"a": [1, None, {"${workflow.id}": "${workflow.input.sku}"}], "b": "plain", "c": True}
    assert resolve(template, Stand()) == {"a": [1, None, {"${workflow.id}": 7}], "b": "plain", "c": True}
    assert template["a"] == [1, None, {"${workflow.id}": "${workflow.input.sku}"}]


class Other(Stand):
    """A scope with another input."""

    def of_workflow(self, source: Source) -> object:
        """Its own."""
        return {"sku": 8}


@pytest.mark.parametrize("filler", ["", "-" * LONGEST_KEPT], ids=["short", "long"])
def test_a_string_that_was_read_before_gives_each_scope_its_own_value(filler: str) -> None:
    """What is remembered is where a string reads, not what it found; a long one is read each time."""
    template = filler + "${workflow.input.sku}"
    assert [resolve(template, scope) for scope in (Stand(), Other(), Stand())] == (
        [7, 8, 7] if not filler else [f"{filler}7", f"{filler}8", f"{filler}7"])


def test_only_what_is_needed_is_asked_for() -> None:
    """A scope that has to fetch an output fetches none that no expression reads, and each only once."""
    scope = Stand()
    resolve({"a": "no expression", "b": "$${workflow.input}"}, scope)
    assert scope.asked == []
    resolve(["${pick.output.shelf}", "${workflow.id}", "${pick.output.at[0]} at ${pick.output.shelf} of ${workflow.id}"], scope)
    assert scope.asked == ["pick output", "workflow workflowId"]


def test_expressions_are_listed() -> None:
    """With what they read, and the way to it."""
    found = expressions({"a": "${t1.output.x[0].y} and ${workflow.input}", "b": ["$${no}", "${CPEWF_TASK_ID}"]})
    assert set(found) == {
        Expression(Source.OUTPUT, "t1", ("x", 0, "y")), Expression(Source.INPUT), Expression(Source.TASK_ID),
    }
    assert expressions([1, None, "no", {"${k}": 2}]) == []


def test_a_template_is_known_by_its_strings() -> None:
    """An escape counts, because resolving takes it out; a key does not."""
    assert is_templated({"a": [{"b": "x ${workflow.id}"}]})
    assert is_templated("$${")
    assert not is_templated({"${workflow.id}": ["$", "{", 1, None]})


def test_what_is_written_into_strings_is_bounded() -> None:
    """A small template cannot blow a large value up: what is written has a limit in all; whole values have none."""

    class Large(Stand):
        def of_workflow(self, source: Source) -> object:
            return "x" * 1_024

    many = "${workflow.input}-" * (LONGEST_TEXT // 1_024)
    assert len(str(resolve(many, Large()))) < 2 * LONGEST_TEXT
    with pytest.raises(InvalidInput, match="longer than 1,048,576 characters"):
        resolve(many + "${workflow.input}-", Large())
    with pytest.raises(InvalidInput):
        resolve([many, many], Large())
    assert resolve(["${workflow.input}"] * 10_000, Large()) == ["x" * 1_024] * 10_000


def test_a_very_deep_template_is_searched_without_recursion() -> None:
    """Looking for expressions cannot fail on depth."""
    deep: Any = "${workflow.id}"
    for _ in range(50_000):
        deep = [deep]
    assert is_templated(deep)
    assert expressions(deep) == [Expression(Source.WORKFLOW_ID)]


@pytest.mark.parametrize("part", ["${", "${a", "$", "{", "$${", "${a.output", ".output", "${a.output[", "}", "${a}"])
def test_hostile_text_is_read_in_linear_time(part: str) -> None:
    """A megabyte of any fragment is refused or read at once; quadratic work would outlast the test's time limit."""
    for text in (part * (1_000_000 // len(part)), "${" + part * (1_000_000 // len(part)) + "}"):
        with contextlib.suppress(InvalidDefinition):
            expressions(text)


@given(st.text(alphabet="${}.[]*a0 output", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What `expressions` accepts, `resolve` can resolve; nothing fails in another way."""
    try:
        expressions(text)
    except InvalidDefinition:
        return
    resolve(text, Stand())


@given(st.text(alphabet="${}a"))
def test_escaped_text_comes_back(text: str) -> None:
    """Text with every ${ written as $${ resolves to itself."""
    escaped = text.replace("${", "$${")
    assert resolve(escaped, Stand()) == text
