"""What every store is held to, as a table of checks that anybody can run on a store of their own.

A check gets a `Stores`, which makes empty stores, and raises AssertionError when a promise of the port is broken:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_store_conforms(check):
        check(MyStores())

The memory store says what is right: it is compared with the plain interpreter of the tables in every state of small models.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.plan import Subject
from kernel.core.records import Policy
from kernel.engine.entities import Applied, Lease, NotApplied
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Recorded, Transaction
from kernel.errors import CommitUnknown, InvalidDefinition
from kernel.testing.corpus import TEXTS
from kernel.testing.dump import difference
from kernel.testing.interleaving import PATIENCE, WAITS, met, pairs
from kernel.testing.lockstep import DEFINITIONS, LIMIT, Lockstep, answered
from kernel.testing.planted import planted
from kernel.testing.pool import TYPES
from kernel.testing.questions import START
from kernel.testing.stand import Cut, Stand, in_threads, insist, same, stands
from kernel.testing.stores import MemoryStores, Stores

Check = Callable[[Stores], None]
SEEDS, STEPS = 3, 80
"""Random runs beside memory, and how long they are."""
MANY = 1_500
"""Tasks of a large workflow."""
ORDER = WorkflowDef("order", topics=("archive",), tasks=[TaskDef("pick"), TaskDef("ship", after=["pick"])])


# ---- one store beside another -------------------------------------------------------------------------------------------
def rows_are_equal_after_every_step(stores: Stores) -> None:
    """Random commands to this store and to memory: the same answers, and equal rows after each of them."""
    for seed in range(SEEDS):
        with stands(MemoryStores(), stores) as (memory, other):
            run = Lockstep([memory, other], seed)
            for number in range(STEPS):
                same(memory, other, f"step {number} of run {seed}, {run.step()}")
            insist(not other.k.audit().findings, other.k.audit().findings)


def every_question_has_one_answer(stores: Stores) -> None:
    """Every method that reads gives what memory gives, whatever the state and whatever is asked."""
    with stands(MemoryStores(), stores) as (memory, other):
        run = Lockstep([memory, other], 1_000)
        for number in range(STEPS):
            step = run.step()
            if number % 8 == 0:
                for (question, one), (_, two) in zip(memory.answers(number), other.answers(number), strict=True):
                    insist(one == two, f"after step {number}, {step}, {question}: {difference(one, two)}")


def commands_that_meet_are_as_if_in_turn(stores: Stores) -> None:
    """Each command against each other one, the first stopped just before it commits: as one after the other."""
    wrong = [told for scene, names in pairs() if (told := met(stores, scene, names))]
    insist(not wrong, "\n".join(wrong[:5]))


class Withdrawn(Exception):
    """Leaves a transaction, which is undone."""


def _withdraw(point: FaultPoint, command: str) -> None:
    raise Withdrawn


def what_is_undone_is_seen_by_nobody(stores: Stores) -> None:
    """Who comes while a transaction is under way, and waits for it or not, decides on what was committed."""
    with stands(stores) as (stand,):
        stand.k.register(ORDER)
        stand.k.start("order", workflow_id="w")
        beside, seen = stores.beside(stand.store), list[Any]()
        k = Kernel(beside, clock=stand.clock, chance=random.Random(1))

        def look() -> None:
            seen.extend((answered(lambda k: str(k.get("w").state), k), answered(lambda k: k.pause("w").version, k)))

        other = threading.Thread(target=look, daemon=True)
        try:
            with stand.store.transaction(write=True) as transaction:
                _apply(transaction, "TERMINATE", "w", stand.k)
                other.start()
                other.join(WAITS)
                raise Withdrawn
        except Withdrawn:
            other.join(PATIENCE)
        insist(seen == [("gives", "RUNNING"), ("gives", 2)], seen)
        insist(stand.k.verify().clean, stand.k.verify().missteps)
        try:
            stand.kernel(2, faults=_withdraw).start("order", workflow_id="v")
        except Withdrawn:
            with beside.transaction(write=False) as transaction:
                insist(transaction.roots("", LIMIT) == ["w"], "of a tree whose start was undone something is left")
        if beside is not stand.store:
            beside.close()


# ---- transactions -------------------------------------------------------------------------------------------------------
def an_exception_undoes_every_write(stores: Stores) -> None:
    """A transaction that is left with an exception has changed nothing, whatever it wrote."""
    with stands(stores) as (stand,):
        run = Lockstep([stand], 11)
        for number in range(40):
            run.step()
            workflow, before = run.workflow(), stand.rows()
            try:
                with stand.store.transaction(write=True) as transaction:
                    for name in ("PAUSE", "TERMINATE")[: number % 2 + 1]:
                        answered(partial(_apply, transaction, name, workflow), stand.k)
                    transaction.record("w0", f"undone-{number}", Recorded("r", "o", 1))
                    raise ZeroDivisionError
            except ZeroDivisionError:
                insist(stand.rows() == before, difference(before, stand.rows()))
            with stand.store.transaction(write=False) as transaction:
                insist(transaction.recorded("w0", f"undone-{number}") is None, "the record of a command was not undone")


def _apply(transaction: Transaction, name: str, workflow: str, k: Kernel) -> None:
    k.apply(transaction, k.command(name, Subject(workflow), given={"origin": workflow}))


def what_is_read_is_private(stores: Stores) -> None:
    """Changing a row that was read changes nothing in the store."""
    with stands(stores) as (stand,):
        run = Lockstep([stand], 5)
        for _ in range(60):
            run.step()
        before = stand.rows()
        with stand.store.transaction(write=False) as transaction:
            for workflow in transaction.find(None, None, "", LIMIT):
                workflow.state, workflow.counts[0] = "SPOILT", 99
                for task in transaction.tasks(workflow.id, workflow.run):
                    task.state, task.counts[0] = "SPOILT", 99
            for delivery in transaction.deliveries(None, None, START, LIMIT):
                delivery.state = "SPOILT"
        insist(stand.rows() == before, difference(before, stand.rows()))


def what_was_committed_is_there_afterwards(stores: Stores) -> None:
    """The next process finds what the last commit left, the same id of the store, its definitions and its policy."""
    store = stores.open()
    stand = Stand(store)
    run = Lockstep([stand], 3)
    for _ in range(50):
        run.step()
    before = stand.rows(), store.id, store.policy, store.durability
    again = stores.reopen(store)
    found = Stand(again).rows(), again.id, again.policy, again.durability
    stores.remove(again)
    insist(before == found and before[3] and isinstance(before[2], Policy), difference(before, found))


def stores_are_told_apart(stores: Stores) -> None:
    """Two stores have two ids, and what is in one is not in the other."""
    with stands(stores, stores) as (one, other):
        insist(one.store.id != other.store.id, "two stores have the same id")
        one.k.register(ORDER)
        one.k.start("order", workflow_id="w")
        insist(not other.k.find().items, "a workflow of one store is in another")
        insist(answered(lambda k: k.start("order"), other.k)[0] == "raises", "a definition of one store is in another")


# ---- command ids --------------------------------------------------------------------------------------------------------
def the_same_id_applies_once(stores: Stores) -> None:
    """The answer of a command is lost: its id tells what came of it, and given again it does nothing more."""
    for committed in (True, False):
        with stands(stores) as (stand,):
            stand.k.register(ORDER)
            stand.k.start("order", workflow_id="w")
            lost = Kernel(Cut(stand.store, committed), clock=stand.clock, chance=random.Random(9))
            kind, *error = answered(lambda k: k.terminate("w", command_id="end"), lost)
            insist(kind == "raises" and error[0] is CommitUnknown, (kind, error))
            if committed:
                found, again = stand.k.outcome("end", workflow_id="w"), stand.k.terminate("w", command_id="end")
                insist(isinstance(found, Applied) and found.ended == 1 and again == found, (found, again))
                lines = [line for line in stand.k.history("w") if line.event == "TERMINATE"]
                insist(len(lines) == 1, lines)
            else:
                insist(isinstance(stand.k.outcome("end", workflow_id="w"), NotApplied), "what was undone is told as applied")
                insist(stand.k.get("w").state == "RUNNING", "what was undone has an effect")
                late = answered(lambda k: k.terminate("w", command_id="end"), stand.k)
                insist(late[0] == "raises", "an id that was found absent applied later")


def of_many_callers_one_applies(stores: Stores) -> None:
    """The same command under the same id by several callers at once: each gets the answer of the one that was first."""
    with stands(stores) as (stand,):
        stand.k.register(ORDER)
        stand.k.start("order", workflow_id="w")
        given = list[Any]()
        kernels = [stand.kernel(seed) for seed in range(4)]
        in_threads([partial(_give, k, given) for k in kernels])
        insist(given == [given[0]] * 4, given)
        insist(sum(line.event == "TERMINATE" for line in stand.k.history("w")) == 1, "it was applied more than once")


def _give(k: Kernel, given: list[Any]) -> None:
    given.append(k.terminate("w", command_id="end"))


# ---- reading ------------------------------------------------------------------------------------------------------------
def pages_make_a_whole(stores: Stores) -> None:
    """Page by page nothing is left out and nothing comes twice, whatever the size of a page."""
    with stands(stores) as (stand,):
        run = Lockstep([stand], 21)
        for _ in range(90):
            run.step()
        with stand.store.transaction(write=False) as t:
            whole = [w.id for w in t.find(None, None, "", LIMIT)]
            insist(whole == sorted(whole) and len(set(whole)) == len(whole) > 5, whole)
            deliveries = _delivered(t, LIMIT, START)
            roots = [id for id in whole if "/" not in id]
            for size in (1, 2, 7):
                insist(_paged(partial(_found, t, size), "") == whole, f"find, {size} at a time")
                insist(_paged(partial(_delivered, t, size), START) == deliveries, f"deliveries, {size} at a time")
                for root in roots[:4]:
                    lines = [line.seq for line in t.history(root, None, None, 0, LIMIT)]
                    insist(_paged(partial(_told, t, root, size), 0) == lines == sorted(set(lines)), f"history of {root}")
                    nos = [task.no for task in t.tasks(root, 1)]
                    insist(_paged(partial(_tasks, t, root, size), -1) == nos, f"tasks of {root}, {size} at a time")


def _found(t: Transaction, size: int, after: str) -> list[str]:
    return [w.id for w in t.find(None, None, after, size)]


def _delivered(t: Transaction, size: int, after: tuple[str, int, str]) -> list[tuple[str, int, str]]:
    return [(d.workflow, d.run, d.name) for d in t.deliveries(None, None, after, size)]


def _told(t: Transaction, root: str, size: int, after: int) -> list[int]:
    return [line.seq for line in t.history(root, None, None, after, size)]


def _tasks(t: Transaction, root: str, size: int, after: int) -> list[int]:
    return [task.no for task in t.tasks(root, 1, after, size)]


def _paged(page: Callable[[Any], list[Any]], start: Any) -> list[Any]:
    found, at = list[Any](), start
    while fresh := page(at):
        insist(fresh[-1] != at, f"the page behind {at} ends where it began")
        found, at = found + fresh, fresh[-1]
    return found


def audits_find_what_is_wrong(stores: Stores) -> None:
    """On a kernel whose tables have a bug planted the audit of this store finds what the audit of memory finds."""
    (bug,) = (each for each in planted() if each.name == "forgets-grandchildren")
    with stands(MemoryStores(), stores) as sides:
        for side in sides:
            side.k = bug.kernel(side.store, clock=side.clock, chance=random.Random(0))
        run = Lockstep(sides, 5)
        for _ in range(40):
            run.step()
        one, two = ({(f.invariant, f.workflow_id, f.run, f.subject) for f in side.k.audit().findings
                     if f.invariant.startswith("INV")} for side in sides)
        insist(two <= one, f"{bug.name}: {difference(one, two)}")  # of one end memory tells at every level above, too
        insist({each[0] for each in one} == {each[0] for each in two} != set(), f"{bug.name}: {difference(one, two)}")


# ---- much, odd, at once -------------------------------------------------------------------------------------------------
def large_trees_end_in_one_commit(stores: Stores) -> None:
    """Many tasks and sub-workflows: one TERMINATE, and nothing of it is open; equal to memory."""
    wide = WorkflowDef("wide", topics=("archive",), tasks=[
        *(TaskDef(f"t{n}", type="t") for n in range(MANY)), *(TaskDef(f"s{n}", workflow="order") for n in range(40))])
    with stands(MemoryStores(), stores) as (memory, other):
        for side in (memory, other):
            side.k.register(ORDER, wide)
            side.k.start("wide", workflow_id="w")
            side.k.poll("t", limit=20)
            applied = side.k.terminate("w", reason="enough")
            insist((applied.ended, applied.canceled) == (41, MANY + 40 + 80), applied)
            insist(side.k.audit().clean, side.k.audit().findings)
        same(memory, other, "TERMINATE")


def odd_texts_come_back_as_they_went(stores: Stores) -> None:
    """Ids, reasons, workers and payloads of every kind: kept to the letter, or refused as memory refuses them."""
    with stands(MemoryStores(), stores) as (memory, other):
        run = Lockstep([memory, other], 0)
        for side in (memory, other):
            side.k.register(ORDER)
        for number, text in enumerate(text for name, text in TEXTS.items() if name != "very long"):
            for ask in _odd(number, text):
                run.ask(ask)
        while leases := run.ask(lambda k: k.poll("pick", worker="w'\"; --", limit=20)):
            for lease in leases:
                run.ask(partial(_done, lease))
        same(memory, other, "odd texts")


def _odd(number: int, text: str) -> tuple[Callable[[Kernel], Any], ...]:
    name = f"p{number}"
    return (
        lambda k: k.start("order", workflow_id=text),
        lambda k: k.start("order", workflow_id=name, input={"text": text, text: [text]}),
        lambda k: k.pause(name, reason=text, command_id="x" + text, actor=text),
        lambda k: k.resume(name),
    )


def _done(lease: Lease, k: Kernel) -> Applied:
    return k.complete(lease, output={"of": lease.workflow_id})


def threads_share_a_store(stores: Stores) -> None:
    """Several threads start, poll and complete: each task is handed out once, and all of it ends well."""
    with stands(stores) as (stand,):
        stand.k.register(ORDER)
        handed, lock = Counter[tuple[str, str]](), threading.Lock()

        def work(number: int) -> None:
            for turn in range(4):
                stand.k.start("order", workflow_id=f"w{number}-{turn}")
            while leases := stand.k.poll("pick", limit=3) + stand.k.poll("ship", limit=3):
                for lease in leases:
                    with lock:
                        handed[lease.workflow_id, lease.ref] += 1
                    stand.k.complete(lease)

        in_threads([partial(work, number) for number in range(6)])
        while leases := stand.k.poll("pick", limit=9) + stand.k.poll("ship", limit=9):
            for lease in leases:
                handed[lease.workflow_id, lease.ref] += 1
                stand.k.complete(lease)
        insist(set(handed.values()) == {1} and len(handed) == 6 * 4 * 2, handed)
        insist({w.state for w in stand.k.find(limit=100).items} == {"COMPLETED"}, "not all of it ended")
        insist(stand.k.audit().clean, stand.k.audit().findings)


def definitions_are_kept_once(stores: Stores) -> None:
    """The same name and version with other content is refused; with the same it is no change."""
    with stands(stores) as (stand,):
        for _ in range(2):
            stand.k.register(*DEFINITIONS)
        other = WorkflowDef("leaf", topics=("archive",), tasks=[TaskDef("other", type=TYPES[0])])
        refused = answered(lambda k: k.register(other), stand.k)
        insist(refused[:2] == ("raises", InvalidDefinition), refused)


CHECKS: tuple[Check, ...] = (
    stores_are_told_apart, definitions_are_kept_once, what_was_committed_is_there_afterwards, an_exception_undoes_every_write,
    what_is_read_is_private, rows_are_equal_after_every_step, every_question_has_one_answer,
    commands_that_meet_are_as_if_in_turn, what_is_undone_is_seen_by_nobody, the_same_id_applies_once,
    of_many_callers_one_applies, pages_make_a_whole, audits_find_what_is_wrong, large_trees_end_in_one_commit,
    odd_texts_come_back_as_they_went, threads_share_a_store,
)
"""Every check, by its name; its docstring says what is promised."""
