"""The law: the lifecycles, commands, cascades, progress rules and invariants, as data.

`SPEC` is the whole specification; `WORKFLOW`, `TASK` and `DELIVERY` are its lifecycles, each a table and the `transitions`
Machine built from it: `kernel.spec.TASK.machine().get_triggers("IN_PROGRESS")`.

The language that it is written in is public, for lifecycles of one's own; `flaws` and `checked` look for mistakes.
"""

from __future__ import annotations

from kernel.spec.check import checked, flaws
from kernel.spec.commands import COMMANDS, FOLLOWS, ON_ENTER
from kernel.spec.delivery import DELIVERY_TABLE
from kernel.spec.invariants import PROPERTIES
from kernel.spec.language import (
    NEVER,
    YES,
    Enter,
    F,
    Field,
    Fire,
    Follow,
    Guard,
    Kind,
    Link,
    Linked,
    Lit,
    Lock,
    Nature,
    NoOp,
    Param,
    Place,
    Property,
    Q,
    Refusal,
    Row,
    Sort,
    Spec,
    Step,
    Table,
    both,
    earliest,
    either,
    eq,
    every,
    implies,
    is_,
    latest,
    lt,
    minus,
    no,
    part,
    plus,
    some,
    then_,
)
from kernel.spec.lemmas import LEMMAS
from kernel.spec.machine import Lifecycle
from kernel.spec.progress import PROGRESS
from kernel.spec.task import TASK_TABLE
from kernel.spec.vocabulary import ABSENT, KINDS, LINKS
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

__all__ = [
    "ABSENT", "DELIVERY", "NEVER", "SPEC", "TASK", "WORKFLOW", "YES", "Enter", "F", "Field", "Fire", "Follow", "Guard",
    "Kind", "Lifecycle", "Link", "Linked", "Lit", "Lock", "Nature", "NoOp", "Param", "Place", "Property", "Q", "Refusal",
    "Row", "Sort", "Spec", "Step", "Table", "both", "checked", "earliest", "either", "eq", "every", "flaws", "implies",
    "is_", "latest", "lt", "minus", "no", "part", "plus", "some", "then_",
]
