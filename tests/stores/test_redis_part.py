"""What one run of a Redis script writes: plan by plan, and no command has too many arguments."""

from __future__ import annotations

from kernel.core.plan import Command, Plan, Subject
from kernel.core.records import TreeRow
from kernel.stores.redis_part import MOST, Part


def plan_on(root: str) -> Plan:
    """One that changes nothing."""
    return Plan(Command("PAUSE", Subject(root)), 1, TreeRow(root, 1, 1, 1, 1), False)


def commands(part: Part) -> list[list[str]]:
    """The commands that `commit.lua` is told."""
    found: list[str] = []
    part.told(found)
    assert found[:3] == ["0", "0", "0"]  # no plan, nothing counted, no record
    each, words = list[list[str]](), iter(found[3:])
    for number in words:
        each.append([next(words) for _ in range(int(number))])
    return each


def test_each_key_is_named_once() -> None:
    """Whatever is written of it, and in whatever order."""
    part = Part("p:")
    part.put("h", "a", "1")
    part.enter("z", "m", 5)
    part.put("h", "b", "2", "c", "3")
    part.leave("z", "n")
    part.drop("h", "d")
    part.drop("h", "e")
    assert commands(part) == [
        ["HSET", "h", "a", "1", "b", "2", "c", "3"], ["ZADD", "z", "5", "m"], ["ZREM", "z", "n"], ["HDEL", "h", "d", "e"]]


def test_plans_are_written_in_turn() -> None:
    """What one of them writes the next may take away, and the other way round."""
    part = Part("p:")
    part.begin(plan_on("w"))
    part.put("h", "a", "1")
    part.enter("z", "m", 5)
    part.begin(plan_on("w"))
    part.drop("h", "a")
    part.leave("z", "m")
    part.begin(plan_on("w"))
    part.put("h", "a", "2")
    found: list[str] = []
    part.told(found)
    assert found[-25:] == [
        "0", "0", "4", "HSET", "h", "a", "1", "4", "ZADD", "z", "5", "m", "3", "HDEL", "h", "a", "3", "ZREM", "z", "m",
        "4", "HSET", "h", "a", "2"]


def test_long_commands() -> None:
    """They are given as several, none of which the server could refuse."""
    part = Part("p:")
    for number in range(MOST):
        part.put("h", str(number), "v")
        part.enter("z", str(number), number)
    found = commands(part)
    assert [each[:2] for each in found] == [["HSET", "h"]] * 2 + [["ZADD", "z"]] * 2
    assert {len(each) for each in found} == {MOST + 2}
    assert dict(zip(found[0][2::2] + found[1][2::2], found[0][3::2] + found[1][3::2], strict=True)) == {
        str(number): "v" for number in range(MOST)}
    assert found[2][2:4] + found[3][-2:] == ["0", "0", str(MOST - 1), str(MOST - 1)]


def test_what_comes_before_a_sweep_and_behind_it() -> None:
    """What a cascade reaches is as it was left before it; what is written then is not taken for part of that."""
    part = Part("p:")
    part.put("h", "a", "1")
    part.sweep("X", 5)
    part.put("h", "a", "2")
    part.drop("h", "b")
    found: list[str] = []
    part.operations(found)
    assert found == ["C", "4", "HSET", "h", "a", "1", "X", "5", "C", "4", "HSET", "h", "a", "2", "C", "3", "HDEL", "h", "b"]
    assert part.script == "cascade"
