"""Samples of any kind, chunks of any length and indices of any size come as they went, whichever way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pyacq_lab import Chunk, Gap, InputStream, OutputStream
from pyacq_lab.errors import SamplesGone, StreamMismatch

RING = 90
EVENT = np.dtype([("time", ">i8"), ("code", "u1"), ("place", "<f4", (2,))])


@pytest.fixture
def output() -> Iterator[OutputStream]:
    with OutputStream("raw") as made:
        yield made


@pytest.fixture(params=["sharedmem", "plaindata", "packed"])
def join(request, output):
    """Configure the output and read it: by shared memory, by socket, and compressed."""
    made: list[InputStream] = []

    def join(**fields) -> InputStream:
        # No multiple of 20: some of the chunks lie across its end.
        fields = {"sample_rate": 1000.0, "buffer_size": RING} | fields
        if request.param == "packed":
            fields["compression"] = "zstd"
        output.configure(**fields)
        mode = "sharedmem" if request.param == "sharedmem" else "plaindata"
        made.append(InputStream(transfermode=mode).connect(output))
        return made[-1]

    yield join
    for stream in made:
        stream.close()


def events(count: int) -> np.ndarray:
    made = np.zeros(count, EVENT)
    made["time"], made["code"], made["place"] = np.arange(count) << 40, np.arange(count), 0.5
    return made


MATRIX = np.arange(40, dtype="<i4").reshape(20, 2)
READ_ONLY = MATRIX.copy()
READ_ONLY.flags.writeable = False

LAYOUTS = {
    "F-order": np.asfortranarray(MATRIX),
    "negative stride": MATRIX[::-1, ::-1],
    "every other": np.repeat(MATRIX, 2, axis=0)[::2],
    "a column of many": np.arange(200, dtype="<i4").reshape(20, 10)[:, 3:5],
    "broadcast": np.broadcast_to(np.array([7, 8], "<i4"), (20, 2)),
    "read-only": READ_ONLY,
    "big-endian": MATRIX.astype(">i4"),
    "smaller": MATRIX.astype("i2"),
    "list": MATRIX.tolist(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["<i4", ">i4"])
def test_arrays_of_any_layout(join, output, layout, dtype) -> None:
    stream = join(dtype=dtype, shape=(-1, 2))
    for _ in range(8):
        output.send(LAYOUTS[layout])
        chunk = stream.recv(5)
        assert chunk.data.dtype == np.dtype(dtype)
        assert not chunk.data.flags.writeable
        np.testing.assert_array_equal(chunk.data, np.asarray(LAYOUTS[layout]))


@pytest.mark.parametrize(
    "data",
    [
        events(20),
        events(40)[::-2],
        np.arange(20) % 2 == 0,
        np.arange(20) * 1j,
        np.arange(20).astype(">f2"),
        np.arange(20).astype("datetime64[ns]"),
        np.array([b"ab", b"c"] * 10),
        np.arange(20 * 3 * 4 * 3, dtype="u1").reshape(20, 3, 4, 3),
    ],
    ids=lambda data: f"{data.dtype.kind}{data.dtype.itemsize}{list(data.shape)}",
)
def test_samples_of_any_kind(join, output, data) -> None:
    stream = join(dtype=data.dtype, shape=(-1, *data.shape[1:]))
    for at in range(0, 160, 20):
        output.send(data)
        chunk = stream.recv(5)
        assert chunk.data.dtype == data.dtype
        assert chunk.data.tobytes() == data.tobytes()
        assert stream.get_data(at, at + 20).tobytes() == data.tobytes()
    with pytest.raises(StreamMismatch, match="but its stream is"):
        output.send(np.zeros((3, *data.shape[1:], 2), data.dtype))


@pytest.mark.parametrize("count", [0, 1, RING // 2, RING // 2 + 1, RING - 1, RING, RING + 1, 5 * RING + 7])
def test_chunks_of_any_length(join, output, count) -> None:
    stream = join(dtype="<i8", shape=(-1,))
    output.begin()
    place = 0
    for _ in range(5):
        output.send(np.arange(place, place + count))
        place += count
        at = place - count
        while at < place:
            item = stream.recv(5)
            assert item.start == at
            at = item.stop
            if isinstance(item, Chunk):
                np.testing.assert_array_equal(item.data, np.arange(item.start, item.stop))
            else:
                assert count > RING // 2  # what is longer than the ring could not be kept
    ledger = stream.ledger()
    assert ledger.sent == ledger.received + ledger.dropped == place
    if count:
        kept = min(count, RING // 2)
        np.testing.assert_array_equal(stream.get_data(place - kept, place), np.arange(place - kept, place))
    if count <= RING // 2:
        assert ledger.dropped == 0
    assert stream.recv(0.0) is None


@pytest.mark.parametrize("first", [0, 2**31 - 30, 2**32 - 30, 2**53 - 30, 2**62])
def test_indices_of_any_size(join, output, first) -> None:
    stream = join(dtype="<i8", shape=(-1,))
    output.begin(first)
    output.send(np.arange(first, first + 20))
    output.send(np.arange(first + 25, first + 45), index=first + 25)
    items = [stream.recv(5) for _ in range(3)]
    assert [(type(i), i.start - first, i.stop - first) for i in items] == [
        (Chunk, 0, 20), (Gap, 20, 25), (Chunk, 25, 45),
    ]  # fmt: skip
    np.testing.assert_array_equal(items[2].data, np.arange(first + 25, first + 45))
    np.testing.assert_array_equal(stream[first + 30 : first + 40 : 3], np.arange(first + 30, first + 40, 3))
    np.testing.assert_array_equal(stream[-5:], np.arange(first + 40, first + 45))
    with pytest.raises(SamplesGone, match=f"{first + 18}, {first + 28}"):
        stream.get_data(first + 18, first + 28)
    assert output.status().stop == first + 45


def test_times_and_their_uncertainty_come_with_each_chunk(join, output) -> None:
    stream = join(dtype="<i8", shape=(-1,))
    output.send(np.arange(80), time_ns=10**18 + 1, uncertainty_ns=12_345)  # written as two
    found = [stream.recv(5) for _ in range(2)]
    assert [(c.start, c.time_ns, c.uncertainty_ns) for c in found] == [
        (0, 10**18 + 1, 12_345),
        (45, 10**18 + 1 + 45_000_000, 12_345),
    ]
