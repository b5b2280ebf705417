"""The task lifecycle, as a table.

Open: PENDING (predecessors not passed), SCHEDULED, IN_PROGRESS. Closed well: COMPLETED, COMPLETED_WITH_ERRORS, SKIPPED.
Closed badly: FAILED, FAILED_WITH_TERMINAL_ERROR, TIMED_OUT, CANCELED. The rows of one cell are alternatives: their guards
exclude each other, which a static check proves.
"""

from __future__ import annotations

from collections.abc import Mapping

from kernel.spec.language import NEVER, Expr, F, Guard, Lit, NoOp, Refusal, Row, Table, earliest, plus
from kernel.spec.vocabulary import (
    ABSENT,
    CLOSED,
    OPEN,
    TASK_KIND,
    again,
    alert_only,
    attempt_over,
    attempt_runs,
    attempts_left,
    childless,
    chosen,
    clock_runs,
    control,
    due,
    enforced,
    expired,
    expiry_again,
    expiry_final,
    handed_out,
    held,
    launch_clock,
    launched,
    lease_clock,
    mandatory,
    nesting,
    next_launch,
    next_try,
    no_attempts_left,
    no_clock,
    not_again,
    not_retryable,
    optional,
    poll_clock,
    postponed,
    ready,
    retryable,
    sound,
    total_over,
    total_runs,
    unheard,
    unsignalled,
    unsound,
    wait_over,
    waited,
    waiting,
    wf_live,
    wf_running,
    worker,
)

UNSTARTED = ("PENDING", "SCHEDULED")
CLOCKS = ("expires", "attempt_ends", "total_ends")
def ends(
    event: str, guards: tuple[Guard, ...], retry: Guard, final: Guard, badly: str,
    state: str = "IN_PROGRESS", anew: Mapping[str, Expr] = next_launch,
) -> tuple[Row, ...]:
    """The three ways in which an attempt that ended badly goes on: again, optional, mandatory."""
    return (
        Row(event, (state,), "SCHEDULED",             (*guards, retry), anew),
        Row(event, (state,), "COMPLETED_WITH_ERRORS", (*guards, final, optional)),
        Row(event, (state,), badly,                   (*guards, final, mandatory)),
    )


def alerts(state: str) -> tuple[Row, ...]:
    """A clock that ran out and is only recorded: it stands still then, and the others run on."""
    guards = (expired, clock_runs, alert_only)
    return (
        Row("ALERT", (state,), state, (*guards, total_over), {name: Lit(NEVER) for name in CLOCKS}),
        Row("ALERT", (state,), state, (*guards, total_runs, attempt_over),
            {"expires": F("total_ends"), "attempt_ends": Lit(NEVER)}),
        Row("ALERT", (state,), state, (*guards, total_runs, attempt_runs),
            {"expires": earliest(F("attempt_ends"), F("total_ends"))}),
    )


ROWS = (
    #   event        from              to                       guards; fields
    Row("CREATE",    (ABSENT,),        "PENDING",               (), {"attempt": Lit(1)}),
    Row("SCHEDULE",  ("PENDING",),     "SCHEDULED",             (wf_running, ready, chosen, sound), poll_clock),
    Row("REJECT",    UNSTARTED,        "COMPLETED_WITH_ERRORS", (wf_running, due, ready, chosen, unsound, optional)),
    Row("REJECT",    UNSTARTED,        "FAILED_WITH_TERMINAL_ERROR",
        (wf_running, due, ready, chosen, unsound, mandatory)),
    Row("PASS",      ("SCHEDULED",),   "COMPLETED",             (control, wf_running, sound)),
    Row("LAUNCH",    ("SCHEDULED",),   "IN_PROGRESS",           (launched, wf_running, due, sound), launch_clock),
    Row("POLL",      ("SCHEDULED",),   "IN_PROGRESS",           (worker, wf_running, due), handed_out),
    Row("HEARTBEAT", ("IN_PROGRESS",), "IN_PROGRESS",           (worker, held, wf_live), lease_clock),
    Row("COMPLETE",  ("IN_PROGRESS",), "COMPLETED",             (worker, held, wf_live)),
    Row("SIGNAL",    ("IN_PROGRESS",), "COMPLETED",             (waiting, wf_live)),
    Row("SIGNAL",    ("PENDING",),     "PENDING",               (waiting, wf_live, unsignalled), {"signalled": Lit(1)}),
    Row("SIGNAL",    ("SCHEDULED",),   "SCHEDULED",             (waiting, wf_live, unsignalled), {"signalled": Lit(1)}),
    Row("POSTPONE",  ("IN_PROGRESS",), "SCHEDULED",             (worker, held, wf_live), postponed),
    Row("FAIL",      ("IN_PROGRESS",), "SCHEDULED",             (worker, held, wf_live, again), next_try),
    Row("FAIL",      ("IN_PROGRESS",), "COMPLETED_WITH_ERRORS", (worker, held, wf_live, not_again, optional)),
    Row("FAIL",      ("IN_PROGRESS",), "FAILED",
        (worker, held, wf_live, retryable, no_attempts_left, mandatory)),
    Row("FAIL",      ("IN_PROGRESS",), "FAILED_WITH_TERMINAL_ERROR", (worker, held, wf_live, not_retryable, mandatory)),
    *ends("EXPIRE", (expired, clock_runs, enforced), expiry_again, expiry_final, "TIMED_OUT", "SCHEDULED", unheard),
    *ends("EXPIRE", (expired, clock_runs, enforced, childless), expiry_again, expiry_final, "TIMED_OUT"),
    *alerts("SCHEDULED"),
    *alerts("IN_PROGRESS"),
    Row("ELAPSE",    ("IN_PROGRESS",), "COMPLETED",             (waiting, wf_live, wait_over)),
    Row("CHILD_COMPLETED",  ("IN_PROGRESS",), "COMPLETED",      (wf_live,)),
    *ends("CHILD_FAILED",    (wf_live,), attempts_left, no_attempts_left, "FAILED"),
    *ends("CHILD_TIMED_OUT", (wf_live,), expiry_again, expiry_final, "TIMED_OUT"),
    Row("CHILD_TERMINATED", ("IN_PROGRESS",), "COMPLETED_WITH_ERRORS", (wf_live, optional)),
    Row("CHILD_TERMINATED", ("IN_PROGRESS",), "CANCELED",       (wf_live, mandatory)),
    Row("CANCEL",    OPEN,             "CANCELED"),             # unguarded and total on open states: set-based
    Row("SKIP",      UNSTARTED,        "SKIPPED",               (wf_live,)),
    Row("SHIFT",     ("SCHEDULED",),   "SCHEDULED",             (),
        {name: plus(F(name), waited) for name in ("not_before", *CLOCKS)}),
    Row("RESET",     CLOSED,           "PENDING",               (),
        {"attempt": Lit(1), "signalled": Lit(0), "not_before": Lit(0), **no_clock}),
    Row("REOPEN",    CLOSED,           "IN_PROGRESS",           (nesting,), no_clock),   # its sub-workflow goes on in place
    Row("SET_ASIDE", CLOSED,           ABSENT),                 # superseded: the row of the old run stays, frozen
)

NO_OPS: tuple[NoOp, ...] = ()

REFUSALS = (
    Refusal("CREATE",    OPEN,             "the task exists and is open"),
    Refusal("CREATE",    CLOSED,           "the task exists and is closed; a re-opening resets it"),
    Refusal("SCHEDULE",  (ABSENT,),        "there is no task to schedule"),
    Refusal("SCHEDULE",  ("SCHEDULED",),   "it is already SCHEDULED"),
    Refusal("SCHEDULE",  ("IN_PROGRESS",), "it is beyond SCHEDULED: its attempt is under way"),
    Refusal("SCHEDULE",  CLOSED,           "it is closed: only a re-opening starts it again"),
    Refusal("REJECT",    (ABSENT,),        "there is no task to reject"),
    Refusal("REJECT",    ("IN_PROGRESS",), "its attempt is under way, so it could be prepared"),
    Refusal("REJECT",    CLOSED,           "it is closed and needs no preparation"),
    Refusal("PASS",      (ABSENT,),        "there is no control task to pass"),
    Refusal("PASS",      ("PENDING",),     "it is not SCHEDULED yet"),
    Refusal("PASS",      ("IN_PROGRESS",), "a control task is never IN_PROGRESS"),
    Refusal("PASS",      CLOSED,           "it is closed: it was passed, or never will be"),
    Refusal("LAUNCH",    (ABSENT,),        "there is no task to launch"),
    Refusal("LAUNCH",    ("PENDING",),     "it is not SCHEDULED yet"),
    Refusal("LAUNCH",    ("IN_PROGRESS",), "it is launched already"),
    Refusal("LAUNCH",    CLOSED,           "it is closed: nothing of it is left to launch"),
    Refusal("POLL",      (ABSENT,),        "there is no task to hand out"),
    Refusal("POLL",      ("PENDING",),     "it is not SCHEDULED yet: a predecessor is open, or its workflow is PAUSED"),
    Refusal("POLL",      ("IN_PROGRESS",), "it is under way already; a worker's task comes back when its lease expires"),
    Refusal("POLL",      CLOSED,           "it is closed, and a closed task is never handed out"),
    Refusal("HEARTBEAT", (ABSENT,),        "there is no task to hold"),
    Refusal("HEARTBEAT", ("PENDING",),     "nobody holds it: it is not SCHEDULED yet"),
    Refusal("HEARTBEAT", ("SCHEDULED",),   "nobody holds it: it waits to be handed out"),
    Refusal("HEARTBEAT", CLOSED,           "it is closed: its lease ended with it, stop working on it"),
    Refusal("COMPLETE",  (ABSENT,),        "there is no task to complete"),
    Refusal("COMPLETE",  ("PENDING",),     "nobody holds it: it is not SCHEDULED yet"),
    Refusal("COMPLETE",  ("SCHEDULED",),   "nobody holds it: poll it first"),
    Refusal("COMPLETE",  CLOSED,           "it is closed: the result came too late, or twice"),
    Refusal("SIGNAL",    (ABSENT,),        "there is no task to signal"),
    Refusal("SIGNAL",    CLOSED,           "it is closed: the signal came too late, or twice"),
    Refusal("POSTPONE",  (ABSENT,),        "there is no task to postpone"),
    Refusal("POSTPONE",  ("PENDING",),     "nobody holds it: it is not SCHEDULED yet"),
    Refusal("POSTPONE",  ("SCHEDULED",),   "nobody holds it: it waits already"),
    Refusal("POSTPONE",  CLOSED,           "it is closed: there is nothing left to postpone"),
    Refusal("FAIL",      (ABSENT,),        "there is no task to fail"),
    Refusal("FAIL",      ("PENDING",),     "nobody holds it: it is not SCHEDULED yet"),
    Refusal("FAIL",      ("SCHEDULED",),   "nobody holds it: poll it first"),
    Refusal("FAIL",      CLOSED,           "it is closed: the failure came too late, or twice"),
    Refusal("EXPIRE",    (ABSENT,),        "there is no task to expire"),
    Refusal("EXPIRE",    ("PENDING",),     "it has no clock before it is SCHEDULED"),
    Refusal("EXPIRE",    CLOSED,           "it is closed: its clocks have stopped"),
    Refusal("ALERT",     (ABSENT,),        "there is no task that could be late"),
    Refusal("ALERT",     ("PENDING",),     "it has no clock before it is SCHEDULED, so it is not late"),
    Refusal("ALERT",     CLOSED,           "it is closed: it cannot be late any more"),
    Refusal("ELAPSE",    (ABSENT,),        "there is no task whose wait could be over"),
    Refusal("ELAPSE",    UNSTARTED,        "its wait has not begun"),
    Refusal("ELAPSE",    CLOSED,           "it is closed: it does not wait any more"),
    Refusal("CHILD_COMPLETED",  (ABSENT,), "there is no task that started this sub-workflow"),
    Refusal("CHILD_COMPLETED",  UNSTARTED, "its sub-workflow has not started"),
    Refusal("CHILD_COMPLETED",  CLOSED,    "it is closed and no longer follows its sub-workflow's completion"),
    Refusal("CHILD_FAILED",     (ABSENT,), "there is no task that started this sub-workflow"),
    Refusal("CHILD_FAILED",     UNSTARTED, "its sub-workflow has not started"),
    Refusal("CHILD_FAILED",     CLOSED,    "it is closed and no longer follows its sub-workflow's failure"),
    Refusal("CHILD_TIMED_OUT",  (ABSENT,), "there is no task that started this sub-workflow"),
    Refusal("CHILD_TIMED_OUT",  UNSTARTED, "its sub-workflow has not started"),
    Refusal("CHILD_TIMED_OUT",  CLOSED,    "it is closed and no longer follows its sub-workflow's time-out"),
    Refusal("CHILD_TERMINATED", (ABSENT,), "there is no task that started this sub-workflow"),
    Refusal("CHILD_TERMINATED", UNSTARTED, "its sub-workflow has not started"),
    Refusal("CHILD_TERMINATED", CLOSED,    "it is closed and no longer follows its sub-workflow's termination"),
    Refusal("CANCEL",    (ABSENT,),        "there is no task to cancel"),
    Refusal("CANCEL",    CLOSED,           "it is closed: what it reached is kept"),
    Refusal("SKIP",      (ABSENT,),        "there is no task to skip"),
    Refusal("SKIP",      ("IN_PROGRESS",), "its attempt is under way: it can no longer be skipped"),
    Refusal("SKIP",      CLOSED,           "it is closed: there is nothing left to skip"),
    Refusal("SHIFT",     (ABSENT,),        "there is no task whose time could be shifted"),
    Refusal("SHIFT",     ("PENDING",),     "it has no time yet that a pause could shift"),
    Refusal("SHIFT",     ("IN_PROGRESS",), "it has started: its time is past"),
    Refusal("SHIFT",     CLOSED,           "it is closed: no time of it is left to shift"),
    Refusal("RESET",     (ABSENT,),        "there is no task to reset"),
    Refusal("RESET",     OPEN,             "it is open: only closed tasks start again"),
    Refusal("REOPEN",    (ABSENT,),        "there is no task to re-open"),
    Refusal("REOPEN",    OPEN,             "it is open: only closed tasks are re-opened"),
    Refusal("SET_ASIDE", (ABSENT,),        "there is no task to set aside"),
    Refusal("SET_ASIDE", OPEN,             "it is open: only closed tasks are set aside"),
)

TASK_TABLE = Table(TASK_KIND, ROWS, NO_OPS, REFUSALS, reopening=("RESET", "REOPEN", "SET_ASIDE"))
