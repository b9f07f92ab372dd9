"""When a host gives a manager up, and what it tells one that comes back; no sockets, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from pyacq_lab.host.application import HANG_UP_GRACE, Application
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.journal import Journal
from pyacq_lab.wire.logcodec import decode_batch

LINK_TIMEOUT = 2.5


class Wire:
    """Takes what is sent while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.sent: list[tuple[str, Any, int]] = []

    def send(self, routing_id: bytes, topic: str, value: Any, seq: int) -> bool:
        if self.up and topic != "alive":
            self.sent.append((topic, value, seq))
        return self.up


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def manager(wire) -> Application:
    return Application("id", "key", b"r", 30.0, 100.0, wire.send, LINK_TIMEOUT)


def test_a_manager_that_speaks_is_kept(manager) -> None:
    for now in range(100, 200):
        manager.heard = float(now)
        assert manager.look(now + 0.4) == ""


def test_records_that_had_to_make_room_are_counted_and_those_that_were_heard_are_not(manager) -> None:
    manager.journal = Journal(kept=3)

    def say(seq: int) -> None:
        manager.tell(LogRecord(time_ns=seq, seq=seq, host="rig", process="daq", pid=7, channel="host"))

    say(0)
    say(1)
    manager.hear(2)
    assert manager.holes() == []
    for seq in range(2, 8):
        say(seq)
    assert [r.seq for r in manager.unheard_records()] == [5, 6, 7]
    (message,) = manager.holes()
    (hole,) = decode_batch(message)
    assert (hole.seq, hole.lost, hole.pid, hole.channel) == (0, 5, 7, "host")


def test_silence_for_the_whole_lease_is_the_end(manager) -> None:
    assert manager.look(130.0) == ""
    assert "lease of 30 s" in manager.look(130.1)


def test_who_hangs_up_has_a_moment_to_come_back(manager, wire) -> None:
    wire.up = False
    assert manager.look(100.5) == ""
    assert manager.look(100.5 + HANG_UP_GRACE - 0.01) == ""
    assert "hung up" in manager.look(100.5 + HANG_UP_GRACE)


def test_who_comes_back_in_time_is_kept(manager, wire) -> None:
    wire.up = False
    manager.look(100.5)
    wire.up = True
    manager.resume(b"new", 0, 30.0, 101.0)
    assert manager.look(103.0) == ""


def test_a_cut_link_is_no_hanging_up_and_lasts_as_long_as_the_lease(manager, wire) -> None:
    wire.up = False
    assert manager.look(100.0 + LINK_TIMEOUT) == ""
    assert manager.look(110.0) == ""
    assert "lease" in manager.look(130.1)


def test_what_was_missed_is_told_once_and_in_order(manager, wire) -> None:
    manager.notify("t", "a")
    wire.up = False
    manager.notify("t", "b")
    manager.notify("t", "c")
    wire.up = True
    manager.look(101.0)
    manager.look(101.5)
    assert wire.sent == [("t", "a", 1), ("t", "b", 2), ("t", "c", 3)]


def test_what_was_sent_into_a_hole_is_told_again_to_who_has_not_heard_it(manager, wire) -> None:
    for value in "abc":
        manager.notify("t", value)
    wire.sent.clear()
    manager.resume(b"new", 1, 30.0, 102.0)
    assert wire.sent == [("t", "b", 2), ("t", "c", 3)]


def test_a_claim_to_have_heard_the_future_hides_nothing(manager, wire) -> None:
    manager.resume(b"new", 10**9, 30.0, 102.0)
    manager.notify("t", "a")
    assert wire.sent == [("t", "a", 1)]


def test_giving_up_is_the_last_word(manager, wire) -> None:
    manager.give_up("was silent")
    manager.notify("t", "too late")
    assert wire.sent == [("given_up", "was silent", 1)]


def test_what_it_has_not_said_to_have_heard_is_unheard(manager, wire) -> None:
    for i in range(3):
        manager.tell(LogRecord(time_ns=i, seq=i, message=str(i)))
    manager.notify("t", "no record")
    assert [r.message for r in manager.unheard_records()] == ["0", "1", "2"]
    manager.hear(1)
    assert [r.message for r in manager.unheard_records()] == ["1", "2"]
    manager.hear(10**9)
    manager.tell(LogRecord(time_ns=3, seq=3, message="3"))
    assert [r.message for r in manager.unheard_records()] == ["3"]
