"""What `kernel run` reads: which definitions are started, where children come from, and cases that are wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.cli.files import Case, Outcome, prepare, read_cases
from kernel.errors import InvalidDefinition, InvalidInput, NotFound
from tests.cli.stand import CONDUCTOR, child, definition, task, write


def started(tmp_path: Path, *definitions: dict[str, Any], case: Case | None = None) -> list[str]:
    """The names that are started of a file with these definitions."""
    path = Path(write(tmp_path / "file.json", *definitions))
    return [d.name for d in prepare(path, [path], case or Case()).start]


def test_what_no_other_definition_starts_is_started(tmp_path: Path) -> None:
    """Children of the same file are not started on their own."""
    assert started(tmp_path, definition("a", task("t")), definition("b", child("c", "a"))) == ["b"]
    assert started(tmp_path, definition("a", task("t")), definition("b", task("t"))) == ["a", "b"]


def test_of_several_versions_the_newest_is_started(tmp_path: Path) -> None:
    """One workflow for each name."""
    path = Path(write(tmp_path / "v.json", definition("a", task("t")), definition("a", task("t"), version=2)))
    assert [(d.name, d.version) for d in prepare(path, [], Case()).start] == [("a", 2)]


def test_definitions_that_start_each_other(tmp_path: Path) -> None:
    """Where each is started by another, the first is started; the kernel refuses the recursion when it gets there."""
    assert started(tmp_path, definition("a", child("t", "b")), definition("b", child("t", "a"))) == ["a"]


def test_a_case_names_what_is_started(tmp_path: Path) -> None:
    """`start` of a case; unknown names are refused."""
    both = definition("a", task("t")), definition("b", child("c", "a"))
    assert started(tmp_path, *both, case=Case(start="a")) == ["a"]
    with pytest.raises(NotFound, match="definition 'x'"):
        started(tmp_path, *both, case=Case(start="x"))


def test_children_come_from_the_folder(tmp_path: Path) -> None:
    """A child, and its child, are looked for in the folder of the file; a note says which file was taken."""
    path = Path(write(tmp_path / "top.json", definition("top", child("t", "middle"))))
    write(tmp_path / "m.json", definition("other", task("t")), definition("middle", child("t", "leaf")))
    write(tmp_path / "z.json", definition("leaf", task("work")))
    (tmp_path / "broken.json").write_text("{")
    job = prepare(path, [path], Case())
    assert sorted(d.name for d in job.definitions) == ["leaf", "middle", "top"]
    assert job.notes == ("child 'middle' is taken from 'm.json'", "child 'leaf' is taken from 'z.json'")
    assert job.types == ["work"]


def test_children_come_from_the_files_given_first(tmp_path: Path) -> None:
    """A file that was named counts before those that merely lie there."""
    path = Path(write(tmp_path / "top.json", definition("top", child("t", "leaf"))))
    write(tmp_path / "a.json", definition("leaf", task("from-folder")))
    (tmp_path / "far").mkdir()
    given = Path(write(tmp_path / "far" / "given.json", definition("leaf", task("from-given"))))
    assert prepare(path, [path, given], Case()).types == ["from-given"]


def test_children_named_by_the_input(tmp_path: Path) -> None:
    """Where the name of a child is an expression, a text of the input that names a definition is found, too."""
    path = Path(write(tmp_path / "top.json", definition("top", child("t", "${workflow.input.which}"))))
    write(tmp_path / "leaf.json", definition("leaf", task("work")))
    assert prepare(path, [path], Case()).types == []
    assert prepare(path, [path], Case(input={"which": "leaf", "more": ["nothing"]})).types == ["work"]


def test_a_missing_child_is_told(tmp_path: Path) -> None:
    """Nothing defines the child: that is no error, for its task will be rejected; it is said beforehand."""
    path = Path(write(tmp_path / "top.json", definition("top", child("t", "nobody"))))
    (note,) = prepare(path, [path], Case()).notes
    assert note.startswith(f"no file given or in '{tmp_path}' defines the child 'nobody'")


def test_companions_of_a_case(tmp_path: Path) -> None:
    """The files that a case names are taken whole, before the folder is searched."""
    path = Path(write(tmp_path / "top.json", definition("top", child("t", "leaf"))))
    write(tmp_path / "a.json", definition("leaf", task("from-folder")))
    write(tmp_path / "b.json", definition("leaf", task("from-companion")), definition("more", task("more")))
    job = prepare(path, [path], Case(companions=("b.json",)))
    assert job.types == ["from-companion", "more"]
    assert job.notes == ()
    with pytest.raises(InvalidDefinition, match="there is no such file"):
        str(prepare(path, [path], Case(companions=("c.json",))))


def test_real_cases_are_read() -> None:
    """The cases of the real definitions."""
    cases = read_cases(str(CONDUCTOR / "cases.json"))
    assert len(cases) == 23
    optional = cases["simple_workflow_with_optional_task_integration_test.json"]
    assert optional.handlers["task_optional"] == (Outcome(failure="the optional part is not there"),)
    assert optional.expect == "COMPLETED"
    assert read_cases(None) == {}


@pytest.mark.parametrize(("content", "words"), [
    ("{", "it cannot be read"),
    ("[]", "it has no object 'cases'"),
    ({"a.json": 1}, "it is not an object"),
    ({"a.json": {"inptu": {}}}, "it has the key 'inptu'"),
    ({"a.json": {"input": []}}, "its 'input' is not an object"),
    ({"a.json": {"start": 1}}, "its 'start' is not text"),
    ({"a.json": {"with": ["../b.json"]}}, "names of files in the same folder"),
    ({"a.json": {"with": [1]}}, "names of files in the same folder"),
    ({"a.json": {"expect": "RUNNING"}}, "it expects 'RUNNING'"),
    ({"a.json": {"handlers": {"t": []}}}, "it must be a list of outcomes"),
    ({"a.json": {"handlers": {"t": [{"fail": 1}]}}}, "an outcome is"),
    ({"a.json": {"handlers": {"t": [{"complete": 1, "fail": "x"}]}}}, "an outcome is"),
])
def test_cases_that_are_wrong(tmp_path: Path, content: object, words: str) -> None:
    """Whatever is wrong with cases is said with its place."""
    path = tmp_path / "cases.json"
    path.write_text(content if isinstance(content, str) else json.dumps({"cases": content}))
    with pytest.raises(InvalidInput) as caught:
        read_cases(str(path))
    assert words in str(caught.value)
    assert "a file of cases reads" in str(caught.value)


def test_cases_that_are_not_there(tmp_path: Path) -> None:
    """No such file."""
    with pytest.raises(InvalidInput, match="nowhere"):
        read_cases(str(tmp_path / "nowhere"))
