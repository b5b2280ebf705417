"""A specification on a shape as a Python program that explores all of it, breadth first, and prints what it saw as JSON.

The program needs nothing but Python. A state is a string of bytes, one for each variable. It is written to be run; the
readable models are those in Promela and TLA+.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kernel.formal.actions import Block, Let, Move, sequenced
from kernel.formal.ground import Grounding
from kernel.formal.terms import Ground, Local, Read, Term, conjunction
from kernel.spec.language import Nature, Place

INFIX = {"eq": " == ", "lt": " < ", "add": " + ", "sub": " - ", "and": " and ", "or": " or "}
STATE = (Nature.STATE, Nature.LIVENESS)
HEAD = '''\
"""Generated from the tables: explores every state of one shape and prints what it saw. `python FILE [most states]`"""
import json
import sys
import time
'''
MAIN = '''
class Broken(tuple):
    """A state between two rules in which an invariant does not hold."""


def names(labels, holds):
    return [label for label, held in zip(labels, holds) if not held]


def trouble(before, then, action):
    """What is wrong with a step, if anything: its lease, what it passed through, where it leads, how."""
    if action in FENCED:
        return ["INV-06: a stale lease was accepted"]
    if type(then) is Broken:
        return names(MID, mid(*then))
    return [] if step_holds(before, then) else names(STEP, steps(before, then))


def path(found, state, action):
    labels = [LABELS[action]]
    while found[state] is not None:
        state, action = found[state]
        labels.append(LABELS[action])
    return labels[::-1]


def explore(most):
    found, frontier, transitions, depth = {START: None}, [START], 0, 0
    while frontier and len(found) < most:
        reached = []
        for state in frontier:
            before = (*state, *HIDDEN)
            for action, then in successors(before):
                transitions += 1
                broken = trouble(before, then, action)
                if not broken:
                    key = bytes(then[:SIZE])
                    if key in found:
                        continue
                    found[key] = state, action
                    reached.append(key)
                    if rest_holds(*then):
                        continue
                    broken, state, action = names(REST, rest(*then)), *found[key]
                return len(found), transitions, depth, broken, path(found, state, action)
        frontier = reached
        depth += bool(reached)
    return len(found), transitions, depth, [] if not frontier else ["not finished"], []


if __name__ == "__main__":
    begun = time.perf_counter()
    states, transitions, depth, broken, trace = explore(int(sys.argv[1]) if len(sys.argv) > 1 else sys.maxsize)
    print(json.dumps({"states": states, "transitions": transitions, "depth": depth, "broken": broken, "trace": trace,
                      "seconds": time.perf_counter() - begun}))
'''


def text(part: Ground) -> str:
    """A term as a Python expression over a0, a1, ...; b0, b1, ... is the state after the step."""
    if isinstance(part, Read):
        return f"{'b' if part.then else 'a'}{part.slot}"
    if not isinstance(part, Term):
        return part.name if isinstance(part, Local) else str(part)
    if part.op == "not":
        return f"(not {text(part.args[0])})"
    if part.op == "if":
        condition, value, otherwise = map(text, part.args)
        return f"({value} if {condition} else {otherwise})"
    return f"({INFIX[part.op].join(map(text, part.args))})"


def block(moves: Sequence[Move]) -> Iterator[str]:
    """The moves of one block as statements."""
    for each in sequenced(moves):
        if isinstance(each, Let):
            yield f"{each.name} = {text(each.value)}"
            continue
        lines = [f"a{slot} = {text(value)}" for slot, value in each.sets]
        if each.condition is True:
            yield from lines
        else:
            yield f"if {text(each.condition)}:"
            yield from (f"    {line}" for line in (*lines, *([] if each.flag is None else [f"f{each.flag} = True"])))


def body(blocks: Iterable[Block]) -> Iterator[str]:
    """What an action does, as statements."""
    flags = [flag for each in blocks for flag in each.flags]
    if flags:
        yield f"{' = '.join(f'f{flag}' for flag in flags)} = False"
    for each in blocks:
        if each.moves and each.flag is not None:
            yield f"if f{each.flag}:"
        yield from (line if each.flag is None else f"    {line}" for line in block(each.moves))


def function(name: str, arguments: str, *lines: str) -> list[str]:
    """A function with these statements."""
    return ["", "", f"def {name}({arguments}):", *(f"    {line}" for line in lines)]


def python_model(ground: Grounding) -> str:
    """The program."""
    variables = ", ".join(f"a{n}" for n in range(len(ground.slots)))
    after = ", ".join(f"b{n}" for n in range(len(ground.slots)))
    commands, rules = ground.commands(), ground.rules()
    mid, step = ground.properties(*STATE, place=Place.MID), ground.properties(Nature.STEP)
    rest = ground.properties(*STATE)
    lines = [HEAD, f"SIZE, START = {ground.size}, bytes({ground.start[:ground.size]})",
             f"HIDDEN = {tuple(ground.start[ground.size:])}",
             f"LABELS = {[c.label for c in commands]}", f"FENCED = {tuple(n for n, c in enumerate(commands) if c.fenced)}"]
    for name, found in (("MID", mid), ("REST", rest), ("STEP", step)):
        lines.append(f"{name} = {[label for label, _ in found]}")
    settle = ["while True:", f"    if not {text(conjunction(p for _, p in mid))}:", f"        return Broken(({variables},))"]
    for rule in rules:
        settle.append(f"    if {text(rule.guard)}:  # {rule.label}")
        settle += [f"        {statement}" for statement in (*body(rule.blocks), "continue")]
    lines += function("settle", variables, *settle, f"    return {variables}")
    for number, command in enumerate(commands):
        lines += function(f"do{number}", variables, *body(command.blocks), f"return settle({variables})")
    choose = [f"{variables} = state", "found = []"]
    for number, command in enumerate(commands):
        choose += [f"if {text(command.guard)}:  # {command.label}", f"    found.append(({number}, do{number}(*state)))"]
    lines += function("successors", "state", *choose, "return found")
    for name, found in (("mid", mid), ("rest", rest)):
        lines += function(name, variables, f"return [{', '.join(text(p) for _, p in found)}]")
    lines += function("rest_holds", variables, f"return {text(conjunction(p for _, p in rest))}")
    both = (f"{variables} = state", f"{after} = then")
    lines += function("steps", "state, then", *both, f"return [{', '.join(text(p) for _, p in step)}]")
    lines += function("step_holds", "state, then", *both, f"return {text(conjunction(p for _, p in step))}")
    return "\n".join(lines) + "\n\n" + MAIN

