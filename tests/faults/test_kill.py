"""Real processes on one file, killed at random moments: what was acknowledged is there, and nothing is half done."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from attrs import define

from kernel.engine.document import checked_document
from kernel.engine.entities import HistoryRow
from kernel.engine.kernel import Kernel
from kernel.errors import InvalidInput
from kernel.sinks.directory import file_name
from kernel.testing.checks import LIVE, Tree
from kernel.testing.clock import ManualClock
from kernel.testing.dump import Definitions, Dump, dumped
from kernel.testing.replay import Replay, pages, replayed
from kernel.testing.stores import quick_folder
from tests.faults.crew import LEAF, TREE, opened

ROOT = Path(__file__).resolve().parents[2]
CREW = {"ada": "worker", "ben": "worker", "cyd": "worker", "dan": "relay"}
VICTIMS = ("ada", "dan", "ben", "dan", "cyd", "dan") * 2
"""Who is killed, in this order: the relay more often, because half of its work lies outside any transaction."""
LONGEST = 0.35
"""Seconds that a process is left at work before it is killed, at most, while the others go on."""
ENOUGH = 10
"""Lines that each of them has written in the end, at least."""
EVENTS = ("START", "COMPLETE", "FAIL", "TERMINATE")


@define(eq=False)
class Child:
    """A process that this test started."""

    name: str
    process: subprocess.Popen[str]

    def work(self, notes: Path) -> None:
        """Leave it at work until it has done enough, however slow the machine is."""
        for _ in range(1200):
            if notes.exists() and notes.read_bytes().count(b"\n") > ENOUGH:
                break
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def kill(self, after: float) -> None:
        """Kill it, so many seconds after it was seen at work; it must have been so until then."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(after)
        self.process.send_signal(signal.SIGKILL)
        _, trouble = self.process.communicate(timeout=30)
        assert (said, self.process.returncode) == ("ready\n", -signal.SIGKILL), f"{self.name} ended by itself: {trouble}"


@contextmanager
def crew(path: str, folder: Path, chance: random.Random) -> Iterator[dict[str, Child]]:
    """The processes, at work; whoever still runs at the end is killed."""
    children: dict[str, Child] = {}
    try:
        for name in CREW:
            children[name] = begun(path, folder, name, chance)
        yield children
    finally:
        for child in children.values():
            if child.process.poll() is None:
                child.process.kill()
            child.process.communicate(timeout=30)


def begun(path: str, folder: Path, name: str, chance: random.Random) -> Child:
    """A new process."""
    command = [sys.executable, "-m", "tests.faults.crew", CREW[name], path, str(folder), name, str(chance.getrandbits(32))]
    return Child(name, subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))


def havoc(path: str, folder: Path, seed: int) -> None:
    """Kill one after the other at random moments and start each again; in the end kill them all."""
    chance = random.Random(seed)
    with crew(path, folder, chance) as children:
        for name in VICTIMS:
            children[name].kill(chance.uniform(0.0, LONGEST))
            children[name] = begun(path, folder, name, chance)
        for name, child in children.items():
            child.work(folder / f"{name}.jsonl")
            child.kill(chance.uniform(0.0, LONGEST))


def acknowledged(folder: Path) -> list[list[str]]:
    """Every line that the processes wrote, each in one write, which no kill cuts in two."""
    found: list[list[str]] = []
    for name in CREW:
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(lines) > ENOUGH, f"{name} has hardly done anything"
        found += [json.loads(line) for line in lines]
    return found


def unknown(notes: list[list[str]], dump: Dump, replays: dict[str, set[tuple[str, str]]]) -> list[list[str]]:
    """The acknowledged commands that the store does not know."""
    commands = set[tuple[str, str]]().union(*replays.values())
    tasks = {place: facts for tree in dump.values() for place, facts in tree.tasks.items()}
    proofs = {f"{name}#{facts.run}:{topic}": facts.proof for tree in dump.values()
              for (name, _, topic), facts in tree.deliveries.items() if facts.state == "DELIVERED"}
    lost = []
    for note in notes:
        what, subject = note[:2]
        if what == "POLL":
            there = tasks[subject, int(note[2])].handouts >= int(note[3])
        elif what == "DELIVERED":
            there = proofs.get(subject) == note[2]
        else:
            there = (subject, note[2]) in commands
        lost += [] if there else [note]
    return lost


def check(k: Kernel, archive: Path, notes: list[list[str]]) -> Counter[str]:
    """Nothing is wrong, and nothing that was acknowledged is lost; gives how many deliveries are in which state."""
    assert k.audit().findings == ()
    definitions = Definitions()
    dump = dumped(k.store, [w.id for w in k.find(limit=100_000).items if w.parent is None], definitions)
    commands: dict[str, set[tuple[str, str]]] = {}
    states = Counter[str]()
    for root, tree in dump.items():
        assert list(Tree(tree, definitions).problems()) == []
        lines = list(pages(k, root))
        commands[root] = {(line.workflow_id, line.command_id) for line in lines}
        assert list(told(lines, definitions).differences(tree)) == []
        for (name, _, _), facts in tree.deliveries.items():
            states[facts.state] += 1
            if facts.state == "DELIVERED":
                data = (archive / file_name(name, facts.run)).read_bytes()
                assert checked_document(data)["workflow"]["state"] == tree.workflows[name].state
                assert facts.proof == f"sha256:{sha256(data).hexdigest()}"
    assert unknown(notes, dump, commands) == []
    return states


def told(lines: list[HistoryRow], definitions: Definitions) -> Replay:
    """What a tree's history tells."""
    return replayed(lines, definitions.prepared)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_processes_are_killed(tmp_path: Path) -> None:
    """Three workers and a relay are killed at random moments, again and again. The audit is clean, each tree's history
    replays, every acknowledged command is in the store, every ended workflow has its delivery, every DELIVERED one has a
    whole document in the archive that is its proof; a last relay delivers the rest.
    """
    path, archive = str(tmp_path / "kernel.db"), tmp_path / "archive"
    with opened(path, archive) as k:
        k.register(LEAF, TREE)
    havoc(path, tmp_path, seed=20)

    notes = acknowledged(tmp_path)
    kinds = Counter(note[0] for note in notes)
    assert set(kinds) == {*EVENTS, "POLL", "DELIVERED"}
    clock = ManualClock(time.time() + 3600)  # every lease and every backoff is over
    with opened(path, archive, clock=clock) as k:
        found = check(k, archive, notes)
        assert found["DELIVERED"] >= kinds["DELIVERED"]
        for state in LIVE:
            for workflow in k.find(state=state, limit=100_000).items:
                k.terminate(workflow.id)
        k.tick()
        for delivery in k.deliveries(state="DEAD", limit=100_000):
            k.redrive(delivery.id)
        k.deliver(limit=100_000)
        settled = check(k, archive, notes)
        assert set(settled) == {"DELIVERED"}
        assert settled["DELIVERED"] == len(k.find(limit=100_000).items) == len(list(archive.glob("*.json")))
    for document in archive.glob("*.json"):
        checked_document(document.read_bytes())


@contextmanager
def relays(writer: str, path: str, archive: Path) -> Iterator[Callable[[int, float], str]]:
    """Relays that are killed at a step of their archive: `die(step, now)` tells whether one came so far."""
    command = [sys.executable, "-m", "tests.faults.dying", writer, path, str(archive)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        send, answer = process.stdin, process.stdout

        def die(step: int, now: float) -> str:
            send.write(f"{step} {now}\n")
            return answer.readline().rstrip()

        yield die
        send.close()


def torn(archive: Path) -> list[str]:
    """The files under the name of a document that are none."""
    found = []
    for file in archive.glob("*.json"):
        try:
            checked_document(file.read_bytes())
        except InvalidInput:
            found.append(file.name)
    return found


def killed_at_every_step(writer: str, folder: Path) -> Generator[list[str], None, None]:
    """Kill a relay at the first step of its archive, at the next, and so on until one lives; the torn files, each time.

    Afterwards, with those out of the way, another relay delivers.
    """
    clock, path, archive = ManualClock(), str(folder / f"{writer}.db"), folder / writer
    with opened(path, archive, clock=clock) as k, relays(writer, path, archive) as die:
        k.register(LEAF)
        for step in count(1):
            name = f"w{step}"
            k.start("leaf", input={"text": "x" * 100_000}, workflow_id=name)
            k.terminate(name)
            ended = die(step, clock.now() / 1_000_000)
            assert ended in ("killed", "lived")
            yield (found := torn(archive))
            for file in found:
                (archive / file).unlink()
            clock.advance(3600.0)
            k.tick()
            k.deliver()
            assert {d.state for d in k.deliveries()} == {"DELIVERED"}
            assert torn(archive) == []
            assert len(list(archive.glob("*.json"))) == step
            if ended == "lived":
                break


def test_no_document_is_torn_when_its_writer_is_killed() -> None:
    """A relay is killed before every single step of its archive: at no time is there a file under the name of a document
    that is not the whole of it, and the next relay delivers. An archive that writes where it should not is seen to tear.
    """
    with quick_folder() as folder:
        whole = list(killed_at_every_step("whole", folder))
        assert len(whole) > 12
        assert not any(whole)
        with closing(killed_at_every_step("torn", folder)) as careless:
            assert any(careless)
