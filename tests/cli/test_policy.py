"""`kernel policy` and `kernel deliver --now`: shown, set, given back, and obeyed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.stand import Cli


@pytest.mark.parametrize(("options", "words"), [
    (["--at-once"], "every run, at once"),
    (["--off"], "nothing is archived"),
    (["--every", "90", "--unsuccessful-only"], "runs that end unsuccessfully, in rounds every 90 s"),
    (["--daily", "02:00", "--zone", "Europe/Berlin", "--window", "7200"],
     "every run, daily from 02:00 Europe/Berlin for 2:00:00"),
    (["--retention", "86400"], "every run, at once; rows are kept for 1 day, 0:00:00"),
])
def test_set_and_shown(cli: Cli, order: str, options: list[str], words: str) -> None:
    """What is set is shown, by this call and by the next; --of-definitions gives it back."""
    own = "archive policy: that of each definition\n"
    assert cli("policy").out == own
    assert cli("policy", *options).out == f"archive policy: {words}\n"
    assert cli("policy").out == f"archive policy: {words}\n"
    assert cli("policy", "--of-definitions").out == own
    assert json.loads(cli("policy", "--json").out) is None


@pytest.mark.parametrize("options", [
    ["--of-definitions", "--off"], ["--at-once", "--off"], ["--every", "60", "--at-once"], ["--zone"],
])
def test_what_excludes_each_other(cli: Cli, order: str, options: list[str]) -> None:
    """The command line is wrong, and nothing is set."""
    assert cli("policy", *options).code == 2
    assert "each definition" in cli("policy").out


@pytest.mark.parametrize("options", [["--every", "60", "--daily", "02:00"], ["--daily", "25:00"], ["--every", "0.1"],
                                     ["--daily", "02:00", "--zone", "Europe/Atlantis"]])
def test_what_is_no_policy(cli: Cli, order: str, options: list[str]) -> None:
    """An error of ours, and nothing is set."""
    assert cli("policy", *options).code == 5
    assert "each definition" in cli("policy").out


def test_deliver_now(cli: Cli, order: str, tmp_path: Path) -> None:
    """What waits for its round is delivered out of turn when an operator says so."""
    cli("policy", "--every", "864000")
    cli("terminate", order)
    assert cli("deliver", "--archive", "there").out == "0 DELIVERED, 0 to be tried again, 0 DEAD\n"
    ran = cli("deliver", "--archive", "there", "--now")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "1 DELIVERED, 0 to be tried again, 0 DEAD")
    assert len(list((tmp_path / "there").iterdir())) == 1
