"""Everything that the tables declare can be taken, or it is said why not."""

from __future__ import annotations

from functools import cache

import pytest

from kernel.formal.stage import branches
from kernel.formal.witness import Witness, declared, told, witnesses
from kernel.spec import SPEC
from kernel.spec.vocabulary import archived, chosen, launched, wf_live
from tests.drift.test_evidence import filled
from tests.formal.judged import WITNESSES, witnesses_page
from tests.formal.scenes import stages

RUNNING = "a sub-workflow COMPLETES and FAILS only while it is RUNNING, and so is then what is above it (INV-07)"
NO_CHILD = "what was skipped or rejected has no sub-workflow that could go on in place"
UNREACHED = {
    ("CHILD_COMPLETED", "wf.state = PAUSED"): RUNNING,
    ("CHILD_FAILED", "wf.state = PAUSED"): RUNNING,
    ("REOPEN", "from SKIPPED"): NO_CHILD,
    ("REOPEN", "from FAILED_WITH_TERMINAL_ERROR"): NO_CHILD,
}
"""What no shape comes to: the event, how the entry ends, and why."""


@cache
def found() -> tuple[Witness, ...]:
    """All witnesses."""
    return tuple(witnesses(SPEC, stages()))


@pytest.mark.slow
@pytest.mark.early
@pytest.mark.timeout(600)
def test_everything_is_taken_somewhere() -> None:
    """Every row in each of its states, every command, rule and state, every alternative of a guard."""
    missing = {witness.says for witness in found() if not witness.stage}
    excused = {says for says in missing for event, end in UNREACHED if f" {event} " in says and says.endswith(end)}
    assert missing == excused
    assert all(any(f" {event} " in says and says.endswith(end) for says in missing) for event, end in UNREACHED)


@pytest.mark.slow
@pytest.mark.early
@pytest.mark.timeout(600)
def test_the_page_tells_where() -> None:
    """specs/evidence/witnesses.md is what is found today."""
    text = WITNESSES.read_text(encoding="utf-8")
    assert text == filled(text, witnesses_page(found())), "run `python -m tests.formal.judged` and look at the difference"


@pytest.mark.slow
@pytest.mark.early
@pytest.mark.timeout(600)
def test_a_way_leads_there() -> None:
    """The last of the commands is the one that takes it."""
    ways = {witness.says: witness.trace for witness in found()}
    assert ways["TERMINATE"] == ("START w", "TERMINATE w")
    assert ways["PURGE"][-1].startswith("PURGE w")
    assert all(witness.trace for witness in found() if witness.stage)


def test_what_is_declared_is_asked_for() -> None:
    """Rows by state, commands and rules by name, guards by alternative; each once."""
    entries = list(declared(SPEC))
    assert len({part for _, _, part in entries}) == len(entries)
    assert sum(what == "row" for what, _, _ in entries) == sum(
        len(row.source) for each in SPEC.tables.values() for row in each.rows)
    assert {says for what, says, _ in entries if what == "rule"} == {rule.name for rule in SPEC.progress}


@pytest.mark.parametrize(("guard", "words"), [
    (wf_live, ["wf.state = RUNNING", "wf.state = PAUSED"]), (archived, []),
    (launched, ["mode = WAIT", "mode = WORKFLOW"]),
    (chosen, ["branch = 0", "(switch.state = COMPLETED) and switch.choice = branch"]),
])
def test_alternatives_are_told(guard: object, words: list[str]) -> None:
    """What a guard asks for, one of several things; nothing, where it asks for one."""
    assert [told(branch) for branch in branches(guard)] == words  # type: ignore[arg-type]
