"""Drives decisions on a World by hand: rows are named as people name them, `w`, `w.task`, `w/sub.task`, `w>topic`."""

from __future__ import annotations

from typing import Any

from kernel.core.decide import decide
from kernel.core.definitions import WorkflowDef
from kernel.core.plan import Command, Plan, Refusal, Subject
from kernel.core.program import Program, standard_program
from kernel.core.records import prepare
from kernel.core.structure import compile_definition, flatten
from tests.model.world import World

NOW = 1_000_000


def world_of(*definitions: WorkflowDef) -> World:
    """An empty world that knows these definitions."""
    plain = [each for definition in definitions for each in flatten(definition)]
    return World(definitions={each.name: prepare(compile_definition(each)) for each in plain})


def subject(world: World, row: str) -> Subject:
    """The row of this name."""
    if ">" in row:
        workflow, _, topic = row.partition(">")
        return Subject(workflow, topic=topic, run=1)
    workflow, dot, ref = row.partition(".")
    if not dot:
        return Subject(workflow)
    return Subject(workflow, world.workflows[workflow].prepared.definition.index[ref])


def decided(
    world: World, name: str, row: str, *, now: int = NOW, program: Program | None = None, **given: Any
) -> Plan | Refusal | None:
    """What the command would do. A worker's command presents the stored lease unless told otherwise.

    `reason`, `worker`, `payload` and `input` are written down; `definition` names what START starts; all else is presented.
    """
    written: dict[str, Any] = {key: given.pop(key) for key in ("reason", "worker", "payload", "input") if key in given}
    on = subject(world, row)
    if on.no is not None and (on.workflow, on.no) in world.own:
        given = {"run": 1, "handouts": world.own[on.workflow, on.no].handouts, **given}
    if name in ("PAUSE", "RESUME"):
        given.setdefault("origin", on.workflow)
    if name == "START":
        written["prepared"] = world.definitions[given.pop("definition", "w")]
        written.setdefault("input", "{}")
    return decide(program or standard_program(), world, Command(name, on, given=given, **written), now)


def planned(world: World, name: str, row: str, **given: Any) -> Plan:
    """The plan of a command that is accepted."""
    plan = decided(world, name, row, **given)
    assert isinstance(plan, Plan), plan
    return plan


def does(world: World, name: str, row: str, **given: Any) -> World:
    """The world after a command that is accepted."""
    return world.after(planned(world, name, row, **given))[0]


def refused(world: World, name: str, row: str, **given: Any) -> Refusal:
    """The refusal of a command."""
    refusal = decided(world, name, row, **given)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def states(world: World) -> dict[str, str]:
    """The state of every row, by its name."""
    found = {row.id: row.state for row in world.workflows.values()}
    found |= {f"{row.workflow}.{row.ref}": row.state for row in world.own.values()}
    return found | {f"{row.workflow}>{row.name}": row.state for row in world.outbox.values()}
