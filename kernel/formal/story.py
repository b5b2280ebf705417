"""A counterexample as people read it: what was done, step by step, and what is broken in the end."""

from __future__ import annotations

from attrs import frozen

from kernel.spec.language import Spec


@frozen
class Result:
    """What one engine saw of one shape. `trace` is how what is broken came about, as labels of commands."""

    engine: str
    states: int
    transitions: int
    seconds: float
    broken: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()


def story(spec: Spec, result: Result) -> str:
    """What led to what is broken, in numbered lines; and what the broken invariants promise."""
    lines = [f"{result.engine} found what must not be. The shortest way to it:" if result.trace else
             f"{result.engine} found what must not be."]
    lines += [f"  {number:>3}. {label}" for number, label in enumerate(result.trace, 1)]
    lines.append("then does not hold:")
    for broken in result.broken:
        promise = next((p.text for p in spec.properties if broken.startswith(p.id)), "")
        lines.append(f"  {broken}{': ' + promise if promise else ''}")
    return "\n".join(lines)
