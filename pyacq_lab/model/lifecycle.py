"""The life of a node, in one table.

Configuring again from READY is legal and goes back to CONFIGURED: buffers sized for the old settings
are stale. ``RUNNING`` must be stopped first.
"""

from __future__ import annotations

from enum import StrEnum

from pyacq_lab.errors import LifecycleError


class State(StrEnum):
    """Where a node is in its life."""

    CREATED = "created"
    CONFIGURED = "configured"
    READY = "ready"
    RUNNING = "running"
    FAULTED = "faulted"
    CLOSED = "closed"


class Command(StrEnum):
    """What can happen to a node. All but ``fault`` are asked for by the user."""

    CONFIGURE = "configure"
    INITIALIZE = "initialize"
    START = "start"
    CHANGE = "change"
    STOP = "stop"
    FAULT = "fault"
    CLOSE = "close"


S, C = State, Command

TRANSITIONS: dict[tuple[State, Command], State] = {
    (S.CREATED, C.CONFIGURE): S.CONFIGURED,
    (S.CONFIGURED, C.CONFIGURE): S.CONFIGURED,
    (S.CONFIGURED, C.INITIALIZE): S.READY,
    (S.READY, C.CONFIGURE): S.CONFIGURED,
    (S.READY, C.START): S.RUNNING,
    (S.RUNNING, C.STOP): S.READY,
    (S.FAULTED, C.CONFIGURE): S.CONFIGURED,
    # Live settings change without leaving the state.
    (S.CONFIGURED, C.CHANGE): S.CONFIGURED,
    (S.READY, C.CHANGE): S.READY,
    (S.RUNNING, C.CHANGE): S.RUNNING,
    # A fault can come from any hook that touches the world.
    (S.CREATED, C.FAULT): S.FAULTED,
    (S.CONFIGURED, C.FAULT): S.FAULTED,
    (S.READY, C.FAULT): S.FAULTED,
    (S.RUNNING, C.FAULT): S.FAULTED,
    (S.FAULTED, C.FAULT): S.FAULTED,
    # Whatever its state, a node can be put away, once or twice.
    (S.CREATED, C.CLOSE): S.CLOSED,
    (S.CONFIGURED, C.CLOSE): S.CLOSED,
    (S.READY, C.CLOSE): S.CLOSED,
    (S.RUNNING, C.CLOSE): S.CLOSED,
    (S.FAULTED, C.CLOSE): S.CLOSED,
    (S.CLOSED, C.CLOSE): S.CLOSED,
}


def legal_commands(state: State) -> list[Command]:
    """Commands a user may give in a state, in the order of a node's life."""
    return [c for c in Command if c is not C.FAULT and (state, c) in TRANSITIONS]


def next_state(state: State, command: Command, reason: str = "") -> State:
    """State after a command; ``reason`` says why the node is in its present one.

    Raises
    ------
    LifecycleError
        The command is not legal in this state; the message lists those that are.
    """
    try:
        return TRANSITIONS[state, command]
    except KeyError:
        legal = ", ".join(legal_commands(state)) or "nothing"
        why = f", because of {reason}" if reason else ""
        raise LifecycleError(f"cannot {command} a node that is {state}{why} (legal now: {legal})") from None
