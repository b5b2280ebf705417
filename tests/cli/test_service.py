"""`kernel worker` and `kernel daemon`: they run until a signal stops them, and their exit code says how it went."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.cli import service
from kernel.engine.worker import Worker
from tests.cli.stand import Cli, definition, task, write

PATIENCE = 60.0

HANDLERS = """
import pathlib
import kernel

__all__ = ["pack", "ship"]

def pack(given):
    return {"packed": given["item"]}

def ship(given, attempt):
    raise kernel.NotRetryable("no van")
"""


@pytest.fixture
def shop(cli: Cli, tmp_path: Path) -> str:
    """A store with a workflow whose task `pack` can be worked on, and handlers for it in the current folder."""
    (tmp_path / "shop_handlers.py").write_text(HANDLERS)
    path = write(tmp_path / "shop.json", definition("shop", task("pack", inputParameters={"item": "hat"}), task("ship")))
    assert cli("start", "--file", path, "--id", "wf", "--db", "s.db").code == 0
    return "s.db"


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """The handlers' module is imported anew by each test."""
    yield
    sys.modules.pop("shop_handlers", None)


def signalled(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """The process gets SIGTERM at the first notice of this kind."""
    real = service.teller

    def teller(*given: Any) -> Callable[[Any], None]:
        tell, left = real(*given), [what]

        def told(notice: Any) -> None:
            tell(notice)
            if notice.what in left:
                left.clear()
                os.kill(os.getpid(), signal.SIGTERM)

        return told

    monkeypatch.setattr(service, "teller", teller)


def test_a_worker_works_until_it_is_stopped(cli: Cli, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells each attempt, and at the end what it did; the handlers of signals are as before."""
    before = [signal.getsignal(each) for each in service.SIGNALS]
    signalled(monkeypatch, "failed")
    ran = cli("worker", "shop_handlers", "--db", shop, "--name", "w1", "--threads", 2)
    assert ran.code == 0
    assert "worker w1: pack, ship; 2 threads" in ran.out
    assert "attempt 1 of task 'pack' of workflow 'wf' completed" in ran.out
    assert "attempt 1 of task 'ship' of workflow 'wf' failed: no van" in ran.out
    assert "stopping: " in ran.out
    assert ran.out.endswith("1 completed, 1 failed, 0 postponed, 0 late, 0 abandoned\n")
    assert [signal.getsignal(each) for each in service.SIGNALS] == before
    shown = cli("show", "wf", "--db", shop, "--json").json
    assert "FAILED" in json.dumps(shown)


def test_a_second_signal_leaves_at_once(cli: Cli, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way is abandoned, which the exit code says; --json gives one value, the lines go to standard error."""
    over = threading.Event()
    monkeypatch.setattr(service, "functions_of", lambda module: {"pack": lambda given: over.wait(PATIENCE)})
    real = Worker.next_beat

    def begun(self: Worker, lease: kernel.Lease) -> float:
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self, lease)

    monkeypatch.setattr(Worker, "next_beat", begun)
    signalled(monkeypatch, "stop")
    ran = cli("worker", "shop_handlers", "--db", shop, "--json")
    over.set()
    assert (ran.code, ran.json) == (1, {"completed": 0, "failed": 0, "postponed": 0, "late": 0, "abandoned": 1})
    assert "leaving now" in ran.err
    assert "is left: its function did not end in time" in ran.err


@pytest.mark.parametrize(("given", "why"), [
    (["--type", "other"], "there is none named 'other'"), ([], "there are none")])
def test_functions_that_are_not_there(cli: Cli, shop: str, tmp_path: Path, given: list[str], why: str) -> None:
    """A type without a function, and a module without any, are refused before the store is opened."""
    if not given:
        (tmp_path / "shop_handlers.py").write_text("number = 1\n")
    ran = cli("worker", "shop_handlers", "--db", shop, *given)
    assert ran.code == 5
    assert why in ran.err


def test_a_daemon_serves_until_it_is_stopped(cli: Cli, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a workflow is archived; the health line says how things stand."""
    assert cli("terminate", "wf", "--db", shop).code == 0
    signalled(monkeypatch, "relay")
    ran = cli("daemon", "--db", shop, "--archive", "docs")
    assert ran.code == 0
    assert "relay: 1 DELIVERED" in ran.out
    assert "health: 0 timers due; outbox: 0 PENDING" in ran.out
    assert ran.out.endswith("0 timers, 1 DELIVERED, 0 DEAD\n")
    signalled(monkeypatch, "health")
    ran = cli("daemon", "--db", shop, "--json")
    assert ran.json == {"fired": 0, "delivered": 0, "released": 0, "dead": 0, "error": ""}
    assert "without --archive DIR" in ran.err


def test_a_worker_process_stops_on_sigterm(cli: Cli, shop: str, tmp_path: Path) -> None:
    """A real process: SIGTERM while a function runs; the function ends, its result counts, the exit code is 0."""
    (tmp_path / "slow_handlers.py").write_text(
        "import sys\ndef pack(given, attempt):\n    print('begun', flush=True)\n    while not attempt.stopping:\n"
        "        attempt.check()\n    return {'stopping': attempt.stopping}\n")
    process = subprocess.Popen(
        [sys.executable, "-c", "from kernel.cli.main import main; main()", "worker", "slow_handlers", "--db", shop],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(kernel.__file__).parents[1])})
    assert process.stdout is not None
    for line in process.stdout:
        if line == "begun\n":
            process.send_signal(signal.SIGTERM)
            break
    out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.splitlines()[-1]) == (0, "1 completed, 0 failed, 0 postponed, 0 late, 0 abandoned")
    with kernel.open(f"sqlite:///{tmp_path / shop}") as k:
        assert [(t.state, t.output) for t in k.tasks("wf")] == [("COMPLETED", {"stopping": True}), ("SCHEDULED", None)]
