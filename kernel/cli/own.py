"""A specification of one's own, from a Python file that the user named: `SPEC`, and in `SHAPES` what is explored."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import click
from attrs import frozen

from kernel.errors import InvalidInput, KernelError, quoted
from kernel.formal.configurations import LARGE, SHOWN, SMALL, VAST, Config
from kernel.formal.rows import Rows, plain
from kernel.spec import SPEC
from kernel.spec.check import checked
from kernel.spec.language import Spec

spec_option = click.option(
    "--spec", "path", type=click.Path(path_type=Path), metavar="FILE",
    help="A Python file with a specification of your own: SPEC, and SHAPES by name.")


@frozen
class Law:
    """A specification, and the shapes on which it is explored, with those that are shown, those that are large for TLC, and
    those that are explored by name only, by the explorer alone.
    """

    spec: Spec
    configs: tuple[Config, ...]
    shown: tuple[str, ...]
    large: tuple[Config, ...] = ()
    vast: tuple[Config, ...] = ()


def law_of(path: Path | None, *, right: bool = True) -> Law:
    """The specification in a file, or the kernel's own. `right`: one with a mistake raises InvalidDefinition.

    Raises InvalidInput where the file is none, raises something, or has no `SPEC`.
    """
    if path is None:
        return Law(SPEC, (*SMALL, *LARGE), SHOWN, LARGE, VAST)
    asked = f"the specification in {quoted(str(path))}"
    found = _loaded(path, asked)
    spec, shapes = found.get("SPEC"), found.get("SHAPES", {})
    if not isinstance(spec, Spec):
        raise InvalidInput(asked, why="it has no SPEC that is a kernel.spec.Spec", hint="give this name to the specification")
    if not isinstance(shapes, Mapping) or not all(
            isinstance(name, str) and name.isidentifier() and isinstance(shape, Rows) for name, shape in shapes.items()):
        raise InvalidInput(asked, why="its SHAPES are not kernel.formal.rows.Rows by name",
                           hint='write SHAPES = {"one": Rows((...))}')
    plain(spec)
    configs = tuple(Config(name, shape, tuple(spec.kinds)) for name, shape in shapes.items())
    return Law(checked(spec) if right else spec, configs, tuple(shapes))


def _loaded(path: Path, asked: str) -> Mapping[str, object]:
    """The names that a file defines: it is run, and finds what is beside it, as with `python FILE`."""
    if not path.is_file():
        raise InvalidInput(asked, why="there is no such file")
    loader = spec_from_file_location(path.stem, path)
    if loader is None or loader.loader is None:
        raise InvalidInput(asked, why="it is no Python file", hint="name a file that ends in .py")
    module = module_from_spec(loader)
    beside = str(path.resolve().parent)
    sys.path.insert(0, beside)
    try:
        loader.loader.exec_module(module)
    except KernelError:
        raise
    except (Exception, SystemExit) as error:  # it is the user's code
        raise InvalidInput(asked, why=f"running it raises {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(beside)
    return vars(module)
