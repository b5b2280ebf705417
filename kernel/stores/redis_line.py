"""A connection: the driver opens it and closes it, and what is said on it goes straight to its socket.

The driver's own way from a command to its answer takes three times as long, and lets other threads in five times, not twice.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from typing import Any

from hiredis import Reader, pack_command
from redis.connection import ConnectionPool
from redis.exceptions import ConnectionError, RedisError, TimeoutError

MORE = object()
"""What the reader gives before an answer is whole."""
AT_ONCE = 65_536
"""Bytes that are read at once."""
ESTABLISHED = 1
"""What TCP_INFO of Linux begins with where neither end has closed a connection."""
RECEIVED = slice(128, 136)
"""Where it has the number of bytes that came on it, since Linux 4.1."""


class Line:
    """A connection that is open. One thread at a time."""

    __slots__ = ("_buffer", "_driver", "_main", "_poll", "_pool", "_reader", "_received", "_socket")

    def __init__(self, pool: ConnectionPool) -> None:
        """Raises what the driver does where there is no server, or it lets nobody in."""
        try:
            driver: Any = pool.get_connection()
        except BaseException:  # it keeps one whose first commands were interrupted: their answers would be taken for others
            pool.disconnect(inuse_connections=False)
            raise
        self._pool, self._driver, self._socket = pool, driver, driver._sock
        self._reader: Any = Reader(replyError=driver._parser.parse_error, encoding="utf-8", notEnoughData=MORE)
        self._buffer, self._main = bytearray(AT_ONCE), threading.main_thread().ident
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        plain = type(self._socket) is socket.socket
        self._received = -1
        """The bytes that were read of all that came; -1 where TCP_INFO does not tell of them."""
        if plain and sys.platform == "linux" and self._socket.family in (socket.AF_INET, socket.AF_INET6) and not (
                driver.health_check_interval or self._poll.poll(0)):
            self._received = self._tell()[1]
        if plain and driver.socket_timeout and os.name == "posix":  # then it waits by itself
            seconds, rest = divmod(float(driver.socket_timeout), 1.0)
            patience = struct.pack("ll", int(seconds), int(rest * 1e6))
            self._socket.settimeout(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, patience)

    def is_fit(self) -> bool:
        """Whether the server has not closed it, and nothing is left over on it."""
        if self._reader.has_data():
            return False
        if self._received >= 0:  # poll would let other threads in, once more for each command
            return self._tell() == (ESTABLISHED, self._received)
        return not self._poll.poll(0)

    def _tell(self) -> tuple[int, int]:
        """What Linux knows of the connection: its state, and how many bytes came."""
        info: bytes = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RECEIVED.stop)
        came = info[RECEIVED]
        return info[0], int.from_bytes(came, sys.byteorder) if came else -1

    def close(self) -> None:
        """Close it; it counts no longer as one in use."""
        try:
            self._driver.disconnect()
        finally:
            self._pool.release(self._driver)

    def send(self, *commands: tuple[Any, ...]) -> None:
        """Send commands in one write."""
        if self._driver.health_check_interval:
            self._driver.check_health()
        packed = self._packed(commands[0]) if len(commands) == 1 else b"".join(map(self._packed, commands))
        try:
            self._socket.sendall(packed)
        except OSError as error:
            raise _lost(error) from error

    def read(self) -> Any:
        """The next answer. Raises the server's error; of a lost connection one of the driver's."""
        reader = self._reader
        answer = reader.gets()
        while answer is MORE:
            try:
                number = self._socket.recv_into(self._buffer)
            except OSError as error:
                raise _lost(error) from error
            if not number:
                raise ConnectionError("the server closed the connection")
            if self._received >= 0:
                self._received += number
            reader.feed(self._buffer, 0, number)
            answer = reader.gets()
        if isinstance(answer, RedisError):
            raise answer
        return answer

    def _packed(self, command: tuple[Any, ...]) -> bytes:
        """A command as the server reads it.

        In the thread that handles signals without numbers: hiredis 3.5 lets a handler raise while it writes one, does not see
        that, and the process crashes.
        """
        if threading.get_ident() == self._main:
            try:
                "".join(command)  # whether all is text, as commits are
            except TypeError:
                command = tuple(map(str, command))
        packed: bytes = pack_command(command)
        return packed


def _lost(error: OSError) -> RedisError:
    if isinstance(error, BlockingIOError | socket.timeout):
        return TimeoutError("no answer came in time")
    return ConnectionError(f"the connection broke: {error.strerror or error}")
