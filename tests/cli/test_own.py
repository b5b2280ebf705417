"""`--spec FILE`: a specification of one's own with the same commands, and what is told of a file that is none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kernel.cli import spec as commands
from kernel.formal.provers import Verdict
from tests.cli.stand import Cli

ORDER = str(Path(__file__).parents[1] / "examples" / "order.py")


def test_check_explores_it(cli: Cli) -> None:
    """Its shapes by name, with every engine that is asked for."""
    ran = cli("spec", "check", "--spec", ORDER, "--engine", "python")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()[:4]] == ["one", "two_parcels", "two_shipments", "several"]
    assert "4 shapes, engines: python" in ran.out
    assert "several" in cli("spec", "check", "--spec", ORDER, "--config", "nested").err


def test_prove_proves_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands and rules, each by name."""
    monkeypatch.setattr(commands, "PROVERS", {"z3": lambda o: Verdict(o.name, "z3", len(o.goals), 0.1)})
    ran = cli("spec", "prove", "--spec", ORDER)
    assert ran.code == 0
    assert "HAND_OVER" in ran.out
    assert "z3: 144 of 144 goals proved" in ran.out
    assert cli("spec", "prove", "--spec", ORDER, "--step", "TERMINATE").code == 5


def test_export_writes_it(cli: Cli, tmp_path: Path) -> None:
    """In every format; models of every shape unless one is named."""
    cli("spec", "export", str(tmp_path / "all"), "--spec", ORDER)
    assert len(list((tmp_path / "all").iterdir())) == 3 * 4
    formats = [word for name in ("smt", "json", "mermaid") for word in ("--format", name)]
    told = json.loads(cli("spec", "export", str(tmp_path / "more"), "--spec", ORDER, *formats, "--json").out)
    names = {Path(path).name for path in told["written"]}
    assert {"specification.json", "order.mmd", "cascade.mmd", "RING.smt2", "at_rest.smt2"} <= names
    assert not {name for name in names if name.endswith((".pml", ".tla"))}
    assert json.loads((tmp_path / "more" / "specification.json").read_text())["kinds"]["parcel"]["badly"] == [
        "MISSING", "RETURNED"]


def test_the_law_is_exported_too(cli: Cli, tmp_path: Path) -> None:
    """As JSON and as Mermaid."""
    cli("spec", "export", str(tmp_path), "--format", "json", "--format", "mermaid")
    assert {path.name for path in tmp_path.iterdir()} == {
        "specification.json", "workflow.mmd", "task.mmd", "delivery.mmd", "cascade.mmd"}


def test_diagram_draws_it(cli: Cli, tmp_path: Path) -> None:
    """A picture of each of its lifecycles, and of its cascades."""
    cli("diagram", str(tmp_path), "--spec", ORDER)
    assert {"order.dot", "shipment.mmd", "parcel.dot", "cascade.mmd"} <= {path.name for path in tmp_path.iterdir()}


FLAWED = """
from attrs import evolve
from tests.examples import order
SPEC = evolve(order.SPEC, progress=order.SPEC.progress[:2] * 2)
"""


def test_mistakes_are_told(cli: Cli, tmp_path: Path) -> None:
    """`check` lists them and explores nothing; the other commands refuse."""
    path = tmp_path / "flawed.py"
    path.write_text(FLAWED)
    ran = cli("spec", "check", "--spec", str(path))
    assert ran.code == 1
    assert "flaw  named: ORDER_COMPLETE: two steps have this name" in ran.out
    assert "0 shapes, engines: none" in ran.out
    for command in (("spec", "prove"), ("spec", "export", str(tmp_path)), ("diagram", str(tmp_path))):
        ran = cli(*command, "--spec", str(path))
        assert ran.code != 0
        assert "two steps have this name" in ran.err


FILES = {
    "there is no such file": None,
    "it has no SPEC that is a kernel.spec.Spec": "SPEC = 1",
    "running it raises ZeroDivisionError: division by zero": "1 / 0",
    "running it raises SystemExit: 3": "raise SystemExit(3)",
    "running it raises SyntaxError": "SPEC =",
    "its SHAPES are not kernel.formal.rows.Rows by name": "from tests.examples.order import SPEC\nSHAPES = {'one': 1}",
    "the rows of a shape": "from tests.examples.order import SPEC\nfrom kernel.formal.rows import One, Rows\n"
                           "SHAPES = {'one': Rows((One('order', 'o-1'),))}",
    "why:     it is odd": "from kernel.errors import InvalidInput\nraise InvalidInput('a thing', why='it is odd')",
}


@pytest.mark.parametrize("said", FILES)
def test_a_file_that_is_no_specification(said: str, cli: Cli, tmp_path: Path) -> None:
    """What is wrong with it is told, without a traceback."""
    path, text = tmp_path / "own.py", FILES[said]
    if text is not None:
        path.write_text(text)
    ran = cli("spec", "check", "--spec", str(path), "--engine", "python")
    assert ran.code not in (0, 1)
    assert said in ran.err


def test_a_file_that_is_no_python(cli: Cli, tmp_path: Path) -> None:
    """It has to end in .py."""
    (tmp_path / "own.txt").write_text("SPEC = 1")
    assert "name a file that ends in .py" in cli("spec", "prove", "--spec", str(tmp_path / "own.txt")).err


def test_a_file_finds_what_is_beside_it(cli: Cli, tmp_path: Path) -> None:
    """As with `python FILE`; afterwards Python looks where it looked before."""
    (tmp_path / "beside_it.py").write_text("from tests.examples.order import SHAPES, SPEC")
    (tmp_path / "own.py").write_text("from beside_it import SHAPES, SPEC")
    before = [*sys.path]
    assert cli("spec", "check", "--spec", str(tmp_path / "own.py"), "--engine", "python", "--config", "one").code == 0
    assert sys.path == before


def test_a_file_without_shapes(cli: Cli, tmp_path: Path) -> None:
    """Its tables are looked through; that nothing was explored is said."""
    (tmp_path / "own.py").write_text("from tests.examples.order import SPEC")
    ran = cli("spec", "check", "--spec", str(tmp_path / "own.py"))
    assert (ran.code, "nothing was explored" in ran.err) == (0, True)
