"""Conformance both ways: the kernel makes every transition of the models and no other, on memory and on SQLite, all counted."""

from __future__ import annotations

import pytest

from kernel.core.plan import Command, Subject
from kernel.engine import kernel as running
from kernel.engine.entities import Applied
from kernel.engine.kernel import Kernel
from kernel.errors import Refused
from kernel.stores.memory_transaction import MemoryTransaction
from kernel.stores.sqlite_transaction import SqliteTransaction
from kernel.testing.planted import planted
from kernel.testing.stores import quick_folder
from kernel.testing.world import KernelFactory
from tests.conformance.cases import PINNED, SMALL
from tests.conformance.rows import ROOT, MemoryShelf, SqliteShelf
from tests.conformance.stand import Conformance, Counted


@pytest.mark.parametrize("name", [name if name in ("one", "unsound") else pytest.param(name, marks=pytest.mark.slow)
                                  for name in SMALL])
def test_the_kernel_makes_every_transition_and_no_other(name: str) -> None:
    """In every state of the model, on memory and SQLite: what the model does is done, what it does not is refused."""
    with quick_folder() as folder:
        conformance = Conformance(SMALL[name].explorer(), (MemoryShelf(), SqliteShelf(str(folder))))
        found = conformance.run()
        conformance.close()
    for seen in found:
        assert seen.differences == []
        assert (seen.states, seen.transitions, seen.refusals) == PINNED[name]


def test_enough_is_driven() -> None:
    """Every small model is pinned, and they are some thousand transitions together."""
    assert set(PINNED) == set(SMALL)
    assert sum(transitions for _, transitions, _ in PINNED.values()) > 10_000


# ---- planted faults: each must be seen --------------------------------------------------------------------------------------
def on_memory(name: str, make: KernelFactory) -> Counted:
    """Drive a kernel through a model on the memory store."""
    conformance = Conformance(SMALL[name].explorer(), (MemoryShelf(),), make)
    (seen,) = conformance.run()
    return seen


SEEN_IN = {
    #                         shape, missing, outside
    "eleven-steps":          ("one", False, False),
    "forgets-grandchildren": ("deep", True, True),
    "heartbeat-unchecked":   ("one", False, True),
    "late-outbox":           ("one", False, False),
    "told-later":            ("reopened", False, False),
    "poll-ignores-paused":   ("one", False, True),
    "starts-before-ends":    ("race", True, True),
    "resume-under-paused":   ("reopened", False, True),
}
"""Planted bugs by the model in which they show; those that commit twice end where they should, but by one commit too many."""
UNHEARD = {"cascade-untold"}
"""What shows in notices alone, of which these models have none."""


def test_every_planted_bug_is_looked_for() -> None:
    """None is left out, but for what no model here could show."""
    assert {bug.name for bug in planted()} == {*SEEN_IN} | UNHEARD


@pytest.mark.parametrize(
    "name", [name if shape == "one" else pytest.param(name, marks=pytest.mark.slow) for name, (shape, _, _) in SEEN_IN.items()])
def test_a_planted_bug_is_seen(name: str) -> None:
    """A kernel that does too little misses transitions; one that does too much makes some that the model does not have."""
    (bug,) = [bug for bug in planted() if bug.name == name]
    shape, missing, outside = SEEN_IN[name]
    seen = on_memory(shape, bug.kernel)
    assert (bool(seen.missing), bool(seen.outside)) == (missing, outside)
    assert seen.differences


class Spiteful(Kernel):
    """Terminates what it refuses to change."""

    def commit(self, command: Command) -> Applied:
        """As the kernel; then that."""
        try:
            return super().commit(command)
        except Refused:
            super().commit(self.command("TERMINATE", Subject(ROOT)))
            raise


def test_a_refusal_that_changes_something_is_seen() -> None:
    """What is read back after the refusals of a state is what was there before them."""
    assert "memory: START w: a refusal changed something" in on_memory("unsound", Spiteful).differences


def nothing(*given: object, **named: object) -> str:
    """Instead of something."""
    return ""


@pytest.mark.slow
def test_a_timer_that_is_not_listed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not tell the clock what is due keeps it from a transition that the model has."""
    monkeypatch.setattr(MemoryTransaction, "timers", nothing)
    differences = on_memory("deliveries late", Kernel).differences
    assert differences
    assert all(text.endswith("is not listed") for text in differences)


def test_a_no_op_told_as_done_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told that a repeated TERMINATE did something is told of a transition that there is not."""
    monkeypatch.setattr(running, "no_op_of", nothing)
    assert "memory: START w -> TERMINATE w -> TERMINATE w" in on_memory("one", Kernel).outside


def test_a_statement_that_does_nothing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that decides well and writes badly is found out, too: a cascade on SQLite that leaves tasks open."""
    monkeypatch.setattr(SqliteTransaction, "_cascade_own", lambda *given: 0)
    with quick_folder() as folder:
        conformance = Conformance(SMALL["one"].explorer(), (SqliteShelf(str(folder)),))
        (seen,) = conformance.run()
        conformance.close()
    assert seen.missing
    assert seen.outside
