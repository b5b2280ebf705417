"""TLC as the referee of a history: whether the model that was written out for it could have gone the same way.

The trace checker reads lines and leaves open what no line tells; TLC knows commands, times and leases, and finds out by itself
which of them leads from where the rows stood to where they stand after the next commit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kernel.formal.configurations import Config
from kernel.formal.engines import tlc
from kernel.formal.tla import Tla, mapping, value
from kernel.formal.told import Line, Place
from kernel.formal.trace import Trace
from kernel.spec.language import Spec
from kernel.spec.vocabulary import ABSENT

Standings = Mapping[str, tuple[str, int]]
"""Where rows stand, by their id in the model: the state, and the run of a workflow, or the attempt of a task or delivery."""
MODULE = """\
---- MODULE trace ----
\\* Generated from a history: where every row stood after each commit.
EXTENDS {name}, Sequences
VARIABLE commit

Log == <<
  {log}
>>
Standing(s) == [x \\in DOMAIN s |-> <<s[x].state, IF x \\in workflow THEN s[x].run ELSE s[x].attempt>>]
TraceInit == Init /\\ commit = 0
TraceNext == commit < Len(Log) /\\ Next /\\ Standing(v') = Log[commit + 1] /\\ commit' = commit + 1
TraceSpec == TraceInit /\\ [][TraceNext]_<<v, commit>>
Unfinished == commit < Len(Log)   \\* violated where the model can go the whole way
====
"""
CONFIG = "SPECIFICATION TraceSpec\nINVARIANT Unfinished\n"


def named(place: Place) -> str:
    """The id of a row in a model."""
    kind, workflow, run, subject = place
    if kind == "workflow":
        return workflow
    return f"{workflow}.{subject}" if kind == "task" else f"{workflow}{'' if run == 1 else f'#{run}'}>{subject}"


def standings(trace: Trace, lines: Iterable[Line]) -> Iterator[Standings]:
    """Where every row stands after each commit. Raises NotAllowed."""
    for line in lines:
        if trace.last is not None and trace.begins(line):
            yield {named(place): stands for place, stands in trace.standing()}
        trace.feed(line)
    trace.settle()
    yield {named(place): stands for place, stands in trace.standing()}


def pair(state: str, number: int) -> str:
    """A standing as TLA+ writes it."""
    return f"<<{value(state)}, {value(number)}>>"


def trace_module(model: Tla, seen: Sequence[Standings]) -> str:
    """The module that goes along a history, on the rows of a model."""
    rows = [place.id for place in model.places]
    log = (mapping({row: pair(*stands.get(row, (ABSENT, 0))) for row in rows}) for stands in seen)
    return MODULE.format(name=model.name, log=",\n  ".join(log))


def followed(spec: Spec, config: Config, seen: Sequence[Standings]) -> int:
    """How many commits of a history the model of a shape can follow. Raises NotFound without Java or without the jar."""
    model = Tla(spec, config.shape, config.name, kinds=config.kinds)
    files = {f"{config.name}.tla": model.module(), "trace.tla": trace_module(model, seen), "trace.cfg": CONFIG}
    said, _ = tlc(files, "trace")
    if "Invariant Unfinished is violated" in said:
        return len(seen)
    return int(re.findall(r"depth of the complete state graph search is (\d+)", said)[-1]) - 1
