"""The words of the specification: states, kinds, links, and the named conditions that the tables are written in."""

from __future__ import annotations

from kernel.spec.language import (
    NEVER,
    Expr,
    F,
    Field,
    Guard,
    Kind,
    Link,
    Linked,
    Lit,
    Param,
    Sort,
    both,
    earliest,
    either,
    eq,
    every,
    is_,
    latest,
    lt,
    minus,
    no,
    part,
    plus,
    some,
)
from kernel.spec.logic import over

# ---- states -----------------------------------------------------------------------------------------------------------
ABSENT = "ABSENT"
"""The state of a row that does not exist: the first one of every kind."""
LIVE = ("RUNNING", "PAUSED")
ENDED_BADLY = ("FAILED", "TIMED_OUT", "TERMINATED")
ENDED = ("COMPLETED", *ENDED_BADLY)
STATUSES = (*LIVE, *ENDED)

OPEN = ("PENDING", "SCHEDULED", "IN_PROGRESS")
CLOSED_WELL = ("COMPLETED", "COMPLETED_WITH_ERRORS", "SKIPPED")
CLOSED_BADLY = ("FAILED", "FAILED_WITH_TERMINAL_ERROR", "TIMED_OUT", "CANCELED")
CLOSED = CLOSED_WELL + CLOSED_BADLY

UNSETTLED = ("PENDING", "LEASED")
SETTLED = ("DELIVERED", "DEAD")

# ---- kinds ------------------------------------------------------------------------------------------------------------
WORKFLOW_KIND = Kind(
    "workflow",
    states=(ABSENT, *LIVE, *ENDED),
    terminal=ENDED,
    fields=(
        Field("run", Sort.COUNT, "the incarnation of its tree in which it lives: 1, then +1 by each re-opening"),
        Field("paused_by", Sort.TEXT, "the workflow whose PAUSE paused it"),
        Field("paused_at", Sort.TIME, "when it was paused"),
        Field("deadline", Sort.TIME, "when it times out"),
        Field("changed", Sort.TIME, "when its state last changed; every row of the table sets it"),
        Field("purged", Sort.FLAG, "its tree was purged: a tombstone keeps its id"),
    ),
    attributes=(
        Field("id", Sort.TEXT, "its id"),
        Field("root", Sort.FLAG, "it has no parent"),
        Field("slot", Sort.COUNT, "the attempt of its parent's task that it belongs to"),
        Field("timeout", Sort.DURATION, "how long it may live"),
        Field("on_timeout", Sort.CHOICE, "what its deadline does", ("TIME_OUT_WF", "ALERT_ONLY")),
        Field("restartable", Sort.FLAG, "it may be restarted although it COMPLETED"),
        Field("retention", Sort.DURATION, "how long it is kept after its end", judged=True),
    ),
    rank={ABSENT: 2, **dict.fromkeys(LIVE, 1), **dict.fromkeys(ENDED, 0)},
    badly=ENDED_BADLY,
)
TASK_KIND = Kind(
    "task",
    states=(ABSENT, *OPEN, *CLOSED),
    terminal=CLOSED,
    fields=(
        Field("attempt", Sort.COUNT, "1, then +1 with each retry"),
        Field("handouts", Sort.COUNT, "how often it was handed to a worker: with its workflow's run, the token of the lease"),
        Field("not_before", Sort.TIME, "when it is due"),
        Field("expires", Sort.TIME, "when the first of its clocks runs out: SCHEDULED of its poll time-out, IN_PROGRESS of its "
              "lease; of its attempt; of all its attempts"),
        Field("attempt_ends", Sort.TIME, "when its attempt times out"),
        Field("total_ends", Sort.TIME, "when it times out, in whatever attempt"),
        Field("wakes", Sort.TIME, "when its wait is over"),
        Field("signalled", Sort.FLAG, "a signal came before it was launched"),
        Field("changed", Sort.TIME, "when its state last changed; every row of the table sets it"),
    ),
    attributes=(
        Field("mode", Sort.CHOICE, "who moves it", ("WORKER", "WAIT", "WORKFLOW", "CONTROL")),
        Field("optional", Sort.FLAG, "its bad end is COMPLETED_WITH_ERRORS"),
        Field("permissive", Sort.FLAG, "its bad end lets its successors go on"),
        Field("tries", Sort.COUNT, "how many attempts it has"),
        Field("retry_delay", Sort.DURATION, "how long the next attempt waits: by its retry logic, and by the attempts so far"),
        Field("retry_jitter", Sort.DURATION, "how much longer than that it waits at most"),
        Field("lease", Sort.DURATION, "how long a worker holds it without a heartbeat"),
        Field("poll_timeout", Sort.DURATION, "how long it may stay SCHEDULED"),
        Field("attempt_timeout", Sort.DURATION, "how long one attempt may take"),
        Field("total_timeout", Sort.DURATION, "how long all its attempts may take, and the waits between them"),
        Field("wait_for", Sort.DURATION, "how long it waits for a signal before it completes by itself", judged=True),
        Field("wait_until", Sort.TIME, "until when it does", judged=True),
        Field("on_expiry", Sort.CHOICE, "what its expiry does", ("RETRY", "TIME_OUT_WF", "ALERT_ONLY")),
        Field("asks", Sort.CHOICE, "how a TERMINATE task ends its workflow", ("", "COMPLETED", "FAILED", "TERMINATED")),
        Field("branch", Sort.COUNT, "which branch of its switch it stands in, 1 for the default; 0: in none"),
        Field("added", Sort.FLAG, "a result added it to the running workflow"),
        Field("choice", Sort.COUNT, "of a switch that was passed: the branch that it chose", judged=True),
        Field("sound", Sort.FLAG, "it can be prepared: input, child definition and limits are in order", judged=True),
    ),
    rank={ABSENT: 4, "PENDING": 3, "SCHEDULED": 2, "IN_PROGRESS": 1, **dict.fromkeys(CLOSED, 0)},
    badly=CLOSED_BADLY,
)
DELIVERY_KIND = Kind(
    "delivery",
    states=(ABSENT, *UNSETTLED, *SETTLED),
    terminal=SETTLED,
    fields=(
        Field("attempt", Sort.COUNT, "how often it was claimed since it was created or redriven"),
        Field("claims", Sort.COUNT, "how often it was claimed at all: the token of the relay's lease"),
        Field("due", Sort.TIME, "when it may be claimed"),
        Field("expires", Sort.TIME, "the end of the relay's lease"),
        Field("error", Sort.TEXT, "why the last attempt failed"),
        Field("proof", Sort.TEXT, "the sink's proof: the digest of the copy read back, or a receipt"),
        Field("changed", Sort.TIME, "when its state last changed; every row of the table sets it"),
    ),
    attributes=(
        Field("run", Sort.COUNT, "the run that it is about"),
        Field("sends", Sort.COUNT, "how many attempts it has"),
        Field("lease", Sort.DURATION, "how long a relay holds it"),
        Field("hears", Sort.CHOICE, "of what its topic asks to be told: of which ends, or of changes of status",
              ("ENDS", "BAD_ENDS", "FAILURES", "NOTHING", "CHANGES")),
        Field("own", Sort.FLAG, "its topic hears only of ends on the workflow's own account"),
        Field("copied", Sort.FLAG, "its proof is the digest of a copy that was read back, not a receipt"),
        Field("wanted", Sort.FLAG, "the policy that is in force now asks to be told of the end that it is about", judged=True),
        Field("news", Sort.FLAG, "a notice: its workflow has come to the status that it tells of", judged=True),
        Field("wait", Sort.DURATION, "how long until the schedule of its topic comes round; 0 while its window is open",
              judged=True),
        Field("open", Sort.FLAG, "the schedule of its topic lets it be claimed now", judged=True),
    ),
    rank={ABSENT: 1, "PENDING": 0, "LEASED": 0, "DELIVERED": 0, "DEAD": 0},
    badly=("DEAD",),
)
KINDS = {k.name: k for k in (WORKFLOW_KIND, TASK_KIND, DELIVERY_KIND)}

# ---- links ------------------------------------------------------------------------------------------------------------
is_root = Guard("root", eq(F("root"), 1), "it is a sub-workflow; ask its root")
is_child = Guard("child", no(is_root), "it is a root: nobody started it")
LINKS = {
    link.name: link
    for link in (
        Link("wf", "task", "workflow", "its workflow", one=True),
        Link("up", "workflow", "task", "the parent's task that started it", one=True, present=no(is_root)),
        Link("top", "workflow", "workflow", "the root of its tree", one=True),
        Link("switch", "task", "task", "the switch in a branch of which it stands", one=True, present=no(eq(F("branch"), 0))),
        Link("of", "delivery", "workflow", "the workflow that it tells of", one=True),
        Link("child", "task", "workflow", "the sub-workflow of its present attempt", one=True,
             present=eq(F("mode"), "WORKFLOW")),
        Link("tasks", "workflow", "task", "its own tasks"),
        Link("after", "task", "task", "its predecessors"),
        Link("children", "workflow", "workflow", "its sub-workflows, one level down"),
        Link("subs", "workflow", "workflow", "all its descendants", covers=("subs",)),
        Link("all_tasks", "workflow", "task", "its own tasks and those of its descendants", covers=("all_tasks",)),
        Link("spawned", "task", "task", "the tasks that its result adds to its workflow"),
        Link("child_tasks", "task", "task", "the tasks of its present attempt's sub-workflow"),
        Link("tree", "task", "workflow", "the root of its tree, unless it is below an attempt that is past"),
        Link("above", "task", "task", "the sub-workflow tasks that it is below"),
        Link("reach", "task", "task", "itself, what it spawned, and all that come after them or after a task that it is below"),
        Link("progeny", "task", "task", "what the tasks in its reach spawned"),
        Link("under", "task", "workflow", "the sub-workflows of all its attempts, and all below them", covers=("under",)),
        Link("under_tasks", "task", "task", "the tasks of the sub-workflows below it", covers=("under_tasks",)),
        Link("outbox", "workflow", "delivery", "the deliveries of its present run, one per topic"),
        Link("notices", "workflow", "delivery", "its next notice: one for each status that its definition subscribed to"),
        Link("earlier", "delivery", "delivery", "the notices of earlier changes of its workflow, in all runs"),
        Link("all_outboxes", "workflow", "delivery", "the deliveries of every run of its tree"),
        Link("archives", "workflow", "delivery", "the archive of every run of its tree; ABSENT where none was asked for"),
    )
}

# ---- named conditions: what guards are made of, and what a refusal says ------------------------------------------------
now, chance = Param("now"), Param("chance")


def state_of(link: str, *states: str, name: str, why: str) -> Guard:
    """The row behind a single link is in one of these states."""
    return Guard(name, is_(*states, of=(link,)), why)


wf_running = state_of("wf", "RUNNING", name="workflow RUNNING", why="its workflow is not RUNNING")
wf_live = state_of("wf", *LIVE, name="workflow live", why="its workflow has ended")
running = Guard("RUNNING", is_("RUNNING"), "it is not RUNNING")
live = Guard("live", is_(*LIVE), "it has ended")
ended = Guard("ended", is_(*ENDED), "it has not ended")
closed = Guard("closed", is_(*CLOSED), "it is open")
closed_well = Guard("closed well", is_(*CLOSED_WELL), "it is not closed well")


def of_mode(mode: str, name: str, why: str) -> Guard:
    """The task is of this mode."""
    return Guard(name, eq(F("mode"), mode), why)


worker = of_mode("WORKER", "worker task", "it is not a worker's task")
waiting = of_mode("WAIT", "waiting task", "it does not wait for a signal")
nesting = of_mode("WORKFLOW", "sub-workflow task", "it has no sub-workflow")
control = of_mode("CONTROL", "control task", "it is not a control task")
launched = Guard("waits or nests", either(waiting, nesting), "workers and progress move it")

held = Guard(
    "lease held",
    both(eq(Param("run"), F("run", ("wf",))), eq(Param("handouts"), F("handouts"))),
    "the lease presented is not the one stored: it expired, was taken over, or the task moved on",
)
due = Guard("due", no(lt(now, F("not_before"))), "it is not due yet")
clock_runs = Guard(
    "clock runs", both(wf_live, either(no(is_("SCHEDULED")), wf_running)),
    "its workflow has ended, or is PAUSED while nobody has started it")
expired = Guard("expired", no(lt(now, F("expires"))), "its time has not come")
retryable = Guard("retryable", eq(Param("retryable"), 1), "the failure is not retryable")
attempts_left = Guard("attempts left", lt(F("attempt"), F("tries")), "no attempt is left")
again = Guard("retry", both(retryable, attempts_left), "no retry")
not_again = Guard("no retry", no(again), "it is retried")
no_attempts_left = Guard("no attempts left", no(attempts_left), "an attempt is left")
not_retryable = Guard("not retryable", no(retryable), "the failure is retryable")
optional = Guard("optional", eq(F("optional"), 1), "it is mandatory")
mandatory = Guard("mandatory", no(optional), "it is optional")
attempt_runs = Guard("attempt in time", lt(now, F("attempt_ends")), "its attempt has timed out")
attempt_over = Guard("attempt timed out", no(attempt_runs), "its attempt is in time")
total_runs = Guard("time left", lt(now, F("total_ends")), "the time of all its attempts is over")
total_over = Guard("no time left", no(total_runs), "it has time left")
wait_over = Guard("wait over", no(lt(now, F("wakes"))), "its wait is not over")
under_way = Guard("IN_PROGRESS", is_("IN_PROGRESS"), "its attempt is not under way")
alert_only = Guard("ALERT_ONLY", eq(F("on_expiry"), "ALERT_ONLY"), "its expiry moves it")
childless = Guard("no sub-workflow", no(nesting), "its sub-workflow is under way and is timed out instead (OVERRUN)")
enforced = Guard("not ALERT_ONLY", no(alert_only), "its expiry is only recorded")
expiry_again = Guard("expiry retries", both(eq(F("on_expiry"), "RETRY"), attempts_left, total_runs), "its expiry is final")
expiry_final = Guard("expiry final", no(expiry_again), "its expiry is retried")
unsignalled = Guard("not signalled", eq(F("signalled"), 0), "an early signal is already kept")
signalled = Guard("signalled", eq(F("signalled"), 1), "no early signal came")
sound = Guard("sound", eq(F("sound"), 1), "it cannot be prepared")
unsound = Guard("unsound", no(sound), "it can be prepared")

passable = Guard(
    "passed",
    either(is_(*CLOSED_WELL), both(is_(*CLOSED_BADLY), eq(F("permissive"), 1))),
    "it is open, or closed badly and not permissive",
)
ready = Guard("predecessors passed", every("after", passable), "a predecessor is open, or closed badly and not permissive")

chosen = Guard(
    "branch chosen",
    either(eq(F("branch"), 0), both(is_("COMPLETED", of=("switch",)), eq(F("choice", ("switch",)), F("branch")))),
    "its switch did not choose the branch in which it stands")
unchosen = Guard("branch not chosen", no(chosen), "it stands in no branch, or in the one that was chosen")


def bad_end(name: str, *states: str) -> Guard:
    """A mandatory task that ends its workflow at once."""
    return Guard(name, both(is_(*states), mandatory, eq(F("permissive"), 0)), "")


def asking(state: str) -> Guard:
    """A TERMINATE task that was reached and asks for this end."""
    return Guard(f"asks {state}", both(is_("COMPLETED"), eq(F("asks"), state)), "")


asks_any = Guard("asks for an end", both(is_("COMPLETED"), no(eq(F("asks"), ""))), "")
badly = Guard("closed badly", is_(*CLOSED_BADLY), "")

passed = no(lt(now, F("deadline")))
expired_deadline = Guard(
    "deadline passed", both(passed, no(eq(F("on_timeout"), "ALERT_ONLY"))), "its deadline has not passed")
overdue = Guard(
    "overdue", both(passed, eq(F("on_timeout"), "ALERT_ONLY")), "its deadline has not passed, or ends it")
parent_runs = Guard(
    "root, or parent RUNNING",
    either(is_root, is_("RUNNING", of=("up", "wf"))),
    "its parent is not RUNNING; resume the parent first",
)
current = Guard(
    "present attempt's child", both(is_child, eq(F("slot"), F("attempt", ("up",)))),
    "its parent's task has gone on to another attempt",
)
paused_here = eq(F("paused_by"), Param("origin"))
wf_paused_here = both(is_("PAUSED", of=("wf",)), eq(F("paused_by", ("wf",)), Param("origin")))

something_to_retry = Guard(
    "a task not closed well", some("tasks", Guard("not well", no(closed_well))), "every task is closed well")
no_end_asked = Guard(
    "not ended by a TERMINATE task", no(some("tasks", asks_any)),
    "a TERMINATE task ended it and would only end it again; rerun or restart it")
declared = Guard("of its definition", no(eq(F("added"), 1)), "a result added it")
added = Guard("spawned", eq(F("added"), 1), "it is of its definition")
left_out = Guard("its spawner starts again", Linked("progeny", "from_task"), "nothing spawned it, or what did is kept")
goes_on = Guard(
    "its sub-workflow goes on in place",
    both(nesting, no(left_out), either(
        Linked("above", "from_task"),
        both(eq(Param("resume"), 1), no(closed_well), is_(*ENDED_BADLY, of=("child",))))),
    "it starts again, or is kept")
starts_again = Guard(
    "it starts again", both(no(left_out), no(goes_on), either(no(closed_well), Linked("reach", "from_task"))),
    "it is kept, or its sub-workflow goes on in place")
may_restart = Guard(
    "restartable", either(no(is_("COMPLETED")), eq(F("restartable"), 1)),
    "it COMPLETED and its definition is not restartable")
subs_ended = Guard("descendants ended", every("subs", Guard("gone", is_(ABSENT, *ENDED))), "a descendant is live")
unused = Guard("id unused", eq(F("purged"), 0), "a workflow of this id was purged; ids are not reused")
outbox_settled = Guard(
    "everything delivered", every("all_outboxes", Guard("delivered", is_("DELIVERED", ABSENT))),
    "a delivery of it is open or DEAD")
a_copy = both(is_("DELIVERED"), eq(F("copied"), 1))
unwanted = eq(F("wanted"), 0)
archived = Guard(
    "archived",
    both(every("archives", Guard("copied or unwanted", either(a_copy, unwanted))),
         either(eq(Param("unarchived"), 1), every("archives", Guard("copied or wanted", either(a_copy, no(unwanted)))))),
    "a run of it has no archive of which a copy was read back: while its policy asks for none, say that this is meant; "
    "otherwise archive it")
retention_over = Guard(
    "retention passed", no(lt(now, plus(F("changed"), F("retention")))), "its retention has not passed")

sends_left = Guard("attempts left", lt(F("attempt"), F("sends")), "no attempt is left")
no_sends_left = Guard("no attempts left", no(sends_left), "an attempt is left")
lease_or_expired = Guard(
    "lease held or expired",
    either(eq(Param("claims"), F("claims")), no(lt(now, F("expires")))),
    "another relay holds it and its lease has not expired")
claim_held = Guard("lease held", eq(Param("claims"), F("claims")), "another relay holds it, or it was settled")
proven = Guard("proven", no(eq(Param("proof"), "")), "the sink gave no proof: no equal copy read back, no receipt")
told = Guard("error told", no(eq(Param("error"), "")), "nothing is said of what went wrong")
anyway = eq(Param("anyway"), 1)
due_delivery = Guard("due", either(anyway, no(lt(now, F("due")))), "it is not due yet")
in_schedule = Guard("schedule open", either(anyway, eq(F("open"), 1)), "the schedule of its topic is closed now")
out_of_schedule = Guard("schedule closed", eq(F("open"), 0), "the schedule of its topic is open")
heard = either(
    eq(F("hears"), "ENDS"),
    both(eq(F("hears"), "BAD_ENDS"), is_(*ENDED_BADLY, of=("of",))),
    both(eq(F("hears"), "FAILURES"), is_("FAILED", "TIMED_OUT", of=("of",))))
of_root = eq(F("root", ("of",)), 1)
tried_again = either(
    both(is_("FAILED", of=("of",)), over(("of", "up"), attempts_left.holds)),
    both(is_("TIMED_OUT", of=("of",)), over(("of", "up"), expiry_again.holds)))
own_account = either(of_root, both(is_(*LIVE, of=("of", "up", "wf")), no(tried_again)))
notice = eq(F("hears"), "CHANGES")
end_told = both(heard, either(eq(F("own"), 0), own_account))
asked_for = Guard(
    "asked for", either(eq(F("news"), 1), end_told),
    "nobody asks to be told of this end, or of this status")
in_turn = Guard(
    "in turn", no(some("earlier", Guard("open", is_(*UNSETTLED)))),
    "an earlier notice of its workflow is to be delivered first")

# ---- what rows set ----------------------------------------------------------------------------------------------------
delayed = plus(plus(now, F("retry_delay")), part(F("retry_jitter"), chance))
poll_clock: dict[str, Expr] = {
    "not_before": now, "expires": earliest(plus(now, F("poll_timeout")), plus(now, F("total_timeout"))),
    "total_ends": earliest(plus(now, F("total_timeout")), NEVER),
}
attempt_clock: dict[str, Expr] = {"attempt_ends": earliest(F("attempt_ends"), plus(now, F("attempt_timeout")))}
lease_clock: dict[str, Expr] = {"expires": earliest(plus(now, F("lease")), F("attempt_ends"), F("total_ends"))}
handed_out: dict[str, Expr] = {
    "handouts": plus(F("handouts"), 1),
    "expires": earliest(plus(now, F("lease")), F("attempt_ends"), plus(now, F("attempt_timeout")), F("total_ends")),
    **attempt_clock,
}
launch_clock: dict[str, Expr] = {
    "expires": earliest(F("attempt_ends"), plus(now, F("attempt_timeout")), F("total_ends")),
    "wakes": earliest(plus(now, F("wait_for")), F("wait_until")),
    **attempt_clock,
}
postponed: dict[str, Expr] = {
    "not_before": plus(now, Param("delay")),
    "expires": earliest(plus(plus(now, Param("delay")), F("poll_timeout")), F("attempt_ends"), F("total_ends")),
}
next_try: dict[str, Expr] = {
    "not_before": delayed,
    "expires": earliest(plus(delayed, F("poll_timeout")), F("total_ends")),
    "attempt_ends": Lit(NEVER),
    "attempt": plus(F("attempt"), 1),
}
unheard: dict[str, Expr] = {**next_try, "signalled": Lit(0)}
next_launch: dict[str, Expr] = {**next_try, "wakes": Lit(NEVER)}
no_clock: dict[str, Expr] = {
    "expires": Lit(NEVER), "attempt_ends": Lit(NEVER), "total_ends": Lit(NEVER), "wakes": Lit(NEVER)}
waited = minus(now, latest(F("paused_at", ("wf",)), F("changed")))
"""How long a task that nobody has started has waited in the pause that ends: since then, or since it got its times."""
