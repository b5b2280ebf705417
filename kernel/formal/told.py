"""The rows of a tree as its history tells them, and what that needs besides: lines, and what definitions give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from attrs import define, field, frozen

from kernel.formal.known import Agenda, Laws, Moves
from kernel.spec.vocabulary import ABSENT

Place = tuple[str, str, int, str]
"""Kind, workflow, the run that a delivery is about (else 0), subject."""
Standing = tuple[str, int]
"""State, and the run of a workflow, or the attempt of a task or delivery."""


@frozen
class Misstep:
    """The first step in the history of a tree that the specification does not allow.

    `event` is empty where the history is sound and a row is not as it tells: then `line` is the last line until there.
    """

    root: str
    line: int
    version: int
    workflow_id: str
    subject: str
    """The task's reference or the delivery's topic; empty for the workflow itself or for a whole set of tasks."""
    event: str
    """The event and where it led, as the line says."""
    by: str
    """The command or the rule of progress that the line names."""
    stands: str
    """Where the row stood; empty where there was none."""
    rule: str
    """The invariant, guard or table that forbids it."""
    why: str

    def __str__(self) -> str:
        what = f"{self.event or 'the row'} of {self.workflow_id} {self.subject}".rstrip()
        return f"line {self.line} ({what}{', by ' if self.by else ''}{self.by}): {self.rule}: {self.why}"


class NotAllowed(Exception):
    """A history tells of a step that is not allowed."""

    def __init__(self, misstep: Misstep) -> None:
        super().__init__(str(misstep))
        self.misstep = misstep


class Line(Protocol):
    """A line of history as a store keeps it."""

    @property
    def seq(self) -> int:
        """Its number in its tree: 1, 2, 3 ..."""

    @property
    def version(self) -> int:
        """That of its tree after the commit."""

    @property
    def run(self) -> int:
        """The run of its tree; of a delivery the run that it is about."""

    @property
    def at(self) -> int:
        """When, in microseconds."""

    @property
    def kind(self) -> str:
        """Workflow, task or delivery."""

    @property
    def workflow(self) -> str:
        """The workflow's id."""

    @property
    def subject(self) -> str:
        """The task's reference or the delivery's topic; empty for a workflow, or for tasks that moved together."""

    @property
    def event(self) -> str:
        """What happened."""

    @property
    def source(self) -> str:
        """The state before it."""

    @property
    def target(self) -> str:
        """The state after it."""

    @property
    def attempt(self) -> int:
        """The attempt after it; of a workflow the attempt of its parent's task."""

    @property
    def rows(self) -> int:
        """How many rows moved together."""

    @property
    def by(self) -> str:
        """The command or rule behind it."""

    @property
    def command_id(self) -> str:
        """What the lines of one commit share."""


class TaskOutline(Protocol):
    """What the definition of a task gives its rows."""

    ref: str
    mode: str
    optional: int
    permissive: int
    tries: int
    on_expiry: str
    asks: str
    branch: int
    switch: int
    judged: bool
    added: int


@frozen(eq=False)
class Outline:
    """What a definition gives the rows of a workflow, and no history tells; tasks by position, those spawned in its run too."""

    tasks: tuple[Any, ...]
    """Each a TaskOutline."""
    index: Mapping[str, int]
    successors: tuple[tuple[int, ...], ...]
    topics: tuple[tuple[str, str, int], ...]
    """For each topic: its name, what it hears of, and whether only of ends on the workflow's own account."""
    on_timeout: str = "TIME_OUT_WF"
    restartable: int = 1
    notify: tuple[str, ...] = ()
    """The statuses of which there are notices."""


@frozen
class Stood:
    """A state and nothing else: where a workflow stood, or a sub-workflow that is not there."""

    state: str


NOBODY = Stood(ABSENT)


@define(eq=False)
class Flow:
    """A workflow as its history tells it."""

    kind: ClassVar[str] = "workflow"
    judged: ClassVar[bool] = False

    id: str
    outline: Outline
    up: Job | None
    slot: int
    counts: list[int]
    agenda: Agenda
    laws: Laws
    state: str = ABSENT
    run: int = 0
    rule: int = -1
    tasks: list[Job] = field(factory=list)
    live: dict[Flow, None] = field(factory=dict)
    """Its live sub-workflows, one level down."""
    waiting: dict[Job, None] = field(factory=dict)
    """The tasks to be looked at again when its state changes."""

    @property
    def root(self) -> int:
        """1 for a root."""
        return int(self.up is None)

    @property
    def on_timeout(self) -> str:
        """What its deadline does."""
        return self.outline.on_timeout

    @property
    def restartable(self) -> int:
        """1 when it may be restarted although it COMPLETED."""
        return self.outline.restartable

    def __str__(self) -> str:
        return f"workflow {self.id}"


@define(eq=False)
class Job:
    """A task as its history tells it."""

    kind: ClassVar[str] = "task"

    wf: Flow
    no: int
    ref: str
    mode: str
    optional: int
    permissive: int
    tries: int
    on_expiry: str
    asks: str
    branch: int
    judged: bool
    added: int
    counts: list[int]
    moves: Moves
    agenda: Agenda
    laws: Laws
    state: str = ABSENT
    attempt: int = 0
    signalled: int = 0
    rule: int = -1
    children: dict[int, Flow] | None = None
    """Of a sub-workflow task: the sub-workflow of each attempt that started one."""

    @property
    def child(self) -> Flow | Stood:
        """The sub-workflow of its present attempt."""
        return (self.children or {}).get(self.attempt, NOBODY)

    @property
    def switch(self) -> Job:
        """The switch in whose branch it stands."""
        where: int = self.wf.outline.tasks[self.no].switch
        return self.wf.tasks[where]

    def __str__(self) -> str:
        return f"task {self.ref} of {self.wf.id}"


@define(eq=False)
class Entry:
    """A delivery as its history tells it."""

    kind: ClassVar[str] = "delivery"
    judged: ClassVar[bool] = False

    of: Flow
    run: int
    topic: str
    """With what a notice tells of."""
    hears: str
    own: int
    laws: Laws
    agenda: Agenda
    status: str = ""
    """What a notice tells of."""
    place: int = 0
    """Of a notice: its place among those of its tree."""
    line: dict[Entry, None] = field(factory=dict)
    """The open notices of its workflow, of all runs."""
    state: str = ABSENT
    attempt: int = 0
    rule: int = -1

    @property
    def news(self) -> int:
        """1 for a notice whose workflow has come to the status that it tells of."""
        return int(self.status == self.of.state)

    def behind(self, link: str) -> Iterable[Entry]:
        """The open ones of the notices before this one; over no other link."""
        return (other for other in self.line if other.place < self.place)

    def __str__(self) -> str:
        return f"delivery {self.topic} of {self.of.id}"


Record = Flow | Job | Entry


class Told:
    """Every row of one tree, as far as its history was read."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.entries: dict[tuple[str, int, str], Entry] = {}
        self.seq = self.version = 0

    def standing(self) -> Iterator[tuple[Place, Standing]]:
        """Where every row stands that there is."""
        for flow in self.flows.values():
            if flow.state != ABSENT:
                yield ("workflow", flow.id, 0, ""), (flow.state, flow.run)
                for job in flow.tasks:
                    if job.state != ABSENT:
                        yield ("task", flow.id, 0, job.ref), (job.state, job.attempt)
        for (workflow, run, topic), entry in self.entries.items():
            if entry.state != ABSENT:
                yield ("delivery", workflow, run, topic), (entry.state, entry.attempt)

    def differences(self, rows: Mapping[Place, Standing], *, deliveries: bool = True) -> Iterator[Misstep]:
        """Where the rows of a store are not as the history tells."""
        told = {place: stands for place, stands in self.standing() if deliveries or place[0] != "delivery"}
        for place in dict.fromkeys((*told, *rows)) if told != rows else ():
            stands, wanted = rows.get(place), told.get(place)
            if stands != wanted:
                kind, workflow, _, subject = place
                why = f"the {kind} is {_said(place, stands)}, its history tells {_said(place, wanted)}"
                yield Misstep(workflow.partition("/")[0], self.seq, self.version, workflow, subject, "", "",
                              _said(place, stands), "the rows", why)


def _said(place: Place, stands: Standing | None) -> str:
    if stands is None:
        return ABSENT
    return f"{stands[0]}, {'run' if place[0] == 'workflow' else 'attempt'} {stands[1]}"
