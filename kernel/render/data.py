"""The specification as JSON, for programs that are not written in Python: every table, every expression, nothing judged.

A value of the language is an object with its fields; `is` names its class. An expression that is not a constant is one, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from kernel.spec.language import Lit, Spec


def data_of(value: Any) -> Any:
    """A value of the language as what JSON can hold."""
    if isinstance(value, Lit):
        return value.value
    if attrs.has(type(value)):
        return {"is": type(value).__name__, **data_of(attrs.asdict(value, recurse=False))}
    if isinstance(value, Mapping):
        return {key: data_of(each) for key, each in value.items()}
    return [data_of(each) for each in value] if isinstance(value, tuple) else value


def json_of(spec: Spec) -> str:
    """The whole specification; the same text from run to run."""
    return json.dumps(data_of(spec), indent=1, ensure_ascii=False) + "\n"
