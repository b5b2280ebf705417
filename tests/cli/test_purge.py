"""`kernel purge`: one tree, or all that ended long ago, with progress; and what `kernel show` tells of a tree that is gone."""

from __future__ import annotations

import pytest

from tests.cli.stand import Cli


@pytest.fixture
def gone(cli: Cli, order: str) -> str:
    """A workflow that ended, was archived, and was purged."""
    cli("terminate", order, "--reason", "withdrawn")
    cli("deliver", "--archive", "there")
    assert cli("purge", order).out == f"{order}: purged, 1 commit\n"
    return order


def ended(cli: Cli, orders: str, *names: str) -> None:
    """Workflows that ended and were archived."""
    for name in names:
        cli("start", "order", "--file", orders, "--id", name)
        cli("terminate", name)
    cli("deliver", "--archive", "there")


def test_a_tree_is_purged(cli: Cli, gone: str) -> None:
    """Nothing is left but its tombstone: the id is not used again, and whoever asks is told so."""
    assert cli("list").out == "no workflow\n"
    for args in (("purge", gone), ("terminate", gone), ("tree", gone)):
        ran = cli(*args)
        assert ran.code == 4
        assert f"'{gone}' (TERMINATED, run 1) was purged at" in ran.err
    ran = cli("start", "order", "--id", gone)
    assert ran.code == 3
    assert "was purged at" in ran.err
    assert cli("audit").code == 0


def test_what_lives_or_is_not_delivered_stays(cli: Cli, order: str) -> None:
    """It is refused, and says why."""
    ran = cli("purge", order)
    assert (ran.code, ran.out) == (3, "")
    cli("terminate", order)
    ran = cli("purge", order)
    assert ran.code == 3
    assert "GuardRefused" in ran.err
    assert "kernel deliver --archive DIR delivers what is open" in ran.err
    assert cli("show", order).code == 0


def test_show_of_a_purged_workflow(cli: Cli, gone: str) -> None:
    """Its archive tells of it, and the first line says so."""
    ran = cli("show", gone, "--archive", "there")
    assert ran.code == 0
    first, *facts = ran.out.splitlines()
    assert first == f"{gone}  ■ TERMINATED  purged; this is what its archive tells"
    assert {line.split()[0] for line in facts} >= {"definition", "run", "started", "purged", "reason", "input"}
    assert "withdrawn" in ran.out
    told = cli("show", gone, "--archive", "there", "--json").json
    assert (told["workflow"]["state"], told["tasks"], told["choices"]) == ("TERMINATED", [], [])
    assert told["workflow"]["purged"] is not None


def test_show_without_the_archive(cli: Cli, gone: str) -> None:
    """Then only the tombstone tells: that it was purged, and what to do to read it."""
    for args in ((), ("a",)):
        ran = cli("show", gone, *args)
        assert ran.code == 4
        assert "its rows were removed" in ran.err
        assert "--archive DIR" in ran.err or args
    assert cli("show", gone, "a", "--archive", "there").code == 4


def test_all_that_ended_goes_with_progress(cli: Cli, orders: str) -> None:
    """A batch at a time, each told on the error output; the end says how many are gone."""
    ended(cli, orders, "a", "b", "c", "d", "e")
    cli("start", "order", "--file", orders, "--id", "f")
    ran = cli("purge", "--older-than", "0", "--batch", "2")
    assert (ran.code, ran.out) == (0, "5 trees purged, 0 left\n")
    assert ran.err.splitlines() == ["2 purged, 0 left, up to b", "4 purged, 0 left, up to d"]
    assert [w["id"] for w in cli("list", "--json").json["items"]] == ["f"]
    assert cli("purge", "--older-than", "0", "--json").json == {"purged": 0, "kept": []}


def test_what_may_not_go_is_named(cli: Cli, orders: str) -> None:
    """Each with the reason, and the exit code says that something is left; what is too young is not even looked at."""
    ended(cli, orders, "a")
    cli("start", "order", "--file", orders, "--id", "b")
    cli("terminate", "b")
    assert cli("purge", "--older-than", "86400").out == "0 trees purged, 0 left\n"
    ran = cli("purge", "--older-than", "0")
    assert ran.code == 1
    left, counted = ran.out.splitlines()
    assert left.startswith("b  left: ")
    assert counted == "1 tree purged, 1 left"
    kept = cli("purge", "--older-than", "0", "--json").json["kept"]
    assert [each["workflow_id"] for each in kept] == ["b"]


@pytest.mark.parametrize("args", [(), ("a", "--older-than", "0"), ("--older-than", "0", "--command-id", "x")])
def test_what_makes_no_sense(cli: Cli, orders: str, args: tuple[str, ...]) -> None:
    """The command line is wrong, and nothing is purged."""
    assert cli("purge", *args).code == 2
