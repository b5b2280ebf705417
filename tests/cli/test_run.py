"""`kernel run`: files from end to end, what is said, the summary, and what counts as well."""

from __future__ import annotations

from pathlib import Path

import pytest

import kernel
from kernel.cli.run import Result
from kernel.engine.entities import Finding, Report
from kernel.sinks.directory import file_name
from tests.cli.stand import CONDUCTOR, Cli, child, definition, task, wait, write


def test_a_file_runs_from_end_to_end(cli: Cli, orders: str, tmp_path: Path) -> None:
    """The top definition is started; the waiting task is signalled; the archive holds both documents; all is told."""
    ran = cli("run", orders)
    assert ran.code == 0
    assert "[1/1] " in ran.out
    assert "  started 'order' (order version 1)\n" in ran.out
    assert "  order: signalled the waiting task 'approve'\n" in ran.out
    assert "orders  ✓ COMPLETED  4 of 4  2 DELIVERED  well" in ran.out
    assert "\n1 file: 1 well; 2 documents archived\n" in ran.out
    (folder,) = tmp_path.glob("kernel-run-*")
    assert f"Look: kernel tree order --db sqlite:///{folder}/orders.db" in ran.out
    assert cli("tree", "order", "--db", folder / "orders.db").code == 0
    assert len([*(folder / "archive" / "orders").iterdir()]) == 2


def test_the_child_of_another_file_is_said(cli: Cli) -> None:
    """Which file gave the child."""
    ran = cli("run", CONDUCTOR / "fork_join_sub_workflow.json")
    assert ran.code == 0
    assert "child 'sub_workflow' is taken from 'simple_one_task_sub_workflow_integration_test.json'" in ran.out


def test_without_a_child_the_workflow_fails_and_that_is_an_end(cli: Cli, tmp_path: Path) -> None:
    """A missing child is announced, its task rejected; FAILED is terminal, so the run ended well."""
    ran = cli("run", write(tmp_path / "top.json", definition("top", child("t", "nobody"))))
    assert ran.code == 0
    assert "defines the child 'nobody'" in ran.out
    assert "✗ FAILED" in ran.out


def test_what_is_refused_does_not_stop_the_others(cli: Cli, orders: str) -> None:
    """A file that is refused is told with its error; the others run; the exit code is that of the error."""
    ran = cli("run", CONDUCTOR / "kitchensink.json", orders, "nowhere.json")
    assert ran.code == 5
    assert "its type 'EVENT' is not supported" in ran.out
    assert "there is no such file" in ran.out
    assert "3 files: 1 well, 2 refused; 2 documents archived" in ran.out


def test_nothing_is_left_when_nothing_ran(cli: Cli, tmp_path: Path) -> None:
    """The temporary folder goes when nothing is in it."""
    assert cli("run", "nowhere.json").code == 5
    assert [*tmp_path.iterdir()] == []


def test_cases_say_what_is_expected(cli: Cli, tmp_path: Path, orders: str) -> None:
    """Workers follow the script of the case; another end than the expected one is not well. The cases are no definition."""
    (tmp_path / "cases.json").write_text(
        '{"cases": {"orders.json": {"handlers": {"reserve": [{"fail_terminally": "none left"}]}, "expect": "COMPLETED"}}}')
    ran = cli("run", orders, "cases.json", "--cases", "cases.json")
    assert ran.code == 1
    assert "failed 'reserve': none left" in ran.out
    assert "not well: order ended FAILED, not COMPLETED" in ran.out
    assert "1 file: 1 not well" in ran.out


def test_an_archive_that_fails_changes_no_end(cli: Cli, orders: str) -> None:
    """With --fail-archive every delivery is settled in the end; how often the archive raised is told."""
    ran = cli("run", orders, "--fail-archive", 0.5, "--seed", 3, "--json")
    assert ran.code == 0
    (result,) = ran.json["runs"]
    assert (result["well"], result["deliveries"]) == (True, {"DELIVERED": 2})
    assert result["raised"] > 0


def test_an_archive_that_is_really_broken_is_not_well(
    cli: Cli, orders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEAD is settled only where it was asked for, PENDING never; and it is said how to go on."""
    monkeypatch.setattr("kernel.cli.run.RELAY", kernel.RelayOptions(first=0.001, longest=0.001))
    (tmp_path / "broken").write_text("a file where the directory should be")
    ran = cli("run", orders, "--archive", "broken")
    assert ran.code == 1
    assert "topic 'archive' takes nothing: NotADirectoryError" in ran.out
    assert "not well: 2 PENDING" in ran.out
    assert "PENDING ones: kernel deliver --archive DIR --db" in ran.out
    (tmp_path / "full").mkdir()
    for name in ("order", "order/bill"):
        (tmp_path / "full" / file_name(name, 1)).write_text("something else")
    ran = cli("run", orders, "--archive", "full")
    assert ran.code == 1
    assert "not well: 2 DEAD" in ran.out
    assert "DEAD ones: kernel redrive --all --db" in ran.out
    assert cli("run", orders, "--fail-archive", 1).code == 0


def test_terminate_after(cli: Cli, orders: str) -> None:
    """Each workflow is terminated after so many tasks; with a case, that is as good an end as the expected one."""
    ran = cli("run", orders, "--terminate-after", 1, "--workers", 1)
    assert ran.code == 0
    assert "terminated after 1 completed: 1 commit" in ran.out
    assert "■ TERMINATED" in ran.out
    assert "1 of 4" in ran.out
    name = "wait_workflow_integration_test.json"
    assert cli("run", CONDUCTOR / name, "--cases", CONDUCTOR / "cases.json", "--terminate-after", 0).code == 0


def test_task_definitions_come_from_a_second_file(cli: Cli, tmp_path: Path) -> None:
    """They are for the children, too, and are not run themselves when a pattern names them."""
    top = write(tmp_path / "top.json", definition("top", task("a", inputParameters={"y": 2}), child("c", "leaf")))
    write(tmp_path / "leaf.json", definition("leaf", task("b")))
    known = write(tmp_path / "defs.json", *({"name": name, "inputTemplate": {"x": 1, "y": 1}} for name in ("a", "b")))
    ran = cli("run", top, known, "--task-defs", known, "--db", tmp_path / "k.db", "--json")
    assert (ran.code, len(ran.json["runs"])) == (0, 1)
    assert cli("show", "top", "a", "--db", tmp_path / "k.db", "--json").json["task"]["output"] == {"x": 1, "y": 2}
    assert cli("show", "top/c", "b", "--db", tmp_path / "k.db", "--json").json["task"]["output"] == {"x": 1, "y": 1}


def test_handlers_are_functions_of_the_module_named(cli: Cli, tmp_path: Path) -> None:
    """The module is found in the current folder; its functions are workers by the name of the type."""
    (tmp_path / "my_handlers.py").write_text("def greet(input):\n    return {'text': 'hello ' + input['name']}\n")
    path = write(tmp_path / "g.json", definition("g", task("greet", inputParameters={"name": "${workflow.input.name}"})))
    ran = cli("run", path, "--handlers", "my_handlers", "--input", '{"name": "Ada"}', "--db", "g.db")
    assert ran.code == 0
    assert cli("show", "g", "greet", "--db", "g.db", "--json").json["task"]["output"] == {"text": "hello Ada"}


def test_a_database_of_ones_own(cli: Cli, orders: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--db keeps the workflows there, each under a free id; KERNEL_DB is left alone; live workflows are refused."""
    monkeypatch.setenv("KERNEL_DB", "production.db")
    assert cli("run", orders).code == 0
    assert cli("run", orders, "--db", "mine.db").code == 0
    assert "started 'order-2'" in cli("run", orders, "--db", "mine.db").out
    assert not (tmp_path / "production.db").exists()
    cli("start", "order", "--db", "mine.db", "--id", "live")
    ran = cli("run", orders, "--db", "mine.db")
    assert ran.code == 2
    assert "live workflows that this run did not start (live)" in ran.err


def test_memory_is_enough(cli: Cli, orders: str) -> None:
    """memory:// runs, too, and there is nothing to look at afterwards."""
    ran = cli("run", orders, "--db", "memory://")
    assert ran.code == 0
    assert "Look:" not in ran.out


def test_json_is_one_value(cli: Cli, tmp_path: Path) -> None:
    """With --json the progress goes to standard error, and refusals are part of the value."""
    ran = cli("run", write(tmp_path / "w.json", definition("w", wait("w"))), "nowhere.json", "--json")
    assert ran.code == 5
    value = ran.json
    assert [r["well"] for r in value["runs"]] == [True, False]
    assert value["runs"][1]["error"]["kind"] == "InvalidDefinition"
    assert "signalled" in ran.err


def test_verdicts() -> None:
    """Everything that is not as it should be is a fault of its own."""
    finding = Finding("INV-01", "w", 1, "", "text")
    dead = Result(file="f", audit=Report((finding, finding), 1, 1, 1), deliveries={"DEAD": 1, "DELIVERED": 2, "PENDING": 3})
    assert dead.faults == ["1 DEAD", "3 PENDING", "2 audit findings"]
    planted = Result(file="f", audit=Report((), 1, 1, 1), deliveries={"DEAD": 1}, planted=True)
    assert planted.well


@pytest.mark.parametrize("option", [["--workers", 0], ["--fail-archive", 1.5], ["--terminate-after", -1]])
def test_options_have_bounds(cli: Cli, orders: str, option: list[object]) -> None:
    """What makes no sense is a usage error."""
    assert cli("run", orders, *option).code == 2
