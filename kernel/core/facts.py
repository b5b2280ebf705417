"""What the tables read of definitions: durations in microseconds, choices by name, flags as numbers; made once."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from kernel.core.archive import ARCHIVE, COMPENSATION, NOTIFY, Hearing, Zones, compiled
from kernel.core.definitions import TaskDef, TaskKind
from kernel.core.moments import duration, moment
from kernel.core.order import Positions
from kernel.core.structure import Definition
from kernel.core.template import is_templated
from kernel.spec.language import NEVER

MICROSECONDS = 1_000_000
LARGEST_DOUBLING = 40
"""How often a delay is doubled at most; it is longer than any time by then."""
OWN = -1
"""In place of a task's position: the workflow itself (its payload, its history)."""


def microseconds(seconds: float | None) -> int:
    """A duration in seconds as stored; None never comes."""
    return NEVER if seconds is None else round(seconds * MICROSECONDS)


@frozen
class Facts:
    """What the tables read of a task's definition; the attributes of the kind `task`."""

    ref: str
    type: str
    mode: str
    optional: int
    permissive: int
    tries: int
    retry_delay: int
    retry_logic: str
    retry_delay_max: int
    retry_jitter: int
    lease: int
    poll_timeout: int
    attempt_timeout: int
    total_timeout: int
    wait_for: int | None
    wait_until: int | None
    """None for a wait that depends on expressions: it is judged."""
    on_expiry: str
    asks: str
    branch: int
    switch: int
    """The position of the switch in whose branch it stands, when it stands in one."""
    judged: bool
    """Whether something may prevent it: expressions to resolve, a sub-workflow to find, a switch that chooses otherwise."""
    added: int = 0
    """1 when a result added it to the running workflow."""


_WRITING = (TaskKind.SWITCH, TaskKind.SET, TaskKind.TERMINATE, TaskKind.DYNAMIC)
"""What is judged even without expressions: what it writes when it is passed is found out by judging."""


def wait_for(given: object) -> int | None:
    """A duration as an author writes it, in microseconds; None where an expression gives it. Raises InvalidInput."""
    return None if is_templated(given) else NEVER if given is None else round(duration(given) * MICROSECONDS)


def wait_until(given: object) -> int | None:
    """A time as an author writes it; None where an expression gives it. Raises InvalidInput."""
    return None if is_templated(given) else NEVER if given is None else moment(given)


def facts_of(task: TaskDef, switch: int = OWN, branch: int = 0) -> Facts:
    """The facts of one task definition, which stands in a branch of a switch or in none."""
    return Facts(
        ref=task.ref, type=task.type, mode=task.mode.value, optional=int(task.optional), permissive=int(task.permissive),
        tries=task.retries + 1, retry_delay=microseconds(task.retry_delay), retry_logic=task.retry_logic.value,
        retry_delay_max=microseconds(task.retry_delay_max), retry_jitter=microseconds(task.retry_jitter),
        lease=microseconds(task.lease), poll_timeout=microseconds(task.poll_timeout),
        attempt_timeout=microseconds(task.attempt_timeout), total_timeout=microseconds(task.total_timeout),
        wait_for=wait_for(task.wait_for), wait_until=wait_until(task.wait_until),
        on_expiry=task.on_expiry.value, asks=task.asks or "",
        branch=branch, switch=switch,
        judged=branch > 0 or task.workflow is not None or task.kind in _WRITING or is_templated(
            [task.input, task.wait_for, task.wait_until]),
    )


@frozen
class Spawned:
    """A task beyond a definition: its position, that of the task whose result added it, and those that wait for it."""

    no: int
    by: int
    before: Positions
    task: TaskDef


Counted = tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]
"""The counters of a workflow whose tasks were just created, and of each of its tasks."""


@frozen(eq=False)
class Prepared:
    """A definition made ready to run: its structure and the facts of its tasks, by position."""

    definition: Definition
    facts: tuple[Facts, ...]
    timeout: int
    hearings: Mapping[str, Hearing] = field(factory=dict)
    """What each topic hears; of a topic that is not here, all ends."""
    on_timeout: str = "TIME_OUT_WF"
    notify: tuple[str, ...] = ()
    """The statuses that its notices tell of."""
    spawned: Mapping[int, Spawned] = field(factory=dict)
    """The tasks beyond the definition, by position."""
    base: Prepared | None = None
    """As it was registered, when this one has tasks beyond that."""
    counted: dict[object, Counted] = field(factory=dict, init=False, repr=False)
    """What its tasks count for when they are created, by the line of the table that creates them: found out once."""

    @property
    def registered(self) -> Prepared:
        """As it was registered."""
        return self.base or self

    @property
    def size(self) -> int:
        """How many tasks there are; positions that nobody has any more do not count."""
        return len(self.registered.facts) + len(self.spawned)

    @property
    def digest(self) -> str:
        """Identifies the content."""
        return self.definition.digest

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that may hear of a run's end."""
        source = self.definition.source
        return (*source.topics, COMPENSATION) if source.failure_workflow else source.topics


def prepare(definition: Definition, zones: Zones | None = None) -> Prepared:
    """Make a definition ready to run. `zones` gives the rules of the zone that its archive policy names, if it names one."""
    source = definition.source
    facts = tuple(facts_of(task, *where) for task, where in zip(source.tasks, definition.switches, strict=True))
    hearings = {
        ARCHIVE: compiled(source.archive, zones),
        COMPENSATION: Hearing("BAD_ENDS" if source.failure_on_terminate else "FAILURES", own=1),
        NOTIFY: Hearing("CHANGES"),
    }
    return Prepared(definition, facts, microseconds(source.timeout), hearings, source.on_timeout.value, source.notify)


class Attributes:
    """The attributes of a task that its definition gives, on its row."""

    __slots__ = ()

    facts: Facts
    attempt: int

    @property
    def ref(self) -> str:
        """Its reference in the definition."""
        return self.facts.ref

    @property
    def mode(self) -> str:
        """Who moves it."""
        return self.facts.mode

    @property
    def optional(self) -> int:
        """1 when its bad end is COMPLETED_WITH_ERRORS."""
        return self.facts.optional

    @property
    def permissive(self) -> int:
        """1 when its bad end lets its successors go on."""
        return self.facts.permissive

    @property
    def tries(self) -> int:
        """How many attempts it has."""
        return self.facts.tries

    @property
    def retry_delay(self) -> int:
        """How long the attempt after the present one waits, less the jitter."""
        facts = self.facts
        delay = facts.retry_delay
        if facts.retry_logic == "LINEAR_BACKOFF":
            delay *= self.attempt
        elif facts.retry_logic == "EXPONENTIAL_BACKOFF":
            delay <<= min(self.attempt - 1, LARGEST_DOUBLING)
        return min(delay, facts.retry_delay_max)

    @property
    def retry_jitter(self) -> int:
        """How much longer than that it waits at most."""
        return self.facts.retry_jitter

    @property
    def lease(self) -> int:
        """How long a worker holds it without a heartbeat."""
        return self.facts.lease

    @property
    def poll_timeout(self) -> int:
        """How long it may stay SCHEDULED."""
        return self.facts.poll_timeout

    @property
    def attempt_timeout(self) -> int:
        """How long one attempt may take."""
        return self.facts.attempt_timeout

    @property
    def total_timeout(self) -> int:
        """How long all its attempts may take."""
        return self.facts.total_timeout

    @property
    def on_expiry(self) -> str:
        """What its expiry does."""
        return self.facts.on_expiry

    @property
    def asks(self) -> str:
        """How a TERMINATE task ends its workflow."""
        return self.facts.asks

    @property
    def branch(self) -> int:
        """Which branch of its switch it stands in, counted from 1; 0 for a task in none."""
        return self.facts.branch

    @property
    def added(self) -> int:
        """1 when a result added it to the running workflow."""
        return self.facts.added
