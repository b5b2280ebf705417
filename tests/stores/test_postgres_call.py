"""A list of rows as the server reads it: what went in comes out, whatever the texts are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.stores.postgres_call import PLACES, Call, written
from kernel.stores.statements import Dialect, statements
from tests.stores.servers import RUN

pytestmark = pytest.mark.server
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text('\\"(){},NUL \n\t')
ROWS = st.lists(st.tuples(TEXTS | st.none(), st.integers(-2**63, 2**63 - 1) | st.none(), st.booleans() | st.none()))


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A server that knows a type of rows."""
    with closing(RUN.postgres().server.connect()) as connection:
        connection.execute("CREATE TYPE pg_temp.some AS (a text, b bigint, c boolean)")
        yield connection


@given(ROWS)
def test_what_is_written_is_read(connection: psycopg.Connection[tuple[object, ...]], rows: list[tuple[object, ...]]) -> None:
    """Quotes, backslashes, commas, braces, empty texts and NULL stay what they are."""
    text = f"{{{','.join(map(written, rows))}}}"  # type: ignore[arg-type]
    found = connection.execute("SELECT a, b, c FROM unnest(%s::pg_temp.some[])", (text,)).fetchall()
    assert found == rows


def test_calls_are_put_together() -> None:
    """The rows of both, statement by statement, as the parameters of the function are."""
    one, other = Call("1.a"), Call("1.a")
    one.add("insert_tree", ("w", 1, 3))
    other.add("insert_tree", ("v", 1, 2))
    other.add("hold", ("v", "c", None, None, None, None, None, None))
    one.take_in(other)
    stamp, holds, trees, *rest = one.values()
    assert (stamp, holds) == ("1.a", r'{"(\"v\",\"c\",,,,,,)"}')
    assert trees == r'{"(\"w\",1,3)","(\"v\",1,2)"}'
    assert set(rest) == {"{}"}
    assert len(rest) + 3 == 1 + len(PLACES) == statements(Dialect.POSTGRES)["apply"].count("$")
