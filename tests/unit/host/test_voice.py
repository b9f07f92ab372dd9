"""Whom a host tells what it has to say itself."""

from __future__ import annotations

import asyncio
import threading

from pyacq_lab.host import voice as module
from pyacq_lab.host.application import Application
from pyacq_lab.host.voice import HostVoice, concerning
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.testing.clock import ManualClock
from pyacq_lab.wire.logcodec import Words


def application(name: str, told: list) -> Application:
    def send(routing_id, topic, value, seq):
        told.extend((r.seq, r.message) for r in value)
        return True

    return Application(name, "key", b"r", 30.0, 0.0, send, 3.0)


def test_one_hears_what_concerns_him_and_all_hear_the_rest(monkeypatch) -> None:
    monkeypatch.setattr(module, "_BOUND", 3)
    told: dict[str, list] = {"one": [], "two": []}
    managers = [application(name, heard) for name, heard in told.items()]
    kept: list[Words] = []

    async def scenario() -> None:
        there: list[Application] = []
        host = HostVoice("rig", ManualClock(), lambda: there, asyncio.get_running_loop(), kept.append)
        host.say("to nobody")
        while not kept:
            await asyncio.sleep(0)
        there += managers
        host.say("for all")
        with concerning("one"):
            host.say("for one")
            later = asyncio.create_task(say_later(host))
        await later
        await settled(told, "for one, later")
        for i in range(5):
            host.say(str(i))
        thread = threading.Thread(target=host.say, args=("from a thread",))
        thread.start()
        thread.join()
        await settled(told, "from a thread")

    async def settled(told: dict, last: str) -> None:
        while not any(last == message for heard in told.values() for _, message in heard):
            await asyncio.sleep(0)

    async def say_later(host: HostVoice) -> None:
        host.say("for one, later")

    asyncio.run(scenario())
    assert [words.message for words in kept] == ["to nobody"]
    # Three of the last six had no room: the numbers have a hole where they are missing.
    assert told["one"] == [
        (0, "for all"),
        (1, "for one"),
        (2, "for one, later"),
        (6, "3"),
        (7, "4"),
        (8, "from a thread"),
    ]
    assert told["two"] == [(0, "for all"), (4, "3"), (5, "4"), (6, "from a thread")]


def test_records_that_come_together_are_told_together_and_before_what_comes_later() -> None:
    sent: list = []

    def send(routing_id, topic, value, seq):
        sent.append((topic, len(value) if topic == "log" else value))
        return True

    soon: list = []
    manager = Application("one", "key", b"r", 30.0, 0.0, send, 3.0, soon.append)
    host = ManualClock()
    for i in range(501):
        manager.tell(record(i, host))
    assert sent == [("log", 500)]
    manager.notify("group_state", "died")
    assert sent == [("log", 500), ("log", 1), ("group_state", "died")]
    for function in soon:
        function()
    assert len(sent) == 3


def record(i: int, clock: ManualClock) -> LogRecord:
    return LogRecord(time_ns=clock.now_ns(), seq=i, message=str(i))
