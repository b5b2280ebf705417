"""A function of the caller's as a sink."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction

import attrs

from kernel.engine.sinks import Owes, Parcel
from kernel.errors import InvalidInput, quoted


def _plain_function(sink: CallableSink, field: attrs.Attribute[Callable[[Parcel], str]], value: object) -> None:
    if not callable(value) or iscoroutinefunction(value):
        raise InvalidInput(
            f"a CallableSink of {quoted(value)}",
            why="a coroutine function gives no receipt" if callable(value) else "it cannot be called",
            hint="give a plain function that takes a Parcel and returns a receipt, such as an id or a message number",
        )


@attrs.frozen
class CallableSink:
    """Calls `function(parcel)`, which delivers and returns a receipt: a text, not empty, that the other side gave.

    `parcel.open()` streams the document and `parcel.read()` gives it whole; `parcel.key` is what the other side needs
    to recognise a repetition. The function owes what every sink owes: see `kernel.engine.sinks.Sink`.
    """

    function: Callable[[Parcel], str] = attrs.field(validator=_plain_function)

    @property
    def owes(self) -> Owes:
        """A receipt: what the function returns."""
        return Owes.RECEIPT

    def deliver(self, parcel: Parcel) -> str:
        """Call the function; its answer is the receipt."""
        return self.function(parcel)
