"""What the proof needs besides the invariants: facts that hold in every state, also between two rules of progress."""

from __future__ import annotations

from kernel.spec.invariants import absent, of_this_run
from kernel.spec.language import NEVER, Expr, F, Lit, Nature, Place, Property, both, either, eq, every, implies, is_, lt, no
from kernel.spec.vocabulary import (
    ABSENT,
    CLOSED_BADLY,
    ENDED,
    control,
    current,
    heard,
    is_child,
    live,
    nesting,
    of_root,
    optional,
    sound,
    tried_again,
    wf_live,
    wf_running,
)


def lemma(number: int, on: str, text: str, *holds: Expr, name: str = "AUX") -> Property:
    """A lemma of a kind."""
    return Property(f"{name}-{number:02}", Nature.STATE, on, text, both(*holds), Place.MID)


def follows(child: str, *task: str) -> Expr:
    """A child that ended so has not been handed over, or its parent's task followed it."""
    return implies(both(is_child, current, is_(child)), is_("IN_PROGRESS", *task, of=("up",)))


def iff(a: Expr, b: Expr) -> Expr:
    """Both hold, or neither."""
    return both(implies(a, b), implies(b, a))


of_present = both(no(of_root), eq(F("slot", ("of",)), F("attempt", ("of", "up"))))
ended_below = both(no(of_root), is_("COMPLETED", "FAILED", "TIMED_OUT", of=("of",)))
retried = both(no(of_root), is_("IN_PROGRESS", of=("of", "up")), tried_again)

LEMMAS = (
    lemma(1, "task", "Tasks exist exactly with their workflow.",
          implies(is_(ABSENT), is_(ABSENT, of=("wf",))), implies(is_(ABSENT, of=("wf",)), is_(ABSENT))),
    lemma(2, "workflow", "Below a workflow that does not exist there is none.", implies(absent, every("subs", absent))),
    lemma(3, "workflow", "A sub-workflow exists only for an attempt that was launched.",
          implies(both(is_child, no(absent)), either(
              lt(F("slot"), F("attempt", ("up",))),
              both(eq(F("slot"), F("attempt", ("up",))), no(is_(ABSENT, "PENDING", "SCHEDULED", of=("up",))))))),
    lemma(4, "workflow", "A sub-workflow that ended was handed over, or its parent's task still waits for it.",
          follows("COMPLETED", "COMPLETED"), follows("FAILED", "FAILED", "COMPLETED_WITH_ERRORS"),
          follows("TIMED_OUT", "TIMED_OUT", "COMPLETED_WITH_ERRORS"),
          follows("TERMINATED", "CANCELED", "COMPLETED_WITH_ERRORS")),
    lemma(5, "task", "A sub-workflow task IN_PROGRESS has its sub-workflow.",
          implies(both(nesting, is_("IN_PROGRESS")), no(is_(ABSENT, of=("child",))))),
    lemma(6, "task", "An optional task of a live workflow is never closed badly.",
          implies(both(optional, wf_live), no(is_(*CLOSED_BADLY)))),
    lemma(7, "workflow", "Who was not paused itself was paused with its parent.",
          implies(both(is_("PAUSED"), no(eq(F("paused_by"), F("id")))), both(
              is_child, is_("PAUSED", of=("up", "wf")), eq(F("paused_by"), F("paused_by", ("up", "wf")))))),
    lemma(8, "workflow", "No workflow is of a run to come of its tree; who lives is of its present run.",
          no(lt(F("run", ("top",)), F("run"))), implies(live, eq(F("run"), F("run", ("top",))))),
    lemma(9, "delivery", "There is no delivery of a run to come; of who was set aside none of the tree's present run.",
          either(is_(ABSENT), no(lt(F("run", ("of",)), F("run"))),
                 both(is_(ABSENT, of=("of",)), lt(F("run"), F("run", ("of", "top")))))),
    lemma(10, "task", "A task has an attempt, and no more than it may.",
          either(is_(ABSENT), both(lt(Lit(0), F("attempt")), no(lt(F("tries"), F("attempt")))))),
    lemma(11, "workflow", "A workflow that is not there has no run, one that is has one.",
          implies(absent, eq(F("run"), 0)), either(absent, lt(Lit(0), F("run")))),
    lemma(12, "task", "A task that was not scheduled yet waits for no time.",
          implies(is_(ABSENT, "PENDING"), eq(F("not_before"), 0))),
    lemma(13, "delivery", "What waits to be claimed has an attempt left.",
          no(lt(F("attempt"), 0)), implies(is_(ABSENT), eq(F("attempt"), 0)),
          implies(is_("PENDING"), lt(F("attempt"), F("sends")))),
    lemma(14, "delivery", "What hears of ends on their own account only is there from the end on, but where a retry follows.",
          implies(both(eq(F("own"), 1), of_this_run), both(
              implies(no(is_(*ENDED, of=("of",))), is_(ABSENT)),
              implies(both(of_root, is_(*ENDED, of=("of",))), iff(no(is_(ABSENT)), heard)),
              implies(is_("TERMINATED", of=("of",)), either(is_(ABSENT), heard)),
              implies(ended_below, either(
                  both(of_present, no(retried), iff(no(is_(ABSENT)), heard)),
                  both(either(no(of_present), retried), is_(ABSENT))))))),
)

SPARE = (
    lemma(1, "task", "A control task is never IN_PROGRESS; one that is SCHEDULED can be passed at once.",
          implies(control, no(is_("IN_PROGRESS"))), implies(both(control, is_("SCHEDULED")), both(wf_running, sound)),
          name="FACT"),
    lemma(2, "workflow", "The sub-workflow of an attempt that is past FAILED or TIMED_OUT.",
          implies(both(is_child, no(absent), lt(F("slot"), F("attempt", ("up",)))), is_("FAILED", "TIMED_OUT")), name="FACT"),
    lemma(3, "task", "No clock of a task that is not there runs.",
          implies(is_(ABSENT), eq(F("expires"), NEVER)), name="FACT"),
)
"""What no proof of an invariant needs. It shows which guards say again, for people to read, what follows anyway."""
