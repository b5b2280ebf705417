"""Stages: small shapes on which every step that the specification takes is known, with what it was made of.

A mutant need only be asked where what it changes plays a part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attrs import define, evolve, field, frozen

from kernel.formal.explore import Explorer, Request
from kernel.formal.oracle import Asked, Given, Oracle, Stuck, Watch
from kernel.formal.shape import Shape, State, Tree
from kernel.spec.language import Enter, Expr, Guard, Op, Row, Spec, Step

Part = tuple[str, ...]
"""Something that a step is made of: a cell that was looked up, a line that was taken, a command or rule that was."""
LONGEST = 60
"""Rules of progress in one commit: what takes more does not settle."""


class EndlessError(Exception):
    """Progress goes on and on."""


class Recorder(Oracle):
    """An oracle that tells what it looked at, and gives up on what does not settle."""

    def __init__(self, spec: Spec, tree: Tree) -> None:
        """As the oracle."""
        super().__init__(spec, tree)
        self.parts: set[Part] = set()
        self.left, self.watching = LONGEST, False
        """Only who watches is told which guards refuse, and what could have been taken instead."""
        self.made: dict[Asked, set[Part]] = {}
        self.numbers = {id(row): number for table in spec.tables.values() for number, row in enumerate(table.rows)}

    def line(self, event: str, row: int, given: Given, state: State) -> Row | None:
        """The lines of a cell were looked at: which guards refuse alone."""
        kind = self.places[row].kind
        for line in self.cells[kind, event, str(state[row][0])] if self.watching else ():
            self.refusing(f"{kind} {self.numbers[id(line)]}", line.guards, row, given, state)
        return super().line(event, row, given, state)

    def refusing(self, where: str, guards: Sequence[Guard], row: int, given: Given, state: State) -> bool:
        """Whether any guard refuses; and which it is where all others hold. One that protects another one counts, too."""
        alone: Guard | None = None
        for guard in guards:
            try:
                if self.evaluate(guard.holds, row, given, state):
                    continue
            except (KeyError, TypeError, IndexError):
                break
            if alone is not None:
                return True
            alone = guard
        if alone is not None:
            self.parts.add(("alone", where, alone.name))
        return alone is not None

    def moves(self, step: Step, row: int, given: Given, state: State) -> dict[int, Row] | None:
        """The step was asked for, and taken, or which of its guards refuses it alone."""
        if step.name and self.watching and self.refusing(step.name, step.guards, row, given, state):
            return None
        found = super().moves(step, row, given, state)
        if found is not None and step.name and self.watching:
            self.parts.add(("step", step.name))
            self.branches(step.name, step.guards, row, given, state)
        return found

    def branches(self, where: str, guards: Iterable[Guard], row: int, given: Given, state: State) -> None:
        """Which alternative of a guard it is that holds, where those before it do not."""
        for guard in guards:
            for number, branch in enumerate(branches(guard)):
                if self.evaluate(branch, row, given, state):
                    self.parts.add(("branch", where, guard.name, str(number)))
                    break

    def move(self, moves: Mapping[int, Row], given: Given, state: State) -> State:
        """The lines were taken."""
        for row, line in moves.items():
            kind = self.places[row].kind
            self.parts.add(("line", kind, line.event))
            number = str(self.numbers[id(line)])
            self.parts.add(("row", kind, number, str(state[row][0])))
            if self.watching:
                self.branches(f"{kind} {number}", line.guards, row, given, state)
        return super().move(moves, given, state)

    def entered(self, enter: Enter, moves: Mapping[int, Row], before: State, after: State) -> list[int]:
        """A state was entered that brings something with it."""
        found = super().entered(enter, moves, before, after)
        self.parts |= {("enter", enter.kind)} if found else set()
        return found

    def progress(self, state: State, given: Given) -> State | None:
        """One rule more, but not for ever. What is known of a step is what it is made of, too."""
        self.left -= 1
        if not self.left:
            raise EndlessError
        asked, parts, self.parts = (state, tuple(given.items())), self.parts, set()
        after = super().progress(state, given)
        self.parts = parts | self.made.setdefault(asked, self.parts)
        return after

    def advance(self, state: State, given: Given) -> State | None:
        """Which rule, and whether the one behind it could have been taken, too."""
        rules = self.spec.progress
        for place, rule in enumerate(rules):
            for row in self.tree.rows[rule.on]:
                moves = self.moves(rule, row, given, state)
                if moves is not None:
                    if self.watching and place + 1 < len(rules) and self.enabled(rules[place + 1], given, state):
                        self.parts.add(("before", rule.name))
                    return self.apply(moves, given, state)
        return None

    def enabled(self, rule: Step, given: Given, state: State) -> bool:
        """Whether a rule could be taken somewhere."""
        return any(super(Recorder, self).moves(rule, row, given, state) is not None for row in self.tree.rows[rule.on])

    def settle(self, state: State, given: Given, watch: Watch | None = None) -> State:
        """As the oracle, but not for ever."""
        self.left = LONGEST
        return super().settle(state, given, watch)


def branches(guard: Guard) -> tuple[Expr, ...]:
    """The alternatives of a guard; none where it has only one."""
    return guard.holds.args if isinstance(guard.holds, Op) and guard.holds.op == "or" else ()


@frozen
class Scene:
    """A shape, the kinds of row on which commands are given, and how many states of it are looked at, nearest first."""

    name: str
    shape: Shape
    kinds: tuple[str, ...] = ("workflow", "task")
    most: int = 400
    pace: int = 0
    """How much time passes from commit to commit."""


@frozen
class Taken:
    """What a request makes of a state: None, where it is refused."""

    state: State
    request: Request
    after: State | None


@define
class Stage:
    """A scene, played."""

    scene: Scene
    explorer: Explorer
    steps: list[Taken]
    places: dict[Part, list[int]] = field(factory=lambda: defaultdict(list))
    """Where each part plays a part."""

    def at(self, parts: Iterable[Part]) -> list[int]:
        """The steps in which one of these parts plays a part, nearest first."""
        return sorted({place for part in parts for place in self.places.get(part, ())})

    def trace(self, place: int) -> tuple[str, ...]:
        """The shortest way to a step, and the step."""
        step = self.steps[place]
        return (*self.explorer.path(step.state), step.request.label(self.explorer.tree))


def explorer_of(spec: Spec, scene: Scene) -> Explorer:
    """An explorer of a scene, with a recorder. Deliveries are bounded: they are claimed and lost for ever otherwise."""
    explorer = Explorer(spec, scene.shape, kinds=scene.kinds)
    tree = explorer.tree
    claims = tree.columns["delivery"]["claims"]
    explorer.within = lambda state: all(int(state[row][claims]) < 3 for row in tree.rows["delivery"])
    explorer.oracle, explorer.pace = Recorder(spec, tree), scene.pace
    explorer.requests += tuple(more(spec, tree, explorer.requests))
    return explorer


def more(spec: Spec, tree: Tree, requests: Sequence[Request]) -> Iterator[Request]:
    """Requests that lead nowhere, or not elsewhere, so that an exploration leaves them out: other errors, and starts below."""
    for request in requests:
        if "error" in request.step.params:
            kept = tuple(choice for choice in request.choices if choice[0] != "error")
            yield from (evolve(request, choices=(*kept, ("error", text))) for text in ("", "the network is down"))
    for step in spec.commands:
        if step.name == "START":
            yield from (Request(step, row) for row in tree.rows["workflow"][1:])


def played(spec: Spec, scene: Scene) -> Stage:
    """Take every step of a scene."""
    explorer = explorer_of(spec, scene)
    explorer.oracle = oracle = Recorder(spec, explorer.tree)
    oracle.watching = True
    stage, found, line = Stage(scene, explorer, []), explorer.seen.found, [explorer.tree.start]
    for state in line:
        for request in explorer.requests:
            if explorer.beyond(request, state):
                continue
            oracle.parts = {("asked", request.step.name)}
            after = oracle.commit(request.step, request.row, explorer.given(request, state), state)
            made = None if isinstance(after, Stuck) else after
            for part in oracle.parts:
                stage.places[part].append(len(stage.steps))
            stage.steps.append(Taken(state, request, made))
            if made is not None and made not in found:
                found[made] = state, request
                if len(found) < scene.most and explorer.bounded(made):
                    line.append(made)
    return stage
