"""The ports: every store answers every question of the protocol."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from kernel.core.plan import Subject
from kernel.core.snapshot import Snapshot
from kernel.engine.clock import SystemClock
from kernel.engine.ports import HistoryRecord, Recorded, Store, Timer, Transaction, Violation
from tests.stores.stand import STORES, Stand, stand


def methods(protocol: type) -> dict[str, inspect.Signature]:
    """What a protocol asks for."""
    return {name: inspect.signature(value) for name, value in vars(protocol).items()
            if inspect.isfunction(value) and not name.startswith("_")}


def compared(have: Any, protocol: type) -> None:
    """An object has each method of the protocol, with the same parameters by the same names and defaults."""
    for name, wanted in methods(protocol).items():
        found = inspect.signature(getattr(type(have), name))
        assert [(p.name, p.kind, p.default) for p in found.parameters.values()] == [
            (p.name, p.kind, p.default) for p in wanted.parameters.values()], name


@pytest.mark.parametrize("kind", STORES)
def test_a_store_has_what_the_protocols_ask(kind: str, tmp_path: Path) -> None:
    """Store, transaction and snapshot, method by method."""
    with stand(kind, tmp_path) as each:
        compared(each.store, Store)
        for name in get_type_hints(Store):
            assert getattr(each.store, name) is not None
        with each.store.transaction(write=False) as transaction:
            compared(transaction, Transaction)
            compared(transaction.snapshot(Subject("w")), Snapshot)


@pytest.mark.server
def test_stores_have_ids_of_their_own(tmp_path: Path) -> None:
    """Part of every delivery's key: two stores never share it, and a file keeps its own."""
    ids = set()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for kind in STORES:
            with stand(kind, tmp_path / name) as each:
                ids.add(each.store.id)
    assert len(ids) == 2 * len(STORES)
    with stand("sqlite", tmp_path / "a") as each:
        assert each.store.id in ids
        assert each.store.durability


def test_records_are_plain_values() -> None:
    """What passes through the ports can be compared and sorted."""
    assert Recorded("r", "o", 1) == Recorded("r", "o", 1)
    assert Violation("a", "w", 1, "", "") < Violation("b", "w", 1, "", "")
    assert Timer("WAKE", Subject("w", 1)).subject.no == 1
    assert len(HistoryRecord._fields) == 16


def test_the_clock_of_every_day(each: Stand) -> None:
    """Microseconds since 1970: later than when this was written, and it does not stand still for ever."""
    clock = SystemClock()
    first = clock.now()
    assert isinstance(first, int)
    assert first > 1_700_000_000_000_000
    while clock.now() == first:
        pass
    k = each.kernel(clock=None)
    assert abs(k.clock.now() - clock.now()) < 60_000_000
