"""What the outbox is told: the cause of a notice."""

from __future__ import annotations

import json

from kernel.core.outbox import cause_of, swept_cause
from kernel.core.plan import Cascade, Command, Plan, Subject
from kernel.core.program import standard_program
from kernel.core.records import Change, TreeRow


def test_a_cascade_tells_what_the_change_itself_tells() -> None:
    """Stores that move a whole set know no single change: the cause is the same, but for the state that each row was in."""
    (line,) = standard_program().cells["workflow"]["RUNNING", "TERMINATE"]
    plan = Plan(Command("TERMINATE", Subject("w"), id="c", actor="ada"), 7, TreeRow("w", 1, 2, 7, 0), False)
    cascade = Cascade("TERMINATE", "workflow", "subs", "w", line, lambda row, given: True, {}, (), "TERMINATE", "because")
    change = Change("workflow", "w/sub", "", "TERMINATE", "PAUSED", line.target, 0, 1, "TERMINATE", "because")
    told = swept_cause(cascade, "PAUSED", plan)
    assert told == cause_of(change, plan.command, plan.now)
    assert json.loads(told) == {"actor": "ada", "at": 7, "before": "PAUSED", "by": "TERMINATE", "command_id": "c",
                                "event": "TERMINATE", "reason": "because"}
