"""The Redis store passes everything that every store is held to."""

from __future__ import annotations

import pytest

from kernel.testing.conformance import CHECKS, Check
from kernel.testing.redis_stores import RedisStores
from tests.redis_server import server


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_store_conforms(check: Check) -> None:
    """Every check, on a server of the tests' own."""
    check(RedisStores(server().url))
