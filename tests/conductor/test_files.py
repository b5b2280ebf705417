"""Conductor's own definitions through the command line: 23 files end well, also with a failing archive; 7 are refused."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

import kernel
from kernel.cli.main import call
from kernel.core.conductor_fields import KINDS

FOLDER = Path(__file__).resolve().parents[1] / "data" / "conductor"
CASES = json.loads((FOLDER / "cases.json").read_text())["cases"]
DEFINITIONS = sorted(
    path.name for path in FOLDER.glob("*.json") if path.name != "cases.json" and not path.name.endswith(".schema.json"))
REFUSED = {  # file: task, its type
    "do_while_integration_test.json": ("loopTask", "DO_WHILE"),
    "failure_workflow_for_terminate_task_workflow.json": ("lambda0", "LAMBDA"),
    "kitchensink.json": ("event_0", "EVENT"),
    "re_run_test_workflow.json": ("jq", "JSON_JQ_TRANSFORM"),
    "terminate_task_completed_workflow_integration_test.json": ("lambda0", "LAMBDA"),
    "terminate_task_failed_workflow_integration.json": ("lambda0", "LAMBDA"),
    "terminate_task_parent_workflow.json": ("lambdaTask1", "LAMBDA"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary folders are made in the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON value of a run."""
    code = call(["run", *map(str, args), "--json"])
    value: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, value


def test_every_file_runs_or_is_refused() -> None:
    """There are 30 files: 23 with a case, 7 that are refused."""
    assert (len(DEFINITIONS), len(CASES), len(REFUSED)) == (30, 23, 7)
    assert sorted([*CASES, *REFUSED]) == DEFINITIONS


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_file_ends_well(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """It ends as its case expects, its deliveries are DELIVERED, the audit is clean."""
    code, value = run(capsys, FOLDER / name, "--cases", FOLDER / "cases.json")
    (result,) = value["runs"]
    assert (code, result["faults"]) == (0, [])
    assert [w["state"] for w in result["workflows"]] == [CASES[name]["expect"]]
    assert {*result["deliveries"]} == {"DELIVERED"}
    assert result["audit"]["findings"] == []
    assert result["closed"] == result["tasks"] > 0


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_file_ends_without_a_case(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """With echoing workers and no input it ends, too: whatever is missing, nothing is left open."""
    code, value = run(capsys, FOLDER / name)
    assert (code, value["runs"][0]["faults"]) == (0, [])


@pytest.mark.slow
def test_all_end_well_with_a_failing_archive(capsys: pytest.CaptureFixture[str]) -> None:
    """With an archive that raises every second time all 23 end as they should, and every document is archived."""
    paths = [FOLDER / name for name in sorted(CASES)]
    code, value = run(capsys, *paths, "--cases", FOLDER / "cases.json", "--fail-archive", 0.5, "--seed", 7)
    assert (code, value["well"], len(value["runs"])) == (0, True, 23)
    assert {state for result in value["runs"] for state in result["deliveries"]} == {"DELIVERED"}
    assert sum(result["raised"] for result in value["runs"]) > 5


@pytest.mark.slow
@pytest.mark.parametrize("after", [0, 1, 2])
def test_all_can_be_terminated_anywhere(capsys: pytest.CaptureFixture[str], after: int) -> None:
    """Terminated after a few tasks, each file ends TERMINATED or as expected, and the audit is clean."""
    paths = [FOLDER / name for name in sorted(CASES)]
    code, value = run(capsys, *paths, "--cases", FOLDER / "cases.json", "--terminate-after", after)
    assert (code, value["well"]) == (0, True)
    ended = [w["state"] for result in value["runs"] for w in result["workflows"]]
    assert ended.count("TERMINATED") == {0: 23}.get(after, ended.count("TERMINATED"))


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_file_is_refused_by_name(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The refusal names file, task reference, type, and what is supported."""
    task, type_ = REFUSED[name]
    code, value = run(capsys, FOLDER / name)
    error = value["runs"][0]["error"]
    assert (code, error["kind"]) == (5, "InvalidDefinition")
    assert name in error["asked"]
    assert f"task '{task}'" in error["asked"]
    assert f"'{type_}' is not supported" in error["why"]
    assert {*KINDS} == {*error["allowed"]}


WAYS: list[tuple[str, object, set[str]]] = [  # file, what its switch gets, and the tasks that are skipped
    ("simple_switch_task_integration_test.json", "c", {"t5"}),
    ("simple_switch_task_integration_test.json", "z", {"t1", "t2"}),
    ("simple_switch_task_integration_test.json", None, {"t1", "t2"}),
    ("switch_and_fork_join_integration_test.json", "c", {"t5"}),
    ("switch_and_fork_join_integration_test.json", "z", {"t1", "t2"}),
    ("nested_fork_join_integration_test.json", "a", {"t17", "t20b", "t18", "t20def"}),
    ("nested_fork_join_integration_test.json", "b", {"t16", "t19", "t20", "t18", "t20def"}),
    ("nested_fork_join_integration_test.json", 7, {"t16", "t19", "t20", "t17", "t20b"}),
]


@pytest.mark.parametrize(("name", "case", "skipped"), WAYS)
def test_a_switch_of_a_file_chooses(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, case: object, skipped: set[str]
) -> None:
    """Exactly the tasks of the other branches are skipped, and everything else is done: also what joins a skipped task."""
    db = f"sqlite:///{tmp_path}/k.db"
    code, value = run(capsys, FOLDER / name, "--input", json.dumps({"case": case}), "--db", db)
    assert (code, [w["state"] for w in value["runs"][0]["workflows"]]) == (0, ["COMPLETED"])
    with kernel.open(db) as k:
        tasks = {task.ref: task.state for task in k.tasks(value["runs"][0]["workflows"][0]["id"])}
    assert {ref for ref, state in tasks.items() if state == "SKIPPED"} == skipped
    assert {state for ref, state in tasks.items() if ref not in skipped} == {"COMPLETED"}


def test_a_dynamic_fork_of_a_file_makes_its_tasks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each with its input; workers of their types are found while it runs."""
    name, db = "dynamic_fork_join_integration_test.json", f"sqlite:///{tmp_path}/k.db"
    _, value = run(capsys, FOLDER / name, "--cases", FOLDER / "cases.json", "--db", db)
    with kernel.open(db) as k:
        tasks = {task.ref: task for task in k.tasks(value["runs"][0]["workflows"][0]["id"])}
    assert (tasks["xdt1"].input, tasks["xdt2"].input) == ({"k1": "v1"}, {"k2": "v2"})
    assert {task.state for task in tasks.values()} == {"COMPLETED"}


def test_the_output_of_a_file_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    """Variables that a SET_VARIABLE task set, and parameters with their defaults."""
    _, value = run(capsys, FOLDER / "set_variable_workflow_integration_test.json", "--cases", FOLDER / "cases.json")
    assert value["runs"][0]["workflows"][0]["output"] == {"variables": {"var": "some value"}}
    _, value = run(capsys, FOLDER / "simple_workflow_1_input_template_integration_test.json", "--input", '{"param2": 2}')
    (found,) = value["runs"][0]["workflows"]
    assert found["input"]["param2"] == 2
    assert {"param1", "param3"} <= set(found["input"])
