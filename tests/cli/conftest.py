"""Fixtures of the tests of the command line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from kernel.cli.main import call
from tests.cli.stand import Cli, Ran, child, definition, task, wait, write


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Calls the command in a folder of its own, where temporary folders are made, too; without its environment variables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("KERNEL_DB", "KERNEL_ARCHIVE", "KERNEL_ACTOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*args: object) -> Ran:
        capsys.readouterr()
        code = call([str(arg) for arg in args])
        found = capsys.readouterr()
        return Ran(code, found.out, found.err)

    return run


@pytest.fixture
def orders(tmp_path: Path) -> str:
    """A file with the definition `order`: reserve, then the sub-workflow bill, then the waiting task approve."""
    return write(
        tmp_path / "orders.json",
        definition("bill", task("print")),
        definition("order", task("reserve"), child("bill", "bill"), wait("approve")))


@pytest.fixture
def order(cli: Cli, orders: str) -> str:
    """The id of a running workflow of `order`."""
    assert cli("start", "order", "--file", orders, "--id", "order-7").code == 0
    return "order-7"
