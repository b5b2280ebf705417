"""The commands, each one commit with its cascade, and what happens with every way into a state of a workflow."""

from __future__ import annotations

from kernel.spec.language import Enter, Fire, Follow, Lock, Step
from kernel.spec.vocabulary import (
    ENDED,
    LIVE,
    added,
    declared,
    enforced,
    expired,
    expired_deadline,
    goes_on,
    is_root,
    left_out,
    nesting,
    overdue,
    parent_runs,
    paused_here,
    starts_again,
    under_way,
    unused,
    wf_paused_here,
)

told = (Fire("CREATE", "notices"),)

ON_ENTER = (
    Enter(
        "workflow", ENDED,
        cascade=(Fire("TERMINATE", "subs"), Fire("CANCEL", "all_tasks")),
        emit=(Fire("CREATE", "outbox"), *told),
    ),
    *(Enter("workflow", (status,), cascade=(), emit=told) for status in LIVE),
)

retry = (Fire("REOPEN", "tasks", goes_on.holds), Fire("RESET", "tasks", starts_again.holds))
again = (*retry, Fire("SET_ASIDE", "tasks", left_out.holds))
restart = (Fire("RESET", "tasks", declared.holds), Fire("SET_ASIDE", "tasks", added.holds))
below = (Fire("SET_ASIDE", "under_tasks"), Fire("SET_ASIDE", "under"))

FOLLOWS = (
    #      kind        event        brings with it
    Follow("workflow", "RESTART",   restart),
    Follow("workflow", "RETRY",     retry),
    Follow("workflow", "RERUN",     again),
    Follow("workflow", "REOPEN",    again),
    Follow("task",     "REOPEN",    (Fire("REOPEN", "child"),)),
    Follow("task",     "RESET",     below),
    Follow("task",     "SET_ASIDE", below),
)

COMMANDS = (
    #    name          on          does                                          guards; what the caller presents; who; lock
    Step("START",      "workflow", (Fire("START"), Fire("CREATE", "tasks")),     (is_root, unused)),
    Step("PAUSE",      "workflow", (Fire("PAUSE"), Fire("PAUSE", "subs")),       params=("origin",)),
    Step("RESUME",     "workflow", (Fire("RESUME"), Fire("RESUME", "subs", paused_here),
                                    Fire("SHIFT", "all_tasks", wf_paused_here)), (parent_runs,), ("origin",)),
    Step("TERMINATE",  "workflow", (Fire("TERMINATE"),)),
    Step("RETRY",      "workflow", (Fire("RETRY"),),                             params=("resume",)),
    Step("RESTART",    "workflow", (Fire("RESTART"),)),
    Step("RERUN",      "workflow", (Fire("RERUN"),),                             params=("from_task",)),
    Step("PURGE",      "workflow", (Fire("PURGE"),),                             params=("unarchived",)),
    Step("TIME_OUT",   "workflow", (Fire("TIME_OUT"),),                          (expired_deadline,), by="clock"),
    Step("OVERDUE",    "workflow", (Fire("OVERDUE"),),                           (overdue,), by="clock"),
    Step("POLL",       "task",     (Fire("POLL"),),                              by="worker", lock=Lock.SHARE),
    Step("HEARTBEAT",  "task",     (Fire("HEARTBEAT"),),                         params=("run", "handouts"),
         by="worker", lock=Lock.ROW),
    Step("COMPLETE",   "task",     (Fire("COMPLETE"), Fire("CREATE", "spawned")), params=("run", "handouts"), by="worker"),
    Step("FAIL",       "task",     (Fire("FAIL"),),                              params=("run", "handouts", "retryable"),
         by="worker"),
    Step("POSTPONE",   "task",     (Fire("POSTPONE"),),                          params=("run", "handouts", "delay"),
         by="worker"),
    Step("SIGNAL",     "task",     (Fire("SIGNAL"),)),
    Step("SKIP",       "task",     (Fire("SKIP"),)),
    Step("EXPIRE",     "task",     (Fire("EXPIRE"),),                            by="clock"),
    Step("ALERT",      "task",     (Fire("ALERT"),),                             by="clock"),
    Step("ELAPSE",     "task",     (Fire("ELAPSE"),),                            by="clock"),
    Step("OVERRUN",    "task",     (Fire("TIME_OUT", "child"),),                 (nesting, under_way, expired, enforced),
         by="clock"),
    Step("WAKE",       "task",     (),                                           by="clock"),   # progress looks at it again
    Step("CLAIM",      "delivery", (Fire("CLAIM"),),                             params=("anyway",), by="relay",
         lock=Lock.SHARE),
    Step("DEFER",      "delivery", (Fire("DEFER"),),                             by="relay", lock=Lock.ROW),
    Step("CONFIRM",    "delivery", (Fire("CONFIRM"),),                           params=("claims", "proof"), by="relay",
         lock=Lock.SHARE),
    Step("RELEASE",    "delivery", (Fire("RELEASE"),),                           params=("claims", "delay", "error"),
         by="relay", lock=Lock.SHARE),
    Step("BURY",       "delivery", (Fire("BURY"),),                              params=("claims", "error"), by="relay",
         lock=Lock.SHARE),
    Step("REDRIVE",    "delivery", (Fire("REDRIVE"),),                           lock=Lock.SHARE),
)
