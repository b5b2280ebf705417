"""The law: the lifecycles, commands, cascades, progress rules and invariants, as data.

`SPEC` is the whole specification; `WORKFLOW`, `TASK` and `DELIVERY` are its lifecycles, each a table and the `transitions`
Machine built from it: `kernel.spec.TASK.machine().get_triggers("IN_PROGRESS")`.
"""

from __future__ import annotations

from kernel.spec.commands import COMMANDS, FOLLOWS, ON_ENTER
from kernel.spec.delivery import DELIVERY_TABLE
from kernel.spec.invariants import PROPERTIES
from kernel.spec.language import Spec
from kernel.spec.lemmas import LEMMAS
from kernel.spec.machine import Lifecycle
from kernel.spec.progress import PROGRESS
from kernel.spec.task import TASK_TABLE
from kernel.spec.vocabulary import KINDS, LINKS
from kernel.spec.workflow import WORKFLOW_TABLE

WORKFLOW = Lifecycle(WORKFLOW_TABLE)
TASK = Lifecycle(TASK_TABLE)
DELIVERY = Lifecycle(DELIVERY_TABLE)

SPEC = Spec(
    kinds=KINDS,
    links=LINKS,
    tables={"workflow": WORKFLOW_TABLE, "task": TASK_TABLE, "delivery": DELIVERY_TABLE},
    on_enter=ON_ENTER,
    commands=COMMANDS,
    progress=PROGRESS,
    properties=PROPERTIES,
    follows=FOLLOWS,
    lemmas=LEMMAS,
)

__all__ = ["DELIVERY", "SPEC", "TASK", "WORKFLOW", "Lifecycle", "Spec"]
