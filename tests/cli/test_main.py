"""The entry point: the commands that exist, exit codes, errors in words and as JSON, never a traceback."""

from __future__ import annotations

import errno
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

import kernel
from kernel import errors
from kernel.cli import main
from kernel.cli.exits import EXITS, code_of
from tests.cli.stand import Cli

COMMANDS = ["demo", "run", "start", "list", "show", "tree", "history", "pause", "resume", "terminate", "signal", "skip",
            "retry", "restart", "rerun", "worker", "daemon", "tick", "deliver", "deliveries", "redrive", "outcome", "policy",
            "purge", "audit", "verify", "diagram", "faults",
            "spec"]


def test_the_commands_are_those_that_exist() -> None:
    """The commands are listed in the order in which people meet them, and there are no others."""
    assert main.cli.list_commands(click.Context(main.cli)) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits(cli: Cli, name: str) -> None:
    """Every command explains itself and each of its options; its first sentence is not cut off in the list."""
    ran = cli(name, "--help")
    assert ran.code == 0
    command = main.cli.get_command(click.Context(main.cli), name)
    assert command is not None
    assert command.help
    for parameter in command.params:
        assert isinstance(parameter, click.Argument) or parameter.help, parameter.name
    line = next(line for line in cli("--help").out.splitlines() if line.startswith(f"  {name} "))
    assert not line.endswith("...")


def test_help_of_the_group_lists_the_exit_codes(cli: Cli) -> None:
    """The exit codes are documented where people look."""
    text = " ".join(cli("--help").out.split())
    for code, meaning in EXITS:
        assert f"{code} {meaning}" in text


def test_version(cli: Cli) -> None:
    """The version is that of the package."""
    assert kernel.__version__ == version("lifecycle-kernel")
    assert kernel.__version__ in cli("--version").out


def test_a_command_imports_what_it_needs() -> None:
    """What checks, draws, proves and breaks things is not imported for a command that does none of that."""
    code = "import sys, kernel.cli.main; print(*(name for name in sys.modules if name.startswith('kernel.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = {".".join(name.split(".")[:2]) for name in done.stdout.split()}
    assert "kernel.stores" in found
    assert not found & {"kernel.testing", "kernel.render"}
    assert not {"kernel.cli.demo", "kernel.cli.kit", "kernel.cli.spec", "importlib.metadata"} & {*done.stdout.split()}


def test_nothing_given_shows_help(cli: Cli) -> None:
    """`kernel` alone shows what there is, and is a usage error."""
    ran = cli()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


@pytest.mark.parametrize(("args", "code", "kind", "words"), [
    (["frobnicate"], 2, "UsageError", "No such command"),
    (["lst"], 2, "UsageError", "list"),
    (["--db", "x", "list"], 2, "UsageError", "--db comes behind the command"),
    (["--other", "list"], 2, "UsageError", "--other"),
    (["list", "--state", "odd"], 2, "UsageError", "TERMINATED"),
    (["redrive"], 2, "UsageError", "--all"),
    (["start"], 2, "UsageError", "--file FILE.json"),
    (["start", "order", "--input", "{"], 2, "UsageError", "not JSON"),
    (["start", "order", "--input", "NaN", "--id", "x"], 2, "UsageError", "NaN is not JSON"),
    (["start", "order", "--input", "[" * 100_000], 2, "UsageError", "nested too deep"),
    (["start", "order", "--input", "@nowhere"], 2, "UsageError", "'nowhere' cannot be read"),
    (["pause", "ended"], 3, "NoSuchTransition", "it has ended"),
    (["signal", "order-7", "reserve"], 3, "GuardRefused", "it does not wait for a signal"),
    (["show", "nobody"], 4, "NotFound", "kernel list"),
    (["show", "order-7", "nothing"], 4, "NotFound", "'nothing'"),
    (["start", "nothing"], 4, "NotFound", "--file FILE.json"),
    (["list", "--db", "nowhere.db"], 4, "NotFound", "there is no such file"),
    (["start", "order", "--id", "a/b"], 5, "InvalidInput", "reserved"),
    (["start", "order", "--id", ".."], 5, "InvalidInput", "folder"),
    (["start", "order", "--id", "a\0b"], 5, "InvalidInput", "U+0000"),
    (["start", "order", "--id", "\ud800"], 5, "InvalidInput", "U+D800"),
    (["start", "order", "--id", "x" * 10_000], 5, "InvalidInput", "10,000 characters"),
    (["start", "order", "--input", "[1]"], 5, "InvalidInput", "not an object"),
    (["start", "order", "--input", '{"a": "' + "x" * 1024 * 1024 + '"}'], 5, "InvalidInput", "1,048,576 bytes"),
    (["start", "--file", "nowhere.json"], 5, "InvalidDefinition", "there is no such file"),
    (["list", "--db", "memory://"], 5, "InvalidInput", "it would be gone"),
    (["list", "--db", "postgres://x"], 5, "InvalidInput", "no store of this kind"),
    (["list", "--db", ""], 5, "InvalidInput", "no store of this kind"),
    (["redrive", "odd"], 5, "InvalidInput", "WORKFLOW#RUN:TOPIC"),
    (["list", "--db", "orders.json"], 7, "StoreCorrupt", "not a database"),
])
def test_errors_have_words_and_exit_codes(
    cli: Cli, order: str, orders: str, args: list[str], code: int, kind: str, words: str
) -> None:
    """Each kind of error has its exit code; the words go to standard error, with --json all of it to standard output."""
    cli("start", "bill", "--id", "ended")
    cli("terminate", "ended")
    ran = cli(*args)
    assert (ran.code, ran.out) == (code, "")
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert all(c.isprintable() or c == "\n" for c in ran.err)
    as_json = cli(*args, "--json")
    error = as_json.json["error"]
    assert (as_json.code, as_json.err) == (code, "")
    assert (error["exit"], error["kind"]) == (code, kind)
    assert words in error["message"]


def test_a_refused_start_writes_nothing(cli: Cli, orders: str, tmp_path: Path) -> None:
    """A mistake on the command line leaves no store behind, and no definition in a store."""
    for mistake in (["--id", "a/b"], ["--input", "[1]"]):
        assert cli("start", "order", "--file", orders, *mistake).code == 5
    assert not (tmp_path / "kernel.db").exists()


def test_only_start_makes_a_store(cli: Cli, tmp_path: Path) -> None:
    """A command that reads or changes refuses where there is no store, and makes none."""
    for args in (["list"], ["show", "x"], ["tree", "x"], ["history", "x"], ["audit"], ["verify"], ["deliveries"], ["tick"],
                 ["pause", "x"], ["resume", "x"], ["terminate", "x"], ["signal", "x", "y"], ["start", "order"],
                 ["redrive", "--all"], ["deliver", "--archive", "a"]):
        assert cli(*args).code == 4, args
    assert [*tmp_path.iterdir()] == []


def test_the_order_of_exit_codes_is_that_of_the_errors() -> None:
    """Every error class of the package has the exit code that the help promises."""
    promised = {"Refused": 3, "NoSuchTransition": 3, "GuardRefused": 3, "Fenced": 3, "NotFound": 4, "InvalidDefinition": 5,
                "InvalidInput": 5, "Conflict": 6, "StoreError": 7, "StoreUnavailable": 7, "CommitUnknown": 8,
                "StoreFull": 7, "StoreReadOnly": 7, "StoreCorrupt": 7, "SchemaMismatch": 7, "UnsafeStore": 7}
    for name, code in promised.items():
        assert code_of(getattr(errors, name)("asked")) == code, name


@pytest.mark.parametrize(("error", "code", "words"), [
    (KeyboardInterrupt(), 130, "interrupted"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    (PermissionError(13, "Permission denied", "x"), 7, "Permission denied"),
    (ZeroDivisionError("planted \x1b[31m"), 70, r"internal error: ZeroDivisionError: planted \x1b[31m"),
])
def test_no_traceback_for_anything(
    cli: Cli, order: str, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    """An interrupt, a closed pipe, a file that cannot be used and a bug of ours end in a line and an exit code."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(kernel.Kernel, "tree", fail)
    ran = cli("tree", order)
    assert ran.code == code
    assert words in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("args", [["history", "order-7", "--below"], ["show", "nobody", "--json"]])
def test_a_closed_pipe_is_quiet(cli: Cli, order: str, args: list[str]) -> None:
    """Nobody reads on, be it an answer or an error: the real process ends without a word."""
    code = "import sys; from kernel.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141
