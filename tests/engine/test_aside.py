"""What serves beside its caller: it is stopped and awaited, and what ended it is told."""

from __future__ import annotations

import threading

import pytest

from kernel.engine.aside import Aside


class Serving(Aside):
    """Waits until it is stopped; or fails at once."""

    def __init__(self, error: BaseException | None = None) -> None:
        super().__init__("serving")
        self.error, self.asked, self.ended = error, threading.Event(), threading.Event()

    def run(self) -> None:
        """Serve."""
        if self.error is not None:
            raise self.error
        self.asked.wait()
        self.ended.set()

    def stop(self) -> None:
        """Come to an end."""
        self.asked.set()


def test_leaving_stops_it_and_waits() -> None:
    """The thread has ended when the context has."""
    with Serving() as serving:
        assert any(thread.name == "serving" for thread in threading.enumerate())
        assert not serving.ended.is_set()
    assert serving.ended.is_set()
    assert all(thread.name != "serving" for thread in threading.enumerate())


@pytest.mark.parametrize("error", [OSError("no disk"), SystemExit(1)])
def test_what_ended_it_is_raised_in_the_thread_of_its_caller(error: BaseException) -> None:
    """Whatever it was."""
    with pytest.raises(type(error)), Serving(error):
        pass


def test_an_error_of_the_caller_goes_first() -> None:
    """What the caller raises leaves the context, not what ended the other thread."""
    with pytest.raises(KeyError), Serving(OSError("no disk")):
        raise KeyError
