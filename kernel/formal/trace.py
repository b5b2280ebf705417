"""A history is a trace: line by line, the first step that the specification does not allow.

Every line must be a line of the tables, start where its row stands, stand in the right commit, be brought about by the step
that it names, and find true what is known of its guards. No rule of progress may be enabled that comes before the one that was
taken, and none when a commit is complete; then the state invariants hold, too. `kernel.formal.known` says what is known. Of a
tree only what a line touches is looked at, so that its size costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kernel.formal.known import Guards, Knowledge, Shifts, Stepping, Taking, moves, standard_knowledge, turns
from kernel.formal.renewal import renew
from kernel.formal.told import Entry, Flow, Job, Line, Misstep, NotAllowed, Outline, Record, TaskOutline, Told
from kernel.spec.language import Guard
from kernel.spec.vocabulary import ABSENT, LIVE, UNSETTLED

NOTHING: Mapping[str, Any] = {}
"""A history tells nothing of what callers presented."""
ARCHIVE, NOTIFY = "archive", "notify"
"""The topic that a store may have a policy of its own for, and that of changes of status."""


def _no_policy(at: int) -> str | None:
    return None


class Trace(Told):
    """Feeds on the history of one tree, line by line."""

    def __init__(
        self, outline_of: Callable[[str, int], Outline], archiving: Callable[[int], str | None] = _no_policy,
        knowledge: Knowledge | None = None,
    ) -> None:
        """`outline_of` gives what the definition says of a workflow that a run starts; raises LookupError.

        `archiving` tells what the store itself says at a time of which ends archives hear; None leaves it to definitions.
        """
        self.knowledge = known = knowledge or standard_knowledge()
        self.outline_of, self.archiving = outline_of, archiving
        super().__init__()
        self.at = self.moved = self.run = 0
        self.last: Line | None = None
        self.top: Flow | None = None
        """The root."""
        self.enabled = [0] * len(known.spec.progress)
        """How many rows each rule of progress is enabled on."""
        self.looked: dict[Record, None] = {}
        """The rows that the commit may have changed something for."""
        self.awaited: list[Entry] = []
        """The notices that this commit has to write."""
        self.notices: dict[str, dict[Entry, None]] = {}
        """The open notices of each workflow."""
        self.command = ""
        self.renewed: list[Flow] = []
        """The workflows that began a run, until all is set aside that stays behind."""
        self.anchor: tuple[int, Misstep | None] | None = None
        """Of the row that the command is on: how long its id is, and which guard of the command does not hold."""
        self._width = {kind: known.width(kind) for kind in known.spec.kinds}

    # ---- lines ----------------------------------------------------------------------------------------------------------
    def feed(self, line: Line) -> None:
        """Take the next line. Raises NotAllowed."""
        if line.seq != self.seq + 1:
            raise self._wrong(line, "the order of lines", f"the line before it was number {self.seq}")
        if self.begins(line):
            self.settle()
            self._begin(line)
        elif line.at != self.at:
            raise self._wrong(line, "one commit", "a commit has one version and one time")
        if self.renewed and line.kind != "delivery" and line.event not in self.knowledge.reopening:
            self._renew()
        if line.kind == "task":
            self._task(line)
        elif line.kind == "workflow":
            self._workflow(line)
        else:
            self._delivery(line)
        self.seq, self.last, self.moved = line.seq, line, self.moved + line.rows

    def begins(self, line: Line) -> bool:
        """Whether a line is the first one of a commit."""
        last = self.last
        return last is None or line.command_id != last.command_id or line.version != last.version

    def _begin(self, line: Line) -> None:
        """A commit begins: its version is the next one where its command changes the tree; time does not go back."""
        stepping = self.knowledge.steps.get(line.by)
        raises = stepping is None or stepping.raises
        if line.version != self.version + raises:
            raise self._wrong(line, "versions", f"its version is {line.version}, after {self.version}")
        if line.at < self.at:
            raise self._wrong(line, "time", "it is older than what came before it")
        self.version, self.at, self.command, self.anchor, self.run = line.version, line.at, "", None, line.run

    def settle(self) -> None:
        """The commit is complete: no rule is enabled any more, and the state invariants hold. Raises NotAllowed."""
        last = self.last
        self._renew()
        if last is None or not self.looked:
            return
        if self.anchor is not None and self.anchor[1] is not None:
            raise NotAllowed(self.anchor[1])
        if self.top is not None and self.top.run != self.run:
            raise self._wrong(last, "runs", f"its run is {self.run}, in run {self.top.run} of its tree")
        if any(self.enabled):
            row = next(row for row in self.looked if row.rule >= 0)
            rule = self.knowledge.spec.progress[row.rule].name
            raise self._wrong(last, "progress", f"the commit ends, and {rule} is enabled on {row}, which is {row.state}")
        for row in self.looked:
            for prop, holds in row.laws[row.state]:
                if not holds(row, NOTHING):
                    raise self._wrong(last, prop.id, f"the commit ends, and {row} is {row.state}: {prop.text}")
        for entry in self.awaited:
            if entry.state == ABSENT:
                raise self._wrong(last, "INV-03", f"the commit ends without a notice that {entry.of} is {entry.status}")
        self.looked.clear()
        self.awaited.clear()

    def _wrong(self, line: Line, rule: str, why: str, row: Record | None = None) -> NotAllowed:
        event, stands = f"{line.event} {line.source} -> {line.target}", "" if row is None else row.state
        root = line.workflow.partition("/")[0]
        return NotAllowed(
            Misstep(root, line.seq, line.version, line.workflow, line.subject, event, line.by, stands, rule, why))

    # ---- what a line may be ---------------------------------------------------------------------------------------------
    def _allowed(self, line: Line, row: Record, rows: int) -> Taking:
        """The row of the table that a line is. Raises NotAllowed."""
        takings = self.knowledge.cells.get((line.kind, line.event, line.source, line.target, row.judged))
        cause = line.kind, line.event
        if takings is None:
            raise self._wrong(line, "the tables", "no table has this line", row)
        if cause in self.knowledge.silent:
            raise self._wrong(line, "the tables", "it changes no state and has no place in the history", row)
        if row.state != line.source or line.rows != rows:
            raise self._wrong(line, "the tables", f"it is {row.state}", row)
        stepping = self.knowledge.steps.get(line.by)
        if stepping is None or cause not in stepping.causes:
            raise self._wrong(line, line.by, f"{line.by} does not bring this about", row)
        if line.kind != "delivery" and line.run != self.run:
            raise self._wrong(line, "runs", f"its run is {line.run}, in a commit of run {self.run}", row)
        if stepping.first == cause:
            self._check_step(line, row, stepping)
        for taking in takings:
            for _, holds in taking.guards:
                if not holds(row, NOTHING):
                    break
            else:
                return taking
        guard = next(guard for guard, holds in takings[0].guards if not holds(row, NOTHING))
        raise self._wrong(line, f"guard {guard.name!r}", guard.why, row)

    def _check_step(self, line: Line, row: Record, stepping: Stepping) -> None:
        """A step begins: one command in a commit; of the rules none comes before it that is enabled, too."""
        index, name = stepping.index, line.by
        on: Any = row
        if stepping.step.on != row.kind:  # the sub-workflow hands over to it, or its parent's task ran over
            on = row.child if isinstance(row, Job) else row.up if isinstance(row, Flow) else None
            if on is None:
                raise self._wrong(line, name, f"there is no {stepping.step.on} that it could be on", row)
        if index < 0:
            if self.command not in ("", name):
                raise self._wrong(line, "one commit", f"a commit has one command, and this one has {self.command}", row)
            self.command = name
            if stepping.guards and (self.anchor is None or len(line.workflow) < self.anchor[0]):
                failed = self._failed(stepping.guards, on)
                self.anchor = len(line.workflow), self._unmet(line, failed, row).misstep if failed else None
            return
        if isinstance(row, Flow) and row.up is not None and row.up.wf.state not in LIVE:
            return  # swept by the end above it
        for before in range(index):
            if self.enabled[before]:
                first = next(other for other in self.looked if other.rule == before)
                rule = self.knowledge.spec.progress[before].name
                raise self._wrong(line, "the order of progress", f"{rule} comes first: {first} is {first.state}", row)
        failed = self._failed(stepping.guards, on)
        if failed:
            raise self._unmet(line, failed, row)

    def _unmet(self, line: Line, guard: Guard, row: Record) -> NotAllowed:
        return self._wrong(line, f"guard {guard.name!r} of {line.by}", guard.why or f"it is not so: {guard.name}", row)

    def _failed(self, guards: Guards, row: Any) -> Guard | None:
        return next((guard for guard, holds in guards if not holds(row, NOTHING)), None)

    # ---- tasks ----------------------------------------------------------------------------------------------------------
    def _task(self, line: Line) -> None:
        flow = self.flows.get(line.workflow)
        if flow is None:
            raise self._wrong(line, "the tables", "it is ABSENT: its workflow was never started")
        if not line.subject:
            self._together(line, flow)
            return
        no = flow.outline.index.get(line.subject)
        if no is None and line.source == ABSENT:  # spawned since its outline was asked for
            renew(flow, self._outline(flow.id, flow.run, line), self._job)
            no = flow.outline.index.get(line.subject)
        if no is None:
            raise self._wrong(line, "the definition", "it has no such task")
        job = flow.tasks[no]
        self._take(job, self._allowed(line, job, 1))
        if line.attempt != (job.attempt if line.target != ABSENT else 0):
            raise self._wrong(line, "attempts", f"it is in attempt {job.attempt}, its history tells {line.attempt}", job)
        self._move(job, line.target)

    def _take(self, job: Job, taking: Taking) -> None:
        """What of the fields that are set is known."""
        if taking.attempt is not None:
            job.attempt = taking.attempt(job, NOTHING)
        if taking.signalled is not None:
            job.signalled = taking.signalled(job, NOTHING)

    def _together(self, line: Line, flow: Flow) -> None:
        """One line for all tasks of a workflow that were in one state."""
        jobs = [job for job in flow.tasks if job.state == line.source and not (job.added and line.source == ABSENT)]
        if len(jobs) != line.rows or not jobs:
            raise self._wrong(line, "the tables", f"it counts {line.rows}, and {len(jobs)} tasks are {line.source}")
        for job in jobs:
            self._take(job, self._allowed(line, job, line.rows))
            if line.attempt not in (0, job.attempt):
                raise self._wrong(line, "attempts", f"attempt {job.attempt} begins, its history tells {line.attempt}", job)
        for job in jobs:
            self._move(job, line.target)

    def _move(self, job: Job, target: str) -> None:
        """A task changes its state: whoever counts it counts anew, whoever reads it is looked at."""
        source, flow = job.state, job.wf
        job.state = target
        if source != target:
            own, behind = job.moves
            self._count(flow, own[source, target])
            if after := behind[source, target]:
                for no in flow.outline.successors[job.no]:
                    self._count(flow.tasks[no], after)
        self._look(job)
        if job.children:
            for child in job.children.values():
                self._look(child)

    def _count(self, row: Flow | Job, shifts: Shifts) -> None:
        """Counters change; a condition reads of one only whether it is 0."""
        counts, crossed = row.counts, False
        for place, by_how_much in shifts:
            before = counts[place]
            counts[place] = after = before + by_how_much
            crossed = crossed or not (before and after)
        if crossed:
            self._look(row)

    def _look(self, row: Flow | Job) -> None:
        """Which rule is enabled on a row now; and it is to be judged when the commit is complete."""
        rule, state = -1, row.state
        rules = row.agenda[state]
        for index, holds in rules:
            if holds(row, NOTHING):
                rule = index
                break
        if rule != row.rule:
            if row.rule >= 0:
                self.enabled[row.rule] -= 1
            if rule >= 0:
                self.enabled[rule] += 1
            row.rule = rule
        if isinstance(row, Job):
            if rule >= 0 or (rules and row.wf.state == "PAUSED"):
                row.wf.waiting[row] = None
            elif row.wf.waiting:
                row.wf.waiting.pop(row, None)
        self.looked[row] = None

    # ---- workflows ------------------------------------------------------------------------------------------------------
    def _workflow(self, line: Line) -> None:
        flow = self.flows.get(line.workflow)
        if flow is None or (line.source == flow.state == ABSENT):
            flow = self._born(line)
        taking = self._allowed(line, flow, 1)
        if taking.run is not None:
            flow.run = taking.run(flow, NOTHING)
            if flow.run != line.run:
                raise self._wrong(line, "runs", f"run {flow.run} begins, its history tells {line.run}", flow)
            self.renewed.append(flow)
        self._turn(flow, line)

    def _born(self, line: Line) -> Flow:
        """A workflow that does not stand anywhere yet, and its tasks."""
        parent, _, name = line.workflow.rpartition("/")
        up = None
        if parent:
            above = self.flows.get(parent)
            no = None if above is None else above.outline.index.get(name.partition("~")[0])
            if above is None or no is None:
                raise self._wrong(line, "the definition", "no task starts it")
            up = above.tasks[no]
        outline = self._outline(line.workflow, line.run, line)
        flow = Flow(line.workflow, outline, up, line.attempt, [0] * self._width["workflow"],
                    self.knowledge.agenda["workflow", "", False], self.knowledge.laws["workflow", "", False])
        flow.tasks = [self._job(flow, no, task) for no, task in enumerate(outline.tasks)]
        self.flows[line.workflow] = flow
        if up is None:
            self.top = flow
        else:
            up.children = {**(up.children or {}), line.attempt: flow}
        return flow

    def _outline(self, workflow: str, run: int, line: Line) -> Outline:
        try:
            return self.outline_of(workflow, run)
        except LookupError as error:
            raise self._wrong(line, "the definition", "its row is missing: nothing says what it was started from") from error

    def _renew(self) -> None:
        """Who began a run goes on with the tasks of that run."""
        while self.renewed and self.last is not None:
            renew(flow := self.renewed.pop(), self._outline(flow.id, flow.run, self.last), self._job)

    def _job(self, flow: Flow, no: int, task: TaskOutline) -> Job:
        told, key = (task.optional, task.permissive, task.asks, task.mode), ("task", task.mode, task.judged)
        return Job(flow, no, task.ref, task.mode, task.optional, task.permissive, task.tries, task.on_expiry, task.asks,
                   task.branch, task.judged, task.added, [0] * self._width["task"], moves(self.knowledge, told),
                   self.knowledge.agenda[key], self.knowledge.laws[key])

    def _turn(self, flow: Flow, line: Line) -> None:
        """A workflow changes its state."""
        up, ending = flow.up, self.knowledge.ending
        before, flow.state = flow.state, line.target
        if line.target == ABSENT:
            flow.run = 0
        if up is not None:
            shifts = turns(self.knowledge)[before, line.target]
            above: Job | None = up
            while above is not None:
                for place, by_how_much in shifts:
                    above.wf.counts[place] += by_how_much
                self.looked[above.wf] = None
                above = above.wf.up
            if line.target in LIVE:
                up.wf.live[flow] = None
            else:
                up.wf.live.pop(flow, None)
            self._look(up)
        self._look(flow)
        for child in flow.live:
            self._look(child)
        for job in list(flow.waiting):
            self._look(job)
        if line.target in ending and before not in ending:
            self._expect(flow, line.at)
        if line.target in flow.outline.notify and line.target != before:
            self._notice(flow, line)

    def _expect(self, flow: Flow, at: int) -> None:
        """The deliveries that may be written for an end: what each topic hears of is decided now."""
        for topic, hears, own in flow.outline.topics:
            asked = (self.archiving(at) if topic == ARCHIVE else None) or hears
            entry = self._entry(flow, flow.run, topic, asked, own)
            self.entries[flow.id, flow.run, topic] = entry
            self.looked[entry] = None

    def _notice(self, flow: Flow, line: Line) -> None:
        """The notice that must be written for a change of status."""
        entry = self._entry(flow, flow.run, f"{NOTIFY}@{line.version}.{line.target}", "CHANGES", 0)
        entry.status, entry.place, entry.line = line.target, line.seq, self.notices.setdefault(flow.id, {})
        self.entries[flow.id, flow.run, entry.topic] = entry
        self.awaited.append(entry)

    # ---- deliveries -----------------------------------------------------------------------------------------------------
    def _entry(self, flow: Flow, run: int, topic: str, hears: str, own: int) -> Entry:
        sort = "delivery", "", False
        return Entry(flow, run, topic, hears, own, self.knowledge.laws[sort], self.knowledge.agenda[sort])

    def _delivery(self, line: Line) -> None:
        flow, place = self.flows.get(line.workflow), (line.workflow, line.run, line.subject)
        entry = self.entries.get(place)
        if entry is None:
            if flow is None:
                raise self._wrong(line, "the tables", "it is ABSENT: its workflow was never started")
            entry = self.entries[place] = self._entry(flow, line.run, line.subject, "NOTHING", 0)
        taking = self._allowed(line, entry, 1)
        if taking.attempt is not None:
            entry.attempt = taking.attempt(entry, NOTHING)
        if entry.attempt != line.attempt:
            raise self._wrong(line, "attempts", f"it is in attempt {entry.attempt}, its history tells {line.attempt}", entry)
        entry.state = line.target
        if entry.status and line.target in UNSETTLED:
            entry.line[entry] = None
        else:
            entry.line.pop(entry, None)
