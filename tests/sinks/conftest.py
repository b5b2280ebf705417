"""What the tests of sinks share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kernel.sinks import directory
from tests.sinks.stand import WatchedOs


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
