"""What serves until it is stopped, in the caller's thread or beside it: workers and daemons."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Self


class Aside(ABC):
    """Serves while its context lasts, in a thread of its own; or in the caller's, by `run`.

    Leaving the context stops it, waits until it has ended, and raises what ended it before.
    """

    def __init__(self, name: str) -> None:
        """`name` is that of the thread."""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run_aside, name=name, daemon=True)

    @abstractmethod
    def run(self) -> object:
        """Serve until `stop`."""

    @abstractmethod
    def stop(self) -> None:
        """Come to an end."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self.stop()
        self._thread.join()
        if self._failure is not None and kind is None:
            raise self._failure

    def _run_aside(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001 - leaving the context raises it in the caller's thread
            self._failure = error
