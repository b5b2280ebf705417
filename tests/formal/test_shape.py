"""Shapes and the places that they write out."""

from __future__ import annotations

from kernel.formal.shape import Shape, Task, Tree, blank, columns, hurried
from kernel.spec import SPEC
from kernel.spec.language import NEVER

SHAPE = Shape((
    Task("a"),
    Task("s", ("a",), "WORKFLOW", Shape((Task("u", mode="WORKFLOW", sub=Shape((Task("x"),))),), topics=()), tries=2),
))


def names(tree: Tree, *places: int) -> list[str]:
    """The ids of places."""
    return [tree.places[i].id for i in places]


def test_every_row_that_can_exist_has_a_place() -> None:
    """A shape has a workflow for each attempt of each sub-workflow task, their tasks, and a delivery for each topic."""
    tree = Tree(SPEC, SHAPE)
    assert names(tree, *tree.rows["workflow"]) == ["w", "w/s", "w/s/u", "w/s~2", "w/s~2/u"]
    assert names(tree, *tree.rows["task"]) == ["w.a", "w.s", "w/s.u", "w/s/u.x", "w/s~2.u", "w/s~2/u.x"]
    assert names(tree, *tree.rows["delivery"]) == ["w>archive", "w/s/u>archive", "w/s~2/u>archive"]


def test_places_are_linked() -> None:
    """Each place sees the rows that the links of the specification lead to."""
    tree = Tree(SPEC, SHAPE)
    place = {p.id: p for p in tree.places}
    assert names(tree, *place["w"].sets["subs"]) == ["w/s", "w/s/u", "w/s~2", "w/s~2/u"]
    assert {p.one["top"] for p in tree.places if p.kind == "workflow"} == {tree.places.index(place["w"])}
    assert names(tree, *place["w"].sets["children"]) == ["w/s", "w/s~2"]
    assert names(tree, *place["w"].sets["tasks"]) == ["w.a", "w.s"]
    assert names(tree, *place["w/s"].sets["all_tasks"]) == ["w/s.u", "w/s/u.x"]
    assert names(tree, *place["w"].sets["outbox"]) == ["w>archive"]
    assert sorted(names(tree, *place["w"].sets["all_outboxes"])) == ["w/s/u>archive", "w/s~2/u>archive", "w>archive"]
    assert names(tree, *place["w.s"].sets["after"]) == ["w.a"]
    assert names(tree, place["w/s~2"].one["up"], place["w/s.u"].one["wf"]) == ["w.s", "w/s"]
    assert names(tree, *place["w/s/u.x"].sets["above"]) == ["w/s.u", "w.s"]
    assert names(tree, *place["w.a"].sets["reach"]) == ["w.a", "w.s"]
    assert names(tree, *place["w/s/u.x"].sets["reach"]) == ["w/s/u.x", "w/s.u", "w.s"]
    assert names(tree, *place["w.s"].sets["under"]) == ["w/s", "w/s/u", "w/s~2", "w/s~2/u"]
    assert names(tree, *place["w.s"].sets["under_tasks"]) == ["w/s.u", "w/s/u.x", "w/s~2.u", "w/s~2/u.x"]
    assert {n: names(tree, c) for n, c in place["w.s"].children.items()} == {1: ["w/s"], 2: ["w/s~2"]}
    assert names(tree, *tree.above(tree.places.index(place["w/s/u"]))) == ["w/s", "w"]


def test_nothing_exists_at_the_start() -> None:
    """In the first state every row is ABSENT, counts are 0, texts empty, and no clock runs."""
    tree = Tree(SPEC, SHAPE)
    assert tree.told(tree.start) == {}
    row = dict(zip(columns(SPEC.kinds["task"]), blank(SPEC.kinds["task"]), strict=True))
    assert row == {
        "state": "ABSENT", "attempt": 0, "handouts": 0, "not_before": 0, "expires": NEVER, "attempt_ends": NEVER,
        "total_ends": NEVER, "wakes": NEVER, "signalled": 0, "changed": 0}
    assert dict(zip(columns(SPEC.kinds["workflow"]), blank(SPEC.kinds["workflow"]), strict=True))["paused_by"] == ""


def test_hurried_shapes_have_run_out_of_time() -> None:
    """Every lease, poll time-out and deadline of a hurried shape has passed as soon as it begins, at every level."""
    fast = hurried(SHAPE)
    (_, nesting) = fast.tasks
    assert nesting.sub is not None
    for shape in (fast, nesting.sub):
        assert (shape.timeout, shape.delivery_lease) == (0, 0)
        assert {(t.lease, t.poll_timeout) for t in shape.tasks} == {(0, 0)}
