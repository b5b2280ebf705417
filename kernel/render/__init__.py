"""Pictures and tables of the law, made from `kernel.spec` alone: `write_diagrams(folder)`, `write_specs(folder)`."""

from __future__ import annotations

from kernel.render.write import Written, write_diagrams, write_specs

__all__ = ["Written", "write_diagrams", "write_specs"]
