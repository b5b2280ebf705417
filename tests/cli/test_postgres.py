"""The command line on a server: --db takes its URL, and only what may make a store makes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.stores.postgres import PostgresStore
from tests.cli.stand import Cli
from tests.drift.test_readme import example, text
from tests.stores.servers import RUN


@pytest.fixture
def schema() -> Iterator[str]:
    """An empty schema, which is there."""
    stores = RUN.postgres()
    name = stores.schema()
    with closing(PostgresStore(stores.server.url(name))):
        yield name
    stores.wipe(name)


def test_a_story_on_a_server(cli: Cli, orders: str, schema: str) -> None:
    """Start, show, terminate, audit: as on a file."""
    url = RUN.postgres().server.url(schema)
    assert cli("start", "order", "--file", orders, "--id", "order-7", "--db", url).code == 0
    assert "RUNNING" in cli("show", "order-7", "--db", url).out
    assert cli("terminate", "order-7", "--db", url).code == 0
    assert "TERMINATED" in cli("show", "order-7", "--db", url).out
    assert cli("audit", "--db", url).code == 0


def test_only_start_makes_a_store(cli: Cli) -> None:
    """Any other command tells that there is none, and makes nothing."""
    stores = RUN.postgres()
    told = cli("show", "order-7", "--db", stores.server.url("nothing"))
    assert (told.code, "there is no store in this schema" in told.err) == (4, True)
    with stores.server.connect() as operator:
        assert operator.execute("SELECT to_regnamespace('nothing')").fetchall() == [(None,)]


def test_a_password_is_in_no_message(cli: Cli) -> None:
    """Nobody answers, or the URL is wrong: the password is nowhere."""
    for url in ("postgresql://ada:hunter2@127.0.0.1:1/orders", "postgresql://ada:hunter2@h/d?mode=no", "mysql://ada:hunter2@h"):
        told = cli("list", "--db", url)
        assert told.code != 0
        assert "hunter2" not in told.out + told.err


def test_the_example_of_the_readme(tmp_path: Path, schema: str) -> None:
    """The first example prints the same on a server."""
    code = text().partition("```python\n")[2].partition("```")[0]
    assert "sqlite:///orders.db" in code
    printed = []
    for name, url in (("file", "sqlite:///orders.db"), ("server", RUN.postgres().server.url(schema))):
        (tmp_path / name).mkdir()
        printed.append(example(code.replace("sqlite:///orders.db", url), tmp_path / name))
    assert printed[0] == printed[1]
