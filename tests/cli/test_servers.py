"""The command line on a server: --db takes its URL, and only what may make a store makes one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernel.stores.postgres import PostgresStore
from tests.cli.stand import Cli
from tests.drift.test_readme import first_example
from tests.redis_server import server
from tests.stores.servers import RUN


@pytest.fixture(params=["postgres", "redis"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty store on each kind of server."""
    if request.param == "redis":
        yield server().new_url()
        return
    stores = RUN.postgres()
    name = stores.schema()
    with closing(PostgresStore(stores.server.url(name))):
        yield stores.server.url(name)
    stores.wipe(name)


def test_a_story_on_a_server(cli: Cli, orders: str, url: str) -> None:
    """Start, show, terminate, audit: as on a file."""
    assert cli("start", "order", "--file", orders, "--id", "order-7", "--db", url).code == 0
    assert "RUNNING" in cli("show", "order-7", "--db", url).out
    assert cli("terminate", "order-7", "--db", url).code == 0
    assert "TERMINATED" in cli("show", "order-7", "--db", url).out
    assert cli("audit", "--db", url).code == 0


@pytest.mark.server
def test_only_start_makes_a_store(cli: Cli) -> None:
    """Any other command tells that there is none, and makes nothing."""
    stores = RUN.postgres()
    told = cli("show", "order-7", "--db", stores.server.url("nothing"))
    assert (told.code, "there is no store in this schema" in told.err) == (4, True)
    with stores.server.connect() as operator:
        assert operator.execute("SELECT to_regnamespace('nothing')").fetchall() == [(None,)]
    url = server().new_url()
    told = cli("show", "order-7", "--db", url)
    assert (told.code, "there is no store in its namespace" in told.err) == (4, True)
    assert [*server().client().scan_iter(f"*{url.partition('namespace=')[2]}:*")] == []


def test_a_password_is_in_no_message(cli: Cli) -> None:
    """Nobody answers, or the URL is wrong: the password is nowhere."""
    for url in ("postgresql://ada:hunter2@127.0.0.1:1/orders", "postgresql://ada:hunter2@h/d?mode=no", "mysql://ada:hunter2@h",
                "redis://ada:hunter2@127.0.0.1:1/0", "redis://ada:hunter2@h?partitions=0"):
        told = cli("list", "--db", url)
        assert told.code != 0
        assert "hunter2" not in told.out + told.err


def test_the_example_of_the_readme(tmp_path: Path, url: str) -> None:
    """The first example prints the same on a server."""
    assert first_example(url, tmp_path / "server") == first_example("sqlite:///orders.db", tmp_path / "file")
