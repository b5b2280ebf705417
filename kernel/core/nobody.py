"""What stands in place of a row that is not there."""

from __future__ import annotations

from kernel.spec.vocabulary import ABSENT


class Nobody:
    """It has a state, and nothing else."""

    state = ABSENT


NOBODY = Nobody()
