"""The Markdown tables say everything that the law says, in well-formed tables."""

from __future__ import annotations

import re

import pytest

from kernel.render.tables import ALONE, PARTS, among, table
from kernel.spec import SPEC
from kernel.spec.check import fires
from kernel.spec.language import Table
from kernel.spec.names import answers
from kernel.spec.vocabulary import CLOSED, OPEN, added, declared, goes_on, left_out, starts_again

CELLS = re.compile(r"(?<!\\)\|")
every_law = pytest.mark.parametrize("law", SPEC.tables.values(), ids=SPEC.tables)


def cells(text: str) -> list[list[str]]:
    """The cells of a table, its head and rule left out."""
    return [[cell.strip() for cell in CELLS.split(line)[1:-1]] for line in text.splitlines()[2:]]


@pytest.mark.parametrize("name", PARTS)
def test_table_is_well_formed(name: str) -> None:
    """Every line of a part has as many cells as its head, and the backquotes close."""
    lines = PARTS[name]().splitlines()
    assert len({len(CELLS.split(line)) for line in lines}) == 1
    assert all(line.count("`") % 2 == 0 for line in lines)
    assert len(lines) > 2


def test_cells_cannot_break_a_table() -> None:
    """A vertical bar inside a cell is escaped."""
    assert table(("a", "b"), [("x|y", "")]) == "| a | b |\n| --- | --- |\n| x\\|y |  |"


@every_law
def test_every_transition_is_a_line(law: Table) -> None:
    """One line for each row, with its event, its target and all its guards, in the order of the law."""
    lines = cells(PARTS[f"{law.kind.name}-rows"]())
    assert [(line[0], line[2], line[3]) for line in lines] == [
        (f"`{row.event}`", f"`{row.target}`", ", ".join(g.name for g in row.guards)) for row in law.rows
    ]
    assert [bool(line[4]) for line in lines] == [bool(row.set) for row in law.rows]


@every_law
def test_every_other_cell_is_a_line(law: Table) -> None:
    """One line for each no-op and refusal, with its reason, and which of both it is."""
    lines = cells(PARTS[f"{law.kind.name}-answers"]())
    assert sorted((line[0], line[3]) for line in lines) == sorted((f"`{a.event}`", a.why) for a in answers(law))
    assert sum(line[2] == "no-op" for line in lines) == len(law.no_ops)


@every_law
def test_every_event_has_its_cause(law: Table) -> None:
    """One line for each event; none is left without a cause."""
    lines = dict(cells(PARTS[f"{law.kind.name}-causes"]()))
    assert list(lines) == [f"`{event}`" for event in law.events]
    alone = {event for event in law.events if lines[f"`{event}`"] == ALONE}
    assert alone == {
        "workflow": set(),
        "task": set(),
        "delivery": set(),
    }[law.kind.name]


def test_causes_name_commands_rules_and_cascades() -> None:
    """Who fires an event: commands with their giver, rules with their place, and entering a terminal state."""
    lines = dict(cells(PARTS["workflow-causes"]()))
    assert lines["`TERMINATE`"] == (
        "command `TERMINATE` (operator); rule 7 `ASKED_TERMINATED`; rule 10 `END_TERMINATED`; a workflow that ends"
    )
    lines = dict(cells(PARTS["task-causes"]()))
    assert lines["`CHILD_FAILED`"] == "rule 2 `HAND_FAILED`"
    assert lines["`RESET`"] == "`RESTART` of a workflow; `RETRY` of a workflow; `RERUN` of a workflow; `REOPEN` of a workflow"


@every_law
def test_every_field_is_a_line(law: Table) -> None:
    """What transitions write is told from what is given."""
    lines = cells(PARTS[f"{law.kind.name}-fields"]())
    assert [line[0] for line in lines] == [f"`{f.name}`" for f in (*law.kind.fields, *law.kind.attributes)]
    assert [line[2] for line in lines].count("transitions") == len(law.kind.fields)


@every_law
def test_every_guard_is_explained(law: Table) -> None:
    """Each guard of a row stands in the table of conditions with its reason, unless it is just a field of that name."""
    told = {line[0]: line[2] for line in cells(PARTS[f"{law.kind.name}-conditions"]())}
    fields = {f.name for f in law.kind.attributes + law.kind.fields}
    for guard in (g for row in law.rows for g in row.guards):
        assert told.get(guard.name, guard.why) == guard.why
        assert guard.name in told or guard.name.removeprefix("not ") in fields | set(told)


def test_sets_of_states_are_named() -> None:
    """A set of states that has a word is told by it; any other is listed."""
    task = SPEC.tables["task"]
    assert [among(task, s) for s in (OPEN, CLOSED, OPEN[:2])] == ["any open", "any closed", "`PENDING`, `SCHEDULED`"]


def test_commands_and_rules_are_complete() -> None:
    """Every command and every rule is a line, with its guards; rules have their place."""
    lines = cells(PARTS["commands"]())
    assert [(line[0], line[2], line[6]) for line in lines] == [(f"`{s.name}`", s.by, s.lock) for s in SPEC.commands]
    lines = cells(PARTS["progress"]())
    assert [(line[0], line[1]) for line in lines] == [(str(n), f"`{s.name}`") for n, s in enumerate(SPEC.progress, start=1)]
    assert [line[4] for line in lines] == [", ".join(g.name for g in s.guards) for s in SPEC.progress]


def test_cascades_and_statements_are_complete() -> None:
    """Everything that happens on entering a state, and everything that reaches many rows, is a line."""
    enter, *more = SPEC.on_enter
    entered = [(line[1], line[2], line[4]) for line in cells(PARTS["on-enter"]())]
    below = [(f"`{f.event}`", f"`{f.at}`", "they are in it already") for f in enter.cascade]
    assert entered == [*below, *((f"`{f.event}`", f"`{f.at}`", "yes") for each in (enter, *more) for f in each.emit)]
    several = [(s, f) for s, f in fires(SPEC) if f.at != "self" and not SPEC.links[f.at].one]
    lines = cells(PARTS["statements"]())
    assert len(lines) == len(several)
    assert {line[1]: line[2] for line in lines}["`CANCEL` over `all_tasks`"] == "one UPDATE"
    assert {line[1]: line[2] for line in lines}["`CREATE` over `outbox`"].startswith("one INSERT")


def test_what_events_bring_with_them_is_complete() -> None:
    """Everything that an event brings with it is a line, and each condition that picks rows is told in full."""
    brought = [(follow, fire) for follow in SPEC.follows for fire in follow.do]
    lines = cells(PARTS["follows"]())
    assert [line[0] for line in lines] == [f"`{follow.event}` of a {follow.kind}" for follow, _ in brought]
    told = {line[0]: line[1] for line in cells(PARTS["picked"]())}
    assert list(told) == [guard.name for guard in (declared, added, goes_on, starts_again, left_out)]
    assert "presented resume" in told[goes_on.name]
    assert "reach of the presented from_task" in told[starts_again.name]


def test_every_link_is_a_line() -> None:
    """Each link with its ends; one that may be absent says where it is there."""
    lines = {line[0]: line for line in cells(PARTS["links"]())}
    assert list(lines) == [f"`{name}`" for name in SPEC.links]
    assert lines["`up`"][1:] == ["workflow", "one task", SPEC.links["up"].about, "`child`"]
    assert lines["`subs`"][2] == "many workflow"


def test_every_invariant_is_a_line() -> None:
    """All invariants with their nature and meaning; the pages of the lifecycles share them out."""
    lines = cells(PARTS["invariants"]())
    assert [(line[0], line[1], line[3]) for line in lines] == [(p.id, p.nature, p.text) for p in SPEC.properties]
    assert all(line[4] for line in lines)
    shared = [line for kind in SPEC.tables for line in cells(PARTS[f"{kind}-invariants"]())]
    assert sorted(shared) == sorted(lines)
    assert {line[0]: line[4] for line in lines}["INV-01"] == (
        "`ended ⇒ every row of tasks [not open] and every row of subs [not live]`"
    )


def test_totals_add_up() -> None:
    """Cells are states times events, ABSENT included; every one moves, is a no-op or is refused."""
    for line, law in zip(cells(PARTS["totals"]()), SPEC.tables.values(), strict=True):
        states, events, rows, every, moving, quiet, refused = map(int, line[1:])
        assert (states + 1) * events == every == moving + quiet + refused
        assert rows == len(law.rows)
        assert refused == sum(len(a.source) for a in law.refusals)
