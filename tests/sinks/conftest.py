"""What the tests of sinks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kernel.sinks import directory


class WatchedOs:
    """The `os` module as the archive sees it: records its calls, and fails or does something before a chosen one."""

    WATCHED = ("open", "fsync", "link", "unlink", "scandir")

    def __init__(self, before: Callable[[int, str], None] = lambda number, name: None) -> None:
        self.calls: list[str] = []
        self._before = before

    def __getattr__(self, name: str) -> Any:
        function = getattr(os, name)
        if name not in self.WATCHED:
            return function

        def watched(*args: Any, **options: Any) -> Any:
            self.calls.append(name)
            self._before(len(self.calls), name)
            return function(*args, **options)

        return watched


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A context in which the archive module sees a WatchedOs."""

    @contextmanager
    def watching(before: Callable[[int, str], None] = lambda number, name: None) -> Iterator[WatchedOs]:
        with monkeypatch.context() as patch:
            watched = WatchedOs(before)
            patch.setattr(directory, "os", watched)
            yield watched

    return watching
