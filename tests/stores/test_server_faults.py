"""Servers that are full, that follow another, that ask for a password, that are killed: real ones, each time."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redis
from psycopg import sql

import kernel
from kernel.engine.kernel import Kernel, Options
from kernel.errors import CommitUnknown, StoreFull, StoreReadOnly, StoreUnavailable
from kernel.stores import redis_link
from kernel.stores.postgres import ALONE, DURABLE, FOLLOWED
from kernel.stores.redis import TORN
from kernel.stores.redis_link import Script, script
from kernel.testing.servers import PostgresServer, PostgresStores, postgres_programs, postgres_server
from kernel.testing.stores import quick_folder
from tests.redis_server import PROGRAM, Server, needs_redis, server
from tests.stores.disks import remount, small_disk
from tests.stores.servers import RUN

pytestmark = pytest.mark.server
SECRET, GUESS = "correct-horse", "hunter2"
SEEN = "7.0.15"
"""A version of Redis that applies half a commit from a log that was cut off; others may."""
PART = kernel.WorkflowDef("part", topics=("archive",), tasks=[kernel.TaskDef("make")])
ORDER = kernel.WorkflowDef("order", topics=("archive",), tasks=[
    kernel.TaskDef("pick"), kernel.TaskDef("part", workflow="part")])
LARGE = {"text": random.Random(1).randbytes(100_000).hex()}
"""An input that hardly gets smaller when it is compressed."""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A Redis server whose settings a test may change."""
    found = Server(tmp_path)
    yield found
    found.kill()


def until(come: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until it is so."""
    pause, left = threading.Event(), seconds
    while not come():
        assert left > 0, "it did not come to it"
        pause.wait(0.02)
        left -= 0.02


def states(k: Kernel, *names: str) -> list[str]:
    """How workflows stand."""
    return [str(k.get(name).state) for name in names]


# ---- a disk that is full ----------------------------------------------------------------------------------------------------
def start_many(k: Kernel, begun: list[str]) -> None:
    """Start workflows, one after the other, and name them."""
    for number in range(200):
        begun.append(k.start("order", workflow_id=f"w{number}", input=LARGE).id)


def fill(k: Kernel) -> list[str]:
    """Start workflows until no more go in: each is there as a whole, and of the one that was refused nothing."""
    begun: list[str] = []
    with pytest.raises(StoreFull, match="nothing was applied"):
        start_many(k, begun)
    assert [w.id for w in k.find(limit=1000).items if w.parent is None] == sorted(begun)
    assert k.audit().clean
    return begun


@pytest.mark.slow
@pytest.mark.may_skip(reason="mounting needs root")
def test_a_postgres_disk_that_is_full(stores: PostgresStores) -> None:
    """That of the tables: what does not fit any more is StoreFull with nothing applied, what was there can be read, and with
    more space it goes on.
    """
    folder = stores.server.folder
    with small_disk(folder / "small", 3) as disk, stores.server.connect() as operator:
        shutil.chown(disk, stores.server.user or os.getuid())
        made = sql.SQL("CREATE TABLESPACE small LOCATION {}").format(sql.Literal(str(disk)))
        operator.execute(made)
        option = quote("-c default_tablespace=small", safe="")
        with kernel.open(stores.server.url("small_disk", options=f"&unsafe=fsync&options={option}")) as k:
            k.register(PART, ORDER)
            begun = fill(k)
            assert len(begun) > 3
            assert set(states(k, *begun)) == {"RUNNING"}
            remount(disk, "size=50m")
            assert k.start("order", input=LARGE).state == "RUNNING"
            assert k.terminate(begun[-1]).ended == 2
            assert k.audit().clean
        operator.execute("DROP SCHEMA small_disk CASCADE")
        operator.execute("DROP TABLESPACE small")


@needs_redis
@pytest.mark.slow
@pytest.mark.may_skip(reason="mounting needs root")
def test_a_redis_disk_that_is_full(tmp_path: Path) -> None:
    """That of the log: the server refuses every write, with nothing applied, until there is space; what it had acknowledged
    before it noticed is there after a crash.
    """
    with small_disk(tmp_path / "small", 3) as disk, closing(OwnServer(disk)) as own, kernel.open(own.server.url) as k:
        k.register(PART, ORDER)
        begun = fill(k)
        assert len(begun) > 3
        with pytest.raises(StoreFull, match="nothing was applied"):
            k.terminate(begun[0])
        remount(disk, "size=50m")
        until(lambda: own.server.client().info("persistence")["aof_last_write_status"] == "ok")
        assert k.terminate(begun[0]).ended == 2
        own.server.kill()
        own.server.start()
        assert states(k, *begun) == ["TERMINATED", *["RUNNING"] * (len(begun) - 1)]
        assert k.audit().clean


class OwnServer:
    """A Redis server that is ended by closing it."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder, "--appendonly", "yes", "--appendfsync", "no", "--logfile", "")

    def close(self) -> None:
        """End it."""
        self.server.kill()


# ---- a server that follows another, and takes over --------------------------------------------------------------------------
def caught_up(primary: PostgresServer, standby: PostgresServer) -> bool:
    """Whether the standby has replayed all that the primary has committed."""
    with primary.connect() as one, standby.connect() as other:
        at = one.execute("SELECT pg_current_wal_lsn()").fetchall()[0][0]
        return bool(other.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", (at,)).fetchall()[0][0])


def told(server: PostgresServer, name: str, value: str) -> None:
    """Change a setting of a server that runs."""
    with server.connect() as operator:
        changed = sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
        operator.execute(changed)
        operator.execute("SELECT pg_reload_conf()")


def either(*servers: PostgresServer) -> str:
    """The URL of whichever takes writes."""
    hosts = quote(",".join(str(server.folder) for server in servers), safe=",")
    return f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"


@pytest.fixture
def quick() -> Iterator[str]:
    """A folder in which a server can wait for its disk, and need not wait long."""
    with quick_folder() as folder:
        folder.chmod(0o755)
        yield str(folder)


@pytest.mark.slow
def test_a_primary_that_dies(quick: str) -> None:
    """A standby is read, and takes over: a kernel that was told of both goes on. What the standby had not got is lost, a whole
    commit each time, and the outcome of the command says so; a standby that commits wait for has all of it.
    """
    if postgres_programs() is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    with postgres_server(settings=(), place=quick) as first, \
            postgres_server(settings=(), place=quick, of=first) as second, kernel.open(either(first, second)) as k:
        assert k.store.durability == DURABLE + ALONE
        k.register(PART, ORDER)
        for name in ("kept", "lost"):
            k.start("order", workflow_id=name)
        k.terminate("kept")
        until(lambda: caught_up(first, second))
        read_only(second)
        told(second, "primary_conninfo", "")  # it hears no more
        with second.connect() as operator:
            until(lambda: not operator.execute("SELECT 1 FROM pg_stat_wal_receiver").fetchall())
        assert k.terminate("lost", command_id="end").ended == 2
        first.stop(kill=True)
        second.promote()
        assert states(k, "kept", "lost") == ["TERMINATED", "RUNNING"]
        assert isinstance(k.outcome("end", workflow_id="lost"), kernel.NotApplied)
        assert k.audit().clean
        told(second, "synchronous_standby_names", "*")
        hurried(either(first, second), second)
        with postgres_server(settings=(), place=quick, of=second) as third, kernel.open(either(second, third)) as other:
            assert other.store.durability == DURABLE + FOLLOWED
            assert other.terminate("lost", command_id="again").ended == 2
            second.stop(kill=True)
            third.promote()
            told(third, "synchronous_standby_names", "")  # nobody follows it
            assert states(other, "kept", "lost") == ["TERMINATED", "TERMINATED"]
            assert isinstance(other.outcome("again", workflow_id="lost"), kernel.Applied)
            assert other.audit().clean


def hurried(url: str, server: PostgresServer) -> None:
    """When somebody cancels the waiting for a standby that is not there, nobody is told that it has the commit."""
    def cancel() -> None:
        with server.connect() as operator:
            until(lambda: operator.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall())

    with kernel.open(url) as k:
        for name, options in (("alone", Options(command_id="alone")), ("guessed", Options())):
            canceling = threading.Thread(target=cancel)
            canceling.start()
            with pytest.raises(CommitUnknown, match="canceling wait for synchronous replication"):
                k.start("order", workflow_id=name, **options)
            canceling.join()
            assert k.get(name).state == "RUNNING", "it stands, as long as this server does"


def read_only(standby: PostgresServer) -> None:
    """It is not opened to write; it is read when asked so."""
    with pytest.raises(StoreReadOnly, match="a replica"):
        kernel.open(standby.url(options=""))
    with kernel.open(standby.url(options="&mode=ro")) as reader:
        assert states(reader, "kept", "lost") == ["TERMINATED", "RUNNING"]
        assert reader.audit().clean
        with pytest.raises(StoreReadOnly):
            reader.terminate("lost")


# ---- who may not ------------------------------------------------------------------------------------------------------------
def test_a_wrong_password(stores: PostgresStores) -> None:
    """It is StoreUnavailable, and neither the wrong one nor the right one is told."""
    rules = stores.server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    with stores.server.connect() as operator:
        made = sql.SQL("CREATE ROLE locked LOGIN PASSWORD {}").format(sql.Literal(SECRET))
        operator.execute(made)
        try:
            rules.write_text(f"local all locked scram-sha-256\n{before}")
            operator.execute("SELECT pg_reload_conf()")
            for guess in (f"locked:{GUESS}", "locked"):
                with pytest.raises(StoreUnavailable, match="password") as caught:
                    kernel.open(stores.server.url("never", user=guess))
                assert GUESS not in f"{caught.value} {caught.value.__dict__}"
            with pytest.raises(StoreUnavailable, match="permission denied"):  # it comes in, and may make no schema
                kernel.open(stores.server.url("never", user=f"locked:{SECRET}"))
        finally:
            rules.write_text(before)
            operator.execute("SELECT pg_reload_conf()")
            operator.execute("DROP ROLE locked")


@needs_redis
@pytest.mark.parametrize(("rules", "said"), [
    (("+@all", "~other:*"), "NOPERM|permission"), (("+@read", "~*"), "NOPERM|permission")], ids=["keys", "commands"])
def test_a_redis_user_who_may_not(own: Server, rules: tuple[str, str], said: str) -> None:
    """A user without the commands or the keys of the store is told what it needs, and nothing is written."""
    client: Any = own.client()
    client.execute_command("ACL", "SETUSER", "ada", "on", f">{SECRET}", *rules, "+info", "+config")
    with pytest.raises(StoreUnavailable, match=said) as caught:
        kernel.open(own.url.replace("redis://", f"redis://ada:{SECRET}@"))
    assert SECRET not in f"{caught.value} {caught.value.__dict__}"
    assert client.dbsize() == 0


# ---- a log that was cut off -----------------------------------------------------------------------------------------------
@needs_redis
@pytest.mark.parametrize("taken", ["yes", "no"])
def test_a_log_that_ends_in_the_middle_of_a_commit(tmp_path: Path, taken: str) -> None:
    """The server was killed while it wrote. With `aof-load-truncated yes`, its default, half of the commit may be there after
    another start (that of SEEN is), as the store says when it is opened; with `no` it does not start until redis-check-aof has
    taken the half away, and nothing of it comes back.
    """
    own = Server(tmp_path, "--appendonly", "yes", "--appendfsync", "no", "--aof-load-truncated", taken)
    try:
        with kernel.open(own.url) as k:
            assert (TORN in k.store.durability) is (taken == "yes")
            k.register(PART, ORDER)
            k.start("order", workflow_id="w")
            stood = k.history("w")
            k.terminate("w")
        own.kill()
        (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        content = log.read_bytes()
        log.write_bytes(content[: (content.rindex(b"MULTI") + len(content)) // 2])
        if taken == "no":
            with pytest.raises(redis.ConnectionError):
                own.start()
            (manifest,) = (tmp_path / "appendonlydir").glob("*.manifest")
            mend = [f"{PROGRAM.removesuffix('-server')}-check-aof", "--fix", str(manifest)]
            subprocess.run(mend, input=b"y\n", stdout=subprocess.DEVNULL, check=True)
        own.start()
        with kernel.open(own.url) as k:
            assert k.history("w") == stood
            k.start("order", workflow_id="another")
        own.kill()
        own.start()
        with kernel.open(own.url) as k:
            whole = k.audit().clean and k.history("w") == stood and k.get("w").state == "RUNNING"
            if taken == "no" or own.client().info("server")["redis_version"] == SEEN:
                assert whole is (taken == "no")
    finally:
        own.kill()


# ---- a script that is killed ------------------------------------------------------------------------------------------------
@needs_redis
@pytest.mark.parametrize("name", ["cascade", "due"])
def test_a_script_that_is_killed(own: Server, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """By somebody to whom it took too long, before it wrote: nothing was applied, and it is told why."""
    with kernel.open(own.url) as k, kernel.open(own.url) as other:  # which remembers nothing: it asks
        k.register(PART, ORDER)
        k.start("order", workflow_id="w")
        own.client().config_set("busy-reply-threshold", "1")
        killers: list[threading.Thread] = []

        def endless(asked: str, *, reading: bool) -> Script:
            found = script(asked, reading=reading)
            if asked != name or killers:
                return found
            killers.append(threading.Thread(target=kill_script, args=(own,)))
            killers[0].start()
            head, _, body = found.text.partition("\n")
            return Script(f"{head}\nwhile true do end\n{body}", "0" * 40)

        monkeypatch.setattr(redis_link, "script", endless)
        with pytest.raises(StoreUnavailable, match="killed by user") as caught:
            other.terminate("w") if name == "cascade" else other.poll("pick")
        killers[0].join()
        assert caught.value.stands == "nothing was applied"
        assert states(k, "w") == ["RUNNING"]
        assert k.terminate("w").ended == 2
        assert k.audit().clean


def kill_script(own: Server) -> None:
    """Kill the script that blocks the server."""
    client: Any = own.client()

    def killed() -> bool:
        try:
            return bool(client.script_kill())
        except redis.ResponseError:
            return False

    until(killed)


# ---- a fork -----------------------------------------------------------------------------------------------------------------
FORK = """
import os, sys, kernel
k = kernel.open(sys.argv[1])
k.register(kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick")]))
k.start("order", workflow_id="w")
def number():
    if sys.argv[2] == "redis":
        return k.store.link.call("", "CLIENT", "ID")
    with k.store.connection() as one, k.store.connection() as two:
        return sorted(each.execute("SELECT pg_backend_pid()").fetchall() for each in (one, two))
before = number()
read, write = os.pipe()
with k.store.transaction(write=True) as transaction:
    transaction.forget(0, 1)
    if os.fork() == 0:
        answers = []
        for ask in (lambda: k.get("w"), lambda: k.terminate("w")):
            try:
                answers.append(str(ask()))
            except kernel.StoreUnavailable as error:
                answers.append(error.why + "; " + error.hint)
        with kernel.open(sys.argv[1]) as own:
            answers.append(own.get("w").state)
        k.close()
        os.write(write, "\\n".join(answers).encode())
        os._exit(0)
    os.wait()
os.close(write)
sys.stdout.write(os.fdopen(read).read())
sys.stdout.write("\\n" + str(k.terminate("w").ended) + "\\n" + str(number() == before))
"""


@pytest.mark.parametrize("kind", ["postgres", "redis"])
def test_a_fork_does_not_use_its_parents_connections(kind: str) -> None:
    """A child that uses its parent's kernel is told so, whatever the parent has under way; one of its own works. It may close
    what it inherited: the parent goes on with the same connections.
    """
    url = server().new_url() if kind == "redis" else RUN.postgres().server.url("forked")
    done = subprocess.run([sys.executable, "-c", FORK, url, kind], capture_output=True, text=True, timeout=60, check=False)
    told = "it was opened by the parent process before a fork; open a kernel of its own in each process"
    assert (done.stdout.splitlines(), done.stderr) == ([told, told, "RUNNING", "1", "True"], "")
    if kind == "postgres":
        with RUN.postgres().server.connect() as operator:
            operator.execute("DROP SCHEMA forked CASCADE")
