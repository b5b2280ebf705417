"""Doing it again where somebody was faster: a store that compares, when it commits, what was read says so; nothing happened."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from kernel.errors import Conflict

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

TRIES = 50
PAUSES = (0.0002, 0.02)
"""Seconds: the first and the longest pause before another try; the real one is drawn from 0 up to it."""


class Overtaken(Conflict):
    """Something that a decision read was changed before its commit: decide again. Nothing was applied."""


def again(work: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Load, decide and commit once more, where another commit came between. Raises Conflict when that happens each time."""

    @functools.wraps(work)
    def persistent(*given: Given.args, **options: Given.kwargs) -> Answer:
        tried = 0
        while True:
            try:
                return work(*given, **options)
            except Overtaken as last:
                tried += 1
                if tried == TRIES:
                    raise Conflict(
                        last.asked, stands=f"others were faster {TRIES} times", why=last.why, hint="try again") from last
            if tried > 1:
                time.sleep(random.uniform(0.0, min(PAUSES[1], PAUSES[0] * 2.0 ** min(tried, 10))))

    return persistent
