"""A reader begins where an earlier one, of another process, had come to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from pyacq_lab import Chunk, Gap, InputStream, OutputStream
from pyacq_lab.errors import ConfigurationError, LifecycleError
from pyacq_lab.model.place import StreamPlace

RING = 400
FIELDS = {"dtype": "int64", "shape": (-1,), "sample_rate": 1000.0, "buffer_size": RING}


@pytest.fixture
def output() -> Iterator[OutputStream]:
    with OutputStream("raw") as made:
        made.configure(**FIELDS)
        yield made


@pytest.fixture(params=["sharedmem", "plaindata"])
def mode(request) -> str:
    return request.param


def write(output: OutputStream, count: int) -> None:
    for _ in range(count // 50):
        output.send(np.arange(output.next_index, output.next_index + 50))


def read_to(stream: InputStream, stop: int, epoch: int = 0) -> list[Chunk | Gap]:
    items: list[Chunk | Gap] = []
    while not items or (items[-1].epoch, items[-1].stop) != (epoch, stop):
        item = stream.recv(5)
        assert item is not None, f"nothing came after {items[-1:]}"
        if isinstance(item, Chunk):
            np.testing.assert_array_equal(item.data, np.arange(item.start, item.stop))
        items.append(item)
    return items


def leave_at(output: OutputStream, mode: str, stop: int) -> StreamPlace:
    """Read up to a sample, and say where that was."""
    with InputStream(transfermode=mode).connect(output) as first:
        output.begin()
        write(output, stop)
        read_to(first, stop)
        return first.place


def test_what_the_ring_holds_is_filled_in(output, mode) -> None:
    since = leave_at(output, mode, 100)
    assert (since.epoch, since.start) == (0, 100)
    write(output, 200)
    with InputStream(since=since, transfermode=mode).connect(output) as second:
        write(output, 100)
        items = read_to(second, 400)
        assert all(isinstance(item, Chunk) for item in items)
        assert items[0].start == 100
        assert second.place_of(items[0]) == since
        ledger = second.ledger()
        assert (ledger.sent, ledger.received, ledger.dropped) == (300, 300, 0)
        assert second.place == StreamPlace(since.nonce, 0, 400)


def test_what_it_no_longer_holds_is_one_gap(output, mode) -> None:
    since = leave_at(output, mode, 100)
    write(output, 1000)
    with InputStream(since=since, transfermode=mode).connect(output) as second:
        items = read_to(second, 1100)
        oldest = 1100 - RING
        assert items[0] == Gap(100, oldest, 0, "dropped")
        assert all(isinstance(item, Chunk) for item in items[1:])
        ledger = second.ledger()
        assert (ledger.sent, ledger.received, ledger.dropped) == (1000, RING, oldest - 100)


def test_later_epochs_come_as_their_producer_counts_them(output, mode) -> None:
    since = leave_at(output, mode, 100)
    write(output, 50)
    output.end()
    output.begin(7)
    write(output, 100)
    with InputStream(since=since, transfermode=mode).connect(output) as second:
        places = [second.place_of(item) for item in read_to(second, 107, epoch=1)]
        assert places[0] == since
        assert StreamPlace(since.nonce, 1, 7) in places


def test_of_another_producer_all_that_there_is_comes(output, mode) -> None:
    since = leave_at(output, mode, 100)
    output.end()
    output.configure(**FIELDS | {"sample_rate": 500.0})
    output.begin()
    write(output, 50)
    with InputStream(since=since, transfermode=mode).connect(output) as second:
        assert second.place.nonce != since.nonce
        assert [(item.epoch, item.start) for item in read_to(second, 50)] == [(0, 0)]
        assert second.ledger().sent == 50


def test_a_place_is_known_once_the_stream_is(output) -> None:
    with pytest.raises(LifecycleError, match="described"):
        InputStream().place  # noqa: B018
    with pytest.raises(ConfigurationError, match="since=3"):
        InputStream(since=3)
    with InputStream().connect(output) as stream:
        nothing_yet = stream.place
        assert (nothing_yet.epoch, nothing_yet.start) == (-1, 0)
    output.begin()
    write(output, 50)
    with InputStream(since=nothing_yet).connect(output) as stream:
        assert [item.start for item in read_to(stream, 50)] == [0]
