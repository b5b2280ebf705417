"""Inputs and outputs of every kind: JSON within bounds, or refused before anything is written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pytest

import kernel
from kernel.core.checks import LIMITS
from kernel.engine.entities import EPOCH
from kernel.errors import InvalidDefinition, InvalidInput
from kernel.testing.corpus import TEXTS
from tests.stores.stand import Stand

MEGABYTE = 1024 * 1024


def nested(levels: int, kind: type = list) -> Any:
    """A value nested so deep."""
    value: Any = 0
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


def own_item() -> Any:
    """A list that holds itself."""
    value: list[Any] = []
    value.append(value)
    return value


def own_value() -> Any:
    """A dict that holds itself, deep inside."""
    value: dict[str, Any] = {}
    value["a"] = [{"b": value}]
    return value


def much_of_little() -> Any:
    """A value that is small in memory and endless as text: the same list again and again."""
    value: Any = ["x"] * 10
    for _ in range(12):
        value = [value] * 10
    return value


class Text(str):
    """A text of a kind of its own, which would like to be something else."""

    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


BAD: dict[str, Any] = {
    "NaN": math.nan, "infinity": math.inf, "minus infinity": [1, {"a": -math.inf}], "bytes": b"x", "set": {1},
    "object": object(),
    "a number as a key": {1: "a"}, "None as a key": {None: 1}, "a tuple as a key": {("a",): 1}, "mixed keys": {"a": 1, 2: 3},
    "a lone surrogate": "\ud800", "a lone surrogate inside": {"a": ["b\udfffc"]}, "a lone surrogate as a key": {"\ud800": 1},
    "itself": own_item(), "itself inside": own_value(), "too deep": nested(LIMITS.depth + 1),
    "too deep in objects": nested(LIMITS.depth + 1, dict), "much too deep": nested(200_000), "too large": "x" * MEGABYTE,
    "too large together": ["x" * 1_000] * 1_100, "too large in bytes": "é" * (MEGABYTE // 2), "endless": much_of_little(),
    "too many": list(range(400_000)), "a number too long": 10**4_001, "a negative number too long": [-(10**5_000)],
    "a number of a million digits": 1 << 3_400_000, "complex": 1j, "a date": EPOCH,
    "a generator": (n for n in range(3)), "a class": dict, "a mapping that is no dict": type("M", (Mapping,), {
        "__getitem__": lambda self, key: 1, "__iter__": lambda self: iter(["a"]), "__len__": lambda self: 1})(),
}
GOOD: dict[str, Any] = {
    "nothing": None, "true": True, "a large number": 2**63, "a very large number": 10**3_999, "a small float": 5e-324,
    "a large float": 1.7976931348623157e308, "minus zero": -0.0, "an empty text": "", "a long text": "x" * (MEGABYTE - 2),
    "as deep as may be": nested(LIMITS.depth), "an empty key": {"": {}}, "many keys": {str(n): n for n in range(20_000)},
    "a tuple": ("a", 1), "keys like ours": {"__class__": "x", "state": "TERMINATED", "$ref": "#", "toString": None},
    "templates": {"a": "${workflow.input.x}", "b": "${", "c": "$${}", "d": "${a.output.b}"},
    **{f"text: {name}": text for name, text in TEXTS.items() if "surrogate" not in name and name != "very long"},
}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if name in ("endless", "too many") else name for name in BAD])
def test_what_is_not_json_is_refused(each: Stand, lease: kernel.Lease, name: str) -> None:
    """As an input of a workflow, as an output of a worker or of a signal: InvalidInput that says where and why, and no row
    has changed; the lease is as good as before.
    """
    value, before, k = BAD[name], each.rows(), each.k
    for ask in (
        lambda: k.start("root", workflow_id="new", input={"a": value}), lambda: k.complete(lease, output=value),
        lambda: k.fail(lease, output={"a": [value]}), lambda: k.signal("w", "ok", output=value),
    ):
        with pytest.raises(InvalidInput) as caught:
            ask()
        assert caught.value.why
        assert len(str(caught.value)) < 2_000
        assert each.rows() == before
    k.complete(lease, output=1)
    assert k.audit().clean


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_json_is_refused_in_a_definition(name: str) -> None:
    """The same bounds for the input of a task, when the definition is made."""
    with pytest.raises(InvalidDefinition) as caught:
        kernel.TaskDef("a", input={"a": BAD[name]})
    assert "'a'" in caught.value.asked


@pytest.mark.parametrize("name", GOOD)
def test_what_json_can_say_comes_back_equal(each: Stand, lease: kernel.Lease, name: str) -> None:
    """Through the store, the next task's input, the history and the archive's document."""
    value, k = GOOD[name], each.k
    expected = json.loads(json.dumps(value))
    k.complete(lease, output=value)
    assert next(t for t in k.tasks("w") if t.ref == "a").output == expected
    if len(json.dumps(value)) < MEGABYTE // 2 and name != "as deep as may be":
        both = {"got": "${one.output}", "of": "${workflow.input}"}
        k.register(kernel.WorkflowDef("pass", tasks=[
            kernel.TaskDef("one"), kernel.TaskDef("two", after=["one"], input=both)]))
        k.start("pass", workflow_id="p", input={"v": value})
        (one,) = k.poll("one")
        k.complete(one, output={"v": value})
        (two,) = k.poll("two")
        assert two.input == {"got": {"v": expected}, "of": {"v": expected}}
    assert k.audit().clean


@pytest.mark.parametrize("value", [[], "x", 7, True, [("a", 1)], b"", object()])
def test_an_input_is_an_object(each: Stand, value: Any) -> None:
    """A workflow's input has keys."""
    before = each.rows()
    with pytest.raises(InvalidInput, match="not an object with keys"):
        each.k.start("root", input=value)
    assert each.rows() == before


def test_a_given_value_is_copied(each: Stand, lease: kernel.Lease) -> None:
    """Whoever changes it afterwards changes nothing here; whoever changes what was read neither."""
    k, value = each.k, {"a": [1]}
    k.start("root", workflow_id="new", input=value)
    k.complete(lease, output=value)
    value["a"].append(2)
    assert k.get("new").input == {"a": [1]}
    k.get("new").input["a"].append(3)
    k.tasks("w")[1].output["a"].append(3)
    assert k.get("new").input == {"a": [1]}
    assert k.tasks("w")[1].output == {"a": [1]}


def test_a_definition_is_not_changed_by_its_reader(each: Stand) -> None:
    """The input that a task shows is a copy, too: a definition never changes."""
    k = each.k
    k.register(kernel.WorkflowDef("fixed", tasks=[kernel.TaskDef("t", input={"a": [1]})]))
    k.start("fixed", workflow_id="f")
    k.tasks("f")[0].input["a"].append(2)
    (lease,) = k.poll("t")
    lease.input["a"].append(3)
    assert k.tasks("f")[0].input == {"a": [1]}
    assert k.start("fixed", workflow_id="g").id == "g"
    assert k.poll("t")[0].input == {"a": [1]}


def test_a_text_that_would_be_another(each: Stand, lease: kernel.Lease) -> None:
    """A subclass of str counts as its characters, whatever its methods say."""
    each.k.complete(lease, output={"a": Text("é")})
    assert each.k.tasks("w")[1].output == {"a": "é"}


def test_a_workflow_made_of_templates_only(each: Stand) -> None:
    """What looks like a template in a payload is text: only definitions are resolved, and only once."""
    k = each.k
    k.register(kernel.WorkflowDef("t", tasks=[kernel.TaskDef("a", input={"x": "${workflow.input.x}"})]))
    k.start("t", workflow_id="t", input={"x": "${workflow.input.y}", "y": "secret"})
    (lease,) = k.poll("a", limit=9)[-1:]
    assert lease.input == {"x": "${workflow.input.y}"}


# ------------------------------------------------------------------------------------------------------------------ sizes
def test_a_definition_over_its_limit_of_tasks() -> None:
    """Refused with the limit; inline definitions count."""
    with pytest.raises(InvalidDefinition, match="at most 200,000 are allowed"):
        kernel.WorkflowDef("large", tasks=[kernel.TaskDef("t")] * (LIMITS.tasks + 1))
    inner = kernel.WorkflowDef("inner", tasks=[kernel.TaskDef(f"t{n}") for n in range(1_000)])
    with pytest.raises(InvalidDefinition, match="at most 200,000 are allowed"):
        kernel.WorkflowDef("outer", tasks=[kernel.TaskDef(f"s{n}", workflow=inner) for n in range(200)])


def test_a_tree_over_its_limit_of_tasks(each: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task that would start too much is rejected; what is there goes on."""
    monkeypatch.setattr("kernel.core.judge.TREE_TASKS_MAX", 11)
    k = each.k
    k.register(kernel.WorkflowDef("eight", tasks=[kernel.TaskDef(f"t{n}", type="t") for n in range(8)]))
    k.register(kernel.WorkflowDef("two", tasks=[
        kernel.TaskDef("one", workflow="eight"), kernel.TaskDef("ok", kind="wait"),
        kernel.TaskDef("other", workflow="eight", optional=True, after=["ok"])]))
    k.start("two", workflow_id="x")
    k.signal("x", "ok")
    assert {t.ref: t.state for t in k.tasks("x")} == {
        "one": "IN_PROGRESS", "ok": "COMPLETED", "other": "COMPLETED_WITH_ERRORS"}
    assert k.tasks("x")[2].reason == "the tree would have more than 11 tasks"
    assert len(k.poll("t", limit=100)) == 8
    assert k.audit().clean


def test_a_tree_does_not_explode_in_one_commit(each: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A definition whose sub-workflows would all start at once, each with sub-workflows of its own: as many start as the
    limit allows, the rest is rejected.
    """
    monkeypatch.setattr("kernel.core.judge.TREE_TASKS_MAX", 100)
    k = each.k
    for level, below in enumerate(("leaf", "bomb0", "bomb1", "bomb2")):
        k.register(kernel.WorkflowDef(f"bomb{level}", tasks=[
            kernel.TaskDef(f"t{n}", workflow=below, optional=True) for n in range(9)]))
    k.start("bomb3", workflow_id="x")
    report = k.audit()
    assert report.clean
    assert sum(len(k.tasks(w.id)) for w in k.find(limit=1_000).items if w.root == "x") <= 100
    reasons = {t.reason for w in k.find(limit=1_000).items for t in k.tasks(w.id) if t.state == "COMPLETED_WITH_ERRORS"}
    assert reasons == {"the tree would have more than 100 tasks"}


@pytest.mark.slow
def test_a_large_definition_runs(each: Stand) -> None:
    """Twenty thousand tasks: started, worked on and terminated."""
    k = each.k
    k.register(kernel.WorkflowDef("large", tasks=[kernel.TaskDef(f"t{n}", type="t") for n in range(20_000)]))
    k.start("large", workflow_id="x")
    for lease in k.poll("t", limit=100):
        k.complete(lease)
    assert k.terminate("x").canceled == 19_900
    assert k.audit().clean
