"""What the tests that kill processes share: the processes, what they noted, and what must be there in the end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from attrs import define, field, frozen

from kernel.engine.document import checked_document
from kernel.engine.entities import HistoryRow
from kernel.engine.kernel import Kernel
from kernel.sinks.directory import file_name
from kernel.testing.checks import LIVE, Tree
from kernel.testing.dump import Definitions, Dump, dumped
from kernel.testing.replay import Replay, pages, replayed

ROOT = Path(__file__).resolve().parents[2]
ENOUGH = 10
"""Lines that each of them has written in the end, at least."""
TALK = ("TOLD", "CONFLICT")
"""Lines that claim nothing: what a worker or a daemon said, and that a command was overtaken until it gave up."""


@define(eq=False)
class Child:
    """A process that this test started."""

    name: str
    process: subprocess.Popen[str]
    said: str = ""

    def work(self, notes: Path) -> None:
        """Leave it at work until it has done enough, however slow the machine is."""
        for _ in range(1200):
            if notes.exists() and notes.read_bytes().count(b"\n") > ENOUGH:
                break
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def wait(self) -> None:
        """Until it is seen at work."""
        assert self.process.stdout is not None
        self.said = self.said or self.process.stdout.readline()

    def kill(self, after: float) -> None:
        """Kill it, so many seconds after it was seen at work; it must have been so until then."""
        self.wait()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(after)
        self.process.send_signal(signal.SIGKILL)
        _, trouble = self.process.communicate(timeout=30)
        assert (self.said, self.process.returncode) == ("ready\n", -signal.SIGKILL), f"{self.name} ended by itself: {trouble}"


@define(eq=False)
class Crew:
    """Processes on one store: `jobs` by name. What each notes is in a file of its own in the folder."""

    jobs: Mapping[str, str]
    place: str
    folder: Path
    chance: random.Random
    children: dict[str, Child] = field(factory=dict)

    def begin(self, name: str) -> None:
        """A new process under a name."""
        command = [sys.executable, "-m", "tests.faults.crew", self.jobs[name], self.place, str(self.folder), name,
                   str(self.chance.getrandbits(32))]
        self.children[name] = Child(name, subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))

    def replace(self, name: str, after: float) -> None:
        """Kill one, so many seconds after it was seen at work, and start it again."""
        self.children[name].kill(after)
        self.begin(name)

    def wait(self) -> None:
        """Until all are seen at work."""
        for child in self.children.values():
            child.wait()

    def end(self, longest: float) -> int:
        """Leave each at work until it has done enough, and kill it, at a random moment; gives how many."""
        for name, child in self.children.items():
            child.work(self.folder / f"{name}.jsonl")
            child.kill(self.chance.uniform(0.0, longest))
        return len(self.children)


@contextmanager
def at_work(crew: Crew) -> Iterator[Crew]:
    """The processes, at work; whoever still runs at the end is killed."""
    try:
        for name in crew.jobs:
            crew.begin(name)
        yield crew
    finally:
        for child in crew.children.values():
            if child.process.poll() is None:
                child.process.kill()
            child.process.communicate(timeout=30)


def acknowledged(folder: Path, names: Iterable[str]) -> list[list[str]]:
    """Every line that the processes wrote, each in one write, which no kill cuts in two."""
    found: list[list[str]] = []
    for name in names:
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) > ENOUGH, f"{name} has hardly done anything"
        found += [json.loads(line) for line in lines]
    return found


def unknown(notes: list[list[str]], dump: Dump, replays: dict[str, set[tuple[str, str]]]) -> list[list[str]]:
    """The acknowledged commands that the store does not know."""
    commands = set[tuple[str, str]]().union(*replays.values())
    proofs = {f"{name}#{facts.run}:{topic}": facts.proof for tree in dump.values()
              for (name, _, topic), facts in tree.deliveries.items() if facts.state == "DELIVERED"}
    lost = []
    for note in notes:
        what, subject = note[:2]
        if what in TALK:
            continue
        there = proofs.get(subject) == note[2] if what == "DELIVERED" else (subject, note[2]) in commands
        lost += [] if there else [note]
    return lost


@frozen
class Found:
    """What is in a store in which nothing is wrong: its trees, deliveries by state, and events of its histories."""

    trees: int
    deliveries: Counter[str]
    events: Counter[str]


def check(k: Kernel, archive: Path, notes: list[list[str]]) -> Found:
    """Nothing is wrong, each history leads to its rows as `kernel verify` sees it, and nothing acknowledged is lost."""
    assert k.audit().findings == ()
    definitions = Definitions()
    dump = dumped(k.store, [w.id for w in k.find(limit=100_000).items if w.parent is None], definitions)
    commands: dict[str, set[tuple[str, str]]] = {}
    states, events = Counter[str](), Counter[str]()
    for root, tree in dump.items():
        assert list(Tree(tree, definitions).problems()) == []
        lines = list(pages(k, root))
        commands[root] = {(line.workflow_id, line.command_id) for line in lines}
        events.update(line.event for line in lines)
        assert list(told(lines, definitions).differences(tree)) == []
        for (name, _, _), facts in tree.deliveries.items():
            states[facts.state] += 1
            if facts.state == "DELIVERED":
                data = (archive / file_name(name, facts.run)).read_bytes()
                assert checked_document(data)["workflow"]["state"] == k.get(name, run=facts.run).state not in LIVE
                assert facts.proof == f"sha256:{sha256(data).hexdigest()}"
    assert unknown(notes, dump, commands) == []
    return Found(len(dump), states, events)


def told(lines: list[HistoryRow], definitions: Definitions) -> Replay:
    """What a tree's history tells."""
    return replayed(lines, definitions.prepared)


def settle(k: Kernel) -> None:
    """What a daemon would do in the end: everything that lives is terminated, everything that waits is delivered."""
    for state in LIVE:
        for workflow in k.find(state=state, limit=100_000).items:
            k.terminate(workflow.id)
    k.tick(limit=1_000_000)
    for delivery in k.deliveries(state="DEAD", limit=100_000):
        k.redrive(delivery.id)
    while k.deliver(limit=10_000).outcomes:
        pass
