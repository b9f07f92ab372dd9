"""The ring, a reader's cursor and its accounts together, without a socket: nothing is lost unsaid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.cursor import Cursor
from pyacq_lab.transport.streamring import RingWriter
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.streaming import Data, Lost, Opened, Policy

RING = 50


def make(policy: Policy = "lossless", ring: int = RING) -> tuple[RingWriter, Cursor, Inbox]:
    spec = StreamSpec.of("<i8", shape=(-1,), sample_rate=100.0, buffer_size=ring)
    ring = RingWriter(spec)
    inbox = Inbox(policy)
    wish = inbox.subscription()
    ring.begin_epoch()
    cursor = Cursor.newest(ring, policy, wish.backfill)
    inbox.accept(Opened(spec))
    return ring, cursor, inbox


def pump(ring: RingWriter, cursor: Cursor, inbox: Inbox, window: int = RING, backlog: int = 1) -> None:
    while cursor.sent - inbox.taken < window:
        owed = cursor.take(ring, backlog)
        if owed is None:
            break
        if isinstance(owed, Lost):
            inbox.accept(owed)
            continue
        data = np.concatenate(ring.segments(owed.position, owed.count)).tobytes()
        head = Data(owed.epoch, owed.start, owed.count, owed.time_ns, owed.uncertainty_ns)
        inbox.accept(head, data)
    inbox.accept(cursor.tip(ring.position, True))


def take_all(inbox: Inbox) -> list[Chunk | Gap]:
    taken = []
    while (item := inbox.hand()) is not None:
        taken.append(item)
    return taken


def covered(items: list[Chunk | Gap]) -> list[tuple[int, int, int]]:
    return [(i.epoch, i.start, i.stop) for i in items]


def values(start: int, count: int) -> np.ndarray:
    return np.arange(start, start + count)


@settings(max_examples=200)
@given(
    st.sampled_from(["lossless", "drop-oldest", "latest"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 70)),
            st.tuples(st.just("lose"), st.integers(1, 30)),
            st.tuples(st.just("epoch"), st.integers(0, 5)),
            st.tuples(st.just("pump"), st.integers(1, 60)),
            st.tuples(st.just("read"), st.just(0)),
        ),
        max_size=40,
    ),
)
def test_every_sample_is_received_or_reported_and_the_ledger_always_balances(policy, steps) -> None:
    ring, cursor, inbox = make(policy)
    seen: list[Chunk | Gap] = []
    lost = 0
    for what, number in steps:
        match what:
            case "write":
                ring.write(values(ring.stop + lost, number), 0, -1, lost)
                lost = 0
            case "lose":
                lost += number
            case "epoch":
                lost = 0
                ring.begin_epoch(number)
            case "pump":
                pump(ring, cursor, inbox, window=number)
            case "read":
                seen += take_all(inbox)
        ledger = inbox.ledger()
        assert ledger.sent == ledger.received + ledger.dropped + ledger.pending
        assert ledger.pending >= 0
    for _ in range(200):
        pump(ring, cursor, inbox, window=RING)
        seen += take_all(inbox)

    # In order and without overlap, each sample where it belongs, and no hole that was not told.
    for before, after in pairwise(seen):
        if before.epoch == after.epoch:
            assert before.stop == after.start
    for item in seen:
        if isinstance(item, Chunk):
            np.testing.assert_array_equal(item.data, values(item.start, len(item)))
    ledger = inbox.ledger()
    if ring.position:
        assert ledger.pending == 0
        assert ledger.sent == ring.position


def test_a_lossless_reader_that_comes_back_gets_what_the_ring_still_holds() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 20), 0, -1)
    pump(ring, cursor, inbox)
    taken = take_all(inbox)
    ring.write(values(20, 20), 0, -1)  # sent into a broken link: never arrives
    while cursor.take(ring, RING):
        pass
    wish = inbox.subscription()
    again = Cursor.resumed(ring, "lossless", wish.epoch, wish.start)
    pump(ring, again, inbox)
    taken += take_all(inbox)
    assert covered(taken) == [(0, 0, 20), (0, 20, 40)]
    assert inbox.ledger().sent == inbox.ledger().received == 40


def test_a_reader_that_comes_back_too_late_is_told_what_is_gone() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 10), 0, -1)
    pump(ring, cursor, inbox)
    take_all(inbox)
    for at in range(10, 110, 10):
        ring.write(values(at, 10), 0, -1)
    wish = inbox.subscription()
    pump(ring, Cursor.resumed(ring, "lossless", wish.epoch, wish.start), inbox, window=1000)
    items = take_all(inbox)
    assert isinstance(items[0], Gap)
    assert (items[0].start, items[0].stop) == (10, 60)
    assert [i.start for i in items[1:]] == [60, 70, 80, 90, 100]
    assert inbox.ledger().dropped == 50


def test_resuming_inside_a_chunk_gives_its_rest_with_its_own_time() -> None:
    ring, _, inbox = make()
    ring.write(values(0, 10), 1_000_000_000, 5)
    pump(ring, Cursor.resumed(ring, "lossless", 0, 4), inbox)
    (chunk,) = take_all(inbox)
    assert (chunk.start, chunk.stop, chunk.time_ns) == (4, 10, 1_040_000_000)


def test_late_joiners_get_a_backfill_of_whole_chunks() -> None:
    ring, _, inbox = make()
    for at in range(0, 40, 10):
        ring.write(values(at, 10), 0, -1)
    pump(ring, Cursor.newest(ring, "latest", 0.15), inbox, backlog=RING)
    assert covered(take_all(inbox)) == [(0, 20, 30), (0, 30, 40)]


def test_an_overrun_is_named_and_not_counted_against_the_connection() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 5), 0, -1)
    ring.write(values(8, 5), 0, -1, lost=3)
    pump(ring, cursor, inbox)
    items = take_all(inbox)
    assert covered(items) == [(0, 0, 5), (0, 5, 8), (0, 8, 13)]
    assert items[1].reason == "overrun"
    assert inbox.ledger().dropped == 0
    assert inbox.ledger().sent == 10


@pytest.mark.parametrize("first", [0, 2**31 - 3, 2**53 - 3])
def test_indices_of_any_size(first: int) -> None:
    ring, _, inbox = make()
    ring.begin_epoch(first)
    cursor = Cursor.newest(ring, "lossless")
    ring.write(values(first, 8), 0, -1)
    pump(ring, cursor, inbox)
    (chunk,) = take_all(inbox)
    assert (chunk.start, chunk.stop) == (first, first + 8)


def test_unread_room_counts_down_to_nothing() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 30), 0, -1)
    assert cursor.unread_room(ring, inbox.taken) == RING - 30
    pump(ring, cursor, inbox)
    take_all(inbox)
    assert cursor.unread_room(ring, inbox.taken) == RING
