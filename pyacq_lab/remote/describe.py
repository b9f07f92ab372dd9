"""What a handle needs to know of an object to look like it. Runs no code of the object's.

Handles are the exception: what they stand for is asked, which may wait.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

from pyacq_lab.model.remote import MethodInfo, ObjectInfo


def methods_of(*owners: type) -> dict[str, MethodInfo]:
    """Public methods of some classes, by name; a later class comes before an earlier one."""
    found: dict[str, MethodInfo] = {}
    for owner in owners:
        for name, function in inspect.getmembers(owner, inspect.isroutine):
            if not name.startswith("_"):
                found[name] = MethodInfo(
                    name, _signature(owner, name, function), inspect.getdoc(function) or ""
                )
    return found


def attributes_of(objects: Iterable[Any]) -> tuple[str, ...]:
    """Names of the public attributes and properties of some objects."""
    found: set[str] = set()
    for thing in objects:
        members = {*getattr(thing, "__dict__", {}), *dir(type(thing))}
        found |= {
            name
            for name in members
            if not name.startswith("_") and not inspect.isroutine(inspect.getattr_static(thing, name, None))
        }
    return tuple(sorted(found))


def describe_object(thing: Any) -> ObjectInfo:
    """Describe any object; one that stands for another, as handles do, says itself what that has more."""
    kind = type(thing)
    own = ObjectInfo(
        kind.__name__, inspect.getdoc(kind) or "", tuple(methods_of(kind).values()), attributes_of([thing])
    )
    complete = getattr(kind, "_pyacq_described_", None)
    return own if complete is None else complete(thing, own)


def _signature(owner: type, name: str, function: Any) -> str:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some that are written in C tell nothing
        return "(*args, **kwargs)"
    parameters = [
        p.replace(annotation=p.empty) if not isinstance(p.annotation, str) else p
        for p in signature.parameters.values()
    ]
    if not isinstance(inspect.getattr_static(owner, name), staticmethod | classmethod):
        parameters = parameters[1:]
    return str(inspect.Signature(parameters))
