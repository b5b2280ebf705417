"""What people see: escaped text, states with symbol and colour, tables. Rich draws the tables on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import click

SHORT_CELL = 26  # characters that are never broken into two lines
LOOKS = {  # symbol and colour of each state
    "RUNNING": ("▶", "cyan"), "PAUSED": ("‖", "yellow"), "COMPLETED": ("✓", "green"), "FAILED": ("✗", "red"),
    "TIMED_OUT": ("◔", "red"), "TERMINATED": ("■", "magenta"),
    "PENDING": ("·", "bright_black"), "SCHEDULED": ("○", "blue"), "IN_PROGRESS": ("◐", "cyan"),
    "COMPLETED_WITH_ERRORS": ("≈", "yellow"), "SKIPPED": ("»", "bright_black"),
    "FAILED_WITH_TERMINAL_ERROR": ("✗", "red"), "CANCELED": ("⊘", "magenta"),
    "LEASED": ("◐", "cyan"), "DELIVERED": ("✓", "green"), "DEAD": ("✗", "red"),
    "ABSENT": ("∅", "bright_black"),
}
_ASCII = str.maketrans({
    "─": "-", "│": "|", "├": "|", "└": "`", "▶": ">", "‖": "=", "✓": "+", "✗": "x", "◔": "t", "■": "#", "·": ".",
    "○": "o", "◐": "*", "≈": "~", "»": ">", "⊘": "/", "…": "~", "→": ">", "∅": "0",
})


def safe(text: object, longest: int = 0) -> str:
    """Text from users on one line: what does not print is escaped; cut at `longest` characters, 0 for whole."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in str(text))
    return shown if not longest or len(shown) <= longest else shown[: longest - 1] + "…"


def safe_lines(text: str) -> str:
    """The same for a text that may have several lines."""
    return "\n".join(safe(line) for line in text.split("\n"))


def say(text: str = "", *, err: bool = False) -> None:
    """Print a line; drawing characters become ASCII where the output cannot show them."""
    stream = sys.stderr if err else sys.stdout
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    click.echo(text if encoding.startswith("utf") else text.translate(_ASCII), err=err, color=colours())


def colours() -> bool | None:
    """Whether to colour: never where NO_COLOR is set; otherwise click decides, by the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def heading(text: str) -> str:
    """A title."""
    return click.style(text, bold=True)


def faint(text: str) -> str:
    """Less important text."""
    return click.style(text, fg="bright_black")


def state(name: str, width: int = 0) -> str:
    """A state with its symbol and colour, padded to `width` characters."""
    symbol, colour = LOOKS.get(name, ("?", "white"))
    return click.style(f"{symbol} {name}".ljust(width), fg=colour)


def when(moment: datetime | None) -> str:
    """A time in UTC, to the second."""
    return "never" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """A duration, to two digits or so."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return str(timedelta(seconds=round(seconds)))


def number(count: int, one: str, many: str = "") -> str:
    """`1 task`, `2 tasks`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Cells may be styled; what comes from users must be `safe` already."""
    found = [[*row] for row in rows]
    if sys.stdout.isatty() and _rich_table(headers, found):
        return
    plain = [[*map(click.unstyle, row)] for row in found]
    widths = [max(len(row[i]) for row in [[*headers], *plain]) for i in range(len(headers))]
    say(faint("  ".join(h.ljust(w) for h, w in zip(headers, widths, strict=True)).rstrip()))
    for row, bare in zip(found, plain, strict=True):
        cells = [cell + " " * (w - len(b)) for cell, b, w in zip(row, bare, widths, strict=True)]
        say("  ".join(cells).rstrip())


def _rich_table(headers: Sequence[str], rows: list[list[str]]) -> bool:
    """Draw it with Rich, which fits it to the terminal; False when Rich is not installed."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for place, header in enumerate(headers):
        short = max((len(click.unstyle(row[place])) for row in rows), default=0) <= SHORT_CELL
        drawn.add_column(header, overflow="fold", no_wrap=short)
    for row in rows:
        drawn.add_row(*map(Text.from_ansi, row))
    Console().print(drawn)
    return True


class Live:
    """Lines, and below them one line that changes, on a terminal."""

    def __init__(self, *, err: bool) -> None:
        """`err`: the lines go to standard error."""
        self.err, self.lock = err, threading.Lock()
        self.shown = False

    def line(self, text: str) -> None:
        """Print a line that stays."""
        with self.lock:
            self._wipe()
            say(text, err=self.err)

    def show(self, text: str) -> None:
        """Replace the line that changes; nothing where there is no terminal."""
        if sys.stderr.isatty():
            with self.lock:
                self._wipe()
                width = shutil.get_terminal_size().columns - 1
                click.echo(faint(text[:width]), err=True, nl=False, color=colours())
                self.shown = True

    def clear(self) -> None:
        """Take the line that changes away."""
        with self.lock:
            self._wipe()

    def _wipe(self) -> None:
        if self.shown:
            click.echo("\r\x1b[2K", err=True, nl=False, color=True)
            self.shown = False
