"""What the commands share: their options, how a store is opened, how an answer is given."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import attrs
import click

import kernel
from kernel.cli.text import safe, say
from kernel.errors import InvalidInput, KernelError, NotFound, quoted
from kernel.stores.opening import REDIS

SQLITE = "sqlite:///"
SERVERS = ("postgresql", *REDIS)
MEMORY = "memory://"
ARCHIVE, NOTIFY = "archive", "notify"
ACTOR = "cli"

Function = TypeVar("Function", bound=Callable[..., Any])


@attrs.frozen
class Place:
    """Where a command works and how it answers: the options that all commands have."""

    db: str | None
    archive: str | None
    as_json: bool

    def open(self, *, create: bool = False, notices: str | None = None, **options: Any) -> kernel.Kernel:
        """The kernel on the store. Only `create` may make a new one; raises NotFound where there is none.

        `notices` is a directory that takes those of topic "notify".
        """
        url = url_of(self.db or "")
        if url == MEMORY:
            raise InvalidInput(f"the store {quoted(url)}", why="it would be gone when this command ends",
                               hint="--db sqlite:///FILE; only kernel run can work in memory")
        if url.startswith(SQLITE) and not create and not Path(url[len(SQLITE):].partition("?")[0]).exists():
            raise no_database(url)
        if url.partition("://")[0] in SERVERS and not create and "mode=" not in url:
            url += f"{'&' if '?' in url else '?'}mode=rw"
        sinks: Mapping[str, kernel.Sink] = {topic: kernel.DirectoryArchive(path) for topic, path in (
            (ARCHIVE, self.archive), (NOTIFY, notices)) if path}
        return kernel.open(url, sinks=sinks, **{"actor": ACTOR, **options})

    def answer(self, value: object, show: Callable[[], object]) -> None:
        """Give the result: as one JSON value, or for people."""
        if self.as_json:
            click.echo(json_text(value))
        else:
            show()


def url_of(db: str) -> str:
    """The URL of a store; a bare path is a file of SQLite."""
    return db if "://" in db or db.startswith("sqlite:") else SQLITE + db


def no_database(url: str) -> NotFound:
    """There is no such file."""
    return NotFound(f"the database {quoted(url)}", why="there is no such file",
                    hint="kernel start NAME --file FILE.json makes one; --db or KERNEL_DB names another")


def json_text(value: object) -> str:
    """A result as JSON. Times are ISO 8601 in UTC; what is not ASCII is escaped."""
    return json.dumps(_plain(value), indent=2)


def error_fields(error: KernelError) -> dict[str, Any]:
    """An error as a JSON object."""
    return {"kind": type(error).__name__, "asked": error.asked, "stands": error.stands, "why": error.why,
            "allowed": [*error.allowed], "hint": error.hint}


def _plain(value: object) -> object:
    kind = type(value)
    if isinstance(value, KernelError):
        return error_fields(value)
    if attrs.has(kind):
        return {each.name: _plain(getattr(value, each.name)) for each in attrs.fields(kind)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value


class StoreCommand(click.Command):
    """A command on a store: has --db, --archive and --json, and gets them as `place`."""

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **options: Any) -> None:
        super().__init__(name, params=[*(params or []), *self.places()], **options)

    def places(self) -> list[click.Parameter]:
        """The options that say where."""
        return [
            click.Option(["--db"], envvar="KERNEL_DB", default="sqlite:///kernel.db", metavar="URL", show_default=True,
                         show_envvar=True, help="The store; a bare path is a file of SQLite."),
            click.Option(["--archive"], envvar="KERNEL_ARCHIVE", metavar="DIR", show_envvar=True,
                         help="Directory that takes the deliveries of topic 'archive'; used by deliver, daemon, run."),
            _json_option(),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Call the function with the three options as one value."""
        given = ctx.params
        given["place"] = Place(given.pop("db"), given.pop("archive"), given.pop("as_json"))
        return super().invoke(ctx)


class FreshCommand(StoreCommand):
    """A command that makes a store in a temporary folder, unless --db names one. The environment has no say."""

    def places(self) -> list[click.Parameter]:
        """The options that say where."""
        return [
            click.Option(["--db"], metavar="URL", help="The store; or a temporary one (KERNEL_DB has no say)."),
            click.Option(["--archive"], metavar="DIR",
                         help="Directory that takes the deliveries of topic 'archive'; or a temporary one."),
            _json_option(),
        ]


def _json_option() -> click.Option:
    return click.Option(["--json", "as_json"], is_flag=True, help="One JSON value on standard output, errors included.")


def warn_of_notices(k: kernel.Kernel, notices: str | None) -> None:
    """Say that notices stay where they are, when there are any and nothing takes them."""
    if notices is None and any(d.topic == NOTIFY for d in k.deliveries(state="PENDING", limit=1000)):
        warn("no --notices DIR, nor KERNEL_NOTICES: deliveries of topic 'notify' stay PENDING")


def notices_option(function: Function) -> Function:
    """Adds --notices."""
    return click.option("--notices", envvar="KERNEL_NOTICES", metavar="DIR", show_envvar=True,
                        help="Directory that takes the notices of topic 'notify', each a file.")(function)


def command_options(function: Function) -> Function:
    """Adds what every command that changes something can say: --reason, --actor, --command-id."""
    for option in (
        click.option("--command-id", metavar="KEY", help="Idempotency key: the same command again does nothing more."),
        click.option("--actor", envvar="KERNEL_ACTOR", default=ACTOR, show_default=True, show_envvar=True,
                     help="Who does it, for the history."),
        click.option("--reason", default="", help="Why, for the history."),
    ):
        function = option(function)
    return function


class Json(click.ParamType[Any]):
    """A JSON value on the command line, or @FILE with one in it."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; anything else is a usage error."""
        if not isinstance(value, str):
            return value
        try:
            text = Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value
            return json.loads(text, parse_constant=_no_constant)
        except OSError as error:
            self.fail(f"{quoted(value[1:])} cannot be read: {error.strerror or error}", param, ctx)
        except RecursionError:
            self.fail("it is nested too deep", param, ctx)
        except ValueError as error:
            self.fail(f"{quoted(value)} is not JSON: {error}", param, ctx)


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is not JSON")


def warn(text: str) -> None:
    """A warning, on standard error."""
    say(click.style("warning: ", fg="yellow") + safe(text), err=True)
