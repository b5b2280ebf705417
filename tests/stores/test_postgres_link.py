"""A connection to PostgreSQL: statements in one round trip, prepared once, whatever becomes of the transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.errors import error_from_result
from psycopg.pq import TransactionStatus

from kernel.stores.postgres_link import FAILED, Link
from tests.stores.proxy import Proxy
from tests.stores.servers import RUN

ONE = ("SELECT $1, $2", (7, "a"))
WRONG = ("SELECT 1 / $1", (0,))
NOTHING: tuple[int, ...] = ()
KNOWN = pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
"""Whether the statement was prepared before: then it goes without a pipeline."""


@pytest.fixture
def link(proxy: Proxy) -> Iterator[Link]:
    """A connection."""
    with closing(Link(psycopg.connect(host="127.0.0.1", port=proxy.port, user="postgres", autocommit=True))) as link:
        yield link


def test_many_statements_are_one_round_trip(link: Link, proxy: Proxy) -> None:
    """Their results come in their order: numbers, texts, NULL, true, and lists."""
    proxy.cut(100, answered=False)
    found = link.ask([("BEGIN", NOTHING), ONE, ONE, ("SELECT $1, $2::bigint, $3", (True, None, ["a", '"{']))])
    assert proxy.left == 99
    assert [link.rows(each) for each in found] == [[], [(7, "a")], [(7, "a")], [(True, None, ["a", '"{'])]]
    assert link.status == TransactionStatus.INTRANS


def test_a_statement_that_fails_is_the_last(link: Link) -> None:
    """With its error as its result; what was behind it did not happen, not even a COMMIT, and the connection goes on."""
    found = link.ask([("BEGIN", NOTHING), ONE, WRONG, ONE, ("COMMIT", NOTHING)])
    assert [each.status == FAILED for each in found] == [False, False, True]
    assert isinstance(error_from_result(found[-1]), psycopg.errors.DivisionByZero)
    assert link.status == TransactionStatus.INERROR
    assert [each.command_status for each in link.ask([("ROLLBACK", NOTHING)])] == [b"ROLLBACK"]
    assert link.rows(link.ask([ONE])[0]) == [(7, "a")]


def test_what_is_prepared_stays(link: Link) -> None:
    """Once for the types of its values, through ROLLBACK and failure; what cannot be prepared is tried again."""
    for _ in range(3):
        link.ask([("BEGIN", NOTHING), ONE, WRONG])
        link.ask([("ROLLBACK", NOTHING)])
        assert link.ask([("SELECT nothing FROM nowhere", NOTHING)])[0].status == FAILED
    texts = [text for (text,) in link.execute("SELECT statement FROM pg_prepared_statements").fetchall()]
    assert sorted(texts) == sorted(["BEGIN", ONE[0], WRONG[0], "ROLLBACK"])


def test_more_than_fits() -> None:
    """Megabytes of statements whose results are megabytes, too: neither side waits for the other to read."""
    with closing(Link(RUN.postgres().server.connect())) as link:
        found = link.ask([("SELECT $1", ("x" * 100_000,))] * 100)
        assert {len(link.rows(each)[0][0]) for each in found} == {100_000}
        (alone,) = link.ask([("SELECT $1", ("x" * 10_000_000,))])
        assert len(link.rows(alone)[0][0]) == 10_000_000
    assert len(found) == 100


@KNOWN
def test_a_commit_that_fails_is_the_last(link: Link, known: bool) -> None:
    """Of a statement that was sent without a transaction, what it gave comes first, and then why it was not committed."""
    link.execute("CREATE TEMP TABLE once (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    insert = "INSERT INTO once SELECT g % $1 FROM generate_series(1, 2) g"
    if known:
        assert [each.command_status for each in link.ask([(insert, (3,))])] == [b"INSERT 0 2"]
    found = link.ask([(insert, (1,))])
    assert [each.status == FAILED for each in found] == [False, True]
    assert isinstance(error_from_result(found[-1]), psycopg.errors.UniqueViolation)
    assert link.status == TransactionStatus.IDLE
    assert [link.rows(each) for each in link.ask([("SELECT count(*) FROM once", NOTHING)])] == [[(2 if known else 0,)]]


@KNOWN
@pytest.mark.parametrize("answered", [False, True])
def test_a_connection_that_breaks_is_closed(link: Link, proxy: Proxy, answered: bool, known: bool) -> None:
    """And says so: nobody waits for an answer that does not come."""
    if known:
        link.ask([ONE])
    proxy.cut(0, answered=answered)
    with pytest.raises(psycopg.OperationalError):
        link.ask([ONE])
    assert link.closed
    with pytest.raises(psycopg.OperationalError):
        link.ask([ONE])


@KNOWN
def test_a_server_that_ends_the_connection_says_why(link: Link, known: bool) -> None:
    """Its last word is the result of the statement."""
    if known:
        link.ask([ONE])
    with RUN.postgres().server.connect() as operator:
        operator.execute("SELECT pg_terminate_backend(%s, 5000)", (link.connection.info.backend_pid,))
    (found,) = link.ask([ONE])
    assert isinstance(error_from_result(found), psycopg.errors.AdminShutdown)
    assert link.closed


def test_a_server_that_forgot_what_was_prepared(link: Link) -> None:
    """A connection on which somebody said DISCARD is closed: it would be of no use to anybody."""
    link.ask([ONE])
    link.execute("DISCARD ALL")
    (found,) = link.ask([ONE])
    assert isinstance(error_from_result(found), psycopg.errors.InvalidSqlStatementName)
    assert link.closed
