"""Streams that stand by themselves: two ends in threads and processes, without nodes."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading

import msgspec
import numpy as np
import pytest

from pyacq_lab import Chunk, Gap, InputStream, OutputStream
from pyacq_lab.errors import (
    ConfigurationError,
    EndOfStream,
    HostUnreachable,
    LifecycleError,
    SamplesGone,
    StreamMismatch,
)

FIELDS = {"dtype": "int16", "shape": (-1, 2), "sample_rate": 1000.0, "buffer_size": 400}


def samples(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count)[:, None] * 2 + np.arange(2)).astype("int16")


@pytest.fixture
def output():
    with OutputStream("raw") as made:
        yield made


@pytest.fixture(params=["sharedmem", "plaindata"])
def reader(request, output):
    output.configure(**FIELDS)
    with InputStream(transfermode=request.param).connect(output) as stream:
        assert stream.transfermode == request.param
        yield stream


def take_all(stream: InputStream) -> list[Chunk | Gap]:
    items = []
    while (item := stream.recv(0.2)) is not None:
        items.append(item)
    return items


@pytest.mark.parametrize("protocol", ["tcp", "ipc", "inproc"])
@pytest.mark.parametrize("transfermode", ["auto", "sharedmem", "plaindata"])
@pytest.mark.parametrize("encrypted", [True, False])
def test_every_way_carries_the_same_samples(output, protocol, transfermode, encrypted) -> None:
    output.configure(protocol=protocol, transfermode=transfermode, encrypted=encrypted, **FIELDS)
    assert output.address.endpoint.startswith(protocol)
    assert bool(output.address.public_key) == encrypted
    with InputStream().connect(output) as stream:
        assert stream.transfermode == ("plaindata" if transfermode == "plaindata" else "sharedmem")
        output.send(samples(0, 50), time_ns=123, uncertainty_ns=4)
        chunk = stream.recv(5)
        np.testing.assert_array_equal(chunk.data, samples(0, 50))
        assert (chunk.start, chunk.time_ns, chunk.uncertainty_ns, chunk.epoch) == (0, 123, 4, 0)
        assert stream.ledger().transfermode == stream.transfermode


@pytest.mark.parametrize("codec", ["blosclz", "lz4", "lz4hc", "zlib", "zstd"])
def test_packed_samples_come_back_bit_by_bit(output, codec) -> None:
    output.configure(transfermode="plaindata", compression=codec, **FIELDS)
    noise = np.random.default_rng(1).integers(-(2**15), 2**15, (60, 2)).astype("int16")
    with InputStream().connect(output) as one, InputStream().connect(output) as two:
        for data in (samples(0, 60), noise):  # the second does not get smaller, and is sent as it is
            output.send(data)
        for stream in (one, two):
            np.testing.assert_array_equal(stream.recv(5).data, samples(0, 60))
            np.testing.assert_array_equal(stream.recv(5).data, noise)


CHILD = """
import json, sys
import numpy as np
from pyacq_lab import InputStream
with InputStream(transfermode=sys.argv[2]).connect(json.loads(sys.argv[1])) as stream:
    print("ready", flush=True)
    total = 0
    for item in stream:
        total += int(item.data.astype(int).sum())
    print(json.dumps([total, stream.ledger().received, stream.transfermode]))
"""


@pytest.mark.parametrize("transfermode", ["sharedmem", "plaindata"])
def test_another_process_reads_by_the_address_alone(output, transfermode) -> None:
    output.configure(**FIELDS)
    address = json.dumps(msgspec.to_builtins(output.address))
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, address, transfermode], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "ready\n"
        for at in range(0, 200, 20):
            output.send(samples(at, 20))
        output.close()
        assert json.loads(child.stdout.read()) == [int(samples(0, 200).sum()), 200, transfermode]


def test_the_address_is_a_key_and_does_not_show_it(output) -> None:
    output.configure(**FIELDS)
    assert output.address.secret_key
    assert output.address.secret_key not in repr(output.address)
    stranger = msgspec.structs.replace(output.address, secret_key="")
    with pytest.raises(HostUnreachable, match="refuses this side's key"):
        InputStream().connect(stranger, timeout=0.5)


def test_threads_on_both_ends(reader, output) -> None:
    def feed() -> None:
        for at in range(0, 10_000, 100):
            while not output.wait_room(100, 1.0):
                pass
            output.send(samples(at, 100))
        output.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    items = list(reader)
    feeder.join()
    np.testing.assert_array_equal(np.concatenate([c.data for c in items]), samples(0, 10_000))


def test_an_event_loop_goes_on_while_it_waits(reader, output) -> None:
    async def scenario() -> tuple[list, int]:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.001)

        counting = asyncio.create_task(count())
        assert await reader.recv_async(0.05) is None

        def feed() -> None:
            for at in range(0, 100, 20):
                output.send(samples(at, 20))
            output.close()

        asyncio.get_running_loop().call_later(0.02, feed)
        items = [item async for item in reader]
        counting.cancel()
        return items, turns

    items, turns = asyncio.run(scenario())
    np.testing.assert_array_equal(np.concatenate([c.data for c in items]), samples(0, 100))
    assert turns > 5


def test_samples_by_absolute_index(reader, output) -> None:
    for at in range(0, 600, 50):  # one and a half times round the ring
        output.send(samples(at, 50))
    take_all(reader)
    np.testing.assert_array_equal(reader[350:420], samples(350, 70))
    np.testing.assert_array_equal(reader[-5:], samples(595, 5))
    np.testing.assert_array_equal(reader[-10:-5], samples(590, 5))
    np.testing.assert_array_equal(reader[300:400:10], samples(300, 100)[::10])
    np.testing.assert_array_equal(reader[400:300:-10], samples(0, 600)[400:300:-10])
    np.testing.assert_array_equal(reader[405], samples(405, 1)[0])
    np.testing.assert_array_equal(reader[-1], samples(599, 1)[0])
    assert reader[400:400].shape == (0, 2)
    np.testing.assert_array_equal(reader.get_data(590, 600, physical=True), samples(590, 10))
    with pytest.raises(SamplesGone, match=r"\[0, 10\).*holds \[2"):
        reader.get_data(0, 10)
    with pytest.raises(SamplesGone, match=r"\[595, 601\)"):
        reader[595:601]
    for nonsense in ("a", None, 1.5):
        with pytest.raises(ConfigurationError, match="wanted an absolute index"):
            reader[nonsense]
    with pytest.raises(ConfigurationError, match="step 0"):
        reader[::0]


def test_a_buffer_of_ones_own_keeps_more_than_the_ring(reader, output) -> None:
    reader.set_buffer(seconds=1.0)
    with pytest.raises(SamplesGone, match="nothing is kept yet"):
        reader.get_data(0, 1)
    for at in range(0, 900, 50):
        output.send(samples(at, 50))
        assert reader.recv(5).start == at
    np.testing.assert_array_equal(reader[0:900], samples(0, 900))
    assert reader.bounds() == (0, 900)
    output.send(samples(910, 10), lost=10)
    take_all(reader)
    with pytest.raises(SamplesGone, match=r"\[0, 900\), \[910, 920\)"):
        reader[895:915]
    np.testing.assert_array_equal(reader[910:], samples(910, 10)) if reader.bounds()[0] >= 910 else None
    np.testing.assert_array_equal(reader.get_data(910, 920), samples(910, 10))
    reader.reset()
    with pytest.raises(SamplesGone, match="nothing is kept yet"):
        reader.get_data(915, 916)
    reader.set_buffer(0)
    np.testing.assert_array_equal(reader.get_data(910, 920), samples(910, 10))


def test_physical_values(output) -> None:
    output.configure(scale=(0.5, -2.0), offset=(1.0, 0.0), units="mV", **FIELDS)
    with InputStream().connect(output) as stream:
        output.send(samples(0, 10))
        output.send(samples(10, 10))
        wanted = samples(0, 20) * [0.5, -2.0] + [1.0, 0.0]
        np.testing.assert_array_equal(stream.recv(5, physical=True).data, wanted[:10])
        np.testing.assert_array_equal(stream.recv(5).data, samples(10, 10))
        np.testing.assert_array_equal(stream.get_data(5, 20, physical=True), wanted[5:])


def test_filters_before_and_after(reader, output) -> None:
    output.add_filter(lambda data: data + 1)
    output.add_filter(lambda data: data * 2)
    reader.add_filter(lambda data: data.mean(axis=1))
    reader.set_buffer(100)
    output.send(samples(0, 10))
    wanted = ((samples(0, 10) + 1) * 2).mean(axis=1)
    np.testing.assert_array_equal(reader.recv(5).data, wanted)
    np.testing.assert_array_equal(reader[2:5], wanted[2:5])
    for wrong, words in (
        (lambda data: data.astype(complex), "complex128"),
        (lambda data: data[:-1], r"filter of output raw made an array \[9, 2\] of 10 samples"),
        (lambda data: None, "filter of output raw made None of 10 samples"),
    ):
        output.add_filter(wrong)
        with pytest.raises(StreamMismatch, match=words):
            output.send(samples(10, 10))
        output._filters.pop()
    assert output.next_index == 10
    reader.add_filter(lambda data: data[1:])
    mine = samples(10, 10)
    output.add_filter(lambda data: np.negative(data, out=data))
    with pytest.raises(ValueError, match="read-only"):
        output.send(mine)
    np.testing.assert_array_equal(mine, samples(10, 10))
    output._filters.pop()
    output.send(mine)
    with pytest.raises(StreamMismatch, match=r"filter of input in made an array \[9\] of 10 samples"):
        reader.recv(5)
    ledger = reader.ledger()
    assert (ledger.received, ledger.dropped, ledger.pending) == (10, 10, 0)


def test_a_late_joiner_begins_with_the_past_it_asks_for(output) -> None:
    output.configure(**FIELDS)
    for at in range(0, 200, 20):
        output.send(samples(at, 20))
    for mode in ("sharedmem", "plaindata"):
        with InputStream(backfill=0.05, transfermode=mode).connect(output) as stream:
            assert [c.start for c in take_all(stream)] == [140, 160, 180]
        with InputStream(transfermode=mode).connect(output) as stream:
            assert stream.recv(0.1) is None


def test_what_waits_can_be_given_up(reader, output, until) -> None:
    for at in range(0, 100, 20):
        output.send(samples(at, 20))
    until(lambda: reader.poll() == 5)
    assert reader.poll(1.0) == 5
    assert reader.empty_queue() == 100
    assert reader.poll() == 0
    output.send(samples(100, 20))
    assert reader.recv(5).start == 100
    ledger = reader.ledger()
    assert (ledger.sent, ledger.received, ledger.dropped, ledger.pending) == (120, 20, 100, 0)


def test_reset_leaves_nothing_stale(reader, output, until) -> None:
    output.send(samples(0, 30))
    until(lambda: reader.poll())
    output.reset()
    output.send(samples(500, 10))
    until(lambda: reader._subscription.inbox.next_index[0] == 1 or reader.transfermode == "sharedmem")
    items = take_all(reader)
    assert isinstance(items[-1], Chunk)
    assert (items[-1].epoch, items[-1].start) == (1, 0)
    np.testing.assert_array_equal(items[-1].data, samples(500, 10))
    np.testing.assert_array_equal(reader[0:10], samples(500, 10))
    assert [(type(i), i.start, i.stop) for i in items[:-1]] == [(Gap, 0, 30)]


def test_indices_may_be_given_and_only_grow(reader, output) -> None:
    output.send(samples(7, 3), index=7)
    output.send(samples(10, 5), index=10)
    output.send(samples(20, 5), index=20)
    spans = [(type(i), i.start, i.stop) for i in (reader.recv(5) for _ in range(4))]
    # It has subscribed before the first epoch, which begins at 7: there is nothing before that to be missed.
    assert spans == [(Chunk, 7, 10), (Chunk, 10, 15), (Gap, 15, 20), (Chunk, 20, 25)]
    for index in (24, 0):  # a duplicate, and backwards
        with pytest.raises(StreamMismatch, match=f"from {index} on, but stands at 25"):
            output.send(samples(0, 5), index=index)
    assert output.next_index == 25
    assert reader.recv(0.1) is None


def test_a_view_of_the_ring_costs_no_copy_and_says_when_it_is_stale(output) -> None:
    output.configure(**FIELDS)
    with InputStream().connect(output) as stream:
        output.send(samples(0, 100))
        output.send(samples(100, 100))
        view = stream.recv(5, copy=False)
        assert not view.data.flags.owndata
        assert not view.data.flags.writeable
        assert view.intact
        kept = stream.recv(5)
        for at in range(200, 600, 100):
            output.send(samples(at, 100))
        assert not view.intact
        assert kept.intact
        np.testing.assert_array_equal(kept.data, samples(100, 100))


@pytest.mark.parametrize("copy", [True, False])
def test_a_reader_that_is_behind_takes_several_chunks_at_once(output, copy) -> None:
    output.configure(**FIELDS)
    with InputStream().connect(output) as stream:
        for at in range(0, 300, 50):
            output.send(samples(at, 50), 1_000_000_000 + at)
        assert stream.poll(5) == 6
        taken = [stream.recv(5, copy=copy, most=200), stream.recv(5, copy=copy, most=200)]
        assert [(c.start, c.stop, c.time_ns) for c in taken] == [
            (0, 200, 1_000_000_000),
            (200, 300, 1_000_000_200),
        ]
        assert all(c.intact for c in taken)
        np.testing.assert_array_equal(np.concatenate([c.data for c in taken]), samples(0, 300))
        assert stream.ledger().received == 300
        assert stream.ledger().pending == 0
        for nonsense in (1.5, -1, "all"):
            with pytest.raises(ConfigurationError, match=f"most={nonsense!r}: wanted a"):
                stream.recv(0.0, most=nonsense)


def test_a_producer_that_waits_does_not_overwrite_what_is_in_use(output) -> None:
    output.configure(**FIELDS)
    with InputStream().connect(output) as stream:
        for at in range(0, 400, 100):
            output.send(samples(at, 100))
        view = stream.recv(5, copy=False)
        assert not output.wait_room(1, 0.0)
        stream._subscription.report()  # as it does by itself, twice a second
        assert not output.wait_room(1, 0.0)
        assert view.intact
        view = stream.recv(5, copy=False)
        assert output.wait_room(100, 5.0)
        assert not output.wait_room(101, 0.0)
        stream.recv(5)
        assert output.wait_room(300, 5.0)


def test_the_end_of_the_producer_is_the_end_of_the_stream(reader, output) -> None:
    output.send(samples(0, 10))
    output.close()
    output.close()
    assert reader.recv(5).stop == 10
    with pytest.raises(EndOfStream, match="output raw was closed"):
        reader.recv(5)
    assert list(reader) == []
    assert reader.ended
    with pytest.raises(LifecycleError, match="closed: make another"):
        output.send(samples(0, 1))
    with pytest.raises(LifecycleError, match="closed: make another"):
        output.configure(**FIELDS)


def test_closing_a_reader_ends_its_loop_in_another_thread(reader) -> None:
    got: list = []
    looping = threading.Thread(target=lambda: got.extend(reader))
    looping.start()
    reader.close()
    looping.join(5)
    assert not looping.is_alive()
    with pytest.raises(EndOfStream, match="input in is closed"):
        reader.recv(0)


def test_what_does_not_fit_names_both_sides(output) -> None:
    output.configure(transfermode="plaindata", **FIELDS)
    with pytest.raises(StreamMismatch, match=r"input filter wants of output raw at tcp.* dtype 'float32'"):
        InputStream("filter").connect(output, dtype="float32")
    with pytest.raises(StreamMismatch, match=r"sample_rate 10.0, but it is 1000.0; units 'V', but it is ''"):
        InputStream().connect(output, sample_rate=10.0, units="V")
    with pytest.raises(StreamMismatch, match=r"input in cannot share memory with output raw at .*plaindata"):
        InputStream(transfermode="sharedmem").connect(output)
    InputStream().connect(output, dtype="int16", shape=(-1, 2), streamtype={"analogsignal", "event"}).close()
    output.configure(transfermode="sharedmem", **FIELDS)
    with pytest.raises(StreamMismatch, match="for readers that share memory only; the reader does not want"):
        InputStream(transfermode="plaindata").connect(output)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"protocol": "udp"}, "wanted one of 'tcp', 'ipc', 'inproc'"),
        ({"transfermode": "magic"}, "wanted one of 'auto', 'sharedmem', 'plaindata'"),
        ({"interface": "10.99.0.1"}, "cannot listen"),
        ({"interface": "0.0.0.0"}, "give the address by which readers reach this machine"),
        ({"interface": "192.168.7.7", "encrypted": False}, "leave encrypted=True"),
        ({"dtype": "nonsense"}, "not understood"),
        ({"dtype": object}, "Python objects"),
        ({"shape": (3, 2)}, "-1 \\(time\\) first"),
        ({"sample_rate": 0}, "positive number of Hz"),
        ({"colour": "red"}, "a stream is described by streamtype"),
        ({"compression": "gzip"}, "wanted one of '', 'blosclz'"),
        ({"streamtype": "smell"}, "wanted one of 'analogsignal'"),
        ({"scale": (1.0, 2.0, 3.0)}, "3 numbers as scale for 2 channels"),
        ({"scale": 0}, "a scale not 0"),
        ({"buffer_seconds": -1}, "wanted seconds"),
        ({"channel_names": ["a"]}, "1 channel_names for 2"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(output, fields, words) -> None:
    output.configure(**FIELDS)
    before = output.spec, output.address
    with InputStream().connect(output) as stream:
        with pytest.raises((ConfigurationError, TypeError), match=words):
            output.configure(**(FIELDS | fields))
        assert (output.spec, output.address) == before
        output.send(samples(0, 5))
        assert len(stream.recv(5)) == 5


def test_what_is_not_connected_or_not_configured_says_so(output) -> None:
    with pytest.raises(LifecycleError, match="not configured: call configure"):
        output.send(samples(0, 1))
    with pytest.raises(LifecycleError, match="has no address yet"):
        InputStream().connect(output)
    with InputStream() as stream:
        for ask in (lambda: stream.spec, lambda: stream.address):
            with pytest.raises(LifecycleError, match=r"not been described|not connected"):
                ask()
        with pytest.raises(ConfigurationError, match="connect wants an OutputStream"):
            stream.connect("tcp://127.0.0.1:1234")
        with pytest.raises(ConfigurationError, match="not a stream's address"):
            stream.connect({"endpoint": 3})
        output.configure(**FIELDS)
        stream.connect(output)
        with pytest.raises(LifecycleError, match="connected to raw: make another"):
            stream.connect(output)
    for wrong in ({"policy": "best"}, {"transfermode": "best"}):
        with pytest.raises(ConfigurationError, match="'best': wanted one of"):
            InputStream(**wrong)


def test_many_readers_each_get_everything(output) -> None:
    output.configure(**FIELDS)
    readers = [InputStream().connect(output) for _ in range(64)]
    assert {r.transfermode for r in readers} == {"sharedmem"}
    for at in range(0, 200, 20):
        output.send(samples(at, 20))
    for stream in readers:
        chunks = [stream.recv(5) for _ in range(10)]
        np.testing.assert_array_equal(np.concatenate([c.data for c in chunks]), samples(0, 200))
    accounts = output.readers()
    assert len(accounts) == 64
    assert {(a.offered, a.taken, a.transfermode) for a in accounts} == {(200, 200, "sharedmem")}
    for stream in readers:
        stream.close()


def test_more_readers_than_the_ring_has_places_are_sent_the_samples(output, monkeypatch) -> None:
    output.configure(**FIELDS)
    del output._server.audience._slots[2:]
    readers = [InputStream().connect(output) for _ in range(4)]
    assert [r.transfermode for r in readers] == ["sharedmem"] * 2 + ["plaindata"] * 2
    output.send(samples(0, 20))
    for stream in readers:
        np.testing.assert_array_equal(stream.recv(5).data, samples(0, 20))
        stream.close()


@pytest.mark.parametrize(("policy", "most"), [("latest", 10), ("drop-oldest", 50)])
def test_a_slow_view_is_never_far_behind(reader, output, until, policy, most) -> None:
    with InputStream(policy=policy, transfermode=reader.transfermode).connect(output) as view:
        reader.close()
        for round_ in range(20):
            for at in range(0, 100, 10):
                output.send(samples(100 * round_ + at, 10))
            if view.transfermode == "plaindata":  # until the newest has come over
                until(lambda: view._subscription.inbox.next_index[1] == output.next_index)
            while isinstance(item := view.recv(5), Gap):
                pass
            assert output.next_index - item.start <= most
            assert view.ledger().pending <= most
        ledger = view.ledger()
        assert ledger.sent == output.next_index == ledger.received + ledger.dropped + ledger.pending


def test_indices_count_from_what_the_producer_has_now(reader, output) -> None:
    for at in range(0, 2000, 10):
        output.send(samples(at, 10))
    np.testing.assert_array_equal(reader[-5:], samples(1995, 5))
    first, stop = reader.bounds()
    assert stop == 2000
    np.testing.assert_array_equal(reader[:], samples(first, stop - first))
    output.close()
    until_ended = reader.transfermode == "plaindata"
    if until_ended:
        while not reader.ended:
            reader.poll(0.1)
        with pytest.raises(EndOfStream, match="was closed"):
            reader.get_data(1990, 2000)


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("int16", [70_000]),
        ("int16", np.array([40_000], "u2")),
        ("uint8", np.array([-1])),
        ("int16", [1.5]),
        ("float32", [1e300]),
        ("float32", [2**24 + 1]),
        ("float16", [70_000]),
        ("float64", [2**53 + 1]),
        ("complex128", np.array([2**64 - 1], "u8")),
        ("S3", np.array([b"abcd"])),
        ([("a", "i4")], np.array([(1,)], [("b", "i4")])),
        ([("a", "i2")], np.array([(70_000,)], [("a", "i4")])),
    ],
)
def test_no_value_becomes_another_one(output, dtype, data) -> None:
    output.configure(dtype=np.dtype(dtype), shape=(-1,), sample_rate=10.0, buffer_size=50)
    with pytest.raises(StreamMismatch, match="output raw was given"):
        output.send(data)
    assert output.next_index == 0


def test_values_that_fit_are_cast(output) -> None:
    output.configure(dtype="int16", shape=(-1,), sample_rate=10.0, buffer_size=50)
    with InputStream().connect(output) as stream:
        output.send([1, -300, 32_767])
        np.testing.assert_array_equal(stream.recv(5).data, np.array([1, -300, 32_767], "int16"))
        output.send([])
        output.send(np.array([True]))
        assert stream.recv(5).data.tolist() == [1]


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<c8", "<c16"])
def test_whole_numbers_that_a_float_has_are_sent_to_a_stream_of_floats(output, dtype) -> None:
    output.configure(dtype=dtype, shape=(-1,), sample_rate=10.0, buffer_size=50)
    with InputStream().connect(output) as stream:
        numbers = [1, -300, 2**24, -(2**63), 2**60]
        output.send(numbers)
        chunk = stream.recv(5)
        assert chunk.data.dtype == np.dtype(dtype)
        assert chunk.data.tolist() == numbers


def test_room_that_the_ring_does_not_have_is_refused(reader, output) -> None:
    for count in (401, -1):
        with pytest.raises(ConfigurationError, match=f"room for {count} samples asked for"):
            output.wait_room(count, 0.1)


def test_a_reader_that_nobody_has_any_more_holds_nothing_back(reader, output, until) -> None:
    reader.close()
    mode = reader._transfermode
    forgotten = InputStream(transfermode=mode).connect(output)
    assert len(output.readers()) >= 1
    del forgotten
    gc.collect()
    until(lambda: not output.readers())
    output.send(samples(0, 400))
    assert output.wait_room(400, 0.0)


def test_all_there_is_can_be_asked_for(output) -> None:
    output.configure(**FIELDS)
    for at in range(0, 200, 20):
        output.send(samples(at, 20))
    for mode in ("sharedmem", "plaindata"):
        with InputStream(backfill=float("inf"), transfermode=mode).connect(output) as stream:
            assert stream.recv(5).start == 0
    for nonsense in (float("nan"), -1, "x"):
        with pytest.raises(ConfigurationError, match="wanted seconds, 0 or more"):
            InputStream(backfill=nonsense)


def test_a_fork_has_neither_end(reader, output) -> None:
    if (child := os.fork()) == 0:
        code = 0
        try:
            for use in (lambda: output.send(samples(0, 5)), lambda: reader.recv(1.0)):
                with pytest.raises(LifecycleError, match="forked from"):
                    use()
            reader.close()
            output.close()
        except BaseException:
            code = 1
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    output.send(samples(0, 5))
    assert len(reader.recv(5)) == 5


def test_epochs_begin_at_indices_that_there_are(reader, output) -> None:
    for first in (-7, 2**63, 1.5):
        with pytest.raises(ConfigurationError, match="wanted a whole number"):
            output.begin(first)
    output.begin(2**63 - 2**32 - 2)
    with pytest.raises(StreamMismatch, match="indices end at"):
        output.send(samples(0, 3))
    output.send(samples(0, 2))
    assert reader.recv(5).stop == 2**63 - 2**32
