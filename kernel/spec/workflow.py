"""The workflow lifecycle, as a table. Live: RUNNING, PAUSED; terminal: COMPLETED, FAILED, TIMED_OUT, TERMINATED.

Why an event is refused is part of the table: every state x event cell is a row, a no-op, or a refusal with its own reason.
"""

from __future__ import annotations

from kernel.spec.language import NEVER, Expr, F, Guard, Linked, Lit, NoOp, Param, Refusal, Row, Table, plus
from kernel.spec.vocabulary import (
    ABSENT,
    ENDED,
    ENDED_BADLY,
    LIVE,
    WORKFLOW_KIND,
    archived,
    is_child,
    is_root,
    may_restart,
    no_end_asked,
    now,
    outbox_settled,
    retention_over,
    something_to_retry,
    subs_ended,
)

begin: dict[str, Expr] = {"deadline": plus(now, F("timeout"))}
anew: dict[str, Expr] = {**begin, "paused_by": Lit(""), "paused_at": Lit(0)}
next_run: dict[str, Expr] = {"run": plus(F("run"), 1), **anew}
chosen_task = Guard(
    "chosen task exists", Linked("tree", "from_task"),
    "the chosen task is not in its tree, or belongs to an attempt that is past")

ROWS = (
    #   event         from           to            guards; fields
    Row("START",      (ABSENT,),     "RUNNING",    (is_root,), {"run": Lit(1), **begin}),
    Row("START",      (ABSENT,),     "RUNNING",    (is_child,), {"run": F("run", ("up", "wf")), **begin}),
    Row("PAUSE",      ("RUNNING",),  "PAUSED",     (), {"paused_by": Param("origin"), "paused_at": now}),
    Row("RESUME",     ("PAUSED",),   "RUNNING",    (), {"paused_by": Lit(""), "paused_at": Lit(0)}),
    Row("COMPLETE",   ("RUNNING",),  "COMPLETED"),
    Row("FAIL",       ("RUNNING",),  "FAILED"),
    Row("TIME_OUT",   LIVE,          "TIMED_OUT"),
    Row("OVERDUE",    ("RUNNING",),  "RUNNING",    (), {"deadline": Lit(NEVER)}),    # which is only recorded
    Row("OVERDUE",    ("PAUSED",),   "PAUSED",     (), {"deadline": Lit(NEVER)}),
    Row("TERMINATE",  LIVE,          "TERMINATED"),
    Row("RETRY",      ENDED_BADLY,   "RUNNING",    (is_root, something_to_retry, no_end_asked), next_run),
    Row("RESTART",    ENDED,         "RUNNING",    (is_root, may_restart), next_run),
    Row("RERUN",      ENDED,         "RUNNING",    (is_root, chosen_task), next_run),
    Row("REOPEN",     ENDED,         "RUNNING",    (is_child,), {"run": F("run", ("up", "wf")), **anew}),
    Row("SET_ASIDE",  ENDED,         ABSENT),                        # superseded: the row of the old run stays, frozen
    Row("PURGE",      ENDED,         ABSENT,       (is_root, retention_over, subs_ended, outbox_settled, archived),
        {"purged": Lit(1)}),                                         # a tombstone stays, and nothing else of its tree
)

NO_OPS = (
    NoOp("PAUSE",     ("PAUSED",),      "it is already PAUSED"),
    NoOp("RESUME",    ("RUNNING",),     "it is already RUNNING"),
    NoOp("TERMINATE", ("TERMINATED",),  "it is already TERMINATED"),
)

REFUSALS = (
    Refusal("START",     LIVE,        "a workflow with this id is live"),
    Refusal("START",     ENDED,       "a workflow with this id has ended; ids are not reused"),
    Refusal("PAUSE",     (ABSENT,),   "there is no workflow to pause"),
    Refusal("PAUSE",     ENDED,       "it has ended: nothing of it runs that could be paused"),
    Refusal("RESUME",    (ABSENT,),   "there is no workflow to resume"),
    Refusal("RESUME",    ENDED,       "it has ended: RESUME undoes a PAUSE, only a re-opening event leaves a terminal state"),
    Refusal("COMPLETE",  (ABSENT,),   "there is no workflow to complete"),
    Refusal("COMPLETE",  ("PAUSED",), "it is PAUSED: its own end waits for RESUME"),
    Refusal("COMPLETE",  ENDED,       "it has ended, and a terminal state is never rewritten as COMPLETED"),
    Refusal("FAIL",      (ABSENT,),   "there is no workflow to fail"),
    Refusal("FAIL",      ("PAUSED",), "it is PAUSED: its own failure waits for RESUME"),
    Refusal("FAIL",      ENDED,       "it has ended, and a terminal state is never rewritten as FAILED"),
    Refusal("TIME_OUT",  (ABSENT,),   "there is no workflow to time out"),
    Refusal("TIME_OUT",  ENDED,       "it has ended, and a terminal state is never rewritten as TIMED_OUT"),
    Refusal("OVERDUE",   (ABSENT,),   "there is no workflow that could be overdue"),
    Refusal("OVERDUE",   ENDED,       "it has ended: its deadline has no meaning any more"),
    Refusal("TERMINATE", (ABSENT,),   "there is no workflow to terminate"),
    Refusal("TERMINATE", ("COMPLETED",), "it COMPLETED before it could be terminated"),
    Refusal("TERMINATE", ("FAILED",), "it FAILED before it could be terminated"),
    Refusal("TERMINATE", ("TIMED_OUT",), "it TIMED_OUT before it could be terminated"),
    Refusal("RETRY",     (ABSENT,),   "there is no workflow to retry"),
    Refusal("RETRY",     LIVE,        "it is live: only an ended run can be retried"),
    Refusal("RETRY",     ("COMPLETED",), "it COMPLETED: nothing of it failed that could be retried"),
    Refusal("RESTART",   (ABSENT,),   "there is no workflow to restart"),
    Refusal("RESTART",   LIVE,        "it is live: terminate it before it is restarted"),
    Refusal("RERUN",     (ABSENT,),   "there is no workflow to rerun"),
    Refusal("RERUN",     LIVE,        "it is live: terminate it before it is rerun"),
    Refusal("REOPEN",    (ABSENT,),   "there is no sub-workflow to re-open"),
    Refusal("REOPEN",    LIVE,        "it is live: only an ended sub-workflow is re-opened"),
    Refusal("SET_ASIDE", (ABSENT,),   "there is no sub-workflow to set aside"),
    Refusal("SET_ASIDE", LIVE,        "it is live: only an ended sub-workflow is set aside"),
    Refusal("PURGE",     (ABSENT,),   "there is no workflow to purge"),
    Refusal("PURGE",     LIVE,        "it is live: rows of a live workflow are never removed"),
)

WORKFLOW_TABLE = Table(
    WORKFLOW_KIND, ROWS, NO_OPS, REFUSALS, reopening=("RETRY", "RESTART", "RERUN", "REOPEN", "SET_ASIDE", "PURGE"))
