"""Shapes: small finite trees of definitions, given by a test, and the rows that a specification can have on them.

A `Shape` is a definition; `Tree` writes out every row that can ever exist on it: a workflow for each attempt of each
sub-workflow task, their tasks, and a delivery per topic. What a definition or the tree's shape gives never changes and
stands in the tree's places; what the lifecycles write is a `State`: for each place the values of its stored fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import ClassVar

from attrs import evolve, frozen

from kernel.formal.rows import Place, Rows, Value
from kernel.spec.language import NEVER, Expr, F, Fire, Guard, Kind, Sort, Spec
from kernel.spec.logic import NEVER_HOLDS, fold
from kernel.spec.vocabulary import ABSENT, asked_for, end_told, in_turn, left_out

ARCHIVE, NOTIFY = "archive", "notify"
"""The topics of archives and of notices."""
Row = tuple[Value, ...]
State = tuple[Row, ...]
"""The stored values of each place, in the order of the tree's places; a row begins with its lifecycle state."""


@frozen
class Task:
    """One task of a shape. Durations are in the unit of time; `sound` says whether it can be prepared.

    `switch` names the switch in whose `branch` it stands; a switch has a `choice`, the number of the branch that it takes.
    """

    ref: str
    after: tuple[str, ...] = ()
    mode: str = "WORKER"
    sub: Shape | None = None
    tries: int = 1
    optional: int = 0
    permissive: int = 0
    retry_delay: int | tuple[int, ...] = 0
    """A tuple gives one for each attempt that can be followed by another."""
    retry_jitter: int = 0
    lease: int = NEVER
    poll_timeout: int = NEVER
    attempt_timeout: int = NEVER
    total_timeout: int = NEVER
    wait_for: int = NEVER
    wait_until: int = NEVER
    on_expiry: str = "RETRY"
    asks: str = ""
    switch: str = ""
    branch: int = 0
    choice: int = 0
    sound: int | tuple[int, ...] = 1
    """A tuple has one for each attempt."""
    spawned_by: str = ""
    """The task whose result adds it to the running workflow; empty when it is there from the beginning."""


@frozen
class Shape:
    """A definition: its tasks, how long it may live, who hears of its end and how long that may take at a time.

    `runs` bounds how many runs of a tree are explored: from the last one nothing re-opens it. Only the root's counts.
    """

    tasks: tuple[Task, ...]
    timeout: int = NEVER
    on_timeout: str = "TIME_OUT_WF"
    restartable: int = 1
    topics: tuple[str, ...] = ("archive",)
    delivery_lease: int = NEVER
    hears: str = "ENDS"
    own: int = 0
    wait: int = 0
    """How long a new delivery waits for the schedule of its topic."""
    open: int = 1
    """Whether the schedule lets deliveries be claimed."""
    runs: int = 1
    copied: int = 1
    """Whether the sink of its archive gives a copy, not a receipt."""
    notify: tuple[str, ...] = ()
    """The statuses that its notices tell of."""
    notices: int = 0
    """How many notices of a workflow there can be; where not two more can be, nothing is explored. Only the root's counts."""
    presented: ClassVar[Mapping[str, tuple[int, ...]]] = {}
    retention: int = 0
    """How long its rows stay after its end."""
    purge: int = 0
    """Whether a tree of it may be purged: a model of its own, in which that is the end. Only the root's counts."""


class Tree:
    """Every place of a shape, linked; and its first state, where no row exists."""

    def __init__(self, spec: Spec, shape: Shape | Rows, root: str = "w") -> None:
        """Write out the shape, one of definitions under a root of this id."""
        self.shape = shape
        self.spawns = isinstance(shape, Shape) and any(task.spawned_by for task in shape.tasks)
        self.columns = {name: columns(kind) for name, kind in spec.kinds.items()}
        self.places: list[Place] = []
        if isinstance(shape, Rows):
            self.places = shape.places(spec)
        else:
            self._workflow(shape, shape, root, None, 0)
            self._link()
        self.rows = {
            kind: tuple(sorted(
                (i for i, p in enumerate(self.places) if p.kind == kind), key=lambda i: self.places[i].order))
            for kind in spec.kinds
        }
        self.start: State = tuple(blank(spec.kinds[p.kind]) for p in self.places)

    def _put(self, place: Place) -> int:
        self.places.append(place)
        return len(self.places) - 1

    def _workflow(self, top: Shape, shape: Shape, name: str, up: int | None, slot: int) -> int:
        """Write out one workflow, its tasks, its deliveries, and everything below; `top` is the shape of its root."""
        here = self._put(Place("workflow", name, (name, -1), {
            "id": name, "root": int(up is None), "slot": slot, "timeout": shape.timeout,
            "on_timeout": shape.on_timeout, "restartable": shape.restartable, "retention": shape.retention,
        }))
        self.places[here].one["top"] = 0
        if up is not None:
            self.places[here].one["up"] = up
        own = {task.ref: self._task(task, no, name, here) for no, task in enumerate(shape.tasks)}
        for task in shape.tasks:
            self.places[own[task.ref]].sets["spawned"] = tuple(own[t.ref] for t in shape.tasks if t.spawned_by == task.ref)
            self.places[own[task.ref]].sets["after"] = tuple(own[ref] for ref in task.after)
            if task.switch:
                self.places[own[task.ref]].one["switch"] = own[task.switch]
            if task.sub is not None:
                children = self.places[own[task.ref]].children
                for attempt in range(1, task.tries + 1):
                    child = f"{name}/{task.ref}" if attempt == 1 else f"{name}/{task.ref}~{attempt}"
                    children[attempt] = self._workflow(top, task.sub, child, own[task.ref], attempt)
        for run, topic in product(range(1, top.runs + 1), shape.topics):
            mark = ">" if run == 1 else f"#{run}>"
            place = Place("delivery", f"{name}{mark}{topic}", (name, len(shape.tasks)), {
                "run": run, "sends": 2, "lease": shape.delivery_lease, "hears": shape.hears, "wait": shape.wait,
                "open": shape.open, "own": shape.own, "copied": shape.copied, "wanted": int(shape.hears == "ENDS"),
                "topic": topic, "status": ""})
            place.one["of"] = here
            self._put(place)
        self._notices(shape, name, here)
        return here

    def _notices(self, shape: Shape, name: str, here: int) -> None:
        """Write out the line of a workflow's notices: in each place of it, for each run, one for each status."""
        line: list[int] = []
        for no in range(1, self.shape.notices + 1) if shape.notify else ():
            before = tuple(line)
            for run, status in product(range(1, self.shape.runs + 1), shape.notify):
                mark = ">" if run == 1 else f"#{run}>"
                place = Place("delivery", f"{name}{mark}{NOTIFY}@{no}.{status}", (name, len(shape.tasks) + no), {
                    "run": run, "sends": 2, "lease": shape.delivery_lease, "hears": "CHANGES", "wait": 0, "open": 1, "own": 0,
                    "copied": 0, "wanted": 0, "topic": NOTIFY, "status": status})
                place.one["of"], place.sets["earlier"] = here, before
                line.append(self._put(place))
        if line:
            self.places[here].sets["notices"] = tuple(line)

    def _task(self, task: Task, no: int, workflow: str, wf: int) -> int:
        attributes = (
            "mode", "optional", "permissive", "tries", "retry_delay", "retry_jitter", "lease", "poll_timeout",
            "attempt_timeout", "total_timeout", "wait_for", "wait_until", "on_expiry", "asks", "branch", "choice", "sound")
        fixed = {"added": int(bool(task.spawned_by)), **{a: getattr(task, a) for a in attributes}}
        place = Place("task", f"{workflow}.{task.ref}", (workflow, no), fixed, spawned=bool(task.spawned_by))
        place.one["wf"] = wf
        return self._put(place)

    def _link(self) -> None:
        """The set links of workflows, from the single ones of what lies below."""
        for i, place in enumerate(self.places):
            if place.kind == "workflow":
                below = [j for j in self._kind("workflow") if i in self.above(j)]
                place.sets["subs"] = tuple(below)
                place.sets["children"] = tuple(j for j in below if self.parent(j) == i)
                place.sets["tasks"] = tuple(j for j in self._kind("task") if self.places[j].one["wf"] == i)
                place.sets["all_tasks"] = tuple(j for j in self._kind("task") if self.places[j].one["wf"] in (i, *below))
                place.sets["outbox"] = tuple(
                    j for j in self._kind("delivery") if self.places[j].one["of"] == i and not self.places[j].fixed["status"])
                place.sets["all_outboxes"] = tuple(
                    j for j in self._kind("delivery") if self.places[j].one["of"] in (i, *below))
                place.sets["archives"] = tuple(
                    j for j in place.sets["all_outboxes"] if self.places[j].fixed["topic"] == ARCHIVE)

        for i, place in enumerate(self.places):
            if place.kind == "task":
                wf = place.one["wf"]
                above = tuple(self.places[j].one["up"] for j in (wf, *self.above(wf)) if "up" in self.places[j].one)
                children = tuple(place.children.values())
                under = tuple(k for j in children for k in (j, *self.places[j].sets["subs"]))
                place.sets["above"], place.sets["under"] = above, under
                place.sets["under_tasks"] = tuple(k for j in under for k in self.places[j].sets["tasks"])
                place.sets["reach"] = tuple(k for j in (i, *above) for k in self.onward(j))
                place.sets["progeny"] = tuple(
                    k for j in place.sets["reach"] for k in self.places[j].sets["spawned"])

    def onward(self, task: int) -> tuple[int, ...]:
        """A task, what it spawns, and all tasks that come after these in its workflow, however far."""
        found = [task]
        for one in found:  # grows while it is walked
            spawned = self.places[one].sets["spawned"]
            found += [j for j in self._kind("task")
                      if (one in self.places[j].sets["after"] or j in spawned) and j not in found]
        return tuple(found)

    def _kind(self, kind: str) -> Iterator[int]:
        return (i for i, place in enumerate(self.places) if place.kind == kind)

    def parent(self, workflow: int) -> int | None:
        """The place of the workflow whose task started this one."""
        up = self.places[workflow].one.get("up")
        return None if up is None else self.places[up].one["wf"]

    def above(self, workflow: int) -> tuple[int, ...]:
        """The places of all workflows above this one, the next one first."""
        parent = self.parent(workflow)
        return () if parent is None else (parent, *self.above(parent))

    def told(self, state: State) -> Mapping[str, str]:
        """A state as people read it: the lifecycle state of every row that exists, by its id."""
        return {p.id: str(row[0]) for p, row in zip(self.places, state, strict=True) if row[0] != ABSENT}


def without_notices(spec: Spec) -> Spec:
    """The specification without notices: what nobody subscribed to, no tree and no other delivery has to do with."""
    told = {asked_for: Guard(asked_for.name, end_told, asked_for.why)}
    table = spec.tables["delivery"]
    kind = evolve(table.kind, attributes=tuple(a for a in table.kind.attributes if a.name != "news"))
    rows = tuple(evolve(r, guards=tuple(told.get(g, g) for g in r.guards if g != in_turn)) for r in table.rows)
    enters = (evolve(e, emit=tuple(f for f in e.emit if f.at != "notices")) for e in spec.on_enter)
    return evolve(
        spec, links={name: link for name, link in spec.links.items() if name not in ("notices", "earlier")},
        kinds={**spec.kinds, "delivery": kind}, tables={**spec.tables, "delivery": evolve(table, kind=kind, rows=rows)},
        on_enter=tuple(e for e in enters if e.cascade or e.emit))


def fitting(spec: Spec, shape: Shape | Rows) -> Spec:
    """The specification without the commands that a shape has no room for, and without spawning.

    Where a tree has one run nothing re-opens it: what brings others with it begins a run. What leads to where there is no row
    is only where the shape may be purged. What is spawned are rows that a definition does not give. Of notices there is no end,
    since a workflow can be paused and resumed for ever: only the explorer, which counts them, has room for some.
    """
    spec = without_spawning(spec if shape.notices or "notices" not in spec.links else without_notices(spec))
    beyond = {(follow.kind, follow.event) for follow in spec.follows if shape.runs == 1}
    if not shape.purge:
        beyond |= {(kind, row.event) for kind, table in spec.tables.items() for row in table.rows if row.target == ABSENT}
    kept = tuple(c for c in spec.commands if not any((c.on, fire.event) in beyond for fire in c.do))
    return evolve(spec, commands=kept, follows=spec.follows if shape.runs > 1 else ())


UNSPAWNED: Mapping[Expr, object] = {F("added"): 0}
"""What is true of every task that its definition gives."""


def without_spawning(spec: Spec) -> Spec:
    """The specification of tasks that definitions give: no result adds any, and none was added."""
    def kept(do: tuple[Fire, ...]) -> tuple[Fire, ...]:
        fires = (evolve(fire, where=fold(fire.where, UNSPAWNED)) for fire in do if fire.at != "spawned")
        return tuple(fire for fire in fires if fire.where != NEVER_HOLDS and fire.where != left_out.holds)

    return evolve(
        spec, commands=tuple(evolve(step, do=kept(step.do)) for step in spec.commands),
        progress=tuple(evolve(step, do=kept(step.do)) for step in spec.progress),
        follows=tuple(evolve(follow, do=kept(follow.do)) for follow in spec.follows))


def columns(kind: Kind) -> dict[str, int]:
    """Where each stored field of a kind stands in a row."""
    return {name: i for i, name in enumerate(("state", *(f.name for f in kind.fields)))}


def blank(kind: Kind) -> Row:
    """A row that does not exist yet. A clock that nobody set never runs out."""
    clocks = ("expires", "attempt_ends", "total_ends", "wakes", "deadline")
    return (ABSENT, *("" if f.sort is Sort.TEXT else NEVER if f.name in clocks else 0 for f in kind.fields))


def hurried(shape: Shape) -> Shape:
    """The same shape with every clock already run out, so that an enabled timer may fire at any moment."""
    tasks = tuple(evolve(t, lease=0, poll_timeout=0, sub=t.sub and hurried(t.sub)) for t in shape.tasks)
    return evolve(shape, tasks=tasks, timeout=0, delivery_lease=0)
