"""retry, restart, rerun, and what is shown of earlier runs."""

from __future__ import annotations

from tests.cli.stand import Cli


def test_retry_begins_the_next_run(cli: Cli, order: str) -> None:
    """One commit under the next run number; the run before stays to be seen."""
    cli("terminate", order)
    ran = cli("retry", order, "--reason", "the customer came back", "--actor", "ada")
    assert ran.code == 0
    assert ran.out.startswith("order-7: RUNNING again, run 2, 1 commit (version 3), ")
    assert cli("show", order, "--json").json["workflow"]["run"] == 2
    assert "TERMINATED" in cli("show", order, "--run", "1").out
    assert "TERMINATED" in cli("tree", order, "--run", "1").out
    lines = cli("history", order, "--run", "2", "--json").json
    assert {line["run"] for line in lines} == {2}
    assert (lines[0]["event"], lines[0]["actor"], lines[0]["reason"]) == ("RETRY", "ada", "the customer came back")
    assert cli("history", order, "--run", "3").code == 4


def test_restart_and_resume_children(cli: Cli, order: str) -> None:
    """The answer as JSON tells the run and how many tasks are to do again."""
    cli("terminate", order)
    tasks = len(cli("show", order, "--json").json["tasks"])
    assert cli("restart", order, "--json").json["again"] == tasks
    cli("terminate", order)
    assert cli("retry", order, "--resume-children", "--json").json["run"] == 3


def test_rerun_from_a_task(cli: Cli, order: str) -> None:
    """The task is named, and the workflow that it belongs to where that is not the root."""
    cli("terminate", order)
    assert cli("rerun", order, "--from", "reserve").out.startswith("order-7: RUNNING again, run 2")
    cli("terminate", order)
    assert cli("rerun", order, "--from", "reserve", "--in", order, "--json").json["run"] == 3
    assert cli("rerun", order, "--from", "nothing").code != 0
    assert cli("rerun", order).code == 2


def test_a_live_one_is_refused(cli: Cli, order: str) -> None:
    """Refused with the reason; nothing changed."""
    ran = cli("retry", order)
    assert (ran.code, "it is live" in ran.err) == (3, True)
