"""The kernel: every command is load -> decide -> commit. Nothing acts before its commit, nothing decides after it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from kernel.core.archive import ArchivePolicy
from kernel.core.content import task_content
from kernel.core.decide import decide
from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.core.extension import Spawn, spawn_of
from kernel.core.plan import Command, Plan, Refusal, Subject, Tally
from kernel.core.program import Program, standard_program
from kernel.core.records import microseconds, root_of
from kernel.core.structure import compile_definition, flatten
from kernel.engine import inputs, outcomes, reading
from kernel.engine.clock import SystemClock
from kernel.engine.contention import again
from kernel.engine.entities import Applied, Lease, Purge, Workflow
from kernel.engine.explain import error_of, left_behind, no_op_of, not_found, unknown_definition
from kernel.engine.faults import FaultHook, FaultPoint, no_fault
from kernel.engine.late import report
from kernel.engine.ports import Chance, Clock, Store, Transaction
from kernel.engine.purging import purge_ended
from kernel.engine.reader import Reader
from kernel.engine.relay import Relay, RelayOptions, Settled
from kernel.engine.sinks import Sink
from kernel.engine.timers import Ticked, tick


class Options(TypedDict, total=False):
    """What every mutating call takes: the caller's idempotency key, the reason and the actor that history keeps."""

    command_id: str
    reason: str
    actor: str


class Kernel(Reader):
    """Runs workflows on a store. Thread-safe; several processes may share one store.

    Use `kernel.open(url)`. Mutating calls take `command_id=` (the caller's idempotency key: the same id and content again
    gives the first outcome), `reason=` and `actor=`; they raise `Refused` with nothing changed.
    """

    def __init__(
        self, store: Store, *, sinks: Mapping[str, Sink] | None = None, actor: str = "", clock: Clock | None = None,
        chance: Chance | None = None, relay: RelayOptions | None = None, program: Program | None = None,
        faults: FaultHook = no_fault,
    ) -> None:
        """`sinks` says what this process can deliver, by topic; `clock`, `chance` and `faults` are for tests."""
        self.store = store
        self.actor = inputs.text(actor, "the actor", inputs.LONGEST_NAME)
        self.clock: Clock = clock or SystemClock()
        self.chance: Chance = chance or random.Random()
        self.program = program or standard_program()
        self.faults = faults
        self._relay = Relay(self, sinks or {}, relay or RelayOptions())

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    # ---- the one way to change anything ----------------------------------------------------------------------------------
    def command(
        self, name: str, subject: Subject, *, given: Mapping[str, Any] | None = None, command_id: str | None = None,
        reason: str = "", actor: str | None = None, worker: str = "", payload: str | None = None,
        input: str | None = None, chosen: Subject | None = None, asked: Mapping[str, Any] | None = None,
        spawn: Spawn | None = None,
    ) -> Command:
        """A command with an id: the caller's, or a generated one that the history resolves.

        `asked` is what else makes it this request, when the same id comes again.
        """
        request = ""
        if command_id is not None:
            parts = {**(given or {}), **(asked or {}), "reason": reason or None, "output": payload, "input": input}
            if chosen is not None:
                parts |= {"in_workflow": chosen.workflow, "from_task": chosen.no}
            if spawn is not None:
                parts["spawn"] = [[task_content(task) for task in spawn.tasks], [*spawn.before]]
            request = outcomes.request_of(name, subject, parts)
        return Command(
            name, subject, given or {}, outcomes.generated(self.chance) if command_id is None else outcomes.named(command_id),
            request, self.actor if actor is None else inputs.text(actor, "the actor", inputs.LONGEST_NAME),
            inputs.text(reason, "the reason", inputs.LONGEST_REASON), worker, payload, spawn, None, input, chosen,
            chance=self.chance.getrandbits(20) * 1_000_000 >> 20)

    @again
    def commit(self, command: Command) -> Applied:
        """Decide and write, in one transaction. Raises Refused, NotFound, or an error of the store."""
        with self.store.transaction(write=True) as transaction:
            done = self._do(transaction, command)
            self.faults(FaultPoint.BEFORE_COMMIT, command.name)
        self.faults(FaultPoint.AFTER_COMMIT, command.name)
        return done if isinstance(done, Applied) else outcomes.applied(command, *done)

    def _do(self, transaction: Transaction, command: Command) -> Applied | tuple[Tally, Plan]:
        """Apply a command once: when the caller chose its id and it came before, give the first outcome."""
        found = outcomes.known(transaction, command) if command.request else None
        return self._do_first(transaction, command) if found is None else outcomes.first(command, found, self.clock.now())

    def _do_first(self, transaction: Transaction, command: Command) -> tuple[Tally, Plan]:
        """Apply a command that did not come before; keep what came of it, when the caller chose its id."""
        tally, plan = self.apply(transaction, command)
        if command.request:
            known = outcomes.recorded(command, outcomes.applied(command, tally, plan), plan.now)
            transaction.record(root_of(command.subject.workflow), command.id, known)
        return tally, plan

    def apply(self, transaction: Transaction, command: Command, now: int | None = None) -> tuple[Tally, Plan]:
        """Decide and write inside a transaction that is under way. One commit has one time, `now` in microseconds.

        Gives what was written: the plan, and what its cascades reached.
        """
        snapshot = transaction.snapshot(command.subject, self.program.commands[command.name].step.lock)
        now = self.clock.now() if now is None else now
        answer = decide(self.program, snapshot, command, now)
        if answer is None and (answer := left_behind(transaction, command)) is None:
            raise not_found(command.subject, command.name, snapshot.tombstone())
        if isinstance(answer, Refusal):
            raise error_of(self.program, snapshot, answer, now)
        if answer.no_op:
            answer.no_op = no_op_of(snapshot, answer)
            return Tally(), answer
        return transaction.write(answer), answer

    # ---- definitions and workflows ---------------------------------------------------------------------------------------
    @again
    def register(self, *definitions: WorkflowDef) -> None:
        """Keep definitions. The same name and version with other content is refused; again with the same is no change."""
        plain = [compile_definition(each) for given in definitions for each in flatten(inputs.definition(given))]
        for definition in plain:
            inputs.archive(definition.source.archive)
        with self.store.transaction(write=True) as transaction:
            for definition in plain:
                inputs.other_workflows(definition.source)
                transaction.register(definition, self.clock.now())

    def start(
        self, name: str, *, version: int | None = None, input: Mapping[str, Any] | None = None,
        workflow_id: str | None = None, command_id: str | None = None, reason: str = "", actor: str | None = None,
    ) -> Workflow:
        """Start a workflow. The same id with the same definition and input gives the workflow that exists."""
        name, version = inputs.name(name, "the definition's name"), inputs.number(version, "the version")
        workflow_id = outcomes.new_workflow(self.chance, command_id) if workflow_id is None else inputs.new_id(workflow_id)
        text = inputs.workflow_input(input)
        command = self.command(
            "START", Subject(workflow_id), command_id=command_id, reason=reason, actor=actor,
            input=None if text == "{}" else text, asked={"definition": name, "version": version})
        return self._begin(command, name, version)

    @again
    def _begin(self, command: Command, name: str, version: int | None) -> Workflow:
        with self.store.transaction(write=True) as transaction:
            plan = self._start(transaction, command, name, version)
            found = reading.begun(transaction, plan) if plan else reading.present(transaction, command.subject.workflow)
            if plan:
                self.faults(FaultPoint.BEFORE_COMMIT, "START")
        if plan:
            self.faults(FaultPoint.AFTER_COMMIT, "START")
        return found

    def _start(self, transaction: Transaction, command: Command, name: str, version: int | None) -> Plan | None:
        """Start what is not there yet; None when it is, and may be: then the command's id is used up, too."""
        workflow_id = command.subject.workflow
        known = outcomes.known(transaction, command) if command.request else None
        existing = transaction.workflow(workflow_id, 1)
        if known is None and existing is None:
            prepared = transaction.definition(name, version)
            if prepared is None:
                raise unknown_definition(transaction.names(), name, version)
            command.prepared = prepared
            return self._do_first(transaction, command)[1]
        if known is not None:
            outcomes.first(command, known, self.clock.now())
        elif existing is not None:
            reading.check_same(transaction, existing, name, version, command.input or "{}")
            if command.request:
                stands = reading.tree_of(transaction, workflow_id)
                same = Applied(command.id, stands.version, no_op=True, why="it exists, started from the same content")
                transaction.record(workflow_id, command.id, outcomes.recorded(command, same, self.clock.now()))
        return None

    # ---- operators -------------------------------------------------------------------------------------------------------
    def _on_workflow(self, name: str, workflow_id: str, options: Options) -> Applied:
        given = {"origin": workflow_id} if name in ("PAUSE", "RESUME") else None
        return self.commit(self.command(name, Subject(inputs.workflow(workflow_id)), given=given, **options))

    def pause(self, workflow_id: str, **options: Unpack[Options]) -> Applied:
        """Hand out and start nothing more, here and below, until resume. What is under way may end.

        A sub-workflow that a pause above it paused is resumed with that one: pausing it again changes nothing, and says so.
        """
        return self._on_workflow("PAUSE", workflow_id, options)

    def resume(self, workflow_id: str, **options: Unpack[Options]) -> Applied:
        """Undo a pause, here and below, and do what waited for it."""
        return self._on_workflow("RESUME", workflow_id, options)

    def terminate(self, workflow_id: str, **options: Unpack[Options]) -> Applied:
        """End a workflow now: it, every descendant, every open task, history and outbox, in one commit."""
        return self._on_workflow("TERMINATE", workflow_id, options)

    def retry(self, workflow_id: str, *, resume_children: bool = False, **options: Unpack[Options]) -> Applied:
        """Begin the next run of a tree that ended badly: what is closed well is kept, every other task starts again.

        `resume_children`: a sub-workflow that ended badly is not started afresh but goes on in place, in the same way.
        """
        return self._reopen("RETRY", workflow_id, options, given={"resume": int(bool(resume_children))})

    def restart(self, workflow_id: str, **options: Unpack[Options]) -> Applied:
        """Begin the next run of a tree that ended, from its first task on."""
        return self._reopen("RESTART", workflow_id, options)

    @again
    def rerun(
        self, workflow_id: str, *, from_task: str, in_workflow: str | None = None, **options: Unpack[Options]
    ) -> Applied:
        """Begin the next run of a tree that ended: a task and all after it start again, and all that is not closed well.

        `in_workflow` is the workflow that the task belongs to, anywhere in the tree; the root itself when it is not given.
        """
        workflow_id, ref = inputs.workflow(workflow_id), inputs.name(from_task, "the task")
        place = workflow_id if in_workflow is None else inputs.workflow(in_workflow)
        with self.store.transaction(write=False) as transaction:
            no = reading.position(reading.workflow_row(transaction, place)[1], ref)
        return self._reopen("RERUN", workflow_id, options, chosen=Subject(place, no))

    def _reopen(
        self, name: str, workflow_id: str, options: Options, *, given: Mapping[str, Any] | None = None,
        chosen: Subject | None = None,
    ) -> Applied:
        return self.commit(self.command(name, Subject(inputs.workflow(workflow_id)), given=given, chosen=chosen, **options))

    def purge(self, workflow_id: str, *, unarchived: bool = False, **options: Unpack[Options]) -> Applied:
        """Remove a whole tree that ended: all its runs, tasks, payloads, history, deliveries and records of commands.

        Only once everything is delivered, and every run archived by a sink that gives a copy; `unarchived`: also where the
        archive policy in force now asks for no archive. Its id is not used again; `get` then tells what the archive has.
        """
        given = {"unarchived": int(bool(unarchived))}
        return self.commit(self.command("PURGE", Subject(inputs.workflow(workflow_id)), given=given, **options))

    def purge_ended(
        self, *, older_than: float, after: str | None = None, limit: int = 1000, unarchived: bool = False, reason: str = "",
        actor: str | None = None,
    ) -> Purge:
        """Purge every tree that ended at least `older_than` seconds ago and may be purged; what may not is told and stays.

        Looks at `limit` trees, by id, in several commits; go on with `after` until it is None.
        """
        seconds = microseconds(inputs.seconds(older_than, "the age"))
        return purge_ended(self, seconds, "" if after is None else inputs.workflow(after), inputs.limit(limit),
                           unarchived=bool(unarchived), reason=reason, actor=actor)

    def signal(self, workflow_id: str, task: str, *, output: Any = None, **options: Unpack[Options]) -> Applied:
        """Complete a waiting task; a signal that comes early is kept."""
        payload = inputs.output(output)
        return self.commit(self.command("SIGNAL", self._task_of(workflow_id, task), payload=payload, **options))

    def skip(self, workflow_id: str, task: str, **options: Unpack[Options]) -> Applied:
        """Close a task that has not started as SKIPPED, which is a good end: what comes after it goes on.

        At once, even while what comes before the skipped task is still open; of what it overtakes it finds no output.
        """
        return self.commit(self.command("SKIP", self._task_of(workflow_id, task), **options))

    @again
    def _task_of(self, workflow_id: str, task: str) -> Subject:
        """A task by its reference. Raises NotFound."""
        workflow_id, task = inputs.workflow(workflow_id), inputs.name(task, "the task")
        with self.store.transaction(write=False) as transaction:
            return Subject(workflow_id, reading.position(reading.workflow_row(transaction, workflow_id)[1], task))

    # ---- workers ---------------------------------------------------------------------------------------------------------
    def poll(self, type: str, *, worker: str = "", limit: int = 1, **options: Unpack[Options]) -> list[Lease]:
        """Take up to `limit` tasks of a type, each with a lease, in one commit. The same command id again gives the same
        leases, as far as they still hold; a poll that found nothing is not remembered.
        """
        type, worker = inputs.name(type, "the type"), inputs.text(worker, "the worker", inputs.LONGEST_NAME)
        limit = inputs.limit(limit)
        command = self.command("POLL", Subject(outcomes.NO_TREE), worker=worker, **options,
                               asked={"type": type, "worker": worker, "limit": limit})
        return self._poll(command, type, worker, limit)

    @again
    def _poll(self, command: Command, type: str, worker: str, limit: int) -> list[Lease]:
        leases: list[Lease] = []
        with self.store.transaction(write=True) as transaction:
            now, known = self.clock.now(), outcomes.known(transaction, command) if command.request else None
            if known is not None:
                return outcomes.leases(transaction, command, known, now)
            for subject in transaction.pollable(type, now, limit):
                each = Command("POLL", subject, {}, command.id, "", command.actor, command.reason, worker)
                plan = self.apply(transaction, each, now)[1]
                leases.append(reading.lease(transaction, plan.tasks[0]))
            if command.request and leases:
                transaction.record(outcomes.NO_TREE, command.id, outcomes.handed_out(command, leases, now))
            self.faults(FaultPoint.BEFORE_COMMIT, "POLL")
        self.faults(FaultPoint.AFTER_COMMIT, "POLL")
        return leases

    def _on_lease(
        self, name: str, lease: Lease, options: Options, *, output: Any = None, spawn: Spawn | None = None, **given: int
    ) -> Command:
        lease = inputs.lease(lease)
        return self.command(
            name, Subject(lease.workflow_id, lease.position), worker=lease.worker, payload=inputs.output(output), spawn=spawn,
            given={"run": lease.run, "handouts": lease.handouts, **given}, **options)

    def complete(
        self, lease: Lease, *, output: Any = None, spawn: Sequence[TaskDef] = (), before: Sequence[str] = (),
        **options: Unpack[Options],
    ) -> Applied:
        """The task is done. A stale lease raises Fenced and changes nothing; what it brought can be read with `late`.

        `spawn` adds tasks to the workflow in the same commit; those named in `before`, which must not have started, wait for
        them, too. Raises InvalidDefinition, with nothing changed, for what could not run.
        """
        return report(self, self._on_lease("COMPLETE", lease, options, output=output, spawn=spawn_of(spawn, before)), lease)

    def fail(self, lease: Lease, *, retryable: bool = True, output: Any = None, **options: Unpack[Options]) -> Applied:
        """The attempt failed: another one follows while the definition allows it. A stale lease raises Fenced.

        `output` is kept when no other attempt follows: each one starts without output.
        """
        return report(self, self._on_lease("FAIL", lease, options, output=output, retryable=int(bool(retryable))), lease)

    def postpone(self, lease: Lease, seconds: float, *, output: Any = None, **options: Unpack[Options]) -> Applied:
        """Hand the task back for later: the same attempt is due again after so many seconds. A stale lease raises Fenced.

        `output`, how far it came, is kept for whoever takes it next. The clocks of attempt and task run on.
        """
        delay = microseconds(inputs.seconds(seconds, "the delay"))
        return self.commit(self._on_lease("POSTPONE", lease, options, output=output, delay=delay))

    def heartbeat(self, lease: Lease) -> Lease:
        """Hold the task for another lease time. A stale lease raises Fenced: stop working."""
        return self._heartbeat(self._on_lease("HEARTBEAT", lease, {}))

    @again
    def _heartbeat(self, command: Command) -> Lease:
        with self.store.transaction(write=True) as transaction:
            plan = self.apply(transaction, command)[1]
            found = reading.lease(transaction, plan.tasks[0])
            self.faults(FaultPoint.BEFORE_COMMIT, "HEARTBEAT")
        self.faults(FaultPoint.AFTER_COMMIT, "HEARTBEAT")
        return found

    # ---- outcomes --------------------------------------------------------------------------------------------------------
    def outcome(self, command_id: str, *, workflow_id: str | None = None) -> outcomes.Outcome:
        """What became of a command whose answer was lost (CommitUnknown, a crash, a cut connection), for good.

        Gives `Applied`; or `NotApplied`, after which the id can never apply; or `Expired` for one of more than 7 days ago.
        `workflow_id` names any workflow of its tree; a poll, and a start that named none, needs none if its caller chose the
        id. Waits for a twin.
        """
        return outcomes.outcome(self, command_id, workflow_id)

    # ---- clock and outbox ------------------------------------------------------------------------------------------------
    def tick(self, *, limit: int = 10_000) -> Ticked:
        """Do what the clock has to do: retries that are due, expired leases, workflow time-outs. Each its own commit."""
        return tick(self, inputs.limit(limit))

    def deliver(self, *, limit: int = 100, now: bool = False) -> Settled:
        """One pass of the relay: claim what is due, deliver it outside any transaction, confirm it or try later.

        `now`: also what waits for the window of its archive policy or for its next attempt, each once.
        """
        return self._relay.deliver(inputs.limit(limit), now=bool(now))

    @again
    def set_archive_policy(self, policy: ArchivePolicy | None) -> None:
        """Let one archive policy hold for every definition of this store that has topic "archive"; None: each its own.

        It is kept in the store and holds for every process, for runs that end from now on; when deliveries are made it
        says for all of them. Raises InvalidInput, or InvalidDefinition for a zone that this system does not know.
        """
        policy = inputs.archive(policy)
        with self.store.transaction(write=True) as transaction:
            known = transaction.archive_policies()
            if policy != (known[-1][1] if known else None):
                transaction.set_archive_policy(policy, self.clock.now())

    def redrive(self, delivery_id: str, **options: Unpack[Options]) -> Applied:
        """Try a DEAD delivery again, with all its attempts."""
        return self.commit(self.command("REDRIVE", reading.delivery_subject(delivery_id), **options))
