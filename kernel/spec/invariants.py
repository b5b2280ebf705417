"""INV-01 to INV-14: what must hold, as expressions with a nature. The oracle, the audit and the checkers read them here."""

from __future__ import annotations

from kernel.spec.language import (
    F,
    Guard,
    Lit,
    Nature,
    Place,
    Property,
    both,
    either,
    eq,
    every,
    implies,
    is_,
    lt,
    minus,
    no,
    some,
    then_,
)
from kernel.spec.vocabulary import (
    ABSENT,
    CLOSED,
    ENDED,
    LIVE,
    OPEN,
    a_copy,
    closed,
    current,
    ended,
    heard,
    is_child,
    is_root,
    live,
    nesting,
    notice,
    of_root,
    running,
    unwanted,
    wf_live,
    wf_running,
    worker,
)

not_live = Guard("not live", no(live))
absent = Guard("absent", is_(ABSENT))
present = Guard("present", no(absent))
not_open = Guard("not open", no(is_(*OPEN)))
moving = Guard("moving", is_("SCHEDULED", "IN_PROGRESS"))
settled = Guard("delivered", is_("DELIVERED", ABSENT))
kept = Guard("copied or unwanted", either(a_copy, unwanted))
told = Guard("told", both(is_(*ENDED, of=("of",)), heard))
of_swept = both(no(of_root), is_("TERMINATED", of=("of",)), heard)
of_this_run = eq(F("run"), F("run", ("of",)))
of_current = either(of_root, eq(F("slot", ("of",)), F("attempt", ("of", "up"))))
run_up = lt(F("run"), F("run", then=True))
wf_run_up = lt(F("run", ("wf",)), F("run", ("wf",), then=True))
gone = then_(ABSENT)


def agrees(child: str, *task: str) -> Property:
    """INV-09 for one end of a child."""
    return Property(
        "INV-09", Nature.STATE, "workflow",
        f"A parent's task whose present child is {child} is {' or '.join(task)}.",
        implies(both(is_child, current, is_(child)), is_(*task, of=("up",))),
    )


PROPERTIES = (
    Property("INV-01", Nature.STATE, "workflow",
             "A terminal workflow has no open task and no live descendant.",
             implies(ended, both(every("tasks", not_open), every("subs", not_live))), Place.MID),
    Property("INV-02", Nature.STEP, "workflow",
             "Terminal states absorb within the tree's run; only RETRY, RESTART, RERUN on a root leave them, in one commit, "
             "run+1.",
             either(run_up, gone, *(both(is_(s), then_(s)) for s in ENDED), no(ended))),
    Property("INV-02", Nature.STEP, "task",
             "Closed states absorb within the tree's run.",
             either(wf_run_up, gone, *(both(is_(s), then_(s)) for s in CLOSED), no(closed))),
    Property("INV-03", Nature.STATE, "delivery",
             "Each ended run has exactly one delivery per end topic that its policy asks for, written in the ending commit; "
             "no live run has one.",
             implies(both(eq(F("own"), 0), no(notice), of_this_run), either(both(present, told), both(absent, no(told)))),
             Place.MID,
             known="each subscribed change of status has exactly one notice: the audit compares notices with the history; "
                   "tests/engine/test_notices.py"),
    Property("INV-03", Nature.STATE, "delivery",
             "So has each run that ended on its own account for a topic that hears only of these; whose the account was of a "
             "sub-workflow that is TERMINATED, only its commit tells.",
             implies(both(eq(F("own"), 1), of_this_run, no(of_swept)),
                     either(both(present, told, of_current), both(absent, no(both(told, of_current)))))),
    Property("INV-04", Nature.STATE, "delivery",
             "DELIVERED carries the sink's proof; an archive document equals the frozen rows of its run.",
             implies(is_("DELIVERED"), no(eq(F("proof"), ""))), Place.MID,
             known="the relay reads every copy back and compares it with the frozen rows: tests/engine/test_relay.py"),
    Property("INV-05", Nature.STEP, "workflow",
             "Rows are removed only by PURGE of a whole terminal tree with no open or DEAD delivery, every run's archive "
             "DELIVERED by a sink that gives a copy, or not asked for; nothing dangling remains.",
             implies(both(is_root, present, gone), both(
                 ended, every("subs", not_live), every("all_outboxes", settled), every("archives", kept),
                 eq(F("purged", then=True), 1))),
             known="the audit looks for what a purge left: tests/engine/test_purging.py"),
    Property("INV-06", Nature.STEP, "task",
             "A worker's write counts only if its token is the stored one, and no lease comes back under an old token.",
             either(wf_run_up, gone, both(
                 no(lt(F("handouts", then=True), F("handouts"))),
                 implies(both(worker, no(is_("IN_PROGRESS")), then_("IN_PROGRESS")),
                         lt(F("handouts"), F("handouts", then=True)))))),
    Property("INV-07", Nature.STEP, "task",
             "No task of a workflow that is not RUNNING is handed out.",
             implies(both(worker, no(is_("IN_PROGRESS")), then_("IN_PROGRESS")), wf_running)),
    Property("INV-07", Nature.STATE, "workflow",
             "Below a PAUSED workflow nothing is RUNNING.",
             implies(both(is_child, running), is_("RUNNING", of=("up", "wf"))), Place.MID),
    Property("INV-08", Nature.STEP, "workflow",
             "Every change of state is in the history of its commit; versions strictly increase; replaying history gives the "
             "current rows.",
             known="every history can be replayed against the tables, and that of every test run is: kernel/formal/trace.py"),
    agrees("COMPLETED", "COMPLETED"),
    agrees("FAILED", "FAILED", "COMPLETED_WITH_ERRORS"),
    agrees("TIMED_OUT", "TIMED_OUT", "COMPLETED_WITH_ERRORS"),
    agrees("TERMINATED", "CANCELED", "COMPLETED_WITH_ERRORS"),
    Property("INV-09", Nature.STATE, "task",
             "A sub-workflow task IN_PROGRESS has a live child.",
             implies(both(nesting, is_("IN_PROGRESS")), is_(*LIVE, of=("child",)))),
    Property("INV-10", Nature.STATE, "workflow",
             "A RUNNING workflow has an open task that a worker, a child, a signal or a timer moves.",
             implies(running, some("tasks", moving))),
    Property("INV-11", Nature.ENVIRONMENT, "workflow",
             "An acknowledged command survives every fault of the store's declared durability class.",
             known="processes are killed at every fault point and at random: tests/faults/"),
    Property("INV-12", Nature.ENVIRONMENT, "delivery",
             "No sink code runs inside a transaction or a lock or changes a decision; whatever it does, workflow state is "
             "untouched.",
             known="hostile sinks: tests/engine/test_courier.py, tests/engine/test_relay.py"),
    Property("INV-13", Nature.STATE, "workflow",
             "At most one live attempt per task: a live child belongs to the present attempt, and run, of a task IN_PROGRESS.",
             implies(both(is_child, live), both(
                 is_("IN_PROGRESS", of=("up",)), current, is_(*LIVE, of=("up", "wf")), eq(F("run"), F("run", ("up", "wf"))))),
             Place.MID),
    Property("INV-13", Nature.STATE, "task",
             "An open task belongs to a live workflow.",
             implies(is_(*OPEN), wf_live), Place.MID),
    Property("INV-14", Nature.LIVENESS, "delivery",
             "Every delivery ends DELIVERED or DEAD; none is lost; a DEAD one keeps its last error and can be redriven.",
             both(no(lt(F("sends"), F("attempt"))), implies(is_("LEASED"), lt(Lit(0), F("attempt"))),
                  implies(is_("DEAD"), no(eq(F("error"), "")))),
             place=Place.MID, measure=(minus(F("sends"), F("attempt")),),
             known="fair relays: CLAIM lowers the measure, RELEASE keeps it, BURY needs it at 0"),
)
