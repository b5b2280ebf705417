"""The specification as JSON: whole, the same from run to run, every value with the name of its class."""

from __future__ import annotations

import json

from kernel.render.data import data_of, json_of
from kernel.spec import SPEC
from kernel.spec.language import F, Fire, Guard, Lit, Row, both, eq
from tests.examples import order


def test_values_become_objects() -> None:
    """Each is an object that names its class; a constant stands for itself, pairs and tuples are lists."""
    row = Row("GO", ("A", "B"), "C", (Guard("far", eq(F("run", ("wf",)), 1), "near"),), {"run": Lit(2)})
    assert data_of(row) == {
        "is": "Row", "event": "GO", "source": ["A", "B"], "target": "C", "set": [["run", 2]], "guards": [{
            "is": "Guard", "name": "far", "why": "near", "holds": {
                "is": "Op", "op": "eq", "args": [{"is": "F", "name": "run", "via": ["wf"], "then": False}, 1]}}]}
    assert data_of(Fire("GO"))["where"] == data_of(both()) == {"is": "Op", "op": "and", "args": []}


def test_everything_is_there() -> None:
    """Every table, step and property of the law and of the example."""
    for spec in (SPEC, order.SPEC):
        told = json.loads(json_of(spec))
        assert list(told["kinds"]) == list(spec.kinds)
        assert [len(told["tables"][kind]["rows"]) for kind in spec.tables] == [len(t.rows) for t in spec.tables.values()]
        assert [step["name"] for step in (*told["commands"], *told["progress"])] == [
            step.name for step in (*spec.commands, *spec.progress)]
        assert [p["id"] for p in told["properties"]] == [p.id for p in spec.properties]
        assert json_of(spec) == json_of(spec)
