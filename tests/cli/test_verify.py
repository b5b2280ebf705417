"""`kernel verify`: clean, or with what is not allowed and an exit code of 1; as text and as JSON."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from kernel.cli import verify
from tests.cli.stand import Cli


def forged(folder: Path, sql: str) -> None:
    """Change the database behind the kernel's back."""
    connection = apsw.Connection(str(folder / "kernel.db"))
    connection.execute(sql)
    assert connection.changes() == 1
    connection.close()


def test_a_clean_store(cli: Cli, order: str) -> None:
    """It says so, with counts, and exits with 0."""
    cli("pause", order)
    ran = cli("verify")
    assert (ran.code, ran.out) == (0, "verify: every step is allowed in 1 tree, 4 lines, 6 transitions\n")
    assert cli("verify", order).out == ran.out
    value = cli("verify", "--json").json
    assert value == {"missteps": [], "trees": 1, "lines": 4, "transitions": 6, "after": None}


def test_a_step_that_is_not_allowed(cli: Cli, order: str, tmp_path: Path) -> None:
    """The tree, the line, where the row stood, what forbids it and why; and the exit code is 1."""
    cli("pause", order)
    forged(tmp_path, "UPDATE history SET by = 'PO\nLL' WHERE event = 'PAUSE'")
    ran = cli("verify")
    assert ran.code == 1
    assert ran.out == (
        "verify: 1 tree with a step that is not allowed in 1 tree, 4 lines, 6 transitions\n"
        "  order-7  line 4 (version 2): PAUSE RUNNING -> PAUSED of order-7, by PO\\nLL\n"
        "    stands:  RUNNING\n"
        "    rule:    PO\\nLL\n"
        "    why:     PO\\nLL does not bring this about\n").replace("4 lines, 6 tr", "3 lines, 5 tr")
    value = cli("verify", "--json")
    assert value.code == 1
    assert (value.json["missteps"][0]["line"], value.json["missteps"][0]["event"]) == (4, "PAUSE RUNNING -> PAUSED")


def test_rows_that_moved_in_silence(cli: Cli, order: str, tmp_path: Path) -> None:
    """A row that is not as its history tells."""
    forged(tmp_path, "UPDATE task SET state = 'IN_PROGRESS' WHERE no = 0")
    ran = cli("verify")
    assert ran.code == 1
    assert "  order-7  line 3 (version 1): the rows of order-7, reserve\n" in ran.out
    assert "why:     the task is IN_PROGRESS, attempt 1, its history tells SCHEDULED, attempt 1\n" in ran.out


def test_many_trees(cli: Cli, order: str, orders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch by batch all of them; what is wrong is shown up to a limit."""
    for number in range(3):
        cli("start", "order", "--id", f"more-{number}")
    monkeypatch.setattr(verify, "BATCH", 1)
    assert "every step is allowed in 4 trees, 12 lines" in cli("verify").out
    for name in ("more-0", "more-1", "order-7"):
        forged(tmp_path, f"UPDATE history SET target = 'PAUSED' WHERE root = '{name}' AND seq = 1")  # noqa: S608 - names of ours
    monkeypatch.setattr(verify, "FINDINGS_SHOWN", 2)
    ran = cli("verify")
    assert "3 trees with a step that is not allowed in 4 trees" in ran.out
    assert ran.out.endswith("  and 1 more: --json gives all\n")


def test_of_a_workflow_that_is_not_there(cli: Cli, order: str) -> None:
    """It is not found."""
    assert cli("verify", "nobody").code == 4
