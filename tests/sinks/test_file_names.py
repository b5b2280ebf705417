"""The file names of the directory archive: one for each id and run, and no id escapes from the directory."""

from __future__ import annotations

import re
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.engine.sinks import Parcel
from kernel.sinks import DirectoryArchive
from kernel.sinks.directory import LONGEST_ID, file_name

HOSTILE_IDS = (
    "..", ".", "...", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "C:\\boot.ini", "C:", "\\\\host\\share", "a\0b",
    "\0", "\n", "a\r\nb", "\x1b[2J", "\x7f", "con", "CON", "nul", "com1", "lpt9", "aux.txt", "trailing.", "trailing ",
    " leading", "-rf", "--", "-", "~", "~root", "$(id)", "`id`", "%2e%2e%2f", "%", "%%", "%00", "a;b", "a|b", "*", "?",
    "[a]", "{a,b}", "\u202egnp.exe", "\ud800", "a\udfff", "\u00e9", "e\u0301", "\u212b", "\U0001f600", "A", "a", "I",
    "i", "\u0130", "\u0131", "\u00df", "SS", "ss", "x" * 10_000, "x" * 10_001, "X" * 10_000, "\U0001f600" * 300, "",
    " ", "' OR 1=1 --", "<script>", "order-7", "order-7.run1", "order-7.run1.json",
    "order-7/invoice", ".kernel-" + "0" * 32 + ".tmp", ".hidden", "a~" + "0" * 64,
)  # fmt: skip


def decoded(name: str) -> tuple[str, int]:
    """The id and run of a name that holds its whole id."""
    encoded, run, ending = name.split(".")
    assert ending == "json"
    raw = re.sub(rb"%([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), encoded.encode())
    return raw.decode("utf-8", "surrogatepass"), int(run.removeprefix("run"))


ids = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.text("aA.%~-/\\412ef\u00e9\ud800", max_size=6),
    st.sampled_from(HOSTILE_IDS),
    st.builds(lambda text, times: text * times, st.text("aA.~", min_size=1, max_size=3), st.integers(60, 200)),
)
runs = st.integers(1, 2**63 - 1)


@given(ids, runs)
def test_every_name_is_safe(workflow_id: str, run: int) -> None:
    """A name is one plain component: lower-case ASCII, bounded, not hidden, not an option, not a device."""
    name = file_name(workflow_id, run)
    assert re.fullmatch(r"[a-z0-9_%~][a-z0-9_%~-]*\.run[1-9][0-9]*\.json", name)
    assert len(name) <= 255
    assert not re.match(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])\.", name)


@given(ids, runs)
def test_a_name_gives_its_id_back(workflow_id: str, run: int) -> None:
    """The encoding of an id that is not too long can be undone, so no two ids share a name."""
    name = file_name(workflow_id, run)
    if "~" in name:
        assert name.endswith(f"~{sha256(workflow_id.encode('utf-8', 'surrogatepass')).hexdigest()}.run{run}.json")
        assert workflow_id == "" or len(workflow_id.encode("utf-8", "surrogatepass")) * 3 > LONGEST_ID
    else:
        assert decoded(name) == (workflow_id, run)


@given(ids, st.integers(1, 12), ids, st.integers(1, 12))
def test_names_differ_when_ids_or_runs_do(one: str, one_run: int, other: str, other_run: int) -> None:
    """Names are equal, also where case does not count, only for the same id and run."""
    same = file_name(one, one_run).upper() == file_name(other, other_run).upper()
    assert same == ((one, one_run) == (other, other_run))


@pytest.mark.parametrize(
    ("workflow_id", "run", "name"),
    [
        ("order-7", 1, "order-7.run1.json"),
        ("order-7/invoice", 12, "order-7%2finvoice.run12.json"),
        ("Order_7", 1, "%4frder_7.run1.json"),
        ("..", 1, "%2e%2e.run1.json"),
        ("%2e", 1, "%252e.run1.json"),
        ("\u00e9", 1, "%c3%a9.run1.json"),
        ("-rf", 1, "%2drf.run1.json"),
        ("con", 1, "%63on.run1.json"),
        ("x" * 200, 1, "x" * 200 + ".run1.json"),
        ("x" * 201, 1, "x" * 100 + "~" + sha256(b"x" * 201).hexdigest() + ".run1.json"),
    ],
)
def test_names_are_stable(workflow_id: str, run: int, name: str) -> None:
    """The encoding is a format: archives written by one version are found by the next."""
    assert file_name(workflow_id, run) == name


def test_hostile_ids_stay_inside_and_apart(tmp_path: Path) -> None:
    """Every id of the corpus gets a file of its own, in the directory, that reads back as its own document."""
    archive = DirectoryArchive(tmp_path / "archive")
    parcels = [
        Parcel(key="k", topic="archive", workflow_id=text, run=1, attempt=1, open=partial(iter, (b"%d" % number,)))
        for number, text in enumerate(HOSTILE_IDS)
    ]
    places = [archive.deliver(one) for one in parcels]
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]
    assert sorted(map(str, archive.path.iterdir())) == sorted(places)
    assert len(set(places)) == len(HOSTILE_IDS)
    for number, one in enumerate(parcels):
        assert b"".join(archive.read_back(one) or ()) == b"%d" % number
