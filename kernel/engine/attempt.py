"""What a worker's function may know of the attempt that it works on, and how it tells of another end than a good one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kernel.core.definitions import TaskDef
from kernel.engine.entities import Lease
from kernel.engine.pulse import HEALING
from kernel.errors import KernelError, NotFound, Refused

if TYPE_CHECKING:
    from kernel.engine.worker import Worker

LOOK = 1.0
"""Seconds for which a check trusts what the last heartbeat said."""


@frozen
class Done:
    """Returned by a worker's function that spawns tasks: the output, and what `Kernel.complete` is to be given."""

    output: Any = None
    spawn: Sequence[TaskDef] = ()
    before: Sequence[str] = ()


class TaskFailed(Exception):
    """Raised by a worker's function: the attempt failed for this reason. Another one follows if `retryable`, and any is left.

    Whatever else a function raises fails its attempt, too, as retryable.
    """

    def __init__(self, reason: str = "", *, retryable: bool = True, output: Any = None) -> None:
        super().__init__(reason)
        self.reason, self.retryable, self.output = reason, retryable, output


class NotRetryable(TaskFailed):
    """Raised by a worker's function: the attempt failed, and another one would fail, too."""

    def __init__(self, reason: str = "", *, output: Any = None) -> None:
        super().__init__(reason, retryable=False, output=output)


class Postpone(Exception):
    """Raised by a worker's function that cannot go on yet: the same attempt is due again after so many seconds.

    `output` is how far it came: who takes the task next finds it as `Attempt.output`.
    """

    def __init__(self, seconds: float, *, output: Any = None) -> None:
        super().__init__(f"postponed for {seconds} seconds")
        self.seconds, self.output = seconds, output


class Attempt:
    """What a function may know of the attempt that it works on, and how it learns that it should stop."""

    def __init__(self, worker: Worker, lease: Lease) -> None:
        self.lease = lease
        self.lost: KernelError | None = None
        """Why the task is not this worker's any more; None while it is, as far as is known."""
        self.beat_at = worker.next_beat(lease)
        self._worker, self._looked = worker, worker.pulse.now()

    @property
    def input(self) -> Any:
        """The input of the task."""
        return self.lease.input

    @property
    def output(self) -> Any:
        """How far this attempt had come when it was postponed; None when it was not."""
        return self.lease.output

    @property
    def stopping(self) -> bool:
        """Whether the worker is asked to stop: a function that takes long may want to come to an end."""
        return self._worker.stopping

    def check(self) -> None:
        """Go on only while the task is this worker's. Raises Fenced when it was canceled, timed out, or taken over.

        Cheap enough for an inner loop: it asks the store at most once a second.
        """
        if self.lost is None and self._worker.pulse.now() - self._looked >= LOOK:
            self.beat()
        if self.lost is not None:
            raise self.lost

    def beat(self) -> None:
        """Hold the task for another lease time, or learn that it is lost. A store that cannot answer is asked again soon."""
        worker = self._worker
        self._looked = worker.pulse.now()
        try:
            self.lease = worker.kernel.heartbeat(self.lease)
            self.beat_at = worker.next_beat(self.lease)
        except (Refused, NotFound) as error:
            self.lost, self.beat_at = error, float("inf")
        except HEALING:
            self.beat_at = self._looked + min(LOOK, worker.next_beat(self.lease) - self._looked)
