"""Streams over real, encrypted sockets: complete, in order, and honest about losses."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from pyacq_lab.errors import HostUnreachable, LifecycleError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap, concatenate
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.inputs import InputStream
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.outputs import OutputStream

SPEC = StreamSpec.of("<f4", shape=(-1, 3), sample_rate=1000.0, units="mV", buffer_size=2000)


@pytest.fixture
def output(server, client):
    made = OutputStream("out", node="n", context=server.context(lambda key: key == client.keys.public))
    made.serve()
    yield made
    made.close()


@pytest.fixture(params=["sharedmem", "plaindata"])
def read(request, client, output):
    """Make a reader of `output`, by either way: all that is true of a stream is true of both."""
    made: list[InputStream] = []

    def read(keys: KeyPair | None = None, **options) -> InputStream:
        context = client.context() if keys is None else replace(client.context(), client_keys=keys)
        stream = InputStream(context=context, **({"transfermode": request.param} | options))
        made.append(stream.connect(output.address, wait=False))
        return stream

    yield read
    for one in made:
        one.close()


def samples(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count)[:, None] * 3 + np.arange(3)).astype("<f4")


def take(stream: InputStream, until_index: int, timeout: float = 5.0) -> list[Chunk | Gap]:
    items = []
    while not items or items[-1].stop < until_index:
        item = stream.recv(timeout)
        if item is None:
            pytest.fail(f"nothing after {items[-1].stop if items else 0} of {until_index}")
        items.append(item)
    return items


def test_a_lossless_reader_gets_every_sample_of_a_source_that_waits(output, read) -> None:
    output.configure(SPEC)
    stream = read(policy="lossless")
    assert stream.wait_opened(5) == SPEC
    output.begin()

    def feed() -> None:
        for at in range(0, 30_000, 90):
            while not output.wait_room(90, 1.0):
                continue
            output.send(samples(at, 90), time_ns=at)
        output.end()

    feeder = threading.Thread(target=feed)
    feeder.start()
    items = take(stream, 30_060)
    feeder.join()
    np.testing.assert_array_equal(concatenate(items), samples(0, 30_060))
    assert all(c.time_ns == c.start for c in items)
    ledger = stream.ledger()
    assert (ledger.received, ledger.dropped, ledger.pending) == (30_060, 0, 0)


def test_a_stalled_reader_never_delays_the_writer_and_learns_what_it_lost(output, read) -> None:
    output.configure(SPEC)
    stalled = read(policy="lossless")
    stalled.wait_opened(5)
    output.begin()
    for at in range(0, 10_000, 100):
        output.send(samples(at, 100))
    items = take(stalled, 10_000)
    gaps = [i for i in items if isinstance(i, Gap)]
    assert gaps
    for before, after in pairwise(items):
        assert before.stop == after.start
    ledger = stalled.ledger()
    assert ledger.sent == 10_000 == ledger.received + ledger.dropped
    assert ledger.dropped == sum(len(g) for g in gaps)


def test_a_live_view_gets_the_newest_and_counts_the_rest(output, read, until) -> None:
    output.configure(SPEC)
    view = read(policy="latest")
    view.wait_opened(5)
    output.begin()
    for at in range(0, 20_000, 100):
        output.send(samples(at, 100))
    items = take(view, 20_000)
    assert isinstance(items[-1], Chunk)
    assert items[-1].stop == 20_000
    ledger = view.ledger()
    assert ledger.received + ledger.dropped == 20_000
    assert ledger.dropped > 0


def test_start_and_stop_make_epochs_that_begin_at_zero(output, read) -> None:
    output.configure(SPEC)
    stream = read()
    stream.wait_opened(5)
    for epoch in range(3):
        output.begin()
        output.send(samples(0, 50))
        output.end()
        item = stream.recv(5)
        assert (item.epoch, item.start, item.stop) == (epoch, 0, 50)
    assert stream.offered() == 150 == stream.dealt_with
    assert not stream.running


def test_a_reader_may_come_before_the_stream_is_configured(output, read) -> None:
    stream = read()
    with pytest.raises(HostUnreachable, match="not configured"):
        stream.wait_opened(0.3)
    output.configure(SPEC)
    assert stream.wait_opened(5) == SPEC


def test_a_reader_without_the_key_hears_nothing(output, read, caplog) -> None:
    output.configure(SPEC)
    with pytest.raises(HostUnreachable, match="refuses this side's key"):
        read(keys=KeyPair.generate()).wait_opened(0.5)
    assert "refused a connection" in caplog.text


def test_a_stream_that_becomes_another_one_is_not_mistaken_for_the_old(output, read) -> None:
    output.configure(SPEC)
    stream = read()
    stream.wait_opened(5)
    output.configure(SPEC.replace(units="uV"))
    with pytest.raises(StreamMismatch, match="units 'mV' != 'uV'"):
        stream.recv(5)


def test_wrong_samples_are_refused_and_change_nothing(output, read) -> None:
    with pytest.raises(LifecycleError, match="not configured"):
        output.send(samples(0, 1))
    output.configure(SPEC)
    output.begin()
    for wrong in (np.zeros((5, 2), "f4"), np.zeros(5, "f4"), np.zeros((5, 3), "c8")):
        with pytest.raises(StreamMismatch, match="float32"):
            output.send(wrong)
    with pytest.raises(LifecycleError, match="running"):
        output.configure(SPEC.replace(units="uV"))
    assert output.status().stop == 0


def test_readers_that_leave_are_forgotten(output, read, until) -> None:
    output.configure(SPEC)
    streams = [read() for _ in range(8)]
    for stream in streams:
        stream.wait_opened(5)
    assert output.status().readers == 8
    for stream in streams:
        stream.close()
    until(lambda: output.status().readers == 0)
    output.begin()
    assert output.wait_room(100, 0.0)


def test_structured_and_big_endian_samples(server, client, read, output) -> None:
    dtype = np.dtype([("t", ">i8"), ("code", "u1")])
    output.configure(StreamSpec.of(dtype, shape=(-1,), sample_rate=10.0, streamtype="event"))
    stream = read()
    stream.wait_opened(5)
    output.begin()
    data = np.array([(1, 2), (3, 4)], dtype)
    output.send(data)
    chunk = stream.recv(5)
    assert chunk.data.dtype == dtype
    np.testing.assert_array_equal(chunk.data, data)
    assert not chunk.data.flags.writeable


def test_closing_readers_whose_producer_is_gone_stops_nobody_else(client, output, read) -> None:
    """libzmq's I/O thread blocks where a connection's monitor is closed before the connection."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        port = dead.getsockname()[1]
    address = msgspec.structs.replace(output.address, endpoint=f"tcp://127.0.0.1:{port}")
    for _ in range(100):  # each tries to connect, in vain, and has much to tell of it
        InputStream(context=client.context()).connect(address, wait=False).close()
    output.configure(SPEC)
    assert read().wait_opened(5) == SPEC
