"""The rules of the stateful tests: one method for every command and every fault.

Arguments are whole numbers that choose among what there is, so that any sequence of numbers is a run, and smaller numbers
are simpler ones. What each command should answer is predicted here from the rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kernel.core.archive import COMPENSATION
from kernel.core.definitions import Mode, TaskDef
from kernel.core.records import MICROSECONDS
from kernel.engine.entities import Applied, Lease, Workflow
from kernel.engine.faults import FaultPoint
from kernel.engine.relay import Outcome, Settled
from kernel.engine.timers import Ticked
from kernel.testing.checks import LIVE
from kernel.testing.inventory import chosen
from kernel.testing.named import NAMED, LostPoll
from kernel.testing.pool import INPUTS, NESTED, POOL, TYPES
from kernel.testing.purging import Purging
from kernel.testing.sinks import Behaviour
from kernel.testing.world import BACKWARDS, LATER, SINK_FAULTS, STALE

SECONDS = (1.0, 3.0, 6.0, 12.0, 25.0, 100.0)
MOST_TASKS = 8
"""Tasks of a workflow to which no other is spawned."""
WHERE = {
    FaultPoint.BEFORE_COMMIT: "before it commits", FaultPoint.AFTER_COMMIT: "after it has committed",
    FaultPoint.CLAIMED: "when it has claimed a delivery", FaultPoint.SENT: "when a sink has answered",
}
FAULTS = tuple(SINK_FAULTS)
POINTS = tuple(FaultPoint)


class Driver(Purging):
    """Gives commands, each with the answer that it should get."""

    # ---- workflows --------------------------------------------------------------------------------------------------------
    def start(self, which: int, input: int) -> None:
        """Start a workflow."""
        definition, name = chosen(POOL, which), f"w{len(self.roots) + 1}"
        self.roots.append(name)
        self.register(definition)
        text = chosen(INPUTS, input)
        self._command(NAMED * (input % 2), name, f"start {name} from {definition.name!r} with input {text}",
                     lambda **id: self.kernel.start(definition.name, input=text, workflow_id=name, **id))

    def start_nested(self, which: int, input: int) -> None:
        """Start a workflow with sub-workflows."""
        self.start(POOL.index(chosen(NESTED, which)), input)

    def start_again(self, number: int, input: int) -> None:
        """Start a workflow under an id that is taken: the same content gives the one that is there, other is refused."""
        name = chosen(list(self.dump), number)
        text, before = chosen(INPUTS, input), self.dump

        def unchanged(result: Workflow | None) -> Iterator[str]:
            if self.dump != before:
                yield "answer: a second start of the same id changed something"

        self.act(f"start {name} again with input {text}",
                 lambda: self.kernel.start(self.definitions[name].source.name, input=text, workflow_id=name),
                 expect="applied" if self.kernel.get(name).input == text else "refused", effect=unchanged)

    def _leads_to(self, name: str, state: str) -> Callable[[Any], Iterator[str]]:
        def effect(result: Any) -> Iterator[str]:
            if self.workflow(name).state != state:
                yield f"answer: {name} should be {state}; it is {self.workflow(name).state}"
        return effect

    def pause(self, number: int) -> None:
        """Pause any workflow."""
        self.pause_one(self.one_of(number, "RUNNING"), number)

    def pause_one(self, name: str, number: int = 0) -> None:
        """Pause this workflow."""
        expect = {"RUNNING": "applied", "PAUSED": "no-op"}.get(self.workflow(name).state, "refused")
        self._command(number, name, f"pause {name}", lambda **id: self.kernel.pause(name, **id), expect=expect,
                      effect=self._leads_to(name, "PAUSED"))

    def resume(self, number: int) -> None:
        """Resume any workflow; below a PAUSED one it is refused."""
        self.resume_one(self.one_of(number, "PAUSED", last=number % 2 == 1), number)

    def resume_one(self, name: str, number: int = 0) -> None:
        """Resume this workflow."""
        workflow = self.workflow(name)
        expect = {"RUNNING": "no-op", "PAUSED": "applied"}.get(workflow.state, "refused")
        if workflow.state == "PAUSED" and workflow.parent and self.workflow(workflow.parent).state != "RUNNING":
            expect = "refused"

        def effect(result: Any) -> Iterator[str]:
            if self.workflow(name).state == "PAUSED":
                yield f"answer: {name} is still PAUSED"

        self._command(number, name, f"resume {name}", lambda **id: self.kernel.resume(name, **id), expect=expect, effect=effect)

    def terminate(self, number: int) -> None:
        """Terminate any workflow of any tree."""
        self.terminate_one(self.one_of(number, *LIVE), number)

    def terminate_one(self, name: str, number: int = 0) -> None:
        """Terminate this workflow."""
        state = self.workflow(name).state
        expect = "applied" if state in LIVE else "no-op" if state == "TERMINATED" else "refused"
        self._command(number, name, f"terminate {name}", lambda **id: self.kernel.terminate(name, reason="enough", **id),
                      expect=expect, effect=self._leads_to(name, "TERMINATED"))

    def signal(self, number: int) -> None:
        """Signal a waiting task, early or in time if there is one; every fourth number chooses among all tasks."""
        places = [place for tree in self.dump.values() for place in tree.tasks]
        self.signal_one(*chosen((number % 4 != 3 and self.waits) or places, number), number)

    def signal_one(self, name: str, no: int, number: int = 0) -> None:
        """Signal this task."""
        task, ref = self.task(name, no), self.task_def(name, no).ref
        early = task.state in ("PENDING", "SCHEDULED") and not task.signalled
        allowed = self.task_def(name, no).mode is Mode.WAIT and (early or task.state == "IN_PROGRESS")

        def effect(result: Any) -> Iterator[str]:
            now = self.task(name, no)
            if now.state != "COMPLETED" and not now.signalled and self.workflow(name).state in LIVE:
                yield f"answer: {name} {ref} was signalled and is {now.state}"

        self._command(number, name, f"signal {name} {ref}", lambda **id: self.kernel.signal(name, ref, output={"n": 1}, **id),
                      expect="applied" if allowed else "refused", effect=effect)

    def skip(self, number: int) -> None:
        """Skip a task that has not started; every fourth number chooses among all tasks."""
        places = [(name, no) for name, tree in self.dump.items() for name, no in tree.tasks]
        fresh = [place for place in places if self.task(*place).state in ("PENDING", "SCHEDULED")]
        name, no = chosen((number % 4 != 3 and fresh) or places, number)
        ref, state = self.task_def(name, no).ref, self.task(name, no).state

        def effect(result: Any) -> Iterator[str]:
            if self.task(name, no).state != "SKIPPED":
                yield f"answer: {name} {ref} should be SKIPPED; it is {self.task(name, no).state}"

        self._command(number, name, f"skip {name} {ref}", lambda **id: self.kernel.skip(name, ref, **id),
                      expect="applied" if state in ("PENDING", "SCHEDULED") else "refused", effect=effect)

    # ---- workers ------------------------------------------------------------------------------------------------------------
    def poll(self, which: int, more: int) -> None:
        """Poll for one task and `more`; whatever could be handed out is, once."""
        limit, kind, ready = 1 + more, chosen(TYPES, which), self.ready(which)

        def effect(leases: list[Lease] | None) -> Iterator[str]:
            if leases is None:
                return
            if len(leases) != min(limit, len(ready)):
                yield f"answer: {len(leases)} tasks were handed out; {len(ready)} were ready, {limit} were asked for"
            strange = [lease for lease in leases if (lease.workflow_id, lease.position) not in ready]
            yield from (f"INV-06: {lease.workflow_id} {lease.ref} was handed out and was not ready" for lease in strange)
            yield from self.handed_out(leases)

        name, text = f"id{len(self.story)}", f"poll {kind!r}, at most {limit}"
        id = {"command_id": name} if more == 2 else {}

        def poll() -> list[Lease]:
            return self.kernel.poll(kind, worker=f"w{which % 3}", limit=limit, **id)

        if self.act(text + (f" (command id {name})" if id else ""), poll, effect=effect) is None and id:
            self.lost.append(LostPoll(poll, text, self.was_committed and bool(ready)))

    def work(self, which: int) -> None:
        """A worker takes what there is, and does it."""
        known = len(self.leases)
        self.poll(which, 3)
        for lease in self.leases[known:]:
            if self.holds(lease):
                self.complete_one(lease, 0)

    def lease(self, number: int) -> Lease | None:
        """A lease that holds, polled for when there is none; else one that held once."""
        for which, _ in enumerate(TYPES):
            if not self.held and self.ready(which):
                self.poll(which, 3)
        return chosen(self.held or self.leases or [None], number)

    def _ends_as(self, lease: Lease, state: str) -> Callable[[Any], Iterator[str]]:
        def effect(result: Any) -> Iterator[str]:
            stands = self.task(lease.workflow_id, lease.position).state
            if stands != state:
                yield f"answer: {lease.workflow_id} {lease.ref} should be {state}; it is {stands}"
        return effect

    def _on_lease(self, number: int, what: str, lease: Lease, call: Callable[..., Applied], state: str) -> None:
        held = self.holds(lease)
        self.tally.fired[STALE] += not held
        name = lease.workflow_id
        self._command(number, name, f"{what} {name} {lease.ref} under hand-out {lease.handouts}", call,
                      expect="applied" if held else "fenced", effect=self._ends_as(lease, state))

    def complete(self, number: int) -> None:
        """Complete a task."""
        if (lease := self.lease(number)) is not None:
            self.complete_one(lease, number)

    def complete_one(self, lease: Lease, number: int) -> None:
        """Complete under this lease; every eighth number spawns a task for which those that follow wait, too."""
        spawn, before = self._more(lease) if number % 8 == 7 else ([], [])
        what = f"complete, spawning {spawn[0].ref}," if spawn else "complete"
        self._on_lease(number, what, lease, lambda **id: self.kernel.complete(
            lease, output={"n": 2}, spawn=spawn, before=before, **id), "COMPLETED")

    def _more(self, lease: Lease) -> tuple[list[TaskDef], list[str]]:
        """A task to be spawned, and who has to wait for it; nothing where enough was spawned."""
        definition = self.definitions[lease.workflow_id]
        if len(definition.source.tasks) > MOST_TASKS or not self.holds(lease):
            return [], []
        waiting = [no for no in definition.successors[lease.position]
                   if self.task(lease.workflow_id, no).state == "PENDING"]
        more = TaskDef(f"more{len(definition.source.tasks)}", type=lease.type, after=[lease.ref], retries=1)
        return [more], [self.task_def(lease.workflow_id, no).ref for no in waiting[:1]]

    def fail(self, number: int, how: int) -> None:
        """Fail a task, for good with `how` = 3."""
        if (lease := self.lease(number)) is not None:
            self.fail_one(lease, number, how != 3)

    def fail_one(self, lease: Lease, number: int, retryable: bool) -> None:
        """Fail under this lease."""
        task = self.task_def(lease.workflow_id, lease.position) if self.holds(lease) else None
        if task is None:
            state = ""  # and it may be gone: what is spawned in one run is not in the next
        elif retryable and lease.attempt <= task.retries:
            state = "SCHEDULED"
        elif task.optional:
            state = "COMPLETED_WITH_ERRORS"
        else:
            state = "FAILED" if retryable else "FAILED_WITH_TERMINAL_ERROR"
        how = "fail" if retryable else "fail for good"
        self._on_lease(number, how, lease,
                       lambda **id: self.kernel.fail(lease, reason="broken", retryable=retryable, **id), state)

    def postpone(self, number: int, how: int) -> None:
        """Hand a task back for later: now, or in a while."""
        if (lease := self.lease(number)) is not None:
            seconds = (0.0, *SECONDS)[how]
            self._on_lease(number, f"postpone for {seconds:g} seconds", lease,
                           lambda **id: self.kernel.postpone(lease, seconds, output={"n": 3}, **id), "SCHEDULED")

    def heartbeat(self, number: int) -> None:
        """Hold a task longer."""
        if (lease := self.lease(number)) is not None:
            self.heartbeat_one(lease)

    def heartbeat_one(self, lease: Lease) -> None:
        """Hold under this lease."""
        held = self.holds(lease)
        self.tally.fired[STALE] += not held
        self.act(f"heartbeat {lease.workflow_id} {lease.ref} under hand-out {lease.handouts}",
                 lambda: self.kernel.heartbeat(lease), expect="applied" if held else "fenced",
                 effect=self._ends_as(lease, "IN_PROGRESS"))

    def present_stale(self, number: int, how: int) -> None:
        """Present a lease that was kept too long: it must be Fenced."""
        self.present(chosen(self.stale, number), how)

    def present(self, lease: Lease, how: int) -> None:
        """What a worker does with a lease: go on, or end in one of three ways."""
        if how == 0:
            self.heartbeat_one(lease)
        elif how == 1:
            self.complete_one(lease, 0)
        else:
            self.fail_one(lease, 0, how == 2)

    # ---- clock, relay, faults -----------------------------------------------------------------------------------------------
    def tick(self) -> None:
        """Do what the clock has to do; then nothing is left to do."""
        def effect(result: Ticked | None) -> Iterator[str]:
            again = self.kernel.tick() if result is not None else Ticked()
            if again.total:
                yield f"answer: a second tick at the same time found something to do: {again}"

        self.act("tick", self.kernel.tick, effect=effect)

    def advance(self, number: int) -> None:
        """Time goes on."""
        self.wait(chosen(SECONDS, number))

    def wait(self, seconds: float) -> None:
        """Let this much time pass."""
        if seconds:
            self.clock.advance(seconds)
            self.tell(f"{seconds:g} seconds later")

    def set_clock_back(self, number: int) -> None:
        """The computer's clock goes back."""
        self.latest = max(self.latest, self.clock.now())
        self.clock.advance(-chosen(SECONDS, number))
        self.tally.fired[BACKWARDS] += 1
        self.tell(f"the clock is set back by {chosen(SECONDS, number):g} seconds")

    def break_sink(self, behaviour: int) -> None:
        """The next call of a sink goes wrong, whoever calls it."""
        self.script.next = chosen(FAULTS, behaviour)
        self.tell(f"the next call of a sink: {self.script.next}")

    def deliver(self, more: int) -> None:
        """One pass of the relay: a delivery and `more`."""
        self._pass(more, False)

    def deliver_now(self, more: int) -> None:
        """The same, also of what waits for its window, its round or its next attempt."""
        self._pass(more, True)

    def _pass(self, more: int, now: bool) -> None:
        """One pass of the relay; no workflow is touched."""
        told = self.script.next
        limit = 1 if told is Behaviour.HANG else 1 + more
        before = {root: tree.lifecycles for root, tree in self.dump.items()}

        def effect(result: Settled | None) -> Iterator[str]:
            if {root: self.dump[root].lifecycles for root in before} != before:
                yield "INV-12: a delivery touched a workflow"
            for place, outcome in enumerate(_by_sinks(result)):
                if outcome.state != "DELIVERED" and (place or told in (Behaviour.OK, Behaviour.TWICE)):
                    yield f"INV-14: {outcome.id} was not DELIVERED by a sink that works: {outcome.error}"

        result: Settled | None = self.act(f"deliver at most {limit}{' now' if now else ''}",
                                          lambda: self.kernel.deliver(limit=limit, now=now), effect=effect)
        if told is not self.script.next and result is not None:
            self._strike(_by_sinks(result)[0].id)

    def _strike(self, delivery: str) -> None:
        """Count a terminated workflow whose delivery met a fault."""
        name, _, entry = delivery.rpartition("#")
        place = (name, int(entry.partition(":")[0]))
        if self.frozen.get(place, ("",))[0] == "TERMINATED" and place not in self.struck:
            self.struck.add(place)
            self.tally.terminations_under_fault += 1

    def redrive(self, number: int) -> None:
        """Try a delivery again; only a DEAD one can be."""
        places = [(i, topic, d) for tree in self.dump.values() for (i, _, topic), d in tree.deliveries.items()]
        dead = [place for place in places if place[2].state == "DEAD"]
        name, topic, facts = chosen((number % 4 != 3 and dead) or places, number)
        expect = {"DEAD": "applied", "PENDING": "no-op"}.get(facts.state, "refused")
        entry = f"{name}#{facts.run}:{topic}"
        self._command(number, name, f"redrive {entry}", lambda **id: self.kernel.redrive(entry, **id), expect=expect)

    def crash(self, point: int, passes: int) -> None:
        """Arm a crash: the process will be killed when it passes this point."""
        self.crashes.arm(chosen(POINTS, point), passes)
        self.tell(f"the process will be killed {WHERE[chosen(POINTS, point)]}" + (", the time after next" if passes else ""))

    # ---- the end ------------------------------------------------------------------------------------------------------------
    def finish(self) -> None:
        """Without faults: every delivery settles, whatever lives can be terminated, the history tells everything."""
        self.crashes.disarm()
        self.script.next = Behaviour.OK
        self.wait(max(0.0, (self.latest - self.clock.now()) / MICROSECONDS))  # a clock that was set back catches up
        for _ in range(2):  # what ends first may have failure workflows
            for root in list(self.dump):
                if self.workflow(root).state in LIVE:
                    self.terminate_one(root)
            self._drain()
        self.check_end()

    def _drain(self) -> None:
        for _ in range(2):
            self.tick()
            self.deliver_now(999)
            self.wait(LATER)


def _by_sinks(settled: Settled | None) -> list[Outcome]:
    """What became of the deliveries that a sink of the tests took: the kernel itself starts failure workflows."""
    return [each for each in settled.outcomes if not each.id.endswith(COMPENSATION)] if settled is not None else []
