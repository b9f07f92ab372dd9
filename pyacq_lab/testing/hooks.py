"""A component's hooks, each of which may fail on demand: for contracts about faults."""

from __future__ import annotations

from collections.abc import Callable
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


def hooks_of(kind: type[Component]) -> tuple[str, ...]:
    """Hooks of a node type, by its role."""
    return next(hooks for role, hooks in HOOKS.items() if issubclass(kind, role))


def failing(kind: type[Any]) -> type[Any]:
    """Make a subclass of a node type of which one hook at a time can be told to raise `HookFailed`.

    Its class attribute ``fails`` names that hook; empty, which it is at first, none does.
    """

    def may_fail(hook: str) -> Callable[..., Any]:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            if made.fails == hook:
                raise HookFailed(f"{hook} of {kind.__name__}")
            return getattr(super(made, self), hook)(*args, **kwargs)

        return call

    hooks = {hook: may_fail(hook) for hook in hooks_of(kind)}
    made: Any = type(kind.__name__, (kind,), {**hooks, "fails": "", "__module__": kind.__module__})
    return made
