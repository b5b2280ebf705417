"""diagram and faults: what they write and say, and that both can fail."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

import kernel
from kernel.cli import kit
from kernel.testing import planted
from kernel.testing.campaign import run_campaign
from tests.cli.stand import Cli
from tests.redis_server import server
from tests.render.test_svg import needs_dot

NAMES = {f"{name}.{kind}" for name in ("workflow", "task", "delivery", "cascade") for kind in ("dot", "mmd", "svg")}


@needs_dot
def test_diagram_writes_all_pictures(cli: Cli, tmp_path: Path) -> None:
    """One for each lifecycle and one for the cascade, in three forms; into diagrams/ or where one says."""
    ran = cli("diagram")
    assert ran.code == 0
    assert {path.name for path in (tmp_path / "diagrams").iterdir()} == NAMES
    assert ran.out.count("wrote diagrams/") == 12
    assert len(cli("diagram", "other", "--json").json["written"]) == 12


def test_diagram_without_dot(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program it says once what to install, writes the rest, and the exit code is 1."""
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = cli("diagram", "d")
    assert ran.code == 1
    assert ran.err.count("apt install graphviz") == 1
    assert "left out: 4 pictures" in ran.err
    assert {path.name for path in (tmp_path / "d").iterdir()} == {name for name in NAMES if not name.endswith(".svg")}
    assert len(cli("diagram", "d", "--json").json["skipped"]) == 4


@pytest.mark.slow
def test_faults_says_what_it_did(cli: Cli) -> None:
    """Steps, faults by kind, terminations under fault, and no violation; the same seed gives the same run."""
    ran = cli("faults", "--steps", 3000, "--seed", 5)
    assert ran.code == 0
    assert "kernel faults: 3,0" in ran.out
    for words in ("archive raises ", "archive hangs", "archive lies", "killed before a commit", "terminations under fault",
                  "open tasks under terminated workflows          0", "violations                                     0"):
        assert words in ran.out
    value = cli("faults", "--steps", 3000, "--seed", 5, "--json").json
    assert value["ok"]
    assert value == cli("faults", "--steps", 3000, "--seed", 5, "--json").json


def test_faults_tells_which_rows_it_took(cli: Cli) -> None:
    """How many rows of the tables were taken; with --rows each of them, and how often or why never."""
    ran = cli("faults", "--steps", 200, "--rows")
    value = cli("faults", "--steps", 200, "--json").json
    took = sum(row["taken"] > 0 for row in value["rows"])
    assert f"rows of the tables taken               {took:>9}  of {len(value['rows'])}; " in ran.out
    for row in value["rows"]:
        assert f"{row['taken']:>9,}  {row['table']:<8}  {row['row']}" in ran.out


def test_faults_on_sqlite(cli: Cli, tmp_path: Path) -> None:
    """The same on SQLite; its files are gone afterwards."""
    value = cli("faults", "--steps", 100, "--store", "sqlite", "--json").json
    assert (value["store"], value["violations"]) == ("sqlite", 0)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.server
def test_faults_on_a_server(cli: Cli) -> None:
    """A server is named by its URL, which is not repeated: it may hold a password. What is there already is not touched."""
    url = server().new_url()
    value = cli("faults", "--steps", 30, "--db", url, "--json").json
    assert (value["store"], value["violations"], value["steps"] >= 30) == ("redis", 0, True)
    with kernel.open(url) as k:
        k.register(kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick")]))
    ran = cli("faults", "--db", url)
    assert (ran.code, "it holds workflows or definitions" in ran.err) == (5, True)
    assert cli("faults", "--db", url, "--store", "sqlite").code == 2


@pytest.mark.server
def test_a_violation_on_a_server(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that repeats it does not show the URL."""
    monkeypatch.setattr(kit, "run_campaign", functools.partial(run_campaign, kernel=planted.ElevenStepKernel))
    monkeypatch.setattr(kit, "FAR", 3)
    ran = cli("faults", "--steps", 3000, "--db", server().url)
    assert ran.code == 1
    assert "again: kernel faults --db URL --seed " in ran.out
    assert server().url not in ran.out + ran.err


def test_a_fault_that_never_fired_fails_the_run(cli: Cli) -> None:
    """Too few steps show too little, and that is said."""
    ran = cli("faults", "--steps", 1)
    assert ran.code == 1
    assert "never fired: " in ran.out
    assert "Give more --steps" in ran.out


def test_a_violation_is_told_as_a_story(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted bug is found; the shortest history, where it was found, and the command that repeats it are printed."""
    monkeypatch.setattr(kit, "run_campaign", functools.partial(run_campaign, kernel=planted.ElevenStepKernel))
    ran = cli("faults", "--steps", 3000)
    assert ran.code == 1
    assert "violations                                     1" in ran.out
    assert "INV-01" in ran.out
    assert "again: kernel faults --store memory --seed " in ran.out
