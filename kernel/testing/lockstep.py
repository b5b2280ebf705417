"""Gives the same random commands to kernels on several stores and insists that all give the same answer.

On equal stores equal kernels (one clock, the same chance) answer alike and leave equal rows: what every store is held to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import attrs

from kernel.core.archive import NOTIFY
from kernel.core.definitions import ExpiryPolicy, TaskDef, WorkflowDef
from kernel.core.plan import Subject
from kernel.core.records import MICROSECONDS
from kernel.engine import reading
from kernel.engine.contention import again
from kernel.engine.entities import Lease
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.engine.timers import fire
from kernel.errors import KernelError
from kernel.spec.vocabulary import STATUSES
from kernel.testing.clock import ManualClock
from kernel.testing.dump import difference
from kernel.testing.pool import INPUTS, POOL, TYPES

LIMIT = 1_000_000
TOPICS = ("zeta", "mail", "archive")
DEFINITIONS = (
    *POOL,
    WorkflowDef("held", topics=TOPICS, notify=STATUSES, tasks=[
        TaskDef("sub", workflow="tower"), TaskDef("other", workflow="fork", retries=1, retry_delay=2.0),
        TaskDef("own", type=TYPES[0], retries=1), TaskDef("mine", type=TYPES[1], permissive=True),
        TaskDef("maybe", workflow="line", optional=True), TaskDef("near", workflow="hasty", optional=True)]),
    WorkflowDef("slow", on_timeout="ALERT_ONLY", timeout=20.0, tasks=[
        TaskDef("a", type=TYPES[0], retries=3, retry_delay=1.0, retry_logic="EXPONENTIAL_BACKOFF", retry_jitter=0.5,
                attempt_timeout=9.0, total_timeout=40.0),
        TaskDef("b", type=TYPES[1], poll_timeout=5.0, lease=3.0, attempt_timeout=9.0, total_timeout=25.0,
                on_expiry=ExpiryPolicy.ALERT_ONLY),
        TaskDef("c", kind="wait", wait_for=7.0), TaskDef("d", workflow="leaf", attempt_timeout=15.0, optional=True)]),
    WorkflowDef("hasty", tasks=[TaskDef("a", type=TYPES[0], poll_timeout=3.0, on_expiry=ExpiryPolicy.TIME_OUT_WF),
                                TaskDef("b", type=TYPES[1], poll_timeout=3.0, retries=1, optional=True)],
                notify=("TIMED_OUT", "RUNNING", "TERMINATED", "PAUSED")),
)
Answer = tuple[Any, ...]


def answered(ask: Callable[[Kernel], Any], k: Kernel) -> Answer:
    """What a call gives: its result, or its error as it prints."""
    try:
        return ("gives", ask(k))
    except KernelError as error:
        return ("raises", type(error), str(error))


class Unlike(AssertionError):
    """Two stores that ought to be equal are not."""


class Side(Protocol):
    """A store, a clock of its own, and a kernel on both. All sides of a run are told the same by clock and chance."""

    store: Store
    clock: ManualClock
    k: Kernel


@attrs.define(eq=False)
class Lockstep:
    """One random run. `step` picks a command, gives it to every kernel, and returns its name."""

    sides: Sequence[Side]
    seed: int
    chance: random.Random = attrs.field(init=False)
    leases: list[Lease] = attrs.field(factory=list)
    roots: int = 0
    serial: int = 0

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        for definition in DEFINITIONS:
            self.ask(lambda k, d=definition: k.register(d))  # type: ignore[misc]

    # ---- asking all -------------------------------------------------------------------------------------------------------
    def ask(self, question: Callable[[Kernel], Any]) -> Any:
        """The one answer of all kernels; None when all refuse."""
        kind, *given = self._one([answered(question, side.k) for side in self.sides])
        return given[0] if kind == "gives" else None

    def read(self, question: Callable[[Any], Any]) -> Any:
        """The one answer of all stores to a question about their rows."""
        answers = []
        for side in self.sides:
            with side.store.transaction(write=False) as transaction:
                answers.append(question(transaction))
        return self._one(answers)

    def _one(self, answers: list[Any]) -> Any:
        """What all answer. Raises Unlike when they do not."""
        for side, answer in zip(self.sides[1:], answers[1:], strict=True):
            if answer != answers[0]:
                first = self.sides[0].store.name
                raise Unlike(f"{first} and {side.store.name}: {difference(answers[0], answer) or (answers[0], answer)}")
        return answers[0]

    def some(self, rows: Sequence[Any]) -> Any:
        """One of them, by chance; None of none."""
        return self.chance.choice(rows) if rows else None

    def workflow(self) -> Any:
        """A workflow, more often a live one."""
        rows = self.read(lambda t: [(w.id, w.state) for w in t.find(None, None, "", LIMIT)])
        live = [id for id, state in rows if state in ("RUNNING", "PAUSED")]
        return self.some(live if live and self.chance.random() < 0.9 else [id for id, _ in rows]) or "nobody"

    def options(self, *, name: bool = True) -> dict[str, Any]:
        """Who asks and why; sometimes under an id of the caller's, sometimes under one that was used before."""
        options: dict[str, Any] = {"actor": self.some(("", "ada", "ben")), "reason": self.some(("", "", "because"))}
        if name and self.chance.random() < 0.4:
            options["command_id"] = f"c{self.chance.randrange(self.serial + 1)}"
            self.serial += 1
        return options

    # ---- the commands -----------------------------------------------------------------------------------------------------
    def step(self) -> str:
        """One random command."""
        act = self.chance.choices(ACTS, WEIGHTS)[0]
        act(self)
        seconds = self.chance.choices((0.0, 0.5, 4.0, 30.0, -2.0), (4, 4, 3, 1, 0.5))[0]  # the clock goes back, too
        for side in self.sides:
            side.clock.advance(seconds)
        return act.__name__

    def start(self) -> None:
        """A new workflow, or an old one again."""
        definition, input = self.some(DEFINITIONS), self.some(INPUTS)
        number = self.roots if self.chance.random() < 0.9 else self.chance.randrange(self.roots + 1)
        self.roots = max(self.roots, number + 1)
        options = self.options()
        self.ask(lambda k: k.start(definition.name, input=input, workflow_id=f"w{number}", **options))

    def register(self) -> None:
        """A new version of a small definition, or other content for an old one."""
        definition = WorkflowDef("leaf", version=self.chance.randrange(1, 4), topics=("archive",),
                                 tasks=[TaskDef("x", type=self.some(TYPES)), TaskDef("y", type=TYPES[0])])
        self.ask(lambda k: k.register(definition))

    def poll(self) -> None:
        """Hand out one task. Which of several comes first is for each store to say, so it is named."""
        type, worker, now = self.some(TYPES), self.some(("w1", "w2", "")), self.sides[0].clock.now()
        subject = self.some(self.read(lambda t: sorted(t.pollable(type, now, LIMIT), key=placed)))
        if subject is not None:
            lease = self.ask(lambda k: handed_out(k, subject, worker))
            self.leases += [lease] if lease else []

    def lease(self) -> Lease | None:
        """A lease, mostly a recent one; stale ones are never forgotten."""
        found: Lease | None = self.some(self.leases if self.chance.random() < 0.2 else self.leases[-6:])
        return found

    def complete(self) -> None:
        """A worker is done."""
        lease, output, options = self.lease(), self.some((None, {"n": 1}, {"n": [1, {"é": None}]}, 7)), self.options()
        if lease is not None:
            spawn = [] if self.chance.random() < 0.8 else [
                TaskDef(f"more{self.chance.randrange(3)}", type="pick", after=[lease.ref]),
                TaskDef("last", after=[f"more{self.chance.randrange(3)}"], optional=True)]
            rows = self.read(lambda t: [(task.ref, task.state) for task in t.tasks(lease.workflow_id, lease.run)])
            before = [ref for ref, state in rows if spawn and state == "PENDING"][:1]
            self.ask(lambda k: k.complete(lease, output=output, spawn=spawn, before=before, **options))

    def fail(self) -> None:
        """A worker failed."""
        lease, retryable, options = self.lease(), self.chance.random() < 0.7, self.options()
        output = self.some((None, {"n": -1}))
        if lease is not None:
            self.ask(lambda k: k.fail(lease, retryable=retryable, output=output, **options))

    def heartbeat(self) -> None:
        """A worker goes on."""
        lease = self.lease()
        if lease is not None:
            self.ask(lambda k: k.heartbeat(lease))

    def signal(self) -> None:
        """Somebody signals a task."""
        rows = self.read(lambda t: sorted(
            (w.id, task.ref) for w in t.find(None, None, "", LIMIT) for task in t.tasks(w.id, w.run) if task.mode == "WAIT"))
        place, options = self.some(rows), self.options()
        if place is not None:
            self.ask(lambda k: k.signal(*place, output={"by": "ada"}, **options))

    def postpone(self) -> None:
        """A worker hands its task back for later."""
        lease, seconds, output, options = self.lease(), self.some((0.0, 0.5, 20.0)), self.some((None, {"n": 2})), self.options()
        if lease is not None:
            self.ask(lambda k: k.postpone(lease, seconds, output=output, **options))

    def skip(self) -> None:
        """An operator skips a task, more often one that has not started."""
        rows = self.read(lambda t: sorted(
            (w.id, task.ref, task.state) for w in t.find(None, None, "", LIMIT) for task in t.tasks(w.id, w.run)))
        fresh = [row for row in rows if row[2] in ("PENDING", "SCHEDULED")]
        place, options = self.some(fresh if self.chance.random() < 0.8 else rows), self.options()
        if place is not None:
            self.ask(lambda k: k.skip(*place[:2], **options))

    def pause(self) -> None:
        """An operator pauses."""
        workflow, options = self.workflow(), self.options()
        self.ask(lambda k: k.pause(workflow, **options))

    def resume(self) -> None:
        """An operator resumes."""
        workflow, options = self.workflow(), self.options()
        self.ask(lambda k: k.resume(workflow, **options))

    def terminate(self) -> None:
        """An operator terminates."""
        workflow, options = self.workflow(), self.options()
        self.ask(lambda k: k.terminate(workflow, **options))

    def root(self) -> Any:
        """A root, more often one that has ended; sometimes a sub-workflow."""
        if self.chance.random() < 0.1:
            return self.workflow()
        rows = self.read(lambda t: [(w.id, w.state) for w in t.find(None, None, "", LIMIT) if not w.parent])
        ended = [id for id, state in rows if state not in ("RUNNING", "PAUSED")]
        return self.some(ended if ended and self.chance.random() < 0.9 else [id for id, _ in rows]) or "nobody"

    def retry(self) -> None:
        """An operator retries."""
        root, resume, options = self.root(), self.chance.random() < 0.5, self.options()
        self.ask(lambda k: k.retry(root, resume_children=resume, **options))

    def restart(self) -> None:
        """An operator restarts."""
        root, options = self.root(), self.options()
        self.ask(lambda k: k.restart(root, **options))

    def rerun(self) -> None:
        """An operator chooses a task of a tree, sometimes of another one."""
        root, options = self.root(), self.options()
        rows = self.read(lambda t: sorted(
            (w.id, task.ref) for w in t.find(None, None, "", LIMIT) for task in t.tasks(w.id, w.run)))
        near = [place for place in rows if place[0].split("/")[0] == root]
        place = self.some(near if near and self.chance.random() < 0.95 else rows)
        if place is not None:
            self.ask(lambda k: k.rerun(root, from_task=place[1], in_workflow=place[0], **options))

    def tick(self) -> None:
        """The clock fires all that is due, in an order of ours where times are equal."""
        now = self.sides[0].clock.now()
        for timer in self.read(lambda t: sorted(t.timers(now, LIMIT), key=lambda due: (due.command, placed(due.subject)))):
            self.ask(partial(fire, timer=timer))

    def claim(self) -> None:
        """A relay takes a delivery."""
        now = self.sides[0].clock.now()
        subject = self.some(self.read(lambda t: sorted(t.claimable((*TOPICS, NOTIFY), now, LIMIT), key=placed)))
        if subject is not None:
            self.ask(lambda k: k.commit(k.command("CLAIM", subject, given={"anyway": 0}, actor="relay")))

    def settle(self) -> None:
        """A relay writes down how a delivery went; sometimes it does not hold it any more."""
        rows = self.read(lambda t: [(d.workflow, d.run, d.name, d.claims)
                                    for d in t.deliveries("LEASED", None, ("", 0, ""), LIMIT)])
        place = self.some(rows)
        if place is not None:
            workflow, run, topic, claims = place
            name = self.some(("CONFIRM", "RELEASE", "RELEASE", "BURY"))
            given: dict[str, Any] = {"claims": claims - self.some((0, 0, 0, 1)), "error": self.some(("lost", "broken"))}
            given |= {"CONFIRM": {"proof": self.some(("sha256:0", ""))}, "RELEASE": {"delay": MICROSECONDS}}.get(name, {})
            self.ask(lambda k: k.commit(k.command(name, Subject(workflow, topic=topic, run=run), given=given)))

    def redrive(self) -> None:
        """An operator tries a delivery again."""
        rows = self.read(lambda t: [(d.workflow, d.run, d.name, d.state) for d in t.deliveries(None, None, ("", 0, ""), LIMIT)])
        dead = [row for row in rows if row[3] == "DEAD"]
        place = self.some(dead if dead and self.chance.random() < 0.8 else rows)
        options = self.options()
        if place is not None:
            self.ask(lambda k: k.redrive(f"{place[0]}#{place[1]}:{place[2]}", **options))


def placed(subject: Subject) -> tuple[Any, ...]:
    """A subject as something that sorts."""
    return subject.workflow, -1 if subject.no is None else subject.no, subject.run, subject.topic or ""


@again
def handed_out(k: Kernel, subject: Subject, worker: str) -> Lease:
    """POLL of one task."""
    with k.store.transaction(write=True) as transaction:
        plan = k.apply(transaction, k.command("POLL", subject, worker=worker))[1]
        return reading.lease(transaction, plan.tasks[0])


ACTS: tuple[Callable[[Lockstep], None], ...] = (
    Lockstep.start, Lockstep.register, Lockstep.poll, Lockstep.complete, Lockstep.fail, Lockstep.postpone,
    Lockstep.heartbeat, Lockstep.signal, Lockstep.skip, Lockstep.pause, Lockstep.resume, Lockstep.terminate, Lockstep.tick,
    Lockstep.claim, Lockstep.settle, Lockstep.redrive, Lockstep.retry, Lockstep.restart, Lockstep.rerun,
)
WEIGHTS = (10, 1, 24, 20, 6, 3, 3, 5, 1, 3, 5, 3, 5, 6, 9, 3, 3, 1, 3)
