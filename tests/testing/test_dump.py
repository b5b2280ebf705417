"""Dumps: everything that a store keeps of its trees, and where two of them differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kernel.engine.kernel import Kernel
from kernel.stores.memory import MemoryStore
from kernel.testing.dump import Definitions, WorkflowFacts, difference, dumped, everything
from kernel.testing.pool import POOL


def standing() -> Kernel:
    """Two trees, one of them three levels high and with two deliveries."""
    kernel = Kernel(MemoryStore())
    kernel.register(*POOL)
    kernel.start("outer", workflow_id="a")
    kernel.start("leaf", workflow_id="b")
    kernel.terminate("a/middle")
    return kernel


def test_a_dump_holds_what_was_asked_for() -> None:
    """Trees that exist, with all their workflows, tasks and deliveries, and what they were started from."""
    kernel, definitions = standing(), Definitions()
    dump = dumped(kernel.store, ["a", "b", "c"], definitions)
    assert list(dump) == ["a", "b"]
    assert list(dump["a"].workflows) == ["a", "a/middle", "a/middle/leaf"]
    assert {place: facts.state for place, facts in dump["a"].deliveries.items()} == {
        ("a/middle/leaf", 1, "archive"): "PENDING", ("a/middle", 1, "archive"): "PENDING", ("a", 1, "archive"): "PENDING"}
    assert len(dump["a"].tasks) == 7
    assert dump["a"].version == kernel.get("a").version
    assert definitions["a/middle"].source.name == "middle"
    assert dumped(kernel.store, ["b"], definitions) == {"b": dump["b"]}


@pytest.mark.parametrize(
    "change", [
        lambda k: k.pause("b"), lambda k: k.poll("pick"), lambda k: k.start("leaf", workflow_id="c"),
        lambda k: k.complete(k.poll("pack")[0], output={"n": 1}), lambda k: k.deliver()])
def test_a_change_is_a_difference(change: Callable[[Kernel], object]) -> None:
    """Whatever changes is seen; what changes nothing is not. A relay without sinks changes nothing."""
    kernel, definitions = standing(), Definitions()
    before = everything(kernel.store, ["a", "b", "c"], definitions)
    assert difference(before, everything(kernel.store, ["a", "b", "c"], definitions)) == ""
    result = change(kernel)
    told = difference(before, everything(kernel.store, ["a", "b", "c"], definitions))
    assert bool(told) == (not hasattr(result, "outcomes"))


def test_a_payload_and_a_line_are_part_of_everything() -> None:
    """Two stores with equal rows and other payloads, or another history, differ."""
    kernel, definitions = standing(), Definitions()
    before = everything(kernel.store, ["b"], definitions)
    assert "payloads" in difference(before, before._replace(payloads={**before.payloads, ("b", 0, "output"): "{}"}))
    assert "lines" in difference(before, before._replace(lines={"b": before.lines["b"][:-1]}))


def test_a_difference_names_its_place() -> None:
    """The first place that differs, with what it was and is."""
    facts = WorkflowFacts("RUNNING", 1, "", -1, 0, 0, 5, 5, 9, "", 0, "")
    dump = {"w": facts}
    assert difference(dump, {"w": facts._replace(state="PAUSED")}) == "'w' state was 'RUNNING', is 'PAUSED'"
    assert difference(dump, {}) == "'w' is gone"
    assert difference({}, dump) == "'w' is new"
    assert difference([1], [2], "x ") == "x was '[1]', is '[2]'"
