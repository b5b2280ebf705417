"""The entry point of the command `kernel`: its group, its exit codes, and no traceback for what a user can cause."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kernel import __version__
from kernel.cli import commands, policy, reads, reopening, service, verify
from kernel.cli.common import error_fields, json_text
from kernel.cli.exits import EXITS, code_of
from kernel.cli.run import run
from kernel.cli.text import safe, safe_lines, say
from kernel.errors import KernelError

INTERRUPTED, BROKEN_PIPE, OURS = 130, 141, 70


class Group(click.Group):
    """Lists its commands in the order in which people meet them, and the exit codes below."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in their order."""
        return ["demo", *self.commands, "diagram", "faults", "spec"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name. What no store in daily use needs imports much: it is imported when it is asked for."""
        match cmd_name:
            case "demo":
                from kernel.cli.demo import demo
                return demo
            case "diagram":
                from kernel.cli.kit import diagram
                return diagram
            case "faults":
                from kernel.cli.kit import faults
                return faults
            case "spec":
                from kernel.cli.spec import spec
                return spec
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As ever; says where an option goes that stands too early."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            option = error.option_name
            if option not in ("--db", "--archive", "--json"):
                raise
            raise click.UsageError(f"{option} comes behind the command, as in: kernel list {option}", ctx) from None

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXITS])


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kernel")
def cli() -> None:
    """Workflow and task lifecycles with terminate in one commit.

    Begin with: kernel demo
    """


for _command in (
    run, commands.start, reads.list_workflows, reads.show, reads.tree, reads.history, commands.pause,
    commands.resume, commands.terminate, commands.signal, commands.skip, reopening.retry, reopening.restart, reopening.rerun,
    service.worker, service.daemon, commands.tick, commands.deliver, reads.deliveries, commands.redrive, commands.outcome,
    policy.policy, policy.purge, reads.audit, verify.verify,
):
    cli.add_command(_command)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    given = list(sys.argv[1:] if args is None else args)
    try:
        code = call(given)
    except BrokenPipeError:  # while an error was told
        code = BROKEN_PIPE
    sys.exit(code)


def call(given: list[str]) -> int:
    """Run the command line; gives the exit code."""
    as_json = "--json" in given
    try:
        code = cli.main(given, prog_name="kernel", standalone_mode=False)
    except KernelError as error:
        return _failed(as_json, code_of(error), f"{type(error).__name__}: {error}", error_fields(error))
    except click.exceptions.Abort:
        say("interrupted", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        if not as_json:
            error.show()
            return error.exit_code
        return _failed(True, error.exit_code, error.format_message(), {"kind": "UsageError"})
    except SystemExit:  # click's own answer to a broken pipe
        return BROKEN_PIPE
    except OSError as error:
        return _failed(as_json, 7, f"{type(error).__name__}: {error}", {"kind": type(error).__name__})
    except Exception as error:  # noqa: BLE001 - a bug of ours; people get a line, not a traceback
        return _failed(as_json, OURS, _bug(error), {"kind": type(error).__name__})
    return code if isinstance(code, int) else 0


def _failed(as_json: bool, code: int, message: str, fields: dict[str, Any]) -> int:
    """Say what went wrong: as JSON on standard output, else on standard error."""
    if as_json:
        click.echo(json_text({"error": {**fields, "message": safe_lines(message), "exit": code}}))
    else:
        say(safe_lines(message), err=True)
    return code


def _bug(error: Exception) -> str:
    """A bug of ours in two lines: what, and where."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
    return f"internal error: {type(error).__name__}: {safe(error)}\n  at:      {where}\n  try:     please report this"
