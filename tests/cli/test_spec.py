"""`kernel spec check | prove | export`: what people see of the engines and provers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kernel.cli import spec as commands
from kernel.errors import NotFound
from kernel.formal.configurations import SHOWN
from kernel.formal.provers import Verdict
from kernel.formal.story import Result
from tests.cli.stand import Cli


def test_check_shows_that_engines_agree(cli: Cli) -> None:
    """A line for each shape, a total for each engine, exit code 0."""
    ran = cli("spec", "check", "--config", "one", "--config", "nested", "--engine", "python")
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("one ")
    assert "holds" in ran.out
    assert "2 shapes, engines: python" in ran.out


def test_check_as_json(cli: Cli) -> None:
    """One value with the results of every engine."""
    ran = cli("spec", "check", "--config", "one", "--engine", "python", "--json")
    told = json.loads(ran.out)
    assert told["ok"] is True
    assert told["flaws"] == []
    assert told["configs"]["one"][0]["engine"] == "python"


def test_check_tells_a_disagreement_and_a_story(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that see different numbers DIFFER; what is broken is told step by step, with what was promised; exit code 1."""
    broken = Result("python", 7, 9, 0.0, ("INV-01 w",), ("START w", "TERMINATE w"))
    monkeypatch.setattr(commands, "ENGINES", {"python": lambda *_: broken, "spin": lambda *_: Result("spin", 8, 9, 0.0)})
    ran = cli("spec", "check", "--config", "one")
    assert ran.code == 1
    for words in ("DIFFER", "1. START w", "2. TERMINATE w", "INV-01 w: A terminal workflow has no open task"):
        assert words in ran.out


def test_check_tells_what_is_broken(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all engines find something nothing DIFFERs, however far each came."""
    monkeypatch.setattr(commands, "ENGINES", {
        name: lambda *_, name=name, states=states: Result(name, states, 9, 0.0, ("INV-01 w",), ("START w",))
        for name, states in (("python", 7), ("spin", 8))})
    ran = cli("spec", "check", "--config", "one")
    assert ran.code == 1
    assert "BROKEN" in ran.out
    assert "DIFFER" not in ran.out


def test_check_says_what_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is not installed is left out, with what to install; the others run."""
    def missing(*_: object) -> Result:
        raise NotFound("running Spin", why="the program is not installed", hint="install Debian's spin")

    monkeypatch.setattr(commands, "ENGINES", {"python": lambda *_: Result("python", 1, 1, 0.0), "spin": missing})
    ran = cli("spec", "check", "--config", "one")
    assert ran.code == 0
    assert "left out: spin: the program is not installed; install Debian's spin" in ran.err


def test_an_unknown_shape_is_refused(cli: Cli) -> None:
    """The names that there are stand in the message."""
    ran = cli("spec", "check", "--config", "nope")
    assert ran.code == 5
    assert "nested" in ran.err


@pytest.mark.parametrize(("shape", "engine", "able"), [("vast", "spin", "python"), ("fork_late", "tlc", "python, spin")])
def test_an_engine_that_is_too_small_is_refused(cli: Cli, shape: str, engine: str, able: str) -> None:
    """Who asks for a large shape is told which engines explore it; nothing is not an answer."""
    ran = cli("spec", "check", "--config", shape, "--engine", engine)
    assert ran.code == 5
    assert f"it is too large for {engine}" in ran.err
    assert ran.err.rstrip().endswith(able)


def test_prove_shows_each_step(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each step and prover; what is left open is named, with exit code 1."""
    monkeypatch.setattr(commands, "PROVERS", {
        "cvc5": lambda o: Verdict(o.name, "cvc5", 3, 0.1), "z3": lambda o: Verdict(o.name, "z3", 3, 0.1, ("INV-01: unknown",))})
    ran = cli("spec", "prove", "--step", "POLL")
    assert ran.code == 1
    assert "3 of  3  proved" in ran.out
    assert "2 of  3  open" in ran.out
    assert "INV-01: unknown" in ran.out
    assert "cvc5: 3 of 3 goals proved" in ran.out
    assert json.loads(cli("spec", "prove", "--step", "POLL", "--json").out)["ok"] is False


def test_prove_of_nothing_is_refused(cli: Cli) -> None:
    """The steps that there are stand in the message."""
    ran = cli("spec", "prove", "--step", "NOPE")
    assert ran.code == 5
    assert "TERMINATE" in ran.err
    assert "proving 'NOPE'" in cli("spec", "prove", "--step", "POLL", "--step", "NOPE").err


def test_export_writes_models(cli: Cli, tmp_path: Path) -> None:
    """The models that are shown, or one, or the obligations."""
    ran = cli("spec", "export", str(tmp_path / "all"))
    assert ran.code == 0
    assert len(list((tmp_path / "all").iterdir())) == 3 * len(SHOWN)
    cli("spec", "export", str(tmp_path / "one"), "--config", "fork", "--format", "promela")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["fork.pml"]
    told = json.loads(cli("spec", "export", str(tmp_path / "smt"), "--format", "smt", "--json").out)
    assert str(tmp_path / "smt" / "TERMINATE.smt2") in told["written"]
    assert "(check-sat)" in (tmp_path / "smt" / "TERMINATE.smt2").read_text()
