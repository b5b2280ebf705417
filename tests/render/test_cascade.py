"""The picture of the cascade shows everything that is fired over a link, and the rules of progress in their order."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from kernel.render.cascade import GROUPS, cascade, rule_text
from kernel.render.extract import Cause
from kernel.spec import SPEC
from kernel.spec.check import fires
from kernel.spec.language import Fire
from kernel.spec.names import entering, following

DRAWN = cascade(SPEC)


def test_every_fire_over_a_link_is_shown_once() -> None:
    """What commands, rules and entering a state fire at other rows is on exactly one reach."""
    brought = dict.fromkeys((follow.kind, follow.do) for follow in SPEC.follows)  # alike: taken together
    apart = (*following(SPEC), *entering(SPEC))
    declared = Counter((f.event, f.at) for step, f in fires(SPEC) if f.at != "self" and step not in apart)
    alike = dict.fromkeys((e.kind, e.cascade, e.emit) for e in SPEC.on_enter)
    declared += Counter((fire.event, fire.at) for _, below, emit in alike for fire in (*below, *emit))
    declared += Counter((fire.event, fire.at) for _, do in brought for fire in do)
    shown = Counter((arm.event, reach.link) for reach in DRAWN.reaches for arm in reach.arms)
    assert shown == declared
    assert {target.link for target in DRAWN.targets} == {link for _, link in declared}
    assert {reach.source for reach in DRAWN.reaches} == {source.name for source in DRAWN.sources}


def test_rules_stand_in_their_order() -> None:
    """Every rule of progress is there with its place; the groups are hand-overs, ends, starts, in this order."""
    rules = [rule for group in DRAWN.groups for rule in group.rules]
    assert [(rule.place, rule.name) for rule in rules] == list(enumerate((s.name for s in SPEC.progress), start=1))
    assert [group.name for group in DRAWN.groups] == list(GROUPS)
    for group in DRAWN.groups:
        for rule in group.rules:
            step = SPEC.progress[rule.place - 1]
            assert Counter((*group.guards, *rule.guards)) == Counter(guard.name for guard in step.guards)


def test_rule_reads() -> None:
    """A rule says what it fires and asks; one that only fires the event of its name says nothing more."""
    said = {rule.name: rule_text(rule) for group in DRAWN.groups for rule in group.rules}
    assert said["SCHEDULE"] == ""
    assert said["END_FAILED"] == "FAIL where a task failed"
    assert said["LAUNCH_CHILD"] == "LAUNCH, START over child, CREATE over child_tasks where sub-workflow task"


def test_entering_names_who_leads_there() -> None:
    """The source of the cascade names the states, the commands and the rules that lead to them."""
    source, onward = (s for s in DRAWN.sources if s.cause is Cause.CASCADE)
    assert (onward.titles, onward.about) == (("a workflow becomes", "RUNNING", "PAUSED"), ("whoever brings it there",))
    assert source.titles == ("a workflow becomes", "COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED")
    assert source.about == ("by TERMINATE, TIME_OUT", "by progress, rules 5 to 12")
    (emitted,) = (a for r in DRAWN.reaches if (r.source, r.link) == (source.name, "outbox") for a in r.arms)
    assert emitted.guards == ("also for each of subs that it ends",)


@pytest.mark.parametrize("event", ["TERMINATE", "CANCEL"])
def test_a_forgotten_cascade_disappears(event: str) -> None:
    """A specification whose cascade leaves something out is drawn without it."""
    enter, *more = SPEC.on_enter
    spec = evolve(SPEC, on_enter=(evolve(enter, cascade=tuple(f for f in enter.cascade if f.event != event)), *more))
    arms = [arm for reach in cascade(spec).reaches for arm in reach.arms]
    assert Cause.CASCADE not in {arm.cause for arm in arms if arm.event == event}


def test_where_is_told() -> None:
    """A Fire that picks rows says which."""
    step = evolve(SPEC.command("PAUSE"), do=(Fire("PAUSE", "subs", SPEC.command("RESUME").do[1].where),))
    (reach,) = cascade(evolve(SPEC, commands=(step,), on_enter=(), progress=(), follows=())).reaches
    assert [arm.guards for arm in reach.arms] == [("paused_by = presented origin",)]
