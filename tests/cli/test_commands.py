"""start, pause, resume, terminate, signal, tick, deliver, redrive: what they do and what they say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import kernel
from kernel.sinks.directory import file_name
from kernel.stores.known import unknown
from kernel.testing.clock import ManualClock
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from tests.cli.stand import Cli, child, definition, task, write

DB = "sqlite:///kernel.db"


def test_start_registers_and_starts(cli: Cli, orders: str) -> None:
    """A definition of a file, by name; later by name alone; the same id and content again is the same workflow."""
    ran = cli("start", "order", "--file", orders, "--id", "order-7", "--input", '{"sku": 7}')
    assert (ran.code, ran.out) == (0, "order-7  ▶ RUNNING  order version 1\n")
    again = cli("start", "order", "--id", "order-7", "--input", '{"sku": 7}', "--json").json
    assert (again["id"], again["input"], again["version"]) == ("order-7", {"sku": 7}, 1)
    assert cli("start", "order", "--id", "order-7").code == 3
    assert cli("start", "order", "--json").json["id"].startswith("wf-")


def test_start_needs_no_name_where_there_is_one_definition(cli: Cli, tmp_path: Path, orders: str) -> None:
    """One definition in the file is meant; of several they are listed."""
    single = write(tmp_path / "single.json", definition("single", task("t")))
    assert "single version 1" in cli("start", "--file", single).out
    several = cli("start", "--file", orders)
    assert several.code == 2
    assert "'bill', 'order'" in several.err


def test_start_takes_input_from_a_file(cli: Cli, orders: str, tmp_path: Path) -> None:
    """@FILE holds the input."""
    (tmp_path / "input.json").write_text('{"sku": "größer"}')
    started = cli("start", "order", "--file", orders, "--input", "@input.json", "--json").json
    assert started["input"] == {"sku": "größer"}


def test_start_warns_of_what_has_no_effect(cli: Cli, tmp_path: Path) -> None:
    """A field that is not implemented is named on standard error."""
    path = write(tmp_path / "w.json", definition("w", task("t", startDelay=5), rateLimitConfig={"n": 1}))
    ran = cli("start", "--file", path, "--json")
    assert ran.json["name"] == "w"
    assert ran.err.count("warning: ") == 2
    assert "'rateLimitConfig' has no effect" in ran.err
    assert "'startDelay' has no effect" in ran.err


def test_start_takes_task_definitions_from_a_second_file(cli: Cli, tmp_path: Path) -> None:
    """For tasks that have none embedded; a fault in them names their file."""
    path = write(tmp_path / "w.json", definition("w", task("t")))
    known = write(tmp_path / "defs.json", {"name": "t", "inputTemplate": {"x": 1}})
    assert cli("start", "--file", path, "--task-defs", known, "--id", "w1").code == 0
    assert cli("show", "w1", "t", "--json").json["task"]["input"] == {"x": 1}
    write(tmp_path / "defs.json", {"name": "t", "retryCount": "many"})
    ran = cli("start", "--file", path, "--task-defs", known)
    assert ran.code == 5
    assert "defs.json', task definition 't', field 'retryCount'" in ran.err


def test_start_takes_children_from_the_folder(cli: Cli, tmp_path: Path, orders: str) -> None:
    """As kernel run does: from the folder of the file, unless a definition of the name is registered."""
    path = write(tmp_path / "parent.json", definition("parent", child("b", "bill"), child("n", "nowhere")))
    ran = cli("start", "--file", path, "--id", "p")
    assert "child 'bill' is taken from 'orders.json'" in ran.err
    assert "defines the child 'nowhere': the task that starts it will be rejected" in ran.err
    again = cli("start", "--file", path, "--id", "q")
    assert "is taken from" not in again.err


def test_start_says_why_a_workflow_failed_at_once(cli: Cli, tmp_path: Path) -> None:
    """The reason of the workflow stands under its state."""
    path = write(tmp_path / "parent.json", definition("parent", child("n", "nowhere")))
    ran = cli("start", "--file", path, "--id", "p")
    assert "✗ FAILED" in ran.out
    assert "reason   task 'n' FAILED_WITH_TERMINAL_ERROR" in ran.out
    assert "nowhere" in ran.out.partition("reason")[2]


def test_input_that_is_no_object(cli: Cli, orders: str) -> None:
    """Is told in words of JSON, before anything is written."""
    for given, words in (("[1]", "an array"), ("7", "a number"), ("true", "true or false"), ('"a"', "a text")):
        ran = cli("start", "order", "--file", orders, "--input", given)
        assert ran.code == 5
        assert f"why:     it is {words}, not an object with keys" in ran.err
    assert cli("list").code == 4


def test_start_says_to_which_topics_the_end_goes(cli: Cli, orders: str) -> None:
    """Topics belong to the definition: archive, or those that --topic names."""
    cli("start", "bill", "--file", orders, "--id", "b", "--topic", "archive", "--topic", "billing")
    assert "2 deliveries PENDING" in cli("terminate", "b").out
    assert {d["topic"] for d in cli("deliveries", "--json").json} == {"archive", "billing"}


def test_start_keeps_what_is_registered(cli: Cli, order: str, tmp_path: Path) -> None:
    """The same name and version with other content is refused."""
    other = write(tmp_path / "other.json", definition("order", task("x")))
    ran = cli("start", "--file", other)
    assert ran.code == 5
    assert "registered with other content" in ran.err


def test_pause_and_resume(cli: Cli, order: str) -> None:
    """Each is one commit; again is a no-op that says so."""
    assert cli("pause", order).out == "order-7: PAUSED, 1 commit (version 2)\n"
    assert cli("pause", order).out == "order-7: it is already PAUSED; nothing changed\n"
    assert cli("resume", order).out == "order-7: RUNNING, 1 commit (version 3)\n"
    assert cli("resume", order, "--json").json["no_op"] is True


def test_terminate_says_all_that_its_commit_did(cli: Cli, order: str) -> None:
    """How many workflows ended, tasks were CANCELED and deliveries are PENDING."""
    with kernel.open(DB) as k:
        (lease,) = k.poll("reserve")
        k.complete(lease)
    ran = cli("terminate", order, "--reason", "customer withdrew", "--actor", "ada")
    assert ran.out == ("order-7: TERMINATED, 1 commit (version 3), 2 workflows ended, 3 CANCELED, 2 deliveries PENDING\n")
    assert cli("terminate", order).out == "order-7: it is already TERMINATED; nothing changed\n"
    assert cli("show", order, "--json").json["workflow"]["reason"] == "customer withdrew"


def test_a_command_id_makes_a_command_idempotent(cli: Cli, order: str) -> None:
    """The same key gives the first outcome; the same key for another command is refused."""
    first = cli("pause", order, "--command-id", "c1")
    assert cli("pause", order, "--command-id", "c1").out == first.out
    assert cli("resume", order, "--command-id", "c1").code == 3


def test_an_outcome_has_an_exit_code(cli: Cli, order: str) -> None:
    """0 for a command that was applied, 1 for one that was not and never will be, 9 for one of long ago."""
    done = cli("terminate", order, "--command-id", "end", "--json").json
    ran = cli("outcome", "end", "--workflow", order)
    assert (ran.code, ran.out) == (0, "end: applied, 1 commit (version 2), 1 workflow ended, 3 CANCELED, 1 delivery PENDING\n")
    assert cli("outcome", "end", "--workflow", order, "--json").json == {"outcome": "Applied", **done}
    ran = cli("outcome", "late", "--workflow", order)
    assert (ran.code, ran.out) == (1, "late: not applied, and under this id it never will be\n")
    assert cli("outcome", "late", "--workflow", order, "--json").json == {"outcome": "NotApplied", "command_id": "late"}
    ran = cli("pause", order, "--command-id", "late")
    assert ran.code == 3
    assert "under this id nothing is applied any more" in ran.err
    with kernel.open(DB, clock=ManualClock(4_000_000_000.0)) as k:
        k.tick()
        assert isinstance(k.outcome("end", workflow_id=order), kernel.Expired)


def test_an_outcome_of_long_ago(cli: Cli) -> None:
    """Says when it was applied, and that no more is known."""
    with kernel.open(DB, clock=ManualClock(1_000_000_000.0)) as k:
        k.register(kernel.WorkflowDef("d", tasks=[kernel.TaskDef("t")]))
        k.start("d", command_id="begin")
    ran = cli("outcome", "begin")
    assert (ran.code, ran.out) == (9, "begin: applied at 2001-09-09 01:46:40 UTC; what came of it is no longer kept\n")


def test_an_unknown_outcome_has_an_exit_code(cli: Cli, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """8, and the command that tells."""
    def cut_off(*_: object, **__: object) -> None:
        raise unknown("kernel.db", "c1", order, "disk I/O error")

    monkeypatch.setattr(kernel.Kernel, "pause", cut_off)
    ran = cli("pause", order)
    assert ran.code == 8
    assert "try:     kernel outcome c1 --workflow order-7 tells" in ran.err


def test_a_command_id_is_for_one_delivery(cli: Cli, order: str) -> None:
    """With several it would be several commands."""
    assert cli("redrive", "a#1:t", "b#1:t", "--command-id", "x").code == 2
    assert cli("redrive", "--all", "--command-id", "x").code == 2


def test_signal(cli: Cli, order: str) -> None:
    """A signal, early or not, with its output."""
    ran = cli("signal", order, "approve", "--output", '{"by": "ada"}')
    assert (ran.code, ran.out) == (0, "order-7: 'approve' signalled, 1 commit (version 2)\n")
    with kernel.open(DB) as k:
        (lease,) = k.poll("reserve")
        k.complete(lease)
        (lease,) = k.poll("print")
        k.complete(lease)
    shown = cli("show", order, "approve", "--json").json["task"]
    assert (shown["state"], shown["output"]) == ("COMPLETED", {"by": "ada"})


def test_skip(cli: Cli, order: str) -> None:
    """A task that has not started is closed well; again it is refused."""
    ran = cli("skip", order, "reserve", "--reason", "in stock")
    assert (ran.code, ran.out) == (0, "order-7: 'reserve' SKIPPED, 1 commit (version 2)\n")
    assert cli("show", order, "reserve", "--json").json["task"]["state"] == "SKIPPED"
    assert cli("skip", order, "reserve").code == 3


def test_tick(cli: Cli, order: str) -> None:
    """What is due is done and counted by kind."""
    clock = ManualClock()
    with kernel.open(DB, clock=clock) as k:
        k.register(kernel.WorkflowDef("short", tasks=[kernel.TaskDef("t")], timeout=1.0))
        k.start("short", workflow_id="short")
    assert cli("tick").out == "1 timer: 0 expired, 0 woken, 1 timed out, 0 released\n"
    assert cli("tick", "--json").json == {"expired": 0, "woken": 0, "timed_out": 0, "released": 0,
                                          "forgotten": 0}


def test_deliver(cli: Cli, order: str, tmp_path: Path) -> None:
    """The document is in the archive; what was done stands in a line for each, and in a sum."""
    cli("terminate", order)
    ran = cli("deliver", "--archive", "archive")
    assert ran.code == 0
    assert "order-7#1:archive  ✓ DELIVERED  sha256:" in ran.out
    assert ran.out.endswith("1 DELIVERED, 0 to be tried again, 0 DEAD\n")
    document = json.loads((tmp_path / "archive" / file_name("order-7", 1)).read_text())
    assert document["workflow"]["state"] == "TERMINATED"
    ran = cli("deliver", "--archive", "archive", "--json")
    assert (ran.code, ran.json) == (0, {"outcomes": [], "obstacles": []})


def test_notices_go_into_a_directory(cli: Cli, orders: str, tmp_path: Path) -> None:
    """Each is a file, of the statuses that start asked for; deliveries shows them like all others, redrive takes their ids."""
    cli("start", "bill", "--file", orders, "--id", "w", "--notify", "running", "--notify", "PAUSED")
    cli("pause", "w", "--reason", "lunch")
    cli("terminate", "w")
    assert "w#1:notify@2.PAUSED" in cli("deliveries").out
    assert cli("redrive", "w#1:notify@2.PAUSED").code == 0
    assert "no --notices DIR, nor KERNEL_NOTICES: deliveries of topic 'notify' stay PENDING" in cli("deliver").err
    ran = cli("deliver", "--notices", "told")
    assert "w#1:notify@1.RUNNING  ✓ DELIVERED  sha256:" in ran.out
    assert ran.out.endswith("2 DELIVERED, 0 to be tried again, 0 DEAD\n")
    assert json.loads((tmp_path / "told" / file_name("w", 1, 2, "PAUSED")).read_text())["reason"] == "lunch"
    assert "--notices" not in cli("deliver").err
    assert cli("start", "bill", "--id", "v", "--notify", "PAUSED").code == 2


def test_the_environment_stands_in(
    cli: Cli, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KERNEL_ARCHIVE and KERNEL_DB stand in for the options."""
    cli("terminate", order)
    (tmp_path / "kernel.db").rename(tmp_path / "other.db")
    monkeypatch.setenv("KERNEL_DB", "other.db")
    monkeypatch.setenv("KERNEL_ARCHIVE", "elsewhere")
    assert cli("deliver").out.endswith("1 DELIVERED, 0 to be tried again, 0 DEAD\n")
    assert (tmp_path / "elsewhere" / file_name("order-7", 1)).exists()


def test_a_delivery_that_fails_changes_no_workflow(cli: Cli, order: str, tmp_path: Path) -> None:
    """What failed waits for its next attempt, and says when; the exit code is 1."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive" / file_name(order, 1)).write_text("something else")
    cli("terminate", order)
    before = cli("tree", order, "--json").out
    ran = cli("deliver", "--archive", "archive")
    assert ran.code == 1
    assert "FileExistsError" in ran.out
    assert "; again in 0." in ran.out
    assert ran.out.endswith("0 DELIVERED, 1 to be tried again, 0 DEAD\n")
    assert cli("tree", order, "--json").out == before


def test_an_archive_that_cannot_be_written_costs_no_attempt(cli: Cli, order: str, tmp_path: Path) -> None:
    """A wrong --archive is told, the exit code is 1, and nothing was claimed."""
    (tmp_path / "archive").write_text("a file where the directory should be")
    cli("terminate", order)
    ran = cli("deliver", "--archive", "archive")
    assert ran.code == 1
    assert "topic 'archive' takes nothing now: NotADirectoryError" in ran.out
    assert ran.out.endswith("0 DELIVERED, 0 to be tried again, 0 DEAD\n")
    (found,) = cli("deliveries", "--json").json
    assert (found["state"], found["attempt"]) == ("PENDING", 0)


def test_redrive(cli: Cli, order: str) -> None:
    """A DEAD delivery gets all its attempts again: by its id, or with all others."""
    with kernel.open(DB, attempts=2) as k:
        k.terminate(order)
    clock = ManualClock(4_000_000_000.0)
    with kernel.open(DB, clock=clock, sinks={"archive": FaultySink(MemoryArchive(), [Behaviour.RAISE] * 2)}) as k:
        for _ in range(2):
            k.deliver()
            clock.advance(1000)
    assert "2 of 2" in cli("deliveries").out
    assert "try:     kernel deliveries" in cli("redrive", "nobody#1:archive").err
    assert cli("redrive", "order-7#1:archive").out == "order-7#1:archive: PENDING again\n"
    assert cli("redrive", "order-7#1:archive").out == "order-7#1:archive: it is already PENDING; nothing changed\n"
    assert cli("redrive", "--all", "--json").json == []
    assert cli("redrive", "--all").out == "no delivery is DEAD\n"
    assert cli("redrive", "--all", "order-7#1:archive").code == 2
