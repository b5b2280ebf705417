"""A specification on a shape in Promela, for Spin.

One commit is one atomic step: a command is chosen, one d_step does it, another one lets progress run to its end. In a d_step
Spin takes the first line of a loop that is enabled, which is the order of the rules. States in between are never stored. What
is only needed within a step is set back to 0 at its end, so that it does not tell states apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernel.formal.actions import Action, Block, Let, When, sequenced
from kernel.formal.ground import Grounding
from kernel.formal.terms import Ground, Local, Read, Term, conjunction, negation
from kernel.spec.language import Nature, Place

INFIX = {"eq": " == ", "lt": " < ", "add": " + ", "sub": " - ", "and": " && ", "or": " || "}
MOST = 16
"""Commands in one d_step: Spin takes no more than 2048 statements."""
STATE = (Nature.STATE, Nature.LIVENESS)


class _Writer:
    """Names of variables, terms as expressions, and what is needed within a step."""

    def __init__(self, ground: Grounding) -> None:
        rows = [f"{place.kind}_{re.sub('[^A-Za-z0-9]', '_', place.id.replace('#', '_run'))}" for place in ground.places]
        self.names = [f"{rows[row]}_{name}" for row, name in ground.slots]
        self.passing: dict[str, None] = {}

    def local(self, name: str) -> str:
        self.passing[name] = None
        return name

    def text(self, part: Ground, *, step: bool = False) -> str:
        """A term; in a property of a step the variables are those after it, `old_` ones those before."""
        if isinstance(part, Read):
            return self.names[part.slot] if part.then or not step else self.local(f"old_{self.names[part.slot]}")
        if isinstance(part, Local):
            return part.name
        if not isinstance(part, Term):
            return str(int(part))
        args = [self.text(arg, step=step) for arg in part.args]
        if part.op == "not":
            return f"!({args[0]})"
        if part.op == "if":
            return f"({args[0]} -> {args[1]} : {args[2]})"
        return f"({INFIX[part.op].join(args)})"

    def body(self, blocks: Sequence[Block]) -> Iterator[str]:
        """What an action does, as statements."""
        yield from (f"{self.local(f'f{flag}')} = 0" for each in blocks for flag in each.flags)
        for each in blocks:
            lines = [line for statement in sequenced(each.moves) for line in self.statement(statement)]
            if each.flag is not None and lines:
                lines = [f"if :: f{each.flag} -> {'; '.join(lines)} :: else -> skip fi"]
            yield from lines

    def statement(self, each: Let | When) -> Iterator[str]:
        """A name given to a value, or assignments where a condition holds."""
        if isinstance(each, Let):
            yield f"{self.local(each.name)} = {self.text(each.value)}"
            return
        lines = [f"{self.names[slot]} = {self.text(value)}" for slot, value in each.sets]
        if each.flag is not None:
            lines.append(f"f{each.flag} = 1")
        if each.condition is True:
            yield from lines
        else:
            yield f"if :: {self.text(each.condition)} -> {'; '.join(lines)} :: else -> skip fi"


def promela(ground: Grounding, title: str) -> str:
    """The model, with this title in its first line."""
    writer, commands, rules = _Writer(ground), ground.commands(), ground.rules()
    mid, rest = ([p for _, p in ground.properties(*STATE, place=place)] for place in (Place.MID, None))
    steps = [p for _, p in ground.properties(Nature.STEP)]
    choose = [f"      :: {writer.text(c.guard)} -> cmd = {n}" for n, c in enumerate(commands, 1)]
    act = [f'          :: cmd == {n} -> printf("ACT {c.label}\\n"); {"; ".join([*writer.body(c.blocks), *lease(c)])}'
           for n, c in enumerate(commands, 1)]
    progress = [f"        :: {writer.text(r.guard)} -> {'; '.join(writer.body(r.blocks))}  /* {r.label} */" for r in rules]
    kept = [f"assert({writer.text(conjunction(rest))});", f"assert({writer.text(conjunction(steps), step=True)});"]
    before = [f"        {name} = {name.removeprefix('old_')};" for name in writer.passing if name.startswith("old_")]
    hidden = [writer.names[n] for n in range(ground.size, len(ground.slots))]
    return "\n".join([
        f"/* {title}. Generated from the tables. */",
        *(f"byte {name} = {value};" for name, value in zip(writer.names, ground.start, strict=True)),
        *(f"byte {name};" for name in writer.passing), "short cmd;", "",
        "active proctype kernel() {", "end:", "  do", "  :: atomic {", "      if", *choose, "      fi;",
        "      d_step {", *before, "        skip", "      };", "      if",
        *(line for at in range(0, len(act), MOST) for line in (
            f"      :: {at} < cmd && cmd <= {at + MOST} ->", "        d_step {", "          if", *act[at:at + MOST],
            "          fi;", "          cmd = 0", "        }")),
        "      fi;",
        "      d_step {", "        do",
        f"        :: {writer.text(negation(conjunction(mid)))} -> assert(false); break  /* an invariant, between two rules */",
        *progress, "        :: else -> break", "        od;", *(f"        {line}" for line in kept),
        *(f"        {name} = 0;" for name in (*writer.passing, *hidden)), "      }", "    }", "  od", "}", ""])


def lease(command: Action) -> list[str]:
    """A lease that is not the stored one must never be enough."""
    return ["assert(false)"] if command.fenced else [] if any(b.moves for b in command.blocks) else ["skip"]
