"""Streams between processes that are stopped, killed and cut off: every sample is taken or told lost."""

from __future__ import annotations

import gc
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import netns
import numpy as np
import psutil
import pytest
from streamends import Reader, Writer

from pyacq_lab import InputStream, OutputStream

MODES = ("sharedmem", "plaindata")
POLICIES = ("lossless", "drop-oldest", "latest")
RING = 2000
FIELDS = {"dtype": "int64", "shape": (-1,), "sample_rate": 1000.0, "buffer_size": RING}


@pytest.fixture
def output() -> Iterator[OutputStream]:
    with OutputStream("raw") as made:
        made.configure(**FIELDS)
        yield made


@pytest.fixture
def start_writer(tmp_path, stack) -> Callable[..., Writer]:
    """Start a process that writes: ``start_writer(**options)`` of its `OutputStream.configure`."""

    def start(prefix: list[str] | None = None, **options) -> Writer:
        writer = Writer(tmp_path, {"buffer_size": RING} | options, prefix=prefix or [])
        stack.callback(writer.close)
        return writer

    return start


@pytest.fixture
def start_reader(tmp_path, stack) -> Callable[..., Reader]:
    """Start a process that reads."""

    def start(prefix: list[str] | None = None) -> Reader:
        reader = Reader(tmp_path, prefix=prefix or [])
        stack.callback(reader.close)
        return reader

    return start


def write(output: OutputStream, count: int, times: int = 1) -> None:
    for _ in range(times):
        output.send(np.arange(output.next_index, output.next_index + count))


def has_all(reader: Reader, total: int, number: int = 0) -> bool:
    """Whether a reader has taken, or knows lost, all that was written; it has checked each sample."""
    found = reader.accounts()[number]
    assert found["bad"] == 0
    ledger, lost = found["ledger"], sum(b - a for a, b in found["gaps"])
    if found["received"] + lost != total:
        return False
    assert (ledger["sent"], ledger["received"], ledger["dropped"]) == (total, found["received"], lost)
    return True


def held() -> tuple[int, int]:
    """Descriptors of this process, and how often it has a stream's memory mapped."""
    gc.collect()
    maps = Path("/proc/self/maps")
    mapped = maps.read_text().count("pyacq-lab-ring") if maps.exists() else 0
    return psutil.Process().num_fds(), mapped


@pytest.mark.parametrize("mode", MODES)
def test_of_a_killed_writer_all_can_be_read_and_nothing_stays(start_writer, until, mode) -> None:
    writer = start_writer(buffer_size=10_000_000)
    before = held()
    with InputStream(transfermode=mode).connect(writer.address) as stream:
        writer.tell("acknowledge(500)")
        while int(writer.line()) < 20_000:
            continue
        writer.signal(signal.SIGKILL)
        acknowledged = max(int(line) for line in [writer.said[-1], *writer.stdout])
        writer.wait()
        place = 0
        while (chunk := stream.recv(1.0)) is not None:
            np.testing.assert_array_equal(chunk.data, np.arange(place, place + len(chunk)))
            place = chunk.stop
        # What was on its way through the killed process has died with it; what lay in its memory has not.
        assert place >= acknowledged or mode == "plaindata"
        assert stream.recv(0.0) is None
        until(lambda: not stream.linked)
        ledger = stream.ledger()
        assert (ledger.received, ledger.dropped) == (place, 0)
        assert ledger.pending == 0 or mode == "plaindata"
        assert not stream.ended  # it may come back
    until(lambda: held() == before)


@pytest.mark.parametrize("mode", MODES)
def test_a_writer_that_is_started_again_begins_a_later_epoch(start_writer, start_reader, until, mode) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {"port": port, "encrypted": False}
    first = start_writer(**options)
    reader = start_reader()
    assert reader.join(first, mode) == [mode]
    first.ask("write(50, 10)")
    until(lambda: reader.accounts()[0]["received"] == 500)
    first.signal(signal.SIGKILL)
    first.wait()
    until(lambda: not reader.accounts()[0]["linked"])
    again = start_writer(**options)
    again.ask("write(40, 5)")
    until(lambda: reader.accounts()[0]["received"] == 700)
    again.ask("write(40, 5)")
    until(lambda: reader.accounts()[0]["received"] == 900)
    found = reader.accounts()[0]
    # Its own checks would have found a hole or an overlap in the middle of an epoch.
    assert (found["place"], found["bad"], found["gaps"]) == ([1, 400], 1, [])
    assert (found["ledger"]["sent"], found["pending"]) == (900, 0)
    assert found["ledger"]["transfermode"] == mode


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_reader_hurts_nobody_and_a_source_that_waited_for_it_goes_on(
    output, start_reader, until, mode
) -> None:
    output.configure(waits=True, **FIELDS)
    victim, other = start_reader(), start_reader()
    victim.join(output, mode, pause=1000.0)
    other.join(output, mode)
    write(output, 100)
    until(lambda: has_all(other, 100))
    until(lambda: output.readers()[0].taken == 100)  # and takes no more
    write(output, 100, 20)  # the ring is full of what the first has not taken
    assert not output.wait_room(100, 0.2)
    victim.signal(signal.SIGKILL)
    until(lambda: output.wait_room(100, 0.1), 2)
    victim.wait()
    for _ in range(50):
        assert output.wait_room(100, 5)
        write(output, 100)
    until(lambda: has_all(other, 7100))
    assert other.accounts()[0]["gaps"] == []
    until(lambda: output.status().readers == 1)
    until(lambda: len(output._server.audience._slots) == 128 - (mode == "sharedmem"))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("mode", MODES)
def test_a_stopped_reader_delays_nobody_and_counts_what_it_missed(
    output, start_reader, until, mode, policy
) -> None:
    stopped, other = start_reader(), start_reader()
    stopped.join(output, mode, policy=policy)
    other.join(output, mode)
    write(output, 100)
    until(lambda: has_all(stopped, 100))
    stopped.signal(signal.SIGSTOP)
    until(lambda: psutil.Process(stopped.pid).status() == psutil.STATUS_STOPPED)
    for _ in range(50):
        write(output, 100)
        until(lambda: output.readers()[1].taken == output.status().samples)
    assert has_all(other, 5100)
    stopped.signal(signal.SIGCONT)
    write(output, 100)
    until(lambda: has_all(stopped, 5200))
    gaps = stopped.accounts()[0]["gaps"]
    if mode == "sharedmem":  # else some samples may have been under way
        assert len(gaps) == 1
        assert gaps[0][0] == 100
    assert sum(b - a for a, b in gaps) >= 5200 - 2 * RING


@pytest.mark.parametrize("mode", MODES)
def test_a_reader_that_is_stopped_until_it_is_given_up_comes_back(output, start_reader, until, mode) -> None:
    stopped = start_reader()
    stopped.join(output, mode)
    write(output, 100)
    until(lambda: has_all(stopped, 100))
    stopped.signal(signal.SIGSTOP)
    until(lambda: output.status().readers == 0)
    others = start_reader()
    others.join(output, mode, count=3)
    write(output, 100, 30)
    stopped.signal(signal.SIGCONT)
    until(lambda: has_all(stopped, 3100), 20)
    until(lambda: output.status().readers == 4)
    write(output, 100)
    until(lambda: has_all(stopped, 3200))
    for number in range(3):
        until(lambda n=number: has_all(others, 3100, n))
    gaps = stopped.accounts()[0]["gaps"]
    assert len(gaps) == 1
    assert gaps[0][0] == 100


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_reader_beside_a_fast_one_loses_for_itself(output, start_reader, until, mode) -> None:
    slow, fast = start_reader(), start_reader()
    slow.join(output, mode, pause=0.1)
    fast.join(output, mode)
    for _ in range(100):
        write(output, 100)
        until(lambda: output.readers()[1].taken == output.status().samples)
    assert has_all(fast, 10_000)
    assert fast.accounts()[0]["gaps"] == []
    until(lambda: has_all(slow, 10_000), 20)
    assert slow.accounts()[0]["gaps"]


def test_readers_in_many_processes_each_get_everything(output, start_reader, until) -> None:
    counts = (1, 1, 2, 4, 8, 16, 32)
    readers = [start_reader() for _ in counts]
    for reader, count in zip(readers, counts, strict=True):
        assert reader.join(output, count=count) == ["sharedmem"] * count
    for _ in range(100):
        write(output, 50)
        until(lambda: all(r.taken >= output.status().samples - RING // 2 for r in output.readers()))
    for reader, count in zip(readers, counts, strict=True):
        for number in range(count):
            until(lambda r=reader, n=number: has_all(r, 5000, n))
            assert reader.accounts()[number]["gaps"] == []
    assert len(output.readers()) == 64


def test_more_readers_than_there_are_places(output, start_reader, until) -> None:
    readers = [start_reader() for _ in range(3)]
    modes = [mode for reader in readers for mode in reader.join(output, count=45)]
    assert (modes.count("sharedmem"), modes.count("plaindata")) == (128, 7)
    for _ in range(20):
        write(output, 50)
        until(lambda: all(r.taken >= output.status().samples - RING // 2 for r in output.readers()))
    for reader in readers:
        for number in range(45):
            until(lambda r=reader, n=number: has_all(r, 1000, n))
    readers[0].signal(signal.SIGKILL)
    until(lambda: output.status().readers == 90)
    late = start_reader()
    assert late.join(output, count=10) == ["sharedmem"] * 10


WHY_NOT = netns.why_not()
CUT = 5.0
"""Seconds without a link."""


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.parametrize(("ring", "loses"), [(30_000, False), (1_500, True)])
def test_a_link_that_was_cut_costs_one_gap_of_what_the_ring_no_longer_holds(
    stack, start_writer, start_reader, until, ring, loses
) -> None:
    lab = stack.enter_context(netns.Lab("a", "b"))
    writer = start_writer(lab.prefix("a"), interface=lab.address("a"), buffer_size=ring)
    reader = start_reader(lab.prefix("b"))
    assert reader.join(writer) == ["plaindata"]
    writer.ask("live.start()")
    until(lambda: reader.accounts()[0]["received"] > 200)
    lab.unplug("b")
    at = writer.ask("output.next_index")
    until(lambda: writer.ask("output.next_index") > at + CUT * 1000, 15)
    until(lambda: not reader.accounts()[0]["linked"])
    lab.plug("b")
    until(lambda: reader.accounts()[0]["linked"], 15)
    back = writer.ask("output.next_index")
    until(lambda: (reader.accounts()[0]["place"] or [0, 0])[1] > back, 15)
    total = writer.ask("live.end()")
    until(lambda: has_all(reader, total))
    found = reader.accounts()[0]
    assert len(found["gaps"]) == loses
    # Most of what the ring had held was got again: it was offered while there was no link.
    assert 0.9 * min(ring, CUT * 1000) < found["ledger"]["repaired"] <= found["received"]
