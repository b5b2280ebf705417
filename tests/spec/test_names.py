"""Every name in a specification is declared, and every expression is well put together: small edits are named."""

from __future__ import annotations

import pytest
from attrs import evolve

from kernel.spec import SPEC
from kernel.spec.language import (
    Expr,
    F,
    Fire,
    Follow,
    Guard,
    Linked,
    Lit,
    Nature,
    Op,
    Param,
    Property,
    Q,
    Row,
    Step,
    both,
    either,
    eq,
    every,
    is_,
    lt,
    no,
    plus,
    some,
    then_,
)
from kernel.spec.names import answers, entering, fired, named, reached, where
from kernel.spec.vocabulary import ENDED, OPEN, is_root
from tests.spec.edits import (
    Edit,
    answer,
    enter,
    kind,
    link,
    row,
    step,
    table,
    with_command,
    with_follow,
    with_property,
    with_refusal,
    with_rule,
)

TASK = SPEC.kinds["task"]
well = Guard("well", is_("COMPLETED"))


def skip(condition: Expr) -> Edit:
    """Guard SKIP by a condition."""
    return row("task", "SKIP", guards=(Guard("just so", condition, "it is not so"),))


def claim(body: Expr, nature: Nature = Nature.STATE, *measure: Expr) -> Edit:
    """Add a property of workflows."""
    return with_property(Property("INV-99", nature, "workflow", "", body, measure=measure))


def given(body: Expr) -> Edit:
    """Say something that is true of all tasks."""
    return lambda spec: evolve(spec, given=(Property("GIVEN", Nature.STATE, "task", "", body),))


STATES: list[tuple[Edit, str]] = [
    (row("task", "SKIP", target="SKIPED"), "-> SKIPED (workflow live): unknown state SKIPED"),
    (row("workflow", "PAUSE", source=("RUNING",)), "workflow PAUSE RUNING -> PAUSED (no guard): unknown state RUNING"),
    (with_refusal("delivery", "CLAIM", "LOST"), "delivery CLAIM: answered in the unknown state LOST"),
    (answer("workflow", "PAUSE", "PAUSED", source=("PAUSD",)), "workflow PAUSE: answered in the unknown state PAUSD"),
    (kind("task", terminal=(*TASK.terminal, "GONE")), "task: unknown state GONE"),
    (kind("task", rank={**TASK.rank, "GONE": 0}), "task: unknown state GONE"),
    (kind("task", rank={s: r for s, r in TASK.rank.items() if s != "SKIPPED"}), "task: SKIPPED has no rank"),
    (enter(states=(*ENDED, "RUNNING")), "entering RUNNING: not a terminal state of a workflow"),
    (enter(states=(*ENDED, "STOPPED")), "entering STOPPED: not a terminal state of a workflow"),
    (skip(is_("WAITING")), "(just so): compares 'state' with 'WAITING', which it never is"),
    (skip(is_("SCHEDULED", of=("wf",))), "(just so): compares 'state' with 'SCHEDULED', which it never is"),
]
FIELDS: list[tuple[Edit, str]] = [
    (row("task", "SKIP", set={"colour": Lit(1)}), "task SKIP PENDING/SCHEDULED -> SKIPPED (workflow live): sets"),
    (row("task", "SKIP", set={"tries": Lit(1)}), "sets 'tries', which is not a stored field"),
    (row("task", "SKIP", set={"signalled": Lit(2)}), "sets 'signalled' to 2, which it never is"),
    (row("workflow", "PAUSE", set={"paused_by": Lit(0)}), "sets 'paused_by' to 0, which it never is"),
    (row("workflow", "PAUSE", set={"paused_at": Lit("")}), "sets 'paused_at' to '', which it never is"),
    (row("task", "SKIP", set={"expires": F("colour")}), "reads the unknown field 'colour'"),
    (skip(eq(F("colour"), 1)), "(just so): reads the unknown field 'colour'"),
    (skip(lt(F("timeout"), 1)), "(just so): reads the unknown field 'timeout'"),
    (skip(eq(F("attempt", ("wf",)), 1)), "(just so): reads the unknown field 'wf.attempt'"),
    (skip(eq(F("mode"), "SIMPLE")), "(just so): compares 'mode' with 'SIMPLE', which it never is"),
    (skip(eq(F("optional"), 2)), "(just so): compares 'optional' with 2, which it never is"),
    (skip(eq(F("attempt"), "one")), "(just so): compares 'attempt' with 'one', which it never is"),
    (skip(eq(F("paused_by", ("wf",)), 0)), "(just so): compares 'paused_by' with 0, which it never is"),
    (step("RESUME", do=(Fire("RESUME"), Fire("RESUME", "subs", both(
        eq(F("mode"), "WAIT"), eq(F("paused_by"), Param("origin")))))), "RESUME: RESUME: reads the unknown field"),
    (claim(every("tasks", Guard("fine", eq(F("slot"), 1)))), "INV-99: reads the unknown field 'slot'"),
    (claim(then_("RUNNING")), "INV-99: reads 'state' after the step, which only a step property does"),
    (claim(both(), Nature.LIVENESS, F("run", then=True)), "INV-99: reads 'run' after the step"),
    (link("up", present=eq(F("rooted"), 0)), "link up: reads the unknown field 'rooted'"),
]
LINKS: list[tuple[Edit, str]] = [
    (skip(is_("RUNNING", of=("workflow",))), "(just so): reads the unknown field 'workflow.state'"),
    (skip(is_("RUNNING", of=("up",))), "(just so): reads the unknown field 'up.state'"),
    (skip(is_("COMPLETED", of=("after",))), "(just so): reads the unknown field 'after.state'"),
    (skip(every("before", well)), "(just so): every over 'before', which is no set link of a task"),
    (skip(some("tasks", well)), "(just so): some over 'tasks', which is no set link of a task"),
    (skip(every("wf", well)), "(just so): every over 'wf', which is no set link of a task"),
    (skip(Linked("tree", "from_task")), "(just so): asks for 'tree', which is no link to a task"),
    (skip(Linked("nowhere", "from_task")), "(just so): asks for 'nowhere', which is no link to a task"),
    (skip(Linked("wf", "from_task")), "(just so): asks for 'wf', which is no link to a task"),
    (step("PAUSE", do=(Fire("PAUSE"), Fire("PAUSE", "below"))), "PAUSE: PAUSE over 'below', which is no link"),
    (step("POLL", do=(Fire("CANCEL", "tasks"),)), "POLL: CANCEL over 'tasks', which is no link of a task"),
    (enter(emit=(Fire("CREATE", "inbox"),)), "entering COMPLETED/FAILED/TIMED_OUT/TERMINATED: CREATE over 'inbox'"),
    (skip(every("after", Guard("near", is_("RUNNING", of=("wf",))))), "'near', counted over 'after', reads more than"),
    (skip(every("after", Guard("asked", eq(F("attempt"), Param("run"))))), "'asked', counted over 'after', reads more"),
    (skip(every("after", Guard("nested", some("after", well)))), "'nested', counted over 'after', reads more than"),
    (skip(every("after", Guard("linked", Linked("wf", "from_task")))), "'linked', counted over 'after', reads more"),
]
EVENTS: list[tuple[Edit, str]] = [
    (step("PAUSE", do=(Fire("STOP"),)), "PAUSE: unknown event STOP of a workflow"),
    (step("PAUSE", do=(Fire("PAUSE"), Fire("PAUSE", "tasks"))), "PAUSE: unknown event PAUSE of a task"),
    (enter(cascade=(Fire("KILL", "all_tasks"),)), "entering COMPLETED/FAILED/TIMED_OUT/TERMINATED: unknown event"),
    (table("task", reopening=lambda old: (*old, "REVIVE")), "task: unknown re-opening event REVIVE"),
    (with_rule(SPEC.progress[0]), "HAND_COMPLETED: two steps have this name"),
    (with_command(evolve(SPEC.progress[-1], guards=())), "SIGNALLED: two steps have this name"),
]
PARAMS: list[tuple[Edit, str]] = [
    (step("FAIL", params=("run", "handouts")), "not retryable, mandatory) asks for 'retryable', which nobody"),
    (step("PAUSE", params=()), "PAUSE: workflow PAUSE RUNNING -> PAUSED (no guard) asks for 'origin', which nobody"),
    (step("RESUME", params=()), "RESUME: SHIFT over 'all_tasks' asks for 'origin', which nobody presents"),
    (step("TIME_OUT", guards=(Guard("late", eq(Param("late"), 1), "no"),)), "TIME_OUT: guard 'late' asks for 'late'"),
    (row("task", "LAUNCH", set={"expires": plus(Param("now"), Param("delay"))}), "LAUNCH_WAIT: task LAUNCH"),
    (row("task", "CANCEL", set={"expires": Param("until")}), "-> CANCELED (no guard) asks for 'until'"),
    (step("RERUN", params=()), "(root, chosen task exists) asks for"),
    (step("RETRY", params=("resume", "run")), "RETRY: presents 'run', which nothing reads"),
    (with_follow(Follow("workflow", "PAUSE", (Fire("CANCEL", "tasks", eq(Param("how"), 1)),))),
     "after PAUSE: CANCEL over 'tasks' asks for 'how', which nobody presents"),
    (with_follow(Follow("workflow", "STOP", ())), "after STOP: a workflow has no such event"),
    (with_follow(Follow("task", "SKIP", (Fire("CANCEL", "nowhere"),))), "after SKIP: CANCEL over 'nowhere', which is no link"),
    (step("TERMINATE", params=("reason",)), "TERMINATE: presents 'reason', which nothing reads"),
    (step("SIGNAL", params=("run",)), "SIGNAL: presents 'run', which nothing reads"),
    (claim(eq(F("run"), Param("run"))), "INV-99: asks for 'run', which nobody presents"),
    (claim(both(), Nature.LIVENESS, Param("now")), "INV-99: asks for 'now', which nobody presents"),
]
SHAPES: list[tuple[Edit, str]] = [
    (skip(F("optional")), "(just so): a condition is meant, not F(name='optional'"),
    (skip(Lit(1)), "(just so): a condition is meant, not Lit(value=1)"),
    (skip(both(is_root, plus(F("attempt"), 1))), "(just so): a condition is meant, not Op(op='add'"),
    (skip(no(F("optional"))), "(just so): a condition is meant, not F(name='optional'"),
    (skip(eq(is_("PENDING"), 1)), "(just so): a value is meant, not Op(op='or'"),
    (skip(lt(every("after", well), 1)), "(just so): a value is meant, not Q(op='every'"),
    (row("task", "SKIP", set={"signalled": eq(F("optional"), 1)}), "a value is meant, not Op(op='eq'"),
    (claim(both(), Nature.LIVENESS, is_("RUNNING")), "INV-99: a value is meant, not Op(op='or'"),
    (skip(Op("xor", (is_("PENDING"), is_("SCHEDULED")))), "(just so): unknown operation 'xor'"),
    (skip(Op("eq", (F("attempt"),))), "(just so): 'eq' has 1 arguments"),
    (skip(Op("not", (is_("PENDING"), is_("SCHEDULED")))), "(just so): 'not' has 2 arguments"),
    (skip(lt(Op("sub", (F("attempt"),)), 1)), "(just so): 'sub' has 1 arguments"),
    (skip(lt(Op("min", ()), 1)), "(just so): 'min' has 0 arguments"),
    (skip(Op("max", (F("attempt"), F("tries")))), "(just so): a condition is meant, not Op(op='max'"),
    (skip(Q("most", "after", well)), "(just so): unknown quantifier 'most'"),
    (skip(every("after", Guard("bare", F("optional")))), "(just so): a condition is meant, not F(name='optional'"),
    (step("RESUME", guards=(Guard("bare", F("root"), "no"),)), "RESUME: a condition is meant, not F(name='root'"),
    (step("PAUSE", do=(Fire("PAUSE"), Fire("PAUSE", "subs", F("root")))), "PAUSE: PAUSE: a condition is meant, not F("),
    (link("up", present=F("root")), "link up: a condition is meant, not F(name='root'"),
]
KINDS: list[tuple[Edit, str]] = [
    (link("up", target="job"), "link up: unknown kind 'job'"),
    (link("after", source="job"), "link after: unknown kind 'job'"),
    (step("POLL", on="job"), "POLL: unknown kind 'job'"),
    (with_follow(Follow("job", "POLL", ())), "after POLL: unknown kind 'job'"),
    (enter(kind="job"), "entering COMPLETED/FAILED/TIMED_OUT/TERMINATED: unknown kind 'job'"),
    (with_property(Property("INV-99", Nature.STATE, "job", "")), "INV-99: unknown kind 'job'"),
    (lambda spec: evolve(spec, kinds={**spec.kinds, "job": TASK}), "job: the kind and its table"),
    (lambda spec: evolve(spec, kinds={**spec.kinds, "task": evolve(TASK, terminal=())}), "task: the kind and its"),
    (lambda spec: evolve(spec, tables={**spec.tables, "job": spec.tables["task"]}), "job: the kind and its"),
]
GIVEN: list[tuple[Edit, str]] = [
    (lambda spec: evolve(spec, given=(Property("G", Nature.STATE, "job", ""),)), "G: unknown kind 'job'"),
    (given(eq(F("attempt"), 1)), "GIVEN: what is given is about the attributes of one row"),
    (given(is_("PENDING")), "GIVEN: what is given is about the attributes of one row"),
    (given(every("after", well)), "GIVEN: what is given is about the attributes of one row"),
    (given(eq(Param("now"), 1)), "GIVEN: what is given is about the attributes of one row"),
    (given(F("tries")), "GIVEN: a condition is meant, not F(name='tries'"),
]
PATHS: list[tuple[Edit, str]] = [
    (link("tasks", back=("up",)), "link tasks: up is no path of single links, each always there, from a task to a workflow"),
    (link("tasks", back=("nowhere",)), "link tasks: nowhere is no path of single links"),
    (link("tasks", back=("wf", "up", "wf")), "link tasks: wf.up.wf is no path of single links, each always there"),
    (link("wf", back=("wf",)), "link wf: wf is no path of single links"),
    (link("after", back=("wf",)), "link after: wf is no path of single links, each always there, from a task to a task"),
]
NAMES: list[tuple[Edit, str]] = [
    (lambda spec: evolve(spec, links={**spec.links, "task": spec.links["wf"]}), "task: a link has the name of a kind"),
    (lambda spec: evolve(spec, links={**spec.links, "w-f": spec.links["wf"]}), "'w-f' is no plain name"),
    (lambda spec: evolve(spec, progress=(evolve(spec.progress[0], name="PO LL"),)),
     "'PO LL' is no plain name: letters, digits and underscores"),
    (kind("task", states=(*TASK.states, "NO-NE"), rank={**TASK.rank, "NO-NE": 1}), "'NO-NE' is no plain name"),
    (kind("task", states=TASK.states[1:]), "task: its first state is not ABSENT"),
    (kind("task", badly=("GONE",)), "task: unknown state GONE"),
]
ACCEPTED: list[Edit] = [
    skip(either(eq(F("paused_by", ("wf",)), ""), eq(F("sound"), 0), lt(F("attempt"), 3), every("after", well))),
    row("task", "SKIP", set={"signalled": Lit(0), "not_before": Param("now"), "attempt": plus(F("tries"), 1)}),
    with_command(Step("RERUN_ALL", "workflow", (Fire("RERUN"),), params=("from_task",))),
    with_follow(Follow("workflow", "PAUSE", (Fire("CANCEL", "tasks", eq(Param("origin"), "w")), Fire("PAUSE", "subs")))),
    claim(then_("RUNNING"), Nature.STEP),
    given(lt(Lit(0), F("tries"))),
    link("tasks", back=("wf",)),
    claim(every("all_tasks", Guard("either way", either(is_(*OPEN), eq(F("mode"), "WAIT"))))),
]


@pytest.mark.parametrize(("edit", "said"), [
    *STATES, *FIELDS, *LINKS, *EVENTS, *PARAMS, *SHAPES, *KINDS, *GIVEN, *PATHS, *NAMES])
def test_unknown_names_are_found(edit: Edit, said: str) -> None:
    """A name that is not declared, a value that a field never has, an expression of the wrong shape: each is named."""
    found = list(named(edit(SPEC)))
    assert [flaw for flaw in found if said in flaw], found


@pytest.mark.parametrize("edit", ACCEPTED)
def test_known_names_are_accepted(edit: Edit) -> None:
    """What is declared may be used."""
    assert list(named(edit(SPEC))) == []


def test_specification_names_only_what_is_declared() -> None:
    """The specification has no unknown name."""
    assert list(named(SPEC)) == []


def test_where_names_a_row() -> None:
    """A row is named by its kind, event, states and guards."""
    tasks = SPEC.tables["task"]
    skipped = where(tasks, tasks.rows_for("SKIP", "PENDING")[0])
    assert skipped == "task SKIP PENDING/SCHEDULED -> SKIPPED (workflow live)"
    assert where(tasks, Row("CANCEL", ("PENDING",), "CANCELED")) == "task CANCEL PENDING -> CANCELED (no guard)"


def test_what_a_fire_reaches() -> None:
    """A Fire reaches rows of the kind that it is on, or of the kind behind its link; that table's rows answer."""
    resume = SPEC.command("RESUME")
    assert [reached(SPEC, resume, fire).kind.name for fire in resume.do] == ["workflow", "workflow", "task"]
    assert [[r.event for r in fired(SPEC, resume, fire)] for fire in resume.do] == [["RESUME"], ["RESUME"], ["SHIFT"]]


def test_entering_is_read_as_steps() -> None:
    """What happens on entering a state has the shape of a step: the cascade, then what is emitted."""
    ending, *onward = entering(SPEC)
    assert [(step.name, [(f.event, f.at) for f in step.do]) for step in onward] == [
        ("entering RUNNING", [("CREATE", "notices")]), ("entering PAUSED", [("CREATE", "notices")])]
    assert (ending.name, ending.on) == ("entering COMPLETED/FAILED/TIMED_OUT/TERMINATED", "workflow")
    assert [(f.event, f.at) for f in ending.do] == [
        ("TERMINATE", "subs"), ("CANCEL", "all_tasks"), ("CREATE", "outbox"), ("CREATE", "notices")]


def test_answers_are_no_ops_and_refusals() -> None:
    """Both kinds of answer count as a decision of a cell."""
    workflow = SPEC.tables["workflow"]
    assert answers(workflow) == (*workflow.no_ops, *workflow.refusals)
