"""Which rows of the tables a run takes, and how often.

The history tells of every row that changes a state; those that change none are seen from the rows of the store. Where
several rows of a table lead from one state to the same other one, the decision's own guards tell which it was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import attrs

from kernel.core.program import Line, Program, standard_program
from kernel.core.records import DeliveryRow, Record, TaskRow, entry_of
from kernel.engine.entities import HistoryRow
from kernel.spec import SPEC
from kernel.spec.language import Enter, Fire, Row, Spec, Step
from kernel.spec.names import following
from kernel.spec.vocabulary import ABSENT
from kernel.testing.dump import TreeDump


class Entry(NamedTuple):
    """One thing that can be taken: a row of a lifecycle in one of its states, a rule, what entering a state brings about."""

    table: str
    """A kind, `progress`, or `entering`."""
    says: str
    event: str


def _task(says: str) -> Entry:
    return Entry("task", says, says.partition(" ")[0])


UNREACHED: Mapping[Entry, str] = {
    **dict.fromkeys((
        _task("SIGNAL SCHEDULED -> SCHEDULED"), _task("REJECT SCHEDULED -> COMPLETED_WITH_ERRORS"),
        _task("REJECT SCHEDULED -> FAILED_WITH_TERMINAL_ERROR"),
    ), "what waits or nests starts in the commit that schedules it, so nothing comes between"),
    **dict.fromkeys((
        _task("REOPEN SKIPPED -> IN_PROGRESS"), _task("REOPEN FAILED_WITH_TERMINAL_ERROR -> IN_PROGRESS"),
    ), "what was skipped or rejected has no sub-workflow that could go on in place"),
}
"""What no run comes to, and why."""
Place = tuple[str, str, str, str]
"""What a line of the history says: kind, event, source, target."""
Lines = dict[Place, list[tuple[Row, Entry]]]


def _lines(spec: Spec) -> Lines:
    """Every row in each of its states; rows that differ in nothing but their guards are told apart by those."""
    found: dict[Place, list[Row]] = defaultdict(list)
    for kind, table in spec.tables.items():
        for row in table.rows:
            for source in row.source:
                found[kind, row.event, source, row.target].append(row)
    lines: Lines = {}
    for (kind, event, source, target), rows in found.items():
        says = f"{event} {source} -> {target}"
        shared = [guard for guard in rows[0].guards if all(guard in row.guards for row in rows)]
        lines[kind, event, source, target] = [
            (row, Entry(kind, says + "".join(f", {g.name}" for g in row.guards if g not in shared), event)) for row in rows]
    return lines


def _entered(enter: Enter, state: str, fire: Fire) -> Entry:
    return Entry("entering", f"{enter.kind} {state}: {fire.event} {fire.at}", fire.event)


def entries(spec: Spec = SPEC) -> list[Entry]:
    """Everything that can be taken, in the order of the tables."""
    return [
        *(entry for rows in _lines(spec).values() for _, entry in rows),
        *(Entry("progress", rule.name, rule.name) for rule in spec.progress),
        *(_entered(enter, state, fire) for enter in spec.on_enter for state in enter.states
          for fire in (*enter.cascade, *enter.emit)),
    ]


def unfired(spec: Spec = SPEC) -> set[str]:
    """The events that no command, no rule, no ending fires, and no event brings with it: nothing can take their rows."""
    steps: tuple[Step | Enter, ...] = (*spec.commands, *spec.progress, *spec.on_enter, *following(spec))
    fired = {fire.event for step in steps
             for fire in (step.do if isinstance(step, Step) else (*step.cascade, *step.emit))}
    return {row.event for table in spec.tables.values() for row in table.rows} - fired


class Takings:
    """Counts what one world takes. Kernels that run on its `program` tell it what the history does not."""

    def __init__(self, counts: Counter[Entry], spec: Spec = SPEC) -> None:
        self.counts, self.spec = counts, spec
        self.lines = _lines(spec)
        self.rules = {rule.name: rule.do[0].event for rule in spec.progress}
        self.picked: dict[tuple[str, str, str, str], Row] = {}
        self.program = self._watched(standard_program())

    def _watched(self, program: Program) -> Program:
        """The same program, which also tells which of several rows of one place a decision picks."""
        return attrs.evolve(program, cells={kind: {
            cell: tuple(attrs.evolve(line, holds=self._telling(kind, line)) if self._doubtful(kind, line) else line
                        for line in lines)
            for cell, lines in cells.items()} for kind, cells in program.cells.items()})

    def _doubtful(self, kind: str, line: Line) -> bool:
        return len(self.lines[kind, line.event, line.source, line.target]) > 1

    def _telling(self, kind: str, line: Line) -> Callable[[Any, Mapping[str, Any]], object]:
        def holds(row: Record, given: Mapping[str, Any]) -> object:
            answer = line.holds(row, given)
            if answer:
                self.picked[kind, *_name(row), line.event] = line.row
            return answer
        return holds

    def take(self, lines: list[HistoryRow]) -> None:
        """Count what lines of one tree's history tell: whole commits, in their order."""
        for number, line in enumerate(lines):
            rows = self.lines[line.kind, line.event, line.source, line.target]
            picked = self.picked.get((line.kind, line.workflow_id, line.subject, line.event))
            for row, entry in rows:
                if len(rows) == 1 or row is picked:
                    self.counts[entry] += 1
            if line.event == self.rules.get(line.by):
                self.counts[Entry("progress", line.by, line.by)] += 1
            if line.kind == "workflow":
                self._enter(line, lines, number)

    def _enter(self, entered: HistoryRow, lines: list[HistoryRow], number: int) -> None:
        """Count what entering a state brought about in the same commit, at the workflow or below it."""
        for enter in self.spec.on_enter:
            if enter.kind == entered.kind and entered.target in enter.states:
                same = [line for place, line in enumerate(lines) if place != number
                        and line.command_id == entered.command_id
                        and f"{line.workflow_id}/".startswith(f"{entered.workflow_id}/")]
                for fire in (*enter.cascade, *enter.emit):
                    kind = self.spec.links[fire.at].target
                    if any((line.kind, line.event) == (kind, fire.event) and _over(fire, line) for line in same):
                        self.counts[_entered(enter, entered.target, fire)] += 1

    def look(self, before: TreeDump, after: TreeDump) -> None:
        """Count what changes no state, and so is not in the history.

        A task held longer; a time shifted by a pause; a delivery that waits for the window of its topic.
        """
        for (name, no), task in before.tasks.items():
            now = after.tasks.get((name, no))
            if now is None or (now.state, now.attempt, now.handouts) != (task.state, task.attempt, task.handouts):
                continue
            if task.state == "IN_PROGRESS" and now.expires > task.expires:
                self._silent("task", "HEARTBEAT", task.state)
            resumed = (before.workflows[name].state, after.workflows[name].state) == ("PAUSED", "RUNNING")
            if task.state == "SCHEDULED" and resumed and (now.not_before, now.expires) != (task.not_before, task.expires):
                self._silent("task", "SHIFT", task.state)
        for place, delivery in before.deliveries.items():
            later = after.deliveries.get(place)
            if later is not None and later.due > delivery.due and (
                    later.state, later.run, later.claims) == (delivery.state, delivery.run, delivery.claims):
                self._silent("delivery", "DEFER", delivery.state)

    def purged(self, state: str) -> None:
        """Count a tree that is gone, with its history; `state` is that of its root."""
        ((_, entry),) = self.lines["workflow", "PURGE", state, ABSENT]
        self.counts[entry] += 1

    def _silent(self, kind: str, event: str, state: str) -> None:
        ((_, entry),) = self.lines[kind, event, state, state]
        self.counts[entry] += 1


def _name(row: Record) -> tuple[str, str]:
    """A row as the history names it: its workflow and its subject."""
    if isinstance(row, TaskRow):
        return row.workflow, row.facts.ref
    return (row.workflow, row.name) if isinstance(row, DeliveryRow) else (row.id, "")


def _over(fire: Fire, line: HistoryRow) -> bool:
    """Whether a line can be over the link of a Fire: notices, and only they, are over theirs."""
    return line.kind != "delivery" or (entry_of(line.subject)[1] > 0) == (fire.at == "notices")


class Taken(NamedTuple):
    """An entry, how often it was taken, and why it need not have been; empty where it should."""

    entry: Entry
    times: int
    excuse: str


def report(taken: Mapping[Entry, int], spec: Spec = SPEC) -> list[Taken]:
    """Every entry of the tables, in their order."""
    return [Taken(entry, taken.get(entry, 0), UNREACHED.get(entry, "")) for entry in entries(spec)]
