"""Replays a tree's history to the states of its rows: INV-08.

Every line must be a line of the tables, start where its row stands, and stand in the right commit; in the end the replayed
states are those of the rows. A line without a subject moves all tasks of its workflow that are in its source state, and
counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kernel.core.definitions import WorkflowDef
from kernel.core.records import root_of
from kernel.engine.entities import EPOCH, HistoryRow
from kernel.engine.kernel import Kernel
from kernel.spec import SPEC
from kernel.spec.language import Lock, Spec
from kernel.testing.checks import must_end
from kernel.testing.dump import Definitions, TreeDump, dumped

ABSENT = "ABSENT"
STARTS = ("UNCHOSEN", "REJECT", "SCHEDULE", "PASS", "LAUNCH_WAIT", "LAUNCH_CHILD", "SIGNALLED")
"""The progress rules that come after every end."""
SILENT = ("HEARTBEAT", "SHIFT", "DEFER")
"""Events that change no state."""
States = dict[tuple[str, int, str], tuple[str, int]]
"""(workflow, run that it is about, subject) -> (state, attempt). A task is about no run but the present one: 0."""


class Mismatch(AssertionError):
    """The history does not tell what happened."""


class Replay:
    """The states of one tree as its history tells them, fed line by line."""

    def __init__(self, definition_of: Callable[[str], WorkflowDef], spec: Spec = SPEC) -> None:
        """`definition_of` gives the definition that a workflow of the tree was started from."""
        self.definition_of = definition_of
        self.lines = {(kind, row.event, source, row.target)
                      for kind, table in spec.tables.items() for row in table.rows for source in row.source}
        self.raising = {step.name: step.lock is Lock.TREE for step in spec.commands}
        self.workflows: dict[str, str] = {}
        self.tasks: States = {}
        self.deliveries: States = {}
        self.seq = self.version = self.fed = 0
        self.last: HistoryRow | None = None
        self.clock = EPOCH

    def feed(self, line: HistoryRow) -> None:
        """Take the next line. Raises Mismatch."""
        self._check_place(line)
        if (line.kind, line.event, line.source, line.target) not in self.lines:
            raise self._wrong(line, "no table has this line")
        if line.event in SILENT:
            raise self._wrong(line, "it changes no state and has no place in the history")
        if line.kind == "workflow":
            self._move_workflow(line)
        elif line.kind == "task" and not line.subject:
            self._move_together(line)
        else:
            self._move(line)
        self.seq, self.version, self.last = line.seq, line.version, line
        self.fed += 1

    def _wrong(self, line: HistoryRow, why: str) -> Mismatch:
        what = f"{line.kind} {line.workflow_id} {line.subject}".rstrip()
        return Mismatch(f"INV-08: line {line.seq} ({what}: {line.event} {line.source} -> {line.target}, by {line.by}): {why}")

    def _check_place(self, line: HistoryRow) -> None:
        """Lines, versions and times of a tree never go back, and each commit that changes the tree has a version of its own."""
        last = self.last
        if line.seq != self.seq + 1:
            raise self._wrong(line, f"the line before it was number {self.seq}")
        if line.at < self.clock:
            raise self._wrong(line, "it is older than what came before it")
        self.clock = line.at
        if last is not None and line.command_id == last.command_id:
            if line.version != last.version or line.at != last.at:
                raise self._wrong(line, "a commit has one version and one time")
            return
        raises = self.raising.get(line.by, True)  # a line by progress: of a command that has no line of its own
        if line.version != self.version + raises:
            raise self._wrong(line, f"its version is {line.version}, after {self.version}")

    def _move_workflow(self, line: HistoryRow) -> None:
        stands = self.workflows.get(line.workflow_id, ABSENT)
        if stands != line.source:
            raise self._wrong(line, f"it is {stands}")
        self.workflows[line.workflow_id] = line.target
        if line.target == ABSENT:
            del self.workflows[line.workflow_id]

    def _task(self, workflow: str, ref: str) -> tuple[str, int]:
        return self.tasks.get((workflow, 0, ref), (ABSENT, 0))

    def _move_together(self, line: HistoryRow) -> None:
        """One line for all tasks of a workflow that were in one state."""
        refs = [task.ref for task in self.definition_of(line.workflow_id).tasks]
        moved = [ref for ref in refs if self._task(line.workflow_id, ref)[0] == line.source]
        if len(moved) != line.count or not moved:
            raise self._wrong(line, f"it counts {line.count}, and {len(moved)} tasks are {line.source}")
        for ref in moved:
            attempt = self._task(line.workflow_id, ref)[1]
            self.tasks[line.workflow_id, 0, ref] = (line.target, line.attempt or attempt)
            if line.target == ABSENT:
                del self.tasks[line.workflow_id, 0, ref]

    def _move(self, line: HistoryRow) -> None:
        states = self.tasks if line.kind == "task" else self.deliveries
        place = (line.workflow_id, line.run if line.kind == "delivery" else 0, line.subject)
        stands = states.get(place, (ABSENT, 0))[0]
        if stands != line.source or line.count != 1:
            raise self._wrong(line, f"it is {stands}")
        if line.kind == "task" and line.by in STARTS:
            self._check_order(line)
        states[place] = (line.target, line.attempt)

    def _check_order(self, line: HistoryRow) -> None:
        """Ends come before starts: nothing starts in a workflow that has to end."""
        definition = self.definition_of(line.workflow_id)
        why = must_end(definition, [self._task(line.workflow_id, task.ref)[0] for task in definition.tasks])
        if why:
            raise self._wrong(line, f"its workflow has to end first: {why}")

    def differences(self, tree: TreeDump) -> Iterator[str]:
        """Where the rows are not as the history tells."""
        workflows = {name: row.state for name, row in tree.workflows.items()}
        refs = {name: [task.ref for task in self.definition_of(name).tasks] for name in workflows}
        tasks = {(name, 0, refs[name][no]): (row.state, row.attempt) for (name, no), row in tree.tasks.items()}
        deliveries = {place: (row.state, row.attempt) for place, row in tree.deliveries.items()}
        pairs: tuple[tuple[str, dict[Any, Any], dict[Any, Any]], ...] = (
            ("workflow", self.workflows, workflows), ("task", self.tasks, tasks),
            ("delivery", self.deliveries, deliveries))
        for what, told, stands in pairs:
            if told != stands:
                for place in dict.fromkeys((*told, *stands)):
                    if told.get(place) != stands.get(place):
                        yield f"INV-08: {what} {place} is {stands.get(place)}, its history tells {told.get(place)}"
        if self.version != tree.version:
            yield f"INV-08: the tree's version is {tree.version}, its history tells {self.version}"


def pages(kernel: Kernel, root: str, size: int = 1000) -> Iterator[HistoryRow]:
    """A tree's whole history, a page at a time."""
    after = 0
    while lines := kernel.history(root, below=True, after=after, limit=size):
        yield from lines
        after = lines[-1].seq


def replayed(lines: Iterable[HistoryRow], definition_of: Callable[[str], WorkflowDef]) -> Replay:
    """What these lines tell. Raises Mismatch."""
    replay = Replay(definition_of)
    for line in lines:
        replay.feed(line)
    return replay


def check_history(kernel: Kernel, workflow_id: str, *, page: int = 1000) -> int:
    """Replay the history of a workflow's tree and compare it with the rows; gives the number of lines. Raises Mismatch."""
    root, definitions = root_of(workflow_id), Definitions()
    tree = dumped(kernel.store, [root], definitions)[root]
    replay = replayed(pages(kernel, root, page), lambda name: definitions[name].source)
    for problem in replay.differences(tree):
        raise Mismatch(problem)
    if not replay.fed:
        raise Mismatch(f"INV-08: the tree {root} has no history")
    return replay.fed
