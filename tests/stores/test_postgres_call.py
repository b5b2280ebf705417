"""A list of rows as the server reads it: what went in comes out, whatever the texts are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.stores.postgres_call import FORMS, NULL, Call, Form
from kernel.stores.statements import Dialect, statements
from kernel.testing.servers import PostgresStores
from tests.stores.servers import RUN

pytestmark = pytest.mark.server
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | st.text('\\"(){},NUL \n\t')
NUMBERS = st.integers(-2**63, 2**63 - 1) | st.sampled_from([None, NULL])
ROWS = st.lists(st.tuples(TEXTS | st.none() | st.just("None"), NUMBERS, st.booleans() | st.none()))


@pytest.fixture(scope="module")
def connection() -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A server that knows a type of rows."""
    with closing(RUN.postgres().server.connect()) as connection:
        connection.execute("CREATE TYPE pg_temp.some AS (a text, b bigint, c boolean)")
        yield connection


@given(ROWS)
def test_what_is_written_is_read(connection: psycopg.Connection[tuple[object, ...]], rows: list[tuple[object, ...]]) -> None:
    """Quotes, backslashes, commas, braces, empty texts and NULL stay what they are."""
    text = f"{{{','.join(map(Form('tnn').written, rows))}}}"  # type: ignore[arg-type]
    found = connection.execute("SELECT a, b, c FROM unnest(%s::pg_temp.some[])", (text,)).fetchall()
    assert found == [(a, None if b == NULL else b, c) for a, b, c in rows]


def test_calls_are_put_together() -> None:
    """The rows of both, statement by statement, as the parameters of the function are."""
    one, other = Call("1.a"), Call("1.a")
    one.add("insert_tree", [("w", 1, 3)])
    other.add("insert_tree", [("v", 1, 2)])
    other.add("hold", [("v", "c", None, None, None, None, None, None)])
    one.take_in(other)
    stamp, holds, trees, *rest = one.values()
    assert (stamp, holds) == ("1.a", r'{"(\"v\",\"c\",,,,,,)"}')
    assert trees == r'{"(\"w\",1,3)","(\"v\",1,2)"}'
    assert set(rest) == {"{}"}
    assert len(rest) + 3 == 1 + len(FORMS) == statements(Dialect.POSTGRES)["apply"].count("$")


def test_forms_are_those_of_the_server(stores: PostgresStores) -> None:
    """For each parameter of the function, in order: how many columns its rows have, and which of them are texts."""
    store = stores.open()
    name = f"{stores.schemas[id(store)]}.apply"
    found = stores.connection().execute("""
        SELECT string_agg(CASE c.atttypid WHEN 'text'::regtype THEN 't' ELSE 'n' END, '' ORDER BY c.attnum)
          FROM pg_proc f, unnest(f.proargtypes) WITH ORDINALITY a (type, place)
          JOIN pg_type l ON l.oid = a.type JOIN pg_type r ON r.oid = l.typelem
          JOIN pg_attribute c ON c.attrelid = r.typrelid AND c.attnum > 0 AND NOT c.attisdropped
         WHERE f.oid = %s::regproc GROUP BY a.place ORDER BY a.place""", (name,)).fetchall()
    stores.remove(store)
    assert [columns for (columns,) in found] == [form.columns for form in FORMS.values()]
