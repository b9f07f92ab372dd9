"""The life of a node: the table as a whole, and its refusals."""

from __future__ import annotations

import pytest

from pyacq_lab.errors import LifecycleError
from pyacq_lab.model.lifecycle import TRANSITIONS, Command, State, legal_commands, next_state

S, C = State, Command


def test_a_whole_life():
    state = S.CREATED
    for command, after in [
        (C.CONFIGURE, S.CONFIGURED),
        (C.INITIALIZE, S.READY),
        (C.START, S.RUNNING),
        (C.STOP, S.READY),
        (C.START, S.RUNNING),
        (C.FAULT, S.FAULTED),
        (C.CONFIGURE, S.CONFIGURED),
        (C.CLOSE, S.CLOSED),
    ]:
        state = next_state(state, command)
        assert state is after


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_closed_and_closed_is_the_end(state):
    assert next_state(state, C.CLOSE) is S.CLOSED
    assert legal_commands(S.CLOSED) == [C.CLOSE]


@pytest.mark.parametrize("state", [s for s in State if s is not S.CLOSED])
def test_anything_but_what_is_closed_can_fault_and_be_mended(state):
    assert next_state(next_state(state, C.FAULT), C.CONFIGURE) is S.CONFIGURED


def test_only_a_ready_node_starts():
    assert [s for s in State if (s, C.START) in TRANSITIONS] == [S.READY]


def test_a_running_node_is_not_configured():
    with pytest.raises(
        LifecycleError, match=r"cannot configure a node that is running .legal now: change, stop, close"
    ):
        next_state(S.RUNNING, C.CONFIGURE)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", Command)
def test_a_refusal_names_what_is_legal(state, command):
    if (state, command) in TRANSITIONS:
        assert next_state(state, command) is TRANSITIONS[state, command]
        return
    with pytest.raises(LifecycleError) as refusal:
        next_state(state, command)
    for legal in legal_commands(state):
        assert legal in str(refusal.value)


def test_a_refusal_says_why_the_node_is_where_it_is():
    with pytest.raises(LifecycleError, match=r"because of OSError: unplugged \(legal now: configure"):
        next_state(S.FAULTED, C.START, "OSError: unplugged")


def test_every_state_can_be_reached():
    reached = {S.CREATED}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)
