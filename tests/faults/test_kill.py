"""Real processes on one file, killed at random moments: what was acknowledged is there, and nothing is half done."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest

from kernel.engine.document import checked_document
from kernel.errors import InvalidInput
from kernel.testing.clock import ManualClock
from kernel.testing.stores import quick_folder
from tests.faults.crew import LEAF, TREE, opened
from tests.faults.stand import ROOT, Crew, acknowledged, at_work, check, settle

CREW = {"ada": "worker", "ben": "worker", "cyd": "worker", "dan": "relay"}
VICTIMS = ("ada", "dan", "ben", "dan", "cyd", "dan") * 2
"""Who is killed, in this order: the relay more often, because half of its work lies outside any transaction."""
LONGEST = 0.35
"""Seconds that a process is left at work before it is killed, at most, while the others go on."""
EVENTS = ("START", "COMPLETE", "FAIL", "TERMINATE")


def havoc(path: str, folder: Path, seed: int) -> None:
    """Kill one after the other at random moments and start each again; in the end kill them all."""
    chance = random.Random(seed)
    with at_work(Crew(CREW, path, folder, chance)) as crew:
        for name in VICTIMS:
            crew.replace(name, chance.uniform(0.0, LONGEST))
        crew.end(LONGEST)


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

    notes = acknowledged(tmp_path, CREW)
    kinds = Counter(note[0] for note in notes)
    assert set(kinds) == {*EVENTS, "POLL", "DELIVERED"}
    clock = ManualClock(time.time() + 3600)  # every lease and every backoff is over
    with opened(path, archive, clock=clock) as k:
        found = check(k, archive, notes).deliveries
        assert found["DELIVERED"] >= kinds["DELIVERED"]
        settle(k)
        settled = check(k, archive, notes).deliveries
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


@pytest.mark.slow
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
