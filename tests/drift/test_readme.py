"""Every command and example in the README is executed, in its order, in one folder, and prints what stands there.

`python -m tests.drift.test_readme` writes outputs and generated parts anew: read the difference before you keep it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click import Context

from kernel.cli.main import cli
from kernel.core.checks import LIMITS
from kernel.core.conductor_fields import FIELDS, KINDS, Use
from kernel.core.judge import DEPTH_MAX, TREE_TASKS_MAX
from kernel.core.records import Policy
from kernel.engine.loading import LARGEST_FILE
from kernel.stores.memory import MemoryStore
from kernel.stores.postgres import ALONE, DURABLE, FOLLOWED, FRAGILE
from kernel.stores.redis import FAILOVER, FORCES, LARGEST_TREE, TORN
from kernel.stores.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ANEW = "run `python -m tests.drift.test_readme`, and look at the difference"
BLOCK = re.compile(r"```(console|python|text)\n(.*?)```", re.DOTALL)
PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")
COLUMNS = "100"

# What differs from run to run, and what stands for it in the README.
VOLATILE = (
    (re.compile(r"/(?:[^\s'/]+/)+kernel-(demo|run)-\w+"), r"/tmp/kernel-\1-4d2c7f1e"),  # noqa: S108 - a name in a text
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\b"), "2026-11-22 09:30:00"),
    (re.compile(r"sha256:[0-9a-f]{20,}"), "sha256:a7c1f09e4b6d83525cf3a1d27e90b864"),
    (re.compile(r"(well  |memory, )\d+(\.\d)? s( |$)", re.MULTILINE), r"\g<1>0.3 s\3"),
    (re.compile(r"\([\d,]+ a second\)"), "(1,200 a second)"),
    (re.compile(r"\b(python|spin|tlc)((?: +[\d,]+){0,2} +)\d+\.\d( s)?"), r"\g<1>\g<2>0.3\g<3>"),
    (re.compile(r"(proved,? +)\d+\.\d s$", re.MULTILINE), r"\g<1>0.3 s"),
    (re.compile(r"\(\d+ of \d+ bytes\)"), "(1354 of 2709 bytes)"),
)


def text() -> str:
    """The README."""
    return README.read_text(encoding="utf-8")


def normal(output: str) -> str:
    """An output without what differs from run to run."""
    for pattern, stands in VOLATILE:
        output = pattern.sub(stands, output)
    return "\n".join(line.rstrip() for line in output.rstrip().split("\n"))


def loose(output: str) -> str:
    """For comparing: blanks that only align do not count, nor do the numbers of a fault run, but for the zeros."""
    if "kernel faults" in output:
        output = re.sub(r"\b[1-9][\d,]*", "N", output)
    return re.sub(r" {2,}", "  ", normal(output))


# ---- running


def environment(folder: Path) -> dict[str, str]:
    """A user's environment: no settings of ours, a terminal of known width, temporary folders in the test's own."""
    (folder / "tmp").mkdir(exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KERNEL_", "COVERAGE_"))}
    return kept | {"COLUMNS": COLUMNS, "TMPDIR": str(folder / "tmp"), "PYTHONIOENCODING": "utf-8"}


def shell(command: str, folder: Path) -> str:
    """What a command of the README prints."""
    words = shlex.split("kernel demo" if command == "make demo" else command)
    assert words[0] == "kernel", f"the README has a command that nobody checks: {command}"
    words[0] = str(Path(sys.executable).parent / "kernel")
    done = subprocess.run(words, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, check=False)
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def example(code: str, folder: Path) -> str:
    """What a Python example of the README prints, and the error that it ends with, without the frames."""
    done = subprocess.run([sys.executable, "-"], input=code, cwd=folder, env=environment(folder), capture_output=True,
                          text=True, check=False)
    frames, found, error = done.stderr.partition("\nkernel.errors.")
    assert found or not done.stderr, done.stderr
    return done.stdout + (f"kernel.errors.{error}" if frames else "")


def first_example(url: str, folder: Path) -> str:
    """What the first example prints, and the error that it ends with, on the store of a URL."""
    code, file = text().partition("```python\n")[2].partition("```")[0], "sqlite:///orders.db"
    assert code.count(file) == 1
    folder.mkdir()
    return example(code.replace(file, url), folder)


def executed(page: str, folder: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Every block with what it should hold: commands and their outputs, examples, and what the example before printed."""
    (folder / "tests").symlink_to(ROOT / "tests")
    printed = ""
    for block in BLOCK.finditer(page):
        if block[1] == "python":
            printed = example(block[2], folder)
            yield block, block[2]
        elif block[1] == "text":
            yield block, normal(printed) + "\n"
        else:
            commands = re.findall(r"^\$ (.*)$", block[2], flags=re.MULTILINE)
            yield block, "\n".join(f"$ {each}\n{normal(shell(each, folder))}\n" for each in commands)


# ---- generated parts


def conductor() -> str:
    """What becomes of each task type and each field of a Conductor definition."""
    named = {"workflow": "workflow", "task": "task", "taskDefinition": "task's `taskDefinition`",
             "subWorkflowParam": "task's `subWorkflowParam`"}
    lines = ["| of a | does what it says | describes only | warned of | refused on other tasks |", "| --- " * 5 + "|"]
    for level, title in named.items():
        cells = {use: [name for name, rule in FIELDS[level].items() if rule.use is use] for use in Use}
        order = (Use.SUPPORTED, Use.HARMLESS, Use.WARNED)
        refused = sorted(n for n, r in FIELDS[level].items() if Use.REFUSED in (r.use, r.only and r.elsewhere))
        listed = [", ".join(sorted(cells[use])) for use in order]
        lines.append(f"| {title} | {' | '.join([*listed, ', '.join(refused)])} |")
    types = ", ".join(f"`{name}`" for name in KINDS)
    told = "sub-workflows by name or inline, switches by value-param, expressions in `inputParameters` and `outputParameters`"
    return f"Task types: {types}; {told}.\n\n" + "\n".join(lines)


def limits() -> str:
    """The bounds of what users give."""
    rows = (
        ("tasks of a definition, inline ones included", LIMITS.tasks), ("tasks of a tree", TREE_TASKS_MAX),
        ("levels of sub-workflows", DEPTH_MAX), ("levels of inline definitions", LIMITS.inline),
        ("characters of a name or an id", LIMITS.name), ("bytes of an input or an output, as JSON", LIMITS.payload),
        ("levels of arrays and objects in it", LIMITS.depth), ("bytes of a definition file", LARGEST_FILE),
        ("attempts of a delivery", Policy().sends), ("days of a duration", int(LIMITS.seconds // 86_400)),
    )
    return "\n".join(["| at most | |", "| --- | --- |", *(f"| {count:,} | {what} |" for what, count in rows)])


def commands() -> str:
    """Every command, to be asked for its help."""
    return "```console\n" + "\n".join(f"$ kernel {name} --help" for name in cli.list_commands(Context(cli))) + "\n```"


PARTS: dict[str, Callable[[], str]] = {"conductor": conductor, "limits": limits}


def filled(page: str) -> str:
    """The page with its generated parts."""
    return PART.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", page)


# ---- tests


@pytest.mark.slow
@pytest.mark.early
def test_commands_and_examples_print_what_stands_there(tmp_path: Path) -> None:
    """Executed in their order, as a reader would: outputs, errors and files agree with the page."""
    for block, expected in executed(text(), tmp_path):
        assert loose(block[2]) == loose(expected), ANEW


def test_generated_parts() -> None:
    """Fields, types and limits are those of the code."""
    assert text() == filled(text()), ANEW


def test_make_knows_what_the_readme_names() -> None:
    """`make demo` is `kernel demo`; every other target that is named exists."""
    asked = ["make", "--no-print-directory", "-n", "demo"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert found.splitlines()[-1].endswith("bin/kernel demo")
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|\$ )make ([a-z]+)", text()):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_command_is_described() -> None:
    """The help text of every command stands there, and of no other."""
    asked = re.findall(r"^\$ kernel (\w+) --help$", text(), flags=re.MULTILINE)
    assert asked == cli.list_commands(Context(cli))


def test_links_lead_somewhere() -> None:
    """Every link to a file finds it."""
    assert [path for path in LINK.findall(text()) if not (ROOT / path).exists()] == []


def test_first_screen() -> None:
    """The promise in two sentences, the picture, the demo with its lines, an example, a refusal: in this order, and early."""
    page = text()
    places = [page.index(words) for words in (
        "in one commit", "![", "$ make demo\norder-7: 3 workflows", "```python", "\n  allowed: ")]
    assert places == sorted(places)
    assert page[: places[-1]].count("\n") < 100


def test_durability_is_what_the_stores_say() -> None:
    """The words of the stores."""
    assert SqliteStore.durability in text()
    assert MemoryStore.durability in text()
    assert all(f"| {words}{failover} |" in text() for words in (DURABLE, FRAGILE) for failover in (ALONE, FOLLOWED)
               if (words, failover) != (FRAGILE, FOLLOWED))
    assert all(f"{words}{FAILOVER if force else ''}" in text() for force, words in FORCES.items())
    assert TORN.removeprefix("; ") in text()
    assert f"{LARGEST_TREE:,} tasks" in text()


def test_the_check_can_fail(tmp_path: Path) -> None:
    """Another word, another state, a missing line and a violation are differences; a time is none."""
    page = "order-7  ▶ RUNNING  2026-01-01 00:00:00\nviolations         0"
    assert loose(page) == loose("order-7  ▶ RUNNING    2027-02-02 11:11:11\nviolations  0\n")
    for other in ("order-8  ▶ RUNNING", "order-7  ▶ PAUSED", "violations         0", ""):
        assert loose(page) != loose(other)
    assert loose("kernel faults: 10 steps\nviolations 0") != loose("kernel faults: 12 steps\nviolations 1")
    assert loose("kernel faults: 10 steps\nviolations 0") == loose("kernel faults: 12 steps\nviolations 0")
    with pytest.raises(AssertionError, match="nobody checks"):
        shell("rm x", tmp_path)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        example("1/0", tmp_path)


def write_anew() -> None:
    """Write outputs and generated parts into the README."""
    page = filled(re.sub(r"```console\n(?:\$ kernel \w+ --help\n.*?)?```\n\n</details>",
                         lambda _: f"{commands()}\n\n</details>", text(), flags=re.DOTALL))
    with tempfile.TemporaryDirectory() as folder:
        for block, expected in reversed([*executed(page, Path(folder))]):
            page = f"{page[: block.start(2)]}{expected}{page[block.end(2):]}"
    README.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    write_anew()
