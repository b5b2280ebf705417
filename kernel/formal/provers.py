"""Two provers that must agree: cvc5, on the obligations as they are; z3, on instances of the hypotheses, free of quantifiers.

Fewer hypotheses can only prove less: where the instances have no model, the hypotheses have none. The instances are made from
the rows of the goal and those that a few links lead to from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import product
from typing import Any

from attrs import evolve, frozen

from kernel.errors import NotFound
from kernel.formal.proof import Obligation

NUMBERS = ("task_attempt", "workflow_slot")
"""Functions whose values are numbers of attempts; a hypothesis about any number is asked of these."""
LINKS = ("wf", "up", "of")
"""The links that make a tree; the others are asked last for the rows that they lead to."""
TERMS, ROUNDS = (8, 12, 20), 2
"""At most so many rows of a kind, reached over so many links from those of the goal; more where fewer do not do."""


@frozen
class Verdict:
    """What a prover says of the goals of one obligation: those that it did not prove, by name, and why not."""

    obligation: str
    prover: str
    goals: int
    seconds: float
    open: tuple[str, ...] = ()


def prove_cvc5(obligation: Obligation, *, limit: float = 10.0) -> Verdict:
    """Ask cvc5 for each goal; `limit` is in seconds for each. Raises NotFound when it is not installed."""
    _needs("cvc5")
    begun = time.perf_counter()
    left = tuple(f"{name}: {answer}" for name, goal in obligation.goals
                 if (answer := ask_cvc5(obligation.script(goal), limit, "full-saturate-quant")) != "unsat")
    return Verdict(obligation.name, "cvc5", len(obligation.goals), time.perf_counter() - begun, left)


def ask_cvc5(script: str, limit: float, *options: str) -> str:
    """unsat, sat or unknown."""
    import cvc5

    manager = cvc5.TermManager()
    solver = cvc5.Solver(manager)
    solver.setOption("tlimit-per", str(round(limit * 1000)))
    for option in options:
        solver.setOption(option, "true")
    symbols = cvc5.SymbolManager(manager)
    parser = cvc5.InputParser(solver, symbols)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, f"(set-logic ALL)\n{script}", "obligation")
    while not (command := parser.nextCommand()).isNull():
        command.invoke(solver, symbols)
    return str(solver.checkSat()).split()[0]


def prove_z3(obligation: Obligation, *, limit: float = 20.0, sizes: Sequence[int] = TERMS) -> Verdict:
    """Ask z3 for each goal, on instances of the hypotheses: first for all goals together, then for those that are left alone.

    Raises NotFound when it is not installed.
    """
    _needs("z3")
    begun = time.perf_counter()
    left = [number for number, answer in enumerate(Instances(obligation, sizes[0]).answers(limit)) if answer != "unsat"]
    still = []
    for goal in [obligation.goals[number] for number in left]:
        alone, answer = evolve(obligation, goals=(goal,)), ""
        for terms, near in (*((size, False) for size in sizes), (sizes[-1], True)):
            (answer,) = Instances(alone, terms, near=near).answers(limit)
            if answer == "unsat":
                break
        else:
            still.append(f"{goal[0]}: {answer}")
    return Verdict(obligation.name, "z3", len(obligation.goals), time.perf_counter() - begun, tuple(still))


class Instances:
    """One obligation without quantifiers: its hypotheses for the rows at hand."""

    def __init__(self, obligation: Obligation, terms: int, *, near: bool = False) -> None:
        """The goals are denied one by one; rows that a denied goal speaks of get the same names in each.

        `near`: the rows at hand are those around the goal's, none that only a hypothesis names.
        """
        import z3

        self.z3: Any = z3
        self.kinds = obligation.kinds
        script = "\n".join(("(set-logic ALL)", *obligation.hypotheses))
        goals = "\n".join(f"(assert (not {goal}))" for _, goal in obligation.goals)
        every = list(z3.parse_smt2_string(f"{script}\n{goals}"))
        last = len(every) - len(obligation.goals)
        hypotheses = self.normal(every[:last])
        self.denied = [self.canonical(self.normal([goal])) for goal in every[last:]]
        self.found: dict[str, dict[int, Any]] = {kind: {} for kind in obligation.kinds}
        self.links: dict[str, Any] = {}
        self.pairs: dict[str, Any] = {}
        self.numbers: dict[str, Any] = {}
        for formula in (f for goal in self.denied for f in goal):
            self.collect(formula, set())
        asked = [row for rows in self.found.values() for row in rows.values()]
        for formula in hypotheses:
            self.collect(formula, set())
        (self.around if near else self.close)(terms, asked)
        self.domains: Mapping[str, list[Any]] = {kind: list(rows.values()) for kind, rows in self.found.items()}
        self.attempts = [read(row) for read in self.numbers.values() for row in self.domains[read.domain(0).name()]]
        self.ground = [self.expanded(formula) for formula in hypotheses]

    def normal(self, formulas: Iterable[Any]) -> list[Any]:
        """Negations inside, rows that are said to exist named."""
        goal = self.z3.Goal()
        goal.add(*formulas)
        return list(self.z3.Then("simplify", "nnf")(goal)[0])

    def canonical(self, formulas: list[Any]) -> list[Any]:
        """The same with the rows that were named called the first, the second ... of their kind."""
        named: dict[int, tuple[Any, Any]] = {}
        counts = dict.fromkeys(self.kinds, 0)
        for formula in formulas:
            for constant in self.constants(formula, set()):
                kind = constant.sort().name()
                if "!" in constant.decl().name() and kind in counts and constant.get_id() not in named:
                    named[constant.get_id()] = constant, self.z3.Const(f"the_{kind}_{counts[kind]}", constant.sort())
                    counts[kind] += 1
        return [self.z3.substitute(formula, *named.values()) for formula in formulas]

    def constants(self, expression: Any, seen: set[int]) -> Iterator[Any]:
        """The constants of an expression."""
        if expression.get_id() not in seen:
            seen.add(expression.get_id())
            if self.z3.is_const(expression) and expression.decl().kind() == self.z3.Z3_OP_UNINTERPRETED:
                yield expression
            for child in expression.children():
                yield from self.constants(child, seen)

    def collect(self, expression: Any, seen: set[int]) -> None:
        """The rows that have a name, and the functions that lead from row to row."""
        if expression.get_id() in seen:
            return
        seen.add(expression.get_id())
        if self.z3.is_app(expression) and expression.decl().kind() == self.z3.Z3_OP_UNINTERPRETED:
            function, kind = expression.decl(), expression.sort().name()
            if kind in self.found and self.is_ground(expression):
                self.found[kind][expression.get_id()] = expression
            if function.arity() == 1 and function.domain(0).name() in self.found:
                if kind in self.found:
                    self.links[function.name()] = function
                elif function.name() in NUMBERS:
                    self.numbers[function.name()] = function
            if function.arity() == 2 and kind in self.found and function.domain(1).name() in self.found:
                self.pairs[function.name()] = function
        for child in expression.children():
            self.collect(child, seen)

    def is_ground(self, expression: Any) -> bool:
        """Whether it speaks of no variable."""
        return not self.z3.is_var(expression) and all(self.is_ground(child) for child in expression.children())

    def close(self, most: int, asked: Sequence[Any]) -> None:
        """Add the rows that the links lead to: first those of trees; then, from rows that a goal asks about, all others."""
        trees = [self.links[name] for name in LINKS if name in self.links]
        others = [link for name, link in self.links.items() if name not in LINKS]
        for links in [trees] * ROUNDS:
            self.add(most, (link(row) for link in links for row in [*self.found[link.domain(0).name()].values()]))
        self.add(most, (pair(a, b) for pair in self.pairs.values() for a in asked if a.sort() == pair.domain(0)
                        for b in [*self.found[pair.domain(1).name()].values()]))
        for _ in range(ROUNDS):
            self.add(most, (link(row) for link in others for row in [*self.found[link.domain(0).name()].values()]))

    def around(self, most: int, rows: Sequence[Any]) -> None:
        """These rows, and those that links lead to from there, but for rows above."""
        links = [link for name, link in self.links.items() if name not in ("up", "top")]
        self.found = {kind: {row.get_id(): row for row in rows if row.sort().name() == kind} for kind in self.kinds}
        for _ in range(ROUNDS):
            rows = [link(row) for row in rows for link in links if link.domain(0) == row.sort()]
            self.add(most, rows)

    def add(self, most: int, reached: Iterable[Any]) -> None:
        """Add rows, as long as there is room for more of their kind."""
        for row in reached:
            rows = self.found[row.sort().name()]
            if len(rows) < most:
                rows.setdefault(row.get_id(), row)

    def expanded(self, expression: Any) -> Any:
        """A formula for the rows at hand instead of for all."""
        z3 = self.z3
        if z3.is_quantifier(expression):
            domains = [self.domains.get(expression.var_sort(i).name(), self.attempts) for i in range(expression.num_vars())]
            body = expression.body()
            cases = [z3.substitute_vars(body, *reversed(rows)) for rows in product(*domains)]
            return z3.And([*map(self.expanded, cases)] if self.nested(body, set()) else cases)
        if z3.is_and(expression) or z3.is_or(expression):
            joined: Callable[[list[Any]], Any] = z3.And if z3.is_and(expression) else z3.Or
            return joined([self.expanded(child) for child in expression.children()])
        return expression

    def nested(self, expression: Any, seen: set[int]) -> bool:
        """Whether there is a quantifier in it."""
        if expression.get_id() in seen:
            return False
        seen.add(expression.get_id())
        return self.z3.is_quantifier(expression) or any(self.nested(child, seen) for child in expression.children())

    def answers(self, limit: float) -> Iterator[str]:
        """What z3 says of each goal."""
        solver = self.z3.Solver()
        solver.set("timeout", round(limit * 1000))
        solver.add(self.ground)
        for denied in self.denied:
            solver.push()
            solver.add([self.expanded(formula) for formula in denied])
            yield str(solver.check())
            solver.pop()


def _needs(package: str) -> None:
    if find_spec(package) is None:
        raise NotFound(f"asking {package}", why=f"the package {package} is not installed",
                       hint="pip install 'lifecycle-kernel[formal]'")


PROVERS: Mapping[str, Callable[[Obligation], Verdict]] = {"cvc5": prove_cvc5, "z3": prove_z3}
