"""Kernels with a bug: edits of the specification, or a kernel that does one thing wrong. One exhibit's own stand beside it."""

from __future__ import annotations

from collections.abc import Callable
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
from kernel.spec.language import Fire, Row, Step
from kernel.testing.world import KernelFactory


def running(program: Callable[[], Program]) -> KernelFactory:
    """A kernel on another program, which is compiled when it is first asked for."""
    def make(store: Store, **options: Any) -> Kernel:
        return Kernel(store, **{**options, "program": program()})
    return make


def with_rows(kind: str, edit: Callable[[Row], Row], *, no_ops: bool = True) -> Program:
    """The specification with each row of a table edited; without `no_ops`, what was one is refused."""
    table = SPEC.tables[kind]
    edited = attrs.evolve(table, rows=tuple(edit(row) for row in table.rows), no_ops=table.no_ops if no_ops else ())
    return compile_program(attrs.evolve(SPEC, tables={**SPEC.tables, kind: edited}))


def with_rule(name: str, *do: Fire) -> Program:
    """The specification with one progress rule firing something else."""
    def edited(rule: Step) -> Step:
        return attrs.evolve(rule, do=do) if rule.name == name else rule

    assert name in {rule.name for rule in SPEC.progress}
    return compile_program(attrs.evolve(SPEC, progress=tuple(edited(rule) for rule in SPEC.progress)))


def with_cascade(*cascade: Fire) -> Program:
    """The specification with another cascade on entering a terminal state."""
    (entering,) = SPEC.on_enter
    return compile_program(attrs.evolve(SPEC, on_enter=(attrs.evolve(entering, cascade=cascade),)))


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
