"""What was said last is heard, or missed aloud, however slowly a host tells it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from pyacq_lab.errors import ProcessDied
from pyacq_lab.manager.lastwords import LastWordsHeard
from pyacq_lab.wire.messages import LastWords

N = 3000
SAY = f"""
import logging
for i in range({N}):
    logging.getLogger("burst").info("record %d", i)
"""


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Lets hosts tell the last words of processes; until it is set they are slow."""
    allowed, ask, threads = threading.Event(), LastWordsHeard._ask, []

    def ask_when_allowed(heard: LastWordsHeard, since: int) -> None:
        threads.append(threading.Thread(target=lambda: allowed.wait(60) and ask(heard, since)))
        threads[-1].start()

    monkeypatch.setattr(LastWordsHeard, "_ask", ask_when_allowed)
    yield allowed
    allowed.set()
    for thread in threads:
        thread.join()


def talking_group(manager, name: str):
    """A nodegroup that has said all it will say, of which only its host can tell."""
    group = manager.create_nodegroup(name)
    manager.log_server.disconnect(group.log_source, timeout=0)
    assert group.run(SAY).ok
    return group


@pytest.mark.timeout(180)
def test_whoever_ends_a_nodegroup_waits_for_its_words(make_manager, until, answers) -> None:
    manager, other = make_manager(), make_manager()
    closed, killed, restarted = (talking_group(manager, name) for name in ("closed", "killed", "restarted"))
    talking_group(other, "left")
    died = talking_group(other, "died")
    os.kill(died.pid, signal.SIGKILL)
    until(lambda: not died.alive)
    ends = (closed.close, killed.kill, restarted.restart, other.close)
    enders = [threading.Thread(target=end) for end in ends]
    for ender in enders:
        ender.start()
    enders[0].join(3)  # longer than a host takes that is not slow
    assert all(ender.is_alive() for ender in enders)
    answers.set()
    for ender in enders:
        ender.join()

    for whose, names in ((manager, ("closed", "killed", "restarted")), (other, ("left", "died"))):
        for name in names:
            said = whose.log_server.query(source=name, logger="burst", limit=None)
            assert [r.message for r in said] == [f"record {i}" for i in range(N)], name
        assert not any(r.lost for r in whose.logs(limit=None))
    assert restarted.alive


def test_words_that_could_not_be_fetched_are_missed_aloud_and_fetched_later(
    manager, until, monkeypatch
) -> None:
    group = talking_group(manager, "daq")
    client = group.host.client
    request = client.request

    def broken(message, *args, **options):
        if isinstance(message, LastWords):
            raise ProcessDied("the connection is lost")
        return request(message, *args, **options)

    monkeypatch.setattr(client, "request", broken)
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: not group.alive)
    assert not group.hear_out()
    until(lambda: manager.logs(contains="daq (pid", level="WARNING"))
    (missed,) = manager.logs(contains="were not fetched to the end, some may be missing here")
    assert f"{group.pid}" in missed.message
    monkeypatch.setattr(client, "request", request)
    client.request(group.host._hello(), 5.0).add_done_callback(group.host._on_welcome)
    until(lambda: manager.logs(contains=f"record {N - 1}"))
    assert len(manager.log_server.query(logger="burst", limit=None)) == N
