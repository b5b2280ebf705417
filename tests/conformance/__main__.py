"""Drives the kernel through every shape, the small ones and the large ones, and says how far it is: `make conformance`."""

from __future__ import annotations

import sys
import time

from kernel.testing.stores import quick_folder
from tests.conformance.cases import LARGE, SMALL
from tests.conformance.rows import MemoryShelf, SqliteShelf
from tests.conformance.stand import Conformance

SHOWN = 5
"""How many differences are shown of each shape."""


def progress(states: int) -> None:
    """Say how far it is, where somebody watches."""
    if states % 20 == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r{states:,} states \r")


def main(names: list[str]) -> int:
    """Every case, or those named; 1 when something differs."""
    cases = {**SMALL, **{f"{name} (large)": case for name, case in LARGE.items()}}
    differences = 0
    sys.stdout.write(f"{'shape':24} {'states':>8} {'transitions':>12} {'refusals':>10} {'seconds':>8}  on memory and SQLite\n")
    for name in names or cases:
        began = time.monotonic()
        with quick_folder() as folder:
            conformance = Conformance(cases[name].explorer(), (MemoryShelf(), SqliteShelf(str(folder))), progress=progress)
            found = conformance.run()
            conformance.close()
        told = [text for seen in found for text in seen.differences]
        differences += len(told)
        seen = found[0]
        sys.stdout.write(f"{name:24} {seen.states:8,} {seen.transitions:12,} {seen.refusals:10,}"
                         f" {time.monotonic() - began:8.1f}  {'conform' if not told else f'{len(told)} differences'}\n")
        sys.stdout.writelines(f"    {text}\n" for text in told[:SHOWN])
        sys.stdout.flush()
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
