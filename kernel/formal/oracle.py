"""The oracle: a plain interpreter of the tables, the judge of every faster way to run them.

It walks expressions as they stand, scans every row behind a link, and after each step looks at every rule and every row
again. It has no counters, no agenda, and nothing compiled; but where it has looked before it knows what it saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import frozen

from kernel.formal.rows import Value
from kernel.formal.shape import State, Tree, blank
from kernel.spec.evaluate import NOTHING
from kernel.spec.language import Enter, Expr, F, Fire, Lit, Op, Param, Q, Row, Spec, Step
from kernel.spec.vocabulary import ABSENT

NOBODY = -1
"""In place of a row that can never be there: it is ABSENT."""
CLOCK = ("now", "chance")
"""What is given to progress, too: all else is presented to the command alone."""
Given = Mapping[str, Value]
Asked = tuple[State, tuple[tuple[str, Value], ...]]
"""A state, and what is given in it."""
Watch = Callable[[State], None]


@frozen
class Stuck:
    """A step that is not enabled. `declared` is why it is a no-op, where the table declares it to be one."""

    declared: str = ""


def combined(op: str, *values: Value) -> Value:
    """Values compared, added, subtracted, or the least or greatest of them.

    Only numbers are ordered and added; raises TypeError for names of states.
    """
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        raise TypeError(f"{op} of {' and '.join(map(repr, values))}: only numbers are ordered and added")
    if op in ("min", "max"):
        return min(numbers) if op == "min" else max(numbers)
    a, b = numbers
    if op == "part":
        return a * b // 1_000_000
    return a < b if op == "lt" else a + b if op == "add" else a - b


class Oracle:
    """Interprets a specification on the rows of a tree."""

    def __init__(self, spec: Spec, tree: Tree) -> None:
        """Nothing is compiled; only the rows of the tables are sorted into their cells."""
        self.spec, self.tree, self.places = spec, tree, tree.places
        self.columns = [tree.columns[place.kind] for place in tree.places]
        self.cells: dict[tuple[str, str, str], tuple[Row, ...]] = {
            (kind, event, state): table.rows_for(event, state)
            for kind, table in spec.tables.items() for event in table.events for state in table.kind.states
        }
        self.known: dict[Asked, State | None] = {}
        """What a step of progress makes of a state: most states are come to by many ways."""

    # ---- expressions --------------------------------------------------------------------------------------------------
    def value(self, state: State, row: int, name: str) -> Value:
        """A stored field or an attribute of a row."""
        if row == NOBODY:
            return ABSENT
        column = self.columns[row].get(name)
        if column is not None:
            return state[row][column]
        place = self.places[row]
        if name == "news":
            return int(state[place.one["of"]][0] == place.fixed["status"])
        fixed = place.fixed[name]
        return fixed[int(self.value(state, row, "attempt")) - 1] if isinstance(fixed, tuple) else fixed

    def follow(self, state: State, row: int, link: str) -> int:
        """The row behind a single link. A task's child is that of its present attempt."""
        place = self.places[row]
        if link == "child":
            return place.children.get(int(self.value(state, row, "attempt")), NOBODY)
        return place.one[link]

    def behind(self, state: State, row: int, link: str) -> tuple[int, ...]:
        """The rows behind a set link."""
        if link == "child_tasks":
            return self.places[self.follow(state, row, "child")].sets["tasks"]
        if link == "tree":
            return self.root_of_present(state, row)
        if link == "outbox":
            run = self.value(state, row, "run")
            return tuple(j for j in self.places[row].sets[link] if self.places[j].fixed["run"] == run)
        if link == "notices":
            return self.next_notice(state, row)
        if link == "earlier":
            return self.places[row].sets.get(link, ())
        if link == "archives":
            return tuple(j for j in self.places[row].sets[link] if self.ended_run(state, j))
        return self.places[row].sets[link]

    def there(self, state: State, row: int, link: str) -> tuple[int, ...]:
        """The rows behind a set link, without the tasks that nobody spawned yet."""
        rows = self.behind(state, row, link)
        return tuple(r for r in rows if not self.places[r].spawned or state[r][0] != ABSENT) if self.tree.spawns else rows

    def ended_run(self, state: State, delivery: int) -> bool:
        """Whether the run that a delivery is about has been."""
        of = self.places[delivery].one["of"]
        return state[of][0] != ABSENT and not combined("lt", self.value(state, of, "run"), self.value(state, delivery, "run"))

    def next_notice(self, state: State, workflow: int) -> tuple[int, ...]:
        """The first place in the line of a workflow's notices that is free, for its present run; one for each status."""
        line, run = self.places[workflow].sets.get("notices", ()), self.value(state, workflow, "run")
        taken = {self.places[j].order for j in line if state[j][0] != ABSENT}
        free = [self.places[j].order for j in line if self.places[j].order not in taken][:1]
        return tuple(j for j in line if self.places[j].order in free and self.places[j].fixed["run"] == run)

    def root_of_present(self, state: State, task: int) -> tuple[int, ...]:
        """The root above a task; nothing when a sub-workflow on the way is not that of the present attempt."""
        wf = self.places[task].one["wf"]
        for up in self.places[task].sets["above"]:
            if self.follow(state, up, "child") != wf:
                return ()
            wf = self.places[up].one["wf"]
        return (wf,)

    def evaluate(self, expr: Expr, row: int, given: Given, state: State, then: State = ()) -> Value:
        """What an expression is, read from a row; a condition is true or false. `then` is the state after the step."""
        if isinstance(expr, Op):
            if expr.op == "and":
                return self.hold(expr.args, row, given, state, then)
            if expr.op == "or":
                for condition in expr.args:  # noqa: SIM110 - a generator for each condition takes a third of the time
                    if self.evaluate(condition, row, given, state, then):
                        return True
                return False
            if expr.op == "not":
                return not self.evaluate(expr.args[0], row, given, state, then)
            if expr.op == "eq":
                a, b = expr.args
                other = b.value if isinstance(b, Lit) else self.evaluate(b, row, given, state, then)
                return self.evaluate(a, row, given, state, then) == other
            return combined(expr.op, *(self.evaluate(a, row, given, state, then) for a in expr.args))
        if isinstance(expr, F):
            world = then if expr.then else state
            for link in expr.via:
                row = self.follow(world, row, link)
            return self.value(world, row, expr.name)
        if isinstance(expr, Lit):
            return expr.value
        if isinstance(expr, Param):
            return given.get(expr.name, NOTHING)
        if isinstance(expr, Q):
            quantified, body = all if expr.op == "every" else any, expr.body.holds
            return quantified(self.evaluate(body, r, given, state, then) for r in self.there(state, row, expr.link))
        chosen = given.get(expr.param)
        named = isinstance(chosen, int) and state[chosen][0] != ABSENT  # a row that is not there is none
        return named and row in self.behind(state, int(chosen or 0), expr.link)

    def hold(self, conditions: Iterable[Expr], row: int, given: Given, state: State, then: State = ()) -> bool:
        """Whether all conditions hold; read from left to right, so that the left ones protect the right ones."""
        for condition in conditions:  # noqa: SIM110 - as above
            if not self.evaluate(condition, row, given, state, then):
                return False
        return True

    # ---- steps --------------------------------------------------------------------------------------------------------
    def line(self, event: str, row: int, given: Given, state: State) -> Row | None:
        """The line of its table that the event takes on a row."""
        for line in self.cells[self.places[row].kind, event, str(state[row][0])]:
            if self.hold([g.holds for g in line.guards], row, given, state):
                return line
        return None

    def moves(self, step: Step, row: int, given: Given, state: State) -> dict[int, Row] | None:
        """The rows that a step moves, each with its line; None when it is not enabled. All is read from the state before.

        Self and the row behind a single link must have a line for their event; of a set those that have one move.
        """
        if not self.hold([g.holds for g in step.guards], row, given, state):
            return None
        found: dict[int, Row] = {}
        for fire in step.do:
            single = fire.at == "self" or self.spec.links[fire.at].one
            for target in self.targets(fire, row, state):
                if not self.evaluate(fire.where, target, given, state):
                    continue
                line = self.line(fire.event, target, given, state)
                if line is not None:
                    found[target] = line
                elif single:
                    return None
        return found

    def targets(self, fire: Fire, row: int, state: State) -> tuple[int, ...]:
        """The rows that a Fire is at."""
        if fire.at == "self":
            return (row,)
        if self.spec.links[fire.at].one:
            return (self.follow(state, row, fire.at),)
        return self.behind(state, row, fire.at) if fire.at == "spawned" else self.there(state, row, fire.at)

    def apply(self, moves: Mapping[int, Row], given: Given, state: State) -> State:
        """Move rows together; then what their events bring with them, and entering their states: cascades, what is emitted.

        A cascade's links cover all that is below, so that what it moves has no cascade of its own; but it emits.
        """
        after = self.move(moves, given, state)
        for row, line in moves.items():
            for follow in self.spec.follows:
                if (follow.kind, follow.event) == (self.places[row].kind, line.event):
                    brought = self.moves(Step("", follow.kind, follow.do), row, given, after)
                    after = self.apply(brought or {}, given, after)
        for enter in self.spec.on_enter:
            entered = self.entered(enter, moves, state, after)
            for row, fire in [(row, fire) for row in entered for fire in enter.cascade]:
                before, fired = after, self.moves(Step("", enter.kind, (fire,)), row, given, after) or {}
                after = self.move(fired, given, before)
                entered += self.entered(enter, fired, before, after)
            for row, fire in [(row, fire) for row in entered for fire in enter.emit]:
                after = self.move(self.moves(Step("", enter.kind, (fire,)), row, given, after) or {}, given, after)
        return after

    def move(self, moves: Mapping[int, Row], given: Given, state: State) -> State:
        """Move rows together, each by its line: all is read before anything changes.

        A row that goes leaves nothing but what its line sets; a root takes its tree with it.
        """
        after = list(state)
        for row, line in moves.items():
            columns = self.tree.columns[self.places[row].kind]
            values = list(state[row])
            if line.target == ABSENT:
                after = list(self.tree.start) if self.places[row].fixed.get("root") else after
                values = list(blank(self.spec.kinds[self.places[row].kind]))
                for name, expr in line.set:
                    values[columns[name]] = self.evaluate(expr, row, given, state)
                after[row] = tuple(values)
                continue
            for name, expr in line.set:
                values[columns[name]] = self.evaluate(expr, row, given, state)
            if "changed" in columns:
                values[columns["changed"]] = given["now"]
            values[0] = line.target
            after[row] = tuple(values)
        return tuple(after)

    def entered(self, enter: Enter, moves: Mapping[int, Row], before: State, after: State) -> list[int]:
        """The rows that these moves took into a state that brings something with it."""
        kind, states = enter.kind, enter.states
        return [r for r in moves if self.places[r].kind == kind and after[r][0] in states and before[r][0] not in states]

    # ---- commits ------------------------------------------------------------------------------------------------------
    def progress(self, state: State, given: Given) -> State | None:
        """One step of progress, looked up where it was taken before."""
        asked = state, tuple(given.items())
        if asked not in self.known:
            self.known[asked] = self.advance(state, given)
        return self.known[asked]

    def advance(self, state: State, given: Given) -> State | None:
        """One step of progress: the first rule in the order of the table, on the first row by workflow id and position."""
        for rule in self.spec.progress:
            for row in self.tree.rows[rule.on]:
                moves = self.moves(rule, row, given, state)
                if moves is not None:
                    return self.apply(moves, given, state)
        return None

    def settle(self, state: State, given: Given, watch: Watch | None = None) -> State:
        """Progress until no rule is enabled; `watch` is shown every state on the way."""
        while True:
            if watch is not None:
                watch(state)
            after = self.progress(state, given)
            if after is None:
                return state
            state = after

    def commit(self, command: Step, row: int, given: Given, state: State, watch: Watch | None = None) -> State | Stuck:
        """What one commit makes of a state: the command, then progress; or why nothing happens."""
        if not command.do and state[row][0] == ABSENT:
            return Stuck()
        for no_op in self.spec.tables[command.on].no_ops:
            if command.do and no_op.event == command.do[0].event and state[row][0] in no_op.source:
                return Stuck(no_op.why)
        moves = self.moves(command, row, given, state)
        if moves is None:
            return Stuck()
        clock = {name: value for name, value in given.items() if name in CLOCK}
        return self.settle(self.apply(moves, given, state), clock, watch)

