"""The `os` module as an archive sees it, watched."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class WatchedOs:
    """The `os` module as the archive sees it: records its calls, and fails or does something before a chosen one."""

    WATCHED = ("open", "fsync", "link", "unlink", "scandir")

    def __init__(self, before: Callable[[int, str], None] = lambda number, name: None) -> None:
        self.calls: list[str] = []
        self._before = before

    def come_to(self, name: str) -> None:
        """A call is about to be made."""
        self.calls.append(name)
        self._before(len(self.calls), name)

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in self.WATCHED:
            return function

        def watched(*args: Any, **options: Any) -> Any:
            self.come_to(name)
            return function(*args, **options)

        return watched
