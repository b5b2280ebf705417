"""`kernel demo`: its numbers, its story, and that it would say so if one of them were not true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.cli.demo import Story
from kernel.engine.kernel import Kernel
from kernel.testing import planted
from tests.cli.stand import Cli


def test_the_numbers(cli: Cli) -> None:
    """The same start and fault: the old order leaves 6 open tasks under terminated workflows, the kernel none."""
    ran = cli("demo", "--json")
    facts = ran.json
    assert (ran.code, facts["untrue"]) == (0, [])
    assert (facts["workflows"], facts["open"], facts["held"]) == (3, 6, 2)
    a, b = facts["a"], facts["b"]
    assert (a["state"], a["stranded"]) == ("TERMINATED", 6)
    assert a["raised"].startswith("OSError")
    assert "INV-01" in a["broken"]
    assert (b["commits"], b["terminated"], b["canceled"], b["pending"]) == (1, 3, 6, 3)
    assert (b["error"], b["killed"], b["kept"]) == ("OSError", -9, 3)
    assert 0.1 <= b["retry_in"] <= 0.2
    written, whole = map(int, b["written"].split(" of "))
    assert 0 < written < whole
    assert (b["delivered"], b["equal"], b["findings"], b["stranded"]) == (3, 3, 0, 0)
    assert facts["stranded"] == [6, 0]


def test_the_story(cli: Cli, tmp_path: Path) -> None:
    """It is told in at most 100 columns, names its folder and keeps it; what it says at the end works."""
    ran = cli("demo")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert max(len(line) for line in lines if "--db" not in line) <= 100
    told = iter(lines)
    for words in (
        "order-7: 3 workflows, 6 open tasks, 2 held by workers. The archive is broken: every write raises.",
        "A  the order of Conductor 3.13.5",
        "TERMINATED written; archive raised; the cancellation never ran",
        "audit: INV-01",
        "B  kernel",
        "terminate: 1 commit, 3 TERMINATED, 6 CANCELED, 3 deliveries PENDING",
        "relay: OSError, workflow state unchanged, retry in 0.2 s",
        "relay killed (SIGKILL) in the middle of a write",
        "worker w1 completes 'pick'",
        "Fenced: COMPLETE of task 'pick' of workflow 'order-7' by 'w1'",
        "stands:", "why:", "try:",
        "archive mended: 3 DELIVERED, read back, digests equal",
        "audit: 0 findings",
        "before            A after           B after",
        "open tasks under terminated workflows: 6 vs 0",
    ):
        assert any(words in line for line in told), words
    (folder,) = tmp_path.glob("kernel-demo-*")
    look = re.search(r"Look: kernel (tree order-7 --db \S+)", ran.out)
    assert look is not None
    assert str(folder) in look[1]
    assert "■ TERMINATED" in cli(*look[1].split()).out
    assert cli("audit", "--db", folder / "a.db").code == 1
    assert cli("audit", "--db", folder / "b.db").code == 0


def test_the_tree_marks_what_the_old_order_left(cli: Cli) -> None:
    """Each of the six open tasks and two live sub-workflows under the terminated one is marked; in B nothing is."""
    rows = [line for line in cli("demo").out.splitlines() if line.startswith(("├─", "└─", "│"))]
    assert sum("✗" in row for row in rows) == 8
    assert all(row.split()[-1] in ("COMPLETED", "TERMINATED", "CANCELED") for row in rows)


def test_it_can_be_untrue(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the kernel to act in the old order, the story would say which lines are not so, and end with 1."""

    def in_the_old_order(url: str, *, sinks: Any = None, **options: Any) -> Kernel:
        return real(url, sinks=sinks, program=planted._without_cascade(), **options)

    real = kernel.open
    monkeypatch.setattr(kernel, "open", in_the_old_order)
    ran = cli("demo", "--json")
    assert ran.code == 1
    assert any(text.startswith("audit: ") for text in ran.json["untrue"])


def test_what_is_not_so_is_marked(capsys: pytest.CaptureFixture[str]) -> None:
    """A line that does not hold is told as such, and remembered."""
    story = Story(silent=False)
    story.right(True, "one")
    story.right(False, "two")
    assert capsys.readouterr().out == "   ✓ one\n   ✗ not so: two\n"
    assert story.untrue == ["two"]
