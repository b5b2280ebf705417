"""The order of tasks: who comes before whom, whether that can be, and whether what a task reads is there by then.

Tasks are positions in the order of their declaration. No function recurses, and each takes time linear in tasks and
dependencies (the check of reads: once for every block of tasks read from afar), so that a long chain is only longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NoReturn

from kernel.core.checks import nearest, refuse
from kernel.errors import quoted

Positions = tuple[int, ...]
_BLOCK = 4_096  # tasks read from afar that one pass looks after: as many bits for each task on the way
_SHOWN = 8  # tasks of a cycle that a message names


def index_of(place: str, refs: Sequence[str]) -> dict[str, int]:
    """The position of each reference; refuses a reference that two tasks have."""
    index = {ref: position for position, ref in enumerate(refs)}
    for position, ref in enumerate(refs):
        if index[ref] != position:
            why = f"tasks {position + 1} and {index[ref] + 1} of the definition have the same reference"
            refuse(f"{place}, task {quoted(ref)}", "ref", why, "give every task a reference of its own")
    return index


def positions(place: str, field: str, refs: Iterable[str], index: dict[str, int]) -> Positions:
    """The positions of the references that a field names; refuses one that no task has."""
    found = []
    for ref in refs:
        if ref not in index:
            refuse(place, field, f"it names {quoted(ref)}, and there is no such task", nearest(ref, index))
        found.append(index[ref])
    return tuple(found)


def successors_of(predecessors: Sequence[Positions]) -> tuple[Positions, ...]:
    """The same dependencies seen from the other end, in order of declaration."""
    successors: list[list[int]] = [[] for _ in predecessors]
    for position, befores in enumerate(predecessors):
        for before in befores:
            successors[before].append(position)
    return tuple(map(tuple, successors))


def in_order(place: str, refs: Sequence[str], predecessors: Sequence[Positions]) -> list[int]:
    """The positions so that each comes after its predecessors; refuses a cycle and names it."""
    successors = successors_of(predecessors)
    missing = [len(befores) for befores in predecessors]
    order = [position for position, count in enumerate(missing) if not count]
    for position in order:  # grows while it is walked
        for after in successors[position]:
            missing[after] -= 1
            if not missing[after]:
                order.append(after)
    if len(order) < len(refs):
        cycle = [quoted(refs[position]) for position in _cycle(predecessors, missing)]
        shown = cycle if len(cycle) <= _SHOWN else [*cycle[:_SHOWN], f"... ({len(cycle)} tasks) ..."]
        refuse(
            place, "after", f"tasks wait for each other: {' -> '.join([*shown, cycle[0]])}",
            "take one of them out of the other's after",
        )
    return order


def _cycle(predecessors: Sequence[Positions], missing: Sequence[int]) -> list[int]:
    """One cycle, in the direction of time, from its first task on. `missing` is positive for tasks that never start."""
    position = next(position for position, count in enumerate(missing) if count)
    walked: dict[int, int] = {}
    while position not in walked:
        walked[position] = len(walked)
        position = next(before for before in predecessors[position] if missing[before])
    cycle = [before for before, step in walked.items() if step >= walked[position]][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]


def check_reads(
    place: str, refs: Sequence[str], predecessors: Sequence[Positions], order: Sequence[int], reads: Sequence[Positions],
    field: str = "input",
) -> None:
    """Refuses a task that reads, by this field, the output of one that need not have closed when it starts."""
    readers: dict[int, list[int]] = {}  # of the tasks that are read by others than their direct successors
    for reader, sources in enumerate(reads):
        for source in set(sources).difference(predecessors[reader]):
            readers.setdefault(source, []).append(reader)
    rank = {position: step for step, position in enumerate(order)}
    afar = sorted(readers, key=rank.__getitem__)
    for start in range(0, len(afar), _BLOCK):
        block = afar[start : start + _BLOCK]
        bit = {source: 1 << number for number, source in enumerate(block)}
        last = max(rank[reader] for source in block for reader in readers[source])
        behind: dict[int, int] = {}  # the tasks of the block that lie behind a task, as bits
        for position in order[rank[block[0]] : last + 1]:
            mask = 0
            for before in predecessors[position]:
                mask |= behind.get(before, 0) | bit.get(before, 0)
            behind[position] = mask
        for source in block:
            for reader in readers[source]:
                if not behind.get(reader, 0) & bit[source]:
                    _refuse_read(place, field, refs[reader], refs[source])


def _refuse_read(place: str, field: str, reader: str, source: str) -> NoReturn:
    own = reader == source
    why = "it reads its own output" if own else f"it reads the output of {quoted(source)}, which need not be there yet"
    hint = "" if own else f"add {quoted(source)} to after"
    refuse(f"{place}, task {quoted(reader)}", field, why, hint)
