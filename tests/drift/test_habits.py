"""The habits of the code base, as rules over its files. Each rule is shown to find a flaw planted for it."""

from __future__ import annotations

import ast
import fnmatch
import functools
import inspect
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import attrs
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kernel

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "diagrams", "kernel", "pyproject.toml",
    "requirements.lock", "specs", "tests",
}
TEXT = {".cfg", ".dot", ".json", ".lock", ".lua", ".md", ".mmd", ".py", ".sql", ".svg", ".toml", ".txt", ".typed", ""}

LINES_PER_FILE, LINES_PER_FUNCTION, FOLDERS_DEEP = 400, 60, 2
FORBIDDEN_CALLS = {"eval", "exec", "__import__"}
FORBIDDEN_MODULES = {"dill", "marshal", "pickle", "shelve"}
IMPURE_CALLS = {"breakpoint", "input", "open", "print"}
IMPURE_METHODS = {"now", "today", "utcnow"}
# What each package may import besides the standard library and the packages below it (the import contracts).
THIRD_PARTY = {
    "spec": {"attrs", "transitions"},
    "core": {"attrs", "cattrs"},
    "engine": {"attrs", "cattrs"},
    "stores": {"apsw", "hiredis", "attrs", "psycopg", "redis"},
    "sinks": {"attrs"},
    "formal": {"attrs", "cvc5", "z3"},  # the provers, where they are installed
    "render": {"attrs", "graphviz", "transitions"},
    "testing": {"attrs", "hypothesis", "psycopg"},
    "cli": {"attrs", "click", "rich"},
}
# Put together here, so that this file does not hold what it forbids.
INDEX_HOSTS = re.compile(r"|".join(map(re.escape, ("pypi" + ".org", "python" + "hosted", "registry" + ".npmjs"))))
MACHINE_PATHS = re.compile(r"(?<![\w.~})-])/(?:home|opt|root|work|Users)/\w")


@attrs.frozen
class Source:
    """One text file of the project: its path from the root, and its text."""

    path: PurePosixPath
    text: str

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.text)

    @functools.cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of it."""
        return list(ast.walk(self.tree))

    @property
    def package(self) -> str:
        """The folder of kernel/ that the file is in, or nothing."""
        return self.path.parts[1] if self.path.parts[0] == "kernel" and len(self.path.parts) > 2 else ""

    def is_code(self, *folders: str) -> bool:
        """Is it Python under one of these top-level folders?"""
        return self.path.suffix == ".py" and self.path.parts[0] in folders


@functools.cache
def ignored_names() -> list[str]:
    """The patterns of .gitignore, as names."""
    return [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line]


def is_ignored(name: str) -> bool:
    """Is a file or folder of this name kept out of the repository?"""
    return name == ".git" or any(fnmatch.fnmatch(name, pattern) for pattern in ignored_names())


def files() -> Iterator[Path]:
    """Every file that belongs to the project."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if not is_ignored(name))
        yield from (Path(folder, name) for name in sorted(names) if not is_ignored(name))


@functools.cache
def sources() -> list[Source]:
    """Every text file of the project."""
    return [
        Source(PurePosixPath(path.relative_to(ROOT).as_posix()), path.read_text(encoding="utf-8"))
        for path in files()
        if path.suffix in TEXT
    ]


# Each rule reads one file and yields its findings.


def file_is_short(source: Source) -> Iterator[str]:
    """A file of kernel/ has at most 400 lines. A file of tests has the length that its source file asks for."""
    lines = source.text.count("\n")
    if source.path.parts[0] == "kernel" and lines > LINES_PER_FILE:
        yield f"{lines} lines, at most {LINES_PER_FILE}"


def functions_are_short(source: Source) -> Iterator[str]:
    """A function has at most 60 lines."""
    for node in functions(source) if source.is_code("kernel", "tests") else ():
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > LINES_PER_FUNCTION:
            yield f"{node.name} has {lines} lines, at most {LINES_PER_FUNCTION}"


def folders_are_flat(source: Source) -> Iterator[str]:
    """Inside kernel/ a file is at most two folders deep."""
    if source.path.parts[0] == "kernel" and len(source.path.parts) - 2 > FOLDERS_DEEP:
        yield f"{len(source.path.parts) - 2} folders deep, at most {FOLDERS_DEEP}"


def nothing_runs_stored_code(source: Source) -> Iterator[str]:
    """No eval, exec, pickle or marshal, and no import by a name held in data; only the command line loads handlers."""
    for node in source.nodes if source.is_code("kernel") else ():
        names = imported(node)
        if isinstance(node, ast.Call):
            names = [dotted(node.func)]
        for name in names:
            by_name = name.endswith("import_module") and source.package != "cli"
            if name in FORBIDDEN_CALLS or name.partition(".")[0] in FORBIDDEN_MODULES or by_name:
                yield f"line {line_of(node)}: {name}"


def sql_is_not_put_together(source: Source) -> Iterator[str]:
    """The statement given to execute is never made of pieces where it is executed."""
    for node in source.nodes if source.is_code("kernel", "tests") else ():
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in ("execute", "executemany"):
            for part in ast.walk(node.args[0]) if node.args else ():
                formatted = isinstance(part, ast.Call) and dotted(part.func).rpartition(".")[2] in ("format", "join")
                if formatted or isinstance(part, ast.JoinedStr | ast.BinOp):
                    yield f"line {node.lineno}: SQL put together"
                    break


def decisions_are_pure(source: Source) -> Iterator[str]:
    """What decides reads no clock and no file, and prints nothing (modules: the import contracts)."""
    for node in source.nodes if source.is_code("kernel") else ():
        if isinstance(node, ast.Call) and source.package in ("spec", "core", "formal"):
            name = dotted(node.func)
            if name in IMPURE_CALLS or ("." in name and name.rpartition(".")[2] in IMPURE_METHODS):
                yield f"line {node.lineno}: {name}()"


def packages_need_little(source: Source) -> Iterator[str]:
    """Each package imports only the distributions that its row of the table names."""
    for node in source.nodes if source.is_code("kernel") else ():
        for name in imported(node):
            module = name.partition(".")[0]
            allowed = THIRD_PARTY.get(source.package, set()) | sys.stdlib_module_names | {"kernel"}
            if module not in allowed:
                yield f"line {line_of(node)}: {module} is not for {source.package or 'the top of the package'}"


def every_test_says_what_must_hold(source: Source) -> Iterator[str]:
    """Every test has a docstring."""
    for node in functions(source) if source.is_code("tests") else ():
        if node.name.startswith("test_") and not ast.get_docstring(node):
            yield f"line {node.lineno}: {node.name} has no docstring"


def no_test_sleeps(source: Source) -> Iterator[str]:
    """No test waits for time to pass."""
    for node in source.nodes if source.is_code("tests") else ():
        if isinstance(node, ast.Call) and dotted(node.func) in ("sleep", "time.sleep"):
            yield f"line {node.lineno}: sleeps"


def public_names_are_described(source: Source) -> Iterator[str]:
    """Every module of kernel/ and every public function and class at its top has a docstring."""
    if not source.is_code("kernel") or not source.text.strip():
        return
    if not ast.get_docstring(source.tree):
        yield "the module has no docstring"
    tops = [n for n in source.tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    for node in tops:
        if not node.name.startswith("_") and not ast.get_docstring(node):
            yield f"line {node.lineno}: {node.name} has no docstring"


def nothing_names_this_machine(source: Source) -> Iterator[str]:
    """No file holds an absolute path of the machine that it was written on."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if MACHINE_PATHS.search(line):
            yield f"line {number}: a path of one machine"


def nothing_names_an_index(source: Source) -> Iterator[str]:
    """No file says where packages come from: that is the user's choice."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if INDEX_HOSTS.search(line):
            yield f"line {number}: the host of a package index"


# Helpers of the rules.


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and nested ones included."""
    for node in source.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported(node: ast.AST) -> list[str]:
    """The dotted names that an import statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a name or an attribute, nothing before the dot for other bases."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def line_of(node: ast.AST) -> int:
    """The line on which a node starts."""
    return getattr(node, "lineno", 0)


PLANTED: list[tuple[Callable[[Source], Iterator[str]], str, str]] = [
    (file_is_short, "kernel/core/a.py", "x = 1\n" * 401),
    (file_is_short, "kernel/stores/sql/a.sql", "SELECT 1;\n" * 401),
    (functions_are_short, "kernel/core/a.py", "def f():\n" + "    x = 1\n" * 60),
    (functions_are_short, "tests/core/a.py", "class A:\n  async def f(self):\n" + "    x = 1\n" * 60),
    (folders_are_flat, "kernel/stores/sql/deep/a.sql", ""),
    (nothing_runs_stored_code, "kernel/core/a.py", "eval('1')"),
    (nothing_runs_stored_code, "kernel/cli/a.py", "exec('1')"),
    (nothing_runs_stored_code, "kernel/core/a.py", "import pickle"),
    (nothing_runs_stored_code, "kernel/core/a.py", "from marshal import loads"),
    (nothing_runs_stored_code, "kernel/core/a.py", "__import__('os')"),
    (nothing_runs_stored_code, "kernel/engine/a.py", "importlib.import_module(name)"),
    (nothing_runs_stored_code, "kernel/engine/a.py", "from importlib import import_module"),
    (sql_is_not_put_together, "kernel/stores/a.py", "db.execute(f'SELECT {x}')"),
    (sql_is_not_put_together, "kernel/stores/a.py", "db.cursor().execute('SELECT %s' % x)"),
    (sql_is_not_put_together, "kernel/stores/a.py", "cursor.executemany('SELECT ' + x, rows)"),
    (sql_is_not_put_together, "kernel/stores/a.py", "db.execute('SELECT {}'.format(x))"),
    (decisions_are_pure, "kernel/core/a.py", "datetime.now()"),
    (decisions_are_pure, "kernel/spec/a.py", "dt.date.today()"),
    (decisions_are_pure, "kernel/formal/a.py", "open('x')"),
    (packages_need_little, "kernel/core/a.py", "import transitions"),
    (packages_need_little, "kernel/spec/a.py", "from apsw import Connection"),
    (packages_need_little, "kernel/a.py", "import click"),
    (every_test_says_what_must_hold, "tests/core/test_a.py", "def test_a():\n    assert True"),
    (no_test_sleeps, "tests/core/test_a.py", "time.sleep(1)"),
    (public_names_are_described, "kernel/core/a.py", "x = 1"),
    (public_names_are_described, "kernel/core/a.py", "'''A module.'''\ndef f(): pass"),
    (public_names_are_described, "kernel/core/a.py", "'''A module.'''\nclass A: pass"),
    (nothing_names_this_machine, "README.md", "cd " + "/home" + "/ada"),
    (nothing_names_this_machine, "kernel/core/a.py", "X = '" + "/work" + "/x'"),
    (nothing_names_an_index, "requirements.lock", "--index-" + "url https:" + "//" + "pypi" + ".org/simple"),
    (nothing_names_an_index, ".ci/run", "https://files.python" + "hosted.org/x"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in PLANTED))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_habit_holds(rule: Callable[[Source], Iterator[str]]) -> None:
    """No file of the project breaks the rule."""
    assert [f"{source.path}: {finding}" for source in sources() for finding in rule(source)] == []


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_habit_can_fail(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    """Each rule finds the flaw that is planted for it, once."""
    assert len(list(rule(Source(PurePosixPath(path), text)))) == 1


def test_every_file_is_read() -> None:
    """The rules see the code, the tests, the SQL, the lock and the scripts."""
    paths = {str(source.path) for source in sources()}
    assert {"kernel/errors.py", "tests/drift/test_habits.py", "requirements.lock", ".ci/run", "Makefile"} <= paths
    assert not any(path.startswith((".venv", ".git/")) for path in paths)


def test_top_level_is_small() -> None:
    """The top level holds what is listed, and dot-files."""
    names = {path.name for path in ROOT.iterdir() if not is_ignored(path.name) and not path.name.startswith(".")}
    assert names - TOP_LEVEL == set()


def test_public_methods_are_described() -> None:
    """Every public method of every class that the package exports has a docstring, its own or an inherited one."""
    exported = [getattr(kernel, name) for name in getattr(kernel, "__all__", ())]
    bare = [
        f"{owner.__qualname__}.{name}"
        for owner in filter(inspect.isclass, exported)
        for name, member in vars(owner).items()
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property))
        if not inspect.getdoc(getattr(owner, name))
    ]
    assert bare == []


def locked() -> dict[str, str]:
    """Name to version of everything in requirements.lock."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE))


def test_lock_pins_every_requirement_with_hashes() -> None:
    """Each requirement of the package, its extras and its build has one locked version that fits, with hashes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += [text for extra in project["project"]["optional-dependencies"].values() for text in extra]
    versions = locked()
    for requirement in map(Requirement, wanted):
        version = versions.get(canonicalize_name(requirement.name), "none")
        assert version in requirement.specifier, f"{requirement}: locked is {version}"
    entries = re.split(r"^(?=[a-z])", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)[1:]
    assert len(entries) == len(versions)
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_wheel_holds_the_package(tmp_path: Path) -> None:
    """The wheel has every file of kernel/, SQL and the type marker included, the licence and the command."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = zipfile.ZipFile(wheel).namelist()
    expected = {path.relative_to(ROOT).as_posix() for path in files() if path.is_relative_to(ROOT / "kernel")}
    assert {name for name in packed if name.startswith("kernel/")} == expected
    assert "kernel/py.typed" in expected
    assert {"LICENSE", "entry_points.txt"} <= {PurePosixPath(name).name for name in packed}


SKIPPING = {
    "test_skips.py": """
import pytest

def test_skips():
    pytest.skip("no dot")

@pytest.mark.may_skip(reason="needs root")
def test_may_skip():
    pytest.skip("not root")

@pytest.mark.xfail(strict=True)
def test_is_expected_to_fail():
    assert False
""",
    "test_module.py": "import pytest\npytest.skip('no dot', allow_module_level=True)\n",
}


@pytest.mark.parametrize(
    ("ci", "counts"), [("true", "1 failed, 1 skipped, 1 xfailed, 1 error"), ("", "3 skipped, 1 xfailed")]
)
def test_skips_fail_where_ci_is_set(tmp_path: Path, ci: str, counts: str) -> None:
    """Where CI is set a skip is a failure, in a test and in a whole module, unless it is marked `may_skip`."""
    for name, text in SKIPPING.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(tmp_path), "--continue-on-collection-errors"]
    environment = os.environ | {"CI": ci}
    result = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert f" {counts} in " in result.stdout.splitlines()[-1]
    assert result.returncode == (1 if ci else 0)
