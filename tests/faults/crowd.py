"""Eight processes on one server, one of them killed every second: `python -m tests.faults.crowd [SECONDS]`, `make crowd`.

Workers, a relay, a daemon and operators, all with the same rights; who was killed is replaced by another, which waits for
nothing but leases.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

from kernel.engine.kernel import Kernel
from kernel.testing.clock import ManualClock
from tests.faults.crew import LEAF, TREE, opened
from tests.faults.stand import Crew, Found, acknowledged, at_work, check, settle
from tests.redis_server import server
from tests.stores.servers import RUN

CREW = {"ada": "worker", "ben": "worker", "cyd": "worker", "dan": "hands", "eve": "relay", "fay": "daemon",
        "gus": "operator", "hal": "operator"}
SERVERS = ("postgres", "redis")
WHOLE = 60.0
"""Seconds of the command; the test is shorter."""
HOUR = 3600.0
"""Seconds after which every lease and every backoff is over."""


@frozen
class Told:
    """What a crowd did, and how things stood when all were dead; after that everything was settled and checked again."""

    killed: int
    notes: Counter[str]
    """Acknowledged commands, by kind."""
    workflows: Counter[str]
    """By state, when all were dead."""
    found: Found
    settled: Counter[str]
    """Deliveries, in the end."""


@contextmanager
def place_on(kind: str) -> Iterator[str]:
    """The URL of a store that is not there yet, on a server of our own."""
    if kind == "redis":
        yield server().new_url()
        return
    stores = RUN.postgres()
    schema = stores.schema()
    yield stores.server.url(schema, options="&unsafe=fsync&listen=on")
    stores.wipe(schema)


def crowded(place: str, folder: Path, seconds: float, *, seed: int = 8) -> Told:
    """Let them work for so long, and kill one every second, in the end all. Raises AssertionError for what is wrong then."""
    archive, chance = folder / "archive", random.Random(seed)
    with opened(place, archive) as k:
        k.register(LEAF, TREE)
    killed = 0
    with at_work(Crew(CREW, place, folder, chance)) as crew:
        crew.wait()
        began, last = time.monotonic(), deque[str](maxlen=len(CREW) // 2)
        for killed in range(1, round(seconds) + 1):
            name = chance.choice([name for name in CREW if name not in last])
            crew.replace(name, max(0.0, began + killed - time.monotonic()))
            last.append(name)  # it takes a while to begin
        killed += crew.end(0.1)
    notes = acknowledged(folder, CREW)
    with opened(place, archive, clock=ManualClock(time.time() + HOUR)) as k:
        return _judged(k, archive, notes, killed)


def _judged(k: Kernel, archive: Path, notes: list[list[str]], killed: int) -> Told:
    found = check(k, archive, notes)
    workflows = Counter(str(w.state) for w in k.find(limit=100_000).items)
    settle(k)
    settled = check(k, archive, notes).deliveries
    assert set(settled) == {"DELIVERED"}
    assert settled["DELIVERED"] == len([*archive.glob("*.json")])
    return Told(killed, Counter(note[0] for note in notes), workflows, found, settled)


def main(seconds: str = str(WHOLE)) -> None:
    """On both servers, one after the other."""
    for kind in SERVERS:
        with TemporaryDirectory(prefix="kernel-crowd-") as folder, place_on(kind) as place:
            began = time.monotonic()
            told = crowded(place, Path(folder), float(seconds))
            sys.stdout.write(f"{kind}: {len(CREW)} processes for {float(seconds):,.0f} s, {told.killed} killed; checked in "
                             f"{time.monotonic() - began - float(seconds):,.0f} s\n")
            for name, counted in (("acknowledged", told.notes), ("workflows, all dead", told.workflows),
                                  ("deliveries, all dead", told.found.deliveries), ("history", told.found.events),
                                  ("deliveries, settled", told.settled)):
                sys.stdout.write(f"  {name:22}{', '.join(f'{n:,} {what}' for what, n in sorted(counted.items()))}\n")
            sys.stdout.write(f"  {told.found.trees:,} trees: audit and histories are clean, nothing acknowledged is lost\n")
            sys.stdout.flush()
    RUN.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
