"""Names of nodegroups and nodes."""

from __future__ import annotations

import os
import re
import reprlib
from collections.abc import Container
from typing import Any

from pyacq_lab.errors import ConfigurationError

_NAME = re.compile(r"[^\s/:.\x00-\x1f\x7f][^/:.\x00-\x1f\x7f]{0,63}")

OF_HANDLES = frozenset(
    {"call", "group", "info", "input", "inputs", "name", "output", "outputs", "state", "wants_rig", "where"}
)
"""Names that the handle of a node has for itself; methods of a node type by these could not be called."""


def path_text(path: Any, option: str) -> str | None:
    """Text of a path that may be left out. Raises ConfigurationError where it is neither."""
    if path is None or isinstance(path, str):
        return path
    if not isinstance(path, os.PathLike):
        raise ConfigurationError(f"{option}={path!r}: wanted a path")
    return str(path)  # pyright: ignore[reportUnknownArgumentType]


def check_environment(variables: Any) -> None:
    """Raise ConfigurationError where environment variables are not texts by name."""
    if not isinstance(variables, dict):
        raise ConfigurationError(f"env={variables!r}: wanted a dict of texts, such as {{'GAIN': '2'}}")
    for name, value in variables.items():  # pyright: ignore[reportUnknownVariableType]
        if not (isinstance(name, str) and name and not set(name) & {"=", "\0"}):
            raise ConfigurationError(f"env: {name!r} is no name of an environment variable")
        if not isinstance(value, str) or "\0" in value:
            raise ConfigurationError(f"env: {name}={value!r}: wanted text without a NUL")


def check_name(name: Any, of: str) -> str:
    """Return a name unchanged.

    Raises
    ------
    ConfigurationError
        It is no printable text of 1 to 64 characters, or holds one of ``/ : .``, which separate the parts of
        a place.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"name of a {of}: {reprlib.repr(name)} came; "
            "wanted printable text of 1 to 64 characters without / : or ."
        )
    return name


def port_name(wished: str, taken: Container[str] = ()) -> str:
    """Make a name that a port can have of any text: without what separates the parts of a place.

    A name that is ``taken`` gets a number.
    """
    kept = "".join(c if c.isprintable() and c not in "/:." else "_" for c in wished).strip() or "out"
    name, number = kept[:60], 2
    while name in taken:
        name, number = f"{kept[:56]} {number}", number + 1
    return name
