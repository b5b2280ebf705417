"""A worker: threads that poll for tasks, run the user's functions on them, hold the leases, and report how it went.

One thread, that of `run`, polls and sends the heartbeats; the hands only run functions and report. Nobody spins: while
nothing is due it waits, longer and longer, until a hand is free again, or until somebody wakes or stops it.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from hashlib import sha256
from inspect import Parameter, signature
from itertools import chain
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from attrs import define, frozen

from kernel.core.definitions import TaskDef
from kernel.core.records import MICROSECONDS
from kernel.engine import inputs
from kernel.engine.aside import Aside
from kernel.engine.attempt import Attempt, Done, Postpone, TaskFailed
from kernel.engine.courier import described, one_line
from kernel.engine.entities import EPOCH, Lease
from kernel.engine.ports import Tells
from kernel.engine.pulse import HEALING, LONGEST_TROUBLE, Pauses, Pulse
from kernel.errors import InvalidDefinition, InvalidInput, KernelError, NotFound, Refused, quoted

if TYPE_CHECKING:
    from kernel.engine.kernel import Kernel

MOST_THREADS = 1000
LONGEST_WAIT = 3600.0  # seconds, like below
SHORTEST_BEAT = 0.01

Function = Callable[..., Any]
"""Takes the task's input and, if it has a second positional parameter, the `Attempt`; returns the task's output."""


@frozen
class Notice:
    """Something that a worker or a daemon tells: what kind of thing, in words, of which lease, because of which error."""

    what: str
    """A worker: "completed", "failed", "postponed", "late", "store" or "abandoned". A daemon: "health", "tick", "relay" or
    "store"."""
    text: str
    lease: Lease | None = None
    error: KernelError | None = None
    reason: str = ""
    """Why an attempt failed."""


def log(notice: Notice) -> None:
    """Where notices go unless somebody takes them: to Python's logging, under the name `kernel`."""
    usual = notice.what in ("completed", "postponed", "tick", "relay", "health")
    logging.getLogger("kernel").log(logging.INFO if usual else logging.WARNING, "%s", notice.text)


@define
class Worked:
    """What a worker did. Late ones were refused, since the task had moved on; abandoned ones did not end before it left."""

    completed: int = 0
    failed: int = 0
    postponed: int = 0
    late: int = 0
    abandoned: int = 0


@frozen
class _Result:
    output: Any = None
    what: str = "completed"
    reason: str = ""
    retryable: bool = True
    seconds: float = 0.0
    spawn: Sequence[TaskDef] = ()
    before: Sequence[str] = ()


class Worker(Aside):
    """Runs functions on the tasks of a kernel: `with Worker(k, {"stock": reserve}): ...`, or `Worker(...).run()`.

    Each attempt ends in one of these ways: what the function returns becomes the output (`Done` spawns tasks, too); what it
    raises fails the attempt, and the next one follows while the definition allows (not after NotRetryable); Postpone hands
    the task back, and the attempt goes on later; an output that is no JSON fails it for good. The lease is held by heartbeats
    as long as the function runs. A task that was canceled or taken over meanwhile is not reported: the function learns of it
    by `Attempt.check()`, and the worker tells of a result that came too late.
    """

    def __init__(
        self, kernel: Kernel, functions: Mapping[str, Function], *, threads: int = 4, name: str | None = None,
        heartbeat: float = 1 / 3, idle: tuple[float, float] = (0.05, 2.0), grace: float = 30.0,
        notice: Callable[[Notice], None] = log, pulse: Pulse | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        """`functions` by task type; `heartbeat` is the fraction of the lease after which it is renewed; `idle` the shortest
        and the longest pause between polls that find nothing, and `grace` how long `stop` waits for functions, in seconds.

        `notice` is told what happens, from several threads. `turn` is held while tasks are taken, and while one is completed
        and that is told, for who has to act between two of these. `pulse` is for tests.
        """
        if not functions:
            raise InvalidInput("a worker", why="it has no function to run", hint='give {"type": function}')
        self.functions: dict[str, Callable[[Attempt], Any]] = {}
        self.threads = inputs.whole(threads, "the number of threads", 1, MOST_THREADS)
        if not 0 < heartbeat < 1 or not 0 < idle[0] <= idle[1] <= LONGEST_WAIT or not grace >= 0:
            raise InvalidInput("a worker", why=f"heartbeat={heartbeat!r}, idle={idle!r}, grace={grace!r} make no sense",
                               hint="a fraction of 1; the shortest and the longest pause; and seconds")
        self.kernel, self.heartbeat, self.grace, self.notice = kernel, heartbeat, grace, notice
        self.name = inputs.text(f"{socket.gethostname()}-{os.getpid()}" if name is None else name, "the worker",
                                inputs.LONGEST_NAME)
        self.worked = Worked()
        self.pulse = pulse or Pulse()
        self.learn(functions)
        self.turn = turn or nullcontext()
        self._pauses = Pauses(kernel.chance, *idle)
        self._troubled = Pauses(kernel.chance, idle[0], max(idle[1], LONGEST_TROUBLE))
        self._queue: SimpleQueue[Attempt | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._active: dict[Attempt, None] = {}
        self._first = 0
        self._leave = float("inf")
        super().__init__(f"worker {self.name}")

    # ---- beginning and end
    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._leave < float("inf")

    @property
    def busy(self) -> int:
        """How many attempts are under way."""
        with self._lock:
            return len(self._active)

    def learn(self, functions: Mapping[str, Function]) -> None:
        """Take up the tasks of further types, also while it works."""
        self.functions |= {inputs.name(type_, "the type"): _adapted(type_, each) for type_, each in functions.items()}
        self.pulse.beat()

    def stop(self, grace: float | None = None) -> None:
        """Poll no more, and leave when the functions under way have ended, or after `grace` seconds."""
        self._leave = min(self._leave, self.pulse.now() + (self.grace if grace is None else grace))
        self.pulse.beat()

    def run(self) -> Worked:
        """Work until `stop`. Errors of the store that may heal are waited for; any other is raised, from whatever thread."""
        hands = [threading.Thread(target=self._hand, name=f"{self.name} {n}", daemon=True) for n in range(self.threads)]
        for hand in hands:
            hand.start()
        store = self.kernel.store
        try:
            with store.listening(self._hear) if isinstance(store, Tells) else nullcontext():
                self._coordinate()
        finally:
            self.stop(0.0)
            for _ in hands:
                self._queue.put(None)
            with self._lock:
                left = [*self._active]
            for attempt in left:
                self.worked.abandoned += 1
                self._tell("abandoned", f"{_place(attempt.lease)} is left: its function did not end in time", attempt.lease)
            for hand in () if left else hands:
                hand.join()
        if self._failure is not None:
            raise self._failure
        return self.worked

    def _hear(self, type: str) -> None:
        """The store tells that there are tasks of a type; or that it may have missed some."""
        if not type or type in self.functions:
            self._pauses.reset()
            self.pulse.beat()

    # ---- the thread of `run`: heartbeats and polls
    def _coordinate(self) -> None:
        look, polled = 0.0, -1
        while True:
            seen, now = self.pulse.count, self.pulse.now()
            with self._lock:
                active = [*self._active]
            if self.stopping and (not active or now >= self._leave):
                return
            for attempt in active:
                if attempt.beat_at <= now:
                    attempt.beat()
            free = 0 if self.stopping else self.threads - len(active)
            if free and (now >= look or seen != polled):
                polled = seen
                look = self.pulse.now() + self._poll(free)
                continue
            due = [attempt.beat_at for attempt in active] + ([look] if free else []) + ([self._leave] if active else [])
            self.pulse.wait(seen, min(LONGEST_WAIT, max(0.0, min(due, default=LONGEST_WAIT) - self.pulse.now())))

    def _poll(self, free: int) -> float:
        """Take tasks for the free hands, the types in turn; gives the pause before the next look."""
        types = [*self.functions]
        self._first = (self._first + 1) % len(types)
        for type_ in chain(types[self._first:], types[:self._first]):
            try:
                with self.turn:
                    leases = self.kernel.poll(type_, worker=self.name, limit=free)
            except HEALING as error:
                self._tell("store", f"polling {quoted(type_)}: {_short(error)}; it goes on", error=error)
                return self._troubled.next()
            self._troubled.reset()
            for lease in leases:
                attempt = Attempt(self, lease)
                with self._lock:
                    self._active[attempt] = None
                self._queue.put(attempt)
                self._pauses.reset()
            free -= len(leases)
            if not free:
                return 0.0
        return self._pauses.next()

    def next_beat(self, lease: Lease) -> float:
        """When to hold a lease again, by the pulse."""
        left = (lease.expires - EPOCH) // timedelta(microseconds=1) - self.kernel.clock.now()
        return self.pulse.now() + max(SHORTEST_BEAT, self.heartbeat * left / MICROSECONDS)

    # ---- the hands: functions and reports
    def _hand(self) -> None:
        while (attempt := self._queue.get()) is not None:
            try:
                self._report(attempt, self._called(attempt))
            except BaseException as error:  # noqa: BLE001 - the last frame of the thread; `run` raises it
                self._failure = self._failure or error
                self.stop()
            finally:
                with self._lock:
                    self._active.pop(attempt, None)
                self._pauses.reset()
                self.pulse.beat()

    def _called(self, attempt: Attempt) -> _Result:
        """What the function made of it."""
        try:
            given = self.functions[attempt.lease.type](attempt)
            done = given if isinstance(given, Done) else Done(given)
            return _Result(done.output, spawn=done.spawn, before=done.before)
        except Postpone as later:
            return _Result(later.output, "postponed", seconds=later.seconds)
        except TaskFailed as error:
            reason = one_line(str(error.reason), inputs.LONGEST_REASON)
            return _Result(error.output, "failed", reason, bool(error.retryable))
        except BaseException as error:  # noqa: BLE001 - the user's code; sys.exit in it ends the attempt, not the worker
            return _Result(None, "failed", described(error))

    def _report(self, attempt: Attempt, result: _Result) -> None:
        """Tell the kernel how an attempt went."""
        lease = attempt.lease
        try:
            try:
                self._insist(attempt, result)
            except (InvalidInput, InvalidDefinition) as error:  # the output, a delay, or what is to be spawned
                result = _Result(None, "failed", one_line(f"{error.asked}: {error.why}"), retryable=False)
                self._insist(attempt, result)
        except (Refused, NotFound) as error:
            self._count("late")
            self._tell("late", f"{_place(lease)} came too late: {type(error).__name__}, nothing changed", lease, error)

    def _insist(self, attempt: Attempt, result: _Result) -> None:
        """Complete, fail or postpone the task; again while the store cannot answer. The command's id makes it happen once."""
        k, lease, what = self.kernel, attempt.lease, result.what
        pauses = Pauses(k.chance, 0.05, LONGEST_TROUBLE)
        token = f"{lease.workflow_id} {lease.position} {lease.run} {lease.handouts} {what}"
        options: dict[str, Any] = {"output": result.output, "command_id": f"w{sha256(token.encode()).hexdigest()[:24]}"}
        while True:
            seen = self.pulse.count
            with self.turn if what == "completed" else nullcontext():
                try:
                    if what == "completed":
                        k.complete(lease, spawn=result.spawn, before=result.before, **options)
                    elif what == "failed":
                        k.fail(lease, reason=result.reason, retryable=result.retryable, **options)
                    else:
                        k.postpone(lease, result.seconds, **options)
                except HEALING as error:
                    trouble = error
                else:
                    self._count(what)
                    reason = f": {result.reason}" if what == "failed" else ""
                    self._tell(what, f"{_place(lease)} {what}{reason}", lease, reason=result.reason)
                    return
            if self.pulse.now() >= self._leave:
                raise trouble  # nobody waits for this thread any more
            self._tell("store", f"reporting {_place(lease)}: {_short(trouble)}; it is tried again", lease, trouble)
            self.pulse.wait(seen, pauses.next())

    def _count(self, what: str) -> None:
        with self._lock:
            worked = self.worked
            worked.completed += what == "completed"
            worked.failed += what == "failed"
            worked.postponed += what == "postponed"
            worked.late += what == "late"

    def _tell(
        self, what: str, text: str, lease: Lease | None = None, error: KernelError | None = None, reason: str = ""
    ) -> None:
        self.notice(Notice(what, text, lease, error, reason))


def _adapted(type_: str, function: object) -> Callable[[Attempt], Any]:
    """The function as a function of the attempt."""
    if not callable(function):
        raise InvalidInput(f"the function of type {quoted(type_)}", why=f"{quoted(function)} cannot be called")
    try:
        taken = list(signature(function).parameters.values())
    except (TypeError, ValueError):  # some built-in functions do not say what they take
        taken = []
    by_place = [p for p in taken if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    if len(by_place) > 1 and by_place[1].default is Parameter.empty:
        return lambda attempt: function(attempt.input, attempt)
    return lambda attempt: function(attempt.input)


def _place(lease: Lease) -> str:
    return f"attempt {lease.attempt} of task {quoted(lease.ref)} of workflow {quoted(lease.workflow_id)}"


def _short(error: KernelError) -> str:
    return one_line(f"{type(error).__name__}: {error.why or error.asked}")
