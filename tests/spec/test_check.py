"""Each static check accepts the specification and refuses small edits of it, by name of the row that they touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from attrs import evolve

from kernel.errors import InvalidDefinition
from kernel.spec import SPEC
from kernel.spec import check as checks
from kernel.spec.below import alternatives, covered, entered_singly, once
from kernel.spec.check import CHECKS, checked, creation, fires, flaws, footprint, kinds_read, possible, set_based
from kernel.spec.language import (
    Enter,
    Expr,
    F,
    Fire,
    Guard,
    Lit,
    Lock,
    Nature,
    Param,
    Property,
    Row,
    Spec,
    Step,
    both,
    either,
    eq,
    every,
    implies,
    is_,
    lt,
    no,
    some,
)
from kernel.spec.names import named
from kernel.spec.vocabulary import (
    ABSENT,
    ENDED,
    ENDED_BADLY,
    OPEN,
    held,
    is_child,
    is_root,
    no_attempts_left,
    optional,
    outbox_settled,
    paused_here,
    ready,
    wf_live,
    wf_running,
    worker,
)
from tests.spec.edits import (
    Edit,
    all_of,
    answer,
    enter,
    kind,
    row,
    step,
    table,
    unanswered,
    with_command,
    with_property,
    with_refusal,
    with_row,
    with_rule,
    without_guard,
    without_row,
)

TERMINATE, CANCEL = SPEC.on_enter[0].cascade
CREATE, _ = SPEC.on_enter[0].emit
TASK, WORKFLOW = SPEC.kinds["task"], SPEC.kinds["workflow"]
parent_runs = is_("RUNNING", of=("up", "wf"))
grandparent_runs = is_("RUNNING", of=("up", "wf", "up", "wf"))
parent_is_child = no(eq(F("root", ("up", "wf")), 1))


def only(name: str, holds: Expr) -> Guard:
    """A guard with a reason."""
    return Guard(name, holds, "it is not so")


def claim(on: str, body: Expr, nature: Nature = Nature.STATE) -> Edit:
    """Add a property."""
    return with_property(Property("INV-99", nature, on, "", body))


DECIDED: list[tuple[Edit, str]] = [
    (unanswered("task", "POLL", "PENDING"), "task POLL in PENDING: not decided"),
    (row("task", "SKIP", source=("PENDING",)), "task SKIP in SCHEDULED: not decided"),
    (with_refusal("task", "POLL", "PENDING"), "task POLL in PENDING: decided twice"),
    (answer("workflow", "TERMINATE", "FAILED", source=("FAILED", "TERMINATED")),
     "workflow TERMINATE in TERMINATED: decided twice"),
    (with_refusal("workflow", "PAUSE", "RUNNING"), "workflow PAUSE in RUNNING: both a row and 'for a reason'"),
    (row("delivery", "CLAIM", source=("PENDING", "DEAD")), "delivery CLAIM in DEAD: both a row and 'it is dead"),
    (answer("task", "CANCEL", "ABSENT", why=""), "task CANCEL in ABSENT: answered without a reason"),
    (answer("workflow", "PAUSE", "PAUSED", why=" "), "workflow PAUSE in PAUSED: answered without a reason"),
    (answer("delivery", "BURY", "DEAD", why="it is delivered: nothing failed"),
     "delivery BURY: the reason 'it is delivered: nothing failed' stands twice"),
    (answer("task", "LAUNCH", "PENDING", why="it is launched already"),
     "task LAUNCH: the reason 'it is launched already' stands twice"),
    (all_of(unanswered("task", "RESET", ABSENT), answer("task", "RESET", "PENDING", source=(ABSENT, *OPEN))),
     "task RESET in ABSENT/PENDING/SCHEDULED/IN_PROGRESS: 'it is open: only closed tasks start again' is a"),
    (all_of(unanswered("workflow", "RETRY", ABSENT),
            answer("workflow", "RETRY", "COMPLETED", source=(ABSENT, "COMPLETED"))),
     "workflow RETRY in ABSENT/COMPLETED: 'it COMPLETED: nothing of it failed that could be retried' is a catch"),
    (with_refusal("task", "PAUSE", "PENDING"), "task PAUSE in PENDING: answered, but no row has this event"),
    (all_of(step("UNCHOSEN", do=(Fire("REJECT"),)), step("SKIP", do=()), without_row("task", "SKIP", "SKIPPED")),
     "task SKIP in ABSENT: answered, but no row has this event"),
]
EXPLAINED: list[tuple[Edit, str]] = [
    (row("task", "SKIP", guards=(evolve(wf_live, why=""),)),
     "task SKIP PENDING/SCHEDULED -> SKIPPED (workflow live): the guard 'workflow live' has no reason"),
    (step("RESUME", guards=(Guard("root", eq(F("root"), 1)),)), "RESUME: the guard 'root' has no reason"),
    (row("task", "SKIP", guards=(evolve(wf_running, name="workflow live"),)),
     "task SKIP PENDING/SCHEDULED -> SKIPPED (workflow live): the name 'workflow live' means another condition"),
    (row("delivery", "REDRIVE", guards=(only("lease held", is_("PENDING")),)),
     "the name 'lease held' means another condition elsewhere"),
]
EXCLUSIVE: list[tuple[Edit, str]] = [
    (without_guard("task", "FAIL", "FAILED", "mandatory"),
     "task FAIL in IN_PROGRESS: both COMPLETED_WITH_ERRORS (worker task, lease held, workflow live, no retry, optional) and"),
    (without_guard("task", "FAIL", "FAILED", "no attempts left"), "task FAIL in IN_PROGRESS: both SCHEDULED ("),
    (without_guard("task", "EXPIRE", "TIMED_OUT", "expiry final"), "task EXPIRE in SCHEDULED: both SCHEDULED ("),
    (row("workflow", "START", guards=()), "workflow START in ABSENT: both RUNNING (no guard) and RUNNING (no guard)"),
    (with_row("task", Row("CANCEL", ("PENDING",), "SKIPPED")),
     "task CANCEL in PENDING: both CANCELED (no guard) and SKIPPED (no guard) can be enabled"),
    (row("task", "CHILD_TERMINATED", "CANCELED", guards=(wf_live, only("few", lt(F("tries"), 2)))),
     "task CHILD_TERMINATED in IN_PROGRESS: both COMPLETED_WITH_ERRORS (workflow live, optional) and CANCELED ("),
    (with_row("workflow", Row("PAUSE", ("RUNNING",), "FAILED", (only("run 2", eq(F("run"), 2)),))),
     "workflow PAUSE in RUNNING: both PAUSED (no guard) and FAILED (run 2) can be enabled"),
]
EXHAUSTIVE: list[tuple[Edit, str]] = [
    (row("task", "FAIL", "COMPLETED_WITH_ERRORS", guards=(held, wf_live, no_attempts_left, optional)),
     "just these guards hold: worker task, lease held, workflow live, optional, not retryable"),
    (without_row("task", "EXPIRE", "TIMED_OUT"), "task EXPIRE in IN_PROGRESS: no row is enabled where just these"),
    (all_of(row("workflow", "PAUSE", guards=(only("run 1", eq(F("run"), 1)),)),
            with_row("workflow", Row("PAUSE", ("RUNNING",), "FAILED", (only("run 0", eq(F("run"), 0)),)))),
     "workflow PAUSE in RUNNING: no row is enabled where just these guards hold: none"),
]
REACHABLE: list[tuple[Edit, str]] = [
    (kind("task", states=(*TASK.states, "BLOCKED"), rank={**TASK.rank, "BLOCKED": 2}), "task BLOCKED: no row leads"),
    (row("workflow", "FAIL", target="TERMINATED"), "workflow FAILED: no row leads there"),
    (row("delivery", "CLAIM", target="PENDING"), "delivery LEASED: no row leads there"),
    (row("task", "SKIP", guards=(worker, only("waits", eq(F("mode"), "WAIT")))), "task SKIPPED: no row leads"),
    (row("workflow", "RESUME", guards=(is_root, is_child)),
     "workflow RESUME PAUSED -> RUNNING (root, child): its guards contradict each other"),
]
ABSORBING: list[tuple[Edit, str]] = [
    (row("workflow", "PAUSE", source=("RUNNING", "FAILED")),
     "workflow PAUSE RUNNING/FAILED -> PAUSED (no guard): leaves a terminal state"),
    (row("task", "CANCEL", source=(*OPEN, "COMPLETED")),
     "task CANCEL PENDING/SCHEDULED/IN_PROGRESS/COMPLETED -> CANCELED (no guard): leaves a terminal state"),
    (row("delivery", "CONFIRM", source=("LEASED", "DEAD")),
     "delivery CONFIRM LEASED/DEAD -> DELIVERED (lease held, proven): leaves a terminal state"),
    (with_row("task", Row("COMPLETE", ("COMPLETED",), "COMPLETED")),
     "task COMPLETE COMPLETED -> COMPLETED (no guard): leaves a terminal state"),
    (table("workflow", reopening=lambda old: tuple(e for e in old if e != "PURGE")), "workflow PURGE COMPLETED/FAIL"),
    (table("task", reopening=lambda old: (*old, "CANCEL")),
     "task CANCEL PENDING/SCHEDULED/IN_PROGRESS -> CANCELED (no guard): a re-opening event that leaves a state"),
    (row("delivery", "REDRIVE", source=("DEAD", "PENDING")),
     "delivery REDRIVE DEAD/PENDING -> PENDING (no guard): a re-opening event that leaves a state which is not"),
]
TOTAL_CASCADES: list[tuple[Edit, str]] = [
    (row("task", "CANCEL", guards=(worker,)),
     "CANCEL over 'all_tasks': task CANCEL in PENDING must be one row, unguarded, that ends it"),
    (row("task", "CANCEL", source=("PENDING", "IN_PROGRESS")), "task CANCEL in SCHEDULED must be one row, unguarded"),
    (row("task", "CANCEL", target="PENDING"), "task CANCEL in IN_PROGRESS must be one row, unguarded, that ends it"),
    (row("workflow", "TERMINATE", source=("RUNNING",)), "TERMINATE over 'subs': workflow TERMINATE in PAUSED must be"),
    (enter(cascade=(evolve(TERMINATE, at="children"), CANCEL)),
     "TERMINATE over 'children': the link does not hold what is further down"),
    (enter(cascade=(TERMINATE, evolve(CANCEL, at="tasks"))),
     "CANCEL over 'tasks': the link does not hold what is further down"),
    (enter(cascade=(Fire("TERMINATE"), CANCEL)), "TERMINATE over 'self': the link does not hold what is further down"),
    (enter(cascade=(TERMINATE, evolve(CANCEL, where=eq(F("optional"), 0)))),
     "CANCEL over 'all_tasks': a cascade picks no rows"),
    (enter(states=ENDED_BADLY), "entering FAILED/TIMED_OUT/TERMINATED: workflow COMPLETED is entered without"),
    (lambda spec: evolve(spec, on_enter=(
        evolve(spec.on_enter[0], states=ENDED_BADLY), Enter("workflow", ("COMPLETED",), (), (CREATE,)))),
     "entering FAILED/TIMED_OUT/TERMINATED: workflow COMPLETED is entered without this cascade"),
]
CASCADES: list[tuple[Edit, str]] = [
    (row("workflow", "PAUSE", guards=(is_root,)), "PAUSE: PAUSE over 'subs' is neither set-based nor a creation"),
    (row("workflow", "RESUME", guards=(is_root,)), "RESUME: RESUME over 'subs' is neither set-based nor a creation"),
    (row("task", "CREATE", guards=(wf_live,)), "START: CREATE over 'tasks' is neither set-based nor a creation"),
    (with_row("task", Row("CREATE", ("PENDING",), "SCHEDULED")), "START: CREATE over 'tasks' is neither"),
    (step("PAUSE", do=(Fire("PAUSE"), Fire("SKIP", "tasks")), params=("origin",)),
     "PAUSE: SKIP over 'tasks' is neither set-based nor a creation"),
    (step("START", do=(Fire("START"), Fire("START", "subs"))),
     "START: START over 'subs' is neither set-based nor a creation"),
    (step("RESUME", do=(Fire("RESUME", "subs", both(paused_here, parent_runs)),), guards=()),
     "RESUME: RESUME over 'subs' and RESUME over 'subs' read what the other changes"),
    (all_of(row("workflow", "RESUME", set={"deadline": F("expires", ("up",))}),
            row("task", "SHIFT", set={"expires": F("deadline", ("wf",))})),
     "RESUME: RESUME over 'subs' and SHIFT over 'all_tasks' read what the other changes"),
]
PRESENT: list[tuple[Edit, str]] = [
    (step("RESUME", guards=(only("parent", parent_runs),)), "RESUME: reads up.wf.state where 'up' may be absent"),
    (step("RESUME", guards=(only("parent", both(parent_runs, is_child)),)), "RESUME: reads up.wf.state where 'up' may"),
    (row("workflow", "START", guards=()),
     "workflow START ABSENT -> RUNNING (no guard): reads up.wf.run where 'up' may be absent"),
    (row("workflow", "SET_ASIDE", guards=(only("first", eq(F("attempt", ("up",)), 1)), is_child)),
     "-> ABSENT (first, child): reads up.attempt where 'up' may be absent"),
    (step("RESUME", do=(Fire("RESUME"), Fire("RESUME", "subs", eq(F("slot"), F("attempt", ("up",))))), params=()),
     "RESUME RESUME: reads up.attempt where 'up' may be absent"),
    (enter(cascade=(TERMINATE, evolve(CANCEL, where=is_("RUNNING", of=("child",))))),
     "CANCEL: reads child.state where 'child' may be absent"),
    (claim("workflow", parent_runs), "INV-99: reads up.wf.state where 'up' may be absent"),
    (claim("workflow", implies(is_root, parent_runs)), "INV-99: reads up.wf.state where 'up' may be absent"),
    (claim("workflow", no(parent_runs)), "INV-99: reads up.wf.state where 'up' may be absent"),
    (claim("workflow", both(either(is_child, eq(F("run"), 1)), parent_runs)), "INV-99: reads up.wf.state"),
    (claim("task", is_("RUNNING", of=("wf", "up", "wf"))), "INV-99: reads wf.up.wf.state where 'up' may be absent"),
    (claim("workflow", implies(is_child, grandparent_runs)), "INV-99: reads up.wf.up.wf.state where 'up' may be"),
    (claim("task", implies(eq(F("mode"), "WAIT"), is_("RUNNING", of=("child",)))), "INV-99: reads child.state"),
    (with_property(Property("INV-99", Nature.LIVENESS, "workflow", "", measure=(F("attempt", ("up",)),))),
     "INV-99: reads up.attempt where 'up' may be absent"),
    (step("HAND_FAILED", guards=(Guard("FAILED", is_("FAILED")),)),
     "HAND_FAILED CHILD_FAILED: fires over 'up', which may be absent"),
    (step("LAUNCH_CHILD", guards=()), "LAUNCH_CHILD START: fires over 'child', which may be absent"),
]
DESCENDING: list[tuple[Edit, str]] = [
    (row("task", "PASS", target="SCHEDULED"), "PASS: task PASS SCHEDULED -> SCHEDULED (control task, workflow RU"),
    (with_rule(Step("BACK", "task", (Fire("POSTPONE"),), params=("run", "handouts", "delay"))),
     "BACK: task POSTPONE IN_PROGRESS -> SCHEDULED (worker task, lease held, workflow live) does not descend from IN_PROGRESS"),
    (step("SIGNALLED", guards=()),
     "SIGNALLED: task SIGNAL PENDING -> PENDING (waiting task, workflow live, not signalled) does not descend"),
    (without_guard("task", "CHILD_FAILED", "SCHEDULED", "attempts left"),
     "HAND_FAILED: task CHILD_FAILED IN_PROGRESS -> SCHEDULED (workflow live) does not descend from IN_PROGRESS"),
    (row("task", "CHILD_FAILED", "SCHEDULED", guards=(no_attempts_left,)),
     "HAND_FAILED: task CHILD_FAILED IN_PROGRESS -> SCHEDULED (no attempts left) does not descend from IN_PROGRESS"),
    (row("task", "CHILD_TIMED_OUT", "SCHEDULED", set={}),
     "HAND_TIMED_OUT: task CHILD_TIMED_OUT IN_PROGRESS -> SCHEDULED (workflow live, expiry retries) does not"),
    (row("task", "LAUNCH", set={"attempt": Lit(1)}),
     "LAUNCH_WAIT: task LAUNCH SCHEDULED -> IN_PROGRESS (waits or nests, workflow RUNNING, due, sound) sets the"),
    (with_rule(Step("DROP", "task", (Fire("SET_ASIDE"),))), "-> ABSENT (no guard) takes a row back to ABSENT"),
    (with_rule(Step("NOTHING", "task", ())), "NOTHING: moves nothing, so it would be enabled for ever"),
    (kind("workflow", rank=dict.fromkeys(WORKFLOW.states, 0)),
     "END_FAILED: workflow FAIL RUNNING -> FAILED (no guard) does not descend from RUNNING"),
    (enter(cascade=(TERMINATE, CANCEL, Fire("RESET", "all_tasks"))),
     "entering COMPLETED/FAILED/TIMED_OUT/TERMINATED: task RESET COMPLETED/"),
]
APART: list[tuple[Edit, str]] = [
    (row("delivery", "REDRIVE", guards=(only("ended", is_(*ENDED, of=("of",))),)),
     "REDRIVE: a delivery step touches workflow"),
    (row("delivery", "CLAIM", set={"due": F("changed", ("of",))}), "CLAIM: a delivery step touches workflow"),
    (step("REDRIVE", do=(Fire("REDRIVE"), Fire("PAUSE", "of")), params=("origin",)),
     "REDRIVE: a delivery step touches workflow"),
    (step("TERMINATE", guards=(only("told", every("outbox", Guard("told", is_("DELIVERED")))),)),
     "TERMINATE: a step of the tree touches a delivery"),
    (with_command(Step("REDRIVE_ALL", "workflow", (Fire("REDRIVE", "outbox"),))),
     "REDRIVE_ALL: a step of the tree touches a delivery"),
    (step("PURGE", lock=Lock.SHARE), "PURGE: a step of the tree touches a delivery"),
    (row("workflow", "RESTART", guards=(outbox_settled,)), "RESTART: a step of the tree touches a delivery"),
    (enter(emit=(Fire("REDRIVE", "outbox"),)), "emits REDRIVE over 'outbox'; what is emitted is the CREATE"),
    (enter(emit=(Fire("CREATE", "tasks"),)), "emits CREATE over 'tasks'; what is emitted is the CREATE"),
    (enter(cascade=(TERMINATE, CANCEL, Fire("REDRIVE", "outbox"))), "REDRIVE over 'outbox' cascades to deliveries"),
    (lambda spec: evolve(spec, on_enter=(*spec.on_enter, Enter("delivery", ("DEAD",), (), ()))),
     "entering DEAD: a delivery that changes reaches nothing else"),
]
LOCKS: list[tuple[Edit, str]] = [
    (step("COMPLETE", lock=Lock.SHARE),
     "IN_PROGRESS -> COMPLETED (worker task, lease held, workflow live) changes whether it is"),
    (step("PAUSE", lock=Lock.SHARE), "PAUSE: PAUSE over 'subs' needs the tree alone"),
    (step("TERMINATE", lock=Lock.SHARE), "workflow TERMINATE RUNNING/PAUSED -> TERMINATED (no guard) ends it, which"),
    (step("POLL", lock=Lock.ROW), "task POLL SCHEDULED -> IN_PROGRESS (worker task, workflow RUNNING, due) changes a"),
    (step("CLAIM", lock=Lock.ROW), "CLAIM: delivery CLAIM PENDING -> LEASED (due, schedule open, in turn) changes a state"),
    (all_of(kind("task", fields=(*TASK.fields, *(f for f in TASK.attributes if f.name == "asks"))),
            row("task", "HEARTBEAT", set={"asks": Lit("FAILED")})), "changes whether it is counted as 'asks FAILED'"),
]
BY_CHECK: dict[Callable[[Spec], Iterator[str]], list[tuple[Edit, str]]] = {
    checks.decided: DECIDED, checks.explained: EXPLAINED, checks.exclusive: EXCLUSIVE, checks.exhaustive: EXHAUSTIVE,
    checks.reachable: REACHABLE, checks.absorbing: ABSORBING, checks.total_cascades: TOTAL_CASCADES,
    checks.cascades: CASCADES, checks.present: PRESENT, checks.descending: DESCENDING, checks.apart: APART,
    checks.locks: LOCKS,
}
REFUSED = [(check, edit, said) for check, edits in BY_CHECK.items() for edit, said in edits]
ACCEPTED: list[Edit] = [
    step("RESUME", guards=(only("child of a running parent", both(is_child, parent_runs)),)),
    step("RESUME", guards=(is_child, only("parent", parent_runs))),
    row("workflow", "SET_ASIDE", guards=(is_child, only("first", eq(F("attempt", ("up",)), 1)))),
    claim("workflow", implies(is_child, parent_runs)),
    claim("workflow", no(either(is_root, parent_runs))),
    claim("workflow", either(is_root, both(eq(F("run"), 1), no(parent_runs)))),
    claim("workflow", implies(both(is_child, parent_is_child), grandparent_runs)),
    claim("task", both(eq(F("mode"), "WORKFLOW"), is_("RUNNING", of=("child",)))),
    claim("task", implies(no(eq(F("root", ("wf",)), 1)), is_("RUNNING", of=("wf", "up", "wf")))),
    without_guard("task", "POLL", "IN_PROGRESS", "due"),
    with_rule(Step("A_SKIP", "task", (Fire("SKIP"),), (
        only("not yet", both(is_("PENDING"), no(ready))), Guard("a bad one", some("after", Guard("bad", is_("FAILED"))))))),
    step("REDRIVE", lock=Lock.TREE),
    step("RESUME", do=SPEC.command("RESUME").do[::-1]),
    row("task", "SHIFT", set={"expires": F("deadline", ("wf",))}),
    step("RESUME", do=(Fire("RESUME", "subs", both(paused_here, is_child, eq(F("root", ("up", "wf")), 1))),)),
]


def test_specification_has_no_flaw() -> None:
    """The specification passes every check."""
    assert flaws(SPEC) == ()
    assert checked(SPEC) is SPEC


@pytest.mark.parametrize(("check", "edit", "said"), REFUSED)
def test_check_refuses(check: Callable[[Spec], Iterator[str]], edit: Edit, said: str) -> None:
    """An edit that breaks what a check is for is named by that check, with the row, cell or rule that it touches."""
    edited = edit(SPEC)
    assert list(named(edited)) == []
    assert [flaw for flaw in check(edited) if said in flaw], list(check(edited))


@pytest.mark.parametrize("edit", ACCEPTED)
def test_checks_accept(edit: Edit) -> None:
    """An edit that breaks nothing that the checks are for passes them all."""
    assert flaws(edit(SPEC)) == ()


def test_every_check_is_seen_to_fail() -> None:
    """Each check refuses at least two edits; those of the names, and of what is below, have files of their own."""
    assert {*BY_CHECK, named, alternatives, covered, entered_singly, once} == set(CHECKS)
    assert all(len(edits) >= 2 for edits in BY_CHECK.values())


def test_a_flawed_specification_is_refused() -> None:
    """`checked` raises an error that names every flaw."""
    both_wrong = all_of(without_row("task", "SIGNAL", "COMPLETED"), row("workflow", "FAIL", target="TERMINATED"))
    with pytest.raises(InvalidDefinition) as caught:
        checked(both_wrong(SPEC))
    assert "decided: task SIGNAL in IN_PROGRESS: not decided" in caught.value.why
    assert "reachable: workflow FAILED: no row leads there" in caught.value.why


def test_unknown_names_come_first() -> None:
    """Where a name is unknown the other checks, which would stumble over it, do not run."""
    found = flaws(all_of(row("task", "SKIP", target="SKIPED"), row("workflow", "FAIL", target="TERMINATED"))(SPEC))
    assert {flaw.partition(": ")[0] for flaw in found} == {"named"}


def test_what_is_set_based() -> None:
    """These Fires, and no others, reach sets of rows: as one statement each, or by creating what a definition gives."""
    several = [(s, f) for s, f in fires(SPEC) if f.at != "self" and not SPEC.links[f.at].one]
    ending = f"entering {'/'.join(ENDED)}"
    assert [(s.name, f.event, f.at) for s, f in several if set_based(SPEC, s, f)] == [
        ("PAUSE", "PAUSE", "subs"), ("RESUME", "RESUME", "subs"), ("RESUME", "SHIFT", "all_tasks"),
        (ending, "TERMINATE", "subs"), (ending, "CANCEL", "all_tasks"),
        ("after RESTART", "RESET", "tasks"), ("after RESTART", "SET_ASIDE", "tasks"), ("after RETRY", "RESET", "tasks"),
        *((f"after {begins}", event, "tasks") for begins in ("RERUN", "REOPEN") for event in ("RESET", "SET_ASIDE")),
        *((f"after {begins}", "SET_ASIDE", link) for begins in ("RESET", "SET_ASIDE") for link in ("under_tasks", "under")),
    ]
    assert [(s.name, f.event, f.at) for s, f in several if creation(SPEC, s, f)] == [
        ("START", "CREATE", "tasks"), ("COMPLETE", "CREATE", "spawned"), ("PASS", "CREATE", "spawned"),
        ("LAUNCH_CHILD", "CREATE", "child_tasks"), (ending, "CREATE", "outbox"), (ending, "CREATE", "notices"),
        ("entering RUNNING", "CREATE", "notices"), ("entering PAUSED", "CREATE", "notices"),
    ]
    assert not any(set_based(SPEC, s, f) for s, f in fires(SPEC) if (s, f) not in several)


ONE_BY_ONE: list[tuple[Edit, Fire]] = [
    (row("task", "CANCEL", guards=(worker,)), CANCEL),
    (row("task", "CANCEL", source=(ABSENT, *OPEN)), CANCEL),
    (with_row("task", Row("CANCEL", ("COMPLETED",), "SKIPPED")), CANCEL),
    (with_row("task", Row("CANCEL", ("COMPLETED",), "CANCELED", (), {"expires": Lit(0)})), CANCEL),
    (row("task", "CANCEL"), evolve(CANCEL, where=some("after", Guard("open", is_(*OPEN))))),
    (row("task", "CANCEL"), evolve(CANCEL, at="self")),
    (row("task", "CANCEL"), evolve(CANCEL, at="up")),
    (row("task", "CANCEL"), evolve(CANCEL, event="NONE")),
]


@pytest.mark.parametrize(("edit", "fire"), ONE_BY_ONE)
def test_what_is_not_set_based(edit: Edit, fire: Fire) -> None:
    """Guards, creation, unlike rows, a quantifier in what is picked: then rows must be decided on one by one."""
    step_of = Step("TERMINATE", "workflow", (fire,))
    assert set_based(SPEC, step_of, CANCEL)
    assert not set_based(edit(SPEC), step_of, fire)


def test_possible_says_in_which_states_a_rule_can_be_enabled() -> None:
    """A rule is possible in a state where its guards can hold, states that no guard names included."""
    rules = {r.name: r for r in SPEC.progress}
    live = {s: possible(rules["END_COMPLETED"], s) for s in WORKFLOW.states}
    assert [s for s, is_possible in live.items() if is_possible] == ["RUNNING"]
    assert all(possible(rules["SCHEDULE"], s) for s in TASK.states)
    other = Step("X", "task", (), (Guard("closed some way", no(is_(*OPEN))), Guard("not skipped", no(is_("SKIPPED")))))
    assert [s for s in TASK.states if not possible(other, s)] == [*OPEN, "SKIPPED"]
    assert not any(possible(Step("X", "workflow", (), (is_root, is_child)), s) for s in WORKFLOW.states)


def test_footprint_is_what_a_step_touches() -> None:
    """The kinds that a step reads or writes: in its guards, where it picks, in the rows that it fires; over links."""
    assert footprint(SPEC, SPEC.command("TERMINATE")) == {"workflow"}
    assert footprint(SPEC, SPEC.command("RESUME")) == {"workflow", "task"}
    assert footprint(SPEC, SPEC.command("WAKE")) == set()
    assert footprint(SPEC, SPEC.command("CLAIM")) == {"delivery"}
    assert kinds_read(SPEC, "task", both(wf_live, Param("x"))) == {"workflow"}
    assert kinds_read(SPEC, "workflow", every("outbox", Guard("told", is_("DELIVERED")))) == {"delivery"}
