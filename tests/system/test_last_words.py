"""A process that is killed at any moment has everything it had printed in the log, and nothing twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import time
from pathlib import Path

import pytest

from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.wire.messages import Spawn

# Each of four threads says numbered lines in its own way, and notes in a shared file how many were said.
TALK = """
import logging, mmap, os, struct, subprocess, sys, threading
WAYS = ("print", "write", "log", "child")
with open(PATH, "r+b") as file:
    said = mmap.mmap(file.fileno(), 64)
echo = "import os, sys\\nfor line in sys.stdin: os.write(1, line.encode()); print('ok', file=sys.stderr)"
child = subprocess.Popen(
    [sys.executable, "-c", echo],
    stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
)
def talk(way):
    log = logging.getLogger("talk")
    place = 4 * WAYS.index(way)
    for i in range(1, 1_000_000):
        line = f"{way} {i}."
        if way == "print":
            print(line)
        elif way == "write":
            os.write(1, f"{line}\\n".encode())
        elif way == "log":
            log.info(line)
        else:
            child.stdin.write(line + "\\n")
            child.stderr.readline()
        # In one piece: pack_into writes zeros first, and a kill between the two would leave them.
        said[place : place + 4] = struct.pack("=I", i)
threads = [threading.Thread(target=talk, args=(way,), daemon=True) for way in WAYS]
for thread in threads:
    thread.start()
"""
WAYS = ("print", "write", "log", "child")


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.write_bytes(bytes(64))
    return path


def said(path: Path) -> dict[str, int]:
    return dict(zip(WAYS, struct.unpack("=4I", path.read_bytes()[:16]), strict=True))


def heard(manager, source: str) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {way: [] for way in WAYS}
    for record in manager.log_server.query(source=source, limit=None):
        way, _, number = record.message.rstrip(".").partition(" ")
        if way in numbers and number.isdigit():
            numbers[way].append(int(number))
    return numbers


def kill_at_any_moment(manager, until, counts: Path, name: str, chance: random.Random) -> None:
    counts.write_bytes(bytes(64))
    group = manager.create_nodegroup(name)
    assert group.run(f"PATH = {str(counts)!r}\n{TALK}").ok
    until(lambda: min(said(counts).values()) > 3)
    time.sleep(chance.uniform(0, 0.2))  # not for luck: the moment is to be any
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: not group.alive, 10)
    assert group.hear_out(20)
    before = said(counts)
    until(lambda: manager.logs(level="CRITICAL", source=name))
    found: dict[str, list[int]] = {}

    def all_heard() -> bool:
        found.update(heard(manager, name))
        return all(len(found[way]) >= before[way] for way in WAYS)

    until(all_heard)
    for way, numbers in found.items():
        assert numbers == list(range(1, len(numbers) + 1)), way
        assert before[way] <= len(numbers) <= before[way] + 1, way
    assert not any(r.lost for r in manager.log_server.query(source=name, limit=None))


@pytest.mark.timeout(300)
def test_what_was_printed_before_a_kill_is_in_the_log_once(make_manager, until, counts) -> None:
    manager = make_manager(store=LogStore(capacity=1_000_000))
    chance = random.Random(4)
    for name in "abcd":
        kill_at_any_moment(manager, until, counts, f"talker-{name}", chance)


DEATHS = {"os._exit": "os._exit(3)", "SIGKILL": "os.kill(os.getpid(), 9)", "abort": "os.abort()"}


@pytest.mark.parametrize("death", DEATHS)
def test_the_last_print_and_a_half_line_are_kept(manager, until, death) -> None:
    group = manager.create_nodegroup("daq")
    code = f"""
import logging, os, threading
def work():
    for i in range(500):
        print("line", i)
    logging.getLogger("daq").warning("the valve is open", extra={{"valve": 7}})
    print("half a", end=" ")
    print("line", end="")
    {DEATHS[death]}
threading.Thread(target=work).start()
"""
    with contextlib.suppress(PyacqError):  # the process may be gone before the cell has ended
        group.run(code)
    until(lambda: not group.alive)
    assert group.hear_out(20)
    until(lambda: manager.logs(contains="half a line"))
    lines = [r.message for r in manager.logs(source="daq", limit=None) if r.stream == "stdout"]
    assert lines == [*(f"line {i}" for i in range(500)), "half a line"]
    (record,) = manager.logs(contains="the valve")
    assert record.extra == {"valve": 7}
    assert record.mono_ns > 0


def test_last_words_are_heard_by_a_manager_that_was_not_there(manager, until) -> None:
    """The death is told again once the connection is back, and the words are asked for then."""
    group = manager.create_nodegroup("daq")
    client = group.host.client
    on_event, client._on_event = client._on_event, lambda event: None
    assert group.run("print('the last word')").ok
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: any(g.state == "died" for g in group.host.list_nodegroups()))
    client._on_event = on_event
    client.request(group.host._hello(), 5.0).result(5)
    until(lambda: not group.alive)
    assert group.hear_out(20)
    until(lambda: manager.logs(contains="the last word"))
    assert len(manager.logs(contains="the last word")) == 1
    manager.get_nodegroup("daq").restart()
    manager.get_nodegroup("daq").run("print('heard again')")
    until(lambda: manager.logs(contains="heard again"))


def test_last_words_are_kept_though_their_name_is_taken_anew(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    manager.log_server.disconnect(group.log_source, timeout=0)  # only its host can tell now
    client = group.host.client
    on_event, client._on_event = client._on_event, lambda event: None
    assert group.run("print('the last word')").ok
    os.kill(group.pid, signal.SIGKILL)
    until(lambda: any(g.state == "died" for g in group.host.list_nodegroups()))
    secret = manager.application_keys.secret
    client.call(Spawn("daq", "another token", secret), 60)
    client._on_event = on_event
    client.request(group.host._hello(), 5.0).result(5)
    until(lambda: not group.alive)
    assert group.hear_out(20)
    until(lambda: manager.logs(contains="the last word"))
    assert len(manager.logs(contains="the last word")) == 1
