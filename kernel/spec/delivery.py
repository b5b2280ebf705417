"""The delivery lifecycle, as a table: one outbox entry. Open: PENDING, LEASED; closed: DELIVERED, DEAD.

An attempt is counted when it is claimed, not when it fails, so that a sink that kills its relay still ends DEAD. A notice,
which tells of a change of status, waits for the open ones before it, not for a DEAD one.
"""

from __future__ import annotations

from kernel.spec.language import F, Lit, NoOp, Param, Refusal, Row, Table, plus
from kernel.spec.vocabulary import (
    ABSENT,
    DELIVERY_KIND,
    SETTLED,
    UNSETTLED,
    asked_for,
    claim_held,
    due_delivery,
    in_schedule,
    in_turn,
    lease_or_expired,
    no_sends_left,
    now,
    out_of_schedule,
    proven,
    sends_left,
    told,
)

ROWS = (
    #   event      from           to           guards; fields
    Row("CREATE",  (ABSENT,),     "PENDING",   (asked_for,), {"due": plus(now, F("wait"))}),
    Row("CLAIM",   ("PENDING",),  "LEASED",    (due_delivery, in_schedule, in_turn),
        {"attempt": plus(F("attempt"), 1), "claims": plus(F("claims"), 1), "expires": plus(now, F("lease"))}),
    Row("CONFIRM", ("LEASED",),   "DELIVERED", (claim_held, proven), {"proof": Param("proof")}),
    Row("RELEASE", ("LEASED",),   "PENDING",   (lease_or_expired, sends_left, told),
        {"due": plus(now, Param("delay")), "error": Param("error")}),
    Row("BURY",    ("LEASED",),   "DEAD",      (lease_or_expired, no_sends_left, told), {"error": Param("error")}),
    Row("DEFER",   ("PENDING",),  "PENDING",   (out_of_schedule,), {"due": plus(now, F("wait"))}),
    Row("REDRIVE", ("DEAD",),     "PENDING",   (), {"attempt": Lit(0), "due": now}),
)

NO_OPS = (
    NoOp("REDRIVE", ("PENDING",), "it is already PENDING"),
)

REFUSALS = (
    Refusal("CREATE",  UNSETTLED,      "this run's delivery exists and is open"),
    Refusal("CREATE",  SETTLED,        "this run's delivery exists and is closed"),
    Refusal("CLAIM",   (ABSENT,),      "there is no delivery to claim"),
    Refusal("CLAIM",   ("LEASED",),    "another relay holds it; it comes back when its lease expires"),
    Refusal("CLAIM",   ("DELIVERED",), "it is delivered: nothing is left to send"),
    Refusal("CLAIM",   ("DEAD",),      "it is dead: redrive it first"),
    Refusal("CONFIRM", (ABSENT,),      "there is no delivery to confirm"),
    Refusal("CONFIRM", ("PENDING",),   "nobody holds it: the lease expired before the proof came"),
    Refusal("CONFIRM", ("DELIVERED",), "it is confirmed already"),
    Refusal("CONFIRM", ("DEAD",),      "it is dead: the proof came too late, redrive it"),
    Refusal("RELEASE", (ABSENT,),      "there is no delivery to release"),
    Refusal("RELEASE", ("PENDING",),   "nobody holds it"),
    Refusal("RELEASE", ("DELIVERED",), "it is delivered: there is nothing to try again"),
    Refusal("RELEASE", ("DEAD",),      "it is dead: only REDRIVE tries it again"),
    Refusal("BURY",    (ABSENT,),      "there is no delivery to bury"),
    Refusal("BURY",    ("PENDING",),   "it has not failed: it waits to be claimed"),
    Refusal("BURY",    ("DELIVERED",), "it is delivered: nothing failed"),
    Refusal("BURY",    ("DEAD",),      "it is dead already"),
    Refusal("DEFER",   (ABSENT,),      "there is no delivery to defer"),
    Refusal("DEFER",   ("LEASED",),    "a relay holds it and delivers it"),
    Refusal("DEFER",   ("DELIVERED",), "it is delivered: nothing of it waits"),
    Refusal("DEFER",   ("DEAD",),      "it is dead: no schedule brings it back"),
    Refusal("REDRIVE", (ABSENT,),      "there is no delivery to redrive"),
    Refusal("REDRIVE", ("LEASED",),    "a relay is delivering it just now"),
    Refusal("REDRIVE", ("DELIVERED",), "it is delivered and proven: nothing is left to redrive"),
)

DELIVERY_TABLE = Table(DELIVERY_KIND, ROWS, NO_OPS, REFUSALS, reopening=("REDRIVE",))
