"""Values that nobody should give, and some that people do: one corpus for everything that takes a value from outside."""

from __future__ import annotations

from typing import Any

TEXTS: dict[str, str] = {
    "empty": "", "blank": " ", "NUL": "a\0b", "newline": "a\nb", "tab": "\ta", "escape": "\x1b[2J\x1b[31mred", "bell": "\x07",
    "DEL": "a\x7f", "C1": "a\x9b31m", "lone surrogate": "a\ud800b", "two lone surrogates": "\udfff\ud800",
    "right to left": "\u202eexe.txt", "bidi isolate": "\u2066a\u2069", "zero width": "a\u200bb", "BOM": "\ufeffa",
    "line separator": "a\u2028b", "combining": "e\u0301" * 20, "emoji": "👩‍👩‍👧‍👦",
    "noncharacter": "\uffff", "astral": "\U0010ffff",
    "private use": "\ue000", "slash": "a/b", "backslash": "a\\b", "hash": "a#b", "tilde": "a~2", "dots": "..", "dot": ".",
    "traversal": "../../etc/passwd", "encoded traversal": "%2e%2e%2f", "absolute": "/etc/passwd", "drive": "C:\\x",
    "device": "nul",
    "trailing dot": "a.", "trailing blank": "a ", "option": "--help", "SQL": "'; DROP TABLE task; --", "quote": "\"'`",
    "LIKE": "%_",
    "GLOB": "*?[", "bind": ":id", "template": "${workflow.input.x}", "format": "{0} {} %s %(x)s", "shell": "$(reboot) `x`; &",
    "markup": "<script>alert(1)</script>", "YAML": "!!python/object", "JSON": '{"a": 1}', "number": "7", "long": "x" * 10_000,
    "very long": "é" * 1_000_000, "word of ours": "RUNNING",
}


class Odd:
    """A thing of no type that anybody expects, whose own text is not to be had."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__


THINGS: dict[str, Any] = {
    "None": None, "True": True, "False": False, "zero": 0, "minus one": -1, "large": 2**31, "too large for SQLite": 2**63,
    "huge": 10**5_000, "minus huge": -(2**80), "float": 1.5, "NaN": float("nan"), "infinity": float("inf"), "bytes": b"w",
    "bytearray": bytearray(b"w"), "list": ["w"], "tuple": ("w", 1), "dict": {"w": 1}, "set": {"w"}, "object": object(),
    "type": str,
    "function": print, "odd": Odd(), "complex": 1j, "ellipsis": ..., "range": range(3), "exception": ValueError("x"),
}

VALUES: dict[str, Any] = {**TEXTS, **THINGS}
