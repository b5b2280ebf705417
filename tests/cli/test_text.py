"""What people see: escaping, states that can be told apart, tables with and without Rich, a line that changes."""

from __future__ import annotations

import builtins
import io
import sys
from datetime import UTC, datetime
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.cli import text
from kernel.spec import DELIVERY, TASK, WORKFLOW


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """Yes."""
        return True


@given(st.text(st.characters()))
def test_safe_text_is_one_printable_line(given_text: str) -> None:
    """Whatever users wrote, nothing of it reaches the terminal that does not print; lone surrogates included."""
    shown = text.safe(given_text)
    assert shown.isprintable()
    shown.encode()
    assert len(text.safe(given_text, 10)) <= 10
    assert all(line.isprintable() for line in text.safe_lines(given_text).split("\n"))


def test_safe_text_shows_what_was_there() -> None:
    """Escapes can be read; plain text is left as it is."""
    assert text.safe("a\x1b[31m\u202eb") == r"a\x1b[31m\u202eb"
    assert text.safe("Grüße, 東京") == "Grüße, 東京"
    assert text.safe("abcdef", 4) == "abc…"
    assert text.safe_lines("a\nb\r") == "a\nb\\r"


def test_every_state_has_a_look_of_its_own_lifecycle() -> None:
    """Each state of the tables has a symbol and a colour; ends of one lifecycle that mean different things differ."""
    for lifecycle in (WORKFLOW, TASK, DELIVERY):
        states = lifecycle.table.kind.states
        assert {*states} <= text.LOOKS.keys()
        good = [text.LOOKS[name] for name in states if "FAILED" not in name]
        assert len({*good}) == len(good)


def test_state_is_padded_by_what_is_seen() -> None:
    """The padding counts characters, not colour codes."""
    assert len(click.unstyle(text.state("DEAD", 20))) == 20


def test_times_and_durations() -> None:
    """Times are UTC to the second; durations are short."""
    assert text.when(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02 03:04:05"
    assert text.when(None) == "never"
    assert [text.duration(s) for s in (0.16, 12.3, 3725.0)] == ["0.2 s", "12 s", "1:02:05"]
    assert [text.number(n, "task") for n in (1, 2000)] == ["1 task", "2,000 tasks"]
    assert text.number(2, "delivery", "deliveries") == "2 deliveries"


def test_drawing_becomes_ascii_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    """An output that cannot show box characters gets ASCII, and no error."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    for name in text.LOOKS:
        text.say(f"├─ └─ │ … → {text.state(name)}")
    sys.stdout.flush()
    assert raw.getvalue().startswith(b"|- `- | ~ > > RUNNING")


def test_plain_table_lines_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Columns are as wide as their widest cell, whatever its colour; no line ends in blanks."""
    text.table(("a", "state"), [("long cell", text.state("DEAD")), ("x", "")])
    assert capsys.readouterr().out == "a          state\nlong cell  ✗ DEAD\nx\n"


ROWS = [("x" * 200, "2026-01-02 03:04:05", "y" * 200)]


def test_rich_fits_a_table_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal Rich folds what is long, cuts nothing off, and leaves short cells on one line."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    text.table(("id", "when", "why"), ROWS)
    shown = click.unstyle(terminal.getvalue())
    assert (shown.count("x"), shown.count("y")) == (200, 200 + 1)
    assert "2026-01-02 03:04:05" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_rich_breaks_no_time_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where room is scarce the long cells give way; states and times stay on one line."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "70")
    text.table(("id", "from", "to", "why"), [("x" * 30, "2026-01-02 03:04:05", "2026-01-02 03:04:06", "y" * 30)])
    shown = click.unstyle(terminal.getvalue())
    assert "2026-01-02 03:04:05   2026-01-02 03:04:06" in shown


def test_without_rich_the_table_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich is an extra: without it a terminal gets the plain table."""
    terminal, real = Terminal(), builtins.__import__

    def without_rich(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "rich":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(builtins, "__import__", without_rich)
    text.table(("id", "when", "why"), ROWS)
    assert click.unstyle(terminal.getvalue()).splitlines()[1] == f"{'x' * 200}  2026-01-02 03:04:05  {'y' * 200}"


def test_no_color_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR keeps colours away from a terminal, too."""
    for value, coloured in (("", True), ("1", False)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setenv("NO_COLOR", value)
        text.say(text.state("DEAD"))
        assert ("\x1b[" in terminal.getvalue()) is coloured


def test_the_line_that_changes_is_wiped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal the changing line gives way to lines that stay; elsewhere it is not shown at all."""
    live = text.Live(err=False)
    live.show("1 of 2")
    live.line("done")
    assert capsys.readouterr() == ("done\n", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "20")
    live.show("1 of 2 " + "x" * 100)
    live.line("done")
    live.clear()
    assert click.unstyle(terminal.getvalue()) == "1 of 2 " + "x" * 12 + "\r"
