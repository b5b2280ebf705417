"""What several threads have to commit goes to the server together, as one call: while one is under way the others gather.

All of a group is applied, or none of it, and then each is sent by itself: so nobody is refused for what another one did. Where
nobody can tell whether a group was applied, nobody can of any command in it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq.abc import PGresult

from kernel.stores.postgres_call import LARGEST, Call
from kernel.stores.postgres_errors import is_undecided
from kernel.stores.postgres_link import FAILED, Asked, Link

if TYPE_CHECKING:
    from kernel.stores.postgres import PostgresStore

PAUSE = 0.003
"""Seconds for which a group that was sent is waited for; a server that takes longer has several under way."""
INTERRUPTED = "the thread that sent it was interrupted"


class State(Enum):
    """How it stands with a command that is to be sent."""

    WAITS = auto()
    """For a group that is under way to end."""
    FOLLOWS = auto()
    """It is part of a group, of which another thread takes care: of the first one only as long as it sends that."""
    SENT = auto()
    """With all that follow it: its thread takes care of what comes back."""
    ALONE = auto()
    """Nothing was applied of its group: it goes by itself."""
    DONE = auto()


class Turn:
    """A command that is to be sent, and what came of it."""

    __slots__ = ("along", "behind", "call", "error", "hurried", "is_open", "link", "results", "state", "woken")

    def __init__(self, link: Link, call: Call, along: Sequence[Asked]) -> None:
        """`link` is used if its thread takes care of a group; `along` are statements that are sent behind the call."""
        self.link, self.call, self.along, self.state = link, call, along, State.WAITS
        self.behind: list[Turn] = []
        """Those that follow it."""
        self.results: list[PGresult] = []
        """What the statements behind the call gave."""
        self.error: psycopg.Error | None = None
        self.is_open = False
        """Whether it may have been applied, though there was an error."""
        self.hurried = ""
        """What the server said when it was told not to wait for its standby any longer."""
        self.woken = threading.Lock()
        self.woken.acquire()

    def wake(self, state: State) -> None:
        """Tell the thread that waits for it how it stands."""
        self.state = state
        self.woken.release()


class Together:
    """The way to the server of all commands that were decided without a look."""

    def __init__(self, server: PostgresStore, apply: str) -> None:
        """`apply` is the statement that calls the function."""
        self._server, self._apply = server, apply
        self._lock = threading.Lock()
        self._waiting: list[Turn] = []
        self._under_way = set[Turn]()
        self._until = 0.0
        """When the latest group has been under way for long enough, on the clock of this process."""

    def commit(self, turn: Turn) -> None:
        """Send a command, with others or by itself, and see what comes of it."""
        try:
            if turn.call.size > LARGEST:
                turn.state = State.ALONE
            elif self._begins(turn):
                self._send(turn)
            else:
                self._wait(turn)
            if turn.state is State.SENT:
                self._receive(turn)
            elif turn.state is State.FOLLOWS:  # who was to send it was interrupted
                self._abandon(turn)
        except BaseException:
            with self._lock:
                is_being_sent = turn.state is State.FOLLOWS and turn in self._under_way
            if is_being_sent:  # by another thread, on the connection that this one gives back
                turn.woken.acquire()
            self._abandon(turn)
            raise
        finally:
            self._leave(turn)
        if turn.state is State.ALONE:
            if turn.link.broke():
                turn.link = self._server.renewed(turn.link)
            turn.behind, turn.error = [], None
            turn.link.send([(self._apply, turn.call.values()), *turn.along])
            self._receive(turn)

    # ---- taking turns ------------------------------------------------------------------------------------------------------
    def _begins(self, turn: Turn) -> bool:
        """Whether it may be sent now, and all that wait with it; otherwise it waits for what was sent just before."""
        with self._lock:
            if self._under_way and time.monotonic() < self._until:
                self._waiting.append(turn)
                return False
            self._gather(turn)
            return True

    def _wait(self, turn: Turn) -> None:
        """Until others have sent it, or long enough: then it takes all that wait along."""
        if turn.woken.acquire(timeout=PAUSE):
            return
        with self._lock:
            is_late = turn in self._waiting
            if is_late:
                self._gather(turn)
        if is_late:
            self._send(turn)
        else:
            turn.woken.acquire()

    def _gather(self, first: Turn) -> None:
        """All that wait follow this one, if they were decided under the same stamp."""
        first.behind = [other for other in self._waiting if other is not first and other.call.stamp == first.call.stamp]
        for other in first.behind:
            other.state = State.FOLLOWS
        self._waiting = [other for other in self._waiting if other is not first and other.state is State.WAITS]
        self._under_way.add(first)

    def _leave(self, turn: Turn) -> None:
        """Done with it, or interrupted. If it was under way, those that wait go now: the server waits for no thread."""
        first = None
        try:
            with self._lock:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                if turn in self._under_way:
                    self._under_way.remove(turn)
                    first = self._waiting[0] if self._waiting else None
                if first is not None:
                    self._gather(first)
                    first.state = State.FOLLOWS
            if first is not None:
                self._send(first)
        finally:
            if first is not None:
                first.wake(first.state)

    # ---- to the server and back --------------------------------------------------------------------------------------------
    def _send(self, turn: Turn) -> None:
        """Send a command together with those that follow it. What cannot be sent as a whole was not sent."""
        call, along = turn.call, [*turn.along]
        if turn.behind:
            call = Call(call.stamp)
            call.take_in(turn.call)
        for other in turn.behind:
            call.take_in(other.call)
            along += other.along
        try:
            if turn.link.broke():
                raise psycopg.OperationalError("it broke while nobody used it")
            turn.link.send([(self._apply, call.values()), *along])
            self._until = time.monotonic() + PAUSE
            turn.state = State.SENT
        except (psycopg.Error, UnicodeError):
            self._tell(turn, State.ALONE)

    def _receive(self, turn: Turn) -> None:
        """Take in what comes back, let the next group go, and then tell those that follow."""
        found = list[PGresult]()
        try:
            found = turn.link.receive()
            turn.error = error_from_result(found[-1]) if found[-1].status == FAILED else None
            turn.is_open = turn.error is not None and turn.link.closed and is_undecided(turn.error)
        except psycopg.OperationalError as lost:
            turn.error, turn.is_open = lost, True
        turn.hurried = turn.link.hurried
        self._leave(turn)
        is_undone = turn.error is not None and not turn.is_open and turn.behind
        self._tell(turn, State.ALONE if is_undone else State.DONE, found[1:])

    def _abandon(self, turn: Turn) -> None:
        """A thread was interrupted: nobody can say what became of its command, and of those that follow it."""
        turn.behind = [other for other in turn.behind if other.state is State.FOLLOWS]
        turn.error, turn.is_open = psycopg.OperationalError(INTERRUPTED), True
        self._tell(turn, State.DONE)

    def _tell(self, turn: Turn, state: State, found: Sequence[PGresult] = ()) -> None:
        """Hand out what came of a group."""
        first = 0
        for each in (turn, *turn.behind):
            last = first + len(each.along)
            each.results, first = list(found[first:last]), last
            each.error, each.is_open, each.hurried = turn.error, turn.is_open, turn.hurried
            if each is turn:
                turn.state = state
            else:
                each.wake(state)
