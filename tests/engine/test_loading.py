"""Definition files: the real ones, and everything that can be wrong with a file before anyone reads the definition."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kernel.core.definitions import TaskDef, WorkflowDef
from kernel.engine import loading
from kernel.engine.loading import DefinitionWarning, load_definitions
from kernel.errors import LONGEST_QUOTE, InvalidDefinition

FOLDER = Path(__file__).parent.parent / "data" / "conductor"
SIMPLE: dict[str, Any] = {"name": "order", "tasks": [{"name": "pick", "taskReferenceName": "a"}]}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the definition file of a test stands; short, so that no message cuts it."""
    monkeypatch.chdir(tmp_path)
    return Path("order.json")


def refused(file: Path | str) -> InvalidDefinition:
    """What a file is refused with."""
    with pytest.raises(InvalidDefinition) as caught:
        load_definitions(file)
    assert len(str(caught.value)) < 1_000
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    return caught.value


@pytest.mark.parametrize("as_text", [True, False])
def test_a_definition_is_loaded(file: Path, as_text: bool) -> None:
    """From a path or a text; its ends go to the topics that are given, notices tell of the statuses that are."""
    file.write_text(json.dumps(SIMPLE), encoding="utf-8")
    found = load_definitions(str(file) if as_text else file, topics=["archive"], notify=["PAUSED"])
    assert found == [WorkflowDef("order", tasks=[TaskDef("a", type="pick")], topics=("archive",), notify=("PAUSED",))]
    with pytest.raises(InvalidDefinition, match="'DONE'"):
        load_definitions(file, notify=["DONE"])


def test_a_list_of_definitions_is_loaded() -> None:
    """In its order."""
    found = load_definitions(FOLDER / "sub_workflow_tests.json")
    assert [each.name for each in found] == ["sub_workflow", "integration_test_wf", "integration_test_wf_with_sub_wf"]
    assert (found[2].timeout, found[2].failure_workflow) == (5.0, "$workflow.input.failureWfName")


def test_warnings_name_file_and_field_and_point_at_the_caller(file: Path) -> None:
    """So that they can be filtered by module, or turned into errors."""
    file.write_text(json.dumps({**SIMPLE, "rateLimitConfig": {"n": 1}}), encoding="utf-8")
    with pytest.warns(DefinitionWarning) as caught:
        load_definitions(file)
    assert str(caught[0].message).startswith(f"'{file}', definition 'order': 'rateLimitConfig' has no effect")
    assert caught[0].filename == __file__


def test_a_definition_that_cannot_run_is_refused_with_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal of the reader names the path that was given."""
    monkeypatch.chdir(FOLDER.parent)
    asked = refused("conductor/kitchensink.json").asked
    assert asked == "'conductor/kitchensink.json', definition 'kitchensink', task 'event_0' cannot be read"


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    """Some editors write one."""
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(SIMPLE).encode())
    assert load_definitions(file)[0].name == "order"


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "blank": (b" \n\t \n", "it is empty"),
    "byte order mark only": (b"\xef\xbb\xbf", "it is empty"),
    "not UTF-8": (b'{"name": "\xff"}', "not UTF-8: byte 11 cannot be read"),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), "not UTF-8: byte 1"),
    "a program": (b"\x7fELF\x02\x01", "not JSON: Expecting value at line 1, column 1"),
    "YAML": (b"name: order\ntasks: []\n", "not JSON"),
    "single quotes": (b"{'name': 'x'}", "not JSON: Expecting property name"),
    "trailing comma": (b'{"a": 1,}', "not JSON"),
    "two documents": (b'{"a": 1}\n{"b": 2}', "not JSON: Extra data at line 2, column 1"),
    "a word too many": (b'{"a": 1} true', "not JSON: Extra data"),
    "NaN": (b'{"a": NaN}', "NaN is not JSON"),
    "-Infinity": (b"[-Infinity]", "-Infinity is not JSON"),
    "a key twice": (b'{"name": "x", "tasks": [{"a": 1, "b": 2, "a": 3}]}', "the key 'a' twice"),
    "a key twice, escaped": (b'{"a": 1, "\\u0061": 2}', "the key 'a' twice"),
    "5,000 digits": (b'{"version": ' + b"1" * 5_000 + b"}", "too many digits"),
    "100,000 arrays": (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    "100,000 objects": (b'{"a":' * 100_000, "nested too deep"),
    "control characters in a key": (b'{"\\u001b[31m": 1, "\\u001b[31m": 2}', "twice"),
    "cut off in a word": (b'{"a": tru', "it ends too early, in line 1"),
    "cut off in text": (b'{"a":\n"tru', "it ends too early, in line 2"),
    "cut off in a list": (b"[1, 2\n", "it ends too early"),
}


@pytest.mark.parametrize(("data", "why"), FILES.values(), ids=FILES)
def test_a_file_that_is_not_json_is_refused(file: Path, data: bytes, why: str) -> None:
    """The message names the file and says where and what."""
    file.write_bytes(data)
    error = refused(file)
    assert error.asked == f"the definition file '{file}' cannot be loaded"
    assert why in error.why


def test_a_file_cut_off_anywhere_is_refused(file: Path) -> None:
    """At every byte of a real file but the first and last: it says that the end is missing."""
    text = (FOLDER / "timed-out-tasks-not-removed.json").read_text(encoding="utf-8").rstrip()
    for end in range(1, len(text)):
        file.write_text(text[:end], encoding="utf-8")
        assert "it ends too early" in refused(file).why


HOSTILE: dict[str, tuple[str, str]] = {
    "surrogate in a name": ('{"name": "\\ud800", "tasks": [{"name": "a", "taskReferenceName": "a"}]}', "U+D800"),
    "NUL in a name": ('{"name": "a\\u0000b", "tasks": [{"name": "a", "taskReferenceName": "a"}]}', "U+0000"),
    "infinite number": (
        '{"name": "x", "tasks": [{"name": "a", "taskReferenceName": "a", "inputParameters": {"x": [1e999]}}]}',
        "at '$.x[0]': inf is not a JSON number",
    ),
    "surrogate in the input": (
        '{"name": "x", "tasks": [{"name": "a", "taskReferenceName": "a", "inputParameters": {"x": "\\udfff"}}]}',
        "lone surrogate",
    ),
    "input nested too deep": (
        '{"name": "x", "tasks": [{"name": "a", "taskReferenceName": "a", "inputParameters": {"x": %s}}]}'
        % ("[" * 150 + "]" * 150),
        "more than 100 levels",
    ),
    "input too large": (
        '{"name": "x", "tasks": [{"name": "a", "taskReferenceName": "a", "inputParameters": {"x": "%s"}}]}'
        % ("x" * 1_100_000),
        "longer than 1,048,576 bytes",
    ),
    "a number for a definition": ("7", ""),
    "an empty list": ("[]", "no definition"),
}


@pytest.mark.parametrize(("text", "why"), HOSTILE.values(), ids=HOSTILE)
def test_json_that_is_no_definition_is_refused(file: Path, text: str, why: str) -> None:
    """What a JSON file can carry and a definition cannot."""
    file.write_text(text, encoding="utf-8")
    error = refused(file)
    assert str(file) in error.asked
    assert why in error.why


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """With its name."""
    assert refused(tmp_path / "none.json").why == "there is no such file"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """With what to do."""
    error = refused(tmp_path)
    assert error.why == "it is a folder"
    assert error.hint == "name a file in it"


WHY_NOT = {
    "a\0b.json": "it cannot be read: embedded null byte",
    "x" * 5_000: "it cannot be read: File name too long",
    "no\nsuch\x1b[31m": "there is no such file",
}


@pytest.mark.parametrize("name", WHY_NOT, ids=["NUL", "long", "control characters"])
def test_an_impossible_name_is_refused(name: str) -> None:
    """A NUL, thousands of characters, control characters."""
    error = refused(name)
    assert "the definition file" in error.asked
    assert error.why == WHY_NOT[name]


def test_a_file_below_a_file_is_refused(file: Path) -> None:
    """The reason is that of the operating system."""
    file.write_text("{}", encoding="utf-8")
    assert refused(file / "x.json").why == "it cannot be read: Not a directory"


def test_a_huge_file_is_refused_without_being_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is 64 MiB: a sparse file of that size and one byte, and an endless one."""
    with file.open("wb") as handle:
        handle.truncate(loading.LARGEST_FILE + 1)
    assert refused(file).why == "it is larger than 67,108,864 bytes"
    monkeypatch.setattr(loading, "LARGEST_FILE", 1_000)
    assert refused("/dev/zero").why == "it is larger than 1,000 bytes"
    file.write_text(json.dumps(SIMPLE).ljust(1_000), encoding="utf-8")
    assert load_definitions(file)[0].name == "order"


def test_a_long_path_is_cut_at_its_beginning(tmp_path: Path) -> None:
    """The name of the file is at the end, and must be seen."""
    path = tmp_path.joinpath(*(["folder-with-a-long-name"] * 8), "order.json")
    asked = refused(path).asked
    assert asked.endswith("folder-with-a-long-name/order.json' cannot be loaded")
    assert "'…" in asked
    assert len(asked.split("'")[1]) == LONGEST_QUOTE
    assert f"'{'y' * LONGEST_QUOTE}'" in refused("y" * LONGEST_QUOTE).asked


def test_a_path_of_any_kind_is_taken(file: Path) -> None:
    """Whatever can say its path."""

    class Entry(os.PathLike[str]):
        def __fspath__(self) -> str:
            return str(file)

    file.write_text(json.dumps(SIMPLE), encoding="utf-8")
    assert load_definitions(Entry())[0].name == "order"


def test_task_definitions_are_read_from_a_second_file(tmp_path: Path) -> None:
    """By the same rules; what is wrong with it names it."""
    file, known = tmp_path / "w.json", tmp_path / "defs.json"
    file.write_text('{"name": "w", "tasks": [{"name": "t", "taskReferenceName": "r"}]}', encoding="utf-8")
    known.write_text('[{"name": "t", "retryCount": 7, "timeoutPolicy": "RETRY", "retryDelaySeconds": 0}]', encoding="utf-8")
    assert load_definitions(file, task_defs=known)[0].tasks[0].retries == 7
    assert load_definitions(file)[0].tasks[0].retries == 0
    known.write_text("[", encoding="utf-8")
    with pytest.raises(InvalidDefinition, match=r"defs\.json' cannot be loaded"):
        load_definitions(file, task_defs=known)
