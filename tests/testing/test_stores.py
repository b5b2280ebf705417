"""Where the stateful tests get stores from."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel.engine.kernel import Kernel
from kernel.stores.memory import MemoryStore
from kernel.testing.pool import POOL
from kernel.testing.stores import POLICY, SqliteStores, Stores, quick_folder
from tests.stores.servers import stores_of
from tests.stores.stand import STORES


@pytest.fixture(params=STORES)
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Stores:
    """Every kind."""
    return stores_of(request.param, tmp_path)


def test_what_was_committed_is_found_again(stores: Stores) -> None:
    """Each store is new and empty; after a crash the next process finds what was committed, under the same policy."""
    first, second = stores.open(), stores.open()
    Kernel(first).register(POOL[0])
    Kernel(first).start("leaf", workflow_id="w")
    again = stores.reopen(first)
    assert Kernel(again).get("w").id == "w"
    assert Kernel(second).find().items == ()
    with again.transaction(write=False) as transaction:
        assert transaction.sizes()[0] == 1
    assert again.policy == POLICY
    assert again.name == stores.name
    stores.remove(again)
    stores.remove(second)


def test_nothing_is_left_of_a_removed_file(tmp_path: Path) -> None:
    """The file goes with what SQLite keeps beside it; a store of another kind is not taken for one."""
    stores = SqliteStores(tmp_path)
    store = stores.open()
    Kernel(store).register(POOL[0])
    assert list(tmp_path.iterdir())
    stores.remove(store)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError, match="MemoryStore is not a store of this kind"):
        stores.reopen(MemoryStore())


def test_a_quick_folder_is_there_for_a_while() -> None:
    """It can be written, and is gone afterwards."""
    with quick_folder() as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()
