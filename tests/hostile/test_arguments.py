"""Whatever is given for whatever parameter: an answer, or an error of ours with nothing changed. Never anything else."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

import kernel
from kernel.engine.kernel import Kernel
from kernel.engine.relay import RelayOptions
from kernel.errors import InvalidInput, KernelError, quoted
from kernel.testing.corpus import TEXTS, THINGS, VALUES
from kernel.testing.lockstep import answered
from tests.hostile.conftest import LEAF
from tests.stores.stand import EMBEDDED, Stand, stand

OPTIONS = {"command_id": None, "reason": "", "actor": None}
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "register": ((LEAF,), {}),
    "start": (("root",), {"version": None, "input": None, "workflow_id": "new", **OPTIONS}),
    "poll": (("b",), {"worker": "w1", "limit": 1, **OPTIONS}),
    "complete": (("LEASE",), {"output": None, "spawn": (), "before": (), **OPTIONS}),
    "fail": (("LEASE",), {"retryable": True, "output": None, **OPTIONS}),
    "postpone": (("LEASE", 1.0), {"output": None, **OPTIONS}),
    "heartbeat": (("LEASE",), {}),
    "signal": (("w", "ok"), {"output": None, **OPTIONS}),
    "pause": (("w",), OPTIONS),
    "resume": (("w",), OPTIONS),
    "terminate": (("w",), OPTIONS),
    "skip": (("w", "ok"), OPTIONS),
    "retry": (("w",), {**OPTIONS, "resume_children": True}),
    "restart": (("w",), OPTIONS),
    "rerun": (("w",), {**OPTIONS, "from_task": "ok", "in_workflow": "w"}),
    "purge": (("w",), {**OPTIONS, "unarchived": False}),
    "purge_ended": ((), {"older_than": 1e9, "after": None, "limit": 10, "unarchived": False, "reason": "", "actor": None}),
    "tick": ((), {"limit": 10}),
    "deliver": ((), {"limit": 10, "now": False}),
    "set_archive_policy": ((None,), {}),
    "archive_policy": ((), {}),
    "redrive": (("v#1:archive",), OPTIONS),
    "get": (("w",), {"run": None}),
    "tasks": (("w",), {"run": None}),
    "tree": (("w",), {"run": None}),
    "history": (("w",), {"run": 1, "below": False, "after": 0, "limit": 10}),
    "find": ((), {"state": None, "name": None, "after": None, "limit": 10}),
    "allowed": (("w", "a"), {}),
    "deliveries": ((), {"state": None, "workflow_id": None, "after": None, "limit": 10}),
    "audit": ((), {}),
    "verify": ((None,), {"after": None, "limit": 10}),
    "backlog": ((), {}),
    "late": (("w",), {}),
    "outcome": (("id",), {"workflow_id": "w"}),
}
READS = ("get", "tasks", "tree", "history", "find", "allowed", "deliveries", "archive_policy", "audit", "verify", "backlog",
         "late")
OUTSIDE = {"command", "commit", "apply", "close"}
"""Of the kernel's own machinery: what callers use is above."""


def spoilt(name: str, lease: kernel.Lease) -> Iterator[tuple[str, str, tuple[Any, ...], dict[str, Any]]]:
    """Calls of a method in which one argument after the other is one value of the corpus after the other."""
    positional, named = CALLS[name]
    given = tuple(lease if value == "LEASE" else value for value in positional)
    for label, value in VALUES.items():
        for place in range(len(given)):
            yield f"argument {place}", label, (*given[:place], value, *given[place + 1:]), named
        for parameter in named:
            yield parameter, label, given, {**named, parameter: value}


def test_every_public_method_is_called() -> None:
    """A method that is new has to be added here."""
    public = {name for name, _ in inspect.getmembers(Kernel, inspect.isfunction) if not name.startswith("_")}
    assert public - OUTSIDE == set(CALLS)
    for name, (positional, named) in CALLS.items():
        parameters = inspect.signature(getattr(Kernel, name)).parameters
        fixed = [p for p in parameters.values() if p.kind is not p.VAR_KEYWORD and p.name != "self"]
        assert len(fixed) == len(positional) + len(set(named) - (set() if name in ("start", "purge_ended") else set(OPTIONS)))


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_is_an_error_of_ours(each: Stand, lease: kernel.Lease, name: str) -> None:
    """An answer, or an error of our tree that prints and has changed nothing; a read changes nothing in any case."""
    before = each.rows()
    for parameter, label, args, options in spoilt(name, lease):
        answer = answered(lambda k, args=args, options=options: getattr(k, name)(*args, **options), each.k)  # type: ignore[misc]
        if answer[0] == "raises":
            assert answer[2].replace("\n", "").isprintable(), (parameter, label)
            assert len(answer[2]) < 2_000, (parameter, label)
        if answer[0] == "raises" or name in READS:
            assert each.rows() == before, (parameter, label)
        before = each.rows()
    assert each.k.audit().clean


@pytest.mark.parametrize("name", CALLS)
def test_all_stores_judge_alike(tmp_path: Path, name: str) -> None:
    """What one store takes every other takes, and what one refuses every other refuses with the same words."""
    answers: list[list[Any]] = []
    for kind in EMBEDDED:
        with stand(kind, tmp_path) as each:
            each.k.register(LEAF, kernel.WorkflowDef("root", tasks=[kernel.TaskDef(ref) for ref in ("a", "b")]))
            each.k.start("root", workflow_id="w")
            (lease,) = each.k.poll("a", worker="w1")
            found: list[Any] = []
            for parameter, label, args, options in spoilt(name, lease):
                if label in ("odd", "object"):
                    continue  # their texts hold an address
                answer = answered(lambda k, args=args, options=options: getattr(k, name)(*args, **options), each.k)  # type: ignore[misc]
                found.append((parameter, label, answer if answer[0] == "raises" else "gives"))
            answers.append(found)
    for memory, *others in zip(*answers, strict=True):
        assert others == [memory] * len(others)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(kernel.Lease)])
def test_a_forged_lease(each: Stand, lease: kernel.Lease, field: str) -> None:
    """A lease whose fields hold anything at all."""
    before = each.rows()
    for label, value in VALUES.items():
        forged = attrs.evolve(lease, **{field: value})
        for name in ("complete", "fail", "heartbeat"):
            try:
                getattr(each.k, name)(forged)
            except KernelError:
                assert each.rows() == before, label
            else:  # what is not part of the token may be anything
                free = ("ref", "type", "attempt", "expires", "input", "output", "worker")
                assert field in free or value == getattr(lease, field)
                return


NO_STORES = ["memory", "sqlite://", "sqlite:///", "postgres://x", "file:x", "", "\0", "sqlite:///a\0b", *THINGS.values()]


@pytest.mark.parametrize("value", NO_STORES, ids=lambda value: type(value).__name__)
def test_a_store_that_is_none(value: Any) -> None:
    """`open` takes the URLs that it names and nothing else."""
    with pytest.raises(InvalidInput, match="the store"):
        kernel.open(value)


@pytest.mark.parametrize("value", [None, 7, b"x", object(), [], "a\0b", "x" * 201])
def test_an_actor_that_is_none(value: Any) -> None:
    """Also when a kernel is opened."""
    with pytest.raises(InvalidInput, match="the actor"):
        kernel.open("memory://", actor=value)


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf")])
def test_a_timeout_that_is_none(timeout: float) -> None:
    """A relay that would wait for nobody, or for ever."""
    with pytest.raises(InvalidInput, match="a sink timeout"):
        kernel.open("memory://", relay=RelayOptions(timeout=timeout))


# ------------------------------------------------------------------------------------------------------------- definitions
TASK: dict[str, Any] = {
    "ref": "a", "type": "t", "kind": "worker", "after": (), "input": {}, "workflow": None, "workflow_version": None,
    "retries": 0, "retry_delay": 0.0, "lease": 60.0, "poll_timeout": None, "optional": False, "permissive": False,
    "on_expiry": "RETRY", "asks": None, "on": None, "when": None, "retry_logic": "FIXED", "retry_delay_max": None,
    "retry_jitter": 0.0, "attempt_timeout": None, "total_timeout": None, "wait_for": None, "wait_until": None,
}
WORKFLOW: dict[str, Any] = {
    "name": "w", "version": 1, "tasks": (kernel.TaskDef("a"),), "topics": (), "timeout": None,
    "on_timeout": "TIME_OUT_WF", "restartable": True,
    "defaults": {}, "output": {}, "variables": {}, "failure_workflow": None, "archive": None, "failure_on_terminate": True,
    "notify": ("PAUSED",),
}


@pytest.mark.parametrize("field", TASK)
def test_a_task_definition_of_anything(field: str) -> None:
    """Every field refuses what it cannot hold, by name."""
    assert set(TASK) == {each.name for each in attrs.fields(kernel.TaskDef)}
    for label, value in VALUES.items():
        with suppress(kernel.InvalidDefinition):
            assert isinstance(kernel.TaskDef(**{**TASK, field: value}), kernel.TaskDef), label


@pytest.mark.parametrize("field", WORKFLOW)
def test_a_workflow_definition_of_anything(each: Stand, field: str) -> None:
    """What can be made can be registered and started, on every store; the rest is refused by name."""
    assert set(WORKFLOW) | {"within"} == {f.name for f in attrs.fields(kernel.WorkflowDef)}
    for number, (label, value) in enumerate(VALUES.items()):
        with suppress(kernel.InvalidDefinition):
            made = kernel.WorkflowDef(**{**WORKFLOW, "name": f"w{number}", field: value})
            each.k.register(made)
            assert each.k.start(made.name, version=made.version, workflow_id=f"w{number}").state == "RUNNING", label
            each.k.terminate(f"w{number}")
    assert each.k.audit().clean


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_anything_can_be_quoted(value: object) -> None:
    """In a message anything is one short line that prints, whatever its own text does."""
    text = quoted(value)
    assert text.isprintable()
    assert 2 <= len(text) <= 1_300
    assert TEXTS["escape"] not in text
