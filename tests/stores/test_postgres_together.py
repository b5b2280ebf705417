"""Commits of several threads go to the server as one, and nobody notices: each is applied or refused for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import psycopg
import pytest
from psycopg import sql

import kernel
from kernel.engine.entities import Applied, NotApplied
from kernel.engine.kernel import Kernel
from kernel.errors import CommitUnknown, Fenced, GuardRefused
from kernel.stores import postgres_recall, postgres_together
from kernel.stores.postgres import PostgresStore
from kernel.stores.postgres_call import LARGEST, Call
from kernel.stores.postgres_link import Link
from kernel.stores.postgres_recall import MORE
from kernel.stores.postgres_together import Together, Turn
from kernel.testing.clock import ManualClock
from kernel.testing.servers import PostgresStores
from tests.stores.proxy import Proxy
from tests.stores.test_postgres_lately import waiting

CHAIN = kernel.WorkflowDef("chain", tasks=[kernel.TaskDef("a", type="t"), kernel.TaskDef("b", type="t", after=["a"])])
MANY = 6
Work = Callable[[], object]


@pytest.fixture
def schema(stores: PostgresStores) -> Iterator[str]:
    """The schema of the store."""
    schema = stores.schema()
    yield schema
    stores.wipe(schema)


@pytest.fixture
def k(stores: PostgresStores, schema: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel with a workflow for each thread, through the proxy; whoever waits for a group waits as long as it takes."""
    monkeypatch.setattr(postgres_together, "PAUSE", 20.0)
    with Kernel(PostgresStore(stores.server.url(schema, port=proxy.port)), clock=ManualClock()) as k:
        k.register(CHAIN)
        for number in range(MANY):
            k.start("chain", workflow_id=f"w{number}")
        for link in [store_of(k).take() for _ in range(MANY)]:
            store_of(k).put_back(link)  # there is one for each thread
        yield k
        assert k.audit().clean
        assert k.verify().clean


@pytest.fixture
def other(k: Kernel, stores: PostgresStores, schema: str) -> Iterator[Kernel]:
    """Another process, as it were, on the same store."""
    with Kernel(PostgresStore(stores.server.url(schema)), clock=k.clock) as other:
        yield other


def store_of(k: Kernel) -> PostgresStore:
    """Its store."""
    assert isinstance(k.store, PostgresStore)
    return k.store


@contextmanager
def held(stores: PostgresStores, schema: str, table: str = "history") -> Iterator[None]:
    """As long as this lasts, nothing is committed that writes to a table."""
    with stores.server.connect() as blocking, blocking.transaction():
        lock = sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(sql.Identifier(schema, table))
        blocking.execute(lock)
        yield


class Crew:
    """Threads that do something each, the first of which is under way when the others gather behind it."""

    def __init__(self, k: Kernel, works: Sequence[Work]) -> None:
        self.raised: dict[int, BaseException] = {}
        self.gave: dict[int, Any] = {}
        self._together = store_of(k).together
        self._threads = [threading.Thread(target=self._do, args=each, daemon=True) for each in enumerate(works)]

    def _do(self, number: int, work: Work) -> None:
        try:
            self.gave[number] = work()
        except BaseException as error:  # noqa: BLE001
            self.raised[number] = error

    def gather(self, stores: PostgresStores) -> None:
        """Begin, one after the other, until the first waits on the server, and all others for it."""
        with stores.server.connect() as operator:
            for number, thread in enumerate(self._threads):
                thread.start()
                while thread.is_alive() and (len(self._together._waiting) < number or not waiting(operator)):
                    thread.join(0.001)

    def end(self) -> None:
        """Wait for all."""
        for thread in self._threads:
            thread.join(20.0)
        assert not any(thread.is_alive() for thread in self._threads)
        assert not self._together._under_way
        assert not self._together._waiting


def polls(k: Kernel) -> list[Work]:
    """A task for each thread, of one queue."""
    return [lambda: k.poll("t", worker="w")] * MANY


def results(k: Kernel) -> list[Work]:
    """A result for each thread, each of another workflow."""
    leases = sorted((lease for _ in range(MANY) for lease in k.poll("t", worker="w")), key=lambda lease: lease.workflow_id)
    return [lambda lease=lease: k.complete(lease) for lease in leases]  # type: ignore[misc]


def starts(k: Kernel) -> list[Work]:
    """A new workflow for each thread."""
    return [lambda name=f"new{number}": k.start("chain", workflow_id=name) for number in range(MANY)]  # type: ignore[misc]


def commits(stores: PostgresStores, schema: str, event: str) -> int:
    """How many transactions wrote the lines of history that tell of an event."""
    with stores.server.connect() as operator:
        lines = sql.SQL("SELECT count(DISTINCT xmin::text) FROM {} WHERE by = %s").format(sql.Identifier(schema, "history"))
        ((count,),) = operator.execute(lines, (event,)).fetchall()
    return int(count)


@pytest.mark.parametrize(("works", "event"), [(polls, "POLL"), (results, "COMPLETE"), (starts, "START")])
def test_those_that_gather_are_one_commit(
    k: Kernel, stores: PostgresStores, schema: str, proxy: Proxy, works: Callable[[Kernel], list[Work]], event: str,
) -> None:
    """While the first is under way; all of them are answered, and the server is asked twice. No task is handed out twice."""
    crew, before = Crew(k, works(k)), commits(stores, schema, event)
    with held(stores, schema):
        proxy.cut(1_000, answered=False)
        crew.gather(stores)
    crew.end()
    assert not crew.raised
    assert 1_000 - proxy.left == 2
    assert commits(stores, schema, event) == before + 2
    if event == "POLL":
        assert sorted(each.workflow_id for leases in crew.gave.values() for each in leases) == [f"w{n}" for n in range(MANY)]
    elif event == "COMPLETE":
        assert all(k.tasks(f"w{number}")[0].state == "COMPLETED" for number in range(MANY))
    else:
        assert all(k.get(f"new{number}").version == 1 for number in range(MANY))


def test_each_gets_the_answers_to_what_it_asked(
    k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers for new workflows come with the answer: nobody gets those of another one."""
    monkeypatch.setattr(postgres_recall, "FEW", 1_000)
    crew = Crew(k, starts(k))
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    numbers = [*store_of(k).lately.numbers]
    assert len(numbers) >= MANY * MORE
    assert len(set(numbers)) == len(numbers)


def test_the_server_waits_for_no_thread(
    k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those that gathered are sent before the thread whose command was under way goes on."""
    tell, waited = Together._tell, list[int]()

    def told(together: Together, turn: Turn, *rest: Any) -> None:
        waited.append(len(together._waiting))
        tell(together, turn, *rest)

    monkeypatch.setattr(Together, "_tell", told)
    crew = Crew(k, results(k))
    waited.clear()
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    assert waited == [0, 0]


def test_what_was_decided_under_another_stamp_does_not_go_along(
    k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is decided again; the others are one commit."""
    commit, before = store_of(k).together.commit, commits(stores, schema, "COMPLETE")

    def older(turn: Turn) -> None:
        if threading.current_thread().name == "older":
            turn.call.stamp = "0.older"
        commit(turn)

    crew = Crew(k, results(k))
    monkeypatch.setattr(store_of(k).together, "commit", older)
    crew._threads[2].name = "older"
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    assert not crew.raised
    assert commits(stores, schema, "COMPLETE") == before + 3


@pytest.mark.parametrize(
    ("column", "other"), [(17, r'\"SCHEDULED\"'), (18, "2"), (20, "1")], ids=["state", "hand-outs", "time"])
def test_a_task_that_is_another_one(k: Kernel, monkeypatch: pytest.MonkeyPatch, column: int, other: str) -> None:
    """Its state, its hand-outs, and the time of its lease where nobody presents that, are compared as they are written."""
    (lease,), found = k.poll("t", worker="w"), list[psycopg.Error | None]()
    commit = store_of(k).together.commit

    def wrong(turn: Turn) -> None:
        rows = turn.call.rows["update_task"]
        columns = rows[0].removeprefix('"(').removesuffix(')"').split(",")
        assert columns[17:20] == [r'\"IN_PROGRESS\"', "1", "True"]
        columns[19], columns[column] = "False", other
        rows[0] = f'"({",".join(columns)})"'
        commit(turn)
        found.append(turn.error)

    monkeypatch.setattr(store_of(k).together, "commit", wrong)
    assert k.complete(lease).version == 2, "it was decided again, with a look"
    assert [error.sqlstate for error in found if error] == ["KE001"]


def test_an_outcome_waits_for_the_group(k: Kernel, other: Kernel, stores: PostgresStores, schema: str) -> None:
    """Of a start whose group is under way nobody is told that it was not applied."""
    works: list[Work] = [lambda name=f"new{n}", n=n: k.start("chain", workflow_id=name, input={"n": n} if n else None)  # type: ignore[misc]
                         for n in range(MANY)]
    crew, told = Crew(k, works), list[object]()
    turns, commit = list[Turn](), store_of(k).together.commit

    def committed(turn: Turn) -> None:
        turns.append(turn)
        commit(turn)

    with pytest.MonkeyPatch.context() as patch, stores.server.connect() as operator:
        patch.setattr(store_of(k).together, "commit", committed)
        with held(stores, schema, "payload"):
            with held(stores, schema):
                crew.gather(stores)
            command = next(turn.call.rows["hold"][0].split('\\"')[3] for turn in turns if "new3" in turn.call.rows["hold"][0])
            asking = threading.Thread(target=lambda: told.append(other.outcome(command, workflow_id="new3")), daemon=True)
            crew._threads[0].join(20.0)  # it has sent the group
            while waiting(operator) < 1:  # for the table
                crew._threads[1].join(0.001)
            asking.start()
            while waiting(operator) < 2 and asking.is_alive():
                asking.join(0.001)
            assert not told
        asking.join(20.0)
    crew.end()
    assert isinstance(told[0], Applied)


def test_one_that_was_wrong_hurts_nobody(k: Kernel, other: Kernel, stores: PostgresStores, schema: str) -> None:
    """Nothing of its group is applied: each goes by itself then, and is applied or refused for itself."""
    works = results(k)
    other.terminate("w3")
    other.pause("w4")
    crew, before = Crew(k, works), commits(stores, schema, "COMPLETE")
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    assert {number: type(error) for number, error in crew.raised.items()} == {3: Fenced}
    assert commits(stores, schema, "COMPLETE") == before + MANY - 1
    assert [k.tasks(f"w{number}")[0].state for number in range(MANY)] == ["COMPLETED"] * 3 + ["CANCELED"] + ["COMPLETED"] * 2


def test_nobody_waits_for_what_another_one_waits_for(
    k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tree that somebody holds is waited for by its command alone, and by the others not longer than a moment."""
    works = results(k)
    crew = Crew(k, works)
    monkeypatch.setattr(postgres_together, "PAUSE", 0.001)
    with stores.server.connect() as blocking, blocking.transaction():
        tree = sql.SQL("SELECT FROM {} WHERE root IN ('w0', 'w5') FOR UPDATE").format(sql.Identifier(schema, "tree"))
        blocking.execute(tree)
        for thread in crew._threads:
            thread.start()
        for thread in crew._threads[1:-1]:
            thread.join(20.0)
        assert sorted(crew.gave) == [1, 2, 3, 4]
    crew.end()
    assert sorted(crew.gave) == [*range(MANY)]


def test_what_takes_long_keeps_nobody(k: Kernel, stores: PostgresStores, schema: str) -> None:
    """Who comes when a command has been under way for a while goes at once, with all that wait."""
    works = results(k)
    crew = Crew(k, works[:3])
    with stores.server.connect() as blocking, blocking.transaction():
        tree = sql.SQL("SELECT FROM {} WHERE root = 'w0' FOR UPDATE").format(sql.Identifier(schema, "tree"))
        blocking.execute(tree)
        crew.gather(stores)
        store_of(k).together._until = 0.0
        works[3]()
        for thread in crew._threads[1:]:
            thread.join(20.0)
        assert sorted(crew.gave) == [1, 2]
    crew.end()
    assert not crew.raised


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_group_that_is_cut(
    k: Kernel, other: Kernel, stores: PostgresStores, schema: str, proxy: Proxy, answered: bool,
) -> None:
    """Nobody can tell whether any of its commands was applied; each is told so under its own id, and `outcome` tells."""
    crew = Crew(k, results(k))
    with held(stores, schema):
        crew.gather(stores)
        proxy.cut(0, answered=answered)
    crew.end()
    proxy.cut(-1, answered=False)
    assert sorted(crew.raised) == [*range(1, MANY)]
    ids = set[str]()
    for number, error in crew.raised.items():
        assert isinstance(error, CommitUnknown)
        ids.add(error.command_id)
        assert error.workflow_id == f"w{number}"
        outcome = other.outcome(error.command_id, workflow_id=error.workflow_id)
        assert isinstance(outcome, Applied if answered else NotApplied)
    assert len(ids) == MANY - 1
    assert [other.tasks(f"w{number}")[0].state for number in range(1, MANY)] == [
        "COMPLETED" if answered else "IN_PROGRESS"] * (MANY - 1)


@pytest.mark.parametrize("at", ["send", "receive"])
def test_a_thread_that_is_interrupted(
    k: Kernel, other: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch, at: str,
) -> None:
    """While it sends for others, or waits for the answer to all: nobody waits for ever, and nobody is told what is not so."""
    whole, turns = {"send": Link.send, "receive": Link.receive}[at], list[int]()

    def interrupted(link: Link, *asked: Any) -> Any:
        turns.append(1)
        if len(turns) == 2:
            link.close()
            raise KeyboardInterrupt
        return whole(link, *asked)  # type: ignore[operator]

    crew = Crew(k, results(k))
    monkeypatch.setattr(Link, at, interrupted)
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    monkeypatch.undo()
    assert isinstance(crew.raised.pop(0 if at == "send" else 1), KeyboardInterrupt)
    assert sorted(crew.raised) == [*range(1 if at == "send" else 2, MANY)]
    assert other.tasks("w0")[0].state == "COMPLETED"
    for number, error in crew.raised.items():
        assert isinstance(error, CommitUnknown), error
        outcome = other.outcome(error.command_id, workflow_id=f"w{number}")
        assert isinstance(outcome, Applied) == (other.tasks(f"w{number}")[0].state == "COMPLETED")


def test_who_is_interrupted_while_another_one_sends_for_it(
    k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits until that is done: nobody else gets a connection on which there are answers for others."""
    send, sends, begun = Link.send, list[int](), threading.Event()

    class Woken:
        """What a thread waits for; the first time it is interrupted, once another one has begun to send."""

        def __init__(self, lock: Any) -> None:
            self.lock, self.release = lock, lock.release

        def acquire(self, timeout: float = -1) -> bool:
            if begun.is_set():
                return bool(self.lock.acquire(timeout=timeout))
            assert begun.wait(20.0)
            raise KeyboardInterrupt

    def slow(link: Link, asked: Any) -> None:
        sends.append(1)
        if len(sends) == 2:
            begun.set()
            crew._threads[1].join(0.05)
            assert crew._threads[1].is_alive()
            assert link not in store_of(k)._idle
        send(link, asked)

    class Waiting(Turn):
        """The command of the second thread."""

        def __init__(self, *of: Any) -> None:
            super().__init__(*of)
            if threading.current_thread().name == "first":
                self.woken = Woken(self.woken)  # type: ignore[assignment]

    crew = Crew(k, results(k))
    crew._threads[1].name = "first"
    monkeypatch.setattr(Link, "send", slow)
    monkeypatch.setattr(postgres_recall, "Turn", Waiting)
    with held(stores, schema):
        crew.gather(stores)
    crew.end()
    assert isinstance(crew.raised.pop(1), KeyboardInterrupt)
    assert {type(error) for error in crew.raised.values()} == {CommitUnknown}
    assert sorted(crew.raised) == [*range(2, MANY)]


def test_who_waits_may_be_interrupted(k: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is sent then."""
    works = results(k)

    def interrupted(together: Together, turn: Turn) -> NoReturn:
        raise KeyboardInterrupt

    with held(stores, schema):
        crew = Crew(k, works[:1])
        crew.gather(stores)
        monkeypatch.setattr(Together, "_wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            works[1]()
        monkeypatch.undo()
    crew.end()
    assert [k.tasks(f"w{number}")[0].state for number in range(2)] == ["COMPLETED", "IN_PROGRESS"]


@pytest.mark.parametrize("what", ["text", "connection"])
def test_what_cannot_be_sent_hurts_nobody(k: Kernel, stores: PostgresStores, schema: str, what: str) -> None:
    """A text that no server takes, or a connection that broke while it waited: the others of the group go by themselves."""
    works = results(k)
    with store_of(k).connection() as link:
        odd = Turn(link, Call(str(store_of(k).lately.standing.stamp)), [])  # type: ignore[union-attr]
        odd.call.add("hold", [("a\0b" if what == "text" else "nowhere", "c", 7, "c", "", None, None, None)])
        crew = Crew(k, [works[0], lambda: store_of(k).together.commit(odd), *works[2:]])
        with held(stores, schema):
            crew.gather(stores)
            if what == "connection":
                link.close()
        crew.end()
        if what == "text":
            assert {number: type(error) for number, error in crew.raised.items()} == {1: psycopg.DataError}
        else:
            assert not crew.raised
            assert odd.error is not None
            assert odd.error.sqlstate == "KE001"
        store_of(k)._drop(odd.link)
    assert [k.tasks(f"w{number}")[0].state for number in (0, 2, 3, 4, 5)] == ["COMPLETED"] * 5


def test_what_is_large_goes_by_itself(k: Kernel, stores: PostgresStores, schema: str, proxy: Proxy) -> None:
    """And waits for nobody."""
    leases = [lease for _ in range(2) for lease in k.poll("t", worker="w")]
    crew = Crew(k, [lambda: k.complete(leases[0])])
    with held(stores, schema, "workflow"):
        proxy.cut(1_000, answered=False)
        crew.gather(stores)
        large = Crew(k, [lambda: k.complete(leases[1], output={"text": "x" * LARGEST})])
        large._threads[0].start()
        while 1_000 - proxy.left < 2:
            large._threads[0].join(0.001)
    for each in (crew, large):
        each.end()
        assert not each.raised


def test_a_commit_that_fails_at_its_very_end(k: Kernel, stores: PostgresStores, schema: str) -> None:
    """After the function has given its answer: it is no success, and nothing of it stands."""
    works = results(k)
    with stores.server.connect() as operator:
        operator.execute("SELECT set_config('search_path', %s, false)", (schema,))
        operator.execute("CREATE FUNCTION fails() RETURNS trigger LANGUAGE plpgsql AS"
                         " $$ BEGIN RAISE 'at the end' USING ERRCODE = '53100'; END $$")
        operator.execute("CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON history DEFERRABLE INITIALLY DEFERRED"
                         " FOR EACH ROW WHEN (NEW.root <> 'w0') EXECUTE FUNCTION fails()")
        crew = Crew(k, works)
        with held(stores, schema):
            crew.gather(stores)
        crew.end()
        operator.execute("DROP TRIGGER fails ON history")
    assert {type(error) for error in crew.raised.values()} == {kernel.errors.StoreFull}
    assert [k.tasks(f"w{number}")[0].state for number in range(MANY)] == ["COMPLETED", *["IN_PROGRESS"] * (MANY - 1)]
    for work in works[1:]:
        work()


def test_a_command_whose_outcome_was_told_is_refused_alone(
    k: Kernel, other: Kernel, stores: PostgresStores, schema: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One of a group was said not to be applied before it arrived: that one is not, the others are."""
    works = results(k)
    commit, given = store_of(k).together.commit, list[str]()

    def told(turn: Turn) -> None:
        if len(given) == 0 and threading.current_thread().name == "told":
            given.append(turn.call.rows["hold"][0])
            command = given[0].split('\\"')[3]
            assert isinstance(other.outcome(command, workflow_id="w2"), NotApplied)
        commit(turn)

    monkeypatch.setattr(store_of(k).together, "commit", told)
    crew = Crew(k, works)
    crew._threads[2].name = "told"
    with held(stores, schema, "workflow"):
        crew.gather(stores)
    crew.end()
    assert {number: type(error) for number, error in crew.raised.items()} == {2: GuardRefused}
    assert [k.tasks(f"w{number}")[0].state for number in range(4)] == ["COMPLETED", "COMPLETED", "IN_PROGRESS", "COMPLETED"]
