"""Producer's log and reader's accounts together, without a socket: nothing is lost unsaid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.outbox import Cursor, Outbox
from pyacq_lab.wire.streaming import Opened, Policy

RING = 50


def make(policy: Policy = "lossless", ring: int = RING) -> tuple[Outbox, Cursor, Inbox]:
    spec = StreamSpec.of("<i8", shape=(-1,), sample_rate=100.0, buffer_size=ring)
    box = Outbox(spec)
    inbox = Inbox(policy)
    wish = inbox.subscription()
    box.begin_epoch()
    cursor = box.subscribe(policy, wish.epoch, wish.start, wish.backfill)
    inbox.accept(Opened(spec))
    return box, cursor, inbox


def pump(box: Outbox, cursor: Cursor, inbox: Inbox, window: int = RING, backlog: int = 1) -> None:
    for head, views in box.owed(cursor, window, backlog):
        data = b"" if views is None else np.concatenate(views).tobytes()
        inbox.accept(head, data)
    inbox.accept(cursor.tip(box.ring.stop, True))


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
    box, cursor, inbox = make(policy)
    seen: list[Chunk | Gap] = []
    lost = 0
    for what, number in steps:
        match what:
            case "write":
                box.write(values(box.stop + lost, number), 0, -1, lost)
                lost = 0
            case "lose":
                lost += number
            case "epoch":
                lost = 0
                box.begin_epoch(number)
            case "pump":
                pump(box, cursor, inbox, window=number)
            case "read":
                seen += take_all(inbox)
                cursor.taken = inbox.taken
        ledger = inbox.ledger()
        assert ledger.sent == ledger.received + ledger.dropped + ledger.pending
        assert ledger.pending >= 0
    for _ in range(200):
        pump(box, cursor, inbox, window=RING)
        seen += take_all(inbox)
        cursor.taken = inbox.taken

    # In order and without overlap, each sample where it belongs, and no hole that was not told.
    for before, after in pairwise(seen):
        if before.epoch == after.epoch:
            assert before.stop == after.start
    for item in seen:
        if isinstance(item, Chunk):
            np.testing.assert_array_equal(item.data, values(item.start, len(item)))
    ledger = inbox.ledger()
    if box.ring.stop:
        assert ledger.pending == 0
        assert ledger.sent == box.ring.stop


def test_a_lossless_reader_that_comes_back_gets_what_the_ring_still_holds() -> None:
    box, cursor, inbox = make()
    box.write(values(0, 20), 0, -1)
    pump(box, cursor, inbox)
    taken = take_all(inbox)
    box.write(values(20, 20), 0, -1)  # sent into a broken link: never arrives
    list(box.owed(cursor, RING, RING))
    wish = inbox.subscription()
    again = box.subscribe("lossless", wish.epoch, wish.start, 0.0)
    pump(box, again, inbox)
    taken += take_all(inbox)
    assert covered(taken) == [(0, 0, 20), (0, 20, 40)]
    assert inbox.ledger().sent == inbox.ledger().received == 40


def test_a_reader_that_comes_back_too_late_is_told_what_is_gone() -> None:
    box, cursor, inbox = make()
    box.write(values(0, 10), 0, -1)
    pump(box, cursor, inbox)
    take_all(inbox)
    for at in range(10, 110, 10):
        box.write(values(at, 10), 0, -1)
    wish = inbox.subscription()
    pump(box, box.subscribe("lossless", wish.epoch, wish.start, 0.0), inbox, window=1000)
    items = take_all(inbox)
    assert isinstance(items[0], Gap)
    assert (items[0].start, items[0].stop) == (10, 60)
    assert [i.start for i in items[1:]] == [60, 70, 80, 90, 100]
    assert inbox.ledger().dropped == 50


def test_resuming_inside_a_chunk_gives_its_rest_with_its_own_time() -> None:
    box, _, inbox = make()
    box.write(values(0, 10), 1_000_000_000, 5)
    pump(box, box.subscribe("lossless", 0, 4, 0.0), inbox)
    (chunk,) = take_all(inbox)
    assert (chunk.start, chunk.stop, chunk.time_ns) == (4, 10, 1_040_000_000)


def test_late_joiners_get_a_backfill_of_whole_chunks() -> None:
    box, _, inbox = make()
    for at in range(0, 40, 10):
        box.write(values(at, 10), 0, -1)
    pump(box, box.subscribe("latest", -1, -1, 0.15), inbox, backlog=RING)
    assert covered(take_all(inbox)) == [(0, 20, 30), (0, 30, 40)]


def test_an_overrun_is_named_and_not_counted_against_the_connection() -> None:
    box, cursor, inbox = make()
    box.write(values(0, 5), 0, -1)
    box.write(values(8, 5), 0, -1, lost=3)
    pump(box, cursor, inbox)
    items = take_all(inbox)
    assert covered(items) == [(0, 0, 5), (0, 5, 8), (0, 8, 13)]
    assert items[1].reason == "overrun"
    assert inbox.ledger().dropped == 0
    assert inbox.ledger().sent == 10


@pytest.mark.parametrize("first", [0, 2**31 - 3, 2**53 - 3])
def test_indices_of_any_size(first: int) -> None:
    box, _, inbox = make()
    box.begin_epoch(first)
    cursor = box.subscribe("lossless", -1, -1, 0.0)
    box.write(values(first, 8), 0, -1)
    pump(box, cursor, inbox)
    (chunk,) = take_all(inbox)
    assert (chunk.start, chunk.stop) == (first, first + 8)


def test_unread_room_counts_down_to_nothing() -> None:
    box, cursor, inbox = make()
    box.write(values(0, 30), 0, -1)
    assert box.unread_room(cursor) == RING - 30
    pump(box, cursor, inbox)
    take_all(inbox)
    cursor.taken = inbox.taken
    assert box.unread_room(cursor) == RING
