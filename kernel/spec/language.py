"""The specification language: plain frozen values, no behaviour.

A specification is four kinds of table (`Kind`, `Link`, `Row` with its refusals, `Step`) and six kinds of expression. An
expression is always read *from one row* ("self"); it reaches other rows only over declared links, and the body of a
quantifier is read from the row at the far end, never from the row that asked. That one restriction is what lets the same
expression become a Python function, a counter, a SQL predicate, Promela, TLA+ and SMT.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

NEVER = 2**62
"""A time or duration that does not come: no deadline, no lease, no poll time-out."""


# ---- expressions ------------------------------------------------------------------------------------------------------
# What nests keeps its hash: expressions are looked up often, and each time all parts would be walked.
@frozen
class Lit:
    """A constant: the name of a state, a number."""

    value: str | int


@frozen
class F:
    """A field or attribute of self, or of a row one or more *single* links away; `then` reads it after the step."""

    name: str
    via: tuple[str, ...] = ()
    then: bool = False


@frozen
class Param:
    """What the caller presents: `now`, the token of a lease, whether a failure is retryable."""

    name: str


@frozen(cache_hash=True)
class Op:
    """eq, lt, add, sub, min, max, part (millionths of), not, and, or."""

    op: str
    args: tuple[Expr, ...]


@frozen(cache_hash=True)
class Q:
    """`every` or `some` row behind a set link satisfies the named condition, which is read from that row."""

    op: str
    link: str
    body: Guard


@frozen
class Linked:
    """Self is among the rows behind `link` of the row that the caller names as `param`; of no row when none is named."""

    link: str
    param: str


Expr = Lit | F | Param | Op | Q | Linked


@frozen(cache_hash=True)
class Guard:
    """A named condition. `why` is what a refusal says when it does not hold."""

    name: str
    holds: Expr
    why: str = ""


def _expr(value: Expr | Guard | str | int) -> Expr:
    if isinstance(value, Guard):
        return value.holds
    return Lit(value) if isinstance(value, str | int) else value


def eq(a: Expr, b: Expr | str | int) -> Op:
    """Both are equal."""
    return Op("eq", (a, _expr(b)))


def lt(a: Expr | int, b: Expr | int) -> Op:
    """The first is less than the second."""
    return Op("lt", (_expr(a), _expr(b)))


def plus(a: Expr, b: Expr | int) -> Op:
    """The sum of two numbers, or a time and a duration."""
    return Op("add", (a, _expr(b)))


def minus(a: Expr, b: Expr | int) -> Op:
    """The difference of two numbers or times."""
    return Op("sub", (a, _expr(b)))


def earliest(*values: Expr | int) -> Op:
    """The least of some numbers or times."""
    return Op("min", tuple(_expr(v) for v in values))


def latest(*values: Expr | int) -> Op:
    """The greatest of some numbers or times."""
    return Op("max", tuple(_expr(v) for v in values))


def part(whole: Expr, millionths: Expr) -> Op:
    """So many millionths of a duration."""
    return Op("part", (whole, millionths))


def no(a: Expr | Guard) -> Op:
    """The condition does not hold."""
    return Op("not", (_expr(a),))


def both(*conditions: Expr | Guard) -> Op:
    """Every one of the conditions holds; read from left to right, so that the left ones protect the right ones."""
    return Op("and", tuple(_expr(c) for c in conditions))


def either(*conditions: Expr | Guard) -> Op:
    """At least one of the conditions holds; read from left to right."""
    return Op("or", tuple(_expr(c) for c in conditions))


def implies(a: Expr | Guard, b: Expr | Guard) -> Op:
    """Where the first holds, the second does."""
    return either(no(a), b)


def is_(*states: str, of: tuple[str, ...] = ()) -> Op:
    """The state of self, or of the row at the end of `of`, is one of these."""
    return Op("or", tuple(eq(F("state", of), s) for s in states))


def then_(*states: str) -> Op:
    """After the step the state is one of these (step properties only)."""
    return Op("or", tuple(eq(F("state", then=True), s) for s in states))


def every(link: str, body: Guard) -> Q:
    """Every row behind the set link satisfies the condition."""
    return Q("every", link, body)


def some(link: str, body: Guard) -> Q:
    """Some row behind the set link satisfies the condition."""
    return Q("some", link, body)


YES = both()


# ---- tables -----------------------------------------------------------------------------------------------------------
class Sort(StrEnum):
    """What a stored field or an attribute holds."""

    COUNT = "count"
    FLAG = "flag"
    TIME = "time"
    DURATION = "duration"
    TEXT = "text"
    CHOICE = "choice"


@frozen
class Field:
    """A stored field (written by rows) or an attribute (given by the definition, never written)."""

    name: str
    sort: Sort
    about: str
    choices: tuple[str, ...] = ()
    judged: bool = False
    """True: not stored but judged by the engine when it is asked, from payloads and definitions."""


@frozen
class Kind:
    """What a row of this kind holds. `rank`: progress only ever moves a row to a smaller one; `badly`: the bad ends."""

    name: str
    states: tuple[str, ...]
    terminal: tuple[str, ...]
    fields: tuple[Field, ...]
    attributes: tuple[Field, ...]
    rank: Mapping[str, int]
    badly: tuple[str, ...] = ()


@frozen
class Link:
    """Which rows a row can see: one, or a set. Given by the definition or the shape of the tree, never written."""

    name: str
    source: str
    target: str
    about: str
    one: bool = False
    present: Expr = YES
    """A single link may be absent; then this condition says when it is there, and guards every reading over it."""
    covers: tuple[str, ...] = ()
    """A set link that is closed under going down: it already holds what these links of the rows behind it would add."""
    back: tuple[str, ...] = ()
    """A set link that is another way of reading single ones: it holds the rows from which this path leads here."""


def _pairs(value: Mapping[str, Expr] | tuple[tuple[str, Expr], ...]) -> tuple[tuple[str, Expr], ...]:
    return tuple(value.items()) if isinstance(value, Mapping) else value


@frozen
class Row:
    """One line of a lifecycle table: in one of `source`, if all guards hold, `event` leads to `target`.

    A row changes only its own row: the state and the fields in `set`, read before the change.
    """

    event: str
    source: tuple[str, ...]
    target: str
    guards: tuple[Guard, ...] = ()
    set: tuple[tuple[str, Expr], ...] = field(default=(), converter=_pairs)


@frozen
class Refusal:
    """The event is refused in these states, for this reason."""

    event: str
    source: tuple[str, ...]
    why: str


@frozen
class NoOp:
    """The event is accepted in these states and changes nothing, for this reason."""

    event: str
    source: tuple[str, ...]
    why: str


@frozen
class Fire:
    """The event happens to self, or to every row behind a link for which `where`, read from that row, holds."""

    event: str
    at: str = "self"
    where: Expr = YES


class Lock(StrEnum):
    """What a command holds while it commits, and what the commit records."""

    TREE = "tree"
    """The tree, alone: the version rises, history is written."""
    SHARE = "share"
    """The tree, shared with others: history carries the version that was read."""
    ROW = "row"
    """One row, compared and set: no version, no history (it changes no state)."""


@frozen
class Step:
    """A command; or, in the progress table, a command that the system gives itself. One shape for both.

    All parts of one `do` read the state before it: none sees what another one changed.
    """

    name: str
    on: str
    do: tuple[Fire, ...]
    guards: tuple[Guard, ...] = ()
    params: tuple[str, ...] = ()
    by: str = "operator"
    lock: Lock = Lock.TREE


@frozen
class Enter:
    """What happens with every way into one of these states, so that no ending can forget it.

    A `cascade` reaches the rows below (its links cover what is further down) and belongs to terminal states; `emit` happens
    also for each row that the cascade itself moves into one of the states.
    """

    kind: str
    states: tuple[str, ...]
    cascade: tuple[Fire, ...]
    emit: tuple[Fire, ...]


@frozen
class Follow:
    """What an event brings with it, wherever it happens: read from the row that it moved, after it moved.

    What it fires may itself bring something with it.
    """

    kind: str
    event: str
    do: tuple[Fire, ...]


class Nature(StrEnum):
    """How a property is to be understood, and so how it can be known."""

    STATE = "state"
    STEP = "step"
    LIVENESS = "liveness"
    ENVIRONMENT = "environment"


class Place(StrEnum):
    """Where a state property holds: MID also between two progress rules, REST in every committed state."""

    MID = "mid"
    REST = "rest"


@frozen
class Property:
    """An invariant: an expression on every row of a kind. `known` names what shows it where no expression can."""

    id: str
    nature: Nature
    on: str
    text: str
    body: Expr = YES
    place: Place = Place.REST
    measure: tuple[Expr, ...] = ()
    known: str = ""


@frozen
class Table:
    """The cells of one lifecycle: every state x event is a row, a no-op or a refusal."""

    kind: Kind
    rows: tuple[Row, ...]
    no_ops: tuple[NoOp, ...]
    refusals: tuple[Refusal, ...]
    reopening: tuple[str, ...] = ()
    """The only events that leave a terminal state for another one."""

    @property
    def events(self) -> tuple[str, ...]:
        """Every event of the lifecycle, in the order in which the rows name them."""
        return tuple(dict.fromkeys(r.event for r in self.rows))

    def rows_for(self, event: str, state: str) -> tuple[Row, ...]:
        """The rows of one cell."""
        return tuple(r for r in self.rows if r.event == event and state in r.source)


@frozen
class Spec:
    """The whole specification: what the runtime, the diagrams, the checkers and the proof are made from."""

    kinds: Mapping[str, Kind]
    links: Mapping[str, Link]
    tables: Mapping[str, Table]
    on_enter: tuple[Enter, ...]
    commands: tuple[Step, ...]
    progress: tuple[Step, ...]
    properties: tuple[Property, ...]
    follows: tuple[Follow, ...] = ()
    lemmas: tuple[Property, ...] = ()
    """What an induction needs besides the properties: true in every state, also between two rules."""
    given: tuple[Property, ...] = ()
    """What is true of all attributes: a proof may take it as given, an exploration looks whether it is."""

    def command(self, name: str) -> Step:
        """The command of this name."""
        return next(s for s in self.commands if s.name == name)
