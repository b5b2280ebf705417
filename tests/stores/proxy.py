"""A connection that breaks when it is told to: a proxy between a store and its server."""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from contextlib import suppress


class Proxy:
    """Forwards a port of the loopback address to a socket of the server, message by message.

    `cut(number, answered)` breaks all connections at the client's message so many ahead: before the server gets it, or when
    the server has answered, but before the client hears of it.
    """

    def __init__(self, server: str) -> None:
        """`server` is the path of the server's socket."""
        self.server = server
        self.left = -1
        self.answered = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, number: int, *, answered: bool) -> None:
        """Break at the client's message number `number` from now on, counted from 0."""
        self.left, self.answered = number, answered

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as ready, suppress(OSError):
            server.connect(self.server)
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            silent = False
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                    if not data:
                        return None
                    if key.fileobj is client and not self._passes():
                        if not self.answered:
                            return self._break(client)
                        silent = True
                    if key.fileobj is server and silent:
                        return self._break(client)
                    key.data.sendall(data)

    def _passes(self) -> bool:
        """Count a message of the client's; whether nothing happens to it."""
        if self.left < 0:
            return True
        self.left -= 1
        return self.left >= 0

    def _break(self, client: socket.socket) -> None:
        """As a network does: no goodbye."""
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
