"""A connection to a Redis server that is spoken on directly: one that is silent, or encrypted, or asked for its health."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest
import redis
from redis.connection import ConnectionPool

import kernel
from kernel.errors import StoreUnavailable
from kernel.stores import redis_line
from kernel.stores.redis_line import Line
from tests.redis_server import Server, free_port, needs_redis, server

pytestmark = needs_redis
ONE = kernel.WorkflowDef("one", tasks=[kernel.TaskDef("a")])


@pytest.fixture
def line() -> Iterator[Line]:
    """One to a server that others use, too."""
    found = Line(ConnectionPool.from_url(server().url, decode_responses=True))
    yield found
    found.close()


def test_commands_that_are_sent_together(line: Line) -> None:
    """Each has its answer, in order, an error is one of them, and nothing is left over."""
    line.send(("ECHO", "a\u00e9"), ("NONSENSE",), ("ECHO", 2))
    assert line.read() == "a\u00e9"
    with pytest.raises(redis.ResponseError, match="unknown command"):
        line.read()
    assert line.read() == "2"
    assert line.is_fit()


def test_what_handles_signals_packs_no_numbers(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt that comes while hiredis writes a number would crash the process."""
    plain = hiredis.pack_command

    def pack(command: tuple[Any, ...]) -> bytes:
        if any(type(each) is int for each in command):
            raise SystemError
        return bytes(plain(command))

    monkeypatch.setattr(redis_line, "pack_command", pack)
    for number in (0, 7, 2**53):
        line.send(("ECHO", number), ("ECHO", "a"))
        assert (line.read(), line.read()) == (str(number), "a")


def test_an_answer_that_comes_in_pieces(line: Line) -> None:
    """It is read as a whole, however long it is."""
    text = "x" * 1_000_000
    line.send(("ECHO", text))
    assert line.read() == text


def test_what_was_not_read_is_left_over(line: Line) -> None:
    """Nobody else is given a connection with somebody's answer on it."""
    line.send(("PING",), ("PING",))
    assert line.read() == "PONG"
    assert not line.is_fit()
    assert line.read() == "PONG"
    assert line.is_fit()


def test_what_nobody_asked_for(line: Line) -> None:
    """Nor on which something came that is no answer, and that nobody has read yet."""
    line.send(("SUBSCRIBE", "news"))
    line.read()
    assert line.is_fit()
    server().client().publish("news", "none")
    server().client().ping()  # it has come by now
    assert not line.is_fit()


def test_a_connection_that_was_interrupted_when_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its first answers are still under way: nobody takes them for those to other commands."""
    pool = ConnectionPool.from_url(server().url, decode_responses=True, max_connections=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.connection_class, "on_connect", interrupted)
        patch.setattr(pool.connection_class, "on_connect_check_health", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Line(pool)
    monkeypatch.setattr(pool.connection_class, "can_read", lambda *given, **options: False)  # they take their time
    line = Line(pool)
    line.send(("PING",))
    assert line.read() == "PONG"
    line.close()


def interrupted(driver: Any, **options: Any) -> None:
    """A command is sent, and its answer not waited for."""
    driver.send_command("ECHO", "another's")
    raise KeyboardInterrupt


def test_an_interrupted_look_at_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts no longer as one in use, as every other one that is given up."""
    with kernel.open(f"{server().url}?namespace=interrupted&max_connections=1") as k:
        for method in ("is_fit", "send", "read"):
            with monkeypatch.context() as patch:
                patch.setattr(Line, method, lambda *given: interrupted_by_hand())
                with pytest.raises(KeyboardInterrupt):
                    k.find()
            assert k.find().items == ()


def interrupted_by_hand() -> None:
    """A KeyboardInterrupt."""
    raise KeyboardInterrupt


def test_more_threads_than_connections() -> None:
    """It says so: nothing is wrong with the server."""
    with kernel.open(f"{server().url}?namespace=few&max_connections=1") as k:
        link = k.store.link  # type: ignore[attr-defined]
        line = link._idle[link.client.connection_pool].pop()
        with pytest.raises(StoreUnavailable, match="fewer threads"):
            k.find()
        line.close()
        assert k.find().items == ()


def test_a_server_that_says_nothing(tmp_path: Path) -> None:
    """Who waits gives up when the time is over, and the commit may have been applied."""
    own = Server(tmp_path)
    try:
        with kernel.open(f"{own.url}?socket_timeout=0.1") as k:
            k.register(ONE)
            k.start("one", workflow_id="w")
            own.client().client_pause(60_000, all=False)
            with pytest.raises(kernel.CommitUnknown, match="no answer came in time"):
                k.terminate("w")
    finally:
        own.kill()


def test_its_health_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the URL says: with a PING of the driver's, before a command, after so many seconds without one."""
    asked: list[Any] = []
    pool: Any = ConnectionPool.from_url(f"{server().url}?health_check_interval=1")
    line = Line(pool)
    check = pool.connection_class.check_health

    def checked(driver: Any) -> None:
        asked.append(driver)
        check(driver)

    monkeypatch.setattr(pool.connection_class, "check_health", checked)
    line._driver.next_health_check = -1.0
    line.send(("ECHO", "a"))
    assert line.read() == "a"
    assert asked == [line._driver]
    assert line._driver.next_health_check > 0
    line.close()


def test_an_encrypted_one(tmp_path: Path) -> None:
    """rediss:// is spoken through the driver's socket, which encrypts; a server that is not the one meant is not spoken to."""
    key, certificate, port = tmp_path / "key", tmp_path / "certificate", free_port()
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True)
    own = Server(tmp_path, "--appendonly", "yes", "--tls-port", str(port), "--tls-cert-file", str(certificate),
                 "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate), "--tls-auth-clients", "no")
    try:
        with kernel.open(f"rediss://127.0.0.1:{port}?ssl_ca_certs={certificate}") as k:
            k.register(ONE)
            for number in range(3):
                k.start("one", workflow_id=f"w{number}", input={"text": "x" * 100_000})
            k.complete(*k.poll("a"))
            assert k.get("w0").state == "COMPLETED"
            assert k.audit().clean
        with pytest.raises(kernel.StoreUnavailable, match=r"(?i)certificate"):
            kernel.open(f"rediss://127.0.0.1:{port}")
    finally:
        own.kill()
