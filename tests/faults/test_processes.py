"""Threads on one kernel, and processes on one file, work off the same tasks: nothing is lost, nothing is done twice."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernel.engine.kernel import Kernel
from kernel.testing.replay import pages
from tests.faults.crew import WIDE, finish, opened
from tests.stores.stand import STORES, new_store

ROOT = Path(__file__).resolve().parents[2]
CREW = ("ada", "ben", "cyd", "dan")
WORKFLOWS = 60
TASKS = {(f"w{number}", task.ref) for number in range(WORKFLOWS) for task in WIDE.tasks}


def fill(k: Kernel) -> None:
    """Start what there is to do: a few hundred tasks."""
    k.register(WIDE)
    for number in range(WORKFLOWS):
        k.start("wide", workflow_id=f"w{number}")


def check(k: Kernel) -> None:
    """Each task was handed out once and COMPLETED once, in one attempt, and every workflow ended well."""
    handed, completed = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for number in range(WORKFLOWS):
        for line in pages(k, f"w{number}"):
            if line.kind == "task" and line.target in ("IN_PROGRESS", "COMPLETED"):
                counter = handed if line.target == "IN_PROGRESS" else completed
                counter[line.workflow_id, line.subject] += line.count
        assert {(task.state, task.attempt) for task in k.tasks(f"w{number}")} == {("COMPLETED", 1)}
        assert k.get(f"w{number}").state == "COMPLETED"
    assert handed == completed == Counter(TASKS)
    assert k.audit().findings == ()


@pytest.mark.parametrize("kind", STORES)
def test_threads_share_the_tasks(kind: str, tmp_path: Path) -> None:
    """Four threads of one kernel: each task is completed by exactly one of them, and no command of theirs is refused."""
    with new_store(kind, tmp_path) as store:
        k = Kernel(store)
        fill(k)
        start = threading.Barrier(len(CREW))

        def run(name: str) -> list[tuple[str, str]]:
            return finish(k, name, lambda: start.wait(30))

        with ThreadPoolExecutor(len(CREW)) as threads:
            done = [place for places in threads.map(run, CREW) for place in places]
        assert Counter(done) == Counter(TASKS)
        check(k)


@pytest.mark.slow
def test_processes_share_the_tasks(tmp_path: Path) -> None:
    """Three processes on one file: all of them end well, none waits longer than its patience (which would be Conflict), and
    together they have completed each task once.
    """
    path = str(tmp_path / "kernel.db")
    with opened(path, tmp_path / "archive") as k:
        fill(k)
    processes = [subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crew", "finish", path, str(tmp_path), name, "0"], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for name in CREW[:3]]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        told = []
        for process in processes:  # all are ready: off they go
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in processes:
            out, trouble = process.communicate(timeout=30)
            assert (process.returncode, trouble) == (0, "")
            told.append(int(out))
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert sum(told) == len(TASKS)
    assert min(told) > 0, "one of the processes had nothing to do"
    with opened(path, tmp_path / "archive") as k:
        check(k)
