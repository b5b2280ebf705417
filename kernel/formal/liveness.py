"""What must come about: every workflow can end, and every delivery is settled once relays are let to work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from kernel.formal.ground import Grounding
from kernel.formal.walk import Found, Values, Walker
from kernel.spec.vocabulary import ENDED, LIVE, UNSETTLED

RELAY = ("CLAIM", "CONFIRM", "RELEASE", "BURY")
"""What relays do by themselves; REDRIVE is an operator's."""
Graph = Mapping[Values, Collection[Values]]


def graph(walker: Walker, found: Found, names: Collection[str] | None = None) -> Graph:
    """Where the commands of these names lead, from every state; all commands when none are named."""
    chosen = [c for c in walker.commands if names is None or c.label.split()[0] in names]
    return {state: [after for _, after in walker.steps(state, chosen) if after != state] for state in found}


def in_states(ground: Grounding, kind: str, states: Iterable[str]) -> Callable[[Values], bool]:
    """Whether some row of the kind is in one of these states."""
    slots = [ground.at[row, "state"] for row in ground.tree.rows[kind]]
    codes = {ground.code(state) for state in states}
    return lambda values: any(values[slot] in codes for slot in slots)


def hopeless(reached: Graph, goal: Callable[[Values], bool]) -> set[Values]:
    """The states from which no state that is a goal can be reached."""
    before: dict[Values, list[Values]] = {}
    for state, following in reached.items():
        for after in following:
            before.setdefault(after, []).append(state)
    hopeful = {state for state in reached if goal(state)}
    line = [*hopeful]
    while line:
        for state in before.get(line.pop(), ()):
            if state not in hopeful:
                hopeful.add(state)
                line.append(state)
    return {*reached} - hopeful


def endless(reached: Graph) -> set[Values]:
    """The states that lie on a cycle, or lead to one: nothing forces an end there."""
    left = {state: len({*following}) for state, following in reached.items()}
    before: dict[Values, set[Values]] = {}
    for state, following in reached.items():
        for after in following:
            before.setdefault(after, set()).add(state)
    line = [state for state, count in left.items() if not count]
    while line:
        done = line.pop()
        del left[done]
        for state in before.get(done, ()):
            left[state] -= 1
            if not left[state]:
                line.append(state)
    return {*left}


def never_ends(ground: Grounding, walker: Walker, found: Found) -> set[Values]:
    """The states with a live workflow from which the tree can never end."""
    live, ended = in_states(ground, "workflow", LIVE), in_states(ground, "workflow", ENDED)
    return hopeless(graph(walker, found), lambda values: ended(values) and not live(values)) - {walker.start}


def never_settles(ground: Grounding, walker: Walker, found: Found) -> set[Values]:
    """The states in which relays that go on working may leave a delivery open for ever, also where no sink ever proves one."""
    unsettled = in_states(ground, "delivery", UNSETTLED)
    unproven = graph(walker, found, [name for name in RELAY if name != "CONFIRM"])
    stuck = {state for state, following in unproven.items() if not following and unsettled(state)}
    return endless(graph(walker, found, RELAY)) | stuck
