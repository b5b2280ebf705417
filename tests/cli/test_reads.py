"""list, show, tree, history, deliveries, audit: what they print, as text and as JSON, page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

import kernel
from kernel.sinks.directory import file_name
from kernel.stores.sqlite import SqliteStore
from kernel.testing.planted import ElevenStepKernel
from kernel.testing.sinks import Behaviour, FaultySink, MemoryArchive
from tests.cli.stand import Cli

DB = "sqlite:///kernel.db"


def test_late_results_are_shown(cli: Cli, order: str) -> None:
    """With the workflow, its task, and behind its history; as JSON where there is a place for them."""
    with kernel.open(DB) as k:
        (lease,) = k.poll("reserve", worker="w1")
        k.terminate(order)
        with pytest.raises(kernel.Fenced):
            k.complete(lease, output={"n": "x" * 20_000})
        with pytest.raises(kernel.Fenced):
            k.fail(lease, reason="too slow")
    told = [f"late: {what}" for what in ("COMPLETE of reserve, attempt 1, by w1 at", "FAIL of reserve, attempt 1, by w1 at")]
    for command in (("show", order), ("show", order, "reserve"), ("history", order)):
        out = cli(*command).out
        assert all(line in out for line in told)
        assert "20,008 bytes, not kept" in out
        assert "failed: too" in out
    assert [each["event"] for each in cli("show", order, "--json").json["late"]] == ["COMPLETE", "FAIL"]
    assert len(cli("show", order, "reserve", "--json").json["late"]) == 2
    assert "late: " not in cli("show", order, "approve").out


def test_list_shows_pages(cli: Cli, order: str) -> None:
    """A listing is cut at its limit, says how it continues, and the pages together are the whole."""
    for name in ("a", "b", "c"):
        cli("start", "order", "--id", name)
    whole = [w["id"] for w in cli("list", "--json").json["items"]]
    assert whole == ["a", "b", "c", "order-7"]
    first = cli("list", "--limit", 2)
    assert "more: --after b" in first.out
    second = cli("list", "--limit", 2, "--after", "b", "--json").json
    assert ([w["id"] for w in second["items"]], second["after"]) == (whole[2:], None)


def test_list_filters(cli: Cli, order: str) -> None:
    """By state, in any case of letters, and by definition; an empty answer says so."""
    cli("terminate", order)
    assert "TERMINATED" in cli("list", "--state", "terminated").out
    assert cli("list", "--state", "running").out == "no workflow\n"
    assert order in cli("list", "--name", "order").out
    assert cli("list", "--name", "bill").out == "no workflow\n"


def test_show_says_what_is_allowed_and_why_the_rest_is_not(cli: Cli, order: str) -> None:
    """A workflow with its tasks; every command that it could be given stands there, allowed or with its reason."""
    ran = cli("show", order)
    assert ran.out.startswith("order-7  ▶ RUNNING\n  definition order version 1\n")
    assert "reserve  ○ SCHEDULED  worker" in ran.out
    assert "allowed now: PAUSE, TERMINATE\n" in ran.out
    assert "  not RESUME     it is already RUNNING\n" in ran.out
    assert "  not TIME_OUT   its deadline has not passed  (guard: deadline passed)\n" in ran.out
    value = cli("show", order, "--json").json
    assert {*value} == {"workflow", "tasks", "deliveries", "late", "choices"}
    assert value["workflow"]["started"].endswith("Z")


def test_show_of_an_ended_workflow_shows_its_deliveries(cli: Cli, order: str) -> None:
    """After its end it can only be re-opened, and its delivery stands below."""
    cli("terminate", order, "--reason", "customer withdrew")
    ran = cli("show", order)
    assert "delivery order-7#1:archive  · PENDING" in ran.out
    assert "allowed now: RETRY, RESTART, RERUN\n" in ran.out
    assert "customer withdrew" in ran.out


def test_show_of_a_task(cli: Cli, order: str) -> None:
    """One task: its facts, and what could be done with it."""
    ran = cli("show", order, "approve")
    assert ran.out.startswith("approve of order-7  · PENDING\n  type       approve (wait)\n")
    assert "allowed now: SIGNAL, SKIP\n" in ran.out
    assert "  not POLL " in ran.out
    assert cli("show", order, "approve", "--json").json["task"]["ref"] == "approve"


def test_show_of_what_another_run_has(cli: Cli, order: str) -> None:
    """Tasks that were spawned, and sub-workflows, stay readable when they are there no more; nothing is allowed of them."""
    with kernel.open(DB) as k:
        k.complete(k.poll("reserve")[0], spawn=[kernel.TaskDef("gift")])
        k.terminate(order)
        k.restart(order)
    assert "gift of order-7  ⊘ CANCELED\n  type       gift (worker)\n" in cli("show", order, "gift", "--run", 1).out
    assert "  spawned by reserve\n" in cli("show", order, "gift", "--run", 1).out
    assert cli("show", order, "gift", "--run", 1, "--json").json["choices"] == []
    assert "allowed now: nothing" in cli("show", f"{order}/bill", "--run", 1).out
    assert cli("show", f"{order}/bill", "print", "--run", 1).code == 0
    gone, bill = cli("show", order, "gift"), cli("show", f"{order}/bill")
    assert (gone.code, bill.code) == (4, 4)
    assert "run 2 has no such task" in gone.err
    assert f"kernel show {order}/bill --run 1" in bill.err


def test_tree(cli: Cli, order: str) -> None:
    """The drawing, and the same as nested JSON."""
    assert cli("tree", order).out == (
        "order-7     ▶ RUNNING      order version 1, run 1, version 1\n"
        "├─ reserve  ○ SCHEDULED    type reserve\n"
        "├─ bill     · PENDING\n"
        "└─ approve  · PENDING\n")
    value = cli("tree", order, "--json").json
    assert [t["ref"] for t in value["tasks"]] == ["reserve", "bill", "approve"]
    assert value["children"] == []


def test_history_page_by_page(cli: Cli, order: str) -> None:
    """Every line of every commit, in order, with who gave the command; cut at the limit, and it says how to go on."""
    cli("pause", order, "--actor", "ada", "--reason", "lunch\tbreak")
    lines = cli("history", order, "--json").json
    assert [line["event"] for line in lines] == ["START", "CREATE", "SCHEDULE", "PAUSE"]
    assert (lines[-1]["actor"], lines[-1]["reason"]) == ("ada", "lunch\tbreak")
    shown = cli("history", order, "--limit", 2).out
    assert "3 tasks  CREATE" in shown
    assert f"more: --after {lines[1]['seq']}\n" in shown
    rest = cli("history", order, "--after", lines[1]["seq"]).out
    assert "PAUSE (ada)" in rest
    assert "lunch\\tbreak" in rest


def test_history_of_the_whole_tree(cli: Cli, order: str) -> None:
    """With --below, lines of sub-workflows say whose they are; of a whole tree in the order in which it happened."""
    with kernel.open(DB) as k:
        (lease,) = k.poll("reserve", worker="w1")
        k.complete(lease)
    assert "order-7/bill" not in cli("history", order).out
    below = cli("history", order, "--below").out
    assert "print of order-7/bill" in below
    assert "1 task of order-7/bill" in below


def test_deliveries(cli: Cli, order: str) -> None:
    """The outbox: nothing, then what is pending, then the proof; filtered by state and workflow."""
    assert cli("deliveries").out == "no delivery\n"
    cli("terminate", order)
    assert "order-7#1:archive  · PENDING  0 of 100" in cli("deliveries").out
    cli("deliver", "--archive", "a")
    assert "✓ DELIVERED  1 of 100  sha256:" in cli("deliveries", "--state", "delivered").out
    assert cli("deliveries", "--state", "DEAD").out == "no delivery\n"
    assert cli("deliveries", "--workflow", "other").out == "no delivery\n"
    assert "more: --after order-7#1:archive" in cli("deliveries", "--limit", 1).out


def test_deliveries_tell_the_error_and_when_it_goes_on(cli: Cli, order: str, tmp_path: Path) -> None:
    """What failed says why, and when it is tried again."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / file_name(order, 1)).write_text("something else")
    cli("terminate", order)
    cli("deliver", "--archive", "a")
    assert "FileExistsError" in cli("deliveries").out
    assert "; due 20" in cli("deliveries").out


def test_audit(cli: Cli, order: str) -> None:
    """A clean store is clean, and the exit code is 0."""
    ran = cli("audit")
    assert (ran.code, ran.out) == (0, "audit: 0 findings in 1 workflow, 3 tasks, 0 deliveries\n")


def test_audit_finds_what_the_old_order_leaves(cli: Cli, orders: str, tmp_path: Path) -> None:
    """Findings are listed with invariant and place, and the exit code is 1."""
    archive = FaultySink(MemoryArchive(), [Behaviour.RAISE])
    with ElevenStepKernel(SqliteStore(str(tmp_path / "kernel.db")), sinks={"archive": archive}) as k:
        k.register(*kernel.load_definitions(orders, topics=("archive",)))
        k.start("order", workflow_id="order-7")
        with pytest.raises(OSError, match="the archive is broken"):
            k.terminate("order-7")
    ran = cli("audit")
    assert ran.code == 1
    assert "INV-01  order-7, reserve (run 1): SCHEDULED under TERMINATED\n" in ran.out
    value = cli("audit", "--json")
    assert value.code == 1
    assert {f["invariant"] for f in value.json["findings"]} >= {"INV-01", "INV-13"}


def test_text_of_users_is_escaped_everywhere(cli: Cli, order: str) -> None:
    """A reason with a line break or a tab stays on its line, in every command that prints it."""
    cli("terminate", order, "--reason", "one\ntwo\tthree")
    for args in (["list"], ["show", order], ["tree", order], ["history", order], ["show", order, "reserve"]):
        ran = cli(*args)
        assert "one\\ntwo\\tthree" in ran.out, args
        assert "\t" not in ran.out
