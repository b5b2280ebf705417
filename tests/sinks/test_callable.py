"""A function as a sink."""

from __future__ import annotations

import json

import pytest

from kernel.engine.courier import Courier, Delivered, Failed
from kernel.engine.sinks import Owes, Parcel
from kernel.errors import InvalidInput
from kernel.sinks import CallableSink

PARCEL = Parcel(
    key="k1", topic="notify", workflow_id="order-7", run=2, attempt=3, open=lambda: iter((b'{"state": ', b'"FAILED"}'))
)


def test_the_function_gets_the_parcel_and_gives_the_receipt() -> None:
    """Key, ids and document reach the function; what it returns is the proof."""
    seen: list[tuple[str, str, str, int, int, object]] = []

    def send(parcel: Parcel) -> str:
        body = json.loads(parcel.read())
        seen.append((parcel.key, parcel.topic, parcel.workflow_id, parcel.run, parcel.attempt, body))
        return "message 4711"

    sink = CallableSink(send)
    assert sink.owes is Owes.RECEIPT
    assert Courier({"notify": sink}, timeout=10).carry(PARCEL) == Delivered("receipt:message 4711")
    assert seen == [("k1", "notify", "order-7", 2, 3, {"state": "FAILED"})]


def test_a_function_that_returns_nothing_delivered_nothing() -> None:
    """The usual slip, a function without a return, is not taken for a delivery."""

    def forgetful(parcel: Parcel) -> None:
        parcel.read()

    answer = Courier({"notify": CallableSink(forgetful)}, timeout=10).carry(PARCEL)  # type: ignore[arg-type]
    assert answer == Failed("the sink returned None: no receipt, so not proven delivered")


async def coroutine_function(parcel: Parcel) -> str:
    """What may be given by mistake."""
    return parcel.key


@pytest.mark.parametrize("function", ["send", None, coroutine_function])
def test_what_cannot_give_a_receipt_is_refused_at_once(function: object) -> None:
    """A name instead of a function, nothing, or a coroutine function is InvalidInput when the sink is made."""
    with pytest.raises(InvalidInput, match="plain function"):
        CallableSink(function)  # type: ignore[arg-type]
