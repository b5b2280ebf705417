"""A specification on a shape in TLA+, for TLC, written to be read: the tables as operators over rows.

A state is a function from row ids to rows, which are records. An event is an operator that gives the row after it. A commit
is a command followed by Settle, which takes the first enabled rule of progress until there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from itertools import product

from kernel.formal.explore import AXES, CHOSEN
from kernel.formal.ground import COUNTED_UP, NOW
from kernel.formal.rows import Rows
from kernel.formal.shape import Shape, Tree, fitting
from kernel.formal.terms import LATER
from kernel.spec.language import (
    NEVER,
    Enter,
    Expr,
    F,
    Fire,
    Linked,
    Lit,
    Nature,
    Op,
    Param,
    Place,
    Q,
    Row,
    Spec,
    Step,
)
from kernel.spec.vocabulary import ABSENT

AND, OR, EVERY, SOME = " /\\ ", " \\/ ", "\\A", "\\E"
GUARD = "\n       /\\ "
"""Between two guards of a line."""
INFIX = {"eq": " = ", "lt": " < ", "sub": " - "}
CALLS = {"add": "Sum", "min": "Min", "max": "Max", "part": "Part"}
STATE = (Nature.STATE, Nature.LIVENESS)
HELPERS = f"""\
NOW == {NOW}       \\* the time that stands still
NEVER == {LATER}   \\* and one that does not come
Min(a, b) == IF a < b THEN a ELSE b
Max(a, b) == IF a < b THEN b ELSE a
Sum(a, b) == Min(a + b, NEVER)
Part(a, millionths) == (a * millionths) \\div 1000000

NoLine == [state |-> "no line"]   \\* instead of a row: the event has no line there
Taken(new) == [x \\in {{y \\in DOMAIN new : new[y].state # "no line"}} |-> new[x]]
Moved(s, new) == Taken(new) @@ s
"""
BEHIND = """\
Outbox(s, me) == {x \\in outbox[me] : delivery_run[x] = s[me].run}
Archives(s, me) == {x \\in archives[me] : s[of[x]].state # "ABSENT" /\\ delivery_run[x] <= s[of[x]].run}
Above(me) == {x \\in workflow : me \\in all_tasks[x]}
Present(s, x) == workflow_root[x] = 1 \\/ workflow_slot[x] = s[up[x]].attempt
Tree(s, me) == {x \\in Above(me) : workflow_root[x] = 1 /\\ \\A y \\in Above(me) : Present(s, y)}
"""
"""What is behind those set links that are not the same in every state."""
MOVING = {"outbox": "Outbox", "archives": "Archives", "tree": "Tree"}
UNSAID = {"from_task": '""', "resume": "0"}
"""What stands for what is not presented, where it is read."""


def value(given: str | int) -> str:
    """A constant."""
    return f'"{given}"' if isinstance(given, str) else "NEVER" if given >= NEVER else str(given)


def constant(given: str | int | tuple[int, ...], tries: int) -> str:
    """A constant; where some rows have one for each of so many attempts, so has each."""
    if not isinstance(given, tuple):
        return value(given) if not tries else f"<<{', '.join([value(given)] * tries)}>>"
    return f"<<{', '.join(value(each) for each in (*given, *[given[-1]] * (tries - len(given))))}>>"


def names(found: Iterable[str]) -> str:
    """A set of constants."""
    return "{" + ", ".join(value(each) for each in found) + "}"


def mapping(found: Mapping[str, str]) -> str:
    """A function on constants."""
    return " @@ ".join(f"{value(key)} :> {each}" for key, each in found.items()) if found else "<<>>"


class Tla:
    """Writes one module."""

    def __init__(self, spec: Spec, shape: Shape | Rows, name: str, *, kinds: Iterable[str] = ("workflow", "task")) -> None:
        """`name` is the module's; commands are those on rows of these kinds."""
        self.spec, self.tree, self.name, self.kinds = fitting(spec, shape), Tree(spec, shape), name, tuple(kinds)
        self.places = self.tree.places

    # ---- expressions --------------------------------------------------------------------------------------------------
    def text(self, expr: Expr, kind: str, row: str = "me", state: str = "s") -> str:
        """An expression read from a row of this kind."""
        if isinstance(expr, F):
            world = "v'" if expr.then else state
            for link in expr.via:
                row, kind = self.behind(link, row, world), self.spec.links[link].target
            if expr.name in self.tree.columns[kind]:
                return f"{world}[{row}].{expr.name}"
            listed = any(isinstance(place.fixed.get(expr.name), tuple) for place in self.places if place.kind == kind)
            return f"{kind}_{expr.name}[{row}]" + (f"[{world}[{row}].attempt]" if listed else "")
        if isinstance(expr, Lit):
            return value(expr.value)
        if isinstance(expr, Param):
            return {"now": "NOW", "chance": "0"}.get(expr.name, f"p.{expr.name}")
        if isinstance(expr, Q):
            body = self.text(expr.body.holds, self.spec.links[expr.link].target, "x", state)
            return f"({EVERY if expr.op == 'every' else SOME} x \\in {self.behind(expr.link, row, state)} : {body})"
        if isinstance(expr, Linked):
            named = f"p.{expr.param}"
            there = f'{named} # ""{AND}{state}[{named}].state # "{ABSENT}"'
            return f"({there}{AND}{row} \\in {self.behind(expr.link, named, state)})"
        args = [self.text(arg, kind, row, state) for arg in expr.args]
        if expr.op == "not":
            return f"~({args[0]})"
        if expr.op in CALLS:
            return reduce(lambda a, b: f"{CALLS[expr.op]}({a}, {b})", args)
        if expr.op in ("and", "or"):
            return self.joined(expr.op, args)
        return f"{args[0]}{INFIX[expr.op]}{args[1]}"

    def joined(self, op: str, args: list[str]) -> str:
        """Conditions joined; being in one of several states as being in their set."""
        if not args:
            return "TRUE" if op == "and" else "FALSE"
        if len(args) == 1:
            return args[0]
        left = {a.partition(" = ")[0] for a in args}
        if op == "or" and len(left) == 1 and all(a.count(" = ") == 1 and a.endswith('"') for a in args):
            return f"{left.pop()} \\in {{{', '.join(a.partition(' = ')[2] for a in args)}}}"
        return "(" + (AND if op == "and" else OR).join(args) + ")"

    def behind(self, link: str, row: str, state: str) -> str:
        """What is behind a link of a row."""
        if link == "child":
            return f"child[{row}][{state}[{row}].attempt]"
        if link in MOVING:
            return f"{MOVING[link]}({state}, {row})"
        return f"tasks[{self.behind('child', row, state)}]" if link == "child_tasks" else f"{link}[{row}]"

    # ---- the shape ----------------------------------------------------------------------------------------------------
    def rows(self) -> Iterator[str]:
        """The rows that can exist, the links between them, and what their definition gives."""
        ids = [place.id for place in self.places]
        for kind, found in self.tree.rows.items():
            yield f"{kind} == {names(ids[i] for i in found)}"
        ordered = sorted(range(len(ids)), key=lambda i: self.places[i].order)
        yield f"Order == {mapping({ids[i]: str(n) for n, i in enumerate(ordered)})}"
        yield "First(S) == CHOOSE x \\in S : \\A y \\in S : Order[x] <= Order[y]"
        for link in sorted(self.spec.links.keys() - {"child", "child_tasks", "tree"}):
            of = {p.id: p for p in self.places if link in p.one or link in p.sets}
            yield f"{link} == " + mapping({
                n: value(ids[p.one[link]]) if link in p.one else names(ids[i] for i in p.sets[link]) for n, p in of.items()})
        children = {p.id: p.children for p in self.places if p.children}
        yield "child == " + mapping({
            n: f"({' @@ '.join(f'{attempt} :> {value(ids[i])}' for attempt, i in found.items())})"
            for n, found in children.items()})
        for kind, found in self.tree.rows.items():
            for name in sorted({name for i in found for name in self.places[i].fixed}):
                fixed = {ids[i]: self.places[i].fixed[name] for i in found}
                tries = max((len(each) for each in fixed.values() if isinstance(each, tuple)), default=0)
                yield f"{kind}_{name} == {mapping({n: constant(each, tries) for n, each in fixed.items()})}"

    def start(self) -> str:
        """The state in which no row exists."""
        rows = {
            place.id: f"[{', '.join(f'{n} |-> {value(row[c])}' for n, c in self.tree.columns[place.kind].items())}]"
            for place, row in zip(self.places, self.tree.start, strict=True)}
        return f"Start == {mapping(rows)}"

    # ---- the tables ---------------------------------------------------------------------------------------------------
    def event(self, kind: str, event: str, lines: tuple[Row, ...]) -> str:
        """The row after an event."""
        cases = []
        for line in lines:
            stamp = {"changed": Param("now")} if "changed" in self.tree.columns[kind] else {}
            sets = {**dict(line.set), **stamp, "state": Lit(line.target)}
            asked = [self.text(Op("or", tuple(Op("eq", (F("state"), Lit(s))) for s in line.source)), kind),
                     *(f"{self.text(g.holds, kind)}   \\* {g.name}" for g in line.guards)]
            row = "s[me]"
            if line.target == ABSENT:  # nothing is left of it but what the line sets
                row, sets = "Start[me]", dict(line.set)
            changes = ", ".join(f"!.{name} = {self.text(expr, kind)}" for name, expr in sets.items())
            cases.append(GUARD.join(asked) + f"\n         -> {f'[{row} EXCEPT {changes}]' if changes else row}")
        return f"{kind}_{event}(s, me, p) ==\n  CASE " + "\n    [] ".join(cases) + "\n    [] OTHER -> NoLine"

    def target(self, fire: Fire, row: str) -> str:
        """The rows that a Fire is at, as a set."""
        if fire.at == "self":
            return f"{{{row}}}"
        behind = self.behind(fire.at, row, "s")
        return f"{{{behind}}}" if self.spec.links[fire.at].one else behind

    def fired(self, kind: str, fire: Fire, row: str, state: str = "s") -> str:
        """What a Fire makes of its rows."""
        reached = kind if fire.at == "self" else self.spec.links[fire.at].target
        rows = self.target(fire, row)
        if fire.where.args if isinstance(fire.where, Op) else True:
            rows = f"{{x \\in {rows} : {self.text(fire.where, reached, 'x', state)}}}"
        return f"[x \\in {rows} |-> {reached}_{fire.event}({state}, x, p)]"

    def step(self, step: Step) -> str:
        """Whether a step is enabled on a row, and the state that it makes."""
        asked = [self.text(g.holds, step.on) for g in step.guards]
        for fire in step.do:
            if fire.at == "self" or self.spec.links[fire.at].one:
                row = "me" if fire.at == "self" else self.behind(fire.at, "me", "s")
                kind = step.on if fire.at == "self" else self.spec.links[fire.at].target
                asked.append(f"{kind}_{fire.event}(s, {row}, p) # NoLine")
        if not step.do:
            asked.append(f's[me].state # "{ABSENT}"')
        done = self.applied(step.on, step.do) if step.do else "s"
        return f"{step.name}_on(s, me, p) == {AND.join(asked) or 'TRUE'}\n{step.name}_do(s, me, p) == {done}"

    def applied(self, kind: str, do: tuple[Fire, ...]) -> str:
        """The state after parts that are done together; then what their events bring, and what entering does."""
        taken = [f"Taken({self.fired(kind, fire, 'me')})" for fire in do]
        reached = [(kind if fire.at == "self" else self.spec.links[fire.at].target, fire.event) for fire in do]
        goes = any(fire.at == "self" and row.event == fire.event and row.target == ABSENT
                   for fire in do for row in self.spec.tables[kind].rows)
        before = "(IF workflow_root[me] = 1 THEN Start ELSE s)" if goes else "s"  # a root takes its tree with it
        following = [n for n, each in enumerate(reached) if each in {(f.kind, f.event) for f in self.spec.follows}]
        if not following:
            return f"Entering(s, {' @@ '.join(taken)} @@ {before}, p)"
        named = " ".join(f"t{n} == {each}" for n, each in enumerate(taken))
        after = f"{' @@ '.join(f't{n}' for n in range(len(taken)))} @@ {before}"
        for n in following:
            after = f"{'_'.join(reached[n])}_each({after}, DOMAIN t{n}, p)"
        return f"LET {named} IN Entering(s, {after}, p)"

    def brought(self) -> Iterator[str]:
        """What events bring with them: for one row, and for each of a set of rows."""
        names = [f"{follow.kind}_{follow.event}" for follow in self.spec.follows]
        for name in names:
            yield f"RECURSIVE {name}_brings(_, _, _), {name}_each(_, _, _)"
        for name, follow in zip(names, self.spec.follows, strict=True):
            yield f"{name}_brings(s, me, p) == {self.applied(follow.kind, follow.do)}"
            yield (f"{name}_each(s, S, p) == IF S = {{}} THEN s ELSE LET me == First(S) IN\n"
                   f"  {name}_each({name}_brings(s, me, p), S \\ {{me}}, p)")

    def entering(self) -> str:
        """What entering its states brings with it: cascades one after the other, then what is emitted."""
        lines, last = ["Entering(s, t, p) =="], "t"
        for n, enter in enumerate(self.spec.on_enter):
            for phase, fires in (("cascade", enter.cascade), ("emit", enter.emit)):
                lines.append(f"  LET {phase}{n} == {self.entered(enter, last)} IN")
                for m, fire in enumerate(fires):
                    kind, following = self.spec.links[fire.at].target, f"{phase}{n}_{m}"
                    rows = f"UNION {{{self.behind(fire.at, 'x', last)} : x \\in {phase}{n}}}"
                    lines.append(
                        f"  LET {following} == Moved({last}, [x \\in {rows} |-> {kind}_{fire.event}({last}, x, p)]) IN")
                    last = following
        return "\n".join([*lines, f"  {last}"])

    def entered(self, enter: Enter, state: str) -> str:
        """The rows that were elsewhere in `s` and are in one of the states now."""
        states = names(enter.states)
        return f"{{x \\in {enter.kind} : {state}[x].state \\in {states} /\\ s[x].state \\notin {states}}}"

    # ---- the behaviour ------------------------------------------------------------------------------------------------
    def settle(self) -> Iterator[str]:
        """Progress: the first rule in the order of the table, on the first row."""
        yield "RECURSIVE Settle(_)\nSettle(s) ==\n  LET p == [now |-> NOW] IN"
        yield '  IF ~Assert(Between(s), "an invariant does not hold between two rules") THEN s'
        for rule in self.spec.progress:
            rows = f"{{me \\in {rule.on} : {rule.name}_on(s, me, p)}}"
            yield f"  ELSE IF {rows} # {{}} THEN Settle({rule.name}_do(s, First({rows}), p))"
        yield "  ELSE s"

    def command(self, step: Step) -> Iterator[str]:
        """A command on every row, with everything that can be presented."""
        axes = [choices for param, choices in AXES if param in step.params]
        axes += [tuple((param, given) for given in values)
                 for param, values in self.tree.shape.presented.items() if param in step.params]
        first = self.places[self.tree.rows[step.on][0]].id if self.tree.rows[step.on] else ""
        rows = step.on if step.name != "START" else names([first])
        reopens = any((f.kind, f.event) == (step.on, fire.event) for f in self.spec.follows for fire in step.do)
        room = f"{AND}v[{value(first)}].run < {self.tree.shape.runs}" if reopens else ""
        which = f", {CHOSEN} \\in task" if CHOSEN in step.params else ""
        for choices in product(*axes):
            chosen, fields = dict(choices), ["now |-> NOW"]
            for name in step.params:
                if name == "origin":
                    fields.append("origin |-> me")
                elif name == "run":
                    fields.append(f"run |-> v[wf[me]].run{' + 1' if chosen['lease'] == 'foreign' else ''}")
                elif name in ("handouts", "claims"):
                    fields.append(f"{name} |-> v[me].{name}{' - 1' if chosen['lease'] == 'stale' else ''}")
                else:
                    fields.append(f"{name} |-> {name if name == CHOSEN else value(chosen[name])}")
            fields += [f"{name} |-> {said}" for name, said in UNSAID.items() if reopens and name not in step.params]
            fenced = step.on == "task" and chosen.get("lease", "held") != "held"
            asserted = ' /\\ Assert(FALSE, "INV-06: a stale lease was accepted")' if fenced else ""
            yield (f"  \\/ \\E me \\in {rows}{which} : LET p == [{', '.join(fields)}] IN\n"
                   f"       {step.name}_on(v, me, p) = TRUE{asserted}{room} /\\ v' = Settle({step.name}_do(v, me, p))")

    def properties(self) -> Iterator[tuple[str, Nature, str, str]]:
        """The invariants: name, nature, place, and the definition."""
        for n, prop in enumerate((*self.spec.properties, *self.spec.lemmas, *self.spec.given), 1):
            name = f"{prop.id.replace('-', '_')}_{n}"
            if prop.nature in STATE:
                yield name, prop.nature, prop.place, (
                    f"{name}(s) == \\A me \\in {prop.on} : {self.text(prop.body, prop.on)}   \\* {prop.text}")
            elif prop.nature is Nature.STEP and prop.body != Op("and", ()):
                yield name, prop.nature, prop.place, (
                    f"{name} == [][\\A me \\in {prop.on} : v[me].state = \"{ABSENT}\" \\/ "
                    f"{self.text(prop.body, prop.on, state='v')}]_v   \\* {prop.text}")

    def module(self) -> str:
        """The module."""
        found = list(self.properties())
        state = [name for name, nature, _, _ in found if nature in STATE]
        mid = [name for name, nature, place, _ in found if nature in STATE and place is Place.MID]
        commands = [step for step in self.spec.commands if step.on in self.kinds]
        events = [self.event(kind, event, tuple(r for r in table.rows if r.event == event))
                  for kind, table in self.spec.tables.items() for event in table.events if (kind, event) in self.used()]
        hidden = names(name for _, name in COUNTED_UP)
        return "\n".join([
            f"---- MODULE {self.name} ----", "\\* Generated from the tables.", "EXTENDS Integers, TLC", "VARIABLE v", "",
            HELPERS, "\\* ---- the rows of this shape", *self.rows(), self.start(), BEHIND if "tree" in self.spec.links else "",
            "\\* ---- the events: the row after it", *events, "",
            "\\* ---- what entering a state brings with it", self.entering(), "",
            *(("\\* ---- what an event brings with it", *self.brought(), "") if self.spec.follows else ()),
            "\\* ---- the invariants", *(text for *_, text in found),
            f"Between(s) == {AND.join(f'{name}(s)' for name in mid)}",
            f"Invariant == {AND.join(f'{name}(v)' for name in state)}", "",
            "\\* ---- the commands and the rules of progress",
            *(self.step(step) for step in (*commands, *self.spec.progress)), "", *self.settle(), "",
            "Init == v = Start", "Next ==", *(line for step in commands for line in self.command(step)),
            "Spec == Init /\\ [][Next]_v",
            f"View == [x \\in DOMAIN v |-> [f \\in DOMAIN v[x] \\ {hidden} |-> v[x][f]]]", "====", ""])

    def used(self) -> set[tuple[str, str]]:
        """The kinds and events that something fires."""
        steps = [s for s in self.spec.commands if s.on in self.kinds]
        entering = [Step("", e.kind, (*e.cascade, *e.emit)) for e in self.spec.on_enter]
        following = [Step("", f.kind, f.do) for f in self.spec.follows]
        return {(s.on if f.at == "self" else self.spec.links[f.at].target, f.event)
                for s in (*steps, *self.spec.progress, *entering, *following) for f in s.do}

    def config(self) -> str:
        """What TLC is asked to check."""
        steps = [name for name, nature, _, _ in self.properties() if nature is Nature.STEP]
        asked = ("SPECIFICATION Spec", "VIEW View", "INVARIANT Invariant", *(f"PROPERTY {name}" for name in steps))
        return "\n".join(asked) + "\n"
