"""The SQL files: each statement is used, each cascade has one, none scans a table, and their number does not grow."""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import apsw
import apsw.ext
import pytest

import kernel
from kernel.core.plan import Subject
from kernel.core.program import Part, standard_program
from kernel.engine.kernel import Kernel
from kernel.errors import KernelError
from kernel.spec.vocabulary import KINDS
from kernel.stores.audit import AUDIT
from kernel.stores.sqlite import SqliteStore
from kernel.stores.statements import STATEMENTS, migrations, statements
from kernel.testing.clock import ManualClock

CASCADE = "cascade_"
QUERIES = "".join((files("kernel.stores") / "sql" / name).read_text("utf-8") for name in STATEMENTS)


def set_based() -> list[Part]:
    """Every Fire of the program that moves a whole set of rows."""
    program = standard_program()
    fires = [part for action in program.commands.values() for part in action.cascades]
    fires += [part for cascades in program.entering.values() for part in cascades]
    found = {(part.kind, part.event, part.link): part for part in fires}
    assert {(kind, event) for kind, event, _ in found} == {
        ("workflow", "PAUSE"), ("workflow", "RESUME"), ("workflow", "TERMINATE"), ("task", "CANCEL"), ("task", "SHIFT")}
    return list(found.values())


# -------------------------------------------------------------------------------------------------------------- names
def test_every_statement_is_used() -> None:
    """A name in the file is a name in the code; cascades and audits are chosen by kind, event and invariant."""
    written = {
        node.value for file in files("kernel.stores").iterdir() if file.name.endswith(".py")
        for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Constant)
    }
    special = {f"{CASCADE}{part.kind}_{part.event.lower()}" for part in set_based()}
    general = {f"{CASCADE}{kind}{end}" for kind in ("workflow", "task") for end in ("", "_history")}
    unused = {name for name in statements() if name not in written | special | general and not name.startswith(AUDIT)}
    assert unused == set()


def test_every_name_is_a_statement() -> None:
    """No two statements have one name, and each is one statement, with a semicolon nowhere."""
    names = re.findall(r"^-- name: (\S+)$", QUERIES, re.MULTILINE)
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(names) == set(statements())
    assert [name for name, sql in statements().items() if not sql or ";" in sql or "--" in sql] == []


def test_every_audit_names_an_invariant() -> None:
    """The invariant that a finding names is one of the specification's, or the store's own."""
    known = {prop.id for prop in standard_program().spec.properties} | {"STORE"}
    assert {name.removeprefix(AUDIT).partition("_")[0] for name in statements() if name.startswith(AUDIT)} <= known


@pytest.mark.parametrize("part", set_based(), ids=lambda part: f"{part.kind} {part.event} {part.link}")
def test_every_cascade_has_its_statement(part: Part) -> None:
    """A cascade that sets fields has a statement of its own, which sets just these; any other shares that of its kind."""
    special = f"{CASCADE}{part.kind}_{part.event.lower()}"
    assert part.line is not None
    fields = {name for name, _ in part.line.row.set}
    assert (special in statements()) == bool(fields)
    shared = [f"{CASCADE}task_own", f"{CASCADE}task"] if part.kind == "task" else [f"{CASCADE}{part.kind}"]
    for name in [special] if fields else shared:
        (assignments,) = re.findall(r"UPDATE \w+ SET (.*?)\n? WHERE", statements()[name], re.DOTALL)
        assert set(re.findall(r"(\w+) =", re.sub(r"\(SELECT.*?\)|CASE.*?END", "", assignments))) == {
            "state", "changed", *fields, *(("reason",) if part.line.source != part.line.target else ()),
            *(("due",) if part.kind == "task" else ())}


def test_no_statement_is_for_a_cascade_that_does_not_exist() -> None:
    """A statement for an event is there because the tables fire that event over a set."""
    events = {event.lower() for table in standard_program().spec.tables.values() for event in table.events}
    special = {name for name in statements() if name.startswith(CASCADE) and name.rpartition("_")[2] in events}
    assert special <= {f"{CASCADE}{part.kind}_{part.event.lower()}" for part in set_based()}


def test_states_in_sql_are_states() -> None:
    """Every list of states in the SQL files holds states of one kind."""
    text = QUERIES + "".join(script for _, _, script in migrations())
    lists = re.findall(r"state (?:NOT )?IN \(\s*('[^)]*')\)", text)
    assert len(lists) > 15
    for each in lists:
        states = re.findall(r"'(\w+)'", each)
        assert any(set(states) <= set(kind.states) for kind in KINDS.values()), each


def test_migrations_are_numbered_without_gaps() -> None:
    """1, 2, ... and the number is part of the name."""
    assert [(number, name[:4]) for number, name, _ in migrations()] == [
        (number, f"{number:04}") for number in range(1, len(migrations()) + 1)]


# -------------------------------------------------------------------------------------------------------------- plans
SMALL = ("json_each", "definition", "archive_policy", "told", "subscribed", "s", "CONSTANT")
SCANS = {
    # The audit looks at everything that there is, and the sizes are counted.
    **{name: {"task", "workflow", "delivery", "history", "t", "w", "d", "p", "c", "r", "h"}
       for name in statements() if name.startswith(AUDIT)},
    "sizes": {"task", "workflow", "delivery"},
    "backlog": {"delivery", "d", "due", "timers"},  # the partial indexes of the outbox, to count them; due is one row
    "roots": {"a", "b", "t"},  # the page itself
    "latest_time": {"delivery"},  # the partial indexes of open ones, once in the life of a process
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store."""
    store = SqliteStore(str(tmp_path / "kernel.db"))
    yield store
    store.close()


@pytest.mark.parametrize("name", statements())
def test_no_statement_scans_a_table(store: SqliteStore, name: str) -> None:
    """SQLite finds what a statement asks for by an index; a full scan of a table that grows is pinned above."""
    scanned = set()
    with store.transaction(write=False) as transaction:
        for detail in plan_of(transaction.connection, statements()[name]):
            table = re.match(r"SCAN (\w+)", detail)
            if table and table[1] not in SMALL:
                scanned.add(table[1])
    assert scanned <= SCANS.get(name, set()), plan_of(transaction.connection, statements()[name])


def plan_of(connection: apsw.Connection, sql: str) -> list[str]:
    """Every step of SQLite's plan."""
    info = apsw.ext.query_info(connection, sql, explain_query_plan=True)
    steps: list[str] = []
    waiting = [info.query_plan]
    while waiting:
        step = waiting.pop()
        assert step is not None
        steps.append(step.detail)
        waiting += step.sub or []
    return steps


def test_no_list_is_sorted_whole(store: SqliteStore) -> None:
    """What is asked for by the page comes from an index in its order: no page costs more than its rows."""
    paged = ("find", "find_in_state", "workflows_in_state", "tasks", "history", "due_tasks", "unpolled_tasks",
             "passed_deadlines", "lost_deliveries", "pollable", "claimable", "deliveries", "deliveries_of")
    with store.transaction(write=False) as transaction:
        for name in paged:
            assert [s for s in plan_of(transaction.connection, statements()[name]) if "TEMP B-TREE" in s] == [], name


# ------------------------------------------------------------------------------------------------------------- numbers
class Trace:
    """Counts the statements that a connection runs, one for each set of values."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, cursor: Any, sql: str, bindings: Any) -> bool:
        self.seen.append(sql)
        return True


def tree(k: Kernel, tasks: int, subs: int) -> None:
    """A workflow with so many tasks of its own and so many sub-workflows, each with as many tasks."""
    leaf = kernel.WorkflowDef("leaf", topics=("archive", "mail"), tasks=[kernel.TaskDef(f"x{n}") for n in range(tasks)])
    root = kernel.WorkflowDef("root", topics=("archive", "mail"), tasks=[
        *(kernel.TaskDef(f"s{n}", workflow="leaf") for n in range(subs)), *(kernel.TaskDef(f"t{n}") for n in range(tasks))])
    k.register(leaf, root)
    k.start("root", workflow_id="w")


def statements_of(folder: Path, name: str, tasks: int, subs: int) -> int:
    """How many statements a command takes on such a tree."""
    folder.mkdir()
    store = SqliteStore(str(folder / "kernel.db"))
    k = Kernel(store, clock=ManualClock(), chance=random.Random(1))
    tree(k, tasks, subs)
    leases = k.poll("t0") + k.poll("x0", limit=1)
    if name in ("RESUME", "TERMINATE_PAUSED"):
        k.pause("w")
    (connection,) = store._idle
    trace = connection.exec_trace = Trace()
    if name == "FAIL":
        k.fail(leases[0], retryable=False)
    elif name == "FAIL_BELOW":
        k.fail(leases[1], retryable=False)
    else:
        given = {"origin": "w"} if name in ("PAUSE", "RESUME") else {}
        k.commit(k.command(name.partition("_")[0], Subject("w"), given=given))
    connection.exec_trace = None
    assert k.audit().clean
    store.close()
    return len(trace.seen)


@pytest.mark.parametrize("name", ["TERMINATE", "TERMINATE_PAUSED", "PAUSE", "FAIL", "FAIL_BELOW"])
def test_a_cascade_is_a_fixed_number_of_statements(tmp_path: Path, name: str) -> None:
    """As many for 10 tasks as for 1,000, and for 2 sub-workflows as for 50."""
    few = statements_of(tmp_path / "few", name, 10, 2)
    assert statements_of(tmp_path / "tasks", name, 1_000, 2) == few
    assert statements_of(tmp_path / "subs", name, 10, 50) == few
    assert few < 60


def test_a_resume_looks_only_at_what_can_move(tmp_path: Path) -> None:
    """RESUME does what waited for it: its statements grow with the tasks that progress has to look at, not with all tasks."""
    few = statements_of(tmp_path / "few", "RESUME", 10, 1)
    assert statements_of(tmp_path / "tasks", "RESUME", 1_000, 1) == few


def test_a_trace_sees_each_set_of_values(tmp_path: Path) -> None:
    """The count above is one of executions: a start of more tasks takes more of them."""
    counts = []
    for number in (3, 30):
        store = SqliteStore(str(tmp_path / f"{number}.db"))
        k = Kernel(store)
        k.register(kernel.WorkflowDef("root", tasks=[kernel.TaskDef(f"t{n}") for n in range(number)]))
        (connection,) = store._idle
        trace = connection.exec_trace = Trace()
        k.start("root")
        counts.append(len(trace.seen))
        store.close()
    assert counts[1] - counts[0] >= 27


def test_a_refused_command_writes_nothing(tmp_path: Path) -> None:
    """Not one statement of a refused command writes."""
    store = SqliteStore(str(tmp_path / "kernel.db"))
    k = Kernel(store)
    tree(k, 3, 1)
    k.terminate("w")
    (connection,) = store._idle
    trace = connection.exec_trace = Trace()
    with pytest.raises(KernelError):
        k.pause("w")
    with pytest.raises(KernelError):
        k.terminate("nobody")
    with pytest.raises(KernelError):
        k.signal("w", "t0")
    assert k.terminate("w").no_op
    assert {sql.split()[0] for sql in trace.seen} == {"BEGIN", "SELECT", "PRAGMA", "ROLLBACK"}
    store.close()
