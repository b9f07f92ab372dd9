"""The ring, a reader's cursor and its accounts together, without a socket: nothing is lost unsaid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.cursor import Cursor
from pyacq_lab.transport.ringwriter import RingWriter
from pyacq_lab.wire.inbox import Inbox
from pyacq_lab.wire.streaming import Admitted, Data, Lost, Opened, Policy

RING = 50


def make(policy: Policy = "lossless", ring: int = RING) -> tuple[RingWriter, Cursor, Inbox]:
    spec = StreamSpec.of("<i8", shape=(-1,), sample_rate=100.0, buffer_size=ring)
    ring = RingWriter(spec)
    inbox = Inbox(policy)
    wish = inbox.subscription()
    ring.begin_epoch()
    cursor = Cursor.newest(ring, policy, wish.backfill)
    inbox.accept(Opened(spec, nonce=ring.nonce))
    inbox.admitted(Admitted(-1, cursor.position, cursor.serial, cursor.epoch, cursor.next))
    return ring, cursor, inbox


def go_on(ring: RingWriter, since: StreamPlace | None) -> tuple[Cursor, Inbox]:
    """Begin as a reader of another process, as `Audience` admits it."""
    inbox = Inbox("lossless", since=since)
    inbox.accept(Opened(ring.spec, nonce=ring.nonce))
    wish = inbox.subscription()
    assert wish.epoch >= 0 or wish.position == 0
    cursor = Cursor.resumed(ring, "lossless", wish.epoch, wish.start, wish.position)
    inbox.admitted(Admitted(-1, cursor.position, cursor.serial, cursor.epoch, cursor.next))
    inbox.accept(cursor.tip(ring.position, True))
    return cursor, inbox


def come_back(ring: RingWriter, inbox: Inbox) -> Cursor:
    wish = inbox.subscription()
    cursor = Cursor.resumed(ring, inbox.policy, wish.epoch, wish.start, wish.position)
    inbox.admitted(Admitted(-1, cursor.position, cursor.serial, cursor.epoch, cursor.next))
    inbox.accept(cursor.tip(ring.position, True))
    return cursor


def pump(
    ring: RingWriter, cursor: Cursor, inbox: Inbox, window: int = RING, backlog: int = 1, most: int = 0
) -> None:
    while cursor.sent - inbox.taken < window:
        owed = cursor.take(ring, backlog, most)
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
    st.sampled_from([0, 7, 1000]),
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
def test_every_sample_is_received_or_reported_and_the_ledger_always_balances(policy, most, steps) -> None:
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
                pump(ring, cursor, inbox, window=number, most=most)
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


def test_chunks_side_by_side_are_taken_as_one_up_to_a_loss_an_epoch_and_the_end_of_the_ring() -> None:
    ring, cursor, _ = make()

    def taken() -> list[tuple[int, int, int, bool]]:
        found = []
        while (owed := cursor.take(ring, RING, 20)) is not None:
            assert isinstance(owed, Lost) or len(ring.segments(owed.position, owed.count)) == 1
            found.append((owed.epoch, owed.start, owed.stop, isinstance(owed, Lost)))
        return found

    for at in range(0, 30, 5):
        ring.write(values(at, 5))
    ring.write(values(33, 4), lost=3)
    ring.write(values(37, 4))
    assert taken() == [
        (0, 0, 20, False),
        (0, 20, 30, False),
        (0, 30, 33, True),
        (0, 33, 41, False),
    ]
    ring.begin_epoch()
    for at in range(0, 20, 4):  # from position 38 on: the ring wraps at 50
        ring.write(values(at, 4))
    assert taken() == [(1, 0, 12, False), (1, 12, 20, False)]


def test_a_lossless_reader_that_comes_back_gets_what_the_ring_still_holds() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 20), 0, -1)
    pump(ring, cursor, inbox)
    taken = take_all(inbox)
    ring.write(values(20, 20), 0, -1)  # sent into a broken link: never arrives
    while cursor.take(ring, RING):
        pass
    pump(ring, come_back(ring, inbox), inbox)
    taken += take_all(inbox)
    assert covered(taken) == [(0, 0, 20), (0, 20, 40)]
    assert inbox.ledger().sent == inbox.ledger().received == 40
    assert inbox.ledger().repaired == 20


def test_a_reader_that_comes_back_too_late_is_told_what_is_gone() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 10), 0, -1)
    pump(ring, cursor, inbox)
    take_all(inbox)
    for at in range(10, 110, 10):
        ring.write(values(at, 10), 0, -1)
    again = come_back(ring, inbox)
    pump(ring, again, inbox, window=1000)
    items = take_all(inbox)
    assert isinstance(items[0], Gap)
    assert (items[0].start, items[0].stop) == (10, 60)
    assert [i.start for i in items[1:]] == [60, 70, 80, 90, 100]
    assert inbox.ledger().dropped == 50
    ring.write(values(110, 10), 0, -1)
    pump(ring, again, inbox, window=1000)
    take_all(inbox)
    assert (inbox.ledger().repaired, inbox.ledger().received) == (50, 70)


def test_resuming_inside_a_chunk_gives_its_rest_with_its_own_time() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 4), 0, 5)
    pump(ring, cursor, inbox)
    take_all(inbox)
    ring, _, _ = make()  # as if the first four had come from this one
    ring.write(values(0, 10), 1_000_000_000, 5)
    pump(ring, come_back(ring, inbox), inbox)
    (chunk,) = take_all(inbox)
    assert (chunk.start, chunk.stop, chunk.time_ns) == (4, 10, 1_040_000_000)


def test_late_joiners_get_a_backfill_of_whole_chunks() -> None:
    ring, _, _ = make()
    for at in range(0, 40, 10):
        ring.write(values(at, 10), 0, -1)
    inbox = Inbox("latest")
    inbox.accept(Opened(ring.spec))
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


def test_losses_upstream_while_it_was_away_do_not_count_against_the_connection() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 10), 0, -1)
    pump(ring, cursor, inbox)
    take_all(inbox)
    for at in range(1000, 11_000, 1000):  # 990 samples never reached the stream, each time
        ring.write(values(at, 10), 0, -1, lost=at - ring.stop)
    pump(ring, come_back(ring, inbox), inbox, window=1000)
    items = take_all(inbox)
    assert sum(len(i) for i in items if isinstance(i, Chunk)) == RING
    ledger = inbox.ledger()
    assert (ledger.sent, ledger.dropped, ledger.pending) == (ring.position, 100 - RING, 0)


def test_one_that_was_cut_off_before_the_first_sample_gets_all_of_them() -> None:
    ring, _, inbox = make()
    ring.write(values(0, 20), 0, -1)
    pump(ring, come_back(ring, inbox), inbox)
    assert covered(take_all(inbox)) == [(0, 0, 20)]


def test_another_producer_in_the_same_place_begins_a_later_epoch() -> None:
    ring, cursor, inbox = make()
    ring.write(values(0, 20), 0, -1)
    pump(ring, cursor, inbox)
    ring.write(values(20, 10), 0, -1)
    inbox.accept(cursor.tip(ring.position, True))  # it has heard of these, and will never get them
    after = RingWriter(ring.spec)
    after.begin_epoch(5)
    after.write(values(5, 10), 0, -1)
    inbox.accept(Opened(ring.spec, nonce=after.nonce))
    again = come_back(after, inbox)
    pump(after, again, inbox)
    items = take_all(inbox)
    after.begin_epoch()
    after.write(values(0, 10), 0, -1)
    pump(after, again, inbox)
    items += take_all(inbox)
    assert covered(items) == [(0, 0, 20), (0, 20, 30), (1, 5, 15), (2, 0, 10)]
    ledger = inbox.ledger()
    assert (ledger.sent, ledger.received, ledger.dropped, ledger.pending) == (50, 40, 10, 0)
    assert inbox.producers_epoch(2) == 1


def write(ring: RingWriter, count: int, lost: int = 0) -> None:
    start = ring.stop + lost
    ring.write(np.arange(start, start + count), lost=lost)


def spans(items: list[Chunk | Gap]) -> list[tuple[str, int, int, int]]:
    """What came, neighbours of a kind as one."""
    found: list[tuple[str, int, int, int]] = []
    for item in items:
        if isinstance(item, Chunk):
            np.testing.assert_array_equal(item.data, np.arange(item.start, item.stop))
        kind = item.reason if isinstance(item, Gap) else "samples"
        if found and (found[-1][0], found[-1][1], found[-1][3]) == (kind, item.epoch, item.start):
            found[-1] = kind, item.epoch, found[-1][2], item.stop
        else:
            found.append((kind, item.epoch, item.start, item.stop))
    return found


@pytest.mark.parametrize("start", [0, 5, 10, 17, 30])
def test_a_reader_of_another_process_goes_on_at_any_sample(start) -> None:
    ring, _, _ = make()
    for _ in range(3):
        write(ring, 10)
    cursor, inbox = go_on(ring, StreamPlace(ring.nonce, 0, start))
    pump(ring, cursor, inbox)
    write(ring, 10)
    pump(ring, cursor, inbox)
    assert spans(take_all(inbox)) == [("samples", 0, start, 40)]
    ledger = inbox.ledger()
    assert (ledger.sent, ledger.received, ledger.dropped) == (40 - start, 40 - start, 0)


def test_what_the_ring_has_lost_is_one_gap_for_a_reader_of_another_process() -> None:
    ring, _, _ = make()
    for _ in range(20):
        write(ring, 10)
    cursor, inbox = go_on(ring, StreamPlace(ring.nonce, 0, 33))
    pump(ring, cursor, inbox)
    oldest = ring.bounds()[0]
    assert spans(take_all(inbox)) == [("dropped", 0, 33, oldest), ("samples", 0, oldest, 200)]
    ledger = inbox.ledger()
    assert (ledger.sent, ledger.received, ledger.dropped) == (167, 200 - oldest, oldest - 33)


def test_a_reader_of_another_process_hears_of_the_rest_of_its_epoch_and_of_later_ones() -> None:
    ring, _, _ = make(ring=30)
    write(ring, 20)
    for first, count in ((0, 25), (7, 25)):
        ring.begin_epoch(first)
        write(ring, count)
    cursor, inbox = go_on(ring, StreamPlace(ring.nonce, 0, 12))
    pump(ring, cursor, inbox)
    assert spans(take_all(inbox)) == [("dropped", 0, 12, 20), ("dropped", 1, 0, 25), ("samples", 2, 7, 32)]
    ledger = inbox.ledger()
    assert (ledger.sent, ledger.received, ledger.dropped) == (8 + 25 + 25, 25, 33)


def test_an_overrun_is_told_as_such_to_a_reader_of_another_process() -> None:
    ring, _, _ = make()
    write(ring, 10)
    write(ring, 10, lost=5)
    for start, wanted in ((10, [("overrun", 0, 10, 15)]), (12, [("overrun", 0, 12, 15)]), (15, [])):
        cursor, inbox = go_on(ring, StreamPlace(ring.nonce, 0, start))
        pump(ring, cursor, inbox)
        assert spans(take_all(inbox)) == [*wanted, ("samples", 0, 15, 25)]
        assert inbox.ledger().sent == inbox.ledger().received == 10


@pytest.mark.parametrize("nonce", ["another", "before its first epoch"])
def test_all_that_another_producer_has_is_given(nonce) -> None:
    ring, _, _ = make()
    for _ in range(7):
        write(ring, 10)
    since = StreamPlace(ring.nonce + 1, 3, 12345) if nonce == "another" else StreamPlace(ring.nonce, -1, 0)
    cursor, inbox = go_on(ring, since)
    pump(ring, cursor, inbox)
    oldest = ring.bounds()[0]
    assert spans(take_all(inbox)) == [("dropped", 0, 0, oldest), ("samples", 0, oldest, 70)]
    assert inbox.place == StreamPlace(ring.nonce, 0, 70)


def test_a_place_is_that_of_what_is_taken_next_as_its_producer_counts() -> None:
    ring, cursor, inbox = make()
    write(ring, 10)
    write(ring, 10)
    pump(ring, cursor, inbox)
    assert inbox.place == StreamPlace(ring.nonce, 0, 0)
    assert len(inbox.hand()) == 10
    assert inbox.place == StreamPlace(ring.nonce, 0, 10)
    other = RingWriter(ring.spec)  # it is restarted, with ten samples still to be taken
    inbox.accept(Opened(other.spec, nonce=other.nonce))
    cursor = come_back(other, inbox)
    assert inbox.place == StreamPlace(ring.nonce, 0, 10)
    assert len(inbox.hand()) == 10
    assert inbox.place == StreamPlace(other.nonce, -1, 0)
    other.begin_epoch()
    write(other, 10)
    pump(other, cursor, inbox)
    assert inbox.place == StreamPlace(other.nonce, 0, 0)
    chunk = inbox.hand()
    assert (chunk.epoch, inbox.place) == (1, StreamPlace(other.nonce, 0, 10))
    assert inbox.place_of(0, 20) == StreamPlace(ring.nonce, 0, 20)


@given(
    st.lists(st.tuples(st.sampled_from(["write", "lose", "begin"]), st.integers(1, 25)), max_size=30),
    st.integers(0, 29),
)
@settings(max_examples=60, deadline=None)
def test_two_readers_one_after_the_other_see_all_that_one_does(steps, killed_after) -> None:
    """The second begins at the place of the first: together they are given, or told lost, all there was."""
    ring, cursor, inbox = make()
    taken: list[Chunk | Gap] = []
    written: set[tuple[int, int]] = set()
    for number, (step, count) in enumerate(steps):
        if step == "begin":
            ring.begin_epoch(count)
        else:
            write(ring, count, lost=count if step == "lose" else 0)
            written |= {(ring.epoch, index) for index in range(ring.stop - count, ring.stop)}
        if number <= killed_after:
            pump(ring, cursor, inbox)
            taken += take_all(inbox)
    since = inbox.place
    cursor, inbox = go_on(ring, since)
    pump(ring, cursor, inbox, window=10**9)
    taken += take_all(inbox)
    before: tuple[int, int] | None = None
    for item in taken:
        if before is not None and item.epoch == before[0]:
            assert item.start == before[1], "a hole that was not told, or an overlap"
        before = item.epoch, item.stop
    ledger = inbox.ledger()
    assert ledger.pending == 0
    told = {(item.epoch, index) for item in taken for index in range(item.start, item.stop)}
    assert written <= told
