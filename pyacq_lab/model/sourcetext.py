"""The text of a class as somebody wrote it: for the record only."""

from __future__ import annotations

import inspect
import textwrap
from types import FunctionType
from typing import Any

KEPT = "_pyacq_source_"
"""Attribute of a class that is sent elsewhere by value: its text, which could not be found there."""

LONGEST = 100_000
"""Characters that are kept of a text."""


def source_of(kind: type) -> str:
    """Text of a class, or of the function that it was made of; empty where it cannot be had."""
    kept = vars(kind).get(KEPT)
    if isinstance(kept, str):
        return kept
    made_of: Any = vars(kind).get("function")
    wanted = made_of.__func__ if isinstance(made_of, staticmethod) else kind
    try:
        text = inspect.getsource(wanted)
    except (OSError, TypeError):  # in a notebook classes have no file, but their methods have
        text = _by_methods(kind)
    return textwrap.dedent(text)[:LONGEST]


def keep_source(kind: type) -> None:
    """Give a class its own text along, for where it is sent by value."""
    if KEPT not in vars(kind) and (text := source_of(kind)):
        setattr(kind, KEPT, text)


def _by_methods(kind: type) -> str:
    """Text of a class from where its methods were written; empty where that cannot be had."""
    methods = [m for m in vars(kind).values() if isinstance(m, FunctionType)]
    for method in methods:
        try:
            lines, _ = inspect.findsource(method.__code__)
        except (OSError, TypeError):
            continue
        starts = [i for i, line in enumerate(lines) if line.lstrip().startswith(f"class {kind.__name__}")]
        if starts:
            return "".join(inspect.getblock(lines[starts[-1] :]))
    return ""
