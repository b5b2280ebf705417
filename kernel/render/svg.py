"""SVG of a DOT text, drawn by Graphviz's `dot` program. It carries the digest of its DOT, so a stale one is seen."""

from __future__ import annotations

import re
from hashlib import sha256

from kernel.errors import KernelError

MISSING = "install Graphviz (Debian: apt install graphviz), then run `make diagrams` again"
PROLOG = re.compile(r"^.*?(?=<svg )", re.DOTALL)
SIZE = re.compile(r'(width|height)="([0-9.]+)pt"')


def digest_of(dot: str) -> str:
    """The SHA-256 of a DOT text, in hexadecimal."""
    return sha256(dot.encode()).hexdigest()


def marked_digest(svg: str) -> str:
    """The digest that an SVG carries, or nothing."""
    found = re.search(r"<!-- DOT sha256: ([0-9a-f]{64}) -->", svg)
    return found[1] if found else ""


def svg_of(dot: str) -> str:
    """The SVG, in CSS pixels. Raises KernelError, which says what to install, where `dot` is missing or fails."""
    import graphviz

    asked = "draw a picture as SVG"
    try:
        drawn = graphviz.pipe_string("neato", "svg", dot, encoding="utf-8", neato_no_op=2, quiet=True)
    except graphviz.ExecutableNotFound:
        raise KernelError(asked, stands="the `dot` program is not on the PATH", hint=MISSING) from None
    except graphviz.CalledProcessError as error:
        raise KernelError(asked, why=f"`dot` failed: {error.stderr or error}", hint=MISSING) from error
    body = SIZE.sub(r'\1="\2px"', PROLOG.sub("", drawn, count=1), count=2)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- DOT sha256: {digest_of(dot)} -->\n{body}'
