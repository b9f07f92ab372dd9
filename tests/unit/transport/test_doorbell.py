"""Waking a thread that waits, of this process or another."""

from __future__ import annotations

import threading

import pytest

from pyacq_lab.transport.doorbell import Doorbell, Ringer, is_doorbell


@pytest.fixture
def bell():
    made = Doorbell()
    yield made
    made.close()
    made.close()


def test_a_ring_wakes_who_waits_and_is_heard_once(bell: Doorbell) -> None:
    assert not bell.wait(0.01)
    ringer = Ringer()
    for ring in (bell.ring, lambda: ringer.ring(bell.address)):
        threading.Timer(0.02, ring).start()
        assert bell.wait(10)
        assert not bell.wait(0.01)
    ringer.close()


def test_rings_before_the_wait_are_not_missed_and_can_be_forgotten(bell: Doorbell) -> None:
    for _ in range(1000):  # more than its queue holds: nobody blocks
        bell.ring()
    assert bell.wait(0)
    bell.hush()
    while bell.wait(0):
        bell.hush()
    assert not bell.wait(0.01)


def test_who_rings_learns_that_nobody_is_there() -> None:
    bell, ringer = Doorbell(), Ringer()
    assert ringer.ring(bell.address)
    bell.close()
    bell.ring()
    assert not bell.wait(0.0)
    assert not ringer.ring(bell.address)
    ringer.close()


def test_only_doorbells_are_rung(bell: Doorbell) -> None:
    assert is_doorbell(bell.address)
    for other in ("", "/run/systemd/notify", "/dev/log", "\0other", "/tmp/bell"):
        assert not is_doorbell(other)


def test_without_local_sockets_it_still_wakes_threads_of_its_own_process(monkeypatch) -> None:
    monkeypatch.setattr("pyacq_lab.transport.doorbell.CAN_SHARE", False)
    bell = Doorbell()
    assert bell.address == ""
    threading.Timer(0.02, bell.ring).start()
    assert bell.wait(10)
    assert not bell.wait(0.01)
    bell.close()
