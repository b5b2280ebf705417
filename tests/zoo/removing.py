"""What is removed, when, and what is left of it."""

from __future__ import annotations

from typing import Any

import attrs

import kernel
from kernel.core.plan import Command, Plan, Subject, Tally
from kernel.core.program import Program
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Transaction
from kernel.spec.language import Row
from kernel.spec.vocabulary import ENDED, LIVE, archived, outbox_settled, retention_over, subs_ended
from kernel.testing.sinks import Behaviour
from tests.zoo.plants import running, unguarded, with_rows
from tests.zoo.stand import Exhibit, Stage, answer, lease_of, same, workflows

LEAF = kernel.WorkflowDef("leaf", topics=("archive",), tasks=[kernel.TaskDef("x")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("invoice", workflow="leaf"), kernel.TaskDef("ship", after=["pick", "invoice"])])
ONE = kernel.WorkflowDef("one", topics=("archive",), tasks=[kernel.TaskDef("a")])


def purging(*guards: Any) -> Program:
    """The specification with PURGE not asking for these."""
    def asks_less(row: Row) -> Row:
        return unguarded(row, *guards) if row.event == "PURGE" else row

    return with_rows("workflow", asks_less)


def there(k: Kernel, workflow_id: str) -> bool:
    """Whether the store has rows of a workflow."""
    return answer(lambda: k.tasks(workflow_id)) == "applied"


# ---- B10 -----------------------------------------------------------------------------------------------------------------
def removed_although_not_archived(stage: Stage) -> None:
    """A workflow was removed although its index had failed to take it, and so it was lost; while one that the index did not
    know could not be removed at all.

    conductor-oss/conductor#709
    """
    k = stage.k
    k.register(ONE, attrs.evolve(ONE, name="unheard", archive=kernel.ArchivePolicy(off=True)))
    for fault in (Behaviour.RAISE, Behaviour.LIE, Behaviour.HALF, Behaviour.LATE):
        name = f"w-{fault}"
        k.start("one", workflow_id=name)
        k.complete(lease_of(k, "a"), output={"n": 1})
        stage.archive.plan(fault)
        k.deliver()
        same(f"a purge after {fault}", answer(lambda: k.purge(name)), "GuardRefused")  # noqa: B023 - called at once
        same(f"the rows after {fault}", (str(k.get(name).state), k.tasks(name)[0].output), ("COMPLETED", {"n": 1}))
        stage.clock.advance(600)
        k.deliver()
        k.purge(name)
        found = k.get(name)
        same("what its archive tells", (there(k, name), str(found.state), found.purged is not None), (False, "COMPLETED", True))
    k.start("unheard", workflow_id="w")
    k.complete(lease_of(k, "a"))
    same("a purge of what nobody archives", answer(lambda: k.purge("w")), "GuardRefused")
    same("a purge that says so", answer(lambda: k.purge("w", unarchived=True)), "applied")
    stage.sound()


def _archived_or_not() -> Program:
    return purging(outbox_settled, archived)


# ---- B23 -----------------------------------------------------------------------------------------------------------------
KEPT = attrs.evolve(ONE, name="kept", archive=kernel.ArchivePolicy(retention=3600.0))


def removed_before_its_time(stage: Stage) -> None:
    """The time that an archived workflow was to stay was ignored: its rows were removed at once.

    Netflix/conductor-community#166
    """
    k = stage.k
    k.register(KEPT)
    k.start("kept", workflow_id="w")
    k.complete(lease_of(k, "a"))
    k.deliver()
    for seconds, wanted in ((0, "GuardRefused"), (3_599, "GuardRefused"), (1, "applied")):
        stage.clock.advance(seconds)
        same("its archive", stage.archived("w"), "its frozen rows")
        if wanted == "GuardRefused":
            same("removed with all that ended", k.purge_ended(older_than=0.0).purged, 0)
        same(f"a purge {seconds} s later", answer(lambda: k.purge("w")), wanted)
        same(f"its rows {seconds} s later", there(k, "w"), wanted != "applied")
    same("what its archive tells", str(k.get("w").state), "COMPLETED")
    stage.sound()


def _at_once() -> Program:
    return purging(retention_over)


# ---- B24 -----------------------------------------------------------------------------------------------------------------
def removing_leaves_something(stage: Stage) -> None:
    """A workflow was removed, and rows that belonged to it stayed behind: what was removed did not reach all that it had.

    Netflix/conductor#1505, Netflix/conductor#1234
    """
    k = stage.k
    k.register(LEAF, ORDER)
    k.start("order", workflow_id="w")
    late = lease_of(k, "x")
    k.terminate("w", command_id="end")
    answer(lambda: k.complete(late))
    k.retry("w")
    k.complete(lease_of(k, "pick"), output={"n": 1})
    k.complete(lease_of(k, "x"))
    k.complete(lease_of(k, "ship"))
    k.deliver()
    stage.sound("w")
    k.purge("w")
    with stage.store.transaction(write=False) as transaction:
        same("workflows, tasks, deliveries that are left", transaction.sizes(), (0, 0, 0))
    same("of the tree", [there(k, name) for name in ("w", "w/invoice")], [False, False])
    same("history", answer(lambda: k.history("w")), "NotFound")
    same("deliveries", k.deliveries(workflow_id="w"), [])
    same("found", [found.id for found in k.find().items], [])
    same("late results", answer(lambda: k.late("w")), "NotFound")
    same("what became of a command", type(k.outcome("end", workflow_id="w")).__name__, "Purged")
    same("started again", answer(lambda: k.start("order", workflow_id="w")), "GuardRefused")
    stage.sound()


class ShallowKernel(Kernel):
    """Removes a workflow, and forgets its sub-workflows."""

    def apply(self, transaction: Transaction, command: Command, now: int | None = None) -> tuple[Tally, Plan]:
        """Apply; then what was below is there again."""
        root = command.subject.workflow
        tree = transaction.tree(root)
        below = [] if tree is None else [row for row in transaction.below(root, tree.run) if row.id != root]
        tally, plan = super().apply(transaction, command, now)
        if command.name == "PURGE" and tree is not None:
            left = Plan(Command("LEAVE", Subject(root)), plan.now, tree, False)
            left.created_workflows += below
            transaction.write(left)
        return tally, plan


# ---- B34 -----------------------------------------------------------------------------------------------------------------
def a_running_workflow_is_removed(stage: Stage) -> None:
    """A workflow was deleted while it ran, and so it was never archived: the archive heard only of changes of its phase.

    argoproj/argo-workflows#13658
    """
    k = stage.k
    k.register(LEAF, ORDER)
    k.start("order", workflow_id="w")
    for state in ("RUNNING", "PAUSED"):
        if state == "PAUSED":
            k.pause("w")
        before = k.tree("w")
        same(f"a purge while {state}", answer(lambda: k.purge("w", unarchived=True)), "NoSuchTransition")
        same(f"a purge of all, while {state}", k.purge_ended(older_than=0.0, unarchived=True).purged, 0)
        same("the tree", k.tree("w") == before, True)
    k.terminate("w")
    same("a purge before it is archived", answer(lambda: k.purge("w", unarchived=True)), "GuardRefused")
    same("workflows", workflows(k, "w"), {"w": "TERMINATED", "w/invoice": "TERMINATED"})
    k.deliver()
    same("archives", [stage.archived(name) for name in ("w", "w/invoice")], ["its frozen rows"] * 2)
    same("a purge of what is archived", answer(lambda: k.purge("w")), "applied")
    same("what the archive tells", [str(k.get(name).state) for name in ("w", "w/invoice")], ["TERMINATED"] * 2)
    stage.sound()


def _in_any_state() -> Program:
    def anything(row: Row) -> Row:
        if row.event != "PURGE":
            return row
        return unguarded(attrs.evolve(row, source=(*LIVE, *ENDED)), retention_over, subs_ended, outbox_settled, archived)

    return with_rows("workflow", anything)


EXHIBITS = (
    Exhibit("B10", ("conductor-oss/conductor#709",), removed_although_not_archived, running(_archived_or_not),
            "PURGE asks for no archive"),
    Exhibit("B23", ("Netflix/conductor-community#166",), removed_before_its_time, running(_at_once),
            "PURGE asks for no retention"),
    Exhibit("B24", ("Netflix/conductor#1505", "Netflix/conductor#1234"), removing_leaves_something, ShallowKernel,
            "a purge leaves out what is below"),
    Exhibit("B34", ("argoproj/argo-workflows#13658",), a_running_workflow_is_removed, running(_in_any_state),
            "PURGE is a transition of live workflows, too"),
)
