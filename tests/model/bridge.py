"""Between the oracle's states and the rows that a decision works on; and one comparison of the two."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, field, frozen

from kernel.core.archive import Hearing, Schedule
from kernel.core.content import task_content
from kernel.core.decide import decide
from kernel.core.definitions import TaskDef, TaskKind, WorkflowDef
from kernel.core.extension import Spawn, added, extended
from kernel.core.plan import Command, Plan, Refusal, Subject, Tombstone
from kernel.core.program import Program
from kernel.core.records import (
    OWN,
    Change,
    DeliveryRow,
    Policy,
    Prepared,
    Record,
    TaskRow,
    TreeRow,
    WorkflowRow,
    entry_of,
    prepare,
)
from kernel.core.structure import compile_definition
from kernel.formal.explore import CHOSEN, NOW, Explorer, Request
from kernel.formal.oracle import Stuck
from kernel.formal.rows import Place
from kernel.formal.shape import Shape, State, Task, blank
from kernel.spec.language import NEVER, Lock
from kernel.spec.vocabulary import ABSENT, ENDED
from tests.model.world import World

STALE = -99
"""In place of the counters below an ended workflow: nothing may read them."""
VERSION = 7


# ---- definitions ------------------------------------------------------------------------------------------------------
def too_deep() -> str:
    """The input of every workflow: as deep as JSON may be, so that no task can take it in one level down."""
    value: object = 1
    for _ in range(99):
        value = [value]
    return json.dumps({"deep": value})


def case(branch: int) -> str | None:
    """The value that chooses a branch; None for the default one. A shape with a branch has all those before it, too."""
    return None if branch == 1 else f"case {branch}"


def task_def(task: Task, name: str) -> TaskDef:
    """A task of a shape as an author writes it. What cannot be prepared reads an input too deep, or has no known child."""
    common: dict[str, Any] = {
        "after": task.after, "retries": task.tries - 1, "optional": bool(task.optional), "permissive": bool(task.permissive),
        "on_expiry": task.on_expiry,
    }
    if task.switch:
        common["when"] = (task.switch, case(task.branch))
    if task.mode == "WORKFLOW":
        return TaskDef(task.ref, workflow=f"{name}.{task.ref}" if task.sound else "nowhere", **common)
    if not task.sound:
        common["input"] = {"x": {"y": "${workflow.input.deep}"}}
    if task.choice:
        return TaskDef(task.ref, kind=TaskKind.SWITCH, on=case(task.choice) or "no such case", **common)
    if task.mode == "WORKER":
        return TaskDef(task.ref, **common)
    if task.mode == "WAIT":
        return TaskDef(task.ref, kind=TaskKind.WAIT, **common)
    return TaskDef(task.ref, kind=TaskKind.TERMINATE if task.asks else TaskKind.FORK, asks=task.asks or None, **common)


def hearing(shape: Shape) -> Hearing:
    """What the topics of a shape hear, with a schedule that says what the shape says where time stands still."""
    if not shape.open:
        return Hearing(shape.hears, Schedule(0, NOW + shape.wait, 1), own=shape.own)
    return Hearing(shape.hears, Schedule(NOW + shape.wait if shape.wait else 0), own=shape.own)


def backoff(task: Task) -> dict[str, Any]:
    """How retries wait: always as long, or longer each time."""
    if isinstance(task.retry_delay, int):
        return {"retry_delay": task.retry_delay}
    first, *more = task.retry_delay
    logic = "EXPONENTIAL_BACKOFF" if more[1:] and more[1] == 4 * first else "LINEAR_BACKOFF"
    return {"retry_delay": first, "retry_logic": logic, "retry_delay_max": max(task.retry_delay)}


def definitions(shape: Shape, name: str = "w") -> Iterator[tuple[str, Prepared]]:
    """The definitions of a shape by name, the root's first; with clocks as the shape has them, which an author cannot write."""
    spawned = {t.ref for t in shape.tasks if t.spawned_by}
    own = [evolve(t, after=tuple(r for r in t.after if r not in spawned)) for t in shape.tasks if t.ref not in spawned]
    source = WorkflowDef(name, tasks=[fan_out(t, shape, name) or task_def(t, name) for t in own], topics=shape.topics,
                         notify=shape.notify)
    plain = prepare(compile_definition(source))
    facts = tuple(
        evolve(f, **backoff(t), retry_jitter=t.retry_jitter, lease=t.lease, poll_timeout=t.poll_timeout,
               attempt_timeout=t.attempt_timeout, total_timeout=t.total_timeout, wait_for=t.wait_for, wait_until=t.wait_until)
        for f, t in zip(plain.facts, own, strict=True)
    )
    heard = {**plain.hearings, **dict.fromkeys(shape.topics, hearing(shape))}
    yield name, Prepared(plain.definition, facts, shape.timeout, heard, shape.on_timeout, shape.notify)
    for task in shape.tasks:
        if task.sub is not None:
            yield from definitions(task.sub, f"{name}.{task.ref}")


def fan_out(task: Task, shape: Shape, name: str) -> TaskDef | None:
    """A control task of a shape that makes tasks when it is passed; they are what its input says. None for any other task."""
    made = [task_content(task_def(t, name)) for t in shape.tasks if t.spawned_by == task.ref]
    if task.mode != "CONTROL" or not made:
        return None
    given = {"tasks": made if task.sound else "no list"}
    return TaskDef(task.ref, kind=TaskKind.DYNAMIC, after=task.after, optional=bool(task.optional), input=given)


def spawn_by(shape: Shape, ref: str, name: str = "w") -> Spawn | None:
    """What a task of a shape spawns: those of the definition that come after one of these wait for all of them."""
    spawned = [t for t in shape.tasks if t.spawned_by == ref]
    refs = {t.ref for t in spawned}
    before = tuple(t.ref for t in shape.tasks if not t.spawned_by and refs & {*t.after})
    return Spawn(tuple(task_def(t, name) for t in spawned), before) if spawned else None


# ---- states and worlds ------------------------------------------------------------------------------------------------
@frozen
class Bridge:
    """An explored shape and its definitions."""

    explorer: Explorer
    program: Program
    prepared: Mapping[str, Prepared]
    shape: Shape
    known: dict[State, dict[int, list[int]]] = field(factory=dict, eq=False)
    """What was counted in a state."""

    @classmethod
    def over(cls, explorer: Explorer, program: Program) -> Bridge:
        """The bridge over what an explorer explores."""
        shape = explorer.tree.shape
        assert isinstance(shape, Shape)
        return cls(explorer, program, dict(definitions(shape)), shape)

    def stored(self, state: State, place: int) -> dict[str, Any]:
        """The stored fields of a row, by name."""
        return dict(zip(self.explorer.tree.columns[self.explorer.tree.places[place].kind], state[place], strict=True))

    def world(self, state: State) -> World:
        """The rows of a state, with exact counters where they are kept, and stale ones where they are not."""
        tree = self.explorer.tree
        world = World(definitions=self.prepared, policy=Policy(sends=2, lease=self.shape.delivery_lease))
        names = {0: "w"}
        for i in tree.rows["workflow"]:
            place = tree.places[i]
            up = place.one.get("up")
            if up is not None:
                above = tree.places[up]
                names[i] = f"{names[above.one['wf']]}.{above.id.rpartition('.')[2]}"
            if state[i][0] != ABSENT:
                self.put_workflow(world, state, i, self.extended(state, place, self.prepared[names[i]]))
        self.put_deliveries(world, state)
        if self.stored(state, 0)["purged"]:
            world.grave = Tombstone("w", 1, VERSION, "w", "", NOW, "", "", "")
        if world.workflows:
            world.root = TreeRow("w", world.workflows["w"].run, VERSION, NOW, len(world.own))
        return world

    def extended(self, state: State, place: Place, prepared: Prepared) -> Prepared:
        """The definition of a workflow with the tasks that were spawned: in a shape, only by tasks of the root."""
        tree = self.explorer.tree
        for j in place.sets["tasks"]:
            ref = tree.places[j].id.rpartition(".")[2]
            spawn = spawn_by(self.shape, ref) if tree.places[j].sets["spawned"] else None
            if spawn is not None and all(state[s][0] != ABSENT for s in tree.places[j].sets["spawned"]):
                prepared = extended(prepared, added(prepared, tree.places[j].order[1], spawn))
        return prepared

    def put_workflow(self, world: World, state: State, i: int, prepared: Prepared) -> None:
        """Write a workflow, its tasks and its deliveries."""
        tree = self.explorer.tree
        place = tree.places[i]
        name, up, kept = place.id, place.one.get("up"), state[i][0] not in ENDED
        parent, parent_no = tree.places[up].order if up is not None else ("", OWN)
        workflow = WorkflowRow(
            id=name, parent=parent, parent_no=parent_no, slot=int(self.explorer.oracle.value(state, i, "slot")),
            depth=name.count("/"),
            prepared=prepared, started=NOW, reason="",
            counts=[*self.counted(state)[i]] if kept else [STALE] * 9, **self.stored(state, i))
        world.put(workflow)
        for j in self.own(state, place):
            if (choice := int(self.explorer.oracle.value(state, j, "choice"))) and state[j][0] == "COMPLETED":
                text = json.dumps({"selectedCase": case(choice)})
                world.payloads[name, tree.places[j].order[1], "output"] = text
            world.put(TaskRow(
                workflow=name, no=tree.places[j].order[1], run=workflow.run, worker="", reason="",
                counts=[*self.counted(state)[j]] if kept else [STALE], facts=prepared.facts[tree.places[j].order[1]],
                **self.stored(state, j)))
        world.payloads[name, OWN, "input"] = too_deep()

    def put_deliveries(self, world: World, state: State) -> None:
        """Write the deliveries of every run, also of workflows that are no longer there."""
        tree = self.explorer.tree
        for j in tree.rows["delivery"]:
            if state[j][0] != ABSENT:
                place = tree.places[j]
                topic, version, status = entry_of(place.id.rpartition(">")[2])
                world.put(DeliveryRow(
                    workflow=place.order[0], run=int(self.explorer.oracle.value(state, j, "run")), topic=topic, sends=2,
                    lease=world.policy.lease, hearing=Hearing("CHANGES") if version else hearing(self.shape), version=version,
                    status=status, **self.stored(state, j)))

    def own(self, state: State, place: Place) -> list[int]:
        """The tasks of a workflow that exist."""
        return [j for j in place.sets["tasks"] if state[j][0] != ABSENT]

    def counted(self, state: State) -> Mapping[int, list[int]]:
        """The counters of every row of a live workflow, by place."""
        if state not in self.known:
            self.known[state] = found = dict[int, list[int]]()
            for i in self.explorer.tree.rows["workflow"]:
                if state[i][0] != ABSENT and state[i][0] not in ENDED:
                    found[i] = self.counts(state, i, "workflow")
                    found |= {j: self.counts(state, j, "task") for j in self.own(state, self.explorer.tree.places[i])}
        return self.known[state]

    def counts(self, state: State, i: int, kind: str) -> list[int]:
        """The counters of a row, each a count of what is there."""
        oracle, place = self.explorer.oracle, self.explorer.tree.places[i]
        return [
            sum(bool(oracle.evaluate(c.body, j, {}, state)) for j in place.sets[c.link] if state[j][0] != ABSENT)
            for c in self.program.counters_of(kind)
        ]

    def named(self, world: World) -> dict[tuple[str, int, str], str]:
        """The place of every delivery: that of a notice is named by its number in the line of its workflow's notices."""
        found, numbers = {}, Counter[str]()
        for (workflow, run, name), row in sorted(world.outbox.items(), key=lambda entry: entry[1].turn):
            numbers[workflow] += row.version > 0
            mark = f"{workflow}#{run}>" if run > 1 else f"{workflow}>"
            found[workflow, run, name] = mark + (f"{row.topic}@{numbers[workflow]}.{row.status}" if row.version else name)
        return found

    def state(self, world: World) -> State:
        """The state that a world is in."""
        tree = self.explorer.tree
        rows: dict[str, Record] = {**world.workflows}
        rows |= {f"{row.workflow}.{row.ref}": row for row in world.own.values()}
        rows |= {place: world.outbox[key] for key, place in self.named(world).items()}
        state = []
        for place in tree.places:
            row = rows.pop(place.id, None)
            kind = self.explorer.spec.kinds[place.kind]
            if row is None and place.id == "w" and world.grave is not None:
                row = WorkflowRow(
                    "w", 0, ABSENT, "", OWN, 0, 0, self.prepared["w"], 0, 0, NEVER, "", 0, "", [], purged=1)
            state.append(blank(kind) if row is None else tuple(getattr(row, name) for name in tree.columns[place.kind]))
        assert not rows, f"rows that no shape has: {sorted(rows)}"
        return tuple(state)

    def command(self, request: Request, state: State, now: int) -> Command:
        """A request as a command."""
        place = self.explorer.tree.places[request.row]
        subject = Subject(place.id) if place.kind == "workflow" else Subject(*place.order)
        if place.kind == "delivery":
            subject = Subject(place.order[0], topic=place.id.rpartition(">")[2],
                              run=int(self.explorer.oracle.value(state, request.row, "run")))
        spawns = request.step.name == "COMPLETE" and place.sets["spawned"]
        born, given = request.step.name == "START", dict(request.given(self.explorer.oracle, state, now))
        chosen = given.pop(CHOSEN, None)
        return Command(
            request.step.name, subject, given=given, reason="because",
            chosen=None if chosen is None else Subject(*self.explorer.tree.places[int(chosen)].order),
            spawn=spawn_by(self.shape, place.id.rpartition(".")[2]) if spawns else None,
            prepared=self.prepared["w"] if born else None, input=too_deep() if born else None)

    # ---- comparing ----------------------------------------------------------------------------------------------------
    def differs(self, request: Request, state: State, world: World, expected: State | Stuck, now: int = NOW) -> str:
        """What the decision does differently from the oracle; empty when it does the same."""
        answer = decide(self.program, world, self.command(request, state, now), now)
        if isinstance(expected, Stuck):
            return self.refuses_otherwise(request, state, answer, expected)
        if not isinstance(answer, Plan) or answer.no_op:
            return f"the oracle does it, the decision answers {answer}"
        after, lines = world.after(answer)
        if self.state(after) != expected:
            return f"goes to {self.explorer.tree.told(self.state(after))}, not {self.explorer.tree.told(expected)}"
        return self.miscounted(after, expected) or self.misreported(request, answer, state, lines, after, expected)

    def refuses_otherwise(self, request: Request, state: State, answer: Plan | Refusal | None, expected: Stuck) -> str:
        """Whether a refusal or no-op is another one than the oracle's."""
        if state[request.row][0] == ABSENT and request.step.name != "START":
            return "" if answer is None else f"decides {answer} on a row that does not exist"
        if expected.declared:
            return "" if isinstance(answer, Plan) and answer.no_op == expected.declared else f"no no-op: {answer}"
        if not isinstance(answer, Refusal):
            return f"the oracle refuses, the decision answers {answer}"
        if answer.state != state[request.row][0] or not answer.why:
            return f"refuses without a reason: {answer}"
        return ""

    def miscounted(self, world: World, state: State) -> str:
        """A counter of a live workflow, of one of its tasks or of the tree that is not what it counts."""
        if world.root is not None and world.root.tasks != len(world.own):
            return f"the tree counts {world.root.tasks} tasks and has {len(world.own)}"
        for i, counts in self.counted(state).items():
            place = self.explorer.tree.places[i]
            row = world.workflows[place.id] if place.kind == "workflow" else world.own[place.order]
            if row.counts != counts:
                return f"{place.id}: counters {row.counts}, not {counts}"
        return ""

    def misreported(
        self, request: Request, plan: Plan, before: State, lines: list[Change], world: World, after: State
    ) -> str:
        """History that does not replay, or a version that does not rise as the command's lock says."""
        if plan.raises != (request.step.lock is Lock.TREE and bool(lines)):
            return "the version rises although nothing changed, or the other way round"
        if plan.raises and plan.tree.version != (VERSION + 1 if not plan.born else 1):
            return f"the version is {plan.tree.version}"
        if not lines and request.step.lock is not Lock.ROW and before != after:
            return "a change without history"
        if plan.purged is not None:
            return ""  # it goes with its history
        return self.replayed(before, lines, self.named(world), after)

    def replayed(
        self, before: State, lines: list[Change], deliveries: Mapping[tuple[str, int, str], str], after: State
    ) -> str:
        """What replaying the history of one commit gives, where it is not what the commit did."""
        places = self.explorer.tree.places
        states = {place.id: str(row[0]) for place, row in zip(places, before, strict=True)}
        attempts = {place.id: row[1] for place, row in zip(places, before, strict=True) if place.kind == "task"}
        oracle, root = self.explorer.oracle, self.explorer.tree.rows["workflow"][0]
        for line in lines:
            run = int(line.run or oracle.value(after, root, "run"))
            name = line.workflow + (f".{line.subject}" if line.kind == "task" else "")
            if line.kind == "delivery":
                name = deliveries.get((line.workflow, run, line.subject), "no delivery")
            whole = line.kind == "task" and not line.subject
            first = line.event == "CREATE"  # of all tasks of the definition; those that are spawned have lines of their own
            named = [p.id for p in places if p.kind == "task" and p.order[0] == line.workflow
                     and not (first and p.spawned)] if whole else [name]
            moved = [one for one in named if states[one] == line.source]
            if len(moved) != line.count:
                return f"{line} finds {len(moved)} rows"
            states.update(dict.fromkeys(moved, line.target))
            if line.kind == "task" and (line.attempt or line.target == ABSENT):
                attempts.update(dict.fromkeys(moved, line.attempt))
        for place, row in zip(places, after, strict=True):
            if states[place.id] != row[0] or attempts.get(place.id, row[1]) != row[1]:
                return f"{place.id} replays to {states[place.id]}, attempt {attempts.get(place.id)}: {lines}"
        return ""
