"""The relay that is killed in the middle of a write: what it leaves behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kernel
from tests.cli.stand import Cli


def test_half_a_document_is_never_seen(cli: Cli, order: str, tmp_path: Path) -> None:
    """Killed with half a document written, it leaves a claim and a temporary file, and no document."""
    cli("terminate", order)
    archive = tmp_path / "archive"
    command = [sys.executable, "-m", "kernel.cli.half_relay", "sqlite:///kernel.db", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout is not None
        half, _, whole = relay.stdout.readline().split()
        relay.kill()
    assert int(half) == int(whole) // 2 > 0
    (left,) = archive.iterdir()
    assert left.suffix == ".tmp"
    with kernel.open("sqlite:///kernel.db") as k:
        assert [d.state for d in k.deliveries()] == ["LEASED"]
        assert k.audit().clean
