"""What holds for every test: how Hypothesis searches, what is traced, and that nothing skips unseen where CI is set."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from kernel.testing.stores import quick_folder
from tests.stores.servers import RUN, asked

# Without deadline and "too slow", which measure the machine and not the code. `pytest --hypothesis-profile=explore`
# draws other examples each time and prints how to repeat a failure.
settings.register_profile(
    "steady", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "explore", derandomize=False, max_examples=1000, deadline=None, print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")

TESTS = Path(__file__).parent
TRACED = ("core", "engine", "spec")
"""The folders whose tests count for branch coverage: those that are about this code. To trace the others, which run it a
million times, takes longer than to run them. For the same reason not what is slow, what is marked `no_cover`, and what runs on
another store than memory: it runs there, too.
"""
ON_DISK = ("faults", "sinks", "stores")
"""The folders whose tests are about what a disk keeps."""
SERVERS = {"postgres", "redis"}
OTHERS = {"sqlite", *SERVERS}
ASKED = pytest.StashKey[int]()
SKIPS_FAIL = os.environ.get("CI", "").lower() not in ("", "0", "false")


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """As pytest's; in memory, where no disk is waited for, unless the test is about what a disk keeps."""
    if any(request.path.is_relative_to(TESTS / folder) for folder in ON_DISK):
        yield tmp_path
        return
    with quick_folder() as folder:
        yield folder


def pytest_configure(config: pytest.Config) -> None:
    """In a worker, stop what pytest-cov starts before it knows that it is in one: nothing saves it, and nothing pauses it."""
    plugin: Any = config.pluginmanager.getplugin("_cov")
    if plugin is not None and hasattr(config, "workerinput"):
        plugin.cov_controller.cov.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave tests that do not count for coverage untraced; mark those that are for a server by what they are called.

    What takes longest comes first.
    """
    items.sort(key=lambda item: item.get_closest_marker("early") is None)
    for item in items:
        told, stores = any(item.path.is_relative_to(TESTS / folder) for folder in TRACED), stores_of(item)
        if not told or item.get_closest_marker("slow") or stores & OTHERS:
            item.add_marker("no_cover")
        if stores & SERVERS or not SERVERS.isdisjoint(item.path.stem.split("_")):
            item.add_marker("server")


def stores_of(item: pytest.Item) -> set[str]:
    """The stores that are named among the parameters of a test."""
    params = item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    return {param for param in params if isinstance(param, str)}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Remember how often servers were asked for before a test."""
    item.stash[ASKED] = asked()
    yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A test that asks for a server without saying so has failed: `make quick` would start one."""
    yield
    if asked() > item.stash[ASKED] and item.get_closest_marker("server") is None:
        pytest.fail("it asks for a server: mark it `server`", pytrace=False)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set, a test that skips without the mark `may_skip` has failed."""
    report = yield
    expected = hasattr(report, "wasxfail") or item.get_closest_marker("may_skip") is not None
    if SKIPS_FAIL and report.skipped and not expected:
        fail_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Where CI is set, a module that skips as a whole has failed."""
    report = yield
    if SKIPS_FAIL and report.skipped:
        fail_skipped(report)
    return report


def pytest_unconfigure() -> None:
    """Stop the servers that tests have started."""
    RUN.stop()


def fail_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure that quotes the reason."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: nothing may skip where CI is set. {reason}"
