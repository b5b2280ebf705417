"""A fault campaign on a server that holds other things: it has a place of its own, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

import kernel
from kernel.engine.kernel import Kernel
from kernel.errors import InvalidInput, NotFound, StoreUnavailable
from kernel.testing.campaign import run_campaign
from kernel.testing.given import OWN, given_stores, split
from kernel.testing.stores import Stores
from tests.redis_server import server
from tests.stores.servers import RUN

SECRET = "hunter2"  # noqa: S105 - looked for in messages
ORDER = kernel.WorkflowDef("order", tasks=[kernel.TaskDef("pick")])


@contextmanager
def somebodys(kind: str) -> Iterator[tuple[str, str]]:
    """The URL of a server, and that of an empty place on it that it names."""
    if kind == "redis":
        yield server().url, server().new_url()
        return
    stores = RUN.postgres()
    schema = stores.schema()
    yield split(stores.server.url(), "schema")[0], stores.server.url(schema)
    stores.wipe(schema)


def places(kind: str) -> list[str]:
    """What a campaign has left on the server: schemas, or keys."""
    if kind == "redis":
        return [str(key) for key in server().client().scan_iter(f"*{OWN}*")]
    with RUN.postgres().server.connect() as operator:
        return [str(name) for (name,) in operator.execute("SELECT nspname FROM pg_namespace").fetchall() if OWN in str(name)]


@pytest.fixture(params=["postgres", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of server."""
    return str(request.param)


def used(stores: Stores) -> None:
    """What an episode does: it opens a store that is empty, fills it, comes back to it, and lets go of it."""
    store = stores.open()
    with Kernel(store) as k:
        k.register(ORDER)
        k.start("order", workflow_id="w")
    with closing(stores.beside(store)) as other:
        assert Kernel(other).get("w").state == "RUNNING"
    stores.remove(store)


def test_stores_on_a_server(kind: str) -> None:
    """In a place of their own, which is gone afterwards; or in an empty one that was named, which is empty afterwards."""
    with somebodys(kind) as (url, named):
        for each in (url, named):
            with given_stores(each) as stores:
                assert stores.name == kind
                used(stores)
                used(stores)
                assert bool(places(kind)) == (each == url and kind == "postgres"), "schemas stay until the end"
            assert places(kind) == []
        with kernel.open(named) as k:
            assert k.find().items == ()
            with pytest.raises(NotFound):
                k.start("order")


def test_a_place_in_use_is_refused(kind: str) -> None:
    """Whoever has workflows there, or only definitions, keeps them."""
    with somebodys(kind) as (_, named):
        with kernel.open(named) as k:
            k.register(ORDER)
        for _ in range(2):
            with pytest.raises(InvalidInput, match="it holds workflows or definitions") as caught, given_stores(named):
                pass
            assert "leave" in caught.value.hint
            with kernel.open(named) as k:
                k.start("order", workflow_id="w")
        with kernel.open(named) as k:
            assert k.get("w").state == "RUNNING"


@pytest.mark.server
def test_partitions_of_redis() -> None:
    """A poll gives tasks of one partition, where the campaign expects all: so there is one, whatever the URL says."""
    with given_stores(f"{server().url}?partitions=4") as stores:
        assert run_campaign(60, 0, stores).violations == 0
    named = server().new_url()
    kernel.open(f"{named}&partitions=3").close()
    with pytest.raises(InvalidInput, match="it has 3 partitions"), given_stores(named):
        pass


@pytest.mark.parametrize("url", ["sqlite:///x.db", "memory://", f"mysql://ada:{SECRET}@h/d"])
def test_what_is_no_server(url: str) -> None:
    """It is refused, without its password."""
    with pytest.raises(InvalidInput, match="no server that holds a store") as caught, given_stores(url):
        pass
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", [f"postgresql://ada:{SECRET}@127.0.0.1:1/orders", f"redis://:{SECRET}@127.0.0.1:1/0"])
def test_nobody_answers(url: str) -> None:
    """The first store cannot be opened, and that is told, without the password."""
    with pytest.raises(StoreUnavailable) as caught, given_stores(url) as stores:
        stores.open()
    assert SECRET not in str(caught.value)


def test_an_option_is_taken_out() -> None:
    """Only the one that is named; the others stay as they were."""
    assert split("x://h/d?a=1&schema=s&b=%20", "schema") == ("x://h/d?a=1&b=%20", "s")
    assert split("x://h/d?schema=s", "schema") == ("x://h/d", "s")
    assert split("x://h/d", "schema") == ("x://h/d", None)
