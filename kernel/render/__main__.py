"""`python -m kernel.render diagrams|specs [FOLDER]`: write the pictures, or the generated parts of the pages."""

from __future__ import annotations

import sys
from pathlib import Path

from kernel.render import write_diagrams, write_specs

USAGE = "usage: python -m kernel.render diagrams|specs [FOLDER]\n"


def main(arguments: list[str]) -> int:
    """Write and say what was written. The exit code: 0, 1 when something had to be skipped, 2 for wrong arguments."""
    writers = {"diagrams": write_diagrams, "specs": write_specs}
    if len(arguments) not in (1, 2) or arguments[0] not in writers:
        sys.stderr.write(USAGE)
        return 2
    written = writers[arguments[0]](Path(arguments[-1]))
    for path in written.paths:
        sys.stdout.write(f"wrote {path}\n")
    for path, why in written.skipped:
        sys.stderr.write(f"skipped {path}\n{why}\n")
    return 1 if written.skipped else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
