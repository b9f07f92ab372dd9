"""A component's hooks, each of which may fail on demand: for contracts about faults."""

from __future__ import annotations

from typing import Any

from pyacq_lab.model.roles import Component, Sink, Source, Transform

HOOKS: dict[type[Component], tuple[str, ...]] = {
    Source: ("__init__", "describe", "open", "read", "change", "close"),
    Transform: ("__init__", "describe", "reset", "process", "gap", "finish", "change", "close"),
    Sink: ("__init__", "open", "write", "gap", "finish", "flush", "take_accounts", "change", "close"),
}
"""Hooks of each role, in the order in which a node calls them."""


class HookFailed(Exception):
    """What a hook raises that was told to fail."""


def failing(kind: type[Any], hook: str) -> type[Any]:
    """Make a subclass of a node type of which one hook raises `HookFailed`.

    Its class attribute ``fails`` says whether it does, so that the same node can be mended.
    """
    if not hasattr(kind, hook):
        raise ValueError(f"{kind.__name__} has no hook {hook!r}")

    def fail(self: Any, *args: Any, **kwargs: Any) -> Any:
        if made.fails:
            raise HookFailed(f"{hook} of {kind.__name__}")
        return getattr(super(made, self), hook)(*args, **kwargs)

    made: Any = type(kind.__name__, (kind,), {hook: fail, "fails": True, "__module__": kind.__module__})
    return made
