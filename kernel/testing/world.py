"""A kernel on a real store, driven command by command. Every command is followed by every check.

`World` is what the stateful machine and the seeded campaign have in common: it knows what each command should answer, what
may have changed, and what to compare after a crash. It keeps the story of what it did in words.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any, NoReturn

from attrs import define, field

from kernel.core.archive import COMPENSATION, NOTIFY
from kernel.core.definitions import WorkflowDef
from kernel.core.records import entry_of, root_of
from kernel.engine.compensation import compensation_id
from kernel.engine.document import checked_document
from kernel.engine.entities import Applied, Lease
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.relay import RelayOptions
from kernel.engine.sinks import Parcel
from kernel.errors import Fenced, NotFound, Refused
from kernel.sinks.callable import CallableSink
from kernel.testing.checks import LIVE, OPEN, Tree, counted, steps
from kernel.testing.clock import ManualClock
from kernel.testing.crashes import Crashes, ProcessCrash
from kernel.testing.dump import Definitions, Dump, Everything, TreeDump, difference, dumped, everything
from kernel.testing.pool import ARCHIVE, MAIL, family
from kernel.testing.replay import Mismatch, Replay, check_history
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from kernel.testing.stores import Stores
from kernel.testing.story import Violated, in_words
from kernel.testing.taken import Entry, Takings

PATIENT = RelayOptions(timeout=30.0, first=1.0, longest=20.0)
IMPATIENT = RelayOptions(timeout=0.002, first=1.0, longest=20.0)
"""For sinks that hang: they would outlast any timeout."""
LATER = 120.0
"""Seconds: longer than any lease or backoff of a delivery."""
SINK_FAULTS = {
    Behaviour.RAISE: "archive raises", Behaviour.RAISE_BASE: "archive raises a BaseException",
    Behaviour.HANG: "archive hangs", Behaviour.LIE: "archive lies", Behaviour.HALF: "archive writes half",
    Behaviour.TWICE: "archive delivers twice", Behaviour.LATE: "archive stores, then raises",
}
CRASHES = {
    FaultPoint.BEFORE_COMMIT: "killed before a commit", FaultPoint.AFTER_COMMIT: "killed after a commit",
    FaultPoint.CLAIMED: "relay killed before the sink", FaultPoint.SENT: "relay killed after the sink",
}
STALE, BACKWARDS = "stale lease presented", "clock set back"
KINDS = (*SINK_FAULTS.values(), *CRASHES.values(), STALE, BACKWARDS)
"""Every kind of fault; a run in which one of them never fired has shown less than it claims."""


Ended = tuple[str, list[tuple[str, str]]]
"""A workflow that has ended: its state, and its tasks with theirs."""
KernelFactory = Callable[..., Kernel]
"""Makes the kernel under test from a store and the options of `Kernel`: `Kernel` itself, or one with a bug planted."""


@define
class Tally:
    """What a run did, so that a run that did nothing is not taken for a proof."""

    steps: int = 0
    fired: Counter[str] = field(factory=Counter)
    outcomes: Counter[str] = field(factory=Counter)
    taken: Counter[Entry] = field(factory=Counter)
    """The rows of the tables that were taken."""
    terminations_under_fault: int = 0
    workflows: int = 0
    deliveries: Counter[str] = field(factory=Counter)

    def missing(self) -> list[str]:
        """The kinds of fault that never fired."""
        return [kind for kind in KINDS if not self.fired[kind]] + ["termination under fault"] * (
            not self.terminations_under_fault)


class Script:
    """What the sinks do with the next call; after it they behave."""

    def __init__(self, fired: Counter[str]) -> None:
        self.next, self.fired = Behaviour.OK, fired

    def __iter__(self) -> Iterator[Behaviour]:
        return self

    def __next__(self) -> Behaviour:
        behaviour, self.next = self.next, Behaviour.OK
        if behaviour in SINK_FAULTS:
            self.fired[SINK_FAULTS[behaviour]] += 1
        return behaviour


Effect = Callable[[Any], Iterable[str]]
"""What is wrong with what a command did; it gets what the command returned, None when its answer was cut off."""


class World:
    """The kernel under test, its surroundings, and what is known of it."""

    def __init__(
        self, stores: Stores, *, kernel: KernelFactory = Kernel, seed: int = 0, tally: Tally | None = None
    ) -> None:
        """`seed` decides ids and jitter; everything else is decided by the commands that are given."""
        self.stores, self.make = stores, kernel
        self.tally = tally or Tally()
        self.clock, self.chance = ManualClock(), random.Random(seed)
        self.script, self.archive, self.crashes = Script(self.tally.fired), MemoryArchive(), Crashes()
        self.sinks = {
            ARCHIVE: FaultySink(self.archive, self.script),
            MAIL: FaultySink(CallableSink(self._read_mail), self.script),
            NOTIFY: FaultySink(CallableSink(self._listen), self.script),
        }
        self.latest = self.clock.now()
        self.calls = {f"sink {topic}" for topic in self.sinks}
        """The names of the threads on which the courier calls the sinks."""
        self.definitions, self.roots = Definitions(), list[str]()
        self.going, self.purged = set[str](), set[str]()
        """The trees that the command under way may take away, and those that are gone."""
        self.dump: Dump = {}
        self.replays: dict[str, Replay] = {}
        self.leases: list[Lease] = []
        self.tokens: set[tuple[str, int, int, int]] = set()
        self.documents: set[tuple[str, int]] = set()
        self.frozen: dict[tuple[str, int], Ended] = {}
        self.struck: set[tuple[str, int]] = set()
        self.story: list[str] = []
        self.failed = False
        self.committed = Everything({}, {}, {})
        self.killed: ProcessCrash | None = None
        self.crashes.on_commit = self._remember
        self.takings = Takings(self.tally.taken)
        self.store = stores.open()
        self._open_kernels()
        self.registered: set[str] = set()

    def _open_kernels(self) -> None:
        options: dict[str, Any] = {
            "sinks": self.sinks, "clock": self.clock, "chance": self.chance, "faults": self.crashes, "actor": "test",
            "program": self.takings.program}
        self.patient = self.make(self.store, relay=PATIENT, **options)
        self.hasty = self.make(self.store, relay=IMPATIENT, **options)

    @property
    def kernel(self) -> Kernel:
        """The kernel under test; when the next call of a sink hangs, one that does not wait long."""
        return self.hasty if self.script.next is Behaviour.HANG else self.patient

    def register(self, definition: WorkflowDef) -> None:
        """Register a definition and what it starts, once."""
        if definition.name not in self.registered:
            self.registered.add(definition.name)
            self.patient.register(*family(definition))

    @property
    def outbox(self) -> bool:
        """Whether there is any delivery."""
        return any(tree.deliveries for tree in self.dump.values())

    def close(self) -> None:
        """Let go of everything."""
        self.stores.remove(self.store)

    def _read_mail(self, parcel: Parcel) -> str:
        """A sink that reads what it gets and calls back into the kernel, which holds no lock meanwhile."""
        told, stands = checked_document(parcel.read())["workflow"], self.kernel.get(parcel.workflow_id, run=parcel.run)
        if (told["id"], told["state"]) != (stands.id, stands.state):
            raise ValueError(f"the document tells of {told}, the kernel of {stands}")
        return f"mail of {parcel.workflow_id}"

    def _listen(self, parcel: Parcel) -> str:
        """A sink that reads notices."""
        told = json.loads(parcel.read())
        if (told["workflow"], told["version"], told["status"]) != (parcel.workflow_id, parcel.version, parcel.status):
            raise ValueError(f"the notice tells of {told}, the parcel of {parcel}")
        return f"notice {parcel.version} of {parcel.workflow_id}"

    # ---- one step -------------------------------------------------------------------------------------------------------
    def act(self, text: str, call: Callable[[], Any], *, expect: str = "applied", effect: Effect | None = None,
            again: bool = False) -> Any:
        """Give one command, then check everything; gives what the command returned, None when it was refused or cut off.

        `text` is its line in the story, `expect` its outcome (applied, no-op, refused, fenced), `effect` what is wrong when
        it was applied; `again`: the answer tells of what was done before. Raises Violated.
        """
        before = self.dump
        if self.crashes.point is not None:
            self._remember()
        result, outcome, problems = self._hanging(call) if self.script.next is Behaviour.HANG else self._attempt(call)
        self.tell(f"{text} -> {in_words(result) if result is not None else outcome}")
        self.tally.outcomes[outcome.partition(":")[0]] += 1
        problems += self._look(before)
        changed = self.dump != before
        if self.killed is None and outcome != expect:
            problems.append("INV-06: a stale lease was accepted" if expect == "fenced" else
                            f"answer: it should have been {expect}, and was {outcome}")
        if outcome in ("no-op", "refused", "fenced") and changed:
            problems.append(f"INV-06: it was {outcome}, and changed something: {difference(before, self.dump)}")
        done = outcome == "applied" or (self.killed is not None and self.killed.point is FaultPoint.AFTER_COMMIT)
        if done and expect == "applied" and effect is not None:
            problems += effect(result)
        if isinstance(result, Applied) and outcome == "applied" and not again:
            problems += counted(result, before, self.dump)
        if problems:
            self.fail_with(problems)
        return result

    def fail_with(self, problems: list[str]) -> NoReturn:
        """Tell what is wrong and how it came to that. Raises Violated."""
        self.failed = True
        raise Violated(problems, self.story, self._open_under_terminated())

    def tell(self, line: str) -> None:
        """Add a line to the story: one step."""
        self.story.append(line)
        self.tally.steps += 1

    def _attempt(self, call: Callable[[], Any]) -> tuple[Any, str, list[str]]:
        """Give a command: what it returned, its outcome, and what is wrong with that."""
        self.killed = None
        try:
            result = call()
        except ProcessCrash as crash:
            return None, str(crash), self._recover(crash)
        except Fenced:
            return None, "fenced", []
        except Refused:
            return None, "refused", []
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this run was made to find
            return None, "raised", [f"answer: the command raised {type(error).__name__}: {error}"]
        return result, "no-op" if isinstance(result, Applied) and result.no_op else "applied", []

    def _hanging(self, call: Callable[[], Any]) -> tuple[Any, str, list[str]]:
        """The same where a sink may hang; its call is let go afterwards, and what it then does comes too late."""
        known = set(threading.enumerate())
        answer = self._attempt(call)
        for thread in set(threading.enumerate()) - known:
            while thread.name in self.calls and thread.is_alive():  # it may have been given up before it began to hang
                for sink in self.sinks.values():
                    sink.release_all()
                thread.join(IMPATIENT.timeout)
        return answer

    def _remember(self) -> None:
        """Keep all that was committed until now: what a crash has to leave."""
        self.committed = everything(self.store, self.roots, self.definitions)

    def _recover(self, crash: ProcessCrash) -> list[str]:
        """Go on as another process on the same store, which must be as the last commit left it."""
        self.killed = crash
        self.tally.fired[CRASHES[crash.point]] += 1
        self.tally.terminations_under_fault += crash.command == "TERMINATE"
        self.store = self.stores.reopen(self.store)
        self._open_kernels()
        lost = difference(self.committed, everything(self.store, self.roots, self.definitions))
        return [f"INV-11: {crash}, and the store is not as the last commit left it: {lost}"] if lost else []

    # ---- looking ----------------------------------------------------------------------------------------------------------
    def _look(self, before: Dump) -> list[str]:
        """Read everything anew, failure workflows that were started meanwhile, too; what is wrong with it."""
        self.roots += self._failure_workflows()
        self.dump = dumped(self.store, self.roots, self.definitions)
        gone = [root for root in before if root not in self.dump]
        if lost := [f"INV-05: the tree {root} is gone" for root in gone if root not in self.going]:
            self.fail_with(lost)  # nothing more can be said of it
        for root in gone:
            self.takings.purged(before[root].workflows[root].state)
        problems, changed = list[str](), bool(gone)
        for root, tree in self.dump.items():
            known = before.get(root)
            if known == tree:
                continue
            changed = True
            problems += Tree(tree, self.definitions).problems()
            if known is not None:
                problems += steps(known, tree, self.definitions)
                self.takings.look(known, tree)
            self.frozen |= {(name, facts.run): self._ended(tree, name) for name, facts in tree.workflows.items()
                            if facts.state not in LIVE}
            problems += self._read_history(root, tree)
        if changed:
            problems += (f"{f.invariant}: audit: {f.workflow_id} {f.subject}: {f.text}" for f in self.kernel.audit().findings)
        if len(self.archive.documents) > len(self.documents):
            for place in [place for place in self.archive.documents if place not in self.documents]:
                problems += self._document(place)
        return problems

    def _failure_workflows(self) -> list[str]:
        """The failure workflows that are not known yet."""
        wanted = {compensation_id(self.store.id, name, facts.run) for tree in self.dump.values()
                  for (name, _, topic), facts in tree.deliveries.items() if topic == COMPENSATION} - set(self.roots)
        with self.store.transaction(write=False) as transaction:
            return [name for name in sorted(wanted) if transaction.tree(name) is not None]

    def _read_history(self, root: str, tree: TreeDump) -> Iterator[str]:
        """Replay what is new in a tree's history, and compare."""
        replay = self.replays.get(root)
        if replay is None:
            replay = self.replays[root] = Replay(self.definitions.prepared)
        try:
            lines = self.kernel.history(root, below=True, after=replay.seq)
            for line in lines:
                replay.feed(line)
            replay.settle()
            self.takings.take(lines)
        except Mismatch as mismatch:
            yield str(mismatch)
        else:
            yield from replay.differences(tree)

    def _ended(self, tree: TreeDump, name: str) -> Ended:
        """A workflow that has ended, as an archive tells of it."""
        refs = enumerate(task.ref for task in self.definitions[name].source.tasks)
        return tree.workflows[name].state, [(ref, tree.tasks[name, no].state) for no, ref in refs if (name, no) in tree.tasks]

    def _document(self, place: tuple[str, int]) -> Iterator[str]:
        """An archived document equals the rows of its run, which nothing can change any more."""
        self.documents.add(place)
        name = place[0]
        content = checked_document(self.archive.documents[place])
        told = [(task["ref"], task["state"]) for task in content["tasks"]]
        ended = (content["workflow"]["state"], told)
        if ended != self.frozen.get(place):
            yield f"INV-04: the archive tells of {name}: {ended}; it ended as {self.frozen.get(place)}"
        for ref, state in told:
            if state in OPEN:
                yield f"INV-01: the archive says that task {ref} of {name} is {state}"

    def told_of(self, root: str) -> Iterator[str]:
        """What is wrong with what is told of the workflows of a tree that was purged: what the archive has, or nothing."""
        for name, run in [place for place in self.frozen if root_of(place[0]) == root]:
            try:
                told = self.patient.get(name, run=run)
            except NotFound:
                if (name, run) in self.archive.documents:
                    yield f"INV-05: {name} was purged, and nobody tells what the archive has of its run {run}"
            else:
                state, _ = self.frozen[name, run]
                if told.purged is None or told.state != state:
                    yield f"INV-05: {name} was purged after it had ended run {run} as {state}; it is told as {told}"

    def _open_under_terminated(self) -> int:
        """How many open tasks there are in workflows that are TERMINATED, or lie below one."""
        found = 0
        for tree in self.dump.values():
            ended = tuple(f"{name}/" for name, facts in tree.workflows.items() if facts.state == "TERMINATED")
            found += sum(facts.state in OPEN and f"{name}/".startswith(ended) for (name, _), facts in tree.tasks.items())
        return found

    # ---- the end ------------------------------------------------------------------------------------------------------------
    def check_end(self) -> None:
        """When everything has settled: nothing is left in the outbox, and the whole history tells the whole state."""
        problems = [f"INV-14: delivery {place} is {facts.state} although every sink works: {facts.error}"
                    for tree in self.dump.values() for place, facts in tree.deliveries.items()
                    if facts.state not in ("DELIVERED", "DEAD")]
        for root, tree in self.dump.items():
            try:
                if check_history(self.kernel, root) != self.replays[root].seq:
                    problems.append(f"INV-08: the history of {root} has grown although nothing of the tree changed")
            except Mismatch as mismatch:
                problems.append(str(mismatch))
            problems += [f"INV-01: {name} is still {facts.state}" for name, facts in tree.workflows.items()
                         if facts.state in LIVE]
            for (name, _, topic), facts in tree.deliveries.items():
                copy = self.archive.documents.get((name, facts.run), b"")
                proof = f"sha256:{sha256(copy).hexdigest()}" if topic == ARCHIVE else f"receipt:mail of {name}"
                if topic == COMPENSATION:
                    proof = f"receipt:{compensation_id(self.store.id, name, facts.run)}"
                if version := entry_of(topic)[1]:
                    proof = f"receipt:notice {version} of {name}"
                if facts.state == "DELIVERED" and facts.proof != proof:
                    problems.append(f"INV-04: delivery {name} {topic} has the proof {facts.proof}, not {proof}")
                self.tally.deliveries[facts.state] += 1
            self.tally.workflows += len(tree.workflows)
        problems += (problem for root in self.purged for problem in self.told_of(root))
        for (name, run), ended in self.frozen.items():
            if root_of(name) in self.purged:
                continue
            stands = (str(self.kernel.get(name, run=run).state),
                      [(task.ref, str(task.state)) for task in self.kernel.tasks(name, run=run)])
            if stands != ended:
                problems.append(f"INV-02: {name} ended run {run} as {ended}; it is told as {stands}")
        if problems:
            self.fail_with(problems)
