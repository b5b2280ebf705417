"""Kernels with a bug: edits of the specification, or a kernel that does one thing wrong. One exhibit's own stand beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import attrs

from kernel.core.decide import decide
from kernel.core.plan import Command, Plan
from kernel.core.program import Program, compile_program
from kernel.core.records import root_of
from kernel.engine import reading
from kernel.engine.entities import Applied, Lease
from kernel.engine.faults import FaultPoint
from kernel.engine.kernel import Kernel
from kernel.engine.ports import Store
from kernel.spec import SPEC, Spec
from kernel.spec.language import Fire, Guard, Row, Table
from kernel.testing.world import KernelFactory


def running(program: Callable[[], Program]) -> KernelFactory:
    """A kernel on another program, which is compiled once, when it is first asked for."""
    once = cache(program)

    def make(store: Store, **options: Any) -> Kernel:
        return Kernel(store, **{**options, "program": once()})
    return make


def tables_with(kind: str, *added: Row, edit: Callable[[Row], Row] = lambda row: row) -> dict[str, Table]:
    """The lifecycles, one of them with each row edited, and with further rows."""
    table = SPEC.tables[kind]
    return {**SPEC.tables, kind: attrs.evolve(table, rows=(*(edit(row) for row in table.rows), *added))}


def unguarded(row: Row, *guards: Guard) -> Row:
    """A row that does not ask for these."""
    return attrs.evolve(row, guards=tuple(guard for guard in row.guards if guard not in guards))


def with_rows(kind: str, edit: Callable[[Row], Row], *, no_ops: bool = True) -> Program:
    """The specification with each row of a table edited; without `no_ops`, what was one is refused."""
    tables = tables_with(kind, edit=edit)
    return with_spec(tables=tables if no_ops else {**tables, kind: attrs.evolve(tables[kind], no_ops=())})


def with_rule(name: str, *do: Fire) -> Program:
    """The specification with one progress rule firing something else."""
    return with_rules({name: do})


def with_rules(do: Mapping[str, tuple[Fire, ...]]) -> Program:
    """The specification with these progress rules firing something else."""
    assert set(do) <= {rule.name for rule in SPEC.progress}
    return with_spec(progress=tuple(attrs.evolve(rule, do=do.get(rule.name, rule.do)) for rule in SPEC.progress))


def with_cascade(*cascade: Fire) -> Program:
    """The specification with another cascade on entering a terminal state."""
    entering, *more = SPEC.on_enter
    return compile_program(attrs.evolve(SPEC, on_enter=(attrs.evolve(entering, cascade=cascade), *more)))


def with_spec(**parts: Any) -> Program:
    """The specification with whole parts replaced."""
    spec: Spec = attrs.evolve(SPEC, **parts)
    return compile_program(spec)


class StaleKernel(Kernel):
    """Reads and decides first, then locks and writes what it decided, whatever others did in between."""

    def _late(self, command: Command) -> tuple[Applied, Plan] | None:
        with self.store.transaction(write=False) as transaction:
            plan = decide(self.program, transaction.snapshot(command.subject), command, self.clock.now())
        self.faults(FaultPoint.BEFORE_COMMIT, command.name)
        if not isinstance(plan, Plan) or plan.no_op:
            return None
        with self.store.transaction(write=True) as transaction:
            root = root_of(command.subject.workflow)
            transaction.snapshot(command.subject)
            transaction.below(root, plan.tree.run)
            transaction.write(plan)
        return Applied(command.id, plan.tree.version), plan

    def commit(self, command: Command) -> Applied:
        """Decide, wait, write."""
        late = self._late(command)
        return super().commit(command) if late is None else late[0]

    def heartbeat(self, lease: Lease) -> Lease:
        """Decide, wait, write."""
        late = self._late(self._on_lease("HEARTBEAT", lease, {}))
        if late is None:
            return super().heartbeat(lease)
        with self.store.transaction(write=False) as transaction:
            return reading.lease(transaction, late[1].tasks[0])
