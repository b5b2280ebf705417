"""The compiled tables: dispatch, steps by how they are done, and the rules that a row can have enabled."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.core.program import Program, compile_program, standard_program
from kernel.errors import InvalidDefinition
from kernel.spec import SPEC
from kernel.spec.language import F, Fire, Guard, Lit, Row, Spec, Step, eq, every, plus, some
from kernel.spec.vocabulary import ABSENT, closed


@pytest.fixture(scope="module")
def program() -> Program:
    """The compiled specification."""
    return standard_program()


def with_rows(kind: str, *rows: Row) -> Spec:
    """The specification with more rows in a table."""
    table = SPEC.tables[kind]
    return evolve(SPEC, tables={**SPEC.tables, kind: evolve(table, rows=(*table.rows, *rows))})


def test_the_standard_program_is_compiled_once() -> None:
    """Everybody shares one program."""
    assert standard_program() is standard_program()


def test_each_line_knows_what_its_transition_brings(program: Program) -> None:
    """A line has its source and target, moves counters by its task's signature, and says who looks again."""
    (line,) = program.cells["task"]["IN_PROGRESS", "COMPLETE"]
    assert (line.event, line.source, line.target, line.wakes, line.looks) == (
        "COMPLETE", "IN_PROGRESS", "COMPLETED", (), frozenset())
    assert line.deltas["", 0, 0] == (("tasks", ((6, -1), (8, -1))), ("after", ((0, -1),)))
    (scheduled,) = program.cells["task"]["PENDING", "SCHEDULE"]
    assert scheduled.looks == {"WAIT", "WORKFLOW", "CONTROL"}
    assert {line.target for line in program.cells["task"]["IN_PROGRESS", "FAIL"]} == {
        "SCHEDULED", "COMPLETED_WITH_ERRORS", "FAILED", "FAILED_WITH_TERMINAL_ERROR"}
    (resume,) = program.cells["workflow"]["PAUSED", "RESUME"]
    assert (resume.wakes, set(resume.looks)) == (("tasks",), {""})


def test_steps_are_sorted_by_how_they_are_done(program: Program) -> None:
    """What moves row by row, what is born, and what moves as a whole set: of these tasks come before workflows."""
    done = {
        name: ([p.event for p in a.moves], [p.event for p in a.births], [(p.event, p.link) for p in a.cascades])
        for name, a in program.commands.items() if a.births or a.cascades or len(a.moves) != 1
    }
    assert {name: a.spawned.event for name, a in program.commands.items() if a.spawned is not None} == {"COMPLETE": "CREATE"}
    assert done == {
        "START": (["START"], ["CREATE"], []),
        "PAUSE": (["PAUSE"], [], [("PAUSE", "subs")]),
        "RESUME": (["RESUME"], [], [("SHIFT", "all_tasks"), ("RESUME", "subs")]),
        "WAKE": ([], [], []),
    }
    assert [(p.event, p.link, p.line is not None and p.line.target) for p in program.entering["workflow", "FAILED"]] == [
        ("TERMINATE", "subs", "TERMINATED"), ("CANCEL", "all_tasks", "CANCELED")]
    assert ("workflow", "PAUSED") not in program.entering
    told = {(line.event, line.source): line.emits for cell in program.cells["workflow"].values() for line in cell if line.emits}
    assert told["FAIL", "RUNNING"] == told["TERMINATE", "PAUSED"] == ("outbox", "notices")
    assert told["START", ABSENT] == told["PAUSE", "RUNNING"] == told["RETRY", "FAILED"] == ("notices",)
    assert {event for event, _ in told} == {
        "START", "PAUSE", "RESUME", "COMPLETE", "FAIL", "TIME_OUT", "TERMINATE", "RETRY", "RESTART", "RERUN", "REOPEN"}


def test_each_state_has_its_agenda(program: Program) -> None:
    """The rules that a row can have enabled follow from its state and mode; closed tasks and paused workflows have none."""
    found = {
        (kind, *place): [way.action.step.name for way in agenda.ways]
        for kind, agendas in program.agenda.items() for (*place, judged), agenda in agendas.items() if agenda.ways and judged
    }
    ends = ["ASKED_COMPLETED", "ASKED_FAILED", "ASKED_TERMINATED", "END_FAILED", "END_TIMED_OUT", "END_TERMINATED",
            "END_PERMISSIVE", "END_COMPLETED"]
    assert found == {
        ("workflow", "RUNNING", ""): ends,
        **{("workflow", state, ""): [f"HAND_{state}"] for state in ("COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED")},
        **{("task", "PENDING", mode): ["UNCHOSEN", "REJECT", "SCHEDULE"] for mode in ("WORKER", "WAIT", "WORKFLOW", "CONTROL")},
        ("task", "SCHEDULED", "WORKER"): ["REJECT"],
        ("task", "SCHEDULED", "WAIT"): ["REJECT", "LAUNCH_WAIT"],
        ("task", "SCHEDULED", "WORKFLOW"): ["REJECT", "LAUNCH_CHILD"],
        ("task", "SCHEDULED", "CONTROL"): ["REJECT", "PASS"],
        ("task", "IN_PROGRESS", "WAIT"): ["SIGNALLED"],
    }


def test_what_is_not_judged_is_never_rejected(program: Program) -> None:
    """A task without expressions and without a sub-workflow is sound: nothing waits for it but its predecessors."""
    agenda = program.agenda["task"]
    assert [way.action.step.name for way in agenda["PENDING", "WORKER", False].ways] == ["SCHEDULE"]
    assert agenda["SCHEDULED", "WORKER", False].ways == ()
    assert [way.action.step.name for way in agenda["SCHEDULED", "WAIT", False].ways] == ["LAUNCH_WAIT"]


def test_a_way_has_a_line_only_where_that_is_all(program: Program) -> None:
    """A rule that moves another row, or of whose rows in the table several can be meant, is asked for its moves in the end."""
    lines = {
        way.action.step.name: way.line and way.line.target
        for agendas in program.agenda.values() for agenda in agendas.values() for way in agenda.ways
    }
    assert lines["SCHEDULE"] == "SCHEDULED"
    assert lines["LAUNCH_CHILD"] == "IN_PROGRESS"
    assert (lines["REJECT"], lines["HAND_FAILED"]) == (None, None)
    both_rows = Step("PASS_BOTH", "task", (Fire("PASS"), Fire("RESUME", "wf")))
    changed = compile_program(evolve(SPEC, progress=(*SPEC.progress, both_rows)))
    (way,) = [w for w in changed.agenda["task"]["SCHEDULED", "CONTROL", False].ways if w.action.step.name == "PASS_BOTH"]
    assert way.line is None


def test_open_tasks_are_counted_where_the_rules_count_them(program: Program) -> None:
    """The counter of open tasks is known by what it counts; a specification whose rules do not count them has none."""
    assert program.open_tasks == [c.name for c in program.counters_of("workflow")].index("tasks_not_closed")
    rules = tuple(rule for rule in SPEC.progress if rule.name != "END_PERMISSIVE")
    assert compile_program(evolve(SPEC, progress=rules)).open_tasks is None


@pytest.mark.parametrize(("bodies", "row", "values"), [
    ([], {"mode": "WAIT"}, ()),
    ([eq(F("optional"), 1)], {"optional": 1}, (1,)),
])
def test_a_signature_is_a_tuple_of_any_length(bodies: list[Guard], row: dict[str, object], values: tuple[object, ...]) -> None:
    """However many attributes decide whether a task counts, they are read as one tuple."""
    ends = [Step("END", "workflow", (Fire("FAIL"),), (Guard("a", some("tasks", Guard("b", body))),)) for body in bodies]  # type: ignore[arg-type]
    plain = Step("END_ALL", "workflow", (Fire("COMPLETE"),), (Guard("all", every("tasks", closed)),))
    program = compile_program(evolve(SPEC, progress=(*ends, plain)))
    facts = type("Facts", (), row)()
    assert program.signature(facts) == values


def test_fields_are_not_read_after_they_were_set() -> None:
    """A row that sets a field and reads it in a later one is refused: fields are read before any is set."""
    row = Row("SKIP", ("PENDING",), "SKIPPED", (), {"attempt": Lit(0), "handouts": plus(F("attempt"), 1)})
    with pytest.raises(InvalidDefinition, match="SKIP sets 'attempt' and then reads it"):
        compile_program(with_rows("task", row))


def test_only_workflows_have_sets_below() -> None:
    """A Fire over the successors of a task is no set that a store could move with one statement."""
    command = Step("CANCEL_AFTER", "task", (Fire("CANCEL", "after"),))
    with pytest.raises(InvalidDefinition, match="a task has no rows below it"):
        compile_program(evolve(SPEC, commands=(*SPEC.commands, command)))


@pytest.mark.parametrize("where", [
    eq(F("state", ("up", "wf")), "RUNNING"), some("tasks", Guard("closed", closed.holds)),
], ids=["far", "quantified"])
def test_a_whole_set_sees_its_rows_and_their_workflow_only(where: object) -> None:
    """A Fire over a set is one statement: what it reads further away is refused."""
    command = Step("PAUSE_SOME", "workflow", (Fire("PAUSE", "subs", where),))  # type: ignore[arg-type]
    with pytest.raises(InvalidDefinition, match="PAUSE over 'subs'"):
        compile_program(evolve(SPEC, commands=(*SPEC.commands, command)))
