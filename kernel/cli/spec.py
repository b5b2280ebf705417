"""Commands about the specification itself: check it with every engine, write its models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import click

from kernel.cli.common import json_text
from kernel.cli.kit import json_option
from kernel.cli.own import Law, law_of, spec_option
from kernel.cli.text import Live, faint, heading, number, safe, safe_lines, say, table
from kernel.errors import InvalidInput, NotFound
from kernel.formal.configurations import Config
from kernel.formal.engines import ENGINES, agree, models
from kernel.formal.proof import Proof
from kernel.formal.provers import PROVERS, Verdict
from kernel.formal.story import Result, story
from kernel.render.data import json_of
from kernel.render.write import diagrams
from kernel.spec.check import flaws

ENDINGS = {"promela": (".pml",), "tla": (".tla", ".cfg"), "smt": (".smt2",), "json": (".json",), "mermaid": (".mmd",)}


@click.group()
def spec() -> None:
    """Check, prove and export the specification."""


@spec.command()
@click.option("--config", "names", multiple=True, metavar="NAME", help="Only this shape; may be given several times.")
@click.option("--engine", "engines", multiple=True, type=click.Choice(list(ENGINES)), help="Only this engine.")
@spec_option
@json_option
@click.pass_context
def check(ctx: click.Context, names: Sequence[str], engines: Sequence[str], path: Path | None, as_json: bool) -> None:
    """Explore small shapes exhaustively with independent engines that must agree.

    Every command in every reachable state, every invariant after it: once by a generated Python program, once by Spin, once by
    TLC. They must see the same number of states and of transitions. What is not installed is left out, and said. Exits with
    1 when an invariant does not hold, and when two engines disagree.
    """
    live, law = Live(err=True), law_of(path, right=False)
    found = list(flaws(law.spec))
    configs = [] if found else [_config(law, name) for name in names] or list(law.configs)
    rows: list[tuple[Config, list[Result]]] = []
    missing: dict[str, str] = {}
    for config in configs:
        results = []
        for name in _engines(law, config, engines, named=bool(names)):
            if name in missing:
                continue
            live.show(f"{config.name}: {name} ...")
            try:
                results.append(ENGINES[name](law.spec, config))
            except NotFound as error:
                missing[name] = f"{error.why}; {error.hint}"
        live.clear()
        rows.append((config, results))
        if not as_json:
            _show(law, config, results)
    good = not found and all(agree(results) for _, results in rows)
    if as_json:
        click.echo(json_text({
            "flaws": found, "missing": missing, "ok": good,
            "configs": {config.name: [attrs.asdict(r) for r in results] for config, results in rows}}))
    else:
        _show_end(found, rows, missing)
    ctx.exit(int(not good))


def _config(law: Law, name: str) -> Config:
    known = (*law.configs, *law.vast)
    found = next((config for config in known if config.name == name), None)
    if found is None:
        raise InvalidInput(f"the configuration {safe(name)!r}", why="there is none of this name",
                           allowed=tuple(config.name for config in known))
    return found


def _engines(law: Law, config: Config, asked: Sequence[str], *, named: bool) -> Sequence[str]:
    """The engines that explore a configuration, of those that are asked for: who names one wants it explored."""
    able = ("python",) if config in law.vast else ("python", "spin") if config in law.large else tuple(ENGINES)
    chosen = [name for name in asked or ENGINES if name in able]
    if named and not chosen:
        raise InvalidInput(f"exploring the configuration {config.name!r}", why=f"it is too large for {' and '.join(asked)}",
                           allowed=able)
    return chosen


def _show(law: Law, config: Config, results: Sequence[Result]) -> None:
    """A line for each configuration: what was seen, by whom, in what time; a story when something is broken."""
    if not results:
        return
    seen = "  ".join(f"{r.engine} {r.seconds:.1f} s" for r in results)
    counts = sorted({(r.states, r.transitions) for r in results})
    said = " or ".join(f"{states:>7,} states {transitions:>9,} transitions" for states, transitions in counts)
    good = "equal" if len(results) > 1 else "holds"
    bad = "BROKEN" if all(r.broken for r in results) else "DIFFER"  # who finds something stops there, and counts no more
    verdict = click.style(good, fg="green") if agree(results) else click.style(bad, fg="red", bold=True)
    say(f"{config.name:<16} {said}  {verdict}  {faint(seen)}")
    for result in results:
        if result.broken:
            say(safe_lines(story(law.spec, result)))


def _show_end(found: Sequence[str], rows: Sequence[tuple[Config, list[Result]]], missing: dict[str, str]) -> None:
    for flaw in found:
        say(f"{click.style('flaw', fg='red')}  {safe_lines(flaw)}")
    if not rows and not found:
        say("nothing was explored: the file names no SHAPES", err=True)
    engines = list(dict.fromkeys(r.engine for _, results in rows for r in results))
    say(f"\n{number(len(rows), 'shape')}, engines: {', '.join(engines) or 'none'}")
    results = [r for _, each in rows for r in each]
    table(("engine", "states", "transitions", "seconds"), [_total(name, results) for name in engines])
    for name, why in missing.items():
        say(f"left out: {heading(name)}: {safe_lines(why)}", err=True)


def _total(engine: str, results: Sequence[Result]) -> tuple[str, str, str, str]:
    mine = [r for r in results if r.engine == engine]
    return (engine, f"{sum(r.states for r in mine):,}", f"{sum(r.transitions for r in mine):,}",
            f"{sum(r.seconds for r in mine):.1f}")


@spec.command()
@click.argument("folder", default="specs/models", type=click.Path(file_okay=False, path_type=Path))
@click.option("--format", "formats", multiple=True, type=click.Choice(list(ENDINGS)), help="Only this language.")
@click.option("--config", "names", multiple=True, metavar="NAME", help="Only this shape; may be given several times.")
@spec_option
@json_option
def export(folder: Path, formats: Sequence[str], names: Sequence[str], path: Path | None, as_json: bool) -> None:
    """Write the specification for other tools into FOLDER.

    For Spin (.pml), for TLC (.tla, .cfg), for SMT provers (.smt2), as JSON and as Mermaid; made from the tables alone, of
    Promela and TLA+ one file for each shape, of SMT-LIB one for each command and rule. Without FOLDER and shapes those that
    are shown in specs/models are written there; other formats only when asked for.
    """
    law, formats = law_of(path), formats or ("promela", "tla")
    wanted = tuple(ending for name in formats for ending in ENDINGS[name])
    configs = [_config(law, name) for name in names or law.shown if {"promela", "tla"} & {*formats}]
    found = {name: text for config in configs for name, text in models(law.spec, config).items()}
    if "smt" in formats:
        found |= {f"{o.name.replace(' ', '_')}.smt2": o.file() for o in Proof(law.spec).obligations()}
    found |= {"specification.json": json_of(law.spec), **diagrams(law.spec)}
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in found.items():
        if name.endswith(wanted):
            (folder / name).write_text(text)
            written.append(str(folder / name))
    if as_json:
        click.echo(json_text({"written": written}))
    else:
        say(f"wrote {number(len(written), 'file')} into {safe(folder)}")


@spec.command()
@click.option("--step", "names", multiple=True, metavar="NAME", help="Only this command or rule; may be given several times.")
@click.option("--prover", "provers", multiple=True, type=click.Choice(list(PROVERS)), help="Only this prover.")
@spec_option
@json_option
@click.pass_context
def prove(
    ctx: click.Context, names: Sequence[str], provers: Sequence[str], path: Path | None, as_json: bool
) -> None:
    """Prove the invariants for trees of any size, shape and depth.

    Each command and each rule of progress keeps every invariant; where no rule is enabled those of committed states hold; each
    rule moves what it moves down a rank, so progress ends. Asked of cvc5 and, by instances, of z3. Exits with 1 when a goal is
    left open.
    """
    live, verdicts, missing = Live(err=True), list[Verdict](), dict[str, str]()
    every = list(Proof(law_of(path).spec).obligations())
    obligations = [o for o in every if not names or o.name in names]
    if unknown := [name for name in names if all(name != o.name for o in every)]:
        raise InvalidInput(f"proving {safe(unknown[0])!r}", why="there is no command and no rule of this name",
                           allowed=tuple(o.name for o in every))
    for number_, obligation in enumerate(obligations, 1):
        for name in provers or PROVERS:
            live.show(f"{number_} of {len(obligations)}: {obligation.name}, {name} ...")
            try:
                verdict = PROVERS[name](obligation)
            except NotFound as error:
                missing[name] = f"{error.why}; {error.hint}"
                continue
            verdicts.append(verdict)
            live.clear()
            if not as_json:
                _show_verdict(verdict)
    live.clear()
    good = bool(verdicts) and not any(verdict.open for verdict in verdicts)
    if as_json:
        click.echo(json_text({"ok": good, "missing": missing, "verdicts": [attrs.asdict(v) for v in verdicts]}))
    else:
        _show_proof(verdicts, missing)
    ctx.exit(int(not good))


def _show_verdict(verdict: Verdict) -> None:
    said = click.style("open", fg="red", bold=True) if verdict.open else click.style("proved", fg="green")
    say(f"{verdict.obligation:<18} {verdict.prover:<5} {verdict.goals - len(verdict.open):>3} of {verdict.goals:>2}  {said}  "
        f"{faint(f'{verdict.seconds:.1f} s')}")
    for goal in verdict.open:
        say(f"    {safe_lines(goal)}")


def _show_proof(verdicts: Sequence[Verdict], missing: dict[str, str]) -> None:
    say()
    for name in dict.fromkeys(verdict.prover for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.prover == name]
        goals, left = sum(v.goals for v in mine), sum(len(v.open) for v in mine)
        say(f"{heading(name)}: {goals - left:,} of {number(goals, 'goal')} proved, {sum(v.seconds for v in mine):.1f} s")
    for name, why in missing.items():
        say(f"left out: {heading(name)}: {safe_lines(why)}", err=True)
