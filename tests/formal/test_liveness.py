"""What must come about on the pinned shapes, and is seen not to where a table is broken."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.formal.configurations import SMALL, Config
from kernel.formal.ground import Grounding
from kernel.formal.liveness import Graph, endless, hopeless, never_ends, never_settles
from kernel.formal.walk import Walker, reachable
from kernel.spec import SPEC
from kernel.spec.language import Spec

CONFIGS = {config.name: config for config in SMALL}
SOME = ("one", "chain_late", "nested", "deep", "waiting", "lenient", "ending", "deliveries", "deliveries_late", "runs",
        "runs_nested", "runs_deep", "runs_deliveries")


def seen(spec: Spec, config: Config) -> tuple[Grounding, Walker]:
    """A configuration, ready to be walked."""
    ground = Grounding(spec, config.shape, kinds=config.kinds)
    return ground, Walker(ground)


@pytest.mark.parametrize("name", SOME)
def test_every_workflow_can_end(name: str) -> None:
    """From every state there is a way on which every workflow ends."""
    ground, walker = seen(SPEC, CONFIGS[name])
    assert not never_ends(ground, walker, reachable(walker))


@pytest.mark.parametrize("name", ["deliveries", "deliveries_late", "runs_deliveries"])
def test_every_delivery_is_settled(name: str) -> None:
    """Whatever sinks do, relays that go on working leave every delivery DELIVERED or DEAD: there is no way round for ever."""
    ground, walker = seen(SPEC, CONFIGS[name])
    assert not never_settles(ground, walker, reachable(walker))


def without(kind: str, event: str) -> Spec:
    """The specification without the rows of an event."""
    table = SPEC.tables[kind]
    return evolve(SPEC, tables={**SPEC.tables, kind: evolve(table, rows=tuple(r for r in table.rows if r.event != event))})


def test_a_workflow_that_cannot_end_is_seen() -> None:
    """Without any ending of its own and without TERMINATE a workflow runs for ever."""
    endings = ("TERMINATE", "TIME_OUT")
    spec = evolve(SPEC, progress=tuple(r for r in SPEC.progress if not r.name.startswith("END_")),
                  commands=tuple(c for c in SPEC.commands if c.name not in endings), properties=(), lemmas=())
    ground, walker = seen(spec, CONFIGS["one"])
    assert never_ends(ground, walker, reachable(walker))


def test_a_delivery_that_is_lost_is_seen() -> None:
    """Without BURY a delivery whose attempts are used up stays LEASED; without counting attempts it goes round for ever."""
    ground, walker = seen(without("delivery", "BURY"), CONFIGS["deliveries_late"])
    assert never_settles(ground, walker, reachable(walker))
    table = SPEC.tables["delivery"]
    rows = tuple(evolve(r, set=tuple(p for p in r.set if p[0] != "attempt")) if r.event == "CLAIM" else r for r in table.rows)
    spec = evolve(SPEC, tables={**SPEC.tables, "delivery": evolve(table, rows=rows)})
    ground, walker = seen(spec, CONFIGS["deliveries_late"])
    assert never_settles(ground, walker, reachable(walker))


def test_graphs() -> None:
    """Hopeless is what leads to no goal; endless is what may go round."""
    a, b, c, d = ((n, n) for n in range(4))
    reached: Graph = {a: [b], b: [a, c], c: [], d: [d]}
    assert hopeless(reached, lambda state: state == c) == {d}
    assert endless({a: [b], b: [a], c: [], d: [c]}) == {a, b}
    assert endless({a: [b, b], b: [c], c: [], d: [a, c]}) == set()
