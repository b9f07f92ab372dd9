"""Accounts that hold whatever happens: a random sequence of faults over real sockets and shared memory."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pyacq_lab import Chunk, Gap, InputStream, OutputStream
from pyacq_lab.errors import EndOfStream, LifecycleError, SamplesGone

sys.path.insert(0, str(Path(__file__).parent))

from relay import Relay

RING = 400
FIELDS = {"dtype": "int64", "shape": (-1,), "sample_rate": 1000.0, "buffer_size": RING}
MODES = ("sharedmem", "plaindata")


@pytest.fixture
def output() -> Iterator[OutputStream]:
    with OutputStream("raw") as made:
        yield made


@pytest.fixture
def relay(output) -> Iterator[Relay]:
    output.configure(**FIELDS)
    with Relay(output.address.endpoint) as made:
        yield made


def samples(epoch: int, start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count) + epoch * 10**9


class Writer:
    """Writes, and remembers which samples there were."""

    def __init__(self, output: OutputStream) -> None:
        self.output = output
        self.epoch = -1
        self.total = 0
        self.written: dict[int, np.ndarray] = {}  # by epoch, the indices that were written

    def begin(self, first: int, forget: bool) -> None:
        (self.output.reset if forget else self.output.begin)(first)
        self.epoch += 1
        self.written[self.epoch] = np.empty(0, int)

    def write(self, count: int, lost: int = 0) -> None:
        start = self.output.next_index + lost
        self.output.send(samples(self.epoch, start, count), lost=lost)
        self.written[self.epoch] = np.append(self.written[self.epoch], np.arange(start, start + count))
        self.total += count

    def position(self, item: Chunk | Gap) -> int:
        """How many samples were written before it."""
        before = sum(len(self.written[epoch]) for epoch in range(item.epoch))
        return before + int((self.written[item.epoch] < item.start).sum())

    def count(self, item: Chunk | Gap) -> int:
        """How many of its samples were ever written."""
        known = self.written[item.epoch]
        return int(((known >= item.start) & (known < item.stop)).sum())


class Reader:
    """Reads, and counts by itself what it gets and what it is told to have lost."""

    def __init__(self, writer: Writer, relay: Relay, policy: str, mode: str, backfill: float) -> None:
        address = msgspec.structs.replace(writer.output.address, endpoint=relay.endpoint)
        self.writer = writer
        self.stream = InputStream(policy=policy, backfill=backfill, transfermode=mode)
        self.stream.connect(address)
        self.stream.offered(5)
        self.origin = writer.total - self.stream.ledger().sent  # its part of the past counts as well
        self.received = self.dropped = self.sent = 0
        self.place: tuple[int, int] | None = None

    def read(self, most: int, timeout: float = 0.0) -> int:
        for number in range(most):
            item = self.stream.recv(timeout)
            if item is None:
                return number
            self.take(item)
            self.check()
        return most

    def take(self, item: Chunk | Gap) -> None:
        count = self.writer.count(item)
        if not self.received + self.dropped and count:
            assert self.writer.position(item) == self.origin
        if self.place is not None:
            assert item.epoch >= self.place[0]
            if item.epoch == self.place[0]:
                assert item.start == self.place[1], "a hole that was not told, or an overlap"
        self.place = item.epoch, item.stop
        if isinstance(item, Gap):
            assert (item.reason == "dropped") == (count > 0)
            self.dropped += count
            return
        assert count == len(item)
        np.testing.assert_array_equal(item.data, samples(item.epoch, item.start, count))
        self.received += count

    def check(self) -> None:
        ledger = self.stream.ledger()
        assert (ledger.received, ledger.dropped) == (self.received, self.dropped)
        assert ledger.pending >= 0
        assert self.sent <= ledger.sent <= self.writer.total - self.origin
        self.sent = ledger.sent


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(6))
def test_every_sample_is_received_or_told_lost_whatever_happens(output, relay, until, mode, seed) -> None:
    rng = random.Random(seed)
    writer = Writer(output)
    writer.begin(rng.choice([0, 7]), forget=False)
    readers = [
        Reader(writer, relay, policy, mode, 0.0)
        for policy in ("lossless", "lossless", "drop-oldest", "latest")
    ]

    def step() -> None:
        what = rng.choices(
            [
                "write",
                "burst",
                "read",
                "overrun",
                "epoch",
                "reset",
                "drop",
                "hold",
                "flow",
                "join",
                "give up",
            ],
            [30, 5, 30, 3, 2, 1, 3, 2, 4, 1, 1],
        )[0]
        reader = rng.choice(readers)
        match what:
            case "write":
                writer.write(rng.randint(0, 60))
            case "burst":
                for _ in range(rng.randint(2, 20)):
                    writer.write(rng.randint(1, RING))
            case "read":
                reader.read(rng.randint(1, 30), timeout=0.005)
            case "overrun":
                writer.write(rng.randint(1, 30), lost=rng.randint(1, 500))
            case "epoch" | "reset":
                writer.begin(rng.choice([0, 0, 3, 2**53]), forget=what == "reset")
            case "drop":
                relay.drop()
            case "hold":
                relay.hold()
            case "flow":
                relay.flow()
            case "join" if len(readers) < 8:
                relay.flow()
                policy = rng.choice(["lossless", "drop-oldest", "latest"])
                readers.append(Reader(writer, relay, policy, mode, rng.choice([0.0, 0.1, 10.0])))
            case "give up":
                reader.dropped += reader.stream.empty_queue()
                reader.place = None
        for one in readers:
            one.check()

    for _ in range(150):
        step()
    relay.flow()
    writer.begin(0, forget=False)
    for _ in range(10):  # the end is told by what comes after it
        writer.write(20)
    output.end()
    for reader in readers:
        until(lambda r=reader: r.read(1000, 0.01) == 0 and r.received + r.dropped == writer.total - r.origin)
        ledger = reader.stream.ledger()
        assert (ledger.sent, ledger.pending) == (writer.total - reader.origin, 0)
        until(lambda s=reader.stream, sent=ledger.sent: s.offered() == sent)
    # The other side has the same to say of those that it has now.
    until(lambda: len(output.readers()) == len(readers))
    until(lambda: all(r.offered == r.taken for r in output.readers()))
    for reader in readers:
        reader.stream.close()


@pytest.mark.parametrize("mode", MODES)
def test_both_sides_have_the_same_accounts(output, until, mode) -> None:
    output.configure(**FIELDS)
    writer = Writer(output)
    writer.begin(0, forget=False)
    policies = ("lossless", "drop-oldest", "latest")
    rng = random.Random(1)
    streams = []
    for policy in policies:
        writer.write(50)
        streams.append(InputStream(policy=policy, transfermode=mode).connect(output))
    for _ in range(200):
        writer.write(rng.randint(0, 60), lost=rng.choice([0, 0, 0, 9]))
        stream = rng.choice(streams)
        for _ in range(rng.randint(0, 6)):
            stream.recv(0)
    for number, stream in enumerate(streams):
        until(lambda s=stream: s.recv(0) is None and s.dealt_with == s.offered())
        ledger = stream.ledger()
        assert ledger.sent == ledger.received + ledger.dropped == writer.total - 50 * (number + 1)

    def said() -> list[tuple[str, int, int]]:
        return [(r.policy, r.offered, r.taken) for r in output.readers()]

    wanted = [(p, n := s.ledger().sent, n) for p, s in zip(policies, streams, strict=True)]
    until(lambda: said() == wanted)
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("which", ["output", "reader", "both"])
def test_either_end_may_be_closed_in_mid_flight_by_another_thread(mode, which) -> None:
    for turn in range(10):
        output = OutputStream("raw")
        output.configure(**FIELDS)
        stream = InputStream(transfermode=mode).connect(output)
        flows, failed = threading.Event(), []

        def write(output=output, failed=failed) -> None:
            try:
                while True:
                    output.send(np.arange(output.next_index, output.next_index + 10))
            except LifecycleError as error:
                failed.append(error)

        def read(stream=stream, flows=flows, turn=turn) -> None:
            place = None
            while True:
                try:
                    item = stream.recv(copy=bool(turn % 2))
                except EndOfStream:
                    return
                assert place is None or item.start == place
                place = item.stop
                flows.set()

        threads = [threading.Thread(target=write), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        assert flows.wait(10)
        closing = {"output": [output], "reader": [stream], "both": [stream, output]}[which]
        closers = [threading.Thread(target=end.close) for end in closing]
        for closer in closers:
            closer.start()
        for closer in closers:
            closer.join(10)
        if which == "reader":
            threads[1].join(10)
            assert threads[0].is_alive()  # a writer does not mind
            output.close()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        assert "is closed: make another" in str(failed[0])
        ledger = stream.ledger()
        assert ledger.pending >= 0
        assert ledger == msgspec.structs.replace(stream.ledger(), rate=ledger.rate)  # it counts no more
        stream.close()
        output.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_reader_that_was_silent_while_its_connection_stood_begins_again(
    output, relay, until, monkeypatch, mode
) -> None:
    writer = Writer(output)
    writer.begin(0, forget=False)
    reader = Reader(writer, relay, "lossless", mode, 0.0)
    writer.write(50)
    until(lambda: reader.read(10) == 0 and reader.received == 50)
    monkeypatch.setattr("pyacq_lab.transport.audience._SILENT_READER", 0.0)
    until(lambda: output.status().readers == 0)
    writer.write(50)
    monkeypatch.undo()
    until(lambda: reader.read(10) == 0 and reader.received == 100)
    until(lambda: output.status().readers == 1)
    writer.write(50)
    until(lambda: reader.read(10) == 0 and reader.received == 150)
    reader.stream.close()


def test_what_a_cursor_has_noted_already_waits_as_well(output) -> None:
    output.configure(**FIELDS)
    with InputStream().connect(output) as stream:
        output.begin()
        for _ in range(2):
            output.send(np.arange(10), lost=5)
        assert isinstance(stream.recv(5), Gap)
        for _ in range(3):
            assert stream.poll() > 0
            assert stream.recv(0.0) is not None
        assert stream.poll() == 0


def test_a_stream_that_is_served_otherwise_goes_on_for_its_readers(output, until) -> None:
    output.configure(transfermode="plaindata", **FIELDS)
    with InputStream().connect(output) as stream:
        output.begin()
        output.send(np.arange(50))
        assert stream.recv(5).stop == 50
        output.end()
        output.configure(transfermode="auto", **FIELDS)
        until(lambda: stream.transfermode == "sharedmem")
        output.begin()
        output.send(np.arange(20))
        chunk = stream.recv(5)
        assert (chunk.epoch, chunk.start, chunk.stop) == (1, 0, 20)
        assert stream.ledger().transfermode == "sharedmem"
        np.testing.assert_array_equal(stream.get_data(0, 20, epoch=1), np.arange(20))
        with pytest.raises(SamplesGone, match="before its producer's restart"):
            stream.get_data(0, 20, epoch=0)
        ledger = stream.ledger()
        assert (ledger.sent, ledger.received) == (70, 70)
